//! Named steps that run in one transaction.

mod error;
mod results;
mod run;
mod work;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::changeset::{Changeset, NewRow, OldRow};
use crate::conflict::{OnConflict, Upserted};
use crate::error::{Error, Result};
use crate::from_row::FromRow;
use crate::query::{IntoQuery, Update};
use crate::schema::Syncable;
use crate::transaction::{TransactionOptions, Tx};

pub use error::MultiError;
pub use results::{MultiResults, MultiStep};
pub(crate) use run::run;
use work::{
    All, Delete, DeleteAll, Exists, Fail, Insert, InsertAll, InsertOrUpdate, Made, One, Put, Run, UpdateAll, UpdateRow,
    Upsert, Work,
};

/// What a step of [`Multi::run`] returns.
pub type MultiFuture<'t, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 't>>;

/// Steps that run one after the other in one transaction, by [`Repo::multi`](crate::Repo::multi): all of them, or nothing
/// stays. They are data until then: put together in several places, looked at, joined.
///
/// Each step has a name, by which errors and logs call it, and gives a [`MultiStep`]: the key to its result, which knows the
/// type. A later step that is made by a function (`insert_with` and its like) reads earlier results by these keys. So a
/// result that no step gives cannot be asked for, and none is ever read as something else; a name could do neither.
///
/// What is wrong whatever the database says (two steps of one name, invalid changesets, queries and options that the
/// server cannot do, a write on a read-only repo) is found before BEGIN is sent. Steps that are made by functions are
/// known only when their turn comes.
///
/// When the future that runs them is dropped, the transaction is rolled back.
///
/// For work that is written down in one place, [`transaction`](crate::Repo::transaction) with `?` reads better.
///
/// ```
/// # use emr_core::{Column, Multi, Repo, Syncable, SyncableExt};
/// # async fn f<Post: Syncable + Clone, Comment: Syncable>(
/// #     repo: &impl Repo, TITLE: Column<Post, String>, POST_ID: Column<Comment, i64>, id: fn(&Post) -> i64,
/// # ) -> emr_core::Result<()> {
/// // With the derived constants: Post::TITLE, Comment::POST_ID
/// let mut multi = Multi::new();
/// let post = multi.insert("post", Post::build().set(TITLE, "Hello"));
/// multi.insert_with("comment", move |done| Ok(Comment::build().set(POST_ID, id(done.get(post)?))));
///
/// match repo.multi(multi).await {
///     Ok(mut done) => drop(done.take(post)?),
///     Err(failed) => println!("{:?} failed: {}", failed.step(), failed.error()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
#[must_use = "steps do nothing until a repo runs them"]
pub struct Multi {
    entries: Vec<Entry>,
    options: TransactionOptions,
}

/// One thing to do.
enum Entry {
    Step { id: u64, name: Cow<'static, str>, work: Box<dyn Work> },
    Merge { name: Cow<'static, str>, make: Make },
    Inspect(Box<dyn FnOnce(&MultiResults) + Send>),
}

type Make = Box<dyn FnOnce(&MultiResults) -> Result<Multi> + Send>;

impl Entry {
    fn name(&self) -> Option<&Cow<'static, str>> {
        match self {
            Entry::Step { name, .. } | Entry::Merge { name, .. } => Some(name),
            Entry::Inspect(_) => None,
        }
    }
}

impl Multi {
    /// No steps.
    pub fn new() -> Self {
        Multi::default()
    }

    /// How the transaction begins. On a transaction, where it is a savepoint, only [`flat`](TransactionOptions::flat) and
    /// a time limit can be said.
    pub fn with_options(mut self, options: TransactionOptions) -> Self {
        self.options = options;
        self
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.names().count()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The names of the steps, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(Entry::name).map(|name| &**name)
    }

    fn step<T>(&mut self, name: impl Into<Cow<'static, str>>, work: impl Work + 'static) -> MultiStep<T> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.entries.push(Entry::Step { id, name: name.into(), work: Box::new(work) });
        MultiStep::of(id)
    }

    /// Inserts a row; the result is the row as it was stored. See [`Repo::insert`](crate::Repo::insert).
    pub fn insert<T: Syncable, R: NewRow<T>>(&mut self, name: impl Into<Cow<'static, str>>, row: R) -> MultiStep<T> {
        self.step(name, Insert::of(row))
    }

