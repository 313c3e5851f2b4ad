//! Runs queries for a commit, each once for all who follow it.

use std::sync::Arc;

use emr_core::walk::Loader;
use emr_core::{Error, Record, Result, SelectBody, Syncable};
use quick_cache::sync::Cache;

use super::place::Places;
use super::query::{Followed, Same};
use crate::engine::Shared;
use crate::key::Key;
use crate::rule::Rule;

/// What queries gave.
pub(crate) type Queries = Cache<(u64, Question), Answer>;

/// What the database was asked for a commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// For all rows of a query.
    All(Same),
    /// Which of these rows a query has.
    Members(Same, Arc<[Key]>),
    /// Where rows belong in a list that is told by its digest.
    Places(Same, u64),
}

#[derive(Clone)]
pub(crate) enum Answer {
    Rows(Arc<[Arc<dyn Record>]>),
    Places(Option<Arc<Places>>),
}

/// How many answers are kept: those of the last commits.
pub(crate) fn queries() -> Queries {
    Cache::new(1_024)
}

/// Runs queries for one commit.
pub(super) struct Runs<'r> {
    pub(super) shared: &'r Shared,
    pub(super) version: u64,
    pub(super) rule: Option<Arc<Rule>>,
}

impl Runs<'_> {
    /// All rows of a query that the subscriber may see.
    pub(super) async fn all<T: Syncable>(&self, query: &Arc<Followed>) -> Result<Vec<Arc<dyn Record>>> {
        let question = Question::All(Same(Arc::clone(query)));
        self.rows(question, async { self.fresh::<T>(query.body.clone()).await }).await
    }

    /// Those of these rows that a query has, and the subscriber may see.
    pub(super) async fn members<T: Syncable>(
        &self,
        query: &Arc<Followed>,
        keys: &[Key],
    ) -> Result<Vec<Arc<dyn Record>>> {
        let question = Question::Members(Same(Arc::clone(query)), keys.into());
        self.rows(question, async { self.fresh::<T>(query.members(keys)).await }).await
    }

    async fn rows(
        &self,
        question: Question,
        load: impl Future<Output = Result<Vec<Arc<dyn Record>>>>,
    ) -> Result<Vec<Arc<dyn Record>>> {
        let load = async { Ok::<_, Error>(Answer::Rows(load.await?.into())) };
        let rows = match self.shared.queries.get_or_insert_async(&(self.version, question), load).await? {
            Answer::Rows(rows) => rows.to_vec(),
            Answer::Places(_) => Vec::new(),
        };
        let Some(rule) = &self.rule else { return Ok(rows) };
        let mut visible = Vec::with_capacity(rows.len());
        for row in rows {
            if rule.allows_row(&*row)? {
                visible.push(row);
            }
        }
        Ok(visible)
    }

    /// The rows of a query, asked for once more.
    pub(super) async fn fresh<T: Syncable>(&self, body: SelectBody) -> Result<Vec<Arc<dyn Record>>> {
        Ok(Loader::of::<T>().all(&self.shared.repo, body).await?.into_iter().map(Arc::from).collect())
    }

    /// Where rows belong, found once for all whose lists are the same.
    pub(super) async fn places(
        &self,
        query: &Arc<Followed>,
        digest: u64,
        find: impl Future<Output = Result<Option<Places>>>,
    ) -> Result<Option<Arc<Places>>> {
        let question = Question::Places(Same(Arc::clone(query)), digest);
        let load = async { Ok::<_, Error>(Answer::Places(find.await?.map(Arc::new))) };
        match self.shared.queries.get_or_insert_async(&(self.version, question), load).await? {
            Answer::Places(places) => Ok(places),
            Answer::Rows(_) => Ok(None),
        }
    }
}
