//! What the log of a repo is told: the times, the parameters in the order of their marks, and whose statement it was.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use emr::QueryLog;
use emr::prelude::*;
use emr::test::{Instrument, Outcome, Verb};
use futures_util::TryStreamExt;

use crate::harness::{Backend, Db, not_here, sent};
use crate::schemas::{Document, Post, post, titles};

db_cases![
    the_times_of_a_statement_are_parts_of_the_call,
    l3_l4_l5_each_repo_has_a_log_of_its_own,
    l6_parameters_are_told_as_they_are_sent_and_read_well,
    l22_parameters_of_queries_stand_in_the_order_of_their_marks,
    l23_a_stream_tells_its_parameters,
    l24_an_array_is_one_parameter,
];

async fn the_times_of_a_statement_are_parts_of_the_call(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let seen: Arc<Mutex<Vec<[Duration; 3]>>> = Arc::default();
    let times = Arc::clone(&seen);
    let hook = QueryLog::new(move |event| {
        assert!(event.error.is_none() && event.table == Some("posts"), "{event:?}");
        times.lock().unwrap().push([event.queue_time, event.query_time, event.decode_time]);
    });
    let repo = emr::open(db.options().log(hook)).await.unwrap();
    let rows = (0..2_000).map(|n| Post::build().set(Post::TITLE, format!("{n}")));
    repo.insert_all(rows).await.unwrap();
    seen.lock().unwrap().clear();
    let started = Instant::now();
    assert_eq!(repo.all(Post::query()).await.unwrap().len(), 2_000);
    let elapsed = started.elapsed();
    let [[queue, query, decode]] = seen.lock().unwrap()[..] else { panic!("one statement") };
    assert!(decode > Duration::ZERO && decode < query && queue + query <= elapsed, "{queue:?} {query:?} {decode:?}");
}

async fn l3_l4_l5_each_repo_has_a_log_of_its_own(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = |name: &'static str| {
        let seen = Arc::clone(&seen);
        QueryLog::new(move |event| seen.lock().unwrap().push((name, event.repo.to_owned(), event.rows)))
    };
    let one = emr::open(db.options().log(log("one"))).await.unwrap();
    let two = emr::open(db.options().log(log("two"))).await.unwrap();
    let silent = db.other().await;
    post(&one, "a").await;
    post(&silent, "b").await;
    assert_eq!(titles(&two).await, ["a", "b"]);
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    if db.backend == Backend::Mysql {
        // BEGIN and COMMIT of the insert, and the read that brings the row back.
        let rows: Vec<_> = seen.drain(..4).map(|(name, _, rows)| (name, rows)).collect();
        assert_eq!(rows, [("one", 0), ("one", 1), ("one", 1), ("one", 0)]);
        seen.insert(0, ("one", one.id().to_owned(), 1));
    }
    assert_eq!(seen, [("one", one.id().to_owned(), 1), ("two", two.id().to_owned(), 2)]);
}

/// The parameters of the only statement since the last look.
#[track_caller]
fn only(instrument: &Instrument) -> Vec<String> {
    let operations = sent(instrument);
    let [one] = &operations[..] else { panic!("{operations:?}") };
    one.params.clone()
}

async fn l6_parameters_are_told_as_they_are_sent_and_read_well(db: &Db) {
    let (repo, instrument) = db.instrumented().await;
    repo.create_table::<Document>().await.unwrap();
    instrument.clear();
    let document = repo.insert(Document::build().set(Document::NAME, "täxt \"quoted\"")).await.unwrap();
    let operations = sent(&instrument);
    assert_eq!(operations.len(), db.backend.statements_of_insert());
    assert_eq!(operations[0].params, [format!("UUID {}", document.id), "text \"täxt \\\"quoted\\\"\"".to_owned()]);
    let found = repo.all(Document::query().filter(Document::ID.eq(document.id))).await.unwrap();
    assert_eq!(only(&instrument), [format!("UUID {}", document.id)]);
    assert_eq!(found, [document]);
    let sql = match db.backend {
        Backend::Sqlite => "select ?1, ?2, ?3",
        Backend::Postgres => "select $1::text, $2::bytea, $3::bool",
        Backend::Mariadb | Backend::Mysql => "select ?, ?, ?",
    };
    let long = "x".repeat(1_000);
    let row = repo.query(sql, &[&long.as_str(), &vec![1_u8, 2, 3], &None::<bool>]).await.unwrap();
    assert_eq!(row.get::<String>(0, 0).unwrap(), long);
    let params = only(&instrument);
    assert!(params[0].starts_with("text \"xxx") && params[0].len() < 100, "long ones are cut: {params:?}");
    assert_eq!(params[1..], ["3 bytes", "NULL"]);
}

