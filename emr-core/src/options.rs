//! The settings of a repo: by builder, by URL, from the environment.

mod environment;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::adapter::{Adapter, adapter_named};
use crate::connection::{Connector, Layer};
use crate::error::{Error, Result};
use crate::intercept::{Interceptor, Interceptors};
use crate::observe::QueryLog;

/// How long something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// At most this long.
    After(Duration),
    /// As long as it takes.
    Infinite,
}

impl Timeout {
    /// The duration, if there is one.
    pub fn duration(self) -> Option<Duration> {
        match self {
            Timeout::After(duration) => Some(duration),
            Timeout::Infinite => None,
        }
    }

    /// Reads `15s`, `500ms`, `10m`, `2h`, or `infinite`.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) naming `option` if it is none of these, or zero.
    pub fn parse(option: &str, text: &str) -> Result<Self> {
        let text = text.trim();
        if matches!(text, "infinite" | "infinity") {
            return Ok(Timeout::Infinite);
        }
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let millis = match unit.trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => 0,
        };
        match number.parse::<u64>().ok().and_then(|number| number.checked_mul(millis)) {
            Some(millis) if millis > 0 => Ok(Timeout::After(Duration::from_millis(millis))),
            _ => Err(Error::config(
                option,
                format!(
                    "{text:?} is no duration: write for example `500ms`, `15s`, `10m`, `2h` or `infinite`; zero is not allowed"
                ),
            )),
        }
    }
}

impl From<Duration> for Timeout {
    fn from(duration: Duration) -> Self {
        Timeout::After(duration)
    }
}

/// A text that is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides the text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text, for the driver.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "\"***\"" })
    }
}

/// Whether the connection is encrypted and whom it trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TlsMode {
    /// Never.
    Disable,
    /// If the server offers it; the certificate is not checked. The default.
    #[default]
    Prefer,
    /// Always; the certificate is not checked.
    Require,
    /// Always, with a certificate of a trusted authority for this host.
    VerifyFull,
}

/// How statements are prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PrepareMode {
    /// Once per connection, and kept. The default.
    #[default]
    Named,
    /// For every call: for poolers that hand out another connection per transaction.
    Unnamed,
}

/// The settings of a repo.
///
/// ```
/// # use std::time::Duration;
/// # use emr_core::RepoOptions;
/// let options = RepoOptions::server("postgres", "db.example", 5432, "acme", "user_one", "secret1")
///     .pool_size(8)
///     .timeout(Duration::from_secs(5));
/// assert!(!format!("{options:?}").contains("secret1"));
/// ```
#[derive(Clone, Default)]
#[must_use = "options do nothing until a repo is started with them"]
pub struct RepoOptions {
    /// The adapter's name.
    pub database_type: Option<String>,
    /// The server's host name or address.
    pub host: Option<String>,
    /// The server's port; the backend's standard port where `None`.
    pub port: Option<u16>,
    /// The database's name; for SQLite the path of its file, or `:memory:`.
    pub database: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The most connections. Default 3.
    pub pool_size: Option<u32>,
    /// Whether starting the repo also makes its first connection. Default false.
    pub eager: Option<bool>,
    /// The time for one statement, waiting for a connection included. Default 15 s.
    pub timeout: Option<Timeout>,
    /// How long a repo may be unused before it is stopped. Default 10 min.
    pub idle_timeout: Option<Timeout>,
    /// The time for making one connection. Default 10 s.
    pub connect_timeout: Option<Duration>,
    /// How long a connection may be unused before it is closed. Default 60 s.
    pub connection_idle_timeout: Option<Timeout>,
    /// Encryption.
    pub tls: Option<TlsMode>,
    /// A file with the certificates (PEM) of the authorities to trust; the system's where `None`. Refused unless
    /// [`tls`](RepoOptions::tls) is [`VerifyFull`](TlsMode::VerifyFull).
    pub tls_ca: Option<PathBuf>,
    /// How statements are prepared.
    pub prepare: Option<PrepareMode>,
    /// What the server shows as the name of the program.
    pub application_name: Option<String>,
    /// SQL to run on each new connection.
    pub after_connect: Option<String>,
    /// Refuses writes.
    pub read_only: Option<bool>,
    /// The schema (PostgreSQL, SQL Server) or database (MySQL) of tables that name none.
    pub prefix: Option<Arc<str>>,
    /// Called after every statement.
    pub log: Option<QueryLog>,
    /// What stands between the repo and its connections, the innermost first.
    pub layers: Vec<Arc<dyn Layer>>,
    /// Who sees every query and every write before it is sent.
    pub interceptors: Interceptors,
    /// Settings that only the adapter knows.
    pub extra: BTreeMap<String, String>,
    /// The environment variables that settings came from, by the names of the settings. Errors about these settings
    /// name the variable. Not compared where the settings of two repos are.
    pub variables: BTreeMap<String, String>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $from:ty => $convert:expr;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(mut self, $name: $from) -> Self {
                self.$name = Some($convert($name));
                self.variables.remove(stringify!($name));
                self
            }
        )*
    };
}

