//! Places in JSON documents.

use std::borrow::Cow;
use std::fmt::Write;

use crate::dialect::JsonStyle;
use crate::expr::{Call, JsonRead, JsonStep, Node};
use crate::sql::SqlBuilder;
use crate::value::{SqlType, Value};

use super::bound;
use super::function::argument;
use super::scope::Scope;

/// Writes what stands at a place in the document that is the first argument.
pub(super) fn json<'q>(
    out: &mut SqlBuilder<'q>,
    call: &'q Call,
    path: &'q [JsonStep],
    read: JsonRead,
    scope: Scope<'_, 'q>,
) {
    let [document] = &call.arguments[..] else { return };
    let place = Place { document, path, scope };
    match out.dialect().json_style() {
        JsonStyle::PathQuery => path_query(out, place, read),
        JsonStyle::Extract { whole } => extract(out, place, read, whole),
        JsonStyle::ExtractTyped => extract_typed(out, place, read),
        JsonStyle::OpenJson => open_json(out, place, read),
    }
}

#[derive(Clone, Copy)]
struct Place<'s, 'q> {
    document: &'q Node,
    path: &'q [JsonStep],
    scope: Scope<'s, 'q>,
}

impl<'q> Place<'_, 'q> {
    fn document(self, out: &mut SqlBuilder<'q>) {
        argument(out, self.document, self.scope);
    }

    /// `name(document, path)`.
    fn call(self, out: &mut SqlBuilder<'q>, name: &str) {
        out.push(name).push("(");
        self.document(out);
        out.push(", ");
        self.path(out);
        out.push(")");
    }

    /// NULL, which leads nowhere, for a key with NUL in it: PostgreSQL keeps no such document, and others would read the
    /// key up to there.
    fn path(self, out: &mut SqlBuilder<'q>) {
        let path = if self.has_nul() { Value::Null(SqlType::Text) } else { Value::Text(Cow::Owned(steps(self.path))) };
        out.bind(path, None);
    }

    fn has_nul(self) -> bool {
        self.path.iter().any(|step| matches!(step, JsonStep::Key(key) if key.contains('\0')))
    }
}

/// Writes the value of a key that an expression holds. What is no object has none. SQLite quotes NULL as `null`, and
/// the text `null` as `"null"`.
pub(super) fn json_key<'q>(out: &mut SqlBuilder<'q>, arguments: &'q [Node], scope: Scope<'_, 'q>) {
    let [document, key] = arguments else { return };
    let parts = match out.dialect().json_style() {
        JsonStyle::PathQuery => ["(CAST(", " AS jsonb) -> CAST(", " AS text))"],
        JsonStyle::Extract { .. } => ["(", " -> ('$.' || nullif(json_quote(", "), 'null')))"],
        JsonStyle::ExtractTyped => ["json_extract(", ", concat('$.', CAST(json_quote(", ") AS CHAR)))"],
        JsonStyle::OpenJson => {
            return out.unsupported("a key of a JSON document that an expression holds");
        }
    };
    out.push(parts[0]);
    argument(out, document, scope);
    out.push(parts[1]);
    argument(out, key, scope);
    out.push(parts[2]);
}

/// `$."key"[0]`: each key in quotes, escaped as JSON escapes a text.
fn steps(path: &[JsonStep]) -> String {
    let mut text = String::from("$");
    for step in path {
        // Writing to a String cannot fail.
        let _ = match step {
            JsonStep::Key(key) => write!(text, ".{}", quoted(key)),
            JsonStep::Index(at) => write!(text, "[{at}]"),
        };
    }
    text
}

fn quoted(key: &str) -> String {
    serde_json::Value::String(key.to_owned()).to_string()
}

/// PostgreSQL. Strict, as a lax path takes an array for its elements; and silent about places that are not there.
fn path_query<'q>(out: &mut SqlBuilder<'q>, place: Place<'_, 'q>, read: JsonRead) {
    let test = match read {
        JsonRead::Text => " ? (@.type() == \"string\")",
        JsonRead::I64 => {
            " ? (@.type() == \"number\" && @ == @.floor() && @ >= -9223372036854775808 && @ <= 9223372036854775807)"
        }
        JsonRead::F64 => " ? (@.type() == \"number\")",
        JsonRead::Bool => " ? (@.type() == \"boolean\")",
        JsonRead::IsNull => " ? (@.type() == \"null\")",
        JsonRead::Json | JsonRead::Exists => "",
    };
    let (before, after) = match read {
        JsonRead::Text => ("(", " #>> '{}')"),
        JsonRead::I64 => ("CAST(", " AS bigint)"),
        JsonRead::F64 => ("CAST(", " AS double precision)"),
        JsonRead::Bool => ("CAST(", " AS boolean)"),
        JsonRead::Json => ("", ""),
        JsonRead::Exists | JsonRead::IsNull => ("coalesce(", ", FALSE)"),
    };
    out.push(before);
    out.push(if matches!(read, JsonRead::Exists | JsonRead::IsNull) {
        "jsonb_path_exists(CAST("
    } else {
        "jsonb_path_query_first(CAST("
    });
    place.document(out);
    out.push(" AS jsonb), CAST(");
    let path = if place.has_nul() {
        Value::Null(SqlType::Text)
    } else {
        Value::Text(Cow::Owned(format!("strict {}{test}", steps(place.path))))
    };
    bound(out, path, None, Some(SqlType::Text));
    out.push(" AS jsonpath), '{}', TRUE)");
    out.push(after);
}

