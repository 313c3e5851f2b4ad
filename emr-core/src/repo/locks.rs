//! What only a transaction can do: hold locks, and tell of its commit.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::Instrument;

use super::{Repo, read};
use crate::advisory::AdvisoryLock;
use crate::connection::{Control, Role};
use crate::error::{Error, Result};
use crate::exec::{Call, Executor, With, bounded};
use crate::from_row::FromRow;
use crate::observe::{Outcome, Watch};
use crate::query::{IntoQuery, Lock};
use crate::transaction::Tx;
use crate::value::Value;

/// A repo whose calls happen inside a transaction: [`Tx`], and a `Tx` with other options. What holds a lock takes one of
/// these, so that a lock outside a transaction, which would be gone when the call returns, does not compile.
///
/// Write `fn f(tx: &impl Transactional)` for code that must run inside one.
#[diagnostic::on_unimplemented(
    message = "a lock needs a transaction, and `{Self}` is none",
    label = "outside a transaction the lock would be gone when the call returns",
    note = "call it on the `tx` of `repo.transaction(async |tx| …)`, or on what `repo.begin()` gives"
)]
pub trait Transactional: Repo {
    /// The transaction.
    #[doc(hidden)]
    fn tx(&self) -> &Tx;

    /// All rows of a query, locked until the transaction ends.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the engine has no such lock (SQLite has none, and needs none:
    /// its transactions write one at a time); [`LockNotAvailable`](crate::ErrorKind::LockNotAvailable) if a row is locked
    /// and the lock does not wait; as [`all`](Repo::all).
    fn all_locked<R: FromRow>(
        &self,
        query: impl IntoQuery<R>,
        lock: Lock,
    ) -> impl Future<Output = Result<Vec<R>>> + Send {
        let mut body = query.into_body();
        body.lock = Some(lock);
        async move { read::all(self, &body).await }
    }

    /// The row of a query that has at most one, locked until the transaction ends. A row that must be there is
    /// [fetched](Repo::fetch_one) with [`lock`](crate::Fetch::lock).
    ///
    /// # Errors
    /// As [`all_locked`](Transactional::all_locked) and [`one`](Repo::one).
    fn one_locked<R: FromRow>(
        &self,
        query: impl IntoQuery<R>,
        lock: Lock,
    ) -> impl Future<Output = Result<Option<R>>> + Send {
        let mut body = query.into_body();
        body.lock = Some(lock);
        async move { read::one(self, body).await }
    }

    /// Takes the lock of this name, which everybody who takes it agrees on and which locks no row. Waits until it is
    /// free, within the call's timeout. It is held until the transaction ends; a transaction may take it again.
    ///
    /// Rolling back a nested transaction gives back what was taken in it on PostgreSQL; elsewhere it stays until the
    /// outermost transaction ends.
    ///
    /// On SQLite the lock is known in this process only, to all repos on the same file, or to one repo in memory;
    /// a transaction that may write excludes all others that do by itself.
    ///
    /// ```
    /// # use emr_core::{Repo, RepoHandle, Result, Transactional};
    /// # async fn f(repo: RepoHandle) -> Result<()> {
    /// repo.transaction(async |tx| {
    ///     tx.advisory_lock("invoices").await?;
    ///     // Nobody else numbers invoices now.
    ///     Ok(())
    /// })
    /// .await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Timeout`](crate::ErrorKind::Timeout), which ends the transaction as for every call;
    /// [`Deadlock`](crate::ErrorKind::Deadlock) if it would wait in a circle;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the engine has none.
    fn advisory_lock(&self, name: impl AsRef<str>) -> impl Future<Output = Result<()>> + Send {
        let lock = AdvisoryLock::named(name.as_ref());
        async move { take(self, lock).await.map(drop) }
    }

    /// As [`advisory_lock`](Transactional::advisory_lock), held together with others that share it: it excludes those who
    /// take it alone.
    fn advisory_lock_shared(&self, name: impl AsRef<str>) -> impl Future<Output = Result<()>> + Send {
        let lock = AdvisoryLock::named(name.as_ref()).shared();
        async move { take(self, lock).await.map(drop) }
    }

    /// As [`advisory_lock`](Transactional::advisory_lock), without waiting: `false` if it is not free.
    fn try_advisory_lock(&self, name: impl AsRef<str>) -> impl Future<Output = Result<bool>> + Send {
        let lock = AdvisoryLock::named(name.as_ref()).nowait();
        async move { take(self, lock).await }
    }

    /// As [`advisory_lock_shared`](Transactional::advisory_lock_shared), without waiting: `false` if it is not free.
    fn try_advisory_lock_shared(&self, name: impl AsRef<str>) -> impl Future<Output = Result<bool>> + Send {
        let lock = AdvisoryLock::named(name.as_ref()).shared().nowait();
        async move { take(self, lock).await }
    }

    /// Runs this function once, after the outermost transaction is committed and its connection given back, before the
    /// commit returns: to send what others shall only hear of what stays. Several run in the order in which they came;
    /// a panic in one goes to who commits. It never runs if this transaction, or one around it, is rolled back, nor if
    /// the connection breaks during the commit. Without I/O.
    fn after_commit(&self, hook: impl FnOnce() + Send + 'static) {
        self.tx().add_hook(Box::new(hook));
    }
}

impl Transactional for Tx {
    fn tx(&self) -> &Tx {
        self
    }
}

impl<T: Transactional> Transactional for With<'_, T> {
    fn tx(&self) -> &Tx {
        self.repo.tx()
    }
}

async fn take(executor: &impl Executor, lock: AdvisoryLock) -> Result<bool> {
    let repo = executor.inner().0;
    let call = Call { role: Role::Write, table: None, verb: "advisory_lock", enforced: true };
    let watch = Watch::begin(repo, call);
    let has_connection = AtomicBool::new(false);
    let mut queue = None;
    let work = async {
        let mut lease = executor.lease(call.role).await?;
        has_connection.store(true, Ordering::Relaxed);
        queue = watch.elapsed();
        let capabilities = repo.capabilities();
        if !capabilities.advisory_locks {
            return Err(Error::unsupported("advisory locks", &*capabilities.server));
        }
        let mut ticket = lease.ticket().await?;
        let (connection, controls) = ticket.parts()?;
        let result = connection.advisory_lock(&controls, &lock).await;
        let begun = !matches!(controls.first(), Some(Control::Begin(_))) || connection.in_transaction();
        if result.is_ok() && !begun {
            ticket.postpone(controls);
        }
        ticket.end(result.as_ref().err());
        result
    };
    let limit = executor.call_options().timeout;
    let result = bounded(executor, limit, &has_connection, work).instrument(watch.span()).await;
    let outcome = result.as_ref().map(|_| 0);
    let params = [Value::Text((&*lock.name).into())];
    let text = match (lock.shared, lock.wait) {
        (false, true) => "advisory lock",
        (true, true) => "shared advisory lock",
        (false, false) => "advisory lock, if it is free",
        (true, false) => "shared advisory lock, if it is free",
    };
    let decode = Duration::ZERO;
    watch.end(repo, call, &Outcome { text, statement: None, params: &params, queue, decode, result: outcome });
    result
}
