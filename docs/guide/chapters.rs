//! The chapters of the guide, as modules: `cargo test --doc -p emr-guide` compiles and runs their code blocks.

#[doc = include_str!("src/start.md")]
pub mod start {}

#[doc = include_str!("src/repos.md")]
pub mod repos {}

#[doc = include_str!("src/schemas.md")]
pub mod schemas {}

#[doc = include_str!("src/errors.md")]
pub mod errors {}

#[doc = include_str!("src/queries.md")]
pub mod queries {}

#[doc = include_str!("src/associations.md")]
pub mod associations {}

#[doc = include_str!("src/changesets.md")]
pub mod changesets {}

#[doc = include_str!("src/writing.md")]
pub mod writing {}

#[doc = include_str!("src/transactions.md")]
pub mod transactions {}

#[doc = include_str!("src/functions.md")]
pub mod functions {}

#[doc = include_str!("src/testing.md")]
pub mod testing {}

#[doc = include_str!("src/interceptors.md")]
pub mod interceptors {}

#[doc = include_str!("src/coming_from_ecto.md")]
pub mod coming_from_ecto {}

#[doc = include_str!("src/watching.md")]
pub mod watching {}

#[doc = include_str!("src/syncing.md")]
pub mod syncing {}
