//! What must hold also when something goes wrong at the worst place.

use emr::prelude::*;
use emr::{Migrator, TransactionFault};
use futures_util::{StreamExt, TryStreamExt};

use crate::harness::{Backend, Db, assert_unsupported, not_here};
use crate::schemas::{Post, post, titles};

db_cases![
    a_refused_first_statement_does_not_lose_the_begin,
    a_refused_statement_does_not_lose_an_undo,
    a_transaction_that_the_engine_ended_is_over,
    options_of_a_call_hold_in_its_transactions,
    read_only_handles_still_read_raw_sql,
    a_checkout_streams,
    scripts_may_make_triggers_and_functions,
    migrations_in_a_prefix,
];

/// A value that fits no column: its nanoseconds would be lost.
fn misfit() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(1, 1).unwrap()
}

fn mark(db: &Db) -> &'static str {
    match db.backend {
        Backend::Sqlite => "select ?1",
        Backend::Postgres => "select $1::timestamptz",
        Backend::Mariadb | Backend::Mysql => "select ?",
    }
}

async fn a_refused_first_statement_does_not_lose_the_begin(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    for round in 0..2 {
        let tx = db.repo.begin().await.unwrap();
        let refused = tx.query(mark(db), &[&misfit()]).await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Encode { .. }), "{refused:?}");
        let refused = tx.query(mark(db), &[]).await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::InvalidCall { .. }), "{refused:?}");
        post(&tx, "undone").await;
        tx.rollback().await.unwrap();
        assert!(titles(&db.repo).await.is_empty(), "round {round}");
    }
}

async fn a_refused_statement_does_not_lose_an_undo(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let tx = db.repo.begin().await.unwrap();
    tx.query(mark(db), &[&emr::now()]).await.unwrap();
    post(&tx, "kept").await;
    let inner = tx.begin().await.unwrap();
    post(&inner, "undone").await;
    drop(inner);
    assert!(tx.query(mark(db), &[]).await.is_err());
    assert_eq!(titles(&tx).await, ["kept"]);
    let inner = tx.begin().await.unwrap();
    assert!(inner.query(mark(db), &[&misfit()]).await.is_err());
    post(&inner, "undone").await;
    inner.rollback().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(titles(&db.repo).await, ["kept"]);
}

async fn a_transaction_that_the_engine_ended_is_over(db: &Db) {
    if db.backend != Backend::Sqlite {
        not_here("a failed transaction stays open until it is rolled back");
        return;
    }
    db.repo.create_table::<Post>().await.unwrap();
    let row = post(&db.repo, "x").await;
    let tx = db.repo.begin().await.unwrap();
    post(&tx, "undone").await;
    let sql = "insert or rollback into posts (id, title) values (?1, 'y')";
    assert!(tx.query(sql, &[&row.id]).await.unwrap_err().is_unique_violation());
    let error = tx.insert(Post::build().set(Post::TITLE, "on its own")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transaction(TransactionFault::Lost)), "{error:?}");
    assert!(tx.commit().await.is_err());
    assert_eq!(titles(&db.repo).await, ["x"]);
}

async fn options_of_a_call_hold_in_its_transactions(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let read_only = db.repo.read_only();
    let tx = read_only.begin().await.unwrap();
    assert!(tx.insert(Post::build().set(Post::TITLE, "x")).await.is_err());
    assert!(tx.query("insert into posts (title) values ('x')", &[]).await.is_err());
    tx.rollback().await.unwrap();
    let patient = db.repo.with_timeout(Timeout::Infinite);
    let tx = patient.begin().await.unwrap();
    assert_eq!(tx.default_options().timeout, Timeout::Infinite);
    assert_eq!(tx.begin().await.unwrap().default_options().timeout, Timeout::Infinite);
    drop(tx);
    if db.backend != Backend::Sqlite {
        let other = schema(db, "there").await;
        let there = db.repo.with_prefix(other.as_str());
        there.create_table::<Post>().await.unwrap();
        there.transaction(async |tx| tx.insert(Post::build().set(Post::TITLE, "there")).await).await.unwrap();
        assert_eq!(titles(&there).await, ["there"]);
        drop_schema(db, &other).await;
    }
    assert!(titles(&db.repo).await.is_empty());
}

async fn drop_schema(db: &Db, name: &str) {
    let cascade = if db.backend == Backend::Postgres { " cascade" } else { "" };
    db.repo.script(&format!("drop schema {name}{cascade}")).await.unwrap();
}

