//! How one statement runs: the deadline, the connection, the report.

mod any;
mod batch;
mod with;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::MutexGuard;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

pub use any::AnyRepo;
pub(crate) use batch::{run_batch, run_batch_on};

use crate::capabilities::Capabilities;
use crate::checkout::{Checkout, Held};
use crate::connection::{Connection, Control, Done, Role};
use crate::error::{Error, ErrorKind, Result, TransactionFault};
use crate::handle::{RepoHandle, RepoInner};
use crate::insert::BulkInsert;
use crate::intercept::Interceptors;
use crate::lifecycle::Activity;
use crate::observe::{Outcome, Watch};
use crate::options::{RepoOptions, Timeout};
use crate::pool::Pooled;
use crate::row::RowSink;
use crate::schema::Schema;
use crate::sinks::{Timed, unbox};
use crate::sql::{Params, Sql};
use crate::transaction::{TransactionOptions, Tx, TxConnection};

/// What a call goes by when it says nothing itself.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CallOptions {
    /// The time for one statement, waiting for a connection included.
    pub timeout: Timeout,
    /// The schema or database of tables that name none.
    pub prefix: Option<Arc<str>>,
    /// Refuses writes.
    pub read_only: bool,
    /// Who sees every query and every write.
    pub interceptors: Interceptors,
    /// What writes say of who made them.
    pub origin: Option<Arc<str>>,
}

impl CallOptions {
    /// The schema or database that the table of this schema is in, if the call itself names none.
    pub(crate) fn prefix_of<'a>(&'a self, schema: &'a Schema) -> Option<&'a str> {
        schema.prefix.or(self.prefix.as_deref())
    }

    /// What a repo with these settings goes by.
    pub(crate) fn of(options: &RepoOptions) -> Self {
        CallOptions {
            timeout: options.effective_timeout(),
            prefix: options.prefix.clone(),
            read_only: options.read_only.unwrap_or(false),
            interceptors: options.interceptors.clone(),
            origin: None,
        }
    }
}

/// Where statements run. [`Repo`](crate::Repo) is built on it; it is implemented by a handle, a transaction, a
/// checkout, any of them ([`AnyRepo`]), and by nothing else.
pub trait Executor: Send + Sync + Sized {
    /// What all handles share.
    #[doc(hidden)]
    fn inner(&self) -> Inner<'_>;

    /// What calls go by.
    #[doc(hidden)]
    fn call_options(&self) -> CallOptions {
        CallOptions::of(&self.inner().0.options)
    }

    /// Who sees every query and every write.
    #[doc(hidden)]
    fn interceptors(&self) -> &Interceptors {
        &self.inner().0.options.interceptors
    }

    /// Itself as one type.
    #[doc(hidden)]
    fn as_any_repo(&self) -> AnyRepo<'_>;

    /// Waits for a connection.
    #[doc(hidden)]
    fn lease(&self, role: Role) -> impl Future<Output = Result<Lease<'_>>> + Send;

    /// Begins a transaction.
    #[doc(hidden)]
    fn start(&self, options: TransactionOptions) -> impl Future<Output = Result<Tx>> + Send;

    /// Whether statements run inside a transaction.
    #[doc(hidden)]
    fn is_transaction(&self) -> bool {
        false
    }

    /// Whether all statements run on one connection.
    #[doc(hidden)]
    fn is_pinned(&self) -> bool {
        false
    }

    /// The end of the transaction's own time.
    #[doc(hidden)]
    fn transaction_deadline(&self) -> Option<Instant> {
        None
    }

    /// The transaction itself, for streams that outlive a call.
    #[doc(hidden)]
    fn as_tx(&self) -> Option<&Tx> {
        None
    }

    /// The checkout itself, for streams that take its connection.
    #[doc(hidden)]
    fn as_checkout(&self) -> Option<&Checkout> {
        None
    }
}

/// Keeps the insides of a repo out of the public interface.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Inner<'a>(pub(crate) &'a Arc<RepoInner>);

/// A connection for one call.
#[doc(hidden)]
pub struct Lease<'a> {
    kind: Kind<'a>,
}

enum Kind<'a> {
    Pooled(Pooled, Activity),
    Tx(&'a Tx, MutexGuard<'a, TxConnection>),
    Checkout(MutexGuard<'a, Held>),
}

