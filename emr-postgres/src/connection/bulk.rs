//! Many rows at once: by COPY, by arrays, or by lists of values.

use std::sync::Arc;

use emr_core::{
    Begin, BulkInsert, Control, Discard, Done, PrepareMode, Result, Row, RowSink, Sql, SqlBuilder, SqlType, Value,
    render,
};

use super::query::{Failure, execute};
use super::session::{Prepared, Session, refusal};
use crate::dialect::{MAX_PARAMETERS, PostgresDialect};
use crate::types::{Column, element_of, is_text_format};

/// From this number of rows on, COPY is faster than arrays. Measured: see the benchmark crate.
const COPY_FROM: usize = 2_000;
/// The most rows that one statement takes as arrays: it keeps a message in the megabytes.
const UNNEST_ROWS: usize = 20_000;
/// The most rows in one list of values: longer ones gain nothing and fill the cache of texts.
const VALUES_ROWS: usize = 500;
/// Stands apart from the levels that transactions count.
const LEVEL: u32 = u32::MAX;

impl Session {
    pub(super) async fn insert_many(
        &mut self,
        controls: &[Control],
        rows: &BulkInsert,
        sink: Option<&mut (dyn RowSink + 'static)>,
    ) -> Result<Done> {
        self.control(controls).await?;
        let mut discard = Discard;
        let sink: &mut dyn RowSink = match sink {
            Some(sink) => sink,
            None => &mut discard,
        };
        if rows.is_empty() {
            return Ok(Done::default());
        }
        if rows.columns.is_empty() {
            return self.insert_defaults(rows, sink).await;
        }
        if self.prepare == PrepareMode::Unnamed {
            return self.in_chunks(rows, VALUES_ROWS, Road::Values, sink).await;
        }
        let table = self.table_columns(rows).await?;
        if !rows.returning && rows.len() >= COPY_FROM && self.takes_copy(&table).await? {
            return self.copy(rows, &table).await;
        }
        let types = || table.statement.columns().iter().map(tokio_postgres::Column::type_);
        if types().any(|ty| element_of(ty).is_some()) {
            return self.in_chunks(rows, VALUES_ROWS, Road::Values, sink).await;
        }
        self.in_chunks(rows, UNNEST_ROWS, Road::Unnest(&table), sink).await
    }

    /// Runs the insert in as many statements as it takes, all or none.
    async fn in_chunks(
        &mut self,
        rows: &BulkInsert,
        most: usize,
        road: Road<'_>,
        sink: &mut dyn RowSink,
    ) -> Result<Done> {
        let size = match road {
            Road::Values => most.min(MAX_PARAMETERS / rows.columns.len()).max(1),
            Road::Unnest(_) => most,
        };
        if rows.len() <= size {
            return self.chunk(rows, &road, sink).await;
        }
        let (open, undo, close) = if self.in_transaction() {
            (Control::Savepoint(LEVEL), Control::RollbackTo(LEVEL), Control::Release(LEVEL))
        } else {
            (Control::Begin(Begin::default()), Control::Rollback, Control::Commit)
        };
        self.control(&[open]).await?;
        let mut done = Done::default();
        let mut start = 0;
        while start < rows.len() {
            let end = (start + size).min(rows.len());
            match self.chunk(&rows.slice(start..end), &road, sink).await {
                Ok(part) => done.rows += part.rows,
                Err(error) => {
                    self.tainted |= self.control(&[undo]).await.is_err();
                    return Err(error);
                }
            }
            start = end;
        }
        self.control(&[close]).await?;
        Ok(done)
    }

    async fn chunk(&mut self, rows: &BulkInsert, road: &Road<'_>, sink: &mut dyn RowSink) -> Result<Done> {
        match road {
            Road::Unnest(table) => self.unnest(rows, table, sink).await,
            Road::Values => {
                let capabilities = Arc::clone(&self.capabilities);
                let (sql, params) = SqlBuilder::build(&PostgresDialect, &capabilities, |out| {
                    let cell = |row, column| rows.cell(row, column);
                    let prefix = rows.prefix.as_deref();
                    render::insert_rows(out, rows.schema, prefix, &rows.columns, 0..rows.len(), &cell, rows.returning);
                })?;
                self.statement(&sql, &params, sink).await
            }
        }
    }

    /// One array per column: one text for any number of rows.
    async fn unnest(&mut self, rows: &BulkInsert, table: &Prepared, sink: &mut dyn RowSink) -> Result<Done> {
        let sql = self.made(|out| {
            out.push("INSERT INTO ");
            table_name(out, rows);
            out.push(" (");
            column_names(out, rows);
            out.push(") SELECT * FROM UNNEST(");
            for (n, (column, &position)) in table.statement.columns().iter().zip(rows.columns.iter()).enumerate() {
                if n > 0 {
                    out.push(", ");
                }
                let ty = column.type_();
                out.bind(Value::Null(SqlType::Unknown), Some((rows.schema, position)));
                out.push("::").ident(ty.schema()).push(".").ident(ty.name()).push("[]");
            }
            out.push(")");
            returning(out, rows);
        })?;
        let mut again = true;
        loop {
            let (prepared, kept) = self.prepared(&sql).await?;
            let columns = (0..rows.columns.len()).map(|parameter| Column { rows, parameter });
            let failure = match execute(self.client()?, &prepared, columns, sink).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            if kept && failure.is_stale() {
                self.statements.remove(&sql.key());
                if std::mem::take(&mut again) && !self.in_transaction() {
                    continue;
                }
            }
            return Err(self.fail_cell(failure, &sql, rows));
        }
    }

    /// Rows of nothing but defaults.
    async fn insert_defaults(&mut self, rows: &BulkInsert, sink: &mut dyn RowSink) -> Result<Done> {
        let sql = self.made(|out| {
            out.push("INSERT INTO ");
            table_name(out, rows);
            out.push(" SELECT FROM generate_series(1, ").bind(Value::I64(0), None).push("::int8)");
            returning(out, rows);
        })?;
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        self.statement(&sql, &[Value::I64(count)], sink).await
    }

    /// The types that the set columns have in the table, which the schema may call otherwise.
    async fn table_columns(&mut self, rows: &BulkInsert) -> Result<Arc<Prepared>> {
        let sql = self.made(|out| {
            out.push("SELECT ");
            column_names(out, rows);
            out.push(" FROM ");
            table_name(out, rows);
        })?;
        Ok(self.prepared(&sql).await?.0)
    }

    /// Whether COPY does for this table what INSERT does: not for views, rules and row security, nor for
    /// types whose binary form only the server knows.
    async fn takes_copy(&mut self, table: &Prepared) -> Result<bool> {
        let columns = table.statement.columns();
        let Some(oid) = columns.first().and_then(tokio_postgres::Column::table_oid) else { return Ok(false) };
        if columns.iter().any(|column| is_text_format(column.type_())) {
            return Ok(false);
        }
        if let Some(known) = self.copyable.get(&oid) {
            return Ok(*known);
        }
        let sql = Sql::raw(
            "SELECT relkind IN ('r', 'p') AND NOT relhasrules AND NOT row_security_active(oid) \
             FROM pg_catalog.pg_class WHERE oid = $1",
        );
        let mut answer = Truth(false);
        self.statement(&sql, &[Value::I64(oid.into())], &mut answer).await?;
        self.copyable.insert(oid, answer.0);
        Ok(answer.0)
    }

    /// SQL whose parameters are bound elsewhere, made once.
    pub(super) fn made(&self, render: impl Fn(&mut SqlBuilder<'_>)) -> Result<Sql> {
        SqlBuilder::build(&PostgresDialect, &self.capabilities, |out| render(out)).map(|(sql, _)| sql)
    }

    /// As [`fail`](Session::fail), naming the cell that was refused.
    pub(super) fn fail_cell(&mut self, failure: Failure, sql: &Sql, rows: &BulkInsert) -> emr_core::Error {
        if let Failure::Driver { error, .. } = &failure
            && let Some(refused) = refusal(error)
        {
            let cell = rows.cell(refused.row, rows.columns[refused.parameter]);
            return sql.encode_error(refused.parameter, refused.expected.0.clone(), &cell);
        }
        let hide = rows.columns.iter().any(|column| rows.schema.columns[*column].redact);
        match failure {
            Failure::Driver { error, .. } => self.note(&error, hide),
            other => self.fail(other, sql, &[]),
        }
    }
}

/// How a chunk is inserted.
enum Road<'t> {
    /// Arrays, with the table's columns as the server describes them.
    Unnest(&'t Prepared),
    /// A list of values: array columns cannot be unnested, and without preparing nothing is described.
    Values,
}

pub(super) fn table_name(out: &mut SqlBuilder<'_>, rows: &BulkInsert) {
    if let Some(prefix) = rows.prefix.as_deref().or(rows.schema.prefix) {
        out.ident(prefix).push(".");
    }
    out.ident(rows.schema.table);
}

pub(super) fn column_names(out: &mut SqlBuilder<'_>, rows: &BulkInsert) {
    for (n, &column) in rows.columns.iter().enumerate() {
        if n > 0 {
            out.push(", ");
        }
        out.ident(rows.schema.columns[column].name);
    }
}

fn returning(out: &mut SqlBuilder<'_>, rows: &BulkInsert) {
    if !rows.returning {
        return;
    }
    out.push(" RETURNING ");
    for (n, column) in rows.schema.columns.iter().enumerate() {
        if n > 0 {
            out.push(", ");
        }
        out.ident(column.name);
    }
}

/// Takes one boolean.
struct Truth(bool);

impl RowSink for Truth {
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        self.0 = matches!(row.bool(0), Ok(Some(true)));
        Ok(())
    }
}
