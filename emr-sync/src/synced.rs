//! Values that are what their query gives.

mod follow;
mod index;
mod list;
mod place;
mod query;
mod run;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use emr_core::walk::{Loader, body_of, preload};
use emr_core::{Error, IntoKey, IntoQuery, Result, SyncFault, Syncable};

use self::index::Index;
use self::list::List;
use self::query::Followed;
pub(crate) use self::query::Followed as FollowedQuery;
pub(crate) use self::run::{Queries, queries};
use crate::applied::{Applied, ChangeOp};
use crate::engine::Shared;
use crate::inbox::View;
use crate::key::Key;
use crate::subject::{Described, Subject};
use crate::sync::Sync;
use crate::target::{From, Patching, Target, Work};

/// The rows of a query, kept as the query would give them: filter, order, limit and preloads hold.
///
/// The database decides what is in it and in which order, so collations, NULLs and ties are its own; rows that the order leaves
/// equal stand by their keys. Per commit, the query runs once, restricted to the rows that changed, for all who hold the
/// same; with a limit, and where the query joins or groups, it runs as a whole when that may matter. What follows from the time
/// of day alone (`now()`) is not seen.
///
/// A row that changes where it stands costs the same in any list; one that enters, leaves or moves costs some hundred steps in
/// memory, and two statements that find its place.
///
/// It iterates in order; it is no slice.
#[derive(Clone)]
pub struct Synced<T> {
    instance: u64,
    query: Arc<Followed>,
    list: List<T>,
    index: Index,
    /// Of keys and what they are ordered by.
    digest: u64,
    /// The last commit before it was loaded.
    loaded: u64,
}

impl Sync {
    /// The rows of a query, to be kept in step: subscribe to the value, and apply what the inbox gives. What came between the two is
    /// not missed.
    ///
    /// # Errors
    /// [`NotFollowed`](emr_core::SyncFault::NotFollowed) for a query that locks, selects something else than whole structs, reads SQL text, or
    /// preloads by a function; [`NotWatched`](emr_core::SyncFault::NotWatched) for a table that it reads; those of reading.
    pub async fn load<T: Syncable>(&self, query: impl IntoQuery<T>) -> Result<Synced<T>> {
        let shared = &self.engine.shared;
        let query = shared.known(Followed::of(&shared.tables, T::schema(), *body_of(query))?);
        Synced::load(shared, query, &View::default()).await
    }
}

impl<T: Syncable> Synced<T> {
    async fn load(shared: &Shared, query: Arc<Followed>, view: &View) -> Result<Self> {
        let loaded = shared.version();
        let mut rows = Loader::of::<T>().all(&shared.repo, query.body.clone()).await?;
        if let Some(rule) = &view.rule {
            let mut visible = Vec::with_capacity(rows.len());
            for mut row in rows {
                if rule.allows_row(&*row)? {
                    rule.cut(&mut *row)?;
                    visible.push(row);
                }
            }
            rows = visible;
        }
        if !query.preloads.is_empty() {
            let owners = rows.iter_mut().map(|row| &mut **row).collect();
            preload(&shared.repo, owners, query.preloads.to_vec(), query.prefix.as_deref()).await?;
        }
        let rows = rows.into_iter().map(|row| {
            let any: Box<dyn std::any::Any> = row;
            any.downcast::<T>().map(|row| (Key::of_record(&*row), *row))
        });
        let list = List::of(rows.flatten());
        let mut synced = Synced { instance: shared.instance, query, list, index: Index::default(), digest: 0, loaded };
        synced.index_all(shared)?;
        Ok(synced)
    }

    fn index_all(&mut self, shared: &Shared) -> Result<()> {
        self.index = Index::default();
        self.digest = 0;
        let query = Arc::clone(&self.query);
        for (key, row) in self.list.iter() {
            self.digest ^= digest(&query, key, row);
            self.index.set(&shared.tables, query.prefix.as_deref(), &query.preloads, key, row)?;
        }
        Ok(())
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.len() == 0
    }

    /// The row with this key, in constant time.
    pub fn get(&self, key: impl IntoKey<T::Key>) -> Option<&T> {
        self.list.get(&Key::of(T::key_values(key.into_key())))
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.list.iter().map(|(_, row)| row)
    }
}

fn digest<T: Syncable>(query: &Followed, key: &Key, row: &T) -> u64 {
    // Of the same start in all lists, as they are compared.
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    Key::of_columns(row, &query.order_columns).hash(&mut hasher);
    hasher.finish()
}

impl<T: Syncable> Target<T> for Synced<T> {
    fn patch<'w>(&'w mut self, mut work: Work<'w>) -> Patching<'w> {
        Box::pin(async move {
            if self.instance != work.shared.instance {
                return Err(Error::sync(SyncFault::OtherInstance));
            }
            let mut view = work.view::<T>();
            view.prefix.clone_from(&self.query.prefix);
            let mut applied = Applied::default();
            if let Some(patch) = work.patch(&view) {
                self.follow(work.shared, &patch, &mut applied).await?;
            } else {
                work.item.followed.widen(work.shared)?;
                applied = self.reload(work.shared, &view).await?;
            }
            Ok(applied)
        })
    }

    fn refresh<'w>(&'w mut self, From(shared): From<'w>) -> Patching<'w> {
        Box::pin(async move { self.reload(shared, &View::default()).await })
    }
}

impl<T: Syncable> Synced<T> {
    async fn reload(&mut self, shared: &Shared, view: &View) -> Result<Applied> {
        let mut applied = Applied::default();
        let new = Synced::load(shared, Arc::clone(&self.query), view).await?;
        for (key, _) in self.list.iter().filter(|(key, _)| !new.list.contains(key)) {
            applied.note(ChangeOp::Removed, None, T::schema(), key);
        }
        for (key, _) in new.list.iter() {
            let op = if self.list.contains(key) { ChangeOp::Updated } else { ChangeOp::Inserted };
            applied.note(op, None, T::schema(), key);
        }
        *self = new;
        Ok(applied)
    }
}

impl<T: Syncable> Subject<T> for &Synced<T> {
    fn describe<'v>(self) -> Described<'v>
    where
        Self: 'v,
    {
        Described::all_of::<T>((self.instance, self.loaded), self.query.prefix.clone(), self.query.preloads.to_vec())
    }
}

/// Two are equal when their rows are, in their order.
impl<T: Syncable + PartialEq> PartialEq for Synced<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<T: fmt::Debug> fmt::Debug for Synced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter().map(|(_, row)| row)).finish()
    }
}
