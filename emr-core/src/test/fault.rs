//! What an instrument lets go wrong, and when.

use std::time::Duration;

use super::operation::{Planned, Verb};
use crate::error::ErrorKind;

/// What happens in the place of an operation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection breaks before the server has the operation. The program is told that it broke, and cannot know
    /// more.
    ConnectionLost,
    /// The same, noticed in time: the program may be told that nothing was done, as of a connection that broke while it
    /// lay idle. A call on a connection that was used before is then sent again on another one.
    ConnectionStale,
    /// The server does what it was asked to, and the connection breaks before it answers.
    AnswerLost,
    /// The server refuses the operation with this error. A commit that fails has rolled back.
    Fail(ErrorKind),
    /// The operation waits for so long, and then runs.
    Delay(Duration),
    /// The server does not answer, until the call is cancelled. Its connection is closed then.
    Hang,
}

/// Which operations are meant.
///
/// ```
/// use emr_core::test::{Verb, When};
///
/// let second_insert = When::statement("insert into").nth(2);
/// let every_commit = When::verb(Verb::Commit).always();
/// # let _ = (second_insert, every_commit);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it means operations, and does nothing to them"]
pub struct When {
    verb: Option<Verb>,
    part: Option<String>,
    first: u64,
    times: u64,
}

impl When {
    /// The first operation, whatever it is.
    pub fn any() -> Self {
        When { verb: None, part: None, first: 1, times: 1 }
    }

    /// The first operation of this sort.
    pub fn verb(verb: Verb) -> Self {
        When { verb: Some(verb), ..When::any() }
    }

    /// The first operation with SQL that has this text in it, in whatever case.
    pub fn statement(part: impl Into<String>) -> Self {
        When { part: Some(part.into().to_lowercase()), ..When::any() }
    }

    /// The n-th of them instead of the first one, counted from 1 since the fault was set.
    pub fn nth(mut self, n: u64) -> Self {
        self.first = n.max(1);
        self
    }

    /// So many of them, one after the other.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// All from the first one on.
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// Whether it is one of those that are counted.
    pub(super) fn matches(&self, verb: Verb, text: &str) -> bool {
        self.verb.is_none_or(|wanted| wanted == verb)
            && self.part.as_ref().is_none_or(|part| verb.is_statement() && text.to_lowercase().contains(part))
    }
}

/// A fault, and how many of its operations have come by.
pub(super) struct Rule {
    pub(super) when: When,
    pub(super) fault: Fault,
    pub(super) seen: u64,
}

impl Rule {
    /// Counts an operation, and says whether it is to go wrong.
    pub(super) fn strikes(&mut self, operation: &Planned) -> bool {
        if !self.when.matches(operation.verb, &operation.text) {
            return false;
        }
        self.seen += 1;
        self.seen >= self.when.first && self.seen - self.when.first < self.when.times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(when: When, statements: &[&str]) -> Vec<bool> {
        let mut rule = Rule { when, fault: Fault::Hang, seen: 0 };
        statements.iter().map(|text| rule.strikes(&Planned::new(Verb::Statement, *text))).collect()
    }

    #[test]
    fn the_chosen_operations_are_struck_and_no_others() {
        let statements = ["INSERT a", "SELECT", "insert b", "INSERT c", "INSERT d"];
        assert_eq!(struck(When::statement("insert"), &statements), [true, false, false, false, false]);
        assert_eq!(struck(When::statement("Insert").nth(2), &statements), [false, false, true, false, false]);
        assert_eq!(struck(When::statement("insert").nth(2).times(2), &statements), [false, false, true, true, false]);
        assert_eq!(struck(When::any().nth(4).always(), &statements), [false, false, false, true, true]);
        assert_eq!(struck(When::verb(Verb::Commit).always(), &statements), [false; 5]);
        assert_eq!(struck(When::any().nth(0), &statements), [true, false, false, false, false]);
    }

    #[test]
    fn what_carries_no_sql_is_no_statement() {
        let mut rule = Rule { when: When::statement("commit").always(), fault: Fault::Hang, seen: 0 };
        assert!(!rule.strikes(&Planned::new(Verb::Commit, "COMMIT")));
    }
}
