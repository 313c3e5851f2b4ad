//! Expressions that may be NULL whatever their parts, and what all sorts of expressions have in common.

use std::fmt;
use std::ops::{Add, Div, Mul, Sub};

use super::{Column, Expr, IntoArgument, IntoExpr, IntoScalar, Node, Numeric, Order};
use crate::query::{Select, SelectItem};
use crate::schema::Syncable;
use crate::types::{Field, Scalar};

/// An expression that may be NULL even where nothing in it is: the value at a place in a JSON document, the row before
/// the first one. It is selected as an `Option`, and is an [`Expr`] everywhere else.
#[must_use = "an expression does nothing until a query uses it"]
pub struct Maybe<T>(pub(super) Expr<T>);

/// Anything that stands for a value of a known type in a query: a [`Column`], an [`Expr`], a [`Maybe`], an
/// [`Aggregate`](crate::Aggregate). A plain Rust value becomes one by [`literal`](crate::functions::literal).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no expression",
    label = "expected a column or an expression",
    note = "turn a plain value into one by literal(…)"
)]
pub trait Operand: Sized {
    /// The type of the value.
    type Scalar: Scalar;

    /// It as an expression.
    fn operand(self) -> Expr<Self::Scalar>;
}

impl<T: Scalar> Operand for Expr<T> {
    type Scalar = T;

    fn operand(self) -> Expr<T> {
        self
    }
}

impl<S: Syncable, F: Field> Operand for Column<S, F> {
    type Scalar = F::Scalar;

    fn operand(self) -> Expr<F::Scalar> {
        self.expr()
    }
}

impl<T> Maybe<T> {
    pub(super) fn of(node: Node) -> Self {
        Maybe(Expr::from_node(node))
    }

    /// It as an expression of values.
    pub fn expr(self) -> Expr<T> {
        self.0
    }
}

impl<T> Clone for Maybe<T> {
    fn clone(&self) -> Self {
        Maybe(self.0.clone())
    }
}

impl<T> fmt::Debug for Maybe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Scalar> Select for Maybe<T> {
    type Output = Option<T>;

    fn items(self, items: &mut Vec<SelectItem>) {
        self.0.items(items);
    }
}

/// Lets a wrapper of an expression do what the expression does.
macro_rules! like_an_expression {
    ([$($generics:tt)*] $name:ty) => {
        #[allow(missing_docs)] // as `Expr` has them
        impl<$($generics)*> $name {
            pub fn is_null(self) -> Expr<bool> {
                self.expr().is_null()
            }

            pub fn is_not_null(self) -> Expr<bool> {
                self.expr().is_not_null()
            }

            pub fn asc(self) -> Order {
                self.expr().asc()
            }

            pub fn desc(self) -> Order {
                self.expr().desc()
            }
        }

        #[allow(missing_docs)] // as `Expr` has them
        impl<$($generics)*> $name
        where
            T: Scalar,
        {
            pub fn eq(self, value: impl IntoExpr<T>) -> Expr<bool> {
                self.expr().eq(value)
            }

            pub fn ne(self, value: impl IntoExpr<T>) -> Expr<bool> {
                self.expr().ne(value)
            }

            pub fn lt(self, value: impl IntoExpr<T>) -> Expr<bool> {
                self.expr().lt(value)
            }

            pub fn le(self, value: impl IntoExpr<T>) -> Expr<bool> {
                self.expr().le(value)
            }

            pub fn gt(self, value: impl IntoExpr<T>) -> Expr<bool> {
                self.expr().gt(value)
            }

            pub fn ge(self, value: impl IntoExpr<T>) -> Expr<bool> {
                self.expr().ge(value)
            }

            pub fn between(self, low: impl IntoExpr<T>, high: impl IntoExpr<T>) -> Expr<bool> {
                self.expr().between(low, high)
            }

            pub fn in_list<V: IntoScalar<T>>(self, values: impl IntoIterator<Item = V>) -> Expr<bool> {
                self.expr().in_list(values)
            }
        }

        impl<$($generics)*> IntoExpr<T> for $name {
            fn into_expr(self) -> Expr<T> {
                self.expr()
            }
        }

        impl<$($generics)*> IntoArgument for $name {
            fn into_argument(self) -> Node {
                self.expr().into_node()
            }
        }

        impl<$($generics)*> Operand for $name
        where
            T: Scalar,
        {
            type Scalar = T;

            fn operand(self) -> Expr<T> {
                self.expr()
            }
        }

        like_an_expression!(@op [$($generics)*] $name, Add, add);
        like_an_expression!(@op [$($generics)*] $name, Sub, sub);
        like_an_expression!(@op [$($generics)*] $name, Mul, mul);
        like_an_expression!(@op [$($generics)*] $name, Div, div);
    };
    (@op [$($generics:tt)*] $name:ty, $trait:ident, $method:ident) => {
        impl<$($generics)*, Right: IntoExpr<T>> $trait<Right> for $name
        where
            T: Numeric,
        {
            type Output = Maybe<T>;

            fn $method(self, right: Right) -> Maybe<T> {
                Maybe($trait::$method(self.expr(), right))
            }
        }
    };
}

pub(super) use like_an_expression;

like_an_expression!([T] Maybe<T>);

/// `NOT column`, for columns of truths.
impl<S: Syncable, F: Field<Scalar = bool>> std::ops::Not for Column<S, F> {
    type Output = Expr<bool>;

    fn not(self) -> Expr<bool> {
        !self.expr()
    }
}
