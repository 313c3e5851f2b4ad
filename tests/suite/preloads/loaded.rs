//! What is loaded already, and how many statements it takes.

use std::sync::Arc;

use emr::prelude::*;
use emr::test::Instrument;

use crate::blog::{Comment, Permalink, Post, User, comment, create, ids, link, permalink, post, user};
use crate::harness::{Backend, Db, sent};

db_cases![
    p39_loaded_without_key,
    p40_preload_skips_already_loaded_one,
    p41_preload_skips_already_loaded_many,
    one_statement_per_association_and_level,
    shared_rows_are_loaded_on_and_shared_again,
    a_row_that_others_hold_is_loaded_anew,
    a_failed_preload_gives_back_what_was_loaded,
    a_dropped_preload_gives_back_what_was_loaded,
    preloads_in_a_transaction_see_its_rows,
    streams_preload_in_chunks,
];

async fn p39_loaded_without_key(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let author = Arc::new(user(repo, "author").await);
    let mut p1 = post(repo, "1", None).await;

    p1.author = BelongsTo::loaded(Some(Arc::clone(&author)));
    repo.preload(&mut p1, Post::AUTHOR).await.unwrap();
    assert_eq!(p1.author.get(), Ok(Some(&author)), "kept");
    repo.preload(&mut p1, Post::AUTHOR.then(User::POSTS)).await.unwrap();
    assert_eq!(p1.author.get(), Ok(Some(&author)));
    repo.preload(&mut p1, Post::AUTHOR.force()).await.unwrap();
    assert_eq!(p1.author.get(), Ok(None));
    // With the key, what is loaded is what the database holds.
    let mut p2 = post(repo, "2", Some(&author)).await;
    repo.preload(&mut p2, Post::AUTHOR.force()).await.unwrap();
    assert_eq!(p2.author.get(), Ok(Some(&author)));
}

async fn p40_preload_skips_already_loaded_one(db: &Db) {
    let (repo, instrument) = db.instrumented().await;
    create(&repo).await;
    let author = user(&repo, "author").await;
    let link = permalink(&repo, "1", None, Some(&author)).await;
    let mut p1 = post(&repo, "1", Some(&author)).await;
    repo.preload(&mut p1, Post::AUTHOR).await.unwrap();
    repo.update(author.change().set(User::NAME, "renamed")).await.unwrap();
    instrument.clear();
    let name = |post: &Post| post.author.get().unwrap().unwrap().name.clone();

    repo.preload(&mut p1, Post::AUTHOR).await.unwrap();
    assert_eq!((name(&p1).as_str(), sent(&instrument).len()), ("author", 0));

    repo.preload(&mut p1, Post::AUTHOR.then(User::PERMALINK)).await.unwrap();
    let found = p1.author.get().unwrap().unwrap();
    assert_eq!(found.permalink.get().unwrap().map(|row| row.id), Some(link.id));
    assert_eq!((name(&p1).as_str(), sent(&instrument).len()), ("author", 1), "only the nested one");

    repo.preload(&mut p1, Post::AUTHOR.force()).await.unwrap();
    assert_eq!((name(&p1).as_str(), sent(&instrument).len()), ("renamed", 1));
    assert!(!p1.author.get().unwrap().unwrap().permalink.is_loaded(), "what was nested in it went with it");
}

async fn p41_preload_skips_already_loaded_many(db: &Db) {
    let (repo, instrument) = db.instrumented().await;
    create(&repo).await;
    let author = user(&repo, "author").await;
    let [p1, p2] = [post(&repo, "1", None).await, post(&repo, "2", None).await];
    let c1 = comment(&repo, "1", Some(&p1), Some(&author)).await;
    let c2 = comment(&repo, "2", Some(&p2), None).await;
    let mut posts = vec![p1, p2];
    repo.preload(&mut posts[..1], Post::COMMENTS).await.unwrap();
    repo.update(c1.change().set(Comment::TEXT, "changed")).await.unwrap();
    instrument.clear();
    let text = |posts: &[Post]| posts[0].comments.get().unwrap()[0].text.clone();

    repo.preload(&mut posts, Post::COMMENTS.then(Comment::AUTHOR)).await.unwrap();
    assert_eq!(text(&posts), "1");
    assert_eq!(ids(posts[1].comments.get().unwrap()), [c2.id]);
    let found = posts[0].comments.get().unwrap()[0].author.get().unwrap();
    assert_eq!(found.map(|row| row.id), Some(author.id));
    let noted = sent(&instrument);
    assert_eq!(noted.len(), 2, "{noted:?}");
    assert_eq!(noted[0].params.len(), 1, "only the key that was not loaded: {noted:?}");

    repo.preload(&mut posts, Post::COMMENTS.force()).await.unwrap();
    assert_eq!((text(&posts).as_str(), sent(&instrument).len()), ("changed", 1));
    assert!(!posts[0].comments.get().unwrap()[0].author.is_loaded());
}

