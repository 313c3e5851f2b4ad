//! The driver's two halves, and how to end them while a statement runs.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use emr_core::Error;
use futures_util::future::{Either, select};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long the server may take to give up a cancelled statement.
const PATIENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// A connected client, and the task that does its I/O.
pub(crate) struct Link {
    pub(super) client: Client,
    driver: JoinHandle<()>,
    last_words: Arc<OnceLock<Error>>,
    tls: MakeRustlsConnect,
    runtime: Handle,
}

impl Link {
    /// `last_words` is set by the driver's task before it ends.
    pub(crate) fn new(
        client: Client,
        driver: JoinHandle<()>,
        last_words: Arc<OnceLock<Error>>,
        tls: MakeRustlsConnect,
        runtime: Handle,
    ) -> Self {
        Link { client, driver, last_words, tls, runtime }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Why the connection ended, in the server's words.
    pub(super) fn last_words(&self) -> Option<Error> {
        self.last_words.get().map(Error::share)
    }

    /// Cancels what runs at the server and ends the session, from a task of its own.
    pub(super) fn hang_up(self) -> JoinHandle<()> {
        let runtime = self.runtime.clone();
        runtime.spawn(self.cancel_until_gone())
    }

    async fn cancel_until_gone(self) {
        let Link { client, mut driver, tls, .. } = self;
        let token = client.cancel_token();
        // Without a client the driver says goodbye as soon as the statement ends; the server then rolls back.
        drop(client);
        let deadline = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        // A cancel request that overtakes its statement cancels nothing: so again, until the driver is gone.
        while Instant::now() < deadline {
            let cancel = Box::pin(timeout(Duration::from_secs(1), token.cancel_query(tls.clone())));
            if let Either::Left(_) = select(&mut driver, cancel).await {
                return;
            }
            if timeout(pause, &mut driver).await.is_ok() {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        driver.abort();
    }
}
