//! Rows by their keys, for code that does not know their type.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;

use super::Record;
use crate::error::Result;
use crate::handle::RepoHandle;
use crate::query::SelectBody;
use crate::repo::{Repo, body_of_keys, chunk_of_keys};
use crate::schema::{Schema, Syncable};
use crate::value::Value;

type Rows = Pin<Box<dyn Future<Output = Result<Vec<Box<dyn Record>>>> + Send>>;

/// Reads rows of one struct.
#[derive(Clone, Copy)]
pub struct Loader {
    schema: fn() -> &'static Schema,
    all: fn(RepoHandle, Box<SelectBody>) -> Rows,
}

impl Loader {
    /// Reads rows of `T`.
    pub fn of<T: Syncable>() -> Self {
        Loader {
            schema: T::schema,
            all: |repo, body| {
                Box::pin(async move {
                    let rows = repo.all::<T>(crate::query::Query::<T>::of_body(*body)).await?;
                    Ok(rows.into_iter().map(|row| Box::new(row) as Box<dyn Record>).collect())
                })
            },
        }
    }

    /// The struct.
    pub fn schema(self) -> fn() -> &'static Schema {
        self.schema
    }

    /// The rows of a query of the struct.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn all(self, repo: &RepoHandle, body: SelectBody) -> Result<Vec<Box<dyn Record>>> {
        (self.all)(repo.clone(), Box::new(body)).await
    }

    /// The rows that have these keys, in any order. One statement, but for very many keys.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn by_keys(
        self,
        repo: &RepoHandle,
        keys: &[Vec<Value<'static>>],
        prefix: Option<&str>,
    ) -> Result<Vec<Box<dyn Record>>> {
        let schema = (self.schema)();
        let mut found = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(chunk_of_keys(schema) as usize) {
            let mut body = body_of_keys(schema, chunk.iter().map(Vec::as_slice));
            body.from.prefix = prefix.map(|prefix| Cow::Owned(prefix.to_owned()));
            found.extend(self.all(repo, body).await?);
        }
        Ok(found)
    }
}
