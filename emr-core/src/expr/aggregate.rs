//! Functions that make one value of many rows.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Sub};

use rust_decimal::Decimal;

use super::call::{Call, Function, Over};
use super::maybe::{Maybe, Operand, like_an_expression};
use super::window::IntoWindow;
use super::{Expr, IntoArgument, IntoCondition, IntoExpr, IntoScalar, Node, Numeric, Order};
use crate::from_row::FromRow;
use crate::query::{Select, SelectItem};
use crate::types::Scalar;
use crate::value::SqlType;

/// One value of many rows, of type `T`. It is selected as `O`: an `Option`, because of no row it is NULL, but for
/// counts. Everywhere else (in [`having`](crate::Query::having), in orders, in arithmetic) it is an expression.
///
/// ```
/// # use emr_core::{Column, SyncableExt, Syncable, functions::{count_all, max}};
/// # fn f<Post: Syncable>(AUTHOR: Column<Post, i64>, VISITS: Column<Post, i64>) {
/// let most = Post::query()
///     .group_by(AUTHOR)
///     .having(count_all().gt(1))
///     .select((AUTHOR, count_all(), max(VISITS).filter(VISITS.lt(1_000))));
/// # }
/// ```
#[must_use = "an aggregate does nothing until a query uses it"]
pub struct Aggregate<T, O = Option<T>> {
    pub(crate) call: Call,
    result: PhantomData<fn() -> (T, O)>,
}

/// Types that can be added up.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be added up",
    label = "sums and means are of i16, i32, i64, f32, f64 and Decimal"
)]
pub trait Summable: Scalar {
    /// The type of the sum: of integers `i64`, of floats `f64`, of decimals `Decimal`.
    type Sum: Scalar;
    /// The type of the mean: of integers and floats `f64`, of decimals `Decimal`.
    type Mean: Scalar;
}

/// Types whose values have a smallest and a largest one on every backend.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no smallest and no largest value",
    label = "min and max are of numbers, text, dates and times"
)]
pub trait Ordered: Scalar {}

macro_rules! kinds {
    ($($rust:ty: $sum:ty, $mean:ty;)*) => {
        $(
            impl Summable for $rust {
                type Sum = $sum;
                type Mean = $mean;
            }
            impl Ordered for $rust {}
        )*
    };
}

kinds! {
    i16: i64, f64;
    i32: i64, f64;
    i64: i64, f64;
    f32: f64, f64;
    f64: f64, f64;
    Decimal: Decimal, Decimal;
}

impl Ordered for String {}
impl Ordered for chrono::NaiveDate {}
impl Ordered for chrono::NaiveTime {}
impl Ordered for chrono::NaiveDateTime {}
impl Ordered for chrono::DateTime<chrono::Utc> {}

impl<T: Scalar, O> Aggregate<T, O> {
    fn of(function: Function, of: SqlType, arguments: Vec<Node>) -> Self {
        Aggregate { call: Call::new(function, arguments, of, T::TYPE), result: PhantomData }
    }

    fn on<X: Operand>(function: Function, operand: X) -> Self {
        Self::of(function, X::Scalar::TYPE, vec![operand.operand().into_node()])
    }
}

impl<T, O> Aggregate<T, O> {
    /// Only one of equal values counts.
    pub fn distinct(mut self) -> Self {
        self.call.distinct = true;
        self
    }

    /// Only rows for which the condition is true count, and all earlier ones. Written `FILTER (WHERE …)`, or as a CASE
    /// where the engine has no FILTER.
    pub fn filter(mut self, condition: impl IntoCondition) -> Self {
        match condition.into_condition().into_node() {
            Node::And(all) => self.call.filter.extend(all),
            node => self.call.filter.push(node),
        }
        self
    }

    /// Of the rows in a window around each row, instead of one value for all rows: a [`Window`](crate::Window), or the name
    /// of a [window of the query](crate::Query::window).
    pub fn over(mut self, window: impl IntoWindow) -> Self {
        self.call.over = Some(window.into_window());
        self
    }

    /// Of the rows in the query's [window](crate::Query::window) of this name.
    pub fn over_named(mut self, name: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        self.call.over = Some(Over::Named(name.into()));
        self
    }

    /// It as an expression.
    pub fn expr(self) -> Expr<T> {
        Expr::from_node(self.call.into_node())
    }
}

like_an_expression!([T, O] Aggregate<T, O>);

impl<T: Scalar, O: FromRow> Select for Aggregate<T, O> {
    type Output = O;

    fn items(self, items: &mut Vec<SelectItem>) {
        items.push(SelectItem::Expr { node: self.call.into_node(), name: None });
    }
}

impl<T, O> Clone for Aggregate<T, O> {
    fn clone(&self) -> Self {
        Aggregate { call: self.call.clone(), result: PhantomData }
    }
}

impl<T, O> fmt::Debug for Aggregate<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(f)
    }
}

/// How many rows.
pub fn count_all() -> Aggregate<i64, i64> {
    Aggregate::of(Function::CountAll, SqlType::Unknown, Vec::new())
}

/// In how many rows it is not NULL.
pub fn count(of: impl Operand) -> Aggregate<i64, i64> {
    Aggregate::on(Function::Count, of)
}

/// The sum. Of integers it is an `i64`; one that is larger is an error of the server, never another number.
pub fn sum<X: Operand>(of: X) -> Aggregate<<X::Scalar as Summable>::Sum>
where
    X::Scalar: Summable,
{
    Aggregate::on(Function::Sum, of)
}

/// The mean. Of integers it is a float and nothing is cut off; of decimals a decimal with as many digits as the engine
/// gives it.
pub fn avg<X: Operand>(of: X) -> Aggregate<<X::Scalar as Summable>::Mean>
where
    X::Scalar: Summable,
{
    Aggregate::on(Function::Avg, of)
}

/// The smallest value.
pub fn min<X: Operand>(of: X) -> Aggregate<X::Scalar>
where
    X::Scalar: Ordered,
{
    Aggregate::on(Function::Min, of)
}

/// The largest value.
pub fn max<X: Operand>(of: X) -> Aggregate<X::Scalar>
where
    X::Scalar: Ordered,
{
    Aggregate::on(Function::Max, of)
}
