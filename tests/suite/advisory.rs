//! Locks that are names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use emr::prelude::*;
use emr::{TransactionFault, advisory_key};

use crate::harness::{Backend, Db, assert_unsupported, assert_unsupported_in_part, not_here};
use crate::schemas::{Post, post, titles};

db_cases![
    be22_an_advisory_lock_is_taken_by_name,
    be23_any_text_names_the_same_lock,
    who_waits_gets_the_lock_at_the_end_of_the_transaction,
    a_lock_that_is_not_free_can_be_left,
    shared_locks_exclude_only_others,
    a_lock_ends_however_its_transaction_ends,
    a_lock_can_be_taken_twice,
    rolling_back_a_nested_transaction_follows_the_engine,
    a_wait_ends_with_the_calls_timeout,
    waiting_in_a_circle_is_a_deadlock,
    counting_under_a_lock_loses_nothing,
    a_lock_that_is_not_free_leaves_the_transaction_usable,
    locks_of_different_databases_have_nothing_to_do_with_each_other,
];

/// A transaction in which a lock is the only thing that others could wait for: on SQLite one that does not write.
async fn reading(repo: &RepoHandle) -> Tx {
    repo.begin_with(TransactionOptions::new().read_only()).await.unwrap()
}

/// How many advisory locks with this name are held.
async fn held(db: &Db, name: &str) -> i64 {
    let key = advisory_key(name);
    let (high, low) = ((key >> 32) & 0xffff_ffff, key & 0xffff_ffff);
    let sql = "select count(*) from pg_locks where locktype = 'advisory' and granted and classid::bigint = $1 \
               and objid::bigint = $2 and objsubid = 1";
    db.repo.query(sql, &[&high, &low]).await.unwrap().scalar::<i64>().unwrap()
}

/// A name that no other case uses: on PostgreSQL the locks of all cases are in one database.
fn unique(db: &Db, name: &str) -> String {
    format!("{} {name}", db.repo.id())
}

async fn be22_an_advisory_lock_is_taken_by_name(db: &Db) {
    let name = unique(db, "be22");
    let tx = reading(&db.repo).await;
    let other = db.other().await;
    let theirs = reading(&other).await;
    if db.backend == Backend::Postgres {
        assert_eq!(held(db, &name).await, 0);
    }
    tx.advisory_lock(&name).await.unwrap();
    if db.backend == Backend::Postgres {
        assert_eq!(held(db, &name).await, 1);
    }
    assert!(!theirs.try_advisory_lock(&name).await.unwrap());
    tx.commit().await.unwrap();
    if db.backend == Backend::Postgres {
        assert_eq!(held(db, &name).await, 0);
    }
    assert!(theirs.try_advisory_lock(&name).await.unwrap());
}

async fn be23_any_text_names_the_same_lock(db: &Db) {
    let name: String = unique(db, "be23");
    let tx = reading(&db.repo).await;
    tx.advisory_lock(name.as_str()).await.unwrap();
    let other = db.other().await;
    let theirs = reading(&other).await;
    assert!(!theirs.try_advisory_lock(name.clone()).await.unwrap());
    assert!(!theirs.try_advisory_lock(&name).await.unwrap());
    assert!(theirs.try_advisory_lock(format!("{name}!")).await.unwrap());
    if db.backend == Backend::Postgres {
        assert_eq!(held(db, &name).await, 1);
        // Programs that count the key themselves exclude us.
        let taken = theirs.query("select pg_try_advisory_xact_lock($1)", &[&advisory_key(&name)]).await.unwrap();
        assert!(!taken.scalar::<bool>().unwrap());
    }
}

async fn who_waits_gets_the_lock_at_the_end_of_the_transaction(db: &Db) {
    let name = unique(db, "waited for");
    let tx = reading(&db.repo).await;
    tx.advisory_lock(&name).await.unwrap();
    let other = db.other().await;
    let waiting = tokio::spawn({
        let name = name.clone();
        async move {
            let theirs = reading(&other).await;
            theirs.advisory_lock(&name).await?;
            theirs.commit().await
        }
    });
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(!waiting.is_finished());
    tx.commit().await.unwrap();
    tokio::time::timeout(Duration::from_secs(2), waiting).await.unwrap().unwrap().unwrap();
}