async fn one_statement_per_association_and_level(db: &Db) {
    let (repo, instrument) = db.instrumented().await;
    create(&repo).await;
    let author = user(&repo, "author").await;
    permalink(&repo, "1", None, Some(&author)).await;
    for title in ["1", "2", "3"] {
        let post = post(&repo, title, Some(&author)).await;
        link(&repo, &post, &[&author]).await;
        for text in ["1", "2"] {
            comment(&repo, text, Some(&post), Some(&author)).await;
        }
    }
    instrument.clear();

    let query = Post::query()
        .preload((
            Post::COMMENTS.then(Comment::AUTHOR.then(User::PERMALINK)),
            Post::AUTHOR,
            Post::USERS.then(User::COMMENTS),
        ))
        .preload(Post::COMMENTS.then(Comment::POST));
    let posts = repo.all(&query).await.unwrap();
    let noted = sent(&instrument);

    assert_eq!(posts.len(), 3);
    // The posts; comments, author, users; of the comments author and post, of the users comments; permalink.
    assert_eq!(noted.len(), 1 + 3 + 3 + 1, "{noted:#?}");
    let of_authors = noted.iter().filter(|one| one.text.contains("FROM \"blog_users\"") && !one.text.contains("JOIN"));
    for one in of_authors {
        let keys = if db.backend == Backend::Postgres { "an array of 1 i64".to_owned() } else { author_key(&author) };
        assert_eq!(one.params[0], keys, "each key once: {one}");
    }

    // A chain costs as much as its steps, and what is loaded costs nothing.
    let mut posts = posts;
    repo.preload(&mut posts, Post::COMMENTERS).await.unwrap();
    assert_eq!(sent(&instrument).len(), 0);
    let mut author = author;
    repo.preload(&mut author, User::READERS).await.unwrap();
    assert_eq!(sent(&instrument).len(), 3);
    repo.preload(&mut author, User::READERS).await.unwrap();
    assert_eq!(sent(&instrument).len(), 0);
}

fn author_key(author: &User) -> String {
    format!("i64 {}", author.id)
}

async fn shared_rows_are_loaded_on_and_shared_again(db: &Db) {
    let (repo, instrument) = db.instrumented().await;
    create(&repo).await;
    let author = user(&repo, "author").await;
    let mut posts = vec![
        post(&repo, "1", Some(&author)).await,
        post(&repo, "2", Some(&author)).await,
        post(&repo, "3", None).await,
    ];
    repo.preload(&mut posts, Post::AUTHOR).await.unwrap();
    instrument.clear();

    repo.preload(&mut posts, Post::AUTHOR.then(User::POSTS)).await.unwrap();

    assert_eq!(sent(&instrument).len(), 1, "the author is not fetched again");
    let [a, b] = [0, 1].map(|n| posts[n].author.get().unwrap().unwrap());
    assert!(Arc::ptr_eq(a, b));
    assert_eq!(a.posts.get().unwrap().len(), 2);
    assert_eq!(posts[2].author.get(), Ok(None));
}

async fn a_row_that_others_hold_is_loaded_anew(db: &Db) {
    let (repo, instrument) = db.instrumented().await;
    create(&repo).await;
    let author = user(&repo, "author").await;
    let mut p1 = post(&repo, "1", Some(&author)).await;
    repo.preload(&mut p1, Post::AUTHOR).await.unwrap();
    let held = Arc::clone(p1.author.get().unwrap().unwrap());
    instrument.clear();

    repo.preload(&mut p1, Post::AUTHOR.then(User::POSTS)).await.unwrap();

    assert_eq!(sent(&instrument).len(), 2);
    assert!(!held.posts.is_loaded(), "what others hold does not change");
    assert_eq!(p1.author.get().unwrap().unwrap().posts.get().unwrap().len(), 1);
}

