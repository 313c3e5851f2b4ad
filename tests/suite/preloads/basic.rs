//! One association, several, and one below the other.

use std::sync::Arc;

use emr::prelude::*;

use crate::blog::{Comment, Post, User, comment, create, ids, link, permalink, post, tag, tag_with, user};

repo_cases![
    p2_preload_has_many,
    p3_preload_has_many_multiple_times,
    p4_preload_has_one,
    p5_preload_belongs_to,
    p6_preload_multiple_belongs_to,
    p7_preload_belongs_to_with_shared_parent,
    p8_sq26_preload_many_to_many,
    p12_missing_rows_pass_through,
    p15_preload_empty,
    p16_p17_p18_p19_preload_with_no_associated_entries,
    p30_preload_many_assocs,
    p31_preload_nested,
    p33_p34_custom_preload_order,
    p42_preload_in_queries,
    rows_of_one_slice_vec_and_option,
];

async fn p2_preload_has_many(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2, p3] = [post(repo, "1", None).await, post(repo, "2", None).await, post(repo, "3", None).await];
    let c1 = comment(repo, "1", Some(&p1), None).await;
    let c2 = comment(repo, "2", Some(&p1), None).await;
    let c3 = comment(repo, "3", Some(&p2), None).await;
    comment(repo, "of nobody", None, None).await;

    let mut posts = vec![p3.clone(), p1.clone(), p2.clone()];
    repo.preload(&mut posts, Post::COMMENTS).await.unwrap();

    assert_eq!(ids(&posts), [p3.id, p1.id, p2.id], "the order of the input");
    assert_eq!(posts[0].comments.get(), Ok(&[][..]));
    assert_eq!(posts[1].comments.get(), Ok(&[c1, c2][..]));
    assert_eq!(posts[2].comments.get(), Ok(&[c3][..]));
    assert!(!posts[1].users.is_loaded() && !posts[1].author.is_loaded());
}

async fn p3_preload_has_many_multiple_times(repo: &impl Repo) {
    create(repo).await;
    let p1 = post(repo, "1", None).await;
    let c1 = comment(repo, "1", Some(&p1), None).await;
    let c2 = comment(repo, "2", Some(&p1), None).await;

    let mut posts = vec![p1.clone(), p1.clone()];
    repo.preload(&mut posts, (Post::COMMENTS, Post::COMMENTS)).await.unwrap();
    repo.preload(&mut posts, Post::COMMENTS).await.unwrap();

    for post in &posts {
        assert_eq!(post.comments.get(), Ok(&[c1.clone(), c2.clone()][..]));
    }
}

async fn p4_preload_has_one(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    let first = permalink(repo, "first", Some(&p1), None).await;
    permalink(repo, "second", Some(&p1), None).await;

    let mut posts = vec![p2, p1];
    repo.preload(&mut posts, Post::PERMALINK).await.unwrap();

    assert_eq!(posts[0].permalink.get(), Ok(None));
    assert_eq!(posts[1].permalink.get().unwrap().map(|row| &**row), Some(&first), "the first of several by key");
}

async fn p5_preload_belongs_to(repo: &impl Repo) {
    create(repo).await;
    let author = user(repo, "author").await;
    let mut posts = vec![post(repo, "1", Some(&author)).await, post(repo, "2", None).await];

    repo.preload(&mut posts, Post::AUTHOR).await.unwrap();

    assert_eq!(posts[0].author.get().unwrap().map(|row| &**row), Some(&author));
    assert_eq!(posts[1].author.get(), Ok(None));
}

async fn p6_preload_multiple_belongs_to(repo: &impl Repo) {
    create(repo).await;
    let author = user(repo, "author").await;
    let p1 = post(repo, "1", None).await;
    let mut comment = comment(repo, "1", Some(&p1), Some(&author)).await;

    repo.preload(&mut comment, (Comment::POST, Comment::AUTHOR)).await.unwrap();

    assert_eq!(comment.post.get().unwrap().map(|row| row.id), Some(p1.id));
    assert_eq!(comment.author.get().unwrap().map(|row| row.id), Some(author.id));
}

async fn p7_preload_belongs_to_with_shared_parent(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    let mut comments = vec![
        comment(repo, "1", Some(&p1), None).await,
        comment(repo, "2", Some(&p1), None).await,
        comment(repo, "3", Some(&p2), None).await,
    ];

    repo.preload(&mut comments, Comment::POST).await.unwrap();

    let posts: Vec<_> = comments.iter().map(|comment| comment.post.get().unwrap().unwrap()).collect();
    assert_eq!((posts[0].id, posts[2].id), (p1.id, p2.id));
    assert!(Arc::ptr_eq(posts[0], posts[1]), "one row for both");
}

