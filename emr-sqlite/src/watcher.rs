//! The watcher: triggers write a change log into the same file, and a reader follows its positions.
//!
//! A file has one writer at a time, so positions are in the order of commits and without holes. All objects of one
//! application have names that begin with `emr_<application>`; on a watched table stand three triggers, and nothing else.

mod catalog;
mod cells;
mod consumers;
mod cut;
mod define;
mod install;
mod layout;
mod log;
pub(crate) mod names;
mod position;
mod reader;
mod retain;
mod session;
mod state;
mod verify;
pub(crate) mod wake;

pub(crate) use log::SqliteChangeLog;
