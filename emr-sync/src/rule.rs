//! Who may see which rows.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use emr_core::watch::{Carried, Event, Op, Watched};
use emr_core::{Error, Record, Result, Schema, SyncFault, ToParam, Value};

/// The columns of a row that a predicate may read: those that the subscription declared.
pub struct Visible<'r> {
    columns: &'r [&'static str],
    read: &'r dyn Fn(&str) -> Option<Value<'static>>,
}

impl Visible<'_> {
    /// The value of a declared column. `None` for one that is not declared, and for a value that was too large to be carried.
    pub fn get(&self, column: &str) -> Option<Value<'static>> {
        if self.columns.contains(&column) { (self.read)(column) } else { None }
    }

    /// Whether a declared column has this value.
    pub fn is(&self, column: &str, value: &(impl ToParam + ?Sized)) -> bool {
        self.get(column).is_some_and(|found| crate::key::same(&found, &value.to_param()))
    }
}

impl fmt::Debug for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visible").field("columns", &self.columns).finish_non_exhaustive()
    }
}

type Judge = dyn Fn(&Visible<'_>) -> bool + Send + Sync;
type Cut = dyn Fn(&mut dyn Record) + Send + Sync;

/// What a subscriber may see of the rows of one struct.
#[derive(Clone)]
pub(crate) struct Rule {
    pub(crate) schema: &'static Schema,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) judge: Option<Arc<Judge>>,
    pub(crate) cut: Option<Arc<Cut>>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("schema", &self.schema.name)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

/// What a subscriber sees of a change.
pub(crate) enum Seen {
    /// Nothing.
    Nothing,
    /// The change as it is.
    AsIs,
    /// A row that enters or leaves what it may see.
    As(Event),
}

impl Rule {
    pub(crate) fn of(schema: &'static Schema) -> Self {
        Rule { schema, columns: Vec::new(), judge: None, cut: None }
    }

    fn panicked(&self) -> Error {
        Error::sync(SyncFault::Panicked { table: self.schema.table.to_owned() })
    }

    fn allows(&self, read: &dyn Fn(&str) -> Option<Value<'static>>) -> Result<bool> {
        let Some(judge) = &self.judge else { return Ok(true) };
        let visible = Visible { columns: &self.columns, read };
        // A panic says nothing of the row, so it is not shown; the predicate is not called again.
        catch_unwind(AssertUnwindSafe(|| judge(&visible))).map_err(|_| self.panicked())
    }

    fn allows_side(&self, table: &Watched, side: Option<&Carried>) -> Result<bool> {
        let Some(side) = side else { return Ok(false) };
        self.allows(&|column| side.get(table.position(column)?).cloned())
    }

    /// Whether a loaded row may be seen: it may be newer than the change that told of it.
    pub(crate) fn allows_row(&self, row: &dyn Record) -> Result<bool> {
        if row.schema_of() != self.schema {
            return Ok(true);
        }
        self.allows(&|column| Some(row.column(self.schema.column_position(column)?).into_owned()))
    }

    /// Takes away what the subscriber may not see of a row.
    pub(crate) fn cut(&self, row: &mut dyn Record) -> Result<()> {
        match &self.cut {
            Some(cut) if row.schema_of() == self.schema => {
                catch_unwind(AssertUnwindSafe(|| cut(row))).map_err(|_| self.panicked())
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn see(&self, event: &Event) -> Result<Seen> {
        if self.judge.is_none() || event.op() == Op::Truncate {
            return Ok(Seen::AsIs);
        }
        let table = event.watched();
        let before = self.allows_side(table, event.old())?;
        let after = self.allows_side(table, event.new_values())?;
        Ok(match (before, after, event.op()) {
            (false, false, _) => Seen::Nothing,
            (true, true, _) | (_, _, Op::Insert | Op::Delete) => Seen::AsIs,
            (false, true, _) => Seen::As(Event::new(Arc::clone(table), Op::Insert, None, event.new_values().cloned())),
            (true, false, _) => Seen::As(Event::new(Arc::clone(table), Op::Delete, event.old().cloned(), None)),
        })
    }
}
