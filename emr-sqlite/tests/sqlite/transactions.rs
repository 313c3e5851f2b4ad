//! Transactions, savepoints, and what holds when they fail.

use crate::common::{begin, begin_read_only, error, file, memory, number, open, run};
use emr_core::{Begin, Control, ErrorKind, IsolationLevel, Role};

#[tokio::test]
async fn begin_travels_with_the_first_statement() {
    let mut db = memory().await;
    db.script("create table t (a)").await.expect("table");
    run(db.as_mut(), &[begin()], "insert into t values (1)", &[]).await.expect("insert");
    assert!(db.in_transaction() && !db.is_clean());
    db.control(&[Control::Rollback]).await.expect("rollback");
    assert!(db.is_clean());
    run(db.as_mut(), &[begin()], "insert into t values (2)", &[]).await.expect("insert");
    db.control(&[Control::Commit]).await.expect("commit");
    assert_eq!(number(db.as_mut(), "select sum(a) from t").await, 2);
}

#[tokio::test]
async fn a_control_that_fails_keeps_the_statement_from_running() {
    let mut db = memory().await;
    db.script("create table t (a)").await.expect("table");
    run(db.as_mut(), &[Control::Commit], "insert into t values (1)", &[]).await.map(drop).expect_err("no transaction");
    let weak = Begin { isolation: Some(IsolationLevel::ReadCommitted), ..Begin::default() };
    let error = run(db.as_mut(), &[Control::Begin(weak)], "insert into t values (1)", &[]).await.map(drop);
    assert!(error.expect_err("weak isolation").is_unsupported());
    assert!(db.is_clean());
    assert_eq!(number(db.as_mut(), "select count(*) from t").await, 0);
    let strong = Begin { isolation: Some(IsolationLevel::Serializable), ..Begin::default() };
    db.control(&[Control::Begin(strong), Control::Commit]).await.expect("serializable is what it is");
}

#[tokio::test]
async fn savepoints_undo_their_own_part() {
    let mut db = memory().await;
    db.script("create table t (a)").await.expect("table");
    run(db.as_mut(), &[begin()], "insert into t values (1)", &[]).await.expect("insert");
    run(db.as_mut(), &[Control::Savepoint(1)], "insert into t values (10)", &[]).await.expect("insert");
    run(db.as_mut(), &[Control::Savepoint(2)], "insert into t values (100)", &[]).await.expect("insert");
    db.control(&[Control::RollbackTo(2)]).await.expect("undo the inner");
    run(db.as_mut(), &[Control::Savepoint(2)], "insert into t values (1000)", &[]).await.expect("insert");
    db.control(&[Control::Release(2), Control::Release(1), Control::Commit]).await.expect("keep the rest");
    assert_eq!(number(db.as_mut(), "select sum(a) from t").await, 1011);
    assert!(db.is_clean());
}

#[tokio::test]
async fn a_read_only_transaction_refuses_writes_and_ends_with_itself() {
    let mut db = memory().await;
    db.script("create table t (a)").await.expect("table");
    for end in [Control::Commit, Control::Rollback] {
        run(db.as_mut(), &[begin_read_only()], "select * from t", &[]).await.expect("read");
        match error(db.as_mut(), "insert into t values (1)", &[]).await.kind() {
            ErrorKind::Database { code, .. } => assert_eq!(code, "SQLITE_READONLY"),
            other => panic!("{other:?}"),
        }
        db.control(&[end]).await.expect("end");
        run(db.as_mut(), &[], "insert into t values (1)", &[]).await.expect("writes again");
    }
    db.control(&[begin_read_only()]).await.expect("begin");
    db.recover().await.expect("recover");
    run(db.as_mut(), &[], "insert into t values (1)", &[]).await.expect("writes after a recovery");
    assert_eq!(number(db.as_mut(), "select count(*) from t").await, 3);
}

#[tokio::test]
async fn a_reader_never_writes() {
    let (_directory, options) = file();
    open(&options, Role::Write).await.script("create table t (a)").await.expect("table");
    let mut reader = open(&options, Role::Read).await;
    for controls in [vec![], vec![begin()], vec![begin_read_only()]] {
        let result = run(reader.as_mut(), &controls, "insert into t values (1)", &[]).await.map(drop);
        assert!(result.expect_err("refused").to_string().contains("readonly"));
        reader.recover().await.expect("recover");
    }
    assert_eq!(number(reader.as_mut(), "select count(*) from t").await, 0);
}

#[tokio::test]
async fn a_commit_that_fails_leaves_the_transaction_open() {
    let mut db = memory().await;
    db.script(
        "create table p (id integer primary key);
         create table c (p_id integer references p deferrable initially deferred)",
    )
    .await
    .expect("tables");
    run(db.as_mut(), &[begin()], "insert into c values (1)", &[]).await.expect("deferred");
    assert!(db.control(&[Control::Commit]).await.expect_err("no parent").is_foreign_key_violation());
    assert!(db.in_transaction());
    run(db.as_mut(), &[], "insert into p values (1)", &[]).await.expect("the parent");
    db.control(&[Control::Commit]).await.expect("now it holds");
    assert!(db.is_clean());
}

#[tokio::test]
async fn transactions_in_raw_sql_are_seen() {
    let mut db = memory().await;
    db.script("begin; create table t (a)").await.expect("script");
    assert!(db.in_transaction());
    db.recover().await.expect("recover");
    assert!(db.is_clean());
    assert_eq!(number(db.as_mut(), "select count(*) from sqlite_schema").await, 0);
}

#[tokio::test]
async fn a_reader_sees_no_half_of_a_transaction() {
    let (_directory, options) = file();
    let mut writer = open(&options, Role::Write).await;
    writer.script("create table t (a)").await.expect("table");
    let mut reader = open(&options, Role::Read).await;
    run(writer.as_mut(), &[begin()], "insert into t values (1)", &[]).await.expect("insert");
    assert_eq!(number(reader.as_mut(), "select count(*) from t").await, 0);
    writer.control(&[Control::Commit]).await.expect("commit");
    assert_eq!(number(reader.as_mut(), "select count(*) from t").await, 1);
}

#[tokio::test]
async fn an_old_snapshot_cannot_be_written_on() {
    let (_directory, options) = file();
    let mut one = open(&options, Role::Write).await;
    one.script("create table t (a); insert into t values (1)").await.expect("table");
    let mut two = open(&options, Role::Write).await;
    two.script("begin").await.expect("deferred");
    number(two.as_mut(), "select count(*) from t").await;
    run(one.as_mut(), &[], "insert into t values (2)", &[]).await.expect("insert");
    let error = error(two.as_mut(), "insert into t values (3)", &[]).await;
    assert!(error.is_retryable(), "{error}");
}
