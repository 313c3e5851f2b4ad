//! Whether a repo runs, who uses it, and when it was used last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::error::{Error, ErrorKind, Result, StopReason};

/// Counts the users of a repo and remembers the end of the last use.
pub(crate) struct Lifecycle {
    id: Arc<str>,
    /// The number of running uses; [`STOPPED`] is set when new ones are refused.
    uses: AtomicU64,
    /// Milliseconds from `born` to the end of the last use.
    last_end: AtomicU64,
    born: Instant,
    reason: Mutex<Option<StopReason>>,
    drained: Notify,
    /// Wakes what runs without end when the repo is stopped.
    stopping: Notify,
    /// Wakes running calls of a stopped repo whose time to drain is over.
    cut: Notify,
}

const STOPPED: u64 = 1 << 63;
const CUT: u64 = 1 << 62;
const COUNT: u64 = CUT - 1;

impl Lifecycle {
    pub(crate) fn new(id: Arc<str>) -> Self {
        Lifecycle {
            id,
            uses: AtomicU64::new(0),
            last_end: AtomicU64::new(0),
            born: Instant::now(),
            reason: Mutex::new(None),
            drained: Notify::new(),
            stopping: Notify::new(),
            cut: Notify::new(),
        }
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.uses.load(Ordering::Acquire) & STOPPED != 0
    }

    /// Whether running uses are to end now.
    pub(crate) fn is_cut(&self) -> bool {
        self.uses.load(Ordering::Acquire) & CUT != 0
    }

    pub(crate) fn running(&self) -> u64 {
        self.uses.load(Ordering::Acquire) & COUNT
    }

    pub(crate) fn stopped_error(&self) -> Error {
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(StopReason::Requested);
        Error::new(ErrorKind::Stopped { id: self.id.to_string(), reason })
    }

    /// Begins a use.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Activity> {
        if self.uses.fetch_add(1, Ordering::AcqRel) & STOPPED != 0 {
            self.leave();
            return Err(self.stopped_error());
        }
        Ok(Activity(Arc::clone(self)))
    }

    /// The clock starts anew.
    pub(crate) fn touch(&self) {
        let millis = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_end.store(millis, Ordering::Release);
    }

    fn leave(&self) {
        self.touch();
        let before = self.uses.fetch_sub(1, Ordering::AcqRel);
        if before & STOPPED != 0 && before & COUNT == 1 {
            self.drained.notify_waiters();
        }
    }

    /// When the repo will have been idle for `limit`, if nobody uses it until then.
    pub(crate) fn idle_at(&self, limit: Duration) -> Instant {
        let last_end = if self.running() > 0 {
            Instant::now()
        } else {
            self.born + Duration::from_millis(self.last_end.load(Ordering::Acquire))
        };
        last_end.checked_add(limit).unwrap_or_else(|| Instant::now() + Duration::from_hours(24 * 365))
    }

    /// Stops the repo if nobody uses it and its last use ended `limit` ago.
    pub(crate) fn stop_if_idle(&self, limit: Duration) -> bool {
        if self.running() > 0 || Instant::now() < self.idle_at(limit) {
            return false;
        }
        let mut reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        let stopped = self.uses.compare_exchange(0, STOPPED, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if stopped {
            *reason = Some(StopReason::Idle);
        }
        stopped
    }

    /// Refuses new uses. False if it was stopped before.
    pub(crate) fn stop(&self) -> bool {
        let mut reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        let first = self.uses.fetch_or(STOPPED, Ordering::AcqRel) & STOPPED == 0;
        if first {
            *reason = Some(StopReason::Requested);
            self.stopping.notify_waiters();
        }
        first
    }

    /// Waits until nobody uses the stopped repo, at most this long; then cuts off who still does.
    /// Returns how many were cut off.
    pub(crate) async fn drain(&self, limit: Duration) -> u64 {
        let waiting = async {
            loop {
                let drained = self.drained.notified();
                tokio::pin!(drained);
                drained.as_mut().enable();
                if self.running() == 0 {
                    return;
                }
                drained.await;
            }
        };
        if timeout(limit, waiting).await.is_ok() {
            return 0;
        }
        self.uses.fetch_or(CUT, Ordering::AcqRel);
        self.cut.notify_waiters();
        self.running()
    }

    /// Ends when the repo is stopped: for uses that would else never end.
    pub(crate) async fn stopping(&self) {
        let stopping = self.stopping.notified();
        tokio::pin!(stopping);
        stopping.as_mut().enable();
        if !self.is_stopped() {
            stopping.await;
        }
    }

    /// Ends when running uses are cut off.
    pub(crate) async fn cut(&self) {
        let cut = self.cut.notified();
        tokio::pin!(cut);
        cut.as_mut().enable();
        if !self.is_cut() {
            cut.await;
        }
    }
}

/// A running use of a repo: a call, a transaction, a stream, a checkout.
pub(crate) struct Activity(Arc<Lifecycle>);

impl Drop for Activity {
    fn drop(&mut self) {
        self.0.leave();
    }
}
