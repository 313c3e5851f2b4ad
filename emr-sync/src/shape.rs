//! Which associations a value holds, as preloads.

use emr_core::walk::Spec;
use emr_core::{Record, Schema};

/// Adds to the preloads those of what is loaded in a row.
pub(crate) fn add_loaded(shape: &mut Vec<Spec>, owner: fn() -> &'static Schema, row: &dyn Record) {
    for (at, def) in row.schema_of().associations.iter().enumerate() {
        let Some(slot) = row.association(at).filter(|slot| slot.is_loaded()) else { continue };
        let known = shape.iter().position(|spec| spec.association() == at).unwrap_or_else(|| {
            shape.push(Spec::of_rows(owner, at, Vec::new()));
            shape.len() - 1
        });
        slot.for_each(&mut |below| add_loaded(shape[known].nested_mut(), def.related, below));
    }
}

/// Adds preloads to others, each association once.
pub(crate) fn merge(shape: &mut Vec<Spec>, others: &[Spec]) {
    for other in others {
        match shape.iter_mut().find(|spec| spec.association() == other.association()) {
            Some(known) => {
                let nested = known.nested().to_vec();
                // The one with a query says more.
                if known.query().is_none() && known.limit().is_none() {
                    *known = other.clone();
                    merge(known.nested_mut(), &nested);
                } else {
                    merge(known.nested_mut(), other.nested());
                }
            }
            None => shape.push(other.clone()),
        }
    }
}
