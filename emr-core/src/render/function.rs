//! Calls of functions.

use crate::dialect::DecimalFunction;
use crate::expr::{Call, Function, Node, Operator};
use crate::sql::SqlBuilder;
use crate::value::SqlType;

use super::aggregate::over_rows;
use super::condition::{collate, enclosed_condition, typed_value, value};
use super::interval::add_interval;
use super::json::{json, json_key};
use super::scope::Scope;
use super::separated;

/// Writes a call where a value stands.
pub(super) fn call<'q>(out: &mut SqlBuilder<'q>, call: &'q Call, scope: Scope<'_, 'q>) {
    let arguments = &call.arguments[..];
    match &call.function {
        Function::Coalesce => list(out, "coalesce(", arguments, scope),
        Function::NullIf => null_if(out, call, scope),
        Function::Case => case(out, arguments, scope),
        Function::Lower => named(out, out.dialect().case_functions().0, arguments, scope),
        Function::Upper => named(out, out.dialect().case_functions().1, arguments, scope),
        Function::Length => {
            let (before, after) = out.dialect().length();
            around(out, (before, after), arguments, scope);
        }
        // Every engine has these two; not every one has TRIM.
        Function::Trim => around(out, ("ltrim(rtrim(", "))"), arguments, scope),
        Function::Concat => match out.dialect().concat_operator() {
            Some(operator) => {
                out.push("(");
                separated(out, operator, arguments, |out, node| argument(out, node, scope));
                out.push(")");
            }
            None => list(out, "concat(", arguments, scope),
        },
        Function::Abs => {
            let decimal = (call.of == SqlType::Decimal).then(|| out.dialect().decimal_function(DecimalFunction::Abs));
            named(out, decimal.flatten().unwrap_or("abs"), arguments, scope);
        }
        Function::Round(digits) => {
            let [before, between, after] = out.dialect().round(call.of);
            around(out, (before, between), arguments, scope);
            signed(out, i64::from(*digits));
            out.push(after);
        }
        Function::Cast => cast(out, call, scope),
        Function::Now => {
            let now = out.dialect().now();
            out.push(now);
        }
        Function::AddInterval(unit) => add_interval(out, call, *unit, scope),
        Function::Json { path, read } => json(out, call, path, *read, scope),
        Function::JsonKey => json_key(out, arguments, scope),
        Function::ArrayHas => array(out, arguments, true, [" = ANY(", "))"], scope),
        Function::ArrayContains => array(out, arguments, false, [" @> ", ")"], scope),
        Function::ArrayOverlaps => array(out, arguments, false, [" && ", ")"], scope),
        Function::ArrayLength => {
            check_arrays(out);
            around(out, ("CAST(cardinality(", ") AS bigint)"), arguments, scope);
        }
        Function::ArrayAppend => {
            check_arrays(out);
            list(out, "array_append(", arguments, scope);
        }
        Function::ArrayRemove => {
            check_arrays(out);
            list(out, "array_remove(", arguments, scope);
        }
        _ => over_rows(out, call, scope),
    }
}

/// The function that stands for the operator between decimals, for an engine that cannot calculate with them.
pub(super) fn of_decimals(out: &SqlBuilder<'_>, op: Operator) -> Option<&'static str> {
    out.dialect().decimal_function(match op {
        Operator::Add => DecimalFunction::Add,
        Operator::Sub => DecimalFunction::Sub,
        Operator::Mul => DecimalFunction::Mul,
        Operator::Div => DecimalFunction::Div,
        _ => return None,
    })
}

/// Writes a value between brackets or commas, where nothing around it tells its type.
pub(super) fn argument<'q>(out: &mut SqlBuilder<'q>, node: &'q Node, scope: Scope<'_, 'q>) {
    match node {
        // A type of the database's own, an enum for example, is known by its column.
        Node::Bind { context: Some((schema, column)), .. } if schema.columns[*column].sql_type.is_some() => {
            value(out, node, scope);
        }
        node => typed_value(out, node, scope),
    }
}

fn list<'q>(out: &mut SqlBuilder<'q>, before: &str, arguments: &'q [Node], scope: Scope<'_, 'q>) {
    out.push(before);
    separated(out, ", ", arguments, |out, node| argument(out, node, scope));
    out.push(")");
}

fn named<'q>(out: &mut SqlBuilder<'q>, name: &str, arguments: &'q [Node], scope: Scope<'_, 'q>) {
    out.push(name).push("(");
    list(out, "", arguments, scope);
}

fn around<'q>(out: &mut SqlBuilder<'q>, (before, after): (&str, &str), arguments: &'q [Node], scope: Scope<'_, 'q>) {
    out.push(before);
    separated(out, ", ", arguments, |out, node| argument(out, node, scope));
    out.push(after);
}

/// Writes a number as it is.
pub(super) fn signed(out: &mut SqlBuilder<'_>, number: i64) {
    if number < 0 {
        out.push("-");
    }
    out.push_number(number.unsigned_abs());
}

/// What is equal is decided by the collation of the first one.
fn null_if<'q>(out: &mut SqlBuilder<'q>, call: &'q Call, scope: Scope<'_, 'q>) {
    out.push("nullif(");
    separated(out, ", ", call.arguments.iter().enumerate(), |out, (n, node)| {
        argument(out, node, scope);
        if n == 0 {
            collate(out, Some(call.of));
        }
    });
    out.push(")");
}

fn case<'q>(out: &mut SqlBuilder<'q>, arguments: &'q [Node], scope: Scope<'_, 'q>) {
    out.push("CASE");
    for arm in arguments.chunks(2) {
        match arm {
            [condition, result] => {
                out.push(" WHEN ");
                enclosed_condition(out, condition, scope);
                out.push(" THEN ");
                argument(out, result, scope);
            }
            other => {
                for otherwise in other {
                    out.push(" ELSE ");
                    argument(out, otherwise, scope);
                }
            }
        }
    }
    out.push(" END");
}

fn cast<'q>(out: &mut SqlBuilder<'q>, call: &'q Call, scope: Scope<'_, 'q>) {
    let [of] = &call.arguments[..] else { return };
    if call.of == call.ty && call.ty != SqlType::Unknown {
        return argument(out, of, scope);
    }
    match out.dialect().cast(call.of, call.ty) {
        Some((before, after)) => {
            out.push(&before);
            argument(out, of, scope);
            out.push(&after);
        }
        None => out.unsupported(&format!("a cast of {} to {}", call.of.name(), call.ty.name())),
    }
}

fn array<'q>(
    out: &mut SqlBuilder<'q>,
    arguments: &'q [Node],
    swapped: bool,
    [operator, after]: [&str; 2],
    scope: Scope<'_, 'q>,
) {
    check_arrays(out);
    let [array, other] = arguments else { return };
    let (left, right) = if swapped { (other, array) } else { (array, other) };
    out.push("(");
    argument(out, left, scope);
    out.push(operator);
    argument(out, right, scope);
    out.push(after);
}

fn check_arrays(out: &mut SqlBuilder<'_>) {
    if !out.capabilities().arrays {
        out.unsupported("arrays");
    }
}