impl<'a> Lease<'a> {
    /// Announces a statement, and closes what dropped streams left open. Until [`Ticket::end`], dropping the
    /// ticket gives the transaction up: nobody knows what the server is doing.
    pub(crate) async fn ticket(&mut self) -> Result<Ticket<'_, 'a>> {
        let ticket = Ticket { lease: self, ended: false };
        if let Kind::Tx(_, connection) = &mut ticket.lease.kind
            && let Err(error) = connection.close_orphans().await
        {
            ticket.end(Some(&error));
            return Err(error);
        }
        Ok(ticket)
    }

    /// Whether the connection may have died while it lay idle.
    pub(crate) fn may_be_stale(&self) -> bool {
        matches!(&self.kind, Kind::Pooled(pooled, _) if pooled.is_reused())
    }

    /// Takes the connection out, for a transaction, a stream or a checkout.
    pub(crate) fn into_pooled(self) -> Result<(Pooled, Activity)> {
        match self.kind {
            Kind::Pooled(pooled, activity) => Ok((pooled, activity)),
            Kind::Tx(..) | Kind::Checkout(_) => Err(Error::invalid("the connection is held already")),
        }
    }
}

/// A statement on its way.
pub(crate) struct Ticket<'l, 'a> {
    lease: &'l mut Lease<'a>,
    ended: bool,
}

impl Ticket<'_, '_> {
    /// The connection, and what must be sent before the statement.
    pub(crate) fn parts(&mut self) -> Result<(&mut (dyn Connection + 'static), Vec<Control>)> {
        match &mut self.lease.kind {
            Kind::Pooled(pooled, _) => Ok((pooled.connection()?, Vec::new())),
            Kind::Tx(_, connection) => connection.parts(),
            Kind::Checkout(held) => Ok((held.pooled()?.connection()?, Vec::new())),
        }
    }

    /// Puts controls back that the connection did not carry out. They go before the next statement.
    pub(crate) fn postpone(&mut self, controls: Vec<Control>) {
        if let Kind::Tx(_, connection) = &mut self.lease.kind {
            connection.postpone(controls);
        }
    }

    /// The statement came back. One that went well is an error all the same if it ended the transaction that it was in,
    /// or left one open that nobody would end.
    pub(crate) fn end_with<R>(self, result: Result<R>) -> Result<R> {
        let result = match (&mut self.lease.kind, result) {
            (Kind::Tx(tx, connection), Ok(found)) => connection.still_open(&tx.core).map(|()| found),
            (Kind::Pooled(pooled, _), Ok(found)) => pooled.refuse_left_open().map(|()| found),
            (Kind::Checkout(held), Ok(found)) => {
                held.pooled().and_then(|pooled| pooled.refuse_left_open()).map(|()| found)
            }
            (_, failed) => failed,
        };
        self.end(result.as_ref().err());
        result
    }

    /// The statement came back, or a part of what opens a stream.
    pub(crate) fn end(mut self, error: Option<&Error>) {
        self.ended = true;
        if let Kind::Tx(tx, connection) = &mut self.lease.kind {
            connection.after(&tx.core, error);
        }
    }
}

impl Drop for Ticket<'_, '_> {
    fn drop(&mut self) {
        if let (false, Kind::Tx(tx, connection)) = (self.ended, &mut self.lease.kind) {
            connection.lose(&tx.core);
        }
    }
}

impl Executor for RepoHandle {
    fn as_any_repo(&self) -> AnyRepo<'_> {
        AnyRepo::Handle(self)
    }

