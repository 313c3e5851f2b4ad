//! An instrument between a repo and its connections.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::fault::{Fault, Rule, When};
use super::instrumented::Instrumented;
use super::operation::{Operation, Outcome, Planned, Verb};
use crate::connection::{Connection, Connector, Layer, PoolSplit, Role};
use crate::error::{Error, ErrorKind, Result};

/// Notes each operation on the connections of a repo, in the order in which they begin, and makes those fail that it
/// was told to. Give it to the repo's options with [`layer`](crate::RepoOptions::layer), for any backend and for a
/// [`TestRepo`](super::TestRepo) too, and keep a clone: clones share what was noted.
///
/// It sees what the program asks of a connection, transaction control included. What was sent to a driver in one call
/// has one [number](Operation::call). Parameters of redacted columns are not noted.
///
/// ```no_run
/// use emr_core::test::{Fault, Instrument, When};
/// use emr_core::{Repo, RepoOptions};
///
/// # async fn f() -> emr_core::Result<()> {
/// let instrument = Instrument::new();
/// let options = RepoOptions::sqlite(":memory:").layer(instrument.clone());
/// let repo = emr_core::open(options).await?;
/// repo.query("select 1", &[]).await?;
/// assert_eq!(instrument.statements(), ["select 1"]);
///
/// instrument.fault(When::statement("select"), Fault::ConnectionLost);
/// assert!(repo.query("select 2", &[]).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Instrument(Arc<Inner>);

#[derive(Default)]
struct Inner {
    log: Mutex<Log>,
    rules: Mutex<Vec<Rule>>,
    connections: AtomicU32,
}

#[derive(Default)]
struct Log {
    operations: Vec<Operation>,
    /// How many were noted and taken out before them.
    taken: u64,
    calls: u64,
}

/// What an operation is to suffer.
pub(super) enum Strike {
    /// In the place of the operation with this position among those of its call.
    Instead(usize, Fault),
    /// After the whole call.
    After,
}

impl Instrument {
    /// Nothing noted, no faults.
    pub fn new() -> Self {
        Instrument::default()
    }

    /// What was noted since the start, or since it was taken or cleared.
    pub fn operations(&self) -> Vec<Operation> {
        self.log().operations.clone()
    }

    /// The same, and forgets it.
    pub fn take(&self) -> Vec<Operation> {
        let mut log = self.log();
        let operations = std::mem::take(&mut log.operations);
        log.taken += operations.len() as u64;
        operations
    }

    /// Forgets what was noted. Faults stay.
    pub fn clear(&self) {
        drop(self.take());
    }

    /// The texts of the operations that carry SQL of the program: statements, scripts, inserts, cursors.
    pub fn statements(&self) -> Vec<String> {
        let log = self.log();
        log.operations.iter().filter(|one| one.verb.is_statement()).map(|one| one.text.clone()).collect()
    }

    /// The texts of all operations, control included.
    pub fn texts(&self) -> Vec<String> {
        self.log().operations.iter().map(|one| one.text.clone()).collect()
    }

    /// How many of the noted operations are of this sort.
    pub fn count(&self, verb: Verb) -> usize {
        self.log().operations.iter().filter(|one| one.verb == verb).count()
    }

    /// How many calls the noted operations were handed over in: a driver that can pipeline needs a round trip for
    /// each, once its statements are prepared.
    pub fn calls(&self) -> usize {
        let mut calls: Vec<_> = self.log().operations.iter().map(|one| one.call).collect();
        // Calls of several connections may be mixed.
        calls.sort_unstable();
        calls.dedup();
        calls.len()
    }

    /// Lets these operations go wrong, from now on. Where several faults meet, the first one that was set happens;
    /// delays add up.
    pub fn fault(&self, when: When, fault: Fault) {
        self.rules().push(Rule { when, fault, seen: 0 });
    }

