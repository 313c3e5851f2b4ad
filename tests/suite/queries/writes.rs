//! Updates and deletes of the rows of a query that reads several sources.

use emr::prelude::*;
use emr::{Alias, Values};

use super::blog::{Article, Author, Comment, Permalink, blog};

repo_cases![
    j1_update_all_with_joins,
    j2_delete_all_with_joins,
    r143_delete_all_with_values_list,
    r144_update_all_from_values_list,
    update_all_with_a_subquery,
    writes_refuse_what_they_cannot_mean,
];

async fn visits(repo: &impl Repo) -> Vec<i64> {
    repo.all(Article::query().order_by(Article::ID.asc()).select(Article::VISITS)).await.unwrap()
}

async fn j1_update_all_with_joins(repo: &impl Repo) {
    blog(repo).await;
    let linked = Article::query().join(Article::PERMALINK).filter(Permalink::URL.eq("/one"));
    assert_eq!(repo.update_all(linked.clone().set(Article::VISITS, 100)).await.unwrap(), 1);
    assert_eq!(visits(repo).await, [100, 20, 30]);

    // A value of the joined row, over two joins.
    let from_author = Article::query()
        .join(Article::COMMENTS)
        .join(Comment::AUTHOR)
        .filter(Author::NAME.eq("bob"))
        .set_expr(Article::VISITS, Author::ID + 1);
    assert_eq!(repo.update_all(from_author).await.unwrap(), 1);
    assert_eq!(visits(repo).await, [3, 20, 30]);
}

async fn j2_delete_all_with_joins(repo: &impl Repo) {
    blog(repo).await;
    let by_bob = Comment::query().join(Comment::AUTHOR).filter(Author::NAME.eq("bob"));
    assert_eq!(repo.delete_all(by_bob).await.unwrap(), 1);
    let on_two = Comment::query().join(Comment::ARTICLE).left_join(Article::AUTHOR).filter(Article::TITLE.eq("two"));
    assert_eq!(repo.delete_all(on_two).await.unwrap(), 1);
    assert_eq!(repo.all(Comment::query().select(Comment::TEXT)).await.unwrap(), ["no"]);
}

fn numbers(rows: &[(i64, i64)]) -> Values {
    let values = Values::new().column::<i64>("id").column::<i64>("visits");
    rows.iter().fold(values, |values, (id, visits)| values.row(&[id, visits]))
}

async fn r143_delete_all_with_values_list(repo: &impl Repo) {
    blog(repo).await;
    let list = Alias::<()>::new("list");
    let chosen = Article::query()
        .join(numbers(&[(1, 10), (2, 999)]).rows().alias(list).on(list.named_col::<i64>("id").eq(Article::ID)))
        .filter(list.named_col::<i64>("visits").eq(Article::VISITS));
    assert_eq!(repo.delete_all(chosen).await.unwrap(), 1);
    assert_eq!(visits(repo).await, [20, 30]);
}

async fn r144_update_all_from_values_list(repo: &impl Repo) {
    blog(repo).await;
    let list = Alias::<()>::new("list");
    let chosen = Article::query()
        .join(numbers(&[(1, 11), (3, 33)]).rows().alias(list).on(list.named_col::<i64>("id").eq(Article::ID)))
        .set_expr(Article::VISITS, list.named_col::<i64>("visits"));
    assert_eq!(repo.update_all(chosen).await.unwrap(), 2);
    assert_eq!(visits(repo).await, [11, 20, 33]);
}

async fn update_all_with_a_subquery(repo: &impl Repo) {
    blog(repo).await;
    let author = Author::query().filter(Author::ID.eq(Article::AUTHOR_ID)).select(Author::NAME).scalar();
    let signed = Article::query().filter(Article::AUTHOR_ID.is_not_null()).set_expr(Article::TITLE, author);
    assert_eq!(repo.update_all(signed).await.unwrap(), 2);
    let titles = repo.all(Article::query().order_by(Article::ID.asc()).select(Article::TITLE)).await.unwrap();
    assert_eq!(titles, ["ada", "bob", "three"]);
}

async fn writes_refuse_what_they_cannot_mean(repo: &impl Repo) {
    blog(repo).await;
    let grouped = Article::query().group_by(Article::ID).set(Article::VISITS, 1);
    let combined = Article::query().union(Article::query()).set(Article::VISITS, 1);
    for update in [grouped, combined] {
        let error = repo.update_all(update).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
    }
    let error = repo.delete_all(Article::query().limit(1)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
    assert_eq!(visits(repo).await, [10, 20, 30]);
}
