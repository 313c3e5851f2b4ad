//! Queries inside queries.

use emr::prelude::*;
use emr::{Alias, Operator, Quantifier, col, exists, selected};

use super::blog::{Article, Author, Comment, Permalink, Tag, blog};

repo_cases![
    s30_from_with_select_source,
    s31_from_with_a_computed_boolean,
    s34_from_with_limited_rows,
    s35_from_with_parameters,
    s36_s37_join_with_select_source_and_parameters,
    s38_in_order_by,
    s39_in_distinct,
    s40_in_group_by,
    in_a_query,
    exists_with_columns_of_the_query_around,
    scalar_values_of_queries,
    comparisons_with_any_and_all,
    a_subquery_of_the_same_table,
    lateral_joins,
    a_lock_in_a_subquery_is_refused,
    nested_three_deep,
];

async fn s30_from_with_select_source(repo: &impl Repo) {
    blog(repo).await;
    let inner = Article::query().filter(Article::VISITS.ge(20));
    let recent = Alias::<Article>::new("recent");
    let whole = inner.clone().subquery(recent).query_as::<Article>().order_by(Article::ID.desc());
    let found = repo.all(&whole).await.unwrap();
    assert_eq!(found.iter().map(|article| article.id).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(found[1].author_id, Some(2));

    let titles = whole.filter(recent.col(Article::VISITS).lt(25)).select(recent.col(Article::TITLE));
    assert_eq!(repo.all(titles).await.unwrap(), ["two"]);
}

async fn s31_from_with_a_computed_boolean(repo: &impl Repo) {
    blog(repo).await;
    let inner = Article::query().select((Article::ID.named("id"), Article::VISITS.gt(15).named("popular")));
    let rows = Alias::<()>::new("rows");
    let query = inner
        .subquery(rows)
        .query()
        .filter(rows.named_col::<bool>("popular"))
        .order_by(rows.named_col::<i64>("id").asc())
        .select((rows.named_col::<i64>("id"), rows.named_col::<bool>("popular")));
    assert_eq!(repo.all(query).await.unwrap(), [(2, true), (3, true)]);
}

async fn s34_from_with_limited_rows(repo: &impl Repo) {
    blog(repo).await;
    let inner = Article::query().order_by(Article::VISITS.desc()).limit(2);
    let top = Alias::<Article>::new("top");
    assert_eq!(repo.count(inner.clone().subquery(top).query_as::<Article>()).await.unwrap(), 2);
    let query = inner.subquery(top).query_as::<Article>().order_by(Article::VISITS.asc()).limit(1);
    assert_eq!(repo.one(query).await.unwrap().unwrap().title, "two");
}

async fn s35_from_with_parameters(repo: &impl Repo) {
    blog(repo).await;
    let inner = Article::query().filter(Article::VISITS.gt(5)).filter(Article::TITLE.ne("three"));
    let query = inner
        .subquery(Alias::<Article>::new("inner"))
        .query_as::<Article>()
        .filter(Article::VISITS.lt(15))
        .select((1_i64, Article::TITLE, Article::VISITS + 2));
    assert_eq!(repo.all(query).await.unwrap(), [(1, "one".to_owned(), 12)]);
}

async fn s36_s37_join_with_select_source_and_parameters(repo: &impl Repo) {
    blog(repo).await;
    let links = Permalink::alias("links");
    let inner = Permalink::query().filter(Permalink::URL.eq("/one")).order_by(Permalink::ID.asc());
    let query = Article::query()
        .filter(Article::VISITS.le(20))
        .join(inner.subquery(links))
        .order_by(Article::ID.asc())
        .select((Article::ID, links.col(Permalink::URL)));
    assert_eq!(repo.all(query).await.unwrap(), [(1, "/one".to_owned()), (2, "/one".to_owned())]);
}

async fn s38_in_order_by(repo: &impl Repo) {
    blog(repo).await;
    let linked = exists(Permalink::query().filter(Permalink::ARTICLE_ID.eq(Article::ID)));
    let query = Article::query().order_by([linked.clone().asc(), Article::ID.asc()]).select(Article::ID);
    assert_eq!(repo.all(query).await.unwrap(), [2, 3, 1]);
    let query = Article::query().order_by([linked.desc(), Article::ID.desc()]).select(Article::ID);
    assert_eq!(repo.all(query).await.unwrap(), [1, 3, 2]);
}

async fn s39_in_distinct(repo: &impl Repo) {
    blog(repo).await;
    let linked = exists(Permalink::query().filter(Permalink::ARTICLE_ID.eq(Article::ID)));
    let query = Article::query().distinct_on(linked.asc()).order_by(Article::ID.asc()).select(Article::ID);
    match repo.all(query).await {
        Ok(found) => assert_eq!(found, [2, 1]),
        Err(error) => crate::harness::assert_unsupported(&error),
    }
}

async fn s40_in_group_by(repo: &impl Repo) {
    blog(repo).await;
    let linked = exists(Permalink::query().filter(Permalink::ARTICLE_ID.eq(Article::ID)));
    let query = Article::query()
        .group_by(selected::<bool>("linked"))
        .order_by(selected::<bool>("linked").asc())
        .select((linked.named("linked"), emr::fragment("max(?)").arg(Article::ID).typed::<i64>()));
    assert_eq!(repo.all(query).await.unwrap(), [(false, 3), (true, 1)]);
}

async fn in_a_query(repo: &impl Repo) {
    blog(repo).await;
    let commented = Comment::query().filter(Comment::TEXT.ne("hm")).select(Comment::ARTICLE_ID);
    let query = Article::query().filter(Article::ID.in_query(commented)).select(Article::TITLE);
    assert_eq!(repo.all(query).await.unwrap(), ["one"]);

    let linked = Permalink::query().filter(Permalink::ARTICLE_ID.is_not_null()).select(Permalink::ARTICLE_ID);
    let query = Article::query().filter(Article::ID.not_in_query(linked)).order_by(Article::ID.asc());
    assert_eq!(repo.all(query.select(Article::ID)).await.unwrap(), [2, 3]);
}

async fn exists_with_columns_of_the_query_around(repo: &impl Repo) {
    blog(repo).await;
    let has_comment = exists(Comment::query().filter(Comment::ARTICLE_ID.eq(Article::ID)));
    let query = Article::query().filter(!has_comment).select(Article::TITLE);
    assert_eq!(repo.all(query).await.unwrap(), ["three"]);
}

async fn scalar_values_of_queries(repo: &impl Repo) {
    blog(repo).await;
    let author = Author::query().filter(Author::ID.eq(Article::AUTHOR_ID)).select(Author::NAME).scalar();
    let query = Article::query().order_by(Article::ID.asc()).select((Article::ID, author.optional()));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found, [(1, Some("ada".to_owned())), (2, Some("bob".to_owned())), (3, None)]);

    let most = Article::query().order_by(Article::VISITS.desc()).limit(1).select(Article::VISITS).scalar();
    let query = Article::query().filter(Article::VISITS.eq(most)).select(Article::TITLE);
    assert_eq!(repo.all(query).await.unwrap(), ["three"]);
}

