//! Which rows of a list a change reaches through their associations.

use std::collections::{HashMap, HashSet};

use emr_core::walk::Spec;
use emr_core::{Record, Result};

use crate::changes::Changes;
use crate::interest::{Expander, Names, Source};
use crate::key::{Key, Said, both};
use crate::tables::Tables;

/// The rows of a list by the values that their associations hang on.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    lookups: Vec<Lookup>,
    /// Where each row stands.
    places: HashMap<Key, Vec<(usize, Key)>>,
    /// Tables of which any change may reach any row.
    any: HashSet<usize>,
}

#[derive(Debug, Clone)]
struct Lookup {
    table: usize,
    columns: Names,
    rows: HashMap<Key, Vec<Key>>,
}

impl Index {
    /// Notes a row as it is now.
    pub(super) fn set(
        &mut self,
        tables: &Tables,
        prefix: Option<&str>,
        specs: &[Spec],
        key: &Key,
        row: &dyn Record,
    ) -> Result<()> {
        if specs.is_empty() {
            return Ok(());
        }
        self.remove(key);
        let mut expander = Expander::new(tables, prefix);
        expander.row(row.schema_of(), specs, &Source::Record(row))?;
        let mut places = Vec::new();
        for interest in expander.found {
            let Some((columns, value)) = interest.on else {
                self.any.insert(interest.table);
                continue;
            };
            let is_it = |lookup: &Lookup| lookup.table == interest.table && lookup.columns == columns;
            let at = self.lookups.iter().position(is_it).unwrap_or_else(|| {
                self.lookups.push(Lookup { table: interest.table, columns: columns.clone(), rows: HashMap::new() });
                self.lookups.len() - 1
            });
            self.lookups[at].rows.entry(value.clone()).or_default().push(key.clone());
            places.push((at, value));
        }
        self.places.insert(key.clone(), places);
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &Key) {
        for (at, value) in self.places.remove(key).unwrap_or_default() {
            let rows = &mut self.lookups[at].rows;
            if let Some(keys) = rows.get_mut(&value) {
                keys.retain(|known| known != key);
                if keys.is_empty() {
                    rows.remove(&value);
                }
            }
        }
    }

    /// The rows that changes reach; `None` if that may be any.
    pub(super) fn reached(&self, changes: &Changes<'_>) -> Option<HashSet<Key>> {
        let mut reached = HashSet::new();
        if self.any.iter().any(|table| changes.table(Some(*table)).is_some()) {
            return None;
        }
        for lookup in &self.lookups {
            let Some(table) = changes.table(Some(lookup.table)) else { continue };
            if table.is_truncated() {
                return None;
            }
            let columns: Vec<_> = lookup.columns.iter().map(|name| &**name).collect();
            for side in table.events.iter().flat_map(|event| both(event, &columns)) {
                match side {
                    Said::NoRow => {}
                    Said::Unknown => return None,
                    Said::Key(value) => reached.extend(lookup.rows.get(&value).into_iter().flatten().cloned()),
                }
            }
        }
        Some(reached)
    }
}
