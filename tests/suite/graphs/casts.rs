//! Associated rows out of untyped input.

use emr::Input;
use emr::prelude::*;
use serde_json::{Value as JsonValue, json};

use super::schemas::{
    Comment, Permalink, Post, User, Vote, comments, create, loaded, names, new_post, owned, permalinks,
};
use crate::harness::Db;

db_cases![
    a27_a29_casts_insert_change_and_delete,
    to_one_is_cast,
    forms_and_nested_casts,
    what_input_may_not_be,
    required_associations,
    many_to_many_is_cast,
];

fn comment(comment: Changeset<Comment>, input: &Input) -> Changeset<Comment> {
    let comment = comment.cast(input, Comment::TEXT).validate_required(Comment::TEXT);
    let comment = comment.cast_assoc(Comment::VOTES, |vote, input| vote.cast(input, Vote::VALUE));
    if input.get("delete") == Some(&json!(true)) { comment.as_delete() } else { comment }
}

fn post(post: Changeset<Post>, input: &JsonValue) -> Changeset<Post> {
    post.cast(input, Post::TITLE).cast_assoc(Post::COMMENTS, comment)
}

async fn a27_a29_casts_insert_change_and_delete(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let empty = repo.insert(post(Post::build(), &json!({ "title": "empty", "comments": [] }))).await.unwrap();
    assert_eq!(empty.comments.get().unwrap(), []);
    let input = json!({ "title": "p", "comments": [{ "text": "1" }, { "text": "2" }, { "text": "3" }] });
    let stored = repo.insert(post(Post::build(), &input)).await.unwrap();
    assert_eq!(stored, loaded(repo, stored.id, Post::COMMENTS).await);
    let [one, two, three] = stored.comments.get().unwrap() else { panic!("{stored:?}") };
    // Found by their keys, also as texts; one is left out, one goes, one is new.
    let input = json!({ "comments": [
        { "id": three.id.to_string(), "text": "three" },
        { "text": "4" },
        { "id": one.id, "delete": true },
    ]});
    let stored = repo.update(post(stored.change(), &input)).await.unwrap();
    assert_eq!(comments(repo).await, owned(&[("three", Some(stored.id)), ("4", Some(stored.id))]));
    assert_eq!(stored.comments.get().unwrap()[0].id, three.id);
    assert!(repo.get::<Comment>(two.id).await.unwrap().is_none());
    // A key of nobody here is not taken: the row is new.
    let stranger = json!({ "comments": [{ "id": 4711, "text": "5" }] });
    let stored = repo.update(post(stored.change(), &stranger)).await.unwrap();
    assert_ne!(stored.comments.get().unwrap()[0].id, 4711);
    // What is not named stays, and an empty list takes all.
    let stored = repo.update(post(stored.change(), &json!({ "title": "q" }))).await.unwrap();
    assert_eq!(comments(repo).await.len(), 1);
    let stored = loaded(repo, stored.id, Post::COMMENTS).await;
    let stored = repo.update(post(stored.change(), &json!({ "comments": [] }))).await.unwrap();
    assert_eq!((stored.comments.get().unwrap(), comments(repo).await), (&[][..], vec![]));
}

async fn to_one_is_cast(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let link = |post: Changeset<Post>, input: JsonValue| {
        let post = post.cast(&input, ());
        post.cast_assoc(Post::PERMALINK, |link, input| link.cast(input, Permalink::URL))
    };
    let post = repo.insert(link(new_post("p"), json!({ "permalink": { "url": "1" } }))).await.unwrap();
    let id = post.permalink.get().unwrap().unwrap().id;
    let post = repo.update(link(post.change(), json!({ "permalink": { "id": id, "url": "2" } }))).await.unwrap();
    assert_eq!(post.permalink.get().unwrap().unwrap().id, id);
    assert_eq!(permalinks(repo).await, owned(&[("2", Some(post.id))]));
    let post = repo.update(link(post.change(), json!({ "permalink": { "url": "3" } }))).await.unwrap();
    assert_ne!(post.permalink.get().unwrap().unwrap().id, id, "without its key it is another one");
    let post = repo.update(link(post.change(), json!({ "permalink": null }))).await.unwrap();
    assert_eq!((post.permalink.get(), permalinks(repo).await), (Ok(None), vec![]));
    // Where the row that is there is updated, its key does not matter.
    let edit = |post: Changeset<Post>, url: &str| {
        let post = post.cast(json!({ "edited_permalink": { "url": url } }), ());
        post.cast_assoc(Post::EDITED_PERMALINK, |link, input| link.cast(input, Permalink::URL))
    };
    let post = repo.insert(edit(new_post("q"), "4")).await.unwrap();
    let id = post.edited_permalink.get().unwrap().unwrap().id;
    let post = repo.update(edit(post.change(), "5")).await.unwrap();
    assert_eq!(post.edited_permalink.get().unwrap().unwrap().id, id);
    assert_eq!(permalinks(repo).await, owned(&[("5", Some(post.id))]));
    let author = |post: Changeset<Post>, input: JsonValue| {
        post.cast(&input, ()).cast_assoc(Post::AUTHOR, |author, input| author.cast(input, User::NAME))
    };
    let post = repo.insert(author(new_post("r"), json!({ "author": { "name": "ann" } }))).await.unwrap();
    assert_eq!((post.author.get().unwrap().unwrap().id, names(repo).await.len()), (post.author_id.unwrap(), 1));
}

