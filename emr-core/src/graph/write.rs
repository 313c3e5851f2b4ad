//! Level by level: the rows that others belong to, the rows themselves, the rows that belong to them, their links.

use std::borrow::Cow;

use super::member::{Act, Front, Member};
use super::{Boxed, batch, links};
use crate::association::{Ends, Few, Record, fitting};
use crate::error::{Error, Result};
use crate::schema::{AssociationKind, Schema};
use crate::transaction::Tx;
use crate::value::Value;

/// Writes rows of one schema, and all that hangs on them.
pub(super) fn write<'w>(tx: &'w Tx, members: Front<'w>) -> Boxed<'w> {
    Box::pin(async move {
        let mut active = Vec::with_capacity(members.len());
        for member in members {
            if member.is_idle() {
                member.keep();
            } else {
                active.push(member);
            }
        }
        before(tx, &mut active).await?;
        batch::write(tx, &mut active).await?;
        after(tx, &mut active).await
    })
}

/// Rows of one schema that are written together.
pub(super) type Rows<'s, 'm> = &'s mut [&'m mut (dyn Member + 'static)];

pub(super) fn stays(member: &dyn Member) -> bool {
    matches!(member.act(), Act::Insert | Act::Update)
}

/// The associations of these kinds that some of the rows write, by their positions.
fn associations(members: Rows<'_, '_>, kinds: &[AssociationKind]) -> Vec<usize> {
    let Some(schema) = members.first().map(|member| member.schema()) else { return Vec::new() };
    let mut written = vec![false; schema.associations.len()];
    for member in members.iter_mut() {
        for branch in member.parts().1 {
            written[branch.association] = kinds.contains(&schema.associations[branch.association].kind);
        }
    }
    (0..written.len()).filter(|&at| written[at]).collect()
}

/// An association of a row that stays.
pub(super) struct Owned<'o> {
    /// The row, if it was stored.
    pub(super) owner: Option<&'o mut (dyn Record + 'static)>,
    /// The rows that were there and were not given. A new owner had none, whatever the row that it was copied from has.
    pub(super) gone: Front<'o>,
    /// Those that were given.
    pub(super) given: Front<'o>,
    /// Whether the owner is new.
    pub(super) is_new: bool,
}

pub(super) fn owned<'o>(member: &'o mut (dyn Member + 'static), at: usize) -> Option<Owned<'o>> {
    if !stays(member) {
        return None;
    }
    let is_new = member.act() == Act::Insert;
    let (owner, branches) = member.parts();
    let branch = branches.iter_mut().find(|branch| branch.association == at)?;
    let (mut gone, given) = branch.members.split();
    if is_new {
        gone.clear();
    }
    Some(Owned { owner, gone, given, is_new })
}

/// Collects rows of one association of several rows, and hands them the prefix of their owners.
fn collect<'f>(
    members: &'f mut [&mut (dyn Member + 'static)],
    at: usize,
    pick: impl Fn(Owned<'f>) -> Result<Front<'f>>,
) -> Result<Front<'f>> {
    let mut front = Vec::new();
    for member in members.iter_mut() {
        let prefix = member.prefix().map(|prefix| Cow::<'static, str>::Owned(prefix.to_owned()));
        if let Some(owned) = owned(&mut **member, at) {
            let mut found = pick(owned)?;
            for member in &mut found {
                member.inherit(prefix.as_ref());
            }
            front.append(&mut found);
        }
    }
    Ok(front)
}

/// Runs what is to be run before the rows are written, and writes the rows that they belong to.
pub(super) async fn before(tx: &Tx, members: Rows<'_, '_>) -> Result<()> {
    for member in members.iter_mut() {
        if let Some(prepared) = member.prepare(tx) {
            prepared.await?;
        }
    }
    let Some(schema) = members.first().map(|member| member.schema()) else { return Ok(()) };
    for at in associations(members, &[AssociationKind::BelongsTo]) {
        let def = &schema.associations[at];
        let ends = Ends::of(schema, def)?;
        let parents = collect(members, at, |owned| Ok(staying(owned)))?;
        if !parents.is_empty() {
            write(tx, parents).await?;
        }
        for member in members.iter_mut() {
            let Some(owned) = owned(&mut **member, at) else { continue };
            let keys = parent_keys(&ends, &owned)?;
            for (&own, key) in ends.owner_keys.iter().zip(keys) {
                if member.sets(own) {
                    return Err(Error::invalid(format!(
                        "{}.{} and its foreign key `{}` are both set: set one of them",
                        schema.name, def.field, schema.columns[own].field
                    )));
                }
                member.assign(own, key);
            }
        }
    }
    Ok(())
}

