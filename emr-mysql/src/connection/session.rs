//! What a connection knows of its server session: prepared statements, transaction, cursors, locks.

use std::sync::Arc;
use std::time::Duration;

use emr_core::{Capabilities, Control, Dialect, Error, ErrorKind, PrepareMode, Result, Sql, TransactionFault, Value};
use mysql_async::consts::StatusFlags;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Statement};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::cursor::Cursors;
use super::link::Link;
use super::query::Failure;
use super::statements::Statements;
use crate::dialect::LEXIS;
use crate::error::{ends_session, from_driver};
use crate::types::UuidForm;

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransactionState {
    None,
    Open,
    /// The server has rolled it back, to end a deadlock. What came now would run on its own.
    Aborted,
}

/// Whether the session may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Health {
    Sound,
    /// No: a call ended and the server may still be sending.
    Tainted,
    /// No: the server has closed it, so that there is nothing left to end.
    Gone,
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
    /// So long an idle connection is taken to be there still.
    pub(super) trusted: Duration,
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
    pub(super) health: Health,
    /// The call has sent something that the server may have carried out.
    pub(super) has_sent: bool,
}

/// What the server says of itself when it is connected to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// What it takes in one message, in bytes.
    pub(crate) max_packet: usize,
    /// How long it keeps an idle session.
    pub(crate) wait_timeout: Duration,
}

/// So long an idle connection is taken to be there still, unless the server throws idle ones out sooner.
const TRUSTED: Duration = Duration::from_secs(5);

/// How long a sign of life may take.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

impl Session {
    pub(super) fn new(
        link: Link,
        capabilities: Arc<Capabilities>,
        dialect: &'static dyn Dialect,
        prepare: PrepareMode,
        limits: Limits,
        database: &str,
    ) -> Self {
        let uuids = if dialect.name() == "mariadb" { UuidForm::Text } else { UuidForm::Binary };
        Session {
            link: Some(link),
            hanging_up: None,
            capabilities,
            dialect,
            uuids,
            max_packet: limits.max_packet,
            trusted: TRUSTED.min(limits.wait_timeout / 2),
            prepare,
            statements: Statements::default(),
            forgotten: Vec::new(),
            transaction: TransactionState::None,
            cursors: Cursors::default(),
            database: database.into(),
            locks: Vec::new(),
            busy: false,
            health: Health::Sound,
            has_sent: false,
        }
    }

    /// Notes that a call begins, unless the one before it never ended.
    pub(super) fn begin_call(&mut self) -> Result<()> {
        if self.busy {
            self.abandon();
        }
        self.conn()?;
        self.busy = true;
        self.has_sent = false;
        Ok(())
    }

    /// Gives the connection up: the server ends what runs, and rolls back.
    pub(super) fn abandon(&mut self) {
        self.busy = false;
        self.cursors.clear();
        if let Some(link) = self.link.take()
            && self.health != Health::Gone
        {
            self.hanging_up = Some(link.hang_up());
        }
    }

    /// Asks the server for a sign of life.
    pub(super) async fn check(&mut self) -> Result<()> {
        let Ok(answer) = timeout(SIGN_OF_LIFE, self.conn()?.ping()).await else {
            self.taint();
            return Err(Error::connection_lost(format!("the server gave no sign of life within {SIGN_OF_LIFE:?}")));
        };
        answer.map_err(|error| self.note(&error, false))
    }

    /// Lets nobody use the session after this call.
    pub(super) fn taint(&mut self) {
        self.health = self.health.max(Health::Tainted);
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
        if LEXIS.is_empty(sql.text()) {
            return Err(Failure::Ours(Error::invalid("the statement is empty: there is nothing to run")));
        }
        let forgotten = std::mem::take(&mut self.forgotten);
        let conn = self.conn().map_err(Failure::Ours)?;
        for statement in forgotten {
            conn.close(statement).await.map_err(Failure::Unprepared)?;
        }
        let statement = conn.prep(sql.text()).await.map_err(Failure::Unprepared)?;
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

    /// Follows what a statement that ended well did to the transaction: DDL commits it, a procedure may begin or end
    /// one.
    pub(super) fn follow(&mut self) {
        let Some(last) = self.link.as_ref().and_then(|link| link.conn.last_ok_packet()) else { return };
        let status = last.status_flags();
        let open = status.contains(StatusFlags::SERVER_STATUS_IN_TRANS);
        self.transaction = match self.transaction {
            TransactionState::Open if !open => TransactionState::None,
            TransactionState::None if open => TransactionState::Open,
            known => known,
        };
        // A session that does not commit by itself is none that anybody expects: it is not used again.
        if !status.contains(StatusFlags::SERVER_STATUS_AUTOCOMMIT) {
            self.taint();
        }
    }

    /// Asks how the session stands after something failed that may have begun or ended a transaction before: the
    /// server's errors do not say.
    pub(super) async fn ask(&mut self) {
        if self.health != Health::Sound {
            return;
        }
        let asked = match self.conn() {
            Ok(conn) => conn.query_drop("DO 0").await.is_ok(),
            Err(_) => false,
        };
        if asked {
            self.follow();
        } else {
            self.taint();
        }
    }

    /// Our error for what went wrong, after noting what it means for the session.
    pub(super) fn fail(&mut self, failure: Failure, sql: &Sql, params: &[Value<'_>]) -> Error {
        match failure {
            Failure::Driver(error) => self.note(&error, (0..params.len()).any(|n| is_redacted(sql, n))),
            Failure::Unprepared(error) => {
                let ours = self.note(&error, false);
                if self.has_sent { ours } else { ours.not_executed() }
            }
            Failure::Ours(error) => error,
            Failure::Sink { error, drained } => {
                if !drained {
                    self.taint();
                }
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
            ErrorKind::ConnectionLost { .. } => {
                self.taint();
                if ends_session(error) {
                    // Another session may have its number by now, so that it must not be killed.
                    self.health = Health::Gone;
                }
            }
            _ => {}
        }
        ours
    }
}

fn is_redacted(sql: &Sql, parameter: usize) -> bool {
    sql.context(parameter).is_some_and(|(schema, column)| schema.columns[column].redact)
}
