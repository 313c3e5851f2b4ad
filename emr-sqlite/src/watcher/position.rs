//! Positions in a log, and how tokens write them.

use std::sync::Arc;

use emr_core::Error;
use emr_core::watch::{Token, WatchFault};

use emr_core::Result;

/// The position of a change, and the time that is written beside it: another file that reached the same position did so at another
/// time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Position {
    pub(super) pos: i64,
    pub(super) at: f64,
}

impl Position {
    /// Before the first change.
    pub(super) const START: Position = Position { pos: 0, at: 0.0 };

    pub(super) fn token(self, identity: &Arc<str>) -> Token {
        Token::new(super::log::BACKEND, Arc::clone(identity), format!("{}.{:x}", self.pos, self.at.to_bits()))
    }

    /// The position of a token of this backend.
    pub(super) fn of(token: &Token) -> Result<Self> {
        let read = || {
            let (pos, at) = token.position().split_once('.')?;
            let (pos, at) = (pos.parse().ok()?, f64::from_bits(u64::from_str_radix(at, 16).ok()?));
            (pos >= 0).then_some(Position { pos, at })
        };
        read().ok_or_else(|| Error::watch(WatchFault::BadToken { token: token.to_string().chars().take(80).collect() }))
    }

    pub(super) fn is(self, other: Position) -> bool {
        self.pos == other.pos && self.at.to_bits() == other.at.to_bits()
    }
}
