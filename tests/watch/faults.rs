//! Connections that end, are silent, or come back; readers that die; logs that are changed behind the reader's back.

use std::time::{Duration, Instant};

use emr::prelude::*;
use emr::watch::{Item, ResyncReason, Retention, Scope, Start, Wake};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::Db;
use crate::{Post, installed, next_event, next_item, next_txn, nothing_before, posts_set, text, watched_posts};

db_cases! {
    cs01_a_killed_reader_goes_on_where_it_was,
    cs03_a_silent_link_is_found_and_replaced,
    cs04_what_is_written_meanwhile_comes_after,
    cs05_a_token_older_than_the_log_is_a_resync,
    cs07_behind_a_pooler_the_reader_polls,
    cs12_a_million_rows_in_one_commit,
    a_million_changes_to_catch_up_with_and_a_reader_that_dies,
    cs30_a_missing_trigger_is_told_and_mended,
    an_emptied_log_is_a_resync,
    a_log_that_is_gone_is_an_error,
    a_log_that_somebody_drops_fails_no_write,
    a_slow_program_loses_nothing,
}

/// The sessions of the case's readers.
async fn reader_pids(db: &Db) -> Vec<i32> {
    let sql = format!(
        "select pid from pg_stat_activity where query like '%emr\\_{}%' and pid <> pg_backend_pid()",
        db.application("app").replace('_', "\\_")
    );
    let rows = db.repo.query(&sql, &[]).await.expect("the server");
    (0..rows.rows().len()).map(|row| rows.get(row, 0).expect("a pid")).collect()
}

async fn cs01_a_killed_reader_goes_on_where_it_was(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    for round in 0..5 {
        // In whatever state it is: asleep, reading, delivering.
        for n in 0..20 {
            db.repo.insert(Post::build().set(Post::TITLE, format!("{round}.{n}"))).await.unwrap();
            if n == 7 + round {
                for pid in reader_pids(db).await {
                    db.repo.query("select pg_terminate_backend($1)", &[&pid]).await.unwrap();
                }
            }
        }
    }
    let mut titles = Vec::new();
    while titles.len() < 100 {
        titles.extend(next_txn(&mut changes).await.changes.iter().map(|event| text(event, "title")));
    }
    let expected: Vec<_> = (0..5).flat_map(|round| (0..20).map(move |n| format!("{round}.{n}"))).collect();
    assert_eq!(titles, expected);
}

/// A link between a repo and its server that can be stopped, with both ends left open.
struct Proxy {
    port: u16,
    flowing: watch::Sender<bool>,
}

