//! What applying changed.

use std::sync::Arc;

use emr_core::{Schema, Value};

use crate::key::Key;

/// What applying an item changed in a value, so that a user interface can patch instead of drawing anew.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Applied {
    /// The changes, those of a row before those of the rows below it. Each place is named once.
    pub changes: Vec<Change>,
}

/// A change at one place of a value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// What happened there.
    pub op: ChangeOp,
    /// The way to the row: each row above it, from the outermost on, with the association that leads on. Empty for the value's
    /// own rows.
    pub path: Vec<Step>,
    /// The table of the row.
    pub table: &'static str,
    /// The key of the row, as it is now.
    pub key: Vec<Value<'static>>,
}

/// What happened at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeOp {
    /// The row came.
    Inserted,
    /// Columns have other values.
    Updated,
    /// It stands elsewhere in its list.
    Moved,
    /// The row is no longer there. A value that is itself one row stays as it was.
    Removed,
}

/// A row on the way to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its table.
    pub table: &'static str,
    /// Its key.
    pub key: Vec<Value<'static>>,
    /// The association that leads on.
    pub field: &'static str,
}

impl Applied {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes of one sort.
    pub fn of(&self, op: ChangeOp) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.op == op)
    }

    pub(crate) fn note(&mut self, op: ChangeOp, path: Option<&Arc<Above>>, schema: &'static Schema, key: &Key) {
        let path = path.map(Above::steps).unwrap_or_default();
        self.changes.push(Change { op, path, table: schema.table, key: key.values() });
    }
}

/// The way to a row while a value is walked.
pub(crate) struct Above {
    pub(crate) outer: Option<Arc<Above>>,
    pub(crate) schema: &'static Schema,
    pub(crate) key: Key,
    pub(crate) field: &'static str,
}

impl Above {
    fn steps(self: &Arc<Self>) -> Vec<Step> {
        let mut steps = self.outer.as_ref().map(Above::steps).unwrap_or_default();
        steps.push(Step { table: self.schema.table, key: self.key.values(), field: self.field });
        steps
    }
}
