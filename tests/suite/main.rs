//! The behaviour of the public interface, on every backend that can be reached.

#[macro_use]
mod harness;
mod constraints;
mod reads;
mod schemas;
mod transactions;
mod writes;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::main(&[
        ("constraints", constraints::cases),
        ("reads", reads::cases),
        ("transactions", transactions::cases),
        ("writes", writes::cases),
    ])
}
