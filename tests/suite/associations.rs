//! Queries of associated rows, and new rows that belong to one.

use emr::prelude::*;

use crate::blog::{
    Comment, Permalink, Post, Tag, User, comment, create, ids, like, link, permalink, post, tag, tag_with, user,
};

repo_cases![
    a1_has_many_assoc,
    a2_has_one_assoc,
    a3_belongs_to_assoc,
    a4_a8_has_many_through_assoc,
    a5_through_through_leading,
    a6_through_through_trailing,
    a7_through_has_many_many_to_many_has_many,
    a9_through_two_many_to_many,
    a10_has_many_through_with_filter,
    a11_many_to_many_assoc,
    an_assoc_query_is_narrowed_as_any_other,
    composite_keys_lead_to_rows,
    build_assoc_sets_the_foreign_key,
    slots_can_be_reset,
    an_assoc_that_cannot_be_is_the_error_of_the_call,
];

/// The ids of the rows, sorted.
async fn found<T: Syncable>(repo: &impl Repo, query: emr::Query<T>) -> Vec<i64> {
    let mut found = ids(&repo.all(query).await.unwrap());
    found.sort_unstable();
    found
}

async fn a1_has_many_assoc(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    let c1 = comment(repo, "1", Some(&p1), None).await;
    let c2 = comment(repo, "2", Some(&p1), None).await;
    let c3 = comment(repo, "3", Some(&p2), None).await;
    comment(repo, "4", None, None).await;

    assert_eq!(found(repo, p1.assoc(Post::COMMENTS)).await, [c1.id, c2.id]);
    assert_eq!(found(repo, [p1.clone(), p2.clone()].as_slice().assoc(Post::COMMENTS)).await, [c1.id, c2.id, c3.id]);
    assert_eq!(found(repo, vec![p2].assoc(Post::COMMENTS)).await, [c3.id]);
    assert_eq!(found(repo, Vec::<Post>::new().assoc(Post::COMMENTS)).await, [0_i64; 0]);
}

async fn a2_has_one_assoc(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    let l1 = permalink(repo, "1", Some(&p1), None).await;
    permalink(repo, "2", None, None).await;
    let l3 = permalink(repo, "3", Some(&p2), None).await;

    assert_eq!(found(repo, vec![p1.clone(), p2].assoc(Post::PERMALINK)).await, [l1.id, l3.id]);
    assert_eq!(repo.one(p1.assoc(Post::PERMALINK)).await.unwrap(), Some(l1));
}

async fn a3_belongs_to_assoc(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    let links = vec![
        permalink(repo, "1", Some(&p1), None).await,
        permalink(repo, "2", None, None).await,
        permalink(repo, "3", Some(&p2), None).await,
    ];

    assert_eq!(found(repo, links.assoc(Permalink::POST)).await, [p1.id, p2.id]);
    assert_eq!(found(repo, links[1].assoc(Permalink::POST)).await, [0_i64; 0]);
}

async fn a4_a8_has_many_through_assoc(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    let [u1, u2, u3] = [user(repo, "1").await, user(repo, "2").await, user(repo, "3").await];
    for (post, user) in [(&p1, &u1), (&p1, &u1), (&p1, &u2), (&p2, &u2)] {
        comment(repo, "text", Some(post), Some(user)).await;
    }
    comment(repo, "of nobody", None, Some(&u3)).await;
    let l2 = permalink(repo, "2", None, Some(&u2)).await;

    assert_eq!(found(repo, vec![p1.clone(), p2.clone()].assoc(Post::COMMENTERS)).await, [u1.id, u2.id], "each once");
    assert_eq!(found(repo, p2.assoc(Post::COMMENTERS)).await, [u2.id]);
    // The same along a path that nobody declared,
    assert_eq!(found(repo, p1.assoc(Post::COMMENTS.chain(Comment::AUTHOR))).await, [u1.id, u2.id]);
    // and one through a chain.
    let path = Post::COMMENTS.chain(Comment::POST).chain(Post::COMMENTERS).chain(User::PERMALINK);
    assert_eq!(found(repo, p1.assoc(path)).await, [l2.id]);
}

