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
/// Which of two is older, only the database knows in general; [`covers`](Token::covers) tells what can be told without it.
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

    /// Whether a reader that stands here has all that one at `other` has. `false` also where that cannot be told from the
    /// tokens, which is so of two databases.
    ///
    /// ```
    /// # use emr_core::watch::Token;
    /// let (early, late): (Token, Token) = ("emr1:sqlite:6f1c:41.0".parse()?, "emr1:sqlite:6f1c:42.0".parse()?);
    /// assert!(late.covers(&early) && !early.covers(&late));
    /// # Ok::<(), emr_core::Error>(())
    /// ```
    pub fn covers(&self, other: &Token) -> bool {
        if self.identity != other.identity || self.backend != other.backend {
            return false;
        }
        let counted = |token: &Token| token.position.split('.').next().and_then(|number| number.parse::<u64>().ok());
        match (counted(self), counted(other)) {
            (Some(own), Some(other)) => own >= other,
            _ => self.position == other.position || seen_before(&self.position, &other.position) == Some(true),
        }
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

/// Whether the first of two snapshots (`xmin:xmax:running`) sees all transactions that the second one sees. Of a position in
/// the middle of a catch-up (`from/to/last`) it is the end that decides of the second, and the beginning of the first.
fn seen_before(own: &str, other: &str) -> Option<bool> {
    fn read(text: &str) -> Option<(u64, Vec<u64>)> {
        let mut parts = text.split(':').skip(1);
        let xmax = parts.next()?.parse().ok()?;
        let running = parts.next()?.split(',').filter(|xid| !xid.is_empty());
        Some((xmax, running.map(|xid| xid.parse().ok()).collect::<Option<_>>()?))
    }
    let (xmax, running) = read(own.split('/').next()?)?;
    let mut other = other.split('/');
    let (first, end) = (other.next()?, other.next());
    let (seen_to, unseen) = read(end.unwrap_or(first))?;
    Some(seen_to <= xmax && running.iter().all(|xid| *xid >= seen_to || unseen.contains(xid)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_snapshot_covers_those_whose_transactions_it_sees() {
        let token = |position: &str| format!("emr1:postgres:a:{position}").parse::<Token>().unwrap();
        let reader = token("10:20:12,15");
        for (position, covered) in [
            ("10:20:12,15", true),
            ("8:12:8", true),
            ("10:20:12,14,15", true),
            ("10:20:12", false),
            ("10:21:12,15", false),
            ("10:11:/10:21:/4", false),
        ] {
            assert_eq!(reader.covers(&token(position)), covered, "{position}");
        }
        assert!(!reader.covers(&"emr1:postgres:b:8:12:8".parse().unwrap()));
    }

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