async fn forms_and_nested_casts(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let form = [
        ("title", "p"),
        ("comments[10][text]", "third"),
        ("comments[9][text]", "second"),
        ("comments[0][text]", "first"),
        ("comments[0][votes][0][value]", "4"),
        ("comments[0][votes][1][value]", "5"),
    ];
    let changeset = Post::build().cast(form, Post::TITLE).cast_assoc(Post::COMMENTS, comment);
    assert_eq!(changeset.children(Post::COMMENTS).len(), 3);
    let post = repo.insert(changeset).await.unwrap();
    let stored = loaded(repo, post.id, Post::COMMENTS.then(Comment::VOTES)).await;
    let texts: Vec<_> = stored.comments.get().unwrap().iter().map(|comment| comment.text.as_str()).collect();
    assert_eq!(texts, ["first", "second", "third"]);
    let votes = stored.comments.get().unwrap()[0].votes.get().unwrap();
    assert_eq!(votes.iter().map(|vote| vote.value).collect::<Vec<_>>(), [4, 5]);
    // The errors of all stand where they belong, as the names of the form do.
    let input = json!({ "title": "", "comments": [
        { "text": "fine" }, { "text": "", "votes": [{ "value": 1 }, { "value": "x" }] },
    ]});
    let error = repo.insert(super::casts::post(Post::build(), &input)).await.unwrap_err();
    let errors = serde_json::to_value(error.field_errors().unwrap()).unwrap();
    assert_eq!(errors["title"][0]["code"], "required");
    assert_eq!(errors["comments"]["1"]["text"][0]["code"], "required");
    assert_eq!(errors["comments"]["1"]["votes"]["1"]["value"][0]["code"], "cast");
    assert!(errors["comments"].get("0").is_none());
    assert_eq!(repo.count(Post::query()).await.unwrap(), 1);
}

async fn what_input_may_not_be(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    for wrong in [json!("x"), json!(7), json!(null), json!([1]), json!({ "x": { "text": "1" } }), json!([["text"]])] {
        let changeset = post(Post::build(), &json!({ "title": "p", "comments": wrong }));
        assert_eq!(changeset.errors().get("comments")[0].code(), "cast", "{wrong}");
        assert!(repo.insert(changeset).await.unwrap_err().is_validation());
    }
    let changeset = new_post("p").cast(json!({ "permalink": [1] }), ());
    let changeset = changeset.cast_assoc(Post::PERMALINK, |link, input| link.cast(input, Permalink::URL));
    assert_eq!(changeset.errors().get("permalink")[0].code(), "cast");
    assert_eq!(repo.count(Post::query()).await.unwrap(), 0);
    // A blank text is what a form sends for none.
    let blank = post(Post::build(), &json!({ "title": "p", "comments": "" }));
    assert_eq!(repo.insert(blank).await.unwrap().comments.get().unwrap(), []);
}

async fn required_associations(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let judge =
        |changeset: Changeset<Post>, input: JsonValue| post(changeset, &input).validate_required_assoc(Post::COMMENTS);
    let none = judge(Post::build(), json!({ "title": "p" }));
    assert_eq!(none.errors().messages()["comments"], ["can't be blank"]);
    assert!(repo.insert(none).await.unwrap_err().is_validation());
    let stored =
        repo.insert(judge(Post::build(), json!({ "title": "p", "comments": [{ "text": "1" }] }))).await.unwrap();
    let stored = repo.update(judge(stored.into_change(), json!({ "title": "q" }))).await.unwrap();
    let error = repo.update(judge(stored.change(), json!({ "title": "r" }))).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::AssociationNotLoaded { association: "comments", .. }), "{error:?}");
    let stored = loaded(repo, stored.id, Post::COMMENTS).await;
    let id = stored.comments.get().unwrap()[0].id;
    let gone = judge(stored.change(), json!({ "comments": [{ "id": id, "delete": true }] }));
    assert_eq!(gone.errors().get("comments")[0].code(), "required");
    // A foreign key that is never NULL is required by itself.
    assert_eq!((comments(repo).await.len(), stored.title.as_str()), (1, "q"));
}

async fn many_to_many_is_cast(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let judge = |post: Changeset<Post>, input: JsonValue| {
        post.cast(&input, ()).cast_assoc(Post::USERS, |user, input| user.cast(input, User::NAME))
    };
    let post = repo.insert(judge(new_post("p"), json!({ "users": [{ "name": "ann" }, { "name": "bob" }] }))).await;
    let post = post.unwrap();
    let ann = post.users.get().unwrap()[0].id;
    let input = json!({ "users": [{ "id": ann, "name": "Ann" }, { "name": "cid" }] });
    let post = repo.update(judge(post.change(), input)).await.unwrap();
    assert_eq!(names(repo).await, ["Ann", "bob", "cid"]);
    assert_eq!(post, loaded(repo, post.id, Post::USERS).await);
}
