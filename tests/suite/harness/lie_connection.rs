//! A connection of which one thing is not true.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use emr::{
    AdvisoryLock, Begin, BulkInsert, Capabilities, Connection, Control, CursorId, Dialect, Done, Effect, Result,
    RowSink, Sql, Step, Value,
};

use super::super::record::Record;
use super::Lie;
use super::kept::KeptRows;
use super::locks::without_locks;
use super::rows::LyingSink;

/// The savepoint to which a write is undone; no transaction is nested that deep.
const BEFORE_WRITE: u32 = 9_000;

pub(super) struct LyingConnection {
    real: Box<dyn Connection>,
    lie: Lie,
    record: Arc<Record>,
    /// Transactions are only pretended: every statement stands for itself.
    no_transactions: bool,
    pretends_transaction: bool,
}

/// How a write is undone.
enum Undo {
    Rollback,
    RollbackTo,
}

type Rows = (Box<dyn RowSink>, Done);

impl LyingConnection {
    pub(super) fn new(real: Box<dyn Connection>, lie: Lie, record: Arc<Record>, no_transactions: bool) -> Self {
        LyingConnection { real, lie, record, no_transactions, pretends_transaction: false }
    }

    /// The controls that are carried out.
    fn carried_out<'c>(&mut self, controls: &'c [Control]) -> Cow<'c, [Control]> {
        if !self.no_transactions {
            return Cow::Borrowed(controls);
        }
        let mut carried_out = Vec::new();
        for control in controls {
            match control {
                Control::Begin(Begin { read_only: false, .. }) => self.pretends_transaction = true,
                Control::Commit | Control::Rollback if self.pretends_transaction => self.pretends_transaction = false,
                _ if self.pretends_transaction => {}
                control => carried_out.push(control.clone()),
            }
        }
        Cow::Owned(carried_out)
    }

    /// The statement that is sent.
    fn sent(&self, sql: &Sql) -> Sql {
        if self.lie != Lie::Lock {
            return sql.clone();
        }
        match without_locks(sql.text()) {
            Cow::Borrowed(_) => sql.clone(),
            Cow::Owned(text) => Sql::raw(text),
        }
    }

    fn swallows(&self, writes: bool) -> bool {
        self.lie == Lie::Swallow && writes
    }

    /// Carries the controls out, and goes on to where a write can be undone.
    async fn before_write(&mut self, controls: &[Control]) -> Result<Undo> {
        self.real.control(controls).await?;
        if self.real.in_transaction() {
            self.real.control(&[Control::Savepoint(BEFORE_WRITE)]).await?;
            Ok(Undo::RollbackTo)
        } else {
            self.real.control(&[Control::Begin(Begin::default())]).await?;
            Ok(Undo::Rollback)
        }
    }

    /// Undoes a write. One that failed did nothing anyway, and in a transaction what it broke stays broken.
    async fn after_write(&mut self, undo: Undo, succeeded: bool) -> Result<()> {
        match undo {
            Undo::Rollback => self.real.control(&[Control::Rollback]).await,
            Undo::RollbackTo if succeeded => self.real.control(&[Control::RollbackTo(BEFORE_WRITE)]).await,
            Undo::RollbackTo => Ok(()),
        }
    }

    fn sink(&self, real: Box<dyn RowSink>) -> Box<dyn RowSink> {
        Box::new(LyingSink::new(real, self.lie, Arc::clone(&self.record)))
    }

    /// Gives back the caller's own sink, and counts of rows that fit what it was given.
    fn finish(&self, result: Result<Rows>, writes: bool) -> Result<Rows> {
        match result {
            Ok((sink, mut done)) => {
                let (sink, dropped) = unwrap(sink);
                if !writes {
                    done.rows = done.rows.saturating_sub(dropped);
                }
                Ok((sink, done))
            }
            Err(error) => {
                self.record.saw_error();
                Err(error)
            }
        }
    }
}

fn unwrap(sink: Box<dyn RowSink>) -> (Box<dyn RowSink>, u64) {
    let sink: Box<dyn Any> = sink;
    let sink = sink.downcast::<LyingSink>().expect("the adapter gives back the sink that it got");
    (sink.real, sink.dropped)
}

fn writes(sql: &Sql) -> bool {
    match sql.effect() {
        Effect::Write { .. } => true,
        Effect::Read => false,
        Effect::Unknown => {
            let text = sql.text().trim_start().to_ascii_lowercase();
            let verbs = ["insert", "update", "delete", "replace", "merge"];
            verbs.iter().any(|verb| text.starts_with(verb))
                || (text.starts_with("with") && verbs.iter().any(|verb| text.contains(&format!("{verb} "))))
        }
    }
}

#[async_trait]
impl Connection for LyingConnection {
    fn capabilities(&self) -> &Arc<Capabilities> {
        self.real.capabilities()
    }

