//! An adapter whose DDL does not end the transaction that it is sent in: it goes to another connection.
//!
//! The cases of any [`Repo`](emr::Repo) make their tables themselves, also where that would commit the transaction that
//! they run in.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emr::{
    Adapter, AdvisoryLock, BulkInsert, Capabilities, Connection, Connector, Control, CursorId, Dialect, Done,
    Registration, RepoOptions, Result, Role, RowSink, Sql, Value, adapter_named,
};

/// The setting that carries the name of the adapter below.
const BELOW: &str = "emr_suite_below";

/// The same settings, with DDL aside.
pub(super) fn with_ddl_aside(options: RepoOptions) -> RepoOptions {
    let below = options.adapter().expect("an adapter").name();
    options.database_type("ddl-aside").extra(BELOW, below)
}

struct AsideAdapter;

emr::inventory::submit! { Registration(&AsideAdapter) }

fn below(options: &RepoOptions) -> (&'static dyn Adapter, RepoOptions) {
    let mut options = options.clone();
    let below = adapter_named(&options.extra.remove(BELOW).expect("the adapter below")).expect("an adapter");
    (below, options.database_type(below.name()))
}

#[async_trait]
impl Adapter for AsideAdapter {
    fn name(&self) -> &'static str {
        "ddl-aside"
    }

    fn schemes(&self) -> &'static [&'static str] {
        &[]
    }

    fn dialect(&self) -> &'static dyn Dialect {
        adapter_named("mysql").expect("the suite has all adapters").dialect()
    }

    fn default_port(&self) -> Option<u16> {
        None
    }

    fn connector(&self, options: &RepoOptions) -> Result<Arc<dyn Connector>> {
        let (below, options) = below(options);
        Ok(Arc::new(AsideConnector(below.connector(&options)?)))
    }

    async fn create_database(&self, options: &RepoOptions) -> Result<bool> {
        let (below, options) = below(options);
        below.create_database(&options).await
    }

    async fn drop_database(&self, options: &RepoOptions) -> Result<bool> {
        let (below, options) = below(options);
        below.drop_database(&options).await
    }

    async fn database_exists(&self, options: &RepoOptions) -> Result<bool> {
        let (below, options) = below(options);
        below.database_exists(&options).await
    }
}

struct AsideConnector(Arc<dyn Connector>);

#[async_trait]
impl Connector for AsideConnector {
    async fn connect(&self, role: Role) -> Result<Box<dyn Connection>> {
        let real = self.0.connect(role).await?;
        let mut capabilities = Capabilities::clone(real.capabilities());
        capabilities.transactional_ddl = true;
        Ok(Box::new(AsideConnection { real, connector: Arc::clone(&self.0), capabilities: Arc::new(capabilities) }))
    }

    fn target(&self) -> String {
        self.0.target()
    }

    fn connect_timeout(&self) -> Duration {
        self.0.connect_timeout()
    }
}

struct AsideConnection {
    real: Box<dyn Connection>,
    connector: Arc<dyn Connector>,
    capabilities: Arc<Capabilities>,
}

fn is_ddl(sql: &str) -> bool {
    let verb = sql.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    ["create", "alter", "drop", "truncate"].contains(&verb.as_str())
}

#[async_trait]
impl Connection for AsideConnection {
    fn capabilities(&self) -> &Arc<Capabilities> {
        &self.capabilities
    }

    fn dialect(&self) -> &'static dyn Dialect {
        self.real.dialect()
    }

    async fn query(
        &mut self,
        controls: &[Control],
        sql: &Sql,
        params: &[Value<'_>],
        sink: Box<dyn RowSink>,
    ) -> Result<(Box<dyn RowSink>, Done)> {
        if !is_ddl(sql.text()) {
            return self.real.query(controls, sql, params, sink).await;
        }
        self.real.control(controls).await?;
        self.connector.connect(Role::Write).await?.query(&[], sql, params, sink).await
    }

    async fn control(&mut self, controls: &[Control]) -> Result<()> {
        self.real.control(controls).await
    }

    async fn script(&mut self, sql: &str) -> Result<()> {
        if is_ddl(sql) {
            return self.connector.connect(Role::Write).await?.script(sql).await;
        }
        self.real.script(sql).await
    }

    async fn query_many(
        &mut self,
        controls: &[Control],
        sql: &str,
        sink: fn() -> Box<dyn RowSink>,
    ) -> Result<Vec<(Box<dyn RowSink>, Done)>> {
        self.real.query_many(controls, sql, sink).await
    }

    async fn advisory_lock(&mut self, controls: &[Control], lock: &AdvisoryLock) -> Result<bool> {
        self.real.advisory_lock(controls, lock).await
    }

    async fn insert_many(
        &mut self,
        controls: &[Control],
        rows: &BulkInsert,
        sink: Option<Box<dyn RowSink>>,
    ) -> Result<(Option<Box<dyn RowSink>>, Done)> {
        self.real.insert_many(controls, rows, sink).await
    }

    async fn open_cursor(&mut self, controls: &[Control], sql: &Sql, params: &[Value<'_>]) -> Result<CursorId> {
        self.real.open_cursor(controls, sql, params).await
    }

    async fn fetch(
        &mut self,
        cursor: CursorId,
        rows: usize,
        sink: Box<dyn RowSink>,
    ) -> Result<(Box<dyn RowSink>, Done)> {
        self.real.fetch(cursor, rows, sink).await
    }

    async fn close_cursor(&mut self, cursor: CursorId) -> Result<()> {
        self.real.close_cursor(cursor).await
    }

    fn is_clean(&self) -> bool {
        self.real.is_clean()
    }

    fn is_closed(&self) -> bool {
        self.real.is_closed()
    }

    fn in_transaction(&self) -> bool {
        self.real.in_transaction()
    }

    async fn recover(&mut self) -> Result<()> {
        self.real.recover().await
    }
}
