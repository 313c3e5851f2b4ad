//! Prepared statements, and rows whose keys are taken.

use emr::PrepareMode;
use emr::prelude::*;

use super::is_elsewhere;
use crate::harness::Db;
use crate::schemas::Permalink;

db_cases![
    my14_unnamed_statements_are_closed,
    my28_a_taken_key_is_an_error,
    my29_my30_my31_my32_taken_keys_are_left_alone,
    my33_my34_taken_keys_are_updated_and_counted_once,
];

/// How many prepared statements the session of this repo has made and not closed, this question aside.
async fn open_statements(repo: &RepoHandle) -> i64 {
    let counts = "show session status where variable_name in ('Com_stmt_close', 'Com_stmt_prepare')";
    let counts = repo.query(counts, &[]).await.unwrap();
    let count = |row| counts.get::<String>(row, 1).unwrap().parse::<i64>().unwrap();
    assert_eq!(counts.get::<String>(1, 0).unwrap(), "Com_stmt_prepare");
    count(1) - count(0)
}

async fn my14_unnamed_statements_are_closed(db: &Db) {
    if is_elsewhere(db) {
        return;
    }
    db.repo.create_table::<Permalink>().await.unwrap();
    for (prepare, left) in [(PrepareMode::Unnamed, 0), (PrepareMode::Named, 3)] {
        let repo = emr::open(db.options().prepare(prepare).pool_size(1)).await.unwrap();
        let before = open_statements(&repo).await;
        for id in 1..=3 {
            assert_eq!(repo.count(Permalink::query()).await.unwrap(), 0);
            assert!(repo.get::<Permalink>(id).await.unwrap().is_none());
            assert!(!repo.exists(Permalink::query().filter(Permalink::ID.gt(id))).await.unwrap());
        }
        let after = open_statements(&repo).await;
        assert!((left..=left + 1).contains(&(after - before)), "{prepare:?}: {before}, {after}");
    }
}

fn link(id: i64, url: &str) -> Permalink {
    Permalink { id, url: url.to_owned() }
}

async fn stored(repo: &impl Repo) -> Vec<Permalink> {
    repo.all(Permalink::query().order_by(Permalink::ID.asc())).await.unwrap()
}

async fn my28_a_taken_key_is_an_error(db: &Db) {
    if is_elsewhere(db) {
        return;
    }
    db.repo.create_table::<Permalink>().await.unwrap();
    db.repo.insert(link(1, "/a")).await.unwrap();
    let error = db.repo.insert(link(1, "/b")).await.unwrap_err();
    let violation = error.violation().unwrap();
    assert_eq!((violation.name.as_deref(), &violation.columns[..]), (Some("PRIMARY"), &["id".to_owned()][..]));
    assert_eq!(stored(&db.repo).await, [link(1, "/a")]);
}

async fn my29_my30_my31_my32_taken_keys_are_left_alone(db: &Db) {
    if is_elsewhere(db) {
        return;
    }
    db.repo.create_table::<Permalink>().await.unwrap();
    let nothing = OnConflict::<Permalink>::nothing;
    assert!(db.repo.upsert(link(1, "/a"), nothing()).await.unwrap().is_inserted());
    assert!(db.repo.upsert(link(1, "/other"), nothing()).await.unwrap().is_skipped());
    let mixed = [link(1, "/other"), link(2, "/b"), link(3, "/c")];
    let counts = db.repo.upsert_all(mixed, nothing()).await.unwrap();
    assert_eq!((counts.inserted, counts.updated, counts.skipped), (2, 0, 1));
    let counts = db.repo.upsert_all([link(1, "/x"), link(2, "/y")], nothing()).await.unwrap();
    assert_eq!((counts.inserted, counts.updated, counts.skipped), (0, 0, 2));
    assert_eq!(stored(&db.repo).await, [link(1, "/a"), link(2, "/b"), link(3, "/c")]);
}

async fn my33_my34_taken_keys_are_updated_and_counted_once(db: &Db) {
    if is_elsewhere(db) {
        return;
    }
    db.repo.create_table::<Permalink>().await.unwrap();
    db.repo.insert(link(1, "/a")).await.unwrap();
    // The engine itself counts such a row twice.
    let replace = OnConflict::replace(Permalink::URL).target(Permalink::ID);
    let counts = db.repo.upsert_all([link(1, "/b"), link(2, "/c")], replace).await.unwrap();
    assert_eq!((counts.inserted, counts.updated, counts.skipped), (1, 1, 0));
    let set = OnConflict::update().set(Permalink::URL, "/set").target(Permalink::ID);
    let counts = db.repo.upsert_all([link(2, "/ignored")], set).await.unwrap();
    assert_eq!((counts.inserted, counts.updated, counts.skipped), (0, 1, 0));
    assert_eq!(stored(&db.repo).await, [link(1, "/b"), link(2, "/set")]);
}
