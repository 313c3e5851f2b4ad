//! Expressions: conditions and values inside a query.

mod aggregate;
mod array;
mod call;
mod case;
mod column;
mod convert;
mod dynamic;
mod fragment;
mod function;
mod interval;
mod json;
mod maybe;
mod node;
mod order;
mod show;
mod window;

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Not, Sub};

pub use aggregate::{Aggregate, Ordered, Summable};
pub use array::ArrayFunctions;
pub(crate) use array::changed as changed_array;
pub use call::{Bound, Call, Frame, Function, JsonRead, JsonStep, Over, WindowDef};
pub use case::Case;
pub use column::Column;
pub use convert::{IntoArgument, IntoCondition, IntoExpr, IntoField, IntoKey, IntoScalar};
pub use dynamic::DynColumn;
pub(crate) use dynamic::fitting_value;
pub use fragment::{Fragment, fragment};
pub use interval::{IntoCount, Temporal, TemporalFunctions, Unit};
pub use json::{JsonDocument, JsonFunctions, JsonPath};
pub use maybe::{Maybe, Operand};
pub use node::{FragmentPart, Node, Operator, SourceRef};
pub use order::{IntoOrder, Nulls, Order};
pub use window::{IntoWindow, Window, WindowFunction};

use crate::schema::Syncable;
use crate::types::{Field, Scalar};

/// Functions of the query language. Those that begin at a column are methods of it: see [`TemporalFunctions`],
/// [`JsonFunctions`] and [`ArrayFunctions`].
pub mod functions {
    pub use super::aggregate::{avg, count, count_all, max, min, sum};
    pub use super::case::case_when;
    pub use super::function::{
        abs, cast, coalesce, concat, length, literal, lower, nullif, round, server_now, trim, upper,
    };
    pub use super::interval::{ago, from_now};
    pub use super::window::{
        cume_dist, dense_rank, first_value, lag, last_value, lead, nth_value, ntile, percent_rank, rank, row_number,
    };
}

/// An SQL expression with the Rust type `T`. NULL is not a type: an expression over a nullable column
/// has the type of its values.
#[must_use = "an expression does nothing until a query uses it"]
pub struct Expr<T> {
    pub(crate) node: Node,
    result: PhantomData<fn() -> T>,
}

impl<T> Expr<T> {
    pub(crate) fn from_node(node: Node) -> Self {
        Expr { node, result: PhantomData }
    }

    /// The tree, for adapters and tools.
    pub fn into_node(self) -> Node {
        self.node
    }

    fn binary(self, op: Operator, right: Node) -> Node {
        let right = right.in_context_of(&self.node);
        let left = self.node.in_context_of(&right);
        Node::Binary { op, left: Box::new(left), right: Box::new(right) }
    }

    fn compare(self, op: Operator, right: Node) -> Expr<bool> {
        Expr::from_node(self.binary(op, right))
    }

    /// `IS NULL`.
    pub fn is_null(self) -> Expr<bool> {
        Expr::from_node(Node::IsNull(Box::new(self.node)))
    }

    /// `IS NOT NULL`.
    pub fn is_not_null(self) -> Expr<bool> {
        !self.is_null()
    }

    /// Ascending order.
    pub fn asc(self) -> Order {
        Order { node: self.node, descending: false, nulls: None }
    }

    /// Descending order.
    pub fn desc(self) -> Order {
        Order { node: self.node, descending: true, nulls: None }
    }
}

impl<T: Scalar> Expr<T> {
    /// `self = value`. Never true for NULL.
    pub fn eq(self, value: impl IntoExpr<T>) -> Expr<bool> {
        self.compare(Operator::Eq, value.into_expr().node)
    }

    /// `self <> value`. Never true for NULL.
    pub fn ne(self, value: impl IntoExpr<T>) -> Expr<bool> {
        self.compare(Operator::NotEq, value.into_expr().node)
    }

    /// `self < value`.
    pub fn lt(self, value: impl IntoExpr<T>) -> Expr<bool> {
        self.compare(Operator::Lt, value.into_expr().node)
    }

    /// `self <= value`.
    pub fn le(self, value: impl IntoExpr<T>) -> Expr<bool> {
        self.compare(Operator::LtEq, value.into_expr().node)
    }

    /// `self > value`.
    pub fn gt(self, value: impl IntoExpr<T>) -> Expr<bool> {
        self.compare(Operator::Gt, value.into_expr().node)
    }

    /// `self >= value`.
    pub fn ge(self, value: impl IntoExpr<T>) -> Expr<bool> {
        self.compare(Operator::GtEq, value.into_expr().node)
    }

