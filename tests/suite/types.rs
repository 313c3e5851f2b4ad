//! Every column type there and back, by every road, at its extremes; and what does not fit.

mod arrays;
mod misfits;
mod order;
mod roads;
mod schemas;
mod values;

use crate::harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    [roads::cases(), arrays::cases(), order::cases(), misfits::cases()].into_iter().flatten().collect()
}
