//! An adapter without a server, for what depends on time: its connections sleep as long as the SQL says
//! (`sleep 5000`, in milliseconds) on tokio's clock, which the tests pause.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use emr::{
    Adapter, BulkInsert, Capabilities, ColumnDef, ConnectFailure, Connection, Connector, Control, CursorId, Dialect,
    Done, Error, ErrorKind, Identity, InList, Registration, RepoOptions, Result, Role, RowSink, Sql, SqlBuilder,
    SqlType, Value,
};

pub(crate) struct FakeAdapter;

emr::inventory::submit! { Registration(&FakeAdapter) }

/// How many connections were made, by the name of the database.
static CONNECTS: LazyLock<Mutex<HashMap<String, Arc<AtomicU32>>>> = LazyLock::new(Mutex::default);

pub(crate) fn connects(database: &str) -> Arc<AtomicU32> {
    Arc::clone(CONNECTS.lock().unwrap().entry(database.to_owned()).or_default())
}

#[async_trait]
impl Adapter for FakeAdapter {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn schemes(&self) -> &'static [&'static str] {
        &["fake"]
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &FakeDialect
    }

    fn default_port(&self) -> Option<u16> {
        Some(1)
    }

    fn connector(&self, options: &RepoOptions) -> Result<Arc<dyn Connector>> {
        let database = options.database.clone().unwrap_or_default();
        Ok(Arc::new(FakeConnector {
            host: options.host.clone().unwrap_or_default(),
            connects: connects(&database),
            database,
            timeout: options.effective_connect_timeout(),
        }))
    }

    async fn create_database(&self, _options: &RepoOptions) -> Result<bool> {
        Ok(true)
    }

    async fn drop_database(&self, _options: &RepoOptions) -> Result<bool> {
        Ok(true)
    }

    async fn database_exists(&self, _options: &RepoOptions) -> Result<bool> {
        Ok(true)
    }
}

struct FakeConnector {
    host: String,
    database: String,
    connects: Arc<AtomicU32>,
    timeout: Duration,
}

#[async_trait]
impl Connector for FakeConnector {
    async fn connect(&self, _role: Role) -> Result<Box<dyn Connection>> {
        self.connects.fetch_add(1, Ordering::SeqCst);
        match self.host.as_str() {
            "refuses" => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(Error::new(ErrorKind::ConnectFailed {
                    target: self.target(),
                    reason: "password authentication failed for user \"ada\"".to_owned(),
                    cause: ConnectFailure::Authentication,
                }))
            }
            "hangs" => std::future::pending().await,
            _ => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let can = Arc::new(Capabilities::minimal("Fake 1.0", (1, 0, 0)));
                Ok(Box::new(FakeConnection { can, busy: false, in_transaction: false, closed: false }))
            }
        }
    }

    fn target(&self) -> String {
        format!("{}:1/{}", self.host, self.database)
    }

    fn connect_timeout(&self) -> Duration {
        self.timeout
    }
}

struct FakeConnection {
    can: Arc<Capabilities>,
    busy: bool,
    in_transaction: bool,
    closed: bool,
}

#[async_trait]
impl Connection for FakeConnection {
    fn capabilities(&self) -> &Arc<Capabilities> {
        &self.can
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &FakeDialect
    }

    async fn query(
        &mut self,
        controls: &[Control],
        sql: &Sql,
        _params: &[Value<'_>],
        sink: Box<dyn RowSink>,
    ) -> Result<(Box<dyn RowSink>, Done)> {
        self.control(controls).await?;
        self.busy = true;
        if let Some(millis) = sql.text().strip_prefix("sleep ").and_then(|millis| millis.parse().ok()) {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        self.busy = false;
        Ok((sink, Done::default()))
    }

    async fn control(&mut self, controls: &[Control]) -> Result<()> {
        for control in controls {
            match control {
                Control::Begin(_) => self.in_transaction = true,
                Control::Commit | Control::Rollback => self.in_transaction = false,
                _ => {}
            }
        }
        Ok(())
    }

    async fn script(&mut self, _sql: &str) -> Result<()> {
        Ok(())
    }

    async fn insert_many(
        &mut self,
        _controls: &[Control],
        _rows: &BulkInsert,
        sink: Option<Box<dyn RowSink>>,
    ) -> Result<(Option<Box<dyn RowSink>>, Done)> {
        Ok((sink, Done::default()))
    }

    async fn open_cursor(&mut self, _controls: &[Control], _sql: &Sql, _params: &[Value<'_>]) -> Result<CursorId> {
        Ok(CursorId(1))
    }

    async fn fetch(
        &mut self,
        _cursor: CursorId,
        _rows: usize,
        sink: Box<dyn RowSink>,
    ) -> Result<(Box<dyn RowSink>, Done)> {
        Ok((sink, Done { end: true, ..Done::default() }))
    }

    async fn close_cursor(&mut self, _cursor: CursorId) -> Result<()> {
        Ok(())
    }

    fn is_clean(&self) -> bool {
        !self.busy && !self.in_transaction && !self.closed
    }

    fn is_closed(&self) -> bool {
        self.closed
    }

    fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    async fn recover(&mut self) -> Result<()> {
        self.busy = false;
        self.in_transaction = false;
        Ok(())
    }
}

struct FakeDialect;

impl Dialect for FakeDialect {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn baseline(&self) -> Capabilities {
        Capabilities::minimal("Fake 1.0", (1, 0, 0))
    }

    fn placeholder(&self, out: &mut SqlBuilder<'_>, _n: usize) {
        out.push("?");
    }

    fn in_list(&self, len: usize, _element: SqlType) -> InList {
        InList::Expand(len)
    }

    fn column_type(&self, _column: &ColumnDef) -> String {
        "anything".to_owned()
    }

    fn identity(&self, _sole_key: bool) -> Identity {
        Identity { column_type: None, suffix: "", declares_key: false }
    }
}
