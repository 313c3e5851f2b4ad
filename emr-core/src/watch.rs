//! Watchers: every committed change of the tables that a program names, whoever wrote it.
//!
//! Truth is a change log in the watched database, which triggers write in the writer's own transaction. The layers,
//! from the program inwards: a [`WatchSet`] says what is watched; it is resolved to tables; a [`Watcher`] installs
//! and reads; a task follows the log by the adapter's [`LogReader`] and hands [`Item`]s to [`Changes`].

mod assocs;
mod caps;
mod changes;
mod event;
mod fault;
mod follow;
mod item;
mod log;
mod names;
mod plan;
mod resolve;
mod set;
mod spec;
mod token;
mod watcher;

pub use assocs::IntoAssocs;
#[doc(hidden)]
pub use assocs::Steps;
pub use caps::{Cascades, Grouping, WatcherCaps};
pub use changes::{Changes, Health};
pub use event::{Carried, Event, Op};
pub use fault::WatchFault;
pub use item::{Item, Part, ResyncReason, Scope, Start, Txn};
pub use log::{Batch, ChangeLog, Consumer, LogReader, Opened, Tended};
pub use names::{hex_digest, object_name};
pub use plan::{Drift, Installed, Plan, PlanStep};
pub use resolve::{Label, Resolved, Watched, WatchedColumn};
pub use set::{Retention, Wake, WatchSet};
pub use spec::{TypedWatcher, WatcherSpec};
pub use token::Token;
pub use watcher::Watcher;
