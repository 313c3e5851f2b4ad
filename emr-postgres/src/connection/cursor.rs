//! Cursors: rows that are fetched as they are wanted.

use std::sync::Arc;

use emr_core::{Control, CursorId, Discard, Done, Error, Result, RowSink, Sql, Value};

use super::query::{check_count, execute};
use super::session::{Prepared, Session, TransactionState};
use crate::types::Params;

/// An open cursor: how it is fetched from.
pub(super) struct Cursor {
    sql: Sql,
    fetch: Option<(usize, Arc<Prepared>)>,
}

impl Session {
    pub(super) async fn open_cursor(
        &mut self,
        controls: &[Control],
        sql: &Sql,
        params: &[Value<'_>],
    ) -> Result<CursorId> {
        self.control(controls).await?;
        if !self.in_transaction() {
            return Err(Error::invalid("a cursor lives in a transaction: begin one first"));
        }
        let id = self.next_cursor;
        self.next_cursor += 1;
        let text = format!("DECLARE emr_c{id} NO SCROLL CURSOR FOR {}", sql.text());
        let declare = self.prepare_once(sql, &text).await?;
        check_count(&declare, params.len())?;
        let declared = execute(self.client()?, &declare, Params::new(params), &mut Discard).await;
        declared.map_err(|failure| self.fail(failure, sql, params))?;
        self.cursors.insert(id, Cursor { sql: sql.clone(), fetch: None });
        Ok(CursorId(id))
    }

    pub(super) async fn fetch(&mut self, cursor: CursorId, rows: usize, sink: &mut dyn RowSink) -> Result<Done> {
        // FETCH 0 would give the current row again.
        let rows = rows.max(1);
        let Some(Cursor { sql, fetch }) = self.cursors.get(&cursor.0) else {
            return Err(Error::invalid("the cursor is closed: it ended with its transaction, or was closed"));
        };
        let sql = sql.clone();
        let kept = fetch.as_ref().filter(|(size, _)| *size == rows).map(|(_, prepared)| Arc::clone(prepared));
        let prepared = if let Some(prepared) = kept {
            prepared
        } else {
            let text = format!("FETCH FORWARD {rows} FROM emr_c{}", cursor.0);
            let prepared = self.prepare_once(&sql, &text).await?;
            if let Some(open) = self.cursors.get_mut(&cursor.0) {
                open.fetch = Some((rows, Arc::clone(&prepared)));
            }
            prepared
        };
        let fetched = execute(self.client()?, &prepared, Params::new(&[]), sink).await;
        let done = fetched.map_err(|failure| self.fail(failure, &sql, &[]))?;
        Ok(Done { end: done.rows < rows as u64, ..done })
    }

    pub(super) async fn close_cursor(&mut self, cursor: CursorId) -> Result<()> {
        if self.cursors.remove(&cursor.0).is_none() || self.transaction != TransactionState::Open {
            return Ok(());
        }
        match self.client()?.batch_execute(&format!("CLOSE emr_c{}", cursor.0)).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.note(&error, false)),
        }
    }
}
