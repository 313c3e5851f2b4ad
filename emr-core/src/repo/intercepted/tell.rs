//! Telling interceptors what was written, in the transaction of the write.

use std::borrow::Cow;

use super::Repo;
use crate::capabilities::Returning;
use crate::error::Result;
use crate::exec::{CallOptions, Executor, With};
use crate::expr::{Node, SourceRef};
use crate::from_row::FromRow;
use crate::intercept::{Interceptors, Operation, Written};
use crate::preload::read_key;
use crate::query::SelectItem;
use crate::row::{Row, RowSink};
use crate::schema::{Schema, Syncable};
use crate::transaction::{TransactionOptions, Tx};
use crate::value::Value;

/// What is said of the rows of a write.
pub(super) struct Report {
    /// The table that stands in for the schema's.
    pub(super) table: Option<Cow<'static, str>>,
    pub(super) operation: Operation,
    pub(super) rows: u64,
    pub(super) keys: Option<Vec<Vec<Value<'static>>>>,
    pub(super) columns: Vec<&'static str>,
}

impl Report {
    /// Of rows that came back.
    pub(super) fn of<'t, T: Syncable>(
        operation: Operation,
        rows: impl IntoIterator<Item = &'t T>,
        columns: Vec<&'static str>,
    ) -> Self {
        let key = |row: &T| T::schema().primary_key.iter().map(|&at| row.value(at).into_owned()).collect();
        let keys: Vec<Vec<_>> = rows.into_iter().map(key).collect();
        Report { table: None, operation, rows: keys.len() as u64, keys: Some(keys), columns }
    }
}

/// A transaction for a write and for what its observers do.
pub(super) async fn begin(repo: &Repo<'_>) -> Result<Tx> {
    repo.start(TransactionOptions::new()).await
}

/// Tells everybody who observes the table. Writes of no row are told to nobody.
pub(super) async fn tell(tx: &Tx, verb: &'static str, schema: &'static Schema, report: Report) -> Result<()> {
    if report.rows == 0 {
        return Ok(());
    }
    let Report { table, operation, rows, keys, columns } = report;
    let table = table.unwrap_or(Cow::Borrowed(schema.table));
    let written = Written { schema, table, operation, verb, rows, keys, columns };
    let options = CallOptions { interceptors: Interceptors::NONE, ..tx.call_options() };
    let repo = With { repo: tx, options };
    for interceptor in tx.interceptors().all() {
        if interceptor.observes(schema) {
            interceptor.written(&repo, &written).await?;
        }
    }
    Ok(())
}

/// What brings the keys back, behind what the program asks for; `None` where the server gives only whole rows back, or where
/// nothing is read again for want of a key.
pub(super) fn key_items(schema: &'static Schema, how: Returning) -> Option<Vec<SelectItem>> {
    let gives_them = match how {
        Returning::Clause => true,
        Returning::No => !schema.primary_key.is_empty(),
        Returning::OutputInto => false,
    };
    if !gives_them {
        return None;
    }
    let item = |&column: &usize| {
        let node = Node::Column { source: SourceRef::Nth(0), schema, column };
        SelectItem::Expr { node, name: None }
    };
    Some(schema.primary_key.iter().map(item).collect())
}

/// Collects rows of `R` and the keys behind them.
pub(super) struct Keyed<R> {
    pub(super) rows: Vec<R>,
    pub(super) keys: Vec<Vec<Value<'static>>>,
    schema: &'static Schema,
}

impl<R> Keyed<R> {
    pub(super) fn of(schema: &'static Schema) -> Self {
        Keyed { rows: Vec::new(), keys: Vec::new(), schema }
    }
}

impl<R: FromRow> RowSink for Keyed<R> {
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        self.rows.push(R::read(row, 0)?);
        let cells = self.schema.primary_key.iter().enumerate();
        let key = cells
            .map(|(n, &column)| read_key(row, R::width() + n, self.schema.columns[column].ty).map(Value::into_owned));
        self.keys.push(key.collect::<Result<_>>()?);
        Ok(())
    }
}

/// Of a row from which nothing but its key is wanted.
pub(super) struct Nothing;

impl FromRow for Nothing {
    fn width() -> usize {
        0
    }

    fn read(_: &dyn Row, _: usize) -> Result<Self> {
        Ok(Nothing)
    }
}
