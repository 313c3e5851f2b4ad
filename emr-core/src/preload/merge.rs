//! One preload for each association, out of whatever was asked for.

use super::spec::Spec;
use crate::error::{Error, Result};
use crate::schema::{AssociationKind, Schema, Through};

/// Makes one preload of all those of the same association, and refuses what contradicts itself.
pub(super) fn merge(schema: &'static Schema, specs: Vec<Spec>) -> Result<Vec<Spec>> {
    let mut merged: Vec<Spec> = Vec::with_capacity(specs.len());
    for spec in specs {
        check(schema, &spec)?;
        match merged.iter_mut().find(|other| other.association == spec.association) {
            Some(other) => join(schema, other, spec)?,
            None => merged.push(spec),
        }
    }
    Ok(merged)
}

fn check(schema: &'static Schema, spec: &Spec) -> Result<()> {
    if (spec.owner)() != schema {
        return Err(Error::invalid(format!(
            "a preload of associations of {} was given for rows of {}",
            (spec.owner)().name,
            schema.name
        )));
    }
    let Some(def) = schema.associations.get(spec.association) else {
        return Err(Error::invalid(format!("{} has no association number {}", schema.name, spec.association)));
    };
    let name = || name(schema, spec);
    if spec.conflict {
        return Err(two_sources(schema, spec));
    }
    if let Some(function) = &spec.function {
        if spec.per_parent.is_some() {
            return Err(Error::invalid(format!(
                "the preload of {} takes its rows from a function: it gives as many as it likes, without limit_per_parent",
                name()
            )));
        }
        if def.kind == AssociationKind::ManyToMany && !function.gives_pairs {
            return Err(Error::invalid(format!(
                "the rows of {} do not say whose they are: write with_pairs, and give the owner's key with each",
                name()
            )));
        }
    }
    if spec.per_parent.is_some() && matches!(def.through, Through::Chain(_)) {
        return Err(Error::invalid(format!(
            "{} is a chain, and limit_per_parent would cut its last step: preload the steps one by one",
            name()
        )));
    }
    Ok(())
}

fn join(schema: &'static Schema, into: &mut Spec, spec: Spec) -> Result<()> {
    let clash = |a: bool, b: bool, equal: bool| a && b && !equal;
    let queries = clash(into.query.is_some(), spec.query.is_some(), into.query == spec.query);
    let functions = clash(into.function.is_some(), spec.function.is_some(), into.function == spec.function);
    let mixed = (into.query.is_some() || spec.query.is_some()) && (into.function.is_some() || spec.function.is_some());
    if queries || functions || mixed {
        return Err(two_sources(schema, into));
    }
    if clash(into.per_parent.is_some(), spec.per_parent.is_some(), into.per_parent == spec.per_parent) {
        return Err(Error::invalid(format!("{} is preloaded with two limits: keep one", name(schema, into))));
    }
    into.query = into.query.take().or(spec.query);
    into.function = into.function.take().or(spec.function);
    into.per_parent = into.per_parent.or(spec.per_parent);
    into.force |= spec.force;
    into.nested.extend(spec.nested);
    Ok(())
}

fn two_sources(schema: &Schema, spec: &Spec) -> Error {
    Error::invalid(format!(
        "{} is preloaded with two queries or functions: a slot holds the rows of one",
        name(schema, spec)
    ))
}

fn name(schema: &Schema, spec: &Spec) -> String {
    let field = schema.associations.get(spec.association).map_or("?", |def| def.field);
    format!("{}.{field}", schema.name)
}
