//! From the driver's errors to ours.
//!
//! The driver's error is not kept as the source: its text may show DETAIL, and that holds values.

use std::error::Error as _;
use std::io;

use emr_core::{ConnectFailure, ConstraintKind, Error, ErrorKind, TransactionFault, Violation};
use tokio_postgres::error::{DbError, Severity};

/// The error of a call on an open connection. `hide_values` when a parameter belongs to a redacted column.
pub(crate) fn from_driver(error: &tokio_postgres::Error, hide_values: bool) -> Error {
    if let Some(server) = error.as_db_error() {
        return from_server(server, hide_values);
    }
    match error.source() {
        // What the driver could not put into a message, it has not sent.
        Some(cause) if cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::InvalidInput) => {
            Error::invalid(format!("the statement cannot be sent: {cause}"))
        }
        _ => Error::connection_lost(innermost(error)),
    }
}

fn from_server(error: &DbError, hide_values: bool) -> Error {
    let code = error.code().code();
    let message = || if hide_values { without_values(error.message()) } else { error.message().to_owned() };
    let kind = match code {
        "23505" => constraint(error, ConstraintKind::Unique),
        "23503" | "23001" => constraint(error, ConstraintKind::ForeignKey),
        "23514" => constraint(error, ConstraintKind::Check),
        "23502" => constraint(error, ConstraintKind::NotNull),
        "23P01" => constraint(error, ConstraintKind::Exclusion),
        // Nobody reads it as anything else: only ON CONFLICT asks for an index by its columns.
        "42P10" if error.routine() == Some("infer_arbiter_indexes") => {
            return Error::invalid(format!(
                "no unique index has exactly the columns of the conflict's target: {}",
                message()
            ));
        }
        "40001" => ErrorKind::Serialization { message: message() },
        "40P01" => ErrorKind::Deadlock { message: message() },
        "55P03" => ErrorKind::LockNotAvailable { message: message() },
        "25P02" => ErrorKind::Transaction(TransactionFault::Aborted),
        "57P01" | "57P02" | "57P03" => ErrorKind::ConnectionLost { reason: message() },
        "42601" if error.routine() == Some("exec_parse_message") => {
            return Error::invalid(format!(
                "{}: send one statement per call, or all of them without parameters as a script",
                message()
            ));
        }
        _ if code.starts_with("08") || matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) => {
            ErrorKind::ConnectionLost { reason: message() }
        }
        _ => ErrorKind::Database { code: code.to_owned(), message: message() },
    };
    Error::new(kind)
}

fn constraint(error: &DbError, kind: ConstraintKind) -> ErrorKind {
    let mut violation = Violation::new(kind, error.message());
    violation.name = error.constraint().map(ToOwned::to_owned);
    violation.table = error.table().map(ToOwned::to_owned);
    violation.columns = match (kind, error.column(), error.detail()) {
        (ConstraintKind::NotNull, Some(column), _) => vec![column.to_owned()],
        (ConstraintKind::Unique | ConstraintKind::Exclusion, _, Some(detail)) => key_columns(detail),
        // A parent's row that is still referred to: DETAIL names the parent's columns, the table is the child's.
        (ConstraintKind::ForeignKey, _, Some(detail)) if error.message().starts_with("insert or update") => {
            key_columns(detail)
        }
        _ => Vec::new(),
    };
    ErrorKind::Constraint(violation)
}

/// The names from `Key (a, b)=(1, 2) already exists.`; none if one of them is an expression. The words
/// around them are in the server's language.
fn key_columns(detail: &str) -> Vec<String> {
    let names = detail.split_once('(').and_then(|(_, rest)| rest.split_once(")=(")).map(|(names, _)| names);
    let Some(mut rest) = names else { return Vec::new() };
    let mut columns = Vec::new();
    loop {
        let (name, tail) = match rest.strip_prefix('"').map(unquote) {
            Some(Some(unquoted)) => unquoted,
            Some(None) => return Vec::new(),
            None => {
                let (name, tail) = rest.split_at(rest.find(", ").unwrap_or(rest.len()));
                if name.contains(['(', ')', ':']) {
                    return Vec::new();
                }
                (name.to_owned(), tail)
            }
        };
        columns.push(name);
        match tail.strip_prefix(", ") {
            Some(next) => rest = next,
            None if tail.is_empty() => return columns,
            // `WITH =` of an exclusion constraint, a collation, an operator class.
            None => return Vec::new(),
        }
    }
}