    /// `low <= self` and `self <= high`.
    pub fn between(self, low: impl IntoExpr<T>, high: impl IntoExpr<T>) -> Expr<bool> {
        let low = low.into_expr().node.in_context_of(&self.node);
        let high = high.into_expr().node.in_context_of(&self.node);
        Expr::from_node(Node::Between { needle: Box::new(self.node), low: Box::new(low), high: Box::new(high) })
    }

    /// One of the values.
    pub fn in_list<V: IntoScalar<T>>(self, values: impl IntoIterator<Item = V>) -> Expr<bool> {
        Expr::from_node(Node::In {
            context: self.node.context(),
            needle: Box::new(self.node),
            list: values.into_iter().map(|value| value.into_scalar().into_value()).collect(),
            element: T::TYPE,
        })
    }
}

impl Expr<String> {
    /// Matches a pattern; see [`Column::like`].
    pub fn like(self, pattern: impl IntoExpr<String>) -> Expr<bool> {
        self.matches(pattern.into_expr().node, false)
    }

    /// Matches a pattern, ignoring case.
    pub fn ilike(self, pattern: impl IntoExpr<String>) -> Expr<bool> {
        self.matches(pattern.into_expr().node, true)
    }

    fn matches(self, pattern: Node, ignore_case: bool) -> Expr<bool> {
        let pattern = pattern.in_context_of(&self.node);
        Expr::from_node(Node::Like { subject: Box::new(self.node), pattern: Box::new(pattern), ignore_case })
    }
}

impl Expr<bool> {
    /// Both.
    pub fn and(self, other: Expr<bool>) -> Expr<bool> {
        let mut all = match self.node {
            Node::And(all) => all,
            node => vec![node],
        };
        match other.node {
            Node::And(more) => all.extend(more),
            node => all.push(node),
        }
        Expr::from_node(Node::And(all))
    }

    /// Either, or both.
    pub fn or(self, other: Expr<bool>) -> Expr<bool> {
        let mut any = match self.node {
            Node::Or(any) => any,
            node => vec![node],
        };
        match other.node {
            Node::Or(more) => any.extend(more),
            node => any.push(node),
        }
        Expr::from_node(Node::Or(any))
    }

    /// All of the conditions: a filter that is put together at run time. True if there is none.
    pub fn all(conditions: impl IntoIterator<Item = Expr<bool>>) -> Expr<bool> {
        Expr::from_node(Node::And(conditions.into_iter().map(|condition| condition.node).collect()))
    }

    /// Any of the conditions. False if there is none.
    pub fn any(conditions: impl IntoIterator<Item = Expr<bool>>) -> Expr<bool> {
        Expr::from_node(Node::Or(conditions.into_iter().map(|condition| condition.node).collect()))
    }

    /// True or false, whatever the row.
    pub fn constant(value: bool) -> Expr<bool> {
        Expr::from_node(Node::Constant(value))
    }
}

/// What the query selects under this name (see [`named`](crate::Select::named)), in its order, groups and conditions on groups.
pub fn selected<T>(name: impl Into<std::borrow::Cow<'static, str>>) -> Expr<T> {
    Expr::from_node(Node::Selected(name.into()))
}

impl Not for Expr<bool> {
    type Output = Expr<bool>;

    fn not(self) -> Expr<bool> {
        Expr::from_node(Node::Not(Box::new(self.node)))
    }
}

/// Types that SQL can calculate with.
pub trait Numeric: Scalar {}

impl Numeric for i16 {}
impl Numeric for i32 {}
impl Numeric for i64 {}
impl Numeric for f32 {}
impl Numeric for f64 {}
impl Numeric for rust_decimal::Decimal {}

macro_rules! arithmetic {
    ($($trait:ident, $method:ident;)*) => {
        $(
            impl<T: Numeric, R: IntoExpr<T>> $trait<R> for Expr<T> {
                type Output = Expr<T>;

                fn $method(self, right: R) -> Expr<T> {
                    Expr::from_node(self.binary(Operator::$trait, right.into_expr().node))
                }
            }

            impl<S: Syncable, F: Field, R> $trait<R> for Column<S, F>
            where
                F::Scalar: Numeric,
                R: IntoExpr<F::Scalar>,
            {
                type Output = Expr<F::Scalar>;

                fn $method(self, right: R) -> Expr<F::Scalar> {
                    $trait::$method(self.expr(), right)
                }
            }
        )*
    };
}

arithmetic! {
    Add, add;
    Sub, sub;
    Mul, mul;
    Div, div;
}

impl<T> Clone for Expr<T> {
    fn clone(&self) -> Self {
        Expr::from_node(self.node.clone())
    }
}

impl<T> fmt::Debug for Expr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}
