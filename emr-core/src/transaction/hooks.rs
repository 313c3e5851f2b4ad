//! What runs after a commit.

use std::fmt;
use std::sync::{Mutex, PoisonError};

type Hook = Box<dyn FnOnce() + Send>;

/// Functions that wait for the commit of the outermost transaction, each with the level of nesting that it belongs to,
/// in the order in which they came.
#[derive(Default)]
pub(super) struct Hooks(Mutex<Vec<(u32, Hook)>>);

impl Hooks {
    fn all(&self) -> std::sync::MutexGuard<'_, Vec<(u32, Hook)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more, of this level.
    pub(super) fn add(&self, depth: u32, hook: Hook) {
        self.all().push((depth, hook));
    }

    /// A level was kept: what it did is now part of the one around it.
    pub(super) fn keep(&self, depth: u32) {
        for (level, _) in self.all().iter_mut() {
            if *level >= depth {
                *level = depth.saturating_sub(1);
            }
        }
    }

    /// A level was undone.
    pub(super) fn discard(&self, depth: u32) {
        let mut all = self.all();
        let undone: Vec<_> = all.extract_if(.., |(level, _)| *level >= depth).collect();
        // A hook may hold anything, also something that uses the transaction when it is dropped.
        drop(all);
        drop(undone);
    }

    /// Runs them all, once. They are the program's: a panic goes to who committed, and the later ones do not run.
    pub(super) fn run(&self) {
        let all = std::mem::take(&mut *self.all());
        for (_, hook) in all {
            hook();
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hooks", self.all().len())
    }
}
