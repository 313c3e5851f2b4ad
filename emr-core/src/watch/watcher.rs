//! A set of watched tables on one repo.

use std::fmt;
use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::caps::WatcherCaps;
use super::changes::Changes;
use super::fault::WatchFault;
use super::follow::{Follower, Standing};
use super::item::Start;
use super::log::ChangeLog;
use super::plan::{Drift, Installed, Plan};
use super::resolve::{Resolved, Watched, resolve};
use super::set::WatchSet;
use super::token::Token;
use crate::error::{Error, Result};
use crate::exec::{Executor, bounded};
use crate::handle::RepoHandle;
use crate::schema::Schema;

/// Items on the way to the program, beside the room that their changes take.
const INBOX: usize = 256;

/// Watches tables of one repo's database: installs what it takes, and reads what was changed. Cheap to clone.
///
/// ```no_run
/// # use emr_core::{RepoHandle, Result};
/// use emr_core::watch::{Item, Start, WatchSet, WatcherSpec};
///
/// # async fn f(repo: RepoHandle) -> Result<()> {
/// let watcher = repo.watcher(&WatchSet::new().watch(WatcherSpec::table("posts").label("posts")))?;
/// watcher.install().await?;
/// let mut changes = watcher.changes(Start::Now).await?;
/// while let Some(item) = changes.recv().await {
///     if let Item::Txn(txn) = item? {
///         println!("{} changes", txn.changes.len());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Watcher {
    repo: RepoHandle,
    log: Arc<dyn ChangeLog>,
    set: Arc<Resolved>,
}

impl RepoHandle {
    /// Watches these tables of the repo's database. Without I/O: [`install`](Watcher::install) or [`changes`](Watcher::changes) asks the database.
    ///
    /// # Errors
    /// [`Watch`](crate::ErrorKind::Watch) if the set contradicts itself; [`Unsupported`](crate::ErrorKind::Unsupported) where the backend has no watcher.
    pub fn watcher(&self, set: &WatchSet) -> Result<Watcher> {
        let prefix = self.call_options().prefix;
        let make = || {
            let resolved = resolve(set, prefix.as_ref())?;
            let log = self.inner.adapter.change_log(&self.inner.options)?;
            Ok(Watcher { repo: self.clone(), log, set: Arc::new(resolved) })
        };
        make().map_err(|error: Error| error.with_repo(self.inner.id()))
    }
}

impl Watcher {
    /// What the watcher sees and promises on this backend. Without I/O.
    pub fn caps(&self) -> WatcherCaps {
        self.log.caps()
    }

    /// The watched tables, those of followed associations among them.
    pub fn tables(&self) -> &[Arc<Watched>] {
        &self.set.tables
    }

