//! A subscriber's end.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use emr_core::walk::Spec;
use emr_core::{Error, Record, Result, Schema, SyncFault, Syncable};

use crate::delivery::{Delivery, What};
use crate::engine::{Engine, Shared};
use crate::entry::Entry;
use crate::interest::{Expander, Interest, Source};
use crate::key::Key;
use crate::mailbox::{Mailbox, Next};
use crate::rule::Rule;
use crate::shape;
use crate::subject::{Described, Hanging, Root, Subject};
use crate::subscribe::{Subscribe, SubscribeMore};

/// A subscriber's end: gives what was subscribed to, one item for each commit, however many of its subscriptions match. Dropping it
/// ends them all.
///
/// ```no_run
/// # use emr_core::{Result, Syncable};
/// # use emr_sync::{Sync, rows};
/// # async fn f<Post: Syncable>(sync: Sync, mut posts: Vec<Post>) -> Result<()> {
/// let mut inbox = sync.subscribe(rows::<Post>()).await?;
/// while let Some(item) = inbox.recv().await {
///     sync.apply(&mut posts, &item?).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "changes come only while the inbox is held"]
pub struct Inbox {
    pub(crate) engine: Arc<Engine>,
    pub(crate) followed: Arc<Followed>,
}

/// What an inbox follows.
pub(crate) struct Followed {
    pub(crate) instance: u64,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) subjects: Mutex<Subjects>,
    /// The last commit that was applied.
    applied: AtomicU64,
}

#[derive(Default)]
pub(crate) struct Subjects {
    by_root: HashMap<(usize, Root), Subscribed>,
    next: u32,
    /// What all of them say, by struct; made anew when it is asked for.
    views: HashMap<&'static Schema, View>,
}

/// One root with what hangs on it.
#[derive(Clone)]
pub(crate) struct Subscribed {
    number: u32,
    schema: Option<&'static Schema>,
    specs: Vec<Spec>,
    rule: Option<Arc<Rule>>,
    prefix: Option<Arc<str>>,
}

/// What a subscription is to be.
pub(crate) struct Asked {
    pub(crate) specs: Vec<Spec>,
    pub(crate) rule: Option<Arc<Rule>>,
    pub(crate) prefix: Option<Arc<str>>,
}

/// What an inbox says of the rows of one struct.
#[derive(Default, Clone)]
pub(crate) struct View {
    pub(crate) specs: Vec<Spec>,
    pub(crate) rule: Option<Arc<Rule>>,
    pub(crate) prefix: Option<Arc<str>>,
    /// Rows that nobody held before are told of.
    pub(crate) takes_new: bool,
}

impl Inbox {
    /// The next item. `None` after the last: the stream has ended with the error before it.
    ///
    /// May be dropped at any await: nothing is lost.
    ///
    /// # Errors
    /// What ended the reading of changes, see [`Changes::recv`](emr_core::watch::Changes::recv);
    /// [`Panicked`](emr_core::SyncFault::Panicked) if a predicate of this subscriber did.
    pub async fn recv(&mut self) -> Option<Result<Delivery>> {
        self.give(self.followed.mailbox.next().await)
    }

    /// The next item, if one is there. Also `None` at the end.
    ///
    /// # Errors
    /// As [`recv`](Inbox::recv).
    pub fn try_recv(&mut self) -> Option<Result<Delivery>> {
        self.followed.mailbox.take().and_then(|next| self.give(next))
    }

    fn give(&self, next: Next) -> Option<Result<Delivery>> {
        let what = match next {
            Next::Commit(commit) => What::Commit(commit),
            Next::Resync { reason, version } => What::Resync { reason, version },
            Next::End(error) => return error.map(Err),
        };
        Some(Ok(Delivery { what, followed: Arc::clone(&self.followed) }))
    }

