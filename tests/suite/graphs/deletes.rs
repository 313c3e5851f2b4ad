//! What a delete does to associated rows.

use emr::prelude::*;

use super::schemas::{User, create, links, new_comment, new_post, user};
use crate::harness::Db;

db_cases![
    a30_a31_a32_on_delete_of_children,
    a33_on_delete_of_links,
    what_on_delete_did_is_undone_with_the_delete,
    on_delete_also_where_a_graph_deletes,
];

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_posts")]
struct Post {
    id: i64,
    title: String,
    #[emr(default = "1")]
    version: i32,
    author_id: Option<i64>,
    #[emr(has_many(on_delete = "delete_all"))]
    comments: HasMany<Comment>,
    #[emr(has_many(on_delete = "nilify_all"))]
    permalinks: HasMany<Permalink>,
    #[emr(many_to_many(table = "g_posts_users", on_delete = "delete_all"))]
    users: ManyToMany<User>,
    #[emr(has_many)]
    votes: HasMany<Note>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_comments")]
struct Comment {
    id: i64,
    text: String,
    post_id: Option<i64>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_permalinks")]
struct Permalink {
    id: i64,
    url: String,
    post_id: Option<i64>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_notes")]
struct Note {
    id: i64,
    post_id: i64,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_users")]
struct Author {
    id: i64,
    name: String,
    #[emr(has_many(key = "author_id", on_replace = "delete"))]
    posts: HasMany<Post>,
}

/// Two posts with a child of each sort.
async fn two(repo: &impl Repo) -> [Post; 2] {
    create(repo).await;
    repo.create_table::<Note>().await.unwrap();
    let ann = user(repo, "ann").await;
    let mut posts = Vec::new();
    for title in ["1", "2"] {
        let post = Post::build()
            .set(Post::TITLE, title)
            .put_assoc(Post::PERMALINKS, vec![Permalink::build().set(Permalink::URL, title)])
            .put_assoc(Post::USERS, [&ann])
            .put_assoc(Post::VOTES, vec![Note::build()]);
        let post = repo.insert(post).await.unwrap();
        repo.insert(new_comment(title).set(super::schemas::Comment::POST_ID, post.id)).await.unwrap();
        posts.push(post);
    }
    posts.try_into().unwrap()
}

async fn a30_a31_a32_on_delete_of_children(db: &Db) {
    let repo = &db.repo;
    let [first, second] = two(repo).await;
    repo.delete(&first).await.unwrap();
    let comments = repo.all(Comment::query().select((Comment::TEXT, Comment::POST_ID))).await.unwrap();
    assert_eq!(comments, [("2".to_owned(), Some(second.id))], "deleted");
    let links = Permalink::query().order_by(Permalink::ID.asc()).select((Permalink::URL, Permalink::POST_ID));
    let expected = [("1".to_owned(), None), ("2".to_owned(), Some(second.id))];
    assert_eq!(repo.all(links).await.unwrap(), expected, "let go");
    let notes = repo.all(Note::query().order_by(Note::ID.asc()).select(Note::POST_ID)).await.unwrap();
    assert_eq!(notes, [first.id, second.id], "left");
    assert!(repo.delete_if_exists(&second).await.unwrap());
    assert!(!repo.delete_if_exists(&second).await.unwrap());
    assert_eq!((repo.count(Comment::query()).await.unwrap(), repo.count(Post::query()).await.unwrap()), (0, 0));
}

async fn a33_on_delete_of_links(db: &Db) {
    let repo = &db.repo;
    let [first, second] = two(repo).await;
    repo.delete(first.change()).await.unwrap();
    let left = links(repo).await;
    assert_eq!(left.iter().map(|(post, _)| *post).collect::<Vec<_>>(), [second.id]);
    assert_eq!(repo.count(User::query()).await.unwrap(), 1);
}

async fn what_on_delete_did_is_undone_with_the_delete(db: &Db) {
    let repo = &db.repo;
    let [first, _] = two(repo).await;
    repo.update(first.change().set(Post::VERSION, 2)).await.unwrap();
    let tx = repo.begin().await.unwrap();
    assert!(tx.delete(first.change().optimistic_lock(Post::VERSION)).await.unwrap_err().is_stale());
    tx.commit().await.unwrap();
    assert_eq!((repo.count(Comment::query()).await.unwrap(), links(repo).await.len()), (2, 2));
    assert_eq!(repo.count(Permalink::query().filter(Permalink::POST_ID.is_null())).await.unwrap(), 0);
}

async fn on_delete_also_where_a_graph_deletes(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let new = |title: &str| {
        Post::build()
            .set(Post::TITLE, title)
            .put_assoc(Post::PERMALINKS, vec![Permalink::build().set(Permalink::URL, title)])
    };
    let author = Author::build().set(Author::NAME, "x").put_assoc(Author::POSTS, vec![new("1"), new("2"), new("3")]);
    let author = repo.insert(author).await.unwrap();
    repo.insert(new_post("other")).await.unwrap();
    let kept = author.posts.get().unwrap()[2].clone();
    repo.update(author.change().put_assoc(Author::POSTS, [&kept])).await.unwrap();
    let links = Permalink::query().order_by(Permalink::ID.asc()).select(Permalink::POST_ID);
    assert_eq!(repo.all(links).await.unwrap(), [None, None, Some(kept.id)]);
    assert_eq!(repo.count(Post::query()).await.unwrap(), 2);
}
