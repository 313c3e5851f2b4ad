//! Sessions that end without having been asked.

use std::time::{Duration, Instant};

use emr::prelude::*;
use emr::{ConnectFailure, TransactionFault};

use crate::{Note, administrator, note, options_of, server, session, texts};

/// Inserts until it succeeds. What was refused and what was lost is not stored.
async fn insert_at_last(repo: &RepoHandle, text: &str) -> u32 {
    let mut failed = 0;
    loop {
        match repo.insert(note(text)).await {
            Ok(_) => return failed,
            Err(error) => {
                let away = matches!(error.kind(), ErrorKind::ConnectionLost { .. } | ErrorKind::ConnectFailed { .. });
                assert!(away && failed < 100, "{error:?}");
                failed += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

pub(crate) async fn a_server_that_starts_again_is_found() {
    let (mut server, repo) = server(&[], |options| options.pool_size(2)).await;
    repo.insert(note("before")).await.unwrap();
    let tx = repo.begin().await.unwrap();
    tx.insert(note("lost with its transaction")).await.unwrap();
    server.stop();

    let lost = tx.insert(note("never")).await.unwrap_err();
    assert!(matches!(lost.kind(), ErrorKind::ConnectionLost { .. }), "{lost:?}");
    let gone = tx.count(Note::query()).await.unwrap_err();
    assert!(matches!(gone.kind(), ErrorKind::Transaction(TransactionFault::Lost)), "{gone:?}");
    assert!(tx.commit().await.is_err());
    // A read is sent again, and finds nobody.
    let down = repo.count(Note::query()).await.unwrap_err();
    let ErrorKind::ConnectFailed { cause, .. } = down.kind() else { panic!("{down:?}") };
    assert_eq!(*cause, ConnectFailure::Unreachable, "{down:?}");
    let down = repo.insert(note("never")).await.unwrap_err();
    assert!(matches!(down.kind(), ErrorKind::ConnectFailed { .. }), "{down:?}");

    server.begin();
    assert_eq!(texts(&repo).await, ["before"]);
    assert_eq!(insert_at_last(&repo, "after").await, 0);
    assert_eq!(texts(&repo).await, ["before", "after"]);
}

pub(crate) async fn a_crash_undoes_what_was_not_committed() {
    let (mut server, repo) = server(&[], |options| options.pool_size(4)).await;
    let bystanders = emr::open(options_of(&server, "app").pool_size(8)).await.unwrap();
    // Sessions whose numbers others will have after the crash.
    let held = futures_util::future::join_all((0..4).map(|_| repo.begin())).await;
    let held: Vec<Tx> = held.into_iter().collect::<Result<_>>().unwrap();
    for tx in &held {
        tx.insert(note("not committed")).await.unwrap();
    }
    server.crash();
    server.begin();

    let others = futures_util::future::join_all((0..8).map(|_| bystanders.begin())).await;
    let others: Vec<Tx> = others.into_iter().collect::<Result<_>>().unwrap();
    for tx in &others {
        tx.insert(note("of a bystander")).await.unwrap();
    }
    for tx in held {
        let lost = tx.insert(note("never")).await.unwrap_err();
        assert!(matches!(lost.kind(), ErrorKind::ConnectionLost { .. }), "{lost:?}");
    }
    insert_at_last(&repo, "after").await;
    // Nobody else's session was ended for the lost ones.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for tx in others {
        tx.commit().await.unwrap();
    }
    let stored = texts(&repo).await;
    assert_eq!(stored.iter().filter(|text| *text == "of a bystander").count(), 8);
    assert_eq!(stored.len(), 9, "{stored:?}");
}

pub(crate) async fn killed_sessions_and_statements() {
    let (server, repo) = server(&[], |options| options.pool_size(1)).await;
    let admin = administrator(&server).await;
    let kill = async |what: &str, id: i64| admin.script(&format!("KILL {what} {id}")).await.unwrap();

    // In the middle of a statement.
    let id = session(&repo).await;
    let started = Instant::now();
    let (lost, ()) = tokio::join!(repo.query("select sleep(30)", &[]), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        kill("CONNECTION", id).await;
    });
    let lost = lost.unwrap_err();
    assert!(matches!(lost.kind(), ErrorKind::ConnectionLost { .. }), "{lost:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());

    // The statement alone: the session stays.
    let id = session(&repo).await;
    let (ended, ()) = tokio::join!(repo.query("select 1 from notes, (select sleep(30) as n) as s", &[]), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        kill("QUERY", id).await;
    });
    if let Err(error) = ended {
        assert!(matches!(error.kind(), ErrorKind::Database { code, .. } if code == "1317"), "{error:?}");
    }
    assert_eq!(session(&repo).await, id);

    // Between two calls. A statement that is not prepared yet did not run, and is sent again; of one that is, nobody knows.
    kill("CONNECTION", id).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    repo.insert(note("sent again")).await.unwrap();
    let id = session(&repo).await;
    kill("CONNECTION", id).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let unsure = repo.insert(note("not sent again")).await.unwrap_err();
    assert!(matches!(unsure.kind(), ErrorKind::ConnectionLost { .. }), "{unsure:?}");
    repo.insert(note("after")).await.unwrap();
    assert_eq!(texts(&repo).await, ["sent again", "after"]);
}

pub(crate) async fn sessions_thrown_out_for_idling() {
    let (_server, repo) =
        server(&[], |options| options.pool_size(1).extra("session", "wait_timeout = 1, idle_transaction_timeout = 1"))
            .await;
    let mut expected = Vec::new();
    for n in 0..3 {
        let id = session(&repo).await;
        repo.insert(note(format!("{n}"))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1_700)).await;
        // The statement is a prepared one, and the session gone: nothing is sent on it.
        repo.insert(note(format!("{n} again"))).await.unwrap();
        assert_ne!(session(&repo).await, id);
        expected.extend([format!("{n}"), format!("{n} again")]);
        tokio::time::sleep(Duration::from_millis(1_700)).await;
        // A transaction begins on a session that is there.
        let tx = repo.begin().await.unwrap();
        tx.insert(note(format!("{n} in a transaction"))).await.unwrap();
        tx.commit().await.unwrap();
        expected.push(format!("{n} in a transaction"));
    }
    assert_eq!(texts(&repo).await, expected);
    // One that idles itself is lost, and says so.
    let tx = repo.begin().await.unwrap();
    tx.insert(note("too late")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_700)).await;
    let lost = tx.commit().await.unwrap_err();
    assert!(matches!(lost.kind(), ErrorKind::ConnectionLost { .. }), "{lost:?}");
    assert_eq!(texts(&repo).await, expected);
}

pub(crate) async fn a_server_that_hangs() {
    let (server, repo) = server(&[], |options| options.pool_size(2)).await;
    repo.insert(note("before")).await.unwrap();
    server.signal("STOP");
    let started = Instant::now();
    for late in [
        repo.with_timeout(Duration::from_millis(500)).count(Note::query()).await.map(drop),
        repo.with_timeout(Duration::from_millis(500)).insert(note("unsure")).await.map(drop),
    ] {
        let late = late.unwrap_err();
        assert!(late.is_timeout(), "{late:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    server.signal("CONT");
    insert_at_last(&repo, "after").await;
    let stored = texts(&repo).await;
    assert!(stored.first().is_some_and(|first| first == "before"), "{stored:?}");
    assert_eq!(stored.iter().filter(|text| *text == "after").count(), 1, "{stored:?}");
}
