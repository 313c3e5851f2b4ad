//! What is told of a row.

use emr_core::watch::{Event, Op, WatchSet, WatcherSpec};
use emr_core::{Repo, Value};

use crate::{File, int, next_events, set};

fn told(events: &[Event]) -> Vec<(Op, i64)> {
    events.iter().map(|event| (event.op(), int(event, "id"))).collect()
}

#[tokio::test]
async fn every_value_comes_as_it_is_stored() {
    let file = File::with("create table t (id integer primary key, v)").await;
    let (_watcher, mut changes) = file.follow(&set("t", &["v"])).await;
    let values = [
        "null",
        "0",
        "1",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "9007199254740993",
        "0.1",
        "-0.0",
        "1e308",
        "4.9406564584124654e-324",
        "9e999",
        "-9e999",
        "1.0",
        "''",
        "'a'",
        "'Größe ''x'' \"y\" 🎉'",
        "'1'",
        "'a' || char(0) || 'b'",
        "x''",
        "x'00ff'",
        "x'61'",
        "'0123456789.123456789012345678'",
    ];
    let db = file.foreign();
    for value in values {
        db.execute(&format!("insert into t (v) values ({value})"), []).expect(value);
    }
    let events = next_events(&mut changes, values.len()).await;
    let stored = file.repo.query("select v from t order by id", &[]).await.expect("rows");
    for ((event, row), value) in events.iter().zip(stored.rows()).zip(values) {
        let (told, stored) = (event.value("v").expect(value), &row[0]);
        assert_eq!(told, stored, "{value}");
        assert_eq!(std::mem::discriminant(told), std::mem::discriminant(stored), "{value}");
    }
}

#[tokio::test]
async fn cs17_values_that_are_too_long_are_left_out() {
    let file = File::with("create table t (k text primary key, a text, b blob, n integer)").await;
    let set = WatchSet::new().max_value(10).watch(WatcherSpec::table("t").label("it").extra_columns(["a", "b", "n"]));
    let (_watcher, mut changes) = file.follow(&set).await;
    let key = "k".repeat(100_000);
    let db = file.foreign();
    let insert = "insert into t values (?1, ?2, ?3, ?4)";
    db.execute(insert, rusqlite::params![key, "0123456789", [7_u8; 10], i64::MAX]).expect("at the limit");
    db.execute(insert, rusqlite::params!["b", "ééééééé", [7_u8; 11], 1]).expect("over it");
    db.execute(insert, rusqlite::params!["c", "a\0bcdefghijk", vec![7_u8; 1_000_000], 2]).expect("far over it");
    db.execute("update t set a = 'short' where k = 'b'", []).expect("an update");
    let events = next_events(&mut changes, 4).await;
    assert_eq!(events[0].value("k"), Some(&Value::Text(key.as_str().into())), "keys are carried whatever their size");
    assert_eq!(events[0].value("a"), Some(&Value::Text("0123456789".into())));
    assert_eq!(events[0].value("b"), Some(&Value::Bytes([7_u8; 10][..].into())));
    for event in &events[1..3] {
        assert_eq!((event.value("a"), event.value("b")), (None, None));
        assert!(matches!(event.value("n"), Some(Value::I64(1 | 2))));
    }
    assert_eq!((events[3].old_value("a"), events[3].value("a")), (None, Some(&Value::Text("short".into()))));
}

#[tokio::test]
async fn cs26_only_what_changes_nothing_is_not_told() {
    let file = File::with("create table t (id integer primary key, a text collate nocase, b, c)").await;
    let (_watcher, mut changes) = file.follow(&set("t", &["a"])).await;
    file.run("insert into t values (1, 'x', 1, null)").await;
    for same in ["a = 'x'", "b = 1", "a = a, b = b, c = c", "c = null", "id = 1"] {
        file.run(&format!("update t set {same}")).await;
    }
    for other in ["a = 'X'", "b = 1.0", "c = ''", "id = 2"] {
        file.run(&format!("update t set {other}")).await;
    }
    let events = next_events(&mut changes, 5).await;
    assert_eq!(told(&events[1..]), [(Op::Update, 1), (Op::Update, 1), (Op::Update, 1), (Op::Update, 2)]);
    assert_eq!(events[1].changed().collect::<Vec<_>>(), ["a"]);
    assert_eq!(events[2].changed().count(), 0, "a column changed that is not carried");
    assert!(events[4].moved());
}

