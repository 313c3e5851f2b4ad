//! Several commits as one: of each row, how it was before the first and how it is after the last.

use std::collections::HashMap;
use std::sync::Arc;

use emr_core::watch::{Event, Op, Watched};

use crate::key::{Key, Said, both};

/// Changes on the way to a subscriber who only wants to know the last state. Its size is that of the changed rows, however
/// often they change.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    rows: HashMap<Place, Event>,
    /// What cannot be told by a key.
    others: Vec<Event>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.others.is_empty()
    }

    pub(crate) fn add(&mut self, event: &Event) {
        let table = event.watched();
        if table.keys == 0 {
            return self.keep(event);
        }
        let names: Vec<_> = table.columns[..table.keys].iter().map(|column| &*column.name).collect();
        let [old, new] = both(event, &names);
        match (old, new) {
            (Said::Key(old), Said::Key(new)) => {
                if old != new && self.rows.contains_key(&place(table, new.clone())) {
                    // The row that had this key before is gone, or this would not be its key: two rows, told apart.
                    self.keep(event);
                    return;
                }
                let earlier = self.rows.remove(&place(table, old));
                self.rows.insert(place(table, new), merged(earlier.as_ref(), event));
            }
            (Said::Key(key), Said::NoRow) | (Said::NoRow, Said::Key(key)) => {
                let place = place(table, key);
                let earlier = self.rows.remove(&place);
                self.rows.insert(place, merged(earlier.as_ref(), event));
            }
            _ => self.keep(event),
        }
    }

    fn keep(&mut self, event: &Event) {
        if event.op() == Op::Truncate {
            let table = event.watched();
            self.rows.retain(|(name, prefix, _), _| *name != table.table || *prefix != table.prefix);
            self.others.retain(|other| other.watched().table != table.table || other.op() == Op::Truncate);
            if self.others.iter().any(|other| other.watched().table == table.table) {
                return;
            }
        }
        self.others.push(event.clone());
    }

    /// Takes all of it: TRUNCATEs first, as what came before them was dropped.
    pub(crate) fn drain(&mut self) -> Box<[Event]> {
        let mut events = std::mem::take(&mut self.others);
        events.extend(std::mem::take(&mut self.rows).into_values());
        events.into()
    }
}

/// A row: its table, with the schema that it is in, and its key.
type Place = (Arc<str>, Option<Arc<str>>, Key);

fn place(table: &Arc<Watched>, key: Key) -> Place {
    (Arc::clone(&table.table), table.prefix.clone(), key)
}

fn merged(earlier: Option<&Event>, later: &Event) -> Event {
    let Some(earlier) = earlier else { return later.clone() };
    // How it was before all of them: of a row that came with the first, nothing.
    let old = if earlier.op() == Op::Insert { None } else { earlier.old().cloned() };
    let new = later.new_values().cloned();
    let op = match (&old, &new) {
        (None, Some(_)) => Op::Insert,
        (Some(_), Some(_)) => Op::Update,
        _ => Op::Delete,
    };
    // A row that came and went may have been loaded meanwhile: that it is gone must be told.
    let old = if new.is_none() { old.or_else(|| later.old().cloned()) } else { old };
    Event::new(Arc::clone(later.watched()), op, old, new)
}
