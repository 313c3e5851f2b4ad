//! The settings of a repo: by builder, by URL, from the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::adapter::{Adapter, adapter_for_scheme, adapter_named};
use crate::error::{Error, Result};
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
    /// A file with the certificates (PEM) of the authorities to trust; the system's where `None`.
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
    /// Settings that only the adapter knows.
    pub extra: BTreeMap<String, String>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $from:ty => $convert:expr;)*) => {
        $(
            $(#[$doc])*
            pub fn $name(mut self, $name: $from) -> Self {
                self.$name = Some($convert($name));
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
        /// A file with the certificates of the authorities to trust.
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

    /// A setting that only the adapter knows.
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }

    /// Reads a URL: `postgres://user:password@host:port/database?pool_size=8&timeout=5s`,
    /// `sqlite:path/to/file.db`, `sqlite::memory:`.
    ///
    /// User, password, host and database are percent-decoded. A password may hold `:` and `@` as they are;
    /// `/`, `?`, `#` and `%` must be written `%2F`, `%3F`, `%23` and `%25`. After `?` stand the settings of
    /// this type by their names; other names go to the adapter.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) that says which part is wrong. It never shows the password.
    pub fn from_url(url: &str) -> Result<Self> {
        let wrong = |problem: String| Error::config("url", problem);
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(wrong(
                "it has no scheme: write for example `postgres://user:password@host/database` or `sqlite:file.db`"
                    .into(),
            ));
        };
        if scheme.is_empty() || !scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) {
            return Err(wrong("it has no scheme before the first colon: write for example `postgres://…`".into()));
        }
        let scheme = scheme.to_ascii_lowercase();
        let adapter = adapter_for_scheme(&scheme)?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let mut options = if adapter.default_port().is_none() {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            RepoOptions { database: Some(decode("database", path)?), ..RepoOptions::default() }
        } else {
            server_url(&scheme, rest)?
        };
        options.database_type = Some(adapter.name().to_owned());
        for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode("url", name)?;
            let value = decode(&name, value)?;
            options.set(&name, &value)?;
        }
        Ok(options)
    }

    /// Reads the environment for one environment name (`dev`, `test`, `prod`), as a definition with the
    /// prefix `ACME` would: `ACME_PROD_URL` first, then single settings over it (`ACME_PROD_POOL_SIZE`,
    /// `ACME_PROD_PASSWORD`, …). An empty `environment` reads `ACME_URL` and so on.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) if a variable holds what its setting does not take, or if none is
    /// set.
    pub fn from_env(prefix: &str, environment: &str) -> Result<Self> {
        let stem = [prefix, environment]
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(|part| part.to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
            .collect::<Vec<_>>()
            .join("_");
        let url_variable = format!("{stem}_URL");
        let mut options = match std::env::var(&url_variable) {
            Ok(url) => RepoOptions::from_url(&url)?,
            Err(std::env::VarError::NotPresent) => RepoOptions::default(),
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(Error::config(url_variable, "it is not Unicode"));
            }
        };
        let mut found = options.database_type.is_some();
        for name in SETTINGS {
            let variable = format!("{stem}_{}", name.to_ascii_uppercase());
            if let Ok(value) = std::env::var(&variable) {
                options.set(name, &value).map_err(|error| match error.kind() {
                    crate::ErrorKind::Config { problem, .. } => Error::config(&variable, problem),
                    _ => error,
                })?;
                found = true;
            }
        }
        if found {
            Ok(options)
        } else {
            Err(Error::config(url_variable, format!("neither it nor any {stem}_* setting is in the environment")))
        }
    }

    /// Sets a setting from text, by its name in URLs.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) if the text is no value of it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let text = || value.to_owned();
        match name {
            "database_type" => self.database_type = Some(text()),
            "host" => self.host = Some(text()),
            "port" => self.port = Some(parse_port(value)?),
            "database" => self.database = Some(text()),
            "user" => self.user = Some(text()),
            "password" => self.password = Some(Secret::new(value)),
            "pool_size" => self.pool_size = Some(number(name, value)?),
            "eager" => self.eager = Some(boolean(name, value)?),
            "timeout" => self.timeout = Some(Timeout::parse(name, value)?),
            "idle_timeout" => self.idle_timeout = Some(Timeout::parse(name, value)?),
            "connection_idle_timeout" => self.connection_idle_timeout = Some(Timeout::parse(name, value)?),
            "connect_timeout" => match Timeout::parse(name, value)? {
                Timeout::After(duration) => self.connect_timeout = Some(duration),
                Timeout::Infinite => return Err(Error::config(name, "it must end: write for example `10s`")),
            },
            "tls" | "sslmode" => {
                self.tls = Some(match value {
                    "disable" | "false" => TlsMode::Disable,
                    "prefer" | "allow" => TlsMode::Prefer,
                    "require" | "true" => TlsMode::Require,
                    "verify-full" | "verify_full" => TlsMode::VerifyFull,
                    _ => {
                        return Err(Error::config(
                            name,
                            format!("{value:?} is no mode: write `disable`, `prefer`, `require` or `verify-full`"),
                        ));
                    }
                });
            }
            "tls_ca" | "sslrootcert" => self.tls_ca = Some(value.into()),
            "prepare" => {
                self.prepare = Some(match value {
                    "named" => PrepareMode::Named,
                    "unnamed" => PrepareMode::Unnamed,
                    _ => return Err(Error::config(name, format!("{value:?} is no mode: write `named` or `unnamed`"))),
                });
            }
            "application_name" => self.application_name = Some(text()),
            "after_connect" => self.after_connect = Some(text()),
            "read_only" => self.read_only = Some(boolean(name, value)?),
            "prefix" => self.prefix = Some(value.into()),
            _ => {
                self.extra.insert(name.to_owned(), text());
            }
        }
        Ok(())
    }

    /// These settings, with `defaults` for those that are not set.
    pub fn or(self, defaults: &RepoOptions) -> RepoOptions {
        let mut extra = defaults.extra.clone();
        extra.extend(self.extra);
        macro_rules! merged {
            ($($name:ident),*) => {
                RepoOptions { extra, $($name: self.$name.or_else(|| defaults.$name.clone())),* }
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
            Some(name) => adapter_named(name),
            None => Err(Error::config(
                "database",
                "no backend is named: start from a URL, or write #[repo(database = \"postgres\")] or `database_type`",
            )),
        }
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
            extra
        );
        names
    }
}

