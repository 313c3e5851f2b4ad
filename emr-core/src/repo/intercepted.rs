//! Writes of a repo that has interceptors.

mod change;
mod insert;
mod link;
mod many;
mod tell;
mod upsert;

pub(super) use change::{delete, delete_if_exists, update};
pub(crate) use link::{ask_link, tell_link};

pub(super) use insert::{insert, insert_all, insert_from};
pub(super) use many::{delete_all, delete_all_returning, seen, update_all, update_all_returning};
pub(super) use upsert::{upsert, upsert_all, upsert_all_returning, upsert_from};

use crate::draft::Draft;
use crate::error::Result;
use crate::exec::{AnyRepo, Executor, With};
use crate::intercept::{Operation, Walk, Writing};
use crate::query::Assignment;
use crate::schema::{Schema, Syncable};
use crate::value::Value;

use crate::changeset::NewRow;
use crate::expr::Node;

/// Any repo with its options, so that these writes are compiled once and not for each kind of repo.
type Repo<'r> = With<'r, AnyRepo<'r>>;

/// The columns that interceptors set in a write, and whether they made an update of a delete.
struct Set {
    columns: Vec<(usize, Value<'static>)>,
    is_replaced: bool,
}

/// Asks about a write.
fn ask(
    repo: &Repo<'_>,
    verb: &'static str,
    schema: &'static Schema,
    operation: Operation,
    columns: &[usize],
    value: &dyn Fn(usize) -> Option<Value<'static>>,
) -> Result<Set> {
    let mut writing = Writing::of(verb, schema, operation, columns, value);
    for interceptor in repo.interceptors().all() {
        interceptor.writing(&mut writing).map_err(|error| error.with_repo(repo.inner().0.id()))?;
    }
    Ok(Set { is_replaced: writing.is_replaced, columns: writing.set })
}

/// A new row with what the interceptors set in it.
fn row<T: Syncable, R: NewRow<T>>(repo: &Repo<'_>, verb: &'static str, row: &R) -> Result<Draft<T>> {
    let columns = row.columns()?;
    let value = |column: usize| row.computed(column).is_none().then(|| row.cell(column).into_owned());
    let set = ask(repo, verb, T::schema(), Operation::Insert, &columns, &value)?;
    let mut draft = Draft::of(row, &columns);
    for (column, value) in set.columns {
        draft.put_value(column, value);
    }
    let mut walk = Walk::new(repo.interceptors(), verb);
    draft.each_node(&mut |node| walk.node(node))?;
    Ok(draft)
}

/// The values of assignments, where they are known.
fn values(assignments: &[Assignment], column: usize) -> Option<Value<'static>> {
    let assignment = assignments.iter().find(|assignment| assignment.column == column)?;
    match &assignment.value {
        Node::Bind { value, .. } => Some(value.clone()),
        _ => None,
    }
}

/// Sets columns in the place of what the program says of them.
fn assign(assignments: &mut Vec<Assignment>, schema: &'static Schema, set: Vec<(usize, Value<'static>)>) {
    for (column, value) in set {
        assignments.retain(|assignment| assignment.column != column);
        assignments.push(Assignment { column, value: Node::Bind { value, context: Some((schema, column)) } });
    }
}

/// The names of the columns that are set.
fn names(schema: &'static Schema, columns: impl IntoIterator<Item = usize>) -> Vec<&'static str> {
    columns.into_iter().map(|column| schema.columns[column].name).collect()
}
