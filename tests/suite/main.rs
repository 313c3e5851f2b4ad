//! The behaviour of the public interface, on every backend that can be reached.

#[macro_use]
mod harness;
mod advisory;
mod associations;
mod blog;
mod calls;
mod changesets;
mod constraints;
mod faults;
mod fetches;
mod functions;
mod graphs;
mod instruments;
mod interceptors;
mod large_writes;
mod logs;
mod migrations;
mod multi;
mod mysql_family;
mod odd_schemas;
mod plans;
mod preloads;
mod promises;
mod queries;
mod raw_sql;
mod reads;
mod reloads;
mod retries;
mod schemas;
mod streams;
mod test_repos;
mod transaction_control;
mod transaction_rows;
mod transactions;
mod trips;
mod types;
mod upserts;
mod writes;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::main(&[
        ("advisory", advisory::cases),
        ("associations", associations::cases),
        ("calls", calls::cases),
        ("changesets", changesets::cases),
        ("constraints", constraints::cases),
        ("faults", faults::cases),
        ("fetches", fetches::cases),
        ("functions", functions::cases),
        ("graphs", graphs::cases),
        ("instruments", instruments::cases),
        ("logs", logs::cases),
        ("interceptors", interceptors::cases),
        ("large_writes", large_writes::cases),
        ("migrations", migrations::cases),
        ("multi", multi::cases),
        ("mysql_family", mysql_family::cases),
        ("odd_schemas", odd_schemas::cases),
        ("plans", plans::cases),
        ("preloads", preloads::cases),
        ("promises", promises::cases),
        ("queries", queries::cases),
        ("raw_sql", raw_sql::cases),
        ("reads", reads::cases),
        ("reloads", reloads::cases),
        ("retries", retries::cases),
        ("streams", streams::cases),
        ("test_repos", test_repos::cases),
        ("transaction_control", transaction_control::cases),
        ("transaction_rows", transaction_rows::cases),
        ("transactions", transactions::cases),
        ("trips", trips::cases),
        ("types", types::cases),
        ("upserts", upserts::cases),
        ("writes", writes::cases),
    ])
}
