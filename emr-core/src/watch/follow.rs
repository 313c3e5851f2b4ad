//! The task that follows a change log: reads, delivers, sleeps, and finds its way back after an outage.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::item::{Item, ResyncReason, Scope, Start};
use super::log::{ChangeLog, Consumer, LogReader, Opened};
use super::plan::Drift;
use super::resolve::Resolved;
use super::token::Token;
use crate::error::{ConnectFailure, Error, ErrorKind, Result};
use crate::lifecycle::{Activity, Lifecycle};

/// The first pause before connecting again; it doubles up to the heartbeat.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What is sent to the program, and the room that it takes on the way.
pub(super) struct Sent {
    pub(super) item: Result<Item>,
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

/// A position to be kept, and who waits for that.
pub(super) type Ack = (Token, oneshot::Sender<Result<()>>);

/// What others may know of a follower.
#[derive(Debug)]
pub(super) struct Standing {
    /// When the database last answered a read.
    pub(super) last_progress: Instant,
    /// When there was nothing left to read.
    pub(super) last_level: Instant,
    pub(super) connected: bool,
    pub(super) last_error: Option<String>,
}

pub(super) struct Follower {
    pub(super) log: Arc<dyn ChangeLog>,
    pub(super) set: Arc<Resolved>,
    pub(super) out: mpsc::Sender<Sent>,
    pub(super) acks: mpsc::Receiver<Ack>,
    pub(super) standing: Arc<Mutex<Standing>>,
    pub(super) room: Arc<Semaphore>,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) token: Token,
    pub(super) consumer: Option<Consumer>,
    pub(super) drift: Vec<Drift>,
    pub(super) next_progress: Instant,
    pub(super) next_verify: Instant,
    pub(super) _activity: Activity,
}

/// The program has dropped its end.
struct Gone;

/// Why reading ended.
enum End {
    Gone,
    Failed(Error),
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        End::Gone
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        End::Failed(error)
    }
}

impl Follower {
    /// Follows until the program drops its end, the repo is stopped, or something is wrong that time does not mend.
    pub(super) async fn run(mut self, opened: Opened) {
        let lifecycle = Arc::clone(&self.lifecycle);
        let error = tokio::select! {
            biased;
            () = lifecycle.stopping() => lifecycle.stopped_error(),
            error = self.follow_on(opened) => match error {
                Some(error) => error,
                None => return,
            },
        };
        self.standing().connected = false;
        let error = error.with_repo(lifecycle.id());
        // There may be no room for it at once; the task is then as long as the program leaves its end lying.
        let _ = self.out.send(Sent { item: Err(error), _room: None }).await;
    }

    async fn follow_on(&mut self, opened: Opened) -> Option<Error> {
        let mut opened = opened;
        loop {
            let end = match self.arrive(&mut opened).await {
                Ok(()) => self.follow(&mut *opened.reader).await,
                Err(gone) => gone.into(),
            };
            match end {
                End::Gone => return None,
                End::Failed(error) if passes(&error) => {
                    let (repo, application) = (self.lifecycle.id(), &*self.set.application);
                    tracing::warn!(%repo, application, %error, "the watcher lost its connection");
                    let mut standing = self.standing();
                    standing.connected = false;
                    standing.last_error = Some(error.to_string());
                }
                End::Failed(error) => return Some(error),
            }
            drop(opened);
            opened = match self.reconnect().await {
                Ok(opened) => opened,
                Err(End::Gone) => return None,
                Err(End::Failed(error)) => return Some(error),
            };
        }
    }

    /// A reader is there: takes over its position, and says what must be loaded anew.
    async fn arrive(&mut self, opened: &mut Opened) -> Result<(), Gone> {
        self.token = opened.token.clone();
        self.consumer = opened.consumer.take().or(self.consumer.take());
        {
            let mut standing = self.standing();
            standing.connected = true;
            standing.last_error = None;
        }
        let (repo, application) = (self.lifecycle.id(), &*self.set.application);
        tracing::debug!(%repo, application, after = %self.token, "the watcher reads");
        if let Some(reason) = opened.resync.take() {
            let item = Item::Resync { reason, scope: Scope::All, token: self.token.clone() };
            self.deliver(&mut *opened.reader, item).await?;
        }
        let drift = std::mem::take(&mut opened.drift);
        self.tell_drift(&mut *opened.reader, drift).await
    }

