//! Repos at run time: starting, finding, idling, stopping.

mod environment;
mod fake;
mod settings;

use std::sync::atomic::Ordering;
use std::time::Duration;

use emr::prelude::*;
use emr::{ConnectFailure, StopReason};
use tokio::time::{Instant, advance, sleep};

#[derive(MultiRepo)]
#[repo(timeout = "infinite", idle_timeout = "10m")]
struct Tenants;

#[derive(MultiRepo)]
#[repo(timeout = "1s", idle_timeout = "10m")]
struct Others;

fn fake(database: &str) -> RepoOptions {
    RepoOptions::new().database_type("fake").host("ok").database(database)
}

fn stopped(error: &Error) -> StopReason {
    match error.kind() {
        ErrorKind::Stopped { reason, .. } => *reason,
        other => panic!("not stopped: {other:?}"),
    }
}

#[tokio::test]
async fn starting_gives_fresh_ids_and_no_connection() {
    let one = Tenants::start(fake("fresh")).await.unwrap();
    let two = Tenants::start(fake("fresh")).await.unwrap();
    assert_ne!(one.id(), two.id());
    assert_eq!(fake::connects("fresh").load(Ordering::SeqCst), 0);
    one.query("select", &[]).await.unwrap();
    assert_eq!(fake::connects("fresh").load(Ordering::SeqCst), 1);
    assert!(Tenants::list().contains(&one.id().to_owned()));
    assert_eq!(Tenants::repo(two.id()).unwrap().id(), two.id());
}

#[tokio::test]
async fn r1_the_same_id_and_settings_give_the_running_repo() {
    let one = Tenants::start_as("same", fake("same")).await.unwrap();
    let two = Tenants::start_as("same", fake("same")).await.unwrap();
    one.query("select", &[]).await.unwrap();
    assert_eq!(two.stats().connections, 1);
    let error = Tenants::start_as("same", fake("same").user("eve").password("s3cret")).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    let ErrorKind::RepoConflict { id, differing } = error.kind() else { panic!("{error:?}") };
    assert_eq!((id.as_str(), &differing[..]), ("same", &["user", "password"][..]));
    assert!(Tenants::start_as("", fake("same")).await.is_err());
}

#[tokio::test]
async fn s11_ids_of_one_definition_mean_nothing_to_another() {
    Tenants::start_as("mine", fake("scoped")).await.unwrap();
    let error = Others::repo("mine").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnknownRepo { id } if id == "mine"), "{error:?}");
    assert!(Others::noop("mine").is_err());
    // Not a conflict either, though the settings differ.
    Others::start_as("mine", fake("elsewhere")).await.unwrap();
    assert_eq!(Tenants::repo("mine").unwrap().config().database.as_deref(), Some("scoped"));
}