    fn dialect(&self) -> &'static dyn Dialect {
        self.real.dialect()
    }

    async fn query(
        &mut self,
        controls: &[Control],
        sql: &Sql,
        params: &[Value<'_>],
        sink: Box<dyn RowSink>,
    ) -> Result<Rows> {
        let writes = writes(sql);
        self.record.saw_statement(writes);
        let (controls, sql, sink) = (self.carried_out(controls), self.sent(sql), self.sink(sink));
        let result = if self.swallows(writes) {
            let undo = self.before_write(&controls).await?;
            let result = self.real.query(&[], &sql, params, sink).await;
            self.after_write(undo, result.is_ok()).await?;
            result
        } else {
            self.real.query(&controls, &sql, params, sink).await
        };
        self.finish(result, writes)
    }

    async fn batch(&mut self, controls: &[Control], steps: Vec<Step<'_>>) -> Result<Vec<Result<Rows>>> {
        let controls = self.carried_out(controls);
        let written: Vec<bool> = steps.iter().map(|step| writes(&step.sql)).collect();
        if written.iter().any(|writes| self.swallows(*writes)) {
            self.real.control(&controls).await?;
            let mut results = Vec::new();
            for step in steps {
                let result = self.query(&[], &step.sql, &step.params, step.sink).await;
                let failed = result.is_err();
                results.push(result);
                if failed {
                    break;
                }
            }
            return Ok(results);
        }
        let mut sent = Vec::new();
        for (step, writes) in steps.into_iter().zip(&written) {
            self.record.saw_statement(*writes);
            sent.push(Step { sql: self.sent(&step.sql), params: step.params, sink: self.sink(step.sink) });
        }
        let results = self.real.batch(&controls, sent).await?;
        Ok(results.into_iter().zip(written).map(|(result, writes)| self.finish(result, writes)).collect())
    }

    async fn control(&mut self, controls: &[Control]) -> Result<()> {
        let controls = self.carried_out(controls);
        self.real.control(&controls).await
    }

    async fn script(&mut self, sql: &str) -> Result<()> {
        // Mostly the tables of a case: a lie about them would only break its beginning.
        self.record.saw_statement(false);
        self.real.script(sql).await
    }

    async fn query_many(
        &mut self,
        controls: &[Control],
        sql: &str,
        sink: fn() -> Box<dyn RowSink>,
    ) -> Result<Vec<Rows>> {
        self.record.saw_statement(false);
        let controls = self.carried_out(controls);
        // A sink that is made by a function knows no lie: the rows are kept, and told again.
        let kept = self.real.query_many(&controls, sql, KeptRows::sink).await;
        let kept = kept.inspect_err(|_| self.record.saw_error())?;
        let mut results = Vec::new();
        for (rows, done) in kept {
            let mut sink = self.sink(sink());
            KeptRows::of(rows).tell(&mut *sink)?;
            results.push(self.finish(Ok((sink, done)), false)?);
        }
        Ok(results)
    }

    async fn advisory_lock(&mut self, controls: &[Control], lock: &AdvisoryLock) -> Result<bool> {
        self.record.saw_statement(false);
        let controls = self.carried_out(controls);
        if self.lie == Lie::Lock {
            self.real.control(&controls).await?;
            return Ok(true);
        }
        self.real.advisory_lock(&controls, lock).await.inspect_err(|_| self.record.saw_error())
    }

    async fn insert_many(
        &mut self,
        controls: &[Control],
        rows: &BulkInsert,
        sink: Option<Box<dyn RowSink>>,
    ) -> Result<(Option<Box<dyn RowSink>>, Done)> {
        self.record.saw_statement(true);
        let (controls, sink) = (self.carried_out(controls), sink.map(|sink| self.sink(sink)));
        let result = if self.swallows(true) {
            let undo = self.before_write(&controls).await?;
            let result = self.real.insert_many(&[], rows, sink).await;
            self.after_write(undo, result.is_ok()).await?;
            result
        } else {
            self.real.insert_many(&controls, rows, sink).await
        };
        let (sink, done) = result.inspect_err(|_| self.record.saw_error())?;
        Ok((sink.map(|sink| unwrap(sink).0), done))
    }

    async fn open_cursor(&mut self, controls: &[Control], sql: &Sql, params: &[Value<'_>]) -> Result<CursorId> {
        self.record.saw_statement(false);
        let (controls, sql) = (self.carried_out(controls), self.sent(sql));
        self.real.open_cursor(&controls, &sql, params).await
    }

    async fn fetch(&mut self, cursor: CursorId, rows: usize, sink: Box<dyn RowSink>) -> Result<Rows> {
        let sink = self.sink(sink);
        let result = self.real.fetch(cursor, rows, sink).await;
        self.finish(result, false)
    }

    async fn close_cursor(&mut self, cursor: CursorId) -> Result<()> {
        self.real.close_cursor(cursor).await
    }

    fn is_clean(&self) -> bool {
        !self.pretends_transaction && self.real.is_clean()
    }

    fn is_closed(&self) -> bool {
        self.real.is_closed()
    }

    fn in_transaction(&self) -> bool {
        self.pretends_transaction || self.real.in_transaction()
    }

    async fn recover(&mut self) -> Result<()> {
        self.pretends_transaction = false;
        self.real.recover().await
    }
}
