//! What can be wrong with keeping values in sync.

use std::fmt;

/// Why a value cannot be kept in sync as it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncFault {
    /// Nobody watches the table.
    NotWatched {
        /// The table.
        table: String,
        /// The tables that are watched.
        watched: Vec<String>,
    },
    /// The watcher does not carry columns that an association, a predicate or a subscription reads.
    NotCarried {
        /// The table.
        table: String,
        /// The columns that are missing.
        columns: Vec<String>,
        /// What reads them.
        by: String,
    },
    /// An item came from another instance than the one that is to apply it.
    OtherInstance,
    /// Changes were missed: a value that is not loaded by a query must be loaded anew.
    Resync {
        /// Why.
        reason: String,
    },
    /// A predicate or projection of a subscription panicked. What it was to judge was not delivered, and the subscription is over.
    Panicked {
        /// The table of the row.
        table: String,
    },
    /// A setting is wrong.
    BadSetting {
        /// The setting.
        setting: &'static str,
        /// What to write.
        problem: &'static str,
    },
    /// A query cannot be followed.
    NotFollowed {
        /// What stands in the way.
        because: String,
    },
    /// The instance no longer reads changes.
    Ended {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for SyncFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyncFault::NotWatched { table, watched } => write!(
                f,
                "nobody watches `{table}`: give its struct to `Sync::builder(…).watch`; watched are {}",
                watched.join(", ")
            ),
            SyncFault::NotCarried { table, columns, by } => write!(
                f,
                "{by} reads {} of `{table}`, which the watcher does not carry: name the association in `assocs` of the \
                 watched struct, or the columns in `extra_columns`",
                columns.join(", ")
            ),
            SyncFault::OtherInstance => {
                f.write_str("the item came from another `Sync`: apply it with the one whose inbox it came from")
            }
            SyncFault::Resync { reason } => write!(f, "changes were missed ({reason}): load the value anew"),
            SyncFault::Panicked { table } => {
                write!(f, "the subscription is over: its predicate or projection panicked over a row of `{table}`")
            }
            SyncFault::BadSetting { setting, problem } => write!(f, "wrong setting `{setting}`: {problem}"),
            SyncFault::NotFollowed { because } => write!(f, "the query cannot be kept in sync: {because}"),
            SyncFault::Ended { reason } => write!(f, "no more changes come: {reason}"),
        }
    }
}
