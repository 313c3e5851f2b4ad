//! Inserts that say what is done where a key is taken, inserts of what the database computes, and of the rows of a query.

use std::sync::Arc;

use super::change::finish;
use super::write::{groups, prefix_of, write};
use super::{intercepted, reselect, reselect_from};
use crate::capabilities::Capabilities;
use crate::changeset::NewRow;
use crate::conflict::{Conflict, OnConflict, UpsertCounts, Upserted, refuse_repeated};
use crate::connection::Done;
use crate::dialect::{OutcomeStyle, UpsertStyle};
use crate::error::{Error, Result};
use crate::exec::{Executor, Job, run};
use crate::from_row::FromRow;
use crate::graph;
use crate::insert::BulkInsert;
use crate::query::SelectBody;
use crate::render::{self, Cell, Insert, Returned};
use crate::row::{Discard, Row, RowSink};
use crate::schema::Syncable;
use crate::sinks::{AtMostOne, Structs};
use crate::sql::{Params, Sql, SqlBuilder};
use crate::transaction::TransactionOptions;

/// The most rows of one statement that cannot go by the engine's own road.
const ROWS: usize = 500;

fn cell<T: Syncable, R: NewRow<T>>(row: &R, column: usize) -> Cell<'_> {
    match row.computed(column) {
        Some(computed) => Cell::Computed(computed),
        None => Cell::Value(row.cell(column)),
    }
}

/// Inserts one row by a statement of its own and gives back what RETURNING does.
pub(super) async fn insert_row<T: Syncable, R: NewRow<T>, O: FromRow>(
    executor: &impl Executor,
    row: &R,
    conflict: Option<&Conflict>,
) -> Result<Option<O>> {
    let columns = row.columns()?;
    let options = executor.call_options();
    let prefix = row.row_prefix().or(options.prefix_of(T::schema()));
    let insert = Insert { schema: T::schema(), prefix, columns: &columns, conflict, returned: Returned::Row };
    let verb = if conflict.is_some() { "upsert" } else { "insert" };
    let (sink, _) = run(
        executor,
        write::<T>(verb),
        |capabilities| {
            let cell = |_: usize, column: usize| cell::<T, R>(row, column);
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::insert_values(out, insert, 0..1, &cell);
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        || AtMostOne::<O>::of(T::schema().table),
    )
    .await?;
    Ok(sink.row)
}

/// Inserts a row with computed cells.
pub(super) async fn insert_computed<T: Syncable, R: NewRow<T>>(executor: &impl Executor, row: &R) -> Result<T> {
    if super::write::gives_nothing_back(executor).await? {
        return Box::pin(super::write::insert_reselected(executor, row)).await;
    }
    let stored = insert_row::<T, R, T>(executor, row, None).await?;
    stored.ok_or_else(|| Error::not_found(T::schema().table))
}

pub(super) async fn upsert<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    mut row: R,
    on_conflict: OnConflict<T>,
) -> Result<Upserted<T>> {
    row.check()?;
    if row.is_to_prepare() {
        return Err(Error::invalid("prepare_changes is for insert, update and delete: an upsert may do neither"));
    }
    if row.has_associations() {
        return match row.into_changeset() {
            Some(changes) => Box::pin(graph::upsert(executor, changes, on_conflict)).await,
            None => Err(Error::invalid("only a changeset has associations to write")),
        };
    }
    upsert_row(executor, &mut row, on_conflict.conflict()).await.map_err(|error| row.refine(error))
}

/// Upserts the row itself.
pub(crate) async fn upsert_row<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    row: &mut R,
    conflict: &Conflict,
) -> Result<Upserted<T>> {
    row.prepare();
    if !executor.interceptors().is_empty() {
        return Box::pin(intercepted::upsert(executor, &*row, conflict)).await;
    }
    upsert_prepared(executor, &*row, conflict).await
}

/// The same for a row that is prepared and that the interceptors have seen.
pub(super) async fn upsert_prepared<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    row: &R,
    conflict: &Conflict,
) -> Result<Upserted<T>> {
    if super::write::gives_nothing_back(executor).await? {
        return Box::pin(upsert_reselected(executor, row, conflict)).await;
    }
    let written = insert_row::<T, R, (T, Option<bool>)>(executor, row, Some(conflict)).await?;
    Ok(written.map_or(Upserted::Skipped, Upserted::of))
}

