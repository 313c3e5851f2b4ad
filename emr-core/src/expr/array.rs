//! Arrays, which only PostgreSQL has.

use super::call::{Call, Function};
use super::maybe::Operand;
use super::{Expr, IntoExpr, Node};
use crate::types::{Element, Scalar};
use crate::value::SqlType;

/// What arrays can do. PostgreSQL only; elsewhere the query is [`Unsupported`](crate::ErrorKind::Unsupported).
pub trait ArrayFunctions<T>: Operand<Scalar = Vec<T>> {
    /// Whether this is one of the elements: `value = ANY(array)`.
    fn has(self, value: impl IntoExpr<T>) -> Expr<bool>;

    /// Whether all of these are among the elements: `array @> values`.
    fn has_all(self, values: impl IntoExpr<Vec<T>>) -> Expr<bool>;

    /// Whether one of these is among the elements: `array && values`.
    fn has_any(self, values: impl IntoExpr<Vec<T>>) -> Expr<bool>;

    /// How many elements.
    fn array_length(self) -> Expr<i64>;
}

fn call(function: Function, arguments: Vec<Node>, of: SqlType, ty: SqlType) -> Node {
    Call::new(function, arguments, of, ty).into_node()
}

impl<T: Element, X: Operand<Scalar = Vec<T>>> ArrayFunctions<T> for X
where
    Vec<T>: Scalar,
{
    fn has(self, value: impl IntoExpr<T>) -> Expr<bool> {
        let arguments = vec![self.operand().node, value.into_expr().node];
        Expr::from_node(call(Function::ArrayHas, arguments, <Vec<T>>::TYPE, SqlType::Bool))
    }

    fn has_all(self, values: impl IntoExpr<Vec<T>>) -> Expr<bool> {
        let arguments = vec![self.operand().node, values.into_expr().node];
        Expr::from_node(call(Function::ArrayContains, arguments, <Vec<T>>::TYPE, SqlType::Bool))
    }

    fn has_any(self, values: impl IntoExpr<Vec<T>>) -> Expr<bool> {
        let arguments = vec![self.operand().node, values.into_expr().node];
        Expr::from_node(call(Function::ArrayOverlaps, arguments, <Vec<T>>::TYPE, SqlType::Bool))
    }

    fn array_length(self) -> Expr<i64> {
        Expr::from_node(call(Function::ArrayLength, vec![self.operand().node], <Vec<T>>::TYPE, SqlType::I64))
    }
}

/// `array` with one more element, or without the elements that equal it.
pub(crate) fn changed<T: Element>(array: Node, value: Node, push: bool) -> Node
where
    Vec<T>: Scalar,
{
    let function = if push { Function::ArrayAppend } else { Function::ArrayRemove };
    call(function, vec![array, value], <Vec<T>>::TYPE, <Vec<T>>::TYPE)
}
