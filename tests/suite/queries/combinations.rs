//! UNION and its like, common table expressions, lists of values.

use emr::prelude::*;
use emr::{Alias, Values, col, cte, cte_rows, cte_sql, fragment};

use super::blog::{Article, Author, Comment, Tag, blog};
use crate::harness::{assert_unsupported, backend};

repo_cases![
    unions,
    exceptions_and_intersections,
    combinations_of_all_rows,
    t35_unions_with_literals,
    order_and_limit_of_the_whole,
    limits_of_the_parts,
    common_table_expressions,
    recursive_expressions,
    materialized_or_not,
    an_expression_of_sql_text,
    counting_combined_rows,
    r140_values_list,
    r141_values_list_with_the_types_of_a_schema,
    r142_sq10_values_list_with_join,
    sq9_values_of_instants,
    sq11_values_in_an_expression,
    values_that_do_not_fit,
    with_ties,
];

async fn ids(repo: &impl Repo, query: emr::Query<Article, i64>) -> Vec<i64> {
    let mut found = repo.all(query).await.unwrap();
    found.sort_unstable();
    found
}

fn id_of(from: i64, to: i64) -> emr::Query<Article, i64> {
    Article::query().filter(Article::ID.between(from, to)).select(Article::ID)
}

async fn unions(repo: &impl Repo) {
    blog(repo).await;
    assert_eq!(ids(repo, id_of(1, 2).union(id_of(2, 3))).await, [1, 2, 3]);
    assert_eq!(ids(repo, id_of(1, 2).union_all(id_of(2, 3))).await, [1, 2, 2, 3]);
    let whole = Article::query().filter(Article::ID.eq(1)).union(Article::query().filter(Article::ID.eq(3)));
    let found = repo.all(whole.order_by(Article::TITLE.asc())).await.unwrap();
    assert_eq!(found.iter().map(|article| article.title.as_str()).collect::<Vec<_>>(), ["one", "three"]);
}

async fn exceptions_and_intersections(repo: &impl Repo) {
    blog(repo).await;
    assert_eq!(ids(repo, id_of(1, 3).except(id_of(2, 2))).await, [1, 3]);
    assert_eq!(ids(repo, id_of(1, 2).intersect(id_of(2, 3))).await, [2]);
    assert_eq!(ids(repo, id_of(1, 3).except(id_of(1, 1)).union(id_of(1, 1))).await, [1, 2, 3]);
}

async fn combinations_of_all_rows(repo: &impl Repo) {
    blog(repo).await;
    let twice = || id_of(1, 2).union_all(id_of(2, 3));
    match repo.all(twice().except_all(id_of(2, 2))).await {
        Ok(mut found) => {
            found.sort_unstable();
            assert_eq!(found, [1, 2, 3]);
            assert_eq!(ids(repo, id_of(1, 2).intersect_all(id_of(2, 3))).await, [2]);
        }
        Err(error) => crate::harness::assert_unsupported(&error),
    }
}

async fn t35_unions_with_literals(repo: &impl Repo) {
    blog(repo).await;
    let one = Article::query().filter(Article::ID.eq(1)).select((1_i64, 1.5_f64, "one"));
    let two = Article::query().filter(Article::ID.eq(1)).select((2_i64, 2.5_f64, "two"));
    let mut found = repo.all(one.union_all(two)).await.unwrap();
    found.sort_by_key(|row| row.0);
    assert_eq!(found, [(1, 1.5, "one".to_owned()), (2, 2.5, "two".to_owned())]);
}

async fn order_and_limit_of_the_whole(repo: &impl Repo) {
    blog(repo).await;
    let query = id_of(1, 2).union_all(id_of(2, 3)).order_by(Article::ID.desc());
    assert_eq!(repo.all(query.clone().limit(2)).await.unwrap(), [3, 2]);
    assert_eq!(repo.all(query.limit(2).offset(1)).await.unwrap(), [2, 2]);
    let error = repo.all(id_of(1, 2).union(id_of(2, 3)).order_by(Article::TITLE.asc())).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
}

async fn limits_of_the_parts(repo: &impl Repo) {
    blog(repo).await;
    let last = Article::query().order_by(Article::ID.desc()).limit(1).select(Article::ID);
    assert_eq!(ids(repo, id_of(1, 1).union_all(last)).await, [1, 3]);
}

