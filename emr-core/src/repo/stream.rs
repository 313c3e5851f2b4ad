//! Rows one after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_core::Stream;
use futures_util::{StreamExt, stream};
use tracing::Instrument;

use crate::checkout::CheckoutCore;
use crate::connection::{Begin, Connection, Control, CursorId, Role};
use crate::error::{Error, Result};
use crate::exec::{Call, CallOptions, Executor, Lease, bounded};
use crate::handle::RepoInner;
use crate::lifecycle::Activity;
use crate::observe::{Outcome, Watch};
use crate::pool::Pooled;
use crate::query::Query;
use crate::schema::Syncable;
use crate::sinks::{Batch, Timed, unbox};
use crate::sql::{Params, Sql, SqlBuilder};
use crate::transaction::TxCore;

/// How many rows are fetched at a time.
const BATCH: usize = 500;

/// Where a stream stands.
enum State<T> {
    Start(Box<Query<T>>),
    Open(Open<T>),
    End,
}

/// An open cursor and the rows that it has fetched.
struct Open<T> {
    rows: VecDeque<T>,
    cursor: Option<CursorId>,
    sql: Sql,
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
fn render<'q, T: Syncable>(repo: &RepoInner, query: &'q Query<T>, options: &CallOptions) -> Result<(Sql, Params<'q>)> {
    SqlBuilder::build(repo.dialect(), repo.capabilities(), |out| {
        crate::render::select(out, query.body(), options.prefix.as_deref());
    })
}

pub(super) fn stream<T: Syncable, E: Executor>(
    executor: &E,
    query: Query<T>,
) -> impl Stream<Item = Result<T>> + Send + Unpin + '_ {
    stream::unfold(State::Start(Box::new(query)), move |state| next(executor, state)).fuse().boxed()
}

/// The next row, and where the stream stands then. An error ends it.
async fn next<T: Syncable, E: Executor>(executor: &E, state: State<T>) -> Option<(Result<T>, State<T>)> {
    let mut open = match state {
        State::Start(query) => match open(executor, &query).await {
            Ok(open) => open,
            Err(error) => return Some((Err(error), State::End)),
        },
        State::Open(open) => open,
        State::End => return None,
    };
    if open.rows.is_empty()
        && open.cursor.is_some()
        && let Err(error) = refill(executor, &mut open).await
    {
        return Some((Err(error), State::End));
    }
    let row = open.rows.pop_front()?;
    Some((Ok(row), State::Open(open)))
}

async fn open<T: Syncable, E: Executor>(executor: &E, query: &Query<T>) -> Result<Open<T>> {
    if query.body().lock.is_some() && !executor.is_transaction() {
        return Err(Error::invalid("a locking query needs a transaction"));
    }
    let repo = executor.inner().0;
    let options = executor.call_options();
    let role = if query.body().lock.is_some() { Role::Write } else { Role::Read };
    let call = Call { role, table: Some(T::schema().table), verb: "stream", enforced: false };
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
            let begin = [Control::Begin(Begin::default())];
            let controls = if repo.capabilities().cursor_needs_transaction { &begin[..] } else { &[] };
            let cursor = home.connection()?.open_cursor(controls, sql, params).await?;
            return Ok(Open { rows: VecDeque::new(), cursor: Some(cursor), sql: sql.clone(), home });
        }
        let mut lease = executor.lease(role).await?;
        has_connection.store(true, Ordering::Relaxed);
        queue = watch.elapsed();
        let (sql, params) = statement.insert(render(repo, query, &options)?);
        let own = !executor.is_transaction();
        let mut ticket = lease.ticket().await?;
        let (connection, mut controls) = ticket.parts()?;
        if own && repo.capabilities().cursor_needs_transaction {
            controls.push(Control::Begin(Begin::default()));
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
        Ok(Open { rows: VecDeque::new(), cursor, sql: sql.clone(), home })
    };
    let result = bounded(executor, options.timeout, &has_connection, work).instrument(watch.span()).await;
    let (sql, params) = statement.as_ref().map_or((None, &[][..]), |(sql, params)| (Some(sql), &params[..]));
    let text = sql.map_or("", Sql::text);
    let rows = result.as_ref().map(|_| 0);
    let decode = Duration::ZERO;
    watch.end(repo, call, &Outcome { text, statement: sql, params, queue, decode, result: rows });
    result
}

async fn refill<T: Syncable, E: Executor>(executor: &E, open: &mut Open<T>) -> Result<()> {
    let Some(cursor) = open.cursor else { return Ok(()) };
    let options = executor.call_options();
    let repo = executor.inner().0;
    let needs_transaction = repo.capabilities().cursor_needs_transaction;
    let call = Call { role: Role::Read, table: Some(T::schema().table), verb: "fetch", enforced: false };
    let watch = Watch::begin(repo, call);
    let has_connection = AtomicBool::new(true);
    let mut queue = Some(Duration::ZERO);
    let spent = watch.is_observed().then_some(Duration::ZERO);
    let buffer = Timed { sink: Batch { rows: std::mem::take(&mut open.rows) }, spent };
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

/// Fetches a batch; after the last one closes the cursor and ends its transaction.
async fn fetch<T: Syncable>(
    connection: &mut dyn Connection,
    cursor: CursorId,
    batch: Timed<Batch<T>>,
    commit: bool,
) -> Result<(Timed<Batch<T>>, bool)> {
    let (sink, done) = connection.fetch(cursor, BATCH, Box::new(batch)).await?;
    if done.end {
        connection.close_cursor(cursor).await?;
        if commit {
            connection.control(&[Control::Commit]).await?;
        }
    }
    Ok((unbox::<Timed<Batch<T>>>(sink)?, done.end))
}
