//! What opens connections: the settings, checked once, and the handshake.

use std::sync::{Arc, OnceLock};
use std::task::ready;
use std::time::Duration;

use async_trait::async_trait;
use emr_core::{ConnectFailure, Connection, Connector, Error, PrepareMode, RepoOptions, Result, Role, TlsMode};
use tokio::runtime::Handle;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::connection::{Link, PgConnection};
use crate::dialect::{LEXIS, OLDEST, capabilities};
use crate::{error, tls};

pub(crate) const DEFAULT_PORT: u16 = 5432;
pub(crate) const EXTRA: [&str; 3] = ["options", "target_session_attrs", "keepalives_idle"];

/// The half of a connection that does its I/O.
pub(crate) type Bare = tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Opens connections of one repo.
pub(crate) struct PgConnector {
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    target: String,
    prepare: PrepareMode,
    after_connect: Option<String>,
    connect_timeout: Duration,
}

impl PgConnector {
    /// Checks the options. No I/O but for reading the file of `tls_ca`.
    pub(crate) fn new(options: &RepoOptions) -> Result<Self> {
        let host = required(
            "host",
            options.host.as_deref(),
            "the server's name, its address, or the directory of its socket",
        )?;
        let user = required("user", options.user.as_deref(), "the name to log in with")?;
        let database = match options.database.as_deref() {
            None => user,
            Some("") => {
                return Err(Error::config("database", "it is empty: leave it out to use the one named as the user"));
            }
            Some(database) => database,
        };
        let port = match options.port {
            Some(0) => return Err(Error::config("port", "0 is no port")),
            port => port.unwrap_or(DEFAULT_PORT),
        };
        for (option, text) in [("host", host), ("user", user), ("database", database)] {
            if text.contains('\0') {
                return Err(Error::config(option, "there is a NUL character in it"));
            }
        }
        let timeout = options.effective_connect_timeout();
        let mut config = tokio_postgres::Config::new();
        config
            .host(host)
            .port(port)
            .user(user)
            .dbname(database)
            .application_name(options.application_name.as_deref().unwrap_or("emr"))
            .connect_timeout(timeout)
            .keepalives(true)
            .keepalives_idle(Duration::from_mins(1));
        if let Some(password) = options.password.as_ref().filter(|password| !password.is_empty()) {
            config.password(password.expose());
        }
        let mode = options.tls.unwrap_or_default();
        config.ssl_mode(match mode {
            // PostgreSQL offers no TLS on its sockets: they do not leave the machine.
            _ if host.starts_with('/') => SslMode::Disable,
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        });
        let server_settings = extra(&mut config, options)?;
        if !server_settings.is_empty() {
            config.options(server_settings);
        }
        Ok(PgConnector {
            target: format!("{host}:{port}/{database}"),
            tls: tls::connector(mode, options.tls_ca.as_deref())?,
            config,
            prepare: options.prepare.unwrap_or_default(),
            after_connect: checked(options.after_connect.as_deref())?,
            connect_timeout: timeout,
        })
    }

    /// The driver's two halves, within the connect timeout: for who does more with a connection than the pool does.
    pub(crate) async fn connect_bare(&self) -> Result<(Client, Bare)> {
        let connecting = self.config.connect(self.tls.clone());
        let connected = tokio::time::timeout(self.connect_timeout, connecting).await;
        let connected = connected.map_err(|_| self.no_answer())?;
        let (client, connection) = connected.map_err(|error| error::connect_failed(&self.target, &error))?;
        Ok((client, connection))
    }

    fn no_answer(&self) -> Error {
        let reason = format!("no answer within {:?}", self.connect_timeout);
        error::failed(&self.target, reason, ConnectFailure::Timeout)
    }

