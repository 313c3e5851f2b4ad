//! Interceptors: what they see, what they change, and what they hear of.

mod audits;
mod graphs;
mod handles;
mod joins;
mod raw;
mod reads;
mod rules;
mod writes;

use crate::harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for part in [audits::cases, graphs::cases, handles::cases, joins::cases, raw::cases, reads::cases, writes::cases] {
        cases.extend(part());
    }
    cases
}
