//! Columns that are chosen at run time, by input.

use std::fmt;
use std::marker::PhantomData;

use super::{Expr, Node, Operator, Order, SourceRef};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{ColumnDef, Schema, Syncable};
use crate::types::FromValue;
use crate::value::{SqlType, Value};

/// A column of the struct `S` that was found by its name at run time, for filters and orders that are put together from
/// input. Made by [`SyncableExt::column`](crate::SyncableExt::column). Nothing of the input becomes SQL: the name is
/// looked up among the fields, values are parameters.
///
/// Which columns somebody may filter and sort by is the program's business: by comparing with a secret one it can be
/// guessed.
///
/// ```
/// # use emr_core::{SyncableExt, Syncable, Query, Value, Result};
/// # fn f<Post: Syncable>(filter: &str, text: &str, sort: &str) -> Result<Query<Post>> {
/// let by = Post::column(filter)?;
/// Ok(Post::query().filter(by.eq(by.parse(text)?)?).order_by(Post::column(sort)?.desc()))
/// # }
/// ```
pub struct DynColumn<S> {
    index: usize,
    of: PhantomData<fn() -> S>,
}

impl<S> Clone for DynColumn<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for DynColumn<S> {}

impl<S: Syncable> fmt::Debug for DynColumn<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", S::schema().table, self.def().name)
    }
}

impl<S: Syncable> DynColumn<S> {
    pub(crate) fn find(field: &str) -> Result<Self> {
        let columns = S::schema().columns;
        if let Some(index) = columns.iter().position(|column| column.field == field) {
            return Ok(DynColumn { index, of: PhantomData });
        }
        let names: Vec<_> = columns.iter().map(|column| column.field).collect();
        let (name, names) = (S::schema().name, names.join(", "));
        Err(Error::invalid(format!("{name} has no column {field:?}: it has {names}")))
    }

    /// The column at this position of [`Schema::columns`](crate::Schema::columns).
    pub(crate) fn at(index: usize) -> Self {
        DynColumn { index, of: PhantomData }
    }

    pub(crate) fn index(self) -> usize {
        self.index
    }

