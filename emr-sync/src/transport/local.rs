//! Within one process.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use emr_core::Result;
use emr_core::watch::Item;
use futures_core::Stream;
use tokio::sync::mpsc;

use super::{Passed, PassedStream, Transport};

/// Passes items on within the process. A subscriber has room for a number of them; the publisher waits for one that is behind, but
/// not for ever: then that one gets a [`Gap`](Passed::Gap).
#[derive(Debug)]
pub struct LocalTransport {
    room: usize,
    patience: Duration,
    subscribers: Mutex<Vec<Arc<Subscriber>>>,
}

#[derive(Debug)]
struct Subscriber {
    items: mpsc::Sender<Passed>,
    /// Something was not passed on.
    has_missed: Mutex<bool>,
}

impl Default for LocalTransport {
    fn default() -> Self {
        LocalTransport::new(1_024, Duration::from_secs(5))
    }
}

impl LocalTransport {
    /// Room for so many items for each subscriber, at least one, and how long the publisher waits for one that has none left.
    pub fn new(room: usize, patience: Duration) -> Self {
        LocalTransport { room: room.max(1), patience, subscribers: Mutex::default() }
    }

    async fn pass(&self, subscriber: &Subscriber, item: Item) {
        let missed = || subscriber.has_missed.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has missed something is not waited for again: it is told when there is room.
        let has_missed = *missed();
        if has_missed {
            if subscriber.items.try_send(Passed::Gap).is_err() {
                return;
            }
            *missed() = false;
        }
        let sent = if has_missed {
            subscriber.items.try_send(Passed::Item(item)).is_ok()
        } else {
            subscriber.items.send_timeout(Passed::Item(item), self.patience).await.is_ok()
        };
        if !sent {
            *missed() = true;
        }
    }
}

#[async_trait]
impl Transport for LocalTransport {
    async fn publish(&self, item: Item) -> Result<()> {
        let subscribers = {
            let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
            subscribers.retain(|subscriber| !subscriber.items.is_closed());
            subscribers.clone()
        };
        for subscriber in subscribers {
            self.pass(&subscriber, item.clone()).await;
        }
        Ok(())
    }

    async fn subscribe(&self) -> Result<PassedStream> {
        let (items, received) = mpsc::channel(self.room);
        let subscriber = Arc::new(Subscriber { items, has_missed: Mutex::new(false) });
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(subscriber);
        Ok(Box::pin(Received(received)))
    }
}

struct Received(mpsc::Receiver<Passed>);

impl Stream for Received {
    type Item = Result<Passed>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|passed| passed.map(Ok))
    }
}
