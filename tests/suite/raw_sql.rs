//! Raw SQL: several results, tables that are there, connections that are not.

use chrono::NaiveDateTime;
use emr::prelude::*;
use emr::{QueryResult, ResultColumn, StopReason, Value};

use crate::harness::{Backend, Db, assert_unsupported_in_part, not_here};
use crate::schemas::{Post, post, titles};

db_cases![
    s4_s5_several_statements_give_several_results,
    s9_s10_arrays_as_parameters,
    s11_a_repo_that_is_not_there_is_named,
    s12_s13_raw_rows,
    s14_connections_come_back_after_all_were_closed,
    s16_a_key_that_is_not_unique_is_an_error_that_a_transaction_undoes,
    s22_rows_from_elsewhere_become_structs,
    s23_s24_tables_that_exist_and_do_not,
    several_statements_end_with_the_first_that_fails,
    several_statements_in_and_around_a_transaction,
];

async fn s4_s5_several_statements_give_several_results(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let results = db.repo.query_many("SELECT 1 AS one; SELECT 'zw;ei' AS two, 2.5 AS half;").await.unwrap();
    let [one, two] = &results[..] else { panic!("{results:?}") };
    assert_eq!(one.get::<i64>(0, "one").unwrap(), 1);
    assert_eq!(two.get::<String>(0, "two").unwrap(), "zw;ei");
    let text = String::from("insert into posts (title) values ('a'), ('b');\n-- a comment; with a semicolon\n")
        + "select title from posts order by id; update posts set body = 'x'; select count(*) from posts where body = 'x'";
    let results = db.repo.query_many(&text).await.unwrap();
    let [insert, select, update, count] = &results[..] else { panic!("{results:?}") };
    assert_eq!((insert.rows_affected(), insert.columns().len()), (2, 0));
    let found: Vec<String> = (0..select.len()).map(|row| select.get(row, "title").unwrap()).collect();
    assert_eq!(found, ["a", "b"]);
    assert_eq!(update.rows_affected(), 2);
    assert_eq!(count.scalar::<i64>().unwrap(), 2);
    assert_eq!(db.repo.query_many(" ; -- nothing\n").await.unwrap(), []);
}

async fn s9_s10_arrays_as_parameters(db: &Db) {
    if db.backend != Backend::Postgres {
        let error = db.repo.query("select ?", &[&vec![1_i64]]).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Encode { .. }), "{error:?}");
        not_here("an array is a value that does not fit");
        return;
    }
    let one = |sql: &'static str, list: Vec<i64>| async move {
        db.repo.query(sql, &[&list]).await.unwrap().scalar::<bool>().unwrap()
    };
    assert!(one("select 1 = any($1::bigint[])", vec![1, 2, 3]).await);
    assert!(!one("select 1 = any($1::bigint[])", vec![]).await);
    assert!(one("select $1::bigint[] = '{}'", vec![]).await);
    let list = db.repo.query("select array[]::bigint[]", &[]).await.unwrap().scalar::<Vec<i64>>().unwrap();
    assert_eq!(list, Vec::<i64>::new());
}

async fn s11_a_repo_that_is_not_there_is_named(db: &Db) {
    let repo = db.other().await;
    repo.stop(std::time::Duration::ZERO).await;
    let error = repo.query("select 1", &[]).await.unwrap_err();
    let ErrorKind::Stopped { id, reason } = error.kind() else { panic!("{error:?}") };
    assert_eq!((id.as_str(), *reason), (repo.id(), StopReason::Requested));
    assert!(error.to_string().contains(repo.id()), "{error}");
}

async fn s12_s13_raw_rows(db: &Db) {
    let sql = match db.backend {
        Backend::Postgres => "SELECT $1::bigint",
        Backend::Sqlite | Backend::Mariadb | Backend::Mysql => "SELECT ?",
    };
    let result = db.repo.query(sql, &[&1_i64]).await.unwrap();
    assert_eq!(result.rows().collect::<Vec<_>>(), [[Value::I64(1)]]);
    let pieces = ["SEL", "ECT ", "1"].concat();
    assert_eq!(db.repo.query(&pieces, &[]).await.unwrap().scalar::<i64>().unwrap(), 1);
}

async fn s14_connections_come_back_after_all_were_closed(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let tx = db.repo.begin().await.unwrap();
    post(&tx, "in use").await;
    db.repo.disconnect_all();
    // One in use is closed when it comes back, and not before.
    tx.commit().await.unwrap();
    db.repo.disconnect_all();
    assert_eq!(db.repo.stats().idle_connections, 0);
    assert_eq!(titles(&db.repo).await, ["in use"]);
}

/// What this calls its primary key is none in the table.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "doubles")]
struct Double {
    #[emr(primary_key)]
    n: i64,
    name: String,
}

