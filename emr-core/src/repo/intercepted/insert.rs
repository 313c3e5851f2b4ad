//! New rows.

use super::super::change::finish;
use super::super::{upsert, write};
use super::tell::{Report, begin, tell};
use super::{Repo, ask, names, row};
use crate::changeset::NewRow;
use crate::draft::{Draft, Plain};
use crate::error::Result;
use crate::exec::Executor;
use crate::expr::{Node, SourceRef};
use crate::intercept::{Operation, Walk};
use crate::query::{Relation, SelectBody, SelectItem};
use crate::render::Returned;
use crate::row::Discard;
use crate::schema::Syncable;

const INSERT: Operation = Operation::Insert;

/// Inserts a row that is prepared.
pub(in crate::repo) async fn insert<T: Syncable, R: NewRow<T>>(executor: &impl Executor, new: &R) -> Result<T> {
    let any = executor.as_any_repo();
    let repo = &Repo { repo: &any, options: executor.call_options() };
    let draft = row::<T, R>(repo, "insert", new)?;
    if !repo.interceptors().observe(T::schema()) {
        return upsert::insert_computed(repo, &draft).await.map_err(|error| new.refine(error));
    }
    let tx = begin(repo).await?;
    let result = async {
        let stored = upsert::insert_computed(&tx, &draft).await.map_err(|error| new.refine(error))?;
        let columns = names(T::schema(), draft.columns()?.iter().copied());
        tell(&tx, "insert", T::schema(), Report::of(INSERT, [&stored], columns)).await?;
        Ok(stored)
    };
    let result = result.await;
    finish(tx, result).await
}

/// Inserts rows. What comes back are the rows, if they are wanted, and how many they are.
pub(in crate::repo) async fn insert_all<T: Syncable, R: NewRow<T>>(
    executor: &impl Executor,
    rows: Vec<R>,
    returning: bool,
) -> Result<(Vec<T>, u64)> {
    let any = executor.as_any_repo();
    let repo = &Repo { repo: &any, options: executor.call_options() };
    let drafts = drafts::<T, R>(repo, "insert_all", rows)?;
    if !repo.interceptors().observe(T::schema()) {
        return insert_drafts(repo, drafts, R::COMPUTED, returning).await;
    }
    let columns = names(T::schema(), all_columns(&drafts)?);
    let tx = begin(repo).await?;
    let result = async {
        let (stored, count) = insert_drafts(&tx, drafts, R::COMPUTED, true).await?;
        tell(&tx, "insert_all", T::schema(), Report::of(INSERT, &stored, columns)).await?;
        Ok((stored, count))
    };
    let result = result.await;
    finish(tx, result).await
}

async fn insert_drafts<T: Syncable>(
    executor: &impl Executor,
    drafts: Vec<Draft<T>>,
    computed: bool,
    returning: bool,
) -> Result<(Vec<T>, u64)> {
    if computed {
        return upsert::insert_all_computed(executor, drafts, returning).await;
    }
    let rows: Vec<_> = drafts.into_iter().map(Plain).collect();
    if !returning {
        return Ok((Vec::new(), write::insert_rows(executor, rows).await?));
    }
    let stored = write::insert_rows_returning(executor, rows).await?;
    let count = stored.len() as u64;
    Ok((stored, count))
}

/// Many rows with what the interceptors set in them.
pub(super) fn drafts<T: Syncable, R: NewRow<T>>(
    repo: &Repo<'_>,
    verb: &'static str,
    mut rows: Vec<R>,
) -> Result<Vec<Draft<T>>> {
    write::check_all(&rows)?;
    rows.iter_mut().for_each(NewRow::prepare);
    rows.iter().map(|new| row(repo, verb, new)).collect()
}

/// The columns that any of the rows sets.
pub(super) fn all_columns<T: Syncable>(drafts: &[Draft<T>]) -> Result<Vec<usize>> {
    let mut all = Vec::new();
    for draft in drafts {
        for &column in &*draft.columns()? {
            if !all.contains(&column) {
                all.push(column);
            }
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// Inserts the rows of a query. What comes back are the rows, if they are wanted, and how many they are.
pub(in crate::repo) async fn insert_from<T: Syncable>(
    executor: &impl Executor,
    columns: &[usize],
    query: &SelectBody,
    returning: bool,
) -> Result<(Vec<T>, u64)> {
    let any = executor.as_any_repo();
    let repo = &Repo { repo: &any, options: executor.call_options() };
    let (columns, query) = with_columns(repo, T::schema(), columns, query)?;
    let (columns, query) = (&columns[..], &*query);
    if !repo.interceptors().observe(T::schema()) {
        if !returning {
            let sink = || Discard;
            let (_, count) = upsert::insert_from::<T, _>(repo, columns, query, None, Returned::Nothing, sink).await?;
            return Ok((Vec::new(), count));
        }
        let stored = upsert::new_rows_from(repo, columns, query).await?;
        let count = stored.len() as u64;
        return Ok((stored, count));
    }
    let tx = begin(repo).await?;
    let result = async {
        let stored: Vec<T> = upsert::new_rows_from(&tx, columns, query).await?;
        let report = Report::of(INSERT, &stored, names(T::schema(), columns.iter().copied()));
        tell(&tx, "insert_from", T::schema(), report).await?;
        let count = stored.len() as u64;
        Ok((stored, count))
    };
    let result = result.await;
    finish(tx, result).await
}

/// The columns of an insert from a query with those that interceptors set, and the query that gives them.
pub(super) fn with_columns(
    repo: &Repo<'_>,
    schema: &'static crate::schema::Schema,
    columns: &[usize],
    query: &SelectBody,
) -> Result<(Vec<usize>, Box<SelectBody>)> {
    let verb = "insert_from";
    let mut query = Box::new(query.clone());
    Walk::new(repo.interceptors(), verb).query(&mut query).map_err(|error| error.with_repo(repo.inner().0.id()))?;
    let set = ask(repo, verb, schema, INSERT, columns, &|_| None)?.columns;
    if set.is_empty() {
        return Ok((columns.to_vec(), query));
    }
    // Around the query, as in it they could make other rows of it: groups, distinct rows, combinations.
    let mut inner = Vec::with_capacity(columns.len());
    for (n, item) in query.select.iter_mut().enumerate() {
        if let SelectItem::Expr { node, name } = item {
            let name = name.get_or_insert_with(|| format!("emr_{n}").into()).clone();
            inner.push(Node::Name { source: SourceRef::Nth(0), name, ty: node.sql_type() });
        }
    }
    let mut outer = SelectBody::of(Relation::Query(query));
    let mut all = Vec::with_capacity(columns.len() + set.len());
    let item = |node| SelectItem::Expr { node, name: None };
    for (&column, node) in columns.iter().zip(inner) {
        if !set.iter().any(|(at, _)| *at == column) {
            all.push(column);
            outer.select.push(item(node));
        }
    }
    for (column, value) in set {
        all.push(column);
        outer.select.push(item(Node::Bind { value, context: Some((schema, column)) }));
    }
    Ok((all, Box::new(outer)))
}
