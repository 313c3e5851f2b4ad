//! What only PostgreSQL has: plans, locks and sleep, partitions, roles, types.

use std::time::{Duration, Instant};

use emr::Value;
use emr::prelude::*;
use emr::watch::{Item, Op, ResyncReason, Start, WatchFault, WatcherSpec};

use crate::harness::Db;
use crate::{
    Post, installed, int, next_event, next_item, next_txn, nothing_before, posts_set, set, text, watched_posts,
};

db_cases! {
    a_read_is_short_under_a_transaction_that_stays_open,
    cs13_others_flow_while_a_transaction_is_idle,
    five_readers_sleep_and_all_are_woken,
    a_foreign_holder_of_the_lock_costs_latency_only,
    cs17_large_values_never_fail_a_write,
    cs18_names_of_every_sort,
    cs19_keys_of_every_sort,
    cs22_upserts_copies_and_bulk,
    cs23_truncate_is_told,
    cs24_cascades_are_seen,
    cs25_partitions_are_seen_however_they_are_written,
    ew14_a_stray_trigger_is_told_and_removed,
    cs28_a_quiet_session_is_quiet,
    cs29_an_altered_table_never_fails_a_write,
    cs31_a_table_that_is_made_anew,
    cs32_many_processes_install_at_once,
    cs33_installing_does_not_hold_writers_up,
    cs35_two_versions_of_a_program_share_a_log,
    values_are_exact,
    writers_need_no_rights_and_readers_few,
    nobody_may_install_without_the_right_to,
    a_plan_is_a_migration,
}

async fn a_read_is_short_under_a_transaction_that_stays_open(db: &Db) {
    let (watcher, changes) = watched_posts(db).await;
    drop(changes);
    let open = db.other().await.begin().await.unwrap();
    open.query("select pg_current_xact_id()::text", &[]).await.unwrap();
    let repo = db.repo.with_timeout(emr::Timeout::Infinite);
    for _ in 0..300 {
        repo.query("insert into posts (title) select 'x' from generate_series(1, 1000)", &[]).await.unwrap();
    }
    let head = watcher.head().await.unwrap();
    db.repo.insert(Post::build().set(Post::TITLE, "new")).await.unwrap();
    // The reader's own question, as it asks it.
    let snapshot = head.position().to_owned();
    let (xmax, running) = {
        let mut parts = snapshot.split(':').skip(1);
        (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned())
    };
    let log = format!("\"emr_{}\".log", db.application("app"));
    let sql = format!(
        "explain (analyze, format json) select pos from {log} where xid >= '{xmax}'::xid8 \
         union all select pos from {log} where xid = any ('{{{running}}}'::xid8[])"
    );
    let tx = db.repo.begin().await.unwrap();
    tx.query("set local enable_seqscan = off", &[]).await.unwrap();
    let plan: serde_json::Value = tx.query(&sql, &[]).await.unwrap().scalar().unwrap();
    tx.rollback().await.unwrap();
    let scanned = scanned(&plan);
    assert!(scanned <= 4, "{scanned} rows were looked at: {plan}");
    let mut changes = watcher.changes(Start::After(head)).await.unwrap();
    assert_eq!(text(&next_event(&mut changes).await, "title"), "new");
    open.rollback().await.unwrap();
}

/// The rows that the scans of a plan gave and threw away.
fn scanned(plan: &serde_json::Value) -> u64 {
    match plan {
        serde_json::Value::Array(items) => items.iter().map(scanned).sum(),
        serde_json::Value::Object(node) => {
            let number = |name: &str| node.get(name).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
            let is_scan = node.get("Node Type").and_then(|ty| ty.as_str()).is_some_and(|ty| ty.contains("Scan"));
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts
            let own = if is_scan { (number("Actual Rows") + number("Rows Removed by Filter")) as u64 } else { 0 };
            own + node.values().map(scanned).sum::<u64>()
        }
        _ => 0,
    }
}

