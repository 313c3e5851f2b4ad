//! What a refused write says, and that it leaves nothing behind.

use emr::prelude::*;
use emr::{ConstraintKind, Violation};

use crate::harness::{Backend, Db};
use crate::schemas::{Permalink, Reading};

db_cases![
    r27_r111_unique_constraint,
    r33_r35_foreign_key_constraint,
    pg2_my1_sq1_check_and_not_null,
    r126_insert_all_is_all_or_none,
    a_failed_bulk_insert_in_a_nested_transaction_keeps_the_outer_one,
];

fn violation(error: &Error) -> &Violation {
    error.violation().unwrap_or_else(|| panic!("no constraint violation: {error:?}"))
}

async fn r27_r111_unique_constraint(db: &Db) {
    db.repo.create_table::<Permalink>().await.unwrap();
    let link = Permalink { id: 1, url: "/secret-value".into() };
    db.repo.insert(link.clone()).await.unwrap();
    let same_url = db.repo.insert(Permalink { id: 2, ..link.clone() }).await.unwrap_err();
    assert!(same_url.is_unique_violation());
    let found = violation(&same_url);
    assert_eq!(found.columns, ["full url"]);
    assert_eq!(found.table.as_deref(), Some("permalinks"));
    assert!(found.name.is_some());
    assert!(!format!("{same_url} {same_url:?}").contains("secret-value"), "{same_url:?}");
    let same_id = db.repo.insert(Permalink { url: "/b".into(), ..link }).await.unwrap_err();
    assert_eq!(violation(&same_id).columns, ["id"]);
    assert_eq!(db.repo.count(Permalink::query()).await.unwrap(), 1);
}

async fn r33_r35_foreign_key_constraint(db: &Db) {
    let sql = "CREATE TABLE owners (id BIGINT PRIMARY KEY);
               CREATE TABLE things (id BIGINT PRIMARY KEY, owner_id BIGINT,
                                    CONSTRAINT things_owner FOREIGN KEY (owner_id) REFERENCES owners (id))";
    db.repo.script(sql).await.unwrap();
    let error = db.repo.query("INSERT INTO things VALUES (1, 7)", &[]).await.unwrap_err();
    assert!(error.is_foreign_key_violation(), "{error:?}");
    if db.backend == Backend::Postgres {
        assert_eq!(violation(&error).name.as_deref(), Some("things_owner"));
    }
    db.repo.script("INSERT INTO owners VALUES (7); INSERT INTO things VALUES (1, 7)").await.unwrap();
    let error = db.repo.query("DELETE FROM owners", &[]).await.unwrap_err();
    assert!(error.is_foreign_key_violation(), "{error:?}");
    // What could not be deleted is still there, and so is what refers to it.
    let both = "SELECT owners.id, things.id FROM owners JOIN things ON things.owner_id = owners.id";
    let both = db.repo.query(both, &[]).await.unwrap();
    assert_eq!((both.get::<i64>(0, 0).unwrap(), both.get::<i64>(0, 1).unwrap()), (7, 1));
}

async fn pg2_my1_sq1_check_and_not_null(db: &Db) {
    let sql =
        "CREATE TABLE readings (sensor TEXT NOT NULL, value DOUBLE PRECISION, CONSTRAINT positive CHECK (value > 0))";
    db.repo.script(sql).await.unwrap();
    let error = db.repo.insert(Reading { sensor: "a".into(), value: -1.0 }).await.unwrap_err();
    assert_eq!(violation(&error).kind, ConstraintKind::Check);
    assert_eq!(violation(&error).name.as_deref(), Some("positive"));
    let error = db.repo.insert_all([Reading::build().set(Reading::VALUE, 1.0)]).await.unwrap_err();
    assert_eq!(violation(&error).kind, ConstraintKind::NotNull);
    assert_eq!(violation(&error).columns, ["sensor"]);
    assert_eq!(db.repo.count(Reading::query()).await.unwrap(), 0);
    let valid = db.repo.insert(Reading { sensor: "a".into(), value: 1.0 }).await.unwrap();
    assert_eq!(db.repo.all(Reading::query()).await.unwrap(), [valid]);
}

async fn r126_insert_all_is_all_or_none(db: &Db) {
    db.repo.create_table::<Permalink>().await.unwrap();
    for count in [100, 1_000, 20_000] {
        let rows = (0..count).map(|n| Permalink { id: n, url: format!("/{}", if n == count / 2 { 0 } else { n }) });
        let error = db.repo.insert_all(rows).await.unwrap_err();
        assert_eq!(violation(&error).columns, ["full url"], "{count}");
        assert_eq!(db.repo.count(Permalink::query()).await.unwrap(), 0, "{count}");
    }
    // Two groups of columns, the second of which fails: the first is undone.
    let rows = [
        Permalink::build().set(Permalink::URL, "/a"),
        Permalink::build().set(Permalink::ID, 5).set(Permalink::URL, "/a"),
    ];
    assert!(db.repo.insert_all(rows).await.unwrap_err().is_unique_violation());
    assert_eq!(db.repo.count(Permalink::query()).await.unwrap(), 0);
    let rows = (0..20_000).map(|n| Permalink { id: n, url: format!("/{n}") });
    assert_eq!(db.repo.insert_all(rows).await.unwrap(), 20_000);
    assert_eq!(db.repo.count(Permalink::query()).await.unwrap(), 20_000);
}

async fn a_failed_bulk_insert_in_a_nested_transaction_keeps_the_outer_one(db: &Db) {
    db.repo.create_table::<Permalink>().await.unwrap();
    let row = |id, url: &str| Permalink { id, url: url.into() };
    db.repo
        .transaction(async |tx| {
            tx.insert(row(1, "/a")).await?;
            let inner = tx.transaction(async |inner| inner.insert_all([row(2, "/b"), row(3, "/a")]).await).await;
            assert!(inner.unwrap_err().is_unique_violation());
            tx.insert(row(4, "/d")).await?;
            Ok(())
        })
        .await
        .unwrap();
    let urls = db.repo.all(Permalink::query().order_by(Permalink::ID.asc())).await.unwrap();
    assert_eq!(urls, [row(1, "/a"), row(4, "/d")]);
}