/// What stands before the closing quote, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (head, tail) = rest.split_once('"')?;
        name.push_str(head);
        match tail.strip_prefix('"') {
            Some(doubled) => {
                name.push('"');
                rest = doubled;
            }
            None => return Some((name, tail)),
        }
    }
}

/// The message without what stands in double quotes, which is where the server repeats values.
fn without_values(message: &str) -> String {
    message.split('"').enumerate().map(|(n, part)| if n % 2 == 0 { part } else { "\"…\"" }).collect()
}

/// The error of an attempt to connect. Never shows a password: neither the server nor the driver repeats it.
pub(crate) fn connect_failed(target: &str, error: &tokio_postgres::Error) -> Error {
    if let Some(server) = error.as_db_error() {
        let cause = match server.code().code() {
            "28P01" | "28000" => ConnectFailure::Authentication,
            "3D000" => ConnectFailure::UnknownDatabase,
            "53300" | "57P03" | "57P01" | "57P02" => ConnectFailure::Unavailable,
            _ => ConnectFailure::Other,
        };
        return failed(target, server.message(), cause);
    }
    // The driver tells its kinds by their text only.
    let kind = error.to_string();
    let cause = match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        _ if kind.contains("TLS") => ConnectFailure::Tls,
        _ if kind.contains("authentication") || innermost(error) == "password missing" => {
            ConnectFailure::Authentication
        }
        Some(io) if io.kind() == io::ErrorKind::TimedOut => ConnectFailure::Timeout,
        Some(io) if io.kind() == io::ErrorKind::PermissionDenied && kind.contains("connecting") => {
            ConnectFailure::Unavailable
        }
        Some(_) => ConnectFailure::Unreachable,
        // The server closed the connection without a word.
        None if error.is_closed() => ConnectFailure::Unavailable,
        None => ConnectFailure::Other,
    };
    failed(target, innermost(error), cause)
}

/// A failed attempt to connect.
pub(crate) fn failed(target: &str, reason: impl Into<String>, cause: ConnectFailure) -> Error {
    Error::new(ErrorKind::ConnectFailed { target: target.to_owned(), reason: reason.into(), cause })
}

/// The text of the last cause: the driver's own text hides it.
fn innermost(error: &tokio_postgres::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{key_columns, without_values};

    #[test]
    fn key_columns_are_read_and_values_are_not() {
        assert_eq!(key_columns("Key (a, b)=(1, (x)=(y)) already exists."), ["a", "b"]);
        assert_eq!(key_columns("Schlüssel »(name)=(Zoë)« existiert bereits."), ["name"]);
        assert_eq!(key_columns(r#"Key ("Odd, ""name""", b)=(1, 2) already exists."#), [r#"Odd, "name""#, "b"]);
    }

    #[test]
    fn expressions_and_foreign_texts_give_no_columns() {
        assert!(key_columns("Key (lower(email))=(a@b) already exists.").is_empty());
        assert!(key_columns("Key (email::text)=(a@b) already exists.").is_empty());
        assert!(key_columns("nothing of the kind").is_empty());
        assert!(key_columns("Key (\"open=(").is_empty());
    }

    #[test]
    fn values_are_cut_out_of_messages() {
        assert_eq!(
            without_values("invalid input syntax for type inet: \"geheim\""),
            "invalid input syntax for type inet: \"…\""
        );
    }

    proptest! {
        #[test]
        fn any_detail_gives_names_or_none(detail in "[(),=\": a\u{e4}]{0,40}|\\PC{0,40}|Key \\([a\", ]{0,12}\\)=\\(\\PC{0,12}") {
            for name in key_columns(&detail) {
                let quoted = name.replace('"', "\"\"");
                prop_assert!(detail.contains(&name) || detail.contains(&quoted), "{:?}", name);
            }
        }

        #[test]
        fn every_name_comes_back(names in prop::collection::vec("\\PC{1,12}", 1..4)) {
            let quoted: Vec<_> = names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
            // A name that holds `)=(` ends the list too early, and gives none.
            let found = key_columns(&format!("Key ({})=(1) already exists.", quoted.join(", ")));
            prop_assert!(found == names || names.iter().any(|name| name.contains(")=(")), "{:?}", found);
        }

        #[test]
        fn nothing_in_quotes_is_left(before in "[^\"]{0,12}", value in "[^\"]{1,12}", after in "[^\"]{0,12}") {
            let shown = without_values(&format!("{before}\"{value}\"{after}"));
            prop_assert_eq!(shown, format!("{before}\"…\"{after}"));
        }
    }
}
