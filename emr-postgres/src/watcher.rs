//! The watcher: triggers that write a change log, and a reader that takes the difference of two snapshots of it.
//!
//! Everything of one application lies in a schema of its own, `emr_<application>`; on a watched table stand triggers, and nothing
//! else. Servers from version 13 on.

mod catalog;
mod cells;
mod consumers;
mod define;
mod install;
mod layout;
mod log;
mod names;
mod reader;
mod retain;
mod session;
mod snapshot;
mod verify;

pub(crate) use log::PgChangeLog;
