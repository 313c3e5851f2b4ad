//! Updates and deletes of all rows of a query.

use super::super::change::finish;
use super::super::reselect_all::Wanted;
use super::tell::{Keyed, Nothing, Report, begin, key_items, tell};
use super::{Repo, ask, assign, names, values};
use crate::capabilities::{Capabilities, Returning};
use crate::connection::{Done, Role};
use crate::error::{Error, Result};
use crate::exec::{Call, Executor, Job, run};
use crate::expr::SourceRef;
use crate::from_row::FromRow;
use crate::intercept::{Operation, Walk};
use crate::query::{Assignment, SelectBody, SelectItem};
use crate::render;
use crate::row::{Discard, RowSink};
use crate::schema::Schema;
use crate::sql::SqlBuilder;
use crate::statement::{Kind, Statement};

/// An update, with what the interceptors said of it.
pub(in crate::repo) struct Change {
    pub(super) verb: &'static str,
    pub(super) schema: &'static Schema,
    pub(in crate::repo) body: SelectBody,
    pub(in crate::repo) assignments: Vec<Assignment>,
}

/// A delete, or the update that an interceptor has made of it.
pub(in crate::repo) enum Deletion {
    Delete(&'static str, &'static Schema, SelectBody),
    Update(Change),
}

impl Change {
    fn of(
        repo: &Repo<'_>,
        verb: &'static str,
        schema: &'static Schema,
        mut body: SelectBody,
        mut assignments: Vec<Assignment>,
    ) -> Result<Self> {
        let with_repo = |error: Error| error.with_repo(repo.inner().0.id());
        let mut walk = Walk::new(repo.interceptors(), verb);
        walk.target(&mut body).map_err(with_repo)?;
        for assignment in &mut assignments {
            walk.node(&mut assignment.value).map_err(with_repo)?;
        }
        let columns: Vec<usize> = assignments.iter().map(|assignment| assignment.column).collect();
        let set = ask(repo, verb, schema, Operation::Update, &columns, &|column| values(&assignments, column))?;
        assign(&mut assignments, schema, set.columns);
        Ok(Change { verb, schema, body, assignments })
    }

    /// The columns that are set.
    pub(super) fn names(&self) -> Vec<&'static str> {
        names(self.schema, self.assignments.iter().map(|assignment| assignment.column))
    }
}

impl Deletion {
    pub(super) fn of(
        repo: &Repo<'_>,
        verb: &'static str,
        schema: &'static Schema,
        mut body: SelectBody,
    ) -> Result<Self> {
        let mut walk = Walk::new(repo.interceptors(), verb);
        walk.target(&mut body).map_err(|error| error.with_repo(repo.inner().0.id()))?;
        let set = ask(repo, verb, schema, Operation::Delete, &[], &|_| None)?;
        if !set.is_replaced {
            return Ok(Deletion::Delete(verb, schema, body));
        }
        let mut assignments = Vec::new();
        assign(&mut assignments, schema, set.columns);
        Ok(Deletion::Update(Change { verb, schema, body, assignments }))
    }

    fn verb(&self) -> &'static str {
        match self {
            Deletion::Delete(verb, ..) => verb,
            Deletion::Update(change) => change.verb,
        }
    }

    fn schema(&self) -> &'static Schema {
        match self {
            Deletion::Delete(_, schema, _) => schema,
            Deletion::Update(change) => change.schema,
        }
    }

    /// The table that stands in for the schema's.
    fn table(&self) -> Option<std::borrow::Cow<'static, str>> {
        match self {
            Deletion::Delete(_, _, body) => body.from.table.clone(),
            Deletion::Update(change) => change.body.from.table.clone(),
        }
    }

    /// How the server gives its rows back.
    fn returning(&self, repo: &Repo<'_>) -> Returning {
        let can = repo.inner().0.capabilities();
        match self {
            Deletion::Delete(..) => can.delete_returning,
            Deletion::Update(_) => can.update_returning,
        }
    }

    fn names(&self) -> Vec<&'static str> {
        match self {
            Deletion::Delete(..) => Vec::new(),
            Deletion::Update(change) => change.names(),
        }
    }
}

/// The schema of the table that is written; without one there is nobody to ask, and the renderer refuses the call.
fn target(body: &SelectBody) -> Option<&'static Schema> {
    body.from.relation.schema()
}

fn call(verb: &'static str, schema: &'static Schema) -> Call {
    Call { role: Role::Write, table: Some(schema.table), verb, enforced: false }
}

