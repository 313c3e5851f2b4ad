//! What is refused, and what is left then.

use emr::prelude::*;

use super::schemas::{
    Comment, Permalink, Post, User, Vote, comments, create, loaded, names, new_comment, new_comments, new_link,
    new_post, new_user, owned, user,
};
use crate::harness::{Db, sent};

db_cases![
    r28_a_violation_is_an_error_of_the_right_child,
    what_is_not_loaded_is_not_replaced,
    replacing_needs_a_word,
    calls_that_make_no_sense,
    a_failure_undoes_the_graph_and_nothing_else,
    errors_of_deep_children_stand_at_their_places,
    a_changeset_that_failed_may_be_written_again,
    declared_errors_of_rows_that_go,
    deep_graphs_are_refused,
];

async fn r28_a_violation_is_an_error_of_the_right_child(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    repo.insert(new_comment("taken")).await.unwrap();
    let declared = |text: &str| new_comment(text).unique_constraint(Comment::TEXT);
    let given = || vec![declared("1"), declared("2"), declared("taken"), declared("3")];
    let error = repo.insert(new_post("p").put_assoc(Post::COMMENTS, given())).await.unwrap_err();
    let errors = error.field_errors().unwrap();
    assert_eq!(errors.fields().collect::<Vec<_>>(), ["comments.2.text"], "and of no other");
    assert_eq!(errors.messages()["comments.2.text"], ["has already been taken"]);
    assert_eq!(comments(repo).await, owned(&[("taken", None)]));
    assert_eq!(repo.count(Post::query()).await.unwrap(), 0);
    // One that is updated, among new ones.
    let post = repo.insert(new_post("p").put_assoc(Post::COMMENTS, vec![declared("4")])).await.unwrap();
    let changed = post.comments.get().unwrap()[0].change().set(Comment::TEXT, "taken").unique_constraint(Comment::TEXT);
    let error = repo.update(post.change().put_assoc(Post::COMMENTS, vec![declared("5"), changed])).await.unwrap_err();
    assert_eq!(error.field_errors().unwrap().fields().collect::<Vec<_>>(), ["comments.1.text"]);
    assert_eq!(comments(repo).await, owned(&[("taken", None), ("4", Some(post.id))]));
    // What nobody declares is what the database says.
    let error = repo.insert(new_post("q").put_assoc(Post::COMMENTS, new_comments(["6", "taken"]))).await.unwrap_err();
    assert!(error.is_unique_violation(), "{error:?}");
}

async fn what_is_not_loaded_is_not_replaced(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::COMMENTS, new_comments(["1"]))).await.unwrap();
    let bare = repo.fetch::<Post>(post.id).await.unwrap();
    let (repo, statements) = db.instrumented().await;
    for (change, field) in [
        (bare.change().put_assoc(Post::COMMENTS, new_comments(["2"])), "comments"),
        (bare.change().put_assoc(Post::PERMALINK, new_link("2")), "permalink"),
        (bare.change().clear_assoc(Post::USERS), "users"),
    ] {
        let error = repo.update(change).await.unwrap_err();
        let ErrorKind::AssociationNotLoaded { schema, association } = error.kind() else { panic!("{error:?}") };
        assert_eq!((*schema, *association), ("Post", field));
        assert!(error.to_string().contains("preload"), "{error}");
    }
    // Deep in a graph too.
    let user = new_user("x").put_assoc(User::POSTS, vec![bare.change().clear_assoc(Post::COMMENTS)]);
    let error = repo.insert(user).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::AssociationNotLoaded { .. }), "{error:?}");
    assert_eq!(sent(&statements).len(), 0, "before anything was sent");
    assert_eq!(comments(&repo).await, owned(&[("1", Some(post.id))]));
    // Inserted as a new row, it has none yet.
    let copy = bare.change().set(Post::ID, post.id + 100).put_assoc(Post::COMMENTS, new_comments(["2"]));
    let copy = repo.insert(copy).await.unwrap();
    // A copy takes nothing away from the row that it is a copy of.
    let full = loaded(&repo, post.id, Post::LAX_COMMENTS).await;
    let other = full.change().set(Post::ID, post.id + 200).put_assoc(Post::LAX_COMMENTS, new_comments(["3"]));
    let other = repo.insert(other).await.unwrap();
    repo.delete(&other.lax_comments.get().unwrap()[0]).await.unwrap();
    assert_eq!(comments(&repo).await, owned(&[("1", Some(post.id)), ("2", Some(copy.id))]));
}

