//! Streams: bounded memory, early drops, errors half way.

use std::time::{Duration, Instant};

use emr::prelude::*;
use futures_util::{StreamExt, TryStreamExt};

use crate::harness::{Backend, Db};
use crate::schemas::Post;

db_cases![
    sq47_a_stream_gives_all_rows_in_order,
    s27_a_stream_of_nothing_ends,
    a_stream_dropped_early_costs_the_next_user_nothing,
    a_slow_consumer_bounds_memory,
    a_stream_in_a_transaction_sees_its_writes,
    other_calls_go_on_beside_a_stream_of_a_transaction,
    an_error_ends_a_stream,
    a_stream_holds_its_connection_and_gives_it_back,
];

async fn rows(db: &Db, count: i64) {
    db.repo.create_table::<Post>().await.unwrap();
    let sql = match db.backend {
        Backend::Sqlite => {
            "with recursive n(i) as (select 1 union all select i + 1 from n limit {count}) \
             insert into posts (id, title, visits) select i, 'title ' || i, i from n"
        }
        Backend::Mariadb | Backend::Mysql => {
            "insert into posts (id, title, visits) \
             with d(n) as (select 0 union select 1 union select 2 union select 3 union select 4 union select 5 \
             union select 6 union select 7 union select 8 union select 9), \
             n(i) as (select 1 + a.n + 10 * b.n + 100 * c.n + 1000 * e.n + 10000 * f.n + 100000 * g.n \
             from d a, d b, d c, d e, d f, d g) select i, concat('title ', i), i from n where i <= {count}"
        }
        Backend::Postgres => {
            "insert into posts (id, title, visits) select i, 'title ' || i, i from generate_series(1, {count}) as i"
        }
    };
    let repo = db.repo.with_timeout(Timeout::Infinite);
    let result = repo.query(&sql.replace("{count}", &count.to_string()), &[]).await.unwrap();
    assert_eq!(result.rows_affected(), u64::try_from(count).unwrap());
}

fn by_id() -> emr::Query<Post> {
    Post::query().order_by(Post::ID.asc())
}

async fn sq47_a_stream_gives_all_rows_in_order(db: &Db) {
    for count in [1, 499, 500, 501, 1_000] {
        rows(db, count).await;
        let ids: Vec<i64> = db.repo.stream(by_id()).map_ok(|post| post.id).try_collect().await.unwrap();
        assert_eq!(ids, (1..=count).collect::<Vec<_>>());
        db.repo.drop_table::<Post>().await.unwrap();
    }
}

async fn s27_a_stream_of_nothing_ends(db: &Db) {
    rows(db, 1).await;
    let mut stream = db.repo.stream(by_id().filter(Post::ID.lt(0)));
    assert!(stream.next().await.is_none());
    assert!(stream.next().await.is_none());
    drop(stream);
    assert_eq!(db.repo.stats().running, 0);
    let tx = db.repo.begin().await.unwrap();
    assert!(tx.stream(by_id().filter(Post::ID.lt(0))).next().await.is_none());
    let all: Vec<Post> = tx.stream(by_id()).try_collect().await.unwrap();
    assert_eq!(all.iter().map(|post| post.id).collect::<Vec<_>>(), [1]);
    tx.commit().await.unwrap();
}

async fn a_stream_dropped_early_costs_the_next_user_nothing(db: &Db) {
    rows(db, 1_000_000).await;
    let one = emr::open(db.options().pool_size(1)).await.unwrap();
    one.count(Post::query().limit(1)).await.unwrap();
    let mut stream = one.stream(Post::query());
    for _ in 0..10 {
        stream.next().await.unwrap().unwrap();
    }
    drop(stream);
    let started = Instant::now();
    assert_eq!(one.fetch::<Post>(5).await.unwrap().visits, 5);
    // Reading the rest would take a second and more.
    assert!(started.elapsed() < Duration::from_millis(250), "{:?}", started.elapsed());
}

