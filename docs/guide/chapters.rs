//! The chapters of the guide, as modules: `cargo test --doc -p emr-guide` compiles and runs their code blocks.

#[doc = include_str!("src/start.md")]
pub mod start {}

#[doc = include_str!("src/repos.md")]
pub mod repos {}

#[doc = include_str!("src/schemas.md")]
pub mod schemas {}

#[doc = include_str!("src/errors.md")]
pub mod errors {}
