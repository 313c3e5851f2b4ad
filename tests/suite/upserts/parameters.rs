//! The parameters of each statement, in the order of their marks: seen by the log.

use std::sync::{Arc, Mutex};

use emr::prelude::*;
use emr::{QueryLog, Shared};

use super::{Page, page};
use crate::harness::{Db, assert_unsupported};

db_cases![
    l12_l13_rows_of_a_query_and_of_a_list,
    l14_rows_with_shared_values,
    l15_a_query_with_a_conflict,
    l16_rows_with_a_conflict,
    l17_all_three,
    l18_l19_insert_and_upsert,
    l20_l21_update_and_delete,
];

type Seen = Arc<Mutex<Vec<Vec<String>>>>;

/// The same database, with a log of the parameters of every write that has some.
async fn logged(db: &Db) -> (RepoHandle, Seen) {
    db.repo.create_table::<Page>().await.unwrap();
    let seen: Seen = Arc::default();
    let log = {
        let seen = Arc::clone(&seen);
        QueryLog::new(move |event| {
            let params: Vec<String> = event.params().collect();
            // What MySQL does not give back is selected again.
            let is_write = !event.sql.starts_with("SELECT");
            if is_write && !params.is_empty() {
                seen.lock().unwrap().push(params);
            }
        })
    };
    (emr::open(db.options().log(log)).await.unwrap(), seen)
}

/// The parameters of the last statement. Texts stand in quotes there; numbers do not.
fn last(seen: &Seen) -> Vec<String> {
    let last = seen.lock().unwrap().pop().expect("a statement");
    last.into_iter().map(|text| text.rsplit(' ').next().unwrap_or_default().trim_matches('"').to_owned()).collect()
}

async fn l12_l13_rows_of_a_query_and_of_a_list(db: &Db) {
    let (repo, seen) = logged(db).await;
    let copy = Page::query().filter(Page::VISITS.gt(7)).select(("url", "title", Page::VISITS + 3));
    repo.insert_from((Page::URL, Page::TITLE, Page::VISITS), copy).await.unwrap();
    assert_eq!(last(&seen), ["url", "title", "3", "7"]);
    let rows = [1, 2].map(|n| {
        Draft::<Page>::new().set(Page::TITLE, format!("t{n}")).set(Page::VISITS, n).set(Page::URL, format!("u{n}"))
    });
    repo.insert_all(rows).await.unwrap();
    // In the order of the struct's fields, row by row.
    assert_eq!(last(&seen), ["u1", "t1", "1", "u2", "t2", "2"]);
    assert_eq!(super::pages(&repo).await, [super::row("u1", "t1", 1), super::row("u2", "t2", 2)]);
}

async fn l14_rows_with_shared_values(db: &Db) {
    let (repo, seen) = logged(db).await;
    let title = Shared::<String>::new("same");
    let rows = [1, 2, 3].map(|n| {
        Draft::<Page>::new().set(Page::URL, format!("u{n}")).set_shared(Page::TITLE, &title).set(Page::VISITS, n)
    });
    repo.insert_all(rows).await.unwrap();
    if db.backend.is_mysql_family() {
        // Its parameters have no numbers: each goes once for each mark.
        assert_eq!(last(&seen), ["u1", "same", "1", "u2", "same", "2", "u3", "same", "3"]);
    } else {
        assert_eq!(last(&seen), ["u1", "same", "1", "u2", "2", "u3", "3"]);
    }
    let titles = repo.all(Page::query().order_by(Page::URL.asc()).select((Page::TITLE, Page::VISITS))).await.unwrap();
    assert_eq!(titles, [1, 2, 3].map(|n| ("same".to_owned(), n)));
}

/// The parameters of an upsert: MySQL's filter stands before what is set.
fn in_order(db: &Db, row: &[&str], set: &[&str], filter: &[&str]) -> Vec<String> {
    let parts = if db.backend.is_mysql_family() { [row, filter, set] } else { [row, set, filter] };
    parts.concat().into_iter().map(ToOwned::to_owned).collect()
}

fn conflict() -> OnConflict<Page> {
    OnConflict::update()
        .set(Page::TITLE, "set")
        .inc(Page::VISITS, 40)
        .target(Page::URL)
        .filter(Page::VISITS.between(50, 60))
}

async fn l15_a_query_with_a_conflict(db: &Db) {
    let (repo, seen) = logged(db).await;
    let copy = Page::query().filter(Page::VISITS.gt(7)).select(("url", "title"));
    let copied = repo.upsert_from((Page::URL, Page::TITLE), copy, conflict()).await;
    if db.backend.is_mysql_family() {
        assert_unsupported(&copied.unwrap_err());
        return;
    }
    copied.unwrap();
    assert_eq!(last(&seen), ["url", "title", "7", "set", "40", "50", "60"]);
    assert_eq!(super::pages(&repo).await, [], "no page had so many visits");
    repo.insert_all([page("url", "stored", 55), page("u2", "another", 3)]).await.unwrap();
    let copy = Page::query().filter(Page::VISITS.gt(7)).select(("url", "title"));
    repo.upsert_from((Page::URL, Page::TITLE), copy, conflict()).await.unwrap();
    assert_eq!(super::pages(&repo).await, [super::row("u2", "another", 3), super::row("url", "set", 95)]);
}

async fn l16_rows_with_a_conflict(db: &Db) {
    let (repo, seen) = logged(db).await;
    let _ = repo.upsert(page("u1", "t1", 1), conflict()).await.unwrap();
    assert_eq!(last(&seen), in_order(db, &["u1", "t1", "1"], &["set", "40"], &["50", "60"]));
    assert_eq!(super::pages(&repo).await, [super::row("u1", "t1", 1)]);
}

async fn l17_all_three(db: &Db) {
    let (repo, seen) = logged(db).await;
    let title = Shared::<String>::new("same");
    let most = Page::query().filter(Page::VISITS.lt(7)).select(emr::functions::max(Page::VISITS)).scalar();
    let visits = emr::functions::coalesce(most, 8_i64);
    let row = Draft::<Page>::new().set(Page::URL, "u1").set_shared(Page::TITLE, &title).set_expr(Page::VISITS, visits);
    repo.upsert_all([row], conflict()).await.unwrap();
    assert_eq!(last(&seen), in_order(db, &["u1", "same", "7", "8"], &["set", "40"], &["50", "60"]));
    assert_eq!(super::pages(&repo).await, [super::row("u1", "same", 8)]);
}

async fn l18_l19_insert_and_upsert(db: &Db) {
    let (repo, seen) = logged(db).await;
    repo.insert(page("u1", "t1", 1).set(Page::ID, 9)).await.unwrap();
    assert_eq!(last(&seen), ["9", "u1", "t1", "1"]);
    let _ = repo.upsert(page("u1", "t2", 2), OnConflict::replace(Page::TITLE).target(Page::URL)).await.unwrap();
    assert_eq!(last(&seen), ["u1", "t2", "2"]);
    assert_eq!(super::pages(&repo).await, [super::row("u1", "t2", 1)]);
}

async fn l20_l21_update_and_delete(db: &Db) {
    let (repo, seen) = logged(db).await;
    let stored = repo.insert(page("u1", "t1", 1).set(Page::ID, 9)).await.unwrap();
    let stored = repo.update(stored.change().set(Page::VISITS, 5).set(Page::TITLE, "t2")).await.unwrap();
    assert_eq!(last(&seen), ["t2", "5", "9"]);
    repo.delete(&stored).await.unwrap();
    assert_eq!(last(&seen), ["9"]);
}
