//! Aggregates, windows, functions of values, JSON, time, arrays, and what is chosen at run time.

mod aggregates;
mod arrays;
mod casts;
mod dynamic;
mod embeds;
mod intervals;
mod items;
mod json;
mod numbers;
mod projections;
mod stored;
mod values;
mod windows;

use crate::harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for part in [
        aggregates::cases,
        arrays::cases,
        casts::cases,
        dynamic::cases,
        embeds::cases,
        intervals::cases,
        json::cases,
        numbers::cases,
        projections::cases,
        stored::cases,
        values::cases,
        windows::cases,
    ] {
        cases.extend(part());
    }
    cases
}
