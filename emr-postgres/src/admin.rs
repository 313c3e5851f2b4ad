//! Databases as a whole: create, drop, ask.

use emr_core::{ConnectFailure, Connection, Discard, Error, ErrorKind, RepoOptions, Result, Sql, Value};

use crate::connection::PgConnection;
use crate::pool::PgConnector;

/// Creates the database; `false` if it is there.
pub(crate) async fn create(options: &RepoOptions) -> Result<bool> {
    let name = name(options)?;
    let mut connection = maintenance(options).await?;
    if is_there(&mut connection, name).await? {
        return Ok(false);
    }
    match connection.script(&format!("CREATE DATABASE {}", quoted(name))).await {
        Ok(()) => Ok(true),
        // Somebody else was faster: the name is taken, or its row in the catalogue is.
        Err(error) if code(&error) == Some("42P04") || error.is_unique_violation() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Drops the database and ends the sessions in it; `false` if it is not there.
pub(crate) async fn drop(options: &RepoOptions) -> Result<bool> {
    let name = name(options)?;
    let mut connection = maintenance(options).await?;
    // Version 12 cannot end the sessions by itself.
    let force = connection.capabilities().version.0 >= 13;
    if !force {
        let sql = Sql::once("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1");
        connection.query(&[], &sql, &[Value::Text(name.into())], Box::new(Discard)).await?;
    }
    let suffix = if force { " WITH (FORCE)" } else { "" };
    match connection.script(&format!("DROP DATABASE {}{suffix}", quoted(name))).await {
        Ok(()) => Ok(true),
        Err(error) if code(&error) == Some("3D000") => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the database is there.
pub(crate) async fn exists(options: &RepoOptions) -> Result<bool> {
    is_there(&mut maintenance(options).await?, name(options)?).await
}

async fn is_there(connection: &mut PgConnection, name: &str) -> Result<bool> {
    let sql = Sql::once("SELECT 1 FROM pg_database WHERE datname = $1");
    let (_, done) = connection.query(&[], &sql, &[Value::Text(name.into())], Box::new(Discard)).await?;
    Ok(done.rows > 0)
}

/// Connects to a database that every server has.
async fn maintenance(options: &RepoOptions) -> Result<PgConnection> {
    let mut options = options.clone();
    options.after_connect = None;
    options.read_only = None;
    options.database = Some("postgres".into());
    match PgConnector::new(&options)?.open_in_time().await {
        Err(error) if is_unknown_database(&error) => {
            options.database = Some("template1".into());
            PgConnector::new(&options)?.open_in_time().await
        }
        opened => opened,
    }
}

fn is_unknown_database(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectFailed { cause: ConnectFailure::UnknownDatabase, .. })
}

fn name(options: &RepoOptions) -> Result<&str> {
    match options.database.as_deref().or(options.user.as_deref()) {
        Some(name) if !name.is_empty() && !name.contains('\0') => Ok(name),
        _ => Err(Error::config("database", "it is missing or empty: write the database's name")),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn code(error: &Error) -> Option<&str> {
    match error.kind() {
        ErrorKind::Database { code, .. } => Some(code),
        _ => None,
    }
}
