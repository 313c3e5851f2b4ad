//! Calls that are dropped or run into their deadline.

use std::time::{Duration, Instant};

use crate::common::{ENDLESS, begin, file, memory, number, open, run};
use emr_core::{Connection, Control, Discard, RepoOptions, Role, Sql};
use tokio::time::timeout;

const SOON: Duration = Duration::from_millis(50);
const SECOND: Duration = Duration::from_secs(1);

/// Runs a statement that does not end, and drops it after a while.
async fn abandon(db: &mut dyn Connection, controls: &[Control], sql: &str) {
    let sql = Sql::raw(sql);
    let call = db.query(controls, &sql, &[], Box::new(Discard));
    assert!(timeout(SOON, call).await.is_err(), "it must not end by itself");
}

#[tokio::test]
async fn an_abandoned_read_is_interrupted_and_the_database_in_memory_lives_on() {
    let mut db = memory().await;
    db.script("create table t (a); insert into t values (7)").await.expect("table");
    abandon(db.as_mut(), &[], ENDLESS).await;
    assert!(!db.is_clean() && !db.is_closed());
    let began = Instant::now();
    db.recover().await.expect("recover");
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert!(db.is_clean());
    assert_eq!(number(db.as_mut(), "select a from t").await, 7);
}

#[tokio::test]
async fn the_locks_of_an_abandoned_write_are_free_within_a_second_of_the_recovery() {
    let (_directory, options) = file();
    let mut db = open(&options, Role::Write).await;
    db.script("create table t (a)").await.expect("table");
    run(db.as_mut(), &[begin()], "insert into t values (1)", &[]).await.expect("insert");
    abandon(db.as_mut(), &[], &format!("insert into t {ENDLESS}")).await;
    let began = Instant::now();
    db.recover().await.expect("recover");
    assert!(db.is_clean());
    let mut other = open(&options, Role::Write).await;
    run(other.as_mut(), &[begin()], "insert into t values (2)", &[]).await.expect("the lock is free");
    other.control(&[Control::Commit]).await.expect("commit");
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert_eq!(number(db.as_mut(), "select sum(a) from t").await, 2);
}

#[tokio::test]
async fn the_lock_of_a_single_write_is_free_without_a_recovery() {
    let (_directory, options) = file();
    let mut db = open(&options, Role::Write).await;
    db.script("create table t (a)").await.expect("table");
    abandon(db.as_mut(), &[], &format!("insert into t {ENDLESS}")).await;
    let mut other = open(&options, Role::Write).await;
    let insert = run(other.as_mut(), &[], "insert into t values (2)", &[]);
    timeout(SECOND, insert).await.expect("the lock is free").expect("insert");
    assert_eq!(number(other.as_mut(), "select count(*) from t").await, 1);
}

#[tokio::test]
async fn a_dropped_connection_ends_what_it_runs() {
    let (_directory, options) = file();
    let mut db = open(&options, Role::Write).await;
    db.script("create table t (a)").await.expect("table");
    run(db.as_mut(), &[begin()], "insert into t values (1)", &[]).await.expect("insert");
    abandon(db.as_mut(), &[], ENDLESS).await;
    drop(db);
    let mut other = open(&options, Role::Write).await;
    let insert = run(other.as_mut(), &[], "insert into t values (2)", &[]);
    timeout(SECOND, insert).await.expect("the lock is free").expect("insert");
    assert_eq!(number(other.as_mut(), "select count(*) from t").await, 1);
}

