//! Expressions.

use std::borrow::Cow;

use crate::error::Error;
use crate::expr::{FragmentPart, Node, Operator};
use crate::query::Quantifier;
use crate::sql::SqlBuilder;
use crate::value::{SqlType, Value};

use super::function;
use super::list::in_list;
use super::read::{existence, subquery};
use super::scope::Scope;
use super::{bound, separated};

/// Writes ` WHERE …` for all conditions, or nothing.
pub(super) fn where_clause<'q>(out: &mut SqlBuilder<'q>, filter: &'q [Node], scope: Scope<'_, 'q>) {
    conditions(out, " WHERE ", filter, scope);
}

/// Writes the keyword and all conditions behind it, or nothing.
pub(super) fn conditions<'q>(out: &mut SqlBuilder<'q>, keyword: &str, all: &'q [Node], scope: Scope<'_, 'q>) {
    if all.is_empty() {
        return;
    }
    out.push(keyword);
    separated(out, " AND ", all, |out, node| condition(out, node, scope));
}

/// Writes an expression where a condition stands, with brackets where its neighbours could tear it apart.
pub(super) fn condition<'q>(out: &mut SqlBuilder<'q>, node: &'q Node, scope: Scope<'_, 'q>) {
    if let Node::Fragment(_) = sole(node) {
        // Nobody knows whether there is an OR in it.
        out.push("(");
        enclosed_condition(out, node, scope);
        out.push(")");
    } else {
        enclosed_condition(out, node, scope);
    }
}

/// Writes an expression where a condition stands and nothing else beside it.
pub(super) fn enclosed_condition<'q>(out: &mut SqlBuilder<'q>, node: &'q Node, scope: Scope<'_, 'q>) {
    match sole(node) {
        Node::Fragment(parts) => fragment(out, parts, scope),
        node if is_truth(node) => truth(out, node, scope),
        node => {
            value(out, node, scope);
            if !out.dialect().bool_is_condition() {
                out.push(" = 1");
            }
        }
    }
}

/// Writes an expression where a value stands.
pub(super) fn value<'q>(out: &mut SqlBuilder<'q>, node: &'q Node, scope: Scope<'_, 'q>) {
    match sole(node) {
        Node::Column { source, schema, column } => scope.column(out, *source, schema, *column),
        Node::Name { source, name, .. } => scope.name(out, *source, name),
        Node::Selected(name) => match scope.selected(name) {
            Some(node) => value(out, node, scope),
            None => out.fail(Error::invalid(format!("nothing is selected under the name {name:?}: see named()"))),
        },
        Node::Subquery(query) => {
            out.push("(");
            subquery(out, query, scope);
            out.push(")");
        }
        Node::Bind { value, context } => {
            out.bind(value.borrowed(), *context);
        }
        Node::Fragment(parts) => fragment(out, parts, scope),
        Node::Call(call) => function::call(out, call, scope),
        Node::Binary { op, left, right } if !op.is_comparison() => {
            out.push("(");
            binary(out, *op, left, right, scope);
            out.push(")");
        }
        node if out.dialect().bool_is_condition() => truth(out, node, scope),
        node => {
            // A condition that is unknown meets neither arm and stays NULL.
            out.push("CASE WHEN ");
            truth(out, node, scope);
            out.push(" THEN 1 WHEN NOT (");
            truth(out, node, scope);
            out.push(") THEN 0 END");
        }
    }
}

/// Writes a value where nothing around it tells its type.
pub(super) fn typed_value<'q>(out: &mut SqlBuilder<'q>, node: &'q Node, scope: Scope<'_, 'q>) {
    match sole(node) {
        Node::Bind { value, context } => bound(out, value.borrowed(), *context, Some(value.sql_type())),
        node => value(out, node, scope),
    }
}

/// An AND or OR of one condition is that condition.
fn sole(mut node: &Node) -> &Node {
    while let Node::And(nodes) | Node::Or(nodes) = node
        && let [only] = &nodes[..]
    {
        node = only;
    }
    node
}

/// Whether the expression is true or false by its form, and not only by the type of what it holds.
fn is_truth(node: &Node) -> bool {
    match node {
        Node::Binary { op, .. } => op.is_comparison(),
        Node::Column { .. }
        | Node::Name { .. }
        | Node::Selected(_)
        | Node::Subquery(_)
        | Node::Bind { .. }
        | Node::Call(_)
        | Node::Fragment(_) => false,
        _ => true,
    }
}

