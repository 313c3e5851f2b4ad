//! Conditions on the row that is written, and what runs in the transaction of the write.

use emr::prelude::*;

use super::schemas::{Item, item};
use crate::harness::Db;

db_cases![
    r24_optimistic_lock_in_update_and_delete,
    r25_r26_a_null_lock_is_no_condition,
    r15_r16_only_changes_are_sent,
    r22_a_key_changes_under_a_lock,
    filters_are_conditions_of_the_write,
    stale_writes_may_be_errors_of_a_field_or_allowed,
    prepare_changes_runs_in_the_transaction,
    what_prepare_changes_refuses_is_rolled_back,
    delete_of_a_changeset,
];

async fn locked(repo: &impl Repo) -> Item {
    repo.create_table::<Item>().await.unwrap();
    repo.insert(Item::build().set(Item::TITLE, "x").set(Item::LOCK_VERSION, 1)).await.unwrap()
}

async fn r24_optimistic_lock_in_update_and_delete(db: &Db) {
    let repo = &db.repo;
    let first = locked(repo).await;
    let second = repo.update(first.change().set(Item::TITLE, "y").optimistic_lock(Item::LOCK_VERSION)).await.unwrap();
    assert_eq!(second.lock_version, Some(2));
    let late = first.change().set(Item::TITLE, "z").optimistic_lock(Item::LOCK_VERSION);
    let error = db.other().await.update(late).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Stale { action: "update", .. }), "{error:?}");
    let error = repo.delete(first.change().optimistic_lock(Item::LOCK_VERSION)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Stale { action: "delete", .. }), "{error:?}");
    assert_eq!(repo.fetch::<Item>(first.id).await.unwrap(), second);
    // Nothing to write, nothing to count.
    let same = repo.update(second.change().optimistic_lock(Item::LOCK_VERSION)).await.unwrap();
    assert_eq!(same.lock_version, Some(2));
    // After the largest version comes the first one.
    let last = repo.update(second.change().set(Item::LOCK_VERSION, i32::MAX)).await.unwrap();
    let rolled = repo.update(last.change().set(Item::TITLE, "r").optimistic_lock(Item::LOCK_VERSION)).await.unwrap();
    assert_eq!(rolled.lock_version, Some(1));
    let jumped =
        rolled.change().set(Item::TITLE, "j").optimistic_lock_with(Item::LOCK_VERSION, |at| at.unwrap_or(0) + 10);
    let jumped = repo.update(jumped).await.unwrap();
    assert_eq!(jumped.lock_version, Some(11));
    repo.delete(jumped.change().optimistic_lock(Item::LOCK_VERSION)).await.unwrap();
    assert_eq!(repo.count(Item::query()).await.unwrap(), 0);
}

async fn r25_r26_a_null_lock_is_no_condition(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Item>().await.unwrap();
    let unlocked = item(repo, "x").await;
    repo.update_all(Item::query().set(Item::LOCK_VERSION, 5)).await.unwrap();
    let updated = unlocked.change().set(Item::TITLE, "y").optimistic_lock(Item::LOCK_VERSION);
    assert_eq!(repo.update(updated).await.unwrap().lock_version, Some(1));
    repo.delete(unlocked.change().optimistic_lock(Item::LOCK_VERSION)).await.unwrap();
    assert_eq!(repo.count(Item::query()).await.unwrap(), 0);
}

async fn r15_r16_only_changes_are_sent(db: &Db) {
    let repo = &db.repo;
    let mut row = locked(repo).await;
    repo.update_all(Item::query().set(Item::VISITS, 70)).await.unwrap();
    // What was written into the struct, and not into the changeset, stays in memory.
    row.body = Some("in memory only".into());
    let updated = repo.update(row.change().set(Item::TITLE, "new")).await.unwrap();
    assert_eq!((updated.title.as_str(), updated.visits, updated.body), ("new", 70, None));
    // An insert merges the struct and the changes, which win.
    let copy = repo.insert(row.change().set(Item::ID, row.id + 1).set(Item::TITLE, "copy")).await.unwrap();
    assert_eq!((copy.title.as_str(), copy.body.as_deref()), ("copy", Some("in memory only")));
    // Forced, an update without changes finds out whether the row is there.
    assert_eq!(repo.update(copy.change().force()).await.unwrap(), copy);
    repo.delete(&copy).await.unwrap();
    assert_eq!(repo.update(copy.change()).await.unwrap(), copy);
    assert!(repo.update(copy.change().force()).await.unwrap_err().is_stale());
    assert!(repo.update(copy.change().force_set(Item::TITLE, "copy")).await.unwrap_err().is_stale());
}

async fn r22_a_key_changes_under_a_lock(db: &Db) {
    let repo = &db.repo;
    let row = locked(repo).await;
    let moved = row.change().set(Item::ID, row.id + 10).optimistic_lock(Item::LOCK_VERSION);
    let moved = repo.update(moved).await.unwrap();
    assert_eq!((moved.id, moved.lock_version), (row.id + 10, Some(2)));
    assert_eq!(repo.all(Item::query()).await.unwrap(), [moved]);
}

