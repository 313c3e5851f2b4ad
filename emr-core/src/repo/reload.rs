//! Rows that are there already, read again.

use std::ops::Range;
use std::sync::Arc;

use super::fetch::describe;
use super::read;
use crate::capabilities::IsolationLevel;
use crate::connection::Role;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Call, Executor, Job, run};
use crate::expr::{Node, Operator, SourceRef};
use crate::intercept::read_by;
use crate::preload::{Key, Keys};
use crate::query::{Relation, SelectBody};
use crate::render;
use crate::row::{Row, RowSink};
use crate::schema::{Schema, Syncable};
use crate::sql::SqlBuilder;
use crate::transaction::TransactionOptions;
use crate::value::Value;

/// Keys of several columns that one statement asks for: an OR of more would be too deep for SQLite.
const COMPOSITE_KEYS: u32 = 250;

/// Keys of one column that one statement asks for, where they are not one parameter.
const SINGLE_KEYS: u32 = 10_000;

pub(super) async fn reload<T: Syncable>(executor: &impl Executor, row: &T) -> Result<Option<T>> {
    let key = key_of(row)?.into_iter().map(Value::into_owned).collect::<Vec<_>>();
    read::get(executor, T::schema(), &key, None).await
}

pub(super) async fn refetch<T: Syncable>(executor: &impl Executor, row: &T) -> Result<T> {
    reload(executor, row).await?.ok_or_else(|| missing(row))
}

pub(super) async fn refetch_all<T: Syncable>(executor: &impl Executor, rows: &[T]) -> Result<Vec<T>> {
    let found = reload_all(executor, rows).await?;
    rows.iter().zip(found).map(|(row, found)| found.ok_or_else(|| missing(row))).collect()
}

pub(super) async fn reload_all<T: Syncable>(executor: &impl Executor, rows: &[T]) -> Result<Vec<Option<T>>> {
    let mut found: Vec<Option<T>> = rows.iter().map(|_| None).collect();
    if rows.is_empty() {
        return Ok(found);
    }
    let wanted = Arc::new(Wanted::of(rows)?);
    let mut fill = |rows: Vec<(usize, T)>| rows.into_iter().for_each(|(at, row)| found[at] = Some(row));
    let all = wanted.keys.all();
    let chunk = chunk_of_keys(T::schema());
    if all.end <= chunk {
        fill(read_keys(executor, &wanted, &all).await?);
        return Ok(found);
    }
    // One state of the database for all of them, where the engine has such transactions.
    let mut options = TransactionOptions::new();
    let levels = executor.inner().0.capabilities().isolation_levels;
    if !executor.is_transaction() && levels.contains(&IsolationLevel::RepeatableRead) {
        options = options.isolation(IsolationLevel::RepeatableRead).read_only();
    }
    let tx = executor.start(options).await?;
    let mut start = 0;
    while start < all.end {
        let end = start.saturating_add(chunk).min(all.end);
        fill(read_keys(&tx, &wanted, &(start..end)).await?);
        start = end;
    }
    tx.commit().await?;
    Ok(found)
}

/// How many keys one statement asks for.
pub(crate) fn chunk_of_keys(schema: &Schema) -> u32 {
    if schema.primary_key.len() == 1 { SINGLE_KEYS } else { COMPOSITE_KEYS }
}

/// The keys that are asked for, each with the places of its row in the result.
struct Wanted {
    keys: Keys,
    places: Vec<usize>,
}

impl Wanted {
    fn of<T: Syncable>(rows: &[T]) -> Result<Self> {
        let mut keys = Keys::new(T::schema().primary_key.len());
        let owners = rows.iter().map(|row| Ok(keys.add(key_of(row)?))).collect::<Result<Vec<_>>>()?;
        keys.number();
        let mut places = vec![0; rows.len()];
        for (place, (key, nth)) in owners.into_iter().enumerate() {
            places[keys.owners(key).start + nth as usize] = place;
        }
        Ok(Wanted { keys, places })
    }

    fn places_of(&self, key: &[Value<'_>]) -> &[usize] {
        // A row whose key looks otherwise than it was asked for, by a collation, belongs to nobody.
        self.keys.find(key).map_or(&[], |key| &self.places[self.keys.owners(key)])
    }
}

/// The rows of these keys, each with its place in the result.
async fn read_keys<T: Syncable>(
    executor: &impl Executor,
    wanted: &Arc<Wanted>,
    keys: &Range<u32>,
) -> Result<Vec<(usize, T)>> {
    let mut body = of_keys(T::schema(), wanted.keys.rows(keys));
    read_by(executor, "reload", &mut body)?;
    let options = executor.call_options();
    let (sink, _) = run(
        executor,
        Call { role: Role::Read, table: Some(T::schema().table), verb: "reload", enforced: false },
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::select(out, &body, options.prefix.as_deref());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || Placed { wanted: Arc::clone(wanted), rows: Vec::<(usize, T)>::new() },
    )
    .await?;
    Ok(sink.rows)
}

/// Collects rows with their places. A row that is wanted twice is read twice out of the same cells: structs need not be
/// `Clone`.
struct Placed<T> {
    wanted: Arc<Wanted>,
    rows: Vec<(usize, T)>,
}

impl<T: Syncable> RowSink for Placed<T> {
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        let first = T::read(row, 0)?;
        let Some((last, others)) = self.wanted.places_of(&key_of(&first)?).split_last() else { return Ok(()) };
        for place in others {
            self.rows.push((*place, T::read(row, 0)?));
        }
        self.rows.push((*last, first));
        Ok(())
    }
}

/// The query of the rows with these keys.
pub(crate) fn of_keys<'k>(schema: &'static Schema, keys: impl Iterator<Item = &'k [Value<'static>]>) -> SelectBody {
    let node = |column: usize| Box::new(Node::Column { source: SourceRef::Nth(0), schema, column });
    let mut body = SelectBody::of(Relation::Schema(schema));
    body.filter.push(if let [column] = *schema.primary_key {
        Node::In {
            needle: node(column),
            list: keys.flatten().cloned().collect(),
            element: schema.columns[column].ty,
            context: Some((schema, column)),
        }
    } else {
        let equal = |(&column, value): (&usize, &Value<'static>)| Node::Binary {
            op: Operator::Eq,
            left: node(column),
            right: Box::new(Node::Bind { value: value.clone(), context: Some((schema, column)) }),
        };
        Node::Or(keys.map(|key| Node::And(schema.primary_key.iter().zip(key).map(equal).collect())).collect())
    });
    body
}

/// The values of a row's key columns.
fn key_of<T: Syncable>(row: &T) -> Result<Key<'_>> {
    let schema = T::schema();
    if schema.primary_key.is_empty() {
        return Err(Error::invalid(format!(
            "{} has no primary key to find the row by: mark a field with #[emr(primary_key)], or use a query",
            schema.name
        )));
    }
    let key: Key<'_> = schema.primary_key.iter().map(|&column| row.value(column)).collect();
    if key.iter().any(Value::is_null) {
        return Err(Error::invalid(format!(
            "the key of this {} has NULL in it: no row can be found by it",
            schema.name
        )));
    }
    Ok(key)
}

fn missing<T: Syncable>(row: &T) -> Error {
    let key = key_of(row).map(|key| describe(T::schema(), &key)).ok();
    Error::new(ErrorKind::NotFound { table: T::schema().table.to_owned(), key, tag: None })
}
