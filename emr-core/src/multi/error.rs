//! Why a `Multi` failed.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use super::MultiResults;
use crate::error::Error;

/// Why the steps of a [`Multi`](crate::Multi) failed: in which one, and what was done before. All of that is rolled back.
///
/// It becomes an [`Error`] by `?`: that of the step, without its name.
pub struct MultiError(Box<Inner>);

struct Inner {
    step: Option<Cow<'static, str>>,
    error: Error,
    done: MultiResults,
}

impl MultiError {
    pub(super) fn new(step: Option<Cow<'static, str>>, error: Error, done: MultiResults) -> Self {
        MultiError(Box::new(Inner { step, error, done }))
    }

    /// The name of the step that failed; `None` if that was no step, but the begin or the commit of the transaction.
    pub fn step(&self) -> Option<&str> {
        self.0.step.as_deref()
    }

    /// Why it failed.
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// The same, moved out.
    pub fn into_error(self) -> Error {
        self.0.error
    }

    /// What the steps before it gave. No database holds it any more. Empty if nothing was sent.
    pub fn done(&self) -> &MultiResults {
        &self.0.done
    }
}

impl From<MultiError> for Error {
    fn from(failed: MultiError) -> Error {
        failed.into_error()
    }
}

impl fmt::Debug for MultiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { step, error, done } = &*self.0;
        f.debug_struct("MultiError").field("step", step).field("error", error).field("done", done).finish()
    }
}

impl fmt::Display for MultiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.step {
            Some(step) => write!(f, "the step {step:?} failed")?,
            None => f.write_str("the transaction around the steps failed")?,
        }
        let mut names = self.0.done.names().peekable();
        if names.peek().is_some() {
            let names: Vec<_> = names.collect();
            write!(f, " and {} before it was rolled back", names.join(", "))?;
        }
        write!(f, ": {}", self.0.error)
    }
}

impl StdError for MultiError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0.error)
    }
}
