//! What every contender must be able to do, and the rows that it does it with.

use async_trait::async_trait;
use emr::prelude::{HasMany, Syncable};

use crate::sum::{Sum, Tally};

pub(crate) type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// The connections that each contender may hold.
pub(crate) const POOL: u32 = 4;
/// The rows that `filter_join` asks for.
pub(crate) const FOUND: usize = 100;
/// The colour that it asks for.
pub(crate) const COLOR: &str = "hair_color";
/// The rows that a stream fetches at a time.
pub(crate) const BATCH: usize = 500;

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

/// A user with posts. The first [`AUTHORS`](crate::ground::AUTHORS) users have some.
#[derive(Syncable, Debug, PartialEq)]
#[emr(table = "users")]
pub(crate) struct Author {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) hair_color: Option<String>,
    #[emr(has_many(key = "user_id"))]
    pub(crate) posts: HasMany<Post>,
}

#[derive(Syncable, Debug, PartialEq)]
#[emr(table = "posts")]
pub(crate) struct Post {
    pub(crate) id: i64,
    pub(crate) user_id: i64,
    pub(crate) title: String,
    /// No two posts have as many.
    pub(crate) visits: i64,
    #[emr(has_many)]
    pub(crate) comments: HasMany<Comment>,
}

#[derive(Syncable, Debug, PartialEq)]
#[emr(table = "comments")]
pub(crate) struct Comment {
    pub(crate) id: i64,
    pub(crate) post_id: i64,
    pub(crate) body: String,
}

/// A row of a long table. There are [`ENTRIES`](crate::ground::ENTRIES) of them.
#[derive(Syncable, Debug)]
#[emr(table = "entries")]
pub(crate) struct Entry {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) hair_color: Option<String>,
}

/// A row that is written with its branches, and these with their leaves.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "roots")]
pub(crate) struct Root {
    pub(crate) id: i64,
    pub(crate) name: String,
    #[emr(has_many)]
    pub(crate) branches: HasMany<Branch>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "branches")]
pub(crate) struct Branch {
    pub(crate) id: i64,
    pub(crate) root_id: i64,
    pub(crate) name: String,
    #[emr(has_many)]
    pub(crate) leaves: HasMany<Leaf>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "leaves")]
pub(crate) struct Leaf {
    pub(crate) id: i64,
    pub(crate) branch_id: i64,
    pub(crate) name: String,
}

/// The names of a root, of its branches, and of the leaves of each.
#[derive(Clone)]
pub(crate) struct Tree {
    pub(crate) name: String,
    pub(crate) branches: Vec<(String, Vec<String>)>,
}

/// A post with the name of its author: id, title, name.
pub(crate) type Found = (i64, String, String);

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

    /// One call each: the [`FOUND`] most visited posts below so many visits whose authors have hair of this
    /// [`COLOR`].
    async fn filter_join(&self, below: Vec<i64>) -> Result<Vec<Vec<Found>>>;

    /// All authors with their posts and the comments on these, in one call per level.
    async fn preload(&self) -> Result<Vec<Author>>;

    /// Adds up all entries, of which no more than a batch is held at a time.
    async fn stream(&self, tally: Tally) -> Result<Tally>;

    /// Inserts these people, one call each. Their ids are not used: the database's are returned.
    async fn insert_one(&self, people: Vec<Person>) -> Result<Vec<i64>>;

    /// Inserts each list of people, ids included, in one call. Returns how many rows were written.
    async fn insert_many(&self, lists: Vec<Vec<Person>>) -> Result<u64>;

    /// Inserts each tree in a transaction, and returns it with the keys that the database gave.
    async fn insert_graph(&self, trees: Vec<Tree>) -> Result<Vec<Root>>;

    /// Inserts each list of people in one call, or gives those who are there already their new name and colour. Returns how
    /// many rows were written.
    async fn upsert_many(&self, lists: Vec<Vec<Person>>) -> Result<u64>;

    /// Gives each person a new name, one call each that sends nothing but the name. Returns how many rows were written.
    async fn update_changes(&self, renames: Vec<(Person, String)>) -> Result<u64>;

    /// Gives each person a new name, in a transaction each. Returns how many rows were written.
    async fn tx_update(&self, renames: Vec<(Person, String)>) -> Result<u64>;
}

/// Every row of these trees with its parent.
pub(crate) fn grown_sum(roots: &[Root]) -> Result<Sum> {
    let mut sum = Sum::default();
    for root in roots {
        sum.add(root.id, &root.name, None);
        for branch in root.branches.get()? {
            sum.add(branch.id, &branch.name, Some(&root.name));
            for leaf in branch.leaves.get()? {
                sum.add(leaf.id, &leaf.name, Some(&branch.name));
            }
        }
    }
    Ok(sum)
}

/// Every row with its parent, wherever it stands: what a row says of its parent is not asked.
pub(crate) fn tree_sum(authors: &[Author]) -> Result<Sum> {
    let mut sum = Sum::default();
    for author in authors {
        sum.add(author.id, &author.name, author.hair_color.as_deref());
        for post in author.posts.get()? {
            sum.add(post.id, &post.title, Some(&author.name));
            for comment in post.comments.get()? {
                sum.add(comment.id, &comment.body, Some(&post.title));
            }
        }
    }
    Ok(sum)
}
