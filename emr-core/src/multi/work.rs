//! What a step of a `Multi` does, and what can be said against it beforehand.

use std::marker::PhantomData;

use async_trait::async_trait;

use super::results::Value;
use super::{MultiFuture, MultiResults};
use crate::changeset::{Changeset, NewRow, OldRow};
use crate::conflict::OnConflict;
use crate::error::{Error, Result};
use crate::exec::{AnyRepo, With};
use crate::from_row::FromRow;
use crate::query::{IntoQuery, Query, SelectBody, Update};
use crate::repo::{Repo, check};
use crate::schema::Syncable;
use crate::statement::Statement;
use crate::transaction::Tx;

/// The repo that the steps are to run on.
pub(super) type On<'r> = With<'r, AnyRepo<'r>>;

/// One step.
#[async_trait]
pub(super) trait Work: Send {
    /// Whether it writes, as far as is known.
    fn writes(&self) -> bool {
        false
    }

    /// What is wrong with it whatever the server can do.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// What is wrong with it on this server.
    fn check_on(&self, _repo: &On<'_>) -> Result<()> {
        Ok(())
    }

    /// Does it.
    async fn run(self: Box<Self>, tx: &Tx, done: &MultiResults) -> Result<Value>;
}

/// A step that is made from the results before it.
pub(super) struct Made<F>(pub(super) F);

#[async_trait]
impl<W: Work + 'static, F: FnOnce(&MultiResults) -> Result<W> + Send> Work for Made<F> {
    async fn run(self: Box<Self>, tx: &Tx, done: &MultiResults) -> Result<Value> {
        let work = (self.0)(done)?;
        Box::new(work).run(tx, done).await
    }
}

pub(super) struct Insert<T, R>(R, PhantomData<fn() -> T>);

impl<T, R> Insert<T, R> {
    pub(super) fn of(row: R) -> Self {
        Insert(row, PhantomData)
    }
}

#[async_trait]
impl<T: Syncable, R: NewRow<T>> Work for Insert<T, R> {
    fn writes(&self) -> bool {
        true
    }

    fn check(&self) -> Result<()> {
        self.0.check()?;
        self.0.columns().map(drop)
    }

    fn check_on(&self, repo: &On<'_>) -> Result<()> {
        check::insert::<T, R>(repo, &self.0, None)
    }

    async fn run(self: Box<Self>, tx: &Tx, _: &MultiResults) -> Result<Value> {
        Ok(Box::new(tx.insert::<T, R>(self.0).await?))
    }
}

pub(super) struct Upsert<T, R> {
    pub(super) row: R,
    pub(super) on_conflict: OnConflict<T>,
}

#[async_trait]
impl<T: Syncable, R: NewRow<T>> Work for Upsert<T, R> {
    fn writes(&self) -> bool {
        true
    }

    fn check(&self) -> Result<()> {
        self.row.check()?;
        self.row.columns().map(drop)
    }

    fn check_on(&self, repo: &On<'_>) -> Result<()> {
        check::insert::<T, R>(repo, &self.row, Some(self.on_conflict.conflict()))
    }

    async fn run(self: Box<Self>, tx: &Tx, _: &MultiResults) -> Result<Value> {
        Ok(Box::new(tx.upsert(self.row, self.on_conflict).await?))
    }
}

pub(super) struct UpdateRow<T>(pub(super) Changeset<T>);

#[async_trait]
impl<T: Syncable> Work for UpdateRow<T> {
    fn writes(&self) -> bool {
        true
    }

    fn check(&self) -> Result<()> {
        check::update(&self.0)
    }

    async fn run(self: Box<Self>, tx: &Tx, _: &MultiResults) -> Result<Value> {
        Ok(Box::new(tx.update(self.0).await?))
    }
}

pub(super) struct InsertOrUpdate<T>(pub(super) Changeset<T>);

#[async_trait]
impl<T: Syncable> Work for InsertOrUpdate<T> {
    fn writes(&self) -> bool {
        true
    }

    fn check(&self) -> Result<()> {
        NewRow::check(&self.0)?;
        NewRow::columns(&self.0).map(drop)
    }

    async fn run(self: Box<Self>, tx: &Tx, _: &MultiResults) -> Result<Value> {
        Ok(Box::new(tx.insert_or_update(self.0).await?))
    }
}

pub(super) struct Delete<T, O>(O, PhantomData<fn() -> T>);

impl<T, O> Delete<T, O> {
    pub(super) fn of(row: O) -> Self {
        Delete(row, PhantomData)
    }
}

#[async_trait]
impl<T: Syncable, O: OldRow<T>> Work for Delete<T, O> {
    fn writes(&self) -> bool {
        true
    }

    fn check(&self) -> Result<()> {
        check::delete(&self.0)
    }

    async fn run(self: Box<Self>, tx: &Tx, _: &MultiResults) -> Result<Value> {
        Ok(Box::new(tx.delete(self.0).await?))
    }
}

