//! What is to be done so that an association has the rows that are given.

use super::children::Children;
use super::item::Item;
use super::items::Items;
use super::member::Act;
use crate::association::{Ends, equalities};
use crate::changeset::{Action, Changeset, FieldError, required};
use crate::error::{Error, ErrorKind};
use crate::preload::{Key, Keys};
use crate::schema::{AssociationDef, AssociationKind, OnReplace, Schema, Syncable};
use crate::value::Value;

/// Why it cannot be done.
pub(crate) enum Problem {
    /// A mistake of the program.
    Fault(ErrorKind),
    /// A mistake of the user: an error of the association.
    Field(FieldError),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::Fault(error.kind().clone())
    }
}

fn fault(problem: String) -> Problem {
    Problem::from(Error::invalid(problem))
}

/// The values of a row's primary key.
pub(super) fn key_of<R: Syncable>(row: &R) -> Key<'_> {
    R::schema().primary_key.iter().map(|&at| row.value(at)).collect()
}

/// An association on the way from the rows that it has to those that it shall have.
struct Diff {
    owner: &'static Schema,
    def: &'static AssociationDef,
    ends: Ends,
}

/// Compares the rows that are there with those that are given.
pub(crate) fn diff<R: Syncable + Clone>(
    owner: &'static Schema,
    def: &'static AssociationDef,
    current: &[&R],
    given: Children<R>,
) -> Result<Items<R>, Problem> {
    let diff = Diff { owner, def, ends: Ends::of(owner, def)? };
    let is_list = matches!(def.kind, AssociationKind::HasMany | AssociationKind::ManyToMany);
    if is_list != given.is_list {
        let wants = if is_list { "a list of rows" } else { "one row or none" };
        return Err(fault(format!("{}.{} takes {wants}", owner.name, def.field)));
    }
    let has_rows = !current.is_empty() || given.list.iter().any(|change| change.data().is_some());
    if has_rows && R::schema().primary_key.is_empty() {
        let name = R::schema().name;
        return Err(fault(format!("{name} has no primary key: its rows can only be inserted along {}", owner.name)));
    }
    let (given, gone) = if is_list { diff.many(current, given.list)? } else { diff.one(current, given.list)? };
    let releases = def.kind == AssociationKind::BelongsTo && given.is_empty() && !current.is_empty();
    Ok(Items { is_list, given, gone, releases })
}

type Both<R> = (Vec<Item<R>>, Vec<Item<R>>);

impl Diff {
    fn many<R: Syncable + Clone>(&self, current: &[&R], given: Vec<Changeset<R>>) -> Result<Both<R>, Problem> {
        let arity = R::schema().primary_key.len();
        let (mut known, mut seen) = (Keys::new(arity), Keys::new(arity));
        let numbers: Vec<_> = current.iter().map(|row| known.add(key_of(*row)).0 as usize).collect();
        let mut kept = vec![false; known.len()];
        let mut items = Vec::with_capacity(given.len());
        for mut change in given {
            let mut is_linked = false;
            if change.wish() != Some(Action::Insert)
                && let Some(row) = change.data()
            {
                let key = key_of(row);
                if let Some(number) = known.find(&key) {
                    (is_linked, kept[number as usize]) = (true, true);
                }
                let is_second = seen.add(key).1 > 0;
                if is_second && (self.def.unique || self.def.kind == AssociationKind::HasMany) {
                    let field = R::schema().columns[R::schema().primary_key[0]].field;
                    change = change.add_error(field, FieldError::new("unique", "has already been taken"));
                }
            }
            items.push(self.item(change, is_linked)?);
        }
        let mut gone = Vec::new();
        for (row, number) in current.iter().zip(numbers) {
            if !std::mem::replace(&mut kept[number], true) {
                gone.extend(self.replaced(*row)?);
            }
        }
        Ok((items, gone))
    }

