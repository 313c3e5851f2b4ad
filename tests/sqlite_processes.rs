//! One SQLite file, two processes.

use std::process::Command;
use std::time::{Duration, Instant};

use emr::prelude::*;

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "hits")]
struct Hit {
    id: i64,
    process: i64,
}

async fn add_hits(path: &str, process: i64) {
    let repo = emr::open(RepoOptions::sqlite(path)).await.unwrap();
    for _ in 0..100 {
        repo.transaction(async |tx| tx.insert(Hit::build().set(Hit::PROCESS, process)).await).await.unwrap();
    }
}

fn child(path: &str, test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env("EMR_TEST_FILE", path);
    command
}

#[tokio::test]
async fn two_processes_write_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.db").to_str().unwrap().to_owned();
    let repo = emr::open(RepoOptions::sqlite(&path)).await.unwrap();
    repo.create_table::<Hit>().await.unwrap();
    let mut child = child(&path, "child_adds_hits").spawn().unwrap();
    add_hits(&path, 1).await;
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert!(status.success());
    for process in [1, 2] {
        assert_eq!(repo.count(Hit::query().filter(Hit::PROCESS.eq(process))).await.unwrap(), 100);
    }
}

#[tokio::test]
async fn a_killed_process_leaves_no_lock_and_no_half() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.db").to_str().unwrap().to_owned();
    let repo = emr::open(RepoOptions::sqlite(&path)).await.unwrap();
    repo.create_table::<Hit>().await.unwrap();
    let mut child = child(&path, "child_holds_the_write_lock").spawn().unwrap();
    let started = Instant::now();
    let impatient = repo.with_timeout(Duration::from_millis(200));
    // Until the other process has the lock, our own writes get through.
    while !impatient.insert(Hit::build().set(Hit::PROCESS, 1)).await.is_err_and(|error| error.is_timeout()) {
        assert!(started.elapsed() < Duration::from_secs(20), "the other process never took the lock");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    repo.insert(Hit::build().set(Hit::PROCESS, 3)).await.unwrap();
    assert_eq!(repo.count(Hit::query().filter(Hit::PROCESS.eq(2))).await.unwrap(), 0);
    assert_eq!(repo.count(Hit::query().filter(Hit::PROCESS.eq(3))).await.unwrap(), 1);
}

#[tokio::test]
#[ignore = "run as the other process of two_processes_write_one_file"]
async fn child_adds_hits() {
    add_hits(&std::env::var("EMR_TEST_FILE").unwrap(), 2).await;
}

#[tokio::test]
#[ignore = "run as the other process of a_killed_process_leaves_no_lock_and_no_half"]
async fn child_holds_the_write_lock() {
    let repo = emr::open(RepoOptions::sqlite(std::env::var("EMR_TEST_FILE").unwrap())).await.unwrap();
    let tx = repo.begin().await.unwrap();
    tx.insert(Hit::build().set(Hit::PROCESS, 2)).await.unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
}
