//! What opens connections: the settings, checked once, and the handshake.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use emr_core::{
    ConnectFailure, Connection, Connector, Dialect, Error, PrepareMode, RepoOptions, Result, Role, TlsMode,
};
use mysql_async::consts::StatusFlags;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Opts, OptsBuilder, SslOpts};
use tokio::runtime::Handle;

use crate::capabilities::{mariadb_capabilities, mysql_capabilities};
use crate::connection::{Limits, Link, MySqlConnection};
use crate::dialect::{MariaDbDialect, MySqlDialect};
use crate::error;

pub(crate) const DEFAULT_PORT: u16 = 3306;
pub(crate) const EXTRA: [&str; 2] = ["keepalives_idle", "session"];

/// What no limit of a server is above: 1 GiB in a message. The server's own limits are heeded before the driver is called.
const DRIVERS_LIMIT: usize = 1 << 30;

/// The oldest servers that are supported.
const OLDEST_MYSQL: (u32, u32, u32) = (8, 0, 19);
const OLDEST_MARIADB: (u32, u32, u32) = (10, 6, 0);

/// What a session must refuse, whatever the server is set to. `NO_AUTO_VALUE_ON_ZERO`: a key of 0 is a key.
const SQL_MODE: &str = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
                        ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION";

/// The error of a password that is wrong.
const ACCESS_DENIED: u16 = 1045;
/// How often a login is tried where an earlier one with the same password led in, on MariaDB: of the 32 bytes that a
/// password is signed with there (`ed25519`), the driver loses a last one that is zero, so that one login in 256 is refused.
const LOGINS: u32 = 3;

/// Opens connections of one repo.
pub(crate) struct MySqlConnector {
    opts: Opts,
    tls: TlsMode,
    /// The server has no TLS, and the mode does not ask for it: not tried again.
    without_tls: AtomicBool,
    /// Somebody has logged in to a MariaDB.
    known_mariadb: AtomicBool,
    target: String,
    database: String,
    prepare: PrepareMode,
    session: Option<String>,
    read_only: bool,
    after_connect: Option<String>,
    connect_timeout: Duration,
}

impl MySqlConnector {
    /// Checks the options. No I/O but for reading the certificates of authorities.
    pub(crate) fn new(options: &RepoOptions) -> Result<Self> {
        let database = match options.database.as_deref() {
            None | Some("") => return Err(Error::config("database", "it is missing: write the database's name")),
            Some(database) => database,
        };
        MySqlConnector::on(options, Some(database))
    }

    /// The same in no database, for those that make one.
    pub(crate) fn on(options: &RepoOptions, database: Option<&str>) -> Result<Self> {
        let host =
            required("host", options.host.as_deref(), "the server's name, its address, or the path of its socket")?;
        let user = required("user", options.user.as_deref(), "the name to log in with")?;
        let port = match options.port {
            Some(0) => return Err(Error::config("port", "0 is no port")),
            port => port.unwrap_or(DEFAULT_PORT),
        };
        for (option, text) in [("host", host), ("user", user), ("database", database.unwrap_or_default())] {
            if text.contains('\0') {
                return Err(Error::config(option, "there is a NUL character in it"));
            }
        }
        let (keepalive, session) = extra(options)?;
        let socket = host.starts_with('/');
        let tls = if socket { TlsMode::Disable } else { options.tls.unwrap_or_default() };
        let mut builder = OptsBuilder::default()
            .ip_or_hostname(if socket { "localhost" } else { host })
            .tcp_port(port)
            .socket(socket.then_some(host))
            .prefer_socket(false)
            .user(Some(user))
            .db_name(database)
            .client_found_rows(true)
            .stmt_cache_size(0_usize)
            .tcp_keepalive(Some(keepalive))
            .tcp_nodelay(true)
            // Else the driver asks the server for them: `open` does.
            .max_allowed_packet(Some(DRIVERS_LIMIT))
            .wait_timeout(Some(DRIVERS_LIMIT))
            .ssl_opts(ssl(tls, options.tls_ca.as_deref())?)
            .connect_attribute("program_name", options.application_name.as_deref().unwrap_or("emr"));
        if let Some(password) = options.password.as_ref().filter(|password| !password.is_empty()) {
            builder = builder.pass(Some(password.expose()));
        }
        Ok(MySqlConnector {
            opts: builder.into(),
            tls,
            without_tls: AtomicBool::new(false),
            known_mariadb: AtomicBool::new(false),
            target: format!("{host}:{port}/{}", database.unwrap_or_default()),
            database: database.unwrap_or_default().to_owned(),
            prepare: options.prepare.unwrap_or_default(),
            session,
            read_only: options.read_only == Some(true),
            after_connect: options.after_connect.clone(),
            connect_timeout: options.effective_connect_timeout(),
        })
    }

