//! Joins of every kind.

use emr::prelude::*;
use emr::{Expr, JoinKind, col, fragment, table};

use super::blog::{Article, Author, Comment, Permalink, Tag, Vote, blog, pair};
use crate::harness::{assert_unsupported, backend};
repo_cases![
    j3_joins,
    j4_joins_with_queries,
    j5_named_joins,
    j6_joins_with_conditions_made_at_run_time,
    j7_cross_joins_with_missing_entries,
    j8_left_joins_with_missing_entries,
    j9_left_join_with_missing_entries_from_a_subquery,
    j10_right_joins_with_missing_entries,
    full_joins_keep_both_sides,
    j11_joins_of_fragments_that_have_a_schema,
    j12_has_many_join,
    j13_has_one_join,
    j14_belongs_to_join,
    j15_has_many_through_join,
    j17_many_to_many_join,
    association_filters_hold_in_joins,
    j29_association_with_composite_pk_join,
    self_joins_by_alias,
    an_association_of_an_alias,
    schemaless_joins,
    a_source_that_is_not_there,
    joins_can_be_taken_away,
    bind_order_follows_the_text,
];

async fn j3_joins(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query().join(Article::PERMALINK).order_by(Article::ID.asc());
    let urls = repo.all(query.clone().select((Article::TITLE, Permalink::URL))).await.unwrap();
    assert_eq!(urls, [pair("one", "/one")]);

    let with_more = Article::query().join(Article::COMMENTS.on(Comment::TEXT.eq("no")));
    let texts = repo.all(with_more.select((Article::TITLE, Comment::TEXT))).await.unwrap();
    assert_eq!(texts, [pair("one", "no")]);

    let explicit = Article::query()
        .join(Comment::on(Comment::ARTICLE_ID.eq(Article::ID)))
        .filter(Comment::ID.ge(2))
        .order_by(Comment::ID.asc())
        .select((Article::TITLE, Comment::TEXT));
    assert_eq!(repo.all(explicit).await.unwrap(), [pair("one", "no"), pair("two", "hm")]);
}

async fn j4_joins_with_queries(repo: &impl Repo) {
    blog(repo).await;
    let pinned = Comment::query().filter(Comment::PINNED.eq(true)).filter(Comment::TEXT.ne("none"));
    let query = Article::query()
        .left_join(pinned.on(Comment::ARTICLE_ID.eq(Article::ID)))
        .filter(Article::VISITS.lt(30))
        .order_by(Article::ID.asc())
        .select((Article::TITLE, Comment::TEXT.optional()));
    // The filter is a part of the condition: an article without a pinned comment stays.
    let sql = repo.to_sql(&query).unwrap().0;
    assert!(!sql.contains("(SELECT"), "{sql}");
    let found = repo.all(query).await.unwrap();
    assert_eq!(found, [("one".to_owned(), Some("yes".to_owned())), ("two".to_owned(), None)]);
}

async fn j5_named_joins(repo: &impl Repo) {
    blog(repo).await;
    let writer = Author::alias("writer");
    let critic = Author::alias("critic");
    let query = Article::query()
        .join(Article::AUTHOR.alias(writer))
        .join(Article::COMMENTS)
        .join(Comment::AUTHOR.alias(critic))
        .order_by(Comment::ID.asc())
        .select((writer.col(Author::NAME), critic.col(Author::NAME)));
    assert_eq!(repo.all(query).await.unwrap(), [pair("ada", "bob"), pair("ada", "ada")]);
}

async fn j6_joins_with_conditions_made_at_run_time(repo: &impl Repo) {
    blog(repo).await;
    let by = |author: Option<i64>| {
        let mut on: Vec<Expr<bool>> = vec![Comment::ARTICLE_ID.eq(Article::ID)];
        on.extend(author.map(|id| Comment::AUTHOR_ID.eq(id)));
        Article::query().join(Comment::on(Expr::all(on))).order_by(Comment::ID.asc()).select(Comment::TEXT)
    };
    assert_eq!(repo.all(by(None)).await.unwrap(), ["yes", "no", "hm"]);
    assert_eq!(repo.all(by(Some(2))).await.unwrap(), ["yes"]);
}

async fn j7_cross_joins_with_missing_entries(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .cross_join(Tag::alias("tag"))
        .order_by([Article::ID.asc(), Tag::ID.asc()])
        .select((Article::ID, Tag::LABEL));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found.len(), 9);
    assert_eq!(found[3], (2, "rust".to_owned()));
    repo.delete_all(Tag::query()).await.unwrap();
    let none = Article::query().cross_join(Tag::alias("tag")).select((Article::row(), Tag::row()));
    assert_eq!(repo.all(none).await.unwrap(), []);
}

