//! What happens to tables and triggers under a watcher.

use std::time::{Duration, Instant};

use emr_core::watch::{Op, ResyncReason, Start, WatchFault, WatchSet, WatcherSpec};
use emr_core::{ErrorKind, Repo, RepoOptions, open};

use crate::{File, int, next_events, next_resync, open_path, set};

#[tokio::test]
async fn cs18_identifiers_of_all_kinds() {
    let names = ["it's \"quoted\" [x] `y`", "Größe 表", "select", "a.b", &"n".repeat(63), &"N".repeat(200), "%_\\"];
    let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let file = File::with("select 1").await;
    let mut set = WatchSet::new().application("An App's \"name\" of any kind").heartbeat(Duration::from_millis(500));
    for name in names {
        let sql = format!("create table {0} ({0} integer primary key, \"v \"\"w\" text)", quote(name));
        file.run(&sql).await;
        set = set.watch(WatcherSpec::table(name.to_owned()).label(name.to_owned()).extra_columns(["v \"w"]));
    }
    let (watcher, mut changes) = file.follow(&set).await;
    for (n, name) in names.iter().enumerate() {
        file.run(&format!("insert into {} values ({n}, 'x')", quote(name))).await;
    }
    let events = next_events(&mut changes, names.len()).await;
    for ((n, name), event) in names.iter().enumerate().zip(&events) {
        assert_eq!((event.table(), event.has_label(name)), (*name, true));
        assert_eq!(int(event, name), i64::try_from(n).expect("small"));
    }
    let longest = file.foreign();
    let longest: i64 = longest
        .query_row("select max(length(cast(name as blob))) from sqlite_master where name like 'emr%'", [], |row| {
            row.get(0)
        })
        .expect("names");
    assert!(longest <= 63, "{longest}");
    assert!(watcher.verify().await.expect("asked").is_empty());
    assert_eq!(watcher.uninstall().await.expect("gone").len(), 7 + 3 * names.len());
    let left: i64 = file
        .foreign()
        .query_row("select count(*) from sqlite_master where name like 'emr%'", [], |row| row.get(0))
        .expect("a number");
    assert_eq!(left, 0, "nothing is left");
}

#[tokio::test]
async fn cs29_altered_columns_never_fail_a_write() {
    let file = File::with("create table t (id integer primary key, a text, b text)").await;
    let (watcher, mut changes) = file.follow(&set("t", &["a"])).await;
    let refused = file.foreign().execute_batch("alter table t drop column a").expect_err("the engine refuses");
    assert!(refused.to_string().contains("emr_emr_"), "{refused}");
    file.run("insert into t values (1, 'a', 'b')").await;
    assert_eq!(int(&next_events(&mut changes, 1).await[0], "id"), 1);

    file.run("alter table t rename column a to c").await;
    file.run("insert into t values (2, 'a', 'b')").await;
    assert_eq!(int(&next_events(&mut changes, 1).await[0], "id"), 2);
    let drift = watcher.verify().await.expect("asked");
    assert!(drift[0].found.contains("column a is gone"), "{drift:?}");

    let renamed = file.watcher(&set("t", &["c"]));
    renamed.install().await.expect("installed again");
    assert!(renamed.verify().await.expect("asked").is_empty());
    file.run("alter table t add column d text").await;
    let drift = renamed.verify().await.expect("asked");
    assert!(drift[0].found.contains("columns were added"), "{drift:?}");
    renamed.install().await.expect("installed again");
    let mut changes = renamed.changes(Start::Now).await.expect("changes");
    file.run("update t set d = 'x' where id = 1").await;
    assert_eq!(next_events(&mut changes, 1).await[0].op(), Op::Update);
    renamed.uninstall().await.expect("gone");
    file.run("alter table t drop column c").await;
}

#[tokio::test]
async fn cs30_a_trigger_that_is_dropped_is_found_and_told() {
    let file = File::with("create table t (id integer primary key, a text)").await;
    let quick = set("t", &["a"]).heartbeat(Duration::from_millis(100)).verify_every(Duration::from_millis(200));
    let (watcher, mut changes) = file.follow(&quick).await;
    file.foreign().execute_batch("drop trigger emr_emr_insert_t").expect("dropped");
    let reason = next_resync(&mut changes).await;
    assert!(
        matches!(&reason, ResyncReason::Drift { found } if found.contains("emr_emr_insert_t is missing")),
        "{reason}"
    );
    assert_eq!(watcher.install().await.expect("mended").changed, ["triggers of t"]);
    let reason = next_resync(&mut changes).await;
    assert!(matches!(&reason, ResyncReason::Drift { found } if found.contains("mended")), "{reason}");

    file.foreign()
        .execute_batch(
            "drop trigger emr_emr_delete_t; create trigger emr_emr_delete_t after delete on t begin select 1; end",
        )
        .expect("altered");
    let reason = next_resync(&mut changes).await;
    assert!(
        matches!(&reason, ResyncReason::Drift { found } if found.contains("another one than was installed")),
        "{reason}"
    );
}

#[tokio::test]
async fn cs31_a_table_that_is_made_anew() {
    let file = File::with("create table t (id integer primary key, a text)").await;
    let quick = set("t", &["a"]).heartbeat(Duration::from_millis(100)).verify_every(Duration::from_millis(200));
    let (watcher, mut changes) = file.follow(&quick).await;
    file.repo.script("drop table t; create table t (id integer primary key, a text)").await.expect("anew");
    file.run("insert into t values (1, 'unseen')").await;
    let reason = next_resync(&mut changes).await;
    assert!(matches!(&reason, ResyncReason::Drift { .. }), "{reason}");
    watcher.install().await.expect("mended");
    file.run("insert into t values (2, 'seen')").await;
    loop {
        if let emr_core::watch::Item::Txn(txn) = crate::next_item(&mut changes).await {
            assert_eq!(int(&txn.changes[0], "id"), 2);
            break;
        }
    }
}