/// Runs an update. `back` is what comes back of each row: with no items all its columns; `None` for nothing.
pub(super) async fn run_update<S: RowSink>(
    executor: &impl Executor,
    change: &Change,
    back: Option<&[SelectItem]>,
    sink: impl Fn() -> S + Send + Sync,
) -> Result<(S, Done)> {
    let options = executor.call_options();
    let Change { verb, schema, body, assignments } = change;
    if let Some(items) = back {
        let wanted = Wanted { verb, body, assignments: Some(assignments), items };
        if wanted.is_reselected(executor).await? {
            return wanted.run(executor, sink()).await;
        }
    }
    let make = |capabilities: &'static Capabilities| {
        let prefix = options.prefix.as_deref();
        SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| match back {
            Some(items) => render::update_all_returning(out, body, assignments, items, prefix),
            None => render::update_all(out, body, assignments, prefix),
        })
        .map(|(sql, params)| Job::Statement(sql, params))
    };
    run(executor, call(verb, schema), make, sink).await
}

async fn run_delete<S: RowSink>(
    executor: &impl Executor,
    deletion: &Deletion,
    back: Option<&[SelectItem]>,
    sink: impl Fn() -> S + Send + Sync,
) -> Result<(S, Done)> {
    let (verb, schema, body) = match deletion {
        Deletion::Update(change) => return run_update(executor, change, back, sink).await,
        Deletion::Delete(verb, schema, body) => (verb, schema, body),
    };
    if let Some(items) = back {
        let wanted = Wanted { verb, body, assignments: None, items };
        if wanted.is_reselected(executor).await? {
            return wanted.run(executor, sink()).await;
        }
    }
    let options = executor.call_options();
    let make = |capabilities: &'static Capabilities| {
        let prefix = options.prefix.as_deref();
        SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| match back {
            Some(items) => render::delete_all_returning(out, body, items, prefix),
            None => render::delete_all(out, body, prefix),
        })
        .map(|(sql, params)| Job::Statement(sql, params))
    };
    run(executor, call(verb, schema), make, sink).await
}

pub(in crate::repo) async fn update_all(
    executor: &impl Executor,
    body: &SelectBody,
    assignments: &[Assignment],
) -> Result<Option<u64>> {
    let any = executor.as_any_repo();
    let repo = &Repo { repo: &any, options: executor.call_options() };
    let Some(schema) = target(body) else { return Ok(None) };
    let change = Change::of(repo, "update_all", schema, body.clone(), assignments.to_vec())?;
    if !repo.interceptors().observe(schema) {
        return run_update(repo, &change, None, || Discard).await.map(|(_, done)| Some(done.rows));
    }
    let tx = begin(repo).await?;
    let result = async {
        let how = repo.inner().0.capabilities().update_returning;
        let (rows, keys) = match key_items(schema, how) {
            Some(items) => {
                let (sink, done) = run_update(&tx, &change, Some(&items), || Keyed::<Nothing>::of(schema)).await?;
                (done.rows, Some(sink.keys))
            }
            None => (run_update(&tx, &change, None, || Discard).await?.1.rows, None),
        };
        let report = Report {
            table: change.body.from.table.clone(),
            operation: Operation::Update,
            rows,
            keys,
            columns: change.names(),
        };
        tell(&tx, "update_all", schema, report).await?;
        Ok(Some(rows))
    };
    let result = result.await;
    finish(tx, result).await
}

pub(in crate::repo) async fn update_all_returning<R: FromRow>(
    executor: &impl Executor,
    body: &SelectBody,
    assignments: &[Assignment],
    returned: &[SelectItem],
) -> Result<Option<Vec<R>>> {
    let any = executor.as_any_repo();
    let repo = &Repo { repo: &any, options: executor.call_options() };
    let Some(schema) = target(body) else { return Ok(None) };
    let change = Change::of(repo, "update_all", schema, body.clone(), assignments.to_vec())?;
    returning(repo, Operation::Update, &Deletion::Update(change), returned).await.map(Some)
}

