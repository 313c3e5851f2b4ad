//! The slots of a struct that hold associated rows, and the constants that name them.

mod assoc;
mod content;
mod ends;
mod load;
mod path;
mod record;
mod slot;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

pub use assoc::{AssocExt, BuildAssoc};
pub(crate) use assoc::{equalities, filter};
pub(crate) use content::Content;
pub(crate) use ends::fitting;
pub use ends::{Ends, Few, Link};
pub use load::Loader;
pub use path::{IntoPath, Path, Step, flat_steps};
pub use record::Record;
pub use slot::Slot;
pub(crate) use slot::{deep_copy, to_many, to_one};

use crate::schema::{AssociationDef, Syncable};

/// The associated rows were not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotLoaded;

impl fmt::Display for NotLoaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the association is not loaded: preload it")
    }
}

impl std::error::Error for NotLoaded {}

/// An association of `S` to `T`, as the constants of a derived struct name it (`Post::COMMENTS`).
pub struct Association<S, T> {
    index: usize,
    ends: PhantomData<fn() -> (S, T)>,
}

impl<S, T> Clone for Association<S, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, T> Copy for Association<S, T> {}

impl<S, T> Association<S, T> {
    /// The association at this position of [`Schema::associations`](crate::Schema::associations). Made
    /// by the derive.
    // Without bounds: a related type that is no schema is reported where the schema is made, and only there.
    #[doc(hidden)]
    pub const fn new(index: usize) -> Self {
        Association { index, ends: PhantomData }
    }

    /// The position in [`Schema::associations`](crate::Schema::associations).
    pub fn index(self) -> usize {
        self.index
    }
}

impl<S: Syncable, T: Syncable> Association<S, T> {
    /// Kind, keys, what lies between, and the condition.
    pub fn def(self) -> &'static AssociationDef {
        &S::schema().associations[self.index]
    }
}

impl<S: Syncable, T: Syncable> fmt::Debug for Association<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.def().fmt(f)
    }
}

macro_rules! to_one {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<T>(Content<Arc<T>>);

        impl<T: Send + Sync + 'static> $name<T> {
            /// A loaded slot: the row, or `None` where there is none.
            pub fn loaded(row: Option<Arc<T>>) -> Self {
                $name(Content::of(row))
            }
        }

        impl<T> $name<T> {

            /// The row, or `None` where there is none.
            ///
            /// # Errors
            /// [`NotLoaded`] if it was not loaded.
            pub fn get(&self) -> Result<Option<&Arc<T>>, NotLoaded> {
                self.0.get().ok_or(NotLoaded)
            }
        }

        slot_impls!($name);
    };
}

macro_rules! to_many {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<T>(Content<Vec<T>>);

        impl<T: Send + Sync + 'static> $name<T> {
            /// A loaded slot with these rows.
            pub fn loaded(rows: Vec<T>) -> Self {
                $name(Content::list(rows))
            }
        }

        impl<T> $name<T> {

            /// The rows.
            ///
            /// # Errors
            /// [`NotLoaded`] if they were not loaded.
            pub fn get(&self) -> Result<&[T], NotLoaded> {
                self.0.get().map(|rows| rows.map_or(&[][..], Vec::as_slice)).ok_or(NotLoaded)
            }
        }

        slot_impls!($name);
    };
}

macro_rules! slot_impls {
    ($name:ident) => {
        impl<T> $name<T> {
            /// Whether it was loaded.
            pub fn is_loaded(&self) -> bool {
                self.0.is_loaded()
            }

            /// Forgets what was loaded.
            pub fn reset(&mut self) {
                self.0 = Content::NotLoaded;
            }
        }

        impl<T> Default for $name<T> {
            /// Not loaded.
            fn default() -> Self {
                $name(Content::NotLoaded)
            }
        }

        impl<T> Clone for $name<T>
        where
            T: Clone + Send + Sync + 'static,
        {
            fn clone(&self) -> Self {
                $name(self.0.clone())
            }
        }

        impl<T: PartialEq> PartialEq for $name<T> {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }

        impl<T: fmt::Debug> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.get() {
                    Ok(rows) => rows.fmt(f),
                    Err(NotLoaded) => f.write_str("NotLoaded"),
                }
            }
        }
    };
}

to_one! {
    /// The row that this row's foreign key points at. Not loaded until it is preloaded.
    BelongsTo
}
to_one! {
    /// The one row whose foreign key points here. Not loaded until it is preloaded.
    HasOne
}
to_many! {
    /// The rows whose foreign keys point here. Not loaded until they are preloaded.
    HasMany
}
to_many! {
    /// The rows linked with this one by a join table. Not loaded until they are preloaded.
    ManyToMany
}
