//! One row of a graph.

use std::any::Any;
use std::borrow::Cow;

use super::Boxed;
use super::member::{Act, Branch, Member};
use crate::association::Record;
use crate::changeset::{Action, Changeset, Errors, NewRow};
use crate::error::{Error, ErrorKind, Result};
use crate::repo::{delete_in, insert_row, update_row};
use crate::row::RowSink;
use crate::schema::{Schema, Syncable};
use crate::sinks::Structs;
use crate::transaction::Tx;
use crate::value::Value;

/// No graph that makes sense is deeper, and the stack is not endless.
const DEEPEST: usize = 32;

/// A changeset and what is done with it.
#[derive(Clone)]
pub(crate) struct Item<R> {
    pub(super) change: Changeset<R>,
    act: Act,
    is_linked: bool,
    stored: Option<R>,
    failed: Option<Errors>,
}

impl<R: Syncable> Item<R> {
    pub(super) fn new(change: Changeset<R>, act: Act, is_linked: bool) -> Self {
        Item { change, act, is_linked, stored: None, failed: None }
    }

    pub(super) fn take_stored(&mut self) -> Option<R> {
        self.stored.take()
    }

    /// Keeps errors of fields in mind.
    fn note(&mut self, error: &Error) {
        if let Some(errors) = error.field_errors() {
            self.failed = Some(errors.clone());
        }
    }

    async fn write_row(&mut self, tx: &Tx) -> Result<()> {
        match self.act {
            Act::Insert => self.stored = Some(insert_row(tx, &mut self.change).await?),
            Act::Update if self.change.writes_row() => self.stored = Some(update_row(tx, &mut self.change).await?),
            Act::Update => self.keep(),
            Act::Delete => delete_in(tx, &self.change).await?,
            Act::Unlink => {}
        }
        Ok(())
    }

    fn action(&self) -> Action {
        match self.act {
            Act::Insert => Action::Insert,
            Act::Update | Act::Unlink => Action::Update,
            Act::Delete => Action::Delete,
        }
    }
}

impl<R: Syncable> Member for Item<R> {
    fn schema(&self) -> &'static Schema {
        R::schema()
    }

    fn act(&self) -> Act {
        self.act
    }

    fn is_linked(&self) -> bool {
        self.is_linked
    }

    fn is_idle(&self) -> bool {
        self.act == Act::Update && self.change.is_empty() && !self.change.is_forced()
    }

    fn check(&self, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            return Err(Error::invalid(format!("associations are nested deeper than {DEEPEST} rows")));
        }
        self.change.refuse_invalid()?;
        for branch in self.change.branches() {
            if branch.not_loaded && self.act == Act::Update {
                let schema = R::schema();
                let association = schema.associations[branch.association].field;
                return Err(Error::new(ErrorKind::AssociationNotLoaded { schema: schema.name, association }));
            }
            branch.members.check(depth + 1)?;
        }
        Ok(())
    }

    fn keep(&mut self) {
        self.stored = self.change.take_data();
    }

    fn record(&self) -> Option<&dyn Record> {
        self.stored.as_ref().or(self.change.data()).map(|row| row as &dyn Record)
    }

    fn parts(&mut self) -> (Option<&mut (dyn Record + 'static)>, &mut [Branch]) {
        (self.stored.as_mut().map(|row| row as &mut (dyn Record + 'static)), self.change.branches_mut())
    }

    fn sets(&self, column: usize) -> bool {
        self.change.sets(column)
    }

    fn assign(&mut self, column: usize, value: Value<'static>) {
        self.change.assign(column, value);
    }

    fn prefix(&self) -> Option<&str> {
        self.change.prefix_ref()
    }

    fn inherit(&mut self, prefix: Option<&Cow<'static, str>>) {
        if R::schema().prefix.is_none() {
            self.change.inherit_prefix(prefix);
        }
    }

    fn prepare<'m>(&'m mut self, tx: &'m Tx) -> Option<Boxed<'m>> {
        if !self.change.is_to_prepare() {
            return None;
        }
        Some(Box::pin(async move {
            let change = std::mem::take(&mut self.change);
            self.change = change.prepared(tx).await.inspect_err(|error| self.note(error))?;
            // It may have added branches.
            self.check(0)
        }))
    }

    fn write<'m>(&'m mut self, tx: &'m Tx) -> Boxed<'m> {
        Box::pin(async move { self.write_row(tx).await.inspect_err(|error| self.note(error)) })
    }

    fn columns(&mut self) -> Result<Cow<'static, [usize]>> {
        NewRow::prepare(&mut self.change);
        self.change.columns()
    }

    fn cells(&self, columns: &[usize], cells: &mut Vec<Value<'static>>) {
        cells.extend(columns.iter().map(|&column| self.change.cell(column).into_owned()));
    }

    fn sink(&self) -> fn(usize) -> Box<dyn RowSink> {
        |rows| Box::new(Structs::<R>::with_capacity(rows))
    }

    fn accept(&mut self, sink: &mut dyn RowSink) -> Result<bool> {
        let sink: &mut dyn Any = sink;
        let Some(sink) = sink.downcast_mut::<Structs<R>>() else {
            return Err(Error::invalid("the adapter gave back another sink than it was given"));
        };
        self.stored = sink.rows.pop();
        Ok(self.stored.is_some())
    }

    fn declares(&self) -> bool {
        self.change.declares()
    }

    fn is_plain_delete(&self) -> bool {
        !R::schema().cascades() && self.change.is_plain_delete()
    }

    fn may_be_gone(&self) -> bool {
        self.change.may_be_gone()
    }

    fn refine(&mut self, error: Error) -> Error {
        let error = self.change.refine(error, self.action());
        self.note(&error);
        error
    }

    fn failures(&self, path: &str, errors: &mut Errors) {
        if let Some(failed) = &self.failed {
            errors.nest(path, failed.clone());
        }
        for branch in self.change.branches() {
            let field = R::schema().associations[branch.association].field;
            branch.members.failures(&join(path, field), errors);
        }
    }

    fn changeset(&mut self) -> &mut dyn Any {
        &mut self.change
    }

    fn store(&mut self, row: Box<dyn Any + Send>) {
        self.stored = row.downcast::<R>().ok().map(|row| *row);
    }

    fn into_stored(self: Box<Self>) -> Option<Box<dyn Any + Send>> {
        self.stored.map(|row| Box::new(row) as Box<dyn Any + Send>)
    }
}

/// A step further down a path.
pub(super) fn join(path: &str, step: &str) -> String {
    if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") }
}
