//! One open connection: what happens on the caller's side.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use emr_core::{
    AdvisoryLock, BulkInsert, Capabilities, ConnectFailure, Connection, Control, CursorId, Dialect, Done, Error,
    Result, Role, RowSink, Sql, Step, Value,
};
use tokio::sync::oneshot;

use crate::advisory::{Database, Locks};
use crate::dialect::SqliteDialect;
use crate::settings::Settings;
use crate::statement;
use crate::types::{Parameter, encode};
use crate::worker::{self, Handle, Shared, Worker};

/// One open connection and its thread.
pub(crate) struct SqliteConnection {
    worker: Handle,
    capabilities: Arc<Capabilities>,
    /// True while a call runs, and ever after if its future was dropped, until the recovery.
    in_flight: bool,
    closed: bool,
    open_cursors: usize,
    /// Held until the transaction ends.
    locks: Locks,
}

/// Interrupts the call that it stands for, unless that one has ended.
struct InterruptOnDrop<'a>(Option<&'a Shared>);

impl Drop for InterruptOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.cancel();
        }
    }
}

/// What comes back from the thread: a panic of a sink belongs to the task that gave it.
type Answer<T> = Result<Result<T>, Box<dyn Any + Send>>;

const ABANDONED: &str = "an earlier call on this connection was abandoned: recover the connection first";

impl SqliteConnection {
    /// Opens a connection. If this future is dropped, so is the attempt.
    pub(crate) async fn open(
        settings: &Arc<Settings>,
        role: Role,
        capabilities: &Arc<Capabilities>,
        repo: u64,
    ) -> Result<Self> {
        let (worker, opened) = worker::spawn(settings, role, capabilities)?;
        match opened.await {
            Ok(result) => result?,
            Err(_) => return Err(settings.refused(ConnectFailure::Other, "its thread ended while it was opened")),
        }
        let capabilities = Arc::clone(capabilities);
        // Now there is a file, and all paths to it lead to one.
        let locks = Locks::of(Database::of(&settings.location, repo));
        Ok(SqliteConnection { worker, capabilities, in_flight: false, closed: false, open_cursors: 0, locks })
    }

    async fn call<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut Worker<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.in_flight {
            return Err(Error::invalid(ABANDONED));
        }
        self.hop(move |worker| worker.run(job)).await
    }

    /// One hop to the thread and back.
    ///
    /// Cancellation safety: dropped while it waits, it interrupts the job and leaves `in_flight` set.
    async fn hop<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut Worker<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel::<Answer<T>>();
        self.in_flight = true;
        let sent = self.worker.send(Box::new(move |worker| {
            let result = catch_unwind(AssertUnwindSafe(|| job(worker)));
            worker.settle();
            // Nobody waits any more if the call was abandoned; the result goes with it.
            let _ = reply.send(result);
            worker.tidy();
        }));
        let mut guard = InterruptOnDrop(Some(&self.worker.shared));
        let answer = if sent { answer.await.ok() } else { None };
        guard.0 = None;
        drop(guard);
        self.in_flight = false;
        if !self.locks.is_empty() && !self.in_transaction() {
            self.locks.release();
        }
        match answer {
            Some(Ok(result)) => result,
            Some(Err(panic)) => resume_unwind(panic),
            None => {
                self.closed = true;
                Err(Error::connection_lost("the thread of the SQLite connection has ended"))
            }
        }
    }
}

