//! From the driver's errors to ours.
//!
//! The driver's error is not kept as the source: its text may show values.

use emr_core::{ConnectFailure, ConstraintKind, Error, ErrorKind, TransactionFault, Violation, render};
use mysql_async::{DriverError, IoError, ServerError};

/// The error of a call on an open connection. `hide_values` when a parameter belongs to a redacted column.
pub(crate) fn from_driver(error: &mysql_async::Error, hide_values: bool) -> Error {
    match error {
        mysql_async::Error::Server(error) => from_server(error, hide_values),
        mysql_async::Error::Driver(DriverError::MixedParams) => Error::invalid(
            "the statement has parameters with names (`:name`): write `?`, and quote text with colons in it",
        ),
        mysql_async::Error::Driver(DriverError::PacketTooLarge) => {
            Error::connection_lost("a message was larger than max_allowed_packet")
        }
        other => Error::connection_lost(innermost(other)),
    }
}

/// Whether the session is gone at the server after this error.
pub(crate) fn ends_session(error: &mysql_async::Error) -> bool {
    match error {
        mysql_async::Error::Server(error) => LOST.contains(&error.code),
        mysql_async::Error::Io(IoError::Io(_)) | mysql_async::Error::Driver(DriverError::ConnectionClosed) => true,
        _ => false,
    }
}

/// Shut down, killed, thrown out for idling.
const LOST: [u16; 5] = [1053, 1079, 1927, 3169, 4031];

fn from_server(error: &ServerError, hide_values: bool) -> Error {
    let message = || if hide_values { without_values(&error.message) } else { error.message.clone() };
    let kind = match error.code {
        1062 | 1169 | 1586 => constraint(unique(&error.message)),
        1216 | 1217 | 1451 | 1452 | 1761 | 1762 => constraint(foreign_key(&error.message)),
        3819 | 4025 => constraint(check(&error.message)),
        // An upsert of ours met a row by another key than its target.
        1690 if error.message.contains(render::OTHER_KEY) => {
            constraint(Violation::new(ConstraintKind::Unique, "a unique key other than the conflict's target is taken"))
        }
        1048 | 1364 => constraint(not_null(&error.message)),
        1213 | 3058 => ErrorKind::Deadlock { message: message() },
        // Record changed since it was last read: snapshot isolation of MariaDB.
        1020 => ErrorKind::Serialization { message: message() },
        1205 | 3572 => ErrorKind::LockNotAvailable { message: message() },
        // Not allowed to read so much, and what went wrong on the way.
        1153 | 1158..=1161 => ErrorKind::ConnectionLost { reason: message() },
        code if LOST.contains(&code) => ErrorKind::ConnectionLost { reason: message() },
        1065 => return Error::invalid("the statement is empty: there is nothing to run"),
        1568 => ErrorKind::Transaction(TransactionFault::RawControl),
        code => ErrorKind::Database { code: code.to_string(), message: message() },
    };
    Error::new(kind)
}

fn constraint(violation: Violation) -> ErrorKind {
    ErrorKind::Constraint(violation)
}

/// `Duplicate entry 'x' for key 'name'`; MySQL puts `table.` in front of the name. The value, which may hold anything, is
/// left out.
fn unique(message: &str) -> Violation {
    let mut violation = Violation::new(ConstraintKind::Unique, "a unique key is taken");
    if let Some(key) = last_quoted(message, '\'') {
        let (table, name) = match key.split_once('.') {
            Some((table, name)) => (Some(table.to_owned()), name),
            None => (None, key),
        };
        violation.message = format!("duplicate entry for key '{key}'");
        violation.table = table;
        violation.name = Some(name.to_owned());
    }
    violation
}

/// ``… a foreign key constraint fails (`db`.`child`, CONSTRAINT `name` FOREIGN KEY (`a`, `b`) REFERENCES …)``.
fn foreign_key(message: &str) -> Violation {
    let mut violation = Violation::new(ConstraintKind::ForeignKey, message);
    let Some((head, rest)) = message.split_once(" CONSTRAINT ") else { return violation };
    violation.table = quoted(head, '`').pop();
    let Some((name, rest)) = rest.split_once(" FOREIGN KEY (") else { return violation };
    violation.name = quoted(name, '`').pop();
    if let Some((columns, _)) = rest.split_once(") REFERENCES ") {
        // The parent's error names the child's columns all the same; they say nothing about the row that was deleted.
        if !message.starts_with("Cannot delete or update a parent row") {
            violation.columns = quoted(columns, '`');
        }
    }
    violation
}