/// Upserts a row where the server gives none back.
async fn upsert_reselected<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    row: &R,
    conflict: &Conflict,
) -> Result<Upserted<T>> {
    let columns = row.columns()?;
    let options = executor.call_options();
    let prefix = row.row_prefix().or(options.prefix_of(T::schema()));
    let returned = Returned::Nothing;
    let insert = Insert { schema: T::schema(), prefix, columns: &columns, conflict: Some(conflict), returned };
    let cell = |column: usize| cell::<T, R>(row, column);
    if executor.is_transaction() {
        return reselect::upsert(executor, insert, &cell).await;
    }
    let tx = executor.start(TransactionOptions::new()).await?;
    let result = reselect::upsert(&tx, insert, &cell).await;
    finish(tx, result).await
}

/// Upserts rows one by one, in one transaction, where the server gives none back.
async fn upsert_all_reselected<T: Syncable>(executor: &impl Executor, many: &Many) -> Result<Vec<Upserted<T>>> {
    let tx = executor.start(TransactionOptions::new()).await?;
    let result = async {
        let mut written = Vec::new();
        for group in &many.groups {
            for row in 0..group.len() {
                let cell = |column: usize| match group.computed(row, column) {
                    Some(computed) => Cell::Computed(computed),
                    None => Cell::Value(group.cell(row, column)),
                };
                written.push(reselect::upsert(&tx, group.insert(), &cell).await?);
            }
        }
        Ok(written)
    }
    .await;
    finish(tx, result).await
}

/// Rows that are inserted together: they set the same columns.
pub(super) struct Many {
    groups: Vec<BulkInsert>,
    /// Whether some cells are made by the database.
    computed: bool,
}

impl Many {
    pub(super) fn of<T: Syncable, R: NewRow<T>>(
        executor: &impl Executor,
        rows: Vec<R>,
        conflict: Option<&Arc<Conflict>>,
        returning: bool,
    ) -> Result<Self> {
        let mut groups = groups::<T, R>(rows, prefix_of::<T>(executor).as_ref(), returning)?;
        if let Some(conflict) = conflict {
            refuse_repeated(&groups, conflict)?;
            for group in &mut groups {
                group.conflict = Some(Arc::clone(conflict));
            }
        }
        Ok(Many { groups, computed: R::COMPUTED })
    }

    /// Rows of values alone, each group of which says what is done where a key is taken.
    pub(super) fn of_groups(groups: Vec<BulkInsert>) -> Self {
        Many { groups, computed: false }
    }

    /// How the groups are split into statements.
    fn parts(&self, executor: &impl Executor) -> Vec<BulkInsert> {
        if !self.computed {
            return self.groups.clone();
        }
        let repo = executor.inner().0;
        // A mark tells of one row.
        let marked = |group: &BulkInsert| {
            group.conflict.is_some()
                && matches!(
                    repo.dialect().upsert_style(),
                    UpsertStyle::OnConflict(OutcomeStyle::Marked { .. }) | UpsertStyle::DuplicateKey
                )
        };
        let can = repo.capabilities();
        let mut parts = Vec::new();
        for group in &self.groups {
            let fitting = can.max_parameters / 2 / group.columns.len().max(1);
            // Rows of nothing but defaults have no list.
            let single = marked(group) || group.columns.is_empty();
            let size = if single { 1 } else { ROWS.min(can.max_values_rows).min(fitting).max(1) };
            let mut start = 0;
            while start < group.len() {
                let end = (start + size).min(group.len());
                parts.push(group.slice(start..end));
                start = end;
            }
        }
        parts
    }
}

/// Runs one part of many rows.
async fn run_part<T: Syncable, S: RowSink>(
    executor: &impl Executor,
    verb: &'static str,
    part: &BulkInsert,
    computed: bool,
    sink: impl Fn() -> S + Send + Sync,
) -> Result<(S, Done)> {
    let make = |capabilities: &'static Capabilities| {
        if !computed {
            return Ok(Job::InsertMany(part.clone()));
        }
        let cell = |row, column| match part.computed(row, column) {
            Some(computed) => Cell::Computed(computed),
            None => Cell::Value(part.cell(row, column)),
        };
        SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
            render::insert_values(out, part.insert(), 0..part.len(), &cell);
        })
        .map(|(sql, params)| Job::Statement(sql, params))
    };
    run(executor, write::<T>(verb), make, sink).await
}

