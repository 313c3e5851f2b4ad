//! What the engine's errors mean.

use emr_core::{ConstraintKind, Error, ErrorKind, Violation};
use rusqlite::{ErrorCode, ffi};

/// Translates an error of the engine. The tables of `db` help to read its message.
#[cold]
pub(crate) fn from_rusqlite(db: &rusqlite::Connection, error: rusqlite::Error) -> Error {
    let (failure, message) = match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            (failure, message.unwrap_or_else(|| ffi::code_to_str(failure.extended_code).to_owned()))
        }
        rusqlite::Error::SqlInputError { error, msg, offset, .. } => (error, format!("{msg} (at byte {offset})")),
        other => {
            let kind = ErrorKind::Database { code: "SQLITE_MISUSE".into(), message: other.to_string() };
            return Error::new(kind);
        }
    };
    if message.contains("ON CONFLICT clause does not match") {
        return Error::invalid(format!("no unique index has exactly the columns of the conflict's target: {message}"));
    }
    let kind = match (failure.code, failure.extended_code) {
        (ErrorCode::ConstraintViolation, code) => match violation(db, code, &message) {
            Some(violation) => ErrorKind::Constraint(violation),
            None => ErrorKind::Database { code: name(code), message },
        },
        // The snapshot that this transaction read is old: the next one reads a new one.
        (ErrorCode::DatabaseBusy, ffi::SQLITE_BUSY_SNAPSHOT) => ErrorKind::Serialization { message },
        // The busy handler waits for as long as somebody waits for the answer. What is still busy is held
        // where waiting would never end, by the same connection or in a circle.
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => ErrorKind::LockNotAvailable { message },
        (_, code) => ErrorKind::Database { code: name(code), message },
    };
    Error::new(kind).with_source(failure)
}

