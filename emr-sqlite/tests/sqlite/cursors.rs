//! Cursors: rows in portions.

use std::time::{Duration, Instant};

use crate::common::{Keep, begin, file, kept, memory, number, open, run};
use emr_core::{Connection, Control, CursorId, Role, Sql, Value};

async fn open_numbers(db: &mut dyn Connection, upto: i64) -> CursorId {
    let sql = Sql::raw("with recursive c(n) as (select 1 union all select n + 1 from c where n < ?1) select n from c");
    db.open_cursor(&[], &sql, &[Value::I64(upto)]).await.expect("cursor")
}

/// The next rows, and whether they were the last.
async fn next(db: &mut dyn Connection, cursor: CursorId, count: usize) -> (Vec<i64>, bool) {
    let (sink, done) = db.fetch(cursor, count, Box::new(Keep::default())).await.expect("fetch");
    let keep = kept(sink);
    assert_eq!(keep.columns.map(|columns| columns.len()), Some(1));
    assert_eq!(done.rows, keep.rows.len() as u64);
    let numbers = keep.rows.iter().map(|row| match row[0] {
        Value::I64(number) => number,
        ref other => panic!("{other:?}"),
    });
    (numbers.collect(), done.end)
}

#[tokio::test]
async fn cursors_and_statements_interleave() {
    let mut db = memory().await;
    let one = open_numbers(db.as_mut(), 5).await;
    let two = open_numbers(db.as_mut(), 3).await;
    assert_eq!(next(db.as_mut(), one, 2).await, (vec![1, 2], false));
    assert_eq!(next(db.as_mut(), two, 2).await, (vec![1, 2], false));
    assert_eq!(number(db.as_mut(), "select 42").await, 42);
    assert_eq!(next(db.as_mut(), one, 2).await, (vec![3, 4], false));
    assert_eq!(next(db.as_mut(), two, 2).await, (vec![3], true));
    assert_eq!(next(db.as_mut(), two, 2).await, (vec![], true), "an ended cursor does not start again");
    assert_eq!(next(db.as_mut(), one, 9).await, (vec![5], true));
    db.close_cursor(one).await.expect("close");
    assert!(!db.is_clean(), "the other is open");
    db.close_cursor(two).await.expect("close");
    assert!(db.is_clean());
}

#[tokio::test]
async fn a_cursor_closed_early_costs_nothing() {
    let mut db = memory().await;
    let cursor = open_numbers(db.as_mut(), i64::MAX).await;
    assert_eq!(next(db.as_mut(), cursor, 10).await.0.len(), 10);
    let began = Instant::now();
    db.close_cursor(cursor).await.expect("close");
    assert!(began.elapsed() < Duration::from_millis(100));
    assert!(db.is_clean());
    let error = db.fetch(cursor, 1, Box::new(Keep::default())).await.map(drop).expect_err("closed");
    assert!(error.to_string().contains("closed"));
    db.close_cursor(cursor).await.expect("closing twice is no error");
    assert!(db.is_clean());
}

#[tokio::test]
async fn a_recovery_closes_cursors_and_frees_their_snapshot() {
    let (_directory, options) = file();
    let mut db = open(&options, Role::Write).await;
    db.script("create table t (a); insert into t values (1), (2), (3)").await.expect("table");
    let cursor = db.open_cursor(&[begin()], &Sql::raw("select a from t"), &[]).await.expect("cursor");
    assert_eq!(next(db.as_mut(), cursor, 1).await, (vec![1], false));
    assert!(db.in_transaction());
    db.recover().await.expect("recover");
    assert!(db.is_clean());
    db.script("drop table t").await.expect("nothing reads it");
}

#[tokio::test]
async fn a_cursor_keeps_its_snapshot() {
    let (_directory, options) = file();
    let mut writer = open(&options, Role::Write).await;
    writer.script("create table t (a); insert into t values (1), (2), (3)").await.expect("table");
    let mut reader = open(&options, Role::Read).await;
    let cursor = reader.open_cursor(&[], &Sql::raw("select a from t"), &[]).await.expect("cursor");
    assert_eq!(next(reader.as_mut(), cursor, 1).await, (vec![1], false));
    run(writer.as_mut(), &[], "delete from t", &[]).await.expect("delete");
    assert_eq!(next(reader.as_mut(), cursor, 9).await, (vec![2, 3], true));
    assert_eq!(number(reader.as_mut(), "select count(*) from t").await, 0);
}

#[tokio::test]
async fn a_sink_that_refuses_ends_the_cursor() {
    let mut db = memory().await;
    let cursor = open_numbers(db.as_mut(), 9).await;
    let refusing = Box::new(Keep { refuse: Some(2), ..Keep::default() });
    let error = db.fetch(cursor, 5, refusing).await.map(drop).expect_err("refused");
    assert_eq!(error.to_string(), "the sink has had enough");
    assert_eq!(next(db.as_mut(), cursor, 5).await, (vec![], true));
}

#[tokio::test]
async fn an_abandoned_fetch_is_recovered() {
    let mut db = memory().await;
    let cursor = db.open_cursor(&[begin()], &Sql::raw(crate::common::ENDLESS), &[]).await.expect("cursor");
    let fetch = db.fetch(cursor, 1, Box::new(Keep::default()));
    assert!(tokio::time::timeout(Duration::from_millis(50), fetch).await.is_err());
    let began = Instant::now();
    db.recover().await.expect("recover");
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(db.is_clean());
    db.control(&[begin(), Control::Commit]).await.expect("as new");
}

#[tokio::test]
async fn a_cursor_over_nothing_ends_at_once() {
    let mut db = memory().await;
    let cursor = db.open_cursor(&[], &Sql::raw("select 1 where 0"), &[]).await.expect("cursor");
    assert_eq!(next(db.as_mut(), cursor, 5).await, (vec![], true));
    for sql in ["select 1; select 2", "", "select ?1"] {
        db.open_cursor(&[], &Sql::raw(sql), &[]).await.map(drop).expect_err(sql);
    }
}