/// Runs all parts, all or none. Gives what came back, and how many rows were written.
pub(super) async fn run_all<T: Syncable, O: FromRow>(
    executor: &impl Executor,
    verb: &'static str,
    many: &Many,
) -> Result<(Vec<O>, u64)> {
    let parts = many.parts(executor);
    let sink = |len: usize| move || Structs::<O>::with_capacity(len);
    match &parts[..] {
        [] => Ok((Vec::new(), 0)),
        [part] => {
            let (sink, done) = run_part::<T, _>(executor, verb, part, many.computed, sink(part.len())).await?;
            Ok((sink.rows, done.rows))
        }
        parts => {
            let tx = executor.start(TransactionOptions::new()).await?;
            let (mut rows, mut count) = (Vec::new(), 0);
            for part in parts {
                let (mut sink, done) = run_part::<T, _>(&tx, verb, part, many.computed, sink(part.len())).await?;
                rows.append(&mut sink.rows);
                count += done.rows;
            }
            tx.commit().await?;
            Ok((rows, count))
        }
    }
}

/// A row that nobody asked for: with the BEGIN that travels along, a write without RETURNING gives one on PostgreSQL.
struct Unread;

impl FromRow for Unread {
    fn width() -> usize {
        0
    }

    fn read(_: &dyn Row, _: usize) -> Result<Self> {
        Ok(Unread)
    }
}

/// Inserts rows with computed cells, and gives back what is asked for: nothing, or the rows.
pub(super) async fn insert_all_computed<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    rows: Vec<R>,
    returning: bool,
) -> Result<(Vec<T>, u64)> {
    if returning && super::write::gives_nothing_back(executor).await? {
        let stored = Box::pin(super::write::insert_all_reselected(executor, rows)).await?;
        let count = stored.len() as u64;
        return Ok((stored, count));
    }
    let many = Many::of::<T, R>(executor, rows, None, returning)?;
    if returning {
        return run_all::<T, T>(executor, "insert_all", &many).await;
    }
    let (_, count) = run_all::<T, Unread>(executor, "insert_all", &many).await?;
    Ok((Vec::new(), count))
}

pub(super) async fn upsert_all<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    rows: Vec<R>,
    on_conflict: OnConflict<T>,
) -> Result<UpsertCounts> {
    if !executor.interceptors().is_empty() {
        return Box::pin(intercepted::upsert_all(executor, rows, &on_conflict)).await;
    }
    let given = rows.len();
    let many = Many::of::<T, R>(executor, rows, Some(&on_conflict.into_shared()), false)?;
    if !many.groups.is_empty() && super::write::gives_nothing_back(executor).await? {
        let written = Box::pin(upsert_all_reselected::<T>(executor, &many)).await?;
        let outcomes: Vec<_> = written.iter().map(|row| (!row.is_skipped()).then_some(row.is_inserted())).collect();
        return Ok(UpsertCounts::of(given, &outcomes));
    }
    let (written, _) = run_all::<T, Option<bool>>(executor, "upsert_all", &many).await?;
    Ok(UpsertCounts::of(given, &written))
}

pub(super) async fn upsert_all_returning<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    rows: Vec<R>,
    on_conflict: OnConflict<T>,
) -> Result<Vec<Upserted<T>>> {
    if !executor.interceptors().is_empty() {
        return Box::pin(intercepted::upsert_all_returning(executor, rows, &on_conflict)).await;
    }
    let many = Many::of::<T, R>(executor, rows, Some(&on_conflict.into_shared()), true)?;
    upsert_many(executor, &many).await
}

/// Upserts rows, and gives back those that were not skipped.
pub(super) async fn upsert_many<T: Syncable>(executor: &impl Executor, many: &Many) -> Result<Vec<Upserted<T>>> {
    if !many.groups.is_empty() && super::write::gives_nothing_back(executor).await? {
        let mut written = Box::pin(upsert_all_reselected::<T>(executor, many)).await?;
        written.retain(|row| !row.is_skipped());
        return Ok(written);
    }
    let (written, _) = run_all::<T, (T, Option<bool>)>(executor, "upsert_all", many).await?;
    // A row that was skipped comes back from an engine whose INSERT cannot skip.
    Ok(written.into_iter().map(Upserted::of).filter(|row| !row.is_skipped()).collect())
}

