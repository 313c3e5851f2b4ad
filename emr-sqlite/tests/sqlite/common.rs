//! What the tests of this crate share: connections by options, and sinks that keep what they were given.

use std::any::Any;
use std::sync::Arc;

use emr_core::{
    Adapter, Begin, Connection, Connector, Control, Done, Error, Mismatch, RepoOptions, ResultColumn, Role, Row,
    RowSink, Sql, Value, adapter_named,
};
use emr_sqlite as _;
use tempfile::TempDir;

/// The adapter, as programs find it.
pub(crate) fn adapter() -> &'static dyn Adapter {
    adapter_named("sqlite").expect("registered")
}

pub(crate) fn connector(options: &RepoOptions) -> Arc<dyn Connector> {
    adapter().connector(options).expect("options")
}

pub(crate) async fn open(options: &RepoOptions, role: Role) -> Box<dyn Connection> {
    connector(options).connect(role).await.expect("connect")
}

/// A database in memory.
pub(crate) async fn memory() -> Box<dyn Connection> {
    open(&RepoOptions::sqlite(":memory:"), Role::Write).await
}

/// A file in a directory of its own, which lives as long as the first part.
pub(crate) fn file() -> (TempDir, RepoOptions) {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("test.db").to_str().expect("Unicode").to_owned();
    (directory, RepoOptions::sqlite(path))
}

/// Keeps rows and columns.
#[derive(Default)]
pub(crate) struct Keep {
    pub(crate) columns: Option<Vec<ResultColumn>>,
    pub(crate) rows: Vec<Vec<Value<'static>>>,
    /// Refuses the row with this number, counted from 0.
    pub(crate) refuse: Option<usize>,
}

impl RowSink for Keep {
    fn columns(&mut self, columns: &[ResultColumn]) -> Result<(), Error> {
        assert!(self.columns.replace(columns.to_vec()).is_none(), "columns come once");
        Ok(())
    }

    fn wants_columns(&self) -> bool {
        true
    }

    fn row(&mut self, row: &dyn Row) -> Result<(), Error> {
        if self.refuse == Some(self.rows.len()) {
            return Err(Error::invalid("the sink has had enough"));
        }
        let cells = (0..row.len()).map(|at| row.value(at).map(Value::into_owned));
        self.rows.push(cells.collect::<Result<_, Mismatch>>().expect("values"));
        Ok(())
    }
}

/// The sink behind the box.
pub(crate) fn kept(sink: Box<dyn RowSink>) -> Keep {
    *(sink as Box<dyn Any>).downcast().expect("the sink that went in")
}

/// Runs one statement with parameters.
pub(crate) async fn run(
    db: &mut dyn Connection,
    controls: &[Control],
    sql: &str,
    params: &[Value<'_>],
) -> Result<(Keep, Done), Error> {
    let (sink, done) = db.query(controls, &Sql::raw(sql), params, Box::new(Keep::default())).await?;
    Ok((kept(sink), done))
}

/// Runs one statement and gives its rows.
pub(crate) async fn rows(db: &mut dyn Connection, sql: &str) -> Vec<Vec<Value<'static>>> {
    run(db, &[], sql, &[]).await.expect(sql).0.rows
}

/// Runs one statement that gives one number.
pub(crate) async fn number(db: &mut dyn Connection, sql: &str) -> i64 {
    match rows(db, sql).await.as_slice() {
        [row] => match row.as_slice() {
            [Value::I64(number)] => *number,
            other => panic!("{sql}: {other:?}"),
        },
        other => panic!("{sql}: {other:?}"),
    }
}

/// The error of one statement.
pub(crate) async fn error(db: &mut dyn Connection, sql: &str, params: &[Value<'_>]) -> Error {
    match run(db, &[], sql, params).await {
        Ok((keep, done)) => panic!("{sql} gave {:?} and {done:?}", keep.rows),
        Err(error) => error,
    }
}

pub(crate) fn begin() -> Control {
    Control::Begin(Begin::default())
}

pub(crate) fn begin_read_only() -> Control {
    Control::Begin(Begin { read_only: true, ..Begin::default() })
}

/// Counts forever, without a lock.
pub(crate) const ENDLESS: &str =
    "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c";

/// Reads cells with a function.
pub(crate) struct Read<T: Send + 'static>(pub(crate) fn(&dyn Row) -> T, pub(crate) Vec<T>);

impl<T: Send + 'static> RowSink for Read<T> {
    fn row(&mut self, row: &dyn Row) -> Result<(), Error> {
        self.1.push((self.0)(row));
        Ok(())
    }
}

/// Runs one statement and reads its first row.
pub(crate) async fn first<T: Send + 'static>(
    db: &mut dyn Connection,
    sql: &str,
    params: &[Value<'_>],
    read: fn(&dyn Row) -> T,
) -> T {
    let (sink, _) = db.query(&[], &Sql::raw(sql), params, Box::new(Read(read, Vec::new()))).await.expect(sql);
    let read: Box<Read<T>> = (sink as Box<dyn Any>).downcast().expect("the sink that went in");
    read.1.into_iter().next().expect("a row")
}
