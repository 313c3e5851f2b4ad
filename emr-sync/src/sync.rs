//! One instance of the sync engine, as programs see it.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;

use emr_core::walk::{Loader, Spec};
use emr_core::watch::{Event, Token, Watcher};
use emr_core::{Error, IntoPreload, RepoHandle, Result, SyncFault, Syncable};

use crate::applied::Applied;
use crate::builder::Builder;
use crate::delivery::Delivery;
use crate::engine::Engine;
use crate::key::{Said, both, names};
use crate::subject::{Hanging, Subject};
use crate::subscribe::Subscribe;
use crate::target::{From, Patching, Target, Work, own, source};

/// Keeps values in step with the rows behind them: reads the changes of one repo's tables, tells those who subscribed, and applies
/// the changes to their values. Cheap to clone; it runs as long as a clone or an [`Inbox`](crate::Inbox) of it is held.
///
/// ```no_run
/// # use emr_core::{Association, RepoHandle, Repo, Result, Syncable, SyncableExt};
/// # use emr_sync::{Sync, rows};
/// # async fn f<Post: Syncable, Tag: Syncable>(repo: RepoHandle, TAGS: Association<Post, Tag>) -> Result<()> {
/// // With the derived constants: Post::watch().assocs(Post::TAGS)
/// let sync = Sync::builder(&repo).watch(Post::watch().assocs(TAGS)).start().await?;
/// let mut inbox = sync.subscribe(rows::<Post>()).assocs(TAGS).await?;
/// let mut posts = repo.all(Post::query().preload(TAGS)).await?;
/// while let Some(item) = inbox.recv().await {
///     sync.apply(&mut posts, &item?).await?; // one commit at a time
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sync {
    pub(crate) engine: Arc<Engine>,
}

impl Sync {
    /// An instance on this repo, to be configured and started. Several on one repo know nothing of each other.
    pub fn builder(repo: &RepoHandle) -> Builder {
        Builder::new(repo)
    }

