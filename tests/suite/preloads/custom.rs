//! Queries and functions in the place of the whole association.

use emr::prelude::*;
use emr::{AssociationKind, OwnerKeys};

use crate::blog::{Comment, Post, User, comment, create, ids, link, permalink, post, tag, tag_with, user};
use crate::harness::Db;

db_cases![
    p20_preload_with_function,
    p21_function_receives_the_association,
    p22_many_to_many_with_function,
    p23_preload_with_query,
    p25_preload_into_a_subquery_source,
    p32_preload_nested_via_custom_query,
    p35_custom_order_overrides_preload_order,
    limit_per_parent_takes_the_first_of_each,
    limit_per_parent_of_many_to_many,
    a_limit_counts_the_rows_of_all_owners,
    a_query_may_join_and_be_distinct,
    filters_narrow_the_association,
];

async fn p20_preload_with_function(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let [p1, p2, p3] = [post(repo, "1", None).await, post(repo, "2", None).await, post(repo, "3", None).await];
    for (text, post) in [("b", Some(&p1)), ("a", Some(&p1)), ("c", Some(&p2)), ("of nobody", None), ("d", Some(&p3))] {
        comment(repo, text, post, None).await;
    }

    let mut posts = vec![p2.clone(), p1.clone(), p1.clone()];
    let (own, expected) = (repo.clone(), vec![p2.id, p1.id]);
    let preload = Post::COMMENTS.with(move |keys: OwnerKeys<i64>| {
        assert_eq!(keys.to_vec(), expected, "each once, in the order of the owners");
        let repo = own.clone();
        // Also those of others and of nobody.
        async move { repo.all(Comment::query().order_by(Comment::TEXT.desc())).await }
    });
    repo.preload(&mut posts, preload.then(Comment::POST)).await.unwrap();

    let texts: Vec<Vec<&str>> = posts
        .iter()
        .map(|post| post.comments.get().unwrap().iter().map(|comment| comment.text.as_str()).collect())
        .collect();
    assert_eq!(texts, [vec!["c"], vec!["b", "a"], vec!["b", "a"]], "in the order of the function");
    assert_eq!(posts[0].comments.get().unwrap()[0].post.get().unwrap().map(|row| row.id), Some(p2.id));

    let mut comments = repo.all(Comment::query().order_by(Comment::ID.asc())).await.unwrap();
    let found = p1.clone();
    let preload = Comment::POST.with(move |_: OwnerKeys<i64>| {
        let found = vec![found.clone()];
        async move { Ok(found) }
    });
    repo.preload(&mut comments, preload).await.unwrap();
    let found: Vec<_> = comments.iter().map(|c| c.post.get().unwrap().map(|row| row.id)).collect();
    assert_eq!(found, [Some(p1.id), Some(p1.id), None, None, None]);
}

async fn p21_function_receives_the_association(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let author = user(repo, "author").await;
    let mut p1 = post(repo, "1", Some(&author)).await;

    let preload = Post::AUTHOR.with(move |keys: OwnerKeys<i64>| {
        let def = keys.association();
        assert_eq!((def.field, def.kind, def.owner_keys), ("author", AssociationKind::BelongsTo, &["author_id"][..]));
        let author = author.clone();
        async move { Ok(vec![author]) }
    });
    repo.preload(&mut p1, preload).await.unwrap();

    assert_eq!(p1.author.get().unwrap().map(|row| row.name.as_str()), Some("author"));

    let mut nobodys = post(repo, "2", None).await;
    let never = Post::AUTHOR.with(|_: OwnerKeys<i64>| async { panic!("there is no key") });
    repo.preload(&mut nobodys, never).await.unwrap();
    assert_eq!(nobodys.author.get(), Ok(None));
    let failing = Post::AUTHOR.force().with(|_: OwnerKeys<String>| async { Ok(Vec::new()) });
    let error = repo.preload(&mut p1, failing).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Decode { .. }), "{error:?}");
    assert_eq!(p1.author.get().unwrap().map(|row| row.name.as_str()), Some("author"), "nothing is lost");
}

async fn p22_many_to_many_with_function(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    let [u1, u2] = [user(repo, "1").await, user(repo, "2").await];

    let mut posts = vec![p1.clone(), p2.clone()];
    let pairs = vec![(p2.id, u1.clone()), (p1.id, u2.clone()), (0, u2.clone()), (p2.id, u2.clone())];
    let preload = Post::USERS.with_pairs(move |_| {
        let pairs = pairs.clone();
        async move { Ok(pairs) }
    });
    repo.preload(&mut posts, preload).await.unwrap();

    assert_eq!(posts[0].users.get(), Ok(&[u2.clone()][..]));
    assert_eq!(posts[1].users.get(), Ok(&[u1.clone(), u2.clone()][..]));
    assert_eq!(repo.all(User::query().order_by(User::ID.asc())).await.unwrap(), [u1, u2]);
    // Rows alone do not say whose they are; with another shape than pairs `with_pairs` does not compile.
    let rows = Post::USERS.force().with(|_: OwnerKeys<i64>| async { Ok(Vec::<User>::new()) });
    let error = repo.preload(&mut posts, rows).await.unwrap_err();
    assert!(error.to_string().contains("with_pairs"), "{error}");
}