async fn p8_sq26_preload_many_to_many(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2, p3] = [post(repo, "1", None).await, post(repo, "2", None).await, post(repo, "3", None).await];
    let [u1, u2, u3] = [user(repo, "1").await, user(repo, "2").await, user(repo, "3").await];
    link(repo, &p1, &[&u1, &u2]).await;
    link(repo, &p2, &[&u2, &u3]).await;
    let [t1, t2] = [tag(repo, "1").await, tag(repo, "2").await];
    tag_with(repo, &p3, &[(&t1, 1), (&t2, 2)]).await;

    let mut posts = vec![p3, p2, p1];
    repo.preload(&mut posts, (Post::USERS.query(User::query().order_by(User::ID.asc())), Post::TAGS)).await.unwrap();

    assert_eq!(posts[0].users.get(), Ok(&[][..]));
    assert_eq!(posts[1].users.get(), Ok(&[u2.clone(), u3][..]));
    assert_eq!(posts[2].users.get(), Ok(&[u1, u2][..]));
    assert_eq!(posts[0].tags.get(), Ok(&[t2, t1][..]));
    assert_eq!(posts[1].tags.get(), Ok(&[][..]));
}

async fn p12_missing_rows_pass_through(repo: &impl Repo) {
    create(repo).await;
    let p1 = post(repo, "1", None).await;
    let c1 = comment(repo, "1", Some(&p1), None).await;

    let mut posts = vec![None, Some(p1), None];
    repo.preload(&mut posts, (Post::COMMENTS, Post::COMMENTERS)).await.unwrap();

    assert!(posts[0].is_none() && posts[2].is_none());
    assert_eq!(ids(posts[1].as_ref().unwrap().comments.get().unwrap()), [c1.id]);
    let mut nobody: Option<Post> = None;
    repo.preload(&mut nobody, Post::COMMENTS).await.unwrap();
    assert_eq!(nobody, None);
}

async fn p15_preload_empty(repo: &impl Repo) {
    // There are no tables, so a statement would fail.
    let mut nothing: Vec<Post> = Vec::new();
    repo.preload(&mut nothing, (Post::COMMENTS, Post::COMMENTERS)).await.unwrap();
    let mut unsaved = Post { id: 1, title: String::new(), ..empty() };
    repo.preload(&mut unsaved, Vec::<emr::Preloads<Post>>::new()).await.unwrap();
    assert!(!unsaved.comments.is_loaded());
}

async fn p16_p17_p18_p19_preload_with_no_associated_entries(repo: &impl Repo) {
    create(repo).await;
    let author = user(repo, "gone").await;
    let mut p1 = post(repo, "1", Some(&author)).await;
    repo.delete(&author).await.unwrap();

    repo.preload(&mut p1, (Post::COMMENTS, Post::PERMALINK, Post::AUTHOR, Post::USERS)).await.unwrap();

    assert_eq!(p1.comments.get(), Ok(&[][..]));
    assert_eq!(p1.permalink.get(), Ok(None));
    assert_eq!(p1.author.get(), Ok(None));
    assert_eq!(p1.users.get(), Ok(&[][..]));
    assert_eq!((p1.title.as_str(), p1.author_id), ("1", Some(author.id)), "its own fields stay");
}

async fn p30_preload_many_assocs(repo: &impl Repo) {
    create(repo).await;
    let mut p1 = post(repo, "1", None).await;

    repo.preload(&mut p1, (Post::COMMENTS, Post::LONG_COMMENTS)).await.unwrap();

    assert_eq!((p1.comments.get(), p1.long_comments.get()), (Ok(&[][..]), Ok(&[][..])));
    let reply = comment(repo, "reply", Some(&p1), None).await;
    repo.preload(&mut p1, (Post::COMMENTS.force(), Post::LONG_COMMENTS.force())).await.unwrap();
    assert_eq!(ids(p1.comments.get().unwrap()), [reply.id]);
    assert_eq!(p1.long_comments.get(), Ok(&[][..]));
}

async fn p31_preload_nested(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    for (post, text) in [(&p1, "1"), (&p1, "2"), (&p2, "3"), (&p2, "4")] {
        comment(repo, text, Some(post), None).await;
    }

    let mut posts = vec![p2.clone(), p1.clone()];
    repo.preload(&mut posts, Post::COMMENTS.then((Comment::POST, Comment::AUTHOR))).await.unwrap();

    for (post, expected) in posts.iter().zip([&p2, &p1]) {
        let comments = post.comments.get().unwrap();
        assert_eq!(comments.len(), 2);
        for comment in comments {
            assert_eq!(comment.post.get().unwrap().map(|row| &**row), Some(expected));
            assert_eq!(comment.author.get(), Ok(None));
        }
    }
}

