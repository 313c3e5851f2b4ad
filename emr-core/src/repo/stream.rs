//! Rows one after the other.

mod rows;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;
use futures_util::{StreamExt, stream};
use tokio::sync::Mutex;
use tracing::Instrument;

use self::rows::Rows;
use crate::checkout::CheckoutCore;
use crate::connection::{Begin, Connection, Control, CursorId, Role};
use crate::error::{Error, Result};
use crate::exec::{Call, CallOptions, Executor, Lease, bounded, run_batch_on};
use crate::from_row::FromRow;
use crate::handle::RepoInner;
use crate::intercept::{read_by, reading};
use crate::lifecycle::Activity;
use crate::observe::{Outcome, Watch};
use crate::pool::Pooled;
use crate::preload::{Request, Runner, preload_read, preload_read_by};
use crate::query::SelectBody;
use crate::row::RowSink;
use crate::sinks::{Batch, Timed, unbox};
use crate::sql::{Params, Sql, SqlBuilder};
use crate::transaction::TxCore;

/// How many rows are fetched at a time.
const BATCH: usize = 500;

/// The transaction of a stream that is in none.
const FOR_CURSOR: Begin =
    Begin { isolation: None, read_only: false, deferrable: false, origin: None, for_cursor: true };

/// Where a stream stands.
enum State<T> {
    Start(Box<SelectBody>),
    Open(Open<T>, Box<SelectBody>),
    End,
}

/// An open cursor and the batch that it has fetched.
struct Open<T> {
    rows: VecDeque<T>,
    cursor: Option<CursorId>,
    sql: Sql,
    table: Option<&'static str>,
    home: Home,
}

/// Whose connection the cursor is on.
enum Home {
    /// The stream's own. Dropped half way, the connection is not clean and the pool recovers it.
    Own(Pooled, #[allow(dead_code)] Activity),
    /// A checkout's, taken out until the stream ends.
    Checkout(Option<Pooled>, Arc<CheckoutCore>),
    /// A transaction's, leased for each batch.
    Shared(Arc<TxCore>),
}

impl<T> Drop for Open<T> {
    fn drop(&mut self) {
        if let (Some(cursor), Home::Shared(tx)) = (self.cursor, &self.home) {
            tx.orphan(cursor);
        }
    }
}

impl Home {
    /// The connection, where the stream holds it.
    fn connection(&mut self) -> Result<&mut (dyn Connection + 'static)> {
        match self {
            Home::Own(pooled, _) | Home::Checkout(Some(pooled), _) => pooled.connection(),
            Home::Checkout(None, _) | Home::Shared(_) => Err(Error::connection_lost("the stream holds no connection")),
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Home::Checkout(pooled, checkout) = self {
            match pooled.take() {
                Some(pooled) if pooled.is_clean() => checkout.put(pooled),
                // The pool recovers it, and nobody can wait for that here.
                _ => checkout.lose(),
            }
        }
    }
}

/// The SELECT of a stream.
fn render<'q>(repo: &RepoInner, query: &'q SelectBody, options: &'q CallOptions) -> Result<(Sql, Params<'q>)> {
    SqlBuilder::build(repo.dialect(), repo.capabilities(), |out| {
        crate::render::select(out, query, options.prefix.as_deref());
    })
}

pub(super) fn stream<T: FromRow, E: Executor>(
    executor: &E,
    query: Box<SelectBody>,
) -> impl Stream<Item = Result<T>> + Send + Unpin + '_ {
    Rows::of(stream::unfold(State::Start(query), move |state| next(executor, state)).fuse())
}

/// The next batch, and where the stream stands then. An error ends it.
async fn next<T: FromRow, E: Executor>(executor: &E, state: State<T>) -> Option<(Result<VecDeque<T>>, State<T>)> {
    let (mut open, query) = match state {
        State::Start(query) => match open(executor, &query).await {
            Ok(open) => (open, query),
            Err(error) => return Some((Err(error), State::End)),
        },
        State::Open(open, query) => (open, query),
        State::End => return None,
    };
    if open.cursor.is_some() {
        let mut filled = refill(executor, &mut open).await;
        if filled.is_ok() && !query.preloads.is_empty() && !open.rows.is_empty() {
            filled = Box::pin(preload(executor, &mut open, &query)).await;
        }
        if let Err(error) = filled {
            return Some((Err(error), State::End));
        }
    }
    let rows = std::mem::take(&mut open.rows);
    if rows.is_empty() { None } else { Some((Ok(rows), State::Open(open, query))) }
}

