//! The watcher on a server of its own, which is stopped, crashes, and is set back. `csNN_…` are the tests of that number in the
//! list that the project started from.

#[path = "../../tests/watch/items.rs"]
mod items;
mod support;

use std::time::Duration;

use emr_core::watch::{Changes, Item, Op, ResyncReason, Start, WatchSet, Watcher, WatcherSpec};
use emr_core::{Repo, RepoHandle, RepoOptions, open};
use items::{int, next_item, next_txn};
use support::cluster::Cluster;

async fn repo(cluster: &Cluster) -> RepoHandle {
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres?pool_size=2", cluster.port);
    let repo = open(RepoOptions::from_url(&url).unwrap()).await.unwrap();
    repo.script("create table if not exists posts (id bigint primary key, title text)").await.unwrap();
    repo
}

fn set() -> WatchSet {
    let posts = WatcherSpec::table("posts").label("posts").extra_columns(["title"]);
    WatchSet::new().application("blog").heartbeat(Duration::from_millis(300)).watch(posts)
}

async fn installed(repo: &RepoHandle) -> Watcher {
    let watcher = repo.watcher(&set()).unwrap();
    watcher.install().await.unwrap();
    watcher
}

/// What no repo lets anybody say: beginning and ending transactions by hand.
async fn by_hand(cluster: &Cluster, sql: &str) {
    let config = format!("host=127.0.0.1 port={} user=postgres", cluster.port);
    let (client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
}

/// A post with an id that nothing has had yet.
async fn write(repo: &RepoHandle, id: i64) {
    repo.query("insert into posts (id, title) values ($1, 'a title')", &[&id]).await.unwrap();
}

/// The ids of so many inserts, as they come.
async fn ids(changes: &mut Changes, count: usize) -> Vec<i64> {
    let mut ids = Vec::new();
    while ids.len() < count {
        for event in &next_txn(changes).await.changes {
            assert_eq!(event.op(), Op::Insert);
            ids.push(int(event, "id"));
        }
    }
    ids
}

#[tokio::test]
async fn cs02_a_server_that_restarts_crashes_and_stays_away() {
    let cluster = Cluster::start(false);
    let repo = repo(&cluster).await;
    let mut changes = installed(&repo).await.changes(Start::Now).await.unwrap();
    let mut id = 0;
    for (crash, away) in [(false, Duration::ZERO), (true, Duration::ZERO), (true, Duration::from_secs(8))] {
        for _ in 0..10 {
            id += 1;
            write(&repo, id).await;
        }
        if crash {
            cluster.stop();
        } else {
            cluster.shut_down();
        }
        tokio::time::sleep(away).await;
        cluster.restart();
        // Not what the pool held: another program's connection.
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", cluster.port);
        let other = open(RepoOptions::from_url(&url).unwrap()).await.unwrap();
        id += 1;
        write(&other, id).await;
        other.stop(Duration::from_secs(1)).await;
        let first = id - 10;
        assert_eq!(ids(&mut changes, 11).await, (first..=id).collect::<Vec<_>>());
        assert!(changes.health().connected);
        repo.query("select 1", &[]).await.unwrap();
    }
}

#[tokio::test]
async fn cs06_a_server_that_was_set_back_to_an_older_copy() {
    let cluster = Cluster::start(false);
    let repo = repo(&cluster).await;
    let watcher = installed(&repo).await;
    write(&repo, 1).await;
    cluster.shut_down();
    cluster.keep_copy("older");
    cluster.restart();
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    for id in 2..=50 {
        write(&repo, id).await;
    }
    ids(&mut changes, 49).await;
    let token = watcher.head().await.unwrap();
    cluster.shut_down();
    cluster.put_back("older");
    cluster.restart();
    // The reader that was there all the time, and one that comes with its token.
    let mut late = watcher.changes(Start::After(token)).await.unwrap();
    for changes in [&mut changes, &mut late] {
        let item = next_item(changes).await;
        assert!(matches!(item, Item::Resync { reason: ResyncReason::OtherDatabase, .. }), "{item:?}");
    }
    write(&repo, 2).await;
    assert_eq!(ids(&mut changes, 1).await, [2]);
    assert_eq!(ids(&mut late, 1).await, [2]);
}

#[tokio::test]
async fn cs14_a_prepared_transaction_is_seen_when_it_commits() {
    let cluster = Cluster::with(false, "max_prepared_transactions = 4\n");
    let repo = repo(&cluster).await;
    let watcher = installed(&repo).await;
    assert!(watcher.plan().await.unwrap().warnings.iter().any(|warning| warning.contains("prepared")));
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    for (name, ids) in [("kept", "(10), (11)"), ("undone", "(20)")] {
        by_hand(&cluster, &format!("begin; insert into posts (id) values {ids}; prepare transaction '{name}'")).await;
    }
    // Others are not held up by it, over a restart either.
    write(&repo, 1).await;
    assert_eq!(ids(&mut changes, 1).await, [1]);
    cluster.stop();
    cluster.restart();
    let other = self::repo(&cluster).await;
    write(&other, 2).await;
    assert_eq!(ids(&mut changes, 1).await, [2]);
    by_hand(&cluster, "rollback prepared 'undone'").await;
    by_hand(&cluster, "commit prepared 'kept'").await;
    assert_eq!(ids(&mut changes, 2).await, [10, 11]);
    write(&other, 3).await;
    assert_eq!(ids(&mut changes, 1).await, [3]);
}

#[tokio::test]
async fn cs16_positions_that_are_taken_in_advance_are_found_and_put_right() {
    let cluster = Cluster::start(false);
    let repo = repo(&cluster).await;
    let watcher = installed(&repo).await;
    let log: String = {
        let rows = repo.query("select nspname::text from pg_namespace where nspname like 'emr%'", &[]).await.unwrap();
        rows.get(0, 0).unwrap()
    };
    repo.script(&format!("alter sequence \"{log}\".log_pos_seq cache 20")).await.unwrap();
    let drift = watcher.verify().await.unwrap();
    assert!(drift.iter().any(|drift| drift.found.contains("20 positions at a time")), "{drift:?}");
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    let told = next_item(&mut changes).await;
    assert!(matches!(told, Item::Resync { reason: ResyncReason::Drift { .. }, .. }), "{told:?}");
    assert!(!watcher.install().await.unwrap().changed.is_empty());
    assert_eq!(watcher.verify().await.unwrap(), []);
    assert!(watcher.install().await.unwrap().changed.is_empty());
}
