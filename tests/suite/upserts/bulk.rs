//! Upserts of many rows.

use emr::UpsertCounts;
use emr::prelude::*;

use super::{Page, one_page, page, pages, row};
use crate::harness::{Backend, backend};

repo_cases![
    r126_a_taken_key_among_many_is_an_error,
    r127_r128_nothing,
    r129_r131_update_and_filter,
    r130_r133_what_comes_back,
    rows_of_other_columns,
    r135_r136_replace_all,
    r138_replace_all_except_the_key,
    many_rows_in_chunks,
    the_same_row_twice,
    no_rows_no_statement,
    one_bad_row_of_many,
];

fn counts(inserted: u64, updated: u64, skipped: u64) -> UpsertCounts {
    UpsertCounts { inserted, updated, skipped }
}

async fn r126_a_taken_key_among_many_is_an_error(repo: &impl Repo) {
    one_page(repo).await;
    let rows = [page("/b", "two", 2), page("/a", "three", 3)];
    let error = repo.transaction(async |tx| tx.insert_all(rows).await).await.unwrap_err();
    assert!(error.is_unique_violation(), "{error}");
    assert_eq!(pages(repo).await, [row("/a", "one", 10)]);
}

async fn r127_r128_nothing(repo: &impl Repo) {
    one_page(repo).await;
    let rows = || [page("/a", "two", 2), page("/b", "three", 3), page("/b", "four", 4)];
    // The second /b meets the first one.
    assert_eq!(repo.upsert_all(rows(), OnConflict::nothing()).await.unwrap(), counts(1, 0, 2));
    let by_url = OnConflict::nothing().target(Page::URL);
    assert_eq!(repo.upsert_all(rows(), by_url).await.unwrap(), counts(0, 0, 3));
    assert_eq!(pages(repo).await, [row("/a", "one", 10), row("/b", "three", 3)]);
}

async fn r129_r131_update_and_filter(repo: &impl Repo) {
    one_page(repo).await;
    repo.insert(page("/b", "keep", 99)).await.unwrap();
    let below = OnConflict::update()
        .set_expr(Page::TITLE, excluded(Page::TITLE))
        .inc(Page::VISITS, 1)
        .target(Page::URL)
        .filter(Page::VISITS.lt(50));
    let rows = [page("/a", "a", 0), page("/b", "b", 0), page("/c", "c", 0)];
    assert_eq!(repo.upsert_all(rows, below).await.unwrap(), counts(1, 1, 1));
    assert_eq!(pages(repo).await, [row("/a", "a", 11), row("/b", "keep", 99), row("/c", "c", 0)]);
}

async fn r130_r133_what_comes_back(repo: &impl Repo) {
    let first = one_page(repo).await;
    let replace = OnConflict::replace(Page::TITLE).target(Page::URL);
    let rows = [page("/b", "b", 2), page("/a", "a", 1)];
    let stored = repo.upsert_all_returning(rows, replace).await.unwrap();
    let [Upserted::Inserted(b), Upserted::Updated(a)] = &stored[..] else { panic!("{stored:?}") };
    assert_eq!((b.url.as_str(), b.visits), ("/b", 2));
    assert_eq!(*a, Page { title: "a".into(), ..first });
    // Skipped rows do not come back.
    let rows = [page("/a", "x", 0), page("/c", "c", 3)];
    let stored = repo.upsert_all_returning(rows, OnConflict::nothing()).await.unwrap();
    assert!(matches!(&stored[..], [Upserted::Inserted(c)] if c.url == "/c"), "{stored:?}");
}

async fn rows_of_other_columns(repo: &impl Repo) {
    one_page(repo).await;
    let replace = OnConflict::replace((Page::TITLE, Page::NOTE)).target(Page::URL);
    let rows = [
        page("/a", "a", 1),
        page("/b", "b", 2).set(Page::NOTE, "n"),
        Page::build().set(Page::URL, "/c").set(Page::TITLE, "c"),
    ];
    assert_eq!(repo.upsert_all(rows, replace).await.unwrap(), counts(2, 1, 0));
    assert_eq!(pages(repo).await, [row("/a", "a", 10), row("/b", "b", 2), row("/c", "c", 0)]);
}

