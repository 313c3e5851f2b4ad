//! Backends and how a program finds the one it wants.

use std::sync::Arc;

use async_trait::async_trait;

use crate::connection::Connector;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::options::RepoOptions;
use crate::watch::ChangeLog;

/// One backend. An adapter crate implements it and registers itself:
///
/// ```ignore
/// inventory::submit! { emr_core::Registration(&MyAdapter) }
/// ```
#[async_trait]
pub trait Adapter: Send + Sync + 'static {
    /// The name that the `database` option takes: `postgres`.
    fn name(&self) -> &'static str;

    /// The URL schemes that mean it.
    fn schemes(&self) -> &'static [&'static str];

    /// How it spells SQL, as far as that is known without a connection: see
    /// [`Connection::dialect`](crate::Connection::dialect).
    fn dialect(&self) -> &'static dyn Dialect;

    /// The port where its servers listen; `None` for an engine without a server.
    fn default_port(&self) -> Option<u16>;

    /// The names of the settings that only this adapter knows: those that it takes from
    /// [`RepoOptions::extra`](crate::RepoOptions::extra).
    fn settings(&self) -> &'static [&'static str] {
        &[]
    }

    /// Checks the options and makes what opens connections. No I/O.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for an option that is missing, wrong, or not for this backend.
    fn connector(&self, options: &RepoOptions) -> Result<Arc<dyn Connector>>;

    /// The change logs of the database that the options name. No I/O.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) in an adapter without a watcher.
    fn change_log(&self, _options: &RepoOptions) -> Result<Arc<dyn ChangeLog>> {
        Err(Error::unsupported("watchers", self.name()))
    }

    /// Creates the database that the options name.
    ///
    /// # Errors
    /// If it cannot; a database that exists already gives `Ok(false)`.
    async fn create_database(&self, options: &RepoOptions) -> Result<bool>;

    /// Drops the database that the options name, and all that is in it.
    ///
    /// # Errors
    /// If it cannot; a database that does not exist gives `Ok(false)`.
    async fn drop_database(&self, options: &RepoOptions) -> Result<bool>;

    /// Whether the database that the options name exists.
    ///
    /// # Errors
    /// If the server cannot be asked.
    async fn database_exists(&self, options: &RepoOptions) -> Result<bool>;
}

/// A registered adapter.
pub struct Registration(pub &'static dyn Adapter);

inventory::collect!(Registration);

/// All adapters that are compiled in.
pub fn adapters() -> impl Iterator<Item = &'static dyn Adapter> {
    inventory::iter::<Registration>.into_iter().map(|registration| registration.0)
}

/// Backends that EMR has or will have: other names are misspelt, these only lack a feature.
const KNOWN: [(&str, &[&str], &str); 4] = [
    ("sqlite", &["sqlite", "sqlite3", "file"], "sqlite"),
    ("postgres", &["postgres", "postgresql", "pg"], "postgres"),
    ("mysql", &["mysql", "mariadb"], "mysql"),
    ("mssql", &["mssql", "sqlserver"], "mssql"),
];

/// The adapter with this name, as the `database` option writes it.
///
/// # Errors
/// [`Config`](crate::ErrorKind::Config) that names the cargo feature to enable, or the names there are.
pub fn adapter_named(name: &str) -> Result<&'static dyn Adapter> {
    adapters().find(|adapter| adapter.name() == name).ok_or_else(|| missing("database", name))
}

/// The adapter for a URL scheme.
///
/// # Errors
/// As [`adapter_named`].
pub fn adapter_for_scheme(scheme: &str) -> Result<&'static dyn Adapter> {
    adapters().find(|adapter| adapter.schemes().contains(&scheme)).ok_or_else(|| missing("url", scheme))
}

fn missing(option: &str, name: &str) -> Error {
    let mut compiled_in: Vec<_> = adapters().map(Adapter::name).collect();
    compiled_in.sort_unstable();
    let compiled_in = if compiled_in.is_empty() { "none is compiled in".to_owned() } else { compiled_in.join(", ") };
    match KNOWN.iter().find(|(known, schemes, _)| *known == name || schemes.contains(&name)) {
        Some((known, ..)) if adapters().any(|adapter| adapter.name() == *known) => {
            Error::config(option, format!("no adapter is called {name:?}: write {known:?}"))
        }
        Some((known, _, feature)) => Error::config(
            option,
            format!(
                "the {known} adapter is not compiled in: enable the feature `{feature}` of emr (compiled in: {compiled_in})"
            ),
        ),
        None => Error::config(option, format!("no adapter is called {name:?} (compiled in: {compiled_in})")),
    }
}
