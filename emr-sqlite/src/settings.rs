//! The options of a repo, as SQLite has them.

use std::path::PathBuf;
use std::time::Duration;

use emr_core::{ConnectFailure, Error, ErrorKind, RepoOptions, Result};
use percent_encoding::percent_decode_str;

/// What a connection is opened with.
#[derive(Clone)]
pub(crate) struct Settings {
    /// The path, URI or `:memory:`, as the engine takes it.
    pub(crate) database: String,
    pub(crate) location: Location,
    pub(crate) read_only: bool,
    pub(crate) create: bool,
    /// `None`: WAL, if the file can have it.
    pub(crate) journal_mode: Option<&'static str>,
    pub(crate) synchronous: Option<&'static str>,
    pub(crate) cache_size: Option<i64>,
    pub(crate) after_connect: Option<String>,
    pub(crate) connect_timeout: Duration,
}

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// Nowhere: it ends with its connection.
    Memory,
    /// In a file.
    File(PathBuf),
}

pub(crate) const EXTRA: [&str; 4] = ["journal_mode", "synchronous", "create", "cache_size"];
const JOURNAL_MODES: [&str; 6] = ["wal", "delete", "truncate", "persist", "memory", "off"];
const SYNCHRONOUS: [&str; 4] = ["off", "normal", "full", "extra"];

impl Settings {
    pub(crate) fn new(options: &RepoOptions) -> Result<Self> {
        refuse_server_options(options)?;
        let database = match options.database.as_deref() {
            Some(database) if database.contains('\0') => {
                return Err(Error::config("database", "a path cannot have a NUL in it"));
            }
            Some(database) if !database.is_empty() => database.to_owned(),
            _ => {
                return Err(Error::config(
                    "database",
                    "it is empty: write the path of the database file, or `:memory:`",
                ));
            }
        };
        let mut settings = Settings {
            location: Location::of(&database)?,
            database,
            read_only: options.read_only.unwrap_or(false),
            create: true,
            journal_mode: None,
            synchronous: None,
            cache_size: None,
            after_connect: options.after_connect.clone().filter(|sql| !sql.is_empty()),
            connect_timeout: options.effective_connect_timeout(),
        };
        for (name, value) in &options.extra {
            match name.as_str() {
                "journal_mode" => settings.journal_mode = Some(one_of(name, value, &JOURNAL_MODES)?),
                "synchronous" => settings.synchronous = Some(one_of(name, value, &SYNCHRONOUS)?),
                "create" => settings.create = one_of(name, value, &["true", "false"])? == "true",
                "cache_size" => {
                    let size = value.trim().parse().map_err(|_| {
                        Error::config(name, format!("{value:?} is no number: write pages, or a negative number of KiB"))
                    })?;
                    settings.cache_size = Some(size);
                }
                _ => {
                    let problem = format!("SQLite has no such setting; it has {}", EXTRA.join(", "));
                    return Err(Error::config(name, problem));
                }
            }
        }
        Ok(settings)
    }

    /// The database for error messages. What stands behind a URI's `?` is left out: it may be a key.
    pub(crate) fn target(&self) -> String {
        match (&self.location, self.database.split_once('?')) {
            (Location::File(_), Some((path, _))) if self.database.starts_with("file:") => path.to_owned(),
            _ => self.database.clone(),
        }
    }

    /// The error for a database that cannot be opened.
    pub(crate) fn refused(&self, cause: ConnectFailure, reason: impl Into<String>) -> Error {
        Error::new(ErrorKind::ConnectFailed { target: self.target(), reason: reason.into(), cause })
    }
}

impl Location {
    /// Reads the forms that the engine knows: a path, `:memory:`, and `file:` URIs.
    fn of(database: &str) -> Result<Self> {
        let Some(uri) = database.strip_prefix("file:") else {
            return Ok(if database == ":memory:" { Location::Memory } else { Location::File(database.into()) });
        };
        let uri = uri.split_once('#').map_or(uri, |(uri, _)| uri);
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let path = match path.strip_prefix("//") {
            Some(authority) => authority.find('/').map_or("", |slash| &authority[slash..]),
            None => path,
        };
        let path = percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| Error::config("database", "its percent-encoded bytes are not UTF-8"))?;
        if path == ":memory:" || query.split('&').any(|pair| pair == "mode=memory") {
            return Ok(Location::Memory);
        }
        if path.is_empty() {
            return Err(Error::config("database", "the URI has no path: write for example `file:data/app.db`"));
        }
        Ok(Location::File(path.into_owned().into()))
    }
}

fn one_of(option: &str, value: &str, choices: &[&'static str]) -> Result<&'static str> {
    choices
        .iter()
        .find(|choice| choice.eq_ignore_ascii_case(value))
        .copied()
        .ok_or_else(|| Error::config(option, format!("{value:?} is none of its values: write {}", choices.join(", "))))
}

fn refuse_server_options(options: &RepoOptions) -> Result<()> {
    let given = [
        ("host", "no server and so no host", options.host.is_some()),
        ("port", "no server and so no port", options.port.is_some()),
        ("user", "no users", options.user.is_some()),
        ("password", "no passwords", options.password.is_some()),
        ("tls", "no network connection to encrypt", options.tls.is_some()),
        ("tls_ca", "no network connection to encrypt", options.tls_ca.is_some()),
        ("prefix", "no schemas in a database", options.prefix.is_some()),
    ];
    match given.into_iter().find(|(_, _, given)| *given) {
        Some((option, lacks, _)) => Err(Error::config(option, format!("SQLite has {lacks}: leave it out"))),
        None => Ok(()),
    }
}
