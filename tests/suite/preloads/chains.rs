//! Associations that lead along others.

use emr::prelude::*;

use crate::blog::{Comment, Permalink, Post, User, comment, create, ids, link, permalink, post, tag, tag_with, user};

repo_cases![
    p9_preload_has_many_through,
    p10_preload_has_one_through,
    p11_preload_through_with_nil_association,
    p13_preload_has_many_through_through,
    p14_preload_has_many_through_many_to_many,
    p24_preload_through_with_query,
    preloads_go_on_behind_a_chain,
    a_chain_may_have_a_filtered_step,
];

async fn p9_preload_has_many_through(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    let [u1, u2] = [user(repo, "1").await, user(repo, "2").await];
    for (post, user) in [(&p1, &u1), (&p1, &u1), (&p1, &u2), (&p2, &u2)] {
        comment(repo, "text", Some(post), Some(user)).await;
    }
    comment(repo, "anonymous", Some(&p2), None).await;

    let mut posts = vec![p1, p2];
    repo.preload(&mut posts, Post::COMMENTERS).await.unwrap();

    assert_eq!(posts[0].commenters.get(), Ok(&[u1, u2.clone()][..]), "each once");
    assert_eq!(posts[1].commenters.get(), Ok(&[u2.clone()][..]));
    let comments = posts[1].comments.get().unwrap();
    assert_eq!(comments.len(), 2, "the steps are loaded too");
    assert_eq!(comments[0].author.get().unwrap().map(|row| row.id), Some(u2.id));
    assert_eq!(comments[1].author.get(), Ok(None));
}

async fn p10_preload_has_one_through(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    let link = permalink(repo, "1", Some(&p1), None).await;
    let mut comments = vec![
        comment(repo, "1", Some(&p1), None).await,
        comment(repo, "2", Some(&p1), None).await,
        comment(repo, "3", Some(&p2), None).await,
    ];

    repo.preload(&mut comments, Comment::POST_PERMALINK).await.unwrap();

    let found: Vec<_> = comments.iter().map(|c| c.post_permalink.get().unwrap().map(|row| row.id)).collect();
    assert_eq!(found, [Some(link.id), Some(link.id), None]);
    assert_eq!(comments[0].post.get().unwrap().map(|row| row.id), Some(p1.id));
}

async fn p11_preload_through_with_nil_association(repo: &impl Repo) {
    create(repo).await;
    let mut comment = comment(repo, "1", None, None).await;

    for _ in 0..2 {
        repo.preload(&mut comment, Comment::POST_PERMALINK).await.unwrap();
        assert_eq!((comment.post.get(), comment.post_permalink.get()), (Ok(None), Ok(None)));
    }
    // Beside one that has both, it is still nobody's.
    let p1 = post(repo, "1", None).await;
    let link = permalink(repo, "1", Some(&p1), None).await;
    let mut both = vec![comment, self::comment(repo, "2", Some(&p1), None).await];
    repo.preload(&mut both, Comment::POST_PERMALINK.force()).await.unwrap();
    assert_eq!(both[0].post_permalink.get(), Ok(None));
    assert_eq!(both[1].post_permalink.get().unwrap().map(|row| row.id), Some(link.id));
}

async fn p13_preload_has_many_through_through(repo: &impl Repo) {
    create(repo).await;
    let [u1, u2] = [user(repo, "1").await, user(repo, "2").await];
    let p1 = post(repo, "1", Some(&u1)).await;
    let l1 = permalink(repo, "1", None, Some(&u1)).await;
    let l2 = permalink(repo, "2", Some(&p1), Some(&u2)).await;
    for user in [&u1, &u2, &u1] {
        comment(repo, "text", Some(&p1), Some(user)).await;
    }

    // The first step is a chain,
    let mut leading = p1.clone();
    repo.preload(&mut leading, Post::COMMENTER_PERMALINKS).await.unwrap();
    // the last step is one,
    let mut trailing = l2.clone();
    repo.preload(&mut trailing, Permalink::POST_COMMENTERS).await.unwrap();
    // and both at once.
    let mut author = u1.clone();
    repo.preload(&mut author, (User::READERS, User::COMMENTED_PERMALINKS)).await.unwrap();

    assert_eq!(ids(leading.commenter_permalinks.get().unwrap()), [l1.id, l2.id]);
    assert_eq!(ids(leading.commenters.get().unwrap()), [u1.id, u2.id], "the steps are loaded too");
    assert_eq!(ids(trailing.post_commenters.get().unwrap()), [u1.id, u2.id]);
    assert!(trailing.post.get().unwrap().unwrap().comments.is_loaded());
    assert_eq!(ids(author.readers.get().unwrap()), [u1.id, u2.id]);
    assert_eq!(ids(author.commented_posts.get().unwrap()), [p1.id]);
    assert_eq!(ids(author.commented_permalinks.get().unwrap()), [l2.id]);
}

