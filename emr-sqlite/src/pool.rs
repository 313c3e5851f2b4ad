//! What opens the connections of one repo.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emr_core::{Capabilities, Connection, Connector, PoolSplit, RepoOptions, Result, Role};

use crate::connection::SqliteConnection;
use crate::settings::{Location, Settings};
use crate::{advisory, dialect, keyword};

/// Opens the connections of one repo.
pub(crate) struct SqliteConnector {
    settings: Arc<Settings>,
    capabilities: Arc<Capabilities>,
    /// Tells the databases in memory apart.
    number: u64,
}

impl SqliteConnector {
    pub(crate) fn new(options: &RepoOptions) -> Result<Self> {
        Ok(SqliteConnector::with(Settings::new(options)?))
    }

    pub(crate) fn with(settings: Settings) -> Self {
        SqliteConnector {
            settings: Arc::new(settings),
            capabilities: Arc::new(dialect::capabilities()),
            number: advisory::number(),
        }
    }
}

#[async_trait]
impl Connector for SqliteConnector {
    async fn connect(&self, role: Role) -> Result<Box<dyn Connection>> {
        let connection = SqliteConnection::open(&self.settings, role, &self.capabilities, self.number).await?;
        Ok(Box::new(connection))
    }

    fn split(&self) -> PoolSplit {
        match self.settings.location {
            Location::Memory => PoolSplit::Single,
            Location::File(_) => PoolSplit::OneWriter,
        }
    }

    fn target(&self) -> String {
        self.settings.target()
    }

    fn role_of(&self, sql: &str) -> Role {
        // A WITH may stand before a write as well as before a read.
        if keyword::is_one_of(sql, &["SELECT", "VALUES", "EXPLAIN"]) { Role::Read } else { Role::Write }
    }

    fn connect_timeout(&self) -> Duration {
        self.settings.connect_timeout
    }
}
