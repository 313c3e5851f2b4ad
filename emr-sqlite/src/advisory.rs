//! Advisory locks: the engine has none, so they are known in this process only.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use emr_core::{AdvisoryLock, Error, ErrorKind, Result};
use tokio::sync::Notify;

use crate::database::identity;
use crate::settings::Location;

/// What a lock belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Database {
    /// A file, by the one path that all others to it lead to.
    File(PathBuf),
    /// A database in memory, which one repo has.
    Memory(u64),
}

impl Database {
    /// The database of a repo. Its file must exist for all ways to write its path to be one.
    pub(crate) fn of(location: &Location, repo: u64) -> Self {
        match location {
            Location::File(path) => Database::File(identity(path)),
            Location::Memory => Database::Memory(repo),
        }
    }
}

type Name = (Arc<Database>, i64);

/// Who holds a lock, or waits for it.
#[derive(Clone, Copy)]
struct Claim {
    /// The connection.
    owner: u64,
    shared: bool,
    /// Claims wait in this order.
    number: u64,
}

impl Claim {
    fn excludes(self, other: Claim) -> bool {
        self.owner != other.owner && !(self.shared && other.shared)
    }
}

#[derive(Default)]
struct Lock {
    holders: Vec<Claim>,
    waiting: Vec<Claim>,
    changed: Arc<Notify>,
}

impl Lock {
    /// Those that a claim must wait for: holders, and who came before it. Who holds the lock already does not queue:
    /// everybody in the queue waits for it.
    fn in_the_way(&self, claim: Claim) -> impl Iterator<Item = u64> {
        let queues = self.holders.iter().all(|holder| holder.owner != claim.owner);
        let before = self.waiting.iter().filter(move |other| queues && other.number < claim.number);
        self.holders.iter().chain(before).filter(move |other| other.excludes(claim)).map(|other| other.owner)
    }
}

/// The locks that are held or waited for.
type Table = HashMap<Name, Lock>;

static LOCKS: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(0);

fn locks() -> MutexGuard<'static, Table> {
    LOCKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that no connection, claim or repo has yet.
pub(crate) fn number() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The locks of one connection. Dropping them gives them back.
pub(crate) struct Locks {
    database: Arc<Database>,
    owner: u64,
    held: Vec<i64>,
}

/// A claim in a queue, which it leaves when it is dropped.
struct Waiting<'a> {
    name: &'a Name,
    claim: Claim,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut table = locks();
        if let Some(lock) = table.get_mut(self.name) {
            lock.waiting.retain(|other| other.number != self.claim.number);
            lock.changed.notify_waiters();
            forget_unused(&mut table, self.name);
        }
    }
}

fn forget_unused(table: &mut Table, name: &Name) {
    if table.get(name).is_some_and(|lock| lock.holders.is_empty() && lock.waiting.is_empty()) {
        table.remove(name);
    }
}

impl Locks {
    pub(crate) fn of(database: Database) -> Self {
        Locks { database: Arc::new(database), owner: number(), held: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn claim(&self, wanted: &AdvisoryLock) -> (Name, Claim) {
        let claim = Claim { owner: self.owner, shared: wanted.shared, number: number() };
        ((Arc::clone(&self.database), wanted.key), claim)
    }

    /// Whether the lock could be had now.
    pub(crate) fn is_free(&self, wanted: &AdvisoryLock) -> bool {
        let (name, claim) = self.claim(wanted);
        locks().get(&name).is_none_or(|lock| lock.in_the_way(claim).next().is_none())
    }

    /// Takes the lock; `false` if it is not free and is not waited for.
    ///
    /// Cancellation safety: dropped while it waits, it leaves the queue and holds nothing.
    pub(crate) async fn take(&mut self, wanted: &AdvisoryLock) -> Result<bool> {
        let (name, claim) = self.claim(wanted);
        let mut waiting = None;
        loop {
            let changed = {
                let mut table = locks();
                let lock = table.entry(name.clone()).or_default();
                if lock.in_the_way(claim).next().is_none() {
                    lock.holders.push(claim);
                    self.held.push(wanted.key);
                    break;
                }
                if !wanted.wait {
                    return Ok(false);
                }
                if waiting.is_none() {
                    lock.waiting.push(claim);
                    let circle = waits_for(&table, &name, claim, self.owner);
                    waiting = Some(Waiting { name: &name, claim });
                    if circle {
                        drop(table);
                        let message = format!("the advisory lock {:?} would be waited for in a circle", wanted.name);
                        return Err(Error::new(ErrorKind::Deadlock { message }));
                    }
                }
                Arc::clone(&table.entry(name.clone()).or_default().changed).notified_owned()
            };
            changed.await;
        }
        drop(waiting);
        Ok(true)
    }

    /// Gives all of them back.
    pub(crate) fn release(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let mut table = locks();
        for key in self.held.drain(..) {
            let name = (Arc::clone(&self.database), key);
            if let Some(lock) = table.get_mut(&name) {
                lock.holders.retain(|holder| holder.owner != self.owner);
                lock.changed.notify_waiters();
            }
            forget_unused(&mut table, &name);
        }
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        self.release();
    }
}

/// Whether somebody in the way of a claim waits for `owner`, at whatever distance. An owner waits for one lock at a
/// time.
fn waits_for(table: &Table, name: &Name, claim: Claim, owner: u64) -> bool {
    let mut seen = Vec::new();
    let mut open = vec![(name, claim)];
    while let Some((name, claim)) = open.pop() {
        let Some(lock) = table.get(name) else { continue };
        for other in lock.in_the_way(claim) {
            if other == owner {
                return true;
            }
            if seen.contains(&other) {
                continue;
            }
            seen.push(other);
            let claims = table.iter().flat_map(|(name, lock)| lock.waiting.iter().map(move |claim| (name, *claim)));
            open.extend(claims.filter(|(_, claim)| claim.owner == other));
        }
    }
    false
}
