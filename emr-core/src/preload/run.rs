//! Level by level, each in one batch of statements.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use super::front::Front;
use super::request::Request;
use super::spec::Spec;
use crate::association::Record;
use crate::capabilities::Capabilities;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::exec::{Executor, run_batch};
use crate::handle::RepoInner;
use crate::intercept::read_by;
use crate::row::RowSink;

/// What runs the statements of a level together, whatever repo it belongs to.
#[async_trait]
pub(crate) trait Runner: Send + Sync {
    /// Runs all of them; the sinks come back in the same order.
    async fn batch(&self, requests: Vec<Request>) -> Result<Vec<Box<dyn RowSink>>>;
}

/// What statements depend on beside the associations.
pub(crate) struct Context<'c> {
    pub(super) runner: &'c dyn Runner,
    pub(super) dialect: &'c dyn Dialect,
    pub(super) capabilities: &'c Capabilities,
}

/// Preloads run in an executor.
struct On<'e, E>(&'e E);

#[async_trait]
impl<E: Executor> Runner for On<'_, E> {
    async fn batch(&self, mut requests: Vec<Request>) -> Result<Vec<Box<dyn RowSink>>> {
        requests.iter_mut().try_for_each(|request| read_by(self.0, "preload", &mut request.body))?;
        run_batch(self.0, &requests).await
    }
}

/// Fills the slots of the rows. `prefix` is where they were read from.
///
/// Dropped half way or failed, it leaves the slots as they were, but for those of rows that share one loaded row: the
/// slots of levels that were complete are filled.
pub(crate) async fn preload(
    executor: &impl Executor,
    owners: Vec<&mut (dyn Record + 'static)>,
    specs: Vec<Spec>,
    prefix: Option<&str>,
) -> Result<()> {
    preload_by(&On(executor), executor.inner().0, owners, specs, prefix).await
}

/// The same by any runner.
pub(crate) async fn preload_by(
    runner: &dyn Runner,
    repo: &RepoInner,
    owners: Vec<&mut (dyn Record + 'static)>,
    specs: Vec<Spec>,
    prefix: Option<&str>,
) -> Result<()> {
    let context = Context { runner, dialect: repo.dialect(), capabilities: repo.capabilities() };
    let filled = async {
        match Front::new(owners, specs, prefix.map(Arc::from), 0)? {
            None => Ok(()),
            Some(front) => level(&context, &mut [front]).await,
        }
    };
    filled.await.map_err(|error| error.with_repo(repo.id()))
}

/// All fronts of a level, and then those below them.
fn level<'l>(
    context: &'l Context<'_>,
    fronts: &'l mut [Front<'_>],
) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'l>> {
    Box::pin(async move {
        let mut places = Vec::new();
        let mut requests = Vec::new();
        for (front, rows) in fronts.iter_mut().enumerate() {
            for (branch, request) in rows.start(context)? {
                places.push((front, branch));
                requests.push(request);
            }
        }
        if !requests.is_empty() {
            let sinks = context.runner.batch(requests).await?;
            for ((front, branch), sink) in places.into_iter().zip(sinks) {
                fronts[front].rows(branch).accept(sink)?;
            }
        }
        for front in &mut *fronts {
            front.call_functions().await?;
            front.fetched();
        }
        go_on(context, fronts).await?;
        // Chains are walked when their steps are filled; one may be the first step of another.
        loop {
            let mut any = false;
            for front in &mut *fronts {
                any |= front.gather_chains()?;
            }
            if !any {
                return Ok(());
            }
            go_on(context, fronts).await?;
        }
    })
}

/// Preloads in what was gathered, and fills the slots with it.
async fn go_on(context: &Context<'_>, fronts: &mut [Front<'_>]) -> Result<()> {
    let mut below = Vec::new();
    for front in &mut *fronts {
        below.extend(front.below()?);
    }
    if !below.is_empty() {
        level(context, &mut below).await?;
    }
    drop(below);
    fronts.iter_mut().for_each(Front::fill);
    Ok(())
}
