//! What a subscriber wants to hear of: which changes of which rows, and what follows from them.

use std::borrow::Cow;
use std::sync::Arc;

use emr_core::walk::{Ends, Few, Spec, flat_steps, reads_of};
use emr_core::watch::{Carried, Event, Op, Watched};
use emr_core::{AssociationDef, Error, Record, Result, Schema, Through, Value};

use crate::key::{Key, names};
use crate::tables::Tables;

/// Sorts of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ops(u8);

impl Ops {
    /// Rows that are inserted.
    pub const INSERTED: Ops = Ops(1);
    /// Rows that are updated.
    pub const UPDATED: Ops = Ops(2);
    /// Rows that are deleted.
    pub const DELETED: Ops = Ops(4);
    /// All of them.
    pub const ALL: Ops = Ops(7);

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Ops) -> Ops {
        Ops(self.0 | other.0)
    }

    /// Whether a change is of these sorts. A TRUNCATE deletes.
    pub fn has(self, op: Op) -> bool {
        let bit = match op {
            Op::Insert => Ops::INSERTED,
            Op::Update => Ops::UPDATED,
            _ => Ops::DELETED,
        };
        self.0 & bit.0 != 0
    }
}

/// Names of columns.
pub(crate) type Names = Vec<Cow<'static, str>>;

/// One entry in the routing tables.
#[derive(Debug, Clone)]
pub(crate) struct Interest {
    pub(crate) table: usize,
    /// Only rows with these values; all rows where `None`.
    pub(crate) on: Option<(Names, Key)>,
    pub(crate) ops: Ops,
    pub(crate) below: Option<Arc<Below>>,
    pub(crate) label: Option<Arc<str>>,
    /// The struct that the rows are, where it is known.
    pub(crate) schema: Option<&'static Schema>,
}

impl Interest {
    pub(crate) fn all(table: usize, ops: Ops) -> Self {
        Interest { table, on: None, ops, below: None, label: None, schema: None }
    }

    pub(crate) fn of(table: usize, columns: &[&'static str], key: Key, ops: Ops) -> Self {
        let columns = columns.iter().map(|name| Cow::Borrowed(*name)).collect();
        Interest { table, on: Some((columns, key)), ops, below: None, label: None, schema: None }
    }

    pub(crate) fn then(mut self, below: Option<Arc<Below>>) -> Self {
        self.below = below;
        self
    }

    pub(crate) fn rows_of(mut self, schema: &'static Schema) -> Self {
        self.schema = Some(schema);
        self
    }
}

/// What comes into view with a row of an interest.
#[derive(Debug)]
pub(crate) struct Below {
    pub(crate) schema: &'static Schema,
    pub(crate) specs: Vec<Spec>,
    /// The row is one of a join table; the schema is that of its far end.
    pub(crate) link: Option<Ends>,
    /// The row itself was subscribed to: it is followed by its own key, also when that changes.
    pub(crate) is_root: bool,
}

impl Below {
    pub(crate) fn rows(schema: &'static Schema, specs: &[Spec]) -> Option<Arc<Self>> {
        (!specs.is_empty()).then(|| Arc::new(Below { schema, specs: specs.to_vec(), link: None, is_root: false }))
    }

    pub(crate) fn root(schema: &'static Schema, specs: &[Spec]) -> Arc<Self> {
        Arc::new(Below { schema, specs: specs.to_vec(), link: None, is_root: true })
    }

    /// Whether nothing comes into view with a row that changes.
    pub(crate) fn is_idle(&self, event: &Event) -> bool {
        self.is_root && self.specs.is_empty() && event.op() != Op::Insert && !event.moved()
    }

    pub(crate) fn is_same(&self, other: &Below) -> bool {
        let link =
            |below: &Below| below.link.as_ref().map(|ends| (ends.owner, ends.link.as_ref().map(|link| link.table)));
        self.schema == other.schema
            && self.is_root == other.is_root
            && link(self) == link(other)
            && self.specs == other.specs
    }
}

/// Where the values of a row are known from.
pub(crate) enum Source<'r> {
    /// It is there, with what it holds.
    Record(&'r dyn Record),
    /// An event told its carried columns.
    Event { table: &'r Watched, side: &'r Carried, is_new: bool },
    /// Only these of its columns.
    Columns(&'r [usize], &'r Key),
}

impl Source<'_> {
    fn value(&self, schema: &'static Schema, column: usize) -> Option<Value<'static>> {
        match self {
            Source::Record(row) => Some(row.column(column).into_owned()),
            Source::Event { table, side, .. } => side.get(table.position(schema.columns[column].name)?).cloned(),
            Source::Columns(columns, key) => {
                let at = columns.iter().position(|known| *known == column)?;
                Some(key.0[at].clone())
            }
        }
    }

    fn key(&self, schema: &'static Schema, columns: &[usize]) -> Option<Key> {
        columns.iter().map(|&column| self.value(schema, column)).collect::<Option<_>>().map(Key)
    }
}

/// Finds the interests that follow from associations.
pub(crate) struct Expander<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) prefix: Option<&'a str>,
    pub(crate) found: Vec<Interest>,
    /// More may be in view than is known: whoever holds the value can tell.
    pub(crate) is_open: bool,
}

