//! What a connection knows of its server session: prepared statements, transaction, cursors, locks.

use std::sync::Arc;

use emr_core::{Capabilities, Control, Dialect, Error, ErrorKind, PrepareMode, Result, Sql, TransactionFault, Value};
use mysql_async::consts::StatusFlags;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Statement};
use tokio::task::JoinHandle;

use super::cursor::Cursors;
use super::link::Link;
use super::query::Failure;
use super::statements::Statements;
use crate::error::from_driver;
use crate::split::is_empty;
use crate::types::UuidForm;

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransactionState {
    None,
    Open,
    /// The server has rolled it back, to end a deadlock. What came now would run on its own.
    Aborted,
}

pub(super) struct Session {
    /// `None` once it was abandoned.
    pub(super) link: Option<Link>,
    /// Ends the session after it was abandoned.
    pub(super) hanging_up: Option<JoinHandle<()>>,
    pub(super) capabilities: Arc<Capabilities>,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) uuids: UuidForm,
    pub(super) max_packet: usize,
    prepare: PrepareMode,
    statements: Statements,
    /// Known statements that others have taken the place of: closed before the next one is prepared.
    forgotten: Vec<Statement>,
    pub(super) transaction: TransactionState,
    pub(super) cursors: Cursors,
    /// Names in front of which the names of advisory locks are put: the server knows no databases there.
    pub(super) database: Box<str>,
    /// Advisory locks, as often as they were taken.
    pub(super) locks: Vec<String>,
    /// A call is under way, or was leaked.
    pub(super) busy: bool,
    /// A call ended and the server may still be sending: not to be used again.
    pub(super) tainted: bool,
}

impl Session {
    pub(super) fn new(
        link: Link,
        capabilities: Arc<Capabilities>,
        dialect: &'static dyn Dialect,
        prepare: PrepareMode,
        max_packet: usize,
        database: &str,
    ) -> Self {
        let uuids = if dialect.name() == "mariadb" { UuidForm::Text } else { UuidForm::Binary };
        Session {
            link: Some(link),
            hanging_up: None,
            capabilities,
            dialect,
            uuids,
            max_packet,
            prepare,
            statements: Statements::default(),
            forgotten: Vec::new(),
            transaction: TransactionState::None,
            cursors: Cursors::default(),
            database: database.into(),
            locks: Vec::new(),
            busy: false,
            tainted: false,
        }
    }

    /// Notes that a call begins, unless the one before it never ended.
    pub(super) fn begin_call(&mut self) -> Result<()> {
        if self.busy {
            self.abandon();
        }
        self.conn()?;
        self.busy = true;
        Ok(())
    }

    /// Gives the connection up: the server ends what runs, and rolls back.
    pub(super) fn abandon(&mut self) {
        self.busy = false;
        self.cursors.clear();
        if let Some(link) = self.link.take() {
            self.hanging_up = Some(link.hang_up());
        }
    }

    pub(super) fn conn(&mut self) -> Result<&mut Conn> {
        match &mut self.link {
            Some(link) => Ok(&mut link.conn),
            None if self.transaction != TransactionState::None => Err(Error::transaction(TransactionFault::Lost)),
            None => Err(Error::connection_lost("an earlier call on it was abandoned")),
        }
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.transaction != TransactionState::None
    }

    /// Whether nothing has to be undone before somebody else may use the session.
    pub(super) fn holds_nothing(&self) -> bool {
        !self.in_transaction() && self.cursors.is_empty() && self.locks.is_empty()
    }

    /// Undoes all that the session holds.
    pub(super) async fn let_go(&mut self) -> Result<()> {
        self.close_cursors().await?;
        if self.in_transaction() {
            return self.control(&[Control::Rollback]).await;
        }
        self.release_locks().await
    }

    /// Refuses a statement in a transaction that the server has ended.
    pub(super) fn refuse_aborted(&self) -> Result<()> {
        match self.transaction {
            TransactionState::Aborted => Err(Error::transaction(TransactionFault::Aborted)),
            _ => Ok(()),
        }
    }

    /// The prepared statement.
    pub(super) async fn prepared(&mut self, sql: &Sql) -> Result<Statement, Failure> {
        let keep = sql.is_cacheable() && self.prepare != PrepareMode::Unnamed;
        if keep && let Some(kept) = self.statements.get(sql.key()) {
            return Ok(kept);
        }
        Box::pin(self.prepare(sql, keep)).await
    }

    async fn prepare(&mut self, sql: &Sql, keep: bool) -> Result<Statement, Failure> {
        if is_empty(sql.text()) {
            return Err(Failure::Ours(Error::invalid("the statement is empty: there is nothing to run")));
        }
        let forgotten = std::mem::take(&mut self.forgotten);
        let conn = self.conn().map_err(Failure::Ours)?;
        for statement in forgotten {
            conn.close(statement).await.map_err(Failure::Driver)?;
        }
        let statement = conn.prep(sql.text()).await.map_err(Failure::Driver)?;
        if keep {
            self.forgotten.extend(self.statements.keep(sql.key(), statement.clone()));
        } else {
            self.forgotten.push(statement.clone());
        }
        Ok(statement)
    }

    /// Forgets a statement that was prepared for one run.
    pub(super) async fn forget(&mut self) -> Result<()> {
        if self.prepare != PrepareMode::Unnamed {
            return Ok(());
        }
        for statement in std::mem::take(&mut self.forgotten) {
            let closed = self.conn()?.close(statement).await;
            closed.map_err(|error| self.note(&error, false))?;
        }
        Ok(())
    }

    /// Follows what a statement that ended well did to the transaction: DDL commits it.
    pub(super) fn follow(&mut self) {
        if self.transaction != TransactionState::Open {
            return;
        }
        let ended = self
            .link
            .as_ref()
            .and_then(|link| link.conn.last_ok_packet())
            .is_some_and(|last| !last.status_flags().contains(StatusFlags::SERVER_STATUS_IN_TRANS));
        if ended {
            self.transaction = TransactionState::None;
        }
    }

    /// Our error for what went wrong, after noting what it means for the session.
    pub(super) fn fail(&mut self, failure: Failure, sql: &Sql, params: &[Value<'_>]) -> Error {
        match failure {
            Failure::Driver(error) => self.note(&error, (0..params.len()).any(|n| is_redacted(sql, n))),
            Failure::Ours(error) => error,
            Failure::Sink { error, drained } => {
                self.tainted |= !drained;
                error
            }
        }
    }

    /// Our error for one of the driver.
    pub(super) fn note(&mut self, error: &mysql_async::Error, hide_values: bool) -> Error {
        let ours = from_driver(error, hide_values);
        match ours.kind() {
            // The server has rolled the whole transaction back, savepoints and all.
            ErrorKind::Deadlock { .. } | ErrorKind::Serialization { .. } if self.in_transaction() => {
                self.transaction = TransactionState::Aborted;
            }
            ErrorKind::ConnectionLost { .. } => self.tainted = true,
            _ => {}
        }
        ours
    }
}

fn is_redacted(sql: &Sql, parameter: usize) -> bool {
    sql.context(parameter).is_some_and(|(schema, column)| schema.columns[column].redact)
}