/// Runs a write that gives rows back, and tells of it.
async fn returning<R: FromRow>(
    repo: &Repo<'_>,
    operation: Operation,
    write: &Deletion,
    returned: &[SelectItem],
) -> Result<Vec<R>> {
    let schema = write.schema();
    let sink = || crate::sinks::Structs::<R>::with_capacity(0);
    if !repo.interceptors().observe(schema) {
        return Ok(run_delete(repo, write, Some(returned), sink).await?.0.rows);
    }
    let tx = begin(repo).await?;
    let result = async {
        let (rows, count, keys) = if let Some(keys) = key_items(schema, write.returning(repo)) {
            let mut items = returned.to_vec();
            if items.is_empty() {
                items.push(SelectItem::Row { source: SourceRef::Nth(0), schema });
            }
            items.extend(keys);
            let (sink, done) = run_delete(&tx, write, Some(&items), || Keyed::<R>::of(schema)).await?;
            (sink.rows, done.rows, Some(sink.keys))
        } else {
            let (sink, done) = run_delete(&tx, write, Some(returned), sink).await?;
            (sink.rows, done.rows, None)
        };
        let report = Report { table: write.table(), operation, rows: count, keys, columns: write.names() };
        tell(&tx, write.verb(), schema, report).await?;
        Ok(rows)
    };
    let result = result.await;
    finish(tx, result).await
}

/// Runs a delete, or the update that it has become.
pub(super) async fn delete_rows(repo: &Repo<'_>, deletion: &Deletion) -> Result<u64> {
    let schema = deletion.schema();
    if !repo.interceptors().observe(schema) {
        return Ok(run_delete(repo, deletion, None, || Discard).await?.1.rows);
    }
    let tx = begin(repo).await?;
    let result = async {
        let (rows, keys) = match key_items(schema, deletion.returning(repo)) {
            Some(items) => {
                let (sink, done) = run_delete(&tx, deletion, Some(&items), || Keyed::<Nothing>::of(schema)).await?;
                (done.rows, Some(sink.keys))
            }
            None => (run_delete(&tx, deletion, None, || Discard).await?.1.rows, None),
        };
        let report =
            Report { table: deletion.table(), operation: Operation::Delete, rows, keys, columns: deletion.names() };
        tell(&tx, deletion.verb(), schema, report).await?;
        Ok(rows)
    };
    let result = result.await;
    finish(tx, result).await
}

pub(in crate::repo) async fn delete_all(executor: &impl Executor, body: &SelectBody) -> Result<Option<u64>> {
    let any = executor.as_any_repo();
    let repo = &Repo { repo: &any, options: executor.call_options() };
    let Some(schema) = target(body) else { return Ok(None) };
    delete_rows(repo, &Deletion::of(repo, "delete_all", schema, body.clone())?).await.map(Some)
}

pub(in crate::repo) async fn delete_all_returning<R: FromRow>(
    executor: &impl Executor,
    body: &SelectBody,
    returned: &[SelectItem],
) -> Result<Option<Vec<R>>> {
    let any = executor.as_any_repo();
    let repo = &Repo { repo: &any, options: executor.call_options() };
    let Some(schema) = target(body) else { return Ok(None) };
    let deletion = Deletion::of(repo, "delete_all", schema, body.clone())?;
    returning(repo, Operation::Delete, &deletion, returned).await.map(Some)
}

/// A statement that is only looked at, as the interceptors would let it be sent, and whether somebody wants to hear of what it
/// writes.
pub(in crate::repo) fn seen(
    executor: &impl Executor,
    verb: &'static str,
    statement: &Statement,
) -> Result<Option<(Statement, bool)>> {
    if executor.interceptors().is_empty() {
        return Ok(None);
    }
    let any = executor.as_any_repo();
    let repo = &Repo { repo: &any, options: executor.call_options() };
    let update = |change: Change| Kind::Update(Box::new(change.body), change.assignments);
    let kind = match &statement.0 {
        Kind::Select(body) => {
            let mut body = body.clone();
            crate::intercept::read_by(repo, verb, &mut body)?;
            return Ok(Some((Statement(Kind::Select(body)), false)));
        }
        Kind::Update(body, assignments) => match target(body) {
            Some(schema) => update(Change::of(repo, verb, schema, (**body).clone(), assignments.clone())?),
            None => return Ok(None),
        },
        Kind::Delete(body) => match target(body) {
            Some(schema) => match Deletion::of(repo, verb, schema, (**body).clone())? {
                Deletion::Delete(_, _, body) => Kind::Delete(Box::new(body)),
                Deletion::Update(change) => update(change),
            },
            None => return Ok(None),
        },
    };
    let schema = match &kind {
        Kind::Select(body) | Kind::Update(body, _) | Kind::Delete(body) => target(body),
    };
    let is_observed = schema.is_some_and(|schema| repo.interceptors().observe(schema));
    Ok(Some((Statement(kind), is_observed)))
}
