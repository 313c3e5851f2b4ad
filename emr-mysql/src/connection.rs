//! One connection.

mod advisory;
mod bulk;
mod control;
mod cursor;
mod link;
mod many;
mod query;
mod session;
mod statements;
mod unique;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use emr_core::{
    AdvisoryLock, BulkInsert, Capabilities, Connection, Control, CursorId, Dialect, Done, Error, PrepareMode, Result,
    RowSink, Sql, Value,
};

pub(crate) use link::Link;
pub(crate) use session::Limits;
use session::{Health, Session, TransactionState};

/// An open connection. Each call runs under a [`Call`], so that a dropped one is noticed.
pub(crate) struct MySqlConnection {
    session: Session,
}

impl MySqlConnection {
    /// Advisory locks belong to `database`.
    pub(crate) fn new(
        link: Link,
        capabilities: Arc<Capabilities>,
        dialect: &'static dyn Dialect,
        prepare: PrepareMode,
        limits: Limits,
        database: &str,
    ) -> Self {
        MySqlConnection { session: Session::new(link, capabilities, dialect, prepare, limits, database) }
    }

    /// Begins a call.
    fn enter(&mut self) -> Result<Call<'_>> {
        self.session.begin_call()?;
        Ok(Call { session: &mut self.session, finished: false })
    }
}

/// A call under way. Dropped before [`finish`](Call::finish), it ends the session at the server: whether the statement
/// ran, nobody knows then.
struct Call<'c> {
    session: &'c mut Session,
    finished: bool,
}

impl Call<'_> {
    fn finish<T>(mut self, result: Result<T>) -> Result<T> {
        self.finished = self.session.health == Health::Sound;
        self.session.busy = false;
        result
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.session.abandon();
        }
    }
}

#[async_trait]
impl Connection for MySqlConnection {
    fn capabilities(&self) -> &Arc<Capabilities> {
        &self.session.capabilities
    }

    fn dialect(&self) -> &'static dyn Dialect {
        self.session.dialect
    }

    async fn query(
        &mut self,
        controls: &[Control],
        sql: &Sql,
        params: &[Value<'_>],
        mut sink: Box<dyn RowSink>,
    ) -> Result<(Box<dyn RowSink>, Done)> {
        let call = self.enter()?;
        let result = call.session.query(controls, sql, params, &mut *sink).await;
        call.finish(result).map(|done| (sink, done))
    }

    async fn control(&mut self, controls: &[Control]) -> Result<()> {
        let call = self.enter()?;
        let result = call.session.control(controls).await;
        call.finish(result)
    }

    async fn script(&mut self, sql: &str) -> Result<()> {
        let call = self.enter()?;
        let result = call.session.script(sql).await;
        call.finish(result)
    }

    async fn query_many(
        &mut self,
        controls: &[Control],
        sql: &str,
        sink: fn() -> Box<dyn RowSink>,
    ) -> Result<Vec<(Box<dyn RowSink>, Done)>> {
        let call = self.enter()?;
        let result = call.session.query_many(controls, sql, sink).await;
        call.finish(result)
    }

    async fn advisory_lock(&mut self, controls: &[Control], lock: &AdvisoryLock) -> Result<bool> {
        let call = self.enter()?;
        let result = call.session.advisory_lock(controls, lock).await;
        call.finish(result)
    }

    async fn insert_many(
        &mut self,
        controls: &[Control],
        rows: &BulkInsert,
        mut sink: Option<Box<dyn RowSink>>,
    ) -> Result<(Option<Box<dyn RowSink>>, Done)> {
        let call = self.enter()?;
        let result = call.session.insert_many(controls, rows, sink.as_deref_mut()).await;
        call.finish(result).map(|done| (sink, done))
    }

    async fn open_cursor(&mut self, controls: &[Control], sql: &Sql, params: &[Value<'_>]) -> Result<CursorId> {
        let call = self.enter()?;
        let result = call.session.open_cursor(controls, sql, params).await;
        call.finish(result)
    }

    async fn fetch(
        &mut self,
        cursor: CursorId,
        rows: usize,
        mut sink: Box<dyn RowSink>,
    ) -> Result<(Box<dyn RowSink>, Done)> {
        let call = self.enter()?;
        let result = call.session.fetch(cursor, rows, &mut *sink).await;
        call.finish(result).map(|done| (sink, done))
    }

    async fn close_cursor(&mut self, cursor: CursorId) -> Result<()> {
        let call = self.enter()?;
        let result = call.session.close_cursor(cursor).await;
        call.finish(result)
    }

    fn is_clean(&self) -> bool {
        !self.session.busy && !self.is_closed() && self.session.holds_nothing()
    }

    fn is_closed(&self) -> bool {
        self.session.link.as_ref().is_none_or(Link::is_closed)
    }

    fn is_in_doubt(&self, idle_since: Instant) -> bool {
        idle_since.elapsed() >= self.session.trusted
    }

    async fn check(&mut self) -> Result<()> {
        let call = self.enter()?;
        let result = call.session.check().await;
        call.finish(result)
    }

    fn in_transaction(&self) -> bool {
        self.session.transaction != TransactionState::None
    }

    async fn recover(&mut self) -> Result<()> {
        if self.session.busy {
            self.session.abandon();
        }
        if let Some(hanging_up) = self.session.hanging_up.take() {
            // Its own end is bounded; a task that panicked has closed the connection as well.
            let _ = hanging_up.await;
        }
        if self.is_closed() {
            return Err(Error::connection_lost("it was closed after a call on it was abandoned"));
        }
        let call = self.enter()?;
        if !call.session.in_transaction() && !matches!(call.session.drain_shortly().await, Ok(true)) {
            // A new connection costs less than the rows that are on their way already. Dropping the call ends the session.
            return Err(Error::connection_lost("a stream on it was left in the middle"));
        }
        let result = call.session.let_go().await;
        call.finish(result)
    }
}
