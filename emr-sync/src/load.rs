//! Loads rows and the rows of associations, through the cache.

use std::collections::HashMap;
use std::sync::Arc;

use emr_core::walk::{Loader, Spec, preload};
use emr_core::{Record, RepoHandle, Result, Schema, Slot};

use crate::cache::{Cache, Loaded, Wanted};
use crate::key::Key;

/// Where rows are loaded from, and for which commit.
#[derive(Clone)]
pub(crate) struct Source<'s> {
    pub(crate) repo: &'s RepoHandle,
    pub(crate) cache: &'s Cache,
    pub(crate) prefix: Option<Arc<str>>,
    pub(crate) version: u64,
}

impl Source<'_> {
    /// The rows with these keys and preloads; `None` for each that is gone.
    pub(crate) async fn rows(
        &self,
        loader: Loader,
        keys: Vec<Key>,
        shape: &Arc<[Spec]>,
    ) -> Result<Vec<Option<Arc<dyn Record>>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<_> = keys.into_iter().map(|key| self.wanted((loader.schema())(), None, key, shape)).collect();
        let load = |at: Vec<usize>| {
            let keys: Vec<_> = at.iter().map(|at| wanted[*at].key.clone()).collect();
            self.load_rows(loader, keys, Arc::clone(shape))
        };
        let found = self.cache.get(&wanted, load).await?;
        Ok(found.into_iter().map(|found| if let Loaded::Row(row) = found { row } else { None }).collect())
    }

    async fn load_rows(&self, loader: Loader, keys: Vec<Key>, shape: Arc<[Spec]>) -> Result<Vec<Loaded>> {
        let values: Vec<_> = keys.iter().map(Key::values).collect();
        let mut rows = loader.by_keys(self.repo, &values, self.prefix.as_deref()).await?;
        if !shape.is_empty() {
            let owners = rows.iter_mut().map(|row| &mut **row).collect();
            preload(self.repo, owners, shape.to_vec(), self.prefix.as_deref()).await?;
        }
        let mut by_key: HashMap<Key, Arc<dyn Record>> =
            rows.into_iter().map(|row| (Key::of_record(&*row), Arc::from(row))).collect();
        Ok(keys.iter().map(|key| Loaded::Row(by_key.remove(key))).collect())
    }

    /// What an association holds for each of these owners, who come as rows without slots.
    pub(crate) async fn slots(
        &self,
        schema: &'static Schema,
        spec: &Spec,
        owners: Vec<(Key, Box<dyn Record>)>,
    ) -> Result<Vec<Arc<dyn Slot>>> {
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        let shape: Arc<[Spec]> = Arc::from([spec.clone()]);
        let (keys, rows): (Vec<_>, Vec<_>) = owners.into_iter().unzip();
        let association = Some(spec.association());
        let wanted: Vec<_> = keys.into_iter().map(|key| self.wanted(schema, association, key, &shape)).collect();
        let load = |at: Vec<usize>| {
            let owners = at.iter().map(|at| rows[*at].bare()).collect::<Result<Vec<_>>>();
            self.load_slots(spec, owners)
        };
        let found = self.cache.get(&wanted, load).await?;
        Ok(found
            .into_iter()
            .filter_map(|found| if let Loaded::Slot(slot) = found { Some(slot) } else { None })
            .collect())
    }

    async fn load_slots(&self, spec: &Spec, owners: Result<Vec<Box<dyn Record>>>) -> Result<Vec<Loaded>> {
        let mut owners = owners?;
        let rows = owners.iter_mut().map(|row| &mut **row).collect();
        preload(self.repo, rows, vec![spec.clone()], self.prefix.as_deref()).await?;
        let slots = owners.iter_mut().filter_map(|owner| owner.association_mut(spec.association()));
        Ok(slots.map(|slot| Loaded::Slot(Arc::from(slot.take()))).collect())
    }

    fn wanted(&self, schema: &'static Schema, association: Option<usize>, key: Key, shape: &Arc<[Spec]>) -> Wanted {
        let (shape, prefix) = (Arc::clone(shape), self.prefix.clone());
        Wanted { schema, association, key, shape, prefix, version: self.version }
    }
}