    /// Subscribes to rows, in an inbox of its own. When the call returns, no commit is missed that changes them afterwards; one
    /// that came shortly before may be delivered as well, which changes nothing when it is applied. So subscribe first and
    /// load then; a [`Synced`](crate::Synced) value may be loaded first.
    ///
    /// No I/O.
    ///
    /// # Errors
    /// [`NotWatched`](SyncFault::NotWatched), [`NotCarried`](SyncFault::NotCarried), [`BadSetting`](SyncFault::BadSetting) for a mailbox
    /// without room, and the error that ended the instance.
    pub fn subscribe<'v, T, S: Subject<T> + 'v>(&self, subject: S) -> Subscribe<'v, T> {
        Subscribe::new(&self.engine, subject.describe())
    }

    /// The [numbers](crate::Inbox::number) of the inboxes that are subscribed to exactly these rows.
    ///
    /// # Errors
    /// [`NotWatched`](SyncFault::NotWatched).
    pub fn subscriptions<'v, T, S: Subject<T> + 'v>(&self, subject: S) -> Result<Vec<u32>> {
        let described = subject.describe();
        let shared = &self.engine.shared;
        let hanging = Hanging { specs: &[], prefix: described.prefix.as_deref() };
        let mut boxes = Vec::new();
        for (root, _) in &described.roots {
            let interest = root.interest(&shared.tables, described.schema, &hanging)?;
            boxes.extend(shared.routes().boxes_at(&interest));
        }
        boxes.sort_unstable();
        boxes.dedup();
        Ok(boxes)
    }

    /// Applies the changes of an item to a value. Await it: it gives what changed.
    ///
    /// A struct takes the new columns, and what is loaded below it follows its foreign keys; one whose row is gone stays as it is
    /// and is reported [`Removed`](crate::ChangeOp::Removed). An `Option` becomes `None` then, and takes a new row when it is `None`. A
    /// `Vec` loses rows that are gone and gets new ones at its end, each once; an update of a row that is not in it adds nothing.
    /// A [`Synced`](crate::Synced) value is what its query gives. Slots that are not loaded stay so. Applied again, an item
    /// changes nothing.
    ///
    /// Where changes were missed, a struct, an `Option` that holds one, and a `Synced` value are loaded anew.
    ///
    /// Dropped half way or failed, it leaves the value between two states: apply the item again, or [`refresh`](Sync::refresh) it.
    ///
    /// Cost: each row that changed is loaded once for all subscribers, those of one commit and struct by one statement; a slot
    /// whose rows may be others is loaded anew, once for all who hold it.
    ///
    /// # Errors
    /// [`OtherInstance`](SyncFault::OtherInstance) for an item of another one; [`Resync`](SyncFault::Resync) for a `Vec`, and a `None`, if
    /// changes were missed: load it anew; those of reading.
    pub fn apply<'w, T: Syncable, V: Target<T>>(&'w self, value: &'w mut V, item: &'w Delivery) -> Apply<'w, T, V> {
        Apply { sync: self, value, item, preloads: Vec::new(), upserts: false, row: PhantomData }
    }

    /// Loads a value anew, with what is loaded in it: a struct by its key, the rows of a `Vec` by theirs, a
    /// [`Synced`](crate::Synced) value by its query. Rows that are gone leave an `Option` or a `Vec`.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn refresh<T: Syncable, V: Target<T>>(&self, value: &mut V) -> Result<Applied> {
        value.refresh(From(&self.engine.shared)).await
    }

    /// The row of a change as it was when the item came, or a little later; `None` if it is gone by now. Loaded once for all
    /// who ask.
    ///
    /// # Errors
    /// [`OtherInstance`](SyncFault::OtherInstance); [`InvalidCall`](emr_core::ErrorKind::InvalidCall) if the change is not of the table
    /// of `T`; those of reading.
    pub async fn get<T: Syncable>(&self, item: &Delivery, event: &Event) -> Result<Option<T>> {
        let shared = &self.engine.shared;
        self.check(item)?;
        let view = item.followed.view(T::schema());
        let table = shared.tables.need(T::schema(), view.prefix.as_deref())?;
        if shared.tables.of_event(event.watched()) != Some(table) {
            return Err(Error::invalid(format!("a change of `{}` is none of {}", event.table(), T::schema().name)));
        }
        let [old, new] = both(event, &names(T::schema(), T::schema().primary_key));
        let ((Said::Key(key), _) | (Said::NoRow, Said::Key(key))) = (new, old) else { return Ok(None) };
        let source = source(shared, &view, item.version());
        let Some(row) = source.rows(Loader::of::<T>(), vec![key], &Arc::from([])).await?.pop().flatten() else {
            return Ok(None);
        };
        let Some(rule) = &view.rule else { return own(&*row).map(Some) };
        if !rule.allows_row(&*row)? {
            return Ok(None);
        }
        let mut row = own::<T>(&*row)?;
        rule.cut(&mut row)?;
        Ok(Some(row))
    }

    /// Where a reader stands that has all that is committed now: for [`wait`](Sync::wait). One statement.
    ///
    /// # Errors
    /// Those of [`Watcher::head`].
    pub async fn head(&self) -> Result<Token> {
        self.engine.shared.watcher.head().await
    }

    /// Waits until all commits before a token are in the inboxes: to see one's own writes, take [`head`](Sync::head) after the
    /// commit. What did not change a watched table is passed with the next heartbeat at the latest.
    ///
    /// # Errors
    /// What ended the reading of changes.
    pub async fn wait(&self, token: &Token) -> Result<()> {
        self.engine.shared.wait(token).await
    }

    /// What the changes are read by.
    pub fn watcher(&self) -> &Watcher {
        &self.engine.shared.watcher
    }

    /// What runs and what is held.
    pub fn stats(&self) -> SyncStats {
        let shared = &self.engine.shared;
        let routes = shared.routes();
        SyncStats { inboxes: routes.mailboxes().count(), entries: routes.len(), cached_bytes: shared.cache.weight() }
    }

    fn check(&self, item: &Delivery) -> Result<()> {
        if item.followed.instance == self.engine.shared.instance {
            return Ok(());
        }
        Err(Error::sync(SyncFault::OtherInstance))
    }
}

/// What runs in an instance at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncStats {
    /// Inboxes.
    pub inboxes: usize,
    /// Entries in the routing tables.
    pub entries: usize,
    /// What the cache of rows holds, roughly.
    pub cached_bytes: u64,
}

impl fmt::Debug for Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sync").field("watcher", self.watcher()).finish_non_exhaustive()
    }
}

/// Changes about to be applied: see [`Sync::apply`]. Await it.
#[must_use = "nothing is applied until this is awaited"]
pub struct Apply<'w, T, V> {
    sync: &'w Sync,
    value: &'w mut V,
    item: &'w Delivery,
    preloads: Vec<Spec>,
    upserts: bool,
    row: PhantomData<fn() -> T>,
}

impl<T: Syncable, V> Apply<'_, T, V> {
    /// What new rows of the value come with, beside the associations that were subscribed to and those that the other rows have
    /// loaded.
    pub fn preload(mut self, preloads: impl IntoPreload<T>) -> Self {
        self.preloads.extend(emr_core::walk::specs_of(preloads));
        self
    }

    /// Also a row that was updated and is not in a `Vec` is added to it.
    pub fn upsert_on_update(mut self) -> Self {
        self.upserts = true;
        self
    }
}

impl<'w, T: Syncable, V: Target<T>> IntoFuture for Apply<'w, T, V> {
    type Output = Result<Applied>;
    type IntoFuture = Patching<'w>;

    fn into_future(self) -> Patching<'w> {
        let Apply { sync, value, item, preloads, upserts, .. } = self;
        if let Err(error) = sync.check(item) {
            return Box::pin(std::future::ready(Err(error)));
        }
        value.patch(Work { shared: &sync.engine.shared, item, preloads, upserts })
    }
}

impl<T, V> fmt::Debug for Apply<'_, T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apply").field("item", self.item).finish_non_exhaustive()
    }
}
