//! Many rows at once: by lists of values.

use std::sync::Arc;

use emr_core::{Begin, BulkInsert, Control, Discard, Done, Result, RowSink, SqlBuilder, render};

use super::session::Session;
use crate::capabilities::MAX_PARAMETERS;
use crate::types::size;

/// The most rows in one list of values: longer ones gain nothing and fill the cache of texts.
const VALUES_ROWS: usize = 500;
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
        let first = self.fitting(rows, 0);
        if first == rows.len() {
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
            match self.chunk(&rows.slice(start..end), sink).await {
                Ok(part) => done.rows += part.rows,
                Err(error) => {
                    // After a deadlock the server has undone it already.
                    if self.refuse_aborted().is_ok() {
                        self.tainted |= self.control(&[undo]).await.is_err();
                    }
                    return Err(error);
                }
            }
            start = end;
            end = self.fitting(rows, start);
        }
        self.control(&[close]).await?;
        Ok(done)
    }

    /// Where the statement ends that begins with this row.
    fn fitting(&self, rows: &BulkInsert, start: usize) -> usize {
        // Rows of nothing but defaults have no list.
        let most =
            if rows.columns.is_empty() { 1 } else { VALUES_ROWS.min(MAX_PARAMETERS / rows.columns.len()).max(1) };
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

    async fn chunk(&mut self, rows: &BulkInsert, sink: &mut dyn RowSink) -> Result<Done> {
        let capabilities = Arc::clone(&self.capabilities);
        let (sql, params) = SqlBuilder::build(self.dialect, &capabilities, |out| {
            let cell = |row, column| render::Cell::Value(rows.cell(row, column));
            render::insert_values(out, rows.insert(), 0..rows.len(), &cell);
        })?;
        self.statement(&sql, &params, sink).await
    }
}