#[tokio::test]
async fn cs22_upserts_and_replaced_rows() {
    let file = File::with("create table t (id integer primary key, u integer unique, n integer)").await;
    let (watcher, mut changes) = file.follow(&set("t", &["u", "n"])).await;
    assert!(!watcher.caps().replaced_rows, "rows that REPLACE removes are only seen where the writer asks for it");
    file.run("insert into t values (1, 10, 0), (2, 20, 0)").await;
    file.run("insert into t values (1, 10, 5) on conflict (id) do update set n = excluded.n").await;
    file.run("insert into t values (1, 10, 6) on conflict (id) do nothing").await;
    file.run("insert or ignore into t values (1, 10, 7)").await;
    let db = file.foreign();
    db.execute_batch("pragma recursive_triggers = on; replace into t values (3, 20, 1)").expect("a replacement");
    let events = next_events(&mut changes, 5).await;
    let ops = [(Op::Insert, 1), (Op::Insert, 2), (Op::Update, 1), (Op::Delete, 2), (Op::Insert, 3)];
    assert_eq!(told(&events), ops);
    assert_eq!(int(&events[2], "n"), 5);
    // Without the setting, the row that goes is not told, as the capabilities say.
    db.execute_batch("pragma recursive_triggers = off; replace into t values (4, 20, 1)").expect("a replacement");
    assert_eq!(told(&next_events(&mut changes, 1).await), [(Op::Insert, 4)]);
}

#[tokio::test]
async fn cs24_cascades_and_the_delete_of_all_rows() {
    let file = File::with(
        "create table t (id integer primary key, parent integer references t (id) on delete cascade, \
         friend integer references t (id) on delete set null); \
         insert into t values (1, null, null), (2, 1, null), (3, 2, null), (4, null, 3), (5, null, null)",
    )
    .await;
    let (_watcher, mut changes) = file.follow(&set("t", &["friend"])).await;
    file.run("delete from t where id = 1").await;
    let mut events = told(&next_events(&mut changes, 4).await);
    events.sort_by_key(|(_, id)| *id);
    assert_eq!(events, [(Op::Delete, 1), (Op::Delete, 2), (Op::Delete, 3), (Op::Update, 4)]);
    file.run("delete from t").await;
    assert_eq!(next_events(&mut changes, 2).await.len(), 2);
}

#[tokio::test]
async fn cs19_keys_of_all_kinds_and_tables_without_rowid() {
    let file = File::with(
        "create table pair (b text, a integer, v, primary key (a, b)) without rowid; \
         create table bytes (id blob primary key, w integer generated always as (length(id)) virtual)",
    )
    .await;
    let set = WatchSet::new()
        .watch(WatcherSpec::table("pair").label("pair").extra_columns(["v"]))
        .watch(WatcherSpec::table("bytes").label("bytes").extra_columns(["w"]));
    let (watcher, mut changes) = file.follow(&set).await;
    let keys: Vec<_> = watcher.tables().iter().map(|table| table.keys).collect();
    assert_eq!(keys, [0, 0], "keys are looked up in the file");
    file.run("insert into pair values ('x', 1, 'v')").await;
    file.run("update pair set a = 2 where b = 'x'").await;
    file.run("insert into bytes (id) values (x'0102')").await;
    let events = next_events(&mut changes, 3).await;
    let key = |a| vec![Some(Value::I64(a)), Some(Value::Text("x".into()))];
    assert_eq!(events[1].old_key(), Some(&key(1)[..]));
    assert_eq!(events[1].key(), Some(&key(2)[..]));
    assert_eq!(events[2].key(), Some(&[Some(Value::Bytes([1_u8, 2][..].into()))][..]));
    assert_eq!(int(&events[2], "w"), 2, "a generated column");
}
