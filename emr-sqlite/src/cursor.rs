//! Statements that stay open between calls.

use emr_core::{Done, Error, Result, RowSink, Sql};
use rusqlite::Statement;

use crate::error::from_rusqlite;
use crate::statement::{bind, describe_columns, prepare_once};
use crate::types::{Parameter, SqliteRow};
use crate::worker::Worker;

/// An open cursor: a statement between two steps.
pub(crate) struct Cursor<'c> {
    statement: Statement<'c>,
    /// The engine would start an ended statement anew.
    ended: bool,
}

impl Worker<'_> {
    pub(crate) fn open_cursor(&mut self, sql: &Sql, params: &[Parameter<'_>]) -> Result<u64> {
        let mut statement = prepare_once(self.db, sql.text())?;
        bind(self.db, &mut statement, params)?;
        self.last_cursor += 1;
        self.cursors.insert(self.last_cursor, Cursor { statement, ended: false });
        Ok(self.last_cursor)
    }

    pub(crate) fn fetch(&mut self, id: u64, count: usize, sink: &mut dyn RowSink) -> Result<Done> {
        let Some(cursor) = self.cursors.get_mut(&id) else {
            return Err(Error::invalid("the cursor is closed: open it again"));
        };
        let mut done = Done { end: cursor.ended, ..Done::default() };
        let mut describe = sink.wants_columns();
        if !cursor.ended && count > 0 {
            // Whatever goes wrong below resets the statement.
            cursor.ended = true;
            let mut rows = cursor.statement.raw_query();
            loop {
                let row = match rows.next() {
                    Ok(Some(row)) => row,
                    Ok(None) => {
                        done.end = true;
                        break;
                    }
                    Err(error) => return Err(from_rusqlite(self.db, error)),
                };
                if std::mem::take(&mut describe) {
                    describe_columns(row.as_ref(), sink)?;
                }
                sink.row(&SqliteRow(row))?;
                done.rows += 1;
                if done.rows >= count as u64 {
                    // `Rows` owns nothing but would reset the statement when dropped: the next fetch goes
                    // on from here.
                    std::mem::forget(rows);
                    cursor.ended = false;
                    break;
                }
            }
        }
        if describe {
            describe_columns(&cursor.statement, sink)?;
        }
        Ok(done)
    }

    /// Closes a cursor; one that is closed already is no error. Returns how many are open.
    pub(crate) fn close_cursor(&mut self, id: u64) -> usize {
        self.cursors.remove(&id);
        self.cursors.len()
    }
}