    fn inner(&self) -> Inner<'_> {
        Inner(&self.inner)
    }

    fn call_options(&self) -> CallOptions {
        self.own_options().cloned().unwrap_or_else(|| CallOptions::of(&self.inner.options))
    }

    fn interceptors(&self) -> &Interceptors {
        self.own_options().map_or(&self.inner.options.interceptors, |own| &own.interceptors)
    }

    async fn lease(&self, role: Role) -> Result<Lease<'_>> {
        let activity = self.inner.enter()?;
        let pooled = self.inner.connection(role).await?;
        Ok(Lease { kind: Kind::Pooled(pooled, activity) })
    }

    async fn start(&self, options: TransactionOptions) -> Result<Tx> {
        options.refuse_retry()?;
        let options = options.or_origin(self.own_options().and_then(|own| own.origin.as_ref()));
        let read_only = options.begin.read_only || self.call_options().read_only;
        let role = if read_only { Role::Read } else { Role::Write };
        let waiting = AtomicBool::new(false);
        let (watch, call) = Watch::control(&self.inner, "begin");
        let lease = bounded(self, self.call_options().timeout, &waiting, self.lease(role)).await;
        // It travels with the first statement: what it costs by itself is the wait for a connection.
        let result = lease.as_ref().map(|_| 0);
        let queue = watch.elapsed();
        watch.tell(&self.inner, call, &Outcome::of_control("BEGIN", queue, result));
        let lease = lease?;
        options.check(self.inner.capabilities())?;
        let (pooled, activity) = lease.into_pooled()?;
        let tx = Tx::on_pool(Arc::clone(&self.inner), pooled, activity, &options);
        Ok(match self.own_options() {
            Some(own) => tx.with_options(own.clone()),
            None => tx,
        })
    }
}

impl Executor for Tx {
    fn as_any_repo(&self) -> AnyRepo<'_> {
        AnyRepo::Tx(self)
    }

    fn inner(&self) -> Inner<'_> {
        Inner(&self.core.repo)
    }

    fn call_options(&self) -> CallOptions {
        self.options.clone()
    }

    fn interceptors(&self) -> &Interceptors {
        &self.options.interceptors
    }

    async fn lease(&self, _role: Role) -> Result<Lease<'_>> {
        Ok(Lease { kind: Kind::Tx(self, self.lock().await?) })
    }

    async fn start(&self, options: TransactionOptions) -> Result<Tx> {
        self.nested(&options).await
    }

    fn is_transaction(&self) -> bool {
        true
    }

    fn is_pinned(&self) -> bool {
        true
    }

    fn transaction_deadline(&self) -> Option<Instant> {
        self.core.deadline
    }

    fn as_tx(&self) -> Option<&Tx> {
        Some(self)
    }
}

impl Executor for Checkout {
    fn as_any_repo(&self) -> AnyRepo<'_> {
        AnyRepo::Checkout(self)
    }

    fn inner(&self) -> Inner<'_> {
        Inner(&self.core.repo)
    }

    fn call_options(&self) -> CallOptions {
        self.options.clone()
    }

    fn interceptors(&self) -> &Interceptors {
        &self.options.interceptors
    }

    async fn lease(&self, _role: Role) -> Result<Lease<'_>> {
        Ok(Lease { kind: Kind::Checkout(self.core.lock().await?) })
    }

    async fn start(&self, options: TransactionOptions) -> Result<Tx> {
        let options = options.or_origin(self.options.origin.as_ref());
        options.check(self.core.repo.capabilities())?;
        let pooled = self.core.take().await?;
        let tx = Tx::on_checkout(Arc::clone(&self.core.repo), pooled, Arc::clone(&self.core), &options);
        Ok(tx.with_options(self.options.clone()))
    }

    fn is_pinned(&self) -> bool {
        true
    }

    fn as_checkout(&self) -> Option<&Checkout> {
        Some(self)
    }
}

/// A repo whose calls go by other options. Made by [`Repo::with_timeout`](crate::Repo::with_timeout) and
/// [`Repo::with_prefix`](crate::Repo::with_prefix).
#[derive(Debug)]
pub struct With<'a, R> {
    pub(crate) repo: &'a R,
    pub(crate) options: CallOptions,
}

impl<R> Clone for With<'_, R> {
    fn clone(&self) -> Self {
        With { repo: self.repo, options: self.options.clone() }
    }
}

