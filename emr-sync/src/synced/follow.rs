//! Commits on their way into a query's rows.

use std::collections::HashMap;
use std::sync::Arc;

use emr_core::walk::Loader;
use emr_core::{Record, Result, Syncable};

use super::list::List;
use super::run::Runs;
use super::{Synced, digest, place};
use crate::applied::{Applied, ChangeOp};
use crate::engine::Shared;
use crate::key::{Key, same};
use crate::patch::{Columns, Held, Patch};
use crate::target::own;

impl<T: Syncable> Synced<T> {
    /// Applies a commit.
    pub(super) async fn follow(&mut self, shared: &Shared, patch: &Patch<'_>, applied: &mut Applied) -> Result<()> {
        let query = Arc::clone(&self.query);
        let mut columns = HashMap::new();
        let runs = Runs { shared, version: patch.source.version, rule: patch.rule.clone() };
        if query.is_by_key() {
            if patch.changes.table(Some(query.table)).is_some() {
                self.by_key(&runs, patch, &mut columns, applied).await?;
            }
        } else if query.again.iter().any(|table| patch.changes.table(Some(*table)).is_some()) {
            self.again(&runs, patch, &mut columns, applied).await?;
        }
        self.below(shared, patch, &columns, applied).await
    }

    /// Follows the rows that changed by their keys.
    async fn by_key(
        &mut self,
        runs: &Runs<'_>,
        patch: &Patch<'_>,
        columns: &mut HashMap<Key, Vec<usize>>,
        applied: &mut Applied,
    ) -> Result<()> {
        let query = Arc::clone(&self.query);
        let Some(changes) = patch.changes.table(Some(query.table)) else { return Ok(()) };
        let touched = changes.touched(query.schema);
        let most = if query.schema.primary_key.len() > 1 { 200 } else { 5_000 };
        // What is cut away of rows may be what they are ordered by.
        let is_cut_away = runs.rule.as_ref().is_some_and(|rule| rule.cut.is_some());
        if changes.is_truncated() || touched.len() > most || is_cut_away {
            return self.again(runs, patch, columns, applied).await;
        }
        let members = runs.members::<T>(&query, &touched).await?;
        let members: HashMap<Key, Arc<dyn Record>> =
            members.into_iter().map(|row| (Key::of_record(&*row), row)).collect();
        let stays = |key: &Key| match (self.list.get(key), members.get(key)) {
            (Some(held), Some(row)) => {
                query.order_columns.iter().all(|&column| same(&held.value(column), &row.column(column)))
            }
            // Before an offset it may have stood, though it is not held.
            (held, row) => held.is_none() && row.is_none() && query.body.offset.is_none(),
        };
        let (still, others): (Vec<_>, Vec<_>) = touched.into_iter().partition(stays);
        if query.is_cut() && !others.is_empty() {
            return self.again(runs, patch, columns, applied).await;
        }
        for key in still {
            if let (Some(held), Some(row)) = (self.list.get_mut(&key), members.get(&key)) {
                update(held, &**row, &key, columns, applied)?;
            }
        }
        if !others.is_empty() {
            self.rearrange(runs, patch, others, &members, columns, applied).await?;
        }
        Ok(())
    }

    /// Lets rows enter, leave and move.
    async fn rearrange(
        &mut self,
        runs: &Runs<'_>,
        patch: &Patch<'_>,
        others: Vec<Key>,
        members: &HashMap<Key, Arc<dyn Record>>,
        columns: &mut HashMap<Key, Vec<usize>>,
        applied: &mut Applied,
    ) -> Result<()> {
        let query = Arc::clone(&self.query);
        let (mut moved, mut entering) = (HashMap::new(), Vec::new());
        let mut gone = Vec::new();
        for key in others {
            let held = self.take(&key);
            match (held, members.contains_key(&key)) {
                (Some(row), true) => drop(moved.insert(key, row)),
                (Some(_), false) => gone.push(key),
                (None, true) => entering.push(key),
                (None, false) => {}
            }
        }
        let new: Vec<_> = moved.keys().chain(&entering).cloned().collect();
        let places = if new.is_empty() {
            Some(Arc::default())
        } else {
            // Lists of one digest are one list: what was found for one holds for all.
            runs.places(&query, self.digest, place::places(runs, &query, &self.list, &new)).await?
        };
        let places =
            places.filter(|places| places.iter().all(|(key, _)| new.contains(key)) && places.len() == new.len());
        let Some(places) = places else {
            // The rows that were taken out are as good as those that will be loaded: put them back anywhere.
            for (key, row) in moved {
                self.put(None, key, row);
            }
            for key in gone {
                applied.note(ChangeOp::Removed, None, query.schema, &key);
            }
            return self.again(runs, patch, columns, applied).await;
        };
        for key in gone {
            applied.note(ChangeOp::Removed, None, query.schema, &key);
        }
        let mut loaded = self.entering(patch, entering, members).await?;
        for (key, after) in places.iter() {
            if let Some(mut row) = moved.remove(key) {
                if let Some(new) = members.get(key) {
                    update(&mut row, &**new, key, columns, applied)?;
                }
                applied.note(ChangeOp::Moved, None, query.schema, key);
                self.put(after.as_ref(), key.clone(), row);
            } else if let Some(row) = loaded.remove(key) {
                applied.note(ChangeOp::Inserted, None, query.schema, key);
                self.put(after.as_ref(), key.clone(), row);
                self.set_index(runs.shared, key)?;
            }
        }
        Ok(())
    }

