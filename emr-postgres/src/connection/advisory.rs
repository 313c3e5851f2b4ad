//! Advisory locks of a transaction.

use emr_core::{AdvisoryLock, Control, Dialect, Discard, Effect, Result, Row, RowSink, SqlBuilder, Value};

use super::session::Session;
use crate::dialect::PostgresDialect;

/// Takes the answer of a lock that is not waited for.
struct Taken(bool);

impl RowSink for Taken {
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        self.0 = row.bool(0).ok().flatten().unwrap_or(false);
        Ok(())
    }
}

impl Session {
    /// Takes a lock that the server gives back when the transaction ends, or when it is rolled back to a savepoint that
    /// was set before.
    pub(super) async fn advisory_lock(&mut self, controls: &[Control], lock: &AdvisoryLock) -> Result<bool> {
        let function = match (lock.wait, lock.shared) {
            (true, false) => "pg_advisory_xact_lock",
            (true, true) => "pg_advisory_xact_lock_shared",
            (false, false) => "pg_try_advisory_xact_lock",
            (false, true) => "pg_try_advisory_xact_lock_shared",
        };
        let capabilities = std::sync::Arc::clone(&self.capabilities);
        let dialect: &dyn Dialect = &PostgresDialect;
        // Should the BEGIN that it is sent along with fail, the lock is gone with the statement.
        let (sql, params) = SqlBuilder::build(dialect, &capabilities, |out| {
            out.effect(Effect::Read)
                .push("SELECT ")
                .push(function)
                .push("(")
                .bind(Value::I64(lock.key), None)
                .push(")");
        })?;
        if lock.wait {
            self.query(controls, &sql, &params, &mut Discard).await?;
            return Ok(true);
        }
        let mut taken = Taken(false);
        self.query(controls, &sql, &params, &mut taken).await?;
        Ok(taken.0)
    }
}
