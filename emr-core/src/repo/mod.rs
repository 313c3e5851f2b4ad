//! The one interface to databases.

mod raw;
mod read;
mod statements;
mod stream;
mod write;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_core::Stream;

use crate::changeset::{Changeset, NewRow};
use crate::checkout::Checkout;
use crate::connection::Role;
use crate::error::{Error, Result};
use crate::exec::{CallOptions, Executor, With, bounded};
use crate::expr::{Expr, IntoKey};
use crate::options::{RepoOptions, Timeout};
use crate::query::{IntoQuery, Lock, Update};
use crate::result::QueryResult;
use crate::schema::Syncable;
use crate::transaction::{TransactionOptions, Tx};
use crate::types::ToParam;
use crate::value::Value;

/// The interface to a database: implemented by a [`RepoHandle`](crate::RepoHandle), a transaction ([`Tx`]) and
/// a [`Checkout`], so that code is written once as `fn f(repo: &impl Repo)`.
///
/// **Time.** Every call has a deadline: the repo's `timeout` bounds one statement, waiting for a connection
/// included; [`with_timeout`](Repo::with_timeout) sets another one. When it passes, or when a call's future is
/// dropped, the statement is cancelled at the server and its locks are free within a second. Inside a
/// transaction that ends the transaction.
///
/// **Errors** that every call may return: [`Stopped`](crate::ErrorKind::Stopped),
/// [`ConnectFailed`](crate::ErrorKind::ConnectFailed), [`PoolTimeout`](crate::ErrorKind::PoolTimeout),
/// [`Timeout`](crate::ErrorKind::Timeout), [`ConnectionLost`](crate::ErrorKind::ConnectionLost),
/// [`Transaction`](crate::ErrorKind::Transaction) and [`Database`](crate::ErrorKind::Database). The methods name
/// the others.
///
/// **Cost.** One round trip each unless they say otherwise. SQL is made once and then found by its shape; it is
/// prepared once per connection.
pub trait Repo: Executor {
    /// All rows of a query.
    ///
    /// # Errors
    /// [`Decode`](crate::ErrorKind::Decode) if a column does not fit its field.
    fn all<T: Syncable>(&self, query: impl IntoQuery<T>) -> impl Future<Output = Result<Vec<T>>> + Send {
        let query = query.into_query();
        async move { read::all(self, &query).await }
    }

    /// The row of a query that has at most one.
    ///
    /// # Errors
    /// [`MultipleResults`](crate::ErrorKind::MultipleResults) if it has more (at most two are read).
    fn one<T: Syncable>(&self, query: impl IntoQuery<T>) -> impl Future<Output = Result<Option<T>>> + Send {
        let query = query.into_query();
        async move { read::one(self, query).await }
    }

    /// The row with this primary key; a tuple for a composite one.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) if the schema has no primary key.
    fn get<T: Syncable>(&self, key: impl IntoKey<T::Key>) -> impl Future<Output = Result<Option<T>>> + Send {
        let key = T::key_values(key.into_key());
        async move { read::get(self, key, None).await }
    }

    /// The row for which the condition holds, where at most one may.
    ///
    /// # Errors
    /// [`MultipleResults`](crate::ErrorKind::MultipleResults) if there are more.
    fn get_by<T: Syncable>(&self, condition: Expr<bool>) -> impl Future<Output = Result<Option<T>>> + Send {
        async move { read::one(self, crate::Query::<T>::new().filter(condition)).await }
    }

    /// As [`get`](Repo::get), for a row that must be there.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if it is not.
    fn fetch<T: Syncable>(&self, key: impl IntoKey<T::Key>) -> impl Future<Output = Result<T>> + Send {
        let key = T::key_values(key.into_key());
        async move { read::found(read::get(self, key, None).await?) }
    }

    /// As [`fetch`](Repo::fetch), locking the row until the transaction ends.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) outside a transaction;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the engine has no such lock.
    fn fetch_locked<T: Syncable>(
        &self,
        key: impl IntoKey<T::Key>,
        lock: Lock,
    ) -> impl Future<Output = Result<T>> + Send {
        let key = T::key_values(key.into_key());
        async move { read::found(read::get(self, key, Some(lock)).await?) }
    }

