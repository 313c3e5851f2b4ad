//! What an installer would do, what it did, and what is not as it left it.

use std::fmt;
use std::sync::Arc;

use super::names::hex_digest;

/// The statements that make a watcher's objects: to be read, run by hand, or kept as a migration. `Display` prints them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The steps in their order.
    pub steps: Vec<PlanStep>,
    /// What the person who installs should know.
    pub warnings: Vec<String>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanStep {
    /// What it makes: `triggers of public.posts`.
    pub object: String,
    /// The statements, without the semicolon at the end.
    pub sql: Vec<String>,
}

impl PlanStep {
    /// A step.
    pub fn new(object: impl Into<String>, sql: Vec<String>) -> Self {
        PlanStep { object: object.into(), sql }
    }

    /// A hash of the statements: two steps of one hash make the same object.
    pub fn hash(&self) -> String {
        hex_digest(&self.sql.join(";\n"), 40)
    }
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(f, "-- NOTE: {}", warning.replace('\n', "\n--       "))?;
        }
        for step in &self.steps {
            writeln!(f, "-- {}", step.object.replace(['\n', '\r'], " "))?;
            for sql in &step.sql {
                writeln!(f, "{sql};")?;
            }
        }
        Ok(())
    }
}

/// What installing did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Installed {
    /// Objects that were made or replaced; empty if all was there.
    pub changed: Vec<String>,
}

impl Installed {
    /// These were made or replaced.
    pub fn new(changed: Vec<String>) -> Self {
        Installed { changed }
    }
}

/// Something that is not as the installer left it. Until it is [installed](super::Watcher::install) again, changes of the table may go
/// unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drift {
    /// The table, or what else is concerned.
    pub table: Arc<str>,
    /// What was found, in words.
    pub found: String,
}

impl Drift {
    /// Of this table.
    pub fn new(table: impl Into<Arc<str>>, found: impl Into<String>) -> Self {
        Drift { table: table.into(), found: found.into() }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.table, self.found)
    }
}
