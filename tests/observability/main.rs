//! What EMR tells about itself, to whom, and what it keeps to itself. A test binary of its own, because whoever listens
//! to everything listens to the whole process.

#[allow(dead_code, unused_imports)] // the suite uses all of it
#[macro_use]
#[path = "../suite/harness.rs"]
mod harness;

mod capture;
mod counters;
mod secrets;
mod spans;
mod watching;

use std::process::ExitCode;

use emr::prelude::*;

use harness::Backend;

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "accounts")]
struct Account {
    id: i64,
    name: String,
    #[emr(redact, unique)]
    token: String,
    #[emr(redact)]
    pin: Option<i64>,
}

/// Accounts that nobody has yet.
fn accounts(ids: std::ops::RangeInclusive<i64>, token: &str) -> Vec<Account> {
    ids.map(|id| Account { id, name: format!("name {id}"), token: format!("{token}-{id}"), pin: None }).collect()
}

fn main() -> ExitCode {
    capture::install();
    harness::main_on(&[
        (&Backend::ALL, &[("counters", counters::cases), ("secrets", secrets::cases), ("spans", spans::cases)]),
        (&[Backend::Sqlite, Backend::Postgres], &[("watching", watching::cases)]),
    ])
}
