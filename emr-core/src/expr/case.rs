//! CASE.

use std::marker::PhantomData;

use super::call::{Call, Function};
use super::maybe::Maybe;
use super::{Expr, IntoCondition, IntoExpr, Node};
use crate::types::Scalar;

/// A CASE that is being put together; see [`case_when`].
#[derive(Debug, Clone)]
#[must_use = "end it by otherwise() or or_null()"]
pub struct Case<T> {
    arguments: Vec<Node>,
    result: PhantomData<fn() -> T>,
}

/// The value where the condition is true; the conditions are tried in their order.
///
/// ```
/// # use emr_core::{Column, SyncableExt, Syncable, functions::case_when};
/// # fn f<Post: Syncable>(VISITS: Column<Post, i64>) {
/// let size = case_when::<String>(VISITS.gt(1_000), "big").when(VISITS.gt(10), "small").otherwise("none");
/// let query = Post::query().select(size);
/// # }
/// ```
pub fn case_when<T>(condition: impl IntoCondition, value: impl IntoExpr<T>) -> Case<T> {
    Case { arguments: Vec::new(), result: PhantomData }.when(condition, value)
}

impl<T> Case<T> {
    /// Else, this value where the condition is true.
    pub fn when(mut self, condition: impl IntoCondition, value: impl IntoExpr<T>) -> Self {
        self.arguments.push(condition.into_condition().into_node());
        self.arguments.push(value.into_expr().into_node());
        self
    }
}

impl<T: Scalar> Case<T> {
    /// Else, this value.
    pub fn otherwise(mut self, value: impl IntoExpr<T>) -> Expr<T> {
        self.arguments.push(value.into_expr().into_node());
        Expr::from_node(self.node())
    }

    /// Else NULL.
    pub fn or_null(self) -> Maybe<T> {
        Maybe::of(self.node())
    }

    fn node(self) -> Node {
        Call::new(Function::Case, self.arguments, T::TYPE, T::TYPE).into_node()
    }
}
