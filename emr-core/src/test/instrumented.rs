//! A connection that is noted, and fails when it is told to.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use super::fault::Fault;
use super::instrument::{Instrument, Running, Strike};
use super::operation::{Planned, Verb};
use crate::advisory::AdvisoryLock;
use crate::capabilities::Capabilities;
use crate::connection::{Connection, Control, CursorId, Done, Step};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::insert::BulkInsert;
use crate::observe::shown;
use crate::row::RowSink;
use crate::sql::Sql;
use crate::value::Value;

const BROKEN: &str = "an Instrument was told to break it";

/// A connection, and who listens.
pub(super) struct Instrumented {
    /// `None` once it was broken.
    real: Option<Box<dyn Connection>>,
    capabilities: Arc<Capabilities>,
    dialect: &'static dyn Dialect,
    instrument: Instrument,
    number: u32,
}

/// A call that runs.
struct Call {
    running: Running,
    answer_lost: bool,
}

/// Closes the connection when a hanging call is cancelled.
struct CloseOnDrop<'c>(&'c mut Option<Box<dyn Connection>>);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        *self.0 = None;
    }
}

fn statement(verb: Verb, sql: &Sql, params: &[Value<'_>]) -> Planned {
    Planned { verb, text: sql.text().to_owned(), params: shown(Some(sql), params).collect() }
}

impl Instrumented {
    pub(super) fn new(real: Box<dyn Connection>, instrument: Instrument, number: u32) -> Self {
        let capabilities = Arc::clone(real.capabilities());
        Instrumented { capabilities, dialect: real.dialect(), real: Some(real), instrument, number }
    }

    fn real(&mut self) -> Result<&mut (dyn Connection + 'static)> {
        self.real.as_deref_mut().ok_or_else(|| Error::connection_lost(BROKEN))
    }

    /// Notes what is about to run, and carries out what comes in its place.
    async fn enter(&mut self, controls: &[Control], own: Vec<Planned>) -> Result<Call> {
        let operations = controls.iter().map(Planned::of_control).chain(own).collect();
        let (running, strike, delay) = self.instrument.begin(self.number, operations);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let (at, fault) = match strike {
            None => return Ok(Call { running, answer_lost: false }),
            Some(Strike::After) => return Ok(Call { running, answer_lost: true }),
            Some(Strike::Instead(at, fault)) => (at, fault),
        };
        let result = self.suffer(controls, at, fault).await;
        running.end(result.as_ref().map(|()| 0));
        result.and_then(|()| Err(Error::invalid("an Instrument knows no such fault")))
    }

    /// What comes before the operation at this position happens, and then the fault. Never `Ok`.
    async fn suffer(&mut self, controls: &[Control], at: usize, fault: Fault) -> Result<()> {
        let (before, struck) = controls.split_at(at.min(controls.len()));
        if !before.is_empty() {
            self.real()?.control(before).await?;
        }
        match fault {
            Fault::Fail(kind) => {
                if struck.first() == Some(&Control::Commit) {
                    self.real()?.control(&[Control::Rollback]).await?;
                }
                Err(Error::new(kind))
            }
            Fault::ConnectionStale => {
                self.real = None;
                Err(Error::connection_lost(BROKEN).not_executed())
            }
            Fault::Hang => {
                let _close = CloseOnDrop(&mut self.real);
                std::future::pending().await
            }
            _ => {
                self.real = None;
                Err(Error::connection_lost(BROKEN))
            }
        }
    }

    /// The call came back.
    fn leave<T>(&mut self, call: Call, result: Result<T>, rows: impl Fn(&T) -> u64) -> Result<T> {
        let result = if call.answer_lost {
            self.real = None;
            Err(Error::connection_lost(BROKEN))
        } else {
            result
        };
        call.running.end(result.as_ref().map(rows));
        result
    }
}

fn written<S>(result: &(S, Done)) -> u64 {
    result.1.rows
}

#[async_trait]
impl Connection for Instrumented {
    fn capabilities(&self) -> &Arc<Capabilities> {
        &self.capabilities
    }

    fn dialect(&self) -> &'static dyn Dialect {
        self.dialect
    }

    async fn query(
        &mut self,
        controls: &[Control],
        sql: &Sql,
        params: &[Value<'_>],
        sink: Box<dyn RowSink>,
    ) -> Result<(Box<dyn RowSink>, Done)> {
        let call = self.enter(controls, vec![statement(Verb::Statement, sql, params)]).await?;
        let result = self.real()?.query(controls, sql, params, sink).await;
        self.leave(call, result, written)
    }

    async fn batch(
        &mut self,
        controls: &[Control],
        steps: Vec<Step<'_>>,
    ) -> Result<Vec<Result<(Box<dyn RowSink>, Done)>>> {
        let own = steps.iter().map(|step| statement(Verb::Statement, &step.sql, &step.params)).collect();
        // A fault in one of them is one of all.
        let call = self.enter(controls, own).await?;
        let result = self.real()?.batch(controls, steps).await;
        match result {
            Ok(results) if !call.answer_lost => {
                let told = |one: &Result<_>| one.as_ref().map(written).map_err(|error| error.kind().clone());
                call.running.end_each(&results.iter().map(told).collect::<Vec<_>>());
                Ok(results)
            }
            result => self.leave(call, result, |_| 0),
        }
    }

    async fn control(&mut self, controls: &[Control]) -> Result<()> {
        if controls.is_empty() {
            return Ok(());
        }
        let call = self.enter(controls, Vec::new()).await?;
        let result = self.real()?.control(controls).await;
        self.leave(call, result, |()| 0)
    }

    async fn script(&mut self, sql: &str) -> Result<()> {
        let call = self.enter(&[], vec![Planned::new(Verb::Script, sql)]).await?;
        let result = self.real()?.script(sql).await;
        self.leave(call, result, |()| 0)
    }

    async fn query_many(
        &mut self,
        controls: &[Control],
        sql: &str,
        sink: fn() -> Box<dyn RowSink>,
    ) -> Result<Vec<(Box<dyn RowSink>, Done)>> {
        let call = self.enter(controls, vec![Planned::new(Verb::Script, sql)]).await?;
        let result = self.real()?.query_many(controls, sql, sink).await;
        self.leave(call, result, |results| results.iter().map(written).sum())
    }

    async fn advisory_lock(&mut self, controls: &[Control], lock: &AdvisoryLock) -> Result<bool> {
        let call = self.enter(controls, vec![Planned::new(Verb::AdvisoryLock, &*lock.name)]).await?;
        let result = self.real()?.advisory_lock(controls, lock).await;
        self.leave(call, result, |_| 0)
    }

    async fn insert_many(
        &mut self,
        controls: &[Control],
        rows: &BulkInsert,
        sink: Option<Box<dyn RowSink>>,
    ) -> Result<(Option<Box<dyn RowSink>>, Done)> {
        let text = format!("INSERT INTO {}: {} rows", rows.schema.table, rows.len());
        let call = self.enter(controls, vec![Planned::new(Verb::Insert, text)]).await?;
        let result = self.real()?.insert_many(controls, rows, sink).await;
        self.leave(call, result, written)
    }

    async fn open_cursor(&mut self, controls: &[Control], sql: &Sql, params: &[Value<'_>]) -> Result<CursorId> {
        let call = self.enter(controls, vec![statement(Verb::Cursor, sql, params)]).await?;
        let result = self.real()?.open_cursor(controls, sql, params).await;
        self.leave(call, result, |_| 0)
    }

    async fn fetch(
        &mut self,
        cursor: CursorId,
        rows: usize,
        sink: Box<dyn RowSink>,
    ) -> Result<(Box<dyn RowSink>, Done)> {
        let call = self.enter(&[], vec![Planned::new(Verb::Fetch, format!("FETCH {rows}"))]).await?;
        let result = self.real()?.fetch(cursor, rows, sink).await;
        self.leave(call, result, written)
    }

    async fn close_cursor(&mut self, cursor: CursorId) -> Result<()> {
        let call = self.enter(&[], vec![Planned::new(Verb::CloseCursor, "CLOSE")]).await?;
        let result = self.real()?.close_cursor(cursor).await;
        self.leave(call, result, |()| 0)
    }

    fn is_clean(&self) -> bool {
        self.real.as_ref().is_some_and(|real| real.is_clean())
    }

    fn is_in_doubt(&self, idle_since: Instant) -> bool {
        self.real.as_ref().is_some_and(|real| real.is_in_doubt(idle_since))
    }

    async fn check(&mut self) -> Result<()> {
        match &mut self.real {
            Some(real) => real.check().await,
            None => Ok(()),
        }
    }

    fn is_closed(&self) -> bool {
        self.real.as_ref().is_none_or(|real| real.is_closed())
    }

    fn in_transaction(&self) -> bool {
        self.real.as_ref().is_some_and(|real| real.in_transaction())
    }

    async fn recover(&mut self) -> Result<()> {
        let call = self.enter(&[], vec![Planned::new(Verb::Recover, "RECOVER")]).await?;
        let result = match self.real() {
            Ok(real) => real.recover().await,
            Err(error) => Err(error),
        };
        self.leave(call, result, |()| 0)
    }
}