    /// Subscribes to more, in this inbox. What it holds already stays as it is, with more associations if more are named.
    pub fn subscribe<'v, T, S: Subject<T> + 'v>(&self, subject: S) -> SubscribeMore<'v, T> {
        SubscribeMore::new(Subscribe::new(&self.engine, subject.describe()), Arc::clone(&self.followed))
    }

    /// Ends the subscription of these rows, with the associations that were named for them. Returns whether any of them was
    /// subscribed to.
    ///
    /// # Errors
    /// [`NotWatched`](emr_core::SyncFault::NotWatched).
    pub fn unsubscribe<'v, T, S: Subject<T> + 'v>(&self, subject: S) -> Result<bool> {
        let described = subject.describe();
        let shared = &self.engine.shared;
        let mut routes = shared.routes();
        let mut subjects = self.followed.subjects();
        subjects.views.clear();
        let mut is_any = false;
        for (root, _) in described.roots {
            let table = root_table(shared, &root, described.schema, described.prefix.as_deref())?;
            if let Some(subscribed) = subjects.by_root.remove(&(table, root)) {
                routes.remove(self.followed.mailbox.number, subscribed.number);
                is_any = true;
            }
        }
        Ok(is_any)
    }

    /// Whether all of these rows are subscribed to.
    ///
    /// # Errors
    /// [`NotWatched`](emr_core::SyncFault::NotWatched).
    pub fn subscribed<'v, T, S: Subject<T> + 'v>(&self, subject: S) -> Result<bool> {
        let described = subject.describe();
        let subjects = self.followed.subjects();
        for (root, _) in described.roots {
            let table = root_table(&self.engine.shared, &root, described.schema, described.prefix.as_deref())?;
            if !subjects.by_root.contains_key(&(table, root)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is subscribed to: the rows themselves, and what follows from the associations.
    pub fn subscriptions(&self) -> Vec<Entry> {
        self.followed.entries(&self.engine.shared)
    }

    /// The number that stands for the inbox in [`Sync::subscriptions`](crate::Sync::subscriptions).
    pub fn number(&self) -> u32 {
        self.followed.mailbox.number
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.engine.shared.routes().close(self.followed.mailbox.number);
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("number", &self.number()).finish_non_exhaustive()
    }
}

/// The table of a root.
fn root_table(shared: &Shared, root: &Root, schema: Option<&'static Schema>, prefix: Option<&str>) -> Result<usize> {
    Ok(root.interest(&shared.tables, schema, &Hanging { specs: &[], prefix })?.table)
}

impl Followed {
    pub(crate) fn new(instance: u64, mailbox: Arc<Mailbox>) -> Self {
        Followed { instance, mailbox, subjects: Mutex::default(), applied: AtomicU64::new(0) }
    }

    /// Notes that a commit is applied, and says whether a later one was before.
    pub(crate) fn applies(&self, version: u64) -> bool {
        self.applied.fetch_max(version, Ordering::AcqRel) > version
    }

    fn subjects(&self) -> MutexGuard<'_, Subjects> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a subject into the routing tables: from when this returns on, nothing of it is missed.
    pub(crate) fn add(&self, shared: &Shared, described: &Described<'_>, asked: &Asked) -> Result<()> {
        let prefix = asked.prefix.as_deref();
        let schema = described.schema;
        if described.since.is_some_and(|(instance, _)| instance != shared.instance) {
            return Err(Error::sync(SyncFault::OtherInstance));
        }
        if let (Some(rule), Some(schema)) = (&asked.rule, schema) {
            let table = shared.tables.need(schema, prefix)?;
            shared.tables.carries(table, rule.columns.iter().copied(), "the predicate")?;
        }
        // All of it is found out before anything is changed.
        let mut new = Vec::with_capacity(described.roots.len());
        let mut routes = shared.routes();
        let mut subjects = self.subjects();
        for (root, row) in &described.roots {
            let mut specs = asked.specs.clone();
            let table = root_table(shared, root, schema, prefix)?;
            if let Some(known) = subjects.by_root.get(&(table, root.clone())) {
                shape::merge(&mut specs, &known.specs);
            }
            let (interests, is_open) = interests(shared, root, *row, schema, &specs, prefix)?;
            new.push((table, root, specs, interests, is_open));
        }
        subjects.views.clear();
        let mut tables = HashSet::new();
        for (table, root, specs, interests, is_open) in new {
            tables.extend(interests.iter().map(|interest| interest.table));
            let number = if let Some(known) = subjects.by_root.get(&(table, root.clone())) {
                routes.remove(self.mailbox.number, known.number);
                known.number
            } else {
                subjects.next += 1;
                subjects.next
            };
            routes.add(self.mailbox.number, number, &interests, asked.rule.as_ref(), asked.prefix.as_ref());
            if is_open {
                self.mailbox.open();
            }
            let (rule, prefix) = (asked.rule.clone(), asked.prefix.clone());
            subjects.by_root.insert((table, root.clone()), Subscribed { number, schema, specs, rule, prefix });
        }
        if let Some((_, since)) = described.since
            && tables.into_iter().any(|table| routes.is_changed_since(table, since))
        {
            let reason = Arc::from("the value was loaded before it was subscribed to, and changed in between");
            self.mailbox.resync(&reason, shared.version());
        }
        Ok(())
    }

    pub(crate) fn entries(&self, shared: &Shared) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for interest in shared.routes().entries(self.mailbox.number) {
            let entry = Entry::of(&shared.tables, &interest);
            match entries.iter_mut().find(|known| known.is_at(&entry)) {
                Some(known) => known.ops = known.ops.and(entry.ops),
                None => entries.push(entry),
            }
        }
        entries.sort_by_cached_key(|entry| {
            (entry.table.clone(), std::cmp::Reverse(entry.columns.len()), format!("{entry:?}"))
        });
        entries
    }

    /// After changes were missed nothing is known of what came into view: from now on, all is heard of it.
    pub(crate) fn widen(&self, shared: &Shared) -> Result<()> {
        let mut routes = shared.routes();
        let subjects = self.subjects();
        for subscribed in subjects.by_root.values() {
            let Some(schema) = subscribed.schema else { continue };
            let mut expander = Expander::new(&shared.tables, subscribed.prefix.as_deref());
            subscribed.specs.iter().try_for_each(|spec| expander.wide(schema, spec))?;
            let rule = subscribed.rule.as_ref();
            routes.add(self.mailbox.number, subscribed.number, &expander.found, rule, subscribed.prefix.as_ref());
        }
        self.mailbox.open();
        Ok(())
    }

    /// What the inbox says of the rows of a struct.
    pub(crate) fn view(&self, schema: &'static Schema) -> View {
        let mut subjects = self.subjects();
        if let Some(view) = subjects.views.get(schema) {
            return view.clone();
        }
        let mut view = View::default();
        let mut is_first = true;
        for ((_, root), subscribed) in &subjects.by_root {
            if subscribed.schema != Some(schema) {
                continue;
            }
            view.takes_new |= matches!(root, Root::Schema | Root::Inserted);
            shape::merge(&mut view.specs, &subscribed.specs);
            // One that may see everything sees everything.
            view.rule =
                if is_first { subscribed.rule.clone() } else { view.rule.filter(|_| subscribed.rule.is_some()) };
            view.prefix = view.prefix.or_else(|| subscribed.prefix.clone());
            is_first = false;
        }
        subjects.views.insert(schema, view.clone());
        view
    }

    /// Makes the routing tables say exactly what is in view, now that these rows hold all that was told of.
    pub(crate) fn narrow<'r, T: Syncable>(
        &self,
        shared: &Shared,
        rows: impl IntoIterator<Item = &'r T>,
        version: u64,
    ) -> Result<()> {
        if !self.mailbox.is_open.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut routes = shared.routes();
        if !self.mailbox.is_level(version) || routes.is_busy(self.mailbox.number) {
            return Ok(());
        }
        let subjects = self.subjects();
        let mut is_all = true;
        let held: HashMap<Key, &dyn Record> =
            rows.into_iter().map(|row| (Key::of_record(row), row as &dyn Record)).collect();
        for ((_, root), subscribed) in &subjects.by_root {
            let row = match root {
                Root::Row(key) if subscribed.schema == Some(T::schema()) => held.get(key),
                Root::Schema | Root::Label(..) => continue,
                _ => None,
            };
            let Some(row) = row else {
                is_all &= subscribed.specs.is_empty();
                continue;
            };
            let prefix = subscribed.prefix.as_deref();
            let (interests, _) = interests(shared, root, Some(*row), subscribed.schema, &subscribed.specs, prefix)?;
            routes.remove(self.mailbox.number, subscribed.number);
            let rule = subscribed.rule.as_ref();
            routes.add(self.mailbox.number, subscribed.number, &interests, rule, subscribed.prefix.as_ref());
        }
        if is_all {
            self.mailbox.is_open.store(false, Ordering::Release);
        }
        Ok(())
    }
}

/// The entries of a root and of what hangs on it, and whether more may be in view than they say.
fn interests(
    shared: &Shared,
    root: &Root,
    row: Option<&dyn Record>,
    schema: Option<&'static Schema>,
    specs: &[Spec],
    prefix: Option<&str>,
) -> Result<(Vec<Interest>, bool)> {
    let own = root.interest(&shared.tables, schema, &Hanging { specs, prefix })?;
    let mut expander = Expander::new(&shared.tables, prefix);
    expander.found.push(own);
    let Some(schema) = schema else { return Ok((expander.found, false)) };
    match (root, row) {
        (_, Some(row)) => expander.row(schema, specs, &Source::Record(row))?,
        (Root::Row(key), None) => expander.row(schema, specs, &Source::Columns(schema.primary_key, key))?,
        (Root::Inserted, None) => {}
        (_, None) => {
            specs.iter().try_for_each(|spec| expander.wide(schema, spec))?;
            // All there is, and no less later.
            expander.is_open = false;
        }
    }
    Ok((expander.found, expander.is_open))
}
