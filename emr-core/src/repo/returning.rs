//! Bulk updates and deletes that give back the rows.

use super::intercepted;
use super::reselect_all::Wanted;
use crate::connection::Role;
use crate::error::Result;
use crate::exec::{Call, Executor, Job, run};
use crate::from_row::FromRow;
use crate::query::{SelectBody, UpdateParts};
use crate::render;
use crate::sinks::Structs;
use crate::sql::SqlBuilder;

pub(super) async fn update_all<R: FromRow>(executor: &impl Executor, update: &UpdateParts) -> Result<Vec<R>> {
    if !executor.interceptors().is_empty() {
        let UpdateParts { query, assignments, returned } = update;
        let rows = Box::pin(intercepted::update_all_returning(executor, query, assignments, returned)).await?;
        if let Some(rows) = rows {
            return Ok(rows);
        }
    }
    let wanted = Wanted {
        verb: "update_all",
        body: &update.query,
        assignments: Some(&update.assignments),
        items: &update.returned,
    };
    if wanted.is_reselected(executor).await? {
        return Ok(wanted.run(executor, Structs::<R>::with_capacity(0)).await?.0.rows);
    }
    let options = executor.call_options();
    let call = Call { role: Role::Write, table: update.query.table(), verb: "update_all", enforced: false };
    let (sink, _) = run(
        executor,
        call,
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                let prefix = options.prefix.as_deref();
                render::update_all_returning(out, &update.query, &update.assignments, &update.returned, prefix);
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Structs::<R>::with_capacity(0),
    )
    .await?;
    Ok(sink.rows)
}

/// What the query selects is what comes back.
pub(super) async fn delete_all<R: FromRow>(executor: &impl Executor, mut query: Box<SelectBody>) -> Result<Vec<R>> {
    let returned = std::mem::take(&mut query.select);
    if !executor.interceptors().is_empty()
        && let Some(rows) = Box::pin(intercepted::delete_all_returning(executor, &query, &returned)).await?
    {
        return Ok(rows);
    }
    let wanted = Wanted { verb: "delete_all", body: &query, assignments: None, items: &returned };
    if wanted.is_reselected(executor).await? {
        return Ok(wanted.run(executor, Structs::<R>::with_capacity(0)).await?.0.rows);
    }
    let options = executor.call_options();
    let call = Call { role: Role::Write, table: query.table(), verb: "delete_all", enforced: false };
    let (sink, _) = run(
        executor,
        call,
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::delete_all_returning(out, &query, &returned, options.prefix.as_deref());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Structs::<R>::with_capacity(0),
    )
    .await?;
    Ok(sink.rows)
}
