//! What an interceptor is asked about before something is read.

use std::borrow::Cow;

use crate::error::Result;
use crate::expr::{IntoCondition, Node, Operator, SourceRef, fitting_value};
use crate::query::push_all;
use crate::schema::{Schema, Syncable};
use crate::types::ToParam;

/// A table that a statement looks for rows in, before it is sent.
#[derive(Debug)]
pub struct Reading<'a> {
    verb: &'static str,
    table: &'a str,
    schema: Option<&'static Schema>,
    is_written: bool,
    pub(super) conditions: Vec<Node>,
}

impl<'a> Reading<'a> {
    pub(super) fn of(
        verb: &'static str,
        table: &'a str,
        schema: Option<&'static Schema>,
        is_written: bool,
    ) -> Reading<'a> {
        Reading { verb, table, schema, is_written, conditions: Vec::new() }
    }

    /// The call: `all`, `get`, `preload`, `update_all` and so on.
    pub fn verb(&self) -> &'static str {
        self.verb
    }

    /// The table's name, without its prefix: its schema's, or that of the table that stands in for it.
    pub fn table(&self) -> &str {
        self.table
    }

    /// Its schema; `None` for a table that is only named: by [`table`](crate::table), or as the join table of an association.
    pub fn schema(&self) -> Option<&'static Schema> {
        self.schema
    }

    /// Whether it is the table of this struct.
    pub fn is<T: Syncable>(&self) -> bool {
        self.schema == Some(T::schema())
    }

    /// Whether the rows that are found are to be written.
    pub fn is_written(&self) -> bool {
        self.is_written
    }

    /// Whether its schema has a column of this name in the database. Of a table without a schema nobody knows: `false`.
    pub fn has_column(&self, name: &str) -> bool {
        self.schema.is_some_and(|schema| schema.column_position(name).is_some())
    }

    /// Only rows for which this is true, beside what the query says. Columns of the table's struct, and those named by
    /// [`col`](crate::col), are those of this table here, whatever else the query reads. It never takes rows of *other* tables
    /// away: of a left join the condition is one of the join.
    pub fn filter(&mut self, condition: impl IntoCondition) {
        push_all(&mut self.conditions, condition.into_condition().into_node());
    }

    /// Only rows with this value in the column of this name in the database, if the schema has one: tells whether. For NULL
    /// see [`filter_null`](Reading::filter_null).
    ///
    /// # Errors
    /// [`Encode`](crate::ErrorKind::Encode) for a value of another type than the column's, and for NULL. Integers of another
    /// width are of its type if they fit.
    #[allow(clippy::needless_pass_by_value)] // values are written as they are
    pub fn filter_eq(&mut self, column: &str, value: impl ToParam) -> Result<bool> {
        let Some((schema, column)) = self.find(column) else { return Ok(false) };
        let value = fitting_value(schema, column, value.to_param().into_owned())?;
        let left = Box::new(Node::Column { source: SourceRef::Schema, schema, column });
        let right = Box::new(Node::Bind { value, context: Some((schema, column)) });
        self.conditions.push(Node::Binary { op: Operator::Eq, left, right });
        Ok(true)
    }

    /// Only rows with NULL in the column of this name in the database, if the schema has one: tells whether.
    pub fn filter_null(&mut self, column: &str) -> bool {
        let Some((schema, column)) = self.find(column) else { return false };
        let column = Node::Column { source: SourceRef::Schema, schema, column };
        self.conditions.push(Node::IsNull(Box::new(column)));
        true
    }

    fn find(&self, column: &str) -> Option<(&'static Schema, usize)> {
        let schema = self.schema?;
        Some((schema, schema.column_position(column)?))
    }
}

/// SQL that EMR did not write, before it is sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct RawSql<'a> {
    /// The text. Of a fragment, with a question mark for each argument.
    pub text: Cow<'a, str>,
    /// Where it stands.
    pub place: SqlPlace,
    /// The call: `query`, `script`, or that of the query that it is a part of.
    pub verb: &'static str,
}

/// Where raw SQL stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SqlPlace {
    /// It is a whole statement, or several.
    Statement,
    /// It gives the rows of a source of a query: anything may be read in it.
    Source,
    /// It is a part of an expression of a query, or a hint behind a table. A subquery may be in it.
    Expression,
}