    async fn follow(&mut self, reader: &mut dyn LogReader) -> End {
        loop {
            if let Err(end) = self.step(reader).await {
                return end;
            }
        }
    }

    /// One read, and the sleep after it if there was no more.
    async fn step(&mut self, reader: &mut dyn LogReader) -> Result<(), End> {
        let begun = Instant::now();
        let batch = reader.read().await?;
        {
            let mut standing = self.standing();
            standing.last_progress = Instant::now();
            if !batch.more {
                standing.last_level = begun;
            }
        }
        for item in batch.items {
            self.deliver(reader, item).await?;
        }
        if let Some(token) = batch.token {
            self.token = token;
        }
        if Instant::now() >= self.next_progress {
            self.progress(reader).await?;
            let verify = Instant::now() >= self.next_verify;
            if verify {
                self.next_verify = Instant::now() + self.set.verify_every;
            }
            if !batch.more || verify {
                let tended = reader.tend(verify).await?;
                if let Some(drift) = tended.drift {
                    self.tell_drift(reader, drift).await?;
                }
            }
        }
        while let Ok(ack) = self.acks.try_recv() {
            keep(reader, ack).await?;
        }
        if self.out.is_closed() {
            return Err(End::Gone);
        }
        if batch.more {
            return Ok(());
        }
        let Some(limit) = reader.lie_down().await? else { return Ok(()) };
        let wake_at = (Instant::now() + limit).min(self.next_progress);
        let ack = tokio::select! {
            biased;
            () = reader.woken() => None,
            ack = self.acks.recv() => ack,
            () = self.out.closed() => return Err(End::Gone),
            () = sleep_until(wake_at) => None,
        };
        if let Some(ack) = ack {
            keep(reader, ack).await?;
        }
        Ok(())
    }

    /// Says how far the reader is.
    async fn progress(&mut self, reader: &mut dyn LogReader) -> Result<(), Gone> {
        let item = self.progress_item();
        self.deliver(reader, item).await
    }

    fn progress_item(&mut self) -> Item {
        self.next_progress = Instant::now() + self.set.heartbeat;
        let level = self.standing().last_level;
        let age = level.elapsed();
        // Level within a heartbeat is level: the time since then is that of sleeping.
        let lag = if age < self.set.heartbeat * 2 && self.standing().connected { Duration::ZERO } else { age };
        Item::Progress { token: self.token.clone(), lag }
    }

    /// What was not so before, or is so no more, may have hidden changes.
    async fn tell_drift(&mut self, reader: &mut dyn LogReader, drift: Vec<Drift>) -> Result<(), Gone> {
        let known = std::mem::replace(&mut self.drift, drift);
        let mended = known.iter().filter(|old| !self.drift.contains(old)).map(|old| (old, "mended since: "));
        let new = self.drift.iter().filter(|new| !known.contains(new)).map(|new| (new, ""));
        let items: Vec<_> = new
            .chain(mended)
            .map(|(drift, since)| {
                let (repo, application) = (self.lifecycle.id(), &*self.set.application);
                tracing::warn!(%repo, application, %drift, since, "the watcher's triggers are not as installed");
                let table = self.set.tables.iter().find(|table| *table.full_name() == *drift.table);
                Item::Resync {
                    reason: ResyncReason::Drift { found: format!("{since}{drift}") },
                    scope: table.map_or(Scope::All, |table| Scope::Table(Arc::clone(table))),
                    token: self.token.clone(),
                }
            })
            .collect();
        for item in items {
            self.deliver(reader, item).await?;
        }
        Ok(())
    }

