//! How commits get from the reader of the log to those who route them.

mod local;

#[cfg(feature = "test")]
pub mod conformance;

use std::pin::Pin;

use async_trait::async_trait;
use emr_core::Result;
use emr_core::watch::Item;
use futures_core::Stream;

pub use local::LocalTransport;

/// What a subscriber of a [`Transport`] gets.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Passed {
    /// An item that was published.
    Item(Item),
    /// Items may be missing here. It comes before the first item after the gap, or at the latest with the next item.
    Gap,
}

/// A subscriber's end of a [`Transport`].
pub type PassedStream = Pin<Box<dyn Stream<Item = Result<Passed>> + Send>>;

/// Carries commits from the process that reads the log to all that keep values in sync with it. The default,
/// [`LocalTransport`], stays in the process.
///
/// What every transport promises, and `conformance` checks: an item that is published after a subscription stands reaches that
/// subscriber, in the order of publication, or a [`Gap`](Passed::Gap) says that it may not; a slow or dropped subscriber neither stops
/// the others nor the publisher for ever. An item may come twice.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Passes an item on to all subscribers.
    ///
    /// # Errors
    /// If the item could not be passed on. The publisher then publishes a [`Resync`](Item::Resync) when it can.
    async fn publish(&self, item: Item) -> Result<()>;

    /// Subscribes. When the call returns, everything that is published from then on comes.
    ///
    /// # Errors
    /// If there is no connection.
    async fn subscribe(&self) -> Result<PassedStream>;
}
