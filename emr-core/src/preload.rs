//! Preloads: the associated rows of rows that are there already, in one statement per association and level.

mod chain;
mod front;
mod function;
mod gathered;
mod joined;
mod keys;
mod merge;
mod owners;
mod query;
mod request;
mod run;
mod spec;

pub use function::{OwnerKey, OwnerKeys};
pub use gathered::{Gathered, Target};
pub(crate) use gathered::{Many, One, copied, mismatch, read as read_key};
pub(crate) use joined::Fold;
pub use joined::{IntoJoined, Joined, JoinedSpec};
pub(crate) use keys::{Key, Keys};
pub use owners::Preloadable;
pub(crate) use query::{preload_read, preload_read_by};
pub(crate) use request::{Request, link, of_keys};
pub(crate) use run::{Runner, preload, preload_by};
pub use spec::{IntoPreload, Preload, Preloads, Spec};