async fn j8_left_joins_with_missing_entries(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .left_join(Article::PERMALINK)
        .order_by(Article::ID.asc())
        .select((Article::row(), Permalink::row().optional()));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(found[0].0.title, "one");
    assert_eq!(found[0].1.as_ref().unwrap().url, "/one");
    assert_eq!((found[1].0.id, &found[1].1), (2, &None));
    assert_eq!((found[2].0.id, &found[2].1), (3, &None));

    // What may be missing must be read as something that may be missing.
    let query = Article::query().left_join(Article::PERMALINK).select(Permalink::URL);
    let error = repo.all(query).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Decode { .. }), "{error}");
}

async fn j9_left_join_with_missing_entries_from_a_subquery(repo: &impl Repo) {
    blog(repo).await;
    let links = Permalink::alias("links");
    let query = Article::query()
        .left_join(Permalink::query().limit(10).subquery(links).on(links.col(Permalink::ARTICLE_ID).eq(Article::ID)))
        .order_by(Article::ID.asc())
        .select((Article::ID, links.row().optional()));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found[0].1.as_ref().unwrap().url, "/one");
    assert_eq!(found[1..], [(2, None), (3, None)]);
}

async fn j10_right_joins_with_missing_entries(repo: &impl Repo) {
    blog(repo).await;
    let query = Permalink::query()
        .right_join(Article::on(Permalink::ARTICLE_ID.eq(Article::ID)))
        .order_by(Article::ID.asc())
        .select((Permalink::row().optional(), Article::row()));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(found[0].0.as_ref().unwrap().url, "/one");
    assert_eq!(found[1].0, None);
    assert_eq!(found[2].1.title, "three");
}

async fn full_joins_keep_both_sides(repo: &impl Repo) {
    blog(repo).await;
    let query = Author::query()
        .full_join(Author::ARTICLES)
        .order_by([Author::ID.asc().nulls_last(), Article::ID.asc()])
        .select((Author::NAME.optional(), Article::TITLE.optional()));
    let found = repo.all(query).await;
    if backend().is_mysql_family() {
        assert_unsupported(&found.unwrap_err());
        return;
    }
    let found = found.unwrap();
    let found: Vec<_> = found.iter().map(|(name, title)| (name.as_deref(), title.as_deref())).collect();
    let expected = [(Some("ada"), Some("one")), (Some("bob"), Some("two")), (Some("cyd"), None), (None, Some("three"))];
    assert_eq!(found, expected);
}

async fn j11_joins_of_fragments_that_have_a_schema(repo: &impl Repo) {
    blog(repo).await;
    let articles = fragment("select * from articles where id < ?").arg(3_i64).rows_as::<Article>();
    let comments = fragment("select * from comments where id > ?").arg(1_i64).rows_as::<Comment>();
    let query = articles
        .query_as::<Article>()
        .join(comments.on(Comment::ARTICLE_ID.eq(Article::ID)))
        .order_by(Comment::ID.asc())
        .select((Article::row(), Comment::TEXT));
    let found = repo.all(query).await.unwrap();
    let found: Vec<_> = found.iter().map(|(article, text)| (article.id, text.as_str())).collect();
    assert_eq!(found, [(1, "no"), (2, "hm")]);
}

async fn j12_has_many_join(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query().join(Article::COMMENTS).order_by(Comment::ID.asc());
    let found = repo.all(query.select((Article::row(), Comment::row()))).await.unwrap();
    let found: Vec<_> = found.iter().map(|(article, comment)| (article.id, comment.id)).collect();
    assert_eq!(found, [(1, 1), (1, 2), (2, 3)]);
}

async fn j13_has_one_join(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query().join(Article::PERMALINK).select((Article::row(), Permalink::row()));
    let found = repo.one(query).await.unwrap().unwrap();
    assert_eq!((found.0.title.as_str(), found.1.url.as_str()), ("one", "/one"));
}

async fn j14_belongs_to_join(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query().join(Article::AUTHOR).order_by(Article::ID.asc());
    let found = repo.all(query.select((Article::TITLE, Author::NAME))).await.unwrap();
    assert_eq!(found, [pair("one", "ada"), pair("two", "bob")]);
}

async fn j15_has_many_through_join(repo: &impl Repo) {
    blog(repo).await;
    repo.insert(
        Comment::build()
            .set(Comment::ID, 4)
            .set(Comment::TEXT, "again")
            .set(Comment::ARTICLE_ID, 1_i64)
            .set(Comment::AUTHOR_ID, 2_i64),
    )
    .await
    .unwrap();
    let query = Article::query()
        .join(Article::COMMENTERS)
        .order_by([Article::ID.asc(), Author::ID.asc()])
        .select((Article::TITLE, Author::NAME));
    // A join does not make rows distinct: bob commented twice.
    assert_eq!(repo.all(query).await.unwrap(), [pair("one", "ada"), pair("one", "bob"), pair("one", "bob")]);
}