impl RepoOptions {
    /// No settings at all.
    pub fn new() -> Self {
        RepoOptions::default()
    }

    /// A database on a server. `database_type` is an adapter's name (`postgres`).
    pub fn server(
        database_type: impl Into<String>,
        host: impl Into<String>,
        port: u16,
        database: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        RepoOptions {
            database_type: Some(database_type.into()),
            host: Some(host.into()),
            port: Some(port),
            database: Some(database.into()),
            user: Some(user.into()),
            password: Some(Secret::new(password)),
            ..RepoOptions::default()
        }
    }

    /// An SQLite file, or `:memory:`.
    pub fn sqlite(path: impl Into<String>) -> Self {
        RepoOptions { database_type: Some("sqlite".into()), database: Some(path.into()), ..RepoOptions::default() }
    }

    setters! {
        /// The adapter's name.
        database_type: impl Into<String> => Into::into;
        /// The server's host name or address.
        host: impl Into<String> => Into::into;
        /// The server's port.
        port: u16 => std::convert::identity;
        /// The database's name, or the path of the file.
        database: impl Into<String> => Into::into;
        /// The user.
        user: impl Into<String> => Into::into;
        /// The password.
        password: impl Into<String> => Secret::new;
        /// The most connections; at least 1.
        pool_size: u32 => std::convert::identity;
        /// Whether starting the repo also makes its first connection.
        eager: bool => std::convert::identity;
        /// The time for one statement, waiting for a connection included.
        timeout: impl Into<Timeout> => Into::into;
        /// How long a repo may be unused before it is stopped.
        idle_timeout: impl Into<Timeout> => Into::into;
        /// The time for making one connection.
        connect_timeout: Duration => std::convert::identity;
        /// How long a connection may be unused before it is closed.
        connection_idle_timeout: impl Into<Timeout> => Into::into;
        /// Encryption.
        tls: TlsMode => std::convert::identity;
        /// A file with the certificates of the authorities to trust, with [`TlsMode::VerifyFull`].
        tls_ca: impl Into<PathBuf> => Into::into;
        /// How statements are prepared.
        prepare: PrepareMode => std::convert::identity;
        /// What the server shows as the name of the program.
        application_name: impl Into<String> => Into::into;
        /// SQL to run on each new connection.
        after_connect: impl Into<String> => Into::into;
        /// Refuses writes.
        read_only: bool => std::convert::identity;
        /// The schema or database of tables that name none.
        prefix: impl Into<Arc<str>> => Into::into;
        /// Called after every statement.
        log: QueryLog => std::convert::identity;
    }

    /// One more [`Interceptor`], which is asked after those that are there. Starting a repo again under its id wants the very
    /// same ones: make the options once and clone them.
    pub fn interceptor(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors = self.interceptors.with(interceptor);
        self
    }

