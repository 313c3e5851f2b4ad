//! Transactions and savepoints.

use std::borrow::Cow;
use std::sync::Arc;

use emr_core::{
    Begin, Control, Dialect, Done, Effect, Error, PrepareMode, Result, RowSink, Sql, TransactionFault, Value,
    savepoint_name,
};

use super::query::{Failure, check_count, execute};
use super::session::{Prepared, Session, TransactionState};
use crate::dialect::PostgresDialect;
use crate::types::Params;

/// Controls on their way.
pub(super) struct Message {
    pub(super) text: String,
    state: TransactionState,
    commits_nothing: bool,
}

/// A setting that exists in transactions of ours only. Outside one, reading it as a boolean is an error.
const MARK: &str = "; SET LOCAL emr.transaction = on";

/// Stands at the end of a write that is sent along with its BEGIN: should that fail, so does the write.
const GUARD: &str = "current_setting('emr.transaction')::bool";

/// Tells the guarded form of a statement from the statement itself.
const GUARDED: u128 = 1 << 127;

impl Session {
    /// Sends controls and a statement in one round trip, where a control that fails keeps the statement from
    /// doing anything. The driver ends each message with a Sync, so the server would go on after a failed
    /// BEGIN; inside a transaction it goes on to nothing, as the failed control aborts the transaction.
    ///
    /// Returns `None` where that cannot be promised: then nothing was sent.
    pub(super) async fn pipelined(
        &mut self,
        controls: &[Control],
        sql: &Sql,
        params: &[Value<'_>],
        sink: &mut dyn RowSink,
    ) -> Result<Option<Done>> {
        if self.prepare == PrepareMode::Unnamed || !sql.is_cacheable() {
            return Ok(None);
        }
        let begins = match controls {
            [Control::Begin(_), rest @ ..] if !rest.iter().any(ends) => true,
            controls if self.in_transaction() && !controls.iter().any(ends) => false,
            _ => return Ok(None),
        };
        let (key, text) = match (begins, sql.effect()) {
            (false, _) | (true, Effect::Read) => (sql.key(), None),
            (true, Effect::Write { returning }) => {
                (sql.key() ^ GUARDED, Some(if returning { ", " } else { " RETURNING " }))
            }
            (true, _) => return Ok(None),
        };
        let mut message = self.message(controls)?;
        if text.is_some() {
            // After the BEGIN, before what follows it.
            let end = message.text.find(';').unwrap_or(message.text.len());
            message.text.insert_str(end, MARK);
        }
        let Some(prepared) = self.statements.get(&key).cloned() else {
            let text = text.map_or(Cow::Borrowed(sql.text()), |link| Cow::Owned([sql.text(), link, GUARD].concat()));
            let (sent, prepared) = {
                let client = self.client()?;
                tokio::join!(biased; client.batch_execute(&message.text), client.prepare(&text))
            };
            self.controlled(controls, &message, sent)?;
            let prepared = match prepared {
                Ok(statement) => Arc::new(Prepared::new(statement)),
                Err(error) => return Err(self.fail(Failure::before(error), sql, &[])),
            };
            self.statements.insert(key, Arc::clone(&prepared));
            check_count(&prepared, params.len())?;
            let result = execute(self.client()?, &prepared, Params::new(params), sink).await;
            return result.map(Some).map_err(|failure| self.fail(failure, sql, params));
        };
        if check_count(&prepared, params.len()).is_err() {
            // The controls are carried out all the same; the statement is refused after them.
            return Ok(None);
        }
        let (sent, result) = {
            let client = self.client()?;
            tokio::join!(biased; client.batch_execute(&message.text), execute(client, &prepared, Params::new(params), sink))
        };
        self.controlled(controls, &message, sent)?;
        match result {
            Ok(done) => Ok(Some(done)),
            Err(failure) => {
                if failure.is_stale() {
                    self.statements.remove(&key);
                }
                Err(self.fail(failure, sql, params))
            }
        }
    }

    /// Sends all controls in one message and follows what they mean.
    pub(super) async fn control(&mut self, controls: &[Control]) -> Result<()> {
        if controls.is_empty() {
            return Ok(());
        }
        let message = self.message(controls)?;
        let sent = self.client()?.batch_execute(&message.text).await;
        self.controlled(controls, &message, sent)
    }

    /// The controls as one message, and what they lead to.
    pub(super) fn message(&self, controls: &[Control]) -> Result<Message> {
        let mut text = String::with_capacity(32);
        let mut state = self.transaction;
        let mut commits_nothing = false;
        for control in controls {
            if *control == Control::ReadOnly(false) {
                // The savepoint's end has done it.
                continue;
            }
            if !text.is_empty() {
                text.push_str("; ");
            }
            match control {
                Control::ReadOnly(_) => text.push_str("SET TRANSACTION READ ONLY"),
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
        Ok(Message { text, state, commits_nothing })
    }

    /// Follows what became of a message of controls.
    pub(super) fn controlled(
        &mut self,
        controls: &[Control],
        message: &Message,
        sent: Result<(), tokio_postgres::Error>,
    ) -> Result<()> {
        if let Err(error) = sent {
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
        self.enter_state(message.state);
        if message.commits_nothing { Err(Error::transaction(TransactionFault::Aborted)) } else { Ok(()) }
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
        if begin.deferrable {
            text.push_str(" DEFERRABLE");
        }
        if let Some(origin) = &begin.origin {
            text.push_str("; SET LOCAL emr.origin = ");
            text.push_str(&literal(origin));
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

/// A text as SQL writes it, whatever the session's setting of backslashes is.
fn literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn release(name: &str, text: &mut String) {
    text.push_str(&PostgresDialect.release(name).unwrap_or_default());
}

/// Whether a control ends the transaction.
fn ends(control: &Control) -> bool {
    matches!(control, Control::Begin(_) | Control::Commit | Control::Rollback)
}

fn after(state: TransactionState, control: &Control) -> TransactionState {
    match control {
        Control::Begin(_) | Control::RollbackTo(_) => TransactionState::Open,
        Control::Commit | Control::Rollback => TransactionState::None,
        _ => state,
    }
}