    /// Forgets all faults. What hangs goes on hanging.
    pub fn heal(&self) {
        self.rules().clear();
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.0.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the operations of one call, up to the one that goes wrong.
    pub(super) fn begin(&self, connection: u32, operations: Vec<Planned>) -> (Running, Option<Strike>, Duration) {
        let mut rules = self.rules();
        let mut log = self.log();
        let call = log.calls;
        log.calls += 1;
        let first = log.taken + log.operations.len() as u64;
        let (mut strike, mut delay) = (None, Duration::ZERO);
        for (at, operation) in operations.into_iter().enumerate() {
            // All count it; the first one that hits counts.
            let hits: Vec<_> =
                rules.iter_mut().filter_map(|rule| rule.strikes(&operation).then(|| rule.fault.clone())).collect();
            let Planned { verb, text, params } = operation;
            log.operations.push(Operation { connection, call, verb, text, params, outcome: Outcome::Running });
            for fault in hits {
                match fault {
                    Fault::Delay(time) => delay += time,
                    Fault::AnswerLost if strike.is_none() => strike = Some(Strike::After),
                    Fault::AnswerLost => {}
                    fault if !matches!(strike, Some(Strike::Instead(..))) => strike = Some(Strike::Instead(at, fault)),
                    _ => {}
                }
            }
            if matches!(strike, Some(Strike::Instead(..))) {
                break;
            }
        }
        let last = log.taken + log.operations.len() as u64;
        (Running { instrument: self.clone(), first, last, ended: false }, strike, delay)
    }
}

impl fmt::Debug for Instrument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.operations()).finish()
    }
}

/// The operations of a call that runs. Dropped before its end, it was cancelled.
pub(super) struct Running {
    instrument: Instrument,
    first: u64,
    last: u64,
    ended: bool,
}

impl Running {
    /// The call came back; the rows are those of its last operation, and so is the failure.
    pub(super) fn end(mut self, result: Result<u64, &Error>) {
        let last = match result {
            Ok(rows) => Outcome::Done { rows },
            Err(error) => Outcome::Failed(error.kind().clone()),
        };
        self.set(|at, end| if at + 1 == end { last.clone() } else { Outcome::Done { rows: 0 } });
    }

    /// The same of several statements, which are the last operations of the call.
    pub(super) fn end_each(mut self, results: &[Result<u64, ErrorKind>]) {
        self.set(|at, end| {
            let from_end = usize::try_from(end - at).unwrap_or(usize::MAX);
            match results.len().checked_sub(from_end).and_then(|n| results.get(n)) {
                Some(Ok(rows)) => Outcome::Done { rows: *rows },
                Some(Err(kind)) => Outcome::Failed(kind.clone()),
                None => Outcome::Done { rows: 0 },
            }
        });
    }

    fn set(&mut self, outcome: impl Fn(u64, u64) -> Outcome) {
        self.ended = true;
        let mut log = self.instrument.log();
        let taken = log.taken;
        for at in self.first..self.last {
            let place = at.checked_sub(taken).and_then(|at| usize::try_from(at).ok());
            if let Some(operation) = place.and_then(|at| log.operations.get_mut(at)) {
                operation.outcome = outcome(at, self.last);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.set(|_, _| Outcome::Cancelled);
        }
    }
}

impl Layer for Instrument {
    fn wrap(&self, connector: Arc<dyn Connector>) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(InstrumentedConnector { real: connector, instrument: self.clone() }))
    }
}

struct InstrumentedConnector {
    real: Arc<dyn Connector>,
    instrument: Instrument,
}

#[async_trait]
impl Connector for InstrumentedConnector {
    async fn connect(&self, role: Role) -> Result<Box<dyn Connection>> {
        let number = self.instrument.0.connections.fetch_add(1, Ordering::Relaxed);
        let (running, strike, delay) = self.instrument.begin(number, vec![Planned::new(Verb::Connect, "CONNECT")]);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let result = match strike {
            None => self.real.connect(role).await,
            Some(Strike::Instead(_, Fault::Fail(kind))) => Err(Error::new(kind)),
            Some(Strike::Instead(_, Fault::Hang)) => std::future::pending().await,
            Some(_) => Err(Error::connection_lost("an Instrument was told to break it")),
        };
        running.end(result.as_ref().map(|_| 0));
        Ok(Box::new(Instrumented::new(result?, self.instrument.clone(), number)))
    }

    fn split(&self) -> PoolSplit {
        self.real.split()
    }

    fn target(&self) -> String {
        self.real.target()
    }

    fn role_of(&self, sql: &str) -> Role {
        self.real.role_of(sql)
    }

    fn connect_timeout(&self) -> Duration {
        self.real.connect_timeout()
    }

    fn stopped(&self) {
        self.real.stopped();
    }
}
