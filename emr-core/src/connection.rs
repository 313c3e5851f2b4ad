//! The seam between the repo and one connection of a driver.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::advisory::AdvisoryLock;
use crate::capabilities::{Capabilities, IsolationLevel};
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::insert::BulkInsert;
use crate::row::RowSink;
use crate::sql::Sql;
use crate::value::Value;

/// One open connection. Adapters implement it; everything else is built on it once.
///
/// **Cancellation.** Any future of these methods may be dropped at any await. The connection must then
/// know by itself that it is not [clean](Connection::is_clean); the pool calls
/// [`recover`](Connection::recover) before anybody else gets it. A blocking adapter copies the
/// parameters before it hands the statement to its thread.
#[async_trait]
pub trait Connection: Send {
    /// What the server can do. Read once, when the connection was made.
    fn capabilities(&self) -> &Arc<Capabilities>;

    /// How the server spells SQL. Usually what [`Adapter::dialect`](crate::Adapter::dialect) says; an adapter whose
    /// servers are of more than one product knows it only now.
    fn dialect(&self) -> &'static dyn Dialect;

    /// Runs one statement and pushes its rows into the sink, which comes back with the counts. A statement that
    /// the adapter refuses before sending it (a value that does not fit) is refused after its controls were
    /// carried out: the transaction counts on them. `controls` come first, in the same round trip where the driver can make sure that a failing
    /// control keeps the statement from running.
    async fn query(
        &mut self,
        controls: &[Control],
        sql: &Sql,
        params: &[Value<'_>],
        sink: Box<dyn RowSink>,
    ) -> Result<(Box<dyn RowSink>, Done)>;

    /// Runs several statements, pipelined where the driver can, one after the other where it cannot. Each
    /// has its own result; after the first error outside a transaction the others may or may not run.
    async fn batch(
        &mut self,
        controls: &[Control],
        steps: Vec<Step<'_>>,
    ) -> Result<Vec<Result<(Box<dyn RowSink>, Done)>>> {
        self.control(controls).await?;
        let mut results = Vec::with_capacity(steps.len());
        for step in steps {
            let result = self.query(&[], &step.sql, &step.params, step.sink).await;
            let failed = result.is_err();
            results.push(result);
            if failed {
                break;
            }
        }
        Ok(results)
    }

    /// Begins, ends, sets and undoes transactions and savepoints, in this order, in one round trip where
    /// the driver can.
    async fn control(&mut self, controls: &[Control]) -> Result<()>;

    /// Runs SQL of any number of statements, without parameters, and throws rows away.
    async fn script(&mut self, sql: &str) -> Result<()>;

    /// Runs any number of statements one after the other, without parameters, and keeps what each of them gives: `sink`
    /// makes a sink for each. The first that fails ends it; outside a transaction those before it stay.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) in an adapter that does not implement it.
    async fn query_many(
        &mut self,
        _controls: &[Control],
        _sql: &str,
        _sink: fn() -> Box<dyn RowSink>,
    ) -> Result<Vec<(Box<dyn RowSink>, Done)>> {
        Err(Error::unsupported("several results of one call", &*self.capabilities().server))
    }

    /// Takes a lock that is a name, after its controls were carried out, and says whether it has it: `false` only if
    /// the lock does not [wait](AdvisoryLock::wait). It is held until the transaction ends. An engine whose locks belong
    /// to the session gives them back after [`Commit`](Control::Commit) and [`Rollback`](Control::Rollback), and until
    /// then is not [clean](Connection::is_clean); whether [`RollbackTo`](Control::RollbackTo) gives back what was taken
    /// since the savepoint is the engine's own rule.
    ///
    /// A lock that is not free may be refused before a [`Begin`](Control::Begin) was carried out: the transaction is then
    /// begun by its next statement.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) in an adapter that does not implement it.
    async fn advisory_lock(&mut self, _controls: &[Control], _lock: &AdvisoryLock) -> Result<bool> {
        Err(Error::unsupported("advisory locks", &*self.capabilities().server))
    }

    /// Inserts many rows that set the same columns, by the fastest road of the engine, all or none.
    /// Outside a transaction the adapter opens one if it needs more than one statement.
    ///
    /// Where the server gives nothing back ([`Capabilities::insert_returning`]), the adapter selects the stored rows again
    /// ([`render::inserted`](crate::render::inserted)); it is asked only for rows whose keys can be told. What became of a
    /// row with a conflict it then says of a single one alone ([`render::outcome`](crate::render::outcome)).
    async fn insert_many(
        &mut self,
        controls: &[Control],
        rows: &BulkInsert,
        sink: Option<Box<dyn RowSink>>,
    ) -> Result<(Option<Box<dyn RowSink>>, Done)>;

    /// Opens a cursor. The connection must be in a transaction, unless the engine needs none.
    async fn open_cursor(&mut self, controls: &[Control], sql: &Sql, params: &[Value<'_>]) -> Result<CursorId>;

    /// Fetches at most `rows` rows. [`Done::end`] is true when there are no more.
    async fn fetch(
        &mut self,
        cursor: CursorId,
        rows: usize,
        sink: Box<dyn RowSink>,
    ) -> Result<(Box<dyn RowSink>, Done)>;

    /// Closes a cursor. Rows that were not fetched cost nothing.
    async fn close_cursor(&mut self, cursor: CursorId) -> Result<()>;

    /// Whether the connection is open, runs nothing, and is in no transaction. Without I/O.
    fn is_clean(&self) -> bool;

    /// Whether the connection is gone. Without I/O.
    fn is_closed(&self) -> bool;

    /// Whether a transaction is open. Without I/O.
    fn in_transaction(&self) -> bool;

    /// Whether only the server can tell if the connection, idle since then, is still there. Without I/O. The pool asks when
    /// it hands a connection out, and [checks](Connection::check) one that is in doubt: a driver that does nothing while its
    /// connection lies idle does not see the server close it, and a write that is lost on the way cannot be sent again.
    fn is_in_doubt(&self, _idle_since: Instant) -> bool {
        false
    }

    /// Asks the server for a sign of life.
    ///
    /// # Errors
    /// [`ConnectionLost`](crate::ErrorKind::ConnectionLost) if there is none: the connection is then dropped.
    async fn check(&mut self) -> Result<()> {
        Ok(())
    }

    /// Brings an abandoned connection back: cancels what runs at the server, rolls back, closes cursors.
    ///
    /// # Errors
    /// If the connection cannot be trusted any more; it is then dropped, and the server's locks are free.
    async fn recover(&mut self) -> Result<()>;
}

/// One statement of a [`batch`](Connection::batch).
pub struct Step<'a> {
    /// The statement.
    pub sql: Sql,
    /// Its parameters.
    pub params: Vec<Value<'a>>,
    /// Takes its rows.
    pub sink: Box<dyn RowSink>,
}

/// What a finished statement reports.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Rows written, or matched by an update; rows returned by a read.
    pub rows: u64,
    /// The key that the engine counted for the inserted row, where it reports one; of several rows, for the first.
    pub last_insert_id: Option<i64>,
    /// Of a fetch: there are no more rows.
    pub end: bool,
}

/// An open cursor of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CursorId(pub u64);

/// Transaction control.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// Begins a transaction.
    Begin(Begin),
    /// Commits it.
    Commit,
    /// Rolls it back.
    Rollback,
    /// Sets a savepoint for this level of nesting.
    Savepoint(u32),
    /// Undoes what was done since the savepoint of this level, and forgets it.
    RollbackTo(u32),
    /// Forgets the savepoint of this level.
    Release(u32),
    /// Refuses writes until the savepoint that was set last is released or undone, or takes that back, for engines whose
    /// savepoints do not. For transactions that stand inside another one.
    ReadOnly(bool),
}

