//! Transactions: one connection, savepoints for nested ones.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until};

use crate::capabilities::{Capabilities, IsolationLevel};
use crate::checkout::CheckoutCore;
use crate::connection::{Begin, Connection, Control, CursorId};
use crate::error::{Error, Result, TransactionFault};
use crate::exec::{Executor, bounded};
use crate::handle::RepoInner;
use crate::lifecycle::Activity;
use crate::pool::Pooled;

/// How a transaction begins and how long it may take.
///
/// ```
/// # use std::time::Duration;
/// # use emr_core::{IsolationLevel, TransactionOptions};
/// let options = TransactionOptions::new().isolation(IsolationLevel::Serializable).timeout(Duration::from_secs(5));
/// ```
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[must_use = "options do nothing until a transaction begins with them"]
pub struct TransactionOptions {
    pub(crate) begin: Begin,
    pub(crate) timeout: Option<Duration>,
    pub(crate) flat: bool,
}

impl TransactionOptions {
    /// The server's default isolation, read-write, no time limit, savepoints.
    pub fn new() -> Self {
        TransactionOptions::default()
    }

    /// The isolation level. One that the server does not have is refused before anything is sent.
    pub fn isolation(mut self, level: IsolationLevel) -> Self {
        self.begin.isolation = Some(level);
        self
    }

    /// Refuses writes.
    pub fn read_only(mut self) -> Self {
        self.begin.read_only = true;
        self
    }

    /// Rolls the transaction back when it is still open after this time.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Refuses what the server cannot begin, before anything is sent.
    pub(crate) fn check(&self, capabilities: &Capabilities) -> Result<()> {
        if let Some(level) = self.begin.isolation
            && !capabilities.isolation_levels.contains(&level)
        {
            return Err(Error::unsupported(format!("the isolation level {level}"), &*capabilities.server));
        }
        if self.begin.read_only && !capabilities.read_only_transactions {
            return Err(Error::unsupported("read-only transactions", &*capabilities.server));
        }
        Ok(())
    }

    /// Nested transactions join this one instead of setting savepoints: if one of them fails, all fail.
    pub fn flat(mut self) -> Self {
        self.flat = true;
        self
    }
}

/// An open transaction. It is a [`Repo`](crate::Repo): whatever is called on it happens inside.
///
/// Dropping it (by an error, a panic, a cancelled future) rolls it back; the connection is used by nobody
/// until that is done. Calls on one transaction run one after the other. Nested transactions are
/// savepoints.
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Tx {
    pub(crate) core: Arc<TxCore>,
    id: u64,
    depth: u32,
    finished: AtomicBool,
}

/// One transaction of the database, with all its nested ones.
pub(crate) struct TxCore {
    pub(crate) repo: Arc<RepoInner>,
    /// The open levels, outermost first.
    stack: SyncMutex<Vec<u64>>,
    next_id: AtomicU64,
    status: AtomicU8,
    flat: bool,
    pub(crate) deadline: Option<Instant>,
    connection: Mutex<TxConnection>,
}

/// The connection of a transaction and what must be sent before the next statement.
pub(crate) struct TxConnection {
    home: Option<Home>,
    pending: Vec<Control>,
    orphans: Vec<CursorId>,
    /// A statement failed and the server refuses everything until a rollback.
    aborted: bool,
    activity: Option<Activity>,
}

/// Where the connection goes when the transaction ends.
enum Home {
    Pool(Pooled),
    Checkout(Pooled, Arc<CheckoutCore>),
}

const OPEN: u8 = 0;
const FINISHED: u8 = 1;
const LOST: u8 = 2;
const TIMED_OUT: u8 = 3;
const POISONED: u8 = 4;

impl Tx {
    pub(crate) fn on_pool(
        repo: Arc<RepoInner>,
        connection: Pooled,
        activity: Activity,
        options: &TransactionOptions,
    ) -> Self {
        Tx::start(repo, Home::Pool(connection), Some(activity), options)
    }

