//! Rows of an association out of untyped input.

use serde_json::Value as Json;

use super::children::Children;
use super::diff::key_of;
use crate::changeset::{Changeset, FieldError, Input, convert};
use crate::preload::{Key, Keys};
use crate::schema::{AssociationDef, AssociationKind, OnReplace, Syncable};

/// What input says about an association.
pub(crate) enum Given<R> {
    Rows(Children<R>),
    Wrong(FieldError),
}

/// The rows that the input of an association stands for: those that are there, found by their primary keys, and new ones.
pub(crate) fn given<R: Syncable + Clone>(
    input: &Json,
    def: &AssociationDef,
    current: &[&R],
    make: &dyn Fn(Changeset<R>, &Input) -> Changeset<R>,
) -> Given<R> {
    let is_list = matches!(def.kind, AssociationKind::HasMany | AssociationKind::ManyToMany);
    let is_blank = input.as_str().is_some_and(|text| text.trim().is_empty());
    let Some(items) = (if is_list { list(input, is_blank) } else { one(input, is_blank) }) else {
        let ty = if is_list { "list" } else { "map" };
        return Given::Wrong(FieldError::new("cast", "is invalid").with("type", ty));
    };
    let mut keys = Keys::new(R::schema().primary_key.len());
    let mut rows = Vec::with_capacity(current.len());
    for row in current {
        if keys.add(key_of(*row)).1 == 0 {
            rows.push(*row);
        }
    }
    let children = items.into_iter().map(|item| {
        let known = match (&current, def.on_replace) {
            // Whatever its key is.
            ([only], OnReplace::Update) if !is_list => Some(*only),
            _ => key_in::<R>(&item).and_then(|key| keys.find(&key)).and_then(|at| rows.get(at as usize).copied()),
        };
        let change = known.map_or_else(Changeset::new, |row| Changeset::of(row.clone()));
        make(change.with_input(item.clone()), &item)
    });
    Given::Rows(Children { is_list, list: children.collect() })
}

/// The items of a list, or of the pairs that a form makes of one: `{ "0": …, "1": … }`.
fn list(input: &Json, is_blank: bool) -> Option<Vec<Input>> {
    match input {
        Json::Array(items) => items.iter().map(object).collect(),
        Json::Object(fields) => {
            let numbered = fields.iter().map(|(name, item)| Some((name.parse::<u64>().ok()?, item)));
            let mut numbered = numbered.collect::<Option<Vec<_>>>()?;
            numbered.sort_unstable_by_key(|(number, _)| *number);
            numbered.into_iter().map(|(_, item)| object(item)).collect()
        }
        _ => is_blank.then(Vec::new),
    }
}

fn one(input: &Json, is_blank: bool) -> Option<Vec<Input>> {
    if input.is_null() || is_blank { Some(Vec::new()) } else { Some(vec![object(input)?]) }
}

fn object(item: &Json) -> Option<Input> {
    match item {
        Json::Object(fields) => Some(Input::of_fields(fields.clone())),
        _ => None,
    }
}

/// The primary key in the input of a row, if all of it is there.
fn key_in<R: Syncable>(input: &Input) -> Option<Key<'static>> {
    let schema = R::schema();
    let parts = schema.primary_key.iter().map(|&at| {
        let def = &schema.columns[at];
        let value = convert(input.get(def.field)?, def.ty)?;
        (def.fit)(value).ok()
    });
    parts.collect::<Option<Key<'static>>>().filter(|key| !key.is_empty())
}