    /// Rows that enter, with their preloads.
    async fn entering(
        &self,
        patch: &Patch<'_>,
        keys: Vec<Key>,
        members: &HashMap<Key, Arc<dyn Record>>,
    ) -> Result<HashMap<Key, T>> {
        let rows = if self.query.preloads.is_empty() {
            keys.iter().map(|key| members.get(key).cloned()).collect()
        } else {
            patch.rows(Loader::of::<T>(), keys.clone(), &self.query.preloads).await?
        };
        let rows = keys.into_iter().zip(rows).filter_map(|(key, row)| Some((key, row?)));
        rows.map(|(key, row)| Ok((key, own(&*row)?))).collect()
    }

    fn take(&mut self, key: &Key) -> Option<T> {
        let row = self.list.remove(key)?;
        self.digest ^= digest(&self.query, key, &row);
        self.index.remove(key);
        Some(row)
    }

    fn put(&mut self, after: Option<&Key>, key: Key, row: T) {
        self.digest ^= digest(&self.query, &key, &row);
        self.list.insert_after(after, key, row);
    }

    fn set_index(&mut self, shared: &Shared, key: &Key) -> Result<()> {
        match self.list.get(key) {
            Some(row) => {
                let prefix = self.query.prefix.as_deref();
                self.index.set(&shared.tables, prefix, &self.query.preloads, key, row)
            }
            None => Ok(()),
        }
    }

    /// Runs the whole query again, and keeps the rows that stay.
    async fn again(
        &mut self,
        runs: &Runs<'_>,
        patch: &Patch<'_>,
        columns: &mut HashMap<Key, Vec<usize>>,
        applied: &mut Applied,
    ) -> Result<()> {
        let query = Arc::clone(&self.query);
        let rows = runs.all::<T>(&query).await?;
        let members: HashMap<Key, Arc<dyn Record>> =
            rows.iter().map(|row| (Key::of_record(&**row), Arc::clone(row))).collect();
        let order: Vec<_> = rows.iter().map(|row| Key::of_record(&**row)).collect();
        let places: HashMap<Key, usize> =
            self.list.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect();
        let new = order.iter().filter(|key| !places.contains_key(*key)).cloned().collect();
        let mut loaded = self.entering(patch, new, &members).await?;
        let mut furthest = None;
        let mut list = List::default();
        for key in order {
            let Some(new) = members.get(&key) else { continue };
            let row = if let Some(mut row) = self.list.remove(&key) {
                let mut cut = None;
                if let Some(rule) = runs.rule.as_ref().filter(|rule| rule.cut.is_some()) {
                    let mut own = new.bare()?;
                    rule.cut(&mut *own)?;
                    cut = Some(own);
                }
                update(&mut row, cut.as_deref().unwrap_or(&**new), &key, columns, applied)?;
                let at = places.get(&key).copied();
                if furthest > at {
                    applied.note(ChangeOp::Moved, None, query.schema, &key);
                }
                furthest = furthest.max(at);
                row
            } else {
                let Some(mut row) = loaded.remove(&key) else { continue };
                if let Some(rule) = &runs.rule {
                    rule.cut(&mut row)?;
                }
                applied.note(ChangeOp::Inserted, None, query.schema, &key);
                row
            };
            list.push(key, row);
        }
        for (key, _) in self.list.iter() {
            applied.note(ChangeOp::Removed, None, query.schema, key);
        }
        self.list = list;
        self.index_all(runs.shared)
    }

    /// Patches what is preloaded, in the rows that the commit reaches.
    async fn below(
        &mut self,
        shared: &Shared,
        patch: &Patch<'_>,
        columns: &HashMap<Key, Vec<usize>>,
        applied: &mut Applied,
    ) -> Result<()> {
        let query = Arc::clone(&self.query);
        if query.preloads.is_empty() {
            return Ok(());
        }
        let reached = self.index.reached(&patch.changes);
        let mut changed = Columns::new();
        let mut held = Vec::new();
        let mut keys = Vec::new();
        let mut add = |key: &Key, row| {
            if let Some(columns) = columns.get(key) {
                changed.insert(held.len(), columns.clone());
            }
            keys.push(key.clone());
            held.push(Held { row, above: None });
        };
        match &reached {
            None => {
                for (key, row) in self.list.iter_mut() {
                    add(key, row);
                }
            }
            Some(reached) => {
                let all = self.list.iter_mut_of(reached.iter().chain(columns.keys()));
                for (key, row) in all {
                    add(&key, row);
                }
            }
        }
        patch.slots(held, &query.preloads, &changed, applied).await?;
        keys.iter().try_for_each(|key| self.set_index(shared, key))
    }
}

/// Gives a row the columns of another, and notes which were others.
fn update<T: Syncable>(
    held: &mut T,
    row: &dyn Record,
    key: &Key,
    columns: &mut HashMap<Key, Vec<usize>>,
    applied: &mut Applied,
) -> Result<()> {
    let is_other = |column: &usize| !same(&held.value(*column), &row.column(*column));
    let others: Vec<_> = (0..T::schema().columns.len()).filter(is_other).collect();
    if !others.is_empty() {
        held.take_columns(row)?;
        applied.note(ChangeOp::Updated, None, T::schema(), key);
        columns.insert(key.clone(), others);
    }
    Ok(())
}