async fn p33_p34_custom_preload_order(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    for (post, text) in [(&p1, "c"), (&p1, "a"), (&p2, "z"), (&p1, "b"), (&p2, "y")] {
        comment(repo, text, Some(post), None).await;
    }
    let [ann, bob, cleo] = [user(repo, "ann").await, user(repo, "bob").await, user(repo, "cleo").await];
    link(repo, &p1, &[&bob, &ann, &cleo]).await;
    let [t1, t2, t3] = [tag(repo, "1").await, tag(repo, "2").await, tag(repo, "3").await];
    tag_with(repo, &p1, &[(&t1, 2), (&t2, 3), (&t3, 1)]).await;
    tag_with(repo, &p2, &[(&t1, 1), (&t3, 2)]).await;

    let mut posts = vec![p1, p2];
    repo.preload(&mut posts, (Post::ORDERED_COMMENTS, Post::ORDERED_USERS, Post::TAGS)).await.unwrap();

    let texts = |post: &Post| -> Vec<String> {
        post.ordered_comments.get().unwrap().iter().map(|comment| comment.text.clone()).collect()
    };
    assert_eq!(
        (texts(&posts[0]), texts(&posts[1])),
        (vec!["a".into(), "b".into(), "c".into()], vec!["y".into(), "z".into()])
    );
    let names: Vec<_> = posts[0].ordered_users.get().unwrap().iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["cleo", "bob", "ann"]);
    // By a column of the join table, for each owner.
    assert_eq!(ids(posts[0].tags.get().unwrap()), [t2.id, t1.id, t3.id]);
    assert_eq!(ids(posts[1].tags.get().unwrap()), [t3.id, t1.id]);
}

async fn p42_preload_in_queries(repo: &impl Repo) {
    create(repo).await;
    let author = user(repo, "author").await;
    let p1 = post(repo, "1", Some(&author)).await;
    let c1 = comment(repo, "1", Some(&p1), Some(&author)).await;

    let query = Post::query().preload(Post::COMMENTS.then(Comment::AUTHOR)).preload(Post::AUTHOR);
    let all = repo.all(&query).await.unwrap();
    let one = repo.one(&query).await.unwrap().unwrap();
    let preloads = emr::IntoPreload::<Post>::into_preload((Post::COMMENTS.then(Comment::AUTHOR), Post::AUTHOR));
    let interpolated = repo.all(Post::query().preload(preloads)).await.unwrap();
    let wrapped = repo.all(Post::query().preload(Post::COMMENTS).select((Post::ID, Post::row()))).await.unwrap();
    let absent = repo.one(Post::query().filter(Post::ID.eq(0)).preload(Post::COMMENTS)).await.unwrap();

    for post in all.iter().chain([&one]).chain(&interpolated) {
        let comments = post.comments.get().unwrap();
        assert_eq!(ids(comments), [c1.id]);
        assert_eq!(comments[0].author.get().unwrap().map(|row| row.id), Some(author.id));
        assert_eq!(post.author.get().unwrap().map(|row| row.id), Some(author.id));
    }
    assert_eq!(wrapped[0].0, p1.id);
    assert_eq!(wrapped[0].1.comments.get(), Ok(&[c1][..]));
    assert_eq!(absent, None);
    assert_eq!(repo.count(&query).await.unwrap(), 1, "a count has no rows to fill");
}

async fn rows_of_one_slice_vec_and_option(repo: &impl Repo) {
    create(repo).await;
    let p1 = post(repo, "1", None).await;
    comment(repo, "1", Some(&p1), None).await;
    let is_loaded = |post: &Post| post.comments.get().is_ok_and(|comments| comments.len() == 1);

    let mut one = p1.clone();
    repo.preload(&mut one, Post::COMMENTS).await.unwrap();
    let mut option = Some(p1.clone());
    repo.preload(&mut option, Post::COMMENTS).await.unwrap();
    let mut list = [p1.clone(), p1.clone()];
    repo.preload(&mut list[1..], Post::COMMENTS).await.unwrap();
    let mut array = [p1.clone()];
    repo.preload(&mut array[..], Post::COMMENTS).await.unwrap();
    let mut refs = vec![&mut array[0]];
    repo.preload(&mut refs, Post::COMMENTS.force()).await.unwrap();

    assert!(is_loaded(&one) && is_loaded(option.as_ref().unwrap()) && is_loaded(&array[0]));
    assert!(!list[0].comments.is_loaded() && is_loaded(&list[1]));
}

fn empty() -> Post {
    Post {
        id: 0,
        title: String::new(),
        author_id: None,
        author: BelongsTo::default(),
        comments: HasMany::default(),
        long_comments: HasMany::default(),
        ordered_comments: HasMany::default(),
        permalink: HasOne::default(),
        users: ManyToMany::default(),
        ordered_users: ManyToMany::default(),
        tags: ManyToMany::default(),
        commenters: HasMany::default(),
        commenter_permalinks: HasMany::default(),
        author_permalink: HasOne::default(),
    }
}