    async fn open(&self) -> Result<PgConnection> {
        let (client, mut connection) =
            self.config.connect(self.tls.clone()).await.map_err(|error| error::connect_failed(&self.target, &error))?;
        let version = version(connection.parameter("server_version").unwrap_or_default());
        let last_words = Arc::new(OnceLock::new());
        let spoken = Arc::clone(&last_words);
        // Polled by hand, because the driver's own future writes notices to the log.
        let driver = tokio::spawn(async move {
            let ended = std::future::poll_fn(|context| {
                loop {
                    match ready!(connection.poll_message(context)) {
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return std::task::Poll::Ready(Some(error)),
                        None => return std::task::Poll::Ready(None),
                    }
                }
            });
            if let Some(error) = ended.await {
                let _ = spoken.set(error::from_driver(&error, false));
            }
        });
        if version.0 < OLDEST {
            let reason = format!("the server is PostgreSQL {}.{}; EMR needs {OLDEST} or newer", version.0, version.1);
            return Err(error::failed(&self.target, reason, ConnectFailure::Other));
        }
        if let Some(sql) = &self.after_connect {
            client.batch_execute(sql).await.map_err(|error| {
                let reason = error::from_driver(&error, false).to_string();
                error::failed(&self.target, reason, ConnectFailure::AfterConnect)
            })?;
        }
        let link = Link::new(client, driver, last_words, self.tls.clone(), Handle::current());
        Ok(PgConnection::new(link, Arc::new(capabilities(version)), self.prepare))
    }

    /// Opens a connection within the connect timeout.
    pub(crate) async fn open_in_time(&self) -> Result<PgConnection> {
        tokio::time::timeout(self.connect_timeout, self.open()).await.unwrap_or_else(|_| Err(self.no_answer()))
    }
}

#[async_trait]
impl Connector for PgConnector {
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

/// Applies the settings that only PostgreSQL knows, and returns those that go to the server.
fn extra(config: &mut tokio_postgres::Config, options: &RepoOptions) -> Result<String> {
    let mut server_settings = String::new();
    for (name, value) in &options.extra {
        match name.as_str() {
            "options" => server_settings.push_str(value),
            "target_session_attrs" => {
                config.target_session_attrs(match value.as_str() {
                    "any" => TargetSessionAttrs::Any,
                    "read-write" => TargetSessionAttrs::ReadWrite,
                    "read-only" => TargetSessionAttrs::ReadOnly,
                    _ => {
                        let problem = format!("{value:?} is none: write `any`, `read-write` or `read-only`");
                        return Err(Error::config(name, problem));
                    }
                });
            }
            "keepalives_idle" => match value.parse() {
                Ok(seconds) if seconds > 0 => {
                    config.keepalives_idle(Duration::from_secs(seconds));
                }
                _ => return Err(Error::config(name, format!("{value:?} is no number of seconds above zero"))),
            },
            _ => {
                let problem = format!("PostgreSQL has no such setting; it has {}", EXTRA.join(", "));
                return Err(Error::config(name, problem));
            }
        }
    }
    if options.read_only == Some(true) {
        server_settings.push_str(" -c default_transaction_read_only=on");
    }
    Ok(server_settings)
}

/// `15.4 (Debian …)`, `17beta1`.
pub(crate) fn version(text: &str) -> (u32, u32, u32) {
    let number = text.split(' ').next().unwrap_or_default();
    let mut parts = number.split('.').map(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse().unwrap_or(0)
    });
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Refuses to begin and end transactions at every connect: the driver does not tell whether one is left open.
fn checked(after_connect: Option<&str>) -> Result<Option<String>> {
    match after_connect {
        Some(sql) if LEXIS.controls_transactions(sql) => {
            Err(Error::config("after_connect", "it may not begin or end transactions: leave those words out"))
        }
        sql => Ok(sql.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::version;

    #[test]
    fn versions_are_read_as_servers_write_them() {
        assert_eq!(version("15.20 (Debian 15.20-0+deb12u1)"), (15, 20, 0));
        assert_eq!(version("17beta1"), (17, 0, 0));
        assert_eq!(version("9.6.24"), (9, 6, 24));
        assert_eq!(version(""), (0, 0, 0));
    }

    proptest! {
        #[test]
        fn any_text_is_a_version(text in "[0-9.a-z ]{0,30}|\\PC{0,20}") {
            let _ = version(&text);
        }
    }
}