async fn r135_r136_replace_all(repo: &impl Repo) {
    let first = one_page(repo).await;
    let second = repo.insert(page("/b", "two", 20)).await.unwrap();
    let new = |page: &Page| Page { id: page.id + 50, title: "new".into(), visits: 0, ..page.clone() };
    let rows = [new(&first), new(&second)];
    let all = OnConflict::replace_all().target(Page::URL);
    assert_eq!(repo.upsert_all(rows.clone(), all).await.unwrap(), counts(0, 2, 0));
    assert_eq!(repo.all(Page::query().order_by(Page::ID.asc())).await.unwrap(), rows);
}

async fn r138_replace_all_except_the_key(repo: &impl Repo) {
    let first = one_page(repo).await;
    let all = OnConflict::replace_all_except(Page::ID).target(Page::URL);
    let rows = [Page { id: first.id + 50, title: "new".into(), visits: 0, ..first.clone() }];
    assert_eq!(repo.upsert_all(rows, all).await.unwrap(), counts(0, 1, 0));
    assert_eq!(repo.all(Page::query()).await.unwrap(), [Page { title: "new".into(), visits: 0, ..first }]);
}

async fn many_rows_in_chunks(repo: &impl Repo) {
    repo.create_table::<Page>().await.unwrap();
    let rows = |range: std::ops::Range<i64>, title: &'static str| {
        range.map(move |n| page(&format!("/{n:06}"), title, n)).collect::<Vec<_>>()
    };
    // There each row takes two statements, and is a chunk of its own.
    let n: i64 = if backend() == Backend::Mysql { 100 } else { 1_000 };
    let many = n.unsigned_abs();
    let replace = || OnConflict::replace(Page::TITLE).target(Page::URL);
    assert_eq!(repo.upsert_all(rows(0..3 * n, "first"), replace()).await.unwrap(), counts(3 * many, 0, 0));
    let second = repo.upsert_all(rows(n..24 * n, "second"), replace()).await.unwrap();
    assert_eq!(second, counts(21 * many, 2 * many, 0));
    // With parameters of its own the conflict takes another road.
    let marked = OnConflict::update().set(Page::TITLE, "third").target(Page::URL).filter(Page::VISITS.lt(n / 2));
    let third = repo.upsert_all(rows(0..n / 5 * 6, "x"), marked).await.unwrap();
    assert_eq!(third, counts(0, many / 2, many / 10 * 7));
    for (title, expected) in [("first", many / 2), ("second", 23 * many), ("third", many / 2)] {
        assert_eq!(repo.count(Page::query().filter(Page::TITLE.eq(title))).await.unwrap(), expected, "{title}");
    }
}

async fn the_same_row_twice(repo: &impl Repo) {
    one_page(repo).await;
    let rows = [page("/b", "b", 2), page("/a", "a", 1), page("/b", "c", 3)];
    let replace = OnConflict::replace(Page::TITLE).target(Page::URL);
    let error = repo.upsert_all(rows, replace).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    assert!(error.to_string().contains("full url"), "{error}");
    assert_eq!(pages(repo).await, [row("/a", "one", 10)]);
}

async fn no_rows_no_statement(repo: &impl Repo) {
    // Not even the table has to be there.
    let none: [Page; 0] = [];
    let replace = || OnConflict::replace(Page::TITLE).target(Page::URL);
    assert_eq!(repo.upsert_all(none.clone(), replace()).await.unwrap(), counts(0, 0, 0));
    assert_eq!(repo.upsert_all_returning(none, replace()).await.unwrap(), []);
}

async fn one_bad_row_of_many(repo: &impl Repo) {
    let first = one_page(repo).await;
    let mut rows: Vec<_> = (0..2_500).map(|n| page(&format!("/{n}"), "x", n)).collect();
    rows.push(page("/bad", "x", 0).set(Page::ID, first.id));
    let replace = OnConflict::replace(Page::TITLE).target(Page::URL);
    let error = repo.transaction(async |tx| tx.upsert_all(rows, replace).await).await.unwrap_err();
    assert!(error.is_unique_violation(), "{error}");
    assert_eq!(pages(repo).await, [row("/a", "one", 10)]);
}
