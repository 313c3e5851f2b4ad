//! The engines that SQL is made for.

use std::sync::LazyLock;

use emr_core::{Capabilities, Dialect};
use emr_mssql::MsSqlDialect;
use emr_mysql::{MariaDbDialect, MySqlDialect};
use emr_postgres::PostgresDialect;
use emr_sqlite::SqliteDialect;

/// One engine: its dialect, what its oldest supported server can do, and a parser that knows its grammar.
pub struct Engine {
    /// How it spells SQL.
    pub dialect: &'static dyn Dialect,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Its grammar.
    pub grammar: Box<dyn sqlparser::dialect::Dialect + Send + Sync>,
}

impl Engine {
    fn new(dialect: &'static dyn Dialect, grammar: impl sqlparser::dialect::Dialect + Send + Sync) -> Self {
        let mut capabilities = dialect.baseline();
        if let Some(version) = capabilities.server.rfind(' ') {
            // The snapshots shall outlive an update of an engine that is built in.
            capabilities.server.truncate(version);
        }
        Engine { dialect, capabilities, grammar: Box::new(grammar) }
    }
}

/// All engines.
pub fn engines() -> &'static [Engine] {
    static ENGINES: LazyLock<Vec<Engine>> = LazyLock::new(|| {
        vec![
            Engine::new(&SqliteDialect, sqlparser::dialect::SQLiteDialect {}),
            Engine::new(&PostgresDialect, sqlparser::dialect::PostgreSqlDialect {}),
            Engine::new(&MySqlDialect, sqlparser::dialect::MySqlDialect {}),
            Engine::new(&MariaDbDialect, sqlparser::dialect::MySqlDialect {}),
            Engine::new(&MsSqlDialect, sqlparser::dialect::MsSqlDialect {}),
        ]
    });
    &ENGINES
}