async fn p23_preload_with_query(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    let author = user(repo, "author").await;
    for (post, text) in [(&p1, "a"), (&p1, "b"), (&p2, "c"), (&p1, "c")] {
        comment(repo, text, Some(post), Some(&author)).await;
    }
    link(repo, &p1, &[&author]).await;
    let texts = |posts: &[Post]| -> Vec<Vec<String>> {
        let all = |post: &Post| post.comments.get().unwrap().iter().map(|comment| comment.text.clone()).collect();
        posts.iter().map(all).collect()
    };

    let mut nothing = vec![p1.clone(), p2.clone()];
    repo.preload(&mut nothing, Post::COMMENTS.query(Comment::query().filter(Comment::ID.eq(0)))).await.unwrap();
    let mut ordered = vec![p1.clone(), p2.clone()];
    repo.preload(&mut ordered, Post::COMMENTS.query(Comment::query().order_by(Comment::TEXT.desc()))).await.unwrap();
    let mut filtered = vec![p1.clone(), p2.clone()];
    let query = Comment::query().filter(Comment::TEXT.ne("c"));
    repo.preload(&mut filtered, Post::COMMENTS.query(&query).then(Comment::AUTHOR)).await.unwrap();
    let mut linked = vec![p1, p2];
    repo.preload(&mut linked, Post::USERS.query(User::query().filter(User::NAME.eq("nobody")))).await.unwrap();

    assert_eq!(texts(&nothing), [vec![], Vec::<String>::new()]);
    assert_eq!(texts(&ordered), [vec!["c", "b", "a"], vec!["c"]]);
    assert_eq!(texts(&filtered), [vec!["a", "b"], vec![]]);
    let first = &filtered[0].comments.get().unwrap()[0];
    assert_eq!(first.author.get().unwrap().map(|row| row.id), Some(author.id));
    assert_eq!(linked[0].users.get(), Ok(&[][..]));
}

async fn p25_preload_into_a_subquery_source(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    let c1 = comment(repo, "1", Some(&p1), None).await;
    comment(repo, "2", Some(&p2), None).await;

    let inner = Post::query().order_by(Post::ID.asc()).limit(1);
    let posts = repo
        .all(inner.subquery(emr::Alias::<Post>::new("p")).query_as::<Post>().preload(Post::COMMENTS))
        .await
        .unwrap();

    assert_eq!(ids(&posts), [p1.id]);
    assert_eq!(posts[0].comments.get(), Ok(&[c1][..]));
}

async fn p32_preload_nested_via_custom_query(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let p1 = post(repo, "1", None).await;
    let author = user(repo, "author").await;
    let link = permalink(repo, "1", None, Some(&author)).await;
    for text in ["a", "b"] {
        comment(repo, text, Some(&p1), Some(&author)).await;
    }

    let mut p1 = p1;
    let query = Comment::query().order_by(Comment::TEXT.desc()).preload(Comment::AUTHOR);
    let preload = Post::COMMENTS.query(query).then(Comment::AUTHOR.then(User::PERMALINK));
    repo.preload(&mut p1, preload).await.unwrap();

    let comments = p1.comments.get().unwrap();
    assert_eq!((comments[0].text.as_str(), comments[1].text.as_str()), ("b", "a"));
    let found = comments[0].author.get().unwrap().unwrap();
    assert_eq!(found.permalink.get().unwrap().map(|row| row.id), Some(link.id));
}

async fn p35_custom_order_overrides_preload_order(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let p1 = post(repo, "1", None).await;
    for text in ["b", "c", "a"] {
        comment(repo, text, Some(&p1), None).await;
    }
    let texts = |post: &Post| -> Vec<String> {
        post.ordered_comments.get().unwrap().iter().map(|comment| comment.text.clone()).collect()
    };

    let mut post = repo.one(Post::query().preload(Post::ORDERED_COMMENTS)).await.unwrap().unwrap();
    let first = texts(&post);
    let by_id = Post::ORDERED_COMMENTS.query(Comment::query().order_by(Comment::ID.asc()));
    repo.preload(&mut post, by_id.clone()).await.unwrap();
    let kept = texts(&post);
    repo.preload(&mut post, by_id.force()).await.unwrap();

    assert_eq!(first, ["a", "b", "c"]);
    assert_eq!(kept, first);
    assert_eq!(texts(&post), ["b", "c", "a"]);
}

