//! What the tests share: the server, a schema of their own, and a sink that keeps everything.
#![allow(dead_code, unreachable_pub)] // each test file uses a part

pub mod certificates;
pub mod cluster;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use emr_core::{
    Adapter, BulkInsert, Connection, Connector, Control, Done, RepoOptions, Result, ResultColumn, Role, Row, RowSink,
    RowSource, Schema, Sql, Value,
};
use emr_postgres::PostgresAdapter;

/// The server under test. Not reaching it fails the tests.
pub fn options() -> RepoOptions {
    assert_eq!(PostgresAdapter.name(), "postgres");
    match std::env::var("EMR_POSTGRES_URL") {
        Ok(url) => RepoOptions::from_url(&url).unwrap(),
        Err(_) => RepoOptions::from_url("postgres://postgres@127.0.0.1:5432/postgres").unwrap(),
    }
}

pub async fn connect_with(options: &RepoOptions) -> Result<Box<dyn Connection>> {
    PostgresAdapter.connector(options)?.connect(Role::Write).await
}

pub async fn connect() -> Box<dyn Connection> {
    connect_with(&options()).await.unwrap()
}

/// A schema of its own, first in the search path of its connections, dropped at the end.
pub struct Scratch {
    pub name: String,
    pub connector: Arc<dyn Connector>,
}

impl Scratch {
    pub async fn new() -> Self {
        Self::with(options()).await
    }

    pub async fn with(options: RepoOptions) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("emr_pg_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        connect().await.script(&format!("CREATE SCHEMA {name}")).await.unwrap();
        let options = options.extra("options", format!("-c search_path={name},public")).application_name(&name);
        Scratch { name, connector: PostgresAdapter.connector(&options).unwrap() }
    }

    pub async fn connect(&self) -> Box<dyn Connection> {
        self.connector.connect(Role::Write).await.unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let name = self.name.clone();
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                // The test's own connections cannot say goodbye while its runtime waits for this thread.
                let sql = format!(
                    "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE application_name = '{name}'; \
                     SET lock_timeout = '5s'; DROP SCHEMA {name} CASCADE"
                );
                connect().await.script(&sql).await
            })
        });
        let _ = dropped.join();
    }
}

/// Keeps columns and rows.
#[derive(Default, Debug)]
pub struct Keep {
    pub columns: Vec<ResultColumn>,
    pub rows: Vec<Vec<Value<'static>>>,
    pub fail_at: Option<usize>,
}

impl RowSink for Keep {
    fn columns(&mut self, columns: &[ResultColumn]) -> Result<()> {
        self.columns = columns.to_vec();
        Ok(())
    }

    fn wants_columns(&self) -> bool {
        true
    }

    fn row(&mut self, row: &dyn Row) -> Result<()> {
        if self.fail_at == Some(self.rows.len()) {
            return Err(emr_core::Error::invalid("the sink is full"));
        }
        let cell = |at| {
            row.value(at).map(Value::into_owned).map_err(|mismatch| emr_core::Error::invalid(format!("{mismatch:?}")))
        };
        self.rows.push((0..row.len()).map(cell).collect::<Result<_>>()?);
        Ok(())
    }
}

pub fn kept(sink: Box<dyn RowSink>) -> Keep {
    let sink: Box<dyn Any> = sink;
    *sink.downcast().unwrap()
}

pub async fn run(
    connection: &mut Box<dyn Connection>,
    sql: &str,
    params: &[Value<'_>],
) -> Result<(Vec<Vec<Value<'static>>>, Done)> {
    let (sink, done) = connection.query(&[], &Sql::raw(sql), params, Box::new(Keep::default())).await?;
    Ok((kept(sink).rows, done))
}

/// The one cell of the one row.
pub async fn cell(connection: &mut Box<dyn Connection>, sql: &str, params: &[Value<'_>]) -> Value<'static> {
    let (mut rows, _) = run(connection, sql, params).await.unwrap();
    assert_eq!((rows.len(), rows[0].len()), (1, 1), "{sql}");
    rows.remove(0).remove(0)
}

/// Sees the last row through `see`.
pub async fn look<T: Send + 'static>(connection: &mut Box<dyn Connection>, sql: &str, see: fn(&dyn Row) -> T) -> T {
    struct Look<T>(fn(&dyn Row) -> T, Option<T>);
    impl<T: Send + 'static> RowSink for Look<T> {
        fn row(&mut self, row: &dyn Row) -> Result<()> {
            self.1 = Some((self.0)(row));
            Ok(())
        }
    }
    let (sink, _) = connection.query(&[], &Sql::raw(sql), &[], Box::new(Look(see, None))).await.unwrap();
    let sink: Box<dyn Any> = sink;
    sink.downcast::<Look<T>>().unwrap().1.unwrap()
}

/// Rows made by a function.
pub struct Made<F>(pub F);

impl<F: Fn(usize, usize) -> Value<'static> + Send + Sync> RowSource for Made<F> {
    fn cell(&self, row: usize, column: usize) -> Value<'_> {
        (self.0)(row, column)
    }
}

pub fn bulk(
    schema: &'static Schema,
    columns: &'static [usize],
    rows: usize,
    returning: bool,
    cell: impl Fn(usize, usize) -> Value<'static> + Send + Sync + 'static,
) -> BulkInsert {
    BulkInsert {
        schema,
        prefix: None,
        columns: columns.into(),
        rows: 0..rows,
        source: Arc::new(Made(cell)),
        returning,
        conflict: None,
    }
}

pub const BEGIN: Control = Control::Begin(emr_core::Begin {
    isolation: None,
    read_only: false,
    deferrable: false,
    origin: None,
    for_cursor: false,
});
