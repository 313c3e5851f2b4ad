//! The watcher on real files, beside other connections, other programs and other processes.

#[path = "../../../tests/watch/items.rs"]
mod items;
mod log;
mod processes;
mod schema;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use emr_core::watch::{Changes, Event, Item, ResyncReason, Start, WatchSet, Watcher, WatcherSpec};
use emr_core::{Repo, RepoHandle, RepoOptions, open};
use emr_sqlite as _;
pub(crate) use items::{int, next_item, next_txn};
use tempfile::TempDir;

/// A file in a directory of its own, and a repo on it.
pub(crate) struct File {
    pub(crate) repo: RepoHandle,
    pub(crate) path: PathBuf,
    _directory: TempDir,
}

impl File {
    pub(crate) async fn with(script: &str) -> File {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("test.db");
        let repo = open_path(&path).await;
        repo.script(script).await.expect(script);
        File { repo, path, _directory: directory }
    }

    /// Another program, which knows nothing of watchers.
    pub(crate) fn foreign(&self) -> rusqlite::Connection {
        let db = rusqlite::Connection::open(&self.path).expect("the file");
        db.busy_timeout(Duration::from_mins(1)).expect("a timeout");
        db
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.repo.query(sql, &[]).await.expect(sql);
    }

    pub(crate) fn watcher(&self, set: &WatchSet) -> Watcher {
        self.repo.watcher(set).expect("a watcher")
    }

    /// An installed watcher and what follows.
    pub(crate) async fn follow(&self, set: &WatchSet) -> (Watcher, Changes) {
        let watcher = self.watcher(set);
        watcher.install().await.expect("installed");
        let changes = watcher.changes(Start::Now).await.expect("changes");
        (watcher, changes)
    }
}

pub(crate) async fn open_path(path: &std::path::Path) -> RepoHandle {
    open(RepoOptions::sqlite(path.to_str().expect("Unicode"))).await.expect("a repo")
}

/// A set that watches a table with these columns beside its key.
pub(crate) fn set(table: &'static str, columns: &[&'static str]) -> WatchSet {
    WatchSet::new()
        .heartbeat(Duration::from_millis(500))
        .watch(WatcherSpec::table(table).label("it").extra_columns(columns.iter().copied()))
}

pub(crate) async fn next_resync(changes: &mut Changes) -> ResyncReason {
    match next_item(changes).await {
        Item::Resync { reason, .. } => reason,
        other => panic!("a resync was to come, not {other:?}"),
    }
}

/// The next changes, however they are put together.
pub(crate) async fn next_events(changes: &mut Changes, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(next_txn(changes).await.changes.iter().cloned());
    }
    assert_eq!(events.len(), count, "{events:?}");
    events
}