async fn replacing_needs_a_word(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = new_post("p")
        .put_assoc(Post::FIXED_COMMENTS, new_comments(["1", "2"]))
        .put_assoc(Post::FIXED_PERMALINK, new_link("1"))
        .put_assoc(Post::FIXED_AUTHOR, new_user("1"));
    let post = repo.insert(post).await.unwrap();
    let one = post.fixed_comments.get().unwrap()[0].clone();
    for change in [
        post.change().put_assoc(Post::FIXED_COMMENTS, vec![one]),
        post.change().put_assoc(Post::FIXED_PERMALINK, new_link("2")),
        post.change().clear_assoc(Post::FIXED_PERMALINK),
        post.change().put_assoc(Post::FIXED_AUTHOR, new_user("2")),
        post.change().clear_assoc(Post::FIXED_AUTHOR),
    ] {
        let error = repo.update(change).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Replaced { schema: "Post", .. }), "{error:?}");
        assert!(error.to_string().contains("on_replace"), "{error}");
    }
    // Adding to them replaces nothing.
    let mut more: Vec<_> = post.fixed_comments.get().unwrap().iter().map(SyncableExt::change).collect();
    more.push(new_comment("3"));
    repo.update(post.change().put_assoc(Post::FIXED_COMMENTS, more)).await.unwrap();
    assert_eq!(comments(repo).await.len(), 3);
    // As an error of the user.
    let judged = loaded(repo, post.id, Post::JUDGED_COMMENTS).await;
    let judged = judged.change().clear_assoc(Post::JUDGED_COMMENTS);
    assert_eq!(judged.errors().get("judged_comments")[0].code(), "replaced");
    assert!(repo.update(judged).await.unwrap_err().is_validation());
    assert_eq!((comments(repo).await.len(), names(repo).await.len()), (3, 1));
}

async fn calls_that_make_no_sense(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let many = |change: Changeset<Post>| change;
    for change in [
        many(new_post("a").put_assoc(Post::COMMENTS, new_comment("1"))),
        many(new_post("b").put_assoc(Post::PERMALINK, vec![new_link("1")])),
        many(new_post("c").put_assoc(Post::COMMENTERS, vec![new_user("1")])),
        many(new_post("d").put_assoc(Post::COMMENTS, vec![new_comment("1").as_delete()])),
    ] {
        let error = repo.insert(change).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    }
    // A vote has a comment, always: it cannot be let go, and a `belongs_to` of a key that is never NULL needs a row.
    assert_eq!((repo.count(Post::query()).await.unwrap(), comments(repo).await), (0, vec![]));
}

async fn a_failure_undoes_the_graph_and_nothing_else(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let ann = user(repo, "ann").await;
    repo.insert(new_comment("taken")).await.unwrap();
    let bad = || {
        let given = vec![new_comment("1"), new_comment("taken").unique_constraint(Comment::TEXT)];
        new_post("bad")
            .put_assoc(Post::AUTHOR, ann.change().set(User::NAME, "changed"))
            .put_assoc(Post::PERMALINK, new_link("1"))
            .put_assoc(Post::COMMENTS, given)
    };
    let tx = repo.begin().await.unwrap();
    tx.insert(new_post("before")).await.unwrap();
    assert!(tx.insert(bad()).await.unwrap_err().is_validation());
    tx.insert(new_post("after")).await.unwrap();
    tx.commit().await.unwrap();
    assert!(repo.insert(bad()).await.unwrap_err().is_validation());
    let titles = repo.all(Post::query().order_by(Post::ID.asc()).select(Post::TITLE)).await.unwrap();
    assert_eq!((titles, names(repo).await), (vec!["before".to_owned(), "after".to_owned()], vec!["ann".to_owned()]));
    assert_eq!(comments(repo).await, owned(&[("taken", None)]));
    assert_eq!(repo.count(Permalink::query()).await.unwrap(), 0);
}

