//! How expressions show themselves to a person who debugs.

use std::fmt;

use super::{FragmentPart, Node, SourceRef};
use crate::schema::Schema;
use crate::value::Value;

/// A value, unless its column is redacted.
struct Shown<'a>(&'a Value<'static>, Option<(&'static Schema, usize)>);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some((schema, column)) if schema.columns[column].redact => f.write_str("<redacted>"),
            _ => self.0.fmt(f),
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Column { schema, column, source: SourceRef::Alias(alias) } => {
                write!(f, "{alias}.{}", schema.columns[*column].name)
            }
            Node::Column { schema, column, source: SourceRef::Excluded } => {
                write!(f, "excluded.{}", schema.columns[*column].name)
            }
            Node::Column { schema, column, .. } => write!(f, "{}.{}", schema.table, schema.columns[*column].name),
            Node::Name { name, source: SourceRef::Alias(alias), .. } => write!(f, "{alias}.{name}"),
            Node::Name { name, .. } => f.write_str(name),
            Node::Selected(name) => write!(f, "selected {name}"),
            Node::Subquery(query) => write!(f, "({query:?})"),
            Node::Exists(query) => write!(f, "EXISTS ({query:?})"),
            Node::InQuery { needle, query } => write!(f, "({needle:?} IN ({query:?}))"),
            Node::Quantified { needle, op, quantifier, query } => {
                write!(f, "({needle:?}{}{quantifier:?} ({query:?}))", op.sql())
            }
            Node::Bind { value, context } => Shown(value, *context).fmt(f),
            Node::Binary { op, left, right } => write!(f, "({left:?}{}{right:?})", op.sql()),
            Node::And(all) => f.debug_tuple("And").field(all).finish(),
            Node::Or(any) => f.debug_tuple("Or").field(any).finish(),
            Node::Not(inner) => f.debug_tuple("Not").field(inner).finish(),
            Node::IsNull(inner) => write!(f, "({inner:?} IS NULL)"),
            Node::In { needle, list, context, .. } => {
                write!(f, "({needle:?} IN ")?;
                f.debug_list().entries(list.iter().map(|value| Shown(value, *context))).finish()?;
                f.write_str(")")
            }
            Node::Between { needle, low, high } => write!(f, "({needle:?} BETWEEN {low:?} AND {high:?})"),
            Node::Like { subject, pattern, ignore_case } => {
                write!(f, "({subject:?} {} {pattern:?})", if *ignore_case { "ILIKE" } else { "LIKE" })
            }
            Node::Fragment(parts) => f.debug_tuple("Fragment").field(parts).finish(),
            Node::Call(call) => call.fmt(f),
            Node::Constant(truth) => truth.fmt(f),
        }
    }
}

impl fmt::Debug for FragmentPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FragmentPart::Sql(sql) => sql.fmt(f),
            FragmentPart::Argument(node) => node.fmt(f),
        }
    }
}
