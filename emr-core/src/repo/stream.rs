//! Rows one after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_core::Stream;
use futures_util::{StreamExt, stream};

use crate::checkout::CheckoutCore;
use crate::connection::{Begin, Connection, Control, CursorId, Role};
use crate::error::{Error, Result};
use crate::exec::{Executor, Lease, bounded};
use crate::lifecycle::Activity;
use crate::pool::Pooled;
use crate::query::Query;
use crate::render;
use crate::row::RowSink;
use crate::schema::Syncable;
use crate::sinks::{Batch, unbox};
use crate::sql::SqlBuilder;
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
        match (self.cursor, &mut self.home) {
            (Some(cursor), Home::Shared(tx)) => tx.orphan(cursor),
            (_, Home::Checkout(pooled, checkout)) => match pooled.take() {
                Some(pooled) if pooled.is_clean() => checkout.put(pooled),
                // The pool recovers it, and nobody can wait for that here.
                _ => checkout.lose(),
            },
            _ => {}
        }
    }
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
    let has_connection = AtomicBool::new(false);
    let work = async {
        if let Some(checkout) = executor.as_checkout() {
            let mut open =
                Open { rows: VecDeque::new(), cursor: None, home: Home::Checkout(None, Arc::clone(&checkout.core)) };
            let pooled = checkout.core.take().await?;
            let Home::Checkout(slot, _) = &mut open.home else { return Err(Error::invalid("no checkout")) };
            let connection = slot.insert(pooled).connection()?;
            let (sql, params) = SqlBuilder::build(repo.dialect(), repo.capabilities(), |out| {
                render::select(out, query.body(), options.prefix.as_deref());
            })?;
            let begin = [Control::Begin(Begin::default())];
            let controls = if repo.capabilities().cursor_needs_transaction { &begin[..] } else { &[] };
            open.cursor = Some(connection.open_cursor(controls, &sql, &params).await?);
            return Ok(open);
        }
        let mut lease = executor.lease(if query.body().lock.is_some() { Role::Write } else { Role::Read }).await?;
        has_connection.store(true, Ordering::Relaxed);
        let capabilities = repo.capabilities();
        let (sql, params) = SqlBuilder::build(repo.dialect(), capabilities, |out| {
            render::select(out, query.body(), options.prefix.as_deref());
        })?;
        let own = !executor.is_transaction();
        let mut ticket = lease.ticket().await?;
        let (connection, mut controls) = ticket.parts()?;
        if own && capabilities.cursor_needs_transaction {
            controls.push(Control::Begin(Begin::default()));
        }
        let opened = connection.open_cursor(&controls, &sql, &params).await;
        ticket.end(opened.as_ref().err());
        let cursor = Some(opened?);
        let home = if let Some(tx) = executor.as_tx() {
            Home::Shared(Arc::clone(&tx.core))
        } else {
            let (pooled, activity) = Lease::into_pooled(lease)?;
            Home::Own(pooled, activity)
        };
        Ok(Open { rows: VecDeque::new(), cursor, home })
    };
    bounded(executor, options.timeout, &has_connection, work).await
}

async fn refill<T: Syncable, E: Executor>(executor: &E, open: &mut Open<T>) -> Result<()> {
    let Some(cursor) = open.cursor else { return Ok(()) };
    let options = executor.call_options();
    let needs_transaction = executor.inner().0.capabilities().cursor_needs_transaction;
    let has_connection = AtomicBool::new(true);
    let buffer = std::mem::take(&mut open.rows);
    let commit = needs_transaction && !executor.is_transaction();
    let home = &mut open.home;
    let work = async {
        match home {
            Home::Own(pooled, _) | Home::Checkout(Some(pooled), _) => {
                fetch(pooled.connection()?, cursor, buffer, commit).await
            }
            Home::Checkout(None, _) => Err(Error::connection_lost("the checkout lost its connection")),
            Home::Shared(_) => {
                let mut lease = executor.lease(Role::Read).await?;
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
    let (rows, end) = bounded(executor, options.timeout, &has_connection, work).await?;
    open.rows = rows;
    if end {
        open.cursor = None;
    }
    Ok(())
}

/// Fetches a batch; after the last one closes the cursor and ends its transaction.
async fn fetch<T: Syncable>(
    connection: &mut dyn Connection,
    cursor: CursorId,
    rows: VecDeque<T>,
    commit: bool,
) -> Result<(VecDeque<T>, bool)> {
    let sink: Box<dyn RowSink> = Box::new(Batch { rows });
    let (sink, done) = connection.fetch(cursor, BATCH, sink).await?;
    if done.end {
        connection.close_cursor(cursor).await?;
        if commit {
            connection.control(&[Control::Commit]).await?;
        }
    }
    Ok((unbox::<Batch<T>>(sink)?.rows, done.end))
}
