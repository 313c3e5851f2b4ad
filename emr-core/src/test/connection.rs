//! What a test repo's pool holds: connections that are all one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::outer::{Known, Outer, Real, Turn};
use crate::advisory::AdvisoryLock;
use crate::capabilities::Capabilities;
use crate::connection::{Connection, Connector, Control, CursorId, Done, Role, Step};
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result, TransactionFault};
use crate::insert::BulkInsert;
use crate::row::RowSink;
use crate::sql::Sql;
use crate::value::Value;

/// The savepoint that stands for a transaction, and around a statement that is in none. Nested transactions begin at 1.
const BASE: u32 = 0;

/// Opens connections that share the one of the test repo.
pub(super) struct TestConnector {
    pub(super) outer: Arc<Outer>,
    /// Whether the test repo ends with the repo that connects by this one.
    pub(super) first: bool,
}

#[async_trait]
impl Connector for TestConnector {
    async fn connect(&self, _role: Role) -> Result<Box<dyn Connection>> {
        let Known { capabilities, dialect } = self.outer.ready().await?;
        let outer = Arc::clone(&self.outer);
        Ok(Box::new(TestConnection {
            outer,
            capabilities,
            dialect,
            level: Level::Outside,
            turn: None,
            cursors: Vec::new(),
            busy: false,
        }))
    }

    fn target(&self) -> String {
        self.outer.connector.target()
    }

    fn role_of(&self, sql: &str) -> Role {
        self.outer.connector.role_of(sql)
    }

    fn connect_timeout(&self) -> Duration {
        self.outer.connector.connect_timeout()
    }

    fn stopped(&self) {
        if self.first {
            self.outer.abandon();
        }
    }
}

/// What the program has begun on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Outside,
    /// A transaction, which is a savepoint. Nobody else has the connection meanwhile.
    Transaction {
        read_only: bool,
    },
    /// A transaction that is there for a cursor alone: others may go on between its rows.
    Cursor,
}

impl Level {
    fn is_transaction(self) -> bool {
        matches!(self, Level::Transaction { .. })
    }
}

/// One connection as the program sees it.
struct TestConnection {
    outer: Arc<Outer>,
    capabilities: Arc<Capabilities>,
    dialect: &'static dyn Dialect,
    level: Level,
    /// Kept while a transaction is open.
    turn: Option<Turn>,
    cursors: Vec<CursorId>,
    busy: bool,
}

/// What happens if a statement outside of a transaction fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// All that it did is undone.
    Undo,
    /// What came before the failure stays, where the engine goes on after it.
    Keep,
    /// It cannot fail by itself.
    None,
}

/// A call on its way. Dropped before its end, nobody knows what the server is doing.
struct Call<'c> {
    own: &'c mut TestConnection,
    turn: Option<Turn>,
    controls: Vec<Control>,
    level: Level,
    guarded: bool,
}

impl TestConnection {
    /// Waits for the turn, and says what is to be sent before the statement.
    async fn enter(&mut self, controls: &[Control], guard: Guard) -> Result<Call<'_>> {
        let mut turn = match self.turn.take() {
            Some(turn) => turn,
            None => self.outer.turn().await?,
        };
        let mut sent = std::mem::take(&mut turn.owed);
        let mut level = self.level;
        for control in controls {
            level = translate(control, level, &mut sent);
        }
        let undoes = match guard {
            Guard::Undo => true,
            Guard::Keep => self.capabilities.error_aborts_transaction,
            Guard::None => false,
        };
        let guarded = undoes && !level.is_transaction() && !self.level.is_transaction();
        if guarded {
            sent.push(Control::Savepoint(BASE));
        }
        self.busy = true;
        Ok(Call { own: self, turn: Some(turn), controls: sent, level, guarded })
    }
}

/// What a control of the program is within the outer transaction.
fn translate(control: &Control, level: Level, sent: &mut Vec<Control>) -> Level {
    match (control, level) {
        (Control::Begin(begin), _) if begin.for_cursor => Level::Cursor,
        (Control::Begin(begin), _) => {
            // The isolation is that of the outer transaction: a savepoint has none of its own.
            sent.push(Control::Savepoint(BASE));
            if begin.read_only {
                sent.push(Control::ReadOnly(true));
            }
            Level::Transaction { read_only: begin.read_only }
        }
        (Control::Commit | Control::Rollback, Level::Transaction { read_only }) => {
            if *control == Control::Commit {
                sent.push(Control::Release(BASE));
            } else {
                sent.push(Control::RollbackTo(BASE));
            }
            if read_only {
                sent.push(Control::ReadOnly(false));
            }
            Level::Outside
        }
        (Control::Commit | Control::Rollback, _) => Level::Outside,
        (other, level) => {
            sent.push(other.clone());
            level
        }
    }
}

