//! Writers in other processes, and large amounts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use emr_core::Repo;
use emr_core::watch::{Item, Start};

use crate::{File, int, next_events, next_item, open_path, set};

const FILE: &str = "EMR_TEST_FILE";
const WRITER: &str = "EMR_TEST_WRITER";
const KEYS: i64 = 20;
const ROUNDS: i64 = 60;

/// This test binary again, as one other test.
fn child(path: &Path, test: &str, writer: i64) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", test, "--ignored", "--nocapture"]).env(FILE, path).env(WRITER, writer.to_string());
    command
}

fn given() -> (PathBuf, i64) {
    let from = |name| std::env::var(name).expect("run by another test");
    (from(FILE).into(), from(WRITER).parse().expect("a number"))
}

/// Random transactions over hot keys. Each commit counts the versions of its keys up, and writes them down in the same commit.
async fn write(path: &Path, writer: i64) {
    let repo = open_path(path).await;
    let mut state = writer.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move |below: i64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        i64::try_from(state >> 1).expect("63 bits") % below
    };
    for round in 0..ROUNDS {
        let rolled_back = random(10) == 0;
        let tx = repo.begin().await.expect("a transaction");
        for _ in 0..=random(3) {
            let key = random(KEYS);
            let undone = random(5) == 0;
            let nested = tx.begin().await.expect("a savepoint");
            nested
                .query(
                    "update t set version = version + 1, writer = $1, round = $2 where id = $3",
                    &[&writer, &round, &key],
                )
                .await
                .expect("an update");
            nested
                .query("insert into committed (id, version) select id, version from t where id = $1", &[&key])
                .await
                .expect("a note");
            if undone { nested.rollback().await } else { nested.commit().await }.expect("the savepoint's end");
        }
        if random(4) == 0 {
            tokio::time::sleep(Duration::from_millis(random(5).unsigned_abs())).await;
        }
        if rolled_back { tx.rollback().await } else { tx.commit().await }.expect("the end");
    }
}

