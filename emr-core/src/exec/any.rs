//! Any repo as one type.

use tokio::time::Instant;

use super::{CallOptions, Executor, Inner, Lease};
use crate::checkout::Checkout;
use crate::connection::Role;
use crate::error::Result;
use crate::handle::RepoHandle;
use crate::intercept::Interceptors;
use crate::transaction::{TransactionOptions, Tx};

/// A handle, a transaction or a checkout as one type, where a type must be named: in a struct, behind a `dyn` trait of the
/// program's own, and for large generic code, which is then compiled once and not once for each of them.
///
/// ```
/// use emr_core::{AnyRepo, Repo, RepoHandle, Result};
///
/// struct Service<'a> {
///     repo: AnyRepo<'a>,
/// }
///
/// # async fn f(handle: RepoHandle) -> Result<()> {
/// let service = Service { repo: AnyRepo::from(&handle) };
/// service.repo.query("select 1", &[]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub enum AnyRepo<'a> {
    /// A running repo.
    Handle(&'a RepoHandle),
    /// A transaction.
    Tx(&'a Tx),
    /// A connection that is held for several calls.
    Checkout(&'a Checkout),
}

impl<'a> From<&'a RepoHandle> for AnyRepo<'a> {
    fn from(handle: &'a RepoHandle) -> Self {
        AnyRepo::Handle(handle)
    }
}

impl<'a> From<&'a Tx> for AnyRepo<'a> {
    fn from(tx: &'a Tx) -> Self {
        AnyRepo::Tx(tx)
    }
}

impl<'a> From<&'a Checkout> for AnyRepo<'a> {
    fn from(checkout: &'a Checkout) -> Self {
        AnyRepo::Checkout(checkout)
    }
}

/// The same call on whichever it is.
macro_rules! each {
    ($any:expr, $repo:ident => $call:expr) => {
        match $any {
            AnyRepo::Handle($repo) => $call,
            AnyRepo::Tx($repo) => $call,
            AnyRepo::Checkout($repo) => $call,
        }
    };
}

impl Executor for AnyRepo<'_> {
    fn as_any_repo(&self) -> AnyRepo<'_> {
        *self
    }

    fn inner(&self) -> Inner<'_> {
        each!(self, repo => repo.inner())
    }

    fn call_options(&self) -> CallOptions {
        each!(self, repo => repo.call_options())
    }

    fn interceptors(&self) -> &Interceptors {
        each!(self, repo => repo.interceptors())
    }

    async fn lease(&self, role: Role) -> Result<Lease<'_>> {
        each!(self, repo => repo.lease(role).await)
    }

    async fn start(&self, options: TransactionOptions) -> Result<Tx> {
        each!(self, repo => repo.start(options).await)
    }

    fn is_transaction(&self) -> bool {
        each!(self, repo => repo.is_transaction())
    }

    fn is_pinned(&self) -> bool {
        each!(self, repo => repo.is_pinned())
    }

    fn transaction_deadline(&self) -> Option<Instant> {
        each!(self, repo => repo.transaction_deadline())
    }

    fn as_tx(&self) -> Option<&Tx> {
        each!(self, repo => repo.as_tx())
    }

    fn as_checkout(&self) -> Option<&Checkout> {
        each!(self, repo => repo.as_checkout())
    }
}