async fn l22_parameters_of_queries_stand_in_the_order_of_their_marks(db: &Db) {
    let (repo, instrument) = db.instrumented().await;
    repo.create_table::<Post>().await.unwrap();
    for (title, visits) in [("a", 1), ("b", 2), ("c", 3)] {
        let row = Post::build().set(Post::TITLE, title).set(Post::VISITS, visits).set(Post::AUTHOR_ID, 7);
        repo.insert(row).await.unwrap();
    }
    instrument.clear();
    let busy = Post::query().filter(Post::VISITS.gt(1)).filter(Post::AUTHOR_ID.eq(7)).select(Post::ID);
    let query = Post::query()
        .filter(Post::TITLE.ne("z"))
        .filter(Post::ID.in_query(busy))
        .filter(Post::VISITS.lt(9))
        .order_by(Post::ID.asc());
    let found: Vec<_> = repo.all(query).await.unwrap().into_iter().map(|row| row.title).collect();
    assert_eq!(found, ["b", "c"]);
    assert_eq!(only(&instrument), ["text \"z\"", "i64 1", "i64 7", "i64 9"]);
    let update = Post::query().filter(Post::VISITS.eq(2)).set(Post::TITLE, "new").inc(Post::VISITS, 40);
    assert_eq!(repo.update_all(update).await.unwrap(), 1);
    assert_eq!(only(&instrument), ["text \"new\"", "i64 40", "i64 2"]);
    assert_eq!(titles(&repo).await, ["a", "new", "c"]);
}

async fn l23_a_stream_tells_its_parameters(db: &Db) {
    let (repo, instrument) = db.instrumented().await;
    repo.create_table::<Post>().await.unwrap();
    for title in ["a", "b", "c"] {
        post(&repo, title).await;
    }
    instrument.clear();
    let query = Post::query().filter(Post::TITLE.ne("b")).filter(Post::VISITS.lt(5)).order_by(Post::ID.asc());
    let found: Vec<String> = repo.stream(query).map_ok(|post| post.title).try_collect().await.unwrap();
    assert_eq!(found, ["a", "c"]);
    let noted = instrument.take();
    let cursor = noted.iter().find(|one| one.verb == Verb::Cursor).unwrap();
    assert_eq!(cursor.params, ["text \"b\"", "i64 5"]);
    let fetched = noted.iter().find(|one| one.verb == Verb::Fetch).unwrap();
    assert_eq!(fetched.outcome, Outcome::Done { rows: 2 });
}

async fn l24_an_array_is_one_parameter(db: &Db) {
    if db.backend != Backend::Postgres {
        not_here("it has no arrays");
        return;
    }
    let (repo, instrument) = db.instrumented().await;
    let sql = "select count(*) from unnest($1::int8[]) as n where n > $2";
    let count = repo.query(sql, &[&vec![1_i64, 2, 3], &1_i64]).await.unwrap().scalar::<i64>().unwrap();
    assert_eq!(count, 2);
    assert_eq!(only(&instrument), ["an array of 3 i64", "i64 1"]);
    // What the server makes of it.
    let row = repo.query("select $1::int8[], $2::int8", &[&vec![7_i64, 8], &9_i64]).await.unwrap();
    assert_eq!((row.get::<Vec<i64>>(0, 0).unwrap(), row.get::<i64>(0, 1).unwrap()), (vec![7, 8], 9));
}
