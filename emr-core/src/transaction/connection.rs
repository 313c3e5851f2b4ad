//! The connection of a transaction, and what waits to be sent on it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{LOST, OPEN, TxCore};
use crate::checkout::CheckoutCore;
use crate::connection::{Begin, Connection, Control, CursorId};
use crate::error::{Error, ErrorKind, Result, TransactionFault};
use crate::lifecycle::Activity;
use crate::pool::Pooled;

/// The connection of a transaction and what must be sent before the next statement.
pub(crate) struct TxConnection {
    pub(super) home: Option<Home>,
    pub(super) pending: Vec<Control>,
    pub(super) orphans: Vec<CursorId>,
    /// A statement failed and the server refuses everything until a rollback.
    pub(super) aborted: bool,
    pub(super) activity: Option<Activity>,
}

/// Where the connection goes when the transaction ends.
pub(super) enum Home {
    Pool(Pooled),
    Checkout(Pooled, Arc<CheckoutCore>),
}

impl TxConnection {
    /// The connection, and the controls to send before the next statement.
    pub(crate) fn parts(&mut self) -> Result<(&mut (dyn Connection + 'static), Vec<Control>)> {
        let pending = std::mem::take(&mut self.pending);
        let begins = matches!(pending.first(), Some(Control::Begin(_)));
        let connection = self.pooled()?.connection()?;
        if !begins && !connection.in_transaction() {
            // The server has ended the transaction by itself, or never began it. What comes now would run on
            // its own.
            return Err(Error::transaction(TransactionFault::Lost));
        }
        Ok((connection, pending))
    }

    /// Puts controls back that were not carried out.
    pub(crate) fn postpone(&mut self, controls: Vec<Control>) {
        self.pending = controls;
    }

    pub(super) fn pooled(&mut self) -> Result<&mut Pooled> {
        match &mut self.home {
            Some(Home::Pool(pooled) | Home::Checkout(pooled, _)) => Ok(pooled),
            None => Err(Error::transaction(TransactionFault::Lost)),
        }
    }

    /// Closes the cursors of dropped streams.
    pub(crate) async fn close_orphans(&mut self) -> Result<()> {
        while let Some(cursor) = self.orphans.pop() {
            self.pooled()?.connection()?.close_cursor(cursor).await?;
        }
        Ok(())
    }

    /// Looks, after a statement that went well, whether the server still has the transaction. In a transaction that
    /// [begins anew](TxCore::begins_anew) what comes next belongs to another one.
    pub(crate) fn still_open(&mut self, core: &TxCore) -> Result<()> {
        let waits = matches!(self.pending.first(), Some(Control::Begin(_)));
        if core.status.load(Ordering::Acquire) != OPEN || waits {
            return Ok(());
        }
        let connection = self.pooled()?.connection()?;
        if connection.in_transaction() || connection.is_closed() {
            return Ok(());
        }
        if core.begins_anew {
            self.pending = vec![Control::Begin(Begin::default())];
            return Ok(());
        }
        self.lose(core);
        Err(Error::transaction(TransactionFault::Ended))
    }

    /// A statement came back.
    pub(crate) fn after(&mut self, core: &TxCore, error: Option<&Error>) {
        if error.is_some_and(Error::is_retryable) {
            core.gave_way.store(true, Ordering::Release);
        }
        if core.status.load(Ordering::Acquire) != OPEN {
            // It ended while the statement ran: by its time, by the repo's stop, by its outer one.
            return self.give_back();
        }
        let Some(error) = error else { return };
        match self.pooled().and_then(Pooled::connection) {
            Ok(connection) if connection.is_closed() => self.lose(core),
            Ok(connection) => {
                let from_server = !matches!(
                    error.kind(),
                    ErrorKind::InvalidCall { .. }
                        | ErrorKind::Encode { .. }
                        | ErrorKind::Decode { .. }
                        | ErrorKind::MultipleResults { .. }
                        | ErrorKind::Unsupported { .. }
                        | ErrorKind::ReadOnly
                        | ErrorKind::Refused { .. }
                );
                self.aborted |= from_server && connection.capabilities().error_aborts_transaction;
            }
            Err(_) => {}
        }
    }

    /// Gives up a connection in an unknown state; it is recovered or closed in the background.
    pub(crate) fn lose(&mut self, core: &TxCore) {
        let _ = core.status.compare_exchange(OPEN, LOST, Ordering::AcqRel, Ordering::Acquire);
        self.give_back();
    }

    /// Ends the transaction's hold on the connection. One that is not clean is rolled back on its way.
    pub(super) fn give_back(&mut self) {
        self.pending.clear();
        match self.home.take() {
            Some(Home::Checkout(pooled, checkout)) if pooled.is_clean() => checkout.put(pooled),
            Some(Home::Checkout(pooled, checkout)) => {
                drop(pooled);
                checkout.lose();
            }
            Some(Home::Pool(pooled)) => drop(pooled),
            None => {}
        }
        drop(self.activity.take());
    }

    /// What ends the outermost transaction: nothing, if nothing was sent.
    pub(super) fn end_controls(&mut self, end: Control) -> Vec<Control> {
        let mut controls = std::mem::take(&mut self.pending);
        if matches!(controls.first(), Some(Control::Begin(_))) {
            return Vec::new();
        }
        if end == Control::Rollback {
            controls.clear();
        }
        controls.push(end);
        controls
    }

    /// Undoes a level, before the next statement.
    pub(super) fn undo(&mut self, depth: u32) {
        self.aborted = false;
        if let Some(at) = self.pending.iter().position(|control| *control == Control::Savepoint(depth)) {
            self.pending.truncate(at);
        } else {
            self.pending.push(Control::RollbackTo(depth));
        }
    }

    /// Keeps what a level did, before the next statement.
    pub(super) fn keep(&mut self, depth: u32) {
        if let Some(at) = self.pending.iter().position(|control| *control == Control::Savepoint(depth)) {
            self.pending.truncate(at);
        } else {
            self.pending.push(Control::Release(depth));
        }
    }

    pub(super) async fn control(&mut self, core: &TxCore, controls: &[Control]) -> Result<()> {
        if controls.is_empty() {
            return Ok(());
        }
        if !matches!(controls.first(), Some(Control::Begin(_))) && !self.pooled()?.connection()?.in_transaction() {
            return Err(Error::transaction(TransactionFault::Lost).with_repo(core.repo.id()));
        }
        // If this future is dropped, the Tx that it came from is dropped with it and gives the connection up.
        let result = async {
            self.close_orphans().await?;
            self.pooled()?.connection()?.control(controls).await
        }
        .await;
        self.after(core, result.as_ref().err());
        result.map_err(|error| error.with_repo(core.repo.id()))
    }
}
