//! One statement: bind, run, push the rows.

use std::time::Duration;

use emr_core::{Control, Done, Error, Result, ResultColumn, RowSink, Sql, Value};
use mysql_async::prelude::{Protocol, Queryable};
use mysql_async::{Column, Params, QueryResult, Statement, Value as Wire};

use super::session::{Session, TransactionState};
use crate::dialect::LEXIS;
use crate::types::{MySqlRow, Slots, encode, size, type_name};

/// Rows that are read and thrown away after the sink failed, before the connection is given up instead.
pub(super) const DRAIN_ROWS: usize = 1_000;
pub(super) const DRAIN_TIME: Duration = Duration::from_millis(100);

/// The server cannot prepare this statement.
const UNPREPARABLE: u16 = 1295;

/// Why a statement failed.
pub(super) enum Failure {
    Driver(mysql_async::Error),
    /// The same of a statement that was not prepared, and so did not run.
    Unprepared(mysql_async::Error),
    /// It was refused here.
    Ours(Error),
    /// The sink did not take a row.
    Sink {
        error: Error,
        /// Whether the server has nothing more to send.
        drained: bool,
    },
}

impl From<mysql_async::Error> for Failure {
    fn from(error: mysql_async::Error) -> Self {
        Failure::Driver(error)
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
        if !controls.is_empty() {
            Box::pin(self.control(controls)).await?;
        }
        self.statement(sql, params, sink).await
    }

    pub(super) async fn statement(&mut self, sql: &Sql, params: &[Value<'_>], sink: &mut dyn RowSink) -> Result<Done> {
        self.refuse_aborted()?;
        if self.cursors.is_reading() {
            Box::pin(self.read_ahead()).await?;
        }
        let result = self.run(sql, params, sink).await;
        match result {
            Ok(done) => {
                self.follow();
                Box::pin(self.forget()).await?;
                Ok(done)
            }
            Err(failure) => {
                let error = self.fail(failure, sql, params);
                if self.transaction != TransactionState::Aborted && runs_others(sql.text()) {
                    Box::pin(self.ask()).await;
                }
                Err(Box::pin(self.with_columns(error, sql, params.len())).await)
            }
        }
    }

    pub(super) async fn run(
        &mut self,
        sql: &Sql,
        params: &[Value<'_>],
        sink: &mut dyn RowSink,
    ) -> Result<Done, Failure> {
        let wire = self.bound(sql, params).map_err(Failure::Ours)?;
        let statement = match self.prepared(sql).await {
            Err(Failure::Unprepared(mysql_async::Error::Server(error)))
                if error.code == UNPREPARABLE && params.is_empty() =>
            {
                return Box::pin(self.run_as_text(sql, sink)).await;
            }
            prepared => prepared?,
        };
        check_count(&statement, params.len()).map_err(Failure::Ours)?;
        self.has_sent = true;
        let conn = self.conn().map_err(Failure::Ours)?;
        let result = conn.exec_iter(&statement, wire).await?;
        push(result, sink).await
    }

    /// Runs a statement that can only be sent as text. Such statements give no rows that anybody reads by type.
    async fn run_as_text(&mut self, sql: &Sql, sink: &mut dyn RowSink) -> Result<Done, Failure> {
        self.has_sent = true;
        let conn = self.conn().map_err(Failure::Ours)?;
        let result = conn.query_iter(sql.text()).await?;
        push(result, sink).await
    }

    /// The parameters as the driver takes them.
    pub(super) fn bound(&self, sql: &Sql, params: &[Value<'_>]) -> Result<Params> {
        let mut wire: Vec<Wire> = Vec::with_capacity(params.len());
        let mut bytes = sql.text().len();
        for (n, value) in params.iter().enumerate() {
            let column = sql.context(n).map(|(schema, column)| &schema.columns[column]);
            let sent = encode(value, column, self.uuids);
            wire.push(sent.map_err(|expected| sql.encode_error(n, expected.0, value))?);
            bytes += size(value);
        }
        self.refuse_large(bytes)?;
        Ok(if wire.is_empty() { Params::Empty } else { Params::Positional(wire) })
    }

    /// Refuses a message that the server does not take: it would end the session.
    fn refuse_large(&self, bytes: usize) -> Result<()> {
        if bytes <= self.max_packet {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the statement and its values take about {bytes} bytes; the server's max_allowed_packet is {}",
            self.max_packet
        )))
    }

    /// Runs SQL of any number of statements.
    pub(super) async fn script(&mut self, sql: &str) -> Result<()> {
        self.refuse_aborted()?;
        if self.cursors.is_reading() {
            self.read_ahead().await?;
        }
        if sql.trim().is_empty() {
            return Ok(());
        }
        self.refuse_large(sql.len())?;
        self.has_sent = true;
        let result = self.conn()?.query_drop(sql).await;
        match result {
            Ok(()) => {
                self.follow();
                Ok(())
            }
            Err(error) => {
                let error = self.note(&error, false);
                if self.transaction != TransactionState::Aborted {
                    self.ask().await;
                }
                Err(error)
            }
        }
    }
}

/// Whether a statement runs others, which may begin and end transactions before one of them fails.
fn runs_others(sql: &str) -> bool {
    ["CALL", "EXECUTE"].iter().any(|word| LEXIS.first_word(sql).eq_ignore_ascii_case(word))
}

/// Refuses a wrong number of parameters.
pub(super) fn check_count(statement: &Statement, given: usize) -> Result<()> {
    let wanted = usize::from(statement.num_params());
    if wanted == given {
        return Ok(());
    }
    Err(Error::invalid(format!("the statement has {wanted} parameters (?), but {given} values were given")))
}

/// Pushes the rows of a result.
async fn push<P: Protocol>(mut result: QueryResult<'_, '_, P>, sink: &mut dyn RowSink) -> Result<Done, Failure> {
    if sink.wants_columns()
        && let Err(error) = sink.columns(&describe(result.columns_ref()))
    {
        return Err(Box::pin(drain(result, error)).await);
    }
    let columns = result.columns().unwrap_or_default();
    let has_rows = !columns.is_empty();
    let reads_once = sink.reads_once();
    let mut cells = Slots::default();
    let mut rows = 0;
    while let Some(row) = result.next().await? {
        rows += 1;
        cells.fill(row);
        let taken = sink.row(&MySqlRow::new(&cells, &columns, reads_once));
        if let Err(error) = taken {
            return Err(Box::pin(drain(result, error)).await);
        }
    }
    let rows = if has_rows { rows } else { result.affected_rows() };
    let last_insert_id = result.last_insert_id().and_then(|id| i64::try_from(id).ok());
    // What a procedure gives beside its first result.
    result.drop_result().await?;
    Ok(Done { rows, last_insert_id, end: false })
}

pub(super) fn describe(columns: &[Column]) -> Vec<ResultColumn> {
    columns
        .iter()
        .map(|column| ResultColumn { name: column.name_str().into_owned(), type_name: type_name(column) })
        .collect()
}

/// Reads a short rest away, so that the connection stays; gives up on a long one.
async fn drain<P: Protocol>(mut result: QueryResult<'_, '_, P>, error: Error) -> Failure {
    let rest = async {
        for _ in 0..DRAIN_ROWS {
            match result.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return result.is_empty(),
                Err(_) => return false,
            }
        }
        false
    };
    let drained = tokio::time::timeout(DRAIN_TIME, rest).await.unwrap_or(false);
    Failure::Sink { error, drained }
}
