//! Many rows, one of them wrong.

use std::time::Duration;

use emr::prelude::*;

use crate::harness::{Backend, Db};
use crate::schemas::{Post, Reading, post};

db_cases![
    a_hundred_thousand_rows_and_one_key_twice,
    a_hundred_thousand_rows_and_one_against_a_check,
    a_hundred_thousand_rows_and_one_that_cannot_be_sent,
    a_hundred_thousand_rows_of_which_most_are_null,
];

const ROWS: i64 = 100_000;

/// The repo, with more time than a call usually has: a machine that does much else takes longer.
fn patient(db: &Db) -> emr::With<'_, RepoHandle> {
    db.repo.with_timeout(Duration::from_mins(1))
}

fn numbered(id: i64) -> Post {
    Post { id, title: format!("post {id}"), body: None, visits: 0, author_id: None }
}

/// All of them but the one before the last, which is `wrong`.
fn rows<T>(good: impl Fn(i64) -> T, wrong: T) -> Vec<T> {
    let mut rows: Vec<T> = (1..=ROWS).map(good).collect();
    let at = rows.len() - 2;
    rows[at] = wrong;
    rows
}

async fn a_hundred_thousand_rows_and_one_key_twice(db: &Db) {
    let repo = &patient(db);
    repo.create_table::<Post>().await.unwrap();
    let before = post(repo, "before").await;
    repo.delete(&before).await.unwrap();
    post(repo, "kept").await;
    let kept = repo.all(Post::query()).await.unwrap();
    let twice = || rows(|n| numbered(n + 10), numbered(15));

    assert!(repo.insert_all(twice()).await.unwrap_err().is_unique_violation());
    assert!(repo.insert_all_returning(twice()).await.unwrap_err().is_unique_violation());
    let upsert = repo.upsert_all(twice(), OnConflict::replace(Post::TITLE).target(Post::ID)).await.unwrap_err();
    assert!(matches!(upsert.kind(), ErrorKind::InvalidCall { .. }), "{upsert}");
    assert_eq!(repo.all(Post::query()).await.unwrap(), kept, "all or none");
}

async fn a_hundred_thousand_rows_and_one_against_a_check(db: &Db) {
    let repo = &patient(db);
    repo.script("CREATE TABLE readings (sensor TEXT NOT NULL, value DOUBLE PRECISION, CHECK (value >= 0))")
        .await
        .unwrap();
    let reading = |value| Reading { sensor: "s".to_owned(), value };
    #[allow(clippy::cast_precision_loss)] // small numbers
    let with_wrong = || rows(|n| reading(n as f64), reading(-1.0));

    let error = repo.insert_all(with_wrong()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Constraint { .. }), "{error:?}");
    assert_eq!(repo.count(Reading::query()).await.unwrap(), 0);
    // In a transaction the rows before it stay, once the part that failed is undone.
    let tx = repo.begin().await.unwrap();
    tx.insert(reading(7.0)).await.unwrap();
    let inner = tx.transaction(async |inner| inner.insert_all(with_wrong()).await).await;
    assert!(inner.is_err());
    tx.commit().await.unwrap();
    assert_eq!(repo.all(Reading::query()).await.unwrap(), [reading(7.0)]);
}

async fn a_hundred_thousand_rows_and_one_that_cannot_be_sent(db: &Db) {
    let repo = &patient(db);
    repo.create_table::<Post>().await.unwrap();
    repo.create_table::<Reading>().await.unwrap();
    // What the engine cannot keep: a NUL in PostgreSQL's texts, what is no number in SQLite's and MySQL's columns.
    let error = match db.backend {
        Backend::Postgres => {
            repo.insert_all(rows(numbered, Post { title: "a\0b".to_owned(), ..numbered(1) })).await.unwrap_err()
        }
        Backend::Sqlite | Backend::Mariadb | Backend::Mysql => {
            let reading = |value| Reading { sensor: "s".to_owned(), value };
            repo.insert_all(rows(|_| reading(1.5), reading(f64::NAN))).await.unwrap_err()
        }
    };
    let ErrorKind::Encode { .. } = error.kind() else { panic!("{error:?}") };
    let text = error.to_string();
    assert!(text.contains("title") || text.contains("value"), "which column: {text}");
    assert_eq!(repo.count(Post::query()).await.unwrap() + repo.count(Reading::query()).await.unwrap(), 0);
}

async fn a_hundred_thousand_rows_of_which_most_are_null(db: &Db) {
    let repo = &patient(db);
    repo.create_table::<Post>().await.unwrap();
    // The first message of many says nothing of the type that the last one has.
    let late = |id: i64| (id > ROWS - 5).then(|| format!("body {id}"));
    let rows: Vec<Post> = (1..=ROWS).map(|id| Post { body: late(id), ..numbered(id) }).collect();
    assert_eq!(repo.insert_all(rows.clone()).await.unwrap(), ROWS.unsigned_abs());
    assert!(repo.all(Post::query().order_by(Post::ID.asc())).await.unwrap() == rows, "as they were sent");
}