async fn errors_of_deep_children_stand_at_their_places(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    repo.script("CREATE UNIQUE INDEX g_votes_value_index ON g_votes (value)").await.unwrap();
    let votes = |values: &[i32]| {
        let vote = |value: &i32| Vote::build().set(Vote::VALUE, *value).unique_constraint(Vote::VALUE);
        values.iter().map(vote).collect::<Vec<_>>()
    };
    let given = vec![
        new_comment("1").put_assoc(Comment::VOTES, votes(&[1, 2])),
        new_comment("2").put_assoc(Comment::VOTES, votes(&[3, 1, 4])),
    ];
    let post = new_post("p").put_assoc(Post::COMMENTS, given);
    let error = repo.insert(new_user("x").put_assoc(User::POSTS, vec![new_post("fine"), post])).await.unwrap_err();
    let errors = error.field_errors().unwrap();
    assert_eq!(errors.fields().collect::<Vec<_>>(), ["posts.1.comments.1.votes.1.value"]);
    let json = serde_json::to_value(errors).unwrap();
    assert_eq!(json["posts"]["1"]["comments"]["1"]["votes"]["1"]["value"][0]["code"], "unique");
    assert_eq!((names(repo).await, repo.count(Vote::query()).await.unwrap()), (vec![], 0));
}

async fn a_changeset_that_failed_may_be_written_again(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let taken = repo.insert(new_comment("taken")).await.unwrap();
    let given = vec![new_comment("1"), new_comment("taken").unique_constraint(Comment::TEXT)];
    let changeset = new_post("p").put_assoc(Post::COMMENTS, given);
    let shown = format!("{changeset:?}");
    assert!(repo.insert(changeset.clone()).await.unwrap_err().is_validation());
    assert_eq!(format!("{changeset:?}"), shown, "nothing was done to it");
    assert!(changeset.is_valid());
    repo.delete(&taken).await.unwrap();
    let post = repo.insert(changeset).await.unwrap();
    assert_eq!(comments(repo).await, owned(&[("1", Some(post.id)), ("taken", Some(post.id))]));
}

async fn declared_errors_of_rows_that_go(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::COMMENTS, new_comments(["1", "2"]))).await.unwrap();
    let [one, two] = post.comments.get().unwrap() else { panic!("{post:?}") };
    repo.delete(two).await.unwrap();
    let given = vec![one.change(), two.change().as_delete().stale_error_field(Comment::TEXT)];
    let error = repo.update(post.change().put_assoc(Post::COMMENTS, given)).await.unwrap_err();
    assert_eq!(error.field_errors().unwrap().get("comments.1.text")[0].code(), "stale");
}

#[derive(Syncable, Debug, Clone)]
#[emr(table = "g_nodes")]
struct Node {
    id: i64,
    parent_id: Option<i64>,
    #[emr(has_many(key = "parent_id"))]
    children: HasMany<Node>,
}

async fn deep_graphs_are_refused(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Node>().await.unwrap();
    let deep =
        |levels: usize| (0..levels).fold(Node::build(), |below, _| Node::build().put_assoc(Node::CHILDREN, [below]));
    let error = repo.insert(deep(500)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    repo.insert(deep(31)).await.unwrap();
    assert_eq!(repo.count(Node::query()).await.unwrap(), 32);
}