async fn common_table_expressions(repo: &impl Repo) {
    blog(repo).await;
    let popular = Article::query().filter(Article::VISITS.gt(15));
    let whole = Article::query().with(cte("popular", &popular)).from_cte("popular").order_by(Article::ID.asc());
    let found = repo.all(&whole).await.unwrap();
    assert_eq!(found.iter().map(|article| article.id).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(repo.count(&whole).await.unwrap(), 2);
    assert!(repo.exists(whole.filter(Article::VISITS.eq(30))).await.unwrap());

    // Named columns of any query, joined with a table.
    let talk = Comment::query()
        .group_by(Comment::ARTICLE_ID)
        .select((Comment::ARTICLE_ID.named("article"), fragment("count(*)").typed::<i64>().named("comments")));
    let rows = Alias::<()>::new("talk");
    let query = Article::query()
        .with(cte("talk", talk))
        .join(cte_rows("talk").alias(rows).on(rows.named_col::<i64>("article").eq(Article::ID)))
        .order_by(Article::ID.asc())
        .select((Article::TITLE, rows.named_col::<i64>("comments")));
    assert_eq!(repo.all(query).await.unwrap(), [("one".to_owned(), 2), ("two".to_owned(), 1)]);
}

async fn recursive_expressions(repo: &impl Repo) {
    blog(repo).await;
    repo.insert(Author::build().set(Author::ID, 4).set(Author::NAME, "dot").set(Author::MENTOR_ID, 2_i64))
        .await
        .unwrap();
    // Everybody whom ada's advice reached.
    let tree = Author::alias("tree");
    let step = Author::query()
        .join(cte_rows("tree").typed::<Author>().alias(tree).on(Author::MENTOR_ID.eq(tree.col(Author::ID))));
    let whole = Author::query().filter(Author::NAME.eq("ada")).union_all(step);
    let query = Author::query().with(cte("tree", whole).recursive()).from_cte("tree").order_by(Author::ID.asc());
    assert_eq!(repo.all(query.select(Author::NAME)).await.unwrap(), ["ada", "bob", "dot"]);
}

async fn materialized_or_not(repo: &impl Repo) {
    blog(repo).await;
    for materialized in [true, false] {
        let popular = cte("popular", Article::query().filter(Article::VISITS.gt(15))).materialized(materialized);
        let query = Article::query().with(popular).from_cte("popular");
        if backend().is_mysql_family() {
            assert_unsupported(&repo.count(&query).await.unwrap_err());
            continue;
        }
        assert_eq!(repo.count(&query).await.unwrap(), 2);
        let sql = repo.to_sql(&query).unwrap().0;
        assert_eq!(sql.contains("NOT MATERIALIZED"), !materialized, "{sql}");
    }
}

async fn an_expression_of_sql_text(repo: &impl Repo) {
    blog(repo).await;
    let text = cte_sql("chosen", fragment("select id from articles where visits > ?").arg(15_i64));
    let query = cte_rows("chosen").query().with(text).order_by(col::<i64>("id").asc()).select(col::<i64>("id"));
    assert_eq!(repo.all(query).await.unwrap(), [2, 3]);
}

async fn counting_combined_rows(repo: &impl Repo) {
    blog(repo).await;
    assert_eq!(repo.count(id_of(1, 2).union(id_of(2, 3))).await.unwrap(), 3);
    assert!(repo.exists(id_of(9, 9).union(id_of(3, 3))).await.unwrap());
    assert!(!repo.exists(id_of(9, 9).union(id_of(8, 8))).await.unwrap());
    assert_eq!(repo.one(id_of(9, 9).union(id_of(3, 3))).await.unwrap(), Some(3));
}

fn numbers(rows: &[(i64, &str)]) -> Values {
    let values = Values::new().column::<i64>("n").column::<String>("word");
    rows.iter().fold(values, |values, (n, word)| values.row(&[n, word]))
}

async fn r140_values_list(repo: &impl Repo) {
    blog(repo).await;
    let query = numbers(&[(1, "eins"), (2, "zwei")]).rows().query().order_by(col::<i64>("n").desc());
    let found = repo.all(query.select((col::<i64>("n"), col::<String>("word")))).await.unwrap();
    assert_eq!(found, [(2, "zwei".to_owned()), (1, "eins".to_owned())]);
}

async fn r141_values_list_with_the_types_of_a_schema(repo: &impl Repo) {
    blog(repo).await;
    let values = Values::new()
        .column_of(Article::ID)
        .column_of(Article::TITLE)
        .row(&[&1_i64, &"eins"])
        .row(&[&7_i64, &"sieben"]);
    let found = repo.all(values.rows().query().order_by(col::<i64>("id").asc()).select(col::<String>("title"))).await;
    assert_eq!(found.unwrap(), ["eins", "sieben"]);

    // Structs as a table: with what is stored, and with what is not.
    let mut tags = repo.all(Tag::query().order_by(Tag::ID.asc())).await.unwrap();
    assert_eq!(tags.len(), 3);
    "another".clone_into(&mut tags[0].label);
    let given = Alias::<Tag>::new("given");
    let changed = Tag::query()
        .join(Values::of(&tags).rows().alias(given).on(given.col(Tag::ID).eq(Tag::ID)))
        .filter(given.col(Tag::LABEL).ne(Tag::LABEL))
        .select((Tag::LABEL, given.col(Tag::LABEL)));
    let stored = repo.get::<Tag>(tags[0].id).await.unwrap().unwrap().label;
    assert_eq!(repo.all(changed).await.unwrap(), [(stored, "another".to_owned())]);
    let none: [&Tag; 0] = [];
    let empty = Values::of(none).rows().alias(given).query().select(given.col(Tag::LABEL));
    assert_eq!(repo.all(empty).await.unwrap(), [] as [String; 0]);
}

async fn r142_sq10_values_list_with_join(repo: &impl Repo) {
    blog(repo).await;
    let words = Alias::<()>::new("words");
    let list = numbers(&[(1, "eins"), (3, "drei"), (9, "neun")]).rows().alias(words);
    let query = Article::query()
        .join(list.on(words.named_col::<i64>("n").eq(Article::ID)))
        .order_by(Article::ID.asc())
        .select((Article::TITLE, words.named_col::<String>("word")));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found, [("one".to_owned(), "eins".to_owned()), ("three".to_owned(), "drei".to_owned())]);

    let again = Alias::<()>::new("again");
    let query = numbers(&[(1, "eins"), (2, "zwei")])
        .rows()
        .alias(words)
        .query()
        .join(numbers(&[(2, "two")]).rows().alias(again).on(again.named_col::<i64>("n").eq(words.named_col("n"))))
        .select((words.named_col::<String>("word"), again.named_col::<String>("word")));
    assert_eq!(repo.all(query).await.unwrap(), [("zwei".to_owned(), "two".to_owned())]);
}

