//! Rows of any schema.

use std::any::Any;

use super::Slot;
use crate::schema::{Schema, Syncable};
use crate::value::Value;

/// A row of any schema: what code sees of a struct that does not know its type. Every [`Syncable`] is one.
pub trait Record: Any + Send + Sync {
    /// Table, columns, keys and associations.
    fn schema_of(&self) -> &'static Schema;

    /// The value of column `n` of [`Schema::columns`], borrowed.
    fn column(&self, n: usize) -> Value<'_>;

    /// The slot of association `n` of [`Schema::associations`].
    fn association(&self, n: usize) -> Option<&dyn Slot>;

    /// The same, to be filled.
    fn association_mut(&mut self, n: usize) -> Option<&mut dyn Slot>;
}

impl<T: Syncable> Record for T {
    fn schema_of(&self) -> &'static Schema {
        T::schema()
    }

    fn column(&self, n: usize) -> Value<'_> {
        self.value(n)
    }

    fn association(&self, n: usize) -> Option<&dyn Slot> {
        self.slot(n)
    }

    fn association_mut(&mut self, n: usize) -> Option<&mut dyn Slot> {
        self.slot_mut(n)
    }
}
