//! A connection held for several calls.

use std::fmt;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};

use tokio::sync::{Mutex, MutexGuard};

use crate::error::{Error, Result, TransactionFault};
use crate::exec::CallOptions;
use crate::handle::RepoInner;
use crate::lifecycle::Activity;
use crate::pool::Pooled;

/// One connection, held for several calls. It is a [`Repo`](crate::Repo). Dropping it gives the
/// connection back.
pub struct Checkout {
    pub(crate) core: Arc<CheckoutCore>,
    pub(crate) options: CallOptions,
}

/// The held connection. A transaction of the checkout takes it out and puts it back.
pub(crate) struct CheckoutCore {
    pub(crate) repo: Arc<RepoInner>,
    connection: Mutex<Held>,
    /// What a transaction gave back, until the next call takes it up. A lock of its own, because giving back
    /// must neither wait nor fail.
    returned: SyncMutex<Option<Held>>,
    _activity: Activity,
}

pub(crate) enum Held {
    Here(Pooled),
    InTransaction,
    Lost,
}

impl Checkout {
    pub(crate) fn new(repo: Arc<RepoInner>, connection: Pooled, activity: Activity, options: CallOptions) -> Self {
        let core = CheckoutCore {
            repo,
            connection: Mutex::new(Held::Here(connection)),
            returned: SyncMutex::new(None),
            _activity: activity,
        };
        Checkout { core: Arc::new(core), options }
    }
}

impl CheckoutCore {
    pub(crate) async fn lock(&self) -> Result<MutexGuard<'_, Held>> {
        let mut held = self.connection.lock().await;
        if self.repo.lifecycle.is_cut() {
            return Err(self.repo.lifecycle.stopped_error());
        }
        if let Some(returned) = self.returned.lock().unwrap_or_else(PoisonError::into_inner).take() {
            *held = returned;
        }
        if matches!(&*held, Held::Here(pooled) if !pooled.is_clean()) {
            // A call on it was abandoned. The pool recovers or closes it.
            *held = Held::Lost;
        }
        match &*held {
            Held::Here(_) => Ok(held),
            Held::InTransaction => Err(Error::transaction(TransactionFault::InnerOpen).with_repo(self.repo.id())),
            Held::Lost => Err(Error::connection_lost(
                "a statement on this checkout timed out or was dropped; check out another connection",
            )
            .with_repo(self.repo.id())),
        }
    }

    /// Takes the connection for a transaction.
    pub(crate) async fn take(&self) -> Result<Pooled> {
        let mut held = self.lock().await?;
        match std::mem::replace(&mut *held, Held::InTransaction) {
            Held::Here(pooled) => Ok(pooled),
            other => {
                *held = other;
                Err(Error::transaction(TransactionFault::InnerOpen))
            }
        }
    }

    /// A transaction has ended.
    pub(crate) fn put(&self, pooled: Pooled) {
        self.give_back(Held::Here(pooled));
    }

    /// A transaction ended with the connection in an unknown state.
    pub(crate) fn lose(&self) {
        self.give_back(Held::Lost);
    }

    fn give_back(&self, held: Held) {
        *self.returned.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }
}

impl Held {
    pub(crate) fn pooled(&mut self) -> Result<&mut Pooled> {
        match self {
            Held::Here(pooled) => Ok(pooled),
            Held::InTransaction => Err(Error::transaction(TransactionFault::InnerOpen)),
            Held::Lost => Err(Error::connection_lost("the checkout lost its connection")),
        }
    }
}

impl fmt::Debug for Checkout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkout").field("repo", self.core.repo.id()).finish_non_exhaustive()
    }
}