/// The settings that [`RepoOptions::from_env`] looks for beside the URL.
const SETTINGS: [&str; 20] = [
    "database_type",
    "host",
    "port",
    "database",
    "user",
    "password",
    "pool_size",
    "eager",
    "timeout",
    "idle_timeout",
    "connect_timeout",
    "connection_idle_timeout",
    "tls",
    "tls_ca",
    "prepare",
    "application_name",
    "after_connect",
    "read_only",
    "prefix",
    "sslmode",
];

/// Reads `//user:password@host:port/database`.
fn server_url(scheme: &str, rest: &str) -> Result<RepoOptions> {
    let wrong = |problem: String| Error::config("url", problem);
    let Some(rest) = rest.strip_prefix("//") else {
        return Err(wrong(format!("after `{scheme}:` must stand `//host`")));
    };
    if rest.contains('#') {
        return Err(wrong("a `#` must be written %23".into()));
    }
    let (authority, database) = match rest.split_once('/') {
        Some((authority, database)) => (authority, Some(database)),
        None => (rest, None),
    };
    // The last @ ends the user part, so that a password may hold one.
    let (credentials, address) = match authority.rsplit_once('@') {
        Some((credentials, address)) => (Some(credentials), address),
        None => (None, authority),
    };
    let mut options = RepoOptions::default();
    if let Some(credentials) = credentials {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        options.user = Some(decode("user", user)?).filter(|user| !user.is_empty());
        options.password = password.map(|password| decode("password", password).map(Secret::new)).transpose()?;
    }
    let (host, port) = if let Some(bracketed) = address.strip_prefix('[') {
        let Some((host, port)) = bracketed.split_once(']') else {
            return Err(wrong("the IPv6 address lacks its `]`".into()));
        };
        (host.to_owned(), port.strip_prefix(':'))
    } else {
        match address.split_once(':') {
            Some((host, port)) => (decode("host", host)?, Some(port)),
            None => (decode("host", address)?, None),
        }
    };
    if host.is_empty() {
        return Err(Error::config("host", "the URL has no host between `//` and the path"));
    }
    options.host = Some(host);
    options.port = port.map(parse_port).transpose()?;
    options.database =
        database.map(|database| decode("database", database)).transpose()?.filter(|name| !name.is_empty());
    Ok(options)
}

fn decode(part: &str, text: &str) -> Result<String> {
    let bytes = text.as_bytes();
    let broken = bytes.iter().enumerate().any(|(at, byte)| {
        *byte == b'%' && !bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if broken {
        return Err(Error::config(
            part,
            "a `%` must be followed by two hexadecimal digits; a plain one is written %25",
        ));
    }
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Error::config(part, "its percent-encoded bytes are not UTF-8")),
    }
}

fn parse_port(text: &str) -> Result<u16> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(Error::config("port", format!("{text:?} is no port from 1 to 65535"))),
    }
}

fn number(option: &str, text: &str) -> Result<u32> {
    text.parse().map_err(|_| Error::config(option, format!("{text:?} is no number from 0 to {}", u32::MAX)))
}

fn boolean(option: &str, text: &str) -> Result<bool> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Error::config(option, format!("{text:?} is neither `true` nor `false`"))),
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
