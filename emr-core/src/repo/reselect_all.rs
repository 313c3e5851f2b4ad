//! Rows of an update or a delete of many that the server does not give back. Their keys are read and the rows locked, then
//! they are written by their keys, and read again: all in one transaction, so that they are the same rows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::change::finish;
use super::reload::{chunk_of_keys, of_keys};
use crate::connection::{Done, Role};
use crate::dialect::AliasStyle;
use crate::error::{Error, Result};
use crate::exec::{Call, Executor, Job, known, run};
use crate::expr::{Node, SourceRef};
use crate::preload::{Key, Keys, read_key};
use crate::query::{Assignment, Lock, Relation, SelectBody, SelectItem};
use crate::render;
use crate::row::{Discard, Row, RowSink};
use crate::schema::Schema;
use crate::sql::SqlBuilder;
use crate::transaction::TransactionOptions;
use crate::{Capabilities, Returning};

/// A write whose rows are wanted: these items of each, or with none of them all columns.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'q> {
    pub(super) verb: &'static str,
    pub(super) body: &'q SelectBody,
    /// What an update sets; a delete sets nothing.
    pub(super) assignments: Option<&'q [Assignment]>,
    pub(super) items: &'q [SelectItem],
}

impl Wanted<'_> {
    /// Whether the server gives nothing back of this write. Where servers of one adapter differ in that, the first connection
    /// tells.
    pub(super) async fn is_reselected(&self, executor: &impl Executor) -> Result<bool> {
        let repo = executor.inner().0;
        if self.assignments.is_some() {
            return Ok(repo.capabilities().update_returning == Returning::No);
        }
        if repo.capabilities().delete_returning == Returning::No {
            known(executor).await?;
        }
        // A DELETE of several tables returns no rows, where one has that form.
        let joined = !self.body.joins.is_empty() && repo.dialect().alias_style() == AliasStyle::Qualified;
        Ok(joined || repo.capabilities().delete_returning == Returning::No)
    }

    /// Runs the write, and pushes what is wanted of its rows.
    pub(super) async fn run<S: RowSink>(&self, executor: &impl Executor, sink: S) -> Result<(S, Done)> {
        let Some(schema) = self.body.from.relation.schema() else { return Err(self.refused_table(executor)) };
        let reading = self.reading(executor, schema)?;
        if executor.is_transaction() {
            return Box::pin(self.run_in(executor, schema, &reading, sink)).await;
        }
        let tx = executor.start(TransactionOptions::new()).await?;
        let result = Box::pin(self.run_in(&tx, schema, &reading, sink)).await;
        finish(tx, result).await
    }

    async fn run_in<S: RowSink>(
        &self,
        tx: &impl Executor,
        schema: &'static Schema,
        reading: &SelectBody,
        sink: S,
    ) -> Result<(S, Done)> {
        let sink = Arc::new(Mutex::new(sink));
        let mut lock = self.body.clone();
        lock.select = match self.assignments {
            Some(_) => Vec::new(),
            None if self.items.is_empty() => vec![SelectItem::Row { source: SourceRef::Nth(0), schema }],
            None => self.items.to_vec(),
        };
        lock.select.extend(schema.primary_key.iter().map(|&column| item(schema, column)));
        lock.lock = Some(Lock::UPDATE);
        let rows = || self.assignments.is_none().then(|| Arc::clone(&sink));
        let (locked, _) =
            self.read(tx, &lock, || Locked { schema, keys: Keys::new(key_len(schema)), rows: rows() }).await?;
        let Locked { keys, rows, .. } = locked;
        drop(rows);
        let all = keys.all();
        let mut done = Done::default();
        let mut start = 0;
        while start < all.end {
            let end = start.saturating_add(chunk_of_keys(schema)).min(all.end);
            let of_these = of_keys(schema, keys.rows(&(start..end))).filter;
            let mut write = self.body.clone();
            if write.joins.is_empty() {
                // Which rows they are is known, and what was written already must not change it.
                write.filter.clear();
            }
            write.filter.extend(of_these.iter().cloned());
            done.rows += self.write(tx, &write).await?.rows;
            if self.assignments.is_some() {
                let again = SelectBody { filter: of_these, ..reading.clone() };
                self.read(tx, &again, || Through(Arc::clone(&sink))).await?;
            }
            start = end;
        }
        // Every statement is over, and with it its sink.
        let sink =
            Arc::into_inner(sink).ok_or_else(|| Error::invalid("the adapter kept a sink of a statement that ended"))?;
        Ok((sink.into_inner().unwrap_or_else(PoisonError::into_inner), done))
    }

    /// The query that reads updated rows again, but for their keys. Refuses before anything is sent what cannot be done.
    fn reading(&self, executor: &impl Executor, schema: &'static Schema) -> Result<SelectBody> {
        let capabilities = executor.inner().0.capabilities();
        let unsupported = |feature: &str| Error::unsupported(feature, &*capabilities.server);
        if schema.primary_key.is_empty() {
            return Err(unsupported("returning the rows of an update or delete of a table without a primary key"));
        }
        for item in self.items {
            match item {
                SelectItem::Row { schema: of, .. } if *of == schema => {}
                SelectItem::Row { .. } => return Err(unsupported("returning the rows of another table")),
                SelectItem::Expr { node, .. } => {
                    let plain = node.as_column().is_some_and(|(of, _)| of == schema);
                    if !self.body.joins.is_empty() && !plain {
                        return Err(unsupported("returning what the joins of an update or delete read"));
                    }
                }
            }
        }
        let sets_key = |assignment: &Assignment| schema.primary_key.contains(&assignment.column);
        if self.assignments.is_some_and(|assignments| assignments.iter().any(sets_key)) {
            return Err(unsupported("returning the rows of an update that changes their keys"));
        }
        self.make_write(executor, capabilities, self.body, None)?;
        let mut reading = SelectBody::of(Relation::Schema(schema));
        reading.from = self.body.from.clone();
        reading.select = self.items.to_vec();
        make_read(executor, capabilities, &reading, None)?;
        Ok(reading)
    }

    /// A table without a schema, which the renderer refuses.
    fn refused_table(&self, executor: &impl Executor) -> Error {
        match self.make_write(executor, executor.inner().0.capabilities(), self.body, None) {
            Err(error) => error,
            Ok(_) => Error::invalid("returning the rows of a table that has no schema"),
        }
    }

    fn make_write<'b>(
        &'b self,
        executor: &impl Executor,
        capabilities: &'static Capabilities,
        body: &'b SelectBody,
        prefix: Option<&'b str>,
    ) -> Result<Job<'b>> {
        SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| match self.assignments {
            Some(assignments) => render::update_all(out, body, assignments, prefix),
            None => render::delete_all(out, body, prefix),
        })
        .map(|(sql, params)| Job::Statement(sql, params))
    }

    async fn write(&self, tx: &impl Executor, body: &SelectBody) -> Result<Done> {
        let call = Call { role: Role::Write, table: body.table(), verb: self.verb, enforced: false };
        let options = tx.call_options();
        let prefix = options.prefix.as_deref();
        Ok(run(tx, call, |capabilities| self.make_write(tx, capabilities, body, prefix), || Discard).await?.1)
    }

    async fn read<S: RowSink>(
        &self,
        tx: &impl Executor,
        body: &SelectBody,
        sink: impl Fn() -> S + Send + Sync,
    ) -> Result<(S, Done)> {
        let call = Call { role: Role::Write, table: body.table(), verb: "reselect", enforced: false };
        let options = tx.call_options();
        let prefix = options.prefix.as_deref();
        run(tx, call, |capabilities| make_read(tx, capabilities, body, prefix), sink).await
    }
}

