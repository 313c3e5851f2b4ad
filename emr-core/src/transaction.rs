//! Transactions: one connection, savepoints for nested ones.

mod connection;
mod hooks;
mod options;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::checkout::CheckoutCore;
use crate::connection::{Begin, Control, CursorId};
use crate::error::{Error, ErrorKind, Result, TransactionFault};
use crate::exec::{CallOptions, Executor, bounded};
use crate::handle::RepoInner;
use crate::lifecycle::Activity;
use crate::observe::{Outcome, Watch};
use crate::pool::Pooled;
use connection::Home;
pub(crate) use connection::TxConnection;
use hooks::Hooks;
pub use options::TransactionOptions;

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
    pub(crate) options: CallOptions,
}

/// One transaction of the database, with all its nested ones.
pub(crate) struct TxCore {
    pub(crate) repo: Arc<RepoInner>,
    /// The open levels, outermost first.
    stack: SyncMutex<Vec<u64>>,
    next_id: AtomicU64,
    status: AtomicU8,
    flat: bool,
    pub(crate) read_only: bool,
    /// A statement in it may end it, as DDL does on some engines: the next one begins another one.
    pub(crate) begins_anew: bool,
    expiry: OnceLock<AbortHandle>,
    pub(crate) deadline: Option<Instant>,
    /// What runs once it is committed.
    hooks: Hooks,
    /// The server gave up one of its statements, or its commit, in favour of another transaction.
    gave_way: AtomicBool,
    connection: Mutex<TxConnection>,
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
            read_only: options.begin.read_only,
            begins_anew: options.begins_anew,
            expiry: OnceLock::new(),
            deadline: options.timeout.and_then(|limit| Instant::now().checked_add(limit)),
            hooks: Hooks::default(),
            gave_way: AtomicBool::new(false),
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
            let task = tokio::spawn(expire(Arc::downgrade(&core), deadline));
            let _ = core.expiry.set(task.abort_handle());
        }
        let options = CallOptions::of(&core.repo.options);
        Tx { core, id: 0, depth: 0, finished: AtomicBool::new(false), options }
    }

    /// The same transaction, whose calls go by these options.
    pub(crate) fn with_options(mut self, options: CallOptions) -> Self {
        self.options = options;
        self
    }

    /// Whether nested ones are no savepoints.
    pub(crate) fn is_flat(&self) -> bool {
        self.core.flat
    }

    /// How deep it is nested: 0 for the outermost.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// Begins a nested transaction.
    pub(crate) async fn nested(&self, options: &TransactionOptions) -> Result<Tx> {
        if options.begin != Begin::default() {
            return Err(Error::invalid(
                "isolation, origin and read-only belong to the outermost transaction: a nested one is a savepoint",
            ));
        }
        options.refuse_retry()?;
        let mut connection = self.lock().await?;
        let id = self.core.next_id.fetch_add(1, Ordering::Relaxed);
        let depth = self.depth + 1;
        if !self.core.flat {
            connection.pending.push(Control::Savepoint(depth));
        }
        self.core.levels().push(id);
        Ok(Tx {
            core: Arc::clone(&self.core),
            id,
            depth,
            finished: AtomicBool::new(false),
            options: self.options.clone(),
        })
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
        let mut connection = match self.lock().await {
            Ok(connection) => connection,
            Err(error) => {
                if self.depth == 0 && self.is_poisoned() {
                    // Without waiting for whoever drops it: its locks are free when this returns.
                    let _ = self.roll_back_all().await;
                }
                return Err(error);
            }
        };
        let aborted = connection.aborted;
        if self.depth > 0 {
            if aborted && !self.core.flat {
                connection.undo(self.depth);
                self.core.undone(self.depth);
            } else if !self.core.flat {
                connection.keep(self.depth);
            }
            self.core.hooks.keep(self.depth);
            self.core.levels().pop();
            drop(connection);
        } else {
            let controls = connection.end_controls(if aborted { Control::Rollback } else { Control::Commit });
            self.core.status.store(FINISHED, Ordering::Release);
            self.finish(&mut connection, &controls).await?;
            drop(connection);
        }
        self.finished.store(true, Ordering::Relaxed);
        if aborted {
            return Err(Error::transaction(TransactionFault::Aborted).with_repo(self.core.repo.id()));
        }
        if self.depth == 0 {
            self.core.hooks.run();
        }
        Ok(())
    }

    /// Undoes what was done since it began. One round trip; none if nothing was sent, or nothing is left to undo: of a
    /// transaction that is lost, timed out or poisoned by a nested one this is `Ok` as well.
    ///
    /// # Errors
    /// If the connection broke; the server undoes it then by itself. If a nested transaction is open.
    pub async fn rollback(self) -> Result<()> {
        let mut connection = match self.lock().await {
            Ok(connection) => connection,
            Err(error) => match error.kind() {
                ErrorKind::Transaction(TransactionFault::Aborted) if self.depth == 0 => {
                    return self.roll_back_all().await;
                }
                // Nothing is left to undo.
                ErrorKind::Transaction(
                    TransactionFault::Lost | TransactionFault::TimedOut | TransactionFault::Aborted,
                ) => {
                    self.core.leave(self.id);
                    self.finished.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                _ => return Err(error),
            },
        };
        self.finished.store(true, Ordering::Relaxed);
        if self.depth > 0 {
            self.core.levels().pop();
            self.core.undone(self.depth);
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

    /// Rolls the outermost transaction back after a nested one of a flat transaction failed.
    async fn roll_back_all(&self) -> Result<()> {
        self.finished.store(true, Ordering::Relaxed);
        self.core.levels().clear();
        let mut connection = self.core.connection.lock().await;
        self.core.status.store(FINISHED, Ordering::Release);
        let controls = connection.end_controls(Control::Rollback);
        self.finish(&mut connection, &controls).await
    }

    fn is_poisoned(&self) -> bool {
        self.core.status.load(Ordering::Acquire) == POISONED
    }

    /// Runs this function once the outermost transaction is committed; never if it is not, or if this transaction or
    /// one around it is rolled back. Without I/O.
    pub(crate) fn add_hook(&self, hook: Box<dyn FnOnce() + Send>) {
        self.core.hooks.add(self.depth, hook);
    }

    /// Ends the outermost transaction and gives the connection back, in whatever state it is.
    async fn finish(&self, connection: &mut TxConnection, controls: &[Control]) -> Result<()> {
        let verb = match controls.last() {
            None => {
                // Nothing was sent, so nothing has to be ended.
                connection.give_back();
                return Ok(());
            }
            Some(Control::Commit) => ("commit", "COMMIT"),
            Some(_) => ("rollback", "ROLLBACK"),
        };
        let (watch, call) = Watch::control(&self.core.repo, verb.0);
        let result = self.within_timeout(connection.control(&self.core, controls)).await;
        connection.give_back();
        let told = result.as_ref().map(|()| 0);
        watch.tell(&self.core.repo, call, &Outcome::of_control(verb.1, Some(Duration::ZERO), told));
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
        self.core.undone(self.depth);
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
    /// Whether the same work, done again from the start, may well succeed: the server gave up one of its statements, or
    /// its commit, in favour of another transaction.
    pub(crate) fn gave_way(&self) -> bool {
        self.gave_way.load(Ordering::Acquire)
    }

    /// A level was undone, and what it did with it: a conflict in it as well.
    fn undone(&self, depth: u32) {
        self.hooks.discard(depth);
        if depth > 0 && !self.flat {
            self.gave_way.store(false, Ordering::Release);
        }
    }

    /// Ends a level, and those within it.
    fn leave(&self, id: u64) {
        let mut levels = self.levels();
        if let Some(at) = levels.iter().position(|level| *level == id) {
            levels.truncate(at);
        }
    }

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
        if let Some(expiry) = self.expiry.get() {
            expiry.abort();
        }
        self.connection.get_mut().give_back();
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

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("repo", self.core.repo.id()).field("depth", &self.depth).finish_non_exhaustive()
    }
}
