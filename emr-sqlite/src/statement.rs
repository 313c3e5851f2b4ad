//! One statement: prepared, bound, stepped to its end.

use emr_core::{Done, Error, Result, ResultColumn, RowSink, Sql};
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, ErrorCode, Statement};

use crate::error::from_rusqlite;
use crate::keyword;
use crate::types::{Parameter, SqliteRow};

const ONE_AT_A_TIME: &str = "the SQL has more than one statement: run one at a time, or all of them as a script";

/// Runs one statement and pushes its rows into the sink.
pub(crate) fn query(
    db: &rusqlite::Connection,
    sql: &Sql,
    params: &[Parameter<'_>],
    sink: &mut dyn RowSink,
) -> Result<Done> {
    let text = sql.text();
    refuse_nul(text)?;
    if sql.is_cacheable() {
        let mut statement = db.prepare_cached(text).map_err(|error| prepare_error(db, text, error))?;
        run(db, text, &mut statement, params, sink)
    } else {
        run(db, text, &mut prepare_once(db, text)?, params, sink)
    }
}

/// Runs any number of statements without parameters, each with a sink of its own.
pub(crate) fn query_many(
    db: &rusqlite::Connection,
    text: &str,
    new_sink: fn() -> Box<dyn RowSink>,
) -> Result<Vec<(Box<dyn RowSink>, Done)>> {
    refuse_nul(text)?;
    let mut results = Vec::new();
    let mut batch = Batch::new(db, text);
    // A statement is prepared when the one before it has run: it may need the table that that one made.
    while let Some(mut statement) = batch.next().map_err(|error| from_rusqlite(db, error))? {
        bind(db, &mut statement, &[])?;
        let mut sink = new_sink();
        let describe = sink.wants_columns();
        let returned = step_all(db, &mut statement, sink.as_mut(), describe)?;
        let own_text = statement.expanded_sql().unwrap_or_default();
        results.push((sink, counts(db, &own_text, &statement, returned)));
    }
    Ok(results)
}

/// Prepares a statement that is not kept.
pub(crate) fn prepare_once<'c>(db: &'c rusqlite::Connection, text: &str) -> Result<Statement<'c>> {
    refuse_nul(text)?;
    let statement = db.prepare(text).map_err(|error| prepare_error(db, text, error))?;
    refuse_nothing(text, &statement)?;
    Ok(statement)
}

fn run(
    db: &rusqlite::Connection,
    text: &str,
    statement: &mut Statement<'_>,
    params: &[Parameter<'_>],
    sink: &mut dyn RowSink,
) -> Result<Done> {
    refuse_nothing(text, statement)?;
    bind(db, statement, params)?;
    let describe = sink.wants_columns();
    let returned = step_all(db, statement, sink, describe)?;
    Ok(counts(db, text, statement, returned))
}

/// Steps a bound statement to its end, with or without telling the sink its columns. Returns how many rows
/// it gave.
pub(crate) fn step_all(
    db: &rusqlite::Connection,
    statement: &mut Statement<'_>,
    sink: &mut dyn RowSink,
    mut describe: bool,
) -> Result<u64> {
    let mut returned = 0;
    let mut rows = statement.raw_query();
    // An error of the sink drops the rows, which resets the statement.
    while let Some(row) = rows.next().map_err(|error| from_rusqlite(db, error))? {
        // Only the first step shows the columns as they are: it prepares anew if the tables were changed.
        if std::mem::take(&mut describe) {
            describe_columns(row.as_ref(), sink)?;
        }
        sink.row(&SqliteRow(row))?;
        returned += 1;
    }
    drop(rows);
    if describe {
        describe_columns(statement, sink)?;
    }
    Ok(returned)
}

/// Binds all parameters.
pub(crate) fn bind(db: &rusqlite::Connection, statement: &mut Statement<'_>, params: &[Parameter<'_>]) -> Result<()> {
    let wanted = statement.parameter_count();
    if wanted != params.len() {
        return Err(Error::invalid(format!(
            "the statement has {wanted} parameters, but {} values were given",
            params.len()
        )));
    }
    for (n, param) in params.iter().enumerate() {
        statement.raw_bind_parameter(n + 1, param).map_err(|error| from_rusqlite(db, error))?;
    }
    Ok(())
}

/// Tells the sink the columns of a statement.
pub(crate) fn describe_columns(statement: &Statement<'_>, sink: &mut dyn RowSink) -> Result<()> {
    let columns: Vec<_> = statement
        .columns()
        .map(|column| ResultColumn {
            name: column.name().to_owned(),
            type_name: column.decl_type().unwrap_or_default().to_owned(),
        })
        .collect();
    sink.columns(&columns)
}

/// The engine's counters keep what an earlier statement left there: only a write may read them.
fn counts(db: &rusqlite::Connection, text: &str, statement: &Statement<'_>, returned: u64) -> Done {
    let wrote = !statement.readonly() && keyword::is_one_of(text, &["INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"]);
    if !wrote {
        return Done { rows: returned, ..Done::default() };
    }
    let rows = db.changes();
    let inserted = rows > 0 && keyword::is_one_of(text, &["INSERT", "REPLACE"]);
    Done { rows, last_insert_id: inserted.then(|| db.last_insert_rowid()), end: false }
}

/// The engine makes a statement of nothing out of an empty text.
fn refuse_nothing(text: &str, statement: &Statement<'_>) -> Result<()> {
    if statement.column_count() == 0 && statement.readonly() && keyword::is_empty(text) {
        return Err(Error::invalid("the SQL is empty: there is nothing to run"));
    }
    Ok(())
}

/// The engine would silently run no more than what stands before it.
pub(crate) fn refuse_nul(text: &str) -> Result<()> {
    if text.as_bytes().contains(&0) {
        return Err(Error::invalid("the SQL has a NUL in it: bind the text that holds it as a parameter"));
    }
    Ok(())
}

#[cold]
fn prepare_error(db: &rusqlite::Connection, text: &str, error: rusqlite::Error) -> Error {
    // A second statement is prepared as well, and may fail only because the first has not run.
    let in_the_second = || {
        error.sqlite_error_code() == Some(ErrorCode::Unknown)
            && text.contains(';')
            && Batch::new(db, text).next().is_ok_and(|first| first.is_some())
    };
    if matches!(error, rusqlite::Error::MultipleStatement) || in_the_second() {
        return Error::invalid(ONE_AT_A_TIME);
    }
    from_rusqlite(db, error)
}
