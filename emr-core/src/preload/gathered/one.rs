//! Rows for slots of one.

use std::any::Any;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::{Gathered, SinkMaker, Target, adopted, copied, mismatch};
use crate::association::{Content, Record, Slot, to_one};
use crate::error::Result;
use crate::row::{Cells, Row, RowSink};
use crate::schema::Syncable;
use crate::sinks::unbox;

/// Rows for slots of one: owners of one key share the row.
pub(crate) struct One<T> {
    kept: Vec<Held<T>>,
    /// Where each kept row is, by its address: owners that share it give it once.
    places: HashMap<usize, usize>,
    rows: Vec<Held<T>>,
}

enum Held<T> {
    Nothing,
    Row(T),
    Shared(Arc<T>),
}

impl<T> Held<T> {
    /// The row, from now on for any number of slots.
    fn share(&mut self) -> Option<Arc<T>> {
        if let Held::Row(_) = self
            && let Held::Row(row) = std::mem::replace(self, Held::Nothing)
        {
            *self = Held::Shared(Arc::new(row));
        }
        match self {
            Held::Shared(row) => Some(Arc::clone(row)),
            _ => None,
        }
    }
}

impl<T> Default for One<T> {
    fn default() -> Self {
        One { kept: Vec::new(), places: HashMap::new(), rows: Vec::new() }
    }
}

impl<T: Syncable> One<T> {
    fn put(&mut self, group: usize, row: T) {
        if self.rows.len() <= group {
            self.rows.resize_with(group + 1, || Held::Nothing);
        }
        if let Held::Nothing = self.rows[group] {
            self.rows[group] = Held::Row(row);
        }
    }
}

impl<T: Syncable> Gathered for One<T> {
    fn group(&self, _target: &Target, key: u32, _nth: u32) -> usize {
        key as usize
    }

    fn take(&mut self, slot: &mut dyn Slot) -> Result<usize> {
        let slot = to_one::<T>(slot).ok_or_else(|| mismatch(T::schema()))?;
        let place = self.kept.len();
        match slot.take() {
            None => self.kept.push(Held::Nothing),
            Some(row) => {
                let known = *self.places.entry(Arc::as_ptr(&row).addr()).or_insert(place);
                if known != place {
                    return Ok(known);
                }
                self.kept.push(Held::Shared(row));
            }
        }
        Ok(place)
    }

    fn is_ours(&mut self, kept: usize) -> bool {
        let Some(held) = self.kept.get_mut(kept) else { return false };
        match std::mem::replace(held, Held::Nothing) {
            Held::Shared(row) => match Arc::try_unwrap(row) {
                Ok(row) => *held = Held::Row(row),
                Err(row) => *held = Held::Shared(row),
            },
            other => *held = other,
        }
        !matches!(held, Held::Shared(_))
    }

    fn put_back(&mut self, kept: usize, slot: &mut dyn Slot) {
        if let Some(slot) = to_one::<T>(slot) {
            *slot = Content::of(self.kept.get_mut(kept).and_then(Held::share));
        }
    }

    fn sinks(&self, target: &Arc<Target>, keys: Range<u32>) -> SinkMaker {
        let target = Arc::clone(target);
        Box::new(move || {
            let mut rows = Vec::new();
            rows.resize_with(keys.len(), || Held::Nothing);
            Box::new(OneSink::<T> { target: Arc::clone(&target), first: keys.start, rows })
        })
    }

    fn accept(&mut self, sink: Box<dyn RowSink>) -> Result<()> {
        let mut sink = unbox::<OneSink<T>>(sink)?;
        self.rows.append(&mut sink.rows);
        Ok(())
    }

    fn adopt(&mut self, rows: Box<dyn Any + Send>, target: &Target) -> Result<()> {
        for (key, row) in adopted::<T>(rows, target)? {
            self.put(key as usize, row);
        }
        Ok(())
    }

    fn copy(&mut self, group: usize, row: &dyn Record) -> Result<()> {
        if !matches!(self.rows.get(group), Some(Held::Row(_) | Held::Shared(_))) {
            self.put(group, copied(row)?);
        }
        Ok(())
    }

    fn fill(&mut self, group: Option<usize>, slot: &mut dyn Slot) {
        if let Some(slot) = to_one::<T>(slot) {
            *slot = Content::of(group.and_then(|group| self.rows.get_mut(group)).and_then(Held::share));
        }
    }

    fn rows(&mut self) -> Vec<&mut (dyn Record + 'static)> {
        let all = self.kept.iter_mut().chain(&mut self.rows);
        let rows = all.filter_map(|held| match held {
            Held::Row(row) => Some(row as &mut (dyn Record + 'static)),
            _ => None,
        });
        rows.collect()
    }
}

struct OneSink<T> {
    target: Arc<Target>,
    /// The number of the first key.
    first: u32,
    rows: Vec<Held<T>>,
}

impl<T: Syncable> RowSink for OneSink<T> {
    fn reads_once(&self) -> bool {
        true
    }

    fn row(&mut self, row: &dyn Row) -> Result<()> {
        let value = T::decode(&mut Cells::new(row, T::schema(), 0))?;
        let Some(key) = self.target.find(&value, row)? else { return Ok(()) };
        // Of several rows the first one stays.
        if let Some(held @ Held::Nothing) = key.checked_sub(self.first).and_then(|at| self.rows.get_mut(at as usize)) {
            *held = Held::Row(value);
        }
        Ok(())
    }
}
