//! What happens in a test repo stays in it, and ends with it.

use std::time::{Duration, Instant};

use emr::prelude::*;
use emr::test::{TestOptions, TestRepo};
use emr::{StopReason, TransactionFault};

use super::test_repo;
use crate::harness::{Backend, Db};
use crate::schemas::{Permalink, Post, post, titles};

db_cases![
    sb5_sb11_what_a_test_does_is_gone_when_it_ends,
    sb12_a_plain_repo_commits,
    sb14_an_idle_test_repo_ends_by_itself,
    sb20_sb21_a_test_repo_lives_as_long_as_its_owner,
    a_dropped_test_repo_frees_its_locks,
    a_test_repo_may_outlive_its_runtime,
    two_test_repos_do_not_see_each_other,
    test_repos_in_memory_are_each_their_own_database,
    advisory_locks_are_the_test_repos_own,
];

/// Runs a statement as soon as the server has noticed the end, and nobody holds a lock on its table.
async fn soon(db: &Db, sql: &str) {
    let started = Instant::now();
    while let Err(error) = db.repo.with_timeout(Duration::from_millis(200)).query(sql, &[]).await {
        assert!(started.elapsed() < Duration::from_secs(3), "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn sb5_sb11_what_a_test_does_is_gone_when_it_ends(db: &Db) {
    let test = test_repo(db).await;
    post(&test, "one").await;
    test.transaction(async |tx| {
        post(tx, "two").await;
        Ok(())
    })
    .await
    .unwrap();
    test.create_table::<Permalink>().await.unwrap();
    assert_eq!(titles(&test).await, ["one", "two"]);
    assert_eq!(titles(&db.repo).await, [] as [&str; 0]);
    let handle = test.repo().clone();
    test.stop().await.unwrap();
    assert!(titles_fail(&handle).await.is_stopped());
    // Its locks are free as well.
    assert_eq!(db.repo.update_all(Post::query().set(Post::BODY, "x")).await.unwrap(), 0);
    assert_eq!(titles(&db.repo).await, [] as [&str; 0]);
    db.repo.create_table::<Permalink>().await.unwrap();
    post(&db.repo, "three").await;
    assert_eq!(titles(&db.repo).await, ["three"]);
}

async fn titles_fail(repo: &impl Repo) -> Error {
    repo.all(Post::query()).await.unwrap_err()
}

async fn sb12_a_plain_repo_commits(db: &Db) {
    let test = test_repo(db).await;
    test.stop().await.unwrap();
    let plain = emr::open(db.options()).await.unwrap();
    for title in ["one", "two"] {
        plain
            .transaction(async |tx| {
                post(tx, title).await;
                Ok(())
            })
            .await
            .unwrap();
    }
    plain.stop(Duration::ZERO).await;
    assert_eq!(titles(&db.repo).await, ["one", "two"]);
}

async fn sb14_an_idle_test_repo_ends_by_itself(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let options = db.options().idle_timeout(Duration::from_millis(200));
    let test = TestRepo::start(options).await.unwrap();
    post(&test, "one").await;
    post(&test, "two").await;
    assert_eq!(titles(&test).await, ["one", "two"]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let error = titles_fail(&test).await;
    assert!(matches!(error.kind(), ErrorKind::Stopped { reason: StopReason::Idle, .. }), "{error:?}");
    // It holds no lock any more, though it is still there.
    soon(db, "drop table posts").await;
    assert!(titles_fail(&db.repo).await.to_string().contains("posts"));
}

async fn sb20_sb21_a_test_repo_lives_as_long_as_its_owner(db: &Db) {
    let test = test_repo(db).await;
    let handle = test.repo().clone();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let owner = tokio::spawn(async move {
        let _ = ended.await;
        test.stop().await
    });
    let worker = tokio::spawn({
        let handle = handle.clone();
        async move {
            post(&handle, "of another task").await;
            post(&handle, "and again").await;
        }
    });
    worker.await.unwrap();
    assert_eq!(titles(&handle).await, ["of another task", "and again"]);
    end.send(()).unwrap();
    owner.await.unwrap().unwrap();
    assert!(titles_fail(&handle).await.is_stopped());
    assert_eq!(titles(&db.repo).await, [] as [&str; 0]);
}

async fn a_dropped_test_repo_frees_its_locks(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let row = post(&db.repo, "kept").await;
    let test = TestRepo::start(db.options()).await.unwrap();
    let tx = test.begin().await.unwrap();
    tx.update(row.clone().change().set(Post::TITLE, "changed")).await.unwrap();
    assert_eq!(titles(&tx).await, ["changed"]);
    drop(test);
    drop(tx);
    soon(db, "update posts set body = 'free'").await;
    let row = db.repo.fetch::<Post>(row.id).await.unwrap();
    assert_eq!((row.title.as_str(), row.body.as_deref()), ("kept", Some("free")));
}

async fn a_test_repo_may_outlive_its_runtime(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let options = db.options();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (test, tx) = runtime.block_on(async {
            let test = TestRepo::start(options).await.unwrap();
            post(&test, "one").await;
            let tx = test.begin().await.unwrap();
            post(&tx, "two").await;
            (test, tx)
        });
        drop(runtime);
        drop(test);
        drop(tx);
    })
    .join()
    .unwrap();
    soon(db, "update posts set body = 'x'").await;
    assert_eq!(titles(&db.repo).await, [] as [&str; 0]);
}

async fn two_test_repos_do_not_see_each_other(db: &Db) {
    let one = test_repo(db).await;
    post(&one, "of one").await;
    if db.backend == Backend::Sqlite {
        // The file has one writer: the second one waits, and says why when it has waited for too long.
        let started = Instant::now();
        let error = TestRepo::start(db.options().timeout(Duration::from_millis(300))).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::LockNotAvailable { .. }), "{error:?}");
        assert!(error.to_string().contains("database of its own") && started.elapsed() < Duration::from_secs(2));
        let (two, stopped) = tokio::join!(TestRepo::start(db.options()), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            one.stop().await
        });
        stopped.unwrap();
        assert_eq!(titles(&two.unwrap()).await, [] as [&str; 0]);
        return;
    }
    let two = TestRepo::start(db.options()).await.unwrap();
    let (first, second) = tokio::join!(
        async {
            post(&one, "of one, too").await;
            one.transaction(async |tx| tx.delete_all(Post::query().filter(Post::TITLE.eq("of one"))).await).await
        },
        async {
            post(&two, "of two").await;
            two.transaction(async |tx| tx.delete_all(Post::query().filter(Post::TITLE.eq("of one"))).await).await
        }
    );
    assert_eq!((first.unwrap(), second.unwrap()), (1, 0));
    assert_eq!(titles(&one).await, ["of one, too"]);
    assert_eq!(titles(&two).await, ["of two"]);
    assert_eq!(titles(&db.repo).await, [] as [&str; 0]);
}