impl<'a> Expander<'a> {
    pub(crate) fn new(tables: &'a Tables, prefix: Option<&'a str>) -> Self {
        Expander { tables, prefix, found: Vec::new(), is_open: false }
    }

    /// What comes into view with a row.
    pub(crate) fn row(&mut self, schema: &'static Schema, specs: &[Spec], source: &Source<'_>) -> Result<()> {
        for spec in specs {
            let def = &schema.associations[spec.association()];
            if let Through::Chain(_) = def.through {
                self.row(schema, &[unchained(schema, def, spec)?], source)?;
                continue;
            }
            let ends = Ends::of(schema, def)?;
            match source.key(schema, &ends.owner_keys) {
                None => self.wide(schema, spec)?,
                Some(key) if key.has_null() => {}
                Some(key) => self.association(&ends, def, spec, key, source)?,
            }
        }
        Ok(())
    }

    fn association(
        &mut self,
        ends: &Ends,
        def: &'static AssociationDef,
        spec: &Spec,
        key: Key,
        source: &Source<'_>,
    ) -> Result<()> {
        let related = self.related(ends, def)?;
        self.others(def, spec)?;
        let below = Below::rows(ends.related, spec.nested());
        let slot = match source {
            Source::Record(row) => row.association(spec.association()).filter(|slot| slot.is_loaded()),
            _ => None,
        };
        let Some(link) = &ends.link else {
            self.found.push(
                Interest::of(related, &names(ends.related, &ends.related_keys), key, Ops::ALL)
                    .then(below)
                    .rows_of(ends.related),
            );
            return self.rows_below(ends, spec, slot, source);
        };
        let table = self.link(ends, def)?;
        let through =
            Below { schema: ends.related, specs: spec.nested().to_vec(), link: Some(ends.clone()), is_root: false };
        self.found.push(Interest::of(table, link.owner_columns, key, Ops::ALL).then(Some(Arc::new(through))));
        if is_narrowed(def, spec) {
            // A row that is not held may begin to fit.
            self.found.push(Interest::all(related, Ops::ALL).then(below).rows_of(ends.related));
        } else if let Some(slot) = slot {
            let columns = names(ends.related, &ends.related_keys);
            slot.for_each(&mut |row| {
                let key = Key::of_columns(row, &ends.related_keys);
                self.found
                    .push(Interest::of(related, &columns, key, Ops::ALL).then(below.clone()).rows_of(ends.related));
            });
        } else {
            match source {
                Source::Record(_) => {}
                Source::Event { is_new: true, .. } => self.is_open = true,
                _ => self.all(related, ends.related),
            }
        }
        self.rows_below(ends, spec, slot, source)
    }

    fn rows_below(
        &mut self,
        ends: &Ends,
        spec: &Spec,
        slot: Option<&dyn emr_core::Slot>,
        source: &Source<'_>,
    ) -> Result<()> {
        if spec.nested().is_empty() {
            return Ok(());
        }
        let mut result = Ok(());
        match (slot, source) {
            (Some(slot), _) => slot.for_each(&mut |row| {
                if result.is_ok() {
                    result = self.row(ends.related, spec.nested(), &Source::Record(row));
                }
            }),
            (None, Source::Record(_)) => {}
            (None, Source::Event { is_new: true, .. }) => self.is_open = true,
            (None, _) => {
                for nested in spec.nested() {
                    self.wide(ends.related, nested)?;
                }
            }
        }
        result
    }

    /// A row that is followed by itself.
    pub(crate) fn root(&mut self, table: usize, schema: &'static Schema, specs: &[Spec], key: Key) {
        let columns = names(schema, schema.primary_key);
        let ops = Ops::UPDATED.and(Ops::DELETED);
        self.found.push(Interest::of(table, &columns, key, ops).then(Some(Below::root(schema, specs))).rows_of(schema));
    }

    /// A row of a join table came: what is at its far end comes into view.
    pub(crate) fn linked(&mut self, below: &Below, ends: &Ends, table: &Watched, side: &Carried) -> Result<()> {
        let Some(link) = &ends.link else { return Ok(()) };
        let value = |name: &&str| side.get(table.position(name)?).cloned();
        let related = self.tables.need(ends.related, self.prefix)?;
        let Some(values) = link.related_columns.iter().map(value).collect::<Option<_>>() else {
            self.all(related, ends.related);
            return below.specs.iter().try_for_each(|spec| self.wide(below.schema, spec));
        };
        let key = Key(values);
        let rows = Below::rows(below.schema, &below.specs);
        let columns = names(ends.related, &ends.related_keys);
        self.found.push(Interest::of(related, &columns, key.clone(), Ops::ALL).then(rows).rows_of(ends.related));
        self.row(below.schema, &below.specs, &Source::Columns(&ends.related_keys, &key))
    }

