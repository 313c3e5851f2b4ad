//! Rows whose foreign keys point at their owner.

use emr::prelude::*;

use super::schemas::{
    Comment, Permalink, Post, Vote, comments, create, loaded, new_comment, new_comments, new_link, new_post, owned,
    permalinks,
};
use crate::harness::{Db, sent};

db_cases![
    a12_has_one_is_inserted_and_replaced,
    a13_has_one_that_may_be_gone,
    a14_has_one_that_is_let_go,
    a15_has_one_that_is_updated,
    a16_has_many_are_added_changed_and_removed,
    a17_has_many_that_may_be_gone,
    a18_has_many_that_are_let_go,
    a22_rows_go_before_rows_come,
    a25_a_tree_goes_in_with_all_keys,
    a26_a28_nothing_is_nothing,
    r113_an_upsert_writes_children,
    children_move_between_owners,
    children_are_written_as_at_the_top,
    the_filter_of_an_association_is_set_in_new_rows,
    ten_thousand_children_are_few_statements,
    levels_go_in_together_and_kept_rows_send_nothing,
];

async fn a12_has_one_is_inserted_and_replaced(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::PERMALINK, new_link("1"))).await.unwrap();
    assert_eq!(post.permalink.get().unwrap().unwrap().post_id, Some(post.id));
    assert_eq!(permalinks(repo).await, owned(&[("1", Some(post.id))]));
    // By a new one: the old one is deleted first, as there can be but one.
    let post = repo.update(post.change().put_assoc(Post::PERMALINK, new_link("2"))).await.unwrap();
    assert_eq!(permalinks(repo).await, owned(&[("2", Some(post.id))]));
    assert_eq!(post, loaded(repo, post.id, Post::PERMALINK).await);
    // By one that is there.
    let other = repo.insert(new_link("3")).await.unwrap();
    let post = repo.update(post.change().put_assoc(Post::PERMALINK, other.clone())).await.unwrap();
    assert_eq!(permalinks(repo).await, owned(&[("3", Some(post.id))]));
    assert_eq!(post.permalink.get().unwrap().unwrap().id, other.id);
    // By itself, changed.
    let link = post.permalink.get().unwrap().unwrap();
    let post = repo.update(post.change().put_assoc(Post::PERMALINK, link.change().set(Permalink::URL, "4"))).await;
    let post = post.unwrap();
    assert_eq!(permalinks(repo).await, owned(&[("4", Some(post.id))]));
    // By none.
    let post = repo.update(post.change().put_assoc(Post::PERMALINK, None::<Permalink>)).await.unwrap();
    assert_eq!(post.permalink.get(), Ok(None));
    assert_eq!(permalinks(repo).await, []);
}

async fn a13_has_one_that_may_be_gone(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::PERMALINK, new_link("1"))).await.unwrap();
    let lax = loaded(repo, post.id, Post::LAX_PERMALINK).await;
    repo.delete_all(Permalink::query()).await.unwrap();
    let error = repo.update(post.change().clear_assoc(Post::PERMALINK)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Stale { action: "delete", .. }), "{error:?}");
    let lax = repo.update(lax.change().put_assoc(Post::LAX_PERMALINK, new_link("2"))).await.unwrap();
    assert_eq!(permalinks(repo).await, owned(&[("2", Some(post.id))]));
    repo.update(lax.change().clear_assoc(Post::LAX_PERMALINK)).await.unwrap();
    assert_eq!(permalinks(repo).await, []);
}

async fn a14_has_one_that_is_let_go(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::LOOSE_PERMALINK, new_link("1"))).await.unwrap();
    let post = repo.update(post.change().put_assoc(Post::LOOSE_PERMALINK, new_link("2"))).await.unwrap();
    assert_eq!(permalinks(repo).await, owned(&[("1", None), ("2", Some(post.id))]));
    let post = repo.update(post.change().clear_assoc(Post::LOOSE_PERMALINK)).await.unwrap();
    assert_eq!(permalinks(repo).await, owned(&[("1", None), ("2", None)]));
    assert_eq!(post.loose_permalink.get(), Ok(None));
}