/// Turns parameters into what the engine stores: owned, for the hop.
fn owned(sql: &Sql, params: &[Value<'_>]) -> Result<Vec<Parameter<'static>>> {
    params.iter().enumerate().map(|(n, value)| encode(sql, n, value.borrowed().into_owned())).collect()
}

#[async_trait]
impl Connection for SqliteConnection {
    fn capabilities(&self) -> &Arc<Capabilities> {
        &self.capabilities
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &SqliteDialect
    }

    async fn query(
        &mut self,
        controls: &[Control],
        sql: &Sql,
        params: &[Value<'_>],
        mut sink: Box<dyn RowSink>,
    ) -> Result<(Box<dyn RowSink>, Done)> {
        let params = owned(sql, params);
        if controls.is_empty() && params.is_err() {
            // Nothing to do on the thread.
            params.as_ref().map(drop).map_err(Error::share)?;
        }
        let (controls, sql) = (controls.to_vec(), sql.clone());
        self.call(move |worker| {
            worker.control(&controls)?;
            let done = statement::query(worker.db, &sql, &params?, sink.as_mut())?;
            Ok((sink, done))
        })
        .await
    }

    async fn batch(
        &mut self,
        controls: &[Control],
        steps: Vec<Step<'_>>,
    ) -> Result<Vec<Result<(Box<dyn RowSink>, Done)>>> {
        let controls = controls.to_vec();
        let steps: Vec<_> =
            steps.into_iter().map(|Step { sql, params, sink }| (owned(&sql, &params), sql, sink)).collect();
        self.call(move |worker| {
            worker.control(&controls)?;
            let mut results = Vec::with_capacity(steps.len());
            for (params, sql, mut sink) in steps {
                let result = params.and_then(|params| statement::query(worker.db, &sql, &params, sink.as_mut()));
                let failed = result.is_err();
                results.push(result.map(|done| (sink, done)));
                if failed {
                    break;
                }
            }
            Ok(results)
        })
        .await
    }

    async fn control(&mut self, controls: &[Control]) -> Result<()> {
        if controls.is_empty() {
            return Ok(());
        }
        let controls = controls.to_vec();
        self.call(move |worker| worker.control(&controls)).await
    }

    async fn script(&mut self, sql: &str) -> Result<()> {
        let sql = sql.to_owned();
        self.call(move |worker| worker.script(&sql)).await
    }

    async fn query_many(
        &mut self,
        controls: &[Control],
        sql: &str,
        sink: fn() -> Box<dyn RowSink>,
    ) -> Result<Vec<(Box<dyn RowSink>, Done)>> {
        let (controls, sql) = (controls.to_vec(), sql.to_owned());
        self.call(move |worker| {
            worker.control(&controls)?;
            statement::query_many(worker.db, &sql, sink)
        })
        .await
    }

    async fn advisory_lock(&mut self, controls: &[Control], lock: &AdvisoryLock) -> Result<bool> {
        if self.in_flight {
            return Err(Error::invalid(ABANDONED));
        }
        // BEGIN waits for other writers: who does not want to wait for the lock shall not wait for them.
        if !lock.wait && !self.locks.is_free(lock) && !self.in_transaction() {
            return Ok(false);
        }
        // Who waits for a lock has what it needs to write already: nobody waits for a writer and holds a lock.
        self.control(controls).await?;
        self.locks.take(lock).await
    }

    async fn insert_many(
        &mut self,
        controls: &[Control],
        rows: &BulkInsert,
        mut sink: Option<Box<dyn RowSink>>,
    ) -> Result<(Option<Box<dyn RowSink>>, Done)> {
        let (controls, rows) = (controls.to_vec(), rows.clone());
        self.call(move |worker| {
            worker.control(&controls)?;
            let done = worker.insert_many(&rows, sink.as_deref_mut())?;
            Ok((sink, done))
        })
        .await
    }

    async fn open_cursor(&mut self, controls: &[Control], sql: &Sql, params: &[Value<'_>]) -> Result<CursorId> {
        let (controls, sql, params) = (controls.to_vec(), sql.clone(), owned(sql, params));
        let id = self
            .call(move |worker| {
                worker.control(&controls)?;
                worker.open_cursor(&sql, &params?)
            })
            .await?;
        self.open_cursors += 1;
        Ok(CursorId(id))
    }

    async fn fetch(
        &mut self,
        cursor: CursorId,
        rows: usize,
        mut sink: Box<dyn RowSink>,
    ) -> Result<(Box<dyn RowSink>, Done)> {
        self.call(move |worker| {
            let done = worker.fetch(cursor.0, rows, sink.as_mut())?;
            Ok((sink, done))
        })
        .await
    }

    async fn close_cursor(&mut self, cursor: CursorId) -> Result<()> {
        let open = self.call(move |worker| Ok(worker.close_cursor(cursor.0))).await?;
        self.open_cursors = open;
        Ok(())
    }

    fn is_clean(&self) -> bool {
        !self.closed && !self.in_flight && self.open_cursors == 0 && self.locks.is_empty() && !self.in_transaction()
    }

    fn is_closed(&self) -> bool {
        self.closed
    }

    fn in_transaction(&self) -> bool {
        self.worker.shared.in_transaction()
    }

    async fn recover(&mut self) -> Result<()> {
        // Jobs run one after the other: when this one runs, the abandoned one has ended. A recovery that is
        // itself dropped leaves `in_flight` set, and can be tried again.
        #[allow(clippy::redundant_closure_for_method_calls)] // the method by name has but one lifetime of workers
        self.hop(|worker| worker.recover()).await?;
        self.open_cursors = 0;
        Ok(())
    }
}
