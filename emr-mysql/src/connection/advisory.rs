//! Advisory locks of a transaction.
//!
//! The server's named locks belong to the session and to no database: they are given back when the transaction ends, and
//! their names begin with the database's.

use emr_core::{AdvisoryLock, Control, Error, ErrorKind, Result, Row, RowSink, Sql};
use sha1::{Digest, Sha1};

use super::session::Session;

/// In seconds: as long as anybody waits. What ends it earlier is the call's own timeout.
const FOREVER: u32 = 31_536_000;

/// Takes the answer: 1 for a lock that was taken, 0 for one that is not free.
struct Answer(Option<i64>);

impl RowSink for Answer {
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        self.0 = row.i64(0).ok().flatten();
        Ok(())
    }
}

impl Session {
    pub(super) async fn advisory_lock(&mut self, controls: &[Control], lock: &AdvisoryLock) -> Result<bool> {
        if lock.shared {
            return Err(Error::unsupported("shared advisory locks", &*self.capabilities.server));
        }
        let name = name_of(&self.database, &lock.name);
        self.control(controls).await?;
        let wait = if lock.wait { FOREVER } else { 0 };
        let mut answer = Answer(None);
        let sql = Sql::once(format!("SELECT GET_LOCK('{name}', {wait})"));
        self.statement(&sql, &[], &mut answer).await?;
        match answer.0 {
            Some(1) => {
                self.locks.push(name);
                Ok(true)
            }
            Some(_) if !lock.wait => Ok(false),
            _ => Err(Error::new(ErrorKind::LockNotAvailable {
                message: "the server did not give the advisory lock".to_owned(),
            })),
        }
    }

    /// Gives back the locks of a transaction that the server has ended by itself.
    pub(super) async fn release_locks(&mut self) -> Result<()> {
        let released: Vec<_> = self.locks.iter().map(|lock| format!("DO RELEASE_LOCK('{lock}')")).collect();
        self.locks.clear();
        if released.is_empty() { Ok(()) } else { self.script(&released.join("; ")).await }
    }
}

/// The name as the server knows it, of 44 letters and digits: it takes 64, and no other case of the same letters.
fn name_of(database: &str, lock: &str) -> String {
    use std::fmt::Write;

    let mut hash = Sha1::new();
    hash.update(database.as_bytes());
    hash.update([0]);
    hash.update(lock.as_bytes());
    let mut name = String::from("emr_");
    for byte in hash.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn names_tell_databases_and_cases_apart() {
        let name = name_of("acme", "invoices");
        assert_eq!(name.len(), 44);
        assert_ne!(name, name_of("acme", "Invoices"));
        assert_ne!(name, name_of("other", "invoices"));
        assert_eq!(name, name_of("acme", "invoices"));
    }
}