async fn a5_through_through_leading(repo: &impl Repo) {
    create(repo).await;
    let [u1, u2] = [user(repo, "1").await, user(repo, "2").await];
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    comment(repo, "1", Some(&p1), Some(&u1)).await;
    comment(repo, "2", Some(&p1), Some(&u2)).await;
    comment(repo, "3", Some(&p2), Some(&u2)).await;
    let l1 = permalink(repo, "1", None, Some(&u1)).await;
    let l2 = permalink(repo, "2", None, Some(&u2)).await;

    assert_eq!(found(repo, p1.assoc(Post::COMMENTER_PERMALINKS)).await, [l1.id, l2.id]);
    assert_eq!(found(repo, p2.assoc(Post::COMMENTER_PERMALINKS)).await, [l2.id]);
}

async fn a6_through_through_trailing(repo: &impl Repo) {
    create(repo).await;
    let [u1, u2] = [user(repo, "1").await, user(repo, "2").await];
    let p1 = post(repo, "1", None).await;
    let l1 = permalink(repo, "1", Some(&p1), None).await;
    let l2 = permalink(repo, "2", None, None).await;
    for user in [&u1, &u2, &u1] {
        comment(repo, "text", Some(&p1), Some(user)).await;
    }

    assert_eq!(found(repo, l1.assoc(Permalink::POST_COMMENTERS)).await, [u1.id, u2.id]);
    assert_eq!(found(repo, l2.assoc(Permalink::POST_COMMENTERS)).await, [0_i64; 0]);
}

async fn a7_through_has_many_many_to_many_has_many(repo: &impl Repo) {
    create(repo).await;
    let [u1, u2, u3] = [user(repo, "1").await, user(repo, "2").await, user(repo, "3").await];
    let [p1, p2] = [post(repo, "1", Some(&u1)).await, post(repo, "2", Some(&u3)).await];
    link(repo, &p1, &[&u1, &u2]).await;
    link(repo, &p2, &[&u3]).await;
    let mut own = Vec::new();
    for author in [&u1, &u2, &u3] {
        own.push(comment(repo, "text", None, Some(author)).await.id);
    }

    assert_eq!(found(repo, u1.assoc(User::COMMENTS_OF_USERS)).await, own[..2]);
    assert_eq!(found(repo, vec![u1, u3].assoc(User::COMMENTS_OF_USERS)).await, own);
    assert_eq!(found(repo, u2.assoc(User::COMMENTS_OF_USERS)).await, [0_i64; 0]);
}

async fn a9_through_two_many_to_many(repo: &impl Repo) {
    create(repo).await;
    let [u1, u2] = [user(repo, "1").await, user(repo, "2").await];
    let [p1, p2, p3] = [post(repo, "1", Some(&u1)).await, post(repo, "2", None).await, post(repo, "3", None).await];
    link(repo, &p1, &[&u2]).await;
    like(repo, &u2, &[&p2, &p3]).await;
    like(repo, &u1, &[&p1]).await;
    let [t1, t2] = [tag(repo, "1").await, tag(repo, "2").await];
    tag_with(repo, &p1, &[(&t1, 1)]).await;
    tag_with(repo, &p2, &[(&t1, 1), (&t2, 2)]).await;

    // Over two plain join tables,
    assert_eq!(found(repo, u1.assoc(User::TAGGED_OF_USERS)).await, [p2.id, p3.id]);
    // and one that is a schema.
    let path = Post::USERS.chain(User::TAGGED).chain(Post::TAGS);
    assert_eq!(found::<Tag>(repo, p1.assoc(path)).await, [t1.id, t2.id]);
}

async fn a10_has_many_through_with_filter(repo: &impl Repo) {
    create(repo).await;
    let [u1, u2, u3] = [user(repo, "1").await, user(repo, "2").await, user(repo, "3").await];
    let p1 = post(repo, "1", Some(&u1)).await;
    comment(repo, "long story", Some(&p1), Some(&u2)).await;
    comment(repo, "short", Some(&p1), Some(&u3)).await;

    assert_eq!(found(repo, u1.assoc(User::LONG_COMMENTERS)).await, [u2.id]);
    assert_eq!(found(repo, p1.assoc(Post::LONG_COMMENTS.chain(Comment::AUTHOR))).await, [u2.id]);
    assert_eq!(repo.count(p1.assoc(Post::LONG_COMMENTS)).await.unwrap(), 1);
}

