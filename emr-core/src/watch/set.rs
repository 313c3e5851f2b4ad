//! What a program watches, and how.

use std::borrow::Cow;
use std::time::Duration;

use super::spec::WatcherSpec;

/// What a program watches, and how.
///
/// All processes of one application give the same set, under the same [application](WatchSet::application) name: they share one
/// change log. Two applications on one database have two logs and never touch each other's.
///
/// ```
/// # use emr_core::watch::{WatchSet, WatcherSpec};
/// let set = WatchSet::new()
///     .application("billing")
///     .watch(WatcherSpec::table("invoices").label("invoices").extra_columns(["customer_id"]));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a set does nothing until a watcher is made of it"]
pub struct WatchSet {
    pub(super) application: Cow<'static, str>,
    pub(super) specs: Vec<WatcherSpec>,
    pub(super) heartbeat: Duration,
    pub(super) verify_every: Duration,
    pub(super) lock_timeout: Duration,
    pub(super) max_events: usize,
    pub(super) max_value: usize,
    pub(super) retention: Retention,
    pub(super) wake: Wake,
}

/// How long changes stay in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Changes older than this may go. Default one day.
    pub age: Duration,
    /// When there are more changes than this, the oldest may go. Default ten million.
    pub events: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Retention { age: Duration::from_hours(24), events: 10_000_000 }
    }
}

/// How a reader learns that there is something new. Losing a wake-up loses no change, it only delays it: at the latest, the
/// next heartbeat finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Wake {
    /// The writer tells, but only a reader that sleeps. The default: the fastest for writers and readers.
    #[default]
    Adaptive,
    /// The writer tells with every commit. On PostgreSQL that makes writers wait for each other.
    Notify,
    /// Nobody tells: the reader looks this often. For transaction poolers, behind which nothing can be told.
    Poll(Duration),
}

impl Default for WatchSet {
    fn default() -> Self {
        WatchSet {
            application: Cow::Borrowed("emr"),
            specs: Vec::new(),
            heartbeat: Duration::from_secs(5),
            verify_every: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(2),
            max_events: 10_000,
            max_value: 8_192,
            retention: Retention::default(),
            wake: Wake::Adaptive,
        }
    }
}

impl WatchSet {
    /// Nothing yet, for the application `emr`.
    pub fn new() -> Self {
        WatchSet::default()
    }

    /// The name under which all processes of one application share a change log.
    pub fn application(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.application = name.into();
        self
    }

    /// Watches this too. What several say of one table is added up.
    pub fn watch(mut self, spec: impl Into<WatcherSpec>) -> Self {
        self.specs.push(spec.into());
        self
    }

    /// How often a reader says at the least that it is alive ([`Progress`](super::Item::Progress)), and how long the server may be
    /// silent: a dead link is found within two heartbeats. Default 5 s.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = every;
        self
    }

    /// How often a reader checks that the triggers are there. Default 30 s.
    pub fn verify_every(mut self, every: Duration) -> Self {
        self.verify_every = every;
        self
    }

    /// How long installing may wait for a table that others are writing to. Default 2 s.
    pub fn lock_timeout(mut self, limit: Duration) -> Self {
        self.lock_timeout = limit;
        self
    }

    /// How many changes one [`Txn`](super::Txn) holds at the most: a larger commit comes in parts. Default 10,000.
    pub fn max_events(mut self, events: usize) -> Self {
        self.max_events = events;
        self
    }

    /// How many bytes a carried value may have, as the database stores it; a larger one is left out, and
    /// [`Carried::get`](super::Carried::get) gives `None`. Keys are always carried. Default 8,192.
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// How long changes stay in the log.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// How a reader learns of something new.
    pub fn wake(mut self, wake: Wake) -> Self {
        self.wake = wake;
        self
    }
}
