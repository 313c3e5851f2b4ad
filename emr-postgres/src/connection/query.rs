//! One statement: bind, run, push the rows.

use std::pin::{Pin, pin};
use std::time::Duration;

use emr_core::{Control, Done, Error, PrepareMode, Result, ResultColumn, RowSink, Sql, Value};
use futures_util::TryStreamExt;
use tokio_postgres::types::BorrowToSql;
use tokio_postgres::{Client, Column, RowStream};

use super::session::{Prepared, Session};
use crate::types::{Params, PgRow, Wire, natural};

/// Rows that are read and thrown away after the sink failed, before the connection is given up instead.
const DRAIN_ROWS: usize = 1_000;
const DRAIN_TIME: Duration = Duration::from_millis(100);

/// Why a statement failed.
pub(super) enum Failure {
    Driver {
        error: tokio_postgres::Error,
        /// It had begun to run, and rows may have been pushed.
        running: bool,
    },
    /// The sink did not take a row.
    Sink {
        error: Error,
        /// Whether the server has nothing more to send.
        drained: bool,
    },
    /// There was no statement in the text.
    Empty,
}

impl Failure {
    /// It failed before it ran.
    pub(super) fn before(error: tokio_postgres::Error) -> Self {
        Failure::Driver { error, running: false }
    }

