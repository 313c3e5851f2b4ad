//! Subscribing, with its options.

use std::fmt;
use std::future::{IntoFuture, Ready, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use emr_core::walk::{Spec, Steps};
use emr_core::watch::IntoAssocs;
use emr_core::{Error, IntoColumns, Record, Result, SyncFault, Syncable};

use crate::engine::Engine;
use crate::entry::Entry;
use crate::inbox::{Asked, Followed, Inbox};
use crate::mailbox::Mailbox;
use crate::rule::{Rule, Visible};
use crate::shape;
use crate::subject::{Described, Root};

/// A subscription in the making: see [`Sync::subscribe`](crate::Sync::subscribe). Await it.
#[must_use = "nothing is subscribed to until this is awaited"]
pub struct Subscribe<'v, T> {
    engine: Arc<Engine>,
    described: Described<'v>,
    asked: Asked,
    mailbox: Option<usize>,
    is_state: bool,
    skipped: Option<Arc<str>>,
    row: PhantomData<fn() -> T>,
}

/// A subscription of an inbox that is there: see [`Inbox::subscribe`]. Await it: it gives what the inbox then holds.
#[must_use = "nothing is subscribed to until this is awaited"]
pub struct SubscribeMore<'v, T> {
    new: Subscribe<'v, T>,
    followed: Arc<Followed>,
}

impl<'v, T> Subscribe<'v, T> {
    pub(crate) fn new(engine: &Arc<Engine>, described: Described<'v>) -> Self {
        let asked = Asked { specs: described.specs.clone(), rule: None, prefix: described.prefix.clone() };
        Subscribe {
            engine: Arc::clone(engine),
            described,
            asked,
            mailbox: None,
            is_state: false,
            skipped: None,
            row: PhantomData,
        }
    }

    /// How many commits wait for a slow subscriber; when there are more, it gets one [`Resync`](crate::Delivery::resync) in their
    /// place. Default: [`Builder::mailbox`](crate::Builder::mailbox).
    pub fn mailbox(mut self, commits: usize) -> Self {
        self.mailbox = Some(commits);
        self
    }

    /// Each commit by itself. The default.
    pub fn events(mut self) -> Self {
        self.is_state = false;
        self
    }

    /// Commits that wait come as one: of each row how it was before the first and how it is after the last. It never overflows:
    /// its size is that of the rows that changed.
    pub fn state(mut self) -> Self {
        self.is_state = true;
        self
    }

    /// Leaves out commits of this [origin](emr_core::Repo::with_origin): what one wrote oneself. A value then lacks them.
    pub fn skip_origin(mut self, origin: impl Into<Arc<str>>) -> Self {
        self.skipped = Some(origin.into());
        self
    }

    /// The rows are in the tables of this schema (PostgreSQL, SQL Server) or database (MySQL).
    pub fn prefix(mut self, prefix: impl Into<Arc<str>>) -> Self {
        self.asked.prefix = Some(prefix.into());
        self
    }

    fn start(self) -> Result<Inbox> {
        let shared = &self.engine.shared;
        if let Some(error) = shared.ended() {
            return Err(error);
        }
        let bound = self.mailbox.unwrap_or(shared.mailbox);
        if bound == 0 {
            let problem = "a mailbox holds at least one commit; `state()` keeps the last state only";
            return Err(Error::sync(SyncFault::BadSetting { setting: "mailbox", problem }));
        }
        let bound = (!self.is_state).then_some(bound);
        let mailbox = shared.routes().open(|number| Mailbox::new(number, bound, self.skipped.clone()));
        let followed = Arc::new(Followed::new(shared.instance, mailbox));
        // Dropped on an error, it leaves nothing behind.
        let inbox = Inbox { engine: Arc::clone(&self.engine), followed };
        inbox.followed.add(shared, &self.described, &self.asked)?;
        Ok(inbox)
    }
}