impl Call<'_> {
    fn real(&mut self) -> Result<&mut Real> {
        self.turn.as_deref_mut().ok_or_else(|| Error::invalid("the call has ended"))
    }

    /// The connection, and what goes before the statement.
    fn parts(&mut self) -> Result<(&mut (dyn Connection + 'static), Vec<Control>)> {
        let controls = std::mem::take(&mut self.controls);
        Ok((self.real()?.connection()?, controls))
    }

    /// Sends what goes before the statement.
    async fn controlled(&mut self) -> Result<&mut (dyn Connection + 'static)> {
        let (connection, controls) = self.parts()?;
        connection.control(&controls).await?;
        Ok(connection)
    }

    /// The statement came back.
    async fn leave<T>(mut self, result: Result<T>) -> Result<T> {
        let guarded = self.guarded;
        let real = self.real()?;
        let usable = real.connection().is_ok_and(|connection| !connection.is_closed() && connection.in_transaction());
        let mut settled = usable;
        if usable && guarded {
            if result.is_ok() {
                // It travels with the next statement.
                real.owed.push(Control::Release(BASE));
            } else {
                settled = real.connection()?.control(&[Control::RollbackTo(BASE)]).await.is_ok();
            }
        }
        self.finish(settled);
        result
    }

    /// Gives the turn on, unless a transaction keeps it.
    fn finish(&mut self, settled: bool) {
        let Some(mut turn) = self.turn.take() else { return };
        let own = &mut *self.own;
        own.busy = false;
        own.level = self.level;
        if !settled {
            own.outer.lose(&mut turn);
        }
        if settled && own.level.is_transaction() {
            own.turn = Some(turn);
        } else {
            own.outer.release(turn);
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        // Only a call that did not come to its end still has its turn.
        self.finish(false);
    }
}

impl Drop for TestConnection {
    fn drop(&mut self) {
        let Some(mut turn) = self.turn.take() else { return };
        if let Level::Transaction { read_only } = self.level {
            // It was given up in the middle: the next statement of whomever undoes it first.
            turn.owed.push(Control::RollbackTo(BASE));
            if read_only {
                turn.owed.push(Control::ReadOnly(false));
            }
        }
        self.outer.release(turn);
    }
}

#[async_trait]
impl Connection for TestConnection {
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
        let mut call = self.enter(controls, Guard::Undo).await?;
        let (connection, controls) = call.parts()?;
        let result = connection.query(&controls, sql, params, sink).await;
        call.leave(result).await
    }

    async fn batch(
        &mut self,
        controls: &[Control],
        steps: Vec<Step<'_>>,
    ) -> Result<Vec<Result<(Box<dyn RowSink>, Done)>>> {
        let mut call = self.enter(controls, Guard::Undo).await?;
        let (connection, controls) = call.parts()?;
        let result = connection.batch(&controls, steps).await;
        // One that failed has broken the transaction for all after it.
        let (broken, results) = match result {
            Ok(results) => (results.iter().any(Result::is_err), Ok(results)),
            Err(error) => (true, Err(error)),
        };
        let judged = if broken { Err(Error::invalid("a statement of the batch failed")) } else { Ok(()) };
        let _ = call.leave(judged).await;
        results
    }

    async fn control(&mut self, controls: &[Control]) -> Result<()> {
        if controls.is_empty() {
            return Ok(());
        }
        let ends = controls.iter().any(|control| matches!(control, Control::Commit | Control::Rollback));
        let open = if ends { std::mem::take(&mut self.cursors) } else { Vec::new() };
        let read_only = matches!(self.level, Level::Transaction { read_only: true });
        let mut call = self.enter(controls, Guard::None).await?;
        let (connection, controls) = call.parts()?;
        let result = async {
            for cursor in open {
                // They ended with the transaction, had it been one.
                connection.close_cursor(cursor).await?;
            }
            connection.control(&controls).await
        }
        .await;
        if result.is_err() && ends && call.real()?.connection().is_ok_and(|connection| !connection.is_closed()) {
            // A commit that fails has rolled back.
            let mut undo = vec![Control::RollbackTo(BASE)];
            undo.extend(read_only.then_some(Control::ReadOnly(false)));
            let undone = call.real()?.connection()?.control(&undo).await;
            let aborted = controls.contains(&Control::Release(BASE)) && result.as_ref().is_err_and(is_aborted);
            call.leave(undone).await?;
            return if aborted { Err(Error::transaction(TransactionFault::Aborted)) } else { result };
        }
        call.leave(result).await
    }

    async fn script(&mut self, sql: &str) -> Result<()> {
        let mut call = self.enter(&[], Guard::Keep).await?;
        let result = match call.controlled().await {
            Ok(connection) => connection.script(sql).await,
            Err(error) => Err(error),
        };
        call.leave(result).await
    }

    async fn query_many(
        &mut self,
        controls: &[Control],
        sql: &str,
        sink: fn() -> Box<dyn RowSink>,
    ) -> Result<Vec<(Box<dyn RowSink>, Done)>> {
        let mut call = self.enter(controls, Guard::Keep).await?;
        let (connection, controls) = call.parts()?;
        let result = connection.query_many(&controls, sql, sink).await;
        call.leave(result).await
    }

    async fn advisory_lock(&mut self, controls: &[Control], _lock: &AdvisoryLock) -> Result<bool> {
        // Transactions of one test repo never overlap, and other test repos are other worlds. The server's own lock would
        // be held until the test ends, and tests would wait for each other.
        let mut call = self.enter(controls, Guard::None).await?;
        let result = call.controlled().await.map(drop);
        call.leave(result).await.map(|()| true)
    }

    async fn insert_many(
        &mut self,
        controls: &[Control],
        rows: &BulkInsert,
        sink: Option<Box<dyn RowSink>>,
    ) -> Result<(Option<Box<dyn RowSink>>, Done)> {
        let mut call = self.enter(controls, Guard::Undo).await?;
        let (connection, controls) = call.parts()?;
        let result = connection.insert_many(&controls, rows, sink).await;
        call.leave(result).await
    }

    async fn open_cursor(&mut self, controls: &[Control], sql: &Sql, params: &[Value<'_>]) -> Result<CursorId> {
        let mut call = self.enter(controls, Guard::Undo).await?;
        let (connection, controls) = call.parts()?;
        let result = connection.open_cursor(&controls, sql, params).await;
        let cursor = call.leave(result).await?;
        self.cursors.push(cursor);
        Ok(cursor)
    }

    async fn fetch(
        &mut self,
        cursor: CursorId,
        rows: usize,
        sink: Box<dyn RowSink>,
    ) -> Result<(Box<dyn RowSink>, Done)> {
        let mut call = self.enter(&[], Guard::Undo).await?;
        let result = match call.controlled().await {
            Ok(connection) => connection.fetch(cursor, rows, sink).await,
            Err(error) => Err(error),
        };
        call.leave(result).await
    }

    async fn close_cursor(&mut self, cursor: CursorId) -> Result<()> {
        self.cursors.retain(|open| *open != cursor);
        let mut call = self.enter(&[], Guard::Undo).await?;
        let result = match call.controlled().await {
            Ok(connection) => connection.close_cursor(cursor).await,
            Err(error) => Err(error),
        };
        call.leave(result).await
    }

    fn is_clean(&self) -> bool {
        !self.busy && !self.is_closed() && self.level == Level::Outside && self.cursors.is_empty()
    }

    fn is_closed(&self) -> bool {
        !self.outer.is_open()
    }

    fn in_transaction(&self) -> bool {
        self.level != Level::Outside && !self.is_closed()
    }

    async fn recover(&mut self) -> Result<()> {
        for cursor in std::mem::take(&mut self.cursors) {
            let _ = self.close_cursor(cursor).await;
        }
        if self.level != Level::Outside {
            self.control(&[Control::Rollback]).await?;
        }
        Ok(())
    }
}

/// The server refused because an earlier statement had failed.
fn is_aborted(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Database { .. } | ErrorKind::Transaction(TransactionFault::Aborted))
}
