//! Functions that run in the transaction of the write, just before it.

use std::pin::Pin;
use std::sync::Arc;

use super::Changeset;
use crate::error::Result;
use crate::schema::Syncable;
use crate::transaction::Tx;

/// What a function of [`Changeset::prepare_changes`] returns.
pub type PrepareFuture<'t, T> = Pin<Box<dyn Future<Output = Result<Changeset<T>>> + Send + 't>>;

/// One function.
pub(super) type Prepare<T> = Arc<dyn for<'t> Fn(&'t Tx, Changeset<T>) -> PrepareFuture<'t, T> + Send + Sync>;

impl<T: Syncable> Changeset<T> {
    /// Runs the function in the transaction of the write, just before it: to count, to look up, to write elsewhere. It may
    /// change the changeset; if it returns one with errors, or fails, all is rolled back. Several run in the order in which
    /// they were added. A write with one takes a transaction of its own: a nested one where there is one already. Nothing
    /// runs for a changeset that is invalid, nor for an update without changes.
    ///
    /// ```
    /// # use emr_core::{Changeset, Column, Repo, Syncable, SyncableExt};
    /// # fn f<Comment: Syncable, Post: Syncable>(comment: Changeset<Comment>, COMMENTS: Column<Post, i64>) {
    /// let comment = comment.prepare_changes(move |tx, comment| Box::pin(async move {
    ///     tx.update_all(Post::query().inc(COMMENTS, 1)).await?;
    ///     Ok(comment)
    /// }));
    /// # }
    /// ```
    pub fn prepare_changes<F>(mut self, function: F) -> Self
    where
        F: for<'t> Fn(&'t Tx, Changeset<T>) -> PrepareFuture<'t, T> + Send + Sync + 'static,
    {
        self.prepares.push(Arc::new(function));
        self
    }

    pub(crate) fn is_to_prepare(&self) -> bool {
        !self.prepares.is_empty()
    }

    /// Runs the functions, and those that they add.
    pub(crate) async fn prepared(mut self, tx: &Tx) -> Result<Self> {
        while !self.prepares.is_empty() {
            for function in std::mem::take(&mut self.prepares) {
                self = function(tx, self).await?;
                self.refuse_invalid()?;
            }
        }
        Ok(self)
    }
}
