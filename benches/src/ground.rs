//! The database of one run: made, filled, emptied between turns, looked at, dropped.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use emr::RepoOptions;

use crate::cases::Case;
use crate::contender::{Contender, Person, Result, Sum, User};

/// How many users there are.
pub(crate) const USERS: i64 = 10_000;

#[async_trait(?Send)]
pub(crate) trait Ground {
    /// The server's version and settings.
    async fn describe(&self) -> Result<String>;

    /// The settings of an EMR repo on the database.
    fn options(&self) -> RepoOptions;

    /// The contenders of a case by name, the yardstick first, and the yardstick once more as `control`.
    async fn contenders(&self, case: Case) -> Result<Vec<(&'static str, Arc<dyn Contender>)>>;

    /// Leaves these people in their table, and no others.
    async fn reset(&mut self, people: &[Person]) -> Result<()>;

    /// Count and checksum of the people.
    async fn people(&self) -> Result<Sum>;

    /// Moves the server's side of all open connections to its core, and says where that is.
    async fn pin(&self) -> Result<&'static str>;

    /// Drops the database.
    async fn remove(self: Box<Self>) -> Result<()>;
}

pub(crate) fn user(id: i64) -> User {
    let Person { id, name, hair_color } = person(id);
    User { id, name, hair_color }
}

pub(crate) fn person(id: i64) -> Person {
    Person { id, name: format!("User {id}"), hair_color: (id % 3 != 0).then(|| "hair_color".to_owned()) }
}
