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
    let (one, two) = (db.application("one"), db.application("two"));
    let (mut of_one, mut of_two) = (reading(db, &one).await, reading(db, &two).await);
    db.repo.insert_all(accounts(1..=3, "sesame")).await.unwrap();
    commit(&mut of_one).await;
    commit(&mut of_two).await;
    for (own, other) in [(&one, &two), (&two, &one)] {
        let lines = lines_with(&format!("\"application\": \"{own}\""));
        assert!(lines.iter().all(|line| line.starts_with("event DEBUG emr_core::watch")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("the watcher reads")), "{lines:?}");
        let commits: Vec<_> = lines.iter().filter(|line| line.contains("a commit")).collect();
        assert!(matches!(commits[..], [one] if one.contains("\"changes\": \"3\"")), "{commits:?}");
        // What is in the rows is nobody's business.
        let told = |text: &str| lines.iter().any(|line| line.contains(text));
        assert!(!told("sesame") && !told("name 1") && !told(other), "{lines:?}");
    }
}