    /// Logs in, and gives the options that led in.
    async fn log_in(&self) -> Result<(Conn, Opts)> {
        let failed = |error: &mysql_async::Error| self.failed(error);
        let plain = || -> Opts { OptsBuilder::from_opts(self.opts.clone()).ssl_opts(None).into() };
        let opts = if self.without_tls.load(Ordering::Relaxed) { plain() } else { self.opts.clone() };
        let mut tried = 1;
        let result = loop {
            match self.handshake(opts.clone()).await? {
                Err(mysql_async::Error::Server(denied))
                    if denied.code == ACCESS_DENIED && tried < LOGINS && self.known_mariadb.load(Ordering::Relaxed) =>
                {
                    tried += 1;
                }
                result => break result,
            }
        };
        match result {
            Ok(conn) => Ok((conn, opts)),
            Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer)) if self.tls == TlsMode::Prefer => {
                self.without_tls.store(true, Ordering::Relaxed);
                let opts = plain();
                let conn = self.handshake(opts.clone()).await?.map_err(|error| failed(&error))?;
                Ok((conn, opts))
            }
            Err(error) => Err(failed(&error)),
        }
    }

    fn failed(&self, error: &mysql_async::Error) -> Error {
        error::connect_failed(&self.target, self.opts.user().unwrap_or_default(), error)
    }

    /// The driver's handshake. Without TLS it encrypts the password for a key that the server sends, and panics where the
    /// key is none or too small for the password; whatever it held is gone with it.
    async fn handshake(&self, opts: Opts) -> Result<std::result::Result<Conn, mysql_async::Error>> {
        let mut attempt = std::pin::pin!(Conn::new(opts));
        let caught = std::future::poll_fn(|context| {
            let polled = catch_unwind(AssertUnwindSafe(|| attempt.as_mut().poll(context)));
            polled.map_or_else(|_| Poll::Ready(None), |polled| polled.map(Some))
        });
        caught.await.ok_or_else(|| {
            let reason = "without TLS the password could not be encrypted for the server's key: the key is none, or too \
                          small for a password so long; log in over TLS (`tls=require`), or by a shorter password";
            error::failed(&self.target, reason, ConnectFailure::Authentication)
        })
    }

    async fn open(&self) -> Result<MySqlConnection> {
        let (mut conn, opts) = self.log_in().await?;
        let failed = |error: &mysql_async::Error| self.failed(error);
        let text: Option<String> = conn.query_first("SELECT version()").await.map_err(|error| failed(&error))?;
        let text = text.unwrap_or_default();
        let (is_mariadb, version) = product(&text);
        self.known_mariadb.store(is_mariadb, Ordering::Relaxed);
        let (product, oldest) = if is_mariadb { ("MariaDB", OLDEST_MARIADB) } else { ("MySQL", OLDEST_MYSQL) };
        if version < oldest {
            let (major, minor, patch) = oldest;
            let reason = format!("the server is {product} {text}; EMR needs {major}.{minor}.{patch} or newer");
            return Err(error::failed(&self.target, reason, ConnectFailure::Other));
        }
        conn.query_drop(self.set_up(is_mariadb)).await.map_err(|error| failed(&error))?;
        if let Some(sql) = &self.after_connect {
            conn.query_drop(sql).await.map_err(|error| {
                let reason = error::from_driver(&error, false).to_string();
                error::failed(&self.target, reason, ConnectFailure::AfterConnect)
            })?;
        }
        if let Some(problem) = conn.last_ok_packet().and_then(|last| unfit(last.status_flags())) {
            let cause = if self.after_connect.is_some() { ConnectFailure::AfterConnect } else { ConnectFailure::Other };
            return Err(error::failed(&self.target, problem, cause));
        }
        let (capabilities, dialect): (_, &'static dyn Dialect) = if is_mariadb {
            (mariadb_capabilities(version), &MariaDbDialect)
        } else {
            (mysql_capabilities(version), &MySqlDialect)
        };
        // Last, as the session's own settings may have changed them.
        let limits: Option<(u64, u64)> =
            conn.query_first("SELECT @@max_allowed_packet, @@wait_timeout").await.map_err(|error| failed(&error))?;
        let (max_packet, wait_timeout) = limits.unwrap_or_default();
        let link = Link::new(conn, opts, Handle::current());
        let limits = Limits {
            max_packet: usize::try_from(max_packet).unwrap_or(usize::MAX),
            wait_timeout: Duration::from_secs(wait_timeout),
        };
        Ok(MySqlConnection::new(link, Arc::new(capabilities), dialect, self.prepare, limits, &self.database))
    }

    /// What makes a session mean what EMR promises.
    fn set_up(&self, is_mariadb: bool) -> String {
        let collation = collation(is_mariadb);
        let mut sql = format!(
            "SET NAMES utf8mb4 COLLATE {collation}; SET SESSION time_zone = '+00:00', sql_mode = '{SQL_MODE}', \
             autocommit = 1, @emr_outcome = 0"
        );
        if self.read_only {
            sql.push_str("; SET SESSION TRANSACTION READ ONLY");
        }
        if let Some(session) = &self.session {
            sql.push_str("; SET SESSION ");
            sql.push_str(session);
        }
        sql
    }

    /// Opens a connection within the connect timeout.
    pub(crate) async fn open_in_time(&self) -> Result<MySqlConnection> {
        tokio::time::timeout(self.connect_timeout, self.open()).await.unwrap_or_else(|_| {
            let reason = format!("no answer within {:?}", self.connect_timeout);
            Err(error::failed(&self.target, reason, ConnectFailure::Timeout))
        })
    }
}

