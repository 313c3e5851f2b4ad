//! A server that has no connection left.

use std::time::{Duration, Instant};

use emr::ConnectFailure;
use emr::prelude::*;

use crate::{Note, note, options_of, server, session, texts};

pub(crate) async fn no_connection_is_left() {
    let (server, repo) = server(&["--max-connections=10"], |options| options.pool_size(10)).await;
    let options = || options_of(&server, "app").pool_size(10);
    let greedy = emr::open(options()).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..9 {
        let checkout = greedy.checkout().await.unwrap();
        session(&checkout).await;
        held.push(checkout);
    }
    // The last one is ours, as soon as the server has seen the end of those that set it up.
    let until = Instant::now() + Duration::from_secs(10);
    while let Err(error) = repo.insert(note("on the last connection")).await {
        assert!(Instant::now() < until, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let poor = emr::open(options()).await.unwrap();
    let started = Instant::now();
    let full = poor.count(Note::query()).await.unwrap_err();
    let ErrorKind::ConnectFailed { cause, reason, .. } = full.kind() else { panic!("{full:?}") };
    assert_eq!(*cause, ConnectFailure::Unavailable, "{reason}");
    assert!(reason.contains("Too many connections"), "{reason}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());

    // A repo that has a connection waits for it, though the server has no other one.
    let calls = (0..8).map(|n| repo.insert(note(format!("{n}"))));
    for stored in futures_util::future::join_all(calls).await {
        stored.unwrap();
    }
    // What has to be ended at the server is ended as soon as there is a connection to do it on.
    let late = repo.with_timeout(Duration::from_millis(300)).query("select sleep(30)", &[]).await.unwrap_err();
    assert!(late.is_timeout(), "{late:?}");
    drop(held);
    greedy.stop(Duration::from_secs(1)).await;
    assert_eq!(poor.count(Note::query()).await.unwrap(), 9);
    assert_eq!(texts(&repo).await.len(), 9);
    let running = "select count(*) from information_schema.processlist where info like 'select sleep(30)%'";
    for _ in 0..100 {
        if poor.query(running, &[]).await.unwrap().scalar::<i64>().unwrap() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the statement runs on at the server");
}
