//! Slots of any type.

use std::any::Any;
use std::sync::Arc;

use super::{BelongsTo, Content, HasMany, HasOne, ManyToMany, Record};
use crate::error::Result;
use crate::preload::{Gathered, Many, One, copied, mismatch};
use crate::schema::{Schema, Syncable};

/// A slot for associated rows, as code sees it that does not know its type. The four slots of EMR are all there are.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no slot for associated rows",
    label = "expected one of EMR's slots: BelongsTo, HasOne, HasMany or ManyToMany"
)]
pub trait Slot: Any + Send + Sync {
    /// The schema of the rows.
    fn related(&self) -> &'static Schema;

    /// Whether it was loaded.
    fn is_loaded(&self) -> bool;

    /// Forgets what was loaded.
    fn reset(&mut self);

    /// Shows the rows one after the other; none if it was not loaded.
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a dyn Record));

    /// Shows the rows of a slot for any number, to be changed. Rows of a slot for one are shared: they are not shown.
    #[doc(hidden)]
    fn for_each_mut<'a>(&'a mut self, visit: &mut dyn FnMut(&'a mut (dyn Record + 'static)));

    /// Takes rows out of a slot for any number: those that are not to be kept.
    #[doc(hidden)]
    fn retain(&mut self, keep: &mut dyn FnMut(&dyn Record) -> bool);

    /// Holds what another slot of the same sort holds: the same row, or copies of its rows.
    #[doc(hidden)]
    fn copy_from(&mut self, from: &dyn Slot) -> Result<()>;

    /// Changes places with another slot of the same sort.
    #[doc(hidden)]
    fn swap(&mut self, other: &mut dyn Slot) -> Result<()>;

    /// What it holds, and no longer does, as a slot by itself.
    #[doc(hidden)]
    fn take(&mut self) -> Box<dyn Slot>;

    /// A place where rows for such slots are gathered.
    #[doc(hidden)]
    fn gather(&self) -> Box<dyn Gathered>;
}

macro_rules! slots {
    ($($name:ident $gathered:ident;)*) => {
        $(impl<T: Syncable> Slot for $name<T> {
            fn related(&self) -> &'static Schema {
                T::schema()
            }

            fn is_loaded(&self) -> bool {
                self.0.is_loaded()
            }

            fn reset(&mut self) {
                self.0 = Content::NotLoaded;
            }

            fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a dyn Record)) {
                slots!(@visit $gathered self visit);
            }

            fn for_each_mut<'a>(&'a mut self, _visit: &mut dyn FnMut(&'a mut (dyn Record + 'static))) {
                slots!(@visit_mut $gathered self _visit);
            }

            fn retain(&mut self, _keep: &mut dyn FnMut(&dyn Record) -> bool) {
                slots!(@retain $gathered self _keep);
            }

            fn copy_from(&mut self, from: &dyn Slot) -> Result<()> {
                let any: &dyn Any = from;
                let from = any.downcast_ref::<Self>().ok_or_else(|| mismatch(T::schema()))?;
                self.0 = slots!(@copy $gathered from);
                Ok(())
            }

            fn swap(&mut self, other: &mut dyn Slot) -> Result<()> {
                let any: &mut dyn Any = other;
                let other = any.downcast_mut::<Self>().ok_or_else(|| mismatch(T::schema()))?;
                std::mem::swap(&mut self.0, &mut other.0);
                Ok(())
            }

            fn take(&mut self) -> Box<dyn Slot> {
                Box::new($name::<T>(std::mem::take(&mut self.0)))
            }

            fn gather(&self) -> Box<dyn Gathered> {
                Box::new($gathered::<T>::default())
            }
        })*
    };
    (@visit_mut One $slot:ident $visit:ident) => {};
    (@visit_mut Many $slot:ident $visit:ident) => {
        for row in $slot.0.held_mut().into_iter().flatten() {
            $visit(row);
        }
    };
    (@retain One $slot:ident $keep:ident) => {};
    (@retain Many $slot:ident $keep:ident) => {
        if let Some(rows) = $slot.0.held_mut() {
            rows.retain(|row| $keep(row));
        }
    };
    (@copy One $from:ident) => {
        match $from.get() {
            Ok(row) => Content::of(row.cloned()),
            Err(_) => Content::NotLoaded,
        }
    };
    (@copy Many $from:ident) => {
        match $from.get() {
            Ok(rows) => Content::list(rows.iter().map(deep_copy).collect::<Result<_>>()?),
            Err(_) => Content::NotLoaded,
        }
    };
    (@visit One $slot:ident $visit:ident) => {
        if let Ok(Some(row)) = $slot.get() {
            $visit(&**row);
        }
    };
    (@visit Many $slot:ident $visit:ident) => {
        for row in $slot.get().into_iter().flatten() {
            $visit(row);
        }
    };
}

slots! {
    BelongsTo One;
    HasOne One;
    HasMany Many;
    ManyToMany Many;
}

/// A copy of a row with what its slots hold.
pub(crate) fn deep_copy<T: Syncable>(row: &T) -> Result<T> {
    let mut copy = copied::<T>(row)?;
    for n in 0..T::schema().associations.len() {
        if let (Some(from), Some(into)) = (row.slot(n), copy.slot_mut(n))
            && from.is_loaded()
        {
            into.copy_from(from)?;
        }
    }
    Ok(copy)
}

/// What a slot for one `T` holds; `None` if it is no such slot.
#[allow(clippy::option_option)] // not loaded, no row, a row: what a slot is
pub(crate) fn to_one<T: Syncable>(slot: &mut dyn Slot) -> Option<&mut Content<Arc<T>>> {
    let slot: &mut dyn Any = slot;
    if slot.is::<BelongsTo<T>>() {
        slot.downcast_mut::<BelongsTo<T>>().map(|slot| &mut slot.0)
    } else {
        slot.downcast_mut::<HasOne<T>>().map(|slot| &mut slot.0)
    }
}

/// What a slot for any number of `T` holds; `None` if it is no such slot.
pub(crate) fn to_many<T: Syncable>(slot: &mut dyn Slot) -> Option<&mut Content<Vec<T>>> {
    let slot: &mut dyn Any = slot;
    if slot.is::<HasMany<T>>() {
        slot.downcast_mut::<HasMany<T>>().map(|slot| &mut slot.0)
    } else {
        slot.downcast_mut::<ManyToMany<T>>().map(|slot| &mut slot.0)
    }
}
