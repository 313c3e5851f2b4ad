//! The rows of join tables.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::batch::Bulk;
use super::member::{Act, Member};
use super::write::{Owned, Rows, as_key, owned, stays};
use crate::association::{Ends, Few, Link};
use crate::changeset::stamp;
use crate::conflict::{Conflict, ConflictTarget};
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::expr::{Node, Operator, SourceRef};
use crate::from_row::FromRow;
use crate::query::{Relation, SelectBody};
use crate::repo::{ask_link, delete_rows, tell_link};
use crate::row::{Discard, Row, RowSink};
use crate::schema::{AssociationDef, ColumnDef, Generated, Schema};
use crate::transaction::Tx;
use crate::types::now;
use crate::value::Value;

/// The most links that one statement removes.
const REMOVED: usize = 500;

/// A join table, and its columns of the keys of both sides.
pub(super) struct Table {
    schema: &'static Schema,
    owner: Few<usize>,
    related: Few<usize>,
}

impl Table {
    pub(super) fn of(def: &'static AssociationDef, ends: &Ends) -> Result<Self> {
        let Some(link) = &ends.link else {
            return Err(Error::invalid(format!("{}.{} has no join table", ends.owner.name, def.field)));
        };
        let schema = link.schema.unwrap_or_else(|| made_schema(def, ends, link));
        let positions = |names: &[&'static str]| -> Result<Few<usize>> {
            let find = |name: &&'static str| {
                schema.column_position(name).ok_or_else(|| {
                    Error::invalid(format!(
                        "{}.{} needs the column `{name}`, and the struct {} has none: add the field, or name another key",
                        ends.owner.name, def.field, schema.name
                    ))
                })
            };
            names.iter().map(find).collect()
        };
        Ok(Table { schema, owner: positions(link.owner_columns)?, related: positions(link.related_columns)? })
    }

    /// The schema or database that it is in, for a row that names its own.
    fn prefix(&self, ends: &Ends, own: Option<&str>) -> Option<Arc<str>> {
        if self.schema.prefix.is_some() {
            return None;
        }
        own.or(ends.owner.prefix).map(Arc::from)
    }

    /// The links of an owner.
    pub(super) fn links_of(&self, ends: &Ends, owner: &[Value<'static>], prefix: Option<&str>) -> SelectBody {
        let mut body = SelectBody::of(Relation::Schema(self.schema));
        body.from.prefix = self.prefix(ends, prefix).map(|prefix| Cow::Owned(prefix.as_ref().to_owned()));
        for (&column, value) in self.owner.iter().zip(owner) {
            body.filter.push(equal(self.schema, column, value.clone()));
        }
        body
    }

    /// The keys of one side as the columns of the table hold them.
    pub(super) fn keys<'v>(
        &self,
        columns: &[usize],
        of: &'static Schema,
        values: impl Iterator<Item = Value<'v>>,
    ) -> Result<Few<Value<'static>>> {
        columns.iter().zip(values).map(|(&column, value)| as_key(value, of, self.schema, column)).collect()
    }

    pub(super) fn owner_keys<'v>(
        &self,
        ends: &Ends,
        values: impl Iterator<Item = Value<'v>>,
    ) -> Result<Few<Value<'static>>> {
        self.keys(&self.owner, ends.owner, values)
    }
}

/// The join tables that are no structs, by their associations. A schema is for ever, and there is one for each such
/// association of the program.
fn made_schema(def: &'static AssociationDef, ends: &Ends, link: &Link) -> &'static Schema {
    static MADE: Mutex<Option<HashMap<usize, &'static Schema>>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.get_or_insert_default().entry(std::ptr::from_ref(def).addr()).or_insert_with(|| {
        let column = |name: &'static str, key: &ColumnDef| ColumnDef {
            name,
            field: name,
            sql_type: key.sql_type,
            ty: key.ty,
            fit: Ok,
            ..ColumnDef::of::<i64>(name, name)
        };
        let owner = ends.owner_keys.iter().map(|&at| &ends.owner.columns[at]);
        let related = ends.related_keys.iter().map(|&at| &ends.related.columns[at]);
        let names = link.owner_columns.iter().chain(link.related_columns);
        let columns: Vec<_> = names.zip(owner.chain(related)).map(|(name, key)| column(name, key)).collect();
        Box::leak(Box::new(Schema {
            name: link.table,
            table: link.table,
            prefix: None,
            columns: Vec::leak(columns),
            primary_key: &[],
            associations: &[],
            extra_columns: &[],
        }))
    })
}