async fn comparisons_with_any_and_all(repo: &impl Repo) {
    blog(repo).await;
    let others = Article::query().filter(Article::ID.lt(3)).select(Article::VISITS);
    let greatest = Article::VISITS.expr().compare_with(Operator::Gt, Quantifier::All, &others);
    let some = Article::VISITS.expr().compare_with(Operator::Gt, Quantifier::Any, &others);
    match repo.all(Article::query().filter(greatest).select(Article::ID)).await {
        Ok(found) => {
            assert_eq!(found, [3]);
            let query = Article::query().filter(some).order_by(Article::ID.asc()).select(Article::ID);
            assert_eq!(repo.all(query).await.unwrap(), [2, 3]);
        }
        Err(error) => crate::harness::assert_unsupported(&error),
    }
}

async fn a_subquery_of_the_same_table(repo: &impl Repo) {
    blog(repo).await;
    // Articles with more visits than some other one, by a name for the inner one.
    let other = Article::alias("other");
    let less = exists(other.query().filter(other.col(Article::VISITS).lt(Article::VISITS.outer())));
    let query = Article::query().filter(less).order_by(Article::ID.asc()).select(Article::ID);
    assert_eq!(repo.all(query).await.unwrap(), [2, 3]);
    // And without one.
    let less = exists(Article::query().filter(Article::VISITS.lt(Article::VISITS.outer())));
    let query = Article::query().filter(less).order_by(Article::ID.asc()).select(Article::ID);
    assert_eq!(repo.all(query).await.unwrap(), [2, 3]);
}

async fn lateral_joins(repo: &impl Repo) {
    blog(repo).await;
    let last = Comment::alias("last");
    let newest = Comment::query()
        .filter(Comment::ARTICLE_ID.eq(Article::ID))
        .order_by(Comment::ID.desc())
        .limit(1)
        .subquery(last)
        .lateral();
    let query = Article::query()
        .left_join(newest)
        .order_by(Article::ID.asc())
        .select((Article::ID, last.col(Comment::TEXT).optional()));
    match repo.all(query).await {
        Ok(found) => assert_eq!(found, [(1, Some("no".to_owned())), (2, Some("hm".to_owned())), (3, None)]),
        Err(error) => crate::harness::assert_unsupported(&error),
    }
}

async fn a_lock_in_a_subquery_is_refused(repo: &impl Repo) {
    blog(repo).await;
    let locked = Comment::query().lock(Lock::UPDATE).select(Comment::ARTICLE_ID);
    let error = repo.all(Article::query().filter(Article::ID.in_query(locked.clone()))).await.unwrap_err();
    match error.kind() {
        ErrorKind::InvalidCall { .. } => {}
        _ => crate::harness::assert_unsupported(&error),
    }
}

async fn nested_three_deep(repo: &impl Repo) {
    blog(repo).await;
    let tagged = emr::table("article_tags")
        .query()
        .filter(col::<i64>("tag_id").in_query(Tag::query().filter(Tag::LABEL.eq("rust")).select(Tag::ID)))
        .select(col::<i64>("article_id"));
    let commented = Comment::query().filter(Comment::ARTICLE_ID.in_query(tagged)).select(Comment::AUTHOR_ID);
    let query = Author::query().filter(Author::ID.in_query(commented)).order_by(Author::ID.asc()).select(Author::NAME);
    assert_eq!(repo.all(query).await.unwrap(), ["ada", "bob"]);
}
