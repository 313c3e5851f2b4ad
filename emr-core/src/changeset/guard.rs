//! Conditions on the row that is written: optimistic locks, and what happens when no row meets them.

use super::rules::Action;
use super::{Changeset, FieldError, FieldName};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Column, IntoField};
use crate::result::{decode_values, read_value};
use crate::schema::Syncable;
use crate::types::{Field, Scalar};
use crate::value::Value;

/// What counts the versions of a row.
pub trait Version: Scalar {
    /// The version after this one; of none, and of the largest one, the first.
    fn next(version: Option<Self>) -> Self;
}

macro_rules! versions {
    ($($integer:ty)*) => {
        $(impl Version for $integer {
            fn next(version: Option<Self>) -> Self {
                version.and_then(|version| version.checked_add(1)).unwrap_or(1)
            }
        })*
    };
}

versions!(i16 i32 i64);

/// Of updates and deletes; inserts look at none of these.
impl<T: Syncable> Changeset<T> {
    /// Writes only if the row still has the version that it had when it was loaded, and counts the version up; otherwise
    /// the write is [`Stale`](ErrorKind::Stale), and nothing is written. After the largest version comes 1. A row whose
    /// version is NULL is written whatever it is, and gets version 1.
    ///
    /// ```
    /// # use emr_core::{Column, Repo, Result, Syncable, SyncableExt};
    /// # async fn f<Post: Syncable + Clone>(
    /// #     repo: &impl Repo, post: Post, TITLE: Column<Post, String>, VERSION: Column<Post, i32>,
    /// # ) -> Result<()> {
    /// let post = repo.update(post.change().set(TITLE, "Hello").optimistic_lock(VERSION)).await?;
    /// repo.delete(post.change().optimistic_lock(VERSION)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn optimistic_lock<F: Field>(self, column: Column<T, F>) -> Self
    where
        F::Scalar: Version,
    {
        self.optimistic_lock_with(column, Version::next)
    }

    /// As [`optimistic_lock`](Changeset::optimistic_lock), with a function that makes the next version from the current one:
    /// a time, a random number.
    pub fn optimistic_lock_with<F: Field>(
        mut self,
        column: Column<T, F>,
        next: impl FnOnce(Option<F::Scalar>) -> F::Scalar,
    ) -> Self {
        let Some(data) = &self.data else { return self };
        let current = data.value(column.index()).into_owned();
        let next = Scalar::into_value(next(read_value::<Option<F::Scalar>>(&current).ok().flatten()));
        let rules = self.rules();
        rules.locks.retain(|(locked, _)| *locked != column.index());
        rules.locks.push((column.index(), next));
        if !current.is_null() {
            rules.guards.push((column.index(), current));
        }
        self
    }

    /// Writes only if the row has this value in this column, beside its key; otherwise the write is
    /// [`Stale`](ErrorKind::Stale). `None` asks for NULL.
    pub fn filter<F: Field>(mut self, column: Column<T, F>, value: impl IntoField<F>) -> Self {
        self.rules().guards.push((column.index(), value.into_field()));
        self
    }

    /// A stale write is an error of this field, with the code `stale`, instead of [`Stale`](ErrorKind::Stale).
    pub fn stale_error_field(self, field: impl FieldName) -> Self {
        self.stale_error(field, "is stale")
    }

    /// As [`stale_error_field`](Changeset::stale_error_field), in other words.
    pub fn stale_error(mut self, field: impl FieldName, message: &'static str) -> Self {
        self.rules().stale = Some((field.field_name(), FieldError::new("stale", message)));
        self
    }

    /// A stale write is no error: the row that somebody deleted may stay deleted. The update then returns the changeset's
    /// row with the changes, which no database holds.
    pub fn allow_stale(mut self) -> Self {
        self.rules().allow_stale = true;
        self
    }

    /// Updates also when nothing changed: counts the lock column up, touches `updated_at`, finds out whether the row is
    /// still there.
    pub fn force(mut self) -> Self {
        self.rules().force = true;
        self
    }

    /// As [`set`](Changeset::set), also to the value that the row has already.
    pub fn force_set<F: Field>(mut self, column: Column<T, F>, value: impl IntoField<F>) -> Self {
        self.put(column.index(), value.into_field());
        self
    }

    /// The struct with the changes in it, without a database. Associations are not loaded in it, and columns that neither
    /// the row nor the changes know are NULL.
    ///
    /// # Errors
    /// [`Validation`](ErrorKind::Validation) if something is wrong; [`Decode`](ErrorKind::Decode) if a column is missing in a
    /// new row.
    pub fn apply(&self) -> Result<T> {
        self.refuse_invalid()?;
        let columns = T::schema().columns.iter().enumerate();
        let values: Vec<_> =
            columns.map(|(at, def)| self.effective(at).map_or(Value::Null(def.ty), Value::into_owned)).collect();
        decode_values(&values)
    }

    pub(crate) fn is_forced(&self) -> bool {
        self.rules_ref().is_some_and(|rules| rules.force)
    }

    /// What the row must have beside its key.
    pub(crate) fn guards(&self) -> &[(usize, Value<'static>)] {
        self.rules_ref().map_or(&[], |rules| &rules.guards)
    }

    /// Adds what an update changes by itself: lock columns and `updated_at`. An update that is forced and changes nothing
    /// sets the key to itself.
    pub(crate) fn finish_update(&mut self) {
        let locks = self.rules_ref().map_or_else(Vec::new, |rules| rules.locks.clone());
        for (column, next) in locks {
            self.put(column, next);
        }
        self.touch();
        if self.changes.is_empty()
            && let Some(data) = &self.data
        {
            let key: Vec<_> = T::schema().primary_key.iter().map(|&at| (at, data.value(at).into_owned())).collect();
            for (column, value) in key {
                self.put(column, value);
            }
        }
    }

    /// No row met the conditions: the error, unless that is allowed.
    pub(crate) fn missed(&self, action: Action) -> Result<()> {
        let table = T::schema().table.to_owned();
        match self.rules_ref() {
            Some(rules) if rules.allow_stale => Ok(()),
            Some(super::Rules { stale: Some((field, error)), errors, .. }) => {
                let mut errors = errors.clone();
                errors.add(field.clone(), error.clone());
                Err(Error::new(ErrorKind::Validation { table, errors }))
            }
            _ => {
                let action = if action == Action::Delete { "delete" } else { "update" };
                Err(Error::new(ErrorKind::Stale { table, action }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_roll_over() {
        assert_eq!(i32::next(None), 1);
        assert_eq!(i32::next(Some(1)), 2);
        assert_eq!(i32::next(Some(i32::MAX)), 1);
        assert_eq!(i16::next(Some(i16::MAX)), 1);
    }
}
