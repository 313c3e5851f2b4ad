//! The one interface to databases.

mod aggregate;
mod catalog;
mod change;
pub(crate) mod check;
mod explain;
mod fetch;
mod intercepted;
mod locks;
mod raw;
mod read;
mod reload;
mod reselect;
mod reselect_all;
mod reselect_from;
mod retry;
mod returning;
mod stream;
mod upsert;
mod write;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_core::Stream;

pub use fetch::Fetch;
pub use locks::Transactional;

pub(crate) use change::{delete_in, finish, update_row};
pub(crate) use intercepted::{ask_link, tell_link};
pub(crate) use reload::{chunk_of_keys, of_keys as body_of_keys};
pub(crate) use upsert::upsert_row;
pub(crate) use write::{delete_all as delete_rows, insert_row, refuse_untold, update_rows};

use crate::association::Record;
use crate::changeset::{Changeset, NewRow, OldRow};
use crate::checkout::Checkout;
use crate::conflict::{ColumnList, OnConflict, UpsertCounts, Upserted};
use crate::connection::Role;
use crate::error::{Error, Result};
use crate::exec::{CallOptions, Executor, With, bounded};
use crate::explain::ExplainOptions;
use crate::expr::{Aggregate, Expr, IntoKey};
use crate::from_row::FromRow;
use crate::intercept::{Interceptor, Interceptors};
use crate::multi::{Multi, MultiError, MultiResults};
use crate::options::{RepoOptions, Timeout};
use crate::preload::{IntoPreload, Preloadable};
use crate::query::{IntoQuery, IntoUpdate, Query, Update};
use crate::result::QueryResult;
use crate::schema::Syncable;
use crate::statement::IntoStatement;
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
    fn all<R: FromRow>(&self, query: impl IntoQuery<R>) -> impl Future<Output = Result<Vec<R>>> + Send {
        let query = query.into_body();
        async move { read::all(self, &query).await }
    }

    /// All rows for which the condition holds.
    ///
    /// # Errors
    /// As [`all`](Repo::all).
    fn all_by<T: Syncable>(&self, condition: Expr<bool>) -> impl Future<Output = Result<Vec<T>>> + Send {
        let query = Query::<T>::new().filter(condition).body;
        async move { read::all(self, &query).await }
    }

    /// The row of a query that has at most one.
    ///
    /// # Errors
    /// [`MultipleResults`](crate::ErrorKind::MultipleResults) if it has more (at most two are read).
    fn one<R: FromRow>(&self, query: impl IntoQuery<R>) -> impl Future<Output = Result<Option<R>>> + Send {
        let query = query.into_body();
        async move { read::one(self, query).await }
    }

    /// The row with this primary key; a tuple for a composite one.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) if the schema has no primary key.
    fn get<T: Syncable>(&self, key: impl IntoKey<T::Key>) -> impl Future<Output = Result<Option<T>>> + Send {
        let key = T::key_values(key.into_key());
        async move { read::get(self, T::schema(), &key, None).await }
    }

    /// The row for which the condition holds, where at most one may.
    ///
    /// # Errors
    /// [`MultipleResults`](crate::ErrorKind::MultipleResults) if there are more.
    fn get_by<T: Syncable>(&self, condition: Expr<bool>) -> impl Future<Output = Result<Option<T>>> + Send {
        async move { read::one(self, Query::<T>::new().filter(condition).body).await }
    }

    /// As [`get`](Repo::get), for a row that must be there; on a transaction also with a [lock](Fetch::lock). The future
    /// costs an allocation more.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if it is not.
    fn fetch<T: Syncable>(&self, key: impl IntoKey<T::Key>) -> Fetch<'_, Self, T> {
        Fetch::by_key(self, T::schema(), T::key_values(key.into_key()))
    }

    /// As [`get_by`](Repo::get_by), for a row that must be there; on a transaction also with a [lock](Fetch::lock).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if it is not, [`MultipleResults`](crate::ErrorKind::MultipleResults) if
    /// there are more.
    fn fetch_by<T: Syncable>(&self, condition: Expr<bool>) -> Fetch<'_, Self, T> {
        Fetch::by_query(self, Query::<T>::new().filter(condition).body)
    }

    /// As [`one`](Repo::one), for a row that must be there; on a transaction also with a [lock](Fetch::lock).
    ///
    /// # Errors
    /// As [`fetch_by`](Repo::fetch_by).
    fn fetch_one<R: FromRow>(&self, query: impl IntoQuery<R>) -> Fetch<'_, Self, R> {
        Fetch::by_query(self, query.into_body())
    }

    /// The row with this struct's key as it is now; `None` if it is gone. What was preloaded is not loaded again.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) if the schema has no primary key, or the key is NULL.
    fn reload<T: Syncable>(&self, row: &T) -> impl Future<Output = Result<Option<T>>> + Send {
        async move { reload::reload(self, row).await }
    }

    /// The rows with these structs' keys as they are now, in the order of the structs: `None` for each that is gone.
    /// What was preloaded is not loaded again. No struct, no statement; else one, but for thousands of rows on engines
    /// that do not take a list as one parameter.
    ///
    /// # Errors
    /// As [`reload`](Repo::reload).
    fn reload_all<T: Syncable>(&self, rows: &[T]) -> impl Future<Output = Result<Vec<Option<T>>>> + Send {
        async move { reload::reload_all(self, rows).await }
    }

    /// As [`reload`](Repo::reload), for a row that must still be there.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if it is not; as [`reload`](Repo::reload).
    fn refetch<T: Syncable>(&self, row: &T) -> impl Future<Output = Result<T>> + Send {
        async move { reload::refetch(self, row).await }
    }

    /// As [`reload_all`](Repo::reload_all), for rows that must all still be there.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) with the first key that is not; as [`reload`](Repo::reload).
    fn refetch_all<T: Syncable>(&self, rows: &[T]) -> impl Future<Output = Result<Vec<T>>> + Send {
        async move { reload::refetch_all(self, rows).await }
    }

    /// Whether a query has a row.
    fn exists<R: FromRow>(&self, query: impl IntoQuery<R>) -> impl Future<Output = Result<bool>> + Send {
        let query = query.into_body();
        async move { read::exists(self, &query).await }
    }

    /// How many rows a query has.
    fn count<R: FromRow>(&self, query: impl IntoQuery<R>) -> impl Future<Output = Result<u64>> + Send {
        let query = query.into_body();
        async move { read::count(self, &query).await }
    }

    /// Loads associations of rows that are there: of one, a slice or a `Vec`, with `Option` items too. One statement for
    /// each association and level, those of a level in one round trip where the engine can (in chunks for keys without
    /// number); none where nothing is missing. Loaded slots stay as they are, but preloads go on in them.
    ///
    /// Dropped half way or failed, it leaves slots as they were or filled, never half filled; where several rows shared
    /// one loaded row in which preloads went on, each has its own handle to it again.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) if one association is preloaded with two queries, or a struct lacks
    /// a key column; [`Decode`](crate::ErrorKind::Decode) if a column does not fit its field.
    ///
    /// ```
    /// # use emr_core::{Association, Repo, Result, Syncable};
    /// # async fn f<Post: Syncable, Comment: Syncable, Tag: Syncable, Person: Syncable>(
    /// #     repo: &impl Repo, mut posts: Vec<Post>,
    /// #     COMMENTS: Association<Post, Comment>, TAGS: Association<Post, Tag>, AUTHOR: Association<Comment, Person>,
    /// # ) -> Result<()> {
    /// // With the derived constants: (Post::TAGS, Post::COMMENTS.then(Comment::AUTHOR))
    /// repo.preload(&mut posts, (TAGS, COMMENTS.then(AUTHOR))).await?;
    /// # Ok(())
    /// # }
    /// ```
    fn preload<S: Syncable, R: Preloadable<S> + ?Sized>(
        &self,
        rows: &mut R,
        preloads: impl IntoPreload<S>,
    ) -> impl Future<Output = Result<()>> + Send {
        let mut owners: Vec<&mut (dyn Record + 'static)> = Vec::new();
        rows.each(&mut |row| owners.push(row));
        let specs = preloads.into_preload().specs;
        async move { crate::preload::preload(self, owners, specs, None).await }
    }

    /// One value of all rows of a query: `repo.aggregate(Post::query(), max(Post::VISITS))`. Of no rows it is `None`, but for
    /// counts. What the query selects, and its order unless a limit needs it, do not matter; limit, offset, distinct and
    /// combinations decide first which rows there are, and rows are distinct by what is aggregated.
    ///
    /// ```
    /// # use emr_core::{Column, Repo, SyncableExt, Syncable, functions::{count, sum}};
    /// # async fn f<Post: Syncable>(repo: &impl Repo, VISITS: Column<Post, i64>) -> emr_core::Result<()> {
    /// let visits: Option<i64> = repo.aggregate(Post::query(), sum(VISITS)).await?;
    /// let numbers: i64 = repo.aggregate(Post::query().distinct(), count(VISITS)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) for a query with groups or a lock.
    fn aggregate<R: FromRow, T, O: FromRow>(
        &self,
        query: impl IntoQuery<R>,
        of: Aggregate<T, O>,
    ) -> impl Future<Output = Result<O>> + Send {
        let query = query.into_body();
        async move { aggregate::aggregate(self, query, of).await }
    }

    /// The rows of a query one after the other, fetched in batches: memory stays bounded however slowly they
    /// are taken, and dropping the stream early costs the next user of the connection nothing.
    ///
    /// The stream holds a connection until it ends or is dropped; on a checkout that is the checkout's own, which
    /// is given up if the stream is dropped half way. The timeout bounds each batch. On engines
    /// whose cursors need a transaction it runs in one of its own.
    fn stream<R: FromRow>(&self, query: impl IntoQuery<R>) -> impl Stream<Item = Result<R>> + Send + Unpin + '_ {
        stream::stream(self, query.into_body())
    }

    /// Inserts a row and returns it as the database stored it. The row is a struct, of which all columns are
    /// written (but read-only ones), or a changeset, of which the set ones are, and the associated rows that
    /// [`put_assoc`](Changeset::put_assoc) and [`cast_assoc`](Changeset::cast_assoc) gave it. What is in the slots of a struct is
    /// not written.
    ///
    /// # Errors
    /// [`Validation`](crate::ErrorKind::Validation) for a changeset with errors, before anything is sent, and for a violated
    /// constraint that it declares; [`Constraint`](crate::ErrorKind::Constraint), [`Encode`](crate::ErrorKind::Encode) for a value that does not fit
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

    /// Inserts a row, or does with the stored row that has its key what `on_conflict` says. What became of it is what the
    /// database did: see [`Upserted`]. One statement.
    ///
    /// On PostgreSQL the table may be no view, and no partitioned table of a server older than 17: they have no system columns
    /// to tell a new row by, and the server says so.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) if no unique index has the target's columns;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a change without a target, and for targets that the engine cannot
    /// name; [`Constraint`](crate::ErrorKind::Constraint) if another index than the target's is violated; as
    /// [`insert`](Repo::insert).
    fn upsert<T: Syncable, R: NewRow<T>>(
        &self,
        row: R,
        on_conflict: OnConflict<T>,
    ) -> impl Future<Output = Result<Upserted<T>>> + Send {
        async move { upsert::upsert(self, row, on_conflict).await }
    }

    /// As [`upsert`](Repo::upsert), for many rows, all or none. Returns how many became what.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) if two rows have the same key and `on_conflict` changes rows: nobody knows
    /// which of them should win. With [`nothing`](OnConflict::nothing) the first one does. As [`upsert`](Repo::upsert).
    fn upsert_all<T: Syncable, R: NewRow<T>>(
        &self,
        rows: impl IntoIterator<Item = R>,
        on_conflict: OnConflict<T>,
    ) -> impl Future<Output = Result<UpsertCounts>> + Send {
        let rows: Vec<R> = rows.into_iter().collect();
        async move { upsert::upsert_all(self, rows, on_conflict).await }
    }

    /// As [`upsert_all`](Repo::upsert_all), returning the written rows in the given order; skipped ones are left out.
    fn upsert_all_returning<T: Syncable, R: NewRow<T>>(
        &self,
        rows: impl IntoIterator<Item = R>,
        on_conflict: OnConflict<T>,
    ) -> impl Future<Output = Result<Vec<Upserted<T>>>> + Send {
        let rows: Vec<R> = rows.into_iter().collect();
        async move { upsert::upsert_all_returning(self, rows, on_conflict).await }
    }

    /// Inserts the rows of a query, which selects these columns' values in their order, and returns how many. The rows never
    /// leave the server.
    ///
    /// # Errors
    /// As [`insert`](Repo::insert).
    fn insert_from<T: Syncable, C: ColumnList<T>>(
        &self,
        columns: C,
        query: impl IntoQuery<C::Fields>,
    ) -> impl Future<Output = Result<u64>> + Send {
        let (columns, query) = (columns.into_columns(), query.into_body());
        async move { upsert::insert_from_counted::<T>(self, &columns, &query, None).await }
    }

    /// As [`insert_from`](Repo::insert_from), returning the rows as the database stored them.
    fn insert_from_returning<T: Syncable, C: ColumnList<T>>(
        &self,
        columns: C,
        query: impl IntoQuery<C::Fields>,
    ) -> impl Future<Output = Result<Vec<T>>> + Send {
        let (columns, query) = (columns.into_columns(), query.into_body());
        async move { upsert::insert_from_returning::<T>(self, &columns, &query).await }
    }

    /// As [`insert_from`](Repo::insert_from), and as [`upsert`](Repo::upsert) where keys are taken. Returns how many rows were
    /// inserted or changed.
    ///
    /// # Errors
    /// As [`upsert`](Repo::upsert). Two rows of the query with the same key are an error of the server on PostgreSQL, and the
    /// last one wins on SQLite: let the query be distinct.
    fn upsert_from<T: Syncable, C: ColumnList<T>>(
        &self,
        columns: C,
        query: impl IntoQuery<C::Fields>,
        on_conflict: OnConflict<T>,
    ) -> impl Future<Output = Result<u64>> + Send {
        let (columns, query) = (columns.into_columns(), query.into_body());
        async move { upsert::insert_from_counted::<T>(self, &columns, &query, Some(on_conflict.conflict())).await }
    }

    /// Inserts a changeset that was made by `build`, and updates with one that was made by `change`.
    ///
    /// # Errors
    /// As [`insert`](Repo::insert) and [`update`](Repo::update).
    fn insert_or_update<T: Syncable>(&self, changes: Changeset<T>) -> impl Future<Output = Result<T>> + Send {
        async move { write::insert_or_update(self, changes).await }
    }

    /// Writes the changes of a changeset to its row, and those of its associations, and returns the row as the database
    /// stored it. Without changes nothing is sent and the row comes back as it is.
    ///
    /// # Errors
    /// [`Stale`](crate::ErrorKind::Stale) if no row has the key and meets the changeset's conditions; [`InvalidCall`](crate::ErrorKind::InvalidCall) for a
    /// changeset without a row (made by `build`); as [`insert`](Repo::insert).
    fn update<T: Syncable>(&self, changes: Changeset<T>) -> impl Future<Output = Result<T>> + Send {
        async move { change::update(self, changes).await }
    }

    /// Updates all rows of a query and returns how many it matched.
    fn update_all<T: Syncable>(&self, update: Update<T>) -> impl Future<Output = Result<u64>> + Send {
        async move { write::update_all(self, &update).await }
    }

    /// Updates all rows of a query and returns them, or [what is asked of them](Update::returning), as they are then.
    ///
    /// ```
    /// # use emr_core::{Column, Repo, SyncableExt, Syncable};
    /// # async fn f<Post: Syncable>(
    /// #     repo: &impl Repo, ID: Column<Post, i64>, VISITS: Column<Post, i64>,
    /// # ) -> emr_core::Result<()> {
    /// let posts: Vec<Post> = repo.update_all_returning(Post::query().inc(VISITS, 1)).await?;
    /// let visits: Vec<(i64, i64)> =
    ///     repo.update_all_returning(Post::query().inc(VISITS, 1).returning((ID, VISITS))).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on MySQL and MariaDB.
    fn update_all_returning<R: FromRow>(
        &self,
        update: impl IntoUpdate<R>,
    ) -> impl Future<Output = Result<Vec<R>>> + Send {
        let update = update.into_parts();
        async move { returning::update_all(self, &update).await }
    }

    /// Deletes the row with this struct's key: `&row`, or a changeset of it, for its conditions
    /// ([`optimistic_lock`](Changeset::optimistic_lock)) and declared constraints. What its associations say by
    /// [`on_delete`](crate::OnDelete) is done before, in the same transaction.
    ///
    /// # Errors
    /// [`Stale`](crate::ErrorKind::Stale) if no row has the key and meets the conditions;
    /// [`Constraint`](crate::ErrorKind::Constraint), or [`Validation`](crate::ErrorKind::Validation) if it is declared.
    /// [`MultipleResults`](crate::ErrorKind::MultipleResults) if several rows have the key, because the table lacks the
    /// primary key that the schema tells of: they are deleted then, unless a transaction undoes it.
    fn delete<T: Syncable>(&self, row: impl OldRow<T>) -> impl Future<Output = Result<()>> + Send {
        async move { change::delete(self, row).await }
    }

    /// Deletes the row with this struct's key if it is there, and tells whether it was. What its associations say by
    /// [`on_delete`](crate::OnDelete) is done before, in the same transaction.
    fn delete_if_exists<T: Syncable>(&self, row: &T) -> impl Future<Output = Result<bool>> + Send {
        async move { write::delete_if_exists(self, row).await }
    }

    /// Deletes all rows of a query and returns them, or what the query selects of them.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on MySQL.
    fn delete_all_returning<R: FromRow>(
        &self,
        query: impl IntoQuery<R>,
    ) -> impl Future<Output = Result<Vec<R>>> + Send {
        let query = query.into_body();
        async move { returning::delete_all(self, query).await }
    }

    /// Deletes all rows of a query and returns how many.
    fn delete_all<T: Syncable>(&self, query: impl IntoQuery<T>) -> impl Future<Output = Result<u64>> + Send {
        let query = query.into_body();
        async move { write::delete_all(self, &query).await }
    }

    /// Runs one statement of raw SQL with the engine's own parameter marks, and returns what it gives.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) for a wrong number of parameters or several statements;
    /// [`Transaction`](crate::ErrorKind::Transaction) for SQL that begins, ends or sets up transactions;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) in a transaction for SQL that would commit it (DDL on some engines).
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
    /// [`Transaction`](crate::ErrorKind::Transaction) for SQL that begins, ends or sets up transactions;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) in a transaction for SQL that would commit it (DDL on some engines).
    fn script(&self, sql: &str) -> impl Future<Output = Result<()>> + Send {
        async move { raw::script(self, sql).await }
    }

    /// Runs any number of statements of raw SQL, without parameters, and returns what each of them gives, in their order:
    /// one without rows gives a result without columns. The first that fails ends it; outside a transaction those
    /// before it stay. Cost: at least one round trip per statement where the server has no way to run several and tell
    /// the types of their columns.
    ///
    /// # Errors
    /// [`Transaction`](crate::ErrorKind::Transaction) for SQL that begins, ends or sets up transactions;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) in a transaction for SQL that would commit it (DDL on some engines).
    fn query_many(&self, sql: &str) -> impl Future<Output = Result<Vec<QueryResult>>> + Send {
        async move { raw::query_many(self, sql).await }
    }

    /// Structs from columns and rows that came from elsewhere. Without I/O.
    ///
    /// # Errors
    /// [`Decode`](crate::ErrorKind::Decode) if a column is missing or does not fit.
    fn load<T: Syncable>(&self, result: &QueryResult) -> Result<Vec<T>> {
        result.load()
    }

    /// Whether there is a table or a view of this name where a query would look for it; in the schema or database of
    /// [`with_prefix`](Repo::with_prefix), if that is said.
    fn table_exists(&self, name: &str) -> impl Future<Output = Result<bool>> + Send {
        async move { catalog::table_exists(self, name).await }
    }

    /// The SQL that a query, an update or a [`delete`](crate::Query::delete) would send, and its parameters. Without I/O;
    /// before the first connection it is written for the oldest server that the adapter supports.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) and [`InvalidCall`](crate::ErrorKind::InvalidCall), as the
    /// statement itself would.
    fn to_sql(&self, statement: impl IntoStatement) -> Result<(String, Vec<Value<'static>>)> {
        explain::to_sql(self, &statement.into_statement())
    }

    /// The server's plan for a query, an update or a [`delete`](crate::Query::delete), line by line. It is not run.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the engine shows no plans.
    fn explain(&self, statement: impl IntoStatement) -> impl Future<Output = Result<QueryResult>> + Send {
        self.explain_with(statement, ExplainOptions::new())
    }

    /// As [`explain`](Repo::explain), with options. With [`analyze`](ExplainOptions::analyze) the statement is run, in a
    /// transaction that is rolled back unless [`keep`](ExplainOptions::keep) says otherwise.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) for options that contradict each other,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for those that the engine does not have: nothing was sent then.
    fn explain_with(
        &self,
        statement: impl IntoStatement,
        options: ExplainOptions,
    ) -> impl Future<Output = Result<QueryResult>> + Send {
        let statement = statement.into_statement();
        async move { explain::explain(self, &statement, &options).await }
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

    /// As [`transaction_as`](Repo::transaction_as), with a function that makes the function to run: it makes another one,
    /// to be run from the start and in a new transaction, when the server gave the transaction up in favour of another
    /// one. That is a serialization failure or a deadlock, and nothing else. At most
    /// [`retry`](TransactionOptions::retry) times, three if the options do not say it, each after a short random wait
    /// that doubles from run to run.
    ///
    /// What the function does outside the database it does again: see
    /// [`after_commit`](crate::Transactional::after_commit).
    ///
    /// ```
    /// # use emr_core::{Error, IsolationLevel, Repo, RepoHandle, TransactionOptions};
    /// # async fn f(repo: RepoHandle) -> emr_core::Result<()> {
    /// let options = TransactionOptions::new().isolation(IsolationLevel::Serializable).retry(5);
    /// repo.transaction_retry(options, || async |tx| tx.script("update counters set n = n + 1").await).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// The last run's. [`InvalidCall`](crate::ErrorKind::InvalidCall) on a transaction: the server gives up all of it,
    /// so only the outermost one can run again.
    #[allow(async_fn_in_trait)] // as above
    async fn transaction_retry<R, E, W, F>(&self, options: TransactionOptions, work: F) -> Result<R, E>
    where
        E: From<Error>,
        F: Fn() -> W,
        W: AsyncFnOnce(&Tx) -> Result<R, E>,
    {
        retry::transaction(self, options, work).await
    }

    /// Runs the steps of a [`Multi`] in one transaction, a nested one where there is one already: all of them, or nothing
    /// stays. One without steps sends nothing.
    ///
    /// # Errors
    /// A [`MultiError`] with the step that failed and what was done before it. What is wrong with a step whatever the ones
    /// before it give is found before anything is sent.
    fn multi(&self, multi: Multi) -> impl Future<Output = Result<MultiResults, MultiError>> + Send {
        async move { crate::multi::run(self, multi).await }
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

    /// The same repo, with one more [`Interceptor`], which is asked after those that are there.
    ///
    /// ```
    /// # use emr_core::{Interceptor, RawSql, Reading, Repo, RepoHandle, Result, Syncable, SyncableExt};
    /// struct Tenant(i64);
    ///
    /// impl Interceptor for Tenant {
    ///     fn reading(&self, table: &mut Reading<'_>) -> Result<()> {
    ///         table.filter_eq("tenant_id", self.0).map(drop)
    ///     }
    /// #   fn raw_sql(&self, _: &RawSql<'_>) -> Result<()> { Ok(()) }
    /// }
    ///
    /// # async fn f<Post: Syncable>(repo: RepoHandle) -> Result<()> {
    /// let posts: Vec<Post> = repo.with_interceptor(Tenant(7)).all(Post::query()).await?;
    /// // As a handle of its own, to be kept:
    /// let acme: RepoHandle = repo.with_options(repo.with_interceptor(Tenant(7)).default_options());
    /// # Ok(())
    /// # }
    /// ```
    fn with_interceptor(&self, interceptor: impl Interceptor) -> With<'_, Self> {
        let mut options = self.call_options();
        options.interceptors = options.interceptors.with(interceptor);
        With { repo: self, options }
    }

    /// The same repo, with nobody seeing its queries and writes: the way past all interceptors.
    fn without_interceptors(&self) -> With<'_, Self> {
        With { repo: self, options: CallOptions { interceptors: Interceptors::NONE, ..self.call_options() } }
    }

    /// The same repo, without the interceptors of this type.
    fn without_interceptor<I: Interceptor>(&self) -> With<'_, Self> {
        let mut options = self.call_options();
        options.interceptors = options.interceptors.without::<I>();
        With { repo: self, options }
    }

    /// The same repo, whose writes say who made them: watchers show it as [`Txn::origin`](crate::watch::Txn::origin), so that a program
    /// knows its own writes again. Transactions carry it from their start to their end; inside one that is open already, nothing
    /// changes. A write outside a transaction becomes a transaction of its own.
    ///
    /// 1 to 255 bytes without control characters; else writes are [`InvalidCall`](crate::ErrorKind::InvalidCall). On a backend that carries no origin,
    /// writes are [`Unsupported`](crate::ErrorKind::Unsupported).
    fn with_origin(&self, origin: impl Into<Arc<str>>) -> With<'_, Self> {
        With { repo: self, options: CallOptions { origin: Some(origin.into()), ..self.call_options() } }
    }

    /// The same repo, refusing writes: each is [`ReadOnly`](crate::ErrorKind::ReadOnly) before anything is sent.
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
        Ok(Checkout::new(Arc::clone(&self.inner), pooled, activity, self.call_options()))
    }
}
