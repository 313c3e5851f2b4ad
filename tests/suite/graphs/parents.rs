//! Rows that the owner belongs to.

use emr::prelude::*;

use super::schemas::{Post, User, comments, create, loaded, names, new_comment, new_post, new_user, user};
use crate::harness::Db;

db_cases![
    a23_belongs_to_is_inserted_and_replaced,
    a23_the_old_row_goes_when_nothing_points_at_it,
    a24_belongs_to_that_is_updated,
    belongs_to_that_is_let_go,
    a_foreign_key_is_set_once,
    parents_shared_by_siblings,
];

async fn author_of(repo: &impl Repo, post: &Post) -> Option<i64> {
    repo.fetch::<Post>(post.id).await.unwrap().author_id
}

async fn a23_belongs_to_is_inserted_and_replaced(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::AUTHOR, new_user("1"))).await.unwrap();
    let author = post.author.get().unwrap().unwrap().clone();
    assert_eq!((post.author_id, author_of(repo, &post).await), (Some(author.id), Some(author.id)));
    assert_eq!(post, loaded(repo, post.id, Post::AUTHOR).await);
    // By a new one.
    let post = repo.update(post.change().put_assoc(Post::AUTHOR, new_user("2"))).await.unwrap();
    assert_eq!(names(repo).await, ["2"]);
    assert_eq!(post, loaded(repo, post.id, Post::AUTHOR).await);
    // By one that is there.
    let three = user(repo, "3").await;
    let post = repo.update(post.change().put_assoc(Post::AUTHOR, three.clone())).await.unwrap();
    assert_eq!((names(repo).await, author_of(repo, &post).await), (vec!["3".to_owned()], Some(three.id)));
    // By itself, changed.
    let renamed = three.change().set(User::NAME, "three");
    let post = repo.update(post.change().put_assoc(Post::AUTHOR, renamed)).await.unwrap();
    assert_eq!(names(repo).await, ["three"]);
    assert_eq!(post.author.get().unwrap().unwrap().name, "three");
    // By none.
    let post = repo.update(post.change().clear_assoc(Post::AUTHOR)).await.unwrap();
    assert_eq!((post.author.get(), author_of(repo, &post).await), (Ok(None), None));
    assert_eq!(names(repo).await, [""; 0]);
    // Without a foreign key there is nothing to load first.
    let bare = repo.fetch::<Post>(post.id).await.unwrap();
    let post = repo.update(bare.change().put_assoc(Post::AUTHOR, user(repo, "4").await)).await.unwrap();
    assert_eq!(post, loaded(repo, post.id, Post::AUTHOR).await);
}

async fn a23_the_old_row_goes_when_nothing_points_at_it(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<User>().await.unwrap();
    repo.script(&format!(
        "CREATE TABLE g_posts (id BIGINT PRIMARY KEY, title TEXT NOT NULL, code {}, version INT DEFAULT 1 NOT NULL, \
         author_id BIGINT, FOREIGN KEY (author_id) REFERENCES g_users (id))",
        db.backend.uuid()
    ))
    .await
    .unwrap();
    let first = new_post("p").set(Post::ID, 5).put_assoc(Post::AUTHOR, new_user("1"));
    let post = repo.insert(first).await.unwrap();
    let post = repo.update(post.change().put_assoc(Post::AUTHOR, new_user("2"))).await.unwrap();
    assert_eq!(names(repo).await, ["2"]);
    let author = post.author.get().unwrap().unwrap();
    let post = repo.update(post.change().put_assoc(Post::AUTHOR, author.change().as_delete())).await.unwrap();
    assert_eq!((names(repo).await, author_of(repo, &post).await), (vec![], None));
}

async fn a24_belongs_to_that_is_updated(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::EDITED_AUTHOR, new_user("1"))).await.unwrap();
    let id = post.author_id;
    let change = post.change().set(Post::TITLE, "q").put_assoc(Post::EDITED_AUTHOR, new_user("2"));
    let post = repo.update(change).await.unwrap();
    assert_eq!((names(repo).await, author_of(repo, &post).await), (vec!["2".to_owned()], id));
    assert_eq!(post, loaded(repo, post.id, Post::EDITED_AUTHOR).await);
    let post = repo.update(post.change().clear_assoc(Post::EDITED_AUTHOR)).await.unwrap();
    assert_eq!((names(repo).await, author_of(repo, &post).await), (vec!["2".to_owned()], None));
}

async fn belongs_to_that_is_let_go(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::LOOSE_AUTHOR, new_user("1"))).await.unwrap();
    let post = repo.update(post.change().put_assoc(Post::LOOSE_AUTHOR, new_user("2"))).await.unwrap();
    assert_eq!(names(repo).await, ["1", "2"]);
    assert_eq!(post, loaded(repo, post.id, Post::LOOSE_AUTHOR).await);
    repo.update(post.change().clear_assoc(Post::LOOSE_AUTHOR)).await.unwrap();
    assert_eq!((names(repo).await.len(), author_of(repo, &post).await), (2, None));
}

async fn a_foreign_key_is_set_once(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let one = user(repo, "1").await;
    let both = new_post("p").put_assoc(Post::AUTHOR, new_user("2")).set(Post::AUTHOR_ID, one.id);
    let error = repo.insert(both).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    assert_eq!((names(repo).await, repo.count(Post::query()).await.unwrap()), (vec!["1".to_owned()], 0));
}

async fn parents_shared_by_siblings(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let ann = user(repo, "ann").await;
    let given = vec![
        new_comment("1").put_assoc(super::schemas::Comment::AUTHOR, &ann),
        new_comment("2").put_assoc(super::schemas::Comment::AUTHOR, new_user("bob")),
        new_comment("3").put_assoc(super::schemas::Comment::AUTHOR, ann.change().set(User::NAME, "Ann")),
    ];
    let post = repo.insert(new_post("p").put_assoc(Post::COMMENTS, given)).await.unwrap();
    assert_eq!(names(repo).await, ["Ann", "bob"]);
    let authors: Vec<_> = post.comments.get().unwrap().iter().map(|comment| comment.author_id).collect();
    assert_eq!((authors[0], authors[2]), (Some(ann.id), Some(ann.id)));
    assert!(authors[1].is_some_and(|bob| bob != ann.id));
    assert_eq!(comments(repo).await.len(), 3);
}
