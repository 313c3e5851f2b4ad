//! Changesets: what comes in, what is judged, under which conditions it is written.

mod casts;
mod constraints;
mod guards;
mod schemas;
mod stamps;
mod validations;

use crate::harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for part in [casts::cases, constraints::cases, guards::cases, stamps::cases, validations::cases] {
        cases.extend(part());
    }
    cases
}
