//! What only MySQL and MariaDB have, and what the cases of Ecto's adapter for them show.

mod plans;
mod statements;
mod types;

pub(crate) fn cases() -> Vec<crate::harness::Case> {
    [plans::cases(), statements::cases(), types::cases()].into_iter().flatten().collect()
}

use crate::harness::{Db, not_here};

/// Whether the case is about another engine.
fn is_elsewhere(db: &Db) -> bool {
    if !db.backend.is_mysql_family() {
        not_here("a case of MySQL and MariaDB");
    }
    !db.backend.is_mysql_family()
}