    /// Sends an item when there is room for it; positions are kept meanwhile.
    async fn deliver(&mut self, reader: &mut dyn LogReader, item: Item) -> Result<(), Gone> {
        let weight = match &item {
            Item::Txn(txn) => {
                let (repo, application, changes) = (self.lifecycle.id(), &*self.set.application, txn.changes.len());
                tracing::debug!(%repo, application, changes, token = %txn.token, "a commit");
                u32::try_from(changes.clamp(1, self.set.max_events)).unwrap_or(u32::MAX)
            }
            _ => 1,
        };
        loop {
            let room = Arc::clone(&self.room);
            let ack = tokio::select! {
                biased;
                room = room.acquire_many_owned(weight) => {
                    let sent = Sent { item: Ok(item), _room: room.ok() };
                    return self.out.send(sent).await.map_err(|_| Gone);
                }
                () = self.out.closed() => return Err(Gone),
                Some(ack) = self.acks.recv() => ack,
            };
            // A connection that broke shows with the next read.
            let _ = keep(reader, ack).await;
        }
    }

    /// Connects again, until it succeeds or the reason why not is one that stays.
    async fn reconnect(&mut self) -> Result<Opened, End> {
        let mut pause = FIRST_PAUSE;
        loop {
            let until = Instant::now() + jittered(pause);
            pause = (pause * 2).min(self.set.heartbeat);
            while Instant::now() < until {
                self.outage_progress();
                tokio::select! {
                    biased;
                    () = self.out.closed() => return Err(End::Gone),
                    Some((_, waiter)) = self.acks.recv() => {
                        let _ = waiter.send(Err(self.away()));
                    }
                    () = sleep_until(until.min(self.next_progress)) => {}
                }
            }
            let (log, set, start) = (Arc::clone(&self.log), Arc::clone(&self.set), Start::After(self.token.clone()));
            let consumer = self.consumer.clone();
            let mut opening = std::pin::pin!(async { log.open(&set, &start, consumer.as_ref()).await });
            let opened = loop {
                tokio::select! {
                    biased;
                    () = self.out.closed() => return Err(End::Gone),
                    opened = &mut opening => break opened,
                    () = sleep_until(self.next_progress) => self.outage_progress(),
                }
            };
            match opened {
                Ok(opened) => return Ok(opened),
                Err(error) if passes(&error) => self.standing().last_error = Some(error.to_string()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The lag grows, and who listens is told; who does not listen is not waited for.
    fn outage_progress(&mut self) {
        if Instant::now() >= self.next_progress {
            let item = self.progress_item();
            let _ = self.out.try_send(Sent { item: Ok(item), _room: None });
        }
    }

    fn away(&self) -> Error {
        let why = self.standing().last_error.clone();
        Error::connection_lost(why.unwrap_or_else(|| "the watcher is connecting again".to_owned())).not_executed()
    }

    fn standing(&self) -> std::sync::MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a position and tells who waits. An error of the connection ends the reader as well.
async fn keep(reader: &mut dyn LogReader, (token, waiter): Ack) -> Result<()> {
    let result = reader.ack(&token).await;
    let broken = result.as_ref().err().filter(|error| passes(error)).map(Error::share);
    let _ = waiter.send(result);
    broken.map_or(Ok(()), Err)
}

/// Whether the error may be gone when one tries again: the server, not what was asked of it.
pub(super) fn passes(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::ConnectFailed { cause, .. } => {
            !matches!(cause, ConnectFailure::Authentication | ConnectFailure::UnknownDatabase | ConnectFailure::Tls)
        }
        ErrorKind::ConnectionLost { .. }
        | ErrorKind::Timeout { .. }
        | ErrorKind::Serialization { .. }
        | ErrorKind::Deadlock { .. }
        | ErrorKind::LockNotAvailable { .. } => true,
        _ => false,
    }
}

/// Between half of the pause and all of it, so that many readers do not come back at once.
fn jittered(pause: Duration) -> Duration {
    // The seed of a new state is random; this is no secret.
    let part = u32::try_from(RandomState::new().hash_one(0) % 1_000).unwrap_or(0);
    pause / 2 + pause / 2 * part / 1_000
}