/// ``CONSTRAINT `name` failed for `db`.`table` `` on MariaDB, `Check constraint 'name' is violated.` on MySQL. MariaDB
/// calls the check of a column `table.column`.
fn check(message: &str) -> Violation {
    let mut violation = Violation::new(ConstraintKind::Check, message);
    let quote = if message.contains('`') { '`' } else { '\'' };
    let mut names = quoted(message, quote).into_iter();
    violation.name = names.next();
    if quote == '`' {
        violation.table = names.next_back();
    }
    if let Some((_, column)) = violation.name.as_deref().and_then(|name| name.split_once('.')) {
        violation.columns = vec![column.to_owned()];
        violation.name = violation.columns.first().cloned();
    }
    violation
}

/// `Column 'name' cannot be null`, `Field 'name' doesn't have a default value`.
fn not_null(message: &str) -> Violation {
    let mut violation = Violation::new(ConstraintKind::NotNull, message);
    violation.columns = quoted(message, '\'').into_iter().take(1).collect();
    violation
}

/// What stands in the last pair of quotes.
fn last_quoted(text: &str, quote: char) -> Option<&str> {
    let end = text.rfind(quote)?;
    let start = text[..end].rfind(quote)?;
    Some(&text[start + quote.len_utf8()..end])
}

/// All that stands in quotes; a doubled one is part of the text.
fn quoted(text: &str, quote: char) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(quote) {
        rest = &rest[start + quote.len_utf8()..];
        let mut name = String::new();
        loop {
            let Some(end) = rest.find(quote) else { return found };
            name.push_str(&rest[..end]);
            rest = &rest[end + quote.len_utf8()..];
            match rest.strip_prefix(quote) {
                Some(doubled) => {
                    name.push(quote);
                    rest = doubled;
                }
                None => break,
            }
        }
        found.push(name);
    }
    found
}

/// The message without what stands between its first quote and its last, which is where the server repeats values.
fn without_values(message: &str) -> String {
    match (message.find('\''), message.rfind('\'')) {
        (Some(first), Some(last)) if first < last => format!("{}'…'{}", &message[..first], &message[last + 1..]),
        _ => message.to_owned(),
    }
}

/// The error of an attempt of `user` to connect. Never shows a password: neither the server nor the driver repeats it.
pub(crate) fn connect_failed(target: &str, user: &str, error: &mysql_async::Error) -> Error {
    let cause = match error {
        mysql_async::Error::Server(server) => match server.code {
            1044 | 1045 | 1130 | 1131 | 1227 | 1251 | 1524 | 1698 | 1820 | 1862 | 3118 | 3955 | 4151 => {
                ConnectFailure::Authentication
            }
            1049 => ConnectFailure::UnknownDatabase,
            // The server takes nobody without it.
            3159 => ConnectFailure::Tls,
            1040 | 1053 | 1129 | 1203 | 1226 => ConnectFailure::Unavailable,
            _ => ConnectFailure::Other,
        },
        mysql_async::Error::Io(IoError::Tls(_))
        | mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => ConnectFailure::Tls,
        mysql_async::Error::Io(IoError::Io(error)) => match error.kind() {
            std::io::ErrorKind::TimedOut => ConnectFailure::Timeout,
            std::io::ErrorKind::UnexpectedEof => ConnectFailure::Unavailable,
            // As what the TLS library refuses arrives here.
            std::io::ErrorKind::InvalidData => ConnectFailure::Tls,
            _ => ConnectFailure::Unreachable,
        },
        mysql_async::Error::Driver(DriverError::ConnectionClosed) => ConnectFailure::Unavailable,
        mysql_async::Error::Driver(
            DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::CleartextPluginDisabled,
        ) => ConnectFailure::Authentication,
        _ => ConnectFailure::Other,
    };
    let reason = match error {
        mysql_async::Error::Server(server) => server.message.clone(),
        // What a server asks of a user whom it does not know, too.
        mysql_async::Error::Driver(DriverError::UnknownAuthPlugin { name }) => {
            format!("the server asks user '{user}' to log in by {name}, which is not spoken here")
        }
        other => innermost(other),
    };
    failed(target, reason, cause)
}

