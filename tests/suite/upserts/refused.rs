//! What makes no sense, or what no engine but one can do.

use emr::prelude::*;

use super::{Page, one_page, page, pages, row};
use crate::harness::{assert_unsupported, backend, not_here};

repo_cases![
    a_change_without_a_target_is_unsupported,
    r117_a_target_without_an_index,
    an_update_that_sets_nothing,
    a_row_that_sets_nothing,
    filters_without_changes,
    read_only_columns,
    invalid_changesets_are_never_sent,
];

fn is_invalid(error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
}

async fn a_change_without_a_target_is_unsupported(repo: &impl Repo) {
    one_page(repo).await;
    if backend().is_mysql_family() {
        not_here("any unique key fires, so that no target has to be named");
        let changed = repo.upsert(page("/a", "two", 2), OnConflict::replace(Page::TITLE)).await.unwrap();
        assert!(changed.is_updated());
        assert_eq!(pages(repo).await, [row("/a", "two", 10)]);
        return;
    }
    let error = repo.upsert(page("/a", "two", 2), OnConflict::replace(Page::TITLE)).await.unwrap_err();
    assert_unsupported(&error);
    let error = repo.upsert_all([page("/a", "two", 2)], OnConflict::replace_all()).await.unwrap_err();
    assert_unsupported(&error);
    assert_eq!(pages(repo).await, [row("/a", "one", 10)]);
}

async fn r117_a_target_without_an_index(repo: &impl Repo) {
    one_page(repo).await;
    for conflict in [OnConflict::nothing(), OnConflict::replace(Page::VISITS)] {
        let no_index = || conflict.clone().target((Page::TITLE, Page::VISITS));
        if backend().is_mysql_family() {
            not_here("nothing asks for an index: any unique key fires, and what has none never does");
            return;
        }
        let one = repo.transaction(async |tx| tx.upsert(page("/b", "one", 1), no_index()).await).await.unwrap_err();
        is_invalid(&one);
        assert!(one.to_string().contains("unique index"), "{one}");
        let rows = [page("/b", "one", 1), page("/c", "two", 1)];
        is_invalid(&repo.transaction(async |tx| tx.upsert_all(rows, no_index()).await).await.unwrap_err());
    }
    assert_eq!(pages(repo).await, [row("/a", "one", 10)]);
}

async fn an_update_that_sets_nothing(repo: &impl Repo) {
    one_page(repo).await;
    is_invalid(&repo.upsert(page("/a", "x", 1), OnConflict::update().target(Page::URL)).await.unwrap_err());
}

async fn a_row_that_sets_nothing(repo: &impl Repo) {
    repo.create_table::<Page>().await.unwrap();
    is_invalid(&repo.upsert(Page::build(), OnConflict::nothing()).await.unwrap_err());
    is_invalid(&repo.upsert_all([Page::build(), Page::build()], OnConflict::nothing()).await.unwrap_err());
}

async fn filters_without_changes(repo: &impl Repo) {
    one_page(repo).await;
    let filtered = OnConflict::nothing().filter(Page::VISITS.gt(1));
    is_invalid(&repo.upsert(page("/a", "x", 1), filtered).await.unwrap_err());
    let no_columns = OnConflict::nothing().target_where(Page::VISITS.gt(1));
    is_invalid(&repo.upsert(page("/a", "x", 1), no_columns).await.unwrap_err());
}

async fn read_only_columns(repo: &impl Repo) {
    #[derive(Syncable, Debug, Clone, PartialEq)]
    #[emr(table = "lines")]
    struct Line {
        id: i64,
        price: i64,
        #[emr(generated = "price * 2")]
        double: i64,
    }
    repo.create_table::<Line>().await.unwrap();
    let line = Line { id: 1, price: 3, double: 0 };
    let all = || OnConflict::replace_all().target(Line::ID);
    assert_eq!(repo.upsert(line.clone(), all()).await.unwrap().into_row().unwrap().double, 6);
    let updated = repo.upsert(Line { price: 5, ..line.clone() }, all()).await.unwrap();
    assert_eq!(updated, Upserted::Updated(Line { id: 1, price: 5, double: 10 }));
    is_invalid(&repo.upsert(line, OnConflict::replace(Line::DOUBLE).target(Line::ID)).await.unwrap_err());
    is_invalid(&repo.insert_from(Line::DOUBLE, Line::query().select(Line::PRICE)).await.unwrap_err());
}

async fn invalid_changesets_are_never_sent(repo: &impl Repo) {
    one_page(repo).await;
    let conflict = || OnConflict::replace(Page::TITLE).target(Page::URL);
    let invalid = || page("/a", "", 5).validate_required(Page::TITLE);
    let one = repo.upsert(invalid(), conflict()).await.unwrap_err();
    assert!(matches!(one.kind(), ErrorKind::Validation { .. }), "{one:?}");
    let many = repo.upsert_all([page("/b", "two", 2), invalid()], conflict()).await.unwrap_err();
    assert!(matches!(many.kind(), ErrorKind::Validation { .. }), "{many:?}");
    let prepared = page("/c", "three", 3).prepare_changes(|_, changes| Box::pin(async move { Ok(changes) }));
    is_invalid(&repo.upsert(prepared, conflict()).await.unwrap_err());
    assert_eq!(pages(repo).await, [row("/a", "one", 10)]);
}
