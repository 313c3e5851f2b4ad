//! Which changes change what an association holds.

use emr_core::walk::{Ends, Spec, flat_steps};
use emr_core::watch::Op;
use emr_core::{AssociationDef, AssociationKind, Record, Result, Schema, Through};

use crate::changes::{Changes, TableChanges};
use crate::interest::{is_narrowed, link_table, other_tables, position, start_of};
use crate::key::{Key, Said, both, names};
use crate::tables::Tables;

/// One association, with the tables that it depends on.
pub(crate) struct Way {
    pub(crate) def: &'static AssociationDef,
    pub(crate) association: usize,
    /// The columns that it starts from.
    pub(crate) start: Vec<usize>,
    keys: Option<Keys>,
    /// Tables of which any change may change it.
    others: Vec<usize>,
    /// Not every row that the keys lead to is there, or their order follows from their columns.
    is_chosen: bool,
    is_narrowed: bool,
}

struct Keys {
    ends: Ends,
    related: Option<usize>,
    related_columns: Vec<&'static str>,
    link: Option<usize>,
}

impl Way {
    pub(crate) fn of(tables: &Tables, prefix: Option<&str>, schema: &'static Schema, spec: &Spec) -> Result<Self> {
        let def = &schema.associations[spec.association()];
        let is_narrowed = is_narrowed(def, spec);
        let named = |table: &String| tables.named(table, prefix);
        let mut others: Vec<_> = other_tables(def, spec)?.iter().filter_map(named).collect();
        let keys = if let Through::Chain(_) = def.through {
            for (owner, step) in flat_steps(&[(schema, def)])? {
                let ends = Ends::of(owner, step)?;
                let step = Spec::of_rows(spec.owner(), position(owner, step), Vec::new());
                others.extend(tables.of_schema(ends.related, prefix));
                others.extend(link_table(tables, &ends, prefix));
                others.extend(other_tables(&owner.associations[step.association()], &step)?.iter().filter_map(named));
            }
            None
        } else {
            let ends = Ends::of(schema, def)?;
            let related_columns = names(ends.related, &ends.related_keys);
            let related = tables.of_schema(ends.related, prefix);
            Some(Keys { related, related_columns, link: link_table(tables, &ends, prefix), ends })
        };
        Ok(Way {
            def,
            association: spec.association(),
            start: start_of(schema, def)?.to_vec(),
            keys,
            others,
            is_chosen: is_narrowed || def.order.is_some(),
            is_narrowed,
        })
    }

    /// Whether the rows are shared by those who hold them.
    pub(crate) fn is_to_one(&self) -> bool {
        matches!(self.def.kind, AssociationKind::BelongsTo | AssociationKind::HasOne)
    }

    /// Whether other rows may be there than before, in another order, or none.
    pub(crate) fn is_changed(&self, changes: &Changes<'_>, owner: &dyn Record) -> bool {
        if self.others.iter().any(|table| changes.table(Some(*table)).is_some()) {
            return true;
        }
        let Some(keys) = &self.keys else { return false };
        let key = Key::of_columns(owner, &self.start);
        if key.has_null() {
            return false;
        }
        let related = changes.table(keys.related);
        match &keys.ends.link {
            None => related.is_some_and(|related| self.direct(keys, related, &key, owner)),
            Some(link) => {
                let links = changes.table(keys.link).is_some_and(|links| {
                    links.is_truncated() || links.at(&links.by(link.owner_columns), &key).next().is_some()
                });
                links || related.is_some_and(|related| self.linked(keys, related, owner))
            }
        }
    }

    fn direct(&self, keys: &Keys, related: &TableChanges<'_>, key: &Key, owner: &dyn Record) -> bool {
        related.is_truncated()
            || related.at(&related.by(&keys.related_columns), key).any(|event| {
                let [old, new] = both(event, &keys.related_columns);
                event.op() != Op::Update
                    || self.is_chosen
                    || self.is_to_one()
                    || old != new
                    || old == Said::Unknown
                    || event.moved()
                    || !self.holds(keys, owner, event)
            })
    }

    fn linked(&self, keys: &Keys, related: &TableChanges<'_>, owner: &dyn Record) -> bool {
        if self.is_narrowed || related.is_truncated() {
            return true;
        }
        let Some(slot) = owner.association(self.association) else { return false };
        let lookup = related.by(&keys.related_columns);
        let mut is_changed = false;
        slot.for_each(&mut |row| {
            let key = Key::of_columns(row, &keys.ends.related_keys);
            is_changed |= related.at(&lookup, &key).any(|event| {
                let [old, new] = both(event, &keys.related_columns);
                event.op() != Op::Update || self.is_chosen || old != new || event.moved()
            });
        });
        is_changed
    }

    /// Whether the row of an update is there.
    fn holds(&self, keys: &Keys, owner: &dyn Record, event: &emr_core::watch::Event) -> bool {
        let columns = names(keys.ends.related, keys.ends.related.primary_key);
        let [_, Said::Key(key)] = both(event, &columns) else { return false };
        let mut holds = false;
        if let Some(slot) = owner.association(self.association) {
            slot.for_each(&mut |row| holds |= Key::of_record(row) == key);
        }
        holds
    }
}
