//! Counts, columns, refusals, batches and scripts.

use crate::common::{Keep, error, kept, memory, number, rows, run};
use emr_core::{Discard, Done, ErrorKind, Row, RowSink, Sql, Step, Value};

#[tokio::test]
async fn counts_are_those_of_the_statement_itself() {
    let mut db = memory().await;
    let mut count = async |sql: &str| run(db.as_mut(), &[], sql, &[]).await.expect(sql).1;
    let rows = |rows| Done { rows, ..Done::default() };
    let inserted = |rows, id| Done { rows, last_insert_id: Some(id), end: false };
    assert_eq!(count("create table t (id integer primary key, v text)").await, rows(0));
    assert_eq!(count("insert into t (v) values ('a'), ('b'), ('c')").await, inserted(3, 3));
    assert_eq!(count("select * from t where id > 1").await, rows(2));
    assert_eq!(count("create table u (a)").await, rows(0));
    assert_eq!(count("/* all */ update t set v = 'd'").await, rows(3));
    assert_eq!(count("with k as (select 2 as id) delete from t where id in (select id from k)").await, rows(1));
    assert_eq!(count("select 1 where 0").await, rows(0));
    assert_eq!(count("insert into t (v) values ('e'), ('f') returning id").await, inserted(2, 5));
    assert_eq!(count("insert or ignore into t (id) values (5)").await, rows(0));
    assert_eq!(count("delete from t returning id").await, rows(4));
    assert_eq!(count("update t set v = 'g'").await, rows(0));
    assert_eq!(count("drop table u").await, rows(0));
    assert_eq!(count("pragma table_info(t)").await, rows(2));
    assert!(count("explain delete from t").await.rows > 2);
}

#[tokio::test]
async fn columns_are_described_once_also_without_rows() {
    let mut db = memory().await;
    db.script("create table t (id integer, v varchar(5))").await.expect("table");
    let (keep, _) = run(db.as_mut(), &[], "select v as w, id + 1, id from t", &[]).await.expect("select");
    let columns = keep.columns.expect("described");
    let shown: Vec<_> = columns.iter().map(|column| (column.name.as_str(), column.type_name.as_str())).collect();
    assert_eq!(shown, [("w", "varchar(5)"), ("id + 1", ""), ("id", "INTEGER")]);
    let (keep, _) = run(db.as_mut(), &[], "insert into t values (1, 'a')", &[]).await.expect("insert");
    assert_eq!(keep.columns, Some(vec![]));
}

#[tokio::test]
async fn a_kept_statement_follows_a_changed_table() {
    let mut db = memory().await;
    db.script("create table t (a); insert into t values (1)").await.expect("table");
    assert_eq!(rows(db.as_mut(), "select * from t").await, [[Value::I64(1)]]);
    db.script("alter table t add column b default 2").await.expect("alter");
    let (keep, _) = run(db.as_mut(), &[], "select * from t", &[]).await.expect("select");
    assert_eq!(keep.rows, [[Value::I64(1), Value::I64(2)]]);
    assert_eq!(keep.columns.expect("described").len(), 2);
}