    /// A setting that only the adapter knows.
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.variables.remove(&name);
        self.extra.insert(name, value.into());
        self
    }

    /// Something that stands between the repo and its connections, around what was given before. Like the log, layers
    /// do not count where the settings of two repos are compared.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use emr_core::{Connector, Layer, RepoOptions, Result};
    ///
    /// struct Glass;
    ///
    /// impl Layer for Glass {
    ///     fn wrap(&self, connector: Arc<dyn Connector>) -> Result<Arc<dyn Connector>> {
    ///         println!("connects to {}", connector.target());
    ///         Ok(connector)
    ///     }
    /// }
    ///
    /// let options = RepoOptions::sqlite(":memory:").layer(Glass);
    /// assert_eq!(options.layers.len(), 1);
    /// ```
    pub fn layer(mut self, layer: impl Layer + 'static) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// These settings, with `defaults` for those that are not set.
    pub fn or(self, defaults: &RepoOptions) -> RepoOptions {
        let mut variables = defaults.variables.clone();
        // What is set here did not come from where the default came from.
        let own = self.differing(&RepoOptions::default());
        variables.retain(|name, _| !own.contains(&name.as_str()) && !self.extra.contains_key(name));
        variables.extend(self.variables);
        let mut extra = defaults.extra.clone();
        extra.extend(self.extra);
        let mut layers = defaults.layers.clone();
        layers.extend(self.layers);
        let interceptors = if self.interceptors.is_empty() { defaults.interceptors.clone() } else { self.interceptors };
        macro_rules! merged {
            ($($name:ident),*) => {
                RepoOptions { extra, variables, layers, interceptors, $($name: self.$name.or_else(|| defaults.$name.clone())),* }
            };
        }
        merged!(
            database_type,
            host,
            port,
            database,
            user,
            password,
            pool_size,
            eager,
            timeout,
            idle_timeout,
            connect_timeout,
            connection_idle_timeout,
            tls,
            tls_ca,
            prepare,
            application_name,
            after_connect,
            read_only,
            prefix,
            log
        )
    }

    /// The adapter that these settings mean.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) if none is named or the named one is not compiled in.
    pub fn adapter(&self) -> Result<&'static dyn Adapter> {
        match &self.database_type {
            Some(name) => adapter_named(name).map_err(|error| self.blame_backend(error)),
            None => Err(Error::config(
                "database",
                "no backend is named: start from a URL, or write #[repo(database = \"postgres\")] or `database_type`",
            )),
        }
    }

    /// What opens connections with these settings. No I/O, but for a file of certificates.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config), which names the environment variable if the wrong setting came from one.
    pub(crate) fn connector(&self) -> Result<(&'static dyn Adapter, Arc<dyn Connector>)> {
        let adapter = self.checked_adapter()?;
        let connector = adapter.connector(self).and_then(|connector| self.check_tls().map(|()| connector));
        connector.map(|connector| (adapter, connector)).map_err(|error| self.blame(error))
    }

    /// The adapter, after a check of what no backend allows.
    pub(crate) fn checked_adapter(&self) -> Result<&'static dyn Adapter> {
        self.check().map_err(|error| self.blame(error))?;
        self.adapter()
    }

    /// The most connections.
    pub fn effective_pool_size(&self) -> u32 {
        self.pool_size.unwrap_or(3)
    }

    /// The time for one statement.
    pub fn effective_timeout(&self) -> Timeout {
        self.timeout.unwrap_or(Timeout::After(Duration::from_secs(15)))
    }

    /// How long a repo may be unused.
    pub fn effective_idle_timeout(&self) -> Timeout {
        self.idle_timeout.unwrap_or(Timeout::After(Duration::from_mins(10)))
    }

    /// The time for making one connection.
    pub fn effective_connect_timeout(&self) -> Duration {
        self.connect_timeout.unwrap_or(Duration::from_secs(10))
    }

    /// How long a connection may be unused.
    pub fn effective_connection_idle_timeout(&self) -> Timeout {
        self.connection_idle_timeout.unwrap_or(Timeout::After(Duration::from_mins(1)))
    }

    /// Checks what no backend allows.
    pub(crate) fn check(&self) -> Result<()> {
        if self.pool_size == Some(0) {
            return Err(Error::config("pool_size", "a pool needs at least one connection"));
        }
        if self.port == Some(0) {
            return Err(Error::config("port", "0 is no port"));
        }
        if self.connect_timeout == Some(Duration::ZERO) {
            return Err(Error::config("connect_timeout", "zero leaves no time to connect"));
        }
        let timeouts = [
            ("timeout", self.timeout),
            ("idle_timeout", self.idle_timeout),
            ("connection_idle_timeout", self.connection_idle_timeout),
        ];
        for (name, timeout) in timeouts {
            if timeout == Some(Timeout::After(Duration::ZERO)) {
                return Err(Error::config(name, "zero is over before it begins; Timeout::Infinite never ends"));
            }
        }
        Ok(())
    }

    /// Refuses authorities that nobody would ask: whoever names them counts on their being asked.
    fn check_tls(&self) -> Result<()> {
        match (&self.tls_ca, self.tls.unwrap_or_default()) {
            (Some(_), TlsMode::Disable | TlsMode::Prefer | TlsMode::Require) => Err(Error::config(
                "tls_ca",
                "no certificate is checked in this mode, so that it would have no effect: write tls = verify-full as well",
            )),
            _ => Ok(()),
        }
    }

    /// The names of the settings in which the two differ. Hooks are not compared.
    pub(crate) fn differing(&self, other: &RepoOptions) -> Vec<&'static str> {
        let mut names = Vec::new();
        macro_rules! compare {
            ($($name:ident),*) => {
                $(if self.$name != other.$name {
                    names.push(stringify!($name));
                })*
            };
        }
        compare!(
            database_type,
            host,
            port,
            database,
            user,
            password,
            pool_size,
            eager,
            timeout,
            idle_timeout,
            connect_timeout,
            connection_idle_timeout,
            tls,
            tls_ca,
            prepare,
            application_name,
            after_connect,
            read_only,
            prefix,
            interceptors,
            extra
        );
        names
    }
}

impl fmt::Debug for RepoOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RepoOptions");
        macro_rules! show {
            ($($name:ident),*) => {
                $(if let Some(value) = &self.$name {
                    out.field(stringify!($name), value);
                })*
            };
        }
        show!(
            database_type,
            host,
            port,
            database,
            user,
            password,
            pool_size,
            eager,
            timeout,
            idle_timeout,
            connect_timeout,
            connection_idle_timeout,
            tls,
            tls_ca,
            prepare,
            application_name,
            read_only,
            prefix
        );
        // What only the adapter knows, and SQL to run after connect, may well hold a secret.
        if self.after_connect.is_some() {
            out.field("after_connect", &"***");
        }
        out.field("extra", &self.extra.keys().collect::<Vec<_>>());
        out.finish_non_exhaustive()
    }
}