async fn a_lock_that_is_not_free_can_be_left(db: &Db) {
    let name = unique(db, "tried");
    // Both may write: on SQLite the second must not wait for the first one's end to learn that it has no lock.
    let tx = db.repo.begin().await.unwrap();
    assert!(tx.try_advisory_lock(&name).await.unwrap());
    let other = db.other().await;
    let theirs = other.begin().await.unwrap();
    let started = Instant::now();
    assert!(!theirs.try_advisory_lock(&name).await.unwrap());
    let shared = theirs.try_advisory_lock_shared(&name).await;
    if db.backend.is_mysql_family() {
        assert_unsupported_in_part(&shared.unwrap_err());
    } else {
        assert!(!shared.unwrap());
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    tx.rollback().await.unwrap();
    assert!(theirs.try_advisory_lock(&name).await.unwrap());
    theirs.commit().await.unwrap();
}

async fn shared_locks_exclude_only_others(db: &Db) {
    let name = unique(db, "shared");
    let other = db.other().await;
    let (one, two, three) = (reading(&db.repo).await, reading(&other).await, reading(&other).await);
    let shared = one.advisory_lock_shared(&name).await;
    if db.backend.is_mysql_family() {
        assert_unsupported(&shared.unwrap_err());
        return;
    }
    shared.unwrap();
    two.advisory_lock_shared(&name).await.unwrap();
    assert!(!three.try_advisory_lock(&name).await.unwrap());
    assert!(three.try_advisory_lock_shared(&name).await.unwrap());
    three.rollback().await.unwrap();
    one.commit().await.unwrap();
    // The one that is left may have it alone.
    assert!(two.try_advisory_lock(&name).await.unwrap());
    let four = reading(&db.repo).await;
    assert!(!four.try_advisory_lock_shared(&name).await.unwrap());
}

async fn a_lock_ends_however_its_transaction_ends(db: &Db) {
    let name = unique(db, "ended");
    let other = db.other().await;
    for end in ["commit", "rollback", "drop", "lost", "timeout", "stop"] {
        let repo = db.other().await;
        let limited = TransactionOptions::new().read_only().timeout(Duration::from_millis(300));
        let tx = match end {
            "timeout" => repo.begin_with(limited).await.unwrap(),
            _ => reading(&repo).await,
        };
        tx.advisory_lock(&name).await.unwrap();
        assert!(!reading(&other).await.try_advisory_lock(&name).await.unwrap());
        match end {
            "commit" => tx.commit().await.unwrap(),
            "rollback" => tx.rollback().await.unwrap(),
            "drop" => drop(tx),
            "lost" => {
                let slow = crate::transactions::slow_sql(db.backend);
                tx.with_timeout(Duration::from_millis(50)).query(slow, &[]).await.unwrap_err();
            }
            "timeout" => tokio::time::sleep(Duration::from_millis(350)).await,
            _ => drop(repo.stop(Duration::ZERO).await),
        }
        let theirs = reading(&other).await;
        theirs.with_timeout(Duration::from_secs(2)).advisory_lock(&name).await.unwrap_or_else(|e| panic!("{end}: {e}"));
        theirs.rollback().await.unwrap();
    }
}

async fn a_lock_can_be_taken_twice(db: &Db) {
    let name = unique(db, "twice");
    let tx = reading(&db.repo).await;
    tx.advisory_lock(&name).await.unwrap();
    tx.advisory_lock(&name).await.unwrap();
    if !db.backend.is_mysql_family() {
        tx.advisory_lock_shared(&name).await.unwrap();
    }
    assert!(tx.try_advisory_lock(&name).await.unwrap());
    tx.commit().await.unwrap();
    assert!(reading(&db.other().await).await.try_advisory_lock(&name).await.unwrap());
}

/// PostgreSQL gives back what was taken since the savepoint; SQLite's locks are EMR's, and stay to the end.
async fn rolling_back_a_nested_transaction_follows_the_engine(db: &Db) {
    let name = unique(db, "nested");
    let tx = reading(&db.repo).await;
    let inner = tx.begin().await.unwrap();
    inner.advisory_lock(&name).await.unwrap();
    inner.rollback().await.unwrap();
    let other = db.other().await;
    let theirs = reading(&other).await;
    let free = theirs.try_advisory_lock(&name).await.unwrap();
    assert_eq!(free, db.backend == Backend::Postgres);
    theirs.rollback().await.unwrap();

    let inner = tx.begin().await.unwrap();
    inner.advisory_lock(&name).await.unwrap();
    inner.commit().await.unwrap();
    assert!(!reading(&other).await.try_advisory_lock(&name).await.unwrap(), "what is kept is kept to the end");
    tx.commit().await.unwrap();
    assert!(reading(&other).await.try_advisory_lock(&name).await.unwrap());
}

async fn a_wait_ends_with_the_calls_timeout(db: &Db) {
    let name = unique(db, "too long");
    let tx = reading(&db.repo).await;
    tx.advisory_lock(&name).await.unwrap();
    let other = db.other().await;
    let theirs = reading(&other).await;
    let started = Instant::now();
    let error = theirs.with_timeout(Duration::from_millis(150)).advisory_lock(&name).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(2));
    // As every call that is cut off, it ends its transaction.
    let error = theirs.try_advisory_lock(&name).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Transaction(TransactionFault::Lost));
    theirs.rollback().await.unwrap();
    // Nobody is left in the queue.
    tx.commit().await.unwrap();
    let theirs = reading(&other).await;
    theirs.with_timeout(Duration::from_secs(2)).advisory_lock(&name).await.unwrap();
}