async fn a15_has_one_that_is_updated(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::EDITED_PERMALINK, new_link("1"))).await.unwrap();
    let id = post.edited_permalink.get().unwrap().unwrap().id;
    let post = repo.update(post.change().put_assoc(Post::EDITED_PERMALINK, new_link("2"))).await.unwrap();
    let link = post.edited_permalink.get().unwrap().unwrap();
    assert_eq!((link.id, link.url.as_str()), (id, "2"));
    assert_eq!(permalinks(repo).await, owned(&[("2", Some(post.id))]));
    let other = repo.insert(new_link("other")).await.unwrap();
    let error = repo.update(post.change().put_assoc(Post::EDITED_PERMALINK, other)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    repo.update(post.change().clear_assoc(Post::EDITED_PERMALINK)).await.unwrap();
    assert_eq!(permalinks(repo).await, owned(&[("other", None)]));
}

async fn a16_has_many_are_added_changed_and_removed(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::COMMENTS, new_comments(["1", "2"]))).await.unwrap();
    assert_eq!(comments(repo).await, owned(&[("1", Some(post.id)), ("2", Some(post.id))]));
    assert_eq!(post, loaded(repo, post.id, Post::COMMENTS).await);
    let [one, two] = post.comments.get().unwrap() else { panic!("{post:?}") };
    // One stays as it is, one changes, one is new, one comes from nobody.
    let free = repo.insert(new_comment("free")).await.unwrap();
    let four = vec![free.change(), one.change(), new_comment("3"), two.change().set(Comment::TEXT, "two")];
    let post = repo.update(post.change().put_assoc(Post::COMMENTS, four)).await.unwrap();
    let texts: Vec<_> = post.comments.get().unwrap().iter().map(|comment| comment.text.as_str()).collect();
    assert_eq!(texts, ["free", "1", "3", "two"]);
    let all = [("1", Some(post.id)), ("two", Some(post.id)), ("free", Some(post.id)), ("3", Some(post.id))];
    assert_eq!(comments(repo).await, owned(&all));
    // One is left out, and one says itself that it goes.
    let [free, one, three, _] = post.comments.get().unwrap() else { panic!("{post:?}") };
    let two = vec![one.change(), free.change().as_delete(), three.change()];
    let post = repo.update(post.change().put_assoc(Post::COMMENTS, two)).await.unwrap();
    assert_eq!(comments(repo).await, owned(&[("1", Some(post.id)), ("3", Some(post.id))]));
    assert_eq!(post, loaded(repo, post.id, Post::COMMENTS).await);
    let post = repo.update(post.change().put_assoc(Post::COMMENTS, Vec::<Comment>::new())).await.unwrap();
    assert_eq!(comments(repo).await, []);
    assert_eq!(post.comments.get().unwrap(), []);
}

async fn a17_has_many_that_may_be_gone(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::COMMENTS, new_comments(["1", "2", "3"]))).await.unwrap();
    let lax = loaded(repo, post.id, Post::LAX_COMMENTS).await;
    repo.delete(&post.comments.get().unwrap()[1]).await.unwrap();
    let error = repo.update(post.change().clear_assoc(Post::COMMENTS)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Stale { action: "delete", .. }), "{error:?}");
    assert_eq!(comments(repo).await.len(), 2, "nothing was done");
    repo.update(lax.change().clear_assoc(Post::LAX_COMMENTS)).await.unwrap();
    assert_eq!(comments(repo).await, []);
}