/// Another schema of the same database, named after the case's own.
async fn schema(db: &Db, name: &str) -> String {
    let own = db.own_schema().await;
    let other = format!("{own}_{name}");
    db.repo.script(&format!("create schema {other}")).await.unwrap();
    other
}

async fn read_only_handles_still_read_raw_sql(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let opened = emr::open(db.options().read_only(true)).await.unwrap();
    for sum in [
        opened.query("with s as (select 4 + 5 as n) select n from s", &[]).await,
        db.repo.read_only().query("with s as (select 4 + 5 as n) select n from s", &[]).await,
    ] {
        assert_eq!(sum.unwrap().scalar::<i64>().unwrap(), 9);
    }
    for refused in [
        opened.query("insert into posts (title) values ('x')", &[]).await,
        db.repo.read_only().query("insert into posts (title) values ('x')", &[]).await,
    ] {
        assert!(refused.is_err());
    }
    assert_eq!(db.repo.count(Post::query()).await.unwrap(), 0);
}

async fn a_checkout_streams(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    db.repo.insert_all((0..1_200).map(|n| Post::build().set(Post::TITLE, n.to_string()))).await.unwrap();
    let checkout = db.repo.checkout().await.unwrap();
    let rows: Vec<Post> = checkout.stream(Post::query()).try_collect().await.unwrap();
    assert_eq!(rows.len(), 1_200);
    assert_eq!(checkout.count(Post::query()).await.unwrap(), 1_200);
    let mut stream = checkout.stream(Post::query());
    stream.next().await.unwrap().unwrap();
    assert!(checkout.count(Post::query()).await.is_err(), "the stream has the connection");
    drop(stream);
    assert!(matches!(checkout.count(Post::query()).await.unwrap_err().kind(), ErrorKind::ConnectionLost { .. }));
    drop(checkout);
    assert_eq!(db.repo.count(Post::query()).await.unwrap(), 1_200);
}

async fn scripts_may_make_triggers_and_functions(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let sql = match db.backend {
        Backend::Sqlite => {
            "CREATE TRIGGER counted AFTER INSERT ON posts BEGIN
                 UPDATE posts SET visits = CASE WHEN visits IS NULL THEN 0 ELSE visits + 1 END WHERE id = new.id;
             END; INSERT INTO posts (title) VALUES ('a; commit')"
        }
        Backend::Mariadb | Backend::Mysql => {
            "CREATE TRIGGER counted BEFORE INSERT ON posts FOR EACH ROW BEGIN
                 SET NEW.visits = CASE WHEN NEW.visits IS NULL THEN 0 ELSE 1 END;
             END; INSERT INTO posts (title) VALUES ('a; commit')"
        }
        Backend::Postgres => {
            "CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.visits := 1; RETURN NEW; END $$;
             CREATE TRIGGER counted BEFORE INSERT ON posts FOR EACH ROW EXECUTE FUNCTION counted();
             INSERT INTO posts (title) VALUES ('a; commit')"
        }
    };
    db.repo.script(sql).await.unwrap();
    let row = db.repo.one(Post::query()).await.unwrap().unwrap();
    assert_eq!((row.title.as_str(), row.visits), ("a; commit", 1));
    for sneaky in ["select 1; /* ; */ commit", "-- a; b\nBEGIN; select 1"] {
        let error = db.repo.script(sneaky).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Transaction(TransactionFault::RawControl)), "{error:?}");
    }
}

async fn migrations_in_a_prefix(db: &Db) {
    let migrator = Migrator::new().sql(1, "nothing", "select 1");
    if db.backend == Backend::Sqlite {
        assert_unsupported(&migrator.run(&db.repo.with_prefix("other")).await.unwrap_err());
        return;
    }
    let other = schema(db, "moved").await;
    assert_eq!(migrator.run(&db.repo.with_prefix(other.as_str())).await.unwrap(), [1]);
    assert_eq!(migrator.run(&db.repo.with_prefix(other.as_str())).await.unwrap(), [] as [i64; 0]);
    let found = db.repo.query(&format!("select version from {other}.emr_migrations"), &[]).await.unwrap();
    assert_eq!(found.scalar::<i64>().unwrap(), 1);
    assert!(db.repo.query("select version from emr_migrations", &[]).await.is_err());
    drop_schema(db, &other).await;
}
