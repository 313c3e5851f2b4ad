//! Written rows that the server does not give back: they are selected again, in the same transaction.

use super::change::key_of;
use super::write::write;
use crate::changeset::{Action, Changeset, NewRow};
use crate::conflict::{ConflictTarget, Upserted};
use crate::connection::{Done, Role};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Call, Executor, Job, run};
use crate::insert::tells_keys;
use crate::render::{self, Cell, Insert, Returned};
use crate::row::Discard;
use crate::schema::{Generated, Syncable};
use crate::sinks::AtMostOne;
use crate::sql::SqlBuilder;
use crate::value::{SqlType, Value};

/// The row with this key; with these values where the table has no key. What is not there any more was taken away by the
/// database itself.
pub(super) async fn select<T: Syncable>(
    executor: &impl Executor,
    prefix: Option<&str>,
    key: &[Value<'static>],
) -> Result<T> {
    let again = Call { role: Role::Write, table: Some(T::schema().table), verb: "reselect", enforced: false };
    let (sink, _) = run(
        executor,
        again,
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                if T::schema().primary_key.is_empty() {
                    render::equal(out, T::schema(), prefix, key);
                } else {
                    render::get(out, T::schema(), prefix, key, None);
                }
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || AtMostOne::<T>::of(T::schema().table),
    )
    .await?;
    sink.row.ok_or_else(|| Error::not_found(T::schema().table))
}

/// Updates a row by a changeset that is finished, in the transaction that the caller is in.
pub(super) async fn update<T: Syncable>(executor: &impl Executor, changes: &Changeset<T>) -> Result<T> {
    let options = executor.call_options();
    let sorted = changes.sorted_changes()?;
    let set: Vec<(usize, &Value<'static>)> = sorted.iter().map(|change| (change.column, &change.value)).collect();
    let key = changes.data().map_or_else(Vec::new, key_of);
    let prefix = changes.prefix_ref().or(options.prefix_of(T::schema()));
    let (_, done) = run(
        executor,
        write::<T>("update"),
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::update_guarded(out, T::schema(), prefix, &set, &key, changes.guards(), false);
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Discard,
    )
    .await
    .map_err(|error| changes.refine(error, Action::Update))?;
    match done.rows {
        0 => return changes.missed(Action::Update).and_then(|()| changes.apply()),
        1 => {}
        // What the schema calls a key is none in the database. The transaction undoes it.
        _ => return Err(Error::new(ErrorKind::MultipleResults { table: T::schema().table.to_owned() })),
    }
    // The key may be among what was set.
    let stored = stored_key::<T>(&key, |column| {
        set.iter().find(|(changed, _)| *changed == column).map(|(_, value)| (*value).clone())
    });
    select::<T>(executor, prefix, &stored).await
}

/// The key of a row after an update that sets these columns.
pub(super) fn stored_key<T: Syncable>(
    key: &[Value<'_>],
    set: impl Fn(usize) -> Option<Value<'static>>,
) -> Vec<Value<'static>> {
    let stored = |(&column, old): (&usize, &Value<'_>)| set(column).unwrap_or_else(|| old.borrowed().into_owned());
    T::schema().primary_key.iter().zip(key).map(stored).collect()
}

/// Inserts a row in the transaction that the caller is in.
pub(super) async fn insert<T: Syncable, R: NewRow<T>>(executor: &impl Executor, row: &R) -> Result<T> {
    let columns = row.columns()?;
    let options = executor.call_options();
    let prefix = row.row_prefix().or(options.prefix_of(T::schema()));
    let insert = Insert { schema: T::schema(), prefix, columns: &columns, conflict: None, returned: Returned::Nothing };
    let (_, done) = run(
        executor,
        write::<T>("insert"),
        |capabilities| {
            if !can_tell_key::<T, R>(row, &columns) {
                return Err(Error::unsupported(
                    "returning the inserted row, of which the database makes the key",
                    &*capabilities.server,
                ));
            }
            let cell = |_: usize, column: usize| match row.computed(column) {
                Some(computed) => Cell::Computed(computed),
                None => Cell::Value(row.cell(column)),
            };
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::insert_values(out, insert, 0..1, &cell);
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Discard,
    )
    .await?;
    select::<T>(executor, prefix, &key_of_new::<T, R>(row, &columns, &done)).await
}

/// Inserts a row that says what is done where its key is taken, in the transaction that the caller is in.
pub(super) async fn upsert<'r, T: Syncable>(
    executor: &impl Executor,
    insert: Insert<'r>,
    cell: &(dyn Fn(usize) -> Cell<'r> + Send + Sync),
) -> Result<Upserted<T>> {
    let insert = Insert { returned: Returned::Nothing, ..insert };
    let (_, done) = run(
        executor,
        write::<T>("upsert"),
        |capabilities| {
            if found_by::<T>(&insert, cell, None).is_none() {
                let feature = "an upsert of a row that is found by nothing that is given";
                return Err(Error::unsupported(feature, &*capabilities.server));
            }
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::insert_values(out, insert, 0..1, &|_, column| cell(column));
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Discard,
    )
    .await?;
    let by = found_by::<T>(&insert, cell, done.last_insert_id).unwrap_or_default();
    let again = Call { role: Role::Write, table: Some(T::schema().table), verb: "reselect", enforced: false };
    let (sink, _) = run(
        executor,
        again,
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::upserted(out, T::schema(), insert.prefix, &by);
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || AtMostOne::<(T, Option<bool>)>::of(T::schema().table),
    )
    .await?;
    sink.row.map(Upserted::of).ok_or_else(|| Error::not_found(T::schema().table))
}

/// What finds the row that was written or met: its counted key, which the server tells, else what the row itself gives of
/// the target, or of the key.
fn found_by<'r, T: Syncable>(
    insert: &Insert<'r>,
    cell: &(dyn Fn(usize) -> Cell<'r> + Send + Sync),
    told: Option<i64>,
) -> Option<Vec<(usize, Value<'static>)>> {
    let schema = T::schema();
    if let [key] = schema.primary_key
        && is_counted::<T>(*key)
    {
        return Some(vec![(*key, told.map_or(Value::Null(SqlType::I64), Value::I64))]);
    }
    let columns = match insert.conflict.map(|conflict| &conflict.target) {
        Some(ConflictTarget::Columns(columns)) => &columns[..],
        _ => schema.primary_key,
    };
    let given = |column: &usize| match cell(*column) {
        Cell::Value(value) if insert.columns.contains(column) => Some((*column, value.into_owned())),
        _ => None,
    };
    if columns.is_empty() { None } else { columns.iter().map(given).collect() }
}

fn is_counted<T: Syncable>(column: usize) -> bool {
    matches!(T::schema().columns[column].generated, Generated::Identity)
}

/// Whether the key of the stored row will be known: it is given, or counted by the database, which then tells it.
fn can_tell_key<T: Syncable, R: NewRow<T>>(row: &R, columns: &[usize]) -> bool {
    let schema = T::schema();
    if schema.primary_key.is_empty() {
        return columns.len() == schema.columns.len() && columns.iter().all(|&column| row.computed(column).is_none());
    }
    let computed = |column: &usize| columns.contains(column) && row.computed(*column).is_some();
    tells_keys(schema, columns) && !schema.primary_key.iter().any(computed)
}

fn key_of_new<T: Syncable, R: NewRow<T>>(row: &R, columns: &[usize], done: &Done) -> Vec<Value<'static>> {
    let counted = || done.last_insert_id.map_or(Value::Null(SqlType::I64), Value::I64);
    if T::schema().primary_key.is_empty() {
        return columns.iter().map(|&column| row.cell(column).into_owned()).collect();
    }
    let value = |column: &usize| if columns.contains(column) { row.cell(*column).into_owned() } else { counted() };
    T::schema().primary_key.iter().map(value).collect()
}
