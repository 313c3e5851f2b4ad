//! Calculating with dates and times.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SubsecRound, Utc};
use rust_decimal::Decimal;

use super::call::{Call, Function};
use super::maybe::{Maybe, Operand};
use super::{Column, Expr, Node};
use crate::schema::Syncable;
use crate::types::{Field, Scalar};
use crate::value::{SqlType, Value};

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
pub enum Unit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
}

impl Unit {
    /// How many months it is, for units whose length in days differs.
    pub(crate) fn months(self) -> Option<i64> {
        match self {
            Unit::Year => Some(12),
            Unit::Month => Some(1),
            _ => None,
        }
    }

    /// How many microseconds it is; 0 for months and years.
    pub(crate) fn micros(self) -> i64 {
        match self {
            Unit::Year | Unit::Month => 0,
            Unit::Week => 7 * 86_400_000_000,
            Unit::Day => 86_400_000_000,
            Unit::Hour => 3_600_000_000,
            Unit::Minute => 60_000_000,
            Unit::Second => 1_000_000,
            Unit::Millisecond => 1_000,
            Unit::Microsecond => 1,
        }
    }
}

/// Types that time can be added to.
#[diagnostic::on_unimplemented(
    message = "time cannot be added to `{Self}`",
    label = "expected a NaiveDate, a NaiveDateTime or a DateTime<Utc>"
)]
pub trait Temporal: Scalar {
    /// The program's time.
    fn now() -> Self;
}

impl Temporal for NaiveDate {
    fn now() -> Self {
        Utc::now().date_naive()
    }
}

impl Temporal for NaiveDateTime {
    fn now() -> Self {
        Utc::now().naive_utc().trunc_subsecs(6)
    }
}

impl Temporal for DateTime<Utc> {
    fn now() -> Self {
        crate::types::now()
    }
}

/// What can count units of time: integers, floats, decimals, and columns and expressions of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` counts nothing",
    label = "expected a number, or an expression of one"
)]
pub trait IntoCount {
    /// The number.
    fn into_count(self) -> Node;
}

macro_rules! counts {
    ($($rust:ty)*) => {
        $(
            impl IntoCount for $rust {
                fn into_count(self) -> Node {
                    super::IntoArgument::into_argument(self)
                }
            }
        )*
    };
}

counts! { i16 i32 i64 f64 Decimal }

impl<T: super::Numeric> IntoCount for Expr<T> {
    fn into_count(self) -> Node {
        self.node
    }
}

impl<T: super::Numeric> IntoCount for Maybe<T> {
    fn into_count(self) -> Node {
        self.expr().node
    }
}

impl<S: Syncable, F: Field> IntoCount for Column<S, F>
where
    F::Scalar: super::Numeric,
{
    fn into_count(self) -> Node {
        self.node()
    }
}

/// What dates and times can do.
pub trait TemporalFunctions: Operand {
    /// So many units later; earlier for a negative number.
    ///
    /// Years and months are counted on the calendar of UTC: the day of the month stays, or becomes the month's last one
    /// where it has fewer. They take whole numbers only. Of the other units a day is 24 hours, a number may have a
    /// fraction, and the result is exact to the microsecond. A date is taken for its midnight, and of the result the day is kept.
    ///
    /// # Errors
    /// The query fails with [`InvalidCall`](crate::ErrorKind::InvalidCall) for a fraction of a month and a number that no
    /// time can be far away, and with the server's error for a result out of range.
    fn add_interval(self, count: impl IntoCount, unit: Unit) -> Expr<Self::Scalar>;

    /// So many units earlier; see [`add_interval`](TemporalFunctions::add_interval).
    fn sub_interval(self, count: impl IntoCount, unit: Unit) -> Expr<Self::Scalar>;
}

impl<X: Operand> TemporalFunctions for X
where
    X::Scalar: Temporal,
{
    fn add_interval(self, count: impl IntoCount, unit: Unit) -> Expr<X::Scalar> {
        add(self.operand().node, count.into_count(), unit)
    }

    fn sub_interval(self, count: impl IntoCount, unit: Unit) -> Expr<X::Scalar> {
        add(self.operand().node, negated(count.into_count()), unit)
    }
}

fn add<T: Scalar>(time: Node, count: Node, unit: Unit) -> Expr<T> {
    Expr::from_node(Call::new(Function::AddInterval(unit), vec![time, count], T::TYPE, T::TYPE).into_node())
}

fn negated(count: Node) -> Node {
    match count {
        Node::Bind { value: Value::I16(n), context } => Node::Bind { value: Value::I64(-i64::from(n)), context },
        Node::Bind { value: Value::I32(n), context } => Node::Bind { value: Value::I64(-i64::from(n)), context },
        // The one that has no opposite is refused as too far away when the query is written.
        Node::Bind { value: Value::I64(n), context } => Node::Bind { value: Value::I64(n.saturating_neg()), context },
        Node::Bind { value: Value::F64(n), context } => Node::Bind { value: Value::F64(-n), context },
        Node::Bind { value: Value::Decimal(n), context } => Node::Bind { value: Value::Decimal(-n), context },
        node => Node::Binary {
            op: super::Operator::Mul,
            right: Box::new(Node::Bind { value: minus_one(node.sql_type()), context: None }),
            left: Box::new(node),
        },
    }
}

fn minus_one(ty: Option<SqlType>) -> Value<'static> {
    match ty {
        Some(SqlType::F32) => Value::F32(-1.0),
        Some(SqlType::F64) => Value::F64(-1.0),
        Some(SqlType::Decimal) => Value::Decimal(Decimal::NEGATIVE_ONE),
        Some(SqlType::I16) => Value::I16(-1),
        Some(SqlType::I32) => Value::I32(-1),
        _ => Value::I64(-1),
    }
}

fn time_from_now<T: Temporal>(count: Node, unit: Unit) -> Expr<T> {
    add(super::IntoArgument::into_argument(T::now()), count, unit)
}

/// So many units before the program's time, in UTC. Of the type that it is compared with.
///
/// ```
/// # use chrono::{DateTime, Utc};
/// # use emr_core::{Column, SyncableExt, Syncable, Unit, functions::ago};
/// # fn f<Post: Syncable>(CREATED_AT: Column<Post, DateTime<Utc>>) {
/// let recent = Post::query().filter(CREATED_AT.gt(ago(3, Unit::Month)));
/// # }
/// ```
pub fn ago<T: Temporal>(count: impl IntoCount, unit: Unit) -> Expr<T> {
    time_from_now(negated(count.into_count()), unit)
}

/// So many units after the program's time, in UTC. Of the type that it is compared with.
pub fn from_now<T: Temporal>(count: impl IntoCount, unit: Unit) -> Expr<T> {
    time_from_now(count.into_count(), unit)
}
