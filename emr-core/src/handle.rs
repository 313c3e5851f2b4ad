//! A running repo.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::adapter::Adapter;
use crate::capabilities::{Capabilities, Server};
use crate::connection::{Connector, Role};
use crate::dialect::Dialect;
use crate::error::{ConnectFailure, Error, ErrorKind, Result};
use crate::exec::{CallOptions, Executor, bounded};
use crate::lifecycle::{Activity, Lifecycle};
use crate::multi_repo::Definition;
use crate::observe::Counters;
use crate::options::{RepoOptions, Timeout};
use crate::pool::{Pooled, Pools};
use crate::sweeper;
use crate::transaction::TxCore;

/// A running repo: cheap to clone, usable from any task and thread.
///
/// It is plain data: dropping the last handle does not stop the repo, and a stopped repo answers every
/// call with [`Stopped`](crate::ErrorKind::Stopped). A repo that nobody uses holds no connection, no task and no
/// thread once its idle connections were closed.
#[derive(Clone)]
pub struct RepoHandle {
    pub(crate) inner: Arc<RepoInner>,
    /// What calls on this handle go by, where that is not what the repo was started with.
    own: Option<Arc<CallOptions>>,
}

/// What all handles of one repo share.
pub(crate) struct RepoInner {
    pub(crate) options: Box<RepoOptions>,
    pub(crate) adapter: &'static dyn Adapter,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) counters: Counters,
    /// Known from the first connection on.
    server: Arc<OnceLock<Server>>,
    pub(crate) transactions: AtomicU32,
    /// The open transactions, to roll them back when the repo is stopped over them.
    open: Mutex<BTreeMap<usize, Weak<TxCore>>>,
    /// The definition whose registry holds the repo.
    definition: Option<&'static Definition>,
    pools: Mutex<Option<Arc<Pools>>>,
}

/// What runs in a repo at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepoStats {
    /// The repo's id.
    pub id: String,
    /// The adapter's name.
    pub backend: &'static str,
    /// Open connections.
    pub connections: u32,
    /// Open connections that nobody uses.
    pub idle_connections: u32,
    /// Running calls, open transactions, streams and checkouts.
    pub running: u64,
    /// Open transactions.
    pub transactions: u32,
    /// Whether it was stopped.
    pub stopped: bool,
}

impl RepoHandle {
    /// A repo of these settings. No I/O.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for wrong settings.
    pub(crate) fn new(id: Arc<str>, options: RepoOptions, definition: Option<&'static Definition>) -> Result<Self> {
        let (adapter, mut connector) = options.connector()?;
        for layer in &options.layers {
            connector = layer.wrap(connector)?;
        }
        let counters = Counters::new(&id, adapter.name());
        let inner = RepoInner {
            adapter,
            connector,
            lifecycle: Arc::new(Lifecycle::new(id)),
            counters,
            server: Arc::new(OnceLock::new()),
            transactions: AtomicU32::new(0),
            open: Mutex::new(BTreeMap::new()),
            definition,
            pools: Mutex::new(None),
            options: Box::new(options),
        };
        let handle = RepoHandle { inner: Arc::new(inner), own: None };
        if let Timeout::After(limit) = handle.inner.options.effective_idle_timeout() {
            sweeper::watch_repo(&handle.inner, limit);
        }
        Ok(handle)
    }

    /// The same repo as a handle whose calls, transactions and checkouts go by these options: the prefix of a tenant, its
    /// interceptors, a handle for reports that is read-only. The repo runs on as one: its connections, its stop and its id
    /// are those of all handles.
    ///
    /// ```
    /// # use emr_core::{Repo, RepoHandle, Timeout};
    /// # fn f(repo: RepoHandle) {
    /// let reports = repo.with_options(repo.with_timeout(Timeout::Infinite).read_only().default_options());
    /// # }
    /// ```
    pub fn with_options(&self, options: CallOptions) -> RepoHandle {
        RepoHandle { inner: Arc::clone(&self.inner), own: Some(Arc::new(options)) }
    }

    pub(crate) fn own_options(&self) -> Option<&CallOptions> {
        self.own.as_deref()
    }

    /// Makes the first connection now.
    pub(crate) async fn connect(&self) -> Result<()> {
        let lease =
            bounded(self, self.call_options().timeout, &AtomicBool::new(false), self.lease(Role::Write)).await?;
        lease.into_pooled().map(drop)
    }

    /// The id that the repo was started with.
    pub fn id(&self) -> &str {
        self.inner.lifecycle.id()
    }