async fn a18_has_many_that_are_let_go(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::LOOSE_COMMENTS, new_comments(["1", "2"]))).await.unwrap();
    let kept = post.loose_comments.get().unwrap()[1].clone();
    let post = repo.update(post.change().put_assoc(Post::LOOSE_COMMENTS, vec![kept])).await.unwrap();
    assert_eq!(comments(repo).await, owned(&[("1", None), ("2", Some(post.id))]));
    repo.update(post.change().clear_assoc(Post::LOOSE_COMMENTS)).await.unwrap();
    assert_eq!(comments(repo).await, owned(&[("1", None), ("2", None)]));
}

async fn a22_rows_go_before_rows_come(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::COMMENTS, new_comments(["1", "2"]))).await.unwrap();
    let old: Vec<_> = post.comments.get().unwrap().iter().map(|comment| comment.id).collect();
    // Texts are unique, and free again when the new rows come.
    let post = repo.update(post.change().put_assoc(Post::COMMENTS, new_comments(["2", "1"]))).await.unwrap();
    assert_eq!(comments(repo).await, owned(&[("2", Some(post.id)), ("1", Some(post.id))]));
    assert!(post.comments.get().unwrap().iter().all(|comment| !old.contains(&comment.id)));
    // What an update frees, too.
    let [two, one] = post.comments.get().unwrap() else { panic!("{post:?}") };
    let three = vec![new_comment("1"), two.change(), one.change().set(Comment::TEXT, "was 1")];
    repo.update(post.change().put_assoc(Post::COMMENTS, three)).await.unwrap();
    let all = [("2", Some(post.id)), ("was 1", Some(post.id)), ("1", Some(post.id))];
    assert_eq!(comments(repo).await, owned(&all));
}

async fn a25_a_tree_goes_in_with_all_keys(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let now = now();
    let row = |id: i64, text: &str| Comment {
        id,
        text: text.to_owned(),
        pinned: false,
        version: 1,
        post_id: None,
        author_id: None,
        inserted_at: now,
        updated_at: now,
        post: BelongsTo::default(),
        author: BelongsTo::default(),
        votes: HasMany::default(),
    };
    let vote = |id: i64| Vote { id, value: 3, comment_id: 0 }.into_change().as_insert();
    let given = vec![
        row(71, "a").into_change().as_insert().put_assoc(Comment::VOTES, vec![vote(81), vote(82)]),
        row(72, "b").into_change().as_insert().put_assoc(Comment::VOTES, vec![vote(83)]),
    ];
    let post = repo.insert(new_post("p").put_assoc(Post::COMMENTS, given)).await.unwrap();
    let stored = loaded(repo, post.id, Post::COMMENTS.then(Comment::VOTES)).await;
    assert_eq!(post, stored);
    let ids = |comment: &Comment| comment.votes.get().unwrap().iter().map(|vote| vote.id).collect::<Vec<_>>();
    let all: Vec<_> = stored.comments.get().unwrap().iter().map(|row| (row.id, row.post_id, ids(row))).collect();
    assert_eq!(all, [(71, Some(post.id), vec![81, 82]), (72, Some(post.id), vec![83])]);
}

async fn a26_a28_nothing_is_nothing(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let empty = new_post("p")
        .put_assoc(Post::COMMENTS, Vec::<Comment>::new())
        .put_assoc(Post::PERMALINK, None::<Permalink>)
        .clear_assoc(Post::AUTHOR)
        .clear_assoc(Post::USERS);
    let post = repo.insert(empty).await.unwrap();
    assert_eq!((post.comments.get().unwrap(), post.permalink.get()), (&[][..], Ok(None)));
    assert_eq!((post.author.get(), post.users.get().unwrap()), (Ok(None), &[][..]));
    let preloads = (Post::COMMENTS, Post::PERMALINK, Post::AUTHOR, Post::USERS);
    assert_eq!(post, loaded(repo, post.id, preloads).await);
    assert_eq!((comments(repo).await, permalinks(repo).await), (vec![], vec![]));
}

