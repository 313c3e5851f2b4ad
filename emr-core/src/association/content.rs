//! What a slot holds, out of the compiler's sight.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Nothing yet, nothing, or rows.
///
/// The rows are behind a trait object for the compiler's sake. Whether a struct may cross threads it finds out by looking
/// through all fields, and the fields of those. It would walk from schema to schema along their associations, and refuse
/// a program in which a dozen are linked ("overflow evaluating the requirement").
#[derive(Default)]
pub(crate) enum Content<V> {
    #[default]
    NotLoaded,
    Empty,
    Held(Box<dyn Held<V>>),
}

/// A value that may cross threads.
pub(crate) trait Held<V>: Send + Sync {
    fn get(&self) -> &V;

    fn get_mut(&mut self) -> &mut V;

    fn release(self: Box<Self>) -> V;
}

impl<V: Send + Sync> Held<V> for V {
    fn get(&self) -> &V {
        self
    }

    fn get_mut(&mut self) -> &mut V {
        self
    }

    fn release(self: Box<Self>) -> V {
        *self
    }
}

impl<V> Content<V> {
    pub(crate) fn is_loaded(&self) -> bool {
        !matches!(self, Content::NotLoaded)
    }

    /// `None` if it was not loaded, `Some(None)` if there is nothing.
    #[allow(clippy::option_option)] // not loaded, loaded and none, loaded
    pub(crate) fn get(&self) -> Option<Option<&V>> {
        match self {
            Content::NotLoaded => None,
            Content::Empty => Some(None),
            Content::Held(held) => Some(Some((**held).get())),
        }
    }

    /// What it holds, to be changed.
    pub(crate) fn held_mut(&mut self) -> Option<&mut V> {
        match self {
            Content::Held(held) => Some((**held).get_mut()),
            _ => None,
        }
    }

    /// What it holds, and no longer does.
    pub(crate) fn take(&mut self) -> Option<V> {
        match std::mem::replace(self, Content::NotLoaded) {
            Content::NotLoaded | Content::Empty => None,
            Content::Held(held) => Some(held.release()),
        }
    }
}

impl<V: Send + Sync + 'static> Content<V> {
    /// Loaded.
    pub(crate) fn of(content: Option<V>) -> Self {
        match content {
            None => Content::Empty,
            Some(content) => Content::Held(Box::new(content)),
        }
    }
}

impl<T: Send + Sync + 'static> Content<Vec<T>> {
    /// Loaded: a list, perhaps an empty one.
    pub(crate) fn list(rows: Vec<T>) -> Self {
        Content::of(Some(rows).filter(|rows| !rows.is_empty()))
    }
}

impl<V: Clone + Send + Sync + 'static> Clone for Content<V> {
    fn clone(&self) -> Self {
        self.get().map_or(Content::NotLoaded, |content| Content::of(content.cloned()))
    }
}

impl<V: PartialEq> PartialEq for Content<V> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<V: fmt::Debug> fmt::Debug for Content<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

// It is replaced as a whole: who catches a panic finds it as it was, or with what came next.
impl<V> UnwindSafe for Content<V> {}
impl<V> RefUnwindSafe for Content<V> {}
