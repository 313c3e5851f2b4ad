//! The SQLite adapter of EMR, over `rusqlite` with the engine built in.
//!
//! A repo's `database` is the path of a file, or `:memory:`. There is no server, so host, port, user,
//! password, TLS and prefix are refused.
//!
//! ```
//! use emr_core::{Adapter, PoolSplit, RepoOptions};
//! use emr_sqlite::SqliteAdapter;
//!
//! let connector = SqliteAdapter.connector(&RepoOptions::sqlite("data/app.db"))?;
//! assert_eq!(connector.target(), "data/app.db");
//! assert_eq!(connector.split(), PoolSplit::OneWriter);
//! # Ok::<(), emr_core::Error>(())
//! ```
//!
//! # Behaviour
//! - Every open connection has one thread, named `emr-sqlite`. A call hops to it once, whatever it
//!   returns: rows are decoded on that thread.
//! - One connection of a repo writes, the others only read; `:memory:` has one for everything.
//! - Transactions begin IMMEDIATE unless they are read-only, and wait for a busy file until the call's
//!   deadline. A dropped call is interrupted at once, and its locks are free.
//! - A file that is made is in WAL mode with `synchronous = NORMAL`. Foreign keys are enforced, and LIKE
//!   minds case, as on other engines.
//!
//! # How values are stored
//! | type | stored as |
//! | --- | --- |
//! | bool | INTEGER 0 or 1 |
//! | i16, i32, i64 | INTEGER |
//! | f32, f64 | REAL; NaN is refused, because SQLite would store NULL; a negative zero becomes zero |
//! | text, JSON | TEXT |
//! | bytes | BLOB |
//! | UUID | TEXT, lower case with hyphens |
//! | decimal | TEXT, plain digits, scale kept; compared with the collation `emr_decimal` |
//! | date | TEXT `2021-01-02` |
//! | time | TEXT `03:04:05.000006` |
//! | datetime | TEXT `2021-01-02T03:04:05.000006` |
//! | timestamp | TEXT `2021-01-02T03:04:05.000006Z` |
//!
//! Six fraction digits are always written, so that the order of the texts is the order of the times.
//!
//! # Functions of its own
//! Every connection of a repo has functions in Rust, whose names begin with `emr_`, for what SQLite does not do, or not
//! as other engines do it: calculating with decimals exactly (`emr_add`, `emr_sum` …), casts that refuse what does not
//! fit, upper and lower case of all of Unicode, months and microseconds added to times. They are deterministic. Their
//! results cannot be indexed for other programs: those do not have them.
//!
//! # Options
//! Beside the options of every repo: `journal_mode` (`wal`), `synchronous` (`normal` under WAL),
//! `create` (`true`: a missing file is made) and `cache_size` (as in `PRAGMA cache_size`).

mod advisory;
mod bulk;
mod connection;
mod cursor;
mod database;
mod dialect;
mod error;
mod functions;
mod keyword;
mod marks;
mod open;
mod pool;
mod settings;
mod statement;
mod temporal;
mod types;
mod watcher;
mod worker;

use std::sync::Arc;

use async_trait::async_trait;
use emr_core::watch::ChangeLog;
use emr_core::{Adapter, Connector, Dialect, RepoOptions, Result};

pub use dialect::SqliteDialect;

/// The SQLite backend.
#[derive(Debug, Clone, Copy, Default)]
pub struct SqliteAdapter;

emr_core::inventory::submit! { emr_core::Registration(&SqliteAdapter) }

#[async_trait]
impl Adapter for SqliteAdapter {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn schemes(&self) -> &'static [&'static str] {
        &["sqlite", "sqlite3", "file"]
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &SqliteDialect
    }

    fn default_port(&self) -> Option<u16> {
        None
    }

    fn settings(&self) -> &'static [&'static str] {
        &settings::EXTRA
    }

    fn connector(&self, options: &RepoOptions) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(pool::SqliteConnector::new(options)?))
    }

    fn change_log(&self, options: &RepoOptions) -> Result<Arc<dyn ChangeLog>> {
        Ok(Arc::new(watcher::SqliteChangeLog::new(options)?))
    }

    async fn create_database(&self, options: &RepoOptions) -> Result<bool> {
        database::create(options).await
    }

    async fn drop_database(&self, options: &RepoOptions) -> Result<bool> {
        database::drop(options).await
    }

    async fn database_exists(&self, options: &RepoOptions) -> Result<bool> {
        database::exists(options)
    }
}
