//! The tables that most cases use.

use emr::prelude::*;

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "posts")]
pub struct Post {
    pub id: i64,
    pub title: String,
    pub body: Option<String>,
    #[emr(default = "0")]
    pub visits: i64,
    pub author_id: Option<i64>,
}

/// A column with another name than its field.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "permalinks")]
pub struct Permalink {
    pub id: i64,
    #[emr(column = "full url", unique)]
    pub url: String,
}

/// A key of two columns.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "memberships")]
pub struct Membership {
    #[emr(primary_key)]
    pub group_id: i64,
    #[emr(primary_key)]
    pub person: String,
    pub role: String,
}

/// No key at all.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "readings")]
pub struct Reading {
    pub sensor: String,
    pub value: f64,
}

/// A key that the program makes.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "documents")]
pub struct Document {
    #[emr(uuid)]
    pub id: emr::uuid::Uuid,
    pub name: String,
}

/// Inserts a post with this title.
pub async fn post(repo: &impl Repo, title: &str) -> Post {
    repo.insert(Post::build().set(Post::TITLE, title)).await.expect("a post is inserted")
}

/// The titles of all posts in the order of their ids.
pub async fn titles(repo: &impl Repo) -> Vec<String> {
    let posts = repo.all(Post::query().order_by(Post::ID.asc())).await.expect("the posts");
    posts.into_iter().map(|post| post.title).collect()
}
