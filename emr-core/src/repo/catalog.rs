//! What is in the database.

use crate::connection::Role;
use crate::error::Result;
use crate::exec::{Call, Executor, Job, run};
use crate::render;
use crate::sinks::Count;
use crate::sql::SqlBuilder;

pub(super) async fn table_exists(executor: &impl Executor, table: &str) -> Result<bool> {
    let options = executor.call_options();
    let call = Call { role: Role::Read, table: None, verb: "table_exists", enforced: false };
    let make = |capabilities| {
        SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
            render::table_exists(out, table, options.prefix.as_deref());
        })
        .map(|(sql, params)| Job::Statement(sql, params))
    };
    let (count, _) = run(executor, call, make, Count::default).await?;
    Ok(count.0.is_some_and(|count| count > 0))
}
