//! Preloads of a query.

use super::{IntoPreload, Runner, Spec, preload, preload_by};
use crate::association::Record;
use crate::error::Result;
use crate::exec::Executor;
use crate::from_row::FromRow;
use crate::handle::RepoInner;
use crate::query::{Query, SelectBody};
use crate::schema::Syncable;

impl<S: Syncable, R> Query<S, R> {
    /// Loads associations of the rows with them: one statement more for each association and level, those of a level in
    /// one round trip where the engine can. All structs of the query's schema are filled, also those in tuples.
    ///
    /// Calls that give no rows (`count`, `exists`) leave it out; a subquery with preloads is refused.
    ///
    /// ```
    /// # use emr_core::{Association, Query, Repo, Result, Syncable};
    /// # async fn f<Post: Syncable, Comment: Syncable, Person: Syncable>(
    /// #     repo: &impl Repo, COMMENTS: Association<Post, Comment>, AUTHOR: Association<Comment, Person>,
    /// # ) -> Result<()> {
    /// // With the derived constants: Post::query().preload(Post::COMMENTS.then(Comment::AUTHOR))
    /// let posts = repo.all(Query::<Post>::new().preload(COMMENTS.then(AUTHOR))).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn preload(mut self, preloads: impl IntoPreload<S>) -> Self {
        self.body.preloads.extend(preloads.into_preload().specs);
        self
    }
}

/// Runs the preloads of a query for rows that were read.
pub(crate) async fn preload_read<R: FromRow>(
    executor: &impl Executor,
    body: &SelectBody,
    rows: impl IntoIterator<Item = &mut R>,
) -> Result<()> {
    preload(executor, owners(body, rows), body.preloads.clone(), body.from.prefix.as_deref()).await
}

/// The same by any runner.
pub(crate) async fn preload_read_by<R: FromRow>(
    runner: &dyn Runner,
    repo: &RepoInner,
    body: &SelectBody,
    rows: impl IntoIterator<Item = &mut R>,
) -> Result<()> {
    preload_by(runner, repo, owners(body, rows), body.preloads.clone(), body.from.prefix.as_deref()).await
}

/// The structs in the rows that the preloads are of.
fn owners<'r, R: FromRow>(
    body: &SelectBody,
    rows: impl IntoIterator<Item = &'r mut R>,
) -> Vec<&'r mut (dyn Record + 'static)> {
    let mut owners = Vec::new();
    if let Some(Spec { record, .. }) = body.preloads.first() {
        for row in rows {
            row.structs(&mut |found| owners.extend(record(found)));
        }
    }
    owners
}
