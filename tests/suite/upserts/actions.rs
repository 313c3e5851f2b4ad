//! What is done with the row whose key is taken.

use emr::prelude::*;

use super::{Page, one_page, page, pages, row};
use crate::harness::{Backend, backend};

repo_cases![
    r111_a_taken_key_is_an_error,
    r112_r120_nothing_skips_the_row,
    r114_inc,
    r116_r117_set_by_a_target,
    r118_r119_what_comes_back_is_what_is_stored,
    r121_r122_update_by_expressions,
    r123_a_filter_that_is_false_skips,
    r124_r125_replace_all_takes_the_new_key,
    r137_r138_replace_all_except,
    r139_replace_some_columns,
    the_outcome_is_true_after_every_other_one,
    a_trigger_does_not_change_the_outcome,
];

async fn r111_a_taken_key_is_an_error(repo: &impl Repo) {
    repo.create_table::<Page>().await.unwrap();
    repo.transaction(async |tx| tx.insert(page("/a", "one", 10)).await).await.unwrap();
    let error = repo.transaction(async |tx| tx.insert(page("/a", "two", 20)).await).await.unwrap_err();
    assert!(error.is_unique_violation(), "{error}");
    assert_eq!(pages(repo).await, [row("/a", "one", 10)]);
}

async fn r112_r120_nothing_skips_the_row(repo: &impl Repo) {
    one_page(repo).await;
    let skipped = repo.upsert(page("/a", "two", 20), OnConflict::nothing()).await.unwrap();
    assert_eq!(skipped, Upserted::Skipped);
    let inserted = repo.upsert(page("/b", "two", 20), OnConflict::nothing()).await.unwrap();
    assert!(inserted.is_inserted());
    assert_eq!(inserted.into_row().unwrap().title, "two");
    assert_eq!(pages(repo).await, [row("/a", "one", 10), row("/b", "two", 20)]);
}

async fn r114_inc(repo: &impl Repo) {
    let first = one_page(repo).await;
    let count = OnConflict::update().inc(Page::VISITS, 5).target(Page::URL);
    let updated = repo.upsert(page("/a", "two", 20), count.clone()).await.unwrap();
    assert_eq!(updated, Upserted::Updated(Page { visits: 15, ..first }));
    assert!(repo.upsert(page("/b", "new", 1), count).await.unwrap().is_inserted());
    assert_eq!(pages(repo).await, [row("/a", "one", 15), row("/b", "new", 1)]);
}

async fn r116_r117_set_by_a_target(repo: &impl Repo) {
    let first = one_page(repo).await;
    let rename = OnConflict::update().set(Page::TITLE, "renamed").set(Page::NOTE, None).target(Page::URL);
    let updated = repo.upsert(page("/a", "two", 20), rename).await.unwrap();
    assert_eq!(updated.row().unwrap().id, first.id);
    assert_eq!(pages(repo).await, [row("/a", "renamed", 10)]);
}

async fn r118_r119_what_comes_back_is_what_is_stored(repo: &impl Repo) {
    let first = one_page(repo).await;
    let replace = OnConflict::replace(Page::TITLE).target(Page::URL);
    let Upserted::Updated(stored) = repo.upsert(page("/a", "two", 20), replace).await.unwrap() else {
        panic!("the key was taken")
    };
    // Not what the new row said: neither its visits nor a key that was counted in vain.
    assert_eq!(stored, Page { title: "two".into(), ..first });
    assert_eq!(repo.fetch::<Page>(stored.id).await.unwrap(), stored);
}

async fn r121_r122_update_by_expressions(repo: &impl Repo) {
    one_page(repo).await;
    let sum = OnConflict::update()
        .set_expr(Page::VISITS, Page::VISITS * 100 + excluded(Page::VISITS))
        .set_expr(Page::NOTE, Page::TITLE)
        .set_expr(Page::TITLE, excluded(Page::TITLE))
        .target(Page::URL);
    let stored = repo.upsert(page("/a", "two", 7), sum).await.unwrap().into_row().unwrap();
    // Every expression reads the row as it was.
    assert_eq!((stored.visits, stored.title.as_str(), stored.note.as_deref()), (1_007, "two", Some("one")));
    // A subquery, of the same table.
    let most = Page::query().select(emr::functions::max(Page::VISITS)).scalar();
    let above = OnConflict::update().set_expr(Page::VISITS, most + excluded(Page::VISITS)).target(Page::URL);
    let stored = repo.upsert(page("/a", "two", 3), above).await.unwrap().into_row().unwrap();
    assert_eq!(stored.visits, 1_010);
}

async fn r123_a_filter_that_is_false_skips(repo: &impl Repo) {
    one_page(repo).await;
    let newer = || {
        OnConflict::replace((Page::TITLE, Page::VISITS))
            .target(Page::URL)
            .filter(Page::VISITS.lt(excluded(Page::VISITS)))
    };
    assert_eq!(repo.upsert(page("/a", "old", 9), newer()).await.unwrap(), Upserted::Skipped);
    assert_eq!(pages(repo).await, [row("/a", "one", 10)]);
    assert!(repo.upsert(page("/a", "new", 11), newer()).await.unwrap().is_updated());
    assert_eq!(pages(repo).await, [row("/a", "new", 11)]);
    assert!(repo.upsert(page("/b", "other", 1), newer()).await.unwrap().is_inserted());
}