/// The engine's own words, without the SQL.
pub(crate) fn describe(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqliteFailure(failure, None) => ffi::code_to_str(failure.extended_code).to_owned(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// What an abandoned call ends with.
pub(crate) fn interrupted() -> Error {
    let message = "the call was abandoned before it began".to_owned();
    Error::new(ErrorKind::Database { code: name(ffi::SQLITE_INTERRUPT), message })
}

fn violation(db: &rusqlite::Connection, code: i32, message: &str) -> Option<Violation> {
    let subject = message.split_once(" constraint failed: ").map_or("", |(_, subject)| subject);
    let exists = |table: &str, column: &str| db.column_exists(None, table, column).unwrap_or(false);
    let mut found = Violation::new(ConstraintKind::Unique, message);
    match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            if let Some(index) = subject.strip_prefix("index '").and_then(|name| name.strip_suffix('\'')) {
                found.name = Some(index.to_owned());
            } else if let Some((table, columns)) = split_columns(subject, exists) {
                // The engine tells no name: this is the one that the index would have by convention.
                found.name = Some(format!("{table}_{}_index", columns.join("_")));
                found.table = Some(table);
                found.columns = columns;
            }
        }
        ffi::SQLITE_CONSTRAINT_NOTNULL => {
            found.kind = ConstraintKind::NotNull;
            if let Some((table, columns)) = split_columns(subject, exists) {
                found.table = Some(table);
                found.columns = columns;
            }
        }
        ffi::SQLITE_CONSTRAINT_CHECK => {
            found.kind = ConstraintKind::Check;
            found.name = Some(subject.to_owned()).filter(|name| !name.is_empty());
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => found.kind = ConstraintKind::ForeignKey,
        // ON DELETE RESTRICT is a trigger inside the engine; other triggers are the user's, and no constraint.
        ffi::SQLITE_CONSTRAINT_TRIGGER if message == "FOREIGN KEY constraint failed" => {
            found.kind = ConstraintKind::ForeignKey;
        }
        _ => return None,
    }
    Some(found)
}

/// Reads `table.a, table.b`. The engine quotes nothing, so that a dot or a comma may also be part of a name;
/// `exists` then tells which reading is the true one.
fn split_columns(subject: &str, exists: impl Fn(&str, &str) -> bool) -> Option<(String, Vec<String>)> {
    let readings = subject.match_indices('.').map(|(dot, _)| {
        let (table, columns) = (&subject[..dot], &subject[dot + 1..]);
        (table, columns.split(&format!(", {table}.")).collect::<Vec<_>>())
    });
    let mut first = None;
    for (table, columns) in readings {
        if columns.iter().all(|column| exists(table, column)) {
            return Some(owned(table, &columns));
        }
        first.get_or_insert_with(|| owned(table, &columns));
    }
    first
}

fn owned(table: &str, columns: &[&str]) -> (String, Vec<String>) {
    (table.to_owned(), columns.iter().map(|&column| column.to_owned()).collect())
}

macro_rules! names {
    ($code:expr, $($name:ident)*) => {
        match $code {
            $(ffi::$name => Some(stringify!($name)),)*
            _ => None,
        }
    };
}

/// The symbolic name of a result code; that of its class where the exact one is not listed.
fn name(code: i32) -> String {
    let exact = |code| {
        names!(code,
            SQLITE_ERROR SQLITE_INTERNAL SQLITE_PERM SQLITE_ABORT SQLITE_BUSY SQLITE_LOCKED SQLITE_NOMEM SQLITE_READONLY
            SQLITE_INTERRUPT SQLITE_IOERR SQLITE_CORRUPT SQLITE_NOTFOUND SQLITE_FULL SQLITE_CANTOPEN SQLITE_PROTOCOL
            SQLITE_SCHEMA SQLITE_TOOBIG SQLITE_CONSTRAINT SQLITE_MISMATCH SQLITE_MISUSE SQLITE_NOLFS SQLITE_AUTH
            SQLITE_RANGE SQLITE_NOTADB SQLITE_ABORT_ROLLBACK SQLITE_READONLY_RECOVERY SQLITE_READONLY_CANTLOCK
            SQLITE_READONLY_ROLLBACK SQLITE_READONLY_DBMOVED SQLITE_READONLY_CANTINIT SQLITE_READONLY_DIRECTORY
            SQLITE_IOERR_READ SQLITE_IOERR_SHORT_READ SQLITE_IOERR_WRITE SQLITE_IOERR_FSYNC SQLITE_IOERR_TRUNCATE
            SQLITE_IOERR_LOCK SQLITE_IOERR_SHMMAP SQLITE_IOERR_NOMEM SQLITE_IOERR_ACCESS SQLITE_CORRUPT_VTAB
            SQLITE_CORRUPT_SEQUENCE SQLITE_CORRUPT_INDEX SQLITE_CANTOPEN_ISDIR SQLITE_CANTOPEN_NOTEMPDIR
            SQLITE_CONSTRAINT_TRIGGER SQLITE_CONSTRAINT_DATATYPE SQLITE_CONSTRAINT_VTAB SQLITE_CONSTRAINT_FUNCTION
            SQLITE_CONSTRAINT_COMMITHOOK SQLITE_CONSTRAINT_PINNED)
    };
    exact(code).or_else(|| exact(code & 0xff)).map_or_else(|| format!("SQLITE_{code}"), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{name, split_columns};

    fn read(subject: &str, tables: &[(&str, &str)]) -> Option<(String, Vec<String>)> {
        split_columns(subject, |table, column| tables.contains(&(table, column)))
    }

    #[test]
    fn dots_and_commas_in_names_are_told_apart_by_the_tables_there_are() {
        let tables = [("a.b", "c"), ("t", "x, t"), ("t", "y"), ("tä", "ö")];
        assert_eq!(read("a.b.c", &tables), Some(("a.b".into(), vec!["c".into()])));
        assert_eq!(read("tä.ö", &tables), Some(("tä".into(), vec!["ö".into()])));
        assert_eq!(read("t.x, t, t.y", &tables), Some(("t".into(), vec!["x, t".into(), "y".into()])));
    }

    #[test]
    fn a_table_that_is_gone_is_read_plainly() {
        assert_eq!(read("t.a, t.b", &[]), Some(("t".into(), vec!["a".into(), "b".into()])));
        assert_eq!(read("nothing", &[]), None);
    }

    #[test]
    fn codes_have_names() {
        assert_eq!(name(8), "SQLITE_READONLY");
        assert_eq!(name(1032), "SQLITE_READONLY_DBMOVED");
        assert_eq!(name(0x630a), "SQLITE_IOERR");
        assert_eq!(name(250), "SQLITE_250");
    }

    /// Whatever is read, it is what the engine wrote.
    fn check(subject: &str, exists: impl Fn(&str, &str) -> bool) -> Result<(), TestCaseError> {
        match split_columns(subject, exists) {
            Some((table, columns)) => {
                let written: Vec<_> = columns.iter().map(|column| format!("{table}.{column}")).collect();
                prop_assert_eq!(written.join(", "), subject);
            }
            None => prop_assert!(!subject.contains('.')),
        }
        Ok(())
    }

    #[test]
    fn dots_and_commas_alone_are_read_too() {
        let raw = b".., .\n\n, ..\n\xa0\n\xf1\xf1\xae'\xae\n.\xf1.\n.\n\n\n";
        check(&String::from_utf8_lossy(raw), |_, _| false).expect("what was written");
        check(&String::from_utf8_lossy(raw), |_, _| true).expect("what was written");
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_what_was_written(subject in "[., '\"\na\u{a0}\u{fffd}\0]{0,40}|\\PC{0,40}", there in any::<bool>()) {
            check(&subject, |_, _| there)?;
        }

        #[test]
        fn columns_of_a_table_that_is_there_are_found(
            table in "[a-c., \u{e4}]{1,6}",
            columns in prop::collection::vec("[a-c., \u{e4}]{1,6}", 1..4),
        ) {
            let subject = columns.iter().map(|column| format!("{table}.{column}")).collect::<Vec<_>>().join(", ");
            let found = split_columns(&subject, |other, column| table == other && columns.iter().any(|own| own == column));
            let (found, among) = found.expect("there is a dot");
            prop_assert_eq!(&found, &table);
            // A column may be called `a, t.b`: then there are two readings, and both are true.
            prop_assert!(among.iter().all(|column| columns.contains(column)));
        }
    }
}