/// Those of the given rows that stay.
fn staying(mut owned: Owned<'_>) -> Front<'_> {
    owned.given.retain(|member| stays(&**member));
    owned.given
}

/// The foreign key of a row that belongs to the given row, or to none.
fn parent_keys(ends: &Ends, owned: &Owned<'_>) -> Result<Few<Value<'static>>> {
    let parent = owned.given.first().filter(|parent| stays(&***parent)).and_then(|parent| parent.record());
    let pairs = ends.owner_keys.iter().zip(&ends.related_keys);
    let keys = pairs.map(|(&own, &related)| match parent {
        None => Ok(Value::Null(ends.owner.columns[own].ty)),
        Some(parent) => as_key(parent.column(related), ends.related, ends.owner, own),
    });
    keys.collect()
}

/// A key of one row as the column of another one holds it.
pub(super) fn as_key(
    value: Value<'_>,
    of: &'static Schema,
    schema: &'static Schema,
    column: usize,
) -> Result<Value<'static>> {
    let def = &schema.columns[column];
    fitting(value, def.ty).map(Value::into_owned).ok_or_else(|| {
        Error::invalid(format!("the key of {} is too large for the column `{}` of {}", of.name, def.name, schema.name))
    })
}

/// The rows of a `has_one` or `has_many`, which get the key of their owner.
fn children<'f>(ends: &Ends, field: &str, owned: Owned<'f>) -> Result<Front<'f>> {
    // Those that were there come first, so that what is unique among them is free.
    let Owned { owner, gone: mut front, mut given, .. } = owned;
    if let Some(owner) = owner {
        let pairs = || ends.owner_keys.iter().zip(&ends.related_keys);
        for (&own, &related) in pairs() {
            if given.is_empty() {
                break;
            }
            let key = as_key(owner.column(own), ends.owner, ends.related, related)?;
            if key.is_null() && given.iter().any(|child| stays(&**child)) {
                return Err(Error::invalid(format!(
                    "{}.{field} starts from `{}`, which is NULL: nothing can belong to this row",
                    ends.owner.name, ends.owner.columns[own].name
                )));
            }
            for child in given.iter_mut().filter(|child| stays(&***child)) {
                child.assign(related, key.clone());
            }
        }
    }
    front.append(&mut given);
    Ok(front)
}

/// Writes the rows that belong to these, and the links; then fills the slots.
pub(super) async fn after(tx: &Tx, members: Rows<'_, '_>) -> Result<()> {
    let Some(schema) = members.first().map(|member| member.schema()) else { return Ok(()) };
    for at in associations(members, &[AssociationKind::HasOne, AssociationKind::HasMany]) {
        let def = &schema.associations[at];
        let ends = Ends::of(schema, def)?;
        let children = collect(members, at, |owned| children(&ends, def.field, owned))?;
        if !children.is_empty() {
            write(tx, children).await?;
        }
    }
    for at in associations(members, &[AssociationKind::BelongsTo]) {
        // Only now does no foreign key point at them.
        let replaced = collect(members, at, |mut owned| {
            owned.gone.append(&mut owned.given);
            owned.gone.retain(|parent| parent.act() == Act::Delete);
            Ok(owned.gone)
        })?;
        if !replaced.is_empty() {
            write(tx, replaced).await?;
        }
    }
    for at in associations(members, &[AssociationKind::ManyToMany]) {
        let related = collect(members, at, |owned| Ok(staying(owned)))?;
        if !related.is_empty() {
            write(tx, related).await?;
        }
        links::write(tx, members, &schema.associations[at], at).await?;
    }
    for member in members.iter_mut() {
        let (Some(record), branches) = member.parts() else { continue };
        for branch in branches {
            if let Some(slot) = record.association_mut(branch.association) {
                branch.members.fill(slot);
            }
        }
    }
    Ok(())
}
