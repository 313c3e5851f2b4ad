//! Expressions.

use std::borrow::Cow;
use std::fmt::Write;

use crate::dialect::InList;
use crate::error::Error;
use crate::expr::{FragmentPart, Node, Operator};
use crate::sql::{BindContext, SqlBuilder};
use crate::value::{SqlType, Value, array_of};

use super::{ALIAS, separated};

/// How columns are named inside one statement.
#[derive(Clone, Copy)]
pub(super) struct Scope {
    /// Whether columns carry the alias of their table.
    pub(super) qualified: bool,
}

/// Writes ` WHERE …` for all conditions, or nothing.
pub(super) fn where_clause<'q>(out: &mut SqlBuilder<'q>, filter: &'q [Node], scope: Scope) {
    if filter.is_empty() {
        return;
    }
    out.push(" WHERE ");
    separated(out, " AND ", filter, |out, node| condition(out, node, scope));
}

/// Writes a truth value, in brackets where it has parts.
pub(super) fn condition<'q>(out: &mut SqlBuilder<'q>, node: &'q Node, scope: Scope) {
    match node {
        Node::Column { .. } | Node::Bind { .. } if !out.dialect().bool_is_condition() => {
            value(out, node, scope);
            out.push(" = 1");
        }
        _ => value(out, node, scope),
    }
}

/// Writes an expression.
pub(super) fn value<'q>(out: &mut SqlBuilder<'q>, node: &'q Node, scope: Scope) {
    match node {
        Node::Column { schema, column } => {
            if scope.qualified {
                out.push(ALIAS).push(".");
            }
            out.ident(schema.columns[*column].name);
        }
        Node::Bind { value, context } => {
            out.bind(value.borrowed(), *context);
        }
        Node::Binary { op, left, right } => binary(out, *op, left, right, scope),
        Node::And(all) => connected(out, all, true, scope),
        Node::Or(any) => connected(out, any, false, scope),
        Node::Not(inner) => match &**inner {
            Node::IsNull(subject) => {
                value(out, subject, scope);
                out.push(" IS NOT NULL");
            }
            // NULL is in no list and out of no list, but every row is outside an empty one.
            Node::In { list, .. } if list.is_empty() => constant(out, true),
            Node::In { needle, list, element, context } => {
                in_list(out, needle, list, *element, *context, true, scope);
            }
            inner => {
                out.push("NOT (");
                condition(out, inner, scope);
                out.push(")");
            }
        },
        Node::IsNull(subject) => {
            value(out, subject, scope);
            out.push(" IS NULL");
        }
        Node::In { list, .. } if list.is_empty() => constant(out, false),
        Node::In { needle, list, element, context } => {
            in_list(out, needle, list, *element, *context, false, scope);
        }
        Node::Between { needle, low, high } => {
            out.push("(");
            binary_bare(out, Operator::GtEq, needle, low, scope);
            out.push(" AND ");
            binary_bare(out, Operator::LtEq, needle, high, scope);
            out.push(")");
        }
        Node::Like { subject, pattern, ignore_case } => like(out, subject, pattern, *ignore_case, scope),
        Node::Fragment(parts) => fragment(out, parts, scope),
        Node::Constant(truth) => constant(out, *truth),
    }
}

fn constant(out: &mut SqlBuilder<'_>, truth: bool) {
    let text = out.dialect().condition(truth);
    out.push(text);
}

fn connected<'q>(out: &mut SqlBuilder<'q>, nodes: &'q [Node], all: bool, scope: Scope) {
    match nodes {
        [] => constant(out, all),
        [only] => condition(out, only, scope),
        _ => {
            out.push("(");
            separated(out, if all { " AND " } else { " OR " }, nodes, |out, node| condition(out, node, scope));
            out.push(")");
        }
    }
}

fn binary<'q>(out: &mut SqlBuilder<'q>, op: Operator, left: &'q Node, right: &'q Node, scope: Scope) {
    if op.is_comparison() {
        binary_bare(out, op, left, right, scope);
    } else {
        out.push("(");
        binary_bare(out, op, left, right, scope);
        out.push(")");
    }
}

fn binary_bare<'q>(out: &mut SqlBuilder<'q>, op: Operator, left: &'q Node, right: &'q Node, scope: Scope) {
    operand(out, left, scope);
    out.push(op.sql());
    operand(out, right, scope);
    if op.is_comparison() {
        collate(out, left, right);
    }
}

/// A comparison inside a comparison needs brackets: `(a = b) = c`.
fn operand<'q>(out: &mut SqlBuilder<'q>, node: &'q Node, scope: Scope) {
    let compound = match node {
        Node::Binary { op, .. } => op.is_comparison(),
        Node::Not(_) | Node::IsNull(_) | Node::In { .. } | Node::Like { .. } => true,
        _ => false,
    };
    if compound {
        out.push("(");
        value(out, node, scope);
        out.push(")");
    } else {
        value(out, node, scope);
    }
}

