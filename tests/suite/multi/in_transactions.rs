//! The transaction around the steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use emr::Multi;
use emr::prelude::*;

use super::{Track, row, track, tracks};
use crate::harness::{Backend, Db};

db_cases![
    in_a_transaction_it_is_a_savepoint,
    a_commit_that_fails_is_no_step,
    hooks_run_after_the_commit,
    one_that_is_dropped_half_way_leaves_nothing,
];

async fn in_a_transaction_it_is_a_savepoint(db: &Db) {
    db.repo.create_table::<Track>().await.unwrap();
    let tx = db.repo.begin().await.unwrap();
    tx.insert(track("outer")).await.unwrap();
    let mut failing = Multi::new();
    failing.insert("inner", track("inner"));
    failing.insert("twice", track("outer"));
    assert_eq!(tx.multi(failing).await.unwrap_err().step(), Some("twice"));
    let mut good = Multi::new();
    good.insert("good", track("good"));
    tx.multi(good).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(tracks(&db.other().await).await, [row("good", 0), row("outer", 0)]);
}

async fn a_commit_that_fails_is_no_step(db: &Db) {
    db.repo.create_table::<Track>().await.unwrap();
    let mut multi = Multi::new();
    multi.insert("one", track("one"));
    multi.run("swallows", |tx, _| {
        Box::pin(async move {
            // PostgreSQL gives the transaction up; SQLite goes on. The step itself is content.
            drop(tx.insert(track("one")).await.unwrap_err());
            Ok(())
        })
    });
    let kept = match db.repo.multi(multi).await {
        Ok(_) => vec![row("one", 0)],
        Err(failed) => {
            assert_eq!((failed.step(), failed.done().names().count()), (None, 2));
            assert!(matches!(failed.error().kind(), ErrorKind::Transaction(_)), "{failed:?}");
            Vec::new()
        }
    };
    assert_eq!(tracks(&db.repo).await, kept);
    assert_eq!(kept.is_empty(), db.backend == Backend::Postgres);
}

async fn one_that_is_dropped_half_way_leaves_nothing(db: &Db) {
    db.repo.create_table::<Track>().await.unwrap();
    let mut multi = Multi::new();
    multi.insert("first", track("first"));
    multi.run::<(), _>("forever", |tx, _| {
        Box::pin(async move {
            assert_eq!(tx.count(Track::query()).await?, 1);
            std::future::pending().await
        })
    });
    let cut = tokio::time::timeout(Duration::from_millis(300), db.repo.multi(multi)).await;
    assert!(cut.is_err());
    assert_eq!(tracks(&db.repo).await, []);
}

async fn hooks_run_after_the_commit(db: &Db) {
    db.repo.create_table::<Track>().await.unwrap();
    let told = Arc::new(AtomicBool::new(false));
    let mut multi = Multi::new();
    let hook = Arc::clone(&told);
    multi.run("hooked", move |tx, _| {
        Box::pin(async move {
            tx.insert(track("one")).await?;
            let seen = Arc::clone(&hook);
            tx.after_commit(move || seen.store(true, Ordering::Relaxed));
            assert!(!hook.load(Ordering::Relaxed));
            Ok(())
        })
    });
    db.repo.multi(multi).await.unwrap();
    assert!(told.load(Ordering::Relaxed));
    assert_eq!(tracks(&db.repo).await, [row("one", 0)]);
}