async fn j17_many_to_many_join(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .join(Article::TAGS)
        .order_by([Article::ID.asc(), Tag::ID.asc()])
        .select((Article::TITLE, Tag::LABEL));
    assert_eq!(repo.all(query).await.unwrap(), [pair("one", "rust"), pair("one", "sql"), pair("two", "sql")]);

    let by_schema = Article::query()
        .left_join(Article::VOTERS)
        .order_by([Article::ID.asc(), Author::ID.asc()])
        .select((Article::ID, Author::NAME.optional()));
    let found = repo.all(by_schema).await.unwrap();
    let found: Vec<_> = found.iter().map(|(id, name)| (*id, name.as_deref())).collect();
    assert_eq!(found, [(1, Some("bob")), (1, Some("cyd")), (2, None), (3, Some("ada"))]);
}

async fn association_filters_hold_in_joins(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query().left_join(Article::PINNED).order_by([Article::ID.asc(), Comment::ID.asc()]);
    let found = repo.all(query.select((Article::ID, Comment::TEXT.optional()))).await.unwrap();
    assert_eq!(found, [(1, Some("yes".to_owned())), (2, None), (3, None)]);
}

async fn j29_association_with_composite_pk_join(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .join(Vote::on(Vote::ARTICLE_ID.eq(Article::ID)))
        .order_by([Vote::ARTICLE_ID.asc(), Vote::AUTHOR_ID.asc()])
        .select((Article::TITLE, Vote::row()));
    let found = repo.all(query).await.unwrap();
    let found: Vec<_> = found.iter().map(|(title, vote)| (title.as_str(), vote.author_id, vote.weight)).collect();
    assert_eq!(found, [("one", 2, 2), ("one", 3, 3), ("three", 1, 1)]);
}

async fn self_joins_by_alias(repo: &impl Repo) {
    blog(repo).await;
    let mentor = Author::alias("mentor");
    let query = Author::query()
        .left_join(Author::MENTOR.alias(mentor))
        .order_by(Author::ID.asc())
        .select((Author::NAME, mentor.col(Author::NAME).optional()));
    let found = repo.all(query).await.unwrap();
    let found: Vec<_> = found.iter().map(|(name, mentor)| (name.as_str(), mentor.as_deref())).collect();
    assert_eq!(found, [("ada", None), ("bob", Some("ada")), ("cyd", None)]);
}

async fn an_association_of_an_alias(repo: &impl Repo) {
    blog(repo).await;
    let mentor = Author::alias("mentor");
    let query = Author::query()
        .join(Author::MENTOR.alias(mentor))
        .join(Author::ARTICLES.from(mentor))
        .select((Author::NAME, Article::TITLE));
    // The mentor's articles, and not bob's own.
    assert_eq!(repo.all(query).await.unwrap(), [pair("bob", "one")]);
}

async fn schemaless_joins(repo: &impl Repo) {
    blog(repo).await;
    let links = emr::Alias::<()>::new("links");
    let query = table("articles")
        .query()
        .join(table("permalinks").alias(links).on(links.named_col::<i64>("article_id").eq(col("id"))))
        .select((col::<String>("title"), links.named_col::<String>("url")));
    assert_eq!(repo.all(query).await.unwrap(), [pair("one", "/one")]);
}

async fn a_source_that_is_not_there(repo: &impl Repo) {
    blog(repo).await;
    let error = repo.all(Article::query().filter(Tag::LABEL.eq("sql"))).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
    assert!(error.to_string().contains("tags.label"), "{error}");

    let nobody = Author::alias("nobody");
    let error = repo.all(Article::query().filter(nobody.col(Author::NAME).eq("ada"))).await.unwrap_err();
    assert!(error.to_string().contains("nobody"), "{error}");
}

async fn joins_can_be_taken_away(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query().join(Article::AUTHOR).left_join(Article::PERMALINK);
    assert_eq!(repo.count(&query).await.unwrap(), 2);
    assert_eq!(repo.count(query.clone().exclude_joins(JoinKind::Left)).await.unwrap(), 2);
    assert_eq!(repo.count(query.exclude(emr::Clause::Joins)).await.unwrap(), 3);
}

async fn bind_order_follows_the_text(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .join(Article::COMMENTS.on(Comment::TEXT.ne("hm")))
        .filter(Article::VISITS.gt(5))
        .filter(Article::VISITS.lt(15))
        .order_by(Comment::ID.asc())
        .select(("literal", 7_i64, Comment::TEXT, Article::VISITS + 1));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found[0], ("literal".to_owned(), 7, "yes".to_owned(), 11));
    assert_eq!(found.len(), 2);
}