async fn a_failed_preload_gives_back_what_was_loaded(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let author = user(repo, "author").await;
    let p1 = post(repo, "1", Some(&author)).await;
    comment(repo, "1", Some(&p1), Some(&author)).await;
    let mut posts = vec![p1.clone(), p1];
    repo.preload(&mut posts, (Post::AUTHOR, Post::COMMENTS)).await.unwrap();
    let before = posts.clone();
    repo.drop_table::<Permalink>().await.unwrap();

    let preloads = (Post::AUTHOR.then(User::PERMALINK), Post::COMMENTS.then(Comment::AUTHOR));
    let error = repo.preload(&mut posts, preloads).await.unwrap_err();

    assert!(matches!(error.kind(), ErrorKind::Database { .. }), "{error:?}");
    assert_eq!(posts, before);
    assert!(posts[0].author.is_loaded() && posts[1].comments.is_loaded());
}

async fn a_dropped_preload_gives_back_what_was_loaded(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let author = user(repo, "author").await;
    let p1 = post(repo, "1", Some(&author)).await;
    comment(repo, "1", Some(&p1), Some(&author)).await;
    let mut posts = vec![p1.clone(), p1];
    repo.preload(&mut posts, (Post::AUTHOR, Post::COMMENTS)).await.unwrap();
    let before = posts.clone();

    let never = Comment::AUTHOR.with(|_: emr::OwnerKeys<i64>| std::future::pending());
    let preloads = (Post::AUTHOR.then(User::PERMALINK), Post::COMMENTS.then(never));
    let soon = std::time::Duration::from_millis(200);
    tokio::time::timeout(soon, repo.preload(&mut posts, preloads)).await.unwrap_err();

    assert_eq!(posts, before);
}

async fn preloads_in_a_transaction_see_its_rows(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let tx = repo.begin().await.unwrap();
    let mut p1 = post(&tx, "1", None).await;
    comment(&tx, "1", Some(&p1), None).await;

    tx.preload(&mut p1, (Post::COMMENTS, Post::USERS)).await.unwrap();
    assert_eq!(p1.comments.get().unwrap().len(), 1);
    tx.rollback().await.unwrap();
    repo.preload(&mut p1, Post::COMMENTS.force()).await.unwrap();
    assert_eq!(p1.comments.get(), Ok(&[][..]));
}

async fn streams_preload_in_chunks(db: &Db) {
    use futures_util::TryStreamExt;
    // One connection: the preloads of a stream must not wait for another one.
    let instrument = Instrument::new();
    let repo = emr::open(db.options().pool_size(1).layer(instrument.clone())).await.unwrap();
    create(&repo).await;
    let author = user(&repo, "author").await;
    let posts: Vec<_> =
        (0..1_200).map(|n| Post::build().set(Post::TITLE, format!("{n}")).set(Post::AUTHOR_ID, author.id)).collect();
    repo.insert_all(posts).await.unwrap();
    let query = Post::query().order_by(Post::ID.asc()).preload((Post::AUTHOR.then(User::PERMALINK), Post::COMMENTS));
    let whole = |posts: &[Post]| {
        assert_eq!(posts.len(), 1_200);
        for post in posts {
            let found = post.author.get().unwrap().unwrap();
            assert_eq!((found.id, found.permalink.get(), post.comments.get()), (author.id, Ok(None), Ok(&[][..])));
        }
    };
    instrument.clear();

    whole(&repo.stream(&query).try_collect::<Vec<_>>().await.unwrap());
    let noted = sent(&instrument);
    let preloads = noted.iter().filter(|one| one.text.contains(&db.backend.sql("\"blog_comments\""))).count();
    assert_eq!(preloads, 3, "1,200 rows in chunks of 500: {noted:#?}");
    let tx = repo.begin().await.unwrap();
    whole(&tx.stream(&query).try_collect::<Vec<_>>().await.unwrap());
    tx.commit().await.unwrap();
    let checkout = repo.checkout().await.unwrap();
    whole(&checkout.stream(&query).try_collect::<Vec<_>>().await.unwrap());
    assert_eq!(checkout.count(Post::query()).await.unwrap(), 1_200);
    drop(checkout);
    // Dropped half way, the connection is there for others.
    let mut stream = repo.stream(&query);
    assert!(stream.try_next().await.unwrap().unwrap().author.is_loaded());
    drop(stream);
    assert_eq!(repo.count(Post::query()).await.unwrap(), 1_200);
}
