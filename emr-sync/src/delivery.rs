//! What an inbox gives.

use std::fmt;
use std::sync::Arc;

use emr_core::watch::{Event, Token};

use crate::commit::Commit;
use crate::inbox::Followed;

/// What an inbox gives: all changes of one commit for this subscriber, or that changes were missed. To be given to
/// [`apply`](crate::Sync::apply).
#[derive(Clone)]
pub struct Delivery {
    pub(crate) what: What,
    pub(crate) followed: Arc<Followed>,
}

#[derive(Clone)]
pub(crate) enum What {
    Commit(Arc<Commit>),
    Resync { reason: Arc<str>, version: u64 },
}

impl Delivery {
    /// The changes: those of a row in their order. None of a [`Resync`](Delivery::resync).
    pub fn changes(&self) -> impl Iterator<Item = &Event> {
        let commit = match &self.what {
            What::Commit(commit) => Some(commit),
            What::Resync { .. } => None,
        };
        commit.into_iter().flat_map(|commit| commit.events())
    }

    /// Why changes are missing: values must be loaded anew, or [refreshed](crate::Sync::refresh).
    pub fn resync(&self) -> Option<&str> {
        match &self.what {
            What::Commit(_) => None,
            What::Resync { reason, .. } => Some(reason),
        }
    }

    /// Where a reader of the log stands that has all of the commit.
    pub fn token(&self) -> Option<&Token> {
        match &self.what {
            What::Commit(commit) => commit.token(),
            What::Resync { .. } => None,
        }
    }

    /// What the writer called itself: see [`with_origin`](emr_core::Repo::with_origin). Of several commits in one, `None`.
    pub fn origin(&self) -> Option<&str> {
        match &self.what {
            What::Commit(commit) => commit.origin().map(|origin| &**origin),
            What::Resync { .. } => None,
        }
    }

    /// Whether the changes are those of writes of this origin.
    pub fn is_from(&self, origin: &str) -> bool {
        self.origin() == Some(origin)
    }

    pub(crate) fn version(&self) -> u64 {
        match &self.what {
            What::Commit(commit) => commit.version,
            What::Resync { version, .. } => *version,
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Commit(_) => f
                .debug_struct("Commit")
                .field("origin", &self.origin())
                .field("changes", &self.changes().collect::<Vec<_>>())
                .finish_non_exhaustive(),
            What::Resync { reason, .. } => f.debug_struct("Resync").field("reason", reason).finish_non_exhaustive(),
        }
    }
}
