//! The tables that most cases use.

use emr::prelude::*;

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "posts")]
pub(crate) struct Post {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    #[emr(default = "0")]
    pub(crate) visits: i64,
    pub(crate) author_id: Option<i64>,
}

/// A column with another name than its field.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "permalinks")]
pub(crate) struct Permalink {
    pub(crate) id: i64,
    #[emr(column = "full url", unique)]
    pub(crate) url: String,
}

/// A key of two columns.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "memberships")]
pub(crate) struct Membership {
    #[emr(primary_key)]
    pub(crate) group_id: i64,
    #[emr(primary_key)]
    pub(crate) person: String,
    pub(crate) role: String,
}

/// No key at all.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "readings")]
pub(crate) struct Reading {
    pub(crate) sensor: String,
    pub(crate) value: f64,
}

/// A key that the program makes.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "documents")]
pub(crate) struct Document {
    #[emr(uuid)]
    pub(crate) id: emr::uuid::Uuid,
    pub(crate) name: String,
}

/// Inserts a post with this title.
pub(crate) async fn post(repo: &impl Repo, title: &str) -> Post {
    repo.insert(Post::build().set(Post::TITLE, title)).await.expect("a post is inserted")
}

/// The titles of all posts in the order of their ids.
pub(crate) async fn titles(repo: &impl Repo) -> Vec<String> {
    let posts = repo.all(Post::query().order_by(Post::ID.asc())).await.expect("the posts");
    posts.into_iter().map(|post| post.title).collect()
}