async fn filters_are_conditions_of_the_write(db: &Db) {
    let repo = &db.repo;
    let row = locked(repo).await;
    let change = |title: &str| row.change().set(Item::TITLE, title);
    assert!(repo.update(change("a").filter(Item::VISITS, 8)).await.unwrap_err().is_stale());
    let done = repo.update(change("b").filter(Item::VISITS, 7).filter(Item::BODY, None)).await.unwrap();
    assert_eq!(done.title, "b");
    assert!(repo.delete(row.change().filter(Item::BODY, "x")).await.unwrap_err().is_stale());
    assert_eq!(repo.count(Item::query()).await.unwrap(), 1);
}

async fn stale_writes_may_be_errors_of_a_field_or_allowed(db: &Db) {
    let repo = &db.repo;
    let row = locked(repo).await;
    repo.delete(&row).await.unwrap();
    let late = row.change().set(Item::TITLE, "late");
    let error = repo.update(late.clone().stale_error_field(Item::TITLE)).await.unwrap_err();
    assert_eq!(error.field_errors().unwrap().messages()["title"], ["is stale"]);
    assert_eq!(error.field_errors().unwrap().get("title")[0].code(), "stale");
    let error = repo.delete(late.clone().stale_error("base", "is gone")).await.unwrap_err();
    assert_eq!(error.field_errors().unwrap().messages()["base"], ["is gone"]);
    let returned = repo.update(late.clone().allow_stale()).await.unwrap();
    assert_eq!(returned, Item { title: "late".into(), ..row });
    repo.delete(late.allow_stale()).await.unwrap();
    assert_eq!(repo.count(Item::query()).await.unwrap(), 0);
}

async fn prepare_changes_runs_in_the_transaction(db: &Db) {
    let repo = &db.repo;
    let counter = locked(repo).await;
    let id = counter.id;
    let count = move |changeset: Changeset<Item>| {
        changeset.prepare_changes(move |tx, changeset| {
            Box::pin(async move {
                assert!(tx.in_transaction());
                tx.update_all(Item::query().filter(Item::ID.eq(id)).inc(Item::VISITS, 1)).await?;
                Ok(changeset.set(Item::BODY, "prepared"))
            })
        })
    };
    let new = repo.insert(count(Item::build().set(Item::TITLE, "new"))).await.unwrap();
    assert_eq!(new.body.as_deref(), Some("prepared"));
    let new = repo.update(count(new.change().set(Item::TITLE, "newer"))).await.unwrap();
    repo.update(count(new.change())).await.unwrap();
    repo.delete(count(new.change())).await.unwrap();
    assert_eq!(repo.fetch::<Item>(id).await.unwrap().visits, 7 + 3, "not for the update without changes");
    // In a transaction: a failure undoes this write only.
    let tx = repo.begin().await.unwrap();
    tx.insert(count(Item::build().set(Item::TITLE, "a"))).await.unwrap();
    let twice = Item::build().set(Item::ID, id).set(Item::TITLE, "twice");
    assert!(tx.insert(count(twice)).await.unwrap_err().is_unique_violation());
    tx.commit().await.unwrap();
    assert_eq!(repo.fetch::<Item>(id).await.unwrap().visits, 7 + 4);
    assert_eq!(repo.count(Item::query()).await.unwrap(), 2);
    let error = repo.insert_all([count(Item::build().set(Item::TITLE, "many"))]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
}

async fn what_prepare_changes_refuses_is_rolled_back(db: &Db) {
    let repo = &db.repo;
    let row = locked(repo).await;
    let refuse = |changeset: Changeset<Item>| {
        changeset.prepare_changes(|tx, changeset| {
            Box::pin(async move {
                tx.delete_all(Item::query()).await?;
                Ok(changeset.add_error(Item::TITLE, "is odd"))
            })
        })
    };
    assert!(repo.insert(refuse(Item::build().set(Item::TITLE, "x"))).await.unwrap_err().is_validation());
    assert!(repo.update(refuse(row.change().set(Item::TITLE, "y"))).await.unwrap_err().is_validation());
    assert!(repo.delete(refuse(row.change())).await.unwrap_err().is_validation());
    let failing = row.change().set(Item::TITLE, "z").prepare_changes(|tx, _| {
        Box::pin(async move {
            tx.delete_all(Item::query()).await?;
            Err(Error::invalid("no"))
        })
    });
    assert!(matches!(repo.update(failing).await.unwrap_err().kind(), ErrorKind::InvalidCall { .. }));
    assert_eq!(repo.all(Item::query()).await.unwrap(), [row]);
}

async fn delete_of_a_changeset(db: &Db) {
    let repo = &db.repo;
    let row = locked(repo).await;
    // What it changes does not matter.
    repo.delete(row.change().set(Item::ID, 99).set(Item::TITLE, "x")).await.unwrap();
    assert_eq!(repo.count(Item::query()).await.unwrap(), 0);
    let error = repo.delete(Item::build()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
}