async fn limit_per_parent_takes_the_first_of_each(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let [p1, p2, p3] = [post(repo, "1", None).await, post(repo, "2", None).await, post(repo, "3", None).await];
    let author = user(repo, "author").await;
    for (post, text) in [(&p1, "b"), (&p2, "x"), (&p1, "c"), (&p1, "a"), (&p2, "z"), (&p2, "y"), (&p3, "1")] {
        comment(repo, text, Some(post), Some(&author)).await;
    }
    let texts = |posts: &[Post]| -> Vec<Vec<String>> {
        let all = |post: &Post| post.comments.get().unwrap().iter().map(|comment| comment.text.clone()).collect();
        posts.iter().map(all).collect()
    };

    let mut posts = vec![p2, p1, p3];
    repo.preload(&mut posts, Post::COMMENTS.limit_per_parent(2)).await.unwrap();
    assert_eq!(texts(&posts), [vec!["x", "z"], vec!["b", "c"], vec!["1"]], "by key");

    let latest = Comment::query().filter(Comment::TEXT.ne("z")).order_by(Comment::TEXT.desc());
    repo.preload(&mut posts, Post::COMMENTS.query(latest).limit_per_parent(2).force().then(Comment::AUTHOR))
        .await
        .unwrap();
    assert_eq!(texts(&posts), [vec!["y", "x"], vec!["c", "b"], vec!["1"]]);
    let author_of = |post: &Post| post.comments.get().unwrap()[0].author.get().unwrap().map(|row| row.id);
    assert_eq!(author_of(&posts[0]), Some(author.id));

    repo.preload(&mut posts, Post::COMMENTS.limit_per_parent(0).force()).await.unwrap();
    assert_eq!(texts(&posts), [Vec::<String>::new(), vec![], vec![]]);
}

async fn limit_per_parent_of_many_to_many(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    let [ann, bob, cleo] = [user(repo, "ann").await, user(repo, "bob").await, user(repo, "cleo").await];
    link(repo, &p1, &[&ann, &bob, &cleo]).await;
    link(repo, &p2, &[&bob]).await;
    let [t1, t2, t3] = [tag(repo, "1").await, tag(repo, "2").await, tag(repo, "3").await];
    tag_with(repo, &p1, &[(&t1, 1), (&t2, 3), (&t3, 2)]).await;

    let mut posts = vec![p1, p2];
    let by_name = User::query().order_by(User::NAME.desc().nulls_last());
    repo.preload(&mut posts, (Post::USERS.query(by_name).limit_per_parent(2), Post::TAGS.limit_per_parent(1)))
        .await
        .unwrap();

    assert_eq!(posts[0].users.get(), Ok(&[cleo, bob.clone()][..]));
    assert_eq!(posts[1].users.get(), Ok(&[bob][..]));
    assert_eq!(ids(posts[0].tags.get().unwrap()), [t2.id], "the first by the order of the association");
}

async fn a_limit_counts_the_rows_of_all_owners(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    for (post, text) in [(&p1, "a"), (&p2, "b"), (&p1, "c")] {
        comment(repo, text, Some(post), None).await;
    }

    let mut posts = vec![p1, p2];
    let first = Comment::query().order_by(Comment::TEXT.asc()).limit(1);
    repo.preload(&mut posts, Post::COMMENTS.query(first)).await.unwrap();

    let counts: Vec<_> = posts.iter().map(|post| post.comments.get().unwrap().len()).collect();
    assert_eq!(counts, [1, 0]);
}

async fn a_query_may_join_and_be_distinct(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    let [ann, bob] = [user(repo, "ann").await, user(repo, "bob").await];
    for (post, author) in [(&p1, &bob), (&p1, &ann), (&p2, &ann)] {
        comment(repo, "text", Some(post), Some(author)).await;
    }
    link(repo, &p1, &[&ann, &ann, &bob]).await;

    let mut posts = vec![p1, p2];
    let by_author = Comment::query().join(Comment::AUTHOR).filter(User::NAME.ne("nobody")).order_by(User::NAME.asc());
    let once = User::query().distinct().order_by(User::ID.asc());
    repo.preload(&mut posts, (Post::COMMENTS.query(by_author), Post::USERS.query(once))).await.unwrap();

    let authors: Vec<_> = posts[0].comments.get().unwrap().iter().map(|comment| comment.author_id).collect();
    assert_eq!(authors, [Some(ann.id), Some(bob.id)]);
    assert_eq!(posts[0].users.get(), Ok(&[ann.clone(), bob.clone()][..]));
    // Without it, each link is a row.
    repo.preload(&mut posts, Post::USERS.query(User::query().order_by(User::ID.asc())).force()).await.unwrap();
    assert_eq!(posts[0].users.get(), Ok(&[ann.clone(), ann, bob][..]));
}

async fn filters_narrow_the_association(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let p1 = post(repo, "1", None).await;
    for text in ["long story", "short", "longer story"] {
        comment(repo, text, Some(&p1), None).await;
    }

    let mut p1 = p1;
    let query = Comment::query().filter(Comment::TEXT.contains("er"));
    repo.preload(&mut p1, (Post::LONG_COMMENTS, Post::COMMENTS)).await.unwrap();
    assert_eq!((p1.long_comments.get().unwrap().len(), p1.comments.get().unwrap().len()), (2, 3));
    repo.preload(&mut p1, Post::LONG_COMMENTS.query(query).force()).await.unwrap();
    assert_eq!(p1.long_comments.get().unwrap().len(), 1, "both conditions");
}
