//! Associations that lead along others.

use super::keys::{Key, Keys};
use super::spec::Spec;
use crate::association::Record;
use crate::error::{Error, Result};
use crate::schema::{Schema, Through};

/// Adds to the preloads those of the steps of chains that `is_wanted`, each once.
pub(super) fn expand(
    schema: &'static Schema,
    mut specs: Vec<Spec>,
    mut is_wanted: impl FnMut(&Spec) -> bool,
) -> Result<Vec<Spec>> {
    let mut expanded: Vec<usize> = Vec::new();
    loop {
        let chain = specs.iter().find_map(|spec| match schema.associations[spec.association].through {
            Through::Chain(fields) if !expanded.contains(&spec.association) && is_wanted(spec) => Some((spec, fields)),
            _ => None,
        });
        let Some((spec, fields)) = chain else { return Ok(specs) };
        expanded.push(spec.association);
        let first = step(spec.owner, fields, spec)?;
        specs.push(first);
        specs = super::merge::merge(schema, specs)?;
    }
}

/// The preload of the first step, which holds those of the others. What the chain says of its rows is meant for the last.
fn step(owner: fn() -> &'static Schema, fields: &[&str], chain: &Spec) -> Result<Spec> {
    let schema = owner();
    let found = fields.split_first().and_then(|(first, rest)| {
        let at = schema.associations.iter().position(|def| def.field == *first)?;
        Some((at, rest))
    });
    let Some((at, rest)) = found else {
        return Err(Error::invalid(format!(
            "an association of {} leads along {fields:?}, and {} has no such association",
            (chain.owner)().name,
            schema.name
        )));
    };
    // Rows of a chain are reached by their slots: nobody has to find them.
    let mut spec = Spec::new(owner, |_| None, at);
    spec.force = chain.force;
    if rest.is_empty() {
        spec.query.clone_from(&chain.query);
        spec.function.clone_from(&chain.function);
    } else {
        spec.nested.push(step(schema.associations[at].related, rest, chain)?);
    }
    Ok(spec)
}

/// Shows the rows at the end of a chain, in the order of its steps, each once.
pub(super) fn ends<'r>(
    owner: &'r dyn Record,
    fields: &[&str],
    visit: &mut dyn FnMut(&'r dyn Record) -> Result<()>,
) -> Result<()> {
    let mut seen: Option<Keys> = None;
    let mut result = Ok(());
    walk(owner, fields, &mut |row| {
        let schema = row.schema_of();
        let seen = seen.get_or_insert_with(|| Keys::new(schema.primary_key.len()));
        let key: Key<'_> = schema.primary_key.iter().map(|&column| row.column(column)).collect();
        // Rows without a key cannot be told apart.
        let is_new = key.is_empty() || seen.add(key).1 == 0;
        if is_new && result.is_ok() {
            result = visit(row);
        }
    });
    result
}

fn walk<'r>(row: &'r dyn Record, fields: &[&str], visit: &mut dyn FnMut(&'r dyn Record)) {
    let Some((first, rest)) = fields.split_first() else { return visit(row) };
    let at = row.schema_of().associations.iter().position(|def| def.field == *first);
    if let Some(slot) = at.and_then(|at| row.association(at)) {
        slot.for_each(&mut |next| walk(next, rest, visit));
    }
}