    /// The kept statement does not fit the tables of today, or is gone from the server. It has not run.
    pub(super) fn is_stale(&self) -> bool {
        let Failure::Driver { error, running: false } = self else { return false };
        let Some(server) = error.as_db_error() else { return false };
        match server.code().code() {
            // The server's words for it are in its own language; the name of its function is not.
            "0A000" => server.routine() == Some("RevalidateCachedQuery"),
            // The statement is gone; a column has another type now.
            "26000" | "42804" | "42883" => true,
            _ => false,
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Failure::Driver { error, running: true }
    }
}

impl Session {
    pub(super) async fn query(
        &mut self,
        controls: &[Control],
        sql: &Sql,
        params: &[Value<'_>],
        sink: &mut dyn RowSink,
    ) -> Result<Done> {
        // The driver ends every message with a Sync: a statement sent along with a BEGIN that fails would
        // run in autocommit.
        self.control(controls).await?;
        self.statement(sql, params, sink).await
    }

    /// Runs a statement, and once more if it was prepared for tables that have changed since.
    pub(super) async fn statement(&mut self, sql: &Sql, params: &[Value<'_>], sink: &mut dyn RowSink) -> Result<Done> {
        if self.prepare == PrepareMode::Unnamed {
            return Box::pin(self.unnamed(sql, params, sink)).await;
        }
        let (prepared, kept) = self.prepared(sql).await?;
        check_count(&prepared, params.len())?;
        let failure = match execute(self.client()?, &prepared, Params::new(params), sink).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        if !(kept && failure.is_stale()) {
            return Err(self.fail(failure, sql, params));
        }
        self.statements.remove(&sql.key());
        if self.in_transaction() {
            return Err(self.fail(failure, sql, params));
        }
        // Boxed, as all that is rare on this path: every call's future would be as large as the largest.
        Box::pin(self.statement_anew(sql, params, sink)).await
    }

    async fn statement_anew(&mut self, sql: &Sql, params: &[Value<'_>], sink: &mut dyn RowSink) -> Result<Done> {
        let (prepared, _) = self.prepared(sql).await?;
        check_count(&prepared, params.len())?;
        let result = execute(self.client()?, &prepared, Params::new(params), sink).await;
        result.map_err(|failure| self.fail(failure, sql, params))
    }

    async fn unnamed(&mut self, sql: &Sql, params: &[Value<'_>], sink: &mut dyn RowSink) -> Result<Done> {
        let result = execute_unnamed(self.client()?, sql, params, sink).await;
        result.map_err(|failure| self.fail(failure, sql, params))
    }

    /// Runs SQL of any number of statements.
    pub(super) async fn script(&mut self, sql: &str) -> Result<()> {
        let Err(error) = self.client()?.batch_execute(sql).await else { return Ok(()) };
        let ours = self.note(&error, false);
        if !self.in_transaction() && error.as_db_error().is_some() {
            // The script may have begun a transaction of its own, which is now aborted.
            if let Err(error) = self.client()?.batch_execute("ROLLBACK").await {
                self.note(&error, false);
                self.tainted = true;
            }
        }
        Err(ours)
    }
}

/// Refuses a wrong number of parameters.
pub(super) fn check_count(prepared: &Prepared, given: usize) -> Result<()> {
    let wanted = prepared.statement.params().len();
    if wanted == given {
        return Ok(());
    }
    Err(Error::invalid(format!("the statement has {wanted} parameters ($1, $2, …), but {given} values were given")))
}

/// Runs a prepared statement and pushes its rows.
pub(super) async fn execute<P, I>(
    client: &Client,
    prepared: &Prepared,
    params: I,
    sink: &mut dyn RowSink,
) -> Result<Done, Failure>
where
    P: BorrowToSql,
    I: IntoIterator<Item = P>,
    I::IntoIter: ExactSizeIterator,
{
    let stream = client.query_raw(&prepared.statement, params).await.map_err(Failure::before)?;
    let mut stream = pin!(stream);
    if sink.wants_columns()
        && let Err(error) = sink.columns(&describe(prepared.statement.columns()))
    {
        return Err(Box::pin(drain(stream, error)).await);
    }
    while let Some(row) = stream.try_next().await? {
        let taken = sink.row(&PgRow::new(&row, &prepared.columns));
        if let Err(error) = taken {
            return Err(Box::pin(drain(stream, error)).await);
        }
    }
    finish(&stream)
}

/// The same without preparing: the parameters' types come from the values, the columns' with the rows.
pub(super) async fn execute_unnamed(
    client: &Client,
    sql: &Sql,
    params: &[Value<'_>],
    sink: &mut dyn RowSink,
) -> Result<Done, Failure> {
    let typed = Params::new(params).map(|param| {
        let ty = natural(param.value());
        (param, ty)
    });
    let stream = client.query_typed_raw(sql.text(), typed).await.map_err(Failure::before)?;
    let mut stream = pin!(stream);
    let mut columns: Option<Box<[Wire]>> = None;
    while let Some(row) = stream.try_next().await? {
        if columns.is_none()
            && sink.wants_columns()
            && let Err(error) = sink.columns(&describe(row.columns()))
        {
            return Err(Box::pin(drain(stream, error)).await);
        }
        let columns =
            columns.get_or_insert_with(|| row.columns().iter().map(|column| Wire::of(column.type_())).collect());
        let taken = sink.row(&PgRow::new(&row, columns));
        if let Err(error) = taken {
            return Err(Box::pin(drain(stream, error)).await);
        }
    }
    let done = finish(&stream)?;
    if columns.is_none() && sink.wants_columns() {
        // The driver shows the columns of such a statement with its rows only, and there are none.
        let naturals: Vec<_> = params.iter().map(natural).collect();
        let described = client.prepare_typed(sql.text(), &naturals).await?;
        if let Err(error) = sink.columns(&describe(described.columns())) {
            return Err(Failure::Sink { error, drained: true });
        }
    }
    Ok(done)
}

fn describe(columns: &[Column]) -> Vec<ResultColumn> {
    columns
        .iter()
        .map(|column| ResultColumn { name: column.name().to_owned(), type_name: column.type_().name().to_owned() })
        .collect()
}

fn finish(stream: &RowStream) -> Result<Done, Failure> {
    // Only an empty text ends without a command tag.
    let rows = stream.rows_affected().ok_or(Failure::Empty)?;
    Ok(Done { rows, ..Done::default() })
}

/// Reads a short rest away, so that the connection stays; gives up on a long one.
async fn drain(mut stream: Pin<&mut RowStream>, error: Error) -> Failure {
    let rest = async {
        for _ in 0..DRAIN_ROWS {
            match stream.try_next().await {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        false
    };
    let drained = tokio::time::timeout(DRAIN_TIME, rest).await.unwrap_or(false);
    Failure::Sink { error, drained }
}
