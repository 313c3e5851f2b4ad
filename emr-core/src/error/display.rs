//! Errors in words: what failed, where, what to do.

use std::fmt;

use super::{ConstraintKind, ErrorKind, StopReason, TransactionFault, Violation};

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::NotFound { table, key, tag } => {
                if let Some(tag) = tag {
                    write!(f, "{tag} not found: ")?;
                }
                match key {
                    Some(key) => write!(f, "no row of {table} has {key}"),
                    None => write!(f, "no row of {table} matches"),
                }
            }
            ErrorKind::MultipleResults { table } => {
                write!(f, "more than one row of {table} matches where at most one may; narrow the filter or use `all`")
            }
            ErrorKind::Stale { table, action } => {
                write!(f, "stale {action}: the row of {table} is gone or was changed by somebody else; load it again")
            }
            ErrorKind::Constraint(violation) => violation.fmt(f),
            ErrorKind::Validation { table, errors } => write!(f, "the changes to {table} are invalid: {errors}"),
            ErrorKind::AssociationNotLoaded { schema, association } => {
                write!(
                    f,
                    "{schema}.{association} is not loaded, so that nobody knows what to replace: preload it first"
                )
            }
            ErrorKind::Replaced { schema, association } => write!(
                f,
                "a row of {schema}.{association} would be replaced: give it as well, or say by on_replace what becomes of it"
            ),
            ErrorKind::PoolTimeout { waited, in_use, in_transactions } => write!(
                f,
                "no connection came free within {waited:?}: all {in_use} are in use, {in_transactions} of them by open \
                 transactions; raise pool_size, or hold connections for a shorter time"
            ),
            ErrorKind::Timeout { after } => {
                write!(f, "the call took longer than its timeout of {after:?} and was cancelled at the server")
            }
            ErrorKind::ConnectFailed { target, reason, .. } => write!(f, "cannot connect to {target}: {reason}"),
            ErrorKind::ConnectionLost { reason } => write!(f, "the connection was lost: {reason}"),
            ErrorKind::Stopped { id, reason: StopReason::Requested } => {
                write!(f, "repo {id} was stopped; start it again")
            }
            ErrorKind::Stopped { id, reason: StopReason::Idle } => write!(
                f,
                "repo {id} was stopped because nobody used it for its idle timeout; start it again, or call noop in time"
            ),
            ErrorKind::UnknownRepo { id } => write!(f, "no repo of this definition has the id {id}; start it first"),
            ErrorKind::RepoConflict { id, differing } => write!(
                f,
                "repo {id} already runs with another {}; stop it first, or use another id",
                differing.join(", ")
            ),
            ErrorKind::Unsupported { feature, backend } => write!(f, "{backend} does not support {feature}"),
            ErrorKind::Decode { table, column, expected, found } => {
                write!(f, "cannot read {table}.{column}: expected {expected}, found {found}")
            }
            ErrorKind::Encode { table, column, expected, found } => {
                let dot = if table.is_empty() { "" } else { "." };
                write!(f, "cannot write {table}{dot}{column}: expected {expected}, found {found}")
            }
            ErrorKind::Config { option, problem } => write!(f, "wrong setting `{option}`: {problem}"),
            ErrorKind::InvalidCall { problem } => f.write_str(problem),
            ErrorKind::ReadOnly => f.write_str("the repo is read-only: its options say read_only"),
            ErrorKind::Refused { reason } => write!(f, "refused: {reason}"),
            ErrorKind::Transaction(fault) => fault.fmt(f),
            ErrorKind::Serialization { message } => {
                write!(f, "serialization failure: {message}; run the transaction again")
            }
            ErrorKind::Deadlock { message } => write!(f, "deadlock: {message}; run the transaction again"),
            ErrorKind::LockNotAvailable { message } => write!(f, "lock not available: {message}"),
            ErrorKind::Database { code, message } => write!(f, "database error {code}: {message}"),
            ErrorKind::Watch(fault) => fault.fmt(f),
            ErrorKind::Sync(fault) => fault.fmt(f),
            ErrorKind::Migration { version, problem } => write!(f, "migration {version}: {problem}"),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ConstraintKind::Unique => "unique",
            ConstraintKind::ForeignKey => "foreign key",
            ConstraintKind::Check => "check",
            ConstraintKind::NotNull => "not null",
            ConstraintKind::Exclusion => "exclusion",
        };
        write!(f, "{kind} constraint")?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        if let Some(table) = &self.table {
            write!(f, " of {table}")?;
        }
        if !self.columns.is_empty() {
            write!(f, " ({})", self.columns.join(", "))?;
        }
        write!(f, " violated: {}", self.message)
    }
}

impl fmt::Display for TransactionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TransactionFault::OtherOpen { waited } => {
                return write!(
                    f,
                    "another transaction of the test repo was open for all of {waited:?}, and a test repo has one \
                     connection: inside a transaction, call its `tx` and not the repo; between tasks, end it first"
                );
            }
            TransactionFault::InnerOpen => {
                "a nested transaction is open: use that one, or commit or roll it back first"
            }
            TransactionFault::Finished => "the transaction is over; begin another one",
            TransactionFault::Lost => {
                "the transaction is lost: a statement in it timed out or was dropped, and the server rolls it back"
            }
            TransactionFault::Aborted => {
                "the transaction is aborted: a statement in it failed, so it was rolled back; \
                 wrap statements that may fail in a nested transaction"
            }
            TransactionFault::TimedOut => "the transaction took longer than its timeout and was rolled back",
            TransactionFault::RawControl => {
                "raw SQL may not begin, commit or roll back, set how transactions run, or lock tables for the session: \
                 use `transaction`, `begin_with`, `Tx` and `TransactionOptions`"
            }
            TransactionFault::Ended => {
                "the statement ended the transaction at the server: what was done before it is committed or undone; \
                 call such statements and procedures outside of transactions"
            }
            TransactionFault::LeftOpen => {
                "the statement left a transaction open, which is rolled back: a procedure must end what it begins, \
                 and a session must commit by itself"
            }
        })
    }
}
