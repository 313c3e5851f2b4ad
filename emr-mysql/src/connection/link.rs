//! The driver's connection, and how to end what runs on it from outside.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// How long the server may take to give up a cancelled statement.
const PATIENCE: Duration = Duration::from_secs(10);
const ONE_TRY: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// A session at the server, and what opens another one beside it.
pub(crate) struct Link {
    pub(super) conn: Conn,
    opts: Opts,
    runtime: Handle,
    /// Does nothing as long as the runtime lives, whose end is the end of the socket.
    witness: AbortOnDrop,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    pub(crate) fn new(conn: Conn, opts: Opts, runtime: Handle) -> Self {
        let witness = AbortOnDrop(runtime.spawn(std::future::pending()));
        Link { conn, opts, runtime, witness }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.conn.is_disconnected() || self.witness.0.is_finished()
    }

    /// Ends the session at the server, from a task of its own: MySQL's protocol has no word for it, and a server that
    /// computes does not look whether its client is still there.
    pub(super) fn hang_up(self) -> JoinHandle<()> {
        let runtime = self.runtime.clone();
        runtime.spawn(async move {
            let Link { conn, opts, .. } = self;
            let id = conn.id();
            let _ = timeout(PATIENCE, end(id, opts)).await;
            drop(conn);
        })
    }

    /// Ends the statement that runs, and not the session.
    pub(super) async fn kill_query(&self) -> Result<(), mysql_async::Error> {
        let mut beside = Conn::new(self.opts.clone()).await?;
        beside.query_drop(format!("KILL QUERY {}", self.conn.id())).await?;
        beside.disconnect().await
    }
}

/// Kills a session, and waits until it is gone: its locks are free then.
async fn end(id: u32, opts: Opts) {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    while Instant::now() < deadline {
        if let Ok(Ok(())) = timeout(ONE_TRY, kill(id, &opts)).await {
            return;
        }
        // The server may have no connection left for us at this moment.
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn kill(id: u32, opts: &Opts) -> Result<(), mysql_async::Error> {
    let mut beside = Conn::new(opts.clone()).await?;
    match beside.query_drop(format!("KILL {id}")).await {
        // It is gone already.
        Err(mysql_async::Error::Server(error)) if error.code == 1094 => {}
        result => result?,
    }
    let mut pause = FIRST_PAUSE;
    let there = format!("SELECT 1 FROM information_schema.processlist WHERE id = {id}");
    while beside.query_first::<u8, _>(&there).await?.is_some() {
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    beside.disconnect().await
}
