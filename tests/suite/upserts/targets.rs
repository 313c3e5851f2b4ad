//! Which key must be taken.

use emr::prelude::*;

use super::{Page, one_page, page, pages, row};
use crate::harness::{Backend, Db, assert_unsupported, assert_unsupported_in_part};

db_cases![
    r115_r128_another_key_than_the_target_is_an_error,
    constraints_by_name,
    partial_indexes,
    composite_keys,
    nulls_never_conflict,
    r62_r73_r82_a_prefix_that_is_not_there,
    r134_raw_upserts_of_a_table,
];

async fn r115_r128_another_key_than_the_target_is_an_error(db: &Db) {
    let repo = &db.repo;
    let first = one_page(repo).await;
    let same_id = || page("/b", "two", 20).set(Page::ID, first.id);
    for conflict in [OnConflict::nothing().target(Page::URL), OnConflict::replace(Page::TITLE).target(Page::URL)] {
        let error = repo.upsert(same_id(), conflict.clone()).await.unwrap_err();
        assert!(error.is_unique_violation(), "{error}");
        let error = repo.upsert_all([same_id()], conflict).await.unwrap_err();
        assert!(error.is_unique_violation(), "{error}");
    }
    assert_eq!(pages(repo).await, [row("/a", "one", 10)]);
    let by_id = OnConflict::nothing().target(Page::ID);
    assert!(repo.upsert(same_id(), by_id.clone()).await.unwrap().is_skipped());
    assert_eq!(repo.upsert_all([same_id()], by_id).await.unwrap().skipped, 1);
}

async fn constraints_by_name(db: &Db) {
    let repo = &db.repo;
    one_page(repo).await;
    if db.backend == Backend::Postgres {
        repo.script("ALTER TABLE pages ADD CONSTRAINT one_title UNIQUE (title)").await.unwrap();
    }
    let by_name = OnConflict::update().inc(Page::VISITS, 1).target_constraint("one_title");
    let outcome = repo.upsert(page("/b", "one", 0), by_name).await;
    if db.backend != Backend::Postgres {
        assert_unsupported_in_part(&outcome.unwrap_err());
        return;
    }
    assert!(outcome.unwrap().is_updated());
    assert_eq!(pages(repo).await, [row("/a", "one", 11)]);
    let unknown = OnConflict::update().inc(Page::VISITS, 1).target_constraint("no_such");
    let error = repo.upsert(page("/b", "one", 0), unknown).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Database { code, .. } if code == "42704"), "{error:?}");
}

async fn partial_indexes(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Page>().await.unwrap();
    if db.backend.is_mysql_family() {
        let public = OnConflict::update().inc(Page::VISITS, 1).target(Page::URL).target_where(Page::NOTE.is_null());
        assert_unsupported(&repo.upsert(page("/a", "one", 1), public).await.unwrap_err());
        assert!(pages(repo).await.is_empty());
        return;
    }
    repo.script("CREATE UNIQUE INDEX one_public ON pages (title) WHERE note IS NULL").await.unwrap();
    repo.script("CREATE UNIQUE INDEX one_ten ON pages (title) WHERE visits = 10 AND note = 'it''s'").await.unwrap();
    repo.insert(page("/a", "one", 1)).await.unwrap();
    let public = || OnConflict::update().inc(Page::VISITS, 1).target(Page::TITLE).target_where(Page::NOTE.is_null());
    assert!(repo.upsert(page("/b", "one", 0), public()).await.unwrap().is_updated());
    // Outside of the index, nothing conflicts.
    assert!(repo.upsert(page("/c", "one", 0).set(Page::NOTE, "private"), public()).await.unwrap().is_inserted());
    // The values of the condition stand in the statement.
    let ten = Page::VISITS.eq(10).and(Page::NOTE.eq("it's"));
    let ten = || OnConflict::update().set(Page::NOTE, "ten").target(Page::TITLE).target_where(ten.clone());
    let special = |url: &str| page(url, "one", 10).set(Page::NOTE, "it's");
    assert!(repo.upsert(special("/d"), ten()).await.unwrap().is_inserted());
    assert!(repo.upsert(special("/e"), ten()).await.unwrap().is_updated());
    assert_eq!(pages(repo).await, [row("/a", "one", 2), row("/c", "one", 0), row("/d", "one", 10)]);
    // Without the condition, no index has just this column.
    let whole = OnConflict::update().inc(Page::VISITS, 1).target(Page::TITLE);
    let error = repo.upsert(page("/b", "one", 0), whole).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
}