    fn one<R: Syncable + Clone>(&self, current: &[&R], given: Vec<Changeset<R>>) -> Result<Both<R>, Problem> {
        let (current, given) = (current.first().copied(), given.into_iter().next());
        let Some(given) = given else {
            self.refuse_none()?;
            let gone = current.map(|row| self.replaced(row)).transpose()?.flatten();
            return Ok((Vec::new(), gone.into_iter().collect()));
        };
        if given.wish() == Some(Action::Delete) {
            self.refuse_none()?;
        }
        let Some(current) = current else { return Ok((vec![self.item(given, false)?], Vec::new())) };
        let is_new = given.wish() == Some(Action::Insert) || given.data().is_none();
        if !is_new && given.data().is_some_and(|row| Keys::are_same(&key_of(row), &key_of(current))) {
            return Ok((vec![self.item(given, true)?], Vec::new()));
        }
        if self.def.on_replace == OnReplace::Update {
            if given.data().is_some() {
                return Err(fault(format!(
                    "{}.{} updates the row that is there: give what shall change by `build().set(…)`, and not another row",
                    self.owner.name, self.def.field
                )));
            }
            return Ok((vec![self.item(given.onto(current.clone()), true)?], Vec::new()));
        }
        let gone = self.replaced(current)?;
        Ok((vec![self.item(given, false)?], gone.into_iter().collect()))
    }

    /// A `belongs_to` whose foreign key is never NULL needs a row.
    fn refuse_none(&self) -> Result<(), Problem> {
        let may_be_null = |&at: &usize| self.owner.columns[at].nullable;
        if self.def.kind == AssociationKind::BelongsTo && !self.ends.owner_keys.iter().all(may_be_null) {
            return Err(Problem::Field(required()));
        }
        Ok(())
    }

    fn item<R: Syncable>(&self, mut change: Changeset<R>, is_linked: bool) -> Result<Item<R>, Problem> {
        let act = match change.wish() {
            Some(Action::Delete) if change.data().is_none() => {
                return Err(fault(format!("a new row of {} cannot be deleted", R::schema().name)));
            }
            Some(Action::Delete) if self.def.kind == AssociationKind::ManyToMany => Act::Unlink,
            Some(Action::Delete) => Act::Delete,
            Some(Action::Insert) => Act::Insert,
            _ if change.data().is_none() => Act::Insert,
            _ => Act::Update,
        };
        if act == Act::Insert
            && let Some(filter) = self.def.filter
        {
            equalities(&filter(), R::schema(), &mut |column, value| {
                if !change.sets(column) && change.data().is_none() {
                    change.put(column, value);
                }
            });
        }
        Ok(Item::new(change, act, is_linked))
    }

    /// What becomes of a row that was there and is not given.
    fn replaced<R: Syncable + Clone>(&self, row: &R) -> Result<Option<Item<R>>, Problem> {
        let (schema, association) = (self.owner.name, self.def.field);
        let change = Changeset::of(row.clone());
        Ok(match (self.def.on_replace, self.def.kind) {
            (OnReplace::Raise, _) => return Err(Problem::Fault(ErrorKind::Replaced { schema, association })),
            (OnReplace::MarkAsInvalid, _) => {
                return Err(Problem::Field(FieldError::new("replaced", "is invalid")));
            }
            (_, AssociationKind::ManyToMany) => Some(Item::new(change, Act::Unlink, true)),
            // Its own row does not change.
            (OnReplace::Nilify | OnReplace::Update, AssociationKind::BelongsTo) => None,
            (OnReplace::Nilify, _) => Some(Item::new(self.released(change)?, Act::Update, true)),
            (OnReplace::Delete | OnReplace::Update, _) => Some(Item::new(change, Act::Delete, true)),
            (OnReplace::DeleteIfExists, _) => Some(Item::new(change.allow_stale(), Act::Delete, true)),
        })
    }

    /// The row without its foreign key.
    fn released<R: Syncable>(&self, mut change: Changeset<R>) -> Result<Changeset<R>, Problem> {
        for &column in &self.ends.related_keys {
            let def = &R::schema().columns[column];
            if !def.nullable {
                return Err(fault(format!(
                    "{}.{} shall nilify `{}` of {}, which is never NULL: make the field an Option, or delete the row",
                    self.owner.name,
                    self.def.field,
                    def.field,
                    R::schema().name
                )));
            }
            change.put(column, Value::Null(def.ty));
        }
        Ok(change)
    }
}