#[tokio::test]
async fn triggers_of_others_run_after_ours() {
    let file = File::with("create table t (id integer primary key, a text)").await;
    let (watcher, mut changes) = file.follow(&set("t", &["a"])).await;
    file.repo
        .script("create trigger later after insert on t begin update t set a = new.a || '!' where id = new.id; end")
        .await
        .expect("a trigger");
    let drift = watcher.verify().await.expect("asked");
    assert!(drift[0].found.contains("later was made after"), "{drift:?}");
    assert_eq!(watcher.install().await.expect("made last").changed.len(), 1);
    assert!(watcher.verify().await.expect("asked").is_empty());
    file.run("insert into t values (1, 'x')").await;
    let events = next_events(&mut changes, 2).await;
    assert_eq!((events[0].op(), events[1].op()), (Op::Insert, Op::Update));
}

#[tokio::test]
async fn cs32_many_install_at_once() {
    let file = File::with("create table t (id integer primary key, a text)").await;
    for _ in 0..20 {
        let mut racers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let path = file.path.clone();
            racers.spawn(async move {
                let repo = open_path(&path).await;
                let patient = set("t", &["a"]).lock_timeout(Duration::from_mins(1));
                repo.watcher(&patient).expect("a watcher").install().await.expect("installed").changed.len()
            });
        }
        let changed: Vec<_> = racers.join_all().await;
        assert_eq!(changed.iter().filter(|&&changed| changed > 0).count(), 1, "{changed:?}");
        let watcher = file.watcher(&set("t", &["a"]));
        assert!(watcher.verify().await.expect("asked").is_empty());
        watcher.uninstall().await.expect("gone");
    }
}

#[tokio::test]
async fn cs33_installing_gives_up_on_a_file_in_use() {
    let file = File::with("create table t (id integer primary key, a text)").await;
    let watcher = file.watcher(&set("t", &["a"]).lock_timeout(Duration::from_millis(300)));
    let db = file.foreign();
    db.execute_batch("begin immediate; insert into t values (1, 'a')").expect("a writer");
    let begun = Instant::now();
    let error = watcher.install().await.expect_err("locked");
    assert!(matches!(error.watch_fault(), Some(WatchFault::Locked { waited_ms: 300, .. })), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    db.execute_batch("commit").expect("the writer was not disturbed");
    watcher.install().await.expect("now");
}

#[tokio::test]
async fn what_cannot_be_watched() {
    let memory = open(RepoOptions::sqlite(":memory:")).await.expect("a repo");
    let error = memory.watcher(&set("t", &[])).expect_err("no second connection");
    assert!(matches!(error.kind(), ErrorKind::Unsupported { .. }), "{error}");

    let file = File::with(
        "create table t (id integer primary key); create view v as select * from t; \
         create virtual table f using fts5(a)",
    )
    .await;
    file.watcher(&set("t", &[])).install().await.expect("installed");
    for (table, what) in [
        ("v", "view"),
        ("f", "virtual"),
        ("sqlite_schema", "engine"),
        ("emr_emr_log", "change log"),
        ("f_data", "virtual"),
    ] {
        let error = file.watcher(&set(table, &[])).plan().await.expect_err(table);
        assert!(
            matches!(error.watch_fault(), Some(WatchFault::NoTable { found, .. }) if found.contains(what)),
            "{error}"
        );
    }
    let error = file.watcher(&WatchSet::new().watch(WatcherSpec::table("t").prefix("aux").label("x"))).plan().await;
    let error = error.expect_err("no prefixes");
    assert!(matches!(error.watch_fault(), Some(WatchFault::UnknownTable { table }) if table == "aux.t"), "{error}");

    let mut options = RepoOptions::sqlite(file.path.to_str().expect("Unicode"));
    options.read_only = Some(true);
    let reader = open(options).await.expect("a repo").watcher(&set("t", &[]).application("other")).expect("a watcher");
    let error = reader.install().await.expect_err("read-only");
    assert!(matches!(error.watch_fault(), Some(WatchFault::Denied { .. })), "{error}");
}

#[tokio::test]
async fn a_plan_is_a_migration() {
    let file = File::with("create table t (id integer primary key, a text)").await;
    let watcher = file.watcher(&set("t", &["a"]));
    let plan = watcher.plan().await.expect("a plan");
    assert!(plan.to_string().starts_with("-- NOTE: "), "{plan}");
    file.foreign().execute_batch(&plan.to_string()).expect("plain SQL");
    assert!(watcher.verify().await.expect("asked").is_empty());
    assert!(watcher.install().await.expect("all is there").changed.is_empty());
}

#[tokio::test]
async fn cs35_old_and_new_sets_of_columns_side_by_side() {
    let file = File::with("create table t (id integer primary key, a text, b text)").await;
    let (old, mut of_old) = file.follow(&set("t", &["a"])).await;
    file.run("insert into t values (1, 'a', 'b')").await;
    let before = next_events(&mut of_old, 1).await;
    let (_new, mut of_new) = file.follow(&set("t", &["b", "a"])).await;
    file.run("insert into t values (2, 'a2', 'b2')").await;
    assert_eq!(next_events(&mut of_old, 1).await[0].value("a"), Some(&emr_core::Value::Text("a2".into())));
    let event = &next_events(&mut of_new, 1).await[0];
    assert_eq!(event.value("b"), Some(&emr_core::Value::Text("b2".into())));
    assert!(old.verify().await.expect("asked").is_empty(), "what the old one needs is there");
    assert_eq!(before[0].value("b"), None);
}