/// Writes a condition. With parts that could fall apart it stands in brackets.
fn truth<'q>(out: &mut SqlBuilder<'q>, node: &'q Node, scope: Scope<'_, 'q>) {
    match node {
        Node::Binary { op, left, right } => binary(out, *op, left, right, scope),
        Node::And(all) => connected(out, all, true, scope),
        Node::Or(any) => connected(out, any, false, scope),
        Node::Not(inner) => match sole(inner) {
            Node::IsNull(subject) => {
                operand(out, subject, scope);
                out.push(" IS NOT NULL");
            }
            // NULL is in no list and out of no list, but every row is outside an empty one.
            Node::In { list, .. } if list.is_empty() => constant(out, true),
            Node::In { needle, list, element, context } => {
                operand(out, needle, scope);
                in_list(out, list, *element, *context, true);
            }
            Node::InQuery { needle, query } => {
                operand(out, needle, scope);
                collate(out, needle.sql_type());
                out.push(" NOT IN (");
                subquery(out, query, scope);
                out.push(")");
            }
            inner => {
                out.push("NOT (");
                enclosed_condition(out, inner, scope);
                out.push(")");
            }
        },
        Node::IsNull(subject) => {
            operand(out, subject, scope);
            out.push(" IS NULL");
        }
        Node::In { list, .. } if list.is_empty() => constant(out, false),
        Node::In { needle, list, element, context } => {
            operand(out, needle, scope);
            in_list(out, list, *element, *context, false);
        }
        Node::Between { needle, low, high } => {
            out.push("(");
            binary(out, Operator::GtEq, needle, low, scope);
            out.push(" AND ");
            binary(out, Operator::LtEq, needle, high, scope);
            out.push(")");
        }
        Node::Like { subject, pattern, ignore_case } => like(out, subject, pattern, *ignore_case, scope),
        Node::Constant(truth) => constant(out, *truth),
        Node::Exists(query) => {
            out.push("EXISTS (");
            existence(out, query, scope);
            out.push(")");
        }
        Node::InQuery { needle, query } => {
            operand(out, needle, scope);
            collate(out, needle.sql_type());
            out.push(" IN (");
            subquery(out, query, scope);
            out.push(")");
        }
        Node::Quantified { needle, op, quantifier, query } => {
            if !out.capabilities().quantified_comparison {
                out.unsupported("comparisons with ANY and ALL rows of a query");
            }
            operand(out, needle, scope);
            out.push(op.sql()).push(match quantifier {
                Quantifier::Any => "ANY (",
                Quantifier::All => "ALL (",
            });
            subquery(out, query, scope);
            out.push(")");
        }
        Node::Column { .. }
        | Node::Name { .. }
        | Node::Selected(_)
        | Node::Subquery(_)
        | Node::Bind { .. }
        | Node::Call(_)
        | Node::Fragment(_) => enclosed_condition(out, node, scope),
    }
}

fn constant(out: &mut SqlBuilder<'_>, truth: bool) {
    let text = out.dialect().condition(truth);
    out.push(text);
}

fn connected<'q>(out: &mut SqlBuilder<'q>, nodes: &'q [Node], all: bool, scope: Scope<'_, 'q>) {
    if nodes.is_empty() {
        return constant(out, all);
    }
    out.push("(");
    separated(out, if all { " AND " } else { " OR " }, nodes, |out, node| condition(out, node, scope));
    out.push(")");
}

fn binary<'q>(out: &mut SqlBuilder<'q>, op: Operator, left: &'q Node, right: &'q Node, scope: Scope<'_, 'q>) {
    let ty = left.sql_type().or_else(|| right.sql_type());
    if ty == Some(SqlType::Decimal)
        && let Some(name) = function::of_decimals(out, op)
    {
        out.push(name).push("(");
        value(out, left, scope);
        out.push(", ");
        value(out, right, scope);
        out.push(")");
        return;
    }
    operand(out, left, scope);
    let integers = matches!(ty, Some(SqlType::I16 | SqlType::I32 | SqlType::I64));
    let operator = if op == Operator::Div && integers { out.dialect().integer_division() } else { op.sql() };
    out.push(operator);
    operand(out, right, scope);
    if op.is_comparison() {
        collate(out, ty);
    }
}

/// Writes a value beside an operator. A condition there needs brackets: `(a = b) = c`.
pub(super) fn operand<'q>(out: &mut SqlBuilder<'q>, node: &'q Node, scope: Scope<'_, 'q>) {
    let compound = match sole(node) {
        Node::Binary { op, .. } => op.is_comparison(),
        Node::Not(_)
        | Node::IsNull(_)
        | Node::In { .. }
        | Node::InQuery { .. }
        | Node::Quantified { .. }
        | Node::Like { .. }
        | Node::Fragment(_) => true,
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

/// Writes what comparing and ordering values of this type needs behind them.
pub(super) fn collate(out: &mut SqlBuilder<'_>, ty: Option<SqlType>) {
    if let Some(collation) = ty.and_then(|ty| out.dialect().collation(ty)) {
        out.push(" COLLATE ").push(collation);
    }
}

fn like<'q>(out: &mut SqlBuilder<'q>, subject: &'q Node, pattern: &'q Node, ignore_case: bool, scope: Scope<'_, 'q>) {
    let lower = ignore_case && !out.capabilities().ilike;
    let side = |out: &mut SqlBuilder<'q>, node: &'q Node, is_pattern: bool| {
        if lower {
            let name = out.dialect().case_functions().0;
            out.push(name).push("(");
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

pub(super) fn fragment<'q>(out: &mut SqlBuilder<'q>, parts: &'q [FragmentPart], scope: Scope<'_, 'q>) {
    out.fragment();
    for part in parts {
        match part {
            FragmentPart::Sql(text) if text.is_empty() => out.fail(Error::invalid(
                "a fragment has another number of arguments than of question marks; write \\? for one that is text",
            )),
            FragmentPart::Sql(text) => {
                out.push(text);
            }
            // The text around it decides whether it is a condition there: as it is, and in one piece.
            FragmentPart::Argument(node) if is_truth(sole(node)) => {
                out.push("(");
                truth(out, sole(node), scope);
                out.push(")");
            }
            FragmentPart::Argument(node) => value(out, node, scope),
        }
    }
}
