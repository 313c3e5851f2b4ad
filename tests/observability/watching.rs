//! What a watcher tells, and of which application.

use std::time::Duration;

use emr::prelude::*;
use emr::watch::{Changes, Item, Start, WatchSet, WatcherSpec};

use crate::capture::lines_with;
use crate::harness::Db;
use crate::{Account, accounts};

db_cases![ew40_ew41_debug_lines_name_their_application];

async fn reading(db: &Db, application: &str) -> Changes {
    let set =
        WatchSet::new().application(application.to_owned()).watch(WatcherSpec::table("accounts").label("accounts"));
    let watcher = db.repo.watcher(&set).unwrap();
    watcher.install().await.unwrap();
    watcher.changes(Start::Now).await.unwrap()
}

async fn commit(changes: &mut Changes) {
    let read = async {
        while let Some(item) = changes.recv().await {
            if let Item::Txn(_) = item.unwrap() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), read).await.expect("a commit");
}

async fn ew40_ew41_debug_lines_name_their_application(db: &Db) {
    db.repo.create_table::<Account>().await.unwrap();
    let (one, two) = (db.application("loud"), db.application("other"));
    let (mut of_one, of_two) = (reading(db, &one).await, reading(db, &two).await);
    drop(of_two);
    db.repo.insert_all(accounts(1..=3, "sesame")).await.unwrap();
    commit(&mut of_one).await;
    let lines = lines_with(&one);
    let lines: Vec<_> = lines.iter().filter(|line| line.starts_with("event")).collect();
    assert!(lines.iter().all(|line| line.starts_with("event DEBUG emr_core::watch")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("the watcher reads")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("a commit") && line.contains("\"changes\": \"3\"")), "{lines:?}");
    // What is in the rows is nobody's business.
    assert!(!lines.iter().any(|line| line.contains("sesame") || line.contains("name 1")), "{lines:?}");
    let others = lines_with(&two);
    assert!(others.iter().all(|line| !line.contains("a commit")), "{others:?}");
    assert!(others.iter().any(|line| line.contains("the watcher reads")), "{others:?}");
}
