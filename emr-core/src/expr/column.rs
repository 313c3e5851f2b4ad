//! Columns: the constants that the derive makes.

use std::fmt;
use std::marker::PhantomData;

use super::{Expr, IntoExpr, IntoScalar, Node, Order, SourceRef};
use crate::schema::{ColumnDef, Syncable};
use crate::types::Field;

/// A column of the struct `S` with the Rust type `F`: the constants that the derive makes
/// (`Post::TITLE`).
pub struct Column<S, F> {
    index: usize,
    source: SourceRef,
    types: PhantomData<fn() -> (S, F)>,
}

impl<S, F> Clone for Column<S, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, F> Copy for Column<S, F> {}

impl<S, F> Column<S, F> {
    /// The column at this position of [`Schema::columns`](crate::Schema::columns). Made by the derive.
    // Without bounds: a field of a wrong type is reported where its schema is made, and only there.
    #[doc(hidden)]
    pub const fn new(index: usize) -> Self {
        Column { index, source: SourceRef::Schema, types: PhantomData }
    }
}

impl<S: Syncable, F: Field> Column<S, F> {
    /// Name, type and options.
    pub fn def(self) -> &'static ColumnDef {
        &S::schema().columns[self.index]
    }

    /// The position in [`Schema::columns`](crate::Schema::columns).
    pub fn index(self) -> usize {
        self.index
    }

    /// The column of this source; see [`Alias::col`](crate::Alias::col).
    pub(crate) fn of(self, source: SourceRef) -> Self {
        Column { source, ..self }
    }

    /// In a subquery: the column of the query around it, where both read this schema.
    #[must_use]
    pub fn outer(self) -> Self {
        self.of(SourceRef::Outer)
    }

    pub(crate) fn node(self) -> Node {
        Node::Column { source: self.source, schema: S::schema(), column: self.index }
    }

    /// The column as an expression.
    pub fn expr(self) -> Expr<F::Scalar> {
        Expr::from_node(self.node())
    }

    /// `column = value`. Never true for NULL: ask [`is_null`](Column::is_null).
    pub fn eq(self, value: impl IntoExpr<F::Scalar>) -> Expr<bool> {
        self.expr().eq(value)
    }

    /// `column <> value`. Never true for NULL.
    pub fn ne(self, value: impl IntoExpr<F::Scalar>) -> Expr<bool> {
        self.expr().ne(value)
    }

    /// `column < value`.
    pub fn lt(self, value: impl IntoExpr<F::Scalar>) -> Expr<bool> {
        self.expr().lt(value)
    }

    /// `column <= value`.
    pub fn le(self, value: impl IntoExpr<F::Scalar>) -> Expr<bool> {
        self.expr().le(value)
    }

    /// `column > value`.
    pub fn gt(self, value: impl IntoExpr<F::Scalar>) -> Expr<bool> {
        self.expr().gt(value)
    }

    /// `column >= value`.
    pub fn ge(self, value: impl IntoExpr<F::Scalar>) -> Expr<bool> {
        self.expr().ge(value)
    }

    /// `low <= column` and `column <= high`.
    pub fn between(self, low: impl IntoExpr<F::Scalar>, high: impl IntoExpr<F::Scalar>) -> Expr<bool> {
        self.expr().between(low, high)
    }

    /// One of the values. No value: never true. Any number of values may be given.
    pub fn in_list<V: IntoScalar<F::Scalar>>(self, values: impl IntoIterator<Item = V>) -> Expr<bool> {
        self.expr().in_list(values)
    }

    /// None of the values; for no value true of every row, NULL included.
    pub fn not_in<V: IntoScalar<F::Scalar>>(self, values: impl IntoIterator<Item = V>) -> Expr<bool> {
        !self.expr().in_list(values)
    }

    /// `column IS NULL`.
    pub fn is_null(self) -> Expr<bool> {
        self.expr().is_null()
    }

    /// `column IS NOT NULL`.
    pub fn is_not_null(self) -> Expr<bool> {
        self.expr().is_not_null()
    }

    /// Ascending order; where NULLs stand is the engine's choice unless the order says it.
    pub fn asc(self) -> Order {
        self.expr().asc()
    }

    /// Descending order.
    pub fn desc(self) -> Order {
        self.expr().desc()
    }
}

impl<S: Syncable, F: Field<Scalar = String>> Column<S, F> {
    /// Matches a pattern: `%` any text, `_` any character, `\` takes the next character as it is.
    /// Case counts on every backend whose collation lets it (not on MySQL's default one).
    pub fn like(self, pattern: impl IntoExpr<String>) -> Expr<bool> {
        self.expr().like(pattern)
    }

    /// As [`like`](Column::like), ignoring case: as the server's collation has it, and on SQLite of each character as
    /// Unicode has it.
    pub fn ilike(self, pattern: impl IntoExpr<String>) -> Expr<bool> {
        self.expr().ilike(pattern)
    }

    /// Begins with this text, taken as it is.
    pub fn starts_with(self, text: &str) -> Expr<bool> {
        self.expr().like(escape_like(text) + "%")
    }

    /// Ends with this text, taken as it is.
    pub fn ends_with(self, text: &str) -> Expr<bool> {
        self.expr().like("%".to_owned() + &escape_like(text))
    }

    /// Contains this text, taken as it is.
    pub fn contains(self, text: &str) -> Expr<bool> {
        self.expr().like(format!("%{}%", escape_like(text)))
    }
}

/// The text with the wildcards of LIKE escaped.
fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

impl<S: Syncable, F: Field> fmt::Debug for Column<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", S::schema().table, self.def().name)
    }
}