async fn open<T: FromRow, E: Executor>(executor: &E, query: &SelectBody) -> Result<Open<T>> {
    if !query.folds.is_empty() {
        return Err(Error::invalid("a stream gives rows as they come, preload_joined puts them together: use preload"));
    }
    if query.lock.is_some() && !executor.is_transaction() {
        return Err(Error::invalid("a locking query needs a transaction"));
    }
    let seen = reading(executor, "stream", query)?;
    let query = seen.as_deref().unwrap_or(query);
    let repo = executor.inner().0;
    let options = executor.call_options();
    let role = if query.lock.is_some() { Role::Write } else { Role::Read };
    let call = Call { role, table: query.table(), verb: "stream", enforced: false };
    let watch = Watch::begin(repo, call);
    let has_connection = AtomicBool::new(false);
    let mut queue = None;
    let mut statement = None;
    let work = async {
        if let Some(checkout) = executor.as_checkout() {
            let pooled = checkout.core.take().await?;
            has_connection.store(true, Ordering::Relaxed);
            queue = watch.elapsed();
            // From here on, dropping this gives the connection back.
            let mut home = Home::Checkout(Some(pooled), Arc::clone(&checkout.core));
            let (sql, params) = statement.insert(render(repo, query, &options)?);
            let begin = [Control::Begin(FOR_CURSOR)];
            let controls = if repo.capabilities().cursor_needs_transaction { &begin[..] } else { &[] };
            let cursor = home.connection()?.open_cursor(controls, sql, params).await?;
            return Ok(Open {
                rows: VecDeque::new(),
                cursor: Some(cursor),
                sql: sql.clone(),
                table: query.table(),
                home,
            });
        }
        let mut lease = executor.lease(role).await?;
        has_connection.store(true, Ordering::Relaxed);
        queue = watch.elapsed();
        let (sql, params) = statement.insert(render(repo, query, &options)?);
        let own = !executor.is_transaction();
        let mut ticket = lease.ticket().await?;
        let (connection, mut controls) = ticket.parts()?;
        if own && repo.capabilities().cursor_needs_transaction {
            controls.push(Control::Begin(FOR_CURSOR));
        }
        let opened = connection.open_cursor(&controls, sql, params).await;
        ticket.end(opened.as_ref().err());
        let cursor = Some(opened?);
        let home = if let Some(tx) = executor.as_tx() {
            Home::Shared(Arc::clone(&tx.core))
        } else {
            let (pooled, activity) = Lease::into_pooled(lease)?;
            Home::Own(pooled, activity)
        };
        Ok(Open { rows: VecDeque::new(), cursor, sql: sql.clone(), table: query.table(), home })
    };
    let result = bounded(executor, options.timeout, &has_connection, work).instrument(watch.span()).await;
    let (sql, params) = statement.as_ref().map_or((None, &[][..]), |(sql, params)| (Some(sql), &params[..]));
    let text = sql.map_or("", Sql::text);
    let rows = result.as_ref().map(|_| 0);
    let decode = Duration::ZERO;
    watch.end(repo, call, &Outcome { text, statement: sql, params, queue, decode, result: rows });
    result
}

async fn refill<T: FromRow, E: Executor>(executor: &E, open: &mut Open<T>) -> Result<()> {
    let Some(cursor) = open.cursor else { return Ok(()) };
    let options = executor.call_options();
    let repo = executor.inner().0;
    let needs_transaction = repo.capabilities().cursor_needs_transaction;
    let call = Call { role: Role::Read, table: open.table, verb: "fetch", enforced: false };
    let watch = Watch::begin(repo, call);
    let has_connection = AtomicBool::new(true);
    let mut queue = Some(Duration::ZERO);
    let spent = watch.is_observed().then_some(Duration::ZERO);
    let buffer = Timed { sink: Batch { rows: VecDeque::with_capacity(BATCH) }, spent };
    let commit = needs_transaction && !executor.is_transaction();
    let home = &mut open.home;
    let work = async {
        match home {
            Home::Own(..) | Home::Checkout(..) => fetch(home.connection()?, cursor, buffer, commit).await,
            Home::Shared(_) => {
                let mut lease = executor.lease(Role::Read).await?;
                queue = watch.elapsed();
                let mut ticket = lease.ticket().await?;
                let (connection, controls) = ticket.parts()?;
                let result = match connection.control(&controls).await {
                    Ok(()) => fetch(connection, cursor, buffer, commit).await,
                    Err(error) => Err(error),
                };
                ticket.end(result.as_ref().err());
                result
            }
        }
    };
    let result = bounded(executor, options.timeout, &has_connection, work).instrument(watch.span()).await;
    let decode = result.as_ref().ok().and_then(|(batch, _)| batch.spent).unwrap_or_default();
    let rows = result.as_ref().map(|(batch, _)| batch.sink.rows.len() as u64);
    let text = open.sql.text();
    watch.end(repo, call, &Outcome { text, statement: None, params: &[], queue, decode, result: rows });
    let (batch, end) = result?;
    open.rows = batch.sink.rows;
    if end {
        open.cursor = None;
    }
    Ok(())
}

/// Preloads for the rows of a batch: on the stream's connection where it holds one, so that a pool of one suffices.
async fn preload<T: FromRow, E: Executor>(executor: &E, open: &mut Open<T>, query: &SelectBody) -> Result<()> {
    let rows = open.rows.iter_mut();
    match &mut open.home {
        Home::Shared(_) => preload_read(executor, query, rows).await,
        home => {
            let runner = OnConnection { executor, connection: Mutex::new(home.connection()?) };
            preload_read_by(&runner, executor.inner().0, query, rows).await
        }
    }
}

/// Runs preloads on the connection that a stream holds.
struct OnConnection<'c, E> {
    executor: &'c E,
    connection: Mutex<&'c mut (dyn Connection + 'static)>,
}

#[async_trait]
impl<E: Executor> Runner for OnConnection<'_, E> {
    async fn batch(&self, mut requests: Vec<Request>) -> Result<Vec<Box<dyn RowSink>>> {
        requests.iter_mut().try_for_each(|request| read_by(self.executor, "preload", &mut request.body))?;
        run_batch_on(self.executor, &mut **self.connection.lock().await, &requests).await
    }
}

/// Fetches a batch; after the last one closes the cursor and ends its transaction.
async fn fetch<T: FromRow>(
    connection: &mut dyn Connection,
    cursor: CursorId,
    batch: Timed<Batch<T>>,
    commit: bool,
) -> Result<(Timed<Batch<T>>, bool)> {
    let (sink, done) = connection.fetch(cursor, BATCH, Box::new(batch)).await?;
    if done.end {
        if commit {
            // The cursor ends with it.
            connection.control(&[Control::Commit]).await?;
        } else {
            connection.close_cursor(cursor).await?;
        }
    }
    Ok((unbox::<Timed<Batch<T>>>(sink)?, done.end))
}