    pub(crate) fn on_checkout(
        repo: Arc<RepoInner>,
        connection: Pooled,
        checkout: Arc<CheckoutCore>,
        options: &TransactionOptions,
    ) -> Self {
        Tx::start(repo, Home::Checkout(connection, checkout), None, options)
    }

    fn start(repo: Arc<RepoInner>, home: Home, activity: Option<Activity>, options: &TransactionOptions) -> Self {
        let core = Arc::new(TxCore {
            repo,
            stack: SyncMutex::new(vec![0]),
            next_id: AtomicU64::new(1),
            status: AtomicU8::new(OPEN),
            flat: options.flat,
            deadline: options.timeout.and_then(|limit| Instant::now().checked_add(limit)),
            connection: Mutex::new(TxConnection {
                home: Some(home),
                pending: vec![Control::Begin(options.begin.clone())],
                orphans: Vec::new(),
                aborted: false,
                activity,
            }),
        });
        core.repo.opened(&core);
        if let Some(deadline) = core.deadline {
            tokio::spawn(expire(Arc::downgrade(&core), deadline));
        }
        Tx { core, id: 0, depth: 0, finished: AtomicBool::new(false) }
    }

    /// How deep it is nested: 0 for the outermost.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// Begins a nested transaction.
    pub(crate) async fn nested(&self, options: &TransactionOptions) -> Result<Tx> {
        if options.begin != Begin::default() {
            return Err(Error::invalid(
                "isolation and read-only belong to the outermost transaction: a nested one is a savepoint",
            ));
        }
        let mut connection = self.lock().await?;
        let id = self.core.next_id.fetch_add(1, Ordering::Relaxed);
        let depth = self.depth + 1;
        if !self.core.flat {
            connection.pending.push(Control::Savepoint(depth));
        }
        self.core.levels().push(id);
        Ok(Tx { core: Arc::clone(&self.core), id, depth, finished: AtomicBool::new(false) })
    }

