//! Rows that are written together with the rows associated with them.
//!
//! A changeset holds a [`Branch`] for each association that [`put_assoc`](crate::Changeset::put_assoc) or
//! [`cast_assoc`](crate::Changeset::cast_assoc) gave it, and a branch holds the changesets of the associated rows. What
//! is to be done with each is found out at once, against the rows that are loaded ([`diff`]). The write then goes level
//! by level, whatever the schemas are ([`write`]): the rows of one level that are new go in together.

mod batch;
mod children;
mod diff;
mod given;
mod item;
mod items;
mod links;
mod member;
mod removal;
mod save;
mod write;

pub use children::{Children, IntoChild, IntoChildren};
pub(crate) use diff::{Problem, diff};
pub(crate) use given::{Given, given};
pub(crate) use items::Items;
pub(crate) use member::{Branch, Branches, MakeRoot};
pub(crate) use removal::delete_associated;
pub(crate) use save::{make_root, save, upsert};

use std::future::Future;
use std::pin::Pin;

use crate::error::Result;

/// A future whose size does not depend on how deep the rows nest.
pub(crate) type Boxed<'b> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'b>>;
