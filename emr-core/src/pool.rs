//! The connections of one repo.
//!
//! bb8 does the queueing. Connecting is ours: bb8 would hide the reason of a failed connect behind a
//! timeout, so the manager hands it to whoever waits.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bb8::{ManageConnection, PooledConnection, QueueStrategy};
use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::capabilities::Server;
use crate::connection::{Connection, Connector, PoolSplit, Role};
use crate::error::{ConnectFailure, Error, ErrorKind, Result, TransactionFault};

/// The pools of a running repo.
pub(crate) struct Pools {
    write: Part,
    read: Option<Part>,
    /// The database lives in its only connection: that one is never closed.
    single: bool,
    shared: Arc<Shared>,
}

struct Part {
    pool: bb8::Pool<Manager>,
    failed: watch::Receiver<Option<Arc<Error>>>,
}

/// What the connections of one repo share.
struct Shared {
    connector: Arc<dyn Connector>,
    server: Arc<OnceLock<Server>>,
    /// Connections of an older generation are closed when they come back.
    generation: AtomicU64,
    connects: metrics::Counter,
    open: AtomicU32,
    /// Connections that are being brought back from an abandoned statement.
    recovering: watch::Sender<u32>,
}

/// Connects, and judges what comes back.
struct Manager {
    shared: Arc<Shared>,
    role: Role,
}

/// Hands the reason of a failed connect to whoever waits. bb8 calls it once it counts the connect no more, so
/// that a waiter who tries again at once makes a new one.
#[derive(Debug)]
struct Failures(watch::Sender<Option<Arc<Error>>>);

impl bb8::ErrorSink<Error> for Failures {
    fn sink(&self, error: Error) {
        self.0.send_replace(Some(Arc::new(error)));
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<Error>> {
        Box::new(Failures(self.0.clone()))
    }
}

/// A connection and what the pool knows of it.
struct Slot {
    connection: Box<dyn Connection>,
    generation: u64,
    used: bool,
    last_used: Instant,
    runtime: Handle,
    shared: Arc<Shared>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ManageConnection for Manager {
    type Connection = Slot;
    type Error = Error;

    async fn connect(&self) -> Result<Slot> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        match connect(&*self.shared.connector, self.role).await {
            Ok(connection) => {
                self.shared.connects.increment(1);
                self.shared.server.get_or_init(|| Server::of(&*connection));
                self.shared.open.fetch_add(1, Ordering::Relaxed);
                let shared = Arc::clone(&self.shared);
                let runtime = Handle::current();
                Ok(Slot { connection, generation, used: false, last_used: Instant::now(), runtime, shared })
            }
            Err(error) => Err(error),
        }
    }

    async fn is_valid(&self, _slot: &mut Slot) -> Result<()> {
        // No ping at checkout: the first statement finds out, and is sent again where that is safe.
        Ok(())
    }

    fn has_broken(&self, slot: &mut Slot) -> bool {
        !slot.connection.is_clean() || slot.generation != self.shared.generation.load(Ordering::Acquire)
    }
}

/// Makes one connection within the connect timeout.
pub(crate) async fn connect(connector: &dyn Connector, role: Role) -> Result<Box<dyn Connection>> {
    let limit = connector.connect_timeout();
    match timeout(limit, connector.connect(role)).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(ErrorKind::ConnectFailed {
            target: connector.target(),
            reason: format!("no answer within the connect_timeout of {limit:?}"),
            cause: ConnectFailure::Timeout,
        })),
    }
}

impl Pools {
    pub(crate) fn new(
        connector: Arc<dyn Connector>,
        size: u32,
        server: Arc<OnceLock<Server>>,
        connects: metrics::Counter,
    ) -> Self {
        let split = connector.split();
        let shared = Arc::new(Shared {
            connector,
            server,
            generation: AtomicU64::new(0),
            connects,
            open: AtomicU32::new(0),
            recovering: watch::Sender::new(0),
        });
        let part = |size: u32, role: Role| {
            let (failed_in, failed) = watch::channel(None);
            let manager = Manager { shared: Arc::clone(&shared), role };
            let pool = bb8::Pool::builder()
                .max_size(size)
                .test_on_check_out(false)
                .retry_connection(false)
                .error_sink(Box::new(Failures(failed_in)))
                .idle_timeout(None)
                .max_lifetime(None)
                .connection_timeout(Duration::MAX)
                .queue_strategy(QueueStrategy::Lifo)
                .build_unchecked(manager);
            Part { pool, failed }
        };
        let (write, read) = match split {
            PoolSplit::Shared => (part(size, Role::Write), None),
            PoolSplit::Single => (part(1, Role::Write), None),
            PoolSplit::OneWriter if size == 1 => (part(1, Role::Write), None),
            PoolSplit::OneWriter => (part(1, Role::Write), Some(part(size - 1, Role::Read))),
        };
        Pools { write, read, single: split == PoolSplit::Single, shared }
    }

    fn part(&self, role: Role) -> &Part {
        match (role, &self.read) {
            (Role::Read, Some(read)) => read,
            _ => &self.write,
        }
    }

