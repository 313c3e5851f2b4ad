//! What an instrument notes.

use std::fmt;

use crate::connection::Control;
use crate::error::ErrorKind;

/// What sort of operation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// A connection is made.
    Connect,
    /// A transaction begins.
    Begin,
    /// It is committed.
    Commit,
    /// It is rolled back.
    Rollback,
    /// A nested transaction begins.
    Savepoint,
    /// It is rolled back.
    RollbackTo,
    /// It is kept.
    Release,
    /// A statement.
    Statement,
    /// Many rows are inserted by the fastest road of the engine.
    Insert,
    /// SQL of several statements.
    Script,
    /// A lock that is a name is taken.
    AdvisoryLock,
    /// A cursor is opened.
    Cursor,
    /// Rows are fetched from a cursor.
    Fetch,
    /// A cursor is closed.
    CloseCursor,
    /// An abandoned connection is brought back: what it ran is cancelled, its transaction rolled back.
    Recover,
    /// Something else between statements.
    Control,
}

impl Verb {
    /// Whether it carries SQL of the program.
    pub fn is_statement(self) -> bool {
        matches!(self, Verb::Statement | Verb::Insert | Verb::Script | Verb::Cursor)
    }
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It still runs.
    Running,
    /// It came back.
    Done {
        /// Rows written or read.
        rows: u64,
    },
    /// It failed; of operations that were sent together, the last one says so.
    Failed(ErrorKind),
    /// Its future was dropped: by a timeout, or by the program.
    Cancelled,
}

/// One operation on a connection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Operation {
    /// The connection, counted from 0 in the order in which they were made.
    pub connection: u32,
    /// The call on the connection, counted from 0. Operations of one call are handed to the driver together, which sends
    /// them in one round trip where it can.
    pub call: u64,
    /// What it is.
    pub verb: Verb,
    /// The SQL, or what stands for it: `COMMIT`, `SAVEPOINT 1`.
    pub text: String,
    /// The parameters as text; those of redacted columns as `<redacted>`, long ones cut.
    pub params: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An operation that is about to run.
pub(super) struct Planned {
    pub(super) verb: Verb,
    pub(super) text: String,
    pub(super) params: Vec<String>,
}

impl Planned {
    pub(super) fn new(verb: Verb, text: impl Into<String>) -> Self {
        Planned { verb, text: text.into(), params: Vec::new() }
    }

    pub(super) fn of_control(control: &Control) -> Self {
        match control {
            Control::Begin(begin) => {
                let mut text = "BEGIN".to_owned();
                if let Some(level) = begin.isolation {
                    text.push_str(" ISOLATION LEVEL ");
                    text.push_str(level.sql());
                }
                for (said, words) in [(begin.read_only, " READ ONLY"), (begin.deferrable, " DEFERRABLE")] {
                    if said {
                        text.push_str(words);
                    }
                }
                Planned::new(Verb::Begin, text)
            }
            Control::Commit => Planned::new(Verb::Commit, "COMMIT"),
            Control::Rollback => Planned::new(Verb::Rollback, "ROLLBACK"),
            Control::Savepoint(level) => Planned::new(Verb::Savepoint, format!("SAVEPOINT {level}")),
            Control::RollbackTo(level) => Planned::new(Verb::RollbackTo, format!("ROLLBACK TO {level}")),
            Control::Release(level) => Planned::new(Verb::Release, format!("RELEASE {level}")),
            Control::ReadOnly(on) => Planned::new(Verb::Control, if *on { "READ ONLY" } else { "READ WRITE" }),
        }
    }
}
