//! Transactions and savepoints.

use emr_core::{Begin, Control, Error, Result, TransactionFault, savepoint_name};
use mysql_async::prelude::Queryable;

use super::session::{Session, TransactionState};

/// Controls on their way.
struct Message {
    text: String,
    state: TransactionState,
    commits_nothing: bool,
}

impl Session {
    /// Sends all controls in one message and follows what they mean.
    pub(super) async fn control(&mut self, controls: &[Control]) -> Result<()> {
        if controls.is_empty() {
            return Ok(());
        }
        let message = self.message(controls)?;
        if controls.iter().any(ends) {
            // They end with the transaction.
            self.close_cursors().await?;
        } else if self.cursors.is_reading() {
            self.read_ahead().await?;
        }
        self.has_sent = true;
        if let Err(error) = self.conn()?.query_drop(&message.text).await {
            let error = self.note(&error, false);
            match controls {
                [Control::Begin(_)] => self.transaction = TransactionState::None,
                [Control::Savepoint(_) | Control::RollbackTo(_) | Control::Release(_)] => {}
                // Which of them failed, and so whether a transaction is open, is not known.
                _ => self.taint(),
            }
            return Err(error);
        }
        self.transaction = message.state;
        if self.transaction == TransactionState::None {
            self.locks.clear();
        }
        if message.commits_nothing { Err(Error::transaction(TransactionFault::Aborted)) } else { Ok(()) }
    }

    /// The controls as one message, and what they lead to.
    fn message(&self, controls: &[Control]) -> Result<Message> {
        let mut text = String::with_capacity(32);
        let mut state = self.transaction;
        let mut commits_nothing = false;
        for control in controls {
            if !text.is_empty() {
                text.push_str("; ");
            }
            match control {
                Control::Begin(begin) => self.begin(begin, &mut text)?,
                // The server has rolled back already, and would call this a success.
                Control::Commit if state == TransactionState::Aborted => {
                    commits_nothing = true;
                    self.end("ROLLBACK", &mut text);
                }
                Control::Commit => self.end("COMMIT", &mut text),
                Control::Rollback => self.end("ROLLBACK", &mut text),
                // Its savepoints are gone with the transaction.
                _ if state == TransactionState::Aborted => return Err(Error::transaction(TransactionFault::Aborted)),
                Control::Savepoint(level) => text.push_str(&self.dialect.savepoint(&savepoint_name(*level))),
                Control::RollbackTo(level) => {
                    let name = savepoint_name(*level);
                    text.push_str(&self.dialect.rollback_to(&name));
                    text.push_str("; ");
                    text.push_str(&self.dialect.release(&name).unwrap_or_default());
                }
                Control::Release(level) => {
                    text.push_str(&self.dialect.release(&savepoint_name(*level)).unwrap_or_default());
                }
                other => return Err(Error::unsupported(format!("{other:?}"), self.capabilities.server.clone())),
            }
            state = after(state, control);
        }
        Ok(Message { text, state, commits_nothing })
    }

    fn begin(&self, begin: &Begin, text: &mut String) -> Result<()> {
        if let Some(level) = begin.isolation {
            if !self.capabilities.isolation_levels.contains(&level) {
                let feature = format!("isolation level {level}");
                return Err(Error::unsupported(feature, self.capabilities.server.clone()));
            }
            text.push_str("SET TRANSACTION ISOLATION LEVEL ");
            text.push_str(level.sql());
            text.push_str("; ");
        }
        if begin.deferrable {
            return Err(Error::unsupported("deferrable transactions", self.capabilities.server.clone()));
        }
        text.push_str(if begin.read_only { "START TRANSACTION READ ONLY" } else { "START TRANSACTION" });
        Ok(())
    }

    /// Ends the transaction, and gives its advisory locks back, which belong to the session.
    fn end(&self, how: &str, text: &mut String) {
        text.push_str(how);
        for lock in &self.locks {
            text.push_str("; DO RELEASE_LOCK('");
            text.push_str(lock);
            text.push_str("')");
        }
    }
}

/// Whether a control ends the transaction.
fn ends(control: &Control) -> bool {
    matches!(control, Control::Begin(_) | Control::Commit | Control::Rollback)
}

fn after(state: TransactionState, control: &Control) -> TransactionState {
    match control {
        Control::Begin(_) => TransactionState::Open,
        Control::Commit | Control::Rollback => TransactionState::None,
        _ => state,
    }
}