#[tokio::test]
async fn a_call_dropped_at_any_moment_is_recovered() {
    let mut db = memory().await;
    db.script("create table t (a)").await.expect("table");
    for micros in (0..400).step_by(4) {
        let began = Instant::now();
        let sql = Sql::raw(ENDLESS);
        let controls = [begin()];
        let call = db.query(&controls, &sql, &[], Box::new(Discard));
        // Spins, because timers are too coarse to meet the start of a statement.
        let mut call = Box::pin(call);
        std::future::poll_fn(|context| {
            assert!(call.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        while began.elapsed() < Duration::from_micros(micros) {
            std::hint::spin_loop();
        }
        drop(call);
        timeout(SECOND, db.recover()).await.expect("in time").expect("recover");
        assert!(db.is_clean());
        assert_eq!(number(db.as_mut(), "select count(*) from t").await, 0);
    }
}

#[tokio::test]
async fn a_recovery_may_itself_be_dropped() {
    let mut db = memory().await;
    db.script("create table t (a)").await.expect("table");
    abandon(db.as_mut(), &[begin()], ENDLESS).await;
    drop(db.recover());
    {
        let mut recovery = db.recover();
        std::future::poll_fn(|context| {
            let _ = recovery.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
    }
    db.recover().await.expect("recover");
    assert!(db.is_clean());
    assert_eq!(number(db.as_mut(), "select count(*) from t").await, 0);
}

#[tokio::test]
async fn an_abandoned_connection_says_that_it_needs_a_recovery() {
    let mut db = memory().await;
    abandon(db.as_mut(), &[], ENDLESS).await;
    let message = crate::common::error(db.as_mut(), "select 1", &[]).await.to_string();
    assert!(message.contains("recover"), "{message}");
    db.recover().await.expect("recover");
    assert_eq!(number(db.as_mut(), "select 1").await, 1);
}

#[tokio::test]
async fn a_busy_file_is_waited_for_and_no_longer_than_the_deadline() {
    let (_directory, options) = file();
    let mut holder = open(&options, Role::Write).await;
    holder.script("create table t (a)").await.expect("table");
    run(holder.as_mut(), &[begin()], "insert into t values (1)", &[]).await.expect("insert");

    let mut waiter = open(&options, Role::Write).await;
    let began = Instant::now();
    abandon(waiter.as_mut(), &[begin()], "insert into t values (2)").await;
    waiter.recover().await.expect("recover");
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());

    let waiting = tokio::spawn(async move {
        run(waiter.as_mut(), &[], "insert into t values (3)", &[]).await.expect("gets the lock at last");
        waiter
    });
    tokio::time::sleep(SOON).await;
    assert!(!waiting.is_finished(), "the lock is held");
    holder.control(&[Control::Commit]).await.expect("commit");
    let mut waiter = timeout(SECOND, waiting).await.expect("in time").expect("no panic");
    assert_eq!(number(waiter.as_mut(), "select sum(a) from t").await, 4);
}

#[tokio::test]
async fn a_connect_that_is_dropped_leaves_no_connection_behind() {
    let (_directory, options) = file();
    // A file in rollback mode that somebody is writing cannot be turned to WAL: the connect waits.
    let plain = options.clone().extra("journal_mode", "delete");
    let mut holder = open(&plain, Role::Write).await;
    holder.script("create table t (a)").await.expect("table");
    run(holder.as_mut(), &[begin()], "insert into t values (1)", &[]).await.expect("insert");
    let connector = crate::common::connector(&options);
    assert!(timeout(SOON, connector.connect(Role::Write)).await.is_err());
    drop(holder);
    let dropped =
        timeout(SECOND, crate::common::adapter().drop_database(&options)).await.expect("no connection is left");
    assert_eq!(dropped.ok(), Some(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_connections_may_make_one_file_at_the_same_time() {
    for _ in 0..20 {
        let (_directory, options) = file();
        let tasks: Vec<_> = (0..4)
            .map(|n| {
                let options: RepoOptions = options.clone();
                let role = if n == 0 { Role::Write } else { Role::Read };
                tokio::spawn(async move { open(&options, role).await })
            })
            .collect();
        for task in tasks {
            let mut db = task.await.expect("connect");
            assert_eq!(
                crate::common::rows(db.as_mut(), "pragma journal_mode").await,
                [["wal".to_owned()].map(|mode| { emr_core::Value::Text(mode.into()) })]
            );
        }
    }
}
