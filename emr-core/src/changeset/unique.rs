//! Asking the database beforehand whether a value is taken.

use super::{Changeset, FieldError, IntoColumns};
use crate::error::Result;
use crate::expr::DynColumn;
use crate::query::Query;
use crate::repo::Repo;
use crate::schema::Syncable;

impl<T: Syncable> Changeset<T> {
    /// Asks the database whether another row has the same values in these columns; if so, the first column gets the error
    /// `unique`. For early feedback in forms: only a unique index with
    /// [`unique_constraint`](Changeset::unique_constraint) is safe, as another row may come in between.
    ///
    /// Nothing is asked if none of the columns changed, one has an error already, or one is NULL. The row of the changeset
    /// does not count.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn unsafe_validate_unique(mut self, repo: &impl Repo, columns: impl IntoColumns<T>) -> Result<Self> {
        let positions = columns.positions();
        let schema = T::schema();
        let defs = || positions.iter().filter_map(|&at| schema.columns.get(at));
        let changed = positions.iter().any(|&at| self.changes.iter().any(|change| change.column == at));
        let Some(first) = defs().next().filter(|_| changed) else { return Ok(self) };
        if defs().any(|def| self.errors().has(def.field)) {
            return Ok(self);
        }
        let mut query = Query::<T>::new();
        for &at in &positions {
            let Some(value) = self.effective(at).filter(|value| !value.is_null()) else { return Ok(self) };
            query = query.filter(DynColumn::<T>::at(at).eq(value.into_owned())?);
        }
        if let Some(data) = &self.data
            && !schema.primary_key.is_empty()
        {
            let mut itself = None;
            for &at in schema.primary_key {
                let same = DynColumn::<T>::at(at).eq(data.value(at).into_owned())?;
                itself = Some(match itself {
                    None => same,
                    Some(earlier) => same.and(earlier),
                });
            }
            if let Some(itself) = itself {
                query = query.filter(!itself);
            }
        }
        if let Some(prefix) = &self.prefix {
            query = query.prefix(prefix.clone());
        }
        if repo.exists(query).await? {
            self.rules().errors.add(first.field, FieldError::new("unique", "has already been taken"));
        }
        Ok(self)
    }
}