/// The collation that tells all texts apart, and orders them by their characters' numbers.
pub(crate) fn collation(is_mariadb: bool) -> &'static str {
    if is_mariadb { "utf8mb4_nopad_bin" } else { "utf8mb4_0900_bin" }
}

#[async_trait]
impl Connector for MySqlConnector {
    async fn connect(&self, _role: Role) -> Result<Box<dyn Connection>> {
        Ok(Box::new(self.open_in_time().await?))
    }

    fn target(&self) -> String {
        self.target.clone()
    }

    fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }
}

fn required<'o>(name: &str, value: Option<&'o str>, what: &str) -> Result<&'o str> {
    match value {
        Some(value) if !value.is_empty() => Ok(value),
        Some(_) => Err(Error::config(name, format!("it is empty: write {what}"))),
        None => Err(Error::config(name, format!("it is missing: write {what}"))),
    }
}

/// The settings that only this adapter knows.
fn extra(options: &RepoOptions) -> Result<(Duration, Option<String>)> {
    let mut keepalive = Duration::from_mins(1);
    let mut session = None;
    for (name, value) in &options.extra {
        match name.as_str() {
            "keepalives_idle" => match value.parse() {
                Ok(seconds) if seconds > 0 => keepalive = Duration::from_secs(seconds),
                _ => return Err(Error::config(name, format!("{value:?} is no number of seconds above zero"))),
            },
            "session" if value.contains(';') => {
                return Err(Error::config(name, "write assignments, as `a = 1, b = 2`, without semicolons"));
            }
            "session" => session = Some(value.clone()),
            _ => {
                let problem = format!("MySQL has no such setting here; it has {}", EXTRA.join(", "));
                return Err(Error::config(name, problem));
            }
        }
    }
    Ok((keepalive, session))
}

/// How the connection is encrypted.
fn ssl(mode: TlsMode, ca: Option<&Path>) -> Result<Option<SslOpts>> {
    let checked = |roots: Vec<_>| SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots);
    Ok(match (mode, ca) {
        (TlsMode::Disable, _) => None,
        (TlsMode::VerifyFull, Some(path)) => {
            // Read now, so that a wrong path is found before the first connection.
            let pem =
                std::fs::read(path).map_err(|error| Error::config("tls_ca", format!("{}: {error}", path.display())))?;
            Some(checked(vec![pem.into()]))
        }
        (TlsMode::VerifyFull, None) => {
            let found = rustls_native_certs::load_native_certs();
            if found.certs.is_empty() {
                let problem = "the system has no certificates of authorities to trust: name a file with `tls_ca`";
                return Err(Error::config("tls", problem));
            }
            Some(checked(found.certs.into_iter().map(|certificate| certificate.to_vec().into()).collect()))
        }
        _ => Some(SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true)),
    })
}

/// Whether it is MariaDB, and the version: `10.11.6-MariaDB-0+deb12u1`, `8.4.3`, `5.5.5-10.6.1-MariaDB`.
fn product(text: &str) -> (bool, (u32, u32, u32)) {
    let is_mariadb = text.to_ascii_lowercase().contains("mariadb");
    // What some proxies and old servers put in front, so that replicas take it for a MySQL.
    let number = text.strip_prefix("5.5.5-").filter(|_| is_mariadb).unwrap_or(text);
    let mut parts = number.split('.').map(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse().unwrap_or(0)
    });
    let mut next = || parts.next().unwrap_or(0);
    (is_mariadb, (next(), next(), next()))
}

/// What keeps a session from being used, after all that was set in it.
fn unfit(status: StatusFlags) -> Option<&'static str> {
    if status.contains(StatusFlags::SERVER_STATUS_IN_TRANS) {
        Some("what runs after connecting leaves a transaction open: commit it")
    } else if !status.contains(StatusFlags::SERVER_STATUS_AUTOCOMMIT) {
        Some("autocommit is switched off, without which what is written outside of transactions is lost: leave it on")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::product;

    #[test]
    fn versions_are_read_as_servers_write_them() {
        assert_eq!(product("10.11.14-MariaDB-0+deb12u2"), (true, (10, 11, 14)));
        assert_eq!(product("5.5.5-10.6.1-MariaDB-log"), (true, (10, 6, 1)));
        assert_eq!(product("9.4.0"), (false, (9, 4, 0)));
        assert_eq!(product("8.0.36-0ubuntu0.22.04.1"), (false, (8, 0, 36)));
        assert_eq!(product(""), (false, (0, 0, 0)));
    }

    proptest! {
        #[test]
        fn any_text_is_a_version(text in "[0-9.a-zA-Z -]{0,30}|\\PC{0,20}") {
            let _ = product(&text);
        }
    }
}
