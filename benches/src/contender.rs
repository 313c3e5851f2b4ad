//! What every contender must be able to do, and the rows that it does it with.

use async_trait::async_trait;
use emr::prelude::Syncable;

pub(crate) type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// The connections that each contender may hold.
pub(crate) const POOL: u32 = 4;

/// A row to read. There are [`USERS`](crate::ground::USERS) of them, and they never change.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "users")]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) hair_color: Option<String>,
}

/// A row to write.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "people")]
pub(crate) struct Person {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) hair_color: Option<String>,
}

/// One library, with its own connections to the database of the run.
///
/// The methods that take a list are called with a whole round's work, so that what is measured is the
/// library and not the call through this trait.
#[async_trait]
pub(crate) trait Contender: Send + Sync {
    /// The users with these keys, one call each.
    async fn get_by_pk(&self, ids: Vec<i64>) -> Result<Vec<User>>;

    /// All users, in one call.
    async fn load(&self) -> Result<Vec<User>>;

    /// Inserts these people, one call each. Their ids are not used: the database's are returned.
    async fn insert_one(&self, people: Vec<Person>) -> Result<Vec<i64>>;

    /// Inserts each list of people, ids included, in one call. Returns how many rows were written.
    async fn insert_many(&self, lists: Vec<Vec<Person>>) -> Result<u64>;

    /// Gives each person a new name, in a transaction each. Returns how many rows were written.
    async fn tx_update(&self, renames: Vec<(Person, String)>) -> Result<u64>;
}

/// Count and checksum of rows, whatever their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    rows: u64,
    hash: u64,
}

impl Sum {
    pub(crate) fn add(&mut self, id: i64, name: &str, hair_color: Option<&str>) {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let color = hair_color.map_or(&b"\xff"[..], str::as_bytes);
        for byte in id.to_le_bytes().iter().chain(name.as_bytes()).chain(b"\0").chain(color) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.rows += 1;
        self.hash = self.hash.wrapping_add(hash);
    }
}

impl<'u> FromIterator<&'u User> for Sum {
    fn from_iter<I: IntoIterator<Item = &'u User>>(users: I) -> Self {
        let mut sum = Sum::default();
        users.into_iter().for_each(|user| sum.add(user.id, &user.name, user.hair_color.as_deref()));
        sum
    }
}

impl<'p> FromIterator<&'p Person> for Sum {
    fn from_iter<I: IntoIterator<Item = &'p Person>>(people: I) -> Self {
        let mut sum = Sum::default();
        people.into_iter().for_each(|person| sum.add(person.id, &person.name, person.hair_color.as_deref()));
        sum
    }
}
