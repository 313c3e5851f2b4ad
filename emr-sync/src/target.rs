//! Values that changes are applied to.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use emr_core::walk::{Loader, Spec, deep_copy};
use emr_core::{Error, Record, Result, SyncFault, Syncable};

use crate::applied::{Applied, ChangeOp};
use crate::changes::{Changes, Fate};
use crate::delivery::{Delivery, What};
use crate::engine::Shared;
use crate::inbox::View;
use crate::key::Key;
use crate::load::Source;
use crate::patch::{Held, Patch};
use crate::shape;

/// A value that changes are applied to: a struct, an `Option` or a `Vec` of them, a [`Synced`](crate::Synced) value.
#[diagnostic::on_unimplemented(
    message = "changes cannot be applied to `{Self}`",
    label = "expected a struct with #[derive(Syncable)], an `Option` or `Vec` of it, or a `Synced`"
)]
pub trait Target<T>: Send {
    #[doc(hidden)]
    fn patch<'w>(&'w mut self, work: Work<'w>) -> Patching<'w>;

    #[doc(hidden)]
    fn refresh<'w>(&'w mut self, from: From<'w>) -> Patching<'w>;
}

/// Where values are loaded anew from.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct From<'w>(pub(crate) &'w Shared);

/// The changes that applying makes.
#[doc(hidden)]
pub type Patching<'w> = Pin<Box<dyn Future<Output = Result<Applied>> + Send + 'w>>;

/// What is to be applied, and how.
#[doc(hidden)]
pub struct Work<'w> {
    pub(crate) shared: &'w Shared,
    pub(crate) item: &'w Delivery,
    pub(crate) preloads: Vec<Spec>,
    pub(crate) upserts: bool,
}

impl<'w> Work<'w> {
    /// What the inbox that the item came from says of `T`, and the preloads of new rows.
    pub(crate) fn view<T: Syncable>(&mut self) -> View {
        let mut view = self.item.followed.view(T::schema());
        shape::merge(&mut self.preloads, &view.specs);
        view.specs.clone_from(&self.preloads);
        view
    }

    /// The changes on their way into rows of `T`; `None` where changes were missed.
    pub(crate) fn patch(&self, view: &View) -> Option<Patch<'w>> {
        let What::Commit(commit) = &self.item.what else { return None };
        // What was loaded for an item is older than what a later one has brought.
        let is_late = self.item.followed.applies(commit.version);
        let version = if is_late { self.shared.next_version() } else { commit.version };
        let changes = Changes::of(&self.shared.tables, commit.events(), is_late);
        let source = source(self.shared, view, version);
        Some(Patch::new(&self.shared.tables, source, changes, view.rule.clone()))
    }

    /// Notes that these rows now hold what the item told.
    pub(crate) fn done<'r, T: Syncable>(&self, rows: impl IntoIterator<Item = &'r T>) -> Result<()> {
        self.item.followed.narrow(self.shared, rows, self.item.version())
    }
}

pub(crate) fn source<'s>(shared: &'s Shared, view: &View, version: u64) -> Source<'s> {
    Source { repo: &shared.repo, cache: &shared.cache, prefix: view.prefix.clone(), version }
}

/// The owned copy of a loaded row.
pub(crate) fn own<T: Syncable>(row: &dyn Record) -> Result<T> {
    let any: &dyn std::any::Any = row;
    let row = any.downcast_ref::<T>();
    deep_copy(row.ok_or_else(|| Error::invalid(format!("a loaded row is no {}", T::schema().name)))?)
}

fn held<T: Syncable>(row: &mut T) -> Held<'_> {
    Held { row, above: None }
}

