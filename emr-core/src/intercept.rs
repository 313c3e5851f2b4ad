//! What a program does to every query and every write of a repo.

mod place;
mod reading;
mod set;
mod walk;
mod writing;

use std::any::Any;
use std::future::{Future, ready};
use std::pin::Pin;

use crate::error::Result;
use crate::exec::{Executor, With};
use crate::query::SelectBody;
use crate::schema::Schema;
use crate::transaction::Tx;

pub use reading::{RawSql, Reading, SqlPlace};
pub use set::Interceptors;
pub(crate) use walk::Walk;
pub use writing::{Operation, Writing, Written};

/// The query with what the interceptors add to it; `None` if there is nobody who could.
pub(crate) fn reading(
    executor: &impl Executor,
    verb: &'static str,
    body: &SelectBody,
) -> Result<Option<Box<SelectBody>>> {
    if executor.interceptors().is_empty() {
        return Ok(None);
    }
    let mut body = Box::new(body.clone());
    read_by(executor, verb, &mut body)?;
    Ok(Some(body))
}

/// Lets the interceptors add to a query that reads.
pub(crate) fn read_by(executor: &impl Executor, verb: &'static str, body: &mut SelectBody) -> Result<()> {
    let interceptors = executor.interceptors();
    if interceptors.is_empty() {
        return Ok(());
    }
    Walk::new(interceptors, verb).query(body).map_err(|error| error.with_repo(executor.inner().0.id()))
}

/// What [`Interceptor::written`] returns.
pub type WrittenFuture<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Sees every query and every write of a repo before it is sent: it adds conditions, sets columns, makes updates of deletes,
/// refuses, and hears of what was written. For soft deletes, tenants in one table, audits.
///
/// A repo has one by [`RepoOptions::interceptor`](crate::RepoOptions::interceptor) or
/// [`with_interceptor`](crate::Repo::with_interceptor); then its transactions, checkouts, preloads and streams have it too.
/// Several are asked in the order in which they were added, each about what those before it left.
/// [`without_interceptors`](crate::Repo::without_interceptors) and
/// [`without_interceptor`](crate::Repo::without_interceptor) are the ways past them.
///
/// What they are asked about:
/// - [`reading`](Interceptor::reading): every table of every query, wherever it stands in it: joins, subqueries, common table
///   expressions, combinations, preloads, reads by key, and the table that an update or a delete writes;
/// - [`writing`](Interceptor::writing): every row that is inserted or written by its key, and every update and delete of all
///   rows of a query;
/// - [`raw_sql`](Interceptor::raw_sql): every piece of SQL that EMR did not write itself. It has no default, because what is
///   in it is seen nowhere else.
///
/// Nobody is asked about tables that are created or dropped, and about advisory locks. What an interceptor adds is taken as
/// it is: a subquery in one of its conditions is shown to nobody.
///
/// **Cost.** None where there is no interceptor. With one, a query is copied before it is changed, reads by key go the way of
/// other queries, and new rows are put together once more.
///
/// ```
/// use emr_core::{Interceptor, Operation, RawSql, Reading, Result, Writing, now};
///
/// /// Rows with a time in `deleted_at` are gone.
/// struct SoftDelete;
///
/// impl Interceptor for SoftDelete {
///     fn reading(&self, table: &mut Reading<'_>) -> Result<()> {
///         table.filter_null("deleted_at");
///         Ok(())
///     }
///
///     fn writing(&self, write: &mut Writing<'_>) -> Result<()> {
///         if write.operation() == Operation::Delete && write.has_column("deleted_at") {
///             write.update_instead("deleted_at", now())?;
///         }
///         Ok(())
///     }
///
///     fn raw_sql(&self, _sql: &RawSql<'_>) -> Result<()> {
///         Ok(()) // whoever writes SQL knows of deleted rows
///     }
/// }
/// ```
pub trait Interceptor: Any + Send + Sync {
    /// A query is about to read this table, or an update or delete to look for its rows there.
    ///
    /// # Errors
    /// Any, to refuse: nothing is sent then. See [`Error::refused`](crate::Error::refused).
    fn reading(&self, _table: &mut Reading<'_>) -> Result<()> {
        Ok(())
    }

    /// Something is about to be written. An upsert is asked about twice: as the insert of the new row, and, unless it leaves
    /// the stored one alone, as its update.
    ///
    /// # Errors
    /// Any, to refuse: nothing is sent then.
    fn writing(&self, _write: &mut Writing<'_>) -> Result<()> {
        Ok(())
    }

    /// SQL that EMR did not write is about to be sent: a statement or a script, a fragment of a query, a hint. No condition is
    /// added to it, and nobody hears of what it writes. Let it pass, or refuse it.
    ///
    /// # Errors
    /// Any, to refuse: nothing is sent then.
    fn raw_sql(&self, sql: &RawSql<'_>) -> Result<()>;

    /// Whether it wants to hear of what was written to this table. Such writes run in a transaction of their own, a nested
    /// one where there is one already, and give back the keys of the rows.
    fn observes(&self, _schema: &'static Schema) -> bool {
        false
    }

    /// Rows were written to a table that it [observes](Interceptor::observes). `repo` is the transaction of the write: what is
    /// written there stays or goes with it. No interceptor is asked about calls on it.
    ///
    /// # Errors
    /// Any: the write is rolled back, and the error is its own.
    fn written<'a>(&'a self, _repo: &'a With<'a, Tx>, _written: &'a Written) -> WrittenFuture<'a> {
        Box::pin(ready(Ok(())))
    }
}
