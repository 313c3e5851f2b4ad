//! The one timer of all repos of a runtime: stops repos that nobody uses, and closes connections that
//! nobody uses.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::handle::RepoInner;

/// The sweeper of each runtime: a task lives and dies with its runtime.
static SWEEPERS: LazyLock<Mutex<HashMap<Id, Sweeper>>> = LazyLock::new(Mutex::default);

struct Sweeper {
    queue: Arc<Queue>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Queue {
    due: Mutex<BinaryHeap<Reverse<Due>>>,
    earlier: Notify,
}

/// Something to look at, at a time.
struct Due {
    at: Instant,
    repo: Weak<RepoInner>,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    /// Stop the repo if it was idle for this long.
    Repo(Duration),
    /// Close its connections that were idle for this long.
    Connections(Duration),
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

/// Stops the repo once nobody has used it for `limit`.
pub(crate) fn watch_repo(repo: &Arc<RepoInner>, limit: Duration) {
    let at = repo.lifecycle.idle_at(limit);
    add(Due { at, repo: Arc::downgrade(repo), what: What::Repo(limit) });
}

/// Closes the repo's connections that nobody has used for `limit`.
pub(crate) fn watch_connections(repo: &Arc<RepoInner>, limit: Duration) {
    let at = Instant::now() + limit;
    add(Due { at, repo: Arc::downgrade(repo), what: What::Connections(limit) });
}

fn add(due: Due) {
    // Without a runtime nothing can run, and nothing can be idle.
    let Ok(runtime) = Handle::try_current() else { return };
    let mut sweepers = SWEEPERS.lock().unwrap_or_else(PoisonError::into_inner);
    sweepers.retain(|_, sweeper| !sweeper.task.is_finished());
    let sweeper = sweepers.entry(runtime.id()).or_insert_with(|| {
        let queue = Arc::new(Queue::default());
        let task = runtime.spawn(sweep(Arc::clone(&queue)));
        Sweeper { queue, task }
    });
    sweeper.queue.push(due);
}

impl Queue {
    fn push(&self, due: Due) {
        let mut heap = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let first = heap.peek().is_none_or(|Reverse(first)| due.at < first.at);
        heap.push(Reverse(due));
        drop(heap);
        if first {
            self.earlier.notify_one();
        }
    }

    fn next_at(&self) -> Option<Instant> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).peek().map(|Reverse(due)| due.at)
    }

    fn pop_due(&self, now: Instant) -> Option<Due> {
        let mut heap = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if heap.peek().is_some_and(|Reverse(due)| due.at <= now) { heap.pop().map(|Reverse(due)| due) } else { None }
    }
}

async fn sweep(queue: Arc<Queue>) {
    loop {
        let Some(at) = queue.next_at() else {
            queue.earlier.notified().await;
            continue;
        };
        tokio::select! {
            () = sleep_until(at) => {}
            () = queue.earlier.notified() => continue,
        }
        let now = Instant::now();
        while let Some(due) = queue.pop_due(now) {
            if let Some(again) = due.handle(now) {
                queue.push(again);
            }
        }
    }
}

impl Due {
    /// Looks at the repo, and says when to look again.
    fn handle(self, now: Instant) -> Option<Due> {
        let repo = self.repo.upgrade()?;
        if repo.lifecycle.is_stopped() {
            return None;
        }
        match self.what {
            What::Repo(limit) => {
                if repo.lifecycle.stop_if_idle(limit) {
                    tracing::debug!(repo = %repo.id(), "stopped an idle repo");
                    repo.close();
                    return None;
                }
                let at = repo.lifecycle.idle_at(limit).max(now + Duration::from_millis(1));
                Some(Due { at, ..self })
            }
            What::Connections(limit) => {
                repo.pools()?.close_idle(Some(limit));
                Some(Due { at: now + (limit / 2).max(Duration::from_millis(1)), ..self })
            }
        }
    }
}
