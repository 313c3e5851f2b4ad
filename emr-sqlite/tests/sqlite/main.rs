//! The adapter against real files and databases in memory, through the seams that the core uses.

mod bulk;
mod cancellation;
mod common;
mod constraints;
mod cursors;
mod settings;
mod statements;
mod transactions;
mod values;