#[tokio::test]
async fn concurrent_starts_of_one_id_make_one_pool() {
    let starts = (0..50).map(|_| {
        tokio::spawn(async {
            let repo = Tenants::start_as("race", fake("race").pool_size(1)).await.unwrap();
            repo.query("sleep 1", &[]).await.unwrap();
        })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap();
    }
    assert_eq!(fake::connects("race").load(Ordering::SeqCst), 1);
    assert_eq!(Tenants::list().iter().filter(|id| *id == "race").count(), 1);
}

#[tokio::test]
async fn repo_ids_are_stable_and_tell_nothing() {
    let id = Tenants::repo_id("host", 1, "db", "user", "secret");
    assert_eq!(id, Tenants::repo_id("host", 1, "db", "user", "secret"));
    assert_ne!(id, Tenants::repo_id("host", 1, "db", "user", "other"));
    assert_ne!(id, Others::repo_id("host", 1, "db", "user", "secret"));
    assert_ne!(Tenants::repo_id("a", 1, "bc", "d", "e"), Tenants::repo_id("a", 1, "b", "cd", "e"));
    assert!(!id.contains("secret") && id.len() == 32);
}

#[tokio::test(start_paused = true)]
async fn an_idle_repo_stops_and_says_so() {
    let repo = Tenants::start_as("idle", fake("idle")).await.unwrap();
    repo.query("select", &[]).await.unwrap();
    sleep(Duration::from_secs(599)).await;
    assert!(!repo.stats().stopped);
    sleep(Duration::from_secs(2)).await;
    assert!(repo.stats().stopped);
    assert_eq!(repo.stats().connections, 0);
    assert_eq!(stopped(&repo.query("select", &[]).await.unwrap_err()), StopReason::Idle);
    assert_eq!(stopped(&repo.noop().unwrap_err()), StopReason::Idle);
    assert_eq!(stopped(&repo.begin().await.unwrap_err()), StopReason::Idle);
    assert!(Tenants::repo("idle").is_err());
    let again = Tenants::start_as("idle", fake("idle")).await.unwrap();
    again.query("select", &[]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_repo_that_was_never_used_stops_too() {
    let repo = Tenants::start(fake("unused")).await.unwrap();
    sleep(Duration::from_secs(601)).await;
    assert_eq!(stopped(&repo.noop().unwrap_err()), StopReason::Idle);
    assert_eq!(fake::connects("unused").load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn the_clock_starts_when_the_last_call_ends() {
    let repo = Tenants::start(fake("long")).await.unwrap();
    // Three times the idle timeout, in one call.
    repo.query("sleep 1800000", &[]).await.unwrap();
    sleep(Duration::from_secs(590)).await;
    assert!(!repo.stats().stopped);
    repo.query("select", &[]).await.unwrap();
    sleep(Duration::from_secs(590)).await;
    assert!(!repo.stats().stopped);
    sleep(Duration::from_secs(11)).await;
    assert!(repo.stats().stopped);
}

#[tokio::test(start_paused = true)]
async fn noop_resets_the_clock() {
    let repo = Tenants::start_as("kept", fake("kept")).await.unwrap();
    for _ in 0..10 {
        sleep(Duration::from_secs(500)).await;
        Tenants::noop("kept").unwrap();
    }
    repo.query("select", &[]).await.unwrap();
    sleep(Duration::from_secs(601)).await;
    assert!(repo.stats().stopped);
}

#[tokio::test(start_paused = true)]
async fn an_open_transaction_and_a_checkout_hold_the_repo() {
    let repo = Tenants::start(fake("held")).await.unwrap();
    let tx = repo.begin().await.unwrap();
    tx.query("select", &[]).await.unwrap();
    sleep(Duration::from_hours(1)).await;
    tx.query("select", &[]).await.unwrap();
    tx.commit().await.unwrap();
    let checkout = repo.checkout().await.unwrap();
    sleep(Duration::from_hours(1)).await;
    checkout.query("select", &[]).await.unwrap();
    drop(checkout);
    sleep(Duration::from_secs(601)).await;
    assert!(repo.stats().stopped);
}

#[tokio::test(start_paused = true)]
async fn unused_connections_are_closed_before_the_repo_stops() {
    let repo = Tenants::start(fake("closing").connection_idle_timeout(Duration::from_secs(30))).await.unwrap();
    let calls = (0..3).map(|_| repo.query("sleep 10", &[]));
    futures_util::future::join_all(calls).await;
    assert_eq!(repo.stats().connections, 3);
    sleep(Duration::from_secs(50)).await;
    assert_eq!(repo.stats().connections, 0);
    assert!(!repo.stats().stopped);
    repo.query("select", &[]).await.unwrap();
    assert_eq!(fake::connects("closing").load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn stop_waits_for_running_calls_and_refuses_new_ones() {
    let repo = Tenants::start_as("drained", fake("drained")).await.unwrap();
    let running = tokio::spawn({
        let repo = repo.clone();
        async move { repo.query("sleep 2000", &[]).await }
    });
    sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    let stopping = tokio::spawn(Tenants::stop("drained", Duration::from_secs(10)));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(stopped(&repo.query("select", &[]).await.unwrap_err()), StopReason::Requested);
    assert_eq!(stopping.await.unwrap().unwrap(), 0);
    assert_eq!(started.elapsed().as_millis() / 100, 19);
    running.await.unwrap().unwrap();
    assert!(Tenants::repo("drained").is_err());
    assert_eq!(repo.stop(Duration::ZERO).await, 0);
}

#[tokio::test(start_paused = true)]
async fn stop_cuts_off_what_does_not_end_in_time() {
    let repo = Tenants::start(fake("cut")).await.unwrap();
    let running = tokio::spawn({
        let repo = repo.clone();
        async move { repo.query("sleep 60000", &[]).await }
    });
    let tx = repo.begin().await.unwrap();
    tx.query("select", &[]).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(repo.stop(Duration::from_secs(1)).await, 2);
    assert_eq!(stopped(&running.await.unwrap().unwrap_err()), StopReason::Requested);
    assert!(tx.query("select", &[]).await.unwrap_err().is_stopped());
    drop(tx);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(repo.stats().connections, 0);
    assert_eq!(repo.stats().running, 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_connect_reaches_every_waiter_with_the_reason() {
    let repo = Others::start(fake("wrong").host("refuses").pool_size(2)).await.unwrap();
    for round in 1..=2_u32 {
        let started = Instant::now();
        let calls = (0..20).map(|_| repo.query("select", &[]));
        for result in futures_util::future::join_all(calls).await {
            let error = result.unwrap_err();
            let ErrorKind::ConnectFailed { reason, cause, .. } = error.kind() else { panic!("{error:?}") };
            assert!(reason.contains("password authentication failed"), "{reason}");
            assert_eq!(*cause, ConnectFailure::Authentication);
        }
        // One connect's time, and a later call tries anew.
        assert!(started.elapsed() < Duration::from_millis(150), "{:?}", started.elapsed());
        assert!(fake::connects("wrong").load(Ordering::SeqCst) >= round);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_a_connect_timeout() {
    let options = fake("hanging").host("hangs").connect_timeout(Duration::from_millis(300));
    let repo = Others::start(options.clone()).await.unwrap();
    let error = repo.query("select", &[]).await.unwrap_err();
    let ErrorKind::ConnectFailed { cause, target, .. } = error.kind() else { panic!("{error:?}") };
    assert_eq!((*cause, target.as_str()), (ConnectFailure::Timeout, "hangs:1/hanging"));
    let error = Others::start_as("eager", options.eager(true)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectFailed { .. }), "{error:?}");
    // A repo that could not be started is not there.
    assert!(Others::repo("eager").is_err());
}

#[tokio::test]
async fn eager_repos_are_connected() {
    let repo = Others::start(fake("eager").eager(true)).await.unwrap();
    assert_eq!((repo.stats().connections, fake::connects("eager").load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_pool_is_bounded_and_shared() {
    let repo = Tenants::start(fake("bounded").pool_size(3)).await.unwrap();
    let started = Instant::now();
    futures_util::future::join_all((0..9).map(|_| repo.query("sleep 100", &[]))).await;
    assert_eq!(started.elapsed().as_millis() / 100, 3);
    assert_eq!(fake::connects("bounded").load(Ordering::SeqCst), 3);
    advance(Duration::from_millis(1)).await;
}

#[tokio::test]
async fn dropping_handles_does_not_stop_a_repo() {
    let id = Tenants::start(fake("plain")).await.unwrap().id().to_owned();
    Tenants::repo(&id).unwrap().query("select", &[]).await.unwrap();
    let stats = Tenants::stats();
    assert!(stats.iter().any(|stats| stats.id == id && stats.backend == "fake" && stats.connections == 1));
}

#[tokio::test]
async fn five_hundred_open_file_repos_hold_few_threads() {
    let folder = tempfile::tempdir().unwrap();
    let mut repos = Vec::new();
    for n in 0..500 {
        let path = folder.path().join(format!("{n}.db"));
        let repo = Tenants::start(RepoOptions::sqlite(path.to_str().unwrap())).await.unwrap();
        repo.script("create table t (n integer)").await.unwrap();
        let calls = (0..8).map(|_| repo.query("select count(*) from t", &[]));
        for result in futures_util::future::join_all(calls).await {
            assert_eq!(result.unwrap().scalar::<i64>().unwrap(), 0);
        }
        repos.push(repo);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let threads: u32 = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim().parse().unwrap();
    assert!(threads < 2_000, "{threads} threads");
    for repo in repos {
        repo.stop(Duration::ZERO).await;
    }
}
