//! The connection of a watcher, and calls on its thread that end in time.

use std::sync::Arc;
use std::time::Duration;

use emr_core::{ConnectFailure, Error, ErrorKind, Result, Role};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::dialect;
use crate::error::from_rusqlite;
use crate::settings::Settings;
use crate::worker::{self, Handle, Shared};

/// A connection beside the pool, and its thread.
pub(super) struct Session {
    thread: Handle,
}

/// Ends the call that it stands for, unless that one has ended.
struct CancelOnDrop<'a>(Option<&'a Shared>);

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.cancel();
        }
    }
}

impl Session {
    /// Opens the file.
    pub(super) async fn open(settings: Settings) -> Result<Self> {
        let settings = Arc::new(settings);
        let (thread, opened) = worker::spawn(&settings, Role::Write, &Arc::new(dialect::capabilities()))?;
        match opened.await {
            Ok(result) => result?,
            Err(_) => return Err(settings.refused(ConnectFailure::Other, "its thread ended while it was opened")),
        }
        Ok(Session { thread })
    }

    /// Runs a job on the thread. What it waits for longer than the limit, it does not get: it is then interrupted, and what it
    /// wrote is undone.
    ///
    /// Cancellation safety: dropped while it waits, it interrupts the job, and the session is of no use any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut answer = self.start(job);
        let mut guard = CancelOnDrop(Some(&self.thread.shared));
        let result = tokio::select! {
            biased;
            result = &mut answer => Some(result),
            () = tokio::time::sleep(limit) => None,
        };
        let result = if let Some(result) = result {
            result
        } else {
            self.thread.shared.cancel();
            let result = answer.await;
            #[allow(clippy::redundant_closure_for_method_calls)] // has but one lifetime of workers
            let _ = self.send(|worker| worker.recover()).await;
            match result {
                // It was done at the last moment.
                Ok(Err(_)) => Ok(Err(Error::new(ErrorKind::LockNotAvailable {
                    message: format!("the file was in use by others for {} ms", limit.as_millis()),
                }))),
                done => done,
            }
        };
        guard.0 = None;
        drop(guard);
        result.unwrap_or_else(|_| Err(ended()))
    }

    /// Hands a job to the thread. Without a look at what the engine's counters say, so that nobody is woken by it.
    pub(super) fn start<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        self.send(move |worker| worker.run(|worker| job(worker.db)))
    }

    fn send<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut worker::Worker<'_>) -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        let (reply, answer) = oneshot::channel();
        // Without a thread the way back is dropped with the job, which is the answer.
        self.thread.send(Box::new(move |worker| drop(reply.send(job(worker)))));
        answer
    }
}

/// The error for a thread that is gone.
pub(super) fn ended() -> Error {
    Error::connection_lost("the thread of the watcher's SQLite connection has ended")
}

/// Runs `work` in a transaction that takes the write lock at once.
pub(super) fn writing<T>(db: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    transaction(db, "BEGIN IMMEDIATE", work)
}

/// Runs `work` on one state of the file.
pub(super) fn reading<T>(db: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    transaction(db, "BEGIN DEFERRED", work)
}

fn transaction<T>(db: &Connection, begin: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    execute(db, begin)?;
    let result = work().and_then(|value| execute(db, "COMMIT").map(|()| value));
    // Some errors end the transaction by themselves. One that cannot be undone ends with the connection.
    if result.is_err() && !db.is_autocommit() {
        let _ = execute(db, "ROLLBACK");
    }
    result
}

/// Runs a statement that returns nothing.
pub(super) fn execute(db: &Connection, sql: &str) -> Result<()> {
    db.execute_batch(sql).map_err(|error| from_rusqlite(db, error))
}
