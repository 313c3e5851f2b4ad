//! Naming columns and fields in the calls of a changeset.

use std::borrow::Cow;

use crate::association::Association;
use crate::expr::{Column, DynColumn};
use crate::schema::Syncable;
use crate::types::Field;

/// One or several columns of the struct `T`: a column, a tuple of columns of any types, an array or `Vec`, also of
/// columns [chosen at run time](DynColumn). `()` is none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no columns of `{T}`",
    label = "expected a column of `{T}`, or a tuple of them",
    note = "write {T}::TITLE, or ({T}::TITLE, {T}::BODY)"
)]
pub trait IntoColumns<T> {
    /// Adds their positions in [`Schema::columns`](crate::Schema::columns).
    fn add_to(self, positions: &mut Vec<usize>);

    /// Their positions in [`Schema::columns`](crate::Schema::columns).
    fn positions(self) -> Vec<usize>
    where
        Self: Sized,
    {
        let mut positions = Vec::new();
        self.add_to(&mut positions);
        positions
    }
}

impl<T: Syncable, F: Field> IntoColumns<T> for Column<T, F> {
    fn add_to(self, positions: &mut Vec<usize>) {
        positions.push(self.index());
    }
}

impl<T: Syncable> IntoColumns<T> for DynColumn<T> {
    fn add_to(self, positions: &mut Vec<usize>) {
        positions.push(self.index());
    }
}

impl<T, C: IntoColumns<T>> IntoColumns<T> for Vec<C> {
    fn add_to(self, positions: &mut Vec<usize>) {
        for column in self {
            column.add_to(positions);
        }
    }
}

impl<T, C: IntoColumns<T>, const N: usize> IntoColumns<T> for [C; N] {
    fn add_to(self, positions: &mut Vec<usize>) {
        for column in self {
            column.add_to(positions);
        }
    }
}

/// No columns: of input that names nothing but associations.
impl<T> IntoColumns<T> for () {
    fn add_to(self, _positions: &mut Vec<usize>) {}
}

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<T, $($name: IntoColumns<T>),*> IntoColumns<T> for ($($name,)*) {
            #[allow(non_snake_case)]
            fn add_to(self, positions: &mut Vec<usize>) {
                let ($($name,)*) = self;
                $($name.add_to(positions);)*
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E G);
tuples!(A B C D E G H);
tuples!(A B C D E G H I);
tuples!(A B C D E G H I J);
tuples!(A B C D E G H I J K);
tuples!(A B C D E G H I J K L);
tuples!(A B C D E G H I J K L M);

/// What errors are put at: a column, an association, or any name.
pub trait FieldName {
    /// The name of the struct's field.
    fn field_name(self) -> Cow<'static, str>;
}

impl FieldName for &'static str {
    fn field_name(self) -> Cow<'static, str> {
        Cow::Borrowed(self)
    }
}

impl FieldName for String {
    fn field_name(self) -> Cow<'static, str> {
        Cow::Owned(self)
    }
}

impl FieldName for Cow<'static, str> {
    fn field_name(self) -> Cow<'static, str> {
        self
    }
}

impl<T: Syncable, F: Field> FieldName for Column<T, F> {
    fn field_name(self) -> Cow<'static, str> {
        Cow::Borrowed(self.def().field)
    }
}

impl<T: Syncable> FieldName for DynColumn<T> {
    fn field_name(self) -> Cow<'static, str> {
        Cow::Borrowed(self.def().field)
    }
}

impl<S: Syncable, T: Syncable> FieldName for Association<S, T> {
    fn field_name(self) -> Cow<'static, str> {
        Cow::Borrowed(self.def().field)
    }
}