/// Inserts the rows of a query.
pub(super) async fn insert_from<T: Syncable, S: RowSink>(
    executor: &impl Executor,
    columns: &[usize],
    query: &SelectBody,
    conflict: Option<&Conflict>,
    returned: Returned,
    sink: impl Fn() -> S + Send + Sync,
) -> Result<(S, u64)> {
    let options = executor.call_options();
    for &column in columns {
        crate::changeset::check_writable(T::schema(), column)?;
    }
    let insert = Insert { schema: T::schema(), prefix: options.prefix_of(T::schema()), columns, conflict, returned };
    let (sink, done) = run(
        executor,
        write::<T>("insert_from"),
        |capabilities| {
            SqlBuilder::build(executor.inner().0.dialect(), capabilities, |out| {
                render::insert_select(out, insert, query, options.prefix.as_deref());
            })
            .map(|(sql, params)| Job::Statement(sql, params))
        },
        sink,
    )
    .await?;
    Ok((sink, done.rows))
}

/// The same, giving back how many rows were written.
pub(super) async fn insert_from_counted<T: Syncable>(
    executor: &impl Executor,
    columns: &[usize],
    query: &SelectBody,
    conflict: Option<&Conflict>,
) -> Result<u64> {
    if !executor.interceptors().is_empty() {
        return match conflict {
            Some(conflict) => Box::pin(intercepted::upsert_from::<T>(executor, columns, query, conflict)).await,
            None => Ok(Box::pin(intercepted::insert_from::<T>(executor, columns, query, false)).await?.1),
        };
    }
    count_from::<T>(executor, columns, query, conflict).await
}

/// The same for a query that the interceptors have seen.
pub(super) async fn count_from<T: Syncable>(
    executor: &impl Executor,
    columns: &[usize],
    query: &SelectBody,
    conflict: Option<&Conflict>,
) -> Result<u64> {
    let marks = executor.inner().0.dialect().upsert_style() == UpsertStyle::DuplicateKey;
    if conflict.is_some() && marks && super::write::gives_nothing_back(executor).await? {
        let tx = executor.start(TransactionOptions::new()).await?;
        let result = count_at_the_server::<T>(&tx, columns, query, conflict).await;
        return finish(tx, result).await;
    }
    if conflict.is_none() || !marks {
        return Ok(insert_from::<T, _>(executor, columns, query, conflict, Returned::Nothing, || Discard).await?.1);
    }
    // The engine counts a changed row twice, and one that it left alone as well.
    let sink = || Structs::<Option<bool>>::with_capacity(0);
    let (written, _) = insert_from::<T, _>(executor, columns, query, conflict, Returned::Outcome, sink).await?;
    Ok(written.rows.iter().flatten().count() as u64)
}

/// The same where nothing comes back: the statement counts in a variable of the session.
async fn count_at_the_server<T: Syncable>(
    tx: &impl Executor,
    columns: &[usize],
    query: &SelectBody,
    conflict: Option<&Conflict>,
) -> Result<u64> {
    let plain = |sql: &'static str| move |_: &'static Capabilities| Ok(Job::Statement(Sql::raw(sql), Params::new()));
    run(tx, write::<T>("insert_from"), plain(render::COUNT_WRITTEN), || Discard).await?;
    insert_from::<T, _>(tx, columns, query, conflict, Returned::Nothing, || Discard).await?;
    let sink = || Structs::<i64>::with_capacity(1);
    let (written, _) = run(tx, write::<T>("insert_from"), plain(render::WRITTEN), sink).await?;
    Ok(written.rows.first().map_or(0, |rows| rows.unsigned_abs()))
}

/// The same, giving back the new rows.
pub(super) async fn insert_from_returning<T: Syncable>(
    executor: &impl Executor,
    columns: &[usize],
    query: &SelectBody,
) -> Result<Vec<T>> {
    if !executor.interceptors().is_empty() {
        return Ok(Box::pin(intercepted::insert_from::<T>(executor, columns, query, true)).await?.0);
    }
    new_rows_from(executor, columns, query).await
}

/// The same for a query that the interceptors have seen.
pub(super) async fn new_rows_from<T: Syncable>(
    executor: &impl Executor,
    columns: &[usize],
    query: &SelectBody,
) -> Result<Vec<T>> {
    if super::write::gives_nothing_back(executor).await? {
        let tx = executor.start(TransactionOptions::new()).await?;
        let result = reselect_from::insert(&tx, columns, query).await;
        return finish(tx, result).await;
    }
    let sink = || Structs::<T>::with_capacity(0);
    Ok(insert_from::<T, _>(executor, columns, query, None, Returned::Row, sink).await?.0.rows)
}
