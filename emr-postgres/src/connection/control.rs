//! Transactions and savepoints.

use emr_core::{Begin, Control, Dialect, Error, Result, TransactionFault, savepoint_name};

use super::session::{Session, TransactionState};
use crate::dialect::PostgresDialect;

impl Session {
    /// Sends all controls in one message and follows what they mean.
    pub(super) async fn control(&mut self, controls: &[Control]) -> Result<()> {
        if controls.is_empty() {
            return Ok(());
        }
        let mut text = String::with_capacity(32);
        let mut state = self.transaction;
        let mut commits_nothing = false;
        for control in controls {
            if !text.is_empty() {
                text.push_str("; ");
            }
            match control {
                Control::Begin(begin) => self.begin(begin, &mut text)?,
                // The server would answer it with a rollback, and call that a success.
                Control::Commit if state == TransactionState::Aborted => {
                    commits_nothing = true;
                    text.push_str("ROLLBACK");
                }
                Control::Commit => text.push_str("COMMIT"),
                Control::Rollback => text.push_str("ROLLBACK"),
                Control::Savepoint(level) => text.push_str(&PostgresDialect.savepoint(&savepoint_name(*level))),
                Control::RollbackTo(level) => {
                    let name = savepoint_name(*level);
                    text.push_str(&PostgresDialect.rollback_to(&name));
                    text.push_str("; ");
                    release(&name, &mut text);
                }
                Control::Release(level) => release(&savepoint_name(*level), &mut text),
                other => return Err(Error::unsupported(format!("{other:?}"), self.capabilities.server.clone())),
            }
            state = after(state, control);
        }
        if let Err(error) = self.client()?.batch_execute(&text).await {
            let error = self.note(&error, false);
            match controls {
                // A commit that fails has rolled back.
                [Control::Begin(_) | Control::Commit] => self.enter_state(TransactionState::None),
                [Control::Savepoint(_) | Control::RollbackTo(_) | Control::Release(_)] => {}
                // Which of them failed, and so whether a transaction is open, is not known.
                _ => self.tainted = true,
            }
            return Err(error);
        }
        self.enter_state(state);
        if commits_nothing { Err(Error::transaction(TransactionFault::Aborted)) } else { Ok(()) }
    }

    fn begin(&self, begin: &Begin, text: &mut String) -> Result<()> {
        text.push_str("BEGIN");
        if let Some(level) = begin.isolation {
            if !self.capabilities.isolation_levels.contains(&level) {
                let feature = format!("isolation level {level}");
                return Err(Error::unsupported(feature, self.capabilities.server.clone()));
            }
            text.push_str(" ISOLATION LEVEL ");
            text.push_str(level.sql());
        }
        if begin.read_only {
            text.push_str(" READ ONLY");
        }
        Ok(())
    }

    fn enter_state(&mut self, state: TransactionState) {
        self.transaction = state;
        if state == TransactionState::None {
            // They ended with the transaction.
            self.cursors.clear();
        }
    }
}

fn release(name: &str, text: &mut String) {
    text.push_str(&PostgresDialect.release(name).unwrap_or_default());
}

fn after(state: TransactionState, control: &Control) -> TransactionState {
    match control {
        Control::Begin(_) | Control::RollbackTo(_) => TransactionState::Open,
        Control::Commit | Control::Rollback => TransactionState::None,
        _ => state,
    }
}