async fn r124_r125_replace_all_takes_the_new_key(repo: &impl Repo) {
    let first = one_page(repo).await;
    repo.update(first.change().set(Page::NOTE, "a note")).await.unwrap();
    let all = OnConflict::replace_all().target(Page::URL);
    let row = page("/a", "two", 20).set(Page::ID, first.id + 100);
    let stored = repo.upsert(row, all).await.unwrap();
    // The note too: the new row has none.
    let expected = Page { id: first.id + 100, url: "/a".into(), title: "two".into(), visits: 20, note: None };
    assert_eq!(stored, Upserted::Updated(expected.clone()));
    assert_eq!(repo.all(Page::query()).await.unwrap(), [expected]);
}

async fn r137_r138_replace_all_except(repo: &impl Repo) {
    let first = one_page(repo).await;
    let all = || OnConflict::replace_all_except((Page::ID, Page::VISITS)).target(Page::URL);
    let stored = repo.upsert(page("/a", "two", 20).set(Page::NOTE, "n"), all()).await.unwrap();
    let expected = Page { title: "two".into(), note: Some("n".into()), ..first };
    assert_eq!(stored, Upserted::Updated(expected));
    // A column that the new row leaves out takes its default.
    let stored = repo.upsert(page("/a", "three", 30), all()).await.unwrap().into_row().unwrap();
    assert_eq!((stored.title.as_str(), stored.note), ("three", None));
}

async fn r139_replace_some_columns(repo: &impl Repo) {
    let first = one_page(repo).await;
    let some = OnConflict::replace((Page::TITLE, Page::NOTE)).target(Page::URL);
    let stored = repo.upsert(page("/a", "two", 20).set(Page::NOTE, "n"), some).await.unwrap();
    assert_eq!(stored, Upserted::Updated(Page { title: "two".into(), note: Some("n".into()), ..first }));
}

async fn the_outcome_is_true_after_every_other_one(repo: &impl Repo) {
    one_page(repo).await;
    let replace = || OnConflict::replace(Page::TITLE).target(Page::URL).filter(Page::VISITS.lt(100));
    let first = repo.one(Page::query()).await.unwrap().unwrap();
    let mut seen = Vec::new();
    for (n, url) in ["/a", "/b", "/a", "/a", "/c", "/b", "/d"].into_iter().enumerate() {
        seen.push(repo.upsert(page(url, &format!("t{n}"), 1), replace()).await.unwrap().is_inserted());
    }
    assert_eq!(seen, [false, true, false, false, true, false, true]);
    // After one that was skipped, and after one that failed once its row had been changed.
    repo.update_all(Page::query().filter(Page::URL.eq("/a")).set(Page::VISITS, 200)).await.unwrap();
    assert!(repo.upsert(page("/a", "x", 1), replace()).await.unwrap().is_skipped());
    assert!(repo.upsert(page("/e", "x", 1), replace()).await.unwrap().is_inserted());
    let clash = OnConflict::update().set(Page::ID, first.id).target(Page::URL);
    let failed = repo.transaction(async |tx| tx.upsert(page("/e", "x", 1), clash).await).await.unwrap_err();
    assert!(failed.is_unique_violation(), "{failed}");
    assert!(repo.upsert(page("/f", "x", 1), replace()).await.unwrap().is_inserted());
    assert!(repo.upsert(page("/f", "y", 1), replace()).await.unwrap().is_updated());
}

async fn a_trigger_does_not_change_the_outcome(repo: &impl Repo) {
    if backend().is_mysql_family() && repo.in_transaction() {
        // A trigger cannot be made while a transaction uses the table; on a handle and on a checkout it can.
        return;
    }
    one_page(repo).await;
    let sqlite = "CREATE TABLE seen (url TEXT);
        CREATE TRIGGER log_insert AFTER INSERT ON pages BEGIN INSERT INTO seen VALUES (new.\"full url\"); END;
        CREATE TRIGGER log_update AFTER UPDATE ON pages BEGIN UPDATE seen SET url = url; END;";
    let postgres = "CREATE TABLE seen (url TEXT);
        CREATE FUNCTION log() RETURNS trigger AS 'BEGIN INSERT INTO seen VALUES (NEW.title); RETURN NEW; END' LANGUAGE plpgsql;
        CREATE TRIGGER log BEFORE INSERT OR UPDATE ON pages FOR EACH ROW EXECUTE FUNCTION log();";
    let mysql = "CREATE TABLE seen (url TEXT);
        CREATE TRIGGER log_insert AFTER INSERT ON pages FOR EACH ROW INSERT INTO seen VALUES (new.title);
        CREATE TRIGGER log_update AFTER UPDATE ON pages FOR EACH ROW UPDATE seen SET url = url";
    repo.script(match backend() {
        Backend::Sqlite => sqlite,
        Backend::Postgres => postgres,
        Backend::Mariadb | Backend::Mysql => mysql,
    })
    .await
    .unwrap();
    let replace = || OnConflict::replace(Page::TITLE).target(Page::URL);
    for (url, inserted) in [("/a", false), ("/b", true), ("/b", false), ("/c", true)] {
        assert_eq!(repo.upsert(page(url, "x", 1), replace()).await.unwrap().is_inserted(), inserted, "{url}");
    }
}
