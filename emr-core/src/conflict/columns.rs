//! Lists of columns of one table.

use crate::expr::Column;
use crate::schema::Syncable;
use crate::types::Field;

/// What can be a list of columns of `T`: a column, or a tuple of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of columns of `{T}`",
    label = "expected a column or a tuple of columns"
)]
pub trait ColumnList<T> {
    /// The Rust types of the columns: of one column its own, of several a tuple.
    type Fields;

    /// Their positions in [`Schema::columns`](crate::Schema::columns).
    fn into_columns(self) -> Vec<usize>;
}

impl<T: Syncable, F: Field> ColumnList<T> for Column<T, F> {
    type Fields = F;

    fn into_columns(self) -> Vec<usize> {
        vec![self.index()]
    }
}

macro_rules! tuples {
    ($($field:ident $at:tt),*) => {
        impl<T: Syncable, $($field: Field),*> ColumnList<T> for ($(Column<T, $field>,)*) {
            type Fields = ($($field,)*);

            fn into_columns(self) -> Vec<usize> {
                vec![$(self.$at.index()),*]
            }
        }
    };
}

tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