/// Removes the links to rows that were there, and adds those to rows that were not.
pub(super) async fn write(tx: &Tx, members: Rows<'_, '_>, def: &'static AssociationDef, at: usize) -> Result<()> {
    let Some(schema) = members.first().map(|member| member.schema()) else { return Ok(()) };
    let ends = Ends::of(schema, def)?;
    let table = Table::of(def, &ends)?;
    let conflict = def.unique.then(|| Arc::new(skip(table.schema)));
    let mut new = New { table: &table, prefix: None, pairs: Vec::new() };
    for member in members.iter_mut() {
        let prefix = table.prefix(&ends, member.prefix());
        let Some(links) = links(&table, &ends, &mut **member, at)? else { continue };
        for removed in links.removed.chunks(REMOVED) {
            let mut body = table.links_of(&ends, &links.owner, member.prefix());
            body.filter.push(keys_among(table.schema, &table.related, removed));
            delete_rows(tx, &body).await?;
        }
        if links.added.is_empty() {
            continue;
        }
        if new.prefix != prefix {
            new.insert(tx, conflict.as_ref()).await?;
            new.prefix = prefix;
        }
        for related in links.added {
            new.add(&links.owner, related);
        }
        if member.declares() {
            // The join table's constraints are its owner's.
            new.insert(tx, conflict.as_ref()).await.map_err(|error| member.refine(error))?;
        }
    }
    new.insert(tx, conflict.as_ref()).await
}

/// The links of one owner that go, and those that come.
struct Links {
    owner: Few<Value<'static>>,
    removed: Vec<Few<Value<'static>>>,
    added: Vec<Few<Value<'static>>>,
}

fn links(table: &Table, ends: &Ends, member: &mut (dyn Member + 'static), at: usize) -> Result<Option<Links>> {
    let Some(Owned { owner: Some(owner), gone, given, is_new }) = owned(member, at) else { return Ok(None) };
    let owner = table.owner_keys(ends, ends.owner_keys.iter().map(|&own| owner.column(own)))?;
    let key = |member: &dyn Member| {
        let values = ends.related_keys.iter().filter_map(|&column| Some(member.record()?.column(column)));
        table.keys(&table.related, ends.related, values)
    };
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    for related in gone.iter().chain(&given) {
        if related.act() == Act::Unlink {
            removed.push(key(&**related)?);
        } else if stays(&**related) && (is_new || !related.is_linked()) {
            added.push(key(&**related)?);
        }
    }
    if !added.is_empty() && owner.iter().any(Value::is_null) {
        let (name, column) = (ends.owner.name, ends.owner.columns[ends.owner_keys[0]].name);
        return Err(Error::invalid(format!("`{column}` of {name} is NULL: nothing can be linked with this row")));
    }
    Ok(Some(Links { owner, removed, added }))
}

/// Links that are to be inserted.
struct New<'t> {
    table: &'t Table,
    prefix: Option<Arc<str>>,
    pairs: Vec<Pair>,
}

/// The keys of one link.
struct Pair {
    owner: Few<Value<'static>>,
    related: Few<Value<'static>>,
}

