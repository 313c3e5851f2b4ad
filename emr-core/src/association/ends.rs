//! The keys that two schemas meet by, found among their columns.

use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::schema::{AssociationDef, Schema, Through};
use crate::value::{SqlType, Value};

/// Positions of columns, and the like: nearly always one.
pub type Few<T> = SmallVec<[T; 2]>;

/// The two ends of an association that is no chain.
#[derive(Debug, Clone)]
pub struct Ends {
    /// Where it starts.
    pub owner: &'static Schema,
    /// Where it leads to.
    pub related: &'static Schema,
    /// Columns of the owner that it starts from.
    pub owner_keys: Few<usize>,
    /// Columns of the related schema that it ends at.
    pub related_keys: Few<usize>,
    /// The join table between them.
    pub link: Option<Link>,
}

/// A join table.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// Its schema, where it has one.
    pub schema: Option<&'static Schema>,
    /// Its name.
    pub table: &'static str,
    /// Its columns that point at the owner, in the order of the owner's keys.
    pub owner_columns: &'static [&'static str],
    /// Its columns that point at the related rows, in the order of their keys.
    pub related_columns: &'static [&'static str],
}

impl Ends {
    /// The ends of an association of `owner`.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) if one of the structs lacks a key column.
    pub fn of(owner: &'static Schema, def: &'static AssociationDef) -> Result<Ends> {
        let related = (def.related)();
        let link = match def.through {
            Through::Schema { schema, owner_columns, related_columns } => {
                let schema = schema();
                Some(Link { schema: Some(schema), table: schema.table, owner_columns, related_columns })
            }
            Through::Table { table, owner_columns, related_columns } => {
                Some(Link { schema: None, table, owner_columns, related_columns })
            }
            Through::Direct => None,
            Through::Chain(_) => {
                return Err(Error::invalid(format!(
                    "{}.{} is a chain: it has no keys of its own",
                    owner.name, def.field
                )));
            }
        };
        let owner_keys = positions(owner, def.owner_keys, owner, def)?;
        let related_keys = if def.related_keys.is_empty() {
            Few::from_slice(related.primary_key)
        } else {
            positions(related, def.related_keys, owner, def)?
        };
        let ends = Ends { owner, related, owner_keys, related_keys, link };
        let (left, right) = match &ends.link {
            None => (ends.owner_keys.len(), ends.related_keys.len()),
            Some(link) if link.owner_columns.len() == ends.owner_keys.len() => {
                (link.related_columns.len(), ends.related_keys.len())
            }
            Some(link) => (ends.owner_keys.len(), link.owner_columns.len()),
        };
        if left != right || left == 0 {
            return Err(Error::invalid(format!(
                "{}.{} joins {left} columns with {right}: the keys of both sides belong together in pairs",
                owner.name, def.field
            )));
        }
        Ok(ends)
    }

    /// The type of the column that the owner's key number `n` is looked up in; the owner's own where nobody knows.
    pub fn key_type(&self, n: usize) -> SqlType {
        let own = self.owner.columns[self.owner_keys[n]].ty;
        match self.link {
            None => self.related.columns[self.related_keys[n]].ty,
            Some(Link { schema: Some(schema), owner_columns, .. }) => {
                schema.column_position(owner_columns[n]).map_or(own, |column| schema.columns[column].ty)
            }
            Some(_) => own,
        }
    }
}

fn positions(
    schema: &'static Schema,
    names: &[&str],
    owner: &'static Schema,
    def: &'static AssociationDef,
) -> Result<Few<usize>> {
    let find = |name: &&str| {
        schema.column_position(name).ok_or_else(|| {
            Error::invalid(format!(
                "{}.{} needs the column `{name}`, and the struct {} has none: add the field, or name another key",
                owner.name, def.field, schema.name
            ))
        })
    };
    names.iter().map(find).collect()
}

/// A key as the column that it is looked up in holds it. `None` if that column can hold no such value: then no row has
/// it.
pub(crate) fn fitting(value: Value<'_>, ty: SqlType) -> Option<Value<'_>> {
    let wide = match (&value, ty) {
        (Value::I16(v), SqlType::I32 | SqlType::I64) => i64::from(*v),
        (Value::I32(v), SqlType::I16 | SqlType::I64) => i64::from(*v),
        (Value::I64(v), SqlType::I16 | SqlType::I32) => *v,
        _ => return Some(value),
    };
    match ty {
        SqlType::I16 => i16::try_from(wide).ok().map(Value::I16),
        SqlType::I32 => i32::try_from(wide).ok().map(Value::I32),
        _ => Some(Value::I64(wide)),
    }
}
