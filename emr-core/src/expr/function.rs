//! Functions of values.

use super::call::{Call, Function};
use super::maybe::{Maybe, Operand};
use super::{Expr, IntoArgument, IntoExpr, Node, Numeric};
use crate::types::Scalar;
use crate::value::SqlType;

/// The call of a function whose arguments and result have one type.
fn same<T: Scalar>(function: Function, arguments: Vec<Node>) -> Expr<T> {
    Expr::from_node(Call::new(function, arguments, T::TYPE, T::TYPE).into_node())
}

/// A value as an expression of its own, that knows its type: to begin arithmetic with, to select, to group by.
pub fn literal<T: Scalar>(value: T) -> Expr<T> {
    same(Function::Cast, vec![value.into_argument()])
}

/// The first value, or where it is NULL the second one.
///
/// ```
/// # use emr_core::{Column, SyncableExt, Syncable, functions::coalesce};
/// # fn f<Post: Syncable>(BODY: Column<Post, Option<String>>) {
/// let bodies = Post::query().select(coalesce(BODY, "no text"));
/// # }
/// ```
pub fn coalesce<X: Operand>(value: X, otherwise: impl IntoExpr<X::Scalar>) -> Expr<X::Scalar> {
    let mut arguments = match value.operand().into_node() {
        Node::Call(call) if call.function == Function::Coalesce => call.arguments,
        node => vec![node],
    };
    arguments.push(otherwise.into_expr().into_node());
    same(Function::Coalesce, arguments)
}

/// The first value, or NULL where it equals the second one.
pub fn nullif<X: Operand>(value: X, other: impl IntoExpr<X::Scalar>) -> Maybe<X::Scalar> {
    Maybe(same(Function::NullIf, vec![value.operand().into_node(), other.into_expr().into_node()]))
}

/// In lower case, as the server's collation has it; on SQLite each character as Unicode has it.
pub fn lower(text: impl IntoExpr<String>) -> Expr<String> {
    same(Function::Lower, vec![text.into_expr().into_node()])
}

/// In upper case, as the server's collation has it; on SQLite each character as Unicode has it.
pub fn upper(text: impl IntoExpr<String>) -> Expr<String> {
    same(Function::Upper, vec![text.into_expr().into_node()])
}

/// How many characters. SQL Server counts a character beyond U+FFFF twice.
pub fn length(text: impl IntoExpr<String>) -> Expr<i64> {
    let arguments = vec![text.into_expr().into_node()];
    Expr::from_node(Call::new(Function::Length, arguments, SqlType::Text, SqlType::I64).into_node())
}

/// Without the spaces at both ends. Other white space stays.
pub fn trim(text: impl IntoExpr<String>) -> Expr<String> {
    same(Function::Trim, vec![text.into_expr().into_node()])
}

/// One text behind the other; NULL if one of them is.
pub fn concat(first: impl IntoExpr<String>, second: impl IntoExpr<String>) -> Expr<String> {
    let mut arguments = match first.into_expr().into_node() {
        Node::Call(call) if call.function == Function::Concat => call.arguments,
        node => vec![node],
    };
    arguments.push(second.into_expr().into_node());
    same(Function::Concat, arguments)
}

/// Without its sign.
pub fn abs<X: Operand>(number: X) -> Expr<X::Scalar>
where
    X::Scalar: Numeric,
{
    same(Function::Abs, vec![number.operand().into_node()])
}

/// Rounded to this many digits behind the point, or before it where negative; halves go away from zero.
pub fn round<X: Operand>(number: X, digits: i16) -> Expr<X::Scalar>
where
    X::Scalar: Numeric,
{
    same(Function::Round(digits), vec![number.operand().into_node()])
}

/// The value as another type: `cast::<Decimal>(Post::VISITS)`.
///
/// | from | to | |
/// | --- | --- | --- |
/// | any number | any number | what does not fit is an error of the server; to an integer it is rounded, halves away from zero |
/// | text | number, date, time, instant, UUID | text that is none is an error of the server (MySQL: 0 or NULL); instants say their offset |
/// | number, truth, UUID | text | a truth is `true` or `false` |
/// | truth | integer | 0 or 1 |
/// | integer | truth | 0 is false |
/// | bytes | text | read as UTF-8 |
/// | instant, date and time | date; each other | in UTC |
///
/// Everything else is [`Unsupported`](crate::ErrorKind::Unsupported), as engines do not agree on it.
pub fn cast<T: Scalar>(value: impl IntoArgument) -> Expr<T> {
    let node = value.into_argument();
    let of = node.sql_type().unwrap_or(SqlType::Unknown);
    Expr::from_node(Call::new(Function::Cast, vec![node], of, T::TYPE).into_node())
}

/// The server's time in UTC, the same all over a statement (to the millisecond on SQLite). For the program's time bind
/// [`now`](crate::now).
pub fn server_now() -> Expr<chrono::DateTime<chrono::Utc>> {
    same(Function::Now, Vec::new())
}
