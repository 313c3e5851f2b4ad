//! Writes to one row that is there, by its key. They go the way of writes to all rows of a query, which knows conditions.

use super::super::change::{finish, key_of, no_old_row};
use super::super::reselect;
use super::many::{Change, Deletion, delete_rows, run_update};
use super::tell::{Report, begin, tell};
use super::{Repo, ask, assign, values};
use crate::Returning;
use crate::changeset::{Action, Changeset, OldRow};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::Executor;
use crate::expr::{Node, Operator, SourceRef};
use crate::intercept::{Operation, Walk};
use crate::query::{Assignment, Relation, SelectBody};
use crate::row::Discard;
use crate::schema::{Schema, Syncable};
use crate::sinks::AtMostOne;
use crate::value::Value;

/// The query of the row with this key, whose columns also have these values.
fn of_key(
    schema: &'static Schema,
    prefix: Option<&str>,
    key: &[Value<'_>],
    guards: &[(usize, Value<'static>)],
) -> Result<SelectBody> {
    if schema.primary_key.is_empty() {
        return Err(Error::invalid(format!(
            "{} has no primary key: mark a field with #[emr(primary_key)], or use a query",
            schema.name
        )));
    }
    let mut body = SelectBody::of(Relation::Schema(schema));
    body.from.prefix = prefix.map(|prefix| prefix.to_owned().into());
    let column = |column: usize| Box::new(Node::Column { source: SourceRef::Nth(0), schema, column });
    let equal = |at: usize, value: &Value<'_>| Node::Binary {
        op: Operator::Eq,
        left: column(at),
        right: Box::new(Node::Bind { value: value.clone().into_owned(), context: Some((schema, at)) }),
    };
    body.filter.extend(schema.primary_key.iter().zip(key).map(|(&at, value)| equal(at, value)));
    body.filter.extend(guards.iter().map(|(at, value)| match value {
        Value::Null(_) => Node::IsNull(column(*at)),
        value => equal(*at, value),
    }));
    Ok(body)
}

/// Updates a row by a changeset that is finished.
pub(in crate::repo) async fn update<T: Syncable>(executor: &impl Executor, changes: &Changeset<T>) -> Result<T> {
    let any = executor.as_any_repo();
    let repo = &Repo { repo: &any, options: executor.call_options() };
    let schema = T::schema();
    let key = changes.data().map_or_else(Vec::new, key_of);
    let mut body = of_key(schema, changes.prefix_ref(), &key, changes.guards())?;
    Walk::new(repo.interceptors(), "update").target(&mut body).map_err(|error| error.with_repo(repo.inner().0.id()))?;
    let bind = |column, value: &Value<'static>| Node::Bind { value: value.clone(), context: Some((schema, column)) };
    let mut assignments: Vec<_> = changes
        .sorted_changes()?
        .iter()
        .map(|change| Assignment { column: change.column, value: bind(change.column, &change.value) })
        .collect();
    let columns: Vec<usize> = assignments.iter().map(|assignment| assignment.column).collect();
    let set = ask(repo, "update", schema, Operation::Update, &columns, &|column| values(&assignments, column))?;
    assign(&mut assignments, schema, set.columns);
    let change = Change { verb: "update", schema, body, assignments };
    let again = repo.inner().0.capabilities().update_returning == Returning::No;
    let row = if repo.interceptors().observe(schema) || (again && !repo.is_transaction()) {
        let tx = begin(repo).await?;
        let result = async {
            let row = run_one::<T>(&tx, &change, &key).await?;
            tell(&tx, "update", schema, Report::of(Operation::Update, &row, change.names())).await?;
            Ok(row)
        };
        let result = result.await;
        finish(tx, result).await
    } else {
        run_one::<T>(repo, &change, &key).await
    };
    match row.map_err(|error| changes.refine(error, Action::Update))? {
        Some(row) => Ok(row),
        None => changes.missed(Action::Update).and_then(|()| changes.apply()),
    }
}

/// Updates the row with this key, if it is there, and gives it back. In a transaction where the server does not.
async fn run_one<T: Syncable>(executor: &impl Executor, change: &Change, key: &[Value<'_>]) -> Result<Option<T>> {
    let table = T::schema().table;
    if executor.inner().0.capabilities().update_returning != Returning::No {
        let sink = || AtMostOne::<T>::of(table);
        return run_update(executor, change, Some(&[]), sink).await.map(|(sink, _)| sink.row);
    }
    match run_update(executor, change, None, || Discard).await?.1.rows {
        0 => Ok(None),
        1 => {
            let stored = reselect::stored_key::<T>(key, |column| values(&change.assignments, column));
            let options = executor.call_options();
            let prefix = change.body.from.prefix.as_deref().or(options.prefix_of(T::schema()));
            reselect::select(executor, prefix, &stored).await.map(Some)
        }
        // What the schema calls a key is none in the database. The transaction undoes it.
        _ => Err(Error::new(ErrorKind::MultipleResults { table: table.to_owned() })),
    }
}

pub(in crate::repo) async fn delete<T: Syncable>(executor: &impl Executor, row: &impl OldRow<T>) -> Result<()> {
    let Some(data) = row.row() else { return Err(no_old_row::<T>()) };
    let body = of_key(T::schema(), row.old_prefix(), &key_of(data), row.conditions())?;
    let done = delete_by_key(executor, T::schema(), body).await.map_err(|error| row.refine_old(error))?;
    match done {
        0 => row.missed_old(),
        1 => Ok(()),
        _ => Err(Error::new(ErrorKind::MultipleResults { table: T::schema().table.to_owned() })),
    }
}

pub(in crate::repo) async fn delete_if_exists<T: Syncable>(executor: &impl Executor, row: &T) -> Result<bool> {
    let body = of_key(T::schema(), None, &key_of(row), &[])?;
    match delete_by_key(executor, T::schema(), body).await? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::new(ErrorKind::MultipleResults { table: T::schema().table.to_owned() })),
    }
}

async fn delete_by_key(executor: &impl Executor, schema: &'static Schema, body: SelectBody) -> Result<u64> {
    let any = executor.as_any_repo();
    let repo = &Repo { repo: &any, options: executor.call_options() };
    delete_rows(repo, &Deletion::of(repo, "delete", schema, body)?).await
}
