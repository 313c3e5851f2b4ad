//! One instance: what its handles, inboxes and tasks share.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use emr_core::watch::{Changes, Item, Token, Txn, Watcher};
use emr_core::{Error, RepoHandle, Result, SyncFault};
use smallvec::SmallVec;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cache::Cache;
use crate::routes::Routes;
use crate::synced::{FollowedQuery, Queries, queries};
use crate::tables::Tables;
use crate::transport::{Passed, PassedStream, Transport};

/// An instance, as long as a handle or an inbox of it is held.
pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tasks: Vec<JoinHandle<()>>,
}

/// What the tasks of an instance know of it.
pub(crate) struct Shared {
    /// Tells instances of this process apart.
    pub(crate) instance: u64,
    pub(crate) repo: RepoHandle,
    pub(crate) watcher: Watcher,
    pub(crate) tables: Tables,
    pub(crate) cache: Cache,
    pub(crate) queries: Queries,
    followed: Mutex<Vec<Weak<FollowedQuery>>>,
    pub(crate) mailbox: usize,
    max_commit: usize,
    routes: Mutex<Routes>,
    /// Counts commits.
    version: AtomicU64,
    reached: watch::Sender<Reached>,
}

/// How far the routing is.
#[derive(Debug, Clone)]
pub(crate) struct Reached {
    pub(crate) token: Option<Token>,
    /// Why it goes no further.
    pub(crate) end: Option<Arc<Error>>,
}

pub(crate) struct Settings {
    pub(crate) cache_bytes: u64,
    pub(crate) mailbox: usize,
    pub(crate) max_commit: usize,
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    pub(crate) fn new(repo: &RepoHandle, watcher: Watcher, settings: &Settings) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let tables = Tables::new(watcher.tables(), emr_core::walk::prefix_of(repo));
        let (reached, _) = watch::channel(Reached { token: None, end: None });
        Shared {
            instance: NEXT.fetch_add(1, Ordering::Relaxed),
            repo: repo.clone(),
            cache: Cache::new(settings.cache_bytes),
            queries: queries(),
            followed: Mutex::default(),
            mailbox: settings.mailbox,
            max_commit: settings.max_commit,
            routes: Mutex::new(Routes::new(tables.len())),
            version: AtomicU64::new(1),
            tables,
            watcher,
            reached,
        }
    }

    pub(crate) fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same query, where somebody follows it already: what is asked for one is then found for all by its address.
    pub(crate) fn known(&self, query: FollowedQuery) -> Arc<FollowedQuery> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.retain(|known| known.strong_count() > 0);
        if let Some(known) = followed.iter().filter_map(Weak::upgrade).find(|known| **known == query) {
            return known;
        }
        let query = Arc::new(query);
        followed.push(Arc::downgrade(&query));
        query
    }

    /// The last commit that was routed.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// A version that nothing was loaded for yet.
    pub(crate) fn next_version(&self) -> u64 {
        self.version.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(crate) fn reach(&self, token: &Token) {
        self.reached.send_modify(|reached| reached.token = Some(token.clone()));
    }

    /// Waits until all that a reader at `token` has was put into the mailboxes.
    pub(crate) async fn wait(&self, token: &Token) -> Result<()> {
        let mut reached = self.reached.subscribe();
        let is_there = |reached: &Reached| {
            reached.end.is_some() || reached.token.as_ref().is_some_and(|reached| reached.covers(token))
        };
        let ended = || Error::sync(SyncFault::Ended { reason: "the instance is gone".to_owned() });
        let reached = reached.wait_for(is_there).await.map_err(|_| ended())?.clone();
        match (reached.token, reached.end) {
            (Some(reached), _) if reached.covers(token) => Ok(()),
            (_, Some(end)) => Err(end.share()),
            _ => Err(ended()),
        }
    }

    /// The end, if it has come.
    pub(crate) fn ended(&self) -> Option<Error> {
        self.reached.borrow().end.as_ref().map(|error| error.share())
    }

    /// Nothing comes any more.
    fn end(&self, error: Error) {
        let error = Arc::new(error);
        for mailbox in self.routes().mailboxes() {
            mailbox.end(Some(error.share()));
        }
        self.reached.send_modify(|reached| reached.end = Some(error));
    }

    fn resync(&self, reason: &str) {
        let reason = Arc::from(reason);
        // Before the mailboxes: who reads on must not find what was loaded before.
        self.cache.clear();
        self.queries.clear();
        let version = self.next_version();
        let mut routes = self.routes();
        routes.give_up();
        for mailbox in routes.mailboxes() {
            mailbox.resync(&reason, version);
        }
    }
}

/// Reads the log and publishes what it reads.
pub(crate) async fn read(shared: Arc<Shared>, mut changes: Changes, transport: Arc<dyn Transport>) {
    let mut has_failed = false;
    while let Some(item) = changes.recv().await {
        let item = match item {
            Ok(item) => item,
            Err(error) => return shared.end(error),
        };
        if let Err(error) = transport.publish(item).await {
            tracing::warn!(repo = %shared.repo.id(), %error, "a commit could not be passed on");
            has_failed = true;
        } else if std::mem::take(&mut has_failed) {
            shared.resync("the transport failed");
        }
    }
    shared.end(Error::sync(SyncFault::Ended { reason: "the watcher has ended".to_owned() }));
}

/// Routes what is published to the mailboxes.
pub(crate) async fn route(shared: Arc<Shared>, mut passed: PassedStream) {
    let mut open = Open::default();
    loop {
        match poll_fn(|context| passed.as_mut().poll_next(context)).await {
            Some(Ok(Passed::Item(Item::Txn(txn)))) => open.txn(&shared, txn),
            Some(Ok(Passed::Item(Item::Progress { token, .. }))) => shared.reach(&token),
            Some(Ok(Passed::Item(Item::Resync { reason, token, .. }))) => {
                open = Open::default();
                shared.resync(&reason.to_string());
                shared.reach(&token);
            }
            Some(Ok(Passed::Gap)) => {
                open = Open::default();
                shared.resync("the transport lost changes");
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return shared.end(error),
            None => return shared.end(Error::sync(SyncFault::Ended { reason: "the transport has ended".to_owned() })),
        }
    }
}

/// A commit whose last part has not come yet.
#[derive(Default)]
struct Open {
    parts: SmallVec<[Arc<Txn>; 1]>,
    changes: usize,
}

impl Open {
    fn txn(&mut self, shared: &Shared, txn: Arc<Txn>) {
        let is_last = txn.part.is_none_or(emr_core::watch::Part::is_last);
        if txn.part.is_none_or(|part| part.number == 1) && !self.parts.is_empty() {
            // The same commit from its start, after an outage of the reader.
            shared.routes().give_up();
            self.parts.clear();
            self.changes = 0;
        }
        let version = shared.version() + 1;
        let token = txn.token.clone();
        self.changes += txn.changes.len();
        let mut routes = shared.routes();
        routes.note(&shared.tables, version, u32::try_from(self.parts.len()).unwrap_or(u32::MAX), &txn);
        if self.changes <= shared.max_commit {
            self.parts.push(txn);
        }
        if !is_last {
            return;
        }
        let version = shared.next_version();
        if self.changes > shared.max_commit {
            let reason = Arc::from("the commit was larger than max_commit");
            for mailbox in routes.give_up() {
                mailbox.resync(&reason, version);
            }
        } else {
            routes.deliver(version, &self.parts);
        }
        drop(routes);
        *self = Open::default();
        shared.reach(&token);
    }
}
