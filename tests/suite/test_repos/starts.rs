//! Which repos are test repos, and who finds them.

use emr::prelude::*;
use emr::test::TestRepo;

use super::test_repo;
use crate::harness::{Backend, Db};
use crate::schemas::{Post, post, titles};

db_cases![
    sb1_sb2_sb3_sb4_what_is_wrong_is_said,
    sb6_sb7_sb8_other_tasks_use_it_by_handle_and_by_name,
    sb9_sb10_repos_that_are_started_at_run_time,
    settings_of_a_test_repo_lead_to_it,
];

#[derive(MultiRepo)]
struct Shops;

/// Ids are of the whole process, and each case runs on two backends.
fn id(db: &Db, name: &str) -> String {
    format!("{name} {} {}", db.backend.name(), db.repo.id())
}

async fn sb1_sb2_sb3_sb4_what_is_wrong_is_said(db: &Db) {
    let test = test_repo(db).await;
    post(&test, "one").await;
    post(&test, "two").await;
    assert_eq!(titles(&test).await, ["one", "two"]);
    // There is no such database, and no such repo.
    let nowhere = match db.backend {
        Backend::Sqlite => db.options().database("/no/such/folder/x.db"),
        _ => db.options().database("no_such_database"),
    };
    let error = TestRepo::start(nowhere).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectFailed { .. }), "{error:?}");
    let error = TestRepo::start("nonsense://").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error:?}");
    assert!(matches!(Shops::repo("nobody").unwrap_err().kind(), ErrorKind::UnknownRepo { .. }));
    // It is over.
    let handle = test.repo().clone();
    test.stop().await.unwrap();
    let error = handle.count(Post::query()).await.unwrap_err();
    assert!(error.is_stopped() && error.to_string().contains("start it again"), "{error}");
    // One that commits runs under this id.
    let id = id(db, "commits");
    let plain = Shops::start_as(&id, db.options()).await.unwrap();
    let error = TestRepo::start_as::<Shops>(&id, db.options()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::RepoConflict { .. }), "{error:?}");
    assert!(error.to_string().contains("stop it first"), "{error}");
    post(&plain, "kept").await;
    assert_eq!(titles(&db.repo).await, ["kept"]);
    plain.stop(std::time::Duration::ZERO).await;
}

async fn sb6_sb7_sb8_other_tasks_use_it_by_handle_and_by_name(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let id = id(db, "shared");
    let test = TestRepo::start_as::<Shops>(&id, db.options()).await.unwrap();
    let handle = test.repo().clone();
    let by_handle = tokio::spawn(async move {
        post(&handle, "by handle").await;
    });
    by_handle.await.unwrap();
    let by_name = tokio::spawn({
        let id = id.clone();
        async move {
            post(&Shops::repo(&id).unwrap(), "by name").await;
        }
    });
    by_name.await.unwrap();
    assert_eq!(titles(&test).await, ["by handle", "by name"]);
    assert_eq!(titles(&db.repo).await, [] as [&str; 0]);
    drop(test);
    assert!(Shops::repo(&id).is_err());
}

async fn sb9_sb10_repos_that_are_started_at_run_time(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let id = id(db, "run time");
    let test = TestRepo::start_as::<Shops>(&id, db.options()).await.unwrap();
    // The program under test starts its repo as it always does.
    let repo = Shops::start_as(&id, db.options()).await.unwrap();
    repo.transaction(async |tx| {
        post(tx, "one").await;
        post(tx, "two").await;
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(titles(&test).await, ["one", "two"]);
    let error = Shops::start_as(&id, db.options().pool_size(7)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::RepoConflict { .. }), "{error:?}");
    Shops::stop(&id, std::time::Duration::ZERO).await.unwrap();
    assert!(test.count(Post::query()).await.unwrap_err().is_stopped());
    // Under the same id again, nothing is left of it.
    let test = TestRepo::start_as::<Shops>(&id, db.options()).await.unwrap();
    assert_eq!(titles(&test).await, [] as [&str; 0]);
}

async fn settings_of_a_test_repo_lead_to_it(db: &Db) {
    let test = test_repo(db).await;
    post(&test, "one").await;
    let second = emr::open(test.config().clone()).await.unwrap();
    post(&second, "two").await;
    second.stop(std::time::Duration::ZERO).await;
    assert_eq!(titles(&test).await, ["one", "two"]);
    let elsewhere = test.config().clone().database("elsewhere");
    let error = emr::open(elsewhere).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error:?}");
}