/// How a transaction begins.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Begin {
    /// The isolation level; the server's default where `None`.
    pub isolation: Option<IsolationLevel>,
    /// Refuses writes.
    pub read_only: bool,
    /// Waits for a snapshot that no other transaction can make fail.
    pub deferrable: bool,
    /// What watchers shall show as who made the writes.
    pub origin: Option<Arc<str>>,
    /// Is there for one cursor alone, and ends with it.
    pub for_cursor: bool,
}

/// The name of the savepoint of a level of nesting.
pub fn savepoint_name(level: u32) -> String {
    format!("emr_{level}")
}

/// What a connection is wanted for. An engine with one writer keeps readers apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reads only.
    Read,
    /// Anything.
    Write,
}

/// Opens connections of one repo.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Opens a connection.
    ///
    /// # Errors
    /// [`ConnectFailed`](crate::ErrorKind::ConnectFailed) with the server's own reason. The pool bounds it by
    /// the connect timeout.
    async fn connect(&self, role: Role) -> Result<Box<dyn Connection>>;

    /// How the pool is split between [`Role`]s.
    fn split(&self) -> PoolSplit {
        PoolSplit::Shared
    }

    /// What is connected to, for errors: never a password.
    fn target(&self) -> String;

    /// Whether raw SQL only reads. Only asked where readers are kept apart; when in doubt, `Write`.
    fn role_of(&self, _sql: &str) -> Role {
        Role::Write
    }

    /// How long one connect may take.
    fn connect_timeout(&self) -> Duration;

    /// The repo has stopped: nothing connects any more, and what is kept beside the connections may go.
    fn stopped(&self) {}
}

/// Stands between a repo and its connections, and sees, changes or refuses what goes through. See
/// [`RepoOptions::layer`](crate::RepoOptions::layer).
pub trait Layer: Send + Sync {
    /// What the repo connects by, in the place of `connector`. Without I/O.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) if the layer does not fit the repo: it is then not started.
    fn wrap(&self, connector: Arc<dyn Connector>) -> Result<Arc<dyn Connector>>;
}

/// How a repo's connections are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolSplit {
    /// Every connection does everything.
    Shared,
    /// One connection for everything.
    Single,
    /// One connection writes, the others read.
    OneWriter,
}
