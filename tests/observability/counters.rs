//! Counters per repo.

use std::collections::BTreeMap;

use emr::prelude::*;
use futures_util::TryStreamExt;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use crate::harness::Db;
use crate::{Account, accounts};

db_cases![each_repo_counts_what_it_does, connects_are_counted_when_they_succeed];

/// A repo whose counters somebody reads.
fn counted(options: RepoOptions) -> (RepoHandle, Snapshotter) {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    // The recorder is the thread's: the repo is made while this thread waits.
    let open = || tokio::runtime::Handle::current().block_on(emr::open(options));
    let repo = tokio::task::block_in_place(|| metrics::with_local_recorder(&recorder, open)).expect("a repo");
    (repo, snapshotter)
}

/// What each counter of the repo went up by since the last look.
fn counts(repo: &RepoHandle, snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let (_, key) = key.into_parts();
        let labels: Vec<_> = key.labels().map(|label| (label.key(), label.value())).collect();
        assert_eq!(labels, [("repo", repo.id()), ("backend", repo.backend())], "{key}");
        let DebugValue::Counter(count) = value else { panic!("{key} is no counter") };
        counts.insert(key.name().to_owned(), count);
    }
    counts
}

/// Queries, errors, rows and connects.
fn expected(queries: u64, errors: u64, rows: u64, connects: u64) -> BTreeMap<String, u64> {
    let counts = [("queries", queries), ("errors", errors), ("rows", rows), ("connects", connects)];
    counts.map(|(name, count)| (format!("emr_{name}_total"), count)).into()
}

async fn each_repo_counts_what_it_does(db: &Db) {
    let (repo, snapshotter) = counted(db.options().pool_size(1));
    let (other, of_other) = counted(db.options());
    assert_eq!(counts(&repo, &snapshotter), expected(0, 0, 0, 0));

    repo.create_table::<Account>().await.unwrap();
    repo.insert_all(accounts(1..=7, "t")).await.unwrap();
    assert_eq!(counts(&repo, &snapshotter), expected(2, 0, 7, 1));
    repo.all(Account::query().limit(5)).await.unwrap();
    repo.fetch::<Account>(1).await.unwrap();
    repo.query("select * from accounts", &[]).await.unwrap();
    assert_eq!(counts(&repo, &snapshotter), expected(3, 0, 13, 0));

    repo.insert(accounts(1..=1, "t").remove(0)).await.unwrap_err();
    repo.fetch::<Account>(99).await.unwrap_err();
    repo.query("selec", &[]).await.unwrap_err();
    // Nothing of the kind is an error of the statement: it did what it should, and found no row.
    assert_eq!(counts(&repo, &snapshotter), expected(3, 2, 0, 0));

    let tx = repo.begin().await.unwrap();
    tx.update_all(Account::query().set(Account::PIN, 1)).await.unwrap();
    let streamed: Vec<Account> = tx.stream(Account::query()).try_collect().await.unwrap();
    assert_eq!(streamed.len(), 7);
    tx.script("select 1; select 2").await.unwrap();
    tx.rollback().await.unwrap();
    // The update, the cursor, one fetch, the script.
    assert_eq!(counts(&repo, &snapshotter), expected(4, 0, 14, 0));

    repo.insert_all(Vec::<Account>::new()).await.unwrap();
    repo.noop().unwrap();
    assert_eq!(counts(&repo, &snapshotter), expected(0, 0, 0, 0));
    assert_eq!(counts(&other, &of_other), expected(0, 0, 0, 0));
}

async fn connects_are_counted_when_they_succeed(db: &Db) {
    let (repo, snapshotter) = counted(db.options().pool_size(1));
    for _ in 0..3 {
        repo.query("select 1", &[]).await.unwrap();
        repo.disconnect_all();
    }
    assert_eq!(counts(&repo, &snapshotter), expected(3, 0, 3, 3));

    let nowhere = RepoOptions::server("postgres", "127.0.0.1", 1, "db", "user", "password");
    let (repo, snapshotter) = counted(nowhere);
    let error = repo.query("select 1", &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectFailed { .. }), "{error:?}");
    assert_eq!(counts(&repo, &snapshotter), expected(1, 1, 0, 0));
}
