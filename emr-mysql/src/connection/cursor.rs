//! Cursors: rows that are fetched as they are wanted.
//!
//! The server sends a result in one piece, and does nothing else on the connection meanwhile: a cursor is a result that
//! is read only as far as it was fetched. What the connection is wanted for in between makes it read the rest first.

use std::collections::{HashMap, VecDeque};

use emr_core::{Control, CursorId, Done, Error, ErrorKind, Result, RowSink, Sql, Value};
use mysql_async::prelude::Queryable;
use mysql_async::{BinaryProtocol, QueryResult, Row, Value as Wire};

use super::query::{DRAIN_ROWS, DRAIN_TIME, Failure, check_count, describe};
use super::session::Session;
use crate::types::{MySqlRow, Slots};

/// The most bytes of rows that are kept for a cursor while the connection does something else.
const MOST_KEPT: usize = 64 * 1024 * 1024;

/// A statement that was cancelled in the middle says so.
const INTERRUPTED: [u16; 2] = [1317, 1969];

/// The open cursors of a connection.
#[derive(Default)]
pub(super) struct Cursors {
    open: HashMap<u64, Cursor>,
    next: u64,
    /// The cursor whose rows the server is sending.
    reading: Option<u64>,
}

struct Cursor {
    sql: Sql,
    kept: VecDeque<Row>,
}

impl Cursors {
    /// Whether the server is in the middle of a result.
    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.reading.is_none()
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.reading = None;
    }
}