async fn composite_keys(db: &Db) {
    use crate::schemas::Membership;
    let repo = &db.repo;
    repo.create_table::<Membership>().await.unwrap();
    let member = |role: &str| Membership { group_id: 1, person: "ada".into(), role: role.into() };
    let key = || OnConflict::replace(Membership::ROLE).target((Membership::GROUP_ID, Membership::PERSON));
    assert!(repo.upsert(member("guest"), key()).await.unwrap().is_inserted());
    assert_eq!(repo.upsert(member("owner"), key()).await.unwrap(), Upserted::Updated(member("owner")));
    assert_eq!(repo.all(Membership::query()).await.unwrap(), [member("owner")]);
    if db.backend.is_mysql_family() {
        // Nothing asks for an index.
        return;
    }
    // Half a key has no index.
    let half = OnConflict::replace(Membership::ROLE).target(Membership::PERSON);
    let error = repo.upsert(member("x"), half).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
}

async fn nulls_never_conflict(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Page>().await.unwrap();
    let length = if db.backend.is_mysql_family() { "(20)" } else { "" };
    repo.script(&format!("CREATE UNIQUE INDEX one_note ON pages (note{length})")).await.unwrap();
    let by_note = || OnConflict::replace(Page::TITLE).target(Page::NOTE);
    let rows = ["/a", "/b", "/c"].map(|url| page(url, "x", 0).set(Page::NOTE, None));
    let counts = repo.upsert_all(rows, by_note()).await.unwrap();
    assert_eq!(counts.inserted, 3);
}

async fn r62_r73_r82_a_prefix_that_is_not_there(db: &Db) {
    let repo = &db.repo;
    one_page(repo).await;
    let nowhere = repo.with_prefix("nowhere");
    let errors = [
        nowhere.insert_all([page("/b", "x", 1)]).await.unwrap_err(),
        nowhere.update_all(Page::query().set(Page::TITLE, "x")).await.unwrap_err(),
        nowhere.delete_all(Page::query()).await.unwrap_err(),
        nowhere.upsert(page("/b", "x", 1), OnConflict::nothing()).await.unwrap_err(),
        nowhere.insert_from(Page::URL, Page::query().select(Page::URL)).await.unwrap_err(),
    ];
    for error in errors {
        match db.backend {
            // No engine's error: it has no prefixes at all.
            Backend::Sqlite => assert_unsupported(&error),
            _ => assert!(matches!(error.kind(), ErrorKind::Database { .. }), "{error:?}"),
        }
    }
    assert_eq!(pages(repo).await, [row("/a", "one", 10)]);
}

async fn r134_raw_upserts_of_a_table(db: &Db) {
    let repo = &db.repo;
    one_page(repo).await;
    let sql = "INSERT INTO pages (\"full url\", title) VALUES ($1, $2) \
               ON CONFLICT (\"full url\") DO UPDATE SET title = excluded.title RETURNING title";
    let mysql = "INSERT INTO pages (`full url`, title) VALUES (?, ?) ON DUPLICATE KEY UPDATE title = VALUES(title)";
    let sql = if db.backend.is_mysql_family() { mysql } else { sql };
    let result = repo.query(sql, &[&"/a", &"raw"]).await.unwrap();
    assert_eq!(result.rows().len(), usize::from(!db.backend.is_mysql_family()));
    assert_eq!(pages(repo).await, [row("/a", "raw", 10)]);
}
