//! What can be wrong with a watcher.

use std::fmt;

/// Why a watcher cannot do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchFault {
    /// A setting of the [`WatchSet`](super::WatchSet) is wrong.
    BadSetting {
        /// The setting.
        setting: String,
        /// What to write.
        problem: String,
    },
    /// A label is no label.
    BadLabel {
        /// Its beginning.
        label: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Two specifications have one label.
    DuplicateLabel {
        /// The label.
        label: String,
    },
    /// Nothing of this label is in the set.
    UnknownLabel {
        /// The label.
        label: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A specification needs a label.
    LabelRequired {
        /// Its table.
        table: String,
        /// Why.
        because: &'static str,
    },
    /// The database has no such table.
    UnknownTable {
        /// The table.
        table: String,
    },
    /// It is there, but triggers cannot stand on it: a view, a foreign table.
    NoTable {
        /// Its name.
        table: String,
        /// What it is.
        found: String,
    },
    /// A column is not in its table or struct.
    UnknownColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The columns that there are.
        known: Vec<String>,
    },
    /// A table has no primary key, and nothing says what identifies its rows.
    NoPrimaryKey {
        /// The table.
        table: String,
    },
    /// Two specifications identify the rows of one table by other columns.
    TwoKeys {
        /// The table.
        table: String,
        /// The two keys.
        keys: [Vec<String>; 2],
    },
    /// The database does not let the installer or the reader do something.
    Denied {
        /// What was to be done.
        action: String,
        /// The server's message.
        message: String,
    },
    /// A table could not be locked for installing, because others write to it.
    Locked {
        /// The table or what else was locked.
        object: String,
        /// How long the installer waited, all attempts together, in milliseconds.
        waited_ms: u64,
    },
    /// There is no change log of this application in the database, or one of another definition.
    NotInstalled {
        /// The application.
        application: String,
        /// What is missing.
        missing: String,
    },
    /// A text is no token.
    BadToken {
        /// Its beginning.
        token: String,
    },
    /// A token of another backend, or one that is to be acknowledged to a log that it is not of.
    ForeignToken {
        /// The token.
        token: String,
        /// The log that was asked, as the start of its own tokens.
        expected: String,
    },
    /// Another process reads as this durable consumer now.
    Fenced {
        /// The consumer.
        consumer: String,
    },
    /// A changes stream that is no durable consumer has nothing to acknowledge to.
    NoConsumer,
}

impl fmt::Display for WatchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WatchFault::BadSetting { setting, problem } => write!(f, "wrong watcher setting `{setting}`: {problem}"),
            WatchFault::BadLabel { label, problem } => write!(f, "{label:?} is no label: {problem}"),
            WatchFault::DuplicateLabel { label } => {
                write!(f, "the label {label:?} is given twice: a label names one specification")
            }
            WatchFault::UnknownLabel { label, known } if known.is_empty() => {
                write!(f, "nothing is watched under the label {label:?}, and no label is given at all")
            }
            WatchFault::UnknownLabel { label, known } => {
                write!(f, "nothing is watched under the label {label:?}; there are {}", known.join(", "))
            }
            WatchFault::LabelRequired { table, because } => {
                write!(f, "what is watched of {table} needs a label, because {because}: add `.label(…)`")
            }
            WatchFault::UnknownTable { table } => {
                write!(f, "there is no table {table:?}: create it before the watcher is installed, or name its prefix")
            }
            WatchFault::NoTable { table, found } => {
                write!(f, "{table} is {found}, on which no change triggers can stand: watch the tables behind it")
            }
            WatchFault::UnknownColumn { table, column, known } => {
                write!(f, "{table} has no column `{column}`; it has {}", known.join(", "))
            }
            WatchFault::NoPrimaryKey { table } => write!(
                f,
                "{table} has no primary key: its rows cannot be told apart; add one, or name the columns by `.keys(…)`"
            ),
            WatchFault::TwoKeys { table, keys: [first, second] } => write!(
                f,
                "the rows of {table} are identified by ({}) in one place and by ({}) in another: use one key",
                first.join(", "),
                second.join(", ")
            ),
            WatchFault::Denied { action, message } => write!(
                f,
                "the database does not allow to {action}: {message}; install with a role that may, see the plan's grants"
            ),
            WatchFault::Locked { object, waited_ms } => write!(
                f,
                "{object} was in use for all of {waited_ms} ms, and installing does not hold writers up for longer: \
                 install again at a quieter time, or raise lock_timeout"
            ),
            WatchFault::NotInstalled { application, missing } => {
                write!(f, "the watcher of application {application:?} is not installed here ({missing}): run `install`")
            }
            WatchFault::BadToken { token } => {
                write!(f, "{token:?} is no token: keep tokens as `to_string` writes them, or start from now")
            }
            WatchFault::ForeignToken { token, expected } => {
                write!(f, "the token {token} belongs to another log than this one, whose tokens start with {expected}")
            }
            WatchFault::Fenced { consumer } => write!(
                f,
                "another reader has started as the consumer {consumer:?}, so this one may not go on: stop one of them"
            ),
            WatchFault::NoConsumer => f.write_str(
                "these changes are not read as a durable consumer: keep the token yourself, or start with one",
            ),
        }
    }
}
