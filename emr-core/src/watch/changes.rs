//! A program's end of a stream of changes.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::follow::{Ack, Sent, Standing};
use super::item::Item;
use super::token::Token;
use crate::error::{Error, Result};

/// The changes of a watcher's tables, from one position on: see [`Watcher::changes`](super::Watcher::changes).
///
/// It is a [`Stream`], or call [`recv`](Changes::recv). Dropping it ends the reading. A program that takes its time costs writers
/// nothing and the process a bounded memory: the reader waits, and the log keeps what is not read yet.
#[must_use = "changes are read only while this is held"]
pub struct Changes {
    pub(super) inbox: mpsc::Receiver<Sent>,
    pub(super) acks: mpsc::Sender<Ack>,
    pub(super) standing: Arc<Mutex<Standing>>,
    pub(super) start: Token,
    pub(super) task: JoinHandle<()>,
}

/// How a reader is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The time since the database last answered a read. Of a reader that is well, it stays below a heartbeat, also while nothing
    /// changes.
    pub progress_age: Duration,
    /// The time since there was nothing left to read.
    pub level_age: Duration,
    /// Whether it has a connection, as far as it knows.
    pub connected: bool,
    /// Why it has none.
    pub last_error: Option<String>,
}

impl Changes {
    /// The next item. `None` after the last: the stream has ended with the error before it.
    ///
    /// May be dropped at any await: nothing is lost.
    ///
    /// # Errors
    /// What time does not mend: [`Stopped`](crate::ErrorKind::Stopped) with its repo, a password that is refused,
    /// [`NotInstalled`](super::WatchFault::NotInstalled). Outages are no errors: the reader connects again.
    pub async fn recv(&mut self) -> Option<Result<Item>> {
        Some(self.inbox.recv().await?.item)
    }

    /// Keeps the position of the durable consumer in the database: after the next start, reading goes on behind it. Call it
    /// when what came before is done for good. One statement.
    ///
    /// # Errors
    /// [`Fenced`](super::WatchFault::Fenced) if another reader has started as this consumer, [`NoConsumer`](super::WatchFault::NoConsumer),
    /// [`ForeignToken`](super::WatchFault::ForeignToken); [`ConnectionLost`](crate::ErrorKind::ConnectionLost) while there is no connection: call it again later,
    /// or with a later token.
    pub async fn ack(&self, token: &Token) -> Result<()> {
        let (done, waiter) = oneshot::channel();
        let gone = || Error::connection_lost("the watcher has ended");
        self.acks.send((token.clone(), done)).await.map_err(|_| gone())?;
        waiter.await.map_err(|_| gone())?
    }

    /// Where the reading started.
    pub fn start(&self) -> &Token {
        &self.start
    }

    /// How the reader is. Without I/O.
    pub fn health(&self) -> Health {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        Health {
            progress_age: now.duration_since(standing.last_progress),
            level_age: now.duration_since(standing.last_level),
            connected: standing.connected,
            last_error: standing.last_error.clone(),
        }
    }
}

impl Stream for Changes {
    type Item = Result<Item>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inbox.poll_recv(context).map(|sent| Some(sent?.item))
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("start", &self.start).field("health", &self.health()).finish_non_exhaustive()
    }
}
