//! What one commit is to one subscriber.

use std::sync::Arc;

use emr_core::watch::{Event, Token, Txn};
use smallvec::SmallVec;

/// The changes of one commit that a subscriber gets. Shared by all who get the same ones.
#[derive(Debug)]
pub(crate) struct Commit {
    /// Counts the commits of this instance: what is loaded for a commit is not older than it.
    pub(crate) version: u64,
    pub(crate) parts: SmallVec<[Arc<Txn>; 1]>,
    pub(crate) picks: Picks,
}

#[derive(Debug)]
pub(crate) enum Picks {
    /// All changes of all parts.
    All,
    Some(Box<[Pick]>),
    /// Those of several commits, as one.
    Merged(Box<[Event]>),
}

/// A change that a subscriber gets.
#[derive(Debug, Clone)]
pub(crate) struct Pick {
    pub(crate) part: u32,
    pub(crate) event: u32,
    /// As it looks to the subscriber, where that is not how it is.
    pub(crate) shown: Option<Box<Event>>,
}

impl Commit {
    pub(crate) fn token(&self) -> Option<&Token> {
        self.parts.last().map(|txn| &txn.token)
    }

    pub(crate) fn origin(&self) -> Option<&Arc<str>> {
        match self.picks {
            Picks::Merged(_) => None,
            _ => self.parts.last().and_then(|txn| txn.origin.as_ref()),
        }
    }

    pub(crate) fn events(&self) -> Box<dyn Iterator<Item = &Event> + Send + '_> {
        match &self.picks {
            Picks::All => Box::new(self.parts.iter().flat_map(|txn| &txn.changes)),
            Picks::Merged(events) => Box::new(events.iter()),
            Picks::Some(picks) => Box::new(picks.iter().filter_map(|pick| match &pick.shown {
                Some(event) => Some(&**event),
                None => self.parts.get(pick.part as usize)?.changes.get(pick.event as usize),
            })),
        }
    }
}