impl<T: Syncable> Subscribe<'_, T> {
    /// Follows associations as well: one, a tuple of them, and chains (`Post::COMMENTS.chain(Comment::AUTHOR)`). Rows that come into
    /// view along them are followed from the commit on that brings them.
    pub fn assocs(mut self, assocs: impl IntoAssocs<T>) -> Self {
        for steps in assocs.into_assocs() {
            shape::merge(&mut self.asked.specs, &nested::<T>(&steps));
        }
        self
    }

    /// Also new rows of the struct, which are followed from then on.
    pub fn inserted(mut self) -> Self {
        self.described.roots.push((Root::Inserted, None));
        self
    }

    /// Only rows for which the predicate holds, over columns that it declares and that the watcher carries. A row that begins to
    /// fit comes as an insertion, one that no longer fits as a deletion, and of others nothing is heard. A predicate that panics
    /// ends the subscription, and shows nothing.
    pub fn visible(
        mut self,
        columns: impl IntoColumns<T>,
        predicate: impl Fn(&Visible<'_>) -> bool + Send + std::marker::Sync + 'static,
    ) -> Self {
        let mut rule = self.rule();
        rule.columns = columns.positions().into_iter().map(|column| T::schema().columns[column].name).collect();
        rule.judge = Some(Arc::new(predicate));
        self.asked.rule = Some(Arc::new(rule));
        self
    }

    /// Changes the subscriber's copy of each row of the struct before it is handed out: takes away what this subscriber may not
    /// see. Others share the loaded row, not what is done to the copy. To-one slots that hold rows of the struct are not changed.
    pub fn project(mut self, projection: impl Fn(&mut T) + Send + std::marker::Sync + 'static) -> Self {
        let mut rule = self.rule();
        rule.cut = Some(Arc::new(move |row: &mut dyn Record| {
            let row: &mut dyn std::any::Any = row;
            if let Some(row) = row.downcast_mut::<T>() {
                projection(row);
            }
        }));
        self.asked.rule = Some(Arc::new(rule));
        self
    }

    fn rule(&self) -> Rule {
        self.asked.rule.as_deref().cloned().unwrap_or_else(|| Rule::of(T::schema()))
    }
}

/// The preloads of one path of associations.
fn nested<T: Syncable>(steps: &Steps) -> Vec<Spec> {
    let mut specs = Vec::new();
    for (at, (owner, def)) in steps.iter().enumerate().rev() {
        let owner_of = if at == 0 { T::schema } else { steps[at - 1].1.related };
        specs = vec![Spec::of_rows(owner_of, crate::interest::position(owner, def), specs)];
    }
    specs
}

impl<T> IntoFuture for Subscribe<'_, T> {
    type Output = Result<Inbox>;
    type IntoFuture = Ready<Result<Inbox>>;

    fn into_future(self) -> Self::IntoFuture {
        ready(self.start())
    }
}

impl<'v, T> SubscribeMore<'v, T> {
    pub(crate) fn new(new: Subscribe<'v, T>, followed: Arc<Followed>) -> Self {
        SubscribeMore { new, followed }
    }

    /// See [`Subscribe::prefix`].
    pub fn prefix(mut self, prefix: impl Into<Arc<str>>) -> Self {
        self.new = self.new.prefix(prefix);
        self
    }
}

impl<T: Syncable> SubscribeMore<'_, T> {
    /// See [`Subscribe::assocs`].
    pub fn assocs(mut self, assocs: impl IntoAssocs<T>) -> Self {
        self.new = self.new.assocs(assocs);
        self
    }

    /// See [`Subscribe::inserted`].
    pub fn inserted(mut self) -> Self {
        self.new = self.new.inserted();
        self
    }

    /// See [`Subscribe::visible`].
    pub fn visible(
        mut self,
        columns: impl IntoColumns<T>,
        predicate: impl Fn(&Visible<'_>) -> bool + Send + std::marker::Sync + 'static,
    ) -> Self {
        self.new = self.new.visible(columns, predicate);
        self
    }
}

impl<T> IntoFuture for SubscribeMore<'_, T> {
    type Output = Result<Vec<Entry>>;
    type IntoFuture = Ready<Result<Vec<Entry>>>;

    fn into_future(self) -> Self::IntoFuture {
        let shared = &self.new.engine.shared;
        let added = self.followed.add(shared, &self.new.described, &self.new.asked);
        ready(added.map(|()| self.followed.entries(shared)))
    }
}

impl<T> fmt::Debug for Subscribe<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe").field("assocs", &self.asked.specs).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SubscribeMore<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.new.fmt(f)
    }
}