async fn p14_preload_has_many_through_many_to_many(repo: &impl Repo) {
    create(repo).await;
    let [u1, u2] = [user(repo, "1").await, user(repo, "2").await];
    let [p1, p2] = [post(repo, "1", Some(&u1)).await, post(repo, "2", Some(&u1)).await];
    link(repo, &p1, &[&u1, &u2]).await;
    link(repo, &p2, &[&u2]).await;
    let c1 = comment(repo, "1", None, Some(&u1)).await;
    let c2 = comment(repo, "2", None, Some(&u2)).await;
    let [t1, t2] = [tag(repo, "1").await, tag(repo, "2").await];
    tag_with(repo, &p1, &[(&t1, 2), (&t2, 1)]).await;
    tag_with(repo, &p2, &[(&t2, 1)]).await;

    let mut users = vec![u1.clone(), u2];
    repo.preload(&mut users, (User::COMMENTS_OF_USERS, User::TAGS)).await.unwrap();

    let mut found = ids(users[0].comments_of_users.get().unwrap());
    found.sort_unstable();
    assert_eq!(found, [c1.id, c2.id]);
    assert_eq!(ids(users[0].tags.get().unwrap()), [t1.id, t2.id]);
    assert_eq!((users[1].comments_of_users.get(), users[1].tags.get()), (Ok(&[][..]), Ok(&[][..])));
}

async fn p24_preload_through_with_query(repo: &impl Repo) {
    create(repo).await;
    let [ann, bob, cleo] = [user(repo, "ann").await, user(repo, "bob").await, user(repo, "cleo").await];
    let p1 = post(repo, "1", None).await;
    for author in [&cleo, &ann, &bob] {
        comment(repo, "text", Some(&p1), Some(author)).await;
    }

    let mut narrowed = p1.clone();
    let query = User::query().filter(User::NAME.ne("ann")).order_by(User::NAME.asc());
    repo.preload(&mut narrowed, Post::COMMENTERS.query(query)).await.unwrap();
    let mut none = p1.clone();
    repo.preload(&mut none, Post::COMMENTERS.query(User::query().filter(User::ID.eq(0)))).await.unwrap();

    assert_eq!(ids(narrowed.commenters.get().unwrap()), [cleo.id, bob.id], "in the order of the steps");
    assert_eq!(narrowed.comments.get().unwrap().len(), 3, "the query is the last step's");
    assert_eq!(none.commenters.get(), Ok(&[][..]));
}

async fn preloads_go_on_behind_a_chain(repo: &impl Repo) {
    create(repo).await;
    let author = user(repo, "author").await;
    let link = permalink(repo, "1", None, Some(&author)).await;
    let p1 = post(repo, "1", Some(&author)).await;
    comment(repo, "1", Some(&p1), Some(&author)).await;

    let mut posts = vec![p1.clone(), p1];
    let preloads = (Post::COMMENTERS.then((User::PERMALINK, User::COMMENTS)), Post::AUTHOR_PERMALINK);
    repo.preload(&mut posts, preloads).await.unwrap();

    for post in &posts {
        let commenters = post.commenters.get().unwrap();
        assert_eq!(commenters[0].permalink.get().unwrap().map(|row| row.id), Some(link.id));
        assert_eq!(commenters[0].comments.get().unwrap().len(), 1);
        assert_eq!(post.author_permalink.get().unwrap().map(|row| row.id), Some(link.id));
    }
}

async fn a_chain_may_have_a_filtered_step(repo: &impl Repo) {
    create(repo).await;
    let [u1, u2] = [user(repo, "1").await, user(repo, "2").await];
    let p1 = post(repo, "1", Some(&u1)).await;
    comment(repo, "long story", Some(&p1), Some(&u2)).await;
    comment(repo, "short", Some(&p1), Some(&u1)).await;

    let mut author = u1;
    repo.preload(&mut author, User::LONG_COMMENTERS).await.unwrap();

    assert_eq!(ids(author.long_commenters.get().unwrap()), [u2.id]);
}