impl Proxy {
    async fn to(db: &Db) -> Proxy {
        let options = db.options();
        let target = (options.host.clone().expect("a host"), options.port.unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (flowing, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (target, mut state) = (target.clone(), state.clone());
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(&target).await else { return };
                    loop {
                        if *state.borrow_and_update() {
                            tokio::select! {
                                _ = copy_bidirectional(&mut client, &mut server) => return,
                                _ = state.changed() => {}
                            }
                        } else if state.changed().await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Proxy { port, flowing }
    }
}

async fn cs03_a_silent_link_is_found_and_replaced(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let proxy = Proxy::to(db).await;
    let heartbeat = Duration::from_millis(500);
    let mut options = db.options();
    options.port = Some(proxy.port);
    options.host = Some("127.0.0.1".to_owned());
    options.connect_timeout = Some(heartbeat);
    let repo = emr::open(options).await.unwrap();
    let watcher = repo.watcher(&posts_set(db).heartbeat(heartbeat)).unwrap();
    watcher.install().await.unwrap();
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    nothing_before(&mut changes, &db.repo, "before").await;

    proxy.flowing.send(false).unwrap();
    let stopped = Instant::now();
    while changes.health().connected {
        assert!(stopped.elapsed() < Duration::from_secs(30), "the dead link was not found");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("cs03: found after {:?}, heartbeat {heartbeat:?}", stopped.elapsed());
    db.repo.insert(Post::build().set(Post::TITLE, "meanwhile")).await.unwrap();
    let mut lags = Vec::new();
    while lags.len() < 3 {
        match tokio::time::timeout(Duration::from_secs(30), changes.recv()).await.expect("progress").unwrap().unwrap() {
            Item::Progress { lag, .. } if lag > Duration::ZERO => lags.push(lag),
            Item::Progress { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(lags.is_sorted(), "the lag grows: {lags:?}");
    assert!(changes.health().last_error.is_some());
    proxy.flowing.send(true).unwrap();
    assert_eq!(text(&next_event(&mut changes).await, "title"), "meanwhile");
    assert!(changes.health().connected);
}

async fn cs04_what_is_written_meanwhile_comes_after(db: &Db) {
    let (watcher, changes) = watched_posts(db).await;
    let token = changes.start().clone();
    drop(changes);
    for n in 0..300 {
        db.repo.insert(Post::build().set(Post::TITLE, format!("{n}"))).await.unwrap();
    }
    let mut changes = watcher.changes(Start::After(token)).await.unwrap();
    let mut titles = Vec::new();
    while titles.len() < 300 {
        titles.extend(next_txn(&mut changes).await.changes.iter().map(|event| text(event, "title")));
    }
    assert_eq!(titles, (0..300).map(|n| n.to_string()).collect::<Vec<_>>());
}

async fn cs05_a_token_older_than_the_log_is_a_resync(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let retention = Retention { age: Duration::from_secs(1), events: 1_000_000 };
    let set = posts_set(db).retention(retention).heartbeat(Duration::from_millis(200));
    let watcher = installed(db, &set).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    let old = changes.start().clone();
    for n in 0..50 {
        db.repo.insert(Post::build().set(Post::TITLE, format!("{n}"))).await.unwrap();
    }
    let log = format!("select count(*) from \"emr_{}\".log", db.application("app"));
    let started = Instant::now();
    loop {
        // A reader that is at work is not in the way of the retention, nor it in the reader's.
        let _ = tokio::time::timeout(Duration::from_millis(100), changes.recv()).await;
        let left: i64 = db.repo.query(&log, &[]).await.unwrap().scalar().unwrap();
        if left == 0 {
            break;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "{left} changes are left");
    }
    let mut late = watcher.changes(Start::After(old)).await.unwrap();
    let item = next_item(&mut late).await;
    assert!(matches!(item, Item::Resync { reason: ResyncReason::TokenTooOld, scope: Scope::All, .. }), "{item:?}");
    nothing_before(&mut late, &db.repo, "goes on").await;
}

async fn cs07_behind_a_pooler_the_reader_polls(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let watcher = installed(db, &posts_set(db).wake(Wake::Poll(Duration::from_millis(5)))).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    for n in 0..3 {
        nothing_before(&mut changes, &db.repo, &format!("{n}")).await;
    }
    // Nothing of it lasts from statement to statement.
    let sql = "select count(*) from pg_locks where locktype = 'advisory' and pid = any($1)";
    let held: i64 = db.repo.query(sql, &[&reader_pids(db).await]).await.unwrap().scalar().unwrap();
    assert_eq!(held, 0);
    // Much is read by a cursor here too.
    db.repo.script("insert into posts (title) select 'bulk' from generate_series(1, 12000)").await.unwrap();
    let mut count = 0;
    while count < 12_000 {
        count += next_txn(&mut changes).await.changes.len();
    }
    nothing_before(&mut changes, &db.repo, "after").await;
}

/// The process's memory at its highest, in MiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|text| text.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

async fn cs12_a_million_rows_in_one_commit(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    let before = peak_memory();
    let repo = db.repo.with_timeout(emr::Timeout::Infinite);
    repo.query("insert into posts (title) select 'bulk' from generate_series(1, 1000000)", &[]).await.unwrap();
    let (mut count, mut parts, mut last_id) = (0, 0, 0);
    let started = Instant::now();
    while count < 1_000_000 {
        let txn = next_txn(&mut changes).await;
        let part = txn.part.expect("a commit of this size comes in parts");
        parts += 1;
        assert_eq!((part.number, part.of), (parts, 100));
        for event in &txn.changes {
            let id = crate::int(event, "id");
            assert!(id > last_id, "{id} after {last_id}");
            last_id = id;
        }
        count += txn.changes.len();
    }
    println!(
        "cs12: {count} changes of one commit in {:?}; peak memory {before} → {} MiB",
        started.elapsed(),
        peak_memory()
    );
    nothing_before(&mut changes, &db.repo, "after").await;
}

async fn a_million_changes_to_catch_up_with_and_a_reader_that_dies(db: &Db) {
    let (watcher, changes) = watched_posts(db).await;
    let mut token = changes.start().clone();
    drop(changes);
    let repo = db.repo.with_timeout(emr::Timeout::Infinite);
    for _ in 0..1_000 {
        repo.query("insert into posts (title) select 'bulk' from generate_series(1, 1000)", &[]).await.unwrap();
    }
    let before = peak_memory();
    let (mut seen, mut repeated, mut last_id) = (0_u64, 0, 0);
    let started = Instant::now();
    for stop_at in [150_000, 400_000, 1_000_000] {
        let mut changes = watcher.changes(Start::After(token.clone())).await.unwrap();
        while seen < stop_at {
            let txn = next_txn(&mut changes).await;
            for event in &txn.changes {
                let id = crate::int(event, "id");
                if id <= last_id {
                    repeated += 1;
                    continue;
                }
                assert_eq!(id, last_id + 1, "nothing is left out");
                last_id = id;
                seen += 1;
            }
            token = txn.token.clone();
        }
        // The reader dies here, with what is under way.
    }
    println!(
        "catch-up: {seen} changes in {:?}, {repeated} twice; peak memory {before} → {} MiB",
        started.elapsed(),
        peak_memory()
    );
    assert!(repeated <= 4_000, "{repeated} changes came twice");
}

async fn cs30_a_missing_trigger_is_told_and_mended(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let set = posts_set(db).verify_every(Duration::from_millis(300)).heartbeat(Duration::from_millis(100));
    let watcher = installed(db, &set).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    db.repo.script("alter table posts disable trigger user").await.unwrap();
    db.repo.insert(Post::build().set(Post::TITLE, "unseen")).await.unwrap();
    let item = next_item(&mut changes).await;
    assert!(
        matches!(&item, Item::Resync { reason: ResyncReason::Drift { found }, scope: Scope::Table(table), .. }
            if found.contains("switched off") && *table.table == *"posts"),
        "{item:?}"
    );
    assert!(watcher.verify().await.unwrap().iter().any(|drift| drift.found.contains("switched off")));
    assert!(!watcher.install().await.unwrap().changed.is_empty());
    assert_eq!(watcher.verify().await.unwrap(), []);
    // What was found, once for each trigger, and that it is mended since: what was written meanwhile is not in the log.
    let mut mended = false;
    while !mended {
        match next_item(&mut changes).await {
            Item::Resync { reason: ResyncReason::Drift { found }, .. } => mended = found.contains("mended"),
            other => panic!("{other:?}"),
        }
    }
    db.repo.insert(Post::build().set(Post::TITLE, "seen")).await.unwrap();
    loop {
        match next_item(&mut changes).await {
            Item::Txn(txn) => break assert_eq!(text(&txn.changes[0], "title"), "seen"),
            Item::Resync { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    db.repo.script("drop function if exists nothing(); alter table posts rename to old_posts").await.unwrap();
    assert!(!watcher.verify().await.unwrap().is_empty());
}

async fn an_emptied_log_is_a_resync(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    nothing_before(&mut changes, &db.repo, "before").await;
    db.repo.script(&format!("truncate \"emr_{}\".log", db.application("app"))).await.unwrap();
    db.repo.insert(Post::build().set(Post::TITLE, "wakes")).await.unwrap();
    let item = next_item(&mut changes).await;
    assert!(matches!(item, Item::Resync { reason: ResyncReason::LogReset, .. }), "{item:?}");
    db.repo.insert(Post::build().set(Post::TITLE, "after")).await.unwrap();
    while text(&next_event(&mut changes).await, "title") != "after" {}
}

async fn a_log_that_is_gone_is_an_error(db: &Db) {
    let (watcher, mut changes) = watched_posts(db).await;
    db.repo.script(&format!("drop schema \"emr_{}\" cascade", db.application("app"))).await.unwrap();
    // Its triggers went with it: writes go on.
    db.repo.insert(Post::build().set(Post::TITLE, "unseen")).await.unwrap();
    let error = loop {
        match tokio::time::timeout(Duration::from_secs(30), changes.recv()).await.expect("an end") {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("an error first"),
        }
    };
    assert!(matches!(error.watch_fault(), Some(emr::watch::WatchFault::NotInstalled { .. })), "{error}");
    assert!(changes.recv().await.is_none());
    watcher.install().await.unwrap();
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    nothing_before(&mut changes, &db.repo, "again").await;
}

async fn a_log_that_somebody_drops_fails_no_write(db: &Db) {
    let (watcher, mut changes) = watched_posts(db).await;
    let drop = format!("drop table \"emr_{}\".log", db.application("app"));
    let refused = db.repo.script(&drop).await.unwrap_err();
    assert!(refused.to_string().contains("other objects depend on it"), "{refused}");
    nothing_before(&mut changes, &db.repo, "still told").await;
    db.repo.script(&format!("{drop} cascade")).await.unwrap();
    db.repo.insert(Post::build().set(Post::TITLE, "unseen")).await.unwrap();
    assert!(watcher.verify().await.unwrap().iter().any(|drift| drift.found.contains("missing")));
    let ended = async { while let Some(Ok(_)) = changes.recv().await {} };
    tokio::time::timeout(Duration::from_secs(30), ended).await.expect("the reader ends with an error");
    assert!(!watcher.install().await.unwrap().changed.is_empty());
    assert_eq!(watcher.verify().await.unwrap(), []);
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    nothing_before(&mut changes, &db.repo, "told again").await;
}

async fn a_slow_program_loses_nothing(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let watcher = installed(db, &posts_set(db).max_events(100)).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    for _ in 0..50 {
        db.repo.query("insert into posts (title) select 'x' from generate_series(1, 90)", &[]).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut count = 0;
    while count < 50 * 90 {
        let txn = next_txn(&mut changes).await;
        assert_eq!(txn.changes.len(), 90);
        count += 90;
    }
    nothing_before(&mut changes, &db.repo, "after").await;
}
