//! Several options one after the other.

use std::sync::Arc;

use super::With;
use crate::intercept::{Interceptor, Interceptors};
use crate::options::Timeout;

/// The same as the methods of [`Repo`](crate::Repo), of the repo below: so that what comes of several, one after the other,
/// can be kept.
///
/// ```
/// # use std::time::Duration;
/// # use emr_core::{Repo, RepoHandle};
/// # fn f(repo: RepoHandle) {
/// let reports = repo.with_prefix("archive").with_timeout(Duration::from_secs(60)).read_only();
/// # drop(reports);
/// # }
/// ```
impl<'a, R> With<'a, R> {
    /// See [`Repo::with_timeout`](crate::Repo::with_timeout).
    pub fn with_timeout(&self, timeout: impl Into<Timeout>) -> With<'a, R> {
        let mut with = self.clone();
        with.options.timeout = timeout.into();
        with
    }

    /// See [`Repo::with_prefix`](crate::Repo::with_prefix).
    pub fn with_prefix(&self, prefix: impl Into<Arc<str>>) -> With<'a, R> {
        let mut with = self.clone();
        with.options.prefix = Some(prefix.into());
        with
    }

    /// See [`Repo::with_interceptor`](crate::Repo::with_interceptor).
    pub fn with_interceptor(&self, interceptor: impl Interceptor) -> With<'a, R> {
        let mut with = self.clone();
        with.options.interceptors = with.options.interceptors.with(interceptor);
        with
    }

    /// See [`Repo::without_interceptors`](crate::Repo::without_interceptors).
    pub fn without_interceptors(&self) -> With<'a, R> {
        let mut with = self.clone();
        with.options.interceptors = Interceptors::NONE;
        with
    }

    /// See [`Repo::without_interceptor`](crate::Repo::without_interceptor).
    pub fn without_interceptor<I: Interceptor>(&self) -> With<'a, R> {
        let mut with = self.clone();
        with.options.interceptors = with.options.interceptors.without::<I>();
        with
    }

    /// See [`Repo::with_origin`](crate::Repo::with_origin).
    pub fn with_origin(&self, origin: impl Into<Arc<str>>) -> With<'a, R> {
        let mut with = self.clone();
        with.options.origin = Some(origin.into());
        with
    }

    /// See [`Repo::read_only`](crate::Repo::read_only).
    pub fn read_only(&self) -> With<'a, R> {
        let mut with = self.clone();
        with.options.read_only = true;
        with
    }
}
