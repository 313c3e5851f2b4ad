//! Rows of any schema.

use std::any::Any;

use super::{Loader, Slot};
use crate::error::Result;
use crate::preload::copied;
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

    /// A row with the same columns, whose slots are not loaded.
    #[doc(hidden)]
    fn bare(&self) -> Result<Box<dyn Record>>;

    /// Takes over the columns of another row of the same struct. The slots stay as they are.
    #[doc(hidden)]
    fn take_columns(&mut self, from: &dyn Record) -> Result<()>;

    /// Reads rows of this struct.
    #[doc(hidden)]
    fn loader(&self) -> Loader;
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

    fn bare(&self) -> Result<Box<dyn Record>> {
        Ok(Box::new(copied::<T>(self)?))
    }

    fn take_columns(&mut self, from: &dyn Record) -> Result<()> {
        let mut new = copied::<T>(from)?;
        for n in 0..T::schema().associations.len() {
            if let (Some(old), Some(new)) = (self.slot_mut(n), new.slot_mut(n)) {
                new.swap(old)?;
            }
        }
        *self = new;
        Ok(())
    }

    fn loader(&self) -> Loader {
        Loader::of::<T>()
    }
}
