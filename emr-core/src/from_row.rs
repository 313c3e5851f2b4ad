//! What a row, or a part of one, can be read into.

use std::any::Any;

use crate::error::{Error, ErrorKind, Result};
use crate::row::{Mismatch, Row};
use crate::types::{Field, Scalar};

/// What the rows of a query can be read into: a derived struct, a column type, an `Option` of either (`None` where all
/// of it is NULL), and tuples of these.
#[diagnostic::on_unimplemented(
    message = "rows cannot be read into `{Self}`",
    label = "neither a struct with #[derive(Syncable)] or #[derive(Projection)], nor a column type, nor a tuple of these"
)]
pub trait FromRow: Sized + Send + 'static {
    /// How many cells it takes.
    fn width() -> usize;

    /// Reads it from the cells that begin at `at`, each of them once.
    ///
    /// # Errors
    /// [`Decode`](crate::ErrorKind::Decode) for the first cell that does not fit.
    fn read(row: &dyn Row, at: usize) -> Result<Self>;

    /// Shows the structs in it, for preloads.
    #[doc(hidden)]
    fn structs<'a>(&'a mut self, _visit: &mut dyn FnMut(&'a mut dyn Any)) {}
}

#[cold]
fn decode_error(at: usize, mismatch: Mismatch) -> Error {
    Error::new(ErrorKind::Decode {
        table: String::new(),
        column: format!("selected column {}", at + 1),
        expected: mismatch.expected.into_owned(),
        found: mismatch.found.into_owned(),
    })
}

#[diagnostic::do_not_recommend]
impl<T: Scalar> FromRow for T {
    fn width() -> usize {
        1
    }

    #[inline]
    fn read(row: &dyn Row, at: usize) -> Result<Self> {
        <T as Field>::read(row, at).map_err(|mismatch| decode_error(at, mismatch))
    }
}

impl<T: FromRow> FromRow for Option<T> {
    fn width() -> usize {
        T::width()
    }

    #[inline]
    fn read(row: &dyn Row, at: usize) -> Result<Self> {
        if (at..at + T::width()).all(|at| row.is_null(at)) { Ok(None) } else { T::read(row, at).map(Some) }
    }

    fn structs<'a>(&'a mut self, visit: &mut dyn FnMut(&'a mut dyn Any)) {
        if let Some(inner) = self {
            inner.structs(visit);
        }
    }
}

macro_rules! tuples {
    ($($item:ident $at:tt),*) => {
        impl<$($item: FromRow),*> FromRow for ($($item,)*) {
            fn width() -> usize {
                0 $(+ $item::width())*
            }

            #[inline]
            #[allow(unused_assignments)] // the last one is read by nobody
            fn read(row: &dyn Row, mut at: usize) -> Result<Self> {
                Ok(($({
                    let item = $item::read(row, at)?;
                    at += $item::width();
                    item
                },)*))
            }

            fn structs<'a>(&'a mut self, visit: &mut dyn FnMut(&'a mut dyn Any)) {
                $(self.$at.structs(visit);)*
            }
        }
    };
}

crate::row::each_tuple!(tuples);

/// Lets rows be read into a struct that implements [`Syncable`](crate::Syncable) by hand, as the derive does it.
#[macro_export]
macro_rules! from_row_of_schema {
    ($name:ty) => {
        impl $crate::FromRow for $name {
            fn width() -> usize {
                <$name as $crate::Syncable>::schema().columns.len()
            }

            #[inline]
            fn read(row: &dyn $crate::Row, at: usize) -> $crate::Result<Self> {
                <$name as $crate::Syncable>::decode(&mut $crate::Cells::new(
                    row,
                    <$name as $crate::Syncable>::schema(),
                    at,
                ))
            }

            fn structs<'a>(&'a mut self, visit: &mut dyn ::core::ops::FnMut(&'a mut dyn ::core::any::Any)) {
                visit(self);
            }
        }
    };
}