    /// As [`get_by`](Repo::get_by), for a row that must be there.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if it is not, [`MultipleResults`](crate::ErrorKind::MultipleResults) if
    /// there are more.
    fn fetch_by<T: Syncable>(&self, condition: Expr<bool>) -> impl Future<Output = Result<T>> + Send {
        async move { read::found(read::one(self, crate::Query::<T>::new().filter(condition)).await?) }
    }

    /// Whether a query has a row.
    fn exists<T: Syncable>(&self, query: impl IntoQuery<T>) -> impl Future<Output = Result<bool>> + Send {
        let query = query.into_query();
        async move { read::exists(self, &query).await }
    }

    /// How many rows a query has.
    fn count<T: Syncable>(&self, query: impl IntoQuery<T>) -> impl Future<Output = Result<u64>> + Send {
        let query = query.into_query();
        async move { read::count(self, &query).await }
    }

    /// The rows of a query one after the other, fetched in batches: memory stays bounded however slowly they
    /// are taken, and dropping the stream early costs the next user of the connection nothing.
    ///
    /// The stream holds a connection until it ends or is dropped; on a checkout that is the checkout's own, which
    /// is given up if the stream is dropped half way. The timeout bounds each batch. On engines
    /// whose cursors need a transaction it runs in one of its own.
    fn stream<T: Syncable>(&self, query: impl IntoQuery<T>) -> impl Stream<Item = Result<T>> + Send + Unpin + '_ {
        stream::stream(self, query.into_query())
    }

    /// Inserts a row and returns it as the database stored it. The row is a struct, of which all columns are
    /// written (but read-only ones), or a changeset, of which the set ones are.
    ///
    /// # Errors
    /// [`Constraint`](crate::ErrorKind::Constraint), [`Encode`](crate::ErrorKind::Encode) for a value that does not fit
    /// its column; nothing is written then.
    fn insert<T: Syncable, R: NewRow<T>>(&self, row: R) -> impl Future<Output = Result<T>> + Send {
        async move { write::insert(self, row).await }
    }

    /// Inserts many rows, all or none, by the engine's fastest road, and returns how many. No row, no statement.
    ///
    /// # Errors
    /// As [`insert`](Repo::insert).
    fn insert_all<T: Syncable, R: NewRow<T>>(
        &self,
        rows: impl IntoIterator<Item = R>,
    ) -> impl Future<Output = Result<u64>> + Send {
        let rows: Vec<R> = rows.into_iter().collect();
        async move { write::insert_all(self, rows).await }
    }

    /// As [`insert_all`](Repo::insert_all), returning the rows as the database stored them, in the given order.
    fn insert_all_returning<T: Syncable, R: NewRow<T>>(
        &self,
        rows: impl IntoIterator<Item = R>,
    ) -> impl Future<Output = Result<Vec<T>>> + Send {
        let rows: Vec<R> = rows.into_iter().collect();
        async move { write::insert_all_returning(self, rows).await }
    }

    /// Writes the changes of a changeset to its row and returns the row as the database stored it. Without
    /// changes nothing is sent and the row comes back as it is.
    ///
    /// # Errors
    /// [`Stale`](crate::ErrorKind::Stale) if no row has the key; [`InvalidCall`](crate::ErrorKind::InvalidCall) for a
    /// changeset without a row (made by `build`); as [`insert`](Repo::insert).
    fn update<T: Syncable>(&self, changes: Changeset<T>) -> impl Future<Output = Result<T>> + Send {
        async move { write::update(self, changes).await }
    }

    /// Updates all rows of a query and returns how many it matched.
    fn update_all<T: Syncable>(&self, update: Update<T>) -> impl Future<Output = Result<u64>> + Send {
        async move { write::update_all(self, &update).await }
    }

    /// Deletes the row with this struct's key.
    ///
    /// # Errors
    /// [`Stale`](crate::ErrorKind::Stale) if no row has it.
    fn delete<T: Syncable>(&self, row: &T) -> impl Future<Output = Result<()>> + Send {
        async move { write::delete(self, row).await }
    }

    /// Deletes all rows of a query and returns how many.
    fn delete_all<T: Syncable>(&self, query: impl IntoQuery<T>) -> impl Future<Output = Result<u64>> + Send {
        let query = query.into_query();
        async move { write::delete_all(self, &query).await }
    }

    /// Runs one statement of raw SQL with the engine's own parameter marks, and returns what it gives.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) for a wrong number of parameters or several statements;
    /// [`Transaction`](crate::ErrorKind::Transaction) for SQL that begins or ends a transaction.
    fn query(&self, sql: &str, params: &[&dyn ToParam]) -> impl Future<Output = Result<QueryResult>> + Send {
        async move { raw::query(self, sql, params).await }
    }

    /// As [`query`](Repo::query), into structs. Columns are found by name; others than the struct's are ignored.
    ///
    /// # Errors
    /// [`Decode`](crate::ErrorKind::Decode) if a column is missing or does not fit; as [`query`](Repo::query).
    fn query_as<T: Syncable>(&self, sql: &str, params: &[&dyn ToParam]) -> impl Future<Output = Result<Vec<T>>> + Send {
        async move { raw::query_as(self, sql, params).await }
    }

    /// Runs any number of statements of raw SQL, without parameters and results. Outside a transaction each
    /// engine has its own rule on what stays when one of them fails.
    ///
    /// # Errors
    /// [`Transaction`](crate::ErrorKind::Transaction) for SQL that begins or ends a transaction.
    fn script(&self, sql: &str) -> impl Future<Output = Result<()>> + Send {
        async move { raw::script(self, sql).await }
    }

    /// Structs from columns and rows that came from elsewhere. Without I/O.
    ///
    /// # Errors
    /// [`Decode`](crate::ErrorKind::Decode) if a column is missing or does not fit.
    fn load<T: Syncable>(&self, result: &QueryResult) -> Result<Vec<T>> {
        result.load()
    }

    /// The SQL that a query would send, and its parameters. Without I/O; before the first connection it is
    /// written for the oldest server that the adapter supports.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) and [`InvalidCall`](crate::ErrorKind::InvalidCall), as the query
    /// itself would.
    fn to_sql<T: Syncable>(&self, query: impl IntoQuery<T>) -> Result<(String, Vec<Value<'static>>)> {
        read::to_sql(self, &query.into_query())
    }

    /// The server's plan for a query, line by line. The query is not run.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the engine shows no plans.
    fn explain<T: Syncable>(&self, query: impl IntoQuery<T>) -> impl Future<Output = Result<QueryResult>> + Send {
        let query = query.into_query();
        async move { read::explain(self, &query).await }
    }

    /// Runs the function in a transaction: commits when it returns `Ok`, rolls back when it returns `Err`, panics,
    /// or is dropped. On a transaction it is a nested one: a savepoint, so that a failure undoes the inner part
    /// only.
    ///
    /// The future is `Send` where the function's is and the repo's type is known; code that is generic over `Repo`
    /// and must be `Send` uses [`begin`](Repo::begin) and [`Tx::commit`]. The repo's timeout bounds each statement,
    /// not the transaction: see [`TransactionOptions::timeout`].
    ///
    /// # Errors
    /// The function's, after the rollback; [`Tx::commit`]'s.
    #[allow(async_fn_in_trait)] // stable Rust cannot declare the future of a generic async closure Send
    async fn transaction<R, F>(&self, work: F) -> Result<R>
    where
        F: AsyncFnOnce(&Tx) -> Result<R>,
    {
        self.transaction_as(TransactionOptions::new(), work).await
    }

    /// As [`transaction`](Repo::transaction), with options, and with the caller's own error type: to roll back with a
    /// value, return it as the error.
    ///
    /// # Errors
    /// As [`transaction`](Repo::transaction).
    #[allow(async_fn_in_trait)] // as above
    async fn transaction_as<R, E, F>(&self, options: TransactionOptions, work: F) -> Result<R, E>
    where
        E: From<Error>,
        F: AsyncFnOnce(&Tx) -> Result<R, E>,
    {
        let tx = self.start(options).await?;
        match work(&tx).await {
            Ok(result) => {
                tx.commit().await?;
                Ok(result)
            }
            Err(error) => {
                // The caller wants to know why the work failed; a connection that broke as well is replaced.
                let _ = tx.rollback().await;
                Err(error)
            }
        }
    }

    /// Begins a transaction that the caller ends by [`Tx::commit`] or [`Tx::rollback`]. Nothing is sent before the first
    /// statement.
    fn begin(&self) -> impl Future<Output = Result<Tx>> + Send {
        self.start(TransactionOptions::new())
    }

    /// As [`begin`](Repo::begin), with options.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for an option that the server does not have.
    fn begin_with(&self, options: TransactionOptions) -> impl Future<Output = Result<Tx>> + Send {
        self.start(options)
    }

    /// Whether calls happen inside a transaction.
    fn in_transaction(&self) -> bool {
        self.is_transaction()
    }

    /// Whether all calls go to one connection.
    fn checked_out(&self) -> bool {
        self.is_pinned()
    }

    /// The settings that the repo was started with, defaults filled in by the adapter not included. Passwords
    /// never show.
    fn config(&self) -> &RepoOptions {
        &self.inner().0.options
    }

    /// What calls go by when they say nothing themselves.
    fn default_options(&self) -> CallOptions {
        self.call_options()
    }

    /// The same repo, with another time for each statement.
    ///
    /// ```
    /// # use emr_core::{Repo, RepoHandle, Timeout};
    /// # async fn f(repo: RepoHandle) -> emr_core::Result<()> {
    /// repo.with_timeout(Timeout::Infinite).query("vacuum", &[]).await?;
    /// # Ok(())
    /// # }
    /// ```
    fn with_timeout(&self, timeout: impl Into<Timeout>) -> With<'_, Self> {
        With { repo: self, options: CallOptions { timeout: timeout.into(), ..self.call_options() } }
    }

    /// The same repo, with another schema or database for tables that name none.
    fn with_prefix(&self, prefix: impl Into<Arc<str>>) -> With<'_, Self> {
        With { repo: self, options: CallOptions { prefix: Some(prefix.into()), ..self.call_options() } }
    }

    /// The same repo, refusing writes.
    fn read_only(&self) -> With<'_, Self> {
        With { repo: self, options: CallOptions { read_only: true, ..self.call_options() } }
    }

    /// Creates the table of a schema: columns, defaults, primary key, unique columns. For tests, quickstarts
    /// and small services; others use [`Migrator`](crate::Migrator).
    fn create_table<T: Syncable>(&self) -> impl Future<Output = Result<()>> + Send {
        async move { raw::create_table(self, T::schema()).await }
    }

    /// Drops the table of a schema; a table that does not exist is an error.
    fn drop_table<T: Syncable>(&self) -> impl Future<Output = Result<()>> + Send {
        async move { raw::drop_table(self, T::schema(), false).await }
    }

    /// Drops the table of a schema if it exists.
    fn drop_table_if_exists<T: Syncable>(&self) -> impl Future<Output = Result<()>> + Send {
        async move { raw::drop_table(self, T::schema(), true).await }
    }

    /// Resets the repo's idle clock. Without I/O.
    ///
    /// # Errors
    /// [`Stopped`](crate::ErrorKind::Stopped).
    fn noop(&self) -> Result<()> {
        let lifecycle = &self.inner().0.lifecycle;
        if lifecycle.is_stopped() {
            return Err(lifecycle.stopped_error());
        }
        lifecycle.touch();
        Ok(())
    }
}

impl<E: Executor> Repo for E {}

impl crate::RepoHandle {
    /// Holds a connection for several calls.
    pub async fn checkout(&self) -> Result<Checkout> {
        let waiting = AtomicBool::new(false);
        let lease = bounded(self, self.call_options().timeout, &waiting, self.lease(Role::Write)).await?;
        waiting.store(true, Ordering::Relaxed);
        let (pooled, activity) = lease.into_pooled()?;
        Ok(Checkout::new(Arc::clone(&self.inner), pooled, activity))
    }
}