async fn test_repos_in_memory_are_each_their_own_database(db: &Db) {
    if db.backend != Backend::Sqlite {
        return;
    }
    let options = || db.options().database(":memory:");
    let (one, two) = (TestRepo::start(options()).await.unwrap(), TestRepo::start(options()).await.unwrap());
    one.create_table::<Post>().await.unwrap();
    post(&one, "x").await;
    assert_eq!(titles(&one).await, ["x"]);
    two.create_table::<Post>().await.unwrap();
    assert_eq!(titles(&two).await, [] as [&str; 0]);
}

async fn advisory_locks_are_the_test_repos_own(db: &Db) {
    let test = test_repo(db).await;
    let work = async |repo: &RepoHandle| {
        repo.transaction(async |tx| {
            tx.advisory_lock("numbers").await?;
            assert!(tx.try_advisory_lock("numbers").await?);
            post(tx, "numbered").await;
            Ok(())
        })
        .await
    };
    work(&test).await.unwrap();
    // Its transaction is over, and the lock is free within the test repo.
    work(&test).await.unwrap();
    assert_eq!(titles(&test).await, ["numbered", "numbered"]);
    if db.backend == Backend::Postgres {
        // The first test repo is still there, and the second one need not wait for its end.
        let other = TestOptions::new().start(db.options().timeout(Duration::from_secs(2))).await.unwrap();
        work(&other).await.unwrap();
        assert_eq!(titles(&other).await, ["numbered"]);
    }
    let error = test.query("commit", &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transaction(TransactionFault::RawControl)), "{error:?}");
}
