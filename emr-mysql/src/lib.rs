//! The MySQL and MariaDB adapter of EMR, for MySQL from version 8.0.19 on and MariaDB from version 10.6 on.
//!
//! Programs do not use this crate by name: the feature `mysql` of `emr` links it, and it registers itself for the name
//! `mysql` and the schemes `mysql` and `mariadb`. Which of the two a server is, it says when it is connected to: they are
//! two engines, with a dialect and capabilities for each. MariaDB returns inserted and deleted rows, has a UUID type and
//! locks shared rows by other words; MySQL does none of that.
//!
//! ```
//! use emr_core::Dialect;
//! use emr_mysql::{MariaDbDialect, MySqlDialect};
//!
//! let options = emr_core::RepoOptions::from_url("mysql://user:secret@db.example/acme")?;
//! assert_eq!(options.adapter()?.name(), "mysql");
//! assert_eq!(MySqlDialect.quotes(), ('`', '`'));
//! assert_ne!(MySqlDialect.baseline().insert_returning, MariaDbDialect.baseline().insert_returning);
//! # Ok::<(), emr_core::Error>(())
//! ```
//!
//! **Sessions.** Every session speaks utf8mb4, compares text by its bytes unless a column says otherwise, keeps time in
//! UTC and refuses values that do not fit; an update counts the rows that it matched.
//!
//! **Cost.** A statement whose text is known to the connection takes one round trip, transaction control in front of it
//! one more: the driver does not pipeline. [`PrepareMode::Unnamed`](emr_core::PrepareMode) forgets each statement at
//! once.
//!
//! **Cancellation.** A call that is dropped ends its session at the server (`KILL`), over a connection of its own: the
//! server rolls back and frees its locks. The connection is never used again.
//!
//! **Lost sessions.** The driver does not look at a connection that lies idle. One that lay there for five seconds, or for
//! half of the session's `wait_timeout` if that is less, is asked for a sign of life (one round trip) when it is taken out
//! of the pool. A statement that could not be prepared was not executed, and is sent again on another connection; one that
//! was prepared before may have been, so that a write is [`ConnectionLost`](emr_core::ErrorKind::ConnectionLost), and never
//! sent twice.
//!
//! **Settings** beside those of [`RepoOptions`]: `keepalives_idle` (seconds), `session` (assignments for `SET SESSION`, as
//! `innodb_lock_wait_timeout = 5, long_query_time = 1`).

mod admin;
mod capabilities;
mod cast;
mod connection;
mod dialect;
mod error;
mod pool;
mod types;

use std::sync::Arc;

use async_trait::async_trait;
use emr_core::{Adapter, Connector, Dialect, RepoOptions, Result};

pub use capabilities::{mariadb_capabilities, mysql_capabilities};
pub use dialect::{MariaDbDialect, MySqlDialect};

/// The adapter for MySQL and MariaDB.
#[derive(Debug, Clone, Copy, Default)]
pub struct MySqlAdapter;

emr_core::inventory::submit! { emr_core::Registration(&MySqlAdapter) }

#[async_trait]
impl Adapter for MySqlAdapter {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn schemes(&self) -> &'static [&'static str] {
        &["mysql", "mariadb"]
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &MySqlDialect
    }

    fn default_port(&self) -> Option<u16> {
        Some(pool::DEFAULT_PORT)
    }

    fn settings(&self) -> &'static [&'static str] {
        &pool::EXTRA
    }

    fn connector(&self, options: &RepoOptions) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(pool::MySqlConnector::new(options)?))
    }

    async fn create_database(&self, options: &RepoOptions) -> Result<bool> {
        admin::create(options).await
    }

    async fn drop_database(&self, options: &RepoOptions) -> Result<bool> {
        admin::drop(options).await
    }

    async fn database_exists(&self, options: &RepoOptions) -> Result<bool> {
        admin::exists(options).await
    }
}
