//! What a query gives back: columns, expressions, whole rows, and tuples of them.

use std::borrow::Cow;
use std::marker::PhantomData;

use super::body::SelectItem;
use super::join::Alias;
use crate::expr::{Column, Expr, Node, SourceRef};
use crate::from_row::FromRow;
use crate::schema::Syncable;
use crate::types::{Field, Scalar};
use crate::value::Value;

/// What can be selected: a column, an expression, a value, the whole row of a source
/// ([`row`](crate::SyncableExt::row)), and tuples of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be selected",
    label = "expected a column, an expression, a whole row or a tuple of them"
)]
pub trait Select: Send {
    /// The Rust type of it in a row of the result.
    type Output: FromRow;

    /// Adds what it takes from the database, in the order in which [`Output`](Select::Output) reads it.
    #[doc(hidden)]
    fn items(self, items: &mut Vec<SelectItem>);

    /// The same, `None` where all of it is NULL: for sources that an outer join may leave empty, and for expressions that
    /// may be NULL.
    fn optional(self) -> Optional<Self>
    where
        Self: Sized,
    {
        Optional(self)
    }

    /// The same under this name in the result, for queries around this one and for
    /// [`selected`](crate::selected). Of several columns, the first.
    fn named(self, name: impl Into<Cow<'static, str>>) -> Named<Self>
    where
        Self: Sized,
    {
        Named { inner: self, name: name.into() }
    }
}

/// See [`Select::optional`].
#[derive(Debug, Clone)]
pub struct Optional<T>(T);

/// See [`Select::named`].
#[derive(Debug, Clone)]
pub struct Named<T> {
    inner: T,
    name: Cow<'static, str>,
}

/// All columns of a source, as its struct. Made by [`SyncableExt::row`](crate::SyncableExt::row) and
/// [`Alias::row`].
#[derive(Debug)]
pub struct WholeRow<T> {
    source: SourceRef,
    of: PhantomData<fn() -> T>,
}

impl<T: Syncable> WholeRow<T> {
    pub(crate) fn of(source: SourceRef) -> Self {
        WholeRow { source, of: PhantomData }
    }
}

impl<T: Syncable> Alias<T> {
    /// All columns of the source, as its struct.
    pub fn row(self) -> WholeRow<T> {
        WholeRow::of(self.source())
    }
}

fn push(items: &mut Vec<SelectItem>, node: Node) {
    items.push(SelectItem::Expr { node, name: None });
}

impl<S: Syncable, F: Field + FromRow> Select for Column<S, F> {
    type Output = F;

    fn items(self, items: &mut Vec<SelectItem>) {
        push(items, self.node());
    }
}

impl<T: Scalar> Select for Expr<T> {
    type Output = T;

    fn items(self, items: &mut Vec<SelectItem>) {
        push(items, self.into_node());
    }
}

impl<T: Scalar> Select for T {
    type Output = T;

    fn items(self, items: &mut Vec<SelectItem>) {
        push(items, Node::Bind { value: self.into_value(), context: None });
    }
}

impl Select for &str {
    type Output = String;

    fn items(self, items: &mut Vec<SelectItem>) {
        push(items, Node::Bind { value: Value::Text(Cow::Owned(self.to_owned())), context: None });
    }
}

impl<T: Syncable> Select for WholeRow<T> {
    type Output = T;

    fn items(self, items: &mut Vec<SelectItem>) {
        items.push(SelectItem::Row { source: self.source, schema: T::schema() });
    }
}

impl<T: Select> Select for Optional<T> {
    type Output = Option<T::Output>;

    fn items(self, items: &mut Vec<SelectItem>) {
        self.0.items(items);
    }
}

impl<T: Select> Select for Named<T> {
    type Output = T::Output;

    fn items(self, items: &mut Vec<SelectItem>) {
        let first = items.len();
        self.inner.items(items);
        if let Some(SelectItem::Expr { name, .. }) = items.get_mut(first) {
            *name = Some(self.name);
        }
    }
}

macro_rules! tuples {
    ($($item:ident $at:tt),*) => {
        impl<$($item: Select),*> Select for ($($item,)*) {
            type Output = ($($item::Output,)*);

            fn items(self, items: &mut Vec<SelectItem>) {
                $(self.$at.items(items);)*
            }
        }
    };
}

crate::row::each_tuple!(tuples);

/// A struct that is no table: what a query selects, by the order of its fields. Derive it with
/// `#[derive(Projection)]`.
///
/// ```
/// # use emr_core::{Row, Mismatch, Projection, FromRow, Result};
/// struct Title { id: i64, title: String }
/// // What the derive writes:
/// impl FromRow for Title {
///     fn width() -> usize { <(i64, String)>::width() }
///     fn read(row: &dyn Row, at: usize) -> Result<Self> { Ok(Self::from_fields(<(i64, String)>::read(row, at)?)) }
/// }
/// impl Projection for Title {
///     type Fields = (i64, String);
///     fn from_fields((id, title): Self::Fields) -> Self { Title { id, title } }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no projection",
    label = "a query cannot be read into it",
    note = "write #[derive(Projection)] above the struct"
)]
pub trait Projection: FromRow {
    /// The types of the fields, in their order.
    type Fields: FromRow;

    /// The struct with these fields.
    fn from_fields(fields: Self::Fields) -> Self;
}
