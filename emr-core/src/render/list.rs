//! Lists of values that a column is looked up in.

use std::borrow::Cow;
use std::fmt::Write;

use crate::dialect::InList;
use crate::sql::{BindContext, SqlBuilder};
use crate::value::{SqlType, Value, array_of};

use super::condition::collate;
use super::separated;

/// Writes ` IN (…)` behind what is looked up.
pub(super) fn in_list<'q>(
    out: &mut SqlBuilder<'q>,
    list: &'q [Value<'static>],
    element: SqlType,
    context: BindContext,
    negated: bool,
) {
    collate(out, Some(element));
    match out.dialect().in_list(list.len(), element) {
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