async fn s16_a_key_that_is_not_unique_is_an_error_that_a_transaction_undoes(db: &Db) {
    db.repo.script("create table doubles (n bigint not null, name text not null)").await.unwrap();
    let rows = ["a", "b", "c"].map(|name| Double { n: 1, name: name.into() });
    db.repo.insert_all(rows.clone()).await.unwrap();
    for error in [
        db.repo.transaction(async |tx| tx.delete(&rows[0]).await).await.unwrap_err(),
        db.repo
            .transaction(async |tx| tx.update(rows[0].change().set(Double::NAME, "all")).await.map(drop))
            .await
            .unwrap_err(),
        db.repo.get::<Double>(1).await.unwrap_err(),
        db.repo.fetch::<Double>(1).await.unwrap_err(),
    ] {
        assert!(error.is_multiple_results(), "{error:?}");
    }
    let left = db.repo.all(Double::query().order_by(Double::NAME.asc())).await.unwrap();
    assert_eq!(left, rows);
    // On its own the statement is done when its count is known.
    assert!(db.repo.delete(&rows[0]).await.unwrap_err().is_multiple_results());
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "events")]
struct Event {
    id: i64,
    public: bool,
    at: NaiveDateTime,
    note: Option<String>,
}

async fn s22_rows_from_elsewhere_become_structs(db: &Db) {
    db.repo.create_table::<Event>().await.unwrap();
    let at = "2026-02-28T12:30:00".parse::<NaiveDateTime>().unwrap();
    let event = Event { id: 1, public: true, at, note: None };
    db.repo.insert(event.clone()).await.unwrap();
    let raw = db.repo.query("select note, at, public, id, 7 as unknown from events", &[]).await.unwrap();
    assert_eq!(db.repo.load::<Event>(&raw).unwrap(), std::slice::from_ref(&event));
    let column = |name: &str| ResultColumn { name: name.into(), type_name: String::new() };
    let made = QueryResult::from_parts(
        ["at", "id", "public", "note"].map(column).into(),
        vec![vec![Value::DateTime(at), Value::I64(1), Value::Bool(true)]],
    );
    assert_eq!(db.repo.load::<Event>(&made).unwrap(), [event]);
    let error = db.repo.load::<Event>(&db.repo.query("select id from events", &[]).await.unwrap()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Decode { column, .. } if column == "public"), "{error:?}");
}

async fn s23_s24_tables_that_exist_and_do_not(db: &Db) {
    assert!(!db.repo.table_exists("posts").await.unwrap());
    db.repo.create_table::<Post>().await.unwrap();
    assert!(db.repo.table_exists("posts").await.unwrap());
    assert!(!db.repo.table_exists("postcards").await.unwrap());
    assert!(!db.repo.table_exists("it's").await.unwrap());
    db.repo.script(&db.backend.sql("create view \"Odd, view\" as select 1 as one")).await.unwrap();
    assert!(db.repo.table_exists("Odd, view").await.unwrap());
    if !db.backend.is_mysql_family() {
        let tx = db.repo.begin().await.unwrap();
        tx.script("create table made (n integer)").await.unwrap();
        assert!(tx.table_exists("made").await.unwrap());
        tx.rollback().await.unwrap();
        assert!(!db.repo.table_exists("made").await.unwrap());
    }
    let elsewhere = db.repo.with_prefix("pg_catalog").table_exists("pg_class").await;
    match db.backend {
        Backend::Postgres => {
            assert!(elsewhere.unwrap());
            assert!(!db.repo.with_prefix("pg_catalog").table_exists("posts").await.unwrap());
        }
        Backend::Mariadb | Backend::Mysql => {
            assert!(!elsewhere.unwrap());
            assert!(db.repo.with_prefix("information_schema").table_exists("TABLES").await.unwrap());
            assert!(!db.repo.with_prefix("information_schema").table_exists("posts").await.unwrap());
        }
        Backend::Sqlite => assert_unsupported_in_part(&elsewhere.unwrap_err()),
    }
}

async fn several_statements_end_with_the_first_that_fails(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let text = "insert into posts (title) values ('kept'); select nothing from nowhere; insert into posts (title) values ('never')";
    let error = db.repo.query_many(text).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Database { .. }), "{error:?}");
    assert_eq!(titles(&db.repo).await, ["kept"]);
    for wrong in ["select 1; commit", "begin; select 1"] {
        let error = db.repo.query_many(wrong).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Transaction(_)), "{error:?}");
    }
    let parameter = if db.backend == Backend::Postgres { "select $1::text" } else { "select ?" };
    let error = db.repo.query_many(parameter).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
}

async fn several_statements_in_and_around_a_transaction(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let insert = "insert into posts (title) values ('a'); insert into posts (title) values ('b')";
    let tx = db.repo.begin().await.unwrap();
    assert_eq!(tx.query_many(insert).await.unwrap().len(), 2);
    tx.rollback().await.unwrap();
    assert!(titles(&db.repo).await.is_empty());
    assert_eq!(db.repo.read_only().query_many("select 1; select 2").await.unwrap().len(), 2);
    assert!(db.repo.read_only().query_many(insert).await.is_err());
    assert!(titles(&db.repo).await.is_empty());
    let checkout = db.repo.checkout().await.unwrap();
    assert_eq!(checkout.query_many(insert).await.unwrap().len(), 2);
}