async fn a11_many_to_many_assoc(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2, p3] = [post(repo, "1", None).await, post(repo, "2", None).await, post(repo, "3", None).await];
    let [u1, u2] = [user(repo, "1").await, user(repo, "2").await];
    link(repo, &p1, &[&u1, &u2]).await;
    link(repo, &p2, &[&u2]).await;

    assert_eq!(found(repo, p1.assoc(Post::USERS)).await, [u1.id, u2.id]);
    assert_eq!(found(repo, p3.assoc(Post::USERS)).await, [0_i64; 0]);
    assert_eq!(found(repo, vec![p1, p2].assoc(Post::USERS)).await, [u1.id, u2.id, u2.id], "once for each link");
}

async fn an_assoc_query_is_narrowed_as_any_other(repo: &impl Repo) {
    create(repo).await;
    let author = user(repo, "author").await;
    let [p1, p2] = [post(repo, "1", Some(&author)).await, post(repo, "2", Some(&author)).await];
    for (text, post) in [("b", &p1), ("a", &p1), ("c", &p2)] {
        comment(repo, text, Some(post), Some(&author)).await;
    }

    let query = p1.assoc(Post::COMMENTS).filter(Comment::TEXT.ne("b")).preload(Comment::AUTHOR);
    let narrowed = repo.all(query).await.unwrap();
    let first = repo.all(author.assoc(User::COMMENTS).order_by(Comment::TEXT.desc()).limit(1)).await.unwrap();
    let again = repo.all(first.assoc(Comment::POST)).await.unwrap();
    let changed = repo.update_all(p1.assoc(Post::COMMENTS).set(Comment::TEXT, "all")).await.unwrap();
    let deleted = repo.delete_all(author.assoc(User::POSTS.chain(Post::COMMENTS))).await.unwrap();

    assert_eq!(narrowed.len(), 1);
    assert_eq!(narrowed[0].author.get().unwrap().map(|row| row.id), Some(author.id));
    assert_eq!((first[0].text.as_str(), ids(&again)), ("c", vec![p2.id]));
    assert_eq!((changed, deleted), (2, 3));
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "boxes")]
struct Box2 {
    #[emr(primary_key)]
    row: i64,
    #[emr(primary_key)]
    name: String,
    #[emr(has_many(key("row", "box")))]
    things: HasMany<Thing>,
    #[emr(many_to_many(
        table = "box_links",
        owner_key("a_row", "a_name"),
        related_key("b_row", "b_name"),
        related_references("row", "name")
    ))]
    linked: ManyToMany<Box2>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "things")]
struct Thing {
    id: i64,
    row: i64,
    #[emr(column = "box")]
    case: String,
    #[emr(belongs_to(key("row", "box")))]
    place: BelongsTo<Box2>,
}