async fn waiting_in_a_circle_is_a_deadlock(db: &Db) {
    let (a, b) = (unique(db, "a"), unique(db, "b"));
    let other = db.other().await;
    let (one, two) = (reading(&db.repo).await, reading(&other).await);
    one.advisory_lock(&a).await.unwrap();
    two.advisory_lock(&b).await.unwrap();
    let (first, second) = tokio::join!(
        async {
            let got = one.advisory_lock(&b).await;
            // The victim's end lets the other one go on.
            let end = if got.is_ok() { one.commit().await } else { one.rollback().await };
            end.unwrap();
            got
        },
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let got = two.advisory_lock(&a).await;
            let end = if got.is_ok() { two.commit().await } else { two.rollback().await };
            end.unwrap();
            got
        }
    );
    let errors: Vec<_> = [first, second].into_iter().filter_map(Result::err).collect();
    let [error] = &errors[..] else { panic!("one of them gives way: {errors:?}") };
    assert!(matches!(error.kind(), ErrorKind::Deadlock { .. }) && error.is_retryable(), "{error:?}");
}

async fn counting_under_a_lock_loses_nothing(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let row = post(&db.repo, "x").await;
    let (name, inside) = (unique(db, "counted"), Arc::new(AtomicU32::new(0)));
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let (repo, name, inside) = (db.other().await, name.clone(), Arc::clone(&inside));
        tasks.push(tokio::spawn(async move {
            repo.transaction(async |tx| {
                tx.advisory_lock(&name).await?;
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "alone");
                let now = tx.fetch::<Post>(row.id).await?;
                tokio::task::yield_now().await;
                tx.update(now.change().set(Post::VISITS, now.visits + 1)).await?;
                inside.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            })
            .await
        }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(db.repo.fetch::<Post>(row.id).await.unwrap().visits, 8);
}

async fn a_lock_that_is_not_free_leaves_the_transaction_usable(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let name = unique(db, "usable");
    let tx = reading(&db.repo).await;
    tx.advisory_lock(&name).await.unwrap();
    let other = db.other().await;
    let theirs = other.begin().await.unwrap();
    assert!(!theirs.try_advisory_lock(&name).await.unwrap());
    let inner = theirs.begin().await.unwrap();
    assert!(!inner.try_advisory_lock(&name).await.unwrap());
    post(&inner, "kept").await;
    inner.commit().await.unwrap();
    let inner = theirs.begin().await.unwrap();
    post(&inner, "undone").await;
    inner.rollback().await.unwrap();
    theirs.commit().await.unwrap();
    assert_eq!(titles(&db.repo).await, ["kept"]);
    // One in which nothing else happens ends as well.
    let theirs = other.begin().await.unwrap();
    assert!(!theirs.try_advisory_lock(&name).await.unwrap());
    theirs.commit().await.unwrap();
}

async fn locks_of_different_databases_have_nothing_to_do_with_each_other(db: &Db) {
    if db.backend == Backend::Postgres {
        not_here("the cases share a database, and with it the names");
        return;
    }
    if db.backend.is_mysql_family() {
        let elsewhere = emr::open(RepoOptions::from_url(&db.backend.url()).unwrap()).await.unwrap();
        let transactions = [reading(&db.repo).await, reading(&elsewhere).await];
        for tx in &transactions {
            assert!(tx.try_advisory_lock("same name").await.unwrap());
        }
        assert!(!reading(&db.other().await).await.try_advisory_lock("same name").await.unwrap());
        return;
    }
    let memory = || async { emr::open(RepoOptions::sqlite(":memory:")).await.unwrap() };
    let (one, two) = (memory().await, memory().await);
    let transactions = [reading(&db.repo).await, reading(&one).await, reading(&two).await];
    for tx in &transactions {
        assert!(tx.try_advisory_lock("same name").await.unwrap());
    }
    // Another way to write the path of the same file.
    let path = db.options().database.unwrap();
    let (folder, file) = path.rsplit_once('/').unwrap();
    let again = emr::open(RepoOptions::sqlite(format!("{folder}/./{file}"))).await.unwrap();
    assert!(!reading(&again).await.try_advisory_lock("same name").await.unwrap());
}
