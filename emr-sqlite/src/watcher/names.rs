//! How the objects of one application are called, and how SQL writes names and texts.

use emr_core::watch::object_name;

/// The engine knows no limit; this one keeps names readable.
const LIMIT: usize = 63;

/// What all names of one application begin with is shorter, so that there is room behind it.
const STEM: usize = 40;

/// The names of one application's objects, as SQL writes them.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    stem: String,
    /// The changes.
    pub(crate) log: String,
    /// What of which table is in the log, and the triggers that write it.
    pub(super) sources: String,
    /// The columns of each source.
    pub(super) columns: String,
    /// The triggers as they were installed.
    pub(super) triggers: String,
    /// The log's identity, and how far back it reaches.
    pub(super) state: String,
    /// Where commits are known to have ended, and who made them.
    pub(crate) commits: String,
    /// The durable consumers.
    pub(super) consumers: String,
}

/// What a table of commits is called, behind the application's own part.
pub(crate) const COMMITS: &str = "_commits";

impl Names {
    pub(super) fn of(application: &str) -> Self {
        Names::with_stem(object_name("emr", application, STEM))
    }

    pub(crate) fn with_stem(stem: String) -> Self {
        let own = |what: &str| ident(&format!("{stem}{what}"));
        Names {
            log: own("_log"),
            sources: own("_sources"),
            columns: own("_columns"),
            triggers: own("_triggers"),
            state: own("_state"),
            commits: own(COMMITS),
            consumers: own("_consumers"),
            stem,
        }
    }

    /// The bare name of the table with the changes.
    pub(crate) fn bare_log(&self) -> String {
        format!("{}_log", self.stem)
    }

    /// All tables, as SQL writes them, in the order in which they can be dropped.
    pub(super) fn tables(&self) -> [&String; 7] {
        [&self.consumers, &self.commits, &self.triggers, &self.columns, &self.sources, &self.state, &self.log]
    }

    /// Whether a table is one of these.
    pub(super) fn is_own(&self, table: &str) -> bool {
        self.tables().iter().any(|own| bare(own).eq_ignore_ascii_case(table))
    }

    /// The bare name of a trigger on a table.
    pub(super) fn trigger(&self, event: &str, table: &str) -> String {
        object_name(&format!("{}_{event}", self.stem), table, LIMIT)
    }
}

/// A name as SQL writes it.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The name that SQL writes so.
pub(super) fn bare(ident: &str) -> String {
    ident[1..ident.len() - 1].replace("\"\"", "\"")
}

/// A text as SQL writes it.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
