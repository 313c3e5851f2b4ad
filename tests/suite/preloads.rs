//! Preloads.

mod basic;
mod chains;
mod custom;
mod keys;
mod loaded;
mod partial;
mod refused;

use crate::harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    [
        basic::cases(),
        chains::cases(),
        custom::cases(),
        keys::cases(),
        loaded::cases(),
        partial::cases(),
        refused::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