async fn composite_keys_lead_to_rows(repo: &impl Repo) {
    repo.create_table::<Box2>().await.unwrap();
    repo.create_table::<Thing>().await.unwrap();
    repo.script(
        "CREATE TABLE box_links (a_row BIGINT, a_name TEXT, b_row BIGINT, b_name TEXT); \
         INSERT INTO box_links VALUES (1, 'a', 2, 'b'), (2, 'b', 1, 'a')",
    )
    .await
    .unwrap();
    let case =
        |row, name: &str| Box2 { row, name: name.into(), things: HasMany::default(), linked: ManyToMany::default() };
    let [a, b, c] = [case(1, "a"), case(2, "b"), case(1, "b")];
    repo.insert_all(vec![a.clone(), b.clone(), c.clone()]).await.unwrap();
    let mut things = Vec::new();
    for (row, name) in [(1, "a"), (2, "b"), (1, "b"), (2, "a")] {
        things.push(repo.insert(Thing::build().set(Thing::ROW, row).set(Thing::CASE, name)).await.unwrap());
    }

    assert_eq!(found(repo, vec![a.clone(), b.clone()].assoc(Box2::THINGS)).await, [things[0].id, things[1].id]);
    assert_eq!(repo.all(things.assoc(Thing::PLACE)).await.unwrap().len(), 3);
    assert_eq!(found(repo, a.assoc(Box2::LINKED.chain(Box2::THINGS))).await, [things[1].id]);
    let around = a.assoc(Box2::LINKED.chain(Box2::LINKED).chain(Box2::THINGS).chain(Thing::PLACE));
    assert_eq!(repo.all(around).await.unwrap(), [a]);
    assert_eq!(found(repo, c.assoc(Box2::LINKED.chain(Box2::THINGS))).await, [0_i64; 0]);
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_comments")]
struct Note {
    id: i64,
    text: String,
    post_id: i64,
    author_id: Option<i64>,
}

impl Note {
    fn anonymous() -> Expr<bool> {
        Note::TEXT.eq("draft").and(Note::AUTHOR_ID.is_null()).and(Note::ID.gt(0))
    }
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_posts")]
struct Article {
    id: i64,
    title: String,
    author_id: Option<i64>,
    #[emr(has_many(key = "post_id", filter = Note::anonymous))]
    notes: HasMany<Note>,
    #[emr(has_many(key = "author_id", references = "author_id"))]
    by_author: HasMany<Note>,
}

async fn build_assoc_sets_the_foreign_key(repo: &impl Repo) {
    create(repo).await;
    let p1 = post(repo, "1", None).await;
    let article = repo.fetch::<Article>(p1.id).await.unwrap();

    let comment = repo.insert(p1.build_assoc(Post::COMMENTS).unwrap().set(Comment::TEXT, "mine")).await.unwrap();
    let link = repo.insert(p1.build_assoc(Post::PERMALINK).unwrap().set(Permalink::URL, "/1")).await.unwrap();
    let note = repo.insert(article.build_assoc(Article::NOTES).unwrap()).await.unwrap();
    let author = repo.insert(p1.build_assoc(Post::AUTHOR).unwrap().set(User::NAME, "author")).await.unwrap();
    let reader = repo.insert(p1.build_assoc(Post::USERS).unwrap().set(User::NAME, "reader")).await.unwrap();

    assert_eq!((comment.post_id, comment.text.as_str(), link.post_id), (Some(p1.id), "mine", Some(p1.id)));
    assert_eq!((note.post_id, note.text.as_str(), note.author_id), (p1.id, "draft", None), "what the filter demands");
    assert_eq!((author.name.as_str(), reader.name.as_str()), ("author", "reader"));
    for error in [
        p1.build_assoc(Post::COMMENTERS).map(drop).unwrap_err(),
        article.build_assoc(Article::BY_AUTHOR).map(drop).unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    }
}

async fn slots_can_be_reset(repo: &impl Repo) {
    create(repo).await;
    let author = user(repo, "author").await;
    let mut p1 = post(repo, "1", Some(&author)).await;
    repo.preload(&mut p1, (Post::AUTHOR, Post::COMMENTS)).await.unwrap();
    assert!(p1.author.is_loaded() && p1.comments.is_loaded());

    p1.author.reset();
    p1.comments.reset();

    assert!(!p1.author.is_loaded() && !p1.comments.is_loaded());
    assert_eq!((p1.author.get(), p1.comments.get()), (Err(emr::NotLoaded), Err(emr::NotLoaded)));
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_posts")]
struct Torn {
    id: i64,
    #[emr(has_many(key = "no_such_column"))]
    comments: HasMany<Comment>,
}

async fn an_assoc_that_cannot_be_is_the_error_of_the_call(repo: &impl Repo) {
    create(repo).await;
    let p1 = post(repo, "1", None).await;
    let torn = repo.fetch::<Torn>(p1.id).await.unwrap();

    for error in [
        repo.all(torn.assoc(Torn::COMMENTS)).await.unwrap_err(),
        repo.count(torn.assoc(Torn::COMMENTS.chain(Comment::AUTHOR))).await.unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
        assert!(error.to_string().contains("no_such_column"), "{error}");
    }
}
