//! The one error type of EMR.

mod display;
mod sync;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::changeset::Errors;
use crate::watch::WatchFault;
pub use sync::SyncFault;

/// The result of every fallible call in EMR.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed: a [kind](ErrorKind) to match on, where it happened, and the cause.
///
/// The type is one pointer wide. Its `Display` says what failed, where, and what to do about it; it
/// never holds a password or the value of a redacted column.
///
/// ```
/// # use emr_core::{Error, ErrorKind};
/// fn describe(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::NotFound { .. } => "no such row",
///         ErrorKind::Constraint(violated) if violated.name.as_deref() == Some("users_email_index") => "taken",
///         _ if error.is_timeout() => "try again",
///         _ => "broken",
///     }
/// }
/// # assert_eq!(describe(&Error::not_found("users")), "no such row");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    repo: Option<Arc<str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    not_executed: bool,
}

/// What went wrong. New kinds may be added: match with a `_` arm.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A row that had to be there is not.
    NotFound {
        /// The table that was asked.
        table: String,
        /// The key that no row has, where one was given: `id = 7`. Never shows the value of a redacted column.
        key: Option<String>,
        /// What the program called the row; see [`Fetch::tag`](crate::Fetch::tag).
        tag: Option<String>,
    },
    /// A query that may yield one row yielded more.
    MultipleResults {
        /// The table that was asked.
        table: String,
    },
    /// An update or delete by key matched no row: somebody deleted it, or changed the lock column.
    Stale {
        /// The table that was written.
        table: String,
        /// `update` or `delete`.
        action: &'static str,
    },
    /// The database refused a write because of a constraint.
    Constraint(Violation),
    /// A changeset has errors, found before the write or by a declared constraint. Nothing was written.
    Validation {
        /// The table that was to be written.
        table: String,
        /// The errors by field.
        errors: Errors,
    },
    /// An association was written whose rows are not loaded: what is to be replaced is not known. Nothing was sent.
    AssociationNotLoaded {
        /// The struct.
        schema: &'static str,
        /// The field of the association.
        association: &'static str,
    },
    /// A write leaves out a row that is associated, and the association does not say by
    /// [`on_replace`](crate::OnReplace) what becomes of it. Nothing was sent.
    Replaced {
        /// The struct.
        schema: &'static str,
        /// The field of the association.
        association: &'static str,
    },
    /// Nobody gave a connection back within the deadline.
    PoolTimeout {
        /// How long the call waited.
        waited: Duration,
        /// Connections that exist, all in use.
        in_use: u32,
        /// How many of them are held by open transactions.
        in_transactions: u32,
    },
    /// The call took longer than its deadline; the statement was cancelled at the server.
    Timeout {
        /// The deadline that passed.
        after: Duration,
    },
    /// No connection could be made.
    ConnectFailed {
        /// Where to: host, port and database, or the file.
        target: String,
        /// The reason in the server's or the system's own words.
        reason: String,
        /// What sort of failure it was.
        cause: ConnectFailure,
    },
    /// The connection broke while it was in use. Whether the statement took effect is unknown unless
    /// it was in a transaction, which the server has rolled back.
    ConnectionLost {
        /// What the driver or the server said.
        reason: String,
    },
    /// The repo was stopped.
    Stopped {
        /// The repo's id.
        id: String,
        /// Why it was stopped.
        reason: StopReason,
    },
    /// No repo of this definition has the id.
    UnknownRepo {
        /// The id that was asked for.
        id: String,
    },
    /// A repo with this id runs with other settings.
    RepoConflict {
        /// The id that was asked for.
        id: String,
        /// The names of the settings that differ.
        differing: Vec<&'static str>,
    },
    /// The server cannot do this; nothing was sent.
    Unsupported {
        /// The feature, as the documentation names it.
        feature: String,
        /// The backend and version that lacks it.
        backend: String,
    },
    /// A column holds something that the Rust type cannot.
    Decode {
        /// The table, or the struct for results that belong to no table.
        table: String,
        /// The column.
        column: String,
        /// The Rust type that was asked for.
        expected: String,
        /// What was there.
        found: String,
    },
    /// A value cannot be stored in this column or bound to this parameter without changing it.
    Encode {
        /// The table; empty for raw SQL.
        table: String,
        /// The column, or the parameter's position.
        column: String,
        /// What the column takes.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A setting or URL is wrong.
    Config {
        /// The setting.
        option: String,
        /// What is wrong with it and what to write.
        problem: String,
    },
    /// A call that cannot be made sense of: a missing primary key, a wrong number of parameters, an
    /// empty name.
    InvalidCall {
        /// What is wrong and what to do.
        problem: String,
    },
    /// The repo is read-only, and this writes. Nothing was sent.
    ReadOnly,
    /// An [`Interceptor`](crate::Interceptor) refused the call. Nothing was sent.
    Refused {
        /// Why, in its own words.
        reason: String,
    },
    /// The transaction cannot be used in this way or any more.
    Transaction(TransactionFault),
    /// Two transactions could not be put in an order; run the transaction again.
    Serialization {
        /// The server's message.
        message: String,
    },
    /// The server broke a deadlock by failing this transaction; run it again.
    Deadlock {
        /// The server's message.
        message: String,
    },
    /// A lock was not free and the query asked not to wait, or waited for too long.
    LockNotAvailable {
        /// The server's message.
        message: String,
    },
    /// Any other error of the database.
    Database {
        /// The SQLSTATE, or the engine's own number.
        code: String,
        /// The server's message.
        message: String,
    },
    /// A watcher cannot do what it was asked to.
    Watch(WatchFault),
    /// A value cannot be kept in sync as it was asked.
    Sync(SyncFault),
    /// A migration could not be run.
    Migration {
        /// Its version.
        version: i64,
        /// What is wrong.
        problem: String,
    },
}

