//! Tables that point at each other in every way.

use emr::prelude::*;
use emr::{Order, ToParam};

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_users")]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) name: String,
    #[emr(has_many(key = "author_id"))]
    pub(crate) posts: HasMany<Post>,
    #[emr(has_many(key = "author_id"))]
    pub(crate) comments: HasMany<Comment>,
    #[emr(has_one)]
    pub(crate) permalink: HasOne<Permalink>,
    #[emr(has_many(through(comments, post)))]
    pub(crate) commented_posts: HasMany<Post>,
    #[emr(has_many(through(posts, commenters)))]
    pub(crate) readers: HasMany<User>,
    #[emr(has_many(through(commented_posts, permalink)))]
    pub(crate) commented_permalinks: HasMany<Permalink>,
    #[emr(has_many(through(posts, users, comments)))]
    pub(crate) comments_of_users: HasMany<Comment>,
    #[emr(has_many(through(posts, tags)))]
    pub(crate) tags: HasMany<Tag>,
    #[emr(has_many(through(posts, long_comments, author)))]
    pub(crate) long_commenters: HasMany<User>,
    #[emr(has_many(through(posts, users, tagged)))]
    pub(crate) tagged_of_users: HasMany<Post>,
    #[emr(many_to_many(table = "blog_likes", owner_key = "user_id", related_key = "post_id"))]
    pub(crate) tagged: ManyToMany<Post>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_posts")]
pub(crate) struct Post {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) author_id: Option<i64>,
    #[emr(belongs_to)]
    pub(crate) author: BelongsTo<User>,
    #[emr(has_many)]
    pub(crate) comments: HasMany<Comment>,
    #[emr(has_many(filter = Comment::is_long))]
    pub(crate) long_comments: HasMany<Comment>,
    #[emr(has_many(preload_order = Comment::by_text))]
    pub(crate) ordered_comments: HasMany<Comment>,
    #[emr(has_one)]
    pub(crate) permalink: HasOne<Permalink>,
    #[emr(many_to_many(table = "blog_posts_users"))]
    pub(crate) users: ManyToMany<User>,
    #[emr(many_to_many(table = "blog_posts_users", preload_order = User::by_name_down))]
    pub(crate) ordered_users: ManyToMany<User>,
    #[emr(many_to_many(through = PostTag, preload_order = PostTag::by_position))]
    pub(crate) tags: ManyToMany<Tag>,
    #[emr(has_many(through(comments, author)))]
    pub(crate) commenters: HasMany<User>,
    #[emr(has_many(through(commenters, permalink)))]
    pub(crate) commenter_permalinks: HasMany<Permalink>,
    #[emr(has_one(through(author, permalink)))]
    pub(crate) author_permalink: HasOne<Permalink>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_comments")]
pub(crate) struct Comment {
    pub(crate) id: i64,
    pub(crate) text: String,
    pub(crate) post_id: Option<i64>,
    pub(crate) author_id: Option<i64>,
    #[emr(belongs_to)]
    pub(crate) post: BelongsTo<Post>,
    #[emr(belongs_to)]
    pub(crate) author: BelongsTo<User>,
    #[emr(has_one(through(post, permalink)))]
    pub(crate) post_permalink: HasOne<Permalink>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_permalinks")]
pub(crate) struct Permalink {
    pub(crate) id: i64,
    pub(crate) url: String,
    pub(crate) post_id: Option<i64>,
    pub(crate) user_id: Option<i64>,
    #[emr(belongs_to)]
    pub(crate) post: BelongsTo<Post>,
    #[emr(belongs_to)]
    pub(crate) user: BelongsTo<User>,
    #[emr(has_many(through(post, commenters)))]
    pub(crate) post_commenters: HasMany<User>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_tags")]
pub(crate) struct Tag {
    pub(crate) id: i64,
    pub(crate) name: String,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_posts_tags")]
pub(crate) struct PostTag {
    #[emr(primary_key)]
    pub(crate) post_id: i64,
    #[emr(primary_key)]
    pub(crate) tag_id: i64,
    pub(crate) position: i32,
}

impl Comment {
    fn is_long() -> Expr<bool> {
        Comment::TEXT.like("long%")
    }

