//! What comes into view with a row.

use emr_core::Result;
use emr_core::walk::Spec;
use emr_core::watch::{Event, Op};

use super::Match;
use crate::interest::{Below, Expander, Interest, Source, start_of};
use crate::key::{Said, names, said};
use crate::tables::Tables;

/// What comes into view with the row of an event.
pub(super) fn follow(tables: &Tables, below: &Below, found: &Match, event: &Event) -> Result<(Vec<Interest>, bool)> {
    let mut expander = Expander::new(tables, found.entry.prefix.as_deref());
    let Some(side) = event.new_values() else { return Ok((Vec::new(), false)) };
    if let Some(ends) = &below.link {
        expander.linked(below, ends, event.watched(), side)?;
    } else {
        let moved: Vec<_> =
            below.specs.iter().filter(|spec| found.enters || is_new_to(below, spec, event)).cloned().collect();
        let is_new = event.op() == Op::Insert;
        let key = said(event.watched(), Some(side), &names(below.schema, below.schema.primary_key));
        if let (true, Said::Key(key), Some(table)) =
            (below.is_root && (is_new || event.moved()), key, tables.of_event(event.watched()))
        {
            expander.root(table, below.schema, &below.specs, key);
        }
        expander.row(below.schema, &moved, &Source::Event { table: event.watched(), side, is_new })?;
    }
    Ok((expander.found, expander.is_open))
}

/// Whether the change may lead to rows that the association did not lead to before.
fn is_new_to(below: &Below, spec: &Spec, event: &Event) -> bool {
    if event.op() != Op::Update {
        return true;
    }
    let def = &below.schema.associations[spec.association()];
    let Ok(columns) = start_of(below.schema, def) else { return true };
    let columns = names(below.schema, &columns);
    let [old, new] = [event.old(), event.new_values()].map(|side| said(event.watched(), side, &columns));
    old != new || old == Said::Unknown
}
