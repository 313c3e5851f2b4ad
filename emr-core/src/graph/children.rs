//! Naming the rows of an association in a call.

use std::sync::Arc;

use crate::changeset::Changeset;
use crate::schema::Syncable;

/// The rows that an association shall have.
pub struct Children<R> {
    /// Whether it is a list.
    pub(super) is_list: bool,
    pub(super) list: Vec<Changeset<R>>,
}

impl<R> Children<R> {
    pub(crate) fn one(child: Option<Changeset<R>>) -> Self {
        Children { is_list: false, list: child.into_iter().collect() }
    }

    pub(crate) fn list(list: Vec<Changeset<R>>) -> Self {
        Children { is_list: true, list }
    }
}

/// One associated row: a changeset of it, or the row as it is.
///
/// A changeset made by [`build`](crate::SyncableExt::build) is a new row. A row, and a changeset made by
/// [`change`](crate::SyncableExt::change), is in the database already: it is updated where it changes, the foreign key
/// included. [`as_insert`](Changeset::as_insert) and [`as_delete`](Changeset::as_delete) say otherwise.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no row of `{R}`",
    label = "expected a `{R}`, or a changeset of one",
    note = "write {R}::build().set(...) for a new row, row.change().set(...) for one that is there"
)]
pub trait IntoChild<R> {
    /// The row as a changeset.
    fn into_child(self) -> Changeset<R>;
}

impl<R: Syncable> IntoChild<R> for R {
    fn into_child(self) -> Changeset<R> {
        Changeset::of(self)
    }
}

impl<R: Syncable> IntoChild<R> for Changeset<R> {
    fn into_child(self) -> Changeset<R> {
        self
    }
}

impl<R: Syncable + Clone> IntoChild<R> for &R {
    fn into_child(self) -> Changeset<R> {
        Changeset::of(self.clone())
    }
}

impl<R: Syncable + Clone> IntoChild<R> for Arc<R> {
    fn into_child(self) -> Changeset<R> {
        Changeset::of(Arc::unwrap_or_clone(self))
    }
}

impl<R: Syncable + Clone> IntoChild<R> for &Arc<R> {
    fn into_child(self) -> Changeset<R> {
        Changeset::of(R::clone(self))
    }
}

/// The rows that an association shall have: one ([`IntoChild`]) or an `Option` of one for `belongs_to` and `has_one`, a
/// `Vec` or an array for the others.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are no rows of `{R}`",
    label = "expected a `{R}` or a changeset of one, an `Option`, a `Vec` or an array of these",
    note = "write {R}::build().set(...) for a new row, row.change().set(...) for one that is there"
)]
pub trait IntoChildren<R> {
    /// The rows as changesets.
    fn into_children(self) -> Children<R>;
}

macro_rules! single {
    ($($child:ty),*) => {
        $(impl<R: Syncable> IntoChildren<R> for $child
        where
            Self: IntoChild<R>,
        {
            fn into_children(self) -> Children<R> {
                Children::one(Some(self.into_child()))
            }
        })*
    };
}

single!(R, Changeset<R>, &R, Arc<R>, &Arc<R>);

impl<R: Syncable, C: IntoChild<R>> IntoChildren<R> for Option<C> {
    fn into_children(self) -> Children<R> {
        Children::one(self.map(C::into_child))
    }
}

impl<R: Syncable, C: IntoChild<R>> IntoChildren<R> for Vec<C> {
    fn into_children(self) -> Children<R> {
        Children::list(self.into_iter().map(C::into_child).collect())
    }
}

impl<R: Syncable, C: IntoChild<R>, const N: usize> IntoChildren<R> for [C; N] {
    fn into_children(self) -> Children<R> {
        Children::list(self.into_iter().map(C::into_child).collect())
    }
}

impl<R: Syncable> IntoChildren<R> for Children<R> {
    fn into_children(self) -> Children<R> {
        self
    }
}
