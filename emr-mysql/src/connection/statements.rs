//! The prepared statements that a connection keeps.

use std::collections::HashMap;

use mysql_async::Statement;

/// How many are kept.
const MOST: usize = 256;

/// Prepared statements by the keys of their texts, each with when it was last used.
#[derive(Default)]
pub(super) struct Statements {
    kept: HashMap<u128, (u64, Statement)>,
    clock: u64,
}

impl Statements {
    pub(super) fn get(&mut self, key: u128) -> Option<Statement> {
        self.clock += 1;
        let (used, statement) = self.kept.get_mut(&key)?;
        *used = self.clock;
        Some(statement.clone())
    }

    /// Keeps a statement, and gives back the one that was not used for longest if there are too many.
    pub(super) fn keep(&mut self, key: u128, statement: Statement) -> Option<Statement> {
        let oldest = if self.kept.len() < MOST {
            None
        } else {
            self.kept.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key)
        };
        let forgotten = oldest.and_then(|oldest| self.kept.remove(&oldest));
        self.kept.insert(key, (self.clock, statement));
        forgotten.map(|(_, statement)| statement)
    }
}
