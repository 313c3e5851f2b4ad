//! How a reader learns that the file was written to: connections of this process tell it, other processes' commits it looks for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use emr_core::Result;
use emr_core::watch::Wake;
use rusqlite::Connection;
use tokio::sync::Notify;

use super::session::Session;
use crate::database::{FileId, identity};
use crate::error::from_rusqlite;
use crate::settings::Location;

/// The pause between two looks for commits of other processes: it grows with the time in which there was none.
const PAUSES: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(50)];

/// A look after each twentieth of the silence so far.
const PART_OF_SILENCE: u32 = 20;

/// The readers of this process, by the file that they read.
static FILES: LazyLock<Mutex<HashMap<PathBuf, Weak<Readers>>>> = LazyLock::new(Mutex::default);

/// The readers of one file. Connections to it tell them of commits.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    count: AtomicUsize,
    all: Mutex<Vec<Arc<Notify>>>,
}

impl Readers {
    /// Those of a file, `None` for a database that no other connection can read.
    pub(crate) fn of(location: &Location) -> Option<Arc<Self>> {
        match location {
            Location::Memory => None,
            Location::File(path) => Some(Readers::of_file(path)),
        }
    }

    fn of_file(path: &Path) -> Arc<Self> {
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let path = identity(path);
        if let Some(readers) = files.get(&path).and_then(Weak::upgrade) {
            return readers;
        }
        files.retain(|_, readers| readers.strong_count() > 0);
        let readers = Arc::new(Readers::default());
        files.insert(path, Arc::downgrade(&readers));
        readers
    }

    /// Tells all readers that something was committed.
    pub(crate) fn tell(&self) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        for reader in self.lock().iter() {
            reader.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Notify>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader that waits.
pub(super) struct Waiter {
    readers: Arc<Readers>,
    told: Arc<Notify>,
    seen: Seen,
    /// When there last was something.
    since: Instant,
}

/// The version of the file's data that was read, as the engine counts commits of other connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<AtomicI64>);

impl Seen {
    /// Notes the version; whether it is another than before.
    pub(super) fn look(&self, db: &Connection) -> Result<bool> {
        let version = db
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(|error| from_rusqlite(db, error))?;
        Ok(self.0.swap(version, Ordering::Relaxed) != version)
    }
}

/// Lets a look for commits on the reader's thread go on, until it is dropped.
#[derive(Default)]
struct Rest {
    over: AtomicBool,
    mutex: Mutex<()>,
    end: Condvar,
}

impl Rest {
    /// Waits; `false` if the rest is over.
    fn pause(&self, pause: Duration) -> bool {
        let guard = self.mutex.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |(): &mut ()| !self.over.load(Ordering::Relaxed);
        drop(self.end.wait_timeout_while(guard, pause, waits));
        !self.over.load(Ordering::Relaxed)
    }
}

struct EndRest(Arc<Rest>);

impl Drop for EndRest {
    fn drop(&mut self) {
        let _guard = self.0.mutex.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.over.store(true, Ordering::Relaxed);
        self.0.end.notify_all();
    }
}

impl Waiter {
    pub(super) fn new(path: &Path) -> Self {
        let readers = Readers::of_file(path);
        let told = Arc::new(Notify::new());
        readers.lock().push(Arc::clone(&told));
        readers.count.fetch_add(1, Ordering::SeqCst);
        Waiter { readers, told, seen: Seen::default(), since: Instant::now() }
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.clone()
    }

    /// Ends when something was committed, or when the path leads to another file.
    ///
    /// Cancellation safety: dropped, it ends the look on the reader's thread; what was told meanwhile stays told.
    pub(super) async fn woken(&mut self, session: &Session, file: &FileId, wake: &Wake) {
        let pauses = match wake {
            Wake::Poll(every) => [*every; 2],
            _ => PAUSES,
        };
        let (seen, file, since) = (self.seen(), file.clone(), self.since);
        let rest = Arc::new(Rest::default());
        let _end = EndRest(Arc::clone(&rest));
        let looked = session.start(move |db| {
            loop {
                // An error shows with the next read.
                if file.check().is_err() || seen.look(db)? {
                    return Ok(true);
                }
                if !rest.pause((since.elapsed() / PART_OF_SILENCE).clamp(pauses[0], pauses[1])) {
                    return Ok(false);
                }
            }
        });
        tokio::select! {
            biased;
            () = self.told.notified() => {}
            _ = looked => {}
        }
        self.since = Instant::now();
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.readers.lock().retain(|told| !Arc::ptr_eq(told, &self.told));
        self.readers.count.fetch_sub(1, Ordering::SeqCst);
    }
}
