//! The rows of one association of one row.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::item::{Item, join};
use super::member::{Act, Front, Member, Members};
use crate::association::{Content, Slot, to_many, to_one};
use crate::changeset::{Changeset, Errors};
use crate::error::Result;
use crate::schema::Syncable;

/// What is done with the rows of an association.
#[derive(Clone)]
pub(crate) struct Items<R> {
    /// Whether it is a list.
    pub(super) is_list: bool,
    /// Those that were given, in their order.
    pub(super) given: Vec<Item<R>>,
    /// Those that were there and were not given.
    pub(super) gone: Vec<Item<R>>,
    /// The foreign key of the owner becomes NULL.
    pub(super) releases: bool,
}

impl<R: Syncable> Items<R> {
    /// The changesets that were given.
    pub(crate) fn changesets(&self) -> impl Iterator<Item = &Changeset<R>> {
        self.given.iter().map(|item| &item.change)
    }

    /// The paths of the changesets that were given, from the association's field.
    pub(crate) fn with_paths(&self, field: &str) -> impl Iterator<Item = (String, &Changeset<R>)> {
        let path = move |at: usize| if self.is_list { format!("{field}.{at}") } else { field.to_owned() };
        self.changesets().enumerate().map(move |(at, change)| (path(at), change))
    }

    /// The same of some rows, whatever their type.
    pub(crate) fn of(members: &dyn Members) -> Option<&Self> {
        let members: &dyn Any = members;
        members.downcast_ref()
    }
}

fn members<R: Syncable>(items: &mut [Item<R>]) -> Front<'_> {
    items.iter_mut().map(|item| item as &mut (dyn Member + 'static)).collect()
}

impl<R: Syncable + Clone> Members for Items<R> {
    fn boxed_clone(&self) -> Box<dyn Members> {
        Box::new(self.clone())
    }

    fn is_idle(&self) -> bool {
        !self.releases && self.gone.is_empty() && self.given.iter().all(|item| item.is_linked() && item.is_idle())
    }

    fn is_empty(&self) -> bool {
        self.given.iter().all(|item| matches!(item.act(), Act::Delete | Act::Unlink))
    }

    fn check(&self, depth: usize) -> Result<()> {
        self.given.iter().try_for_each(|item| item.check(depth))
    }

    fn split(&mut self) -> (Front<'_>, Front<'_>) {
        (members(&mut self.gone), members(&mut self.given))
    }

    fn fill(&mut self, slot: &mut dyn Slot) {
        let mut rows = self.given.iter_mut().filter_map(Item::take_stored);
        if !self.is_list {
            if let Some(slot) = to_one::<R>(slot) {
                *slot = Content::of(rows.next().map(Arc::new));
            }
        } else if let Some(slot) = to_many::<R>(slot) {
            *slot = Content::list(rows.collect());
        }
    }

    fn failures(&self, path: &str, errors: &mut Errors) {
        for (at, item) in self.given.iter().enumerate() {
            if self.is_list {
                item.failures(&join(path, &at.to_string()), errors);
            } else {
                item.failures(path, errors);
            }
        }
        self.gone.iter().for_each(|item| item.failures(path, errors));
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.changesets()).finish()
    }
}
