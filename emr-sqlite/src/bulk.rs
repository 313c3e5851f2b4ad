//! Many rows by one statement, stepped once per row.

use emr_core::render;
use emr_core::{BulkInsert, Discard, Done, Result, RowSink, SqlBuilder};

use crate::dialect::SqliteDialect;
use crate::error::from_rusqlite;
use crate::statement::{bind, step_all};
use crate::types::encode;
use crate::worker::Worker;

/// A transaction of the caller is open: ours is a savepoint in it.
const SAVEPOINT: &str = "emr_insert_many";

impl Worker<'_> {
    /// Inserts all rows or none.
    pub(crate) fn insert_many(
        &mut self,
        rows: &BulkInsert,
        sink: Option<&mut (dyn RowSink + 'static)>,
    ) -> Result<Done> {
        let mut discard = Discard;
        let sink: &mut dyn RowSink = match sink {
            Some(sink) => sink,
            None => &mut discard,
        };
        if rows.is_empty() {
            return Ok(Done::default());
        }
        let outermost = self.db.is_autocommit();
        if outermost {
            self.execute("BEGIN IMMEDIATE")?;
        } else {
            self.execute(&format!("SAVEPOINT {SAVEPOINT}"))?;
        }
        let keep = if outermost { "COMMIT".to_owned() } else { format!("RELEASE {SAVEPOINT}") };
        let result = self.insert_each(rows, sink).and_then(|done| self.execute(&keep).map(|()| done));
        // Some errors end the whole transaction by themselves.
        if result.is_err() && !self.db.is_autocommit() {
            if outermost {
                self.execute("ROLLBACK")?;
            } else {
                self.execute(&format!("ROLLBACK TO {SAVEPOINT}"))?;
                self.execute(&format!("RELEASE {SAVEPOINT}"))?;
            }
        }
        result
    }

    fn insert_each(&self, rows: &BulkInsert, sink: &mut dyn RowSink) -> Result<Done> {
        let (sql, made) = SqlBuilder::build(&SqliteDialect, self.capabilities, |out| {
            let cell = |_, column| render::Cell::Value(rows.cell(0, column));
            render::insert_values(out, rows.insert(), 0..1, &cell);
        })?;
        let mut statement = self.db.prepare_cached(sql.text()).map_err(|error| from_rusqlite(self.db, error))?;
        let mut describe = sink.wants_columns();
        let mut done = Done::default();
        let mut params = Vec::with_capacity(made.len());
        for row in 0..rows.len() {
            params.clear();
            for (n, &column) in rows.columns.iter().enumerate() {
                params.push(encode(&sql, n, rows.cell(row, column))?);
            }
            // Behind the cells of a row stands what an upsert says; it is the same for all.
            for (n, value) in made.iter().enumerate().skip(rows.columns.len()) {
                params.push(encode(&sql, n, value.borrowed())?);
            }
            bind(self.db, &mut statement, &params)?;
            step_all(self.db, &mut statement, sink, std::mem::take(&mut describe))?;
            done.rows += self.db.changes();
        }
        done.last_insert_id = (done.rows > 0).then(|| self.db.last_insert_rowid());
        Ok(done)
    }
}
