//! What a case did, on one line that the test runner keeps: `dev/acceptance` reads it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, Weak};

use emr::prelude::*;

use super::Backend;

/// What one case did on one backend. The counts are kept only where connections are watched (see
/// [`lie`](super::lie)).
#[derive(Debug, Default)]
pub(crate) struct Record {
    watched: AtomicBool,
    statements: AtomicU64,
    errors: AtomicU64,
    rows: AtomicU64,
    writes: AtomicU64,
    shown_elsewhere: Mutex<Option<String>>,
    refused: Mutex<BTreeSet<String>>,
    works_otherwise: AtomicBool,
    backend: OnceLock<Backend>,
}

thread_local! {
    /// The record of the case that this thread runs.
    static OF_THREAD: RefCell<Arc<Record>> = RefCell::default();
}

tokio::task_local! {
    /// The same within the task of the case.
    static OF_TASK: Arc<Record>;
}

/// Records by the number that the settings of their databases carry.
static BY_NUMBER: LazyLock<Mutex<Vec<Weak<Record>>>> = LazyLock::new(Mutex::default);

impl Record {
    /// Runs a case with a record of its own, and prints that.
    pub(super) fn keep<T>(case: impl FnOnce() -> T) -> T {
        let record = Arc::new(Record::default());
        OF_THREAD.set(Arc::clone(&record));
        let result = case();
        println!("emr-suite: {record}");
        result
    }

    /// The record of the case that runs on this thread.
    pub(super) fn of_thread() -> Arc<Record> {
        OF_THREAD.with_borrow(Arc::clone)
    }

    /// The task of a case.
    pub(super) fn in_task<F: Future>(self: Arc<Self>, case: F) -> impl Future<Output = F::Output> {
        OF_TASK.scope(self, case)
    }

    /// Notes where the case runs.
    pub(super) fn runs_on(&self, backend: Backend) {
        let _ = self.backend.set(backend);
    }

    /// A number by which connections find the record.
    pub(super) fn number(self: &Arc<Self>) -> usize {
        let mut records = BY_NUMBER.lock().expect("nobody panics with it");
        records.push(Arc::downgrade(self));
        records.len() - 1
    }

    /// The record with a number; a new one if its case is over.
    pub(super) fn numbered(number: usize) -> Arc<Record> {
        let records = BY_NUMBER.lock().expect("nobody panics with it");
        let record = records.get(number).and_then(Weak::upgrade).unwrap_or_default();
        record.watched.store(true, Ordering::Relaxed);
        record
    }

    pub(super) fn saw_statement(&self, writes: bool) {
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(u64::from(writes), Ordering::Relaxed);
    }

    pub(super) fn saw_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn saw_row(&self) {
        self.rows.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = self.refused.lock().expect("nobody panics with it");
        let elsewhere = self.shown_elsewhere.lock().expect("nobody panics with it");
        let outcome = match (&*elsewhere, refused.is_empty() || self.works_otherwise.load(Ordering::Relaxed)) {
            (Some(_), _) => "elsewhere",
            (None, true) => "covered",
            (None, false) => "refused",
        };
        write!(f, "outcome={outcome}")?;
        if self.watched.load(Ordering::Relaxed) {
            for (name, count) in [
                ("statements", &self.statements),
                ("errors", &self.errors),
                ("rows", &self.rows),
                ("writes", &self.writes),
            ] {
                write!(f, " {name}={}", count.load(Ordering::Relaxed))?;
            }
        }
        // Last, because they hold spaces.
        if let Some(reason) = &*elsewhere {
            write!(f, " because={reason}")?;
        } else if !refused.is_empty() {
            let features: Vec<_> = refused.iter().map(String::as_str).collect();
            write!(f, " features={}", features.join(";"))?;
        }
        Ok(())
    }
}

/// The backend refused what the case asked for, before anything was sent. Whatever else the case does, the acceptance
/// rows in its name count as refused on this backend: use [`assert_unsupported_in_part`] where the case goes on to show
/// that the rest works.
#[track_caller]
pub(crate) fn assert_unsupported(error: &Error) {
    let ErrorKind::Unsupported { feature, backend } = error.kind() else { panic!("{error:?}") };
    assert!(!feature.is_empty() && !backend.is_empty(), "{error:?}");
    OF_TASK.with(|record| record.refused.lock().expect("nobody panics with it").insert(feature.clone()));
}

/// As [`assert_unsupported`], of a part of what the case is about: the rest holds on this backend, and the case shows
/// it.
#[track_caller]
pub(crate) fn assert_unsupported_in_part(error: &Error) {
    assert_unsupported(error);
    OF_TASK.with(|record| record.works_otherwise.store(true, Ordering::Relaxed));
}

/// Raw SQL as the backend of the case writes it: see [`Backend::sql`].
pub(crate) fn sql(text: &str) -> String {
    OF_TASK.with(|record| record.backend.get().map_or_else(|| text.to_owned(), |backend| backend.sql(text)))
}

/// Where the case runs.
pub(crate) fn backend() -> Backend {
    OF_TASK.with(|record| *record.backend.get().expect("a case runs somewhere"))
}

/// What the case is about does not exist on this backend; it returns without having shown anything. No acceptance row
/// counts as covered.
pub(crate) fn not_here(reason: &str) {
    OF_TASK.with(|record| *record.shown_elsewhere.lock().expect("nobody panics with it") = Some(reason.to_owned()));
}
