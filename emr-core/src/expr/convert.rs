//! What can stand where an expression, a value or a key is wanted.

use super::{Column, Expr, Fragment, Node};
use crate::schema::Syncable;
use crate::types::{Field, Scalar};
use crate::value::Value;

/// What can stand where an expression of type `T` is wanted: a value, a column, an expression.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not fit an SQL expression of type `{T}`",
    label = "expected a value, a column or an expression of type `{T}`",
    note = "compare with NULL by is_null() and is_not_null()"
)]
pub trait IntoExpr<T> {
    /// The expression.
    fn into_expr(self) -> Expr<T>;
}

/// What can be a condition: an expression that is true or false, a column of that type, a [`Fragment`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no condition",
    label = "expected something that is true or false",
    note = "compare it: for example with eq(…), gt(…) or is_null()"
)]
pub trait IntoCondition {
    /// The condition.
    fn into_condition(self) -> Expr<bool>;
}

impl IntoCondition for Expr<bool> {
    fn into_condition(self) -> Expr<bool> {
        self
    }
}

impl IntoCondition for Fragment {
    fn into_condition(self) -> Expr<bool> {
        self.typed()
    }
}

impl<S: Syncable, F: Field<Scalar = bool>> IntoCondition for Column<S, F> {
    fn into_condition(self) -> Expr<bool> {
        self.expr()
    }
}

/// What can be an argument of a [`Fragment`]: a value, a column, an expression of any type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of an SQL fragment",
    label = "expected a value, a column or an expression"
)]
pub trait IntoArgument {
    /// The tree.
    fn into_argument(self) -> Node;
}

impl<T: Scalar> IntoArgument for T {
    fn into_argument(self) -> Node {
        Node::Bind { value: self.into_value(), context: None }
    }
}

impl IntoArgument for &str {
    fn into_argument(self) -> Node {
        self.to_owned().into_argument()
    }
}

impl<T> IntoArgument for Expr<T> {
    fn into_argument(self) -> Node {
        self.node
    }
}

impl<S: Syncable, F: Field> IntoArgument for Column<S, F> {
    fn into_argument(self) -> Node {
        self.node()
    }
}

/// What can be turned into a column value of type `T` without loss: the type itself, a narrower
/// integer, a borrowed string.
#[diagnostic::on_unimplemented(message = "`{Self}` is no value of type `{T}`", label = "expected a `{T}`")]
pub trait IntoScalar<T> {
    /// The value.
    fn into_scalar(self) -> T;
}

/// What can be written to a field of type `F`: a value, or for an `Option` field also `Some` and `None`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written to a column of type `{F}`",
    label = "expected a `{F}`"
)]
pub trait IntoField<F> {
    /// The value to bind.
    fn into_field(self) -> Value<'static>;
}

/// What can be a primary key of type `K`; a tuple for a composite one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no primary key of type `{K}`",
    label = "expected a `{K}`",
    note = "a composite key is a tuple in the order of the key fields"
)]
pub trait IntoKey<K> {
    /// The key.
    fn into_key(self) -> K;
}

impl<T: Scalar> IntoExpr<T> for T {
    fn into_expr(self) -> Expr<T> {
        Expr::from_node(Node::Bind { value: self.into_value(), context: None })
    }
}

impl<T> IntoExpr<T> for Expr<T> {
    fn into_expr(self) -> Expr<T> {
        self
    }
}

impl<S: Syncable, F: Field> IntoExpr<F::Scalar> for Column<S, F> {
    fn into_expr(self) -> Expr<F::Scalar> {
        self.expr()
    }
}

impl<T: Scalar> IntoScalar<T> for T {
    fn into_scalar(self) -> T {
        self
    }
}

impl<T: Scalar + Clone> IntoScalar<T> for &T {
    fn into_scalar(self) -> T {
        self.clone()
    }
}

impl<T: Scalar> IntoField<T> for T {
    fn into_field(self) -> Value<'static> {
        Scalar::into_value(self)
    }
}

impl<T: Scalar> IntoField<Option<T>> for T {
    fn into_field(self) -> Value<'static> {
        Scalar::into_value(self)
    }
}

impl<T: Scalar> IntoField<Option<T>> for Option<T> {
    fn into_field(self) -> Value<'static> {
        Field::into_value(self)
    }
}

impl<K: Scalar> IntoKey<K> for K {
    fn into_key(self) -> K {
        self
    }
}

macro_rules! conversions {
    ($($from:ty => $to:ty;)*) => {
        $(
            impl IntoExpr<$to> for $from {
                fn into_expr(self) -> Expr<$to> {
                    <$to>::from(self).into_expr()
                }
            }
            impl IntoScalar<$to> for $from {
                fn into_scalar(self) -> $to {
                    self.into()
                }
            }
            impl IntoField<$to> for $from {
                fn into_field(self) -> Value<'static> {
                    Scalar::into_value(<$to>::from(self))
                }
            }
            impl IntoField<Option<$to>> for $from {
                fn into_field(self) -> Value<'static> {
                    Scalar::into_value(<$to>::from(self))
                }
            }
            impl IntoKey<$to> for $from {
                fn into_key(self) -> $to {
                    self.into()
                }
            }
        )*
    };
}

conversions! {
    i16 => i32;
    i16 => i64;
    i32 => i64;
    f32 => f64;
    i32 => f64;
    i16 => rust_decimal::Decimal;
    i32 => rust_decimal::Decimal;
    i64 => rust_decimal::Decimal;
    &str => String;
    &[u8] => Vec<u8>;
}

macro_rules! tuple_keys {
    ($($from:ident $to:ident $at:tt),*) => {
        impl<$($from, $to),*> IntoKey<($($to,)*)> for ($($from,)*)
        where
            $($from: IntoKey<$to>),*
        {
            fn into_key(self) -> ($($to,)*) {
                ($(self.$at.into_key(),)*)
            }
        }
    };
}

tuple_keys!(A X 0, B Y 1);
tuple_keys!(A X 0, B Y 1, C Z 2);
tuple_keys!(A X 0, B Y 1, C Z 2, D W 3);
