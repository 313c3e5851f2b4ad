//! Rows that were loaded for commits: each once, however many subscribers want it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use emr_core::walk::Spec;
use emr_core::{Record, Result, Schema, Slot, Value};
use quick_cache::Weighter;
use quick_cache::sync::{Cache as Store, GuardResult};

use crate::key::Key;

/// What was loaded: for which commit, and with which preloads.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The struct: two on one table are two.
    pub(crate) schema: &'static Schema,
    /// The association whose rows it is; the row itself where `None`.
    pub(crate) association: Option<usize>,
    /// The key of the row, or the values that the association starts from.
    pub(crate) key: Key,
    pub(crate) shape: Arc<[Spec]>,
    pub(crate) prefix: Option<Arc<str>>,
    /// The commit: what was loaded for it is not older.
    pub(crate) version: u64,
}

impl PartialEq for Wanted {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
            && self.schema == other.schema
            && self.association == other.association
            && self.key == other.key
            && self.prefix == other.prefix
            && (Arc::ptr_eq(&self.shape, &other.shape) || self.shape == other.shape)
    }
}

impl Eq for Wanted {}

impl Hash for Wanted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.version.hash(state);
        self.schema.hash(state);
        self.association.hash(state);
        self.key.hash(state);
        self.prefix.hash(state);
        self.shape.len().hash(state);
    }
}

/// What was found.
#[derive(Clone)]
pub(crate) enum Loaded {
    /// A row; `None` if it is gone.
    Row(Option<Arc<dyn Record>>),
    /// The rows of an association.
    Slot(Arc<dyn Slot>),
}

/// What was found and what it weighs, roughly in bytes. The cache asks often.
#[derive(Clone)]
struct Weighed(Loaded, u64);

impl Weighed {
    fn of(loaded: Loaded) -> Self {
        let weight = match &loaded {
            Loaded::Row(None) => 0,
            Loaded::Row(Some(row)) => of_row(&**row),
            Loaded::Slot(slot) => of_slot(&**slot),
        };
        Weighed(loaded, 192 + weight)
    }
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Wanted, Weighed> for Weigh {
    fn weight(&self, _wanted: &Wanted, held: &Weighed) -> u64 {
        held.1
    }
}

fn of_row(row: &dyn Record) -> u64 {
    let schema = row.schema_of();
    let columns = (0..schema.columns.len()).map(|n| match row.column(n) {
        Value::Text(text) | Value::Json(text) => 24 + text.len() as u64,
        Value::Bytes(bytes) => 24 + bytes.len() as u64,
        _ => 16,
    });
    let slots = (0..schema.associations.len()).filter_map(|n| row.association(n)).map(of_slot);
    columns.sum::<u64>() + slots.sum::<u64>()
}

fn of_slot(slot: &dyn Slot) -> u64 {
    let mut weight = 16;
    slot.for_each(&mut |row| weight += of_row(row));
    weight
}

pub(crate) struct Cache {
    store: Store<Wanted, Weighed, Weigh>,
}

impl Cache {
    /// A cache that holds about so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / 512).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        Cache { store: Store::with_weighter(items, bytes, Weigh) }
    }

    /// What was loaded of all that is wanted, in the same order. What is not there is loaded by one call of `load`, but for
    /// what others are loading just now. An error is nobody's but the caller's: who waited tries anew.
    ///
    /// May be dropped at any await: another who waits takes the loading over.
    pub(crate) async fn get<F>(&self, wanted: &[Wanted], mut load: impl FnMut(Vec<usize>) -> F) -> Result<Vec<Loaded>>
    where
        F: Future<Output = Result<Vec<Loaded>>>,
    {
        let mut found: Vec<Option<Loaded>> = vec![None; wanted.len()];
        let mut own = Vec::new();
        let mut others = Vec::new();
        for (at, key) in wanted.iter().enumerate() {
            match self.store.get_value_or_guard(key, Some(Duration::ZERO)) {
                GuardResult::Value(held) => found[at] = Some(held.0),
                GuardResult::Guard(guard) => own.push((at, guard)),
                // Waiting while others wait for what is loaded here would be for ever.
                GuardResult::Timeout => others.push(at),
            }
        }
        if !own.is_empty() {
            let loaded = load(own.iter().map(|(at, _)| *at).collect()).await?;
            for ((at, guard), loaded) in own.into_iter().zip(loaded) {
                let _ = guard.insert(Weighed::of(loaded.clone()));
                found[at] = Some(loaded);
            }
        }
        for at in others {
            found[at] = Some(match self.store.get_value_or_guard_async(&wanted[at]).await {
                Ok(held) => held.0,
                Err(guard) => {
                    let Some(loaded) = load(vec![at]).await?.pop() else { continue };
                    let _ = guard.insert(Weighed::of(loaded.clone()));
                    loaded
                }
            });
        }
        Ok(found.into_iter().flatten().collect())
    }

    pub(crate) fn clear(&self) {
        self.store.clear();
    }

    /// What it holds, roughly in bytes.
    pub(crate) fn weight(&self) -> u64 {
        self.store.weight()
    }
}
