//! Preloads that make no sense, and those that only look so.

use emr::prelude::*;

use crate::blog::{Comment, Post, User, comment, create, post};
use crate::harness::{Db, assert_unsupported_in_part};

db_cases![
    a_struct_without_the_key_column,
    two_queries_for_one_association,
    queries_that_cannot_be_narrowed,
    a_lock_needs_a_transaction,
    a_preload_in_a_subquery,
    chains_that_lead_in_circles,
    a_cyclic_graph_is_loaded_as_deep_as_asked,
];

/// Posts without the columns that others meet them by.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_comments")]
struct BareComment {
    id: i64,
    text: String,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_posts")]
struct Article {
    id: i64,
    #[emr(has_many(key = "post_id"))]
    comments: HasMany<BareComment>,
    #[emr(has_many(key = "post_id"))]
    whole: HasMany<Comment>,
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, word: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    assert!(error.to_string().contains(word), "{error}");
}

async fn a_struct_without_the_key_column(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let p1 = post(repo, "1", None).await;
    comment(repo, "1", Some(&p1), None).await;
    let mut article = repo.fetch::<Article>(p1.id).await.unwrap();

    refused(repo.preload(&mut article, Article::COMMENTS).await, "post_id");
    repo.preload(&mut article, Article::WHOLE).await.unwrap();

    assert_eq!(article.whole.get().unwrap().len(), 1);
    refused(repo.all(Article::query().preload(Article::COMMENTS)).await, "BareComment");
}

async fn two_queries_for_one_association(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let mut p1 = post(repo, "1", None).await;
    let a = Comment::query().filter(Comment::TEXT.eq("a"));
    let b = Comment::query().filter(Comment::TEXT.eq("b"));

    refused(repo.preload(&mut p1, (Post::COMMENTS.query(&a), Post::COMMENTS.query(&b))).await, "two queries");
    refused(repo.preload(&mut p1, Post::COMMENTS.query(&a).query(&b)).await, "two queries");
    let function = |_: emr::OwnerKeys<i64>| async { Ok(Vec::new()) };
    refused(repo.preload(&mut p1, (Post::COMMENTS.query(&a), Post::COMMENTS.with(function))).await, "two queries");
    let limits = (Post::COMMENTS.limit_per_parent(1), Post::COMMENTS.limit_per_parent(2));
    refused(repo.preload(&mut p1, limits).await, "two limits");
    assert!(!p1.comments.is_loaded());
    // The same query twice is one.
    repo.preload(&mut p1, (Post::COMMENTS.query(&a), Post::COMMENTS.query(&a).then(Comment::AUTHOR), Post::COMMENTS))
        .await
        .unwrap();
    assert_eq!(p1.comments.get(), Ok(&[][..]));
}

async fn queries_that_cannot_be_narrowed(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let mut p1 = post(repo, "1", None).await;

    let union = Comment::query().union(Comment::query());
    refused(repo.preload(&mut p1, Post::COMMENTS.query(union)).await, "of several");
    let limited = Post::COMMENTS.query(Comment::query().limit(3)).limit_per_parent(1);
    refused(repo.preload(&mut p1, limited).await, "limit_per_parent");
    let chain = Post::COMMENTERS.limit_per_parent(1);
    refused(repo.preload(&mut p1, chain).await, "chain");
    let grouped = Post::USERS.query(User::query().group_by(User::ID));
    refused(repo.preload(&mut p1, grouped).await, "groups");
    let joined = Comment::query().left_join(Comment::AUTHOR).preload_joined(Comment::AUTHOR);
    refused(repo.preload(&mut p1, Post::COMMENTS.query(joined)).await, "preload_joined");
}

async fn a_lock_needs_a_transaction(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let mut p1 = post(repo, "1", None).await;
    comment(repo, "1", Some(&p1), None).await;
    let locked = || Post::COMMENTS.query(Comment::query().lock(Lock::UPDATE));

    refused(repo.preload(&mut p1, locked()).await, "transaction");
    let tx = repo.begin().await.unwrap();
    refused(tx.preload(&mut p1, locked().limit_per_parent(1)).await, "lock");
    match tx.preload(&mut p1, locked()).await {
        Ok(()) => assert_eq!(p1.comments.get().unwrap().len(), 1),
        Err(error) => assert_unsupported_in_part(&error),
    }
    tx.rollback().await.unwrap();
}

async fn a_preload_in_a_subquery(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let inner = || Post::query().preload(Post::COMMENTS);

    let source = inner().subquery(emr::Alias::<Post>::new("p")).query_as::<Post>();
    refused(repo.all(source).await, "preload in the outermost");
    refused(repo.all(Comment::query().join(inner().on(Post::ID.eq(Comment::POST_ID)))).await, "outermost");
    refused(repo.all(Comment::query().filter(emr::exists(inner()))).await, "outermost");
    let ids = Comment::query().preload(Comment::AUTHOR).select(Comment::POST_ID);
    refused(repo.all(Post::query().filter(Post::ID.expr().in_query(ids))).await, "outermost");
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "loops")]
struct Loop {
    id: i64,
    next_id: Option<i64>,
    #[emr(belongs_to)]
    next: BelongsTo<Loop>,
    // Leads to the same association of the next one, and so on for ever.
    #[emr(has_many(through(next, all)))]
    all: HasMany<Loop>,
}

async fn chains_that_lead_in_circles(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Loop>().await.unwrap();
    let mut first = repo.insert(Loop::build()).await.unwrap();
    repo.update(first.change().set(Loop::NEXT_ID, first.id)).await.unwrap();
    first = repo.fetch(first.id).await.unwrap();

    refused(repo.preload(&mut first, Loop::ALL).await, "circles");
}

async fn a_cyclic_graph_is_loaded_as_deep_as_asked(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let p1 = post(repo, "1", None).await;
    comment(repo, "1", Some(&p1), None).await;

    let mut p1 = p1;
    let around = Post::COMMENTS.then(Comment::POST.then(Post::COMMENTS.then(Comment::POST)));
    repo.preload(&mut p1, around).await.unwrap();

    let inner = p1.comments.get().unwrap()[0].post.get().unwrap().unwrap();
    let innermost = inner.comments.get().unwrap()[0].post.get().unwrap().unwrap();
    assert_eq!(innermost.id, p1.id);
    assert!(!innermost.comments.is_loaded());
}
