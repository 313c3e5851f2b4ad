//! What can be deleted.

use super::{Action, Changeset};
use crate::error::{Error, Result};
use crate::schema::Syncable;
use crate::transaction::Tx;
use crate::value::Value;

/// A row that is there: `&row`, or a [`Changeset`] of one for its conditions and declared constraints. What the changeset
/// changes does not matter.
pub trait OldRow<T: Syncable>: Send + Sync + Sized {
    /// The row; `None` for a changeset made by `build`.
    fn row(&self) -> Option<&T>;

    /// The table's schema or database, where the row says it.
    #[doc(hidden)]
    fn old_prefix(&self) -> Option<&str> {
        None
    }

    /// What the row must have beside its key.
    #[doc(hidden)]
    fn conditions(&self) -> &[(usize, Value<'static>)] {
        &[]
    }

    /// As [`NewRow::check`](super::NewRow::check).
    #[doc(hidden)]
    fn check_old(&self) -> Result<()> {
        Ok(())
    }

    /// As [`NewRow::is_to_prepare`](super::NewRow::is_to_prepare).
    #[doc(hidden)]
    fn is_old_to_prepare(&self) -> bool {
        false
    }

    /// As [`NewRow::prepare_in`](super::NewRow::prepare_in).
    #[doc(hidden)]
    fn prepare_old_in(self, _tx: &Tx) -> impl Future<Output = Result<Self>> + Send {
        std::future::ready(Ok(self))
    }

    /// As [`NewRow::refine`](super::NewRow::refine).
    #[doc(hidden)]
    fn refine_old(&self, error: Error) -> Error {
        error
    }

    /// No row met the conditions.
    #[doc(hidden)]
    fn missed_old(&self) -> Result<()> {
        Err(Error::new(crate::ErrorKind::Stale { table: T::schema().table.to_owned(), action: "delete" }))
    }
}

impl<T: Syncable> OldRow<T> for &T {
    fn row(&self) -> Option<&T> {
        Some(self)
    }
}

impl<T: Syncable> OldRow<T> for Changeset<T> {
    fn row(&self) -> Option<&T> {
        self.data()
    }

    fn old_prefix(&self) -> Option<&str> {
        self.prefix_ref()
    }

    fn conditions(&self) -> &[(usize, Value<'static>)] {
        self.guards()
    }

    fn check_old(&self) -> Result<()> {
        self.refuse_invalid()
    }

    fn is_old_to_prepare(&self) -> bool {
        self.is_to_prepare()
    }

    fn prepare_old_in(self, tx: &Tx) -> impl Future<Output = Result<Self>> + Send {
        self.prepared(tx)
    }

    fn refine_old(&self, error: Error) -> Error {
        self.refine(error, Action::Delete)
    }

    fn missed_old(&self) -> Result<()> {
        self.missed(Action::Delete)
    }
}
