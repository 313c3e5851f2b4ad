//! The behaviour of the public interface, on every backend that can be reached.

#[macro_use]
mod harness;
mod calls;
mod constraints;
mod faults;
mod reads;
mod schemas;
mod streams;
mod transactions;
mod types;
mod writes;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::main(&[
        ("calls", calls::cases),
        ("constraints", constraints::cases),
        ("faults", faults::cases),
        ("reads", reads::cases),
        ("streams", streams::cases),
        ("transactions", transactions::cases),
        ("types", types::cases),
        ("writes", writes::cases),
    ])
}
