//! How the objects of one application are called, and how SQL writes names and texts.

use emr_core::advisory_key;
use emr_core::watch::{hex_digest, object_name};

/// Identifiers have at most this many bytes, unless the server was built otherwise.
const LIMIT: usize = 63;

/// The names of one application's objects.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// The schema, as SQL writes it.
    pub(super) schema: String,
    /// The schema's bare name, which is also the channel of wake-ups.
    pub(super) bare: String,
    /// What the names of triggers begin with.
    stem: String,
    /// Held by a reader that sleeps, exclusively; tried by writers, shared.
    pub(super) sleep_key: i64,
    /// Held by the reader that sleeps for all.
    pub(super) lead_key: i64,
    /// Shared by the readers that are woken by it.
    pub(super) follow_key: i64,
    /// Held by who installs.
    pub(super) install_key: i64,
    /// Held by who removes old changes.
    pub(super) retain_key: i64,
}

impl Names {
    pub(super) fn of(application: &str) -> Self {
        let bare = object_name("emr", application, LIMIT);
        let key = |what: &str| advisory_key(&format!("emr watcher {what} {bare}"));
        Names {
            schema: ident(&bare),
            stem: object_name("emr", application, LIMIT - "_truncate".len()),
            sleep_key: key("sleep"),
            lead_key: key("lead"),
            follow_key: key("follow"),
            install_key: key("install"),
            retain_key: key("retain"),
            bare,
        }
    }

    /// An object in the application's schema, as SQL writes it.
    pub(super) fn own(&self, object: &str) -> String {
        format!("{}.{}", self.schema, ident(object))
    }

    /// The bare name of a trigger.
    pub(super) fn trigger(&self, what: &str) -> String {
        format!("{}_{what}", self.stem)
    }

    /// A function about one table, as SQL writes it.
    pub(super) fn function(&self, table: &str, what: &str) -> String {
        self.own(&format!("on_{}_{what}", hex_digest(table, 16)))
    }
}

/// A name as SQL writes it.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL writes it, whatever the session's setting of backslashes is.
pub(super) fn literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