async fn sq9_values_of_instants(repo: &impl Repo) {
    let at =
        |second: i64| chrono::DateTime::<chrono::Utc>::from_timestamp(1_700_000_000 + second, 250_000_000).unwrap();
    let values = Values::new().column::<i64>("n").column::<chrono::DateTime<chrono::Utc>>("at");
    let values = values.row(&[&1_i64, &at(5)]).row(&[&2_i64, &at(-5)]).row(&[&3_i64, &at(0)]);
    let when = || col::<chrono::DateTime<chrono::Utc>>("at");
    let query = values.rows().query().filter(when().ge(at(0))).order_by(when().asc());
    let found = repo.all(query.select((col::<i64>("n"), when()))).await.unwrap();
    assert_eq!(found, [(3, at(0)), (1, at(5))]);
}

async fn sq11_values_in_an_expression(repo: &impl Repo) {
    blog(repo).await;
    let words = numbers(&[(1, "eins"), (3, "drei"), (9, "neun")]);
    let words = words.rows().query().select((col::<i64>("n").named("n"), col::<String>("word").named("word")));
    let named = Alias::<()>::new("words");
    let query = Article::query()
        .with(cte("words", words))
        .join(cte_rows("words").alias(named).on(named.named_col::<i64>("n").eq(Article::ID)))
        .order_by(Article::ID.asc())
        .select((Article::TITLE, named.named_col::<String>("word")));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found, [("one".to_owned(), "eins".to_owned()), ("three".to_owned(), "drei".to_owned())]);
}

async fn values_that_do_not_fit(repo: &impl Repo) {
    let short = numbers(&[(1, "eins")]).row(&[&2_i64]);
    for wrong in [Values::new(), short] {
        let error = repo.all(wrong.rows().query().select(col::<i64>("n"))).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
    }
}

async fn with_ties(repo: &impl Repo) {
    blog(repo).await;
    repo.insert(Tag::build().set(Tag::ID, 4).set(Tag::LABEL, "sql")).await.unwrap();
    let query = Tag::query().order_by(Tag::LABEL.desc()).limit(1).with_ties().select(Tag::LABEL);
    match repo.all(query).await {
        Ok(found) => assert_eq!(found, ["sql", "sql"]),
        Err(error) => crate::harness::assert_unsupported(&error),
    }
}
