//! Rows that are written together with the rows associated with them.

mod casts;
mod children;
mod deletes;
mod failures;
mod links;
mod parents;
mod schemas;
mod shapes;

use crate::harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for part in
        [casts::cases, children::cases, deletes::cases, failures::cases, links::cases, parents::cases, shapes::cases]
    {
        cases.extend(part());
    }
    cases
}