#[tokio::test]
#[ignore = "run as another process of cs09_cs11_nothing_is_lost_or_reordered"]
async fn child_writes() {
    let (path, writer) = given();
    write(&path, writer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cs09_cs11_nothing_is_lost_or_reordered() {
    let file = File::with(
        "create table t (id integer primary key, version integer not null, writer integer, round integer); \
         create table committed (id integer, version integer)",
    )
    .await;
    for key in 0..KEYS {
        file.run(&format!("insert into t values ({key}, 0, 0, 0)")).await;
    }
    let (_watcher, mut changes) = file.follow(&set("t", &["version", "writer", "round"])).await;
    let processes: Vec<_> =
        (1..=4).map(|n| child(&file.path, "processes::child_writes", n).spawn().expect("a process")).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 5..=8 {
        let path = file.path.clone();
        tasks.spawn(async move { write(&path, writer).await });
    }
    let done = tokio::spawn(async move {
        tasks.join_all().await;
        for mut process in processes {
            let ended = tokio::task::spawn_blocking(move || process.wait()).await.expect("waited").expect("ended");
            assert!(ended.success());
        }
    });
    let mut told: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut ended = false;
    let mut quiet = 0;
    // Two heartbeats in which nothing came after the writers ended.
    while quiet < 2 {
        ended = ended || done.is_finished();
        match changes.recv().await.expect("it goes on").expect("no error") {
            Item::Txn(txn) => {
                quiet = 0;
                for event in &txn.changes {
                    told.entry(int(event, "id")).or_default().push(int(event, "version"));
                }
            }
            Item::Progress { .. } if ended => quiet += 1,
            Item::Progress { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    done.await.expect("the writers");
    let committed: i64 =
        file.repo.query("select count(*) from committed", &[]).await.expect("rows").scalar().expect("a number");
    assert!(committed > 300, "{committed}");
    let versions: usize = told.values().map(Vec::len).sum();
    assert_eq!(i64::try_from(versions).expect("few"), committed, "each change, once");
    for (key, versions) in told {
        let expected: Vec<_> = (1..=i64::try_from(versions.len()).expect("few")).collect();
        assert_eq!(versions, expected, "the versions of {key} in their order");
    }
}

/// As a shell would write it: one statement, one commit.
const MANY: i64 = 1_000_000;

fn insert_many(file: &File, first: i64, count: i64) {
    let sql = "with recursive n (id) as (select ?1 union all select id + 1 from n where id + 1 < ?1 + ?2) \
               insert into t (id, a) select id, 'title ' || id from n";
    file.foreign().execute(sql, [first, count]).expect("many rows");
}

#[tokio::test]
async fn cs12_one_commit_of_a_million_rows_comes_in_parts() {
    let file = File::with("create table t (id integer primary key, a text)").await;
    let (watcher, mut changes) = file.follow(&set("t", &["a"])).await;
    let start = changes.start().clone();
    insert_many(&file, 0, MANY);
    let (mut next, mut parts) = (0, 0);
    let last = loop {
        let Item::Txn(txn) = next_item(&mut changes).await else { panic!("only changes") };
        let part = txn.part.expect("a part");
        parts += 1;
        assert_eq!((part.number, part.of), (parts, 100));
        assert!(txn.changes.len() <= 10_000);
        for event in &txn.changes {
            assert_eq!(int(event, "id"), next);
            next += 1;
        }
        if part.is_last() {
            break txn;
        }
        assert_eq!(txn.token, start, "the token moves when the commit is whole");
    };
    assert_eq!(next, MANY);
    assert_eq!(last.token, watcher.head().await.expect("a token"));
}

#[tokio::test]
async fn a_reader_that_is_killed_in_a_catch_up_repeats_little() {
    let file = File::with("create table t (id integer primary key, a text)").await;
    let (watcher, changes) = file.follow(&set("t", &["a"])).await;
    let mut token = changes.start().clone();
    drop(changes);
    // By a connection of ours, which notes where commits end.
    for first in (0..200_000).step_by(1_000) {
        let sql = format!(
            "with recursive n (id) as (select {first} union all select id + 1 from n where id + 1 < {first} + 1000) \
             insert into t (id, a) select id, 'x' from n"
        );
        file.run(&sql).await;
    }
    let (mut next, mut repeated, mut kills) = (0, 0, 0);
    while next < 200_000 {
        let mut changes = watcher.changes(Start::After(token.clone())).await.expect("changes");
        let mut items = 0;
        while next < 200_000 && items < 5 {
            let Item::Txn(txn) = next_item(&mut changes).await else { panic!("only changes") };
            items += 1;
            for event in &txn.changes {
                let id = int(event, "id");
                assert!(id <= next, "{id} came, and {next} was to come");
                repeated += i64::from(id < next);
                next = next.max(id + 1);
            }
            // The last one before the kill is not kept.
            if items < 5 {
                token = txn.token.clone();
            }
        }
        kills += 1;
    }
    assert!(kills > 2, "{kills}");
    assert!(repeated <= kills * 10_000, "{repeated} repeated in {kills} kills");
}

#[tokio::test]
async fn what_another_process_writes_wakes_a_sleeping_reader() {
    let file = File::with("create table t (id integer primary key, a text)").await;
    let slow = set("t", &["a"]).heartbeat(Duration::from_secs(30));
    let (_watcher, mut changes) = file.follow(&slow).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let process = child(&file.path, "processes::child_inserts", 7).spawn().expect("a process");
    assert_eq!(int(&next_events(&mut changes, 1).await[0], "id"), 7);
    let mut process = process;
    assert!(tokio::task::spawn_blocking(move || process.wait()).await.expect("waited").expect("ended").success());
}

#[tokio::test]
#[ignore = "run as the other process of what_another_process_writes_wakes_a_sleeping_reader"]
async fn child_inserts() {
    let (path, writer) = given();
    open_path(&path).await.query("insert into t values ($1, 'other')", &[&writer]).await.expect("a row");
}