    /// As [`insert`](Multi::insert), of a row that is made from earlier results.
    pub fn insert_with<T: Syncable, R: NewRow<T>>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        row: impl FnOnce(&MultiResults) -> Result<R> + Send + 'static,
    ) -> MultiStep<T> {
        self.step(name, Made(move |done: &MultiResults| row(done).map(Insert::of)))
    }

    /// Inserts a row, or does with the stored one what `on_conflict` says. See [`Repo::upsert`](crate::Repo::upsert).
    pub fn upsert<T: Syncable, R: NewRow<T>>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        row: R,
        on_conflict: OnConflict<T>,
    ) -> MultiStep<Upserted<T>> {
        self.step(name, Upsert { row, on_conflict })
    }

    /// As [`upsert`](Multi::upsert), of a row that is made from earlier results.
    pub fn upsert_with<T: Syncable, R: NewRow<T>>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        on_conflict: OnConflict<T>,
        row: impl FnOnce(&MultiResults) -> Result<R> + Send + 'static,
    ) -> MultiStep<Upserted<T>> {
        self.step(name, Made(move |done: &MultiResults| Ok(Upsert { row: row(done)?, on_conflict })))
    }

    /// Writes the changes of a changeset; the result is the row as it was stored. See
    /// [`Repo::update`](crate::Repo::update).
    pub fn update<T: Syncable>(&mut self, name: impl Into<Cow<'static, str>>, changes: Changeset<T>) -> MultiStep<T> {
        self.step(name, UpdateRow(changes))
    }

    /// As [`update`](Multi::update), by a changeset that is made from earlier results.
    pub fn update_with<T: Syncable>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        changes: impl FnOnce(&MultiResults) -> Result<Changeset<T>> + Send + 'static,
    ) -> MultiStep<T> {
        self.step(name, Made(move |done: &MultiResults| changes(done).map(UpdateRow)))
    }

    /// Inserts or updates by a changeset. See [`Repo::insert_or_update`](crate::Repo::insert_or_update).
    pub fn insert_or_update<T: Syncable>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        changes: Changeset<T>,
    ) -> MultiStep<T> {
        self.step(name, InsertOrUpdate(changes))
    }

    /// As [`insert_or_update`](Multi::insert_or_update), by a changeset that is made from earlier results.
    pub fn insert_or_update_with<T: Syncable>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        changes: impl FnOnce(&MultiResults) -> Result<Changeset<T>> + Send + 'static,
    ) -> MultiStep<T> {
        self.step(name, Made(move |done: &MultiResults| changes(done).map(InsertOrUpdate)))
    }

    /// Deletes a row: `row.change()`, with conditions if need be. See [`Repo::delete`](crate::Repo::delete).
    pub fn delete<T: Syncable>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        row: impl OldRow<T> + 'static,
    ) -> MultiStep<()> {
        self.step(name, Delete::of(row))
    }

    /// As [`delete`](Multi::delete), of a row that earlier steps gave.
    pub fn delete_with<T: Syncable, O: OldRow<T> + 'static>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        row: impl FnOnce(&MultiResults) -> Result<O> + Send + 'static,
    ) -> MultiStep<()> {
        self.step(name, Made(move |done: &MultiResults| row(done).map(Delete::of)))
    }

    /// Inserts many rows; the result is how many. See [`Repo::insert_all`](crate::Repo::insert_all).
    pub fn insert_all<T: Syncable, R: NewRow<T>>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        rows: impl IntoIterator<Item = R>,
    ) -> MultiStep<u64> {
        self.step(name, InsertAll::of(rows))
    }

    /// As [`insert_all`](Multi::insert_all), of rows that are made from earlier results.
    pub fn insert_all_with<T: Syncable, R: NewRow<T>>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        rows: impl FnOnce(&MultiResults) -> Result<Vec<R>> + Send + 'static,
    ) -> MultiStep<u64> {
        self.step(name, Made(move |done: &MultiResults| rows(done).map(InsertAll::of)))
    }

    /// Updates all rows of a query; the result is how many. See [`Repo::update_all`](crate::Repo::update_all).
    pub fn update_all<T: Syncable>(&mut self, name: impl Into<Cow<'static, str>>, update: Update<T>) -> MultiStep<u64> {
        self.step(name, UpdateAll(update))
    }

    /// As [`update_all`](Multi::update_all), by an update that is made from earlier results.
    pub fn update_all_with<T: Syncable>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        update: impl FnOnce(&MultiResults) -> Result<Update<T>> + Send + 'static,
    ) -> MultiStep<u64> {
        self.step(name, Made(move |done: &MultiResults| update(done).map(UpdateAll)))
    }

    /// Deletes all rows of a query; the result is how many. See [`Repo::delete_all`](crate::Repo::delete_all).
    pub fn delete_all<T: Syncable>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        query: impl IntoQuery<T>,
    ) -> MultiStep<u64> {
        self.step(name, DeleteAll::of(query))
    }

    /// As [`delete_all`](Multi::delete_all), by a query that is made from earlier results.
    pub fn delete_all_with<T: Syncable, Q: IntoQuery<T>>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        query: impl FnOnce(&MultiResults) -> Result<Q> + Send + 'static,
    ) -> MultiStep<u64> {
        self.step(name, Made(move |done: &MultiResults| query(done).map(DeleteAll::of)))
    }

    /// The row of a query that has at most one. See [`Repo::one`](crate::Repo::one).
    pub fn one<R: FromRow + Sync>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        query: impl IntoQuery<R>,
    ) -> MultiStep<Option<R>> {
        self.step(name, One::of(query))
    }

    /// As [`one`](Multi::one), by a query that is made from earlier results.
    pub fn one_with<R: FromRow + Sync, Q: IntoQuery<R>>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        query: impl FnOnce(&MultiResults) -> Result<Q> + Send + 'static,
    ) -> MultiStep<Option<R>> {
        self.step(name, Made(move |done: &MultiResults| query(done).map(One::of)))
    }

    /// All rows of a query. See [`Repo::all`](crate::Repo::all).
    pub fn all<R: FromRow + Sync>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        query: impl IntoQuery<R>,
    ) -> MultiStep<Vec<R>> {
        self.step(name, All::of(query))
    }

    /// As [`all`](Multi::all), by a query that is made from earlier results.
    pub fn all_with<R: FromRow + Sync, Q: IntoQuery<R>>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        query: impl FnOnce(&MultiResults) -> Result<Q> + Send + 'static,
    ) -> MultiStep<Vec<R>> {
        self.step(name, Made(move |done: &MultiResults| query(done).map(All::of)))
    }

    /// Whether a query has a row. See [`Repo::exists`](crate::Repo::exists).
    pub fn exists<R: FromRow>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        query: impl IntoQuery<R>,
    ) -> MultiStep<bool> {
        self.step(name, Exists::of(query))
    }

    /// As [`exists`](Multi::exists), by a query that is made from earlier results.
    pub fn exists_with<R: FromRow, Q: IntoQuery<R>>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        query: impl FnOnce(&MultiResults) -> Result<Q> + Send + 'static,
    ) -> MultiStep<bool> {
        self.step(name, Made(move |done: &MultiResults| query(done).map(Exists::of)))
    }

    /// Runs a function in the transaction, with the results so far. Its error fails the step.
    ///
    /// ```
    /// # use emr_core::{Multi, MultiStep, Repo, Syncable, SyncableExt};
    /// # fn f<Post: Syncable>(multi: &mut Multi) -> MultiStep<u64> {
    /// multi.run("count", |tx, _done| Box::pin(async move { tx.count(Post::query()).await }))
    /// # }
    /// ```
    pub fn run<T, F>(&mut self, name: impl Into<Cow<'static, str>>, work: F) -> MultiStep<T>
    where
        T: Send + Sync + 'static,
        F: for<'t> FnOnce(&'t Tx, &'t MultiResults) -> MultiFuture<'t, T> + Send + 'static,
    {
        self.step(name, Run::of(work))
    }

    /// A value that is there already, among the results.
    pub fn put<T: Send + Sync + 'static>(&mut self, name: impl Into<Cow<'static, str>>, value: T) -> MultiStep<T> {
        self.step(name, Put(value))
    }

    /// A step that is known to fail with this error: then nothing is sent.
    pub fn error(&mut self, name: impl Into<Cow<'static, str>>, error: Error) {
        self.step::<()>(name, Fail(error));
    }

    /// Shows the results so far to a function when its turn comes: for logs and tests.
    pub fn inspect(&mut self, look: impl FnOnce(&MultiResults) + Send + 'static) {
        self.entries.push(Entry::Inspect(Box::new(look)));
    }

    /// The steps of another one after these. Keys to its results stay good.
    pub fn append(&mut self, other: Multi) {
        self.entries.extend(other.entries);
    }

    /// The steps of another one before these. Keys to its results stay good.
    pub fn prepend(&mut self, other: Multi) {
        self.entries.splice(0..0, other.entries);
    }

    /// In this place, the steps that are made from earlier results: as many as these ask for. They are judged as a whole
    /// before the first of them runs; their [options](Multi::with_options) do not count.
    pub fn merge(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        steps: impl FnOnce(&MultiResults) -> Result<Multi> + Send + 'static,
    ) {
        self.entries.push(Entry::Merge { name: name.into(), make: Box::new(steps) });
    }
}

impl fmt::Debug for Multi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Multi ")?;
        f.debug_list().entries(self.names()).finish()
    }
}