/// Loads rows with what is loaded in them, as they are now.
async fn reloaded<T: Syncable>(shared: &Shared, view: &View, rows: &[T]) -> Result<Vec<Option<T>>> {
    let mut shape = view.specs.clone();
    for row in rows {
        shape::add_loaded(&mut shape, T::schema, row);
    }
    let keys: Vec<_> = rows.iter().map(|row| Key::of_record(row)).collect();
    let source = source(shared, view, shared.next_version());
    let found = source.rows(Loader::of::<T>(), keys, &Arc::from(shape)).await?;
    let mut own_rows = Vec::with_capacity(found.len());
    for row in found {
        let visible = match (&row, &view.rule) {
            (Some(row), Some(rule)) => rule.allows_row(&**row)?,
            (row, _) => row.is_some(),
        };
        let Some(row) = row.filter(|_| visible) else {
            own_rows.push(None);
            continue;
        };
        let mut row = own::<T>(&*row)?;
        if let Some(rule) = &view.rule {
            rule.cut(&mut row)?;
        }
        own_rows.push(Some(row));
    }
    Ok(own_rows)
}

async fn refresh_one<T: Syncable>(shared: &Shared, view: &View, row: &mut T, applied: &mut Applied) -> Result<bool> {
    let key = Key::of_record(row);
    let new = reloaded(shared, view, std::slice::from_ref(row)).await?.pop().flatten();
    let op = if new.is_some() { ChangeOp::Updated } else { ChangeOp::Removed };
    applied.note(op, None, T::schema(), &key);
    Ok(new.map(|new| *row = new).is_some())
}

impl<T: Syncable> Target<T> for T {
    fn patch<'w>(&'w mut self, mut work: Work<'w>) -> Patching<'w> {
        Box::pin(async move {
            let mut applied = Applied::default();
            let view = work.view::<T>();
            let Some(patch) = work.patch(&view) else {
                work.item.followed.widen(work.shared)?;
                refresh_one(work.shared, &view, self, &mut applied).await?;
                return Ok(applied);
            };
            let key = Key::of_record(self);
            let gone = match patch.fate(T::schema(), &key) {
                Some(Fate::Gone) => vec![key],
                _ => patch.level(vec![held(self)], &view.specs, &mut applied).await?,
            };
            for key in gone {
                applied.note(ChangeOp::Removed, None, T::schema(), &key);
            }
            work.done([&*self])?;
            Ok(applied)
        })
    }

    fn refresh<'w>(&'w mut self, From(shared): From<'w>) -> Patching<'w> {
        Box::pin(async move {
            let mut applied = Applied::default();
            refresh_one(shared, &View::default(), self, &mut applied).await?;
            Ok(applied)
        })
    }
}

impl<T: Syncable> Target<T> for Option<T> {
    fn patch<'w>(&'w mut self, mut work: Work<'w>) -> Patching<'w> {
        Box::pin(async move {
            let mut applied = Applied::default();
            let view = work.view::<T>();
            let Some(patch) = work.patch(&view) else {
                work.item.followed.widen(work.shared)?;
                let Some(row) = self else { return Err(missed(work.item)) };
                if !refresh_one(work.shared, &view, row, &mut applied).await? {
                    *self = None;
                }
                return Ok(applied);
            };
            let Some(row) = self else {
                let new = arrived::<T>(&patch, &HashSet::new(), view.takes_new, view.specs).await?;
                *self = new.into_iter().next().map(|(_, row)| row);
                if let Some(row) = self {
                    applied.note(ChangeOp::Inserted, None, T::schema(), &Key::of_record(row));
                    work.done([&*row])?;
                }
                return Ok(applied);
            };
            let key = Key::of_record(row);
            let gone = match patch.fate(T::schema(), &key) {
                Some(Fate::Gone) => vec![key],
                _ => patch.level(vec![held(row)], &view.specs, &mut applied).await?,
            };
            for key in gone {
                *self = None;
                applied.note(ChangeOp::Removed, None, T::schema(), &key);
            }
            work.done(self.iter())?;
            Ok(applied)
        })
    }

    fn refresh<'w>(&'w mut self, From(shared): From<'w>) -> Patching<'w> {
        Box::pin(async move {
            let mut applied = Applied::default();
            if let Some(row) = self
                && !refresh_one(shared, &View::default(), row, &mut applied).await?
            {
                *self = None;
            }
            Ok(applied)
        })
    }
}