    fn by_text() -> Order {
        Comment::TEXT.asc()
    }
}

impl User {
    fn by_name_down() -> Vec<Order> {
        vec![User::NAME.desc()]
    }
}

impl PostTag {
    fn by_position() -> [Order; 1] {
        [PostTag::POSITION.desc()]
    }
}

pub(crate) async fn create(repo: &impl Repo) {
    repo.create_table::<User>().await.expect("users");
    repo.create_table::<Post>().await.expect("posts");
    repo.create_table::<Comment>().await.expect("comments");
    repo.create_table::<Permalink>().await.expect("permalinks");
    repo.create_table::<Tag>().await.expect("tags");
    repo.create_table::<PostTag>().await.expect("post tags");
    repo.script(
        "CREATE TABLE blog_posts_users (post_id BIGINT NOT NULL, user_id BIGINT NOT NULL); \
         CREATE TABLE blog_likes (user_id BIGINT NOT NULL, post_id BIGINT NOT NULL)",
    )
    .await
    .expect("join tables");
}

pub(crate) async fn user(repo: &impl Repo, name: &str) -> User {
    repo.insert(User::build().set(User::NAME, name)).await.expect("a user")
}

pub(crate) async fn post(repo: &impl Repo, title: &str, author: Option<&User>) -> Post {
    let author = author.map(|author| author.id);
    repo.insert(Post::build().set(Post::TITLE, title).set(Post::AUTHOR_ID, author)).await.expect("a post")
}

pub(crate) async fn comment(repo: &impl Repo, text: &str, post: Option<&Post>, author: Option<&User>) -> Comment {
    let row = Comment::build()
        .set(Comment::TEXT, text)
        .set(Comment::POST_ID, post.map(|post| post.id))
        .set(Comment::AUTHOR_ID, author.map(|author| author.id));
    repo.insert(row).await.expect("a comment")
}

pub(crate) async fn permalink(repo: &impl Repo, url: &str, post: Option<&Post>, user: Option<&User>) -> Permalink {
    let row = Permalink::build()
        .set(Permalink::URL, url)
        .set(Permalink::POST_ID, post.map(|post| post.id))
        .set(Permalink::USER_ID, user.map(|user| user.id));
    repo.insert(row).await.expect("a permalink")
}

pub(crate) async fn tag(repo: &impl Repo, name: &str) -> Tag {
    repo.insert(Tag::build().set(Tag::NAME, name)).await.expect("a tag")
}

/// Links a post with users.
pub(crate) async fn link(repo: &impl Repo, post: &Post, users: &[&User]) {
    for user in users {
        let ids = format!("INSERT INTO blog_posts_users (post_id, user_id) VALUES ({}, {})", post.id, user.id);
        repo.query(&ids, &[] as &[&dyn ToParam]).await.expect("a link");
    }
}

pub(crate) async fn like(repo: &impl Repo, user: &User, posts: &[&Post]) {
    for post in posts {
        let ids = format!("INSERT INTO blog_likes (user_id, post_id) VALUES ({}, {})", user.id, post.id);
        repo.query(&ids, &[] as &[&dyn ToParam]).await.expect("a like");
    }
}

/// Tags a post, at these positions.
pub(crate) async fn tag_with(repo: &impl Repo, post: &Post, tags: &[(&Tag, i32)]) {
    for (tag, position) in tags {
        repo.insert(PostTag { post_id: post.id, tag_id: tag.id, position: *position }).await.expect("a post tag");
    }
}

pub(crate) fn ids<'r, T: Syncable + 'r>(rows: impl IntoIterator<Item = &'r T>) -> Vec<i64> {
    let id = |row: &T| match row.value(0) {
        emr::Value::I64(id) => id,
        other => panic!("{other:?} is no id"),
    };
    rows.into_iter().map(id).collect()
}
