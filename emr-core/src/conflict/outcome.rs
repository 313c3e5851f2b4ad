//! What became of the rows of an upsert.

/// What became of a row. It is what the database did, not a guess: PostgreSQL tells new row versions from changed ones,
/// and the update branch of SQLite and MariaDB leaves a mark that the statement reads again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the row may have been skipped"]
pub enum Upserted<T> {
    /// There was no such key: the row is new, as it was stored.
    Inserted(T),
    /// The key was taken: the stored row after the change.
    Updated(T),
    /// The key was taken and the stored row was left as it is.
    Skipped,
}

impl<T> Upserted<T> {
    /// `None` of a row that was left as it is.
    pub(crate) fn of((row, inserted): (T, Option<bool>)) -> Self {
        match inserted {
            Some(true) => Upserted::Inserted(row),
            Some(false) => Upserted::Updated(row),
            None => Upserted::Skipped,
        }
    }

    /// The written row.
    pub fn row(&self) -> Option<&T> {
        match self {
            Upserted::Inserted(row) | Upserted::Updated(row) => Some(row),
            Upserted::Skipped => None,
        }
    }

    /// The same, moved out.
    pub fn into_row(self) -> Option<T> {
        match self {
            Upserted::Inserted(row) | Upserted::Updated(row) => Some(row),
            Upserted::Skipped => None,
        }
    }

    /// Whether the row is new.
    pub fn is_inserted(&self) -> bool {
        matches!(self, Upserted::Inserted(_))
    }

    /// Whether a stored row was changed.
    pub fn is_updated(&self) -> bool {
        matches!(self, Upserted::Updated(_))
    }

    /// Whether nothing was written.
    pub fn is_skipped(&self) -> bool {
        matches!(self, Upserted::Skipped)
    }
}

/// How many rows of an upsert became what.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // see `Upserted`
pub struct UpsertCounts {
    pub inserted: u64,
    pub updated: u64,
    pub skipped: u64,
}

impl UpsertCounts {
    /// Of this many rows that were given, and what the written ones were.
    pub(crate) fn of(given: usize, written: &[Option<bool>]) -> Self {
        let inserted = written.iter().filter(|inserted| **inserted == Some(true)).count() as u64;
        let updated = written.iter().filter(|inserted| **inserted == Some(false)).count() as u64;
        UpsertCounts { inserted, updated, skipped: (given as u64).saturating_sub(inserted + updated) }
    }
}