impl New<'_> {
    fn add(&mut self, owner: &Few<Value<'static>>, related: Few<Value<'static>>) {
        self.pairs.push(Pair { owner: owner.clone(), related });
    }

    /// Inserts them by one statement. What else the join table's struct has is filled as in any new row: keys that EMR
    /// makes, and timestamps.
    async fn insert(&mut self, tx: &Tx, conflict: Option<&Arc<Conflict>>) -> Result<()> {
        let links = std::mem::take(&mut self.pairs);
        if links.is_empty() {
            return Ok(());
        }
        let Table { schema, owner, related } = self.table;
        let now = now();
        let place = |columns: &[usize], column: usize| columns.iter().position(|&at| at == column);
        let mut columns = Vec::new();
        let mut sources = Vec::new();
        for (at, def) in schema.columns.iter().enumerate() {
            sources.push(match (place(owner, at), place(related, at), def.generated) {
                (Some(n), ..) => Filled::Owner(n),
                (None, Some(n), _) => Filled::Related(n),
                (None, None, Generated::Client(make)) => Filled::Client(make),
                _ if def.stamp.is_some() => Filled::With(stamp(def, now)),
                _ => continue,
            });
            columns.push(at);
        }
        let cells = |link| sources.iter().map(move |source| source.value(link));
        if !tx.interceptors().is_empty() {
            for link in &links {
                self.insert_asked(tx, &columns, cells(link).collect(), conflict).await?;
            }
            return Ok(());
        }
        let cells = links.iter().flat_map(cells).collect();
        let bulk = Bulk { schema, columns: Cow::Owned(columns), cells, prefix: self.prefix.clone() };
        bulk.insert(tx, false, conflict.cloned(), || Box::new(Discard) as Box<dyn RowSink>).await?;
        Ok(())
    }

    /// Inserts one link, about which interceptors are asked and told.
    async fn insert_asked(
        &self,
        tx: &Tx,
        columns: &[usize],
        mut cells: Vec<Value<'static>>,
        conflict: Option<&Arc<Conflict>>,
    ) -> Result<()> {
        let schema = self.table.schema;
        let mut columns = columns.to_vec();
        for (column, value) in ask_link(tx, schema, &columns, &cells)? {
            match columns.binary_search(&column) {
                Ok(at) => cells[at] = value,
                Err(at) => {
                    columns.insert(at, column);
                    cells.insert(at, value);
                }
            }
        }
        let (set, values) = (Cow::Owned(columns.clone()), cells.clone());
        let bulk = Bulk { schema, columns: set, cells: values, prefix: self.prefix.clone() };
        let new = Arc::new(AtomicBool::new(false));
        let sink = || Box::new(IsNew(Arc::clone(&new))) as Box<dyn RowSink>;
        bulk.insert(tx, false, conflict.cloned(), sink).await?;
        if conflict.is_some() && !new.load(Ordering::Relaxed) {
            return Ok(());
        }
        tell_link(tx, schema, &columns, &cells).await
    }
}

/// Notes that a link was not there before.
struct IsNew(Arc<AtomicBool>);

impl RowSink for IsNew {
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        if Option::<bool>::read(row, 0)?.is_some() {
            self.0.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// What a column of a link is filled with.
enum Filled {
    Owner(usize),
    Related(usize),
    Client(fn() -> Value<'static>),
    With(Value<'static>),
}

impl Filled {
    fn value(&self, link: &Pair) -> Value<'static> {
        match self {
            Filled::Owner(n) => link.owner[*n].clone(),
            Filled::Related(n) => link.related[*n].clone(),
            Filled::Client(make) => make(),
            Filled::With(value) => value.clone(),
        }
    }
}

/// Leaves a link alone that is there already.
fn skip(schema: &'static Schema) -> Conflict {
    Conflict {
        assignments: None,
        target: ConflictTarget::Any,
        target_filter: Vec::new(),
        filter: Vec::new(),
        stored: SelectBody::of(Relation::Schema(schema)),
    }
}

fn column(schema: &'static Schema, column: usize) -> Node {
    Node::Column { source: SourceRef::Nth(0), schema, column }
}

/// The condition that a column has a value.
pub(super) fn equal(schema: &'static Schema, at: usize, value: Value<'static>) -> Node {
    let right = Node::Bind { value, context: Some((schema, at)) };
    Node::Binary { op: Operator::Eq, left: Box::new(column(schema, at)), right: Box::new(right) }
}

/// The condition that columns hold one of these keys.
pub(super) fn keys_among(schema: &'static Schema, columns: &[usize], keys: &[Few<Value<'static>>]) -> Node {
    if let [only] = *columns {
        return Node::In {
            needle: Box::new(column(schema, only)),
            list: keys.iter().flatten().cloned().collect(),
            element: schema.columns[only].ty,
            context: Some((schema, only)),
        };
    }
    let same = |key: &Few<Value<'static>>| {
        Node::And(columns.iter().zip(key).map(|(&at, value)| equal(schema, at, value.clone())).collect())
    };
    Node::Or(keys.iter().map(same).collect())
}