impl<R: Executor> Executor for With<'_, R> {
    fn as_any_repo(&self) -> AnyRepo<'_> {
        self.repo.as_any_repo()
    }

    fn inner(&self) -> Inner<'_> {
        self.repo.inner()
    }

    fn call_options(&self) -> CallOptions {
        self.options.clone()
    }

    fn interceptors(&self) -> &Interceptors {
        &self.options.interceptors
    }

    fn lease(&self, role: Role) -> impl Future<Output = Result<Lease<'_>>> + Send {
        self.repo.lease(role)
    }

    async fn start(&self, mut options: TransactionOptions) -> Result<Tx> {
        if self.options.read_only && !self.is_transaction() {
            options = options.read_only();
        }
        if !self.is_transaction() {
            options = options.or_origin(self.options.origin.as_ref());
        }
        Ok(self.repo.start(options).await?.with_options(self.options.clone()))
    }

    fn is_transaction(&self) -> bool {
        self.repo.is_transaction()
    }

    fn is_pinned(&self) -> bool {
        self.repo.is_pinned()
    }

    fn transaction_deadline(&self) -> Option<Instant> {
        self.repo.transaction_deadline()
    }

    fn as_tx(&self) -> Option<&Tx> {
        self.repo.as_tx()
    }

    fn as_checkout(&self) -> Option<&Checkout> {
        self.repo.as_checkout()
    }
}

/// Waits until an abandoned statement is cancelled: who is told that it timed out may rely on its not taking
/// effect later.
async fn settle(repo: &RepoInner) {
    if let Some(pools) = repo.pools() {
        pools.settle(SETTLE).await;
    }
}

/// The longest wait for the end of a statement that was cancelled.
const SETTLE: Duration = Duration::from_secs(1);

/// Bounds a call by its timeout, by the transaction's, and by the repo's end. `has_connection` tells which
/// wait was too long; the call sets it when it has its connection.
pub(crate) async fn bounded<R>(
    executor: &impl Executor,
    limit: Timeout,
    has_connection: &AtomicBool,
    call: impl Future<Output = Result<R>>,
) -> Result<R> {
    let repo = executor.inner().0;
    let started = Instant::now();
    let own = limit.duration().and_then(|limit| started.checked_add(limit));
    let deadline = match (own, executor.transaction_deadline()) {
        (Some(own), Some(transaction)) => Some(own.min(transaction)),
        (own, transaction) => own.or(transaction),
    };
    let call = async {
        tokio::select! {
            biased;
            result = call => result,
            () = repo.lifecycle.cut() => Err(repo.lifecycle.stopped_error()),
        }
    };
    let result = match deadline {
        None => call.await,
        Some(deadline) => {
            if let Ok(result) = timeout_at(deadline, call).await {
                result
            } else {
                let waited_for_server = has_connection.load(Ordering::Relaxed) || executor.is_pinned();
                if waited_for_server {
                    settle(repo).await;
                }
                let after = deadline.duration_since(started);
                Err(match own == Some(deadline) {
                    false => Error::transaction(TransactionFault::TimedOut),
                    true if waited_for_server => Error::new(ErrorKind::Timeout { after }),
                    true => repo.pool_timeout(after),
                })
            }
        }
    };
    result.map_err(|error| error.with_repo(repo.id()))
}

/// Refuses a write before anything of it is done.
pub(crate) fn refuse_read_only(executor: &impl Executor) -> Result<()> {
    if executor.call_options().read_only {
        return Err(Error::new(ErrorKind::ReadOnly).with_repo(executor.inner().0.id()));
    }
    Ok(())
}

/// Makes sure that it is known what the server can do: makes the first connection, if there was none yet.
pub(crate) async fn known(executor: &impl Executor) -> Result<()> {
    if executor.inner().0.knows_server() {
        return Ok(());
    }
    let limit = executor.call_options().timeout;
    bounded(executor, limit, &AtomicBool::new(false), executor.lease(Role::Write)).await.map(drop)
}

/// What a statement is, for the pool and for reports.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) role: Role,
    pub(crate) table: Option<&'static str>,
    pub(crate) verb: &'static str,
    /// The server itself refuses writes here.
    pub(crate) enforced: bool,
}

/// What goes to the connection. It stays in the future of its call: boxing the larger variant, which is the
/// common one, would cost each call an allocation.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Job<'q> {
    Statement(Sql, Params<'q>),
    InsertMany(BulkInsert),
}

/// Runs one statement. `make` writes it once the server's capabilities are known. It runs again, with a new
/// sink, if the connection turns out to have died while it lay idle.
pub(crate) async fn run<'q, S: RowSink>(
    executor: &impl Executor,
    call: Call,
    make: impl Fn(&'static Capabilities) -> Result<Job<'q>> + Send + Sync,
    sink: impl Fn() -> S + Send + Sync,
) -> Result<(S, Done)> {
    let timed = |observed: bool| -> Box<dyn RowSink> {
        Box::new(Timed { sink: sink(), spent: observed.then_some(Duration::ZERO) })
    };
    let (sink, done) = run_erased(executor.as_any_repo(), executor.call_options(), call, &make, &timed).await?;
    Ok((unbox::<Timed<S>>(sink)?.sink, done))
}

