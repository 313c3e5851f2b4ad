//! The rows of one level: first those that go, then those that change, then the new ones, as many as fit in one statement.

use std::borrow::Cow;
use std::sync::Arc;

use super::links::keys_among;
use super::member::{Act, Member};
use super::write::Rows;
use crate::Returning;
use crate::association::Few;
use crate::connection::Role;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{Call, Executor, Job, run};
use crate::insert::{BulkInsert, Cells, tells_keys};
use crate::query::{Relation, SelectBody};
use crate::repo::{delete_rows, refuse_untold};
use crate::row::RowSink;
use crate::schema::Schema;
use crate::transaction::{TransactionOptions, Tx};
use crate::value::Value;

/// The most rows of one DELETE.
const DELETED: usize = 500;

pub(super) async fn write(tx: &Tx, members: Rows<'_, '_>) -> Result<()> {
    delete(tx, members).await?;
    for member in members.iter_mut().filter(|member| member.act() == Act::Update) {
        member.write(tx).await?;
    }
    let new = members.iter_mut().filter(|member| member.act() == Act::Insert);
    let mut new: Vec<_> = new.map(|member| &mut **member).collect();
    insert(tx, &mut new).await
}

async fn delete(tx: &Tx, members: Rows<'_, '_>) -> Result<()> {
    let deleted = |member: &dyn Member| member.act() == Act::Delete;
    let plain: Vec<_> = members.iter().filter(|member| deleted(&***member) && member.is_plain_delete()).collect();
    let in_one = plain.len() > 1;
    if let (true, Some(first)) = (in_one, plain.first()) {
        let schema = first.schema();
        for chunk in plain.chunk_by(|a, b| a.prefix() == b.prefix()).flat_map(|same| same.chunks(DELETED)) {
            let keys: Vec<Few<Value<'static>>> = chunk.iter().filter_map(|member| key_of(&***member)).collect();
            let mut body = SelectBody::of(Relation::Schema(schema));
            body.from.prefix = chunk[0].prefix().map(|prefix| Cow::Owned(prefix.to_owned()));
            body.filter.push(keys_among(schema, schema.primary_key, &keys));
            let rows = delete_rows(tx, &body).await?;
            if rows < keys.len() as u64 && !chunk.iter().all(|member| member.may_be_gone()) {
                return Err(Error::new(ErrorKind::Stale { table: schema.table.to_owned(), action: "delete" }));
            }
        }
    }
    for member in members.iter_mut().filter(|member| deleted(&***member)) {
        if !(in_one && member.is_plain_delete()) {
            member.write(tx).await?;
        }
    }
    Ok(())
}

fn key_of(member: &dyn Member) -> Option<Few<Value<'static>>> {
    let record = member.record()?;
    Some(member.schema().primary_key.iter().map(|&at| record.column(at).into_owned()).collect())
}

/// New rows of one schema. Neighbours that set the same columns go in together, unless somebody is to be asked
/// about each, or the server gives none back and they cannot be found again.
async fn insert(tx: &Tx, members: Rows<'_, '_>) -> Result<()> {
    let gives_back = tx.inner().0.capabilities().insert_returning != Returning::No;
    if !tx.interceptors().is_empty() {
        return one_by_one(tx, members).await;
    }
    let mut shapes = Vec::with_capacity(members.len());
    if members.len() > 1 {
        for member in members.iter_mut() {
            let columns = member.columns()?;
            shapes.push((columns, member.prefix().map(Arc::<str>::from)));
        }
    }
    let mut rest = members;
    for shape in shapes.chunk_by(|a, b| a == b) {
        let (same, others) = rest.split_at_mut(shape.len());
        rest = others;
        let (columns, prefix) = &shape[0];
        if same.len() > 1 && !columns.is_empty() && (gives_back || tells_keys(same[0].schema(), columns)) {
            together(tx, same, columns, prefix.as_ref()).await?;
        } else {
            one_by_one(tx, same).await?;
        }
    }
    one_by_one(tx, rest).await
}

async fn one_by_one(tx: &Tx, members: Rows<'_, '_>) -> Result<()> {
    for member in members {
        member.write(tx).await?;
    }
    Ok(())
}

/// Inserts rows by one statement. The database says which constraint refused it, not of which row: where somebody wants to
/// know, they are undone and go in one after the other up to that row.
async fn together(tx: &Tx, members: Rows<'_, '_>, columns: &[usize], prefix: Option<&Arc<str>>) -> Result<()> {
    if !members.iter().any(|member| member.declares()) {
        return insert_rows(tx, members, columns, prefix).await;
    }
    if tx.is_flat() {
        return one_by_one(tx, members).await;
    }
    let inner = tx.start(TransactionOptions::new()).await?;
    match insert_rows(&inner, members, columns, prefix).await {
        Ok(()) => inner.commit().await,
        Err(error) => {
            let undone = inner.rollback().await;
            if error.violation().is_none() {
                return Err(error);
            }
            undone?;
            one_by_one(tx, members).await
        }
    }
}

async fn insert_rows(tx: &Tx, members: Rows<'_, '_>, columns: &[usize], prefix: Option<&Arc<str>>) -> Result<()> {
    let Some(first) = members.first() else { return Ok(()) };
    let (schema, sink) = (first.schema(), first.sink());
    let mut cells = Vec::with_capacity(members.len() * columns.len());
    for member in members.iter() {
        member.cells(columns, &mut cells);
    }
    let rows = Bulk { schema, columns: Cow::Owned(columns.to_vec()), cells, prefix: prefix.cloned() };
    let (mut stored, _) = rows.insert(tx, true, None, || sink(members.len())).await?;
    for member in members.iter_mut().rev() {
        if !member.accept(&mut *stored)? {
            return Err(Error::not_found(schema.table));
        }
    }
    Ok(())
}

/// Values for some columns of new rows.
pub(super) struct Bulk {
    pub(super) schema: &'static Schema,
    /// Ascending.
    pub(super) columns: Cow<'static, [usize]>,
    /// Row by row.
    pub(super) cells: Vec<Value<'static>>,
    pub(super) prefix: Option<Arc<str>>,
}

impl Bulk {
    /// Inserts them, and gives back what the sink took, and how many were written.
    pub(super) async fn insert(
        self,
        tx: &Tx,
        returning: bool,
        conflict: Option<Arc<crate::conflict::Conflict>>,
        sink: impl Fn() -> Box<dyn RowSink> + Send + Sync,
    ) -> Result<(Box<dyn RowSink>, u64)> {
        let Bulk { schema, columns, cells, prefix } = self;
        let rows = cells.len() / columns.len().max(1);
        let source = Arc::new(Cells::of(schema, &columns, cells));
        let prefix = prefix.or_else(|| tx.call_options().prefix_of(schema).map(Arc::from));
        let bulk = BulkInsert { schema, prefix, columns, rows: 0..rows, source, returning, conflict };
        let call = Call { role: Role::Write, table: Some(schema.table), verb: "insert", enforced: false };
        let make = |capabilities: &'static crate::Capabilities| {
            refuse_untold(&bulk, capabilities)?;
            Ok(Job::InsertMany(bulk.clone()))
        };
        let (sink, done) = run(tx, call, make, sink).await?;
        Ok((sink, done.rows))
    }
}
