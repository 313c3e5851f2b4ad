//! What a watcher sees and promises.

/// What a watcher of a backend sees and promises: to be printed, and asserted in tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // a table of facts, not a state
#[non_exhaustive]
pub struct WatcherCaps {
    /// Changes survive any outage of the reader, within the [retention](super::Retention).
    pub durable: bool,
    /// How changes are put together to commits.
    pub grouping: Grouping,
    /// The changes of one key come in the order in which they took effect.
    pub key_order: bool,
    /// Updates and deletes carry the old values.
    pub old_values: bool,
    /// TRUNCATE is seen.
    pub truncate: bool,
    /// Rows that a foreign key deletes or changes.
    pub cascades: Cascades,
    /// Rows that a REPLACE or INSERT OR REPLACE removes are seen whatever the writer's settings are.
    pub replaced_rows: bool,
    /// Writes of other processes and of other programs are seen.
    pub other_processes: bool,
    /// Writes straight to a partition or to an inheriting table are seen.
    pub partitions: bool,
    /// A reader is told of a commit; else it looks.
    pub push: bool,
    /// Writes carry the [origin](crate::Repo::with_origin) of ours.
    pub origin: bool,
    /// A session can switch its own triggers off and then writes unseen (`session_replication_role`).
    pub quiet_writes: bool,
}

/// How changes are put together to commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grouping {
    /// One [`Txn`](super::Txn) is one commit.
    Exact,
    /// One [`Txn`](super::Txn) is one or several whole commits.
    Batch,
}

/// Whether rows that a foreign key deletes or changes are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cascades {
    /// As any other change.
    Seen,
    /// By triggers on the parent that the installer adds.
    Shimmed,
    /// Not.
    Missed,
}

impl WatcherCaps {
    /// A durable log that triggers write, with nothing else promised; adapters switch on what theirs can.
    pub fn triggers() -> Self {
        WatcherCaps {
            durable: true,
            grouping: Grouping::Batch,
            key_order: true,
            old_values: true,
            truncate: false,
            cascades: Cascades::Missed,
            replaced_rows: false,
            other_processes: true,
            partitions: false,
            push: false,
            origin: false,
            quiet_writes: false,
        }
    }
}