async fn r113_an_upsert_writes_children(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let code = emr::uuid::Uuid::from_u128(7);
    let new = |title: &str, text: &str| {
        new_post(title).set(Post::CODE, code).put_assoc(Post::COMMENTS, vec![new_comment(text)])
    };
    let rename = || OnConflict::replace(Post::TITLE).target(Post::CODE);
    let Upserted::Inserted(first) = repo.upsert(new("first", "1"), rename()).await.unwrap() else { panic!("not new") };
    let Upserted::Updated(second) = repo.upsert(new("second", "2"), rename()).await.unwrap() else { panic!("new") };
    assert_eq!((second.id, second.title.as_str()), (first.id, "second"));
    assert_eq!(second.comments.get().unwrap().len(), 1, "what was written");
    assert_eq!(comments(repo).await, owned(&[("1", Some(first.id)), ("2", Some(first.id))]));
    // A skipped row writes none.
    let skipped = repo.upsert(new("third", "3"), OnConflict::nothing().target(Post::CODE)).await.unwrap();
    assert_eq!(skipped, Upserted::Skipped);
    assert_eq!(comments(repo).await.len(), 2);
    // A child that is refused takes the row with it.
    let refused = new("fourth", "2").put_assoc(Post::COMMENTS, vec![new_comment("2").unique_constraint(Comment::TEXT)]);
    let error = repo.upsert(refused, rename()).await.unwrap_err();
    assert!(error.field_errors().unwrap().has("comments.0.text"), "{error:?}");
    assert_eq!(repo.fetch::<Post>(first.id).await.unwrap().title, "second");
    let many = repo.insert_all([new("x", "4")]).await.unwrap_err();
    assert!(matches!(many.kind(), ErrorKind::InvalidCall { .. }), "{many:?}");
}

async fn children_move_between_owners(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let from = repo.insert(new_post("from").put_assoc(Post::COMMENTS, new_comments(["1", "2"]))).await.unwrap();
    let moved = from.comments.get().unwrap()[0].clone();
    let to = repo.insert(new_post("to").put_assoc(Post::COMMENTS, [&moved])).await.unwrap();
    assert_eq!(comments(repo).await, owned(&[("1", Some(to.id)), ("2", Some(from.id))]));
    assert_eq!(to, loaded(repo, to.id, Post::COMMENTS).await);
    // A row that is twice in the list is a mistake of whoever made the list.
    let twice = repo.update(to.change().put_assoc(Post::COMMENTS, [&moved, &moved])).await.unwrap_err();
    assert_eq!(twice.field_errors().unwrap().get("comments.1.id")[0].code(), "unique");
}

async fn children_are_written_as_at_the_top(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::COMMENTS, new_comments(["1", "2"]))).await.unwrap();
    let [one, two] = post.comments.get().unwrap() else { panic!("{post:?}") };
    assert_eq!((one.inserted_at, one.version), (one.updated_at, 1));
    let prepared = new_comment("3").prepare_changes(|tx, comment| {
        Box::pin(async move {
            let others = tx.count(Comment::query()).await?;
            Ok(comment.set(Comment::TEXT, format!("{others} before")))
        })
    });
    let given = vec![
        one.change().set(Comment::TEXT, "one").optimistic_lock(Comment::VERSION),
        two.change().filter(Comment::PINNED, false),
        prepared,
    ];
    let later = repo.update(post.change().put_assoc(Post::COMMENTS, given)).await.unwrap();
    let [first, second, third] = later.comments.get().unwrap() else { panic!("{later:?}") };
    assert_eq!((first.version, first.inserted_at), (2, one.inserted_at));
    assert!(first.updated_at > one.updated_at);
    assert_eq!((second, third.text.as_str()), (two, "2 before"));
    let rows = repo.all(Comment::query().order_by(Comment::ID.asc())).await.unwrap();
    assert_eq!(later.comments.get().unwrap(), rows);
    // The version of the first one is old now: nothing is written of all.
    let late =
        vec![new_comment("4"), one.change().set(Comment::TEXT, "x").optimistic_lock(Comment::VERSION), two.change()];
    let late = post.change().set(Post::TITLE, "late").put_assoc(Post::COMMENTS, late);
    assert!(repo.update(late).await.unwrap_err().is_stale());
    assert_eq!(repo.count(Comment::query()).await.unwrap(), 3);
    assert_eq!(repo.fetch::<Post>(post.id).await.unwrap().title, "p");
    // The owner's version counts the changes of what belongs to it.
    let counted = later.change().optimistic_lock(Post::VERSION);
    let added = || vec![first.change(), second.change(), third.change(), new_comment("5")];
    let counted = counted.put_assoc(Post::COMMENTS, added());
    assert_eq!(repo.update(counted.clone()).await.unwrap().version, 2);
    assert!(repo.update(counted).await.unwrap_err().is_stale());
    assert_eq!(repo.count(Comment::query()).await.unwrap(), 4);
}