async fn a_slow_consumer_bounds_memory(db: &Db) {
    rows(db, 200_000).await;
    let mut stream = db.repo.stream(by_id());
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(first.id, 1);
    let before = resident_kib();
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Nothing is read ahead beyond a batch: 200,000 posts would be some 20 MB.
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 8_192, "memory grew by {grown} KiB while nobody read");
    let rest: Vec<i64> = stream.map_ok(|post| post.id).try_collect().await.unwrap();
    assert_eq!(rest.len(), 199_999);
}

/// The memory of this process. Other cases run in it at the same time, so bounds are wide.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

async fn a_stream_in_a_transaction_sees_its_writes(db: &Db) {
    rows(db, 3).await;
    let tx = db.repo.begin().await.unwrap();
    let add = async |id, title: &str| tx.insert(Post::build().set(Post::ID, id).set(Post::TITLE, title)).await.unwrap();
    add(1_000, "mine").await;
    let titles: Vec<String> = tx.stream(Post::query()).map_ok(|post| post.title).try_collect().await.unwrap();
    assert!(titles.contains(&"mine".to_owned()) && titles.len() == 4);
    // A stream that is dropped half way leaves its transaction alone.
    let mut stream = tx.stream(Post::query());
    stream.next().await.unwrap().unwrap();
    drop(stream);
    add(1_001, "more").await;
    tx.commit().await.unwrap();
    assert_eq!(db.repo.count(Post::query()).await.unwrap(), 5);
}

async fn other_calls_go_on_beside_a_stream_of_a_transaction(db: &Db) {
    rows(db, 1_200).await;
    let tx = db.repo.begin().await.unwrap();
    let mut stream = tx.stream(by_id());
    let mut other = tx.stream(by_id().filter(Post::ID.gt(600)));
    let mut seen = 0;
    while let Some(post) = stream.next().await {
        seen += 1;
        assert_eq!(post.unwrap().id, seen);
        if seen % 100 == 0 {
            let found = tx.fetch::<Post>(seen).await.unwrap();
            assert_eq!(found.visits, seen);
            assert!(other.next().await.unwrap().unwrap().id > 600);
        }
    }
    assert_eq!(seen, 1_200);
    drop((stream, other));
    tx.commit().await.unwrap();
}

async fn an_error_ends_a_stream(db: &Db) {
    #[derive(Syncable, Debug)]
    #[emr(table = "posts")]
    struct Noted {
        id: i64,
        note: String,
    }
    rows(db, 1_000).await;
    db.repo
        .script("ALTER TABLE posts ADD COLUMN note TEXT; UPDATE posts SET note = 'x' WHERE id <> 700")
        .await
        .unwrap();
    let mut stream = db.repo.stream(Noted::query().order_by(Noted::ID.asc()));
    let mut good = 0;
    let error = loop {
        match stream.next().await.expect("an error before the end") {
            Ok(noted) => good += i64::from(!noted.note.is_empty() && noted.id > 0),
            Err(error) => break error,
        }
    };
    assert!(matches!(error.kind(), ErrorKind::Decode { column, .. } if column == "note"), "{error:?}");
    assert!((0..700).contains(&good), "{good}");
    assert!(stream.next().await.is_none());
    drop(stream);
    assert_eq!(db.repo.count(Post::query()).await.unwrap(), 1_000);
}

async fn a_stream_holds_its_connection_and_gives_it_back(db: &Db) {
    rows(db, 2_000).await;
    let repo = emr::open(db.options().pool_size(1)).await.unwrap();
    let mut stream = repo.stream(by_id());
    stream.next().await.unwrap().unwrap();
    assert_eq!(repo.stats().running, 1);
    let error = repo.with_timeout(Duration::from_millis(100)).count(Post::query()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::PoolTimeout { in_use: 1, .. }), "{error:?}");
    let rest: Vec<Post> = stream.try_collect().await.unwrap();
    assert_eq!(rest.len(), 1_999);
    assert_eq!(repo.count(Post::query()).await.unwrap(), 2_000);
    assert_eq!(repo.stats().running, 0);
}
