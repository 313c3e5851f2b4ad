//! What becomes of associated rows when the row is deleted.

use std::borrow::Cow;

use super::Boxed;
use super::links::{Table, equal};
use crate::association::{Ends, Record, filter, fitting};
use crate::error::{Error, Result};
use crate::expr::Node;
use crate::query::{Assignment, Relation, SelectBody};
use crate::repo::{delete_rows, update_rows};
use crate::schema::{AssociationDef, AssociationKind, OnDelete};
use crate::transaction::Tx;
use crate::value::Value;

/// Does what `on_delete` says, for each association of the row.
pub(crate) fn delete_associated<'d>(tx: &'d Tx, row: &'d dyn Record, prefix: Option<&'d str>) -> Boxed<'d> {
    Box::pin(async move {
        for def in row.schema_of().associations.iter().filter(|def| def.on_delete != OnDelete::Nothing) {
            remove(tx, def, row, prefix).await?;
        }
        Ok(())
    })
}

async fn remove(tx: &Tx, def: &'static AssociationDef, row: &dyn Record, prefix: Option<&str>) -> Result<()> {
    let ends = Ends::of(row.schema_of(), def)?;
    let own = || ends.owner_keys.iter().map(|&own| row.column(own));
    if own().any(|value| value.is_null()) {
        return Ok(());
    }
    if def.kind == AssociationKind::ManyToMany {
        let table = Table::of(def, &ends)?;
        let owner = table.owner_keys(&ends, own())?;
        delete_rows(tx, &table.links_of(&ends, &owner, prefix)).await?;
        return Ok(());
    }
    let related = ends.related;
    let mut body = SelectBody::of(Relation::Schema(related));
    if related.prefix.is_none() {
        body.from.prefix = prefix.map(|prefix| Cow::Owned(prefix.to_owned()));
    }
    for (&column, value) in ends.related_keys.iter().zip(own()) {
        // No row has a key that its column cannot hold.
        let Some(value) = fitting(value, related.columns[column].ty) else { return Ok(()) };
        body.filter.push(equal(related, column, value.into_owned()));
    }
    filter(&mut body, &ends, def);
    if def.on_delete == OnDelete::DeleteAll {
        delete_rows(tx, &body).await?;
        return Ok(());
    }
    let released = ends.related_keys.iter().map(|&column| {
        let def = &related.columns[column];
        if !def.nullable {
            return Err(Error::invalid(format!(
                "{} shall nilify `{}` of {}, which is never NULL: make the field an Option, or delete the rows",
                ends.owner.name, def.field, related.name
            )));
        }
        let value = Node::Bind { value: Value::Null(def.ty), context: Some((related, column)) };
        Ok(Assignment { column, value })
    });
    let released: Vec<_> = released.collect::<Result<_>>()?;
    update_rows(tx, &body, &released).await?;
    Ok(())
}
