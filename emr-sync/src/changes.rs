//! The changes of one commit, by row and by the values that tie rows together.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use emr_core::Schema;
use emr_core::watch::{Event, Op};

use crate::key::{Key, Said, both, names};
use crate::tables::Tables;

/// The changes of one commit.
pub(crate) struct Changes<'c> {
    tables: HashMap<usize, TableChanges<'c>>,
}

/// The changes of one table.
#[derive(Default)]
pub(crate) struct TableChanges<'c> {
    pub(crate) events: Vec<&'c Event>,
    /// Where all rows were removed at once, the last time.
    truncated_at: Option<usize>,
    /// Later changes were applied already: what is gone may be back, and what came may be gone.
    is_late: bool,
    lookups: Mutex<HashMap<Vec<&'static str>, Arc<Lookup>>>,
}

/// Events by the values of some columns, before and after.
#[derive(Default)]
pub(crate) struct Lookup {
    by: HashMap<Key, Vec<usize>>,
    /// Events that do not tell them.
    unknown: Vec<usize>,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has another value than before, or came.
    Changed,
    /// It is gone.
    Gone,
    /// It has another key.
    Moved(Key),
}

impl<'c> Changes<'c> {
    pub(crate) fn of(tables: &Tables, events: impl Iterator<Item = &'c Event>, is_late: bool) -> Self {
        let mut changes: HashMap<usize, TableChanges<'c>> = HashMap::new();
        for event in events {
            if let Some(table) = tables.of_event(event.watched()) {
                let changes = changes.entry(table).or_default();
                changes.is_late = is_late;
                if event.op() == Op::Truncate {
                    changes.truncated_at = Some(changes.events.len());
                }
                changes.events.push(event);
            }
        }
        Changes { tables: changes }
    }

    pub(crate) fn table(&self, table: Option<usize>) -> Option<&TableChanges<'c>> {
        self.tables.get(&table?)
    }
}

impl<'c> TableChanges<'c> {
    /// Whether all rows were removed at once.
    pub(crate) fn is_truncated(&self) -> bool {
        self.truncated_at.is_some()
    }

    /// The events by these columns.
    pub(crate) fn by(&self, columns: &[&'static str]) -> Arc<Lookup> {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lookups.get(columns) {
            return Arc::clone(known);
        }
        let mut lookup = Lookup::default();
        for (at, event) in self.events.iter().enumerate().filter(|(_, event)| event.op() != Op::Truncate) {
            let [old, new] = both(event, columns);
            if old == Said::Unknown || new == Said::Unknown {
                lookup.unknown.push(at);
            }
            let is_one = old == new;
            for side in [Some(old), Some(new).filter(|_| !is_one)].into_iter().flatten() {
                if let Said::Key(key) = side {
                    lookup.by.entry(key).or_default().push(at);
                }
            }
        }
        let lookup = Arc::new(lookup);
        lookups.insert(columns.to_vec(), Arc::clone(&lookup));
        lookup
    }

    /// The events whose rows have, had, or may have had these values.
    pub(crate) fn at<'t>(&'t self, lookup: &'t Lookup, key: &Key) -> impl Iterator<Item = &'c Event> + 't {
        let known = lookup.by.get(key).into_iter().flatten();
        known.chain(&lookup.unknown).map(|at| self.events[*at])
    }

    /// What became of the row with this key. `None` if nothing happened to it.
    pub(crate) fn fate(&self, schema: &'static Schema, key: &Key) -> Option<Fate> {
        match self.told(schema, key) {
            Some(Fate::Gone | Fate::Moved(_)) if self.is_late => Some(Fate::Changed),
            fate => fate,
        }
    }

    fn told(&self, schema: &'static Schema, key: &Key) -> Option<Fate> {
        let columns = names(schema, schema.primary_key);
        let lookup = self.by(&columns);
        let mut fate = self.truncated_at.map(|_| Fate::Gone);
        let Some(events) = lookup.by.get(key) else { return fate };
        for at in events.iter().filter(|at| self.truncated_at.is_none_or(|truncated| **at > truncated)) {
            let event = self.events[*at];
            let [old, new] = both(event, &columns);
            fate = Some(match (old, new) {
                (Said::Key(old), Said::Key(new)) if old == *key && new != *key => self.end_of(&columns, *at, new),
                (_, Said::Key(_)) => Fate::Changed,
                _ => Fate::Gone,
            });
        }
        fate
    }

    /// Where a row ended that got another key by this event.
    fn end_of(&self, columns: &[&'static str], at: usize, mut key: Key) -> Fate {
        for event in &self.events[at + 1..] {
            if let [Said::Key(old), new] = both(event, columns)
                && old == key
            {
                match new {
                    Said::Key(new) => key = new,
                    _ => return Fate::Gone,
                }
            }
        }
        Fate::Moved(key)
    }

    /// The keys of rows that are there after the commit and were not before it, in the order in which they came. A row that
    /// got another key may be one of them: its insertion may have been applied when it was gone from its old key.
    pub(crate) fn arrived(&self, schema: &'static Schema, with_moved: bool) -> Vec<Key> {
        let mut arrived = Vec::new();
        let mut seen = HashSet::new();
        for event in self.events.iter().filter(|event| event.op() == Op::Insert || (with_moved && event.moved())) {
            let [_, new] = both(event, &names(schema, schema.primary_key));
            let Said::Key(key) = new else { continue };
            let end = match self.fate(schema, &key) {
                Some(Fate::Moved(key)) => key,
                Some(Fate::Gone) => continue,
                _ => key,
            };
            if seen.insert(end.clone()) {
                arrived.push(end);
            }
        }
        arrived
    }

    /// The keys of all rows that the commit leaves in the table with another value, or with none.
    pub(crate) fn touched(&self, schema: &'static Schema) -> Vec<Key> {
        let columns = names(schema, schema.primary_key);
        let mut touched: Vec<Key> = Vec::new();
        let mut seen = HashSet::new();
        for event in &self.events {
            for side in both(event, &columns) {
                if let Said::Key(key) = side
                    && seen.insert(key.clone())
                {
                    touched.push(key);
                }
            }
        }
        touched
    }
}