#[tokio::test]
async fn more_or_less_than_one_statement_is_refused() {
    let mut db = memory().await;
    for sql in ["select 1; select 2", "create table t (a); insert into t values (1)"] {
        let message = error(db.as_mut(), sql, &[]).await.to_string();
        assert!(message.contains("more than one statement"), "{sql}: {message}");
    }
    assert_eq!(number(db.as_mut(), "select count(*) from sqlite_schema").await, 0);
    for sql in ["", "  ", ";", "-- nothing", "/* nothing */ ;"] {
        let message = error(db.as_mut(), sql, &[]).await.to_string();
        assert!(message.contains("the SQL is empty"), "{sql:?}: {message}");
    }
    assert_eq!(number(db.as_mut(), "select 1; -- and nothing else").await, 1);
    match error(db.as_mut(), "selekt 1; select 2", &[]).await.kind() {
        ErrorKind::Database { code, message } => {
            assert_eq!(code, "SQLITE_ERROR");
            assert!(message.contains("selekt"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_statement_that_comes_once_runs_like_any_other() {
    let mut db = memory().await;
    let (sink, done) =
        db.query(&[], &Sql::once("select ?1"), &[Value::Bool(true)], Box::new(Keep::default())).await.expect("select");
    assert_eq!((kept(sink).rows, done.rows), (vec![vec![Value::I64(1)]], 1));
}

#[tokio::test]
async fn a_sink_that_refuses_ends_the_statement_and_not_the_transaction() {
    let mut db = memory().await;
    db.script("create table t (a); insert into t values (1), (2), (3)").await.expect("table");
    let refusing = || Box::new(Keep { refuse: Some(1), ..Keep::default() });
    let select = Sql::raw("select a from t");
    let error = db.query(&[], &select, &[], refusing()).await.map(|(_, done)| done).expect_err("refused");
    assert_eq!(error.to_string(), "the sink has had enough");
    assert!(db.is_clean());
    run(db.as_mut(), &[crate::common::begin()], "insert into t values (4)", &[]).await.expect("insert");
    db.query(&[], &select, &[], refusing()).await.map(|(_, done)| done).expect_err("refused");
    assert!(db.in_transaction());
    assert_eq!(number(db.as_mut(), "select count(*) from t").await, 4);
    // Nothing holds the table: it can be dropped.
    db.script("drop table t").await.expect("drop");
}

struct Panics;

impl RowSink for Panics {
    fn row(&mut self, _row: &dyn Row) -> Result<(), emr_core::Error> {
        panic!("a sink that panics");
    }
}

#[tokio::test]
async fn a_panic_of_a_sink_reaches_the_caller_and_spares_the_database() {
    let mut db = memory().await;
    db.script("create table t (a); insert into t values (1)").await.expect("table");
    let sql = Sql::raw("select a from t");
    let panicked = panic_of(db.query(&[], &sql, &[], Box::new(Panics))).await;
    assert_eq!(panicked.as_deref(), Some("a sink that panics"));
    assert!(db.is_clean());
    assert_eq!(number(db.as_mut(), "select a from t").await, 1);
}

/// Polls a future and gives the text of its panic.
async fn panic_of<T>(future: impl Future<Output = T>) -> Option<String> {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |context| {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
            Ok(std::task::Poll::Ready(_)) => std::task::Poll::Ready(None),
            Err(panic) => std::task::Poll::Ready(panic.downcast::<&str>().ok().map(|text| (*text).to_owned())),
        }
    })
    .await
}

fn step<'a>(sql: &str, params: Vec<Value<'a>>) -> Step<'a> {
    Step { sql: Sql::raw(sql), params, sink: Box::new(Keep::default()) }
}

#[tokio::test]
async fn a_batch_ends_with_its_first_error() {
    let mut db = memory().await;
    db.script("create table t (a)").await.expect("table");
    let text = String::from("x");
    let steps = vec![
        step("insert into t values (?1)", vec![Value::Text(text.as_str().into())]),
        step("select a from t", vec![]),
        step("select nothing", vec![]),
        step("delete from t", vec![]),
    ];
    let results = db.batch(&[], steps).await.expect("controls");
    let rows: Vec<_> = results.into_iter().map(|result| result.ok().map(|(sink, _)| kept(sink).rows)).collect();
    assert_eq!(rows, [Some(vec![]), Some(vec![vec![Value::Text("x".into())]]), None]);
    assert_eq!(number(db.as_mut(), "select count(*) from t").await, 1);
}

#[tokio::test]
async fn a_script_runs_up_to_its_first_error() {
    let mut db = memory().await;
    let error = db.script("create table t (a); insert into t values (1); insert into u values (1); drop table t").await;
    assert!(error.expect_err("no table u").to_string().contains("no such table: u"));
    assert_eq!(number(db.as_mut(), "select count(*) from t").await, 1);
    db.script("").await.expect("nothing");
}

#[tokio::test]
async fn like_minds_case_and_foreign_keys_hold() {
    let mut db = memory().await;
    assert_eq!(number(db.as_mut(), "select 'Abc' like 'a%'").await, 0);
    assert_eq!(number(db.as_mut(), "pragma foreign_keys").await, 1);
}

#[tokio::test]
async fn text_that_is_not_utf8_stops_no_other_cell() {
    let mut db = memory().await;
    let (sink, _) = db
        .query(
            &[],
            &Sql::raw("select cast(x'ff' as text), 1"),
            &[],
            Box::new(crate::common::Read(|row| row.i64(1), vec![])),
        )
        .await
        .expect("select");
    drop(sink);
    db.query(&[], &Sql::raw("select cast(x'ff' as text)"), &[], Box::new(Discard)).await.map(drop).expect("unread");
}
