//! The log itself: how long it keeps changes, and what is done to it and to its file.

use std::time::Duration;

use emr_core::watch::{Item, ResyncReason, Retention, Start, WatchFault};
use emr_core::{ErrorKind, Repo};

use crate::{File, int, next_events, next_resync, next_txn, open_path, set};

const TABLE: &str = "create table t (id integer primary key, a text)";

async fn insert(file: &File, ids: std::ops::RangeInclusive<i64>) {
    let rows: Vec<_> = ids.map(|id| format!("({id}, 'a')")).collect();
    file.run(&format!("insert into t values {}", rows.join(", "))).await;
}

#[tokio::test]
async fn cs05_a_token_that_is_older_than_the_log() {
    let file = File::with(TABLE).await;
    for retention in
        [Retention { events: 10, ..Retention::default() }, Retention { age: Duration::from_secs(1), events: 1_000 }]
    {
        let quick = set("t", &[]).heartbeat(Duration::from_millis(50)).retention(retention);
        let watcher = file.watcher(&quick);
        watcher.install().await.expect("installed");
        let old = watcher.head().await.expect("a token");
        insert(&file, 1..=100).await;
        let mut tending = watcher.changes(Start::After(old.clone())).await.expect("changes");
        next_events(&mut tending, 100).await;
        let left = || file.foreign().query_row("select count(*) from emr_emr_log", [], |row| row.get::<_, i64>(0));
        while left().expect("a number") > 10 {
            let item = tending.recv().await.expect("it goes on").expect("no error");
            assert!(matches!(item, Item::Progress { .. }), "{item:?}");
        }
        let mut late = watcher.changes(Start::After(old)).await.expect("changes");
        assert_eq!(next_resync(&mut late).await, ResyncReason::TokenTooOld);
        insert(&file, 101..=101).await;
        for changes in [&mut tending, &mut late] {
            assert_eq!(int(&next_events(changes, 1).await[0], "id"), 101);
        }
        file.run("delete from t").await;
        watcher.uninstall().await.expect("gone");
    }
}

#[tokio::test]
async fn cs06_an_older_copy_of_the_file() {
    let file = File::with(TABLE).await;
    let watcher = file.watcher(&set("t", &[]));
    watcher.install().await.expect("installed");
    insert(&file, 1..=5).await;
    let copy = file.path.with_extension("copy");
    file.foreign().execute("vacuum into ?1", [copy.to_str().expect("Unicode")]).expect("a copy");
    insert(&file, 6..=7).await;
    let token = watcher.head().await.expect("a token");
    let restored = open_path(&copy).await;
    let watcher = restored.watcher(&set("t", &[])).expect("a watcher");
    let mut changes = watcher.changes(Start::After(token.clone())).await.expect("changes");
    assert_eq!(next_resync(&mut changes).await, ResyncReason::OtherDatabase, "it ends before the token");
    // Also when it has come as far as the token, and further.
    restored.query("insert into t values (8, 'x'), (9, 'x'), (10, 'x')", &[]).await.expect("rows");
    let mut changes = watcher.changes(Start::After(token)).await.expect("changes");
    assert_eq!(next_resync(&mut changes).await, ResyncReason::OtherDatabase, "it is another past");
}

#[tokio::test]
async fn a_file_that_is_put_in_the_place_of_another() {
    let file = File::with(TABLE).await;
    let (_watcher, mut changes) = file.follow(&set("t", &[])).await;
    let copy = file.path.with_extension("copy");
    file.foreign().execute("vacuum into ?1", [copy.to_str().expect("Unicode")]).expect("a copy");
    insert(&file, 1..=3).await;
    next_events(&mut changes, 3).await;
    file.repo.stop(Duration::ZERO).await;
    let end = loop {
        match changes.recv().await.expect("an end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(end.is_stopped(), "{end}");

    // A reader of a repo that lives.
    let repo = open_path(&file.path).await;
    let watcher = repo.watcher(&set("t", &[])).expect("a watcher");
    let mut changes = watcher.changes(Start::Now).await.expect("changes");
    for companion in ["-wal", "-shm"] {
        let mut beside = file.path.clone().into_os_string();
        beside.push(companion);
        let _ = std::fs::remove_file(beside);
    }
    std::fs::rename(&copy, &file.path).expect("replaced");
    assert_eq!(next_resync(&mut changes).await, ResyncReason::OtherDatabase);
    file.foreign().execute("insert into t values (77, 'new')", []).expect("a row");
    assert_eq!(int(&next_txn(&mut changes).await.changes[0], "id"), 77);

    std::fs::remove_file(&file.path).expect("gone");
    let end = loop {
        match changes.recv().await.expect("an end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(end.kind(), ErrorKind::ConnectFailed { .. }), "{end}");
    assert!(!file.path.exists(), "no file was made");
}

#[tokio::test]
async fn a_log_that_is_changed_by_hand() {
    let file = File::with(TABLE).await;
    let (watcher, mut changes) = file.follow(&set("t", &["a"])).await;
    insert(&file, 1..=3).await;
    next_events(&mut changes, 3).await;
    let token = watcher.head().await.expect("a token");
    drop(changes);
    insert(&file, 4..=6).await;
    let db = file.foreign();
    db.execute_batch("delete from emr_emr_log where pos = 5").expect("by hand");
    let mut changes = watcher.changes(Start::After(token.clone())).await.expect("changes");
    assert_eq!(next_resync(&mut changes).await, ResyncReason::LogReset, "a hole");
    db.execute_batch("delete from emr_emr_log").expect("by hand");
    assert_eq!(next_resync(&mut changes).await, ResyncReason::LogReset, "nothing is left");
    insert(&file, 7..=7).await;
    assert_eq!(int(&next_events(&mut changes, 1).await[0], "id"), 7);
    db.execute_batch("update emr_emr_log set op = 9").expect("by hand");
    let mut changes = watcher.changes(Start::After(token)).await.expect("changes");
    assert_eq!(next_resync(&mut changes).await, ResyncReason::LogReset);
    insert(&file, 8..=8).await;
    assert_eq!(int(&next_events(&mut changes, 1).await[0], "id"), 8);
    db.execute_batch("begin; insert into t values (9, 'a'); update emr_emr_log set op = 9 where pos = (select max(pos) from emr_emr_log); commit")
        .expect("by hand");
    assert_eq!(next_resync(&mut changes).await, ResyncReason::Unreadable);

    db.execute_batch("alter table emr_emr_log rename to elsewhere").expect("by hand");
    let end = loop {
        match tokio::time::timeout(Duration::from_mins(1), changes.recv()).await.expect("an end").expect("an error") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(end.watch_fault(), Some(WatchFault::NotInstalled { .. })), "{end}");
}

#[tokio::test]
async fn changes_that_stay_after_a_failed_statement_are_told() {
    let file = File::with("create table t (id integer primary key, u integer unique)").await;
    let (_watcher, mut changes) = file.follow(&set("t", &["u"])).await;
    let db = file.foreign();
    db.execute("insert into t values (1, 1)", []).expect("a row");
    db.execute("insert or fail into t values (2, 2), (3, 3), (4, 1), (5, 5)", []).expect_err("a conflict");
    db.execute("insert into t values (6, 6), (7, 1)", []).expect_err("a conflict");
    db.execute("insert into t values (8, 8)", []).expect("a row");
    let told: Vec<_> = next_events(&mut changes, 4).await.iter().map(|event| int(event, "id")).collect();
    assert_eq!(told, [1, 2, 3, 8]);
}
