//! Where the changes for one subscriber wait.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use emr_core::Error;
use tokio::sync::Notify;

use crate::commit::{Commit, Picks};
use crate::conflate::Pending;

/// A mailbox: bounded, or as large as the rows that change.
pub(crate) struct Mailbox {
    /// Its place in the routing tables.
    pub(crate) number: u32,
    /// Changes of this origin are left out.
    pub(crate) skipped: Option<Arc<str>>,
    waiting: Mutex<Waiting>,
    arrived: Notify,
    /// More may be in view than the routing tables know exactly.
    pub(crate) is_open: AtomicBool,
}

struct Waiting {
    held: Held,
    /// Why values must be loaded anew.
    resync: Option<Arc<str>>,
    end: Option<Error>,
    is_over: bool,
    /// The last commit that was put in.
    version: u64,
}

enum Held {
    /// Every commit; the bound.
    Events(VecDeque<Arc<Commit>>, usize),
    /// The last state, and the last commit.
    State(Pending, Option<Arc<Commit>>),
}

/// What comes out of a mailbox.
pub(crate) enum Next {
    Commit(Arc<Commit>),
    Resync { reason: Arc<str>, version: u64 },
    End(Option<Error>),
}

impl Mailbox {
    /// A mailbox for so many commits; without a number, for the last state.
    pub(crate) fn new(number: u32, bound: Option<usize>, skipped: Option<Arc<str>>) -> Self {
        let held = match bound {
            Some(bound) => Held::Events(VecDeque::new(), bound),
            None => Held::State(Pending::default(), None),
        };
        Mailbox {
            number,
            skipped,
            waiting: Mutex::new(Waiting { held, resync: None, end: None, is_over: false, version: 0 }),
            arrived: Notify::new(),
            is_open: AtomicBool::new(false),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, commit: &Arc<Commit>) {
        let mut waiting = self.waiting();
        waiting.version = commit.version;
        if waiting.resync.is_some() || waiting.is_over {
            // The value is loaded anew, later than this.
            return;
        }
        match &mut waiting.held {
            Held::Events(queue, bound) if queue.len() >= *bound => {
                *queue = VecDeque::new();
                waiting.resync = Some(Arc::from("the mailbox was full"));
            }
            Held::Events(queue, _) => queue.push_back(Arc::clone(commit)),
            Held::State(pending, last) => {
                commit.events().for_each(|event| pending.add(event));
                *last = Some(Arc::clone(commit));
            }
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// What waits is of no use any more.
    pub(crate) fn resync(&self, reason: &Arc<str>, version: u64) {
        let mut waiting = self.waiting();
        waiting.version = version;
        match &mut waiting.held {
            Held::Events(queue, _) => queue.clear(),
            Held::State(pending, last) => (*pending, *last) = (Pending::default(), None),
        }
        waiting.resync = Some(Arc::clone(reason));
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Nothing comes any more; what waits is still given.
    pub(crate) fn end(&self, error: Option<Error>) {
        let mut waiting = self.waiting();
        if !waiting.is_over {
            waiting.is_over = true;
            waiting.end = error;
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Whether nothing waits, and nothing was put in after this commit.
    pub(crate) fn is_level(&self, version: u64) -> bool {
        let waiting = self.waiting();
        let is_empty = match &waiting.held {
            Held::Events(queue, _) => queue.is_empty(),
            Held::State(pending, _) => pending.is_empty(),
        };
        is_empty && waiting.resync.is_none() && waiting.version <= version
    }

    /// What waits, without waiting for it.
    pub(crate) fn take(&self) -> Option<Next> {
        let mut waiting = self.waiting();
        if let Some(reason) = waiting.resync.take() {
            return Some(Next::Resync { reason, version: waiting.version });
        }
        let next = match &mut waiting.held {
            Held::Events(queue, _) => queue.pop_front(),
            Held::State(pending, last) => last.take().map(|last| {
                let events = pending.drain();
                Arc::new(Commit { version: last.version, parts: last.parts.clone(), picks: Picks::Merged(events) })
            }),
        };
        match next {
            Some(commit) => Some(Next::Commit(commit)),
            None if waiting.is_over => Some(Next::End(waiting.end.take())),
            None => None,
        }
    }

    pub(crate) async fn next(&self) -> Next {
        loop {
            let arrived = self.arrived.notified();
            if let Some(next) = self.take() {
                return next;
            }
            arrived.await;
        }
    }

    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::Release);
    }
}
