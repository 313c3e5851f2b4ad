//! What a plan is asked for with.

use crate::error::{Error, Result};

/// How a plan is made and shown. Without options it is the engine's plain plan, and the statement is not run.
///
/// ```
/// # use emr_core::{ExplainOptions, PlanFormat};
/// let options = ExplainOptions::new().analyze().buffers(true).format(PlanFormat::Json);
/// ```
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // the server's own switches
#[must_use = "options do nothing until a plan is asked for"]
#[non_exhaustive]
pub struct ExplainOptions {
    /// The statement runs, and the plan shows what it did.
    pub analyze: bool,
    /// What is only in verbose plans: output columns, schemas.
    pub verbose: bool,
    /// Estimated costs; the server's default where `None`, as with all others.
    pub costs: Option<bool>,
    /// Settings that are not the default.
    pub settings: Option<bool>,
    /// Pages that were read and written.
    pub buffers: Option<bool>,
    /// Log records that were written.
    pub wal: Option<bool>,
    /// The time that each node took.
    pub timing: Option<bool>,
    /// The time that all of it took.
    pub summary: Option<bool>,
    /// How the plan is written.
    pub format: PlanFormat,
    /// The plan for any parameters, instead of the plan for these.
    pub generic: bool,
    /// What the analyzed statement did stays.
    pub keep: bool,
}

/// How a plan is written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PlanFormat {
    /// As the engine shows it by default: a row per line.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
    /// One XML document.
    Xml,
}

impl ExplainOptions {
    /// The plain plan.
    pub fn new() -> Self {
        ExplainOptions::default()
    }

    /// Runs the statement, in a transaction (on a transaction: a nested one) that is rolled back, and shows what it did.
    pub fn analyze(mut self) -> Self {
        self.analyze = true;
        self
    }

    /// Shows more of each node.
    pub fn verbose(mut self) -> Self {
        self.verbose = true;
        self
    }

    /// Shows estimated costs, or leaves them out.
    pub fn costs(mut self, show: bool) -> Self {
        self.costs = Some(show);
        self
    }

    /// Shows settings that are not the default.
    pub fn settings(mut self, show: bool) -> Self {
        self.settings = Some(show);
        self
    }

    /// Shows the pages that were read and written.
    pub fn buffers(mut self, show: bool) -> Self {
        self.buffers = Some(show);
        self
    }

    /// Shows the log records that were written. Needs [`analyze`](ExplainOptions::analyze).
    pub fn wal(mut self, show: bool) -> Self {
        self.wal = Some(show);
        self
    }

    /// Measures each node, or not. Needs [`analyze`](ExplainOptions::analyze).
    pub fn timing(mut self, show: bool) -> Self {
        self.timing = Some(show);
        self
    }

    /// Shows the time that planning, and running, took in all.
    pub fn summary(mut self, show: bool) -> Self {
        self.summary = Some(show);
        self
    }

    /// Writes the plan in this format.
    pub fn format(mut self, format: PlanFormat) -> Self {
        self.format = format;
        self
    }

    /// Shows the plan that the server would make without knowing the parameters. Not with
    /// [`analyze`](ExplainOptions::analyze).
    pub fn generic(mut self) -> Self {
        self.generic = true;
        self
    }

    /// What the statement did stays: [`analyze`](ExplainOptions::analyze) then is in no transaction of its own.
    pub fn keep(mut self) -> Self {
        self.keep = true;
        self
    }

    /// Whether the engine's plain plan is asked for.
    pub fn is_plain(&self) -> bool {
        *self == ExplainOptions::default()
    }

    /// Refuses options that contradict each other, before anything is sent.
    pub(crate) fn check(&self) -> Result<()> {
        let needs_analyze = [("timing", self.timing), ("wal", self.wal)];
        if let Some((option, _)) = needs_analyze.iter().find(|(_, value)| *value == Some(true))
            && !self.analyze
        {
            return Err(Error::invalid(format!("the plan's {option} is measured while it runs: add analyze")));
        }
        if self.generic && self.analyze {
            return Err(Error::invalid("a generic plan is for no parameters, so it cannot be run: leave out analyze"));
        }
        if self.keep && !self.analyze {
            return Err(Error::invalid("a plan that is not run does nothing that could be kept: add analyze"));
        }
        Ok(())
    }
}