async fn the_filter_of_an_association_is_set_in_new_rows(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let post = repo.insert(new_post("p").put_assoc(Post::PINNED, new_comments(["1", "2"]))).await.unwrap();
    repo.insert(new_comment("3").set(Comment::POST_ID, post.id)).await.unwrap();
    assert_eq!(post, loaded(repo, post.id, Post::PINNED).await);
    assert_eq!(repo.count(Comment::query().filter(Comment::PINNED.eq(true))).await.unwrap(), 2);
}

async fn ten_thousand_children_are_few_statements(db: &Db) {
    create(&db.repo).await;
    let (repo, statements) = db.instrumented().await;
    let many: Vec<_> = (0..10_000).map(|n| new_comment(&n.to_string())).collect();
    let post = repo.insert(new_post("p").put_assoc(Post::COMMENTS, many)).await.unwrap();
    assert!(sent(&statements).len() < 10, "some statements for ten thousand rows");
    let stored = post.comments.get().unwrap();
    assert_eq!((stored.len(), stored[9_999].text.as_str()), (10_000, "9999"));
    let sum = Comment::query().filter(Comment::POST_ID.eq(post.id)).order_by(Comment::ID.asc());
    assert_eq!(repo.all(sum).await.unwrap(), stored);
    sent(&statements);
    let post = repo.update(post.change().clear_assoc(Post::COMMENTS)).await.unwrap();
    assert!(sent(&statements).len() < 30, "some hundred rows for each statement");
    assert_eq!((post.comments.get().unwrap().len(), comments(&repo).await.len()), (0, 0));
}

async fn levels_go_in_together_and_kept_rows_send_nothing(db: &Db) {
    create(&db.repo).await;
    let (repo, statements) = db.instrumented().await;
    let votes = || (0..10).map(|n| Vote::build().set(Vote::VALUE, n)).collect::<Vec<_>>();
    let given: Vec<_> = (0..10).map(|n| new_comment(&n.to_string()).put_assoc(Comment::VOTES, votes())).collect();
    sent(&statements);
    let post = repo.insert(new_post("p").put_assoc(Post::COMMENTS, given)).await.unwrap();
    let noted = sent(&statements);
    let inserts = noted.iter().filter(|one| one.text.contains("INSERT")).count();
    assert_eq!(inserts, 3, "one for each level: {noted:?}");
    assert_eq!(repo.count(Vote::query()).await.unwrap(), 100);
    assert_eq!(post, loaded(&repo, post.id, Post::COMMENTS.then(Comment::VOTES)).await);
    // What is as it was sends nothing, not even the beginning of a transaction.
    sent(&statements);
    let same = post.change().put_assoc(Post::COMMENTS, post.comments.get().unwrap().to_vec());
    assert!(same.is_empty());
    assert_eq!(repo.update(same).await.unwrap(), post);
    assert_eq!(sent(&statements).len(), 0);
}
