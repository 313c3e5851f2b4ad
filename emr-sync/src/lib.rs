//! Keeps in-memory values in step with the rows behind them.
//!
//! Programs use it as `emr::sync`, behind the feature `sync`. A [`Sync`] reads the changes of watched tables, tells those who
//! [subscribed](Sync::subscribe), one item for each commit, and [applies](Sync::apply) the items to structs, `Option`s and `Vec`s of
//! them with what is preloaded in them, and to [`Synced`] values, which are what a query gives.
//!
//! What is promised: after all items of an inbox are applied, a `Synced` value, and a plain value that was loaded whole (compared
//! as sets by key), is equal to a fresh load. No commit is missed silently: where one may be, the item is a
//! [`Resync`](Delivery::resync). Each item is one whole commit.
//!
//! A change flows one way: the change log → [`Transport`] → the routing tables → [`Inbox`] → [`Sync::apply`], which loads what
//! changed through a cache that all subscribers share.

mod applied;
mod builder;
mod cache;
mod changes;
mod commit;
mod conflate;
mod delivery;
mod engine;
mod entry;
mod inbox;
mod interest;
mod key;
mod load;
mod mailbox;
mod patch;
mod routes;
mod rule;
mod shape;
mod subject;
mod subscribe;
mod sync;
mod synced;
mod tables;
mod target;
mod transport;
mod way;

pub use applied::{Applied, Change, ChangeOp, Step};
pub use builder::Builder;
pub use delivery::Delivery;
pub use entry::Entry;
pub use inbox::Inbox;
pub use interest::Ops;
pub use rule::Visible;
pub use subject::{Label, RowOf, Rows, Subject, label, row, rows};
pub use subscribe::{Subscribe, SubscribeMore};
pub use sync::{Apply, Sync, SyncStats};
pub use synced::Synced;
#[doc(hidden)]
pub use target::Patching;
pub use target::Target;
#[cfg(feature = "test")]
pub use transport::conformance;
pub use transport::{LocalTransport, Passed, PassedStream, Transport};