    /// Waits for a connection. Bounded by the caller; may be dropped at any time.
    pub(crate) async fn get(&self, role: Role) -> Result<Pooled> {
        let part = self.part(role);
        loop {
            let mut failed = part.failed.clone();
            failed.mark_unchanged();
            let mut slot = tokio::select! {
                biased;
                slot = part.pool.get_owned() => slot.map_err(|error| match error {
                    bb8::RunError::User(error) => error,
                    bb8::RunError::TimedOut => Error::connection_lost("the pool gave up waiting"),
                })?,
                error = connect_failure(&mut failed, &part.pool) => return Err(error),
            };
            // One that closed while it lay idle is dropped here, and the next one taken.
            if slot.connection.is_closed() {
                continue;
            }
            if slot.used
                && slot.connection.is_in_doubt(slot.last_used.into_std())
                && slot.connection.check().await.is_err()
            {
                slot.generation = u64::MAX;
                continue;
            }
            return Ok(Pooled { slot: Some(slot) });
        }
    }

    /// Open connections, and how many of them are idle.
    pub(crate) fn counts(&self) -> (u32, u32) {
        let idle = |part: &Part| part.pool.state().idle_connections;
        let idle = idle(&self.write) + self.read.as_ref().map_or(0, idle);
        (self.shared.open.load(Ordering::Relaxed), idle)
    }

    /// Waits until no abandoned statement runs at the server any more, at most this long.
    pub(crate) async fn settle(&self, limit: Duration) {
        let mut recovering = self.shared.recovering.subscribe();
        let _ = timeout(limit, recovering.wait_for(|count| *count == 0)).await;
    }

    /// Closes idle connections now, and those in use when they come back.
    pub(crate) fn disconnect_all(&self) {
        if self.single {
            return;
        }
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        self.close_idle(None);
    }

    /// Closes connections that have not been used for this long; all idle ones for `None`.
    pub(crate) fn close_idle(&self, unused_for: Option<Duration>) {
        if self.single {
            return;
        }
        let now = Instant::now();
        for part in [Some(&self.write), self.read.as_ref()].into_iter().flatten() {
            let idle = part.pool.state().idle_connections;
            let mut kept = Vec::new();
            for _ in 0..idle {
                let Some(Ok(mut slot)) = part.pool.get_owned().now_or_never() else { break };
                if unused_for.is_none_or(|limit| now.saturating_duration_since(slot.last_used) >= limit) {
                    slot.generation = u64::MAX;
                } else {
                    kept.push(slot);
                }
            }
            // Back in the order in which they lay, so that the busiest stays in front.
            while let Some(slot) = kept.pop() {
                drop(slot);
            }
        }
    }
}

/// Ends with the reason when a connect of this pool fails. While other connections live, a server that
/// has none left is no reason to stop waiting for one of ours.
async fn connect_failure(failed: &mut watch::Receiver<Option<Arc<Error>>>, pool: &bb8::Pool<Manager>) -> Error {
    loop {
        if failed.changed().await.is_err() {
            return std::future::pending().await;
        }
        let Some(error) = failed.borrow_and_update().clone() else { continue };
        let full = matches!(error.kind(), ErrorKind::ConnectFailed { cause: ConnectFailure::Unavailable, .. });
        if !(full && pool.state().connections > 0) {
            return error.share();
        }
    }
}

/// A connection out of the pool. When it is dropped it goes back: at once if it is clean, else after it
/// was recovered, which happens in the background.
pub(crate) struct Pooled {
    slot: Option<PooledConnection<'static, Manager>>,
}

impl Pooled {
    /// The connection. `None` never happens before `drop`.
    pub(crate) fn connection(&mut self) -> Result<&mut (dyn Connection + 'static)> {
        match &mut self.slot {
            Some(slot) => {
                slot.used = true;
                Ok(&mut *slot.connection)
            }
            None => Err(Error::connection_lost("the connection was given back")),
        }
    }

    /// Whether somebody used it before: then it may have died while it lay idle.
    pub(crate) fn is_reused(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| slot.used)
    }

    /// Refuses a transaction that a statement left open outside of any. Whoever gets the connection next does not see
    /// it: it is not clean, and so rolled back first.
    pub(crate) fn refuse_left_open(&self) -> Result<()> {
        match &self.slot {
            Some(slot) if slot.connection.in_transaction() => Err(Error::transaction(TransactionFault::LeftOpen)),
            _ => Ok(()),
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| slot.connection.is_clean())
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(mut slot) = self.slot.take() else { return };
        slot.last_used = Instant::now();
        if slot.connection.is_clean() {
            return;
        }
        // If the runtime is gone this drops the slot at once; it is not clean, so the pool closes it.
        let runtime = Handle::try_current().unwrap_or_else(|_| slot.runtime.clone());
        let recovering = Recovering::begin(&slot.shared);
        runtime.spawn(async move {
            match timeout(RECOVERY, slot.connection.recover()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "an abandoned connection was closed"),
                // Its future is dropped, so it is not clean, and the pool closes it.
                Err(_) => tracing::debug!("an abandoned connection did not come back in time"),
            }
            drop(slot);
            drop(recovering);
        });
    }
}

/// The longest wait for a connection that is being brought back; its server may be gone.
const RECOVERY: Duration = Duration::from_secs(15);

/// Counts a recovery, to its end or to the end of the runtime.
struct Recovering(Arc<Shared>);

impl Recovering {
    fn begin(shared: &Arc<Shared>) -> Self {
        shared.recovering.send_modify(|count| *count += 1);
        Recovering(Arc::clone(shared))
    }
}

impl Drop for Recovering {
    fn drop(&mut self) {
        self.0.recovering.send_modify(|count| *count -= 1);
    }
}
