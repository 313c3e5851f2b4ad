//! What an inbox is subscribed to, for people and tests to look at.

use emr_core::Value;

use crate::interest::{Interest, Ops};
use crate::tables::Tables;

/// One thing that an inbox is subscribed to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// The table.
    pub table: String,
    /// Only rows that have or had these values; all rows where there are none.
    pub columns: Vec<(String, Value<'static>)>,
    /// Which sorts of changes.
    pub ops: Ops,
    /// Only what is watched under this label.
    pub label: Option<String>,
}

impl Entry {
    pub(crate) fn of(tables: &Tables, interest: &Interest) -> Self {
        let columns = interest.on.iter().flat_map(|(columns, key)| {
            columns.iter().zip(&key.0).map(|(name, value)| (name.to_string(), value.clone()))
        });
        Entry {
            table: tables.get(interest.table).full_name(),
            columns: columns.collect(),
            ops: interest.ops,
            label: interest.label.as_deref().map(str::to_owned),
        }
    }

    pub(crate) fn is_at(&self, other: &Entry) -> bool {
        self.table == other.table && self.columns == other.columns && self.label == other.label
    }
}
