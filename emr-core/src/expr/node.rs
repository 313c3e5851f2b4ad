//! The untyped tree of expressions.

use std::borrow::Cow;

use super::call::Call;
use crate::query::{Quantifier, SelectBody};
use crate::schema::Schema;
use crate::value::{SqlType, Value};

/// The untyped tree of an [`Expr`](crate::expr::Expr). Its `Debug` hides the values of redacted columns.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Node {
    /// A column of one of the query's sources.
    Column {
        /// Which source.
        source: SourceRef,
        /// The schema that the source was made from.
        schema: &'static Schema,
        /// The position in [`Schema::columns`](crate::Schema::columns).
        column: usize,
    },
    /// A column that no schema tells of, by its name in the database.
    Name {
        /// Which source; the first one without a schema where none is named.
        source: SourceRef,
        /// The name.
        name: Cow<'static, str>,
        /// Its type, where somebody said it.
        ty: Option<SqlType>,
    },
    /// What the query selects under this name.
    Selected(Cow<'static, str>),
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
    /// The one value of a query.
    Subquery(Box<SelectBody>),
    /// Whether a query has a row.
    Exists(Box<SelectBody>),
    /// Membership in the rows of a query.
    InQuery {
        /// What is looked up.
        needle: Box<Node>,
        /// The query, of one column.
        query: Box<SelectBody>,
    },
    /// A comparison with any or all rows of a query.
    Quantified {
        /// The left side.
        needle: Box<Node>,
        /// The comparison.
        op: Operator,
        /// With which rows.
        quantifier: Quantifier,
        /// The query, of one column.
        query: Box<SelectBody>,
    },
    /// SQL text with expressions in it.
    Fragment(Vec<FragmentPart>),
    /// A function, an aggregate, a cast, a CASE.
    Call(Box<Call>),
    /// True or false.
    Constant(bool),
}

/// Which source of a query a column is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SourceRef {
    /// The first with the column's schema: of the query that the expression is in, else of the ones around it.
    #[default]
    Schema,
    /// As `Schema`, leaving out the query that the expression is in.
    Outer,
    /// The one with this [`Alias`](crate::Alias).
    Alias(&'static str),
    /// The one at this place of the query that the expression is in; 0 is FROM.
    Nth(usize),
    /// The row that an upsert could not insert; see [`excluded`](crate::excluded).
    Excluded,
}

/// A part of a [`Node::Fragment`].
#[derive(Clone, PartialEq)]
pub enum FragmentPart {
    /// SQL, sent as it is.
    Sql(Cow<'static, str>),
    /// An expression.
    Argument(Node),
}

impl FragmentPart {
    /// Whether SQL that begins so is a query, which stands in brackets as a source, and not the call of a function.
    pub(crate) fn begins_query(&self) -> bool {
        let FragmentPart::Sql(text) = self else { return false };
        let word = text.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        ["select", "with", "values", "table"].iter().any(|known| word.eq_ignore_ascii_case(known))
    }
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
            Node::Column { schema, column, .. } => Some((schema, *column)),
            _ => None,
        }
    }

    /// The column type of the expression where one side tells it.
    pub fn sql_type(&self) -> Option<SqlType> {
        match self {
            Node::Column { schema, column, .. } => Some(schema.columns[*column].ty),
            Node::Name { ty, .. } => *ty,
            Node::Bind { value, .. } => Some(value.sql_type()),
            Node::Subquery(query) => query.sole_type(),
            Node::Call(call) if call.ty != SqlType::Unknown => Some(call.ty),
            Node::Binary { op, left, right } if !op.is_comparison() => left.sql_type().or_else(|| right.sql_type()),
            _ => None,
        }
    }

    /// The column that a value beside this expression belongs to: the expression itself, or a redacted column in
    /// it, because what is compared with a part of a secret may tell it.
    pub(crate) fn context(&self) -> Option<(&'static Schema, usize)> {
        self.as_column().or_else(|| self.redacted())
    }

    pub(super) fn redacted(&self) -> Option<(&'static Schema, usize)> {
        match self {
            Node::Column { schema, column, .. } => schema.columns[*column].redact.then_some((*schema, *column)),
            Node::Binary { left, right, .. } => left.redacted().or_else(|| right.redacted()),
            Node::Fragment(parts) => parts.iter().find_map(|part| match part {
                FragmentPart::Argument(node) => node.redacted(),
                FragmentPart::Sql(_) => None,
            }),
            Node::Call(call) => call.nodes().find_map(Node::redacted),
            _ => None,
        }
    }

    /// Gives a bound value the column that it meets.
    pub(super) fn in_context_of(self, other: &Node) -> Self {
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
            Node::Call(call) if redact => call.nodes_mut().for_each(|node| node.set_context(column)),
            _ => {}
        }
    }

    /// Lets columns of the schema, where no source is named, be those of this source. Subqueries are left as they are.
    pub(crate) fn rebind(&mut self, of: &'static Schema, to: SourceRef) {
        self.each_mut(&mut |node| {
            if let Node::Column { source: source @ SourceRef::Schema, schema, .. } = node
                && *schema == of
            {
                *source = to;
            }
        });
    }

    /// Lets columns of the schema, and columns that are only named, be those of this source where no source is named.
    /// Subqueries are left as they are.
    pub(crate) fn bind_to(&mut self, of: Option<&'static Schema>, to: SourceRef) {
        self.each_mut(&mut |node| match node {
            Node::Column { source: source @ SourceRef::Schema, schema, .. } if Some(*schema) == of => *source = to,
            Node::Name { source: source @ SourceRef::Schema, name, .. } => {
                let column = of.and_then(|schema| Some((schema, schema.column_position(name)?)));
                match column {
                    Some((schema, column)) => *node = Node::Column { source: to, schema, column },
                    None => *source = to,
                }
            }
            _ => {}
        });
    }

    /// Calls `change` with each node of the tree, but not with those of subqueries.
    pub(crate) fn each_mut(&mut self, change: &mut dyn FnMut(&mut Node)) {
        change(self);
        match self {
            Node::Binary { left, right, .. } => {
                left.each_mut(change);
                right.each_mut(change);
            }
            Node::And(nodes) | Node::Or(nodes) => nodes.iter_mut().for_each(|node| node.each_mut(change)),
            Node::Not(inner) | Node::IsNull(inner) => inner.each_mut(change),
            Node::In { needle, .. } | Node::InQuery { needle, .. } | Node::Quantified { needle, .. } => {
                needle.each_mut(change);
            }
            Node::Between { needle, low, high } => {
                needle.each_mut(change);
                low.each_mut(change);
                high.each_mut(change);
            }
            Node::Like { subject, pattern, .. } => {
                subject.each_mut(change);
                pattern.each_mut(change);
            }
            Node::Fragment(parts) => {
                for part in parts {
                    if let FragmentPart::Argument(node) = part {
                        node.each_mut(change);
                    }
                }
            }
            Node::Call(call) => call.nodes_mut().for_each(|node| node.each_mut(change)),
            Node::Column { .. }
            | Node::Name { .. }
            | Node::Selected(_)
            | Node::Bind { .. }
            | Node::Subquery(_)
            | Node::Exists(_)
            | Node::Constant(_) => {}
        }
    }
}
