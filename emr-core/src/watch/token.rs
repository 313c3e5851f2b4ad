//! Where a reader stands.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::fault::WatchFault;
use crate::error::Error;

/// Where a reader of changes stands: all changes before it were delivered, none after it.
///
/// It is bound to the database that it comes from: in another one, also in one restored from an older backup, a watcher
/// answers it with a [`Resync`](super::Item::Resync). Keep it as text:
///
/// ```
/// use emr_core::watch::Token;
/// let token: Token = "emr1:sqlite:6f1c:42".parse()?;
/// assert_eq!(token.to_string(), "emr1:sqlite:6f1c:42");
/// assert!("yesterday".parse::<Token>().is_err());
/// # Ok::<(), emr_core::Error>(())
/// ```
///
/// Tokens can be compared for equality only: which of two is older is known to the database alone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token {
    backend: &'static str,
    identity: Arc<str>,
    position: Arc<str>,
}

/// The backends whose tokens can be read.
const BACKENDS: [&str; 5] = ["sqlite", "postgres", "mysql", "mariadb", "mssql"];
const VERSION: &str = "emr1";

impl Token {
    /// A token of a backend. `identity` names one log of one database and holds no colon; `position` is the backend's own.
    pub fn new(backend: &'static str, identity: Arc<str>, position: impl Into<Arc<str>>) -> Self {
        Token { backend, identity, position: position.into() }
    }

    /// The name of the backend.
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// Which log of which database it belongs to.
    pub fn identity(&self) -> &Arc<str> {
        &self.identity
    }

    /// The position in that log, as the backend writes it.
    pub fn position(&self) -> &str {
        &self.position
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}:{}:{}:{}", self.backend, self.identity, self.position)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}

impl FromStr for Token {
    type Err = Error;

    /// # Errors
    /// [`WatchFault::BadToken`] if the text is none that a token was written as.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::watch(WatchFault::BadToken { token: text.chars().take(80).collect() });
        let mut parts = text.splitn(4, ':');
        let (Some(VERSION), Some(backend), Some(identity), Some(position)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        let backend = BACKENDS.into_iter().find(|known| *known == backend).ok_or_else(bad)?;
        if identity.is_empty() || position.is_empty() {
            return Err(bad());
        }
        Ok(Token { backend, identity: identity.into(), position: position.into() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_token_or_an_error(text in "(emr1:)?(sqlite|mysql|x)?:?[a-z0-9:]{0,9}:?\\PC{0,12}|\\PC{0,200}") {
            match text.parse::<Token>() {
                Ok(token) => prop_assert_eq!(token.to_string(), text),
                Err(error) => prop_assert!(error.to_string().chars().count() < 400),
            }
        }
    }
}
