//! Rows for slots of any number.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use super::{Gathered, SinkMaker, Target, adopted, copied, mismatch};
use crate::association::{Content, Record, Slot, to_many};
use crate::error::Result;
use crate::row::{Cells, Row, RowSink};
use crate::schema::Syncable;
use crate::sinks::unbox;

/// Rows for slots of any number: each owner has a list of its own.
pub(crate) struct Many<T> {
    kept: Vec<Vec<T>>,
    lists: Vec<Vec<T>>,
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Many { kept: Vec::new(), lists: Vec::new() }
    }
}

impl<T: Syncable> Gathered for Many<T> {
    fn group(&self, target: &Target, key: u32, nth: u32) -> usize {
        target.keys.owners(key).start + nth as usize
    }

    fn take(&mut self, slot: &mut dyn Slot) -> Result<usize> {
        let slot = to_many::<T>(slot).ok_or_else(|| mismatch(T::schema()))?;
        self.kept.push(slot.take().unwrap_or_default());
        Ok(self.kept.len() - 1)
    }

    fn is_ours(&mut self, _kept: usize) -> bool {
        true
    }

    fn put_back(&mut self, kept: usize, slot: &mut dyn Slot) {
        if let Some(slot) = to_many::<T>(slot) {
            *slot = Content::list(self.kept.get_mut(kept).map(std::mem::take).unwrap_or_default());
        }
    }

    fn sinks(&self, target: &Arc<Target>, keys: Range<u32>) -> SinkMaker {
        let target = Arc::clone(target);
        Box::new(move || {
            let owners = target.keys.owners_of(&keys);
            let mut lists = Vec::new();
            lists.resize_with(owners.len(), Vec::new);
            Box::new(ManySink::<T> { target: Arc::clone(&target), first: owners.start, lists, rows: 0, filled: 0 })
        })
    }

    fn accept(&mut self, sink: Box<dyn RowSink>) -> Result<()> {
        let mut sink = unbox::<ManySink<T>>(sink)?;
        if self.lists.is_empty() {
            self.lists = sink.lists;
        } else {
            self.lists.append(&mut sink.lists);
        }
        Ok(())
    }

    fn adopt(&mut self, rows: Box<dyn Any + Send>, target: &Target) -> Result<()> {
        for (key, row) in adopted::<T>(rows, target)? {
            let owners = target.keys.owners(key);
            self.lists.resize_with(self.lists.len().max(owners.end), Vec::new);
            for owner in owners.clone().skip(1) {
                self.lists[owner].push(copied(&row)?);
            }
            self.lists[owners.start].push(row);
        }
        Ok(())
    }

    fn copy(&mut self, group: usize, row: &dyn Record) -> Result<()> {
        self.lists.resize_with(self.lists.len().max(group + 1), Vec::new);
        self.lists[group].push(copied(row)?);
        Ok(())
    }

    fn fill(&mut self, group: Option<usize>, slot: &mut dyn Slot) {
        if let Some(slot) = to_many::<T>(slot) {
            let list = group.and_then(|group| self.lists.get_mut(group)).map(std::mem::take);
            *slot = Content::list(list.unwrap_or_default());
        }
    }

    fn rows(&mut self) -> Vec<&mut (dyn Record + 'static)> {
        let all = self.kept.iter_mut().chain(&mut self.lists).flatten();
        all.map(|row| row as &mut (dyn Record + 'static)).collect()
    }
}

struct ManySink<T> {
    target: Arc<Target>,
    /// The number of the owner of the first list.
    first: usize,
    lists: Vec<Vec<T>>,
    rows: usize,
    filled: usize,
}

impl<T: Syncable> RowSink for ManySink<T> {
    fn reads_once(&self) -> bool {
        self.target.keys.have_one_owner_each()
    }

    fn row(&mut self, row: &dyn Row) -> Result<()> {
        let value = T::decode(&mut Cells::new(row, T::schema(), 0))?;
        let Some(key) = self.target.find(&value, row)? else { return Ok(()) };
        let owners = self.target.keys.owners(key);
        // Owners of one key need a row each.
        for owner in owners.clone().skip(1) {
            let value = T::decode(&mut Cells::new(row, T::schema(), 0))?;
            self.push(owner, value);
        }
        self.push(owners.start, value);
        Ok(())
    }
}

impl<T> ManySink<T> {
    fn push(&mut self, owner: usize, row: T) {
        let Some(list) = owner.checked_sub(self.first).and_then(|at| self.lists.get_mut(at)) else { return };
        if list.is_empty() {
            // As many rows as the owners before had: lists that fit need not grow step by step.
            list.reserve_exact((self.rows / self.filled.max(1)).clamp(1, 64));
            self.filled += 1;
        }
        self.rows += 1;
        list.push(row);
    }
}
