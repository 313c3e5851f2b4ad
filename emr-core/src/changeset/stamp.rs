//! Timestamps that EMR fills in.

use super::{Change, Changeset};
use crate::schema::{ColumnDef, Stamp, Syncable};
use crate::types::now;
use crate::value::{SqlType, Value};

/// The current instant in the column's type.
pub(crate) fn stamp(def: &ColumnDef, instant: chrono::DateTime<chrono::Utc>) -> Value<'static> {
    match def.ty {
        SqlType::DateTime => Value::DateTime(instant.naive_utc()),
        _ => Value::Timestamp(instant),
    }
}

impl<T: Syncable> Changeset<T> {
    /// Sets all timestamp columns of a row to be inserted to the current instant, whatever they are: for structs that are
    /// written as they are.
    ///
    /// ```
    /// # use emr_core::{Changeset, Repo, Result, Syncable, SyncableExt};
    /// # async fn f<Post: Syncable>(repo: &impl Repo, posts: Vec<Post>) -> Result<u64> {
    /// repo.insert_all(posts.into_iter().map(|post| post.into_change().with_timestamps())).await
    /// # }
    /// ```
    pub fn with_timestamps(mut self) -> Self {
        let instant = now();
        for (column, def) in T::schema().columns.iter().enumerate() {
            if def.stamp.is_some() {
                self.put(column, stamp(def, instant));
            }
        }
        self
    }

    /// Fills the timestamps of a new row that nobody set: all with the same instant.
    pub(super) fn stamp_insert(&mut self) {
        let mut instant = None;
        for (column, def) in T::schema().columns.iter().enumerate() {
            let unset = def.stamp.is_some() && self.effective(column).is_none_or(|value| value.is_null());
            if unset && !self.changes.iter().any(|change| change.column == column) {
                let instant = *instant.get_or_insert_with(now);
                self.changes.push(Change { column, value: stamp(def, instant) });
            }
        }
    }

    /// Sets the time of an update, unless the program did.
    pub(super) fn touch(&mut self) {
        for (column, def) in T::schema().columns.iter().enumerate() {
            if def.stamp == Some(Stamp::Updated) && !self.changes.iter().any(|change| change.column == column) {
                self.changes.push(Change { column, value: stamp(def, now()) });
            }
        }
    }
}