/// Which constraint refused a write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The sort of constraint.
    pub kind: ConstraintKind,
    /// Its name where the engine tells it. SQLite tells no names of foreign keys.
    pub name: Option<String>,
    /// The table, where known.
    pub table: Option<String>,
    /// The columns, where known.
    pub columns: Vec<String>,
    /// The server's message, without the values.
    pub message: String,
}

impl Violation {
    /// A violation of which only the kind and the server's message are known.
    pub fn new(kind: ConstraintKind, message: impl Into<String>) -> Self {
        Violation { kind, name: None, table: None, columns: Vec::new(), message: message.into() }
    }
}

/// The sorts of constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConstraintKind {
    /// A unique index or primary key.
    Unique,
    /// A foreign key, of either side.
    ForeignKey,
    /// A check constraint.
    Check,
    /// A NULL in a NOT NULL column.
    NotNull,
    /// A PostgreSQL exclusion constraint.
    Exclusion,
}

/// Why a connection could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The user or the password is wrong, or the user may not log in.
    Authentication,
    /// The server has no such database, or there is no such file.
    UnknownDatabase,
    /// Nothing listens there, or the network does not lead there.
    Unreachable,
    /// The TLS handshake failed, or the server offers no TLS.
    Tls,
    /// The server has no connection left or is starting up or shutting down.
    Unavailable,
    /// The connect timeout passed.
    Timeout,
    /// The statement to run after connect failed.
    AfterConnect,
    /// Anything else.
    Other,
}

/// Why a repo no longer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// `stop` was called.
    Requested,
    /// Nobody used it for its idle timeout.
    Idle,
}