    /// Waits for the connection, and checks that this transaction may use it.
    pub(crate) async fn lock(&self) -> Result<MutexGuard<'_, TxConnection>> {
        self.check()?;
        let connection = self.core.connection.lock().await;
        // Somebody may have begun a nested one, or ended this one, while we waited.
        self.check()?;
        Ok(connection)
    }

    fn check(&self) -> Result<()> {
        let fault = match self.core.status.load(Ordering::Acquire) {
            FINISHED => TransactionFault::Finished,
            LOST if self.core.repo.lifecycle.is_cut() => return Err(self.core.repo.lifecycle.stopped_error()),
            LOST => TransactionFault::Lost,
            TIMED_OUT => TransactionFault::TimedOut,
            POISONED => TransactionFault::Aborted,
            _ => {
                let levels = self.core.levels();
                if levels.last() == Some(&self.id) {
                    return Ok(());
                }
                if levels.contains(&self.id) { TransactionFault::InnerOpen } else { TransactionFault::Finished }
            }
        };
        Err(Error::transaction(fault).with_repo(self.core.repo.id()))
    }

    /// Makes what was done permanent; of a nested transaction, a part of the outer one. One round trip for the
    /// outermost, none for a nested one.
    ///
    /// # Errors
    /// If the server refuses, or an earlier statement failed and aborted the transaction: then everything
    /// is rolled back. When the connection breaks during the commit of the outermost transaction, whether
    /// it took effect is unknown.
    pub async fn commit(self) -> Result<()> {
        let mut connection = self.lock().await?;
        let aborted = connection.aborted;
        if self.depth > 0 {
            if aborted && !self.core.flat {
                connection.undo(self.depth);
            } else if !self.core.flat {
                connection.keep(self.depth);
            }
            self.core.levels().pop();
        } else {
            let controls = connection.end_controls(if aborted { Control::Rollback } else { Control::Commit });
            self.core.status.store(FINISHED, Ordering::Release);
            self.finish(&mut connection, &controls).await?;
        }
        drop(connection);
        self.finished.store(true, Ordering::Relaxed);
        if aborted { Err(Error::transaction(TransactionFault::Aborted).with_repo(self.core.repo.id())) } else { Ok(()) }
    }

    /// Undoes what was done since it began.
    ///
    /// # Errors
    /// If the connection broke; the server undoes it then by itself.
    pub async fn rollback(self) -> Result<()> {
        let mut connection = match self.lock().await {
            Ok(connection) => connection,
            // Nothing is left to undo.
            Err(error) if matches!(error.kind(), crate::ErrorKind::Transaction(TransactionFault::Lost)) => {
                self.finished.store(true, Ordering::Relaxed);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.finished.store(true, Ordering::Relaxed);
        if self.depth > 0 {
            self.core.levels().pop();
            if self.core.flat {
                self.core.status.store(POISONED, Ordering::Release);
                return Ok(());
            }
            connection.undo(self.depth);
            let controls = std::mem::take(&mut connection.pending);
            return self.within_timeout(connection.control(&self.core, &controls)).await;
        }
        self.core.status.store(FINISHED, Ordering::Release);
        let controls = connection.end_controls(Control::Rollback);
        self.finish(&mut connection, &controls).await
    }

    /// Ends the outermost transaction and gives the connection back, in whatever state it is.
    async fn finish(&self, connection: &mut TxConnection, controls: &[Control]) -> Result<()> {
        let result = self.within_timeout(connection.control(&self.core, controls)).await;
        connection.give_back();
        result
    }

    /// Bounds a call by the repo's timeout for one statement.
    async fn within_timeout(&self, call: impl Future<Output = Result<()>>) -> Result<()> {
        bounded(self, self.call_options().timeout, &AtomicBool::new(true), call).await
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if *self.finished.get_mut() {
            return;
        }
        let mut levels = self.core.levels();
        let Some(at) = levels.iter().position(|level| *level == self.id) else { return };
        // Ends the nested ones with it.
        levels.truncate(at);
        drop(levels);
        if self.depth == 0 {
            let _ = self.core.status.compare_exchange(OPEN, FINISHED, Ordering::AcqRel, Ordering::Acquire);
        } else if self.core.flat {
            self.core.status.store(POISONED, Ordering::Release);
            return;
        }
        match self.core.connection.try_lock() {
            Ok(mut connection) if self.depth == 0 => connection.give_back(),
            Ok(mut connection) => connection.undo(self.depth),
            // A nested transaction in another task is just using the connection: it finds out.
            Err(_) => self.core.status.store(LOST, Ordering::Release),
        }
    }
}

impl TxCore {
    fn levels(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rolls the transaction back because its repo is stopped. A running statement is cut off by itself.
    pub(crate) fn cut(&self) {
        let _ = self.status.compare_exchange(OPEN, LOST, Ordering::AcqRel, Ordering::Acquire);
        if let Ok(mut connection) = self.connection.try_lock() {
            connection.give_back();
        }
    }

    /// Closes a cursor of a dropped stream before the next statement.
    pub(crate) fn orphan(&self, cursor: CursorId) {
        if let Ok(mut connection) = self.connection.try_lock() {
            connection.orphans.push(cursor);
        }
    }
}

impl Drop for TxCore {
    fn drop(&mut self) {
        self.repo.closed(self);
    }
}

/// Rolls a transaction back that is open after its time, also when its owner does nothing.
async fn expire(core: Weak<TxCore>, deadline: Instant) {
    sleep_until(deadline).await;
    let Some(core) = core.upgrade() else { return };
    if core.status.compare_exchange(OPEN, TIMED_OUT, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        // A running statement ends by its own deadline, which is this one.
        let mut connection = core.connection.lock().await;
        connection.give_back();
    }
}

impl TxConnection {
    /// The connection, and the controls to send before the next statement.
    pub(crate) fn parts(&mut self) -> Result<(&mut (dyn Connection + 'static), Vec<Control>)> {
        let pending = std::mem::take(&mut self.pending);
        let begins = matches!(pending.first(), Some(Control::Begin(_)));
        let connection = self.pooled()?.connection()?;
        if !begins && !connection.in_transaction() {
            // The server has ended the transaction by itself, or never began it. What comes now would run on
            // its own.
            return Err(Error::transaction(TransactionFault::Lost));
        }
        Ok((connection, pending))
    }

    fn pooled(&mut self) -> Result<&mut Pooled> {
        match &mut self.home {
            Some(Home::Pool(pooled) | Home::Checkout(pooled, _)) => Ok(pooled),
            None => Err(Error::transaction(TransactionFault::Lost)),
        }
    }

    /// Closes the cursors of dropped streams.
    pub(crate) async fn close_orphans(&mut self) -> Result<()> {
        while let Some(cursor) = self.orphans.pop() {
            self.pooled()?.connection()?.close_cursor(cursor).await?;
        }
        Ok(())
    }

    /// A statement came back.
    pub(crate) fn after(&mut self, core: &TxCore, error: Option<&Error>) {
        let Some(error) = error else { return };
        match self.pooled().and_then(Pooled::connection) {
            Ok(connection) if connection.is_closed() => self.lose(core),
            Ok(connection) => {
                let from_server = !matches!(
                    error.kind(),
                    crate::ErrorKind::InvalidCall { .. }
                        | crate::ErrorKind::Encode { .. }
                        | crate::ErrorKind::Decode { .. }
                        | crate::ErrorKind::MultipleResults { .. }
                        | crate::ErrorKind::Unsupported { .. }
                );
                self.aborted |= from_server && connection.capabilities().error_aborts_transaction;
            }
            Err(_) => {}
        }
    }

    /// Gives up a connection in an unknown state; it is recovered or closed in the background.
    pub(crate) fn lose(&mut self, core: &TxCore) {
        let _ = core.status.compare_exchange(OPEN, LOST, Ordering::AcqRel, Ordering::Acquire);
        self.give_back();
    }

    /// Ends the transaction's hold on the connection. One that is not clean is rolled back on its way.
    fn give_back(&mut self) {
        self.pending.clear();
        match self.home.take() {
            Some(Home::Checkout(pooled, checkout)) if pooled.is_clean() => checkout.put(pooled),
            Some(Home::Checkout(pooled, checkout)) => {
                drop(pooled);
                checkout.lose();
            }
            Some(Home::Pool(pooled)) => drop(pooled),
            None => {}
        }
        drop(self.activity.take());
    }

    /// What ends the outermost transaction: nothing, if nothing was sent.
    fn end_controls(&mut self, end: Control) -> Vec<Control> {
        let mut controls = std::mem::take(&mut self.pending);
        if matches!(controls.first(), Some(Control::Begin(_))) {
            return Vec::new();
        }
        if end == Control::Rollback {
            controls.clear();
        }
        controls.push(end);
        controls
    }

    /// Undoes a level, before the next statement.
    fn undo(&mut self, depth: u32) {
        self.aborted = false;
        if let Some(at) = self.pending.iter().position(|control| *control == Control::Savepoint(depth)) {
            self.pending.truncate(at);
        } else {
            self.pending.push(Control::RollbackTo(depth));
        }
    }

    /// Keeps what a level did, before the next statement.
    fn keep(&mut self, depth: u32) {
        if let Some(at) = self.pending.iter().position(|control| *control == Control::Savepoint(depth)) {
            self.pending.truncate(at);
        } else {
            self.pending.push(Control::Release(depth));
        }
    }

    async fn control(&mut self, core: &TxCore, controls: &[Control]) -> Result<()> {
        if controls.is_empty() {
            return Ok(());
        }
        // If this future is dropped, the Tx that it came from is dropped with it and gives the connection up.
        let result = async {
            self.close_orphans().await?;
            self.pooled()?.connection()?.control(controls).await
        }
        .await;
        self.after(core, result.as_ref().err());
        result.map_err(|error| error.with_repo(core.repo.id()))
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("repo", self.core.repo.id()).field("depth", &self.depth).finish_non_exhaustive()
    }
}