/// A failed attempt to connect.
pub(crate) fn failed(target: &str, reason: impl Into<String>, cause: ConnectFailure) -> Error {
    Error::new(ErrorKind::ConnectFailed { target: target.to_owned(), reason: reason.into(), cause })
}

/// The text of the last cause: the driver wraps it in words of its own.
fn innermost(error: &mysql_async::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unique_keys_are_named_and_values_are_not() {
        let taken = unique("Duplicate entry 'it's 'mine'' for key 'posts.posts_title_index'");
        assert_eq!(taken.name.as_deref(), Some("posts_title_index"));
        assert_eq!(taken.table.as_deref(), Some("posts"));
        assert!(!taken.message.contains("mine"), "{}", taken.message);
        assert_eq!(unique("Duplicate entry '1' for key 'PRIMARY'").name.as_deref(), Some("PRIMARY"));
        assert_eq!(unique("nothing of the kind").name, None);
    }

    #[test]
    fn foreign_keys_are_named_with_their_tables_and_columns() {
        let missing = foreign_key(
            "Cannot add or update a child row: a foreign key constraint fails (`db`.`comments`, CONSTRAINT `of_post` \
             FOREIGN KEY (`post_id`, `n`) REFERENCES `posts` (`id`, `n`))",
        );
        assert_eq!(missing.name.as_deref(), Some("of_post"));
        assert_eq!(missing.table.as_deref(), Some("comments"));
        assert_eq!(missing.columns, ["post_id", "n"]);
        let held = foreign_key(
            "Cannot delete or update a parent row: a foreign key constraint fails (`db`.`comments`, CONSTRAINT `of_post` \
             FOREIGN KEY (`post_id`) REFERENCES `posts` (`id`))",
        );
        assert_eq!(held.name.as_deref(), Some("of_post"));
        assert!(held.columns.is_empty());
    }

    #[test]
    fn checks_are_named_as_each_engine_names_them() {
        let violation = check("CONSTRAINT `positive` failed for `db`.`prices`");
        assert_eq!((violation.name.as_deref(), violation.table.as_deref()), (Some("positive"), Some("prices")));
        assert_eq!(check("Check constraint 'positive' is violated.").name.as_deref(), Some("positive"));
        assert_eq!(check("CONSTRAINT `prices.price` failed for `db`.`prices`").columns, ["price"]);
    }

    #[test]
    fn columns_that_must_not_be_null_are_named() {
        assert_eq!(not_null("Column 'title' cannot be null").columns, ["title"]);
        assert_eq!(not_null("Field 'title' doesn't have a default value").columns, ["title"]);
    }

    #[test]
    fn values_are_cut_out_of_messages() {
        assert_eq!(
            without_values("Incorrect integer value: 'it's secret' for column `db`.`t`.`n` at row 1"),
            "Incorrect integer value: '…' for column `db`.`t`.`n` at row 1"
        );
        assert_eq!(without_values("no quotes"), "no quotes");
    }

    #[test]
    fn quotes_that_are_doubled_are_text() {
        assert_eq!(quoted("`a``b`, `c`", '`'), ["a`b", "c"]);
        assert!(quoted("`open", '`').is_empty());
    }

    proptest! {
        #[test]
        fn any_message_is_read(message in "\\PC{0,60}|[`', ().a\u{e4}]{0,40}|.{0,12} CONSTRAINT `[a`]{0,9} FOREIGN KEY \\([`a, ]{0,9}\\) REFERENCES .{0,9}") {
            let _ = (unique(&message), foreign_key(&message), check(&message), not_null(&message));
        }

        #[test]
        fn no_value_of_a_taken_key_is_told(value in "secret.{0,12}", key in "[a-z_]{1,12}") {
            let taken = unique(&format!("Duplicate entry '{value}' for key '{key}'"));
            prop_assert_eq!(taken.name.as_deref(), Some(&*key));
            prop_assert!(!taken.message.contains("secret"), "{}", taken.message);
        }

        #[test]
        fn every_quoted_name_comes_back(names in prop::collection::vec("\\PC{1,9}", 0..4)) {
            let text: Vec<_> = names.iter().map(|name| format!("`{}`", name.replace('`', "``"))).collect();
            prop_assert_eq!(quoted(&text.join(", "), '`'), names);
        }
    }
}
