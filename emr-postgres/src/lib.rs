//! The PostgreSQL adapter of EMR, for servers from version 12 on.
//!
//! Programs do not use this crate by name: the feature `postgres` of `emr` links it, and it registers
//! itself for the name `postgres` and the schemes `postgres`, `postgresql` and `pg`.
//!
//! ```
//! let options = emr_core::RepoOptions::from_url("postgres://user:secret@db.example/acme")?;
//! # let _ = emr_postgres::PostgresAdapter;
//! assert_eq!(options.adapter()?.name(), "postgres");
//! # Ok::<(), emr_core::Error>(())
//! ```
//!
//! **Cost.** A statement whose text is known to the connection takes one round trip: it was prepared at
//! its first use, values travel in binary and rows are decoded in place. Transaction control in front of
//! a statement takes one more. [`PrepareMode::Unnamed`](emr_core::PrepareMode) prepares nothing, for
//! poolers; values then travel with the type that Rust gives them, not with the column's.
//!
//! **Cancellation.** A call that is dropped sends a cancel request at once, from a task of its own, and ends
//! the session: the server rolls back and frees its locks. The connection is never used again.
//!
//! **Settings** beside those of [`RepoOptions`]: `options` (server settings as `-c
//! name=value`), `target_session_attrs` (`any`, `read-write`, `read-only`), `keepalives_idle` (seconds).

mod admin;
mod cast;
mod connection;
mod dialect;
mod error;
mod pool;
mod tls;
mod types;
mod watcher;

use std::sync::Arc;

use async_trait::async_trait;
use emr_core::watch::ChangeLog;
use emr_core::{Adapter, Connector, Dialect, RepoOptions, Result};

pub use dialect::PostgresDialect;

/// The adapter for PostgreSQL.
#[derive(Debug, Clone, Copy, Default)]
pub struct PostgresAdapter;

emr_core::inventory::submit! { emr_core::Registration(&PostgresAdapter) }

#[async_trait]
impl Adapter for PostgresAdapter {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn schemes(&self) -> &'static [&'static str] {
        &["postgres", "postgresql", "pg"]
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &PostgresDialect
    }

    fn default_port(&self) -> Option<u16> {
        Some(pool::DEFAULT_PORT)
    }

    fn settings(&self) -> &'static [&'static str] {
        &pool::EXTRA
    }

    fn connector(&self, options: &RepoOptions) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(pool::PgConnector::new(options)?))
    }

    fn change_log(&self, options: &RepoOptions) -> Result<Arc<dyn ChangeLog>> {
        Ok(Arc::new(watcher::PgChangeLog::new(options)?))
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
