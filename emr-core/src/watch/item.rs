//! What a stream of changes yields.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::event::Event;
use super::resolve::Watched;
use super::token::Token;

/// One thing that a stream of changes yields.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Item {
    /// A commit, or a part of a large one.
    Txn(Arc<Txn>),
    /// All changes before the token were delivered. Comes at least once in every heartbeat, also while nothing changes and
    /// while the server cannot be reached.
    Progress {
        /// Where the reader stands.
        token: Token,
        /// How long ago the reader last had all changes that there were: zero when it has.
        lag: Duration,
    },
    /// Changes may be missing between what was delivered before and what comes now: load anew what the scope names.
    Resync {
        /// Why.
        reason: ResyncReason,
        /// Of what.
        scope: Scope,
        /// Where the reader goes on.
        token: Token,
    },
}

/// What one commit changed in the watched tables.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Txn {
    /// Where a reader stands that has all of this commit. In a part that is not the last: where it stood before the commit.
    pub token: Token,
    /// What the writer called itself: see [`with_origin`](crate::Repo::with_origin). `None` if it said nothing, or several things.
    pub origin: Option<Arc<str>>,
    /// The changes, those of one row in the order in which they took effect.
    pub changes: Vec<Event>,
    /// Of a commit with more changes than [`max_events`](super::WatchSet::max_events): which part this is.
    pub part: Option<Part>,
}

/// One of several parts of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Which, counted from 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl Part {
    /// Part `number` of `of`.
    pub fn new(number: u32, of: u32) -> Self {
        Part { number, of }
    }

    /// Whether the commit is whole with it.
    pub fn is_last(self) -> bool {
        self.number == self.of
    }
}

impl Txn {
    /// A commit, or a part of it. Adapters make it.
    pub fn new(token: Token, origin: Option<Arc<str>>, changes: Vec<Event>, part: Option<Part>) -> Self {
        Txn { token, origin, changes, part }
    }
}

/// Why values must be loaded anew.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResyncReason {
    /// The token is older than the log reaches back.
    TokenTooOld,
    /// The token belongs to another database, or to this one before it was restored or failed over.
    OtherDatabase,
    /// A trigger was missing, switched off or another one than installed, or a column was gone: what was written meanwhile may
    /// not be in the log.
    Drift {
        /// What was found.
        found: String,
    },
    /// A change was logged while the table did not fit its definition: its row is not known.
    Unreadable,
    /// The durable consumer is new: there is no position to go on from.
    NewConsumer,
    /// The log was emptied or set back.
    LogReset,
}

impl fmt::Display for ResyncReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResyncReason::TokenTooOld => f.write_str("the token is older than the log reaches back"),
            ResyncReason::OtherDatabase => {
                f.write_str("the token belongs to another database, or to an older state of this one")
            }
            ResyncReason::Drift { found } => write!(f, "changes may have gone unseen: {found}"),
            ResyncReason::Unreadable => f.write_str("the table was altered, and a change does not tell its row"),
            ResyncReason::NewConsumer => f.write_str("the consumer is new"),
            ResyncReason::LogReset => f.write_str("the log was emptied or set back"),
        }
    }
}

/// What must be loaded anew.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Scope {
    /// Everything that is watched.
    All,
    /// One table.
    Table(Arc<Watched>),
}

/// Where to start reading.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With the first commit that ends after the call returns.
    Now,
    /// With the first commit that the token has not seen.
    After(Token),
    /// Where the durable consumer of this name last [acknowledged](super::Changes::ack); a new one starts now. Whoever read as
    /// this consumer before may not acknowledge any more.
    Consumer(String),
}

impl Start {
    /// Of a durable consumer.
    pub fn consumer(name: impl Into<String>) -> Self {
        Start::Consumer(name.into())
    }
}
