//! What one server version can do.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::connection::Connection;
use crate::dialect::Dialect;

/// What is known of a server from the first connection on.
#[derive(Clone, Copy)]
pub(crate) struct Server {
    pub(crate) capabilities: &'static Capabilities,
    pub(crate) dialect: &'static dyn Dialect,
}

impl Server {
    /// The server at the other end of this connection.
    pub(crate) fn of(connection: &dyn Connection) -> Self {
        Server { capabilities: Capabilities::interned(connection.capabilities()), dialect: connection.dialect() }
    }

    /// The least that any server of this dialect can do.
    pub(crate) fn least(dialect: &'static dyn Dialect) -> Self {
        Server { capabilities: Capabilities::interned(&dialect.baseline()), dialect }
    }
}

/// What the server at the other end can do. Filled in by the adapter when it connects; the rest of EMR
/// asks these flags and never a driver's name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // a table of facts, not a state
#[non_exhaustive]
pub struct Capabilities {
    /// Product and version, as error messages name them: `PostgreSQL 15.4`.
    pub server: String,
    /// The version as numbers: major, minor, patch.
    pub version: (u32, u32, u32),
    /// How a written row comes back from an INSERT.
    pub insert_returning: Returning,
    /// How written rows come back from an UPDATE.
    pub update_returning: Returning,
    /// How deleted rows come back from a DELETE.
    pub delete_returning: Returning,
    /// The most parameters that one statement takes.
    pub max_parameters: usize,
    /// The most rows in one VALUES list.
    pub max_values_rows: usize,
    /// Columns and parameters may be arrays.
    pub arrays: bool,
    /// Rows can be locked by a query.
    pub row_locks: bool,
    /// Locked rows can be skipped.
    pub skip_locked: bool,
    /// A locking query can refuse to wait.
    pub nowait: bool,
    /// `NO KEY UPDATE` and `KEY SHARE` exist; else the next stronger lock stands in.
    pub key_locks: bool,
    /// ORDER BY knows NULLS FIRST and NULLS LAST; else a sort key is put in front.
    pub nulls_order: bool,
    /// The pattern match can ignore case by itself (ILIKE); else both sides are lowered.
    pub ilike: bool,
    /// FULL JOIN exists.
    pub full_join: bool,
    /// RIGHT JOIN exists.
    pub right_join: bool,
    /// A subquery in FROM can read the sources before it.
    pub lateral: bool,
    /// DISTINCT ON exists.
    pub distinct_on: bool,
    /// A limit can let in rows that the order puts beside the last one.
    pub with_ties: bool,
    /// EXCEPT and INTERSECT exist.
    pub except: bool,
    /// EXCEPT ALL and INTERSECT ALL exist.
    pub except_all: bool,
    /// A common table expression can be told to be computed once, or not to be.
    pub materialized_ctes: bool,
    /// A value can be compared with ANY or ALL rows of a query.
    pub quantified_comparison: bool,
    /// An aggregate takes a FILTER; else a CASE stands in.
    pub aggregate_filter: bool,
    /// A query can name windows; else they are written where they are used.
    pub named_windows: bool,
    /// The window function `nth_value` exists.
    pub nth_value: bool,
    /// The window functions `lag` and `lead` take a value for rows that are not there.
    pub offset_default: bool,
    /// A lock can name the table whose rows it is about.
    pub lock_of: bool,
    /// An upsert can name the constraint that it is about.
    pub conflict_constraints: bool,
    /// Tables can be in schemas or databases of their own.
    pub prefixes: bool,
    /// DDL is undone by ROLLBACK.
    pub transactional_ddl: bool,
    /// A failed statement aborts the whole transaction until a rollback.
    pub error_aborts_transaction: bool,
    /// Transactions can have these isolation levels, from the weakest.
    pub isolation_levels: &'static [IsolationLevel],
    /// A transaction can be read-only.
    pub read_only_transactions: bool,
    /// A serializable, read-only transaction can wait for a snapshot that never fails.
    pub deferrable_transactions: bool,
    /// Transactions can take locks that are names and no rows.
    pub advisory_locks: bool,
    /// A transaction can say who makes its writes, for watchers.
    pub origins: bool,
    /// Floats can be NaN and infinite.
    pub special_floats: bool,
    /// A cursor lives only inside a transaction.
    pub cursor_needs_transaction: bool,
}

/// How written rows come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Returning {
    /// Not at all: they are selected again.
    No,
    /// `RETURNING columns` at the end.
    Clause,
    /// `OUTPUT … INTO` a table variable that is selected afterwards, so that triggers do no harm.
    OutputInto,
}

/// How much a transaction sees of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // the names of the SQL standard
pub enum IsolationLevel {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Snapshot,
    Serializable,
}

impl IsolationLevel {
    /// How SQL writes it.
    pub fn sql(self) -> &'static str {
        match self {
            IsolationLevel::ReadUncommitted => "READ UNCOMMITTED",
            IsolationLevel::ReadCommitted => "READ COMMITTED",
            IsolationLevel::RepeatableRead => "REPEATABLE READ",
            IsolationLevel::Snapshot => "SNAPSHOT",
            IsolationLevel::Serializable => "SERIALIZABLE",
        }
    }
}

impl fmt::Display for IsolationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sql())
    }
}

impl Capabilities {
    /// The same capabilities for as long as the program runs. There are as many as server versions that the
    /// program meets, so they are kept for good.
    pub(crate) fn interned(capabilities: &Capabilities) -> &'static Capabilities {
        static KNOWN: Mutex<Vec<&'static Capabilities>> = Mutex::new(Vec::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.iter().find(|found| **found == capabilities) {
            return found;
        }
        let kept: &'static Capabilities = Box::leak(Box::new(capabilities.clone()));
        known.push(kept);
        kept
    }

    /// A server that can do nothing beyond plain SQL; adapters switch on what theirs can.
    pub fn minimal(server: impl Into<String>, version: (u32, u32, u32)) -> Self {
        Capabilities {
            server: server.into(),
            version,
            insert_returning: Returning::No,
            update_returning: Returning::No,
            delete_returning: Returning::No,
            max_parameters: 999,
            max_values_rows: usize::MAX,
            arrays: false,
            row_locks: false,
            skip_locked: false,
            nowait: false,
            key_locks: false,
            nulls_order: false,
            ilike: false,
            full_join: false,
            right_join: true,
            lateral: false,
            distinct_on: false,
            with_ties: false,
            except: true,
            except_all: false,
            materialized_ctes: false,
            quantified_comparison: true,
            aggregate_filter: false,
            named_windows: true,
            nth_value: true,
            offset_default: true,
            lock_of: false,
            conflict_constraints: false,
            prefixes: false,
            transactional_ddl: false,
            error_aborts_transaction: false,
            isolation_levels: &[],
            read_only_transactions: false,
            deferrable_transactions: false,
            advisory_locks: false,
            origins: false,
            special_floats: false,
            cursor_needs_transaction: false,
        }
    }
}
