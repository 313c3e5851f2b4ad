//! A row that must be there.

use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::locks::Transactional;
use super::read;
use super::reload::of_keys;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::Executor;
use crate::from_row::FromRow;
use crate::preload::{IntoPreload, Spec};
use crate::query::{Lock, SelectBody};
use crate::schema::{Schema, Syncable};
use crate::value::Value;

/// A call that reads a row which must be there: a future, made by [`fetch`](crate::Repo::fetch),
/// [`fetch_by`](crate::Repo::fetch_by) and [`fetch_one`](crate::Repo::fetch_one), that takes more to say before it is
/// awaited.
///
/// ```
/// # use emr_core::{Lock, Repo, RepoHandle, Result, Syncable};
/// # async fn f<Account: Syncable<Key = i64>>(repo: RepoHandle) -> Result<()> {
/// repo.transaction(async |tx| {
///     let account = tx.fetch::<Account>(1).lock(Lock::UPDATE).tag("payer").await?;
/// #   drop(account);
///     Ok(())
/// })
/// .await
/// # }
/// ```
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) with the table, the key and the [tag](Fetch::tag) if there is no such row,
/// [`MultipleResults`](crate::ErrorKind::MultipleResults) if there are several.
#[must_use = "a fetch does nothing until it is awaited"]
pub struct Fetch<'a, E, R> {
    repo: &'a E,
    request: Option<Request>,
    running: Option<Pin<Box<dyn Future<Output = Result<R>> + Send + 'a>>>,
}

/// What is asked for.
struct Request {
    what: What,
    lock: Option<Lock>,
    tag: Option<String>,
    preloads: Vec<Spec>,
}

enum What {
    Key(&'static Schema, Vec<Value<'static>>),
    Query(Box<SelectBody>),
}

impl<'a, E: Executor, R: FromRow> Fetch<'a, E, R> {
    pub(super) fn by_key(repo: &'a E, schema: &'static Schema, key: Vec<Value<'static>>) -> Self {
        Fetch::new(repo, What::Key(schema, key))
    }

    pub(super) fn by_query(repo: &'a E, body: Box<SelectBody>) -> Self {
        Fetch::new(repo, What::Query(body))
    }

    fn new(repo: &'a E, what: What) -> Self {
        Fetch { repo, request: Some(Request { what, lock: None, tag: None, preloads: Vec::new() }), running: None }
    }

    /// Locks the row until the transaction ends. Only on a transaction: elsewhere it does not compile, as the lock would
    /// be gone before the caller could use it.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the engine has no such lock (SQLite has none, and needs none:
    /// its transactions write one at a time); [`LockNotAvailable`](crate::ErrorKind::LockNotAvailable) for a row that is
    /// locked, if the lock does not wait.
    pub fn lock(mut self, lock: Lock) -> Self
    where
        E: Transactional,
    {
        if let Some(request) = &mut self.request {
            request.lock = Some(lock);
        }
        self
    }

    /// What the program calls the row: [`Error::tag`] gives it back if the row is not there, and the message begins with
    /// it.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        if let Some(request) = &mut self.request {
            request.tag = Some(tag.into());
        }
        self
    }
}

impl<E: Executor, T: Syncable> Fetch<'_, E, T> {
    /// Loads these associations of the row as well, as [`Query::preload`](crate::Query::preload) does. The
    /// [lock](Fetch::lock) is the row's own: what is preloaded is not locked.
    pub fn preload(mut self, preloads: impl IntoPreload<T>) -> Self {
        if let Some(request) = &mut self.request {
            request.preloads.extend(preloads.into_preload().specs);
        }
        self
    }
}

impl<E: Executor, R: FromRow> Future for Fetch<'_, E, R> {
    type Output = Result<R>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R>> {
        let this = &mut *self;
        if let Some(request) = this.request.take() {
            this.running = Some(Box::pin(run(this.repo, request)));
        }
        match &mut this.running {
            Some(running) => running.as_mut().poll(context),
            // Made with a request, which is taken above.
            None => Poll::Ready(Err(Error::invalid("the fetch has nothing to run"))),
        }
    }
}

async fn run<E: Executor, R: FromRow>(repo: &E, request: Request) -> Result<R> {
    let Request { what, lock, tag, preloads } = request;
    let (row, table, key) = match what {
        What::Key(schema, key) => {
            let row = if preloads.is_empty() {
                read::get(repo, schema, &key, lock).await?
            } else {
                let mut body = of_keys(schema, std::iter::once(&key[..]));
                (body.lock, body.preloads) = (lock, preloads);
                read::one(repo, Box::new(body)).await?
            };
            let key = if row.is_none() { Some(describe(schema, &key)) } else { None };
            (row, schema.table, key)
        }
        What::Query(mut body) => {
            body.lock = lock.or(body.lock);
            body.preloads.extend(preloads);
            let table = body.table().unwrap_or_default();
            (read::one(repo, body).await?, table, None)
        }
    };
    row.ok_or_else(|| {
        Error::new(ErrorKind::NotFound { table: table.to_owned(), key, tag }).with_repo(repo.inner().0.id())
    })
}

/// `id = 7`, without the values of redacted columns.
pub(super) fn describe(schema: &Schema, key: &[Value<'_>]) -> String {
    let mut text = String::new();
    for (&column, value) in schema.primary_key.iter().zip(key) {
        let column = &schema.columns[column];
        let link = if text.is_empty() { "" } else { ", " };
        let shown = if column.redact { "<redacted>".to_owned() } else { format!("{value:?}") };
        // Writing to a String cannot fail.
        let _ = write!(text, "{link}{} = {shown:.80}", column.name);
    }
    text
}
