//! Adapters that lie, for `dev/acceptance --control`: a case that passes on all of them has shown nothing.
//!
//! `EMR_SUITE_LIE` names the lie. The database of a case is then opened through a wrapped adapter, and so is every repo
//! that is made from its settings.

#[path = "lie_connection.rs"]
mod connection;
#[path = "lie_kept.rs"]
mod kept;
#[path = "lie_locks.rs"]
mod locks;
#[path = "lie_rows.rs"]
mod rows;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use emr::{Adapter, Connection, Connector, Dialect, PoolSplit, Registration, RepoOptions, Result, Role, adapter_named};

use super::record::Record;
use connection::LyingConnection;

/// What is not true of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// Everything is: statements and rows are only counted.
    Nothing,
    /// Every second row of a result is missing.
    Rows,
    /// Two cells of each row have changed places; where no two could, one has another value.
    Swap,
    /// Writes report what they would have done, and do nothing.
    Swallow,
    /// Locks are not taken.
    Lock,
}

impl Lie {
    /// The one that the environment names.
    fn told() -> Option<Lie> {
        static TOLD: LazyLock<Option<Lie>> = LazyLock::new(|| match std::env::var("EMR_SUITE_LIE").ok()?.as_str() {
            "none" => Some(Lie::Nothing),
            "rows" => Some(Lie::Rows),
            "swap" => Some(Lie::Swap),
            "swallow" => Some(Lie::Swallow),
            "lock" => Some(Lie::Lock),
            other => panic!("EMR_SUITE_LIE: there is no lie {other:?}"),
        });
        *TOLD
    }
}

/// The setting that carries the number of the case's record to its connections.
const RECORD: &str = "emr_suite_record";

/// Settings under which the lie is told, if one is asked for.
pub(super) fn through_the_lie(options: RepoOptions, record: &Arc<Record>) -> RepoOptions {
    if Lie::told().is_none() {
        return options;
    }
    let real = options.database_type.clone().unwrap_or_default();
    options.database_type(format!("lying-{real}")).extra(RECORD, record.number().to_string())
}

struct LyingAdapter {
    name: &'static str,
    real: &'static str,
}

emr::inventory::submit! { Registration(&LyingAdapter { name: "lying-sqlite", real: "sqlite" }) }
emr::inventory::submit! { Registration(&LyingAdapter { name: "lying-postgres", real: "postgres" }) }
emr::inventory::submit! { Registration(&LyingAdapter { name: "lying-mysql", real: "mysql" }) }

impl LyingAdapter {
    fn real(&self) -> &'static dyn Adapter {
        adapter_named(self.real).expect("the suite has all adapters")
    }

    fn settings(&self, options: &RepoOptions) -> RepoOptions {
        let mut options = options.clone().database_type(self.real);
        options.extra.remove(RECORD);
        options
    }
}

#[async_trait]
impl Adapter for LyingAdapter {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schemes(&self) -> &'static [&'static str] {
        &[]
    }

    fn dialect(&self) -> &'static dyn Dialect {
        self.real().dialect()
    }

    fn default_port(&self) -> Option<u16> {
        self.real().default_port()
    }

    fn connector(&self, options: &RepoOptions) -> Result<Arc<dyn Connector>> {
        let number = options.extra.get(RECORD).and_then(|number| number.parse().ok());
        let record = number.map_or_else(Arc::default, Record::numbered);
        let real = self.real().connector(&self.settings(options))?;
        let lie = Lie::told().unwrap_or(Lie::Nothing);
        Ok(Arc::new(LyingConnector { real, lie, record, locks_are_transactions: self.real == "sqlite" }))
    }

    async fn create_database(&self, options: &RepoOptions) -> Result<bool> {
        self.real().create_database(&self.settings(options)).await
    }

    async fn drop_database(&self, options: &RepoOptions) -> Result<bool> {
        self.real().drop_database(&self.settings(options)).await
    }

    async fn database_exists(&self, options: &RepoOptions) -> Result<bool> {
        self.real().database_exists(&self.settings(options)).await
    }
}

struct LyingConnector {
    real: Arc<dyn Connector>,
    lie: Lie,
    record: Arc<Record>,
    /// The engine has no row locks: what keeps others out is that a transaction begins with the lock of the file.
    locks_are_transactions: bool,
}

#[async_trait]
impl Connector for LyingConnector {
    async fn connect(&self, role: Role) -> Result<Box<dyn Connection>> {
        let real = self.real.connect(role).await?;
        let no_transactions = self.lie == Lie::Lock && self.locks_are_transactions;
        Ok(Box::new(LyingConnection::new(real, self.lie, Arc::clone(&self.record), no_transactions)))
    }

    fn split(&self) -> PoolSplit {
        self.real.split()
    }

    fn target(&self) -> String {
        self.real.target()
    }

    fn role_of(&self, sql: &str) -> Role {
        self.real.role_of(sql)
    }

    fn connect_timeout(&self) -> Duration {
        self.real.connect_timeout()
    }
}
