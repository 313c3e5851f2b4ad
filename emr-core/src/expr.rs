//! Expressions: conditions and values inside a query.

mod show;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Not, Sub};

use crate::schema::{ColumnDef, Schema, Syncable};
use crate::types::{Field, Scalar};
use crate::value::{SqlType, Value};

/// A column of the struct `S` with the Rust type `F`: the constants that the derive makes
/// (`Post::TITLE`).
pub struct Column<S, F> {
    index: usize,
    types: PhantomData<fn() -> (S, F)>,
}

impl<S, F> Clone for Column<S, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, F> Copy for Column<S, F> {}

/// An SQL expression with the Rust type `T`. NULL is not a type: an expression over a nullable column
/// has the type of its values.
#[must_use = "an expression does nothing until a query uses it"]
pub struct Expr<T> {
    pub(crate) node: Node,
    result: PhantomData<fn() -> T>,
}

/// The untyped tree of an [`Expr`]. Its `Debug` hides the values of redacted columns.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Node {
    /// A column of one of the query's sources.
    Column {
        /// The schema that the source was made from.
        schema: &'static Schema,
        /// The position in [`Schema::columns`].
        column: usize,
    },
    /// A bound value.
    Bind {
        /// The value.
        value: Value<'static>,
        /// The column that it is compared with or written to, for error messages and redaction.
        context: Option<(&'static Schema, usize)>,
    },
    /// `left op right`.
    Binary {
        /// The operator.
        op: Operator,
        /// The left side.
        left: Box<Node>,
        /// The right side.
        right: Box<Node>,
    },
    /// All of them; true if there is none.
    And(Vec<Node>),
    /// Any of them; false if there is none.
    Or(Vec<Node>),
    /// The opposite.
    Not(Box<Node>),
    /// `IS NULL`.
    IsNull(Box<Node>),
    /// Membership in a list of values.
    In {
        /// What is looked up.
        needle: Box<Node>,
        /// The values.
        list: Vec<Value<'static>>,
        /// Their type.
        element: SqlType,
        /// The column that they are compared with.
        context: Option<(&'static Schema, usize)>,
    },
    /// `BETWEEN`, both ends included.
    Between {
        /// What is tested.
        needle: Box<Node>,
        /// The lower end.
        low: Box<Node>,
        /// The upper end.
        high: Box<Node>,
    },
    /// Pattern match with `%`, `_` and the escape `\`.
    Like {
        /// What is tested.
        subject: Box<Node>,
        /// The pattern.
        pattern: Box<Node>,
        /// Whether case is ignored.
        ignore_case: bool,
    },
    /// SQL text with expressions in it.
    Fragment(Vec<FragmentPart>),
    /// True or false.
    Constant(bool),
}

/// A part of a [`Node::Fragment`].
#[derive(Clone, PartialEq)]
pub enum FragmentPart {
    /// SQL, sent as it is.
    Sql(Cow<'static, str>),
    /// An expression.
    Argument(Node),
}

/// Operators of two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // the names say it
pub enum Operator {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
    Add,
    Sub,
    Mul,
    Div,
}

impl Operator {
    /// How SQL writes it.
    pub fn sql(self) -> &'static str {
        match self {
            Operator::Eq => " = ",
            Operator::NotEq => " <> ",
            Operator::Lt => " < ",
            Operator::LtEq => " <= ",
            Operator::Gt => " > ",
            Operator::GtEq => " >= ",
            Operator::Add => " + ",
            Operator::Sub => " - ",
            Operator::Mul => " * ",
            Operator::Div => " / ",
        }
    }

    /// Whether the result is a truth value.
    pub fn is_comparison(self) -> bool {
        !matches!(self, Operator::Add | Operator::Sub | Operator::Mul | Operator::Div)
    }
}

impl Node {
    /// The schema and position of a plain column.
    pub fn as_column(&self) -> Option<(&'static Schema, usize)> {
        match self {
            Node::Column { schema, column } => Some((schema, *column)),
            _ => None,
        }
    }

    /// The column type of the expression where one side tells it.
    pub fn sql_type(&self) -> Option<SqlType> {
        match self {
            Node::Column { schema, column } => Some(schema.columns[*column].ty),
            Node::Bind { value, .. } => Some(value.sql_type()),
            Node::Binary { op, left, right } if !op.is_comparison() => left.sql_type().or_else(|| right.sql_type()),
            _ => None,
        }
    }

    /// The column that a value beside this expression belongs to: the expression itself, or a redacted column in
    /// it, because what is compared with a part of a secret may tell it.
    fn context(&self) -> Option<(&'static Schema, usize)> {
        self.as_column().or_else(|| self.redacted())
    }

    fn redacted(&self) -> Option<(&'static Schema, usize)> {
        match self {
            Node::Column { schema, column } => schema.columns[*column].redact.then_some((*schema, *column)),
            Node::Binary { left, right, .. } => left.redacted().or_else(|| right.redacted()),
            Node::Fragment(parts) => parts.iter().find_map(|part| match part {
                FragmentPart::Argument(node) => node.redacted(),
                FragmentPart::Sql(_) => None,
            }),
            _ => None,
        }
    }

    /// Gives a bound value the column that it meets.
    fn in_context_of(self, other: &Node) -> Self {
        self.in_context(other.context())
    }

    pub(crate) fn in_context(mut self, column: Option<(&'static Schema, usize)>) -> Self {
        if let Some(column) = column {
            self.set_context(column);
        }
        self
    }

    fn set_context(&mut self, column: (&'static Schema, usize)) {
        let redact = column.0.columns[column.1].redact;
        match self {
            Node::Bind { context, .. } => *context = Some(column),
            // A part of a secret is one.
            Node::Binary { left, right, .. } if redact => {
                left.set_context(column);
                right.set_context(column);
            }
            Node::Fragment(parts) if redact => {
                for part in parts {
                    if let FragmentPart::Argument(node) = part {
                        node.set_context(column);
                    }
                }
            }
            _ => {}
        }
    }
}

impl<S, F> Column<S, F> {
    /// The column at this position of [`Schema::columns`]. Made by the derive.
    // Without bounds: a field of a wrong type is reported where its schema is made, and only there.
    #[doc(hidden)]
    pub const fn new(index: usize) -> Self {
        Column { index, types: PhantomData }
    }
}

impl<S: Syncable, F: Field> Column<S, F> {
    /// Name, type and options.
    pub fn def(self) -> &'static ColumnDef {
        &S::schema().columns[self.index]
    }

    /// The position in [`Schema::columns`].
    pub fn index(self) -> usize {
        self.index
    }

    pub(crate) fn node(self) -> Node {
        Node::Column { schema: S::schema(), column: self.index }
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

    /// As [`like`](Column::like), ignoring case (of ASCII letters only on SQLite).
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

impl<S: Syncable, F: Field> fmt::Debug for Column<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", S::schema().table, self.def().name)
    }
}

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

/// SQL text as a condition or value, for what EMR has no words for. Each `?` takes the next argument;
/// `\?` is a question mark.
///
/// The text must be a literal, so that no input can get into it; [`Fragment::unchecked`] takes text that
/// was made at run time. What it means is up to the backend.
///
/// ```
/// use emr_core::{Expr, fragment};
/// let long: Expr<bool> = fragment("length(?) > ?").arg("some text".to_owned()).arg(5_i64).into();
/// ```
pub fn fragment(sql: &'static str) -> Fragment {
    Fragment { sql: Cow::Borrowed(sql), arguments: Vec::new() }
}

/// An SQL fragment whose arguments are being given. See [`fragment`].
#[derive(Debug, Clone)]
#[must_use = "turn it into an expression with `into` or `typed`"]
pub struct Fragment {
    sql: Cow<'static, str>,
    arguments: Vec<Node>,
}

impl Fragment {
    /// A fragment from text made at run time. **Whatever is in the text is sent as SQL**: never build it
    /// from input.
    pub fn unchecked(sql: impl Into<String>) -> Fragment {
        Fragment { sql: Cow::Owned(sql.into()), arguments: Vec::new() }
    }

    /// The expression or value for the next `?`.
    pub fn arg(mut self, argument: impl IntoArgument) -> Fragment {
        self.arguments.push(argument.into_argument());
        self
    }

    /// The fragment as an expression of a type that the caller vouches for. A number of arguments that
    /// does not fit the text is an error when the query runs.
    pub fn typed<T>(self) -> Expr<T> {
        Expr::from_node(Node::Fragment(self.parts()))
    }

    fn parts(self) -> Vec<FragmentPart> {
        let mut parts = Vec::new();
        let redacted = self.arguments.iter().find_map(Node::redacted);
        let mut arguments = self.arguments.into_iter().map(|argument| argument.in_context(redacted));
        let mut text = String::new();
        let mut characters = self.sql.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' if characters.peek() == Some(&'?') => {
                    characters.next();
                    text.push('?');
                }
                '?' => {
                    if !text.is_empty() {
                        parts.push(FragmentPart::Sql(Cow::Owned(std::mem::take(&mut text))));
                    }
                    match arguments.next() {
                        Some(argument) => parts.push(FragmentPart::Argument(argument)),
                        // Shows up as an error of the renderer: an empty text never comes from a fragment.
                        None => parts.push(FragmentPart::Sql(Cow::Borrowed(""))),
                    }
                }
                other => text.push(other),
            }
        }
        if !text.is_empty() {
            parts.push(FragmentPart::Sql(Cow::Owned(text)));
        }
        if arguments.next().is_some() {
            parts.push(FragmentPart::Sql(Cow::Borrowed("")));
        }
        parts
    }
}

impl<T> From<Fragment> for Expr<T> {
    fn from(fragment: Fragment) -> Expr<T> {
        fragment.typed()
    }
}

/// One key of an ORDER BY.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "an order does nothing until a query uses it"]
pub struct Order {
    pub(crate) node: Node,
    pub(crate) descending: bool,
    pub(crate) nulls: Option<Nulls>,
}

/// Where NULLs stand in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nulls {
    /// Before all values.
    First,
    /// After all values.
    Last,
}

impl Order {
    /// NULLs before all values.
    pub fn nulls_first(mut self) -> Self {
        self.nulls = Some(Nulls::First);
        self
    }

    /// NULLs after all values.
    pub fn nulls_last(mut self) -> Self {
        self.nulls = Some(Nulls::Last);
        self
    }
}
