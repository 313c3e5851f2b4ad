//! Many rows in one call.

use std::borrow::Cow;
use std::sync::Arc;

use crate::common::{Keep, begin, file, kept, memory, number, open, run};
use emr_core::{
    BulkInsert, ColumnDef, Connection, Control, ErrorKind, Generated, Role, RowSource, Schema, SqlType, Value,
};

const fn column(name: &'static str, ty: SqlType, generated: Generated) -> ColumnDef {
    ColumnDef {
        name,
        field: name,
        ty,
        nullable: false,
        generated,
        read_only: false,
        redact: false,
        unique: false,
        default: None,
        sql_type: None,
        stamp: None,
        fit: Ok,
    }
}

static THINGS: Schema = Schema {
    name: "Thing",
    table: "things",
    prefix: None,
    columns: &[
        column("id", SqlType::I64, Generated::Identity),
        column("code", SqlType::Text, Generated::No),
        column("weight", SqlType::F64, Generated::No),
    ],
    primary_key: &[0],
    associations: &[],
    extra_columns: &[],
};

const TABLE: &str =
    "create table things (id integer primary key autoincrement, code text unique default 'none', weight real)";

/// Codes `c0`, `c1`, …; one of them may be taken, one weight may be no number.
struct Source {
    taken: Option<usize>,
    nan: Option<usize>,
}

impl RowSource for Source {
    fn cell(&self, row: usize, column: usize) -> Value<'_> {
        match column {
            1 if self.taken == Some(row) => Value::Text("taken".into()),
            1 => Value::Text(format!("c{row}").into()),
            2 if self.nan == Some(row) => Value::F64(f64::NAN),
            2 => Value::F64(0.5),
            _ => panic!("column {column} is not set"),
        }
    }
}

fn rows(count: usize, source: Source) -> BulkInsert {
    BulkInsert {
        schema: &THINGS,
        prefix: None,
        columns: Cow::Borrowed(&[1, 2]),
        rows: 0..count,
        source: Arc::new(source),
        returning: true,
        conflict: None,
    }
}

const PLAIN: Source = Source { taken: None, nan: None };

#[tokio::test]
async fn rows_are_stored_and_come_back_in_order() {
    let mut db = memory().await;
    db.script(TABLE).await.expect("table");
    let insert = rows(1_000, PLAIN);
    let (sink, done) =
        db.insert_many(&[], &insert.slice(10..1_000), Some(Box::new(Keep::default()))).await.expect("insert");
    let keep = kept(sink.expect("the sink"));
    assert_eq!((done.rows, done.last_insert_id, keep.rows.len()), (990, Some(990), 990));
    assert_eq!(keep.columns.map(|columns| columns.len()), Some(3));
    assert_eq!(keep.rows[0], [Value::I64(1), Value::Text("c10".into()), Value::F64(0.5)]);
    assert_eq!(keep.rows[989], [Value::I64(990), Value::Text("c999".into()), Value::F64(0.5)]);
    assert!(db.is_clean());
    assert_eq!(number(db.as_mut(), "select count(*) from things").await, 990);
}

#[tokio::test]
async fn rows_without_columns_take_their_defaults() {
    let mut db = memory().await;
    db.script("create table things (id integer primary key, code text default 'none', weight real default 1)")
        .await
        .expect("table");
    let insert = BulkInsert { columns: Cow::Borrowed(&[]), returning: false, ..rows(3, PLAIN) };
    let (_, done) = db.insert_many(&[], &insert, None).await.expect("insert");
    assert_eq!(done.rows, 3);
    assert_eq!(number(db.as_mut(), "select count(*) from things where code = 'none' and weight = 1").await, 3);
    let (_, done) = db.insert_many(&[], &rows(0, PLAIN), None).await.expect("no rows are no error");
    assert_eq!(done.rows, 0);
}

async fn codes(db: &mut dyn Connection) -> i64 {
    number(db, "select count(*) from things").await
}

#[tokio::test]
async fn one_row_that_fails_leaves_none() {
    let (_directory, options) = file();
    let mut db = open(&options, Role::Write).await;
    db.script(TABLE).await.expect("table");
    run(db.as_mut(), &[], "insert into things (code) values ('taken')", &[]).await.expect("insert");
    let error = db.insert_many(&[], &rows(1_000, Source { taken: Some(500), nan: None }), None).await.map(drop);
    assert!(error.expect_err("taken").is_unique_violation());
    assert!(db.is_clean());
    assert_eq!(codes(db.as_mut()).await, 1);

    let error = db.insert_many(&[], &rows(1_000, Source { taken: None, nan: Some(500) }), None).await.map(drop);
    match error.expect_err("NaN").kind() {
        ErrorKind::Encode { table, column, .. } => assert_eq!((table.as_str(), column.as_str()), ("things", "weight")),
        other => panic!("{other:?}"),
    }
    assert!(db.is_clean());
    assert_eq!(codes(db.as_mut()).await, 1);

    let refusing: Keep = Keep { refuse: Some(500), ..Keep::default() };
    db.insert_many(&[], &rows(1_000, PLAIN), Some(Box::new(refusing))).await.map(drop).expect_err("the sink");
    assert_eq!(codes(db.as_mut()).await, 1);
}

#[tokio::test]
async fn in_a_transaction_only_the_failed_rows_are_undone() {
    let mut db = memory().await;
    db.script(TABLE).await.expect("table");
    run(db.as_mut(), &[begin()], "insert into things (code) values ('taken')", &[]).await.expect("insert");
    db.insert_many(&[], &rows(10, PLAIN), None).await.map(drop).expect("insert");
    db.insert_many(&[], &rows(1_000, Source { taken: Some(500), nan: None }), None).await.map(drop).expect_err("taken");
    assert!(db.in_transaction());
    assert_eq!(codes(db.as_mut()).await, 11);
    db.control(&[Control::Commit]).await.expect("commit");
    assert_eq!(codes(db.as_mut()).await, 11);
}

#[tokio::test]
async fn controls_come_first() {
    let mut db = memory().await;
    db.script(TABLE).await.expect("table");
    db.insert_many(&[begin()], &rows(2, PLAIN), None).await.map(drop).expect("insert");
    assert!(db.in_transaction());
    db.control(&[Control::Rollback]).await.expect("rollback");
    assert_eq!(codes(db.as_mut()).await, 0);
}

#[tokio::test]
async fn an_abandoned_insert_leaves_no_row() {
    let (_directory, options) = file();
    let mut db = open(&options, Role::Write).await;
    db.script(TABLE).await.expect("table");
    let insert = rows(10_000_000, PLAIN);
    let call = db.insert_many(&[], &insert, None);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(100), call).await.is_err());
    db.recover().await.expect("recover");
    assert!(db.is_clean());
    assert_eq!(codes(db.as_mut()).await, 0);
}
