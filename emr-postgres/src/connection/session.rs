//! What a connection knows of its server session: prepared statements, transaction, cursors.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::Arc;

use emr_core::{Capabilities, Error, ErrorKind, PrepareMode, Result, Sql, TransactionFault, Value};
use quick_cache::unsync::Cache;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Statement};

use super::cursor::Cursor;
use super::link::Link;
use super::query::Failure;
use crate::error::from_driver;
use crate::types::{Refused, Wire};

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 256;

/// A prepared statement, and how its columns travel.
pub(super) struct Prepared {
    pub(super) statement: Statement,
    pub(super) columns: Box<[Wire]>,
}

impl Prepared {
    pub(super) fn new(statement: Statement) -> Self {
        let columns = statement.columns().iter().map(|column| Wire::of(column.type_())).collect();
        Prepared { statement, columns }
    }
}

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransactionState {
    None,
    Open,
    /// A statement failed: the server refuses all others until a rollback.
    Aborted,
}

pub(super) struct Session {
    /// `None` once it was abandoned. Dropped before the statements, so that they are not closed one by one.
    pub(super) link: Option<Link>,
    /// Ends the session after it was abandoned.
    pub(super) hanging_up: Option<JoinHandle<()>>,
    pub(super) capabilities: Arc<Capabilities>,
    pub(super) prepare: PrepareMode,
    pub(super) statements: Cache<u128, Arc<Prepared>>,
    pub(super) transaction: TransactionState,
    pub(super) cursors: HashMap<u64, Cursor>,
    pub(super) next_cursor: u64,
    /// Whether a table, by its oid, takes COPY.
    pub(super) copyable: HashMap<u32, bool>,
    /// A call is under way, or was leaked.
    pub(super) busy: bool,
    /// A call ended and the server may still be sending: not to be used again.
    pub(super) tainted: bool,
}

impl Session {
    pub(super) fn new(link: Link, capabilities: Arc<Capabilities>, prepare: PrepareMode) -> Self {
        Session {
            link: Some(link),
            hanging_up: None,
            capabilities,
            prepare,
            statements: Cache::new(STATEMENTS),
            transaction: TransactionState::None,
            cursors: HashMap::new(),
            next_cursor: 0,
            copyable: HashMap::new(),
            busy: false,
            tainted: false,
        }
    }

    /// Notes that a call begins, unless the one before it never ended.
    pub(super) fn begin_call(&mut self) -> Result<()> {
        if self.busy {
            self.abandon();
        }
        self.client()?;
        self.busy = true;
        Ok(())
    }

    /// Gives the connection up: cancels what runs, and lets the server roll back.
    pub(super) fn abandon(&mut self) {
        self.busy = false;
        if let Some(link) = self.link.take() {
            self.hanging_up = Some(link.hang_up());
        }
    }

    pub(super) fn client(&self) -> Result<&Client> {
        match &self.link {
            Some(link) => Ok(&link.client),
            None if self.transaction != TransactionState::None => Err(Error::transaction(TransactionFault::Lost)),
            None => Err(Error::connection_lost("an earlier call on it was abandoned")),
        }
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.transaction != TransactionState::None
    }

    /// The prepared statement, and whether it was kept from before.
    pub(super) async fn prepared(&mut self, sql: &Sql) -> Result<(Arc<Prepared>, bool)> {
        if let Some(kept) = self.kept(sql) {
            return Ok((kept, true));
        }
        let prepared = Box::pin(self.prepare_once(sql, sql.text())).await?;
        self.keep(sql, &prepared);
        Ok((prepared, false))
    }

    pub(super) fn kept(&self, sql: &Sql) -> Option<Arc<Prepared>> {
        if sql.is_cacheable() { self.statements.get(&sql.key()).cloned() } else { None }
    }

    pub(super) fn keep(&mut self, sql: &Sql, prepared: &Arc<Prepared>) {
        if sql.is_cacheable() {
            self.statements.insert(sql.key(), Arc::clone(prepared));
        }
    }

    /// Prepares `text`, which is made from `sql` and will not come again.
    pub(super) async fn prepare_once(&mut self, sql: &Sql, text: &str) -> Result<Arc<Prepared>> {
        match self.client()?.prepare(text).await {
            Ok(statement) => Ok(Arc::new(Prepared::new(statement))),
            Err(error) => Err(self.fail(Failure::before(error), sql, &[])),
        }
    }

    /// Our error for what went wrong, after noting what it means for the session.
    pub(super) fn fail(&mut self, failure: Failure, sql: &Sql, params: &[Value<'_>]) -> Error {
        let error = match failure {
            Failure::Driver { error, .. } => error,
            Failure::Empty => return Error::invalid("the statement is empty: there is nothing to run"),
            Failure::Sink { error, drained } => {
                self.tainted |= !drained;
                return error;
            }
        };
        if let Some(refused) = refusal(&error) {
            let found = params.get(refused.parameter).unwrap_or(&Value::Null(emr_core::SqlType::Unknown));
            return sql.encode_error(refused.parameter, refused.expected.0.clone(), found);
        }
        self.note(&error, (0..params.len()).any(|n| is_redacted(sql, n)))
    }

    /// Our error for an error of the driver that is no refusal of a parameter.
    pub(super) fn note(&mut self, error: &tokio_postgres::Error, hide_values: bool) -> Error {
        if error.as_db_error().is_some() && self.transaction == TransactionState::Open {
            self.transaction = TransactionState::Aborted;
        }
        let ours = from_driver(error, hide_values);
        match (ours.kind(), self.link.as_ref().and_then(Link::last_words)) {
            (ErrorKind::ConnectionLost { .. }, Some(last_words)) if error.as_db_error().is_none() => last_words,
            _ => ours,
        }
    }
}

/// The refusal of a parameter, if that is what it is.
pub(super) fn refusal(error: &tokio_postgres::Error) -> Option<&Refused> {
    error.source().and_then(|source| source.downcast_ref())
}

fn is_redacted(sql: &Sql, parameter: usize) -> bool {
    sql.context(parameter).is_some_and(|(schema, column)| schema.columns[column].redact)
}
