//! The thread that owns one open database, and what it does there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::thread;

use emr_core::{Begin, Capabilities, ConnectFailure, Control, Error, IsolationLevel, Result, Role, savepoint_name};
use rusqlite::InterruptHandle;
use tokio::sync::oneshot;

use crate::cursor::Cursor;
use crate::database::OpenFile;
use crate::error::{from_rusqlite, interrupted};
use crate::marks::Marks;
use crate::open::open;
use crate::settings::Settings;
use crate::statement::refuse_nul;
use crate::watcher::wake::Readers;

/// One call, on its way to the thread. It carries its own way back.
pub(crate) type Job = Box<dyn FnOnce(&mut Worker<'_>) + Send>;

/// What the connection and its thread both see.
#[derive(Default)]
pub(crate) struct Shared {
    /// Set when a call was abandoned, until the connection is recovered. The interrupt alone would not do:
    /// the engine forgets one that comes before the statement starts.
    cancelled: AtomicBool,
    in_transaction: AtomicBool,
    /// Set while the connection does what can be left for later: it then waits for nobody.
    impatient: AtomicBool,
    interrupt: OnceLock<InterruptHandle>,
}

impl Shared {
    pub(crate) fn can_interrupt(&self, handle: InterruptHandle) {
        let _ = self.interrupt.set(handle);
    }

    /// Ends what runs, and keeps what waits from starting.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        if let Some(handle) = self.interrupt.get() {
            handle.interrupt();
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Whether a lock is worth waiting for.
    pub(crate) fn waits(&self) -> bool {
        !self.is_cancelled() && !self.impatient.load(Ordering::Acquire)
    }

    /// Runs `work` without waiting for other writers.
    pub(crate) fn impatiently<T>(&self, work: impl FnOnce() -> T) -> T {
        self.impatient.store(true, Ordering::Release);
        let result = work();
        self.impatient.store(false, Ordering::Release);
        result
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.in_transaction.load(Ordering::Acquire)
    }
}

/// The thread as its connection holds it. The thread ends when this is dropped, whatever it is doing.
pub(crate) struct Handle {
    jobs: Sender<Job>,
    pub(crate) shared: Arc<Shared>,
}

impl Handle {
    /// Hands a job to the thread; `false` if there is no thread any more.
    pub(crate) fn send(&self, job: Job) -> bool {
        self.jobs.send(job).is_ok()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.cancel();
    }
}

/// Starts a thread, which opens the database and says how that went.
pub(crate) fn spawn(
    settings: &Arc<Settings>,
    role: Role,
    capabilities: &Arc<Capabilities>,
) -> Result<(Handle, oneshot::Receiver<Result<()>>)> {
    let (jobs, inbox) = mpsc::channel();
    let (ready, opened) = oneshot::channel();
    let shared = Arc::new(Shared::default());
    let handle = Handle { jobs, shared: Arc::clone(&shared) };
    let context = (Arc::clone(settings), Arc::clone(capabilities));
    thread::Builder::new()
        .name("emr-sqlite".into())
        .spawn(move || run(&context.0, &context.1, role, &shared, &inbox, ready))
        .map_err(|error| settings.refused(ConnectFailure::Unavailable, format!("no thread can be started: {error}")))?;
    Ok((handle, opened))
}

fn run(
    settings: &Settings,
    capabilities: &Capabilities,
    role: Role,
    shared: &Arc<Shared>,
    inbox: &Receiver<Job>,
    ready: oneshot::Sender<Result<()>>,
) {
    // Dropped after the database: who waits for the file waits until it is closed.
    let _open = OpenFile::new(&settings.location);
    let db = match open(settings, role, shared) {
        Ok(db) => db,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    if ready.send(Ok(())).is_err() {
        return;
    }
    let mut worker = Worker {
        db: &db,
        shared,
        capabilities,
        cursors: HashMap::new(),
        last_cursor: 0,
        readers: Readers::of(&settings.location),
        marks: Marks::default(),
        changes: 0,
        only_reads: role == Role::Read || settings.read_only,
        writes_refused: role == Role::Read,
    };
    while let Ok(job) = inbox.recv() {
        job(&mut worker);
    }
}

/// The database on its thread.
pub(crate) struct Worker<'c> {
    pub(crate) db: &'c rusqlite::Connection,
    pub(crate) shared: &'c Shared,
    pub(crate) capabilities: &'c Capabilities,
    pub(crate) cursors: HashMap<u64, Cursor<'c>>,
    pub(crate) last_cursor: u64,
    /// Who is told of commits.
    readers: Option<Arc<Readers>>,
    marks: Marks,
    /// The rows that were changed on the connection, as it counted them last.
    changes: u64,
    /// Whether this connection never writes.
    only_reads: bool,
    /// Whether `query_only` is on.
    writes_refused: bool,
}

impl Worker<'_> {
    /// Runs one call, unless it was abandoned before it came here.
    pub(crate) fn run<T>(&mut self, job: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.shared.is_cancelled() {
            return Err(interrupted());
        }
        job(self)
    }

    /// What follows every job, before its answer leaves.
    pub(crate) fn settle(&mut self) {
        let in_transaction = !self.db.is_autocommit();
        if self.writes_refused && !self.only_reads && !in_transaction {
            // A pragma that only sets a flag cannot fail; if it did, the next job would try again.
            self.writes_refused = self.db.pragma_update(None, "query_only", false).is_err();
        }
        self.shared.in_transaction.store(in_transaction, Ordering::Release);
        let changes = self.db.total_changes();
        if changes != self.changes && !in_transaction {
            self.marks.count(changes - self.changes);
            self.changes = changes;
            if let Some(readers) = &self.readers {
                readers.tell();
            }
        }
    }

    /// What can be done when the answer has left.
    pub(crate) fn tidy(&mut self) {
        if self.readers.is_some() && self.marks.are_due() && self.db.is_autocommit() {
            self.shared.impatiently(|| self.marks.mark(self.db));
        }
    }

    /// Begins, ends, sets and undoes. What the engine cannot do is refused before anything runs.
    pub(crate) fn control(&mut self, controls: &[Control]) -> Result<()> {
        for control in controls {
            if let Control::Begin(Begin { isolation: Some(level), .. }) = control
                && *level != IsolationLevel::Serializable
            {
                let server = self.capabilities.server.clone();
                return Err(Error::unsupported(format!("isolation level {level}"), server));
            }
        }
        for control in controls {
            match control {
                Control::Begin(Begin { read_only: true, .. }) => {
                    self.execute("BEGIN DEFERRED")?;
                    self.db.pragma_update(None, "query_only", true).map_err(|error| from_rusqlite(self.db, error))?;
                    self.writes_refused = true;
                }
                // A reader's transaction can never become a writer's: it needs no lock.
                Control::Begin(_) if self.only_reads => self.execute("BEGIN DEFERRED")?,
                Control::Begin(begin) => {
                    self.execute("BEGIN IMMEDIATE")?;
                    self.marks.begin(self.db, begin.origin.as_ref());
                }
                Control::Commit => {
                    self.marks.commit(self.db);
                    self.execute("COMMIT")?;
                }
                Control::Rollback => self.execute("ROLLBACK")?,
                Control::Savepoint(level) => self.execute(&format!("SAVEPOINT {}", savepoint_name(*level)))?,
                Control::RollbackTo(level) => {
                    let name = savepoint_name(*level);
                    self.execute(&format!("ROLLBACK TO {name}"))?;
                    self.execute(&format!("RELEASE {name}"))?;
                }
                Control::Release(level) => self.execute(&format!("RELEASE {}", savepoint_name(*level)))?,
                Control::ReadOnly(on) => {
                    self.db.pragma_update(None, "query_only", on).map_err(|error| from_rusqlite(self.db, error))?;
                }
                other => {
                    let server = self.capabilities.server.clone();
                    return Err(Error::unsupported(format!("{other:?}"), server));
                }
            }
        }
        Ok(())
    }

    /// Runs a statement of ours that returns nothing.
    pub(crate) fn execute(&self, sql: &str) -> Result<()> {
        let result = self.db.prepare_cached(sql).and_then(|mut statement| statement.raw_execute());
        result.map(drop).map_err(|error| from_rusqlite(self.db, error))
    }

    /// Runs any number of statements.
    pub(crate) fn script(&mut self, sql: &str) -> Result<()> {
        refuse_nul(sql)?;
        self.db.execute_batch(sql).map_err(|error| from_rusqlite(self.db, error))
    }

    /// Brings the connection back after a call was abandoned. That call has ended when this runs.
    pub(crate) fn recover(&mut self) -> Result<()> {
        self.shared.cancelled.store(false, Ordering::Release);
        self.cursors.clear();
        if !self.db.is_autocommit() {
            self.execute("ROLLBACK")?;
        }
        Ok(())
    }
}
