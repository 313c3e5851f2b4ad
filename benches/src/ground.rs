//! The database of one run: made, filled, emptied between turns, looked at, dropped.

pub(crate) mod mysql;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;
use emr::RepoOptions;
use emr::prelude::HasMany;

use crate::args::Backend;
use crate::cases::Case;
use crate::contender::{Author, Branch, COLOR, Comment, Contender, Leaf, Person, Post, Result, Root, Tree, User};
use crate::sum::Sum;

/// How many users there are.
pub(crate) const USERS: i64 = 10_000;
/// How many of them have posts.
pub(crate) const AUTHORS: i64 = 100;
/// Posts of an author, and comments on a post.
pub(crate) const EACH: i64 = 10;
pub(crate) const POSTS: i64 = AUTHORS * EACH;
pub(crate) const COMMENTS: i64 = POSTS * EACH;
/// Rows of the table that is streamed.
pub(crate) const ENTRIES: i64 = 100_000;

#[async_trait(?Send)]
pub(crate) trait Ground {
    /// The server's version and settings.
    async fn describe(&self) -> Result<String>;

    /// The settings of an EMR repo on the database.
    fn options(&self) -> RepoOptions;

    /// Where contenders find the database.
    fn place(&self) -> &dyn Place;

    /// Leaves these people in their table, and no others.
    async fn reset(&mut self, people: &[Person]) -> Result<()>;

    /// Count and checksum of the people.
    async fn people(&self) -> Result<Sum>;

    /// Leaves no trees.
    async fn clear(&mut self) -> Result<()>;

    /// Count and checksum of the rows of all trees, each with the name of its parent.
    async fn trees(&self) -> Result<Sum>;

    /// Moves the server's side of all open connections to its core, and says where that is.
    async fn pin(&self) -> Result<&'static str>;

    /// Drops the database.
    async fn remove(self: Box<Self>) -> Result<()>;
}

/// Where the database of a run is.
#[async_trait(?Send)]
pub(crate) trait Place {
    /// Its name, by which another process finds it.
    fn name(&self) -> String;

    /// The names of a case's contenders, the yardstick first, and the yardstick once more as `control`.
    fn libs(&self, case: Case) -> &'static [&'static str];

    /// Opens one of them.
    async fn contender(&self, case: Case, lib: &str) -> Result<Arc<dyn Contender>>;
}

/// All rows of all trees: id, name, the parent's name.
pub(crate) const TREES: &str = "SELECT id, name, NULL FROM roots UNION ALL \
     SELECT branches.id, branches.name, roots.name FROM branches JOIN roots ON roots.id = root_id UNION ALL \
     SELECT leaves.id, leaves.name, branches.name FROM leaves JOIN branches ON branches.id = branch_id";

/// The place of this name.
pub(crate) fn place(backend: Backend, url: &str, name: &str) -> Result<Box<dyn Place>> {
    Ok(match backend {
        Backend::Postgres => Box::new(postgres::PostgresPlace::new(url, name)?),
        Backend::Mariadb | Backend::Mysql => Box::new(mysql::MySqlPlace::new(backend, url, name)?),
        Backend::Sqlite => Box::new(sqlite::SqlitePlace::new(name)),
    })
}

pub(crate) fn user(id: i64) -> User {
    let Person { id, name, hair_color } = person(id);
    User { id, name, hair_color }
}

pub(crate) fn person(id: i64) -> Person {
    Person { id, name: format!("User {id}"), hair_color: (id % 3 != 0).then(|| COLOR.to_owned()) }
}

pub(crate) fn author(id: i64) -> Author {
    let Person { id, name, hair_color } = person(id);
    Author { id, name, hair_color, posts: HasMany::loaded(children(id).map(post).collect()) }
}

pub(crate) fn post(id: i64) -> Post {
    Post {
        id,
        user_id: parent(id),
        title: format!("Post {id}"),
        // As many different numbers as there are posts, without their order.
        visits: id * 7_919 % POSTS,
        comments: HasMany::loaded(children(id).map(comment).collect()),
    }
}

pub(crate) fn comment(id: i64) -> Comment {
    Comment { id, post_id: parent(id), body: format!("Comment {id}") }
}

/// Tree number `n`, from 0 on.
pub(crate) fn tree(n: i64) -> Tree {
    let leaves = |branch: i64| children(branch).map(|id| format!("Leaf {id}")).collect();
    let branches = children(n + 1).map(|id| (format!("Branch {id}"), leaves(id))).collect();
    Tree { name: format!("Root {}", n + 1), branches }
}

/// The same with the keys that it gets in empty tables, after those before it.
pub(crate) fn grown(n: i64) -> Root {
    let leaf = |id: i64| Leaf { id, branch_id: parent(id), name: format!("Leaf {id}") };
    let branch = |id: i64| Branch {
        id,
        root_id: parent(id),
        name: format!("Branch {id}"),
        leaves: HasMany::loaded(children(id).map(leaf).collect()),
    };
    let branches = HasMany::loaded(children(n + 1).map(branch).collect());
    Root { id: n + 1, name: format!("Root {}", n + 1), branches }
}

fn parent(id: i64) -> i64 {
    (id - 1) / EACH + 1
}

fn children(id: i64) -> impl Iterator<Item = i64> {
    (id - 1) * EACH + 1..=id * EACH
}
