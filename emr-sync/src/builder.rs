//! Starting an instance.

use std::fmt;
use std::sync::Arc;

use emr_core::watch::{Start, WatchSet, WatcherSpec};
use emr_core::{Error, RepoHandle, Result, SyncFault};

use crate::engine::{Engine, Settings, Shared, read, route};
use crate::sync::Sync;
use crate::transport::{LocalTransport, Transport};

/// An instance about to be started: see [`Sync::builder`].
#[must_use = "nothing runs until `start` is called"]
pub struct Builder {
    repo: RepoHandle,
    set: WatchSet,
    settings: Settings,
    installs: bool,
    reads: bool,
    start: Start,
    transport: Option<Arc<dyn Transport>>,
}

impl Builder {
    pub(crate) fn new(repo: &RepoHandle) -> Self {
        Builder {
            repo: repo.clone(),
            set: WatchSet::new(),
            settings: Settings { cache_bytes: 64 << 20, mailbox: 1_024, max_commit: 100_000 },
            installs: true,
            reads: true,
            start: Start::Now,
            transport: None,
        }
    }

    /// Watches this too: a struct with the associations to follow, or a table with a label.
    pub fn watch(mut self, spec: impl Into<WatcherSpec>) -> Self {
        self.set = self.set.watch(spec);
        self
    }

    /// Changes the settings of the watcher: the name of the application, heartbeat, retention.
    pub fn settings(mut self, change: impl FnOnce(WatchSet) -> WatchSet) -> Self {
        self.set = change(self.set);
        self
    }

    /// How many bytes of loaded rows are kept, roughly. Default 64 MiB.
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.settings.cache_bytes = bytes;
        self
    }

    /// How many commits wait for a slow subscriber. Default 1,024.
    pub fn mailbox(mut self, commits: usize) -> Self {
        self.settings.mailbox = commits;
        self
    }

    /// Of a commit with more changes than this, subscribers get a [`Resync`](crate::Delivery::resync). Default 100,000.
    pub fn max_commit(mut self, changes: usize) -> Self {
        self.settings.max_commit = changes;
        self
    }

    /// Leaves the triggers to [`Watcher::install`](emr_core::watch::Watcher::install), called when the program is deployed: then it
    /// needs no right to make them.
    pub fn without_install(mut self) -> Self {
        self.installs = false;
        self
    }

    /// Where to start reading changes. Default: with the next commit.
    pub fn start_at(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// How commits get from the reader of the log to the subscribers. Default: [`LocalTransport`].
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Only takes what another instance publishes on the transport: the log is not read.
    pub fn without_reading(mut self) -> Self {
        self.reads = false;
        self
    }

    /// Starts: makes what is missing of the triggers, and begins to read. When it returns, no commit is missed.
    ///
    /// Holds one connection beside the pool, and keeps the repo from being idle.
    ///
    /// # Errors
    /// Those of [`Watcher::install`](emr_core::watch::Watcher::install) and of [`Watcher::changes`](emr_core::watch::Watcher::changes);
    /// [`BadSetting`](SyncFault::BadSetting).
    pub async fn start(self) -> Result<Sync> {
        let bad = |setting, problem| Err(Error::sync(SyncFault::BadSetting { setting, problem }));
        if self.settings.mailbox == 0 {
            return bad("mailbox", "a mailbox holds at least one commit");
        }
        if self.settings.max_commit == 0 {
            return bad("max_commit", "a commit holds at least one change");
        }
        let watcher = self.repo.watcher(&self.set)?;
        if self.installs {
            watcher.install().await?;
        }
        let transport = self.transport.unwrap_or_else(|| Arc::new(LocalTransport::default()));
        let passed = transport.subscribe().await?;
        let shared = Arc::new(Shared::new(&self.repo, watcher.clone(), &self.settings));
        let mut engine = Engine { shared: Arc::clone(&shared), tasks: Vec::new() };
        if self.reads {
            let changes = watcher.changes(self.start).await?;
            shared.reach(changes.start());
            engine.tasks.push(tokio::spawn(read(Arc::clone(&shared), changes, transport)));
        }
        engine.tasks.push(tokio::spawn(route(shared, passed)));
        Ok(Sync { engine: Arc::new(engine) })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("set", &self.set).finish_non_exhaustive()
    }
}
