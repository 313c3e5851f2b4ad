//! Many rows at once: by COPY, by arrays, or by lists of values.

use std::sync::Arc;

use emr_core::{
    Begin, BulkInsert, Control, Discard, Done, Error, ErrorKind, PrepareMode, Result, Row, RowSink, Sql, SqlBuilder,
    SqlType, Value, render,
};

use tokio_postgres::types::Type;

use super::query::{Failure, execute};
use super::session::{Prepared, Session, refusal};
use crate::dialect::{MAX_PARAMETERS, PostgresDialect};
use crate::types::{Column, Refused, element_of, is_text_format};

/// From this number of rows on, COPY is faster than arrays: even at 2,000 rows of three columns, 0.96 of the
/// time at 3,000 and 0.75 at 10,000 (PostgreSQL 15 on the same machine).
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
        if rows.columns.is_empty() && rows.conflict.is_none() {
            return self.insert_defaults(rows, sink).await;
        }
        // What a conflict says may have parameters of its own, which stand behind those of the rows.
        let simple = rows.conflict.as_ref().is_none_or(|conflict| conflict.is_plain());
        if self.prepare == PrepareMode::Unnamed || rows.columns.is_empty() || !simple {
            return self.in_chunks(rows, VALUES_ROWS, Road::Values, sink).await;
        }
        let (_, table) = self.table_columns(rows).await?;
        if !rows.returning
            && rows.conflict.is_none()
            && rows.len() >= COPY_FROM
            && self.takes_copy(&table).await?
            && let Some(done) = self.copy(rows).await?
        {
            return Ok(done);
        }
        if types(&table).any(|ty| element_of(ty).is_some()) {
            return self.in_chunks(rows, VALUES_ROWS, Road::Values, sink).await;
        }
        self.in_chunks(rows, UNNEST_ROWS, Road::Unnest, sink).await
    }

    /// Runs the insert in as many statements as it takes, all or none.
    async fn in_chunks(&mut self, rows: &BulkInsert, most: usize, road: Road, sink: &mut dyn RowSink) -> Result<Done> {
        let size = match road {
            // What a conflict says has parameters too.
            Road::Values if rows.conflict.is_some() => most.min(MAX_PARAMETERS / 2 / rows.columns.len().max(1)).max(1),
            Road::Values => most.min(MAX_PARAMETERS / rows.columns.len()).max(1),
            Road::Unnest => most,
        };
        if rows.len() <= size {
            return self.chunk(rows, road, sink).await;
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
            match self.chunk(&rows.slice(start..end), road, sink).await {
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

    async fn chunk(&mut self, rows: &BulkInsert, road: Road, sink: &mut dyn RowSink) -> Result<Done> {
        match road {
            Road::Unnest => self.unnest(rows, sink).await,
            Road::Values => {
                let capabilities = Arc::clone(&self.capabilities);
                let (sql, params) = SqlBuilder::build(&PostgresDialect, &capabilities, |out| {
                    let cell = |row, column| render::Cell::Value(rows.cell(row, column));
                    render::insert_values(out, rows.insert(), 0..rows.len(), &cell);
                })?;
                self.statement(&sql, &params, sink).await
            }
        }
    }

    /// One array per column: one text for any number of rows.
    async fn unnest(&mut self, rows: &BulkInsert, sink: &mut dyn RowSink) -> Result<Done> {
        let mut again = true;
        loop {
            let (described, table) = self.table_columns(rows).await?;
            let sql = self.unnest_sql(rows, &table)?;
            let (prepared, _) = self.prepared(&sql).await?;
            let columns = (0..rows.columns.len()).map(|parameter| Column { rows, parameter });
            let failure = match execute(self.client()?, &prepared, columns, sink).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            if failure.is_stale() {
                self.statements.remove(&described.key());
                self.statements.remove(&sql.key());
                if std::mem::take(&mut again) && self.may_repeat(&failure) {
                    continue;
                }
            }
            return Err(self.fail_cell(failure, rows));
        }
    }

    fn unnest_sql(&self, rows: &BulkInsert, table: &Prepared) -> Result<Sql> {
        let capabilities = Arc::clone(&self.capabilities);
        let made = SqlBuilder::build(&PostgresDialect, &capabilities, |out| {
            out.push("INSERT INTO ");
            table_name(out, rows);
            if rows.conflict.is_some() {
                out.push(" AS t0");
            }
            out.push(" (");
            column_names(out, rows);
            out.push(") SELECT * FROM UNNEST(");
            for (n, ty) in types(table).enumerate() {
                if n > 0 {
                    out.push(", ");
                }
                out.bind(Value::Null(SqlType::Unknown), None);
                out.push("::").ident(ty.schema()).push(".").ident(ty.name()).push("[]");
            }
            out.push(")");
            render::on_conflict(out, rows.insert());
            render::returning(out, rows.insert());
        });
        made.map(|(sql, _)| sql)
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

    /// The types that the set columns have in the table, which the schema may call otherwise; and the
    /// statement that asks for them.
    async fn table_columns(&mut self, rows: &BulkInsert) -> Result<(Sql, Arc<Prepared>)> {
        let sql = self.describe_sql(rows)?;
        let (table, _) = self.prepared(&sql).await?;
        Ok((sql, table))
    }

    pub(super) fn describe_sql(&self, rows: &BulkInsert) -> Result<Sql> {
        self.made(|out| {
            out.push("SELECT ");
            column_names(out, rows);
            out.push(" FROM ");
            table_name(out, rows);
        })
    }

    /// Whether COPY does for this table what INSERT does: not for views, rules and row security, nor for
    /// types whose binary form only the server knows.
    async fn takes_copy(&mut self, table: &Prepared) -> Result<bool> {
        let first = table.statement.columns().first();
        let Some(oid) = first.and_then(tokio_postgres::Column::table_oid) else { return Ok(false) };
        if types(table).any(is_text_format) {
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
    pub(super) fn fail_cell(&mut self, failure: Failure, rows: &BulkInsert) -> Error {
        if let Failure::Driver { error, .. } = &failure
            && let Some(refused) = refusal(error)
        {
            return refused_cell(rows, refused);
        }
        let hide = rows.columns.iter().any(|column| rows.schema.columns[*column].redact);
        match failure {
            Failure::Driver { error, .. } => self.note(&error, hide),
            other => self.fail(other, &Sql::once(""), &[]),
        }
    }
}

/// The error for a cell that its column does not take.
pub(super) fn refused_cell(rows: &BulkInsert, refused: &Refused) -> Error {
    let at = rows.columns[refused.parameter];
    let column = &rows.schema.columns[at];
    let found = if column.redact { "a redacted value".to_owned() } else { rows.cell(refused.row, at).describe() };
    Error::new(ErrorKind::Encode {
        table: rows.schema.table.to_owned(),
        column: column.name.to_owned(),
        expected: refused.expected.0.clone().into_owned(),
        found,
    })
}

/// How a chunk is inserted.
#[derive(Clone, Copy)]
enum Road {
    /// Arrays.
    Unnest,
    /// A list of values: array columns cannot be unnested, and without preparing nothing is described.
    Values,
}

/// The types of the columns.
pub(super) fn types(table: &Prepared) -> impl Iterator<Item = &Type> {
    table.statement.columns().iter().map(tokio_postgres::Column::type_)
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