    /// All tables of an association and those below it, as nothing is known of the rows.
    pub(crate) fn wide(&mut self, schema: &'static Schema, spec: &Spec) -> Result<()> {
        let def = &schema.associations[spec.association()];
        if let Through::Chain(_) = def.through {
            return self.wide(schema, &unchained(schema, def, spec)?);
        }
        let ends = Ends::of(schema, def)?;
        let related = self.related(&ends, def)?;
        self.all(related, ends.related);
        if ends.link.is_some() {
            let link = self.link(&ends, def)?;
            self.found.push(Interest::all(link, Ops::ALL));
        }
        self.others(def, spec)?;
        spec.nested().iter().try_for_each(|nested| self.wide(ends.related, nested))
    }

    fn all(&mut self, table: usize, schema: &'static Schema) {
        self.is_open = true;
        self.found.push(Interest::all(table, Ops::ALL).rows_of(schema));
    }

    /// The tables that conditions of an association read beside its own.
    fn others(&mut self, def: &'static AssociationDef, spec: &Spec) -> Result<()> {
        for table in other_tables(def, spec)? {
            let known = self.tables.named(&table, self.prefix).ok_or_else(|| self.tables.not_watched(&table))?;
            self.found.push(Interest::all(known, Ops::ALL));
        }
        Ok(())
    }

    fn related(&self, ends: &Ends, def: &AssociationDef) -> Result<usize> {
        let table = self.tables.need(ends.related, self.prefix)?;
        self.tables.carries(table, names(ends.related, &ends.related_keys), &name(ends.owner, def))?;
        let own = self.tables.need(ends.owner, self.prefix)?;
        self.tables.carries(own, names(ends.owner, &ends.owner_keys), &name(ends.owner, def))?;
        Ok(table)
    }

    fn link(&self, ends: &Ends, def: &AssociationDef) -> Result<usize> {
        let table = link_table(self.tables, ends, self.prefix)
            .ok_or_else(|| self.tables.not_watched(ends.link.as_ref().map_or("", |link| link.table)))?;
        if let Some(link) = &ends.link {
            let columns = link.owner_columns.iter().chain(link.related_columns).copied();
            self.tables.carries(table, columns, &name(ends.owner, def))?;
        }
        Ok(table)
    }
}

/// The join table of an association, if it is watched.
pub(crate) fn link_table(tables: &Tables, ends: &Ends, prefix: Option<&str>) -> Option<usize> {
    let link = ends.link.as_ref()?;
    match link.schema {
        Some(schema) => tables.of_schema(schema, prefix),
        None => tables.named(link.table, ends.owner.prefix.or(prefix)),
    }
}

fn name(schema: &Schema, def: &AssociationDef) -> String {
    format!("{}.{}", schema.name, def.field)
}

/// Whether not all rows that the keys lead to are in the slot.
pub(crate) fn is_narrowed(def: &AssociationDef, spec: &Spec) -> bool {
    def.filter.is_some() || spec.query().is_some() || spec.limit().is_some()
}

/// The tables that the conditions of an association read, beside those that its keys meet.
pub(crate) fn other_tables(def: &'static AssociationDef, spec: &Spec) -> Result<Vec<String>> {
    let mut body = match spec.query() {
        Some(query) => query.clone(),
        None if def.filter.is_none() && def.order.is_none() => return Ok(Vec::new()),
        None => emr_core::SelectBody::of(emr_core::Relation::Schema((def.related)())),
    };
    body.filter.extend(def.filter.map(|filter| filter()));
    body.order.extend(def.order.into_iter().flat_map(|order| order()));
    let mut reads = reads_of(&body)?;
    // Once it is the association's own table; a subquery may read it again.
    if let Some(own) = reads.tables.iter().position(|table| table == (def.related)().table) {
        reads.tables.remove(own);
    }
    Ok(reads.tables)
}

/// A chain as the associations that it leads along, one below the other.
pub(crate) fn unchained(schema: &'static Schema, def: &'static AssociationDef, spec: &Spec) -> Result<Spec> {
    let steps = flat_steps(&[(schema, def)])?;
    let mut nested = spec.nested().to_vec();
    for (at, (owner, step)) in steps.iter().enumerate().rev() {
        let owner_of = if at == 0 { spec.owner() } else { steps[at - 1].1.related };
        nested = vec![Spec::of_rows(owner_of, position(owner, step), nested)];
    }
    nested.pop().ok_or_else(|| Error::invalid(format!("{}.{} leads nowhere", schema.name, def.field)))
}

/// The columns of a schema that an association starts from.
pub(crate) fn start_of(schema: &'static Schema, def: &'static AssociationDef) -> Result<Few<usize>> {
    match flat_steps(&[(schema, def)])?.first() {
        Some((owner, step)) => Ok(Ends::of(owner, step)?.owner_keys),
        None => Ok(Few::new()),
    }
}

/// The position of an association of a schema.
pub(crate) fn position(schema: &'static Schema, def: &AssociationDef) -> usize {
    schema.associations.iter().position(|known| std::ptr::eq(known, def)).unwrap_or_default()
}
