//! The tables of the cases of graphs. Each way to replace and to delete has an association of its own on the same columns.

use chrono::{DateTime, Utc};
use emr::prelude::*;
use emr::uuid::Uuid;

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_posts")]
pub(crate) struct Post {
    pub(crate) id: i64,
    pub(crate) title: String,
    #[emr(unique)]
    pub(crate) code: Option<Uuid>,
    pub(crate) author_id: Option<i64>,
    #[emr(default = "1")]
    pub(crate) version: i32,
    #[emr(belongs_to(on_replace = "delete"))]
    pub(crate) author: BelongsTo<User>,
    #[emr(belongs_to(key = "author_id", on_replace = "update"))]
    pub(crate) edited_author: BelongsTo<User>,
    #[emr(belongs_to(key = "author_id", on_replace = "nilify"))]
    pub(crate) loose_author: BelongsTo<User>,
    #[emr(belongs_to(key = "author_id"))]
    pub(crate) fixed_author: BelongsTo<User>,
    #[emr(has_one(on_replace = "delete"))]
    pub(crate) permalink: HasOne<Permalink>,
    #[emr(has_one(on_replace = "delete_if_exists"))]
    pub(crate) lax_permalink: HasOne<Permalink>,
    #[emr(has_one(on_replace = "nilify"))]
    pub(crate) loose_permalink: HasOne<Permalink>,
    #[emr(has_one(on_replace = "update"))]
    pub(crate) edited_permalink: HasOne<Permalink>,
    #[emr(has_one)]
    pub(crate) fixed_permalink: HasOne<Permalink>,
    #[emr(has_many(on_replace = "delete"))]
    pub(crate) comments: HasMany<Comment>,
    #[emr(has_many(on_replace = "delete_if_exists"))]
    pub(crate) lax_comments: HasMany<Comment>,
    #[emr(has_many(on_replace = "nilify"))]
    pub(crate) loose_comments: HasMany<Comment>,
    #[emr(has_many(on_replace = "mark_as_invalid"))]
    pub(crate) judged_comments: HasMany<Comment>,
    #[emr(has_many)]
    pub(crate) fixed_comments: HasMany<Comment>,
    #[emr(has_many(filter = Comment::is_pinned, on_replace = "delete"))]
    pub(crate) pinned: HasMany<Comment>,
    #[emr(has_many(through(comments, author)))]
    pub(crate) commenters: HasMany<User>,
    #[emr(many_to_many(table = "g_posts_users", on_replace = "delete"))]
    pub(crate) users: ManyToMany<User>,
    #[emr(many_to_many(table = "g_posts_users", on_replace = "delete", unique))]
    pub(crate) unique_users: ManyToMany<User>,
    #[emr(many_to_many(table = "g_posts_users"))]
    pub(crate) fixed_users: ManyToMany<User>,
    #[emr(many_to_many(through = Membership, on_replace = "delete"))]
    pub(crate) members: ManyToMany<User>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_users")]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) name: String,
    #[emr(has_many(key = "author_id"))]
    pub(crate) posts: HasMany<Post>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_permalinks")]
pub(crate) struct Permalink {
    pub(crate) id: i64,
    pub(crate) url: String,
    #[emr(unique)]
    pub(crate) post_id: Option<i64>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_comments", timestamps)]
pub(crate) struct Comment {
    pub(crate) id: i64,
    #[emr(unique)]
    pub(crate) text: String,
    #[emr(default = "false")]
    pub(crate) pinned: bool,
    #[emr(default = "1")]
    pub(crate) version: i32,
    pub(crate) post_id: Option<i64>,
    pub(crate) author_id: Option<i64>,
    pub(crate) inserted_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    #[emr(belongs_to)]
    pub(crate) post: BelongsTo<Post>,
    #[emr(belongs_to)]
    pub(crate) author: BelongsTo<User>,
    #[emr(has_many)]
    pub(crate) votes: HasMany<Vote>,
}

impl Comment {
    fn is_pinned() -> Expr<bool> {
        Comment::PINNED.eq(true)
    }
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_votes")]
pub(crate) struct Vote {
    pub(crate) id: i64,
    pub(crate) value: i32,
    pub(crate) comment_id: i64,
}

/// A join table with more than its keys.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_memberships", timestamps)]
pub(crate) struct Membership {
    #[emr(uuid)]
    pub(crate) id: Uuid,
    pub(crate) post_id: i64,
    pub(crate) user_id: i64,
    pub(crate) inserted_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

pub(crate) async fn create(repo: &impl Repo) {
    repo.create_table::<User>().await.expect("users");
    repo.create_table::<Post>().await.expect("posts");
    repo.create_table::<Permalink>().await.expect("permalinks");
    repo.create_table::<Comment>().await.expect("comments");
    repo.create_table::<Vote>().await.expect("votes");
    repo.create_table::<Membership>().await.expect("memberships");
    repo.script("CREATE TABLE g_posts_users (post_id BIGINT NOT NULL, user_id BIGINT NOT NULL)").await.expect("links");
    repo.script("CREATE UNIQUE INDEX g_memberships_post_id_user_id_index ON g_memberships (post_id, user_id)")
        .await
        .expect("an index");
}

pub(crate) fn new_post(title: &str) -> Changeset<Post> {
    Post::build().set(Post::TITLE, title)
}

pub(crate) fn new_comment(text: &str) -> Changeset<Comment> {
    Comment::build().set(Comment::TEXT, text)
}

pub(crate) fn new_comments<const N: usize>(texts: [&str; N]) -> [Changeset<Comment>; N] {
    texts.map(new_comment)
}

pub(crate) fn new_link(url: &str) -> Changeset<Permalink> {
    Permalink::build().set(Permalink::URL, url)
}

pub(crate) fn new_user(name: &str) -> Changeset<User> {
    User::build().set(User::NAME, name)
}

pub(crate) async fn user(repo: &impl Repo, name: &str) -> User {
    repo.insert(new_user(name)).await.expect("a user")
}

/// What the comments hold: text and owner, by id.
pub(crate) async fn comments(repo: &impl Repo) -> Vec<(String, Option<i64>)> {
    let query = Comment::query().order_by(Comment::ID.asc()).select((Comment::TEXT, Comment::POST_ID));
    repo.all(query).await.expect("the comments")
}

/// What the permalinks hold: URL and owner, by id.
pub(crate) async fn permalinks(repo: &impl Repo) -> Vec<(String, Option<i64>)> {
    let query = Permalink::query().order_by(Permalink::ID.asc()).select((Permalink::URL, Permalink::POST_ID));
    repo.all(query).await.expect("the permalinks")
}

/// The names of all users, by id.
pub(crate) async fn names(repo: &impl Repo) -> Vec<String> {
    repo.all(User::query().order_by(User::ID.asc()).select(User::NAME)).await.expect("the users")
}

/// The links in the plain join table: post and user.
pub(crate) async fn links(repo: &impl Repo) -> Vec<(i64, i64)> {
    let found = repo.query("SELECT post_id, user_id FROM g_posts_users ORDER BY 1, 2", &[]).await.expect("the links");
    (0..found.len()).map(|row| (found.get(row, 0).unwrap(), found.get(row, 1).unwrap())).collect()
}

/// A post as it is stored, with these associations loaded.
pub(crate) async fn loaded(repo: &impl Repo, id: i64, preloads: impl emr::IntoPreload<Post>) -> Post {
    repo.one(Post::query().filter(Post::ID.eq(id)).preload(preloads)).await.expect("a read").expect("the post")
}

/// What rows the texts are of, and whose.
pub(crate) fn owned(rows: &[(&str, Option<i64>)]) -> Vec<(String, Option<i64>)> {
    rows.iter().map(|(text, owner)| ((*text).to_owned(), *owner)).collect()
}