impl Session {
    pub(super) async fn open_cursor(
        &mut self,
        controls: &[Control],
        sql: &Sql,
        params: &[Value<'_>],
    ) -> Result<CursorId> {
        self.control(controls).await?;
        self.refuse_aborted()?;
        if self.cursors.is_reading() {
            self.read_ahead().await?;
        }
        let opened = async {
            let wire = self.bound(sql, params).map_err(Failure::Ours)?;
            let statement = self.prepared(sql).await?;
            check_count(&statement, params.len()).map_err(Failure::Ours)?;
            // Dropping the result reads nothing: the connection remembers that it is there.
            let result = self.conn().map_err(Failure::Ours)?.exec_iter(&statement, wire).await?;
            Ok(!result.is_empty())
        };
        let has_rows = match opened.await {
            Ok(has_rows) => has_rows,
            Err(failure) => return Err(self.fail(failure, sql, params)),
        };
        let id = self.cursors.next;
        self.cursors.next += 1;
        self.cursors.open.insert(id, Cursor { sql: sql.clone(), kept: VecDeque::new() });
        if has_rows {
            self.cursors.reading = Some(id);
        }
        Ok(CursorId(id))
    }

    pub(super) async fn fetch(&mut self, cursor: CursorId, rows: usize, sink: &mut dyn RowSink) -> Result<Done> {
        self.refuse_aborted()?;
        let Some(open) = self.cursors.open.get_mut(&cursor.0) else {
            return Err(Error::invalid("the cursor is closed: it ended with its transaction, or was closed"));
        };
        let sql = open.sql.clone();
        let mut taken = 0;
        let mut done = Done::default();
        let mut described = !sink.wants_columns();
        let reads_once = sink.reads_once();
        let mut cells = Slots::default();
        while taken < rows.max(1) {
            let kept = self.cursors.open.get_mut(&cursor.0).and_then(|open| open.kept.pop_front());
            let row = match kept {
                Some(row) => row,
                None if self.cursors.reading == Some(cursor.0) => match self.next_row(&sql).await? {
                    Some(row) => row,
                    None => break,
                },
                None => break,
            };
            if !described {
                described = true;
                sink.columns(&describe(row.columns_ref()))?;
            }
            taken += 1;
            // The rows behind it stay where they are: the stream that gave up closes the cursor.
            let columns = row.columns();
            cells.fill(row);
            sink.row(&MySqlRow::new(&cells, &columns, reads_once))?;
        }
        done.rows = taken as u64;
        done.end = taken < rows.max(1);
        Ok(done)
    }

    /// The next row that the server sends.
    async fn next_row(&mut self, sql: &Sql) -> Result<Option<Row>> {
        let conn = self.conn()?;
        let next = QueryResult::<'_, '_, BinaryProtocol>::new(&mut *conn).next().await;
        match next {
            Ok(Some(row)) => Ok(Some(row)),
            Ok(None) => {
                self.cursors.reading = None;
                self.follow();
                Ok(None)
            }
            Err(error) => {
                self.cursors.reading = None;
                Err(self.fail(Failure::Driver(error), sql, &[]))
            }
        }
    }

    /// Reads the rest of the result that the server is sending, and keeps it for its cursor.
    pub(super) async fn read_ahead(&mut self) -> Result<()> {
        let Some(id) = self.cursors.reading else { return Ok(()) };
        let Some(sql) = self.cursors.open.get(&id).map(|open| open.sql.clone()) else { return Ok(()) };
        let mut bytes = self.cursors.open.get(&id).map_or(0, |open| open.kept.iter().map(row_size).sum());
        while let Some(row) = self.next_row(&sql).await? {
            bytes += row_size(&row);
            if let Some(open) = self.cursors.open.get_mut(&id) {
                open.kept.push_back(row);
            }
            if bytes > MOST_KEPT {
                return Err(Error::invalid(format!(
                    "a stream is open on this connection, and more than {} MiB of its rows are still to come; {} does \
                     nothing else before they were read: read it to its end first, or use another connection",
                    MOST_KEPT >> 20,
                    self.capabilities.server
                )));
            }
        }
        Ok(())
    }

    pub(super) async fn close_cursor(&mut self, cursor: CursorId) -> Result<()> {
        self.cursors.open.remove(&cursor.0);
        if self.cursors.reading == Some(cursor.0) { self.discard().await } else { Ok(()) }
    }

    /// Closes all cursors.
    pub(super) async fn close_cursors(&mut self) -> Result<()> {
        self.cursors.open.clear();
        self.discard().await
    }

    /// Reads a short rest of a result away, and says whether that was all.
    pub(super) async fn drain_shortly(&mut self) -> Result<bool> {
        if !self.cursors.is_reading() {
            return Ok(true);
        }
        let sql = Sql::once("the rest of a stream");
        let rest = async {
            for _ in 0..DRAIN_ROWS {
                if self.next_row(&sql).await?.is_none() {
                    return Ok::<_, Error>(true);
                }
            }
            Ok(false)
        };
        tokio::time::timeout(DRAIN_TIME, rest).await.unwrap_or(Ok(false))
    }

    /// Throws the rest of a result away: reads a short one, and cancels a long one.
    async fn discard(&mut self) -> Result<()> {
        if self.drain_shortly().await? {
            return Ok(());
        }
        let sql = Sql::once("the rest of a stream");
        if let Some(link) = &self.link
            && let Err(error) = link.kill_query().await
        {
            // Nobody can be asked: the session has to go.
            self.taint();
            return Err(self.note(&error, false));
        }
        loop {
            match self.next_row(&sql).await {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) if is_interrupted(&error) => break,
                Err(error) => return Err(error),
            }
        }
        // Had the result ended by itself, the order to end it would hit the next statement: it hits this one.
        match self.conn()?.query_drop("DO 0").await {
            Err(mysql_async::Error::Server(error)) if INTERRUPTED.contains(&error.code) => Ok(()),
            Err(error) => Err(self.note(&error, false)),
            Ok(()) => Ok(()),
        }
    }
}

fn is_interrupted(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Database { code, .. } if INTERRUPTED.iter().any(|known| *code == known.to_string()))
}

/// About how many bytes a row takes in memory.
fn row_size(row: &Row) -> usize {
    let cell = |at| match row.as_ref(at) {
        Some(Wire::Bytes(raw)) => raw.len() + 48,
        _ => 48,
    };
    (0..row.len()).map(cell).sum::<usize>() + 64
}