    /// The name of the adapter.
    pub fn backend(&self) -> &'static str {
        self.inner.adapter.name()
    }

    /// Counts of what runs. Without I/O.
    pub fn stats(&self) -> RepoStats {
        let (connections, idle_connections) = self.inner.pools().map_or((0, 0), |pools| pools.counts());
        RepoStats {
            id: self.id().to_owned(),
            backend: self.backend(),
            connections,
            idle_connections,
            running: self.inner.lifecycle.running(),
            transactions: self.inner.transactions.load(Ordering::Relaxed),
            stopped: self.inner.lifecycle.is_stopped(),
        }
    }

    /// Stops the repo: new calls are refused at once, running ones may end within `drain`, then they are cut
    /// off and open transactions rolled back; streams and checkouts that are still held end with their next
    /// call. Stopping a stopped repo does nothing.
    ///
    /// Returns how many calls, transactions and streams were cut off.
    pub async fn stop(&self, drain: Duration) -> u64 {
        self.inner.lifecycle.stop();
        let cut = self.inner.lifecycle.drain(drain).await;
        if cut > 0 {
            self.inner.cut_transactions();
        }
        self.inner.close();
        cut
    }

    /// Closes all idle connections, and those in use when they come back.
    pub fn disconnect_all(&self) {
        if let Some(pools) = self.inner.pools() {
            pools.disconnect_all();
        }
    }
}

impl fmt::Debug for RepoHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepoHandle")
            .field("id", &self.id())
            .field("backend", &self.backend())
            .field("target", &self.inner.connector.target())
            .finish_non_exhaustive()
    }
}

impl RepoInner {
    pub(crate) fn id(&self) -> &Arc<str> {
        self.lifecycle.id()
    }

    /// The server: known from the first connection on, until then the least that one can be.
    fn server(&self) -> Server {
        self.server.get().copied().unwrap_or_else(|| Server::least(self.adapter.dialect()))
    }

    /// How the server spells SQL. Ask where a connection is at hand: before the first one, this is a guess.
    pub(crate) fn dialect(&self) -> &'static dyn Dialect {
        self.server.get().map_or_else(|| self.adapter.dialect(), |server| server.dialect)
    }

    /// Whether a connection was made, so that the server is known.
    pub(crate) fn knows_server(&self) -> bool {
        self.server.get().is_some()
    }

    /// What the server can do: known from the first connection on, until then the least.
    pub(crate) fn capabilities(&self) -> &'static Capabilities {
        self.server().capabilities
    }

    /// The error for a call that no connection came free for.
    pub(crate) fn pool_timeout(&self, waited: Duration) -> Error {
        let (open, idle) = self.pools().map_or((0, 0), |pools| pools.counts());
        if open == 0 {
            // Nobody holds a connection: the server has not given us one.
            return Error::new(ErrorKind::ConnectFailed {
                target: self.connector.target(),
                reason: format!("no answer within the call's timeout of {waited:?}"),
                cause: ConnectFailure::Timeout,
            });
        }
        let in_use = open.saturating_sub(idle);
        let in_transactions = self.transactions.load(Ordering::Relaxed);
        Error::new(ErrorKind::PoolTimeout { waited, in_use, in_transactions })
    }

    /// Begins a use of the repo.
    pub(crate) fn enter(&self) -> Result<Activity> {
        self.lifecycle.enter()
    }

    /// Waits for a connection; bounded by the caller.
    pub(crate) async fn connection(self: &Arc<Self>, role: Role) -> Result<Pooled> {
        let pools = {
            let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            if self.lifecycle.is_cut() {
                return Err(self.lifecycle.stopped_error());
            }
            Arc::clone(pools.get_or_insert_with(|| {
                if let Timeout::After(limit) = self.options.effective_connection_idle_timeout() {
                    sweeper::watch_connections(self, limit);
                }
                Arc::new(Pools::new(
                    Arc::clone(&self.connector),
                    self.options.effective_pool_size(),
                    Arc::clone(&self.server),
                    self.counters.connects.clone(),
                ))
            }))
        };
        pools.get(role).await.map_err(|error| error.with_repo(self.id()))
    }

    pub(crate) fn pools(&self) -> Option<Arc<Pools>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes an open transaction.
    pub(crate) fn opened(&self, transaction: &Arc<TxCore>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(Arc::as_ptr(transaction).addr(), Arc::downgrade(transaction));
        self.transactions.fetch_add(1, Ordering::Relaxed);
    }

    /// Forgets a transaction.
    pub(crate) fn closed(&self, transaction: &TxCore) {
        self.transactions.fetch_sub(1, Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&std::ptr::from_ref(transaction).addr());
    }

    pub(crate) fn cut_transactions(&self) {
        let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        for transaction in open.into_values().filter_map(|transaction| transaction.upgrade()) {
            transaction.cut();
        }
    }

    /// Closes all connections of a stopped repo, and forgets it.
    pub(crate) fn close(&self) {
        if let Some(definition) = self.definition {
            definition.forget(self);
        }
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pools) = pools {
            pools.disconnect_all();
        }
        self.connector.stopped();
    }
}
