//! What the sync engine needs to know of values, associations and queries. No part of the public interface.

use std::sync::{Arc, Mutex, PoisonError};

use crate::association::Record;
pub use crate::association::{Ends, Few, Link, Loader, Step, flat_steps};
use crate::error::Result;
use crate::exec::Executor;
use crate::expr::Node;
use crate::handle::RepoHandle;
use crate::intercept::{Interceptor, Interceptors, RawSql, Reading, Walk};
use crate::preload::IntoPreload;
pub use crate::preload::Spec;
use crate::query::{IntoQuery, Query, SelectBody};
use crate::schema::{Schema, Syncable};
use crate::value::Value;
pub use crate::watch::Steps;

/// Fills slots of rows of one struct. See [`Repo::preload`](crate::Repo::preload).
///
/// # Errors
/// As [`Repo::preload`](crate::Repo::preload).
pub async fn preload(
    repo: &RepoHandle,
    owners: Vec<&mut (dyn Record + 'static)>,
    specs: Vec<Spec>,
    prefix: Option<&str>,
) -> Result<()> {
    crate::preload::preload(repo, owners, specs, prefix).await
}

/// A copy of a row with what its slots hold. To-one slots share their rows.
///
/// # Errors
/// [`Decode`](crate::ErrorKind::Decode) if a field does not read what it wrote.
pub fn deep_copy<T: Syncable>(row: &T) -> Result<T> {
    crate::association::deep_copy(row)
}

/// The untyped content of a query.
pub fn body_of<R>(query: impl IntoQuery<R>) -> Box<SelectBody> {
    query.into_body()
}

/// A query of this content.
pub fn query_of<T: Syncable>(body: SelectBody) -> Query<T> {
    Query::of_body(body)
}

/// The prefix of calls on a handle.
pub fn prefix_of(repo: &RepoHandle) -> Option<Arc<str>> {
    repo.call_options().prefix
}

/// The tables that a query reads.
#[derive(Debug, Default)]
pub struct Reads {
    /// Their names.
    pub tables: Vec<String>,
    /// Whether there is SQL in it that may read others.
    pub raw: bool,
}

/// Finds the tables that a query reads.
///
/// # Errors
/// None of its own.
pub fn reads_of(body: &SelectBody) -> Result<Reads> {
    struct Note(Arc<Mutex<Reads>>);
    impl Interceptor for Note {
        fn reading(&self, reading: &mut Reading<'_>) -> Result<()> {
            let mut reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            reads.tables.push(reading.table().to_owned());
            Ok(())
        }

        fn raw_sql(&self, _sql: &RawSql<'_>) -> Result<()> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).raw = true;
            Ok(())
        }
    }
    let noted = Arc::new(Mutex::new(Reads::default()));
    let interceptors = Interceptors::NONE.with(Note(Arc::clone(&noted)));
    Walk::new(&interceptors, "sync").query(&mut body.clone())?;
    let mut reads = noted.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *reads))
}

/// Preloads without the type of their owner.
pub fn specs_of<S>(preloads: impl IntoPreload<S>) -> Vec<Spec> {
    preloads.into_preload().specs
}

/// The condition that a row has one of these keys.
pub fn of_keys<'k>(schema: &'static Schema, keys: impl Iterator<Item = &'k [Value<'static>]>) -> Node {
    crate::repo::body_of_keys(schema, keys).filter.pop().unwrap_or(Node::Constant(false))
}
