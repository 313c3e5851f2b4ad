//! Windows: values of the rows around a row.

use std::borrow::Cow;

use super::call::{Bound, Call, Frame, Function, Over, WindowDef};
use super::maybe::{Maybe, Operand};
use super::{Expr, IntoExpr, IntoOrder, Node};
use crate::query::IntoGroup;
use crate::types::Scalar;
use crate::value::SqlType;

/// The rows that a window function sees: which rows belong together, their order, and which of them count.
///
/// ```
/// # use emr_core::{Bound, Column, SyncableExt, Syncable, Window, functions::{row_number, sum}};
/// # fn f<Post: Syncable>(ID: Column<Post, i64>, AUTHOR: Column<Post, i64>, VISITS: Column<Post, i64>) {
/// let by_author = Window::partition_by(AUTHOR).order_by(ID.asc());
/// let last_three = by_author.clone().rows_between(Bound::Preceding(2), Bound::CurrentRow);
/// let query = Post::query().select((ID, row_number().over(by_author), sum(VISITS).over(last_three)));
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "a window does nothing until a function goes over it"]
pub struct Window(WindowDef);

impl Window {
    /// All rows of the query.
    pub fn all() -> Window {
        Window::default()
    }

    /// Only rows that are equal in these keys: a column, an expression or a tuple of them.
    pub fn partition_by(keys: impl IntoGroup) -> Window {
        Window(WindowDef { partition: keys.into_group(), ..WindowDef::default() })
    }

    /// All rows of the query, in this order.
    pub fn ordered_by(order: impl IntoOrder) -> Window {
        Window::all().order_by(order)
    }

    /// In this order, after all earlier keys. With an order, and without a frame, an aggregate counts the rows up to the
    /// row itself and those that are equal to it in the order.
    pub fn order_by(mut self, order: impl IntoOrder) -> Window {
        self.0.order.extend(order.into_order());
        self
    }

    /// Only rows from `start` to `end`, counted in rows.
    pub fn rows_between(mut self, start: Bound, end: Bound) -> Window {
        self.0.frame = Some(Frame { rows: true, start, end });
        self
    }

    /// Only rows from `start` to `end`, where all rows that are equal in the order count as the row itself. The ends can
    /// be the row itself and the ends of the window.
    pub fn range_between(mut self, start: Bound, end: Bound) -> Window {
        self.0.frame = Some(Frame { rows: false, start, end });
        self
    }

    pub(crate) fn into_def(self) -> WindowDef {
        self.0
    }
}

/// What a function can go over: a [`Window`], or the name of one of the query's.
pub trait IntoWindow {
    /// The window.
    fn into_window(self) -> Over;
}

impl IntoWindow for Window {
    fn into_window(self) -> Over {
        Over::Window(self.0)
    }
}

impl IntoWindow for &'static str {
    fn into_window(self) -> Over {
        Over::Named(Cow::Borrowed(self))
    }
}

/// A window function that waits for its window. `E` is what it is then.
#[derive(Debug, Clone)]
#[must_use = "say over which rows it goes"]
pub struct WindowFunction<E> {
    call: Call,
    made: fn(Node) -> E,
}

impl<E> WindowFunction<E> {
    fn new(function: Function, arguments: Vec<Node>, of: SqlType, ty: SqlType, made: fn(Node) -> E) -> Self {
        WindowFunction { call: Call::new(function, arguments, of, ty), made }
    }

    /// Over the rows of this window: a [`Window`], or the name of a [window of the query](crate::Query::window).
    pub fn over(mut self, window: impl IntoWindow) -> E {
        self.call.over = Some(window.into_window());
        (self.made)(self.call.into_node())
    }

    /// Over the rows of the query's [window](crate::Query::window) of this name.
    pub fn over_named(mut self, name: impl Into<Cow<'static, str>>) -> E {
        self.call.over = Some(Over::Named(name.into()));
        (self.made)(self.call.into_node())
    }
}

fn ranking<T: Scalar>(function: Function) -> WindowFunction<Expr<T>> {
    WindowFunction::new(function, Vec::new(), SqlType::Unknown, T::TYPE, Expr::from_node)
}

/// The number of the row in its window, from 1.
pub fn row_number() -> WindowFunction<Expr<i64>> {
    ranking(Function::RowNumber)
}

/// The number of the first row that is equal to this one in the order: with gaps.
pub fn rank() -> WindowFunction<Expr<i64>> {
    ranking(Function::Rank)
}

/// The number of the group of rows that are equal in the order: without gaps.
pub fn dense_rank() -> WindowFunction<Expr<i64>> {
    ranking(Function::DenseRank)
}

/// The rank from 0 to 1.
pub fn percent_rank() -> WindowFunction<Expr<f64>> {
    ranking(Function::PercentRank)
}

/// The part of the rows that are not behind this one in the order, up to 1.
pub fn cume_dist() -> WindowFunction<Expr<f64>> {
    ranking(Function::CumeDist)
}

/// Which of `groups` groups of equal size, from 1, the row is in. `groups` is 1 or more.
pub fn ntile(groups: u32) -> WindowFunction<Expr<i64>> {
    ranking(Function::Ntile(groups))
}

fn neighbour<X: Operand>(function: Function, of: X) -> WindowFunction<Maybe<X::Scalar>> {
    let ty = X::Scalar::TYPE;
    WindowFunction::new(function, vec![of.operand().into_node()], ty, ty, Maybe::of)
}

/// Its value `rows` rows before; NULL where there is none.
pub fn lag<X: Operand>(of: X, rows: u32) -> WindowFunction<Maybe<X::Scalar>> {
    neighbour(Function::Lag(rows), of)
}

/// Its value `rows` rows after; NULL where there is none.
pub fn lead<X: Operand>(of: X, rows: u32) -> WindowFunction<Maybe<X::Scalar>> {
    neighbour(Function::Lead(rows), of)
}

/// Its value in the first row of the frame.
pub fn first_value<X: Operand>(of: X) -> WindowFunction<Maybe<X::Scalar>> {
    neighbour(Function::FirstValue, of)
}

/// Its value in the last row of the frame, which without a frame is the row itself.
pub fn last_value<X: Operand>(of: X) -> WindowFunction<Maybe<X::Scalar>> {
    neighbour(Function::LastValue, of)
}

/// Its value in this row of the frame, from 1; NULL where there is none. Not on SQL Server.
pub fn nth_value<X: Operand>(of: X, row: u32) -> WindowFunction<Maybe<X::Scalar>> {
    neighbour(Function::NthValue(row), of)
}

impl<T: Scalar> WindowFunction<Maybe<T>> {
    /// For [`lag`] and [`lead`]: this value where there is no such row.
    pub fn or(mut self, default: impl IntoExpr<T>) -> Self {
        if matches!(self.call.function, Function::Lag(_) | Function::Lead(_)) {
            let context = self.call.arguments.first().and_then(Node::context);
            self.call.arguments.truncate(1);
            self.call.arguments.push(default.into_expr().into_node().in_context(context));
        }
        self
    }
}
