//! What the renderer writes for each engine, side by side.
//!
//! [`snapshot`] renders one case in every dialect, checks that each text is SQL to `sqlparser`, and compares texts
//! and values with the reviewed ones in `snapshots/`. After a change that is meant, `INSTA_UPDATE=always cargo
//! test -p emr-sql-snapshots` writes them anew: read the difference as an expert of each engine.

mod engines;
mod parse;
pub mod schemas;
mod snapshot;

pub use engines::{Engine, engines};
pub use snapshot::snapshot;