async fn cs13_others_flow_while_a_transaction_is_idle(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    let open = db.other().await.begin().await.unwrap();
    open.insert(Post::build().set(Post::TITLE, "late")).await.unwrap();
    for n in 0..5 {
        nothing_before(&mut changes, &db.repo, &format!("{n}")).await;
    }
    // It holds the lock that a reader would sleep on: the reader looks now and then, and not all the time.
    let sql = "select calls from (select sum(xact_commit)::bigint as calls from pg_stat_database where datname = current_database()) s";
    let before: i64 = db.repo.query(sql, &[]).await.unwrap().scalar().unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after: i64 = db.repo.query(sql, &[]).await.unwrap().scalar().unwrap();
    println!("cs13: {} transactions of all sessions in two seconds", after - before);
    open.commit().await.unwrap();
    assert_eq!(text(&next_event(&mut changes).await, "title"), "late");
}

async fn five_readers_sleep_and_all_are_woken(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let set = posts_set(db).heartbeat(Duration::from_secs(30));
    let watcher = installed(db, &set).await;
    let mut readers = Vec::new();
    for _ in 0..5 {
        readers.push(db.other().await.watcher(&set).unwrap().changes(Start::Now).await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    for n in 0..10 {
        let started = Instant::now();
        db.repo.insert(Post::build().set(Post::TITLE, format!("{n}"))).await.unwrap();
        for reader in &mut readers {
            assert_eq!(text(&next_event(reader).await, "title"), n.to_string());
        }
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "woken, not found by a heartbeat: {:?}",
            started.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(30 * n)).await;
    }
    // Whoever slept for all is gone: another one takes its place.
    drop(readers.remove(0));
    for n in 10..13 {
        db.repo.insert(Post::build().set(Post::TITLE, format!("{n}"))).await.unwrap();
        for reader in &mut readers {
            assert_eq!(text(&next_event(reader).await, "title"), n.to_string());
        }
    }
    drop(watcher);
}

async fn a_foreign_holder_of_the_lock_costs_latency_only(db: &Db) {
    let key = emr::advisory_key(&format!("emr watcher sleep emr_{}", db.application("app")));
    let foreign = db.other().await.checkout().await.unwrap();
    foreign.query("select pg_advisory_lock($1)", &[&key]).await.unwrap();
    let (_watcher, mut changes) = watched_posts(db).await;
    for n in 0..5 {
        nothing_before(&mut changes, &db.repo, &format!("{n}")).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    foreign.query("select pg_advisory_unlock($1)", &[&key]).await.unwrap();
    nothing_before(&mut changes, &db.repo, "after").await;
}

async fn cs17_large_values_never_fail_a_write(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    for (size, carried) in [(7_000, true), (8_000, true), (100_000, false), (20_000_000, false)] {
        // Nothing that could be compressed.
        let sql = "insert into posts (title) select string_agg(md5(n::text || random()::text), '') from generate_series(1, $1 / 32) n";
        db.repo.with_timeout(emr::Timeout::Infinite).query(sql, &[&i64::from(size)]).await.unwrap();
        let event = next_event(&mut changes).await;
        assert_eq!(event.value("title").is_some(), carried, "{size}");
    }
    db.repo.insert(Post::build().set(Post::TITLE, "é".repeat(4_000))).await.unwrap();
    assert_eq!(text(&next_event(&mut changes).await, "title").chars().count(), 4_000);
}

async fn cs18_names_of_every_sort(db: &Db) {
    let names =
        ["Mixed Case", "it's \"quoted\"", "select", "größe-✓", &"n".repeat(63), "back`tick]", "per%cent\\slash"];
    let mut names_set = set(db);
    for name in names {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        db.repo
            .script(&format!("create table {quoted} ({quoted} bigint primary key, \"wert %I $1\" text)"))
            .await
            .unwrap();
        names_set =
            names_set.watch(WatcherSpec::table(name.to_owned()).label(name.to_owned()).extra_columns(["wert %I $1"]));
    }
    let watcher = installed(db, &names_set).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    for (n, name) in names.iter().enumerate() {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let n = i64::try_from(n).unwrap();
        db.repo.query(&format!("insert into {quoted} values ($1, 'x')"), &[&n]).await.unwrap();
        let event = next_event(&mut changes).await;
        assert!(event.has_label(name));
        assert_eq!((event.table(), int(&event, name), text(&event, "wert %I $1")), (*name, n, "x".to_owned()));
        db.repo.query(&format!("update {quoted} set \"wert %I $1\" = 'y'"), &[]).await.unwrap();
        assert_eq!(next_event(&mut changes).await.op(), Op::Update);
    }
    let odd = WatcherSpec::table("select").label("odd");
    let odd_set = set(db).application(db.application("it's \"odd\" größe")).watch(odd);
    let other = installed(db, &odd_set).await;
    assert!(other.verify().await.unwrap().is_empty());
    assert!(!other.uninstall().await.unwrap().is_empty());
}

async fn cs19_keys_of_every_sort(db: &Db) {
    db.repo
        .script(
            "create table composite (a bigint, b text, c uuid, n int, primary key (a, b, c)); \
             create table links (left_id bigint, right_id bigint)",
        )
        .await
        .unwrap();
    let set = set(db)
        .watch(WatcherSpec::table("composite").label("composite"))
        .watch(WatcherSpec::table("links").label("links").keys(["left_id", "right_id"]));
    let watcher = installed(db, &set).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    let uuid = "00000000-0000-0000-0000-0000000000ff";
    db.repo
        .query(&format!("insert into composite values (9223372036854775807, 'ö''', '{uuid}', 1)"), &[])
        .await
        .unwrap();
    let event = next_event(&mut changes).await;
    let key = event.key().unwrap();
    assert_eq!(key[0], Some(Value::I64(i64::MAX)));
    assert_eq!(key[1], Some(Value::Text("ö'".into())));
    assert_eq!(key[2], Some(Value::Uuid(uuid.parse().unwrap())));
    db.repo.query("update composite set b = 'other'", &[]).await.unwrap();
    let event = next_event(&mut changes).await;
    assert!(event.moved());
    assert_eq!(event.old_key().unwrap()[1], Some(Value::Text("ö'".into())));
    // Nothing makes these unique, and one may be NULL.
    db.repo.query("insert into links values (1, null), (1, null), (2, 3)", &[]).await.unwrap();
    let txn = next_txn(&mut changes).await;
    assert_eq!(txn.changes.len(), 3);
    assert!(txn.changes[0].key().unwrap()[1].as_ref().unwrap().is_null());
    db.repo.query("update links set right_id = 4 where left_id = 1", &[]).await.unwrap();
    assert_eq!(next_txn(&mut changes).await.changes.iter().filter(|event| event.moved()).count(), 2);
    db.repo.query("delete from links", &[]).await.unwrap();
    assert_eq!(next_txn(&mut changes).await.changes.len(), 3);
}

async fn cs22_upserts_copies_and_bulk(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    let ops = |txn: &emr::watch::Txn| txn.changes.iter().map(emr::watch::Event::op).collect::<Vec<_>>();
    db.repo.query("insert into posts (id, title) values (1000001, 'a')", &[]).await.unwrap();
    assert_eq!(ops(&*next_txn(&mut changes).await), [Op::Insert]);
    let upsert = "insert into posts (id, title) values (1000001, 'b'), (1000002, 'c') on conflict (id) do update set title = excluded.title";
    db.repo.query(upsert, &[]).await.unwrap();
    let txn = next_txn(&mut changes).await;
    assert!(txn.changes.iter().any(|event| event.op() == Op::Update && text(event, "title") == "b"));
    assert!(txn.changes.iter().any(|event| event.op() == Op::Insert && int(event, "id") == 1_000_002));
    db.repo.query("insert into posts (id, title) values (1000001, 'z') on conflict do nothing", &[]).await.unwrap();
    // Enough rows for the adapter to take COPY.
    let rows: Vec<_> =
        (0..5_000).map(|n| Post::build().set(Post::ID, 2_000_000 + n).set(Post::TITLE, "bulk")).collect();
    db.repo.insert_all(rows).await.unwrap();
    let mut count = 0;
    while count < 5_000 {
        let txn = next_txn(&mut changes).await;
        assert!(txn.changes.iter().all(|event| event.op() == Op::Insert && text(event, "title") == "bulk"));
        count += txn.changes.len();
    }
    nothing_before(&mut changes, &db.repo, "after").await;
}

async fn cs23_truncate_is_told(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    db.repo.insert(Post::build().set(Post::TITLE, "a")).await.unwrap();
    next_event(&mut changes).await;
    db.repo.script("create table parents (id int primary key)").await.unwrap();
    db.repo.script("truncate posts cascade").await.unwrap();
    let event = next_event(&mut changes).await;
    assert_eq!((event.op(), event.key(), event.table()), (Op::Truncate, None, "posts"));
}

async fn cs24_cascades_are_seen(db: &Db) {
    db.repo
        .script(
            "create table a (id int primary key); \
             create table b (id int primary key, a_id int references a on delete cascade); \
             create table c (id int primary key, b_id int references b on delete set null); \
             insert into a values (1); insert into b values (2, 1); insert into c values (3, 2)",
        )
        .await
        .unwrap();
    let spec = |name: &'static str| WatcherSpec::table(name).label(name);
    let set = set(db).watch(spec("b").extra_columns(["a_id"])).watch(spec("c").extra_columns(["b_id"]));
    let watcher = installed(db, &set).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    db.repo.query("delete from a", &[]).await.unwrap();
    let txn = next_txn(&mut changes).await;
    let told: Vec<_> = txn.changes.iter().map(|event| (event.table(), event.op())).collect();
    assert!(told.contains(&("b", Op::Delete)) && told.contains(&("c", Op::Update)), "{told:?}");
}

async fn cs25_partitions_are_seen_however_they_are_written(db: &Db) {
    db.repo
        .script(
            "create table parts (id int, kind int, v text, primary key (id, kind)) partition by list (kind); \
             create table parts_1 partition of parts for values in (1); \
             create table parts_2 partition of parts for values in (2); \
             create table family (id int primary key, v text); create table child (extra int) inherits (family)",
        )
        .await
        .unwrap();
    let spec = |name: &'static str| WatcherSpec::table(name).label(name).extra_columns(["v"]);
    let set = set(db).watch(spec("parts")).watch(spec("family"));
    let watcher = installed(db, &set).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    let mut seen = async |sql: &str, expected: &[Op]| {
        db.repo.script(sql).await.unwrap();
        let txn = next_txn(&mut changes).await;
        assert_eq!(txn.changes.iter().map(emr::watch::Event::op).collect::<Vec<_>>(), expected, "{sql}");
    };
    seen("insert into parts values (1, 1, 'a')", &[Op::Insert]).await;
    seen("insert into parts_2 values (2, 2, 'b')", &[Op::Insert]).await;
    seen("update parts_2 set v = 'c'", &[Op::Update]).await;
    // A row that moves to another partition leaves one and enters another.
    seen("update parts set kind = 2 where id = 1", &[Op::Delete, Op::Insert]).await;
    seen("truncate parts_2", &[Op::Truncate]).await;
    db.repo.script("create table parts_3 partition of parts for values in (3)").await.unwrap();
    seen("insert into parts_3 values (3, 3, 'd')", &[Op::Insert]).await;
    db.repo.script("alter table parts detach partition parts_3").await.unwrap();
    db.repo.script("insert into parts_3 values (4, 3, 'no part of it')").await.unwrap();
    seen("insert into child values (1, 'x', 7)", &[Op::Insert]).await;
    seen("update family set v = 'y'", &[Op::Update]).await;
    seen("delete from only child", &[Op::Delete]).await;
    assert_eq!(watcher.verify().await.unwrap(), []);
}

async fn ew14_a_stray_trigger_is_told_and_removed(db: &Db) {
    let (watcher, changes) = watched_posts(db).await;
    drop(changes);
    let log = format!("emr_{}", db.application("app"));
    let functions = db
        .repo
        .query(
            "select distinct p.proname::text from pg_trigger t join pg_proc p on p.oid = t.tgfoid where t.tgrelid = 'posts'::regclass",
            &[],
        )
        .await
        .unwrap();
    let function: String = functions.get(0, 0).unwrap();
    db.repo
        .script(&format!(
            "create function nobodys() returns trigger language plpgsql as $$ begin return null; end $$; \
             create trigger foreign_one after insert on posts for each row execute function nobodys(); \
             create trigger stray after truncate on posts for each statement execute function \"{log}\".\"{function}\"()"
        ))
        .await
        .unwrap();
    let drift = watcher.verify().await.unwrap();
    assert!(matches!(&drift[..], [one] if one.found.contains("stray")), "{drift:?}");
    assert!(!watcher.install().await.unwrap().changed.is_empty());
    assert_eq!(watcher.verify().await.unwrap(), []);
    let left =
        "select count(*) from pg_trigger where tgrelid = 'posts'::regclass and tgname in ('stray', 'foreign_one')";
    assert_eq!(db.repo.query(left, &[]).await.unwrap().scalar::<i64>().unwrap(), 1);
}

async fn cs28_a_quiet_session_is_quiet(db: &Db) {
    let (watcher, mut changes) = watched_posts(db).await;
    assert!(watcher.caps().quiet_writes);
    db.repo.script("begin_quiet").await.expect_err("no such statement");
    let session = db.repo.checkout().await.unwrap();
    session.query("set session_replication_role = replica", &[]).await.unwrap();
    session.insert(Post::build().set(Post::TITLE, "quiet")).await.unwrap();
    session.query("reset session_replication_role", &[]).await.unwrap();
    drop(session);
    nothing_before(&mut changes, &db.repo, "loud").await;
}

async fn cs29_an_altered_table_never_fails_a_write(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    db.repo.script("alter table posts alter column title drop not null").await.unwrap();
    let session = db.other().await.checkout().await.unwrap();
    session.query("insert into posts (title) values ('before')", &[]).await.unwrap();
    next_event(&mut changes).await;
    for alter in [
        "alter table posts rename column title to headline",
        "alter table posts alter column headline type varchar(80)",
        "alter table posts drop column headline",
        "alter table posts add column title text",
    ] {
        db.repo.script(alter).await.unwrap();
        // On a session that has the trigger's plans from before, and on a new one.
        let id: i64 = session
            .query("insert into posts (person_id) values (1) returning id", &[])
            .await
            .expect(alter)
            .scalar()
            .unwrap();
        session.query("update posts set person_id = 2 where id = $1", &[&id]).await.expect(alter);
        session.query("update posts set id = id + 100000 where id = $1", &[&id]).await.expect(alter);
        session.query("delete from posts where id = $1 + 100000", &[&id]).await.expect(alter);
        let new = db.other().await;
        new.query("insert into posts (person_id) values (3)", &[]).await.expect(alter);
        if alter.contains("add") {
            break;
        }
        loop {
            match next_item(&mut changes).await {
                Item::Resync { reason: ResyncReason::Unreadable, .. } => break,
                Item::Resync { reason: ResyncReason::Drift { .. }, .. } | Item::Txn(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

async fn cs31_a_table_that_is_made_anew(db: &Db) {
    let (watcher, mut changes) = watched_posts(db).await;
    nothing_before(&mut changes, &db.repo, "old").await;
    db.repo.drop_table::<Post>().await.unwrap();
    assert!(watcher.verify().await.unwrap().iter().any(|drift| drift.found.contains("no such table")));
    db.repo.create_table::<Post>().await.unwrap();
    assert!(watcher.verify().await.unwrap().iter().any(|drift| drift.found.contains("missing")));
    watcher.install().await.unwrap();
    assert_eq!(watcher.verify().await.unwrap(), []);
    drop(changes);
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    nothing_before(&mut changes, &db.repo, "new").await;
}

async fn cs32_many_processes_install_at_once(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    for round in 0..20 {
        let watcher = db.repo.watcher(&posts_set(db)).unwrap();
        if round % 5 == 0 {
            watcher.uninstall().await.unwrap();
        }
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let (options, set) = (db.options(), posts_set(db));
                tokio::spawn(async move {
                    let repo = emr::open(options).await?;
                    let installed = repo.watcher(&set)?.install().await?;
                    repo.stop(Duration::ZERO).await;
                    Ok::<_, emr::Error>(installed.changed.len())
                })
            })
            .collect();
        let mut changed = Vec::new();
        for racer in racers {
            changed.push(racer.await.unwrap().expect("no error"));
        }
        let made = changed.iter().filter(|changed| **changed > 0).count();
        assert!(made <= 2, "one makes the log, and one the triggers: {changed:?}");
        assert_eq!(watcher.verify().await.unwrap(), []);
    }
    let count: i64 = db
        .repo
        .query("select count(*) from pg_trigger where tgrelid = 'posts'::regclass and not tgisinternal", &[])
        .await
        .unwrap()
        .scalar()
        .unwrap();
    assert_eq!(count, 5);
}

async fn cs33_installing_does_not_hold_writers_up(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let open = db.other().await.begin().await.unwrap();
    open.insert(Post::build().set(Post::TITLE, "open")).await.unwrap();
    let watcher = db.repo.watcher(&posts_set(db).lock_timeout(Duration::from_secs(1))).unwrap();
    let installing = tokio::spawn(async move { watcher.install().await });
    let (other, mut longest) = (db.other().await, Duration::ZERO);
    while !installing.is_finished() {
        let started = Instant::now();
        other.insert(Post::build().set(Post::TITLE, "waits")).await.unwrap();
        longest = longest.max(started.elapsed());
    }
    let error = installing.await.unwrap().unwrap_err();
    assert!(matches!(error.watch_fault(), Some(WatchFault::Locked { object, .. }) if object == "posts"), "{error}");
    assert!(longest < Duration::from_secs(2), "a writer waited for {longest:?}");
    open.commit().await.unwrap();
    installed(db, &posts_set(db)).await;
}

async fn cs35_two_versions_of_a_program_share_a_log(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let old_set = set(db).watch(Post::watch().extra_columns(Post::TITLE));
    let new_set = set(db).watch(Post::watch().extra_columns(Post::PERSON_ID));
    let old = installed(db, &old_set).await;
    let mut old_changes = old.changes(Start::Now).await.unwrap();
    let new = installed(db, &new_set).await;
    let mut new_changes = new.changes(Start::Now).await.unwrap();
    // The old program starts again, and takes nothing from the new one.
    assert!(old.install().await.unwrap().changed.is_empty());
    db.repo.insert(Post::build().set(Post::TITLE, "t").set(Post::PERSON_ID, 5)).await.unwrap();
    assert_eq!(text(&next_event(&mut old_changes).await, "title"), "t");
    assert_eq!(int(&next_event(&mut new_changes).await, "person_id"), 5);
    assert_eq!((old.verify().await.unwrap(), new.verify().await.unwrap()), (vec![], vec![]));
}

async fn values_are_exact(db: &Db) {
    db.repo
        .script(
            "create domain positive as numeric check (value > 0); create type mood as enum ('sad', 'héllo'); \
             create table odd (id bigint primary key, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, \
             p positive, t text, c char(4), m mood, by bytea, u uuid, d date, ti time, ts timestamp, tz timestamptz, \
             j json, jb jsonb, a int8[], te text[], i interval)",
        )
        .await
        .unwrap();
    let columns = [
        "b", "i2", "i4", "i8", "f4", "f8", "n", "p", "t", "c", "m", "by", "u", "d", "ti", "ts", "tz", "j", "jb", "a",
        "te",
    ];
    let set = set(db).watch(WatcherSpec::table("odd").label("odd").extra_columns(columns).extra_columns(["i"]));
    let watcher = installed(db, &set).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    // Settings of a writer that would change how its values read as text.
    let writer = db.repo.checkout().await.unwrap();
    writer
        .query("select set_config('datestyle', 'German, DMY', false), set_config('timezone', 'Asia/Kathmandu', false), \
             set_config('extra_float_digits', '-15', false), set_config('bytea_output', 'escape', false), \
             set_config('standard_conforming_strings', 'off', false), set_config('search_path', current_setting('search_path') || ',pg_catalog', false)", &[])
        .await
        .unwrap();
    let rows = [
        "(1, true, -32768, -2147483648, -9223372036854775808, 1.1754944e-38, 2.2250738585072014e-308, \
         -79228162514264337593543950335, 0.10, '', 'x', 'héllo', ''::bytea, '00000000-0000-0000-0000-000000000000', \
         '0001-01-01', '00:00:00', '1970-01-01 00:00:00.000001', '2024-02-29 23:59:59.999999+14', '{\"b\":1,  \"a\":2}', \
         '{\"b\":1.10}', '{1,NULL,9223372036854775807}', '{\"a,b\",NULL,\"\"}', '1 month')",
        "(2, false, 32767, 2147483647, 9223372036854775807, 'NaN', '-0', 0.0000000000000000000000000001, 7, 'a\tb', 'äöüß', \
         'sad', decode('00ff0100','hex'), 'ffffffff-ffff-ffff-ffff-ffffffffffff', '9999-12-31', '23:59:59.999999', \
         '9999-12-31 23:59:59.999999', '0001-01-01 00:00:00Z', 'null', '[]', '{}', '{}', '-1 day')",
        "(3, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null)",
    ];
    for row in rows {
        writer.query(&format!("insert into odd values {row}"), &[]).await.unwrap();
        let event = next_event(&mut changes).await;
        let id = int(&event, "id");
        let sql = format!("select {} from odd where id = $1", columns.join(", "));
        let stored = db.other().await.query(&sql, &[&id]).await.unwrap();
        let stored = stored.rows().next().unwrap().to_vec();
        for (column, stored) in columns.iter().zip(stored) {
            let carried = event.value(column).unwrap_or_else(|| panic!("{column} of {id} is not carried"));
            let same = match (carried, &stored) {
                (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
                (Value::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits(),
                (Value::Null(_), Value::Null(_)) => true,
                (a, b) => a == b,
            };
            assert!(same, "{column} of row {id}: carried {carried:?}, stored {stored:?}");
        }
        assert!(event.value("i").is_some());
    }
}

async fn writers_need_no_rights_and_readers_few(db: &Db) {
    let (watcher, mut changes) = watched_posts(db).await;
    let schema = db.own_schema().await;
    let (writer, reader) = (format!("w_{schema}"), format!("r_{schema}"));
    let log = format!("\"emr_{}\"", db.application("app"));
    let roles = format!(
        "drop role if exists {writer}; drop role if exists {reader}; create role {writer} login; create role {reader} login; \
         grant usage on schema {schema} to {writer}, {reader}; grant all on all tables in schema {schema} to {writer}; \
         grant all on all sequences in schema {schema} to {writer}"
    );
    db.repo.script(&roles).await.unwrap();
    for grant in watcher.grants(&reader) {
        db.repo.script(&grant).await.unwrap();
    }
    let as_role = |role: &str| {
        let mut options = db.options();
        options.user = Some(role.to_owned());
        options.password = None;
        options
    };
    let low = emr::open(as_role(&writer)).await.unwrap();
    low.insert(Post::build().set(Post::TITLE, "by a writer")).await.unwrap();
    assert_eq!(text(&next_event(&mut changes).await, "title"), "by a writer");
    assert!(low.query(&format!("select * from {log}.log"), &[]).await.is_err(), "the log is not for writers");

    let reading = emr::open(as_role(&reader)).await.unwrap();
    let of_reader = reading.watcher(&posts_set(db)).unwrap();
    let mut changes = of_reader.changes(Start::consumer("low")).await.unwrap();
    assert!(matches!(next_item(&mut changes).await, Item::Resync { .. }));
    low.insert(Post::build().set(Post::TITLE, "read")).await.unwrap();
    let txn = next_txn(&mut changes).await;
    changes.ack(&txn.token).await.unwrap();
    assert!(reading.query("select * from posts", &[]).await.is_err());
    drop(changes);
    low.stop(Duration::ZERO).await;
    reading.stop(Duration::from_secs(5)).await;
    db.repo.script(&format!("drop owned by {writer}, {reader}; drop role {writer}; drop role {reader}")).await.unwrap();
}

async fn nobody_may_install_without_the_right_to(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let schema = db.own_schema().await;
    let role = format!("n_{schema}");
    db.repo.script(&format!("drop role if exists {role}; create role {role} login; grant usage on schema {schema} to {role}; grant select on posts to {role}")).await.unwrap();
    let mut options = db.options();
    options.user = Some(role.clone());
    options.password = None;
    let repo = emr::open(options).await.unwrap();
    let error = repo.watcher(&posts_set(db)).unwrap().install().await.unwrap_err();
    assert!(matches!(error.watch_fault(), Some(WatchFault::Denied { .. })), "{error}");
    // The log there is, but the table is not the role's.
    installed(db, &posts_set(db)).await;
    let error = repo.watcher(&posts_set(db)).unwrap().changes(Start::Now).await.unwrap_err();
    assert!(matches!(error.watch_fault(), Some(WatchFault::Denied { .. })), "{error}");
    repo.stop(Duration::ZERO).await;
    db.repo.script(&format!("drop owned by {role}; drop role {role}")).await.unwrap();
}

async fn a_plan_is_a_migration(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let watcher = db.repo.watcher(&posts_set(db)).unwrap();
    let plan = watcher.plan().await.unwrap();
    assert_eq!(plan.warnings, Vec::<String>::new());
    db.repo.script(&plan.to_string()).await.unwrap();
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    let mut told = false;
    db.repo.insert(Post::build().set(Post::TITLE, "planned")).await.unwrap();
    while !told {
        match next_item(&mut changes).await {
            Item::Txn(txn) => told = text(&txn.changes[0], "title") == "planned",
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(watcher.verify().await.unwrap(), []);
}