fn make_read<'b>(
    executor: &impl Executor,
    capabilities: &'static Capabilities,
    body: &'b SelectBody,
    prefix: Option<&'b str>,
) -> Result<Job<'b>> {
    SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| render::select(out, body, prefix))
        .map(|(sql, params)| Job::Statement(sql, params))
}

fn item(schema: &'static Schema, column: usize) -> SelectItem {
    SelectItem::Expr { node: Node::Column { source: SourceRef::Nth(0), schema, column }, name: None }
}

fn key_len(schema: &'static Schema) -> usize {
    schema.primary_key.len()
}

/// Collects the keys at the end of each row, and hands the rows on if they are to go. A row that a join gives twice is one.
struct Locked<S> {
    schema: &'static Schema,
    keys: Keys,
    rows: Option<Arc<Mutex<S>>>,
}

impl<S: RowSink> RowSink for Locked<S> {
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        let first = row.len().saturating_sub(key_len(self.schema));
        let cells = self.schema.primary_key.iter().enumerate();
        let key: Key<'_> = cells
            .map(|(n, &column)| read_key(row, first + n, self.schema.columns[column].ty))
            .collect::<Result<_>>()?;
        let (_, earlier) = self.keys.add(key);
        match &self.rows {
            Some(rows) if earlier == 0 => locked(rows).row(row),
            _ => Ok(()),
        }
    }
}

/// Hands the rows of several statements to one sink.
struct Through<S>(Arc<Mutex<S>>);

impl<S: RowSink> RowSink for Through<S> {
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        locked(&self.0).row(row)
    }
}

fn locked<S>(sink: &Mutex<S>) -> MutexGuard<'_, S> {
    sink.lock().unwrap_or_else(PoisonError::into_inner)
}
