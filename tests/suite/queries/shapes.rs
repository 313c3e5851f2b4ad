//! What a query gives back: tuples, partial rows, groups.

use emr::fragment;
use emr::prelude::*;

use super::blog::{Article, Author, Comment, blog};
use crate::harness::{Backend, backend, sql as text};

repo_cases![
    tuples_in_tuples,
    s28_stream_without_schema,
    s29_stream_of_a_joined_query,
    one_of_a_tuple,
    select_also_adds_to_the_row,
    groups_and_their_conditions,
    or_filters,
    prepended_order,
    distinct_tuples,
    r48_first_last_and_one,
    clauses_can_be_taken_away,
    r5_all_using_a_name,
    r6_all_without_schema,
    r49_r50_fragment_source,
    a_wrong_type_is_a_decode_error,
    sq2_hints_stand_behind_the_table,
    s15_to_sql_shows_what_would_be_sent,
    cyclic_associations_are_reported,
];

async fn tuples_in_tuples(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .left_join(Article::AUTHOR)
        .order_by(Article::ID.asc())
        .select(((Article::ID, Article::TITLE), (Author::ID, Author::NAME).optional()));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found[0], ((1, "one".to_owned()), Some((1, "ada".to_owned()))));
    assert_eq!(found[2], ((3, "three".to_owned()), None));
}

async fn s28_stream_without_schema(repo: &impl Repo) {
    use futures_util::TryStreamExt;
    blog(repo).await;
    let query = emr::table("articles").query().order_by(emr::col::<i64>("id").desc());
    let found: Vec<i64> = repo.stream(query.select(emr::col::<i64>("id"))).try_collect().await.unwrap();
    assert_eq!(found, [3, 2, 1]);
}

async fn s29_stream_of_a_joined_query(repo: &impl Repo) {
    use futures_util::TryStreamExt;
    blog(repo).await;
    let query = Article::query().join(Article::COMMENTS).order_by(Comment::ID.asc());
    let found: Vec<(Article, Comment)> =
        repo.stream(query.select((Article::row(), Comment::row()))).try_collect().await.unwrap();
    assert_eq!(
        found.iter().map(|(article, comment)| (article.id, comment.id)).collect::<Vec<_>>(),
        [(1, 1), (1, 2), (2, 3)]
    );
}

async fn one_of_a_tuple(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query().select((Article::ID, Article::TITLE));
    assert_eq!(repo.one(query.clone().filter(Article::ID.eq(2))).await.unwrap(), Some((2, "two".to_owned())));
    assert_eq!(repo.one(query.clone().filter(Article::ID.eq(9))).await.unwrap(), None);
    let error = repo.one(query).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::MultipleResults { table } if table == "articles"), "{error}");
}

async fn select_also_adds_to_the_row(repo: &impl Repo) {
    blog(repo).await;
    let comments = Comment::query()
        .filter(Comment::ARTICLE_ID.eq(Article::ID))
        .select(fragment("count(*)").typed::<i64>())
        .scalar();
    let found = repo.all(Article::query().order_by(Article::ID.asc()).select_also(comments)).await.unwrap();
    let found: Vec<_> = found.iter().map(|(article, comments)| (article.title.as_str(), *comments)).collect();
    assert_eq!(found, [("one", 2), ("two", 1), ("three", 0)]);
}

async fn groups_and_their_conditions(repo: &impl Repo) {
    blog(repo).await;
    let count = || fragment("count(*)").typed::<i64>();
    let query = Comment::query()
        .group_by(Comment::ARTICLE_ID)
        .order_by(Comment::ARTICLE_ID.asc())
        .select((Comment::ARTICLE_ID, count()));
    assert_eq!(repo.all(query.clone()).await.unwrap(), [(Some(1), 2), (Some(2), 1)]);
    assert_eq!(repo.all(query.clone().having(count().gt(1))).await.unwrap(), [(Some(1), 2)]);
    let either = query.clone().having(count().gt(1)).or_having(Comment::ARTICLE_ID.eq(2));
    assert_eq!(repo.all(either).await.unwrap().len(), 2);
    assert_eq!(repo.count(query).await.unwrap(), 2);
}

async fn or_filters(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .filter(Article::ID.eq(1))
        .filter(Article::TITLE.eq("one"))
        .or_filter(Article::ID.eq(3))
        .filter(Article::VISITS.gt(20))
        .select(Article::ID);
    assert_eq!(repo.all(query).await.unwrap(), [3]);
    assert_eq!(repo.count(Article::query().or_filter(Article::ID.eq(2))).await.unwrap(), 1);
}

async fn prepended_order(repo: &impl Repo) {
    blog(repo).await;
    let query = Comment::query().order_by(Comment::ID.asc()).prepend_order_by(Comment::ARTICLE_ID.desc());
    assert_eq!(repo.all(query.select(Comment::ID)).await.unwrap(), [3, 1, 2]);
}

async fn distinct_tuples(repo: &impl Repo) {
    blog(repo).await;
    let query = Comment::query().distinct().order_by(Comment::ARTICLE_ID.desc()).select(Comment::ARTICLE_ID);
    assert_eq!(repo.all(query.clone()).await.unwrap(), [Some(2), Some(1)]);
    assert_eq!(repo.count(query.clone()).await.unwrap(), 2);
    let error = repo.all(query.order_by(Comment::TEXT.asc())).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
}