    /// The labels that were given.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.set.tables.iter().flat_map(|table| &table.labels).filter_map(|label| label.name.as_deref())
    }

    /// What is watched under a label: table, key and carried columns.
    ///
    /// # Errors
    /// [`UnknownLabel`](WatchFault::UnknownLabel), with the labels that there are.
    pub fn details(&self, label: &str) -> Result<&Arc<Watched>> {
        let has = |table: &&Arc<Watched>| table.labels.iter().any(|known| known.name.as_deref() == Some(label));
        self.set.tables.iter().find(has).ok_or_else(|| {
            let known = self.labels().map(str::to_owned).collect();
            Error::watch(WatchFault::UnknownLabel { label: label.to_owned(), known }).with_repo(self.repo.inner.id())
        })
    }

    /// What is watched as this struct.
    pub fn details_of(&self, schema: &'static Schema) -> Option<&Arc<Watched>> {
        let is = |table: &&Arc<Watched>| table.labels.iter().any(|label| label.schema == Some(schema));
        self.set.tables.iter().find(is)
    }

    /// Whether these columns of a struct's table are carried.
    pub fn covers(&self, schema: &'static Schema, columns: &[&str]) -> bool {
        self.details_of(schema).is_some_and(|table| columns.iter().all(|column| table.position(column).is_some()))
    }

    /// The statements that [`install`](Watcher::install) would run on a database where nothing is installed, to be printed or kept as a
    /// migration.
    ///
    /// # Errors
    /// [`Watch`](crate::ErrorKind::Watch) for tables and columns that do not exist or cannot be watched; those of connecting.
    pub async fn plan(&self) -> Result<Plan> {
        self.call(self.log.plan(&self.set)).await
    }

    /// Makes triggers and change log, or what of them is missing or of another definition. Any number of processes may do so at
    /// once. A table that stays locked by others is given up after the [`lock_timeout`](WatchSet::lock_timeout): writers are not held up.
    ///
    /// # Errors
    /// As [`plan`](Watcher::plan), and [`Denied`](WatchFault::Denied), [`Locked`](WatchFault::Locked).
    pub async fn install(&self) -> Result<Installed> {
        self.unbounded(self.log.install(&self.set)).await
    }

    /// What is not as [`install`](Watcher::install) would leave it. Changes nothing.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn verify(&self) -> Result<Vec<Drift>> {
        self.call(self.log.verify(&self.set)).await
    }

    /// The statements that let a role read the changes, keep positions and remove old changes, and no more: it neither installs nor
    /// sees the watched tables. Who writes needs no rights at all. Run them after [`install`](Watcher::install); empty where the backend has no roles.
    pub fn grants(&self, role: &str) -> Vec<String> {
        self.log.grants(&self.set, role)
    }

    /// Removes triggers and change log of this application, and nothing of others. Returns what was removed.
    ///
    /// # Errors
    /// As [`install`](Watcher::install).
    pub async fn uninstall(&self) -> Result<Vec<String>> {
        self.unbounded(self.log.uninstall(&self.set)).await
    }

    /// The position after the last commit: a reader that has reached it has seen all that was committed before the call.
    ///
    /// # Errors
    /// [`NotInstalled`](WatchFault::NotInstalled); those of connecting.
    pub async fn head(&self) -> Result<Token> {
        self.call(self.log.head(&self.set)).await
    }

    /// Reads changes from a position on. When the call returns, the position is fixed: every commit after it will come.
    /// Holds one connection beside the pool, and keeps the repo from being idle.
    ///
    /// # Errors
    /// [`NotInstalled`](WatchFault::NotInstalled), [`ForeignToken`](WatchFault::ForeignToken); those of connecting.
    pub async fn changes(&self, start: Start) -> Result<Changes> {
        let lifecycle = &self.repo.inner.lifecycle;
        let activity = lifecycle.enter()?;
        let opened = self.call(self.log.open(&self.set, &start, None)).await?;
        let (out, inbox) = mpsc::channel(INBOX);
        let (ack_sender, acks) = mpsc::channel(16);
        let now = Instant::now();
        let standing = Standing { last_progress: now, last_level: now, connected: true, last_error: None };
        let standing = Arc::new(Mutex::new(standing));
        let token = opened.token.clone();
        let follower = Follower {
            log: Arc::clone(&self.log),
            set: Arc::clone(&self.set),
            out,
            acks,
            standing: Arc::clone(&standing),
            // Two whole parts of a large commit, one read and one on its way.
            room: Arc::new(Semaphore::new(self.set.max_events.saturating_mul(2).min(Semaphore::MAX_PERMITS))),
            lifecycle: Arc::clone(lifecycle),
            token: token.clone(),
            consumer: opened.consumer.clone(),
            drift: Vec::new(),
            next_progress: now,
            next_verify: now + self.set.verify_every,
            _activity: activity,
        };
        let task = tokio::spawn(follower.run(opened));
        Ok(Changes { inbox, acks: ack_sender, standing, start: token, task })
    }

    /// A call within the repo's timeout.
    async fn call<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let _activity = self.repo.inner.enter()?;
        bounded(&self.repo, self.repo.call_options().timeout, &AtomicBool::new(true), work).await
    }

    /// A call whose length depends on how many tables there are; each of its statements is bounded by itself.
    async fn unbounded<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let _activity = self.repo.inner.enter()?;
        bounded(&self.repo, crate::options::Timeout::Infinite, &AtomicBool::new(true), work).await
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("repo", &self.repo).field("set", &self.set).finish_non_exhaustive()
    }
}
