//! What an adapter's watcher does: the seam between core and backends.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::caps::WatcherCaps;
use super::item::{Item, ResyncReason, Start};
use super::plan::{Drift, Installed, Plan};
use super::resolve::Resolved;
use super::token::Token;
use crate::error::Result;

/// The change logs of one repo's database.
#[async_trait]
pub trait ChangeLog: Send + Sync {
    /// What it sees and promises.
    fn caps(&self) -> WatcherCaps;

    /// What [`install`](ChangeLog::install) would do on a database where nothing is installed. Reads the catalog.
    ///
    /// # Errors
    /// [`Watch`](crate::ErrorKind::Watch) for tables and columns that cannot be watched.
    async fn plan(&self, set: &Resolved) -> Result<Plan>;

    /// Makes what is missing or of another definition.
    ///
    /// # Errors
    /// As [`plan`](ChangeLog::plan); [`Denied`](super::WatchFault::Denied), [`Locked`](super::WatchFault::Locked). Nothing is left half done of any one table.
    async fn install(&self, set: &Resolved) -> Result<Installed>;

    /// What is not as [`install`](ChangeLog::install) would leave it.
    ///
    /// # Errors
    /// If the database cannot be asked.
    async fn verify(&self, set: &Resolved) -> Result<Vec<Drift>>;

    /// What lets a role read, keep positions and remove old changes, but neither install nor see the watched tables.
    fn grants(&self, _set: &Resolved, _role: &str) -> Vec<String> {
        Vec::new()
    }

    /// Removes all objects of the application, and no others. Returns what was removed.
    ///
    /// # Errors
    /// As [`install`](ChangeLog::install).
    async fn uninstall(&self, set: &Resolved) -> Result<Vec<String>>;

    /// The position after the last commit.
    ///
    /// # Errors
    /// [`NotInstalled`](super::WatchFault::NotInstalled).
    async fn head(&self, set: &Resolved) -> Result<Token>;

    /// Begins to read. From when this returns on, no commit is missed. A reader that goes on after an outage says which
    /// consumer it still is.
    ///
    /// # Errors
    /// [`NotInstalled`](super::WatchFault::NotInstalled), [`ForeignToken`](super::WatchFault::ForeignToken); connection errors, after which the caller may try again.
    async fn open(&self, set: &Arc<Resolved>, start: &Start, consumer: Option<&Consumer>) -> Result<Opened>;
}

/// A durable consumer as one reader holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// How often it was started: the reader of a smaller number may not acknowledge any more.
    pub epoch: i64,
}

/// A reader at its start.
#[non_exhaustive]
pub struct Opened {
    /// The reader.
    pub reader: Box<dyn LogReader>,
    /// Where it stands.
    pub token: Token,
    /// Why it does not stand where it was asked to.
    pub resync: Option<ResyncReason>,
    /// What is not as installed.
    pub drift: Vec<Drift>,
    /// The durable consumer that it reads as.
    pub consumer: Option<Consumer>,
}

impl Opened {
    /// A reader that stands where it was asked to.
    pub fn new(reader: Box<dyn LogReader>, token: Token) -> Self {
        Opened { reader, token, resync: None, drift: Vec::new(), consumer: None }
    }
}

/// Reads one log from one position on. It holds one connection; one task owns it, and no call but
/// [`woken`](LogReader::woken) is dropped before its end.
#[async_trait]
pub trait LogReader: Send {
    /// What is committed and not yet read, at most about as much as one [`Txn`](super::Txn) may hold. Notices within a heartbeat
    /// that the server does not answer.
    ///
    /// # Errors
    /// Of the connection, after which the reader is of no use; all others end the stream.
    async fn read(&mut self) -> Result<Batch>;

    /// Prepares to sleep. `None`: something may have been committed since the last read, so read again at once.
    ///
    /// # Errors
    /// As [`read`](LogReader::read).
    async fn lie_down(&mut self) -> Result<Option<Duration>>;

    /// Ends when the log was written to. May be dropped at any time; the next [`read`](LogReader::read) ends the sleep.
    async fn woken(&mut self);

    /// Keeps the position of a durable consumer.
    ///
    /// # Errors
    /// [`Fenced`](super::WatchFault::Fenced), [`NoConsumer`](super::WatchFault::NoConsumer), [`ForeignToken`](super::WatchFault::ForeignToken).
    async fn ack(&mut self, token: &Token) -> Result<()>;

    /// Checks the triggers if `verify`, and removes what the retention does not keep. Called about once in a heartbeat.
    ///
    /// # Errors
    /// As [`read`](LogReader::read).
    async fn tend(&mut self, verify: bool) -> Result<Tended>;
}

/// What a read found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Batch {
    /// Commits, and what must be loaded anew.
    pub items: Vec<Item>,
    /// Where the reader stands now.
    pub token: Option<Token>,
    /// Whether there is more to read.
    pub more: bool,
}

impl Batch {
    /// What was read, and whether there is more.
    pub fn new(items: Vec<Item>, token: Token, more: bool) -> Self {
        Batch { items, token: Some(token), more }
    }
}

/// What looking after the log found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Tended {
    /// What is not as installed; `None` if that was not looked at.
    pub drift: Option<Vec<Drift>>,
}

impl Tended {
    /// What the check found.
    pub fn new(drift: Option<Vec<Drift>>) -> Self {
        Tended { drift }
    }
}