/// Why a transaction refuses a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransactionFault {
    /// A nested transaction of this one is open: use that one, or finish it first.
    InnerOpen,
    /// It was committed, rolled back, or its outer transaction ended.
    Finished,
    /// A statement was abandoned (timed out, or its future dropped) and the connection is gone; the
    /// server rolls the whole transaction back.
    Lost,
    /// An earlier statement failed and the server refuses all others until a rollback.
    Aborted,
    /// The transaction's own timeout passed.
    TimedOut,
    /// A statement that begins or ends a transaction, or sets how the session runs them, was sent as raw SQL.
    RawControl,
    /// A statement in it ended it at the server, where what was done before it is now committed or undone.
    Ended,
    /// A statement left a transaction open that nobody would end; it is rolled back, and the connection with it.
    LeftOpen,
    /// A test repo has one connection, and somebody else's transaction on it did not end while the call waited. Of other
    /// repos: never.
    OtherOpen {
        /// How long the call waited.
        waited: Duration,
    },
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind) -> Self {
        Error(Box::new(Inner { kind, repo: None, source: None, not_executed: false }))
    }

    /// A changeset has errors.
    pub fn validation(table: impl Into<String>, errors: Errors) -> Self {
        Error::new(ErrorKind::Validation { table: table.into(), errors })
    }

    /// Another error of the same call, which this one is the cause of.
    pub(crate) fn into_cause_of(self, kind: ErrorKind) -> Self {
        let repo = self.0.repo.clone();
        Error(Box::new(Inner { kind, repo, source: Some(Box::new(self)), not_executed: false }))
    }

    /// Keeps the driver's own error as the cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says which repo the call went to, unless that is known already.
    pub fn with_repo(mut self, repo: &Arc<str>) -> Self {
        self.0.repo.get_or_insert_with(|| Arc::clone(repo));
        self
    }

    /// Notes that the statement certainly had no effect, so that it may be sent again on another connection.
    pub fn not_executed(mut self) -> Self {
        self.0.not_executed = true;
        self
    }

    /// Whether the adapter vouches that the statement had no effect.
    pub fn was_not_executed(&self) -> bool {
        self.0.not_executed
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The id of the repo that was called, where one was.
    pub fn repo(&self) -> Option<&str> {
        self.0.repo.as_deref()
    }

    /// A row of `table` is missing.
    pub fn not_found(table: impl Into<String>) -> Self {
        Error::new(ErrorKind::NotFound { table: table.into(), key: None, tag: None })
    }

    /// What the program called the row that was not found.
    pub fn tag(&self) -> Option<&str> {
        match &self.0.kind {
            ErrorKind::NotFound { tag, .. } => tag.as_deref(),
            _ => None,
        }
    }

    /// A setting is wrong.
    pub fn config(option: impl Into<String>, problem: impl Into<String>) -> Self {
        Error::new(ErrorKind::Config { option: option.into(), problem: problem.into() })
    }

    /// A call makes no sense.
    pub fn invalid(problem: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidCall { problem: problem.into() })
    }

    /// A call that an [`Interceptor`](crate::Interceptor) does not let pass.
    pub fn refused(reason: impl Into<String>) -> Self {
        Error::new(ErrorKind::Refused { reason: reason.into() })
    }

    /// A feature is missing in a backend.
    pub fn unsupported(feature: impl Into<String>, backend: impl Into<String>) -> Self {
        Error::new(ErrorKind::Unsupported { feature: feature.into(), backend: backend.into() })
    }

    /// A transaction refuses a call.
    pub fn transaction(fault: TransactionFault) -> Self {
        Error::new(ErrorKind::Transaction(fault))
    }

    /// A watcher cannot do what it was asked to.
    pub fn watch(fault: WatchFault) -> Self {
        Error::new(ErrorKind::Watch(fault))
    }

    /// What is wrong with a watcher, where that is why the call failed.
    pub fn watch_fault(&self) -> Option<&WatchFault> {
        match &self.0.kind {
            ErrorKind::Watch(fault) => Some(fault),
            _ => None,
        }
    }

    /// A value cannot be kept in sync as it was asked.
    pub fn sync(fault: SyncFault) -> Self {
        Error::new(ErrorKind::Sync(fault))
    }

    /// What is wrong with keeping a value in sync, where that is why the call failed.
    pub fn sync_fault(&self) -> Option<&SyncFault> {
        match &self.0.kind {
            ErrorKind::Sync(fault) => Some(fault),
            _ => None,
        }
    }

    /// A connection broke.
    pub fn connection_lost(reason: impl Into<String>) -> Self {
        Error::new(ErrorKind::ConnectionLost { reason: reason.into() })
    }

    /// A row was not found.
    pub fn is_not_found(&self) -> bool {
        matches!(self.0.kind, ErrorKind::NotFound { .. })
    }

    /// More rows were found than asked for.
    pub fn is_multiple_results(&self) -> bool {
        matches!(self.0.kind, ErrorKind::MultipleResults { .. })
    }

    /// An update or delete by key matched no row.
    pub fn is_stale(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Stale { .. })
    }

    /// The deadline of the call or of the transaction passed, or no connection came free in time.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Timeout { .. }
                | ErrorKind::PoolTimeout { .. }
                | ErrorKind::Transaction(TransactionFault::TimedOut | TransactionFault::OtherOpen { .. })
        )
    }

    /// The repo was stopped.
    pub fn is_stopped(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Stopped { .. })
    }

    /// The backend cannot do what was asked.
    pub fn is_unsupported(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unsupported { .. })
    }

    /// The repo is read-only, or an interceptor refused the call.
    pub fn is_refused(&self) -> bool {
        matches!(self.0.kind, ErrorKind::ReadOnly | ErrorKind::Refused { .. })
    }

    /// The connection broke in use, or could not be made.
    pub fn is_connection(&self) -> bool {
        matches!(self.0.kind, ErrorKind::ConnectionLost { .. } | ErrorKind::ConnectFailed { .. })
    }

    /// The same transaction, run again, may well succeed: serialization failure, deadlock.
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Serialization { .. } | ErrorKind::Deadlock { .. })
    }

    /// What is wrong with a changeset, field by field, where that is why the write failed.
    pub fn field_errors(&self) -> Option<&Errors> {
        match &self.0.kind {
            ErrorKind::Validation { errors, .. } => Some(errors),
            _ => None,
        }
    }

    /// A changeset has errors.
    pub fn is_validation(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Validation { .. })
    }

    /// The violated constraint, where one refused the write.
    pub fn violation(&self) -> Option<&Violation> {
        match &self.0.kind {
            ErrorKind::Constraint(violation) => Some(violation),
            _ => None,
        }
    }

    /// A unique index or a primary key refused the write.
    pub fn is_unique_violation(&self) -> bool {
        self.violated(ConstraintKind::Unique)
    }

    /// A foreign key refused the write.
    pub fn is_foreign_key_violation(&self) -> bool {
        self.violated(ConstraintKind::ForeignKey)
    }

    /// A check constraint refused the write.
    pub fn is_check_violation(&self) -> bool {
        self.violated(ConstraintKind::Check)
    }

    /// A NOT NULL column was given no value.
    pub fn is_not_null_violation(&self) -> bool {
        self.violated(ConstraintKind::NotNull)
    }

    fn violated(&self, kind: ConstraintKind) -> bool {
        self.violation().is_some_and(|violation| violation.kind == kind)
    }

    /// A copy for each of several waiters; the cause is kept as text.
    #[doc(hidden)]
    pub fn share(&self) -> Self {
        Error(Box::new(Inner {
            kind: self.0.kind.clone(),
            repo: self.0.repo.clone(),
            source: self.0.source.as_ref().map(|source| source.to_string().into()),
            not_executed: self.0.not_executed,
        }))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind);
        if let Some(repo) = &self.0.repo {
            out.field("repo", repo);
        }
        if let Some(source) = &self.0.source {
            out.field("source", &source.to_string());
        }
        out.finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.kind.fmt(f)?;
        match &self.0.repo {
            Some(repo) => write!(f, " (repo {repo})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
