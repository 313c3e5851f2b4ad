//! What tests of programs need. Behind the feature `test`, for `[dev-dependencies]`: what a program ships has none of it.
//!
//! - [`TestRepo`]: a repo whose every call happens in one transaction that is never committed. Tests run in parallel on
//!   one database, and leave nothing in it.
//! - [`Instrument`]: notes what goes to the connections of a repo, in order, and makes chosen operations fail, wait or
//!   hang.
//!
//! ```no_run
//! use emr_core::Repo;
//! use emr_core::test::TestRepo;
//!
//! # async fn f() -> emr_core::Result<()> {
//! let repo = TestRepo::start("postgres://postgres@localhost/app_test").await?;
//! repo.query("insert into notes (text) values ('x')", &[]).await?;
//! // Nobody else ever sees the note.
//! repo.stop().await
//! # }
//! ```

mod connection;
mod fault;
mod instrument;
mod instrumented;
mod operation;
mod outer;
mod repo;

pub use fault::{Fault, When};
pub use instrument::Instrument;
pub use operation::{Operation, Outcome, Verb};
pub use repo::{TestOptions, TestRepo};