/// SQLite.
fn extract<'q>(out: &mut SqlBuilder<'q>, place: Place<'_, 'q>, read: JsonRead, whole: &str) {
    match read {
        JsonRead::Text => {
            out.push("CASE ");
            place.call(out, "json_type");
            out.push(" WHEN 'text' THEN ");
            place.call(out, "json_extract");
            out.push(" END");
        }
        JsonRead::I64 | JsonRead::F64 => {
            out.push("CASE WHEN ");
            place.call(out, "json_type");
            out.push(" IN ('integer', 'real') THEN ");
            if read == JsonRead::I64 {
                out.push(whole).push("(");
                place.call(out, "json_extract");
                out.push(") END");
            } else {
                out.push("CAST(");
                place.call(out, "json_extract");
                out.push(" AS REAL) END");
            }
        }
        JsonRead::Bool => {
            out.push("CASE ");
            place.call(out, "json_type");
            out.push(" WHEN 'true' THEN 1 WHEN 'false' THEN 0 END");
        }
        JsonRead::Json => {
            out.push("(");
            place.document(out);
            out.push(" -> ");
            place.path(out);
            out.push(")");
        }
        JsonRead::Exists => {
            out.push("(");
            place.call(out, "json_type");
            out.push(" IS NOT NULL)");
        }
        JsonRead::IsNull => {
            out.push("(");
            place.call(out, "json_type");
            out.push(" = 'null')");
        }
    }
}

/// MySQL and MariaDB.
fn extract_typed<'q>(out: &mut SqlBuilder<'q>, place: Place<'_, 'q>, read: JsonRead) {
    let found = |out: &mut SqlBuilder<'q>, before: &str, after: &str| {
        out.push(before);
        place.call(out, "json_extract");
        out.push(after);
    };
    match read {
        JsonRead::Text => {
            found(out, "CASE CAST(json_type(", ") AS CHAR) WHEN 'STRING' THEN ");
            found(out, "CAST(json_unquote(", ") AS CHAR) END");
        }
        JsonRead::I64 => {
            found(out, "CASE WHEN CAST(json_type(", ") AS CHAR) IN ('INTEGER', 'UNSIGNED INTEGER') THEN CASE WHEN ");
            found(
                out,
                "CAST(CAST(",
                " AS CHAR) AS DECIMAL(65,0)) BETWEEN -9223372036854775808 AND 9223372036854775807 THEN ",
            );
            found(out, "CAST(", " AS SIGNED) END WHEN ");
            found(out, "CAST(json_type(", ") AS CHAR) IN ('DOUBLE', 'DECIMAL') AND ");
            found(out, "(", " + 0e0) = ");
            found(out, "floor(", " + 0e0) AND ");
            found(out, "abs(", " + 0e0) < 9223372036854775807e0 THEN ");
            found(out, "CAST(", " + 0e0 AS SIGNED) END");
        }
        JsonRead::F64 => {
            found(
                out,
                "CASE WHEN CAST(json_type(",
                ") AS CHAR) IN ('INTEGER', 'UNSIGNED INTEGER', 'DOUBLE', 'DECIMAL') THEN ",
            );
            found(out, "(", " + 0e0) END");
        }
        JsonRead::Bool => {
            found(out, "CASE CAST(json_type(", ") AS CHAR) WHEN 'BOOLEAN' THEN ");
            found(out, "CAST(json_unquote(", ") AS CHAR) = 'true' END");
        }
        JsonRead::Json => found(out, "", ""),
        JsonRead::Exists => {
            out.push("coalesce(json_contains_path(");
            place.document(out);
            out.push(", 'one', ");
            place.path(out);
            out.push("), 0)");
        }
        JsonRead::IsNull => found(out, "(CAST(json_type(", ") AS CHAR) = 'NULL')"),
    }
}

/// SQL Server: `OPENJSON` tells keys, values and types, and takes no parameter as its path before 2017.
fn open_json<'q>(out: &mut SqlBuilder<'q>, place: Place<'_, 'q>, read: JsonRead) {
    let Some((last, around)) = place.path.split_last() else {
        return match read {
            JsonRead::Json => place.document(out),
            _ => out.unsupported("a JSON document that is a single value"),
        };
    };
    let (what, types) = match read {
        JsonRead::Text => ("j.[value]", " AND j.[type] = 1)"),
        JsonRead::I64 => ("TRY_CAST(j.[value] AS bigint)", " AND j.[type] = 2)"),
        JsonRead::F64 => ("TRY_CAST(j.[value] AS float(53))", " AND j.[type] = 2)"),
        JsonRead::Bool => ("CASE j.[value] WHEN 'true' THEN 1 ELSE 0 END", " AND j.[type] = 3)"),
        JsonRead::Json => (
            "CASE j.[type] WHEN 0 THEN 'null' WHEN 1 THEN '\"' + STRING_ESCAPE(j.[value], 'json') + '\"' ELSE j.[value] \
             END",
            ")",
        ),
        JsonRead::Exists => ("1", ")"),
        JsonRead::IsNull => ("1", " AND j.[type] = 0)"),
    };
    let truth = matches!(read, JsonRead::Exists | JsonRead::IsNull);
    out.push(if truth { "CASE WHEN EXISTS (SELECT " } else { "(SELECT " });
    out.push(what).push(" FROM OPENJSON(");
    place.document(out);
    out.push(", N'").push(&steps(around).replace('\'', "''")).push("') AS j WHERE j.[key] = ");
    let key = match last {
        JsonStep::Key(key) => Cow::Borrowed(key.as_ref()),
        JsonStep::Index(at) => Cow::Owned(at.to_string()),
    };
    out.bind(Value::Text(key), None).push(types);
    if truth {
        out.push(" THEN 1 ELSE 0 END");
    }
}