async fn r48_first_last_and_one(repo: &impl Repo) {
    blog(repo).await;
    let title = async |query: emr::Query<Article>| repo.one(query).await.unwrap().map(|article| article.title);
    assert_eq!(title(Article::query().first()).await.as_deref(), Some("one"));
    assert_eq!(title(Article::query().last()).await.as_deref(), Some("three"));
    assert_eq!(title(Article::query().order_by(Article::TITLE.asc()).last()).await.as_deref(), Some("two"));
    assert_eq!(title(Article::query().order_by(Article::TITLE.desc()).first()).await.as_deref(), Some("two"));
    assert_eq!(title(Article::query().limit(3).first()).await.as_deref(), Some("one"));
    assert_eq!(title(Article::query().filter(Article::ID.eq(9)).first()).await, None);
}

async fn clauses_can_be_taken_away(repo: &impl Repo) {
    use emr::Clause;
    blog(repo).await;
    let query = Article::query().filter(Article::ID.eq(1)).order_by(Article::ID.asc()).limit(1).offset(1).distinct();
    let bare = [Clause::Filter, Clause::Order, Clause::Limit, Clause::Offset, Clause::Distinct]
        .into_iter()
        .fold(query, emr::Query::exclude);
    assert_eq!(repo.to_sql(bare).unwrap().0, repo.to_sql(Article::query()).unwrap().0);
}

async fn r5_all_using_a_name(repo: &impl Repo) {
    blog(repo).await;
    let it = Article::alias("it");
    let query = it.query().filter(it.col(Article::TITLE).eq("two")).select(it.row());
    assert_eq!(repo.all(query).await.unwrap()[0].id, 2);
}

async fn r6_all_without_schema(repo: &impl Repo) {
    blog(repo).await;
    let query = emr::table("articles")
        .query()
        .filter(emr::col::<i64>("visits").gt(10))
        .order_by(emr::col::<String>("title").asc())
        .select((emr::col::<String>("title"), emr::col::<i64>("author_id").optional()));
    assert_eq!(repo.all(query).await.unwrap(), [("three".to_owned(), None), ("two".to_owned(), Some(2))]);
}

async fn r49_r50_fragment_source(repo: &impl Repo) {
    blog(repo).await;
    let rows = || fragment("select * from articles where visits >= ?").arg(20_i64).rows_as::<Article>();
    let whole = repo.all(rows().query_as::<Article>().order_by(Article::ID.asc())).await.unwrap();
    assert_eq!(whole.iter().map(|article| (article.id, article.visits)).collect::<Vec<_>>(), [(2, 20), (3, 30)]);
    let some = rows().query_as::<Article>().order_by(Article::ID.asc()).select((Article::TITLE, Article::AUTHOR_ID));
    assert_eq!(repo.all(some).await.unwrap(), [("two".to_owned(), Some(2)), ("three".to_owned(), None)]);
}

async fn a_wrong_type_is_a_decode_error(repo: &impl Repo) {
    blog(repo).await;
    let error = repo.all(emr::table("articles").query().select(emr::col::<i64>("title"))).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Decode { .. }), "{error}");
    assert!(error.to_string().contains("selected column 1"), "{error}");
}

async fn sq2_hints_stand_behind_the_table(repo: &impl Repo) {
    blog(repo).await;
    let hint = match backend() {
        Backend::Postgres => "TABLESAMPLE SYSTEM (100)",
        Backend::Sqlite => "NOT INDEXED",
        Backend::Mariadb | Backend::Mysql => "USE INDEX ()",
    };
    assert_eq!(repo.count(Article::query().hint(hint)).await.unwrap(), 3);
}

async fn s15_to_sql_shows_what_would_be_sent(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query().filter(Article::VISITS.gt(5)).select(Article::ID);
    let (sql, params) = repo.to_sql(&query).unwrap();
    assert!(sql.starts_with(&text("SELECT t0.\"id\" FROM \"articles\" AS t0 WHERE t0.\"visits\" > ")), "{sql}");
    assert_eq!(params, [emr::Value::I64(5)]);

    let update = Article::query().filter(Article::ID.eq(1)).set(Article::TITLE, "new");
    let (sql, params) = repo.to_sql(&update).unwrap();
    let set = if backend().is_mysql_family() { "t0.\"title\"" } else { "\"title\"" };
    assert!(sql.starts_with(&text(&format!("UPDATE \"articles\" AS t0 SET {set} = "))), "{sql}");
    assert_eq!(params, [emr::Value::Text("new".into()), emr::Value::I64(1)]);

    let (sql, params) = repo.to_sql(Article::query().filter(Article::ID.eq(1)).delete()).unwrap();
    let verb = if backend().is_mysql_family() { "DELETE t0" } else { "DELETE" };
    assert!(sql.starts_with(&text(&format!("{verb} FROM \"articles\" AS t0 WHERE "))), "{sql}");
    assert_eq!(params, [emr::Value::I64(1)]);
    // Nothing was done.
    let titles = repo.all(Article::query().order_by(Article::ID.asc()).select(Article::TITLE)).await.unwrap();
    assert_eq!(titles, ["one", "two", "three"]);
}

/// Two structs whose associations lead to one another for ever.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "yins")]
struct Yin {
    id: i64,
    yang_id: i64,
    #[emr(belongs_to)]
    yang: BelongsTo<Yang>,
    #[emr(has_many(through(yang, far)))]
    far: HasMany<Yin>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "yangs")]
struct Yang {
    id: i64,
    yin_id: i64,
    #[emr(belongs_to)]
    yin: BelongsTo<Yin>,
    #[emr(has_many(through(yin, far)))]
    far: HasMany<Yin>,
}

async fn cyclic_associations_are_reported(repo: &impl Repo) {
    repo.create_table::<Yin>().await.unwrap();
    let error = repo.all(Yin::query().join(Yin::FAR)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
    assert!(error.to_string().contains("leads through itself"), "{error}");
}
