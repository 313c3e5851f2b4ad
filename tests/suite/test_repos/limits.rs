//! What a test repo refuses, and how it says so.

use std::time::{Duration, Instant};

use emr::prelude::*;
use emr::test::{TestOptions, TestRepo};
use emr::{IsolationLevel, TransactionFault};

use super::test_repo;
use crate::harness::{Backend, Db, assert_unsupported, not_here};
use crate::schemas::{Post, post, titles};

db_cases![
    sb16_the_outer_transaction_has_an_isolation_of_its_own,
    sb17_a_statement_that_takes_too_long_ends_the_test,
    a_transaction_of_another_task_is_waited_for,
    a_call_beside_ones_own_transaction_says_so,
    a_transaction_that_is_cancelled_ends_the_test,
    a_transaction_that_the_engine_ended_ends_the_test,
];

/// A statement that runs for ten seconds.
fn slow(db: &Db) -> &'static str {
    match db.backend {
        Backend::Sqlite => {
            "with recursive n(i) as (select 1 union all select i + 1 from n limit 1000000000) select count(*) from n"
        }
        Backend::Postgres => "select pg_sleep(10)",
        Backend::Mariadb | Backend::Mysql => "select sleep(10)",
    }
}

async fn sb16_the_outer_transaction_has_an_isolation_of_its_own(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    if db.backend == Backend::Sqlite {
        let weak = TestOptions::new().isolation(IsolationLevel::ReadCommitted);
        assert_unsupported(&weak.start(db.options()).await.unwrap_err());
        let test = TestOptions::new().isolation(IsolationLevel::Serializable).start(db.options()).await.unwrap();
        post(&test, "x").await;
        assert_eq!(titles(&test).await, ["x"]);
        return;
    }
    let test = TestOptions::new().isolation(IsolationLevel::RepeatableRead).start(db.options()).await.unwrap();
    assert_eq!(titles(&test).await, [] as [&str; 0]);
    let level = async |repo: &RepoHandle| {
        repo.query("show transaction_isolation", &[]).await.unwrap().scalar::<String>().unwrap()
    };
    assert_eq!(level(&test).await, "repeatable read");
    // A transaction that asks for another level has the outer one's.
    let tx = test.begin_with(TransactionOptions::new().isolation(IsolationLevel::Serializable)).await.unwrap();
    let inside = tx.query("show transaction_isolation", &[]).await.unwrap().scalar::<String>().unwrap();
    assert_eq!(inside, "repeatable read");
    tx.commit().await.unwrap();
    // What others commit meanwhile is not seen, and in a test repo that says nothing it is.
    post(&db.repo, "of others").await;
    post(&db.repo, "of others, too").await;
    assert_eq!(titles(&test).await, [] as [&str; 0]);
    let plain = TestRepo::start(db.options()).await.unwrap();
    assert_eq!(titles(&plain).await, ["of others", "of others, too"]);
}

/// The error of a test repo that is lost.
fn assert_lost(error: &Error) {
    let ErrorKind::ConnectionLost { reason } = error.kind() else { panic!("{error:?}") };
    assert!(reason.contains("start another test repo"), "{error}");
}

async fn sb17_a_statement_that_takes_too_long_ends_the_test(db: &Db) {
    let test = test_repo(db).await;
    post(&test, "one").await;
    post(&test, "two").await;
    assert_eq!(titles(&test).await, ["one", "two"]);
    let options = TransactionOptions::new().timeout(Duration::from_millis(100));
    let started = Instant::now();
    let tx = test.begin_with(options).await.unwrap();
    post(&tx, "three").await;
    let error = tx.query(slow(db), &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transaction(TransactionFault::TimedOut)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    // The statement is cancelled with the connection, and all that stood on it is undone.
    assert_lost(&test.all(Post::query()).await.unwrap_err());
    assert_lost(&test.begin().await.unwrap_err());
    test.stop().await.unwrap();
    assert_eq!(titles(&db.repo).await, [] as [&str; 0]);
    // Another test repo begins anew.
    let test = TestRepo::start(db.options()).await.unwrap();
    let error = test.with_timeout(Duration::from_millis(100)).query(slow(db), &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error:?}");
    assert_lost(&test.query("select 1", &[]).await.unwrap_err());
}

async fn a_transaction_of_another_task_is_waited_for(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let test = TestOptions::new().wait(Duration::from_millis(400)).start(db.options()).await.unwrap();
    let handle = test.repo().clone();
    let tx = test.begin().await.unwrap();
    post(&tx, "first").await;
    let waiting = tokio::spawn(async move { post(&handle, "second").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    post(&tx, "first again").await;
    tx.commit().await.unwrap();
    waiting.await.unwrap();
    assert_eq!(titles(&test).await, ["first", "first again", "second"]);
}

async fn a_call_beside_ones_own_transaction_says_so(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let wait = Duration::from_millis(200);
    let test = TestOptions::new().wait(wait).start(db.options()).await.unwrap();
    let tx = test.begin().await.unwrap();
    post(&tx, "mine").await;
    let started = Instant::now();
    let error = test.count(Post::query()).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Transaction(TransactionFault::OtherOpen { waited }) if *waited == wait),
        "{error:?}"
    );
    assert!(error.is_timeout() && error.to_string().contains("one connection"), "{error}");
    assert!(started.elapsed() >= wait && started.elapsed() < Duration::from_secs(2));
    let other = test.begin().await.unwrap();
    assert!(other.count(Post::query()).await.unwrap_err().is_timeout());
    assert!(other.commit().await.is_err());
    // None of it harmed the one that was open.
    post(&tx, "mine, too").await;
    tx.commit().await.unwrap();
    assert_eq!(titles(&test).await, ["mine", "mine, too"]);
}

async fn a_transaction_that_is_cancelled_ends_the_test(db: &Db) {
    let test = test_repo(db).await;
    post(&test, "one").await;
    let handle = test.repo().clone();
    let slow = slow(db);
    let task = tokio::spawn(async move { handle.query(slow, &[]).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_lost(&test.all(Post::query()).await.unwrap_err());
    drop(test);
    assert_eq!(titles(&db.repo).await, [] as [&str; 0]);
}

async fn a_transaction_that_the_engine_ended_ends_the_test(db: &Db) {
    if db.backend != Backend::Sqlite {
        not_here("no statement ends a transaction by itself");
        return;
    }
    let test = test_repo(db).await;
    let row = post(&test, "one").await;
    let sql = "insert or rollback into posts (id, title) values (?1, 'two')";
    assert!(test.query(sql, &[&row.id]).await.unwrap_err().is_unique_violation());
    // Nothing runs on its own after it.
    assert_lost(&test.insert(Post::build().set(Post::TITLE, "three")).await.unwrap_err());
    assert_eq!(titles(&db.repo).await, [] as [&str; 0]);
}