fn collate(out: &mut SqlBuilder<'_>, left: &Node, right: &Node) {
    let ty = left.sql_type().or_else(|| right.sql_type());
    if let Some(collation) = ty.and_then(|ty| out.dialect().collation(ty)) {
        out.push(" COLLATE ").push(collation);
    }
}

/// Writes what an order or a distinct needs after a value of this type.
pub(super) fn collate_value(out: &mut SqlBuilder<'_>, node: &Node) {
    if let Some(collation) = node.sql_type().and_then(|ty| out.dialect().collation(ty)) {
        out.push(" COLLATE ").push(collation);
    }
}

fn like<'q>(out: &mut SqlBuilder<'q>, subject: &'q Node, pattern: &'q Node, ignore_case: bool, scope: Scope) {
    let lower = ignore_case && !out.capabilities().ilike;
    let side = |out: &mut SqlBuilder<'q>, node: &'q Node, is_pattern: bool| {
        if lower {
            out.push("lower(");
        }
        match node {
            Node::Bind { value: Value::Text(text), context } if is_pattern => {
                let text = escape_wildcards(text, out.dialect().like_extra_wildcards());
                out.bind(Value::Text(text), *context);
            }
            node => operand(out, node, scope),
        }
        if lower {
            out.push(")");
        }
    };
    side(out, subject, false);
    out.push(if ignore_case && !lower { " ILIKE " } else { " LIKE " });
    side(out, pattern, true);
    if out.dialect().like_needs_escape() {
        out.push(" ESCAPE '\\'");
    }
}

/// Takes the meaning from characters that only this engine's LIKE gives one.
fn escape_wildcards<'t>(pattern: &'t str, wildcards: &[char]) -> Cow<'t, str> {
    if !pattern.contains(wildcards) {
        return Cow::Borrowed(pattern);
    }
    let mut escaped = String::with_capacity(pattern.len() + 4);
    let mut after_escape = false;
    for character in pattern.chars() {
        if wildcards.contains(&character) && !after_escape {
            escaped.push('\\');
        }
        after_escape = character == '\\' && !after_escape;
        escaped.push(character);
    }
    Cow::Owned(escaped)
}

fn fragment<'q>(out: &mut SqlBuilder<'q>, parts: &'q [FragmentPart], scope: Scope) {
    for part in parts {
        match part {
            FragmentPart::Sql(text) if text.is_empty() => out.fail(Error::invalid(
                "a fragment has another number of arguments than of question marks; write \\? for one that is text",
            )),
            FragmentPart::Sql(text) => {
                out.push(text);
            }
            FragmentPart::Argument(node) => value(out, node, scope),
        }
    }
}

#[allow(clippy::too_many_arguments)] // the parts of one node
fn in_list<'q>(
    out: &mut SqlBuilder<'q>,
    needle: &'q Node,
    list: &'q [Value<'static>],
    element: SqlType,
    context: BindContext,
    negated: bool,
    scope: Scope,
) {
    let style = out.dialect().in_list(list.len(), element);
    let collation = out.dialect().collation(element);
    operand(out, needle, scope);
    if let Some(collation) = collation {
        out.push(" COLLATE ").push(collation);
    }
    match style {
        InList::Array => {
            out.push(if negated { " <> ALL(" } else { " = ANY(" });
            let items = list.iter().map(Value::borrowed).collect();
            let array = Value::Array(element, items);
            debug_assert_eq!(array.sql_type(), array_of(element));
            out.bind(array, context).push(")");
        }
        InList::Expand(marks) => {
            out.push(if negated { " NOT IN (" } else { " IN (" });
            separated(out, ", ", 0..marks, |out, n| {
                if let Some(value) = list.get(n).or(list.last()) {
                    out.bind(value.borrowed(), context);
                }
            });
            out.push(")");
        }
        InList::Json { before, after } => {
            out.push(if negated { " NOT IN (" } else { " IN (" }).push(before);
            match json_array(list) {
                Some(json) => {
                    out.bind(Value::Text(Cow::Owned(json)), context);
                }
                None => out.unsupported(&format!("lists of {} {} values", list.len(), element.name())),
            }
            out.push(after).push(")");
        }
    }
}

/// The values as a JSON array, where each can stand in one and come out the same.
fn json_array(list: &[Value<'_>]) -> Option<String> {
    let mut json = String::with_capacity(list.len() * 8 + 2);
    json.push('[');
    for (n, value) in list.iter().enumerate() {
        if n > 0 {
            json.push(',');
        }
        // Writing to a String cannot fail.
        let _ = match value {
            Value::I16(v) => write!(json, "{v}"),
            Value::I32(v) => write!(json, "{v}"),
            Value::I64(v) => write!(json, "{v}"),
            Value::Text(v) => {
                json.push_str(&serde_json::to_string(v).ok()?);
                Ok(())
            }
            Value::Uuid(v) => write!(json, "\"{v}\""),
            _ => return None,
        };
    }
    json.push(']');
    Some(json)
}
