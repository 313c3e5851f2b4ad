//! How a reader sleeps, so that writers need tell nobody while it is awake.
//!
//! A writer tries a lock, shared; only if that fails it notifies. A reader that wants to sleep takes the lock for itself and then
//! **reads once more**. A writer that had got the lock before gave it back after its commit became visible, so that read
//! sees it; one that comes later fails and notifies. Of several readers one sleeps so, for all: the others wait for the
//! same notifications, and it notifies them of what it finds while it is awake.

use std::time::{Duration, Instant};

use emr_core::Result;
use emr_core::watch::Wake;

use super::PgReader;
use crate::watcher::names::{Names, literal};

/// The pause after a read that found something: what comes meanwhile is read together.
const PAUSE: Duration = Duration::from_millis(2);
/// The same after one that found many changes: each read costs the server what some dozen changes do.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
const MANY: usize = 8;
/// The longest pause while a writer's open transaction, or somebody else, holds the lock.
const LONGEST: Duration = Duration::from_millis(50);
/// How often a reader that sleeps under another one's lock sees whether that one is still there.
const LEADER_CHECK: Duration = Duration::from_secs(1);

#[allow(clippy::struct_excessive_bools)] // each is a lock held, or not
pub(super) struct Sleep {
    /// The reader looks by itself; nothing is told to it.
    every: Option<Duration>,
    /// Writers notify with every commit: there is no lock to take.
    told_always: bool,
    heartbeat: Duration,
    /// Holds the lock of sleep.
    asleep: bool,
    leads: bool,
    /// Shares the lock of those that do not lead.
    follows: bool,
    next_try: Option<Instant>,
    backoff: Duration,
    /// How many changes the last read found.
    found: usize,
    /// Others must be told of what was found.
    dirty: bool,
}

impl Sleep {
    pub(super) fn new(wake: Wake, installed: &str, heartbeat: Duration) -> Self {
        let every = match (wake, installed) {
            (Wake::Poll(every), _) => Some(every),
            (_, "none") => Some(LONGEST),
            _ => None,
        };
        Sleep {
            every,
            told_always: installed == "notify",
            heartbeat,
            asleep: false,
            leads: false,
            follows: false,
            next_try: None,
            backoff: PAUSE,
            found: 0,
            dirty: false,
        }
    }

    /// Whether the session may be another one from statement to statement.
    pub(super) fn polls_only(&self) -> bool {
        self.every.is_some()
    }

    pub(super) fn leads(&self) -> bool {
        self.leads || self.every.is_some() || self.told_always
    }

    pub(super) fn read_found(&mut self, found: usize) {
        self.found = found;
        if found > 0 {
            self.backoff = PAUSE;
            self.dirty = true;
        }
    }

    /// Ends the sleep: the statement that gives the lock back, if it is held.
    pub(super) fn get_up(&mut self, names: &Names) -> Option<String> {
        std::mem::take(&mut self.asleep).then(|| format!("SELECT pg_catalog.pg_advisory_unlock({})", names.sleep_key))
    }

    /// The pause that needs no statement.
    pub(super) fn pause(&mut self) -> Option<Duration> {
        let pause = match std::mem::take(&mut self.found) {
            0 => None,
            1..MANY => Some(PAUSE),
            _ => Some(BUSY_PAUSE),
        };
        match self.every {
            Some(every) => {
                self.backoff = pause.unwrap_or(self.backoff * 2).min(every);
                Some(self.backoff)
            }
            None if self.asleep || self.told_always => Some(self.heartbeat),
            None => pause,
        }
    }
}

impl PgReader {
    /// Takes the lock of sleep and reads once more, in one trip; or finds out who has it.
    pub(super) async fn fall_asleep(&mut self) -> Result<Option<Duration>> {
        let names = self.names.clone();
        if !self.sleep.leads && self.sleep.next_try.is_none_or(|at| at <= Instant::now()) {
            self.sleep.next_try = Some(Instant::now() + LEADER_CHECK);
            let sql = format!("SELECT pg_catalog.pg_try_advisory_lock({})", names.lead_key);
            self.sleep.leads = self.session.one(&sql, &[]).await?.get(0);
            if self.sleep.leads && self.sleep.follows {
                self.sleep.follows = false;
                self.session
                    .script(&format!("SELECT pg_catalog.pg_advisory_unlock_shared({})", names.follow_key))
                    .await?;
            } else if !self.sleep.leads && !self.sleep.follows {
                self.sleep.follows = true;
                self.session
                    .script(&format!("SELECT pg_catalog.pg_advisory_lock_shared({})", names.follow_key))
                    .await?;
                // What was committed until now, nobody need have told.
                return Ok(None);
            }
        }
        if !self.sleep.leads {
            return Ok(Some(LEADER_CHECK));
        }
        if std::mem::take(&mut self.sleep.dirty) {
            // Only if there is somebody: a notification is a commit of its own.
            let tell = format!(
                "SELECT pg_catalog.pg_notify({}, '') WHERE NOT pg_catalog.pg_try_advisory_xact_lock({})",
                literal(&names.bare),
                names.follow_key
            );
            self.session.script(&tell).await?;
        }
        let lock = format!("SELECT pg_catalog.pg_try_advisory_lock({})", names.sleep_key);
        let (locked, rows) = tokio::join!(biased; self.session.one(&lock, &[]), self.ask());
        self.sleep.asleep = locked?.get(0);
        let (seen, rows) = self.take_in(&rows?)?;
        if !rows.is_empty() || seen.log_id != self.log_id || seen.floor > self.position.from.xmin {
            (self.seen, self.found) = (Some(seen), Some(rows));
            return Ok(None);
        }
        self.position.from = seen.now;
        if self.sleep.asleep {
            return Ok(Some(self.sleep.heartbeat));
        }
        self.sleep.backoff = (self.sleep.backoff * 2).min(LONGEST);
        Ok(Some(self.sleep.backoff))
    }
}
