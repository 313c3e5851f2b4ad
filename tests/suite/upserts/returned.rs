//! Updates and deletes that give rows back, and the small verbs around them.

use emr::prelude::*;

use super::{Page, one_page, page, pages, row};

repo_cases![
    r64_r63_insert_all_returning_with_field_source,
    r74_update_all_returning,
    r74_update_all_returning_with_joins,
    r80_sq15_update_all_with_typed_values,
    r83_r84_delete_all_returning,
    r86_delete_all_of_no_rows,
    sq13_sq14_insert_and_nulls,
    sq16_insert_all,
    sq17_sq18_sq19_delete,
    sq20_sq21_sq22_update_and_null,
    insert_or_update_asks_the_changeset,
    delete_if_exists_tells_whether_it_was,
];

async fn r64_r63_insert_all_returning_with_field_source(repo: &impl Repo) {
    repo.create_table::<Page>().await.unwrap();
    let stored = repo.insert_all_returning([page("/a", "a", 1), page("/b", "b", 2)]).await.unwrap();
    assert_eq!(stored.iter().map(|page| page.url.as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
}

async fn r74_update_all_returning(repo: &impl Repo) {
    one_page(repo).await;
    repo.insert_all([page("/b", "two", 20), page("/c", "three", 30)]).await.unwrap();
    let some = || Page::query().filter(Page::VISITS.gt(15));
    let mut whole = repo.update_all_returning(some().inc(Page::VISITS, 1)).await.unwrap();
    whole.sort_by_key(|page| page.visits);
    assert_eq!(whole.iter().map(|page| (page.url.as_str(), page.visits)).collect::<Vec<_>>(), [("/b", 21), ("/c", 31)]);
    // Some columns, and what is computed of them; as they are after the update.
    let mut parts: Vec<(String, i64)> =
        repo.update_all_returning(some().inc(Page::VISITS, 1).returning((Page::URL, Page::VISITS * 2))).await.unwrap();
    parts.sort();
    assert_eq!(parts, [("/b".to_owned(), 44), ("/c".to_owned(), 64)]);
    let none: Vec<i64> = repo
        .update_all_returning(Page::query().filter(Page::URL.eq("/no")).set(Page::TITLE, "x").returning(Page::ID))
        .await
        .unwrap();
    assert!(none.is_empty());
    assert_eq!(pages(repo).await, [row("/a", "one", 10), row("/b", "two", 22), row("/c", "three", 32)]);
}

async fn r74_update_all_returning_with_joins(repo: &impl Repo) {
    use crate::schemas::{Post, post};
    one_page(repo).await;
    repo.create_table::<Post>().await.unwrap();
    post(repo, "/a").await;
    let joined = Page::query().join(Post::on(Post::TITLE.eq(Page::URL)));
    let urls: Vec<(i64, String)> = repo
        .update_all_returning(joined.clone().set_expr(Page::TITLE, Post::TITLE).returning((Page::VISITS, Page::TITLE)))
        .await
        .unwrap();
    assert_eq!(urls, [(10, "/a".to_owned())]);
    let gone: Vec<Page> = repo.delete_all_returning(joined).await.unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(repo.count(Page::query()).await.unwrap(), 0);
}

async fn r80_sq15_update_all_with_typed_values(repo: &impl Repo) {
    use emr::uuid::Uuid;
    #[derive(Syncable, Debug, Clone, PartialEq)]
    #[emr(table = "typed")]
    struct Typed {
        id: i64,
        at: chrono::DateTime<chrono::Utc>,
        token: Option<Uuid>,
    }
    repo.create_table::<Typed>().await.unwrap();
    let row: Typed = repo.insert(Typed::build().set(Typed::AT, now())).await.unwrap();
    let (at, token) = (now() + chrono::TimeDelta::hours(1), Uuid::from_u128(9));
    let set = Typed::query().filter(Typed::ID.eq(row.id)).set(Typed::AT, at).set(Typed::TOKEN, token);
    let stored = Typed { id: row.id, at, token: Some(token) };
    assert_eq!(repo.update_all_returning(set).await.unwrap(), [stored]);
}

async fn r83_r84_delete_all_returning(repo: &impl Repo) {
    let first = one_page(repo).await;
    repo.insert_all([page("/b", "two", 20), page("/c", "three", 30)]).await.unwrap();
    let gone = repo.delete_all_returning(Page::query().filter(Page::VISITS.lt(15))).await.unwrap();
    assert_eq!(gone, [first]);
    let mut urls = repo.delete_all_returning(Page::query().select((Page::URL, Page::VISITS + 1))).await.unwrap();
    urls.sort();
    assert_eq!(urls, [("/b".to_owned(), 21), ("/c".to_owned(), 31)]);
    assert_eq!(pages(repo).await, []);
}

async fn r86_delete_all_of_no_rows(repo: &impl Repo) {
    repo.create_table::<Page>().await.unwrap();
    assert_eq!(repo.delete_all(Page::query().filter(Page::URL.eq("/a"))).await.unwrap(), 0);
    assert_eq!(repo.delete_all_returning(Page::query()).await.unwrap(), []);
}

async fn sq13_sq14_insert_and_nulls(repo: &impl Repo) {
    repo.create_table::<Page>().await.unwrap();
    let stored = repo.insert(page("/a", "a", 1)).await.unwrap();
    assert_eq!(stored.note, None);
    let nulls = Page::query().filter(Page::NOTE.is_null()).select(Page::NOTE);
    assert_eq!(repo.all(nulls).await.unwrap(), [None]);
    assert_eq!(repo.count(Page::query().filter(Page::NOTE.ne("x"))).await.unwrap(), 0);
}

async fn sq16_insert_all(repo: &impl Repo) {
    repo.create_table::<Page>().await.unwrap();
    let rows = [page("/a", "a", 1), page("/b", "b", 2).set(Page::NOTE, None)];
    assert_eq!(repo.insert_all(rows).await.unwrap(), 2);
    assert_eq!(pages(repo).await, [row("/a", "a", 1), row("/b", "b", 2)]);
}

async fn sq17_sq18_sq19_delete(repo: &impl Repo) {
    let first = one_page(repo).await;
    repo.insert_all([page("/b", "two", 20), page("/c", "three", 30)]).await.unwrap();
    repo.delete(&first).await.unwrap();
    assert_eq!(repo.delete_all(Page::query().filter(Page::TITLE.eq("two"))).await.unwrap(), 1);
    assert_eq!(repo.delete_all(Page::query()).await.unwrap(), 1);
    assert_eq!(pages(repo).await, []);
}

async fn sq20_sq21_sq22_update_and_null(repo: &impl Repo) {
    let first = one_page(repo).await;
    let noted = repo.update(first.change().set(Page::NOTE, "n")).await.unwrap();
    assert_eq!(noted.note.as_deref(), Some("n"));
    assert_eq!(repo.update_all(Page::query().set(Page::NOTE, None)).await.unwrap(), 1);
    assert_eq!(repo.fetch::<Page>(first.id).await.unwrap().note, None);
}

async fn insert_or_update_asks_the_changeset(repo: &impl Repo) {
    repo.create_table::<Page>().await.unwrap();
    let stored = repo.insert_or_update(page("/a", "one", 1)).await.unwrap();
    let stored = repo.insert_or_update(stored.change().set(Page::TITLE, "two")).await.unwrap();
    assert_eq!(pages(repo).await, [row("/a", "two", 1)]);
    repo.delete(&stored).await.unwrap();
    let error = repo.insert_or_update(stored.change().set(Page::TITLE, "x")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Stale { .. }), "{error:?}");
}

async fn delete_if_exists_tells_whether_it_was(repo: &impl Repo) {
    let first = one_page(repo).await;
    assert!(repo.delete_if_exists(&first).await.unwrap());
    assert!(!repo.delete_if_exists(&first).await.unwrap());
}
