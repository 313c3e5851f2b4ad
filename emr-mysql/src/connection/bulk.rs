//! Many rows at once: by lists of values, or on MariaDB by its bulk protocol.

use std::sync::Arc;

use emr_core::{Begin, BulkInsert, Control, Discard, Done, Error, Result, Returning, RowSink, SqlBuilder, render};
use mysql_async::Params;
use mysql_async::prelude::Queryable;

use super::query::{Failure, check_count};
use super::session::Session;
use crate::capabilities::MAX_PARAMETERS;
use crate::types::size;

/// The most rows in one list of values: longer ones gain nothing and fill the cache of texts.
const VALUES_ROWS: usize = 1_000;
/// From this number of rows on, MariaDB's bulk protocol is faster by more than the transaction around it costs. Measured:
/// `emr-bench`, 10,000 rows; at 1,000 both take the same.
const BULK_FROM: usize = 5_000;
/// The most rows in one message of the bulk protocol. It bounds the memory that they take, and how long a message runs.
const BULK_ROWS: usize = 10_000;
/// Stands apart from the levels that transactions count.
const LEVEL: u32 = u32::MAX;

impl Session {
    pub(super) async fn insert_many(
        &mut self,
        controls: &[Control],
        rows: &BulkInsert,
        sink: Option<&mut (dyn RowSink + 'static)>,
    ) -> Result<Done> {
        self.control(controls).await?;
        let mut discard = Discard;
        let sink: &mut dyn RowSink = match sink {
            Some(sink) => sink,
            None => &mut discard,
        };
        if rows.is_empty() {
            return Ok(Done::default());
        }
        let road = self.road(rows);
        let first = self.fitting(rows, 0, road);
        let in_one = self.in_transaction() || !self.selects_again(rows);
        if first == rows.len() && road == Road::Values && in_one {
            return self.chunk(rows, sink).await;
        }
        let (open, undo, close) = if self.in_transaction() {
            (Control::Savepoint(LEVEL), Control::RollbackTo(LEVEL), Control::Release(LEVEL))
        } else {
            (Control::Begin(Begin::default()), Control::Rollback, Control::Commit)
        };
        self.control(&[open]).await?;
        let mut done = Done::default();
        let mut start = 0;
        let mut end = first;
        while start < rows.len() {
            let part = rows.slice(start..end);
            let written = match road {
                Road::Values => self.chunk(&part, sink).await,
                Road::Bulk => self.bulk(&part).await,
            };
            match written {
                Ok(part) => done.rows += part.rows,
                Err(error) => {
                    // After a deadlock the server has undone it already.
                    if self.refuse_aborted().is_ok() && self.control(&[undo]).await.is_err() {
                        self.taint();
                    }
                    return Err(error);
                }
            }
            start = end;
            end = self.fitting(rows, start, road);
        }
        self.control(&[close]).await?;
        Ok(done)
    }

    /// The bulk protocol gives nothing back, and has no statement for rows of nothing but defaults.
    fn road(&self, rows: &BulkInsert) -> Road {
        let is_plain = rows.conflict.is_none() && !rows.returning && !rows.columns.is_empty();
        if self.dialect.name() == "mariadb" && is_plain && rows.len() >= BULK_FROM { Road::Bulk } else { Road::Values }
    }

    /// Where the statement ends that begins with this row.
    fn fitting(&self, rows: &BulkInsert, start: usize, road: Road) -> usize {
        let most = match road {
            Road::Bulk => BULK_ROWS,
            // Rows of nothing but defaults have no list.
            Road::Values if rows.columns.is_empty() => 1,
            Road::Values => VALUES_ROWS.min(MAX_PARAMETERS / rows.columns.len()).max(1),
        };
        let last = (start + most).min(rows.len());
        // Half of it: the estimate is rough, and the text comes on top.
        let mut left = self.max_packet / 2;
        for row in start..last {
            let bytes: usize = rows.columns.iter().map(|&column| size(&rows.cell(row, column))).sum();
            if bytes > left && row > start {
                return row;
            }
            left = left.saturating_sub(bytes);
        }
        last
    }

    /// Whether the rows are read after they were written.
    fn selects_again(&self, rows: &BulkInsert) -> bool {
        rows.returning && self.capabilities.insert_returning == Returning::No
    }

    async fn chunk(&mut self, rows: &BulkInsert, sink: &mut dyn RowSink) -> Result<Done> {
        let capabilities = Arc::clone(&self.capabilities);
        let gives_back = capabilities.insert_returning != Returning::No;
        let mut insert = rows.insert();
        if !gives_back {
            insert.returned = render::Returned::Nothing;
        }
        let (sql, params) = SqlBuilder::build(self.dialect, &capabilities, |out| {
            let cell = |row, column| render::Cell::Value(rows.cell(row, column));
            render::insert_values(out, insert, 0..rows.len(), &cell);
        })?;
        if gives_back {
            return self.statement(&sql, &params, sink).await;
        }
        let done = self.statement(&sql, &params, &mut Discard).await?;
        if rows.conflict.is_some() {
            if rows.len() == 1 {
                let (sql, params) = SqlBuilder::build(self.dialect, &capabilities, render::outcome)?;
                self.statement(&sql, &params, sink).await?;
            }
        } else if rows.returning {
            let again =
                SqlBuilder::build(self.dialect, &capabilities, |out| render::inserted(out, rows, done.last_insert_id));
            let (sql, params) = again?;
            if self.statement(&sql, &params, sink).await?.rows != rows.len() as u64 {
                // A trigger gave them other keys, or took them away.
                return Err(Error::not_found(rows.schema.table));
            }
        }
        Ok(done)
    }

    /// Sends rows that fit one message, behind the statement of a single one. A server in between that does not know the
    /// protocol gets them one by one, which is why all of it is in a transaction.
    async fn bulk(&mut self, rows: &BulkInsert) -> Result<Done> {
        self.refuse_aborted()?;
        if self.cursors.is_reading() {
            self.read_ahead().await?;
        }
        let capabilities = Arc::clone(&self.capabilities);
        let (sql, first) = SqlBuilder::build(self.dialect, &capabilities, |out| {
            let cell = |row, column| render::Cell::Value(rows.cell(row, column));
            render::insert_values(out, rows.insert(), 0..1, &cell);
        })?;
        let row = |row: usize| -> Result<Params> {
            let cells: Vec<_> = rows.columns.iter().map(|&column| rows.cell(row, column)).collect();
            self.bound(&sql, &cells)
        };
        let wire: Vec<Params> = (0..rows.len()).map(row).collect::<Result<_>>()?;
        let sent = async {
            let statement = self.prepared(&sql).await?;
            check_count(&statement, rows.columns.len()).map_err(Failure::Ours)?;
            let conn = self.conn().map_err(Failure::Ours)?;
            conn.exec_batch(&statement, wire).await?;
            Ok(())
        };
        match sent.await {
            Ok(()) => {
                Box::pin(self.forget()).await?;
                // Without a conflict to be asked about, every row is written, or none.
                Ok(Done { rows: rows.len() as u64, ..Done::default() })
            }
            Err(failure) => {
                let error = self.fail(failure, &sql, &first);
                Err(Box::pin(self.with_columns(error, &sql, first.len())).await)
            }
        }
    }
}

/// How rows go in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Road {
    Values,
    Bulk,
}