    /// Name, type and options.
    pub fn def(self) -> &'static ColumnDef {
        &S::schema().columns[self.index]
    }

    fn node(self) -> Node {
        Node::Column { source: SourceRef::Schema, schema: S::schema(), column: self.index }
    }

    fn bind(self, value: Value<'static>) -> Node {
        Node::Bind { value, context: Some((S::schema(), self.index)) }
    }

    /// Ascending order.
    pub fn asc(self) -> Order {
        Expr::<()>::from_node(self.node()).asc()
    }

    /// Descending order.
    pub fn desc(self) -> Order {
        Expr::<()>::from_node(self.node()).desc()
    }

    /// `column IS NULL`.
    pub fn is_null(self) -> Expr<bool> {
        Expr::<()>::from_node(self.node()).is_null()
    }

    /// `column IS NOT NULL`.
    pub fn is_not_null(self) -> Expr<bool> {
        !self.is_null()
    }

    /// `column = value`; for a NULL, `column IS NULL`.
    ///
    /// # Errors
    /// [`Encode`](ErrorKind::Encode) for a value of another type than the column's. Integers of another width are
    /// of its type if they fit.
    pub fn eq(self, value: Value<'static>) -> Result<Expr<bool>> {
        if value.is_null() { Ok(self.is_null()) } else { self.compare(Operator::Eq, value) }
    }

    /// `column <> value`; for a NULL, `column IS NOT NULL`.
    ///
    /// # Errors
    /// As [`eq`](DynColumn::eq).
    pub fn ne(self, value: Value<'static>) -> Result<Expr<bool>> {
        if value.is_null() { Ok(self.is_not_null()) } else { self.compare(Operator::NotEq, value) }
    }

    /// `column < value`.
    ///
    /// # Errors
    /// As [`eq`](DynColumn::eq), and for NULL.
    pub fn lt(self, value: Value<'static>) -> Result<Expr<bool>> {
        self.compare(Operator::Lt, value)
    }

    /// `column <= value`.
    ///
    /// # Errors
    /// As [`lt`](DynColumn::lt).
    pub fn le(self, value: Value<'static>) -> Result<Expr<bool>> {
        self.compare(Operator::LtEq, value)
    }

    /// `column > value`.
    ///
    /// # Errors
    /// As [`lt`](DynColumn::lt).
    pub fn gt(self, value: Value<'static>) -> Result<Expr<bool>> {
        self.compare(Operator::Gt, value)
    }

    /// `column >= value`.
    ///
    /// # Errors
    /// As [`lt`](DynColumn::lt).
    pub fn ge(self, value: Value<'static>) -> Result<Expr<bool>> {
        self.compare(Operator::GtEq, value)
    }

    /// One of the values.
    ///
    /// # Errors
    /// As [`lt`](DynColumn::lt), for the first value that is of another type.
    pub fn in_list(self, values: impl IntoIterator<Item = Value<'static>>) -> Result<Expr<bool>> {
        let list = values.into_iter().map(|value| self.fitting(value)).collect::<Result<_>>()?;
        let (needle, context) = (Box::new(self.node()), Some((S::schema(), self.index)));
        Ok(Expr::from_node(Node::In { needle, list, element: self.def().ty, context }))
    }

    /// Matches a pattern; see [`Column::like`](crate::Column::like).
    ///
    /// # Errors
    /// [`Encode`](ErrorKind::Encode) if the column holds no text.
    pub fn like(self, pattern: impl Into<String>) -> Result<Expr<bool>> {
        let pattern = self.fitting(Value::Text(pattern.into().into()))?;
        let (subject, pattern) = (Box::new(self.node()), Box::new(self.bind(pattern)));
        Ok(Expr::from_node(Node::Like { subject, pattern, ignore_case: false }))
    }

    /// The value of the column's type that the text stands for, as it comes from a form or a URL: numbers in digits,
    /// truths as `true` and `false`, dates and times as ISO 8601 writes them (instants with `Z` or an offset).
    ///
    /// # Errors
    /// [`Encode`](ErrorKind::Encode) if it stands for none, and for bytes and arrays.
    pub fn parse(self, text: &str) -> Result<Value<'static>> {
        fn read<T: std::str::FromStr>(text: &str, value: fn(T) -> Value<'static>) -> Option<Value<'static>> {
            text.parse().ok().map(value)
        }
        let parsed = match self.def().ty {
            SqlType::Bool => read(text, Value::Bool),
            SqlType::I16 => read(text, Value::I16),
            SqlType::I32 => read(text, Value::I32),
            SqlType::I64 => read(text, Value::I64),
            SqlType::F32 => read(text, Value::F32),
            SqlType::F64 => read(text, Value::F64),
            SqlType::Text => Some(Value::Text(text.to_owned().into())),
            SqlType::Uuid => read(text, Value::Uuid),
            SqlType::Decimal => rust_decimal::Decimal::from_str_exact(text).ok().map(Value::Decimal),
            SqlType::Date => read(text, Value::Date),
            SqlType::Time => read(text, Value::Time),
            SqlType::DateTime => read(text, Value::DateTime),
            SqlType::Timestamp => read(text, Value::Timestamp),
            SqlType::Json => {
                serde_json::from_str::<serde_json::Value>(text).ok().map(|json| Value::Json(json.to_string().into()))
            }
            SqlType::Bytes | SqlType::Array(_) | SqlType::Unknown => None,
        };
        parsed.ok_or_else(|| self.misfit(format!("the text {text:?}")))
    }

    fn compare(self, op: Operator, value: Value<'static>) -> Result<Expr<bool>> {
        let right = Box::new(self.bind(self.fitting(value)?));
        Ok(Expr::from_node(Node::Binary { op, left: Box::new(self.node()), right }))
    }

    /// The value as one of the column's type.
    fn fitting(self, value: Value<'static>) -> Result<Value<'static>> {
        fitting_value(S::schema(), self.index, value)
    }

    fn misfit(self, found: String) -> Error {
        misfit(S::schema(), self.index, found)
    }
}

/// The value as one of the type of column `n` of the schema.
///
/// # Errors
/// [`Encode`](ErrorKind::Encode) for a value of another type, and for NULL. Integers of another width are of its type if they
/// fit.
pub(crate) fn fitting_value(schema: &'static Schema, n: usize, value: Value<'static>) -> Result<Value<'static>> {
    let (ty, described) = (schema.columns[n].ty, value.describe());
    let integer = matches!(value, Value::I16(_) | Value::I32(_) | Value::I64(_));
    let fits = match (ty, value) {
        (_, Value::Null(_)) => None,
        (SqlType::I16, value) if integer => i16::from_value(value).ok().map(Value::I16),
        (SqlType::I32, value) if integer => i32::from_value(value).ok().map(Value::I32),
        (SqlType::I64, value) if integer => i64::from_value(value).ok().map(Value::I64),
        (SqlType::Decimal, value) if integer => i64::from_value(value).ok().map(|n| Value::Decimal(n.into())),
        (SqlType::F64, Value::F32(number)) => Some(Value::F64(number.into())),
        (ty, value) if value.sql_type() == ty => Some(value),
        _ => None,
    };
    fits.ok_or_else(|| misfit(schema, n, described))
}

fn misfit(schema: &Schema, n: usize, found: String) -> Error {
    let ColumnDef { name, ty, redact, .. } = &schema.columns[n];
    Error::new(ErrorKind::Encode {
        table: schema.table.to_owned(),
        column: (*name).to_owned(),
        expected: ty.name().to_owned(),
        found: if *redact { "a redacted value".to_owned() } else { found },
    })
}