/// Writes a statement.
type Make<'m, 'q> = &'m (dyn Fn(&'static Capabilities) -> Result<Job<'q>> + Send + Sync);

/// Makes a sink, which measures its time if somebody wants to know.
type MakeSink<'m> = &'m (dyn Fn(bool) -> Box<dyn RowSink> + Send + Sync);

/// The same for any rows and any repo: all that programs would else compile for each type of their own.
async fn run_erased<'q>(
    executor: AnyRepo<'_>,
    options: CallOptions,
    call: Call,
    make: Make<'_, 'q>,
    sink: MakeSink<'_>,
) -> Result<(Box<dyn RowSink>, Done)> {
    let repo = executor.inner().0;
    if options.read_only && call.role == Role::Write && !call.enforced {
        return Err(Error::new(ErrorKind::ReadOnly).with_repo(repo.id()));
    }
    if options.origin.is_some() && call.role == Role::Write && !executor.is_transaction() {
        return Box::pin(run_stamped(executor, options, call, make, sink)).await;
    }
    let watch = Watch::begin(repo, call);
    let has_connection = AtomicBool::new(false);
    let mut queue = None;
    let mut job: Option<Job<'q>> = None;
    let result = {
        // Polled where it stands: the layers around it would each move it, and it is some kilobytes.
        let work = pin!(async {
            loop {
                let mut lease = executor.lease(call.role).await?;
                has_connection.store(true, Ordering::Relaxed);
                queue = watch.elapsed();
                let job = job.insert(make(repo.capabilities())?);
                let sink = sink(watch.is_observed());
                let stale = lease.may_be_stale();
                let mut ticket = lease.ticket().await?;
                let (connection, controls) = ticket.parts()?;
                let result = match job {
                    Job::Statement(sql, params) => connection.query(&controls, sql, params, sink).await,
                    Job::InsertMany(rows) => match connection.insert_many(&controls, rows, Some(sink)).await {
                        Ok((Some(sink), done)) => Ok((sink, done)),
                        Ok((None, _)) => Err(Error::invalid("the adapter lost the sink")),
                        Err(error) => Err(error),
                    },
                };
                match ticket.end_with(result) {
                    Err(error) if stale && retryable(&error, call.role) => {}
                    result => return result,
                }
            }
        });
        bounded(&executor, options.timeout, &has_connection, work).instrument(watch.span()).await
    };
    if has_connection.load(Ordering::Relaxed) && result.as_ref().is_err_and(Error::is_timeout) {
        // Only now is the statement's future gone, and its cancellation under way.
        settle(repo).await;
    }
    let (text, statement, params) = match &job {
        Some(Job::Statement(sql, params)) => (sql.text(), Some(sql), &params[..]),
        Some(Job::InsertMany(_)) => ("INSERT of many rows", None, &[][..]),
        None => ("", None, &[][..]),
    };
    let decode = result.as_ref().ok().and_then(|(sink, _)| sink.spent()).unwrap_or_default();
    let rows = result.as_ref().map(|(_, done)| done.rows);
    watch.end(repo, call, &Outcome { text, statement, params, queue, decode, result: rows });
    result
}

/// Runs a statement in a transaction of its own, which says who made the write.
async fn run_stamped(
    executor: AnyRepo<'_>,
    options: CallOptions,
    call: Call,
    make: Make<'_, '_>,
    sink: MakeSink<'_>,
) -> Result<(Box<dyn RowSink>, Done)> {
    let tx = executor.start(TransactionOptions::new().or_origin(options.origin.as_ref())).await?;
    let result = run_erased(AnyRepo::Tx(&tx), options, call, make, sink).await?;
    tx.commit().await?;
    Ok(result)
}

/// Whether the statement may be sent again on another connection.
pub(crate) fn retryable(error: &Error, role: Role) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionLost { .. }) && (role == Role::Read || error.was_not_executed())
}
