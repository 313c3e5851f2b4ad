//! The connection of a watcher: beside the pool, because it listens, holds locks and lives long.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Poll, ready};
use std::time::Duration;

use emr_core::watch::WatchFault;
use emr_core::{Error, ErrorKind, Result};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Row, Statement};

use crate::error;
use crate::pool::PgConnector;

/// The first server version that has 64-bit transaction ids as a type.
const OLDEST: u32 = 13;

/// A connection that notices when its server falls silent.
pub(super) struct Session {
    client: Client,
    driver: JoinHandle<()>,
    connector: Arc<PgConnector>,
    last_words: Arc<OnceLock<Error>>,
    /// Told of every notification, and of the connection's end.
    woken: Arc<Notify>,
    pid: i32,
    /// How long the server may be silent before it is asked whether it still works on the statement.
    patience: Duration,
}

impl Drop for Session {
    fn drop(&mut self) {
        // Closes the socket: the server frees what the session holds.
        self.driver.abort();
    }
}

/// Parameters with their types, so that no statement needs a trip to be prepared.
pub(super) type Params<'p> = &'p [(&'p (dyn ToSql + Sync), Type)];

impl Session {
    pub(super) async fn open(connector: &Arc<PgConnector>, patience: Duration) -> Result<Self> {
        let (client, mut connection) = connector.connect_bare().await?;
        let version = connection.parameter("server_version").unwrap_or_default().to_owned();
        let woken = Arc::new(Notify::new());
        let last_words = Arc::new(OnceLock::new());
        let (told, spoken) = (Arc::clone(&woken), Arc::clone(&last_words));
        let driver = tokio::spawn(async move {
            let ended = poll_fn(|context| {
                loop {
                    match ready!(connection.poll_message(context)) {
                        Some(Ok(AsyncMessage::Notification(_))) => told.notify_one(),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Poll::Ready(Some(error)),
                        None => return Poll::Ready(None),
                    }
                }
            });
            if let Some(error) = ended.await {
                let _ = spoken.set(error::from_driver(&error, false));
            }
            told.notify_one();
        });
        let mut session =
            Session { client, driver, connector: Arc::clone(connector), last_words, woken, pid: 0, patience };
        if crate::pool::version(&version).0 < OLDEST {
            return Err(Error::unsupported("watchers (they need PostgreSQL 13)", format!("PostgreSQL {version}")));
        }
        session.pid = session.one("SELECT pg_catalog.pg_backend_pid()", &[]).await?.get(0);
        Ok(session)
    }

    /// Ends when a notification has come since the last call, or the connection is gone.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }

    pub(super) async fn prepare(&self, sql: &str) -> Result<Statement> {
        self.watched(self.client.prepare(sql)).await
    }

    /// The rows of a prepared statement.
    pub(super) async fn run(&self, statement: &Statement, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.watched(self.client.query(statement, params)).await
    }

    /// The rows of a statement, in one trip.
    pub(super) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        let params: Vec<(&(dyn ToSql + Sync), Type)> = params.to_vec();
        self.watched(self.client.query_typed(sql, &params)).await
    }

    /// The first row of a statement that has one.
    pub(super) async fn one(&self, sql: &str, params: Params<'_>) -> Result<Row> {
        let mut rows = self.query(sql, params).await?;
        if rows.is_empty() {
            return Err(Error::connection_lost("the server gave no row where it had to"));
        }
        Ok(rows.swap_remove(0))
    }

    /// Statements without parameters and without rows.
    pub(super) async fn script(&self, sql: &str) -> Result<()> {
        self.watched(self.client.batch_execute(sql)).await
    }

    /// Waits for the server, and finds out when it is silent for long: a server that works on the statement is given
    /// all the time that it takes, a link over which nothing comes any more is given up.
    async fn watched<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        let mut work = pin!(work);
        loop {
            let probe = async {
                tokio::time::sleep(self.patience).await;
                self.is_working().await
            };
            tokio::select! {
                biased;
                result = &mut work => return result.map_err(|error| self.error(&error)),
                working = probe => if !working {
                    let reason = format!("the server did not answer for {:?}", self.patience);
                    return Err(Error::connection_lost(reason));
                },
            }
        }
    }

    /// Asks over a second connection whether the server still works for this one.
    async fn is_working(&self) -> bool {
        let ask = async {
            let (client, connection) = self.connector.connect_bare().await.ok()?;
            let driver = tokio::spawn(connection);
            let sql = "SELECT state = 'active' FROM pg_catalog.pg_stat_activity WHERE pid = $1";
            let row = client.query_typed(sql, &[(&self.pid, Type::INT4)]).await;
            driver.abort();
            row.ok()?.first()?.get::<_, Option<bool>>(0)
        };
        tokio::time::timeout(self.patience, ask).await.ok().flatten().unwrap_or(false)
    }

    fn error(&self, error: &tokio_postgres::Error) -> Error {
        let ours = error::from_driver(error, false);
        match (ours.kind(), self.last_words.get()) {
            (ErrorKind::ConnectionLost { .. }, Some(last_words)) if error.as_db_error().is_none() => last_words.share(),
            _ => ours,
        }
    }
}

/// The error of a statement that was to do something, where a missing right is why it failed.
pub(super) fn doing(action: &str, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Database { code, message } if code == "42501" => {
            let fault = WatchFault::Denied { action: action.to_owned(), message: message.clone() };
            Error::watch(fault).with_source(error)
        }
        ErrorKind::Database { code, .. } if matches!(code.as_str(), "57P01" | "57P02" | "57P03") => {
            Error::connection_lost(error.to_string()).with_source(error)
        }
        _ => error,
    }
}

/// Whether the server says that it knows no such table or schema.
pub(super) fn is_unknown(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Database { code, .. } if code == "42P01" || code == "3F000")
}