impl<T: Syncable> Target<T> for Vec<T> {
    fn patch<'w>(&'w mut self, mut work: Work<'w>) -> Patching<'w> {
        Box::pin(async move {
            let mut applied = Applied::default();
            let view = work.view::<T>();
            let Some(patch) = work.patch(&view) else {
                work.item.followed.widen(work.shared)?;
                return Err(missed(work.item));
            };
            let schema = T::schema();
            self.retain(|row| {
                let key = Key::of_record(row);
                let is_gone = patch.fate(schema, &key) == Some(Fate::Gone);
                if is_gone {
                    applied.note(ChangeOp::Removed, None, schema, &key);
                }
                !is_gone
            });
            let gone = patch.level(self.iter_mut().map(held).collect(), &view.specs, &mut applied).await?;
            self.retain(|row| !gone.contains(&Key::of_record(row)));
            for key in gone {
                applied.note(ChangeOp::Removed, None, schema, &key);
            }
            let known: HashSet<_> = self.iter().map(|row| Key::of_record(row)).collect();
            let mut shape = view.specs.clone();
            let mut new = arrived::<T>(&patch, &known, view.takes_new, {
                for row in self.iter() {
                    shape::add_loaded(&mut shape, T::schema, row);
                }
                shape.clone()
            })
            .await?;
            if work.upserts {
                let known: HashSet<_> = known.iter().cloned().chain(new.iter().map(|(key, _)| key.clone())).collect();
                new.extend(updated::<T>(&patch, &known, shape).await?);
            }
            for (key, row) in new {
                applied.note(ChangeOp::Inserted, None, schema, &key);
                self.push(row);
            }
            work.done(self.iter())?;
            Ok(applied)
        })
    }

    fn refresh<'w>(&'w mut self, From(shared): From<'w>) -> Patching<'w> {
        Box::pin(async move {
            let mut applied = Applied::default();
            let found = reloaded(shared, &View::default(), self).await?;
            for (row, new) in std::mem::take(self).into_iter().zip(found) {
                let key = Key::of_record(&row);
                let op = if new.is_some() { ChangeOp::Updated } else { ChangeOp::Removed };
                applied.note(op, None, T::schema(), &key);
                self.extend(new);
            }
            Ok(applied)
        })
    }
}

/// Which rows of a list came meanwhile, nobody can tell.
fn missed(item: &Delivery) -> Error {
    Error::sync(SyncFault::Resync { reason: item.resync().unwrap_or_default().to_owned() })
}

/// The rows that came, but those that are there.
async fn arrived<T: Syncable>(
    patch: &Patch<'_>,
    known: &HashSet<Key>,
    with_moved: bool,
    shape: Vec<Spec>,
) -> Result<Vec<(Key, T)>> {
    let Some(changes) = patch.changes.table(patch.tables.of_schema(T::schema(), patch.prefix())) else {
        return Ok(Vec::new());
    };
    let keys = changes.arrived(T::schema(), with_moved).into_iter().filter(|key| !known.contains(key)).collect();
    loaded(patch, keys, shape).await
}

/// The rows that were changed, but those that are there.
async fn updated<T: Syncable>(patch: &Patch<'_>, known: &HashSet<Key>, shape: Vec<Spec>) -> Result<Vec<(Key, T)>> {
    let schema = T::schema();
    let Some(changes) = patch.changes.table(patch.tables.of_schema(schema, patch.prefix())) else {
        return Ok(Vec::new());
    };
    let is_new = |key: &Key| !known.contains(key) && changes.fate(schema, key) == Some(Fate::Changed);
    loaded(patch, changes.touched(schema).into_iter().filter(is_new).collect(), shape).await
}

async fn loaded<T: Syncable>(patch: &Patch<'_>, keys: Vec<Key>, shape: Vec<Spec>) -> Result<Vec<(Key, T)>> {
    let found = patch.rows(Loader::of::<T>(), keys.clone(), &Arc::from(shape)).await?;
    let rows = keys.into_iter().zip(found).filter_map(|(key, row)| Some((key, row?)));
    rows.map(|(key, row)| Ok((key, own(&*row)?))).collect()
}