pub(super) struct InsertAll<T, R>(Vec<R>, PhantomData<fn() -> T>);

impl<T, R> InsertAll<T, R> {
    pub(super) fn of(rows: impl IntoIterator<Item = R>) -> Self {
        InsertAll(rows.into_iter().collect(), PhantomData)
    }
}

#[async_trait]
impl<T: Syncable, R: NewRow<T>> Work for InsertAll<T, R> {
    fn writes(&self) -> bool {
        !self.0.is_empty()
    }

    fn check(&self) -> Result<()> {
        check::insert_all::<T, R>(&self.0)
    }

    async fn run(self: Box<Self>, tx: &Tx, _: &MultiResults) -> Result<Value> {
        Ok(Box::new(tx.insert_all::<T, R>(self.0).await?))
    }
}

pub(super) struct UpdateAll<T>(pub(super) Update<T>);

#[async_trait]
impl<T: Syncable> Work for UpdateAll<T> {
    fn writes(&self) -> bool {
        true
    }

    fn check_on(&self, repo: &On<'_>) -> Result<()> {
        repo.to_sql(&self.0).map(drop)
    }

    async fn run(self: Box<Self>, tx: &Tx, _: &MultiResults) -> Result<Value> {
        Ok(Box::new(tx.update_all(self.0).await?))
    }
}

/// A query, and what its rows are read into.
struct Read<R>(Box<SelectBody>, PhantomData<fn() -> R>);

impl<R> Read<R> {
    fn of(query: impl IntoQuery<R>) -> Self {
        Read(query.into_body(), PhantomData)
    }

    fn check_on(&self, repo: &On<'_>) -> Result<()> {
        check::statement(repo, &Statement::select(self.0.clone()))
    }

    fn query(self) -> Query<R> {
        Query::of_body(*self.0)
    }
}

macro_rules! reads {
    ($($name:ident: $what:ident;)*) => {
        $(
            pub(super) struct $name<R>(Read<R>);

            impl<R> $name<R> {
                pub(super) fn of(query: impl IntoQuery<R>) -> Self {
                    $name(Read::of(query))
                }
            }

            #[async_trait]
            impl<R: FromRow + $what> Work for $name<R> {
                fn check_on(&self, repo: &On<'_>) -> Result<()> {
                    self.0.check_on(repo)
                }

                async fn run(self: Box<Self>, tx: &Tx, _: &MultiResults) -> Result<Value> {
                    let query = self.0.query();
                    reads!(@run $name, tx, query)
                }
            }
        )*
    };
    (@run One, $tx:ident, $query:ident) => { Ok(Box::new($tx.one($query).await?)) };
    (@run All, $tx:ident, $query:ident) => { Ok(Box::new($tx.all($query).await?)) };
    (@run Exists, $tx:ident, $query:ident) => { Ok(Box::new($tx.exists($query).await?)) };
}

reads! {
    One: Sync;
    All: Sync;
    Exists: Send;
}

pub(super) struct DeleteAll<T>(Read<T>);

impl<T> DeleteAll<T> {
    pub(super) fn of(query: impl IntoQuery<T>) -> Self {
        DeleteAll(Read::of(query))
    }
}

#[async_trait]
impl<T: Syncable> Work for DeleteAll<T> {
    fn writes(&self) -> bool {
        true
    }

    fn check_on(&self, repo: &On<'_>) -> Result<()> {
        check::statement(repo, &Statement::delete(self.0.0.clone()))
    }

    async fn run(self: Box<Self>, tx: &Tx, _: &MultiResults) -> Result<Value> {
        Ok(Box::new(tx.delete_all(self.0.query()).await?))
    }
}

pub(super) struct Run<T, F>(F, PhantomData<fn() -> T>);

impl<T, F> Run<T, F> {
    pub(super) fn of(work: F) -> Self {
        Run(work, PhantomData)
    }
}

#[async_trait]
impl<T, F> Work for Run<T, F>
where
    T: Send + Sync + 'static,
    F: for<'t> FnOnce(&'t Tx, &'t MultiResults) -> MultiFuture<'t, T> + Send,
{
    async fn run(self: Box<Self>, tx: &Tx, done: &MultiResults) -> Result<Value> {
        let running = (self.0)(tx, done);
        Ok(Box::new(running.await?))
    }
}

pub(super) struct Put<T>(pub(super) T);

#[async_trait]
impl<T: Send + Sync + 'static> Work for Put<T> {
    async fn run(self: Box<Self>, _: &Tx, _: &MultiResults) -> Result<Value> {
        Ok(Box::new(self.0))
    }
}

pub(super) struct Fail(pub(super) Error);

#[async_trait]
impl Work for Fail {
    fn check(&self) -> Result<()> {
        Err(self.0.share())
    }

    async fn run(self: Box<Self>, _: &Tx, _: &MultiResults) -> Result<Value> {
        Err(self.0)
    }
}
