//! Queries over several sources: joins, subqueries, common table expressions, combinations.

mod blog;
mod combinations;
mod folds;
mod joins;
mod shapes;
mod subqueries;
mod writes;

use crate::harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for part in [combinations::cases, folds::cases, joins::cases, shapes::cases, subqueries::cases, writes::cases] {
        cases.extend(part());
    }
    cases
}
