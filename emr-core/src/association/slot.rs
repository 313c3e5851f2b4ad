//! Slots of any type.

use std::any::Any;
use std::sync::Arc;

use super::{BelongsTo, Content, HasMany, HasOne, ManyToMany, Record};
use crate::preload::{Gathered, Many, One};
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

            fn gather(&self) -> Box<dyn Gathered> {
                Box::new($gathered::<T>::default())
            }
        })*
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
