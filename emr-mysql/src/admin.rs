//! Databases as a whole: create, drop, ask.

use emr_core::{Connection, Discard, Error, ErrorKind, RepoOptions, Result, Sql, Value};

use crate::connection::MySqlConnection;
use crate::pool::{MySqlConnector, collation};

/// Creates the database; `false` if it is there. Its tables keep texts in utf8mb4 and compare them by their bytes, unless
/// they say otherwise.
pub(crate) async fn create(options: &RepoOptions) -> Result<bool> {
    let name = name(options)?;
    let mut connection = maintenance(options).await?;
    let collation = collation(connection.dialect().name() == "mariadb");
    let sql = format!("CREATE DATABASE {} CHARACTER SET utf8mb4 COLLATE {collation}", quoted(name));
    match absent_if(connection.script(&sql).await, "1007") {
        // Who may not create databases is told so before the server looks whether there is one.
        Err(error) if is_error(&error, "1044") && exists(options).await? => Ok(false),
        created => created,
    }
}

/// Drops the database; `false` if it is not there.
pub(crate) async fn drop(options: &RepoOptions) -> Result<bool> {
    let name = name(options)?;
    absent_if(maintenance(options).await?.script(&format!("DROP DATABASE {}", quoted(name))).await, "1008")
}

/// Whether the database is there.
pub(crate) async fn exists(options: &RepoOptions) -> Result<bool> {
    let name = name(options)?;
    let sql = Sql::once("SELECT 1 FROM information_schema.schemata WHERE schema_name = ?");
    let mut connection = maintenance(options).await?;
    let (_, done) = connection.query(&[], &sql, &[Value::Text(name.into())], Box::new(Discard)).await?;
    Ok(done.rows > 0)
}

/// `false` for the error that says that there is nothing to do.
fn absent_if(result: Result<()>, nothing_to_do: &str) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if is_error(&error, nothing_to_do) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_error(error: &Error, number: &str) -> bool {
    matches!(error.kind(), ErrorKind::Database { code, .. } if code == number)
}

/// Connects to no database.
async fn maintenance(options: &RepoOptions) -> Result<MySqlConnection> {
    let mut options = options.clone();
    options.after_connect = None;
    options.read_only = None;
    MySqlConnector::on(&options, None)?.open_in_time().await
}

fn name(options: &RepoOptions) -> Result<&str> {
    match options.database.as_deref() {
        Some(name) if !name.is_empty() && !name.contains('\0') => Ok(name),
        _ => Err(Error::config("database", "it is missing or empty: write the database's name")),
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
