//! The one connection of a test repo, and the transaction on it that is never committed.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use crate::capabilities::Capabilities;
use crate::connection::{Connection, Connector, Control, Role};
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result, TransactionFault};
use crate::options::Timeout;
use crate::pool;
use crate::transaction::TransactionOptions;

/// The longest wait for the rollback at the end; the server does it by itself when the connection is gone.
const GOODBYE: Duration = Duration::from_secs(5);

const NEW: u8 = 0;
const OPEN: u8 = 1;
const LOST: u8 = 2;
const OVER: u8 = 3;

/// What all connections of a test repo share.
pub(super) struct Outer {
    pub(super) connector: Arc<dyn Connector>,
    options: TransactionOptions,
    /// How long a call waits for its turn.
    wait: Duration,
    /// How long the first BEGIN may take.
    limit: Timeout,
    server: OnceLock<Known>,
    status: AtomicU8,
    real: Arc<Mutex<Real>>,
}

/// What is known of the server.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) capabilities: Arc<Capabilities>,
    pub(super) dialect: &'static dyn Dialect,
}

/// The connection itself.
#[derive(Default)]
pub(super) struct Real {
    connection: Option<Box<dyn Connection>>,
    /// What must be sent before the next statement.
    pub(super) owed: Vec<Control>,
}

/// The right to use the connection, until it is dropped.
pub(super) type Turn = OwnedMutexGuard<Real>;

impl Real {
    pub(super) fn connection(&mut self) -> Result<&mut (dyn Connection + 'static)> {
        self.connection.as_deref_mut().ok_or_else(lost)
    }
}

impl Outer {
    pub(super) fn new(
        connector: Arc<dyn Connector>,
        options: TransactionOptions,
        wait: Duration,
        limit: Timeout,
    ) -> Self {
        Outer {
            connector,
            options,
            wait,
            limit,
            server: OnceLock::new(),
            status: AtomicU8::new(NEW),
            real: Arc::default(),
        }
    }

    /// Connects and begins, unless that was done, and says what the server is.
    pub(super) async fn ready(&self) -> Result<Known> {
        self.check()?;
        if let Some(known) = self.server.get() {
            return Ok(known.clone());
        }
        let mut real = self.real.lock().await;
        if let Some(known) = self.server.get() {
            return Ok(known.clone());
        }
        let mut connection = pool::connect(&*self.connector, Role::Write).await?;
        self.options.check(connection.capabilities())?;
        if !connection.capabilities().transactional_ddl {
            let server = connection.capabilities().server.clone();
            return Err(Error::unsupported("test repos, as making a table commits", server));
        }
        let begin = [Control::Begin(self.options.begin.clone())];
        let beginning = connection.control(&begin);
        match self.limit.duration() {
            None => beginning.await?,
            Some(limit) => timeout(limit, beginning).await.map_err(|_| begin_waited(limit))??,
        }
        let known = Known { capabilities: Arc::clone(connection.capabilities()), dialect: connection.dialect() };
        real.connection = Some(connection);
        let _ = self.status.compare_exchange(NEW, OPEN, Ordering::AcqRel, Ordering::Acquire);
        Ok(self.server.get_or_init(|| known).clone())
    }

    /// Waits until nobody else uses the connection.
    ///
    /// Cancellation safety: dropped while it waits, it has changed nothing.
    pub(super) async fn turn(&self) -> Result<Turn> {
        self.check()?;
        let turn = timeout(self.wait, Arc::clone(&self.real).lock_owned()).await;
        let turn = turn.map_err(|_| Error::transaction(TransactionFault::OtherOpen { waited: self.wait }))?;
        self.check()?;
        Ok(turn)
    }

    pub(super) fn is_open(&self) -> bool {
        self.status.load(Ordering::Acquire) == OPEN
    }

    fn check(&self) -> Result<()> {
        match self.status.load(Ordering::Acquire) {
            LOST => Err(lost()),
            OVER => Err(Error::connection_lost("the test repo has ended")),
            _ => Ok(()),
        }
    }

    /// Whoever had the connection is done with it.
    pub(super) fn release(&self, mut turn: Turn) {
        if !self.is_open() {
            turn.connection = None;
        }
    }

    /// Nobody knows what the connection is doing, or it is gone. Everything that the test did is undone.
    pub(super) fn lose(&self, real: &mut Real) {
        let _ = self.status.compare_exchange(OPEN, LOST, Ordering::AcqRel, Ordering::Acquire);
        real.connection = None;
    }

    /// Rolls back, and closes the connection.
    pub(super) async fn end(&self) -> Result<()> {
        self.status.store(OVER, Ordering::Release);
        let rollback = async {
            let Some(mut connection) = self.real.lock().await.connection.take() else { return Ok(()) };
            connection.control(&[Control::Rollback]).await
        };
        // Without an answer the server rolls back when it sees that the connection is gone.
        timeout(GOODBYE, rollback).await.unwrap_or(Ok(()))
    }

    /// Closes the connection; the server rolls back by itself.
    pub(super) fn abandon(&self) {
        self.status.store(OVER, Ordering::Release);
        if let Ok(mut real) = self.real.try_lock() {
            real.connection = None;
        }
        // Else who uses it closes it: see `release`.
    }
}

fn lost() -> Error {
    Error::connection_lost(
        "a statement on the test repo timed out or was dropped, or ended its transaction, or its connection broke: what \
         the test did is rolled back, so start another test repo",
    )
}

fn begin_waited(limit: Duration) -> Error {
    let message = format!(
        "the test repo could not begin within {limit:?}: on an engine with one writer at a time, test repos on one \
         database wait for each other, so give each test a database of its own"
    );
    Error::new(ErrorKind::LockNotAvailable { message })
}
