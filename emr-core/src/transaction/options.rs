//! How a transaction begins, and how often it may run.

use std::sync::Arc;
use std::time::Duration;

use crate::capabilities::{Capabilities, IsolationLevel};
use crate::connection::Begin;
use crate::error::{Error, Result};

/// How a transaction begins, how long it may take, and how often its work may run.
///
/// ```
/// # use std::time::Duration;
/// # use emr_core::{IsolationLevel, TransactionOptions};
/// let options = TransactionOptions::new().isolation(IsolationLevel::Serializable).timeout(Duration::from_secs(5));
/// ```
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[must_use = "options do nothing until a transaction begins with them"]
pub struct TransactionOptions {
    pub(crate) begin: Begin,
    pub(crate) timeout: Option<Duration>,
    pub(crate) flat: bool,
    pub(crate) retry: Option<u32>,
    pub(crate) begins_anew: bool,
}

impl TransactionOptions {
    /// The server's default isolation, read-write, no time limit, savepoints.
    pub fn new() -> Self {
        TransactionOptions::default()
    }

    /// The isolation level. One that the server does not have is refused before anything is sent.
    pub fn isolation(mut self, level: IsolationLevel) -> Self {
        self.begin.isolation = Some(level);
        self
    }

    /// Refuses writes.
    pub fn read_only(mut self) -> Self {
        self.begin.read_only = true;
        self
    }

    /// A serializable, read-only transaction that waits at its first statement until it can read without any risk of a
    /// serialization failure: for long reports and backups. PostgreSQL only.
    pub fn deferrable(mut self) -> Self {
        self.begin.deferrable = true;
        self.begin.read_only = true;
        self.begin.isolation = Some(IsolationLevel::Serializable);
        self
    }

    /// Rolls the transaction back when it is still open after this time. Of work that runs
    /// [again](TransactionOptions::retry), each run has this time.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Who makes the writes, as [`Repo::with_origin`](crate::Repo::with_origin) says.
    pub fn origin(mut self, origin: impl Into<Arc<str>>) -> Self {
        self.begin.origin = Some(origin.into());
        self
    }

    /// The same where nothing else was said.
    pub(crate) fn or_origin(mut self, origin: Option<&Arc<str>>) -> Self {
        if self.begin.origin.is_none() {
            self.begin.origin = origin.cloned();
        }
        self
    }

    /// Nested transactions join this one instead of setting savepoints: if one of them fails, all fail.
    pub fn flat(mut self) -> Self {
        self.flat = true;
        self
    }

    /// Runs the work again, from the start and in a new transaction, when the server gave it up in favour of another
    /// one (serialization failure, deadlock): at most this many times, after a short random wait that doubles. Only for
    /// [`transaction_retry`](crate::Repo::transaction_retry), whose work can run again; all others refuse it.
    pub fn retry(mut self, times: u32) -> Self {
        self.retry = Some(times);
        self
    }

    /// Refuses what the server cannot begin, before anything is sent.
    pub(crate) fn check(&self, capabilities: &Capabilities) -> Result<()> {
        self.refuse_retry()?;
        if let Some(level) = self.begin.isolation
            && !capabilities.isolation_levels.contains(&level)
        {
            return Err(Error::unsupported(format!("the isolation level {level}"), &*capabilities.server));
        }
        if self.begin.read_only && !capabilities.read_only_transactions {
            return Err(Error::unsupported("read-only transactions", &*capabilities.server));
        }
        if let Some(origin) = &self.begin.origin {
            if !capabilities.origins {
                return Err(Error::unsupported("writes that say who made them", &*capabilities.server));
            }
            if origin.is_empty() || origin.len() > 255 || origin.chars().any(char::is_control) {
                return Err(Error::invalid("an origin has 1 to 255 bytes and no control characters"));
            }
        }
        if self.begin.deferrable {
            if !capabilities.deferrable_transactions {
                return Err(Error::unsupported("deferrable transactions", &*capabilities.server));
            }
            if self.begin.isolation != Some(IsolationLevel::Serializable) {
                return Err(Error::invalid(
                    "a deferrable transaction is serializable: leave the other isolation level or deferrable out",
                ));
            }
        }
        Ok(())
    }

    /// Work that can run only once cannot be run again.
    pub(crate) fn refuse_retry(&self) -> Result<()> {
        if self.retry.is_some() {
            return Err(Error::invalid(
                "retry is for transaction_retry, whose work can run more than once: here it would do nothing",
            ));
        }
        Ok(())
    }
}
