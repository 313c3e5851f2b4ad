//! What others promise of transactions, row by row.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use emr::prelude::*;
use emr::{IsolationLevel, QueryLog, TransactionFault};

use crate::harness::{Backend, Db, assert_unsupported, assert_unsupported_in_part, not_here};
use crate::schemas::{Permalink, Post, post, titles};

db_cases![
    tr1_nested_transactions_return_values,
    tr2_an_error_of_the_inner_one_goes_through_both,
    tr3_what_is_not_committed_is_seen_by_nobody_else,
    tr5_a_rollback_is_of_its_own_repo,
    tr6_an_error_of_another_repo_rolls_back,
    tr7_an_inner_failure_undoes_the_inner_part_or_all,
    tr8_a_rollback_returns_its_reason,
    tr9_an_inner_rollback_poisons_a_flat_transaction,
    tr10_other_tasks_are_not_in_the_transaction,
    tr11_a_transaction_inside_a_checkout,
    tr12_a_transaction_is_a_checkout,
    tr13_a_begin_inside_a_checkout_is_refused,
    tr14_begin_commit_and_rollback_are_told,
    tr15_statements_inside_do_not_wait,
    pg34_pg35_a_failed_statement_poisons_the_transaction_on_postgres,
    s3_a_locked_row_is_counted_up_by_all,
    rollback_of_what_is_over_anyway_is_fine,
    hooks_run_once_after_the_outermost_commit,
    hooks_of_what_is_undone_never_run,
    a_hook_sees_what_was_committed,
    isolation_shows_in_what_is_seen,
    a_deferrable_transaction_reads_one_state,
];

async fn table(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
}

fn fault(error: &Error) -> TransactionFault {
    match error.kind() {
        ErrorKind::Transaction(fault) => *fault,
        other => panic!("no transaction fault: {other:?}"),
    }
}

async fn tr1_nested_transactions_return_values(db: &Db) {
    assert!(!db.repo.in_transaction());
    let value = db
        .repo
        .transaction(async |tx| {
            assert!(tx.in_transaction());
            let inner = tx
                .transaction(async |inner| {
                    assert!(inner.in_transaction());
                    Ok(42)
                })
                .await?;
            assert!(tx.in_transaction());
            Ok(inner)
        })
        .await
        .unwrap();
    assert_eq!(value, 42);
    assert!(!db.repo.in_transaction());
}

async fn tr2_an_error_of_the_inner_one_goes_through_both(db: &Db) {
    table(db).await;
    for options in [TransactionOptions::new(), TransactionOptions::new().flat()] {
        let result: Result<()> = db
            .repo
            .transaction_as(options, async |tx| {
                post(tx, "outer").await;
                tx.transaction(async |inner| {
                    post(inner, "inner").await;
                    assert_eq!(titles(inner).await, ["outer", "inner"], "so far they are there");
                    Err(Error::invalid("the reason"))
                })
                .await?;
                post(tx, "never").await;
                Ok(())
            })
            .await;
        assert_eq!(*result.unwrap_err().kind(), ErrorKind::InvalidCall { problem: "the reason".into() });
        assert!(titles(&db.repo).await.is_empty());
    }
}

async fn tr3_what_is_not_committed_is_seen_by_nobody_else(db: &Db) {
    table(db).await;
    let other = db.other().await;
    let tx = db.repo.begin().await.unwrap();
    post(&tx, "x").await;
    assert_eq!(titles(&tx).await, ["x"]);
    assert!(titles(&other).await.is_empty());
    tx.commit().await.unwrap();
    assert_eq!(titles(&other).await, ["x"]);
}

/// A rollback outside a transaction does not compile: it is a method of `Tx`, and takes it.
async fn tr5_a_rollback_is_of_its_own_repo(db: &Db) {
    table(db).await;
    let elsewhere = emr::open(RepoOptions::sqlite(":memory:")).await.unwrap();
    elsewhere.create_table::<Post>().await.unwrap();
    let here = db.repo.begin().await.unwrap();
    let there = elsewhere.begin().await.unwrap();
    post(&here, "here").await;
    post(&there, "there").await;
    there.rollback().await.unwrap();
    here.commit().await.unwrap();
    assert_eq!(titles(&db.repo).await, ["here"]);
    assert!(titles(&elsewhere).await.is_empty());
}

async fn tr6_an_error_of_another_repo_rolls_back(db: &Db) {
    table(db).await;
    let elsewhere = emr::open(RepoOptions::sqlite(":memory:")).await.unwrap();
    elsewhere.create_table::<Permalink>().await.unwrap();
    elsewhere.insert(Permalink { id: 1, url: "/taken".into() }).await.unwrap();
    let result: Result<()> = db
        .repo
        .transaction(async |tx| {
            post(tx, "x").await;
            assert_eq!(titles(tx).await, ["x"]);
            elsewhere
                .transaction(async |theirs| theirs.insert(Permalink { id: 2, url: "/taken".into() }).await)
                .await?;
            Ok(())
        })
        .await;
    let error = result.unwrap_err();
    assert!(error.is_unique_violation(), "{error:?}");
    assert_eq!(error.repo(), Some(elsewhere.id()));
    assert!(titles(&db.repo).await.is_empty());
}

async fn tr7_an_inner_failure_undoes_the_inner_part_or_all(db: &Db) {
    table(db).await;
    for flat in [false, true] {
        let options = if flat { TransactionOptions::new().flat() } else { TransactionOptions::new() };
        let result: Result<()> = db
            .repo
            .transaction_as(options, async |tx| {
                post(tx, "outer").await;
                let inner: Result<()> = tx
                    .transaction(async |inner| {
                        post(inner, "inner").await;
                        Err(Error::invalid("no"))
                    })
                    .await;
                assert!(inner.is_err());
                if flat {
                    assert_eq!(fault(&tx.count(Post::query()).await.unwrap_err()), TransactionFault::Aborted);
                    assert_eq!(fault(&tx.begin().await.unwrap_err()), TransactionFault::Aborted);
                } else {
                    assert_eq!(titles(tx).await, ["outer"]);
                }
                Ok(())
            })
            .await;
        if flat {
            assert_eq!(fault(&result.unwrap_err()), TransactionFault::Aborted);
        } else {
            result.unwrap();
        }
        assert_eq!(titles(&db.repo).await, if flat { vec![] } else { vec!["outer"] });
        db.repo.delete_all(Post::query()).await.unwrap();
    }
}

#[derive(Debug, PartialEq)]
enum Reason {
    Oops(i32),
    Database,
}

impl From<Error> for Reason {
    fn from(_: Error) -> Self {
        Reason::Database
    }
}

async fn tr8_a_rollback_returns_its_reason(db: &Db) {
    table(db).await;
    let result: Result<(), Reason> = db
        .repo
        .transaction_as(TransactionOptions::new(), async |tx| {
            post(tx, "x").await;
            Err(Reason::Oops(8))
        })
        .await;
    assert_eq!(result, Err(Reason::Oops(8)));
    assert!(titles(&db.repo).await.is_empty());
    assert_eq!(db.repo.transaction(async |_| Ok(1)).await.unwrap(), 1);
}

async fn tr9_an_inner_rollback_poisons_a_flat_transaction(db: &Db) {
    table(db).await;
    let result: Result<(), Reason> = db
        .repo
        .transaction_as(TransactionOptions::new().flat(), async |tx| {
            post(tx, "outer").await;
            let inner: Result<(), Reason> =
                tx.transaction_as(TransactionOptions::new(), async |_| Err(Reason::Oops(9))).await;
            assert_eq!(inner, Err(Reason::Oops(9)));
            assert_eq!(fault(&tx.count(Post::query()).await.unwrap_err()), TransactionFault::Aborted);
            Ok(())
        })
        .await;
    assert_eq!(result, Err(Reason::Database));
    assert!(titles(&db.repo).await.is_empty());
}

async fn tr10_other_tasks_are_not_in_the_transaction(db: &Db) {
    table(db).await;
    let tx = db.repo.begin().await.unwrap();
    post(&tx, "x").await;
    let repo = db.repo.clone();
    let seen = tokio::spawn(async move { (repo.in_transaction(), titles(&repo).await) }).await.unwrap();
    assert_eq!(seen, (false, vec![]));
    tx.rollback().await.unwrap();
}

async fn tr11_a_transaction_inside_a_checkout(db: &Db) {
    let checkout = db.repo.checkout().await.unwrap();
    assert!(checkout.checked_out() && !checkout.in_transaction());
    checkout
        .transaction(async |tx| {
            assert!(tx.in_transaction() && tx.checked_out());
            Ok(())
        })
        .await
        .unwrap();
    assert!(checkout.checked_out() && !checkout.in_transaction());
    assert_eq!(checkout.query("select 1", &[]).await.unwrap().len(), 1);
}

/// There is nothing to check out in a transaction: it holds its connection.
async fn tr12_a_transaction_is_a_checkout(db: &Db) {
    table(db).await;
    let tx = db.repo.begin().await.unwrap();
    assert!(tx.in_transaction() && tx.checked_out());
    post(&tx, "x").await;
    let inner = tx.begin().await.unwrap();
    assert!(inner.in_transaction() && inner.checked_out());
    assert_eq!(titles(&inner).await, ["x"]);
}

async fn tr13_a_begin_inside_a_checkout_is_refused(db: &Db) {
    let checkout = db.repo.checkout().await.unwrap();
    for error in [
        checkout.query("BEGIN", &[]).await.unwrap_err(),
        checkout.script("select 1; begin").await.unwrap_err(),
        checkout.query_many("select 1; begin; select 2").await.unwrap_err(),
    ] {
        assert_eq!(fault(&error), TransactionFault::RawControl);
    }
    assert!(!checkout.in_transaction());
    drop(checkout);
    // A BEGIN that gets past every look at the SQL costs its connection, and nobody else is ever in its transaction.
    if db.backend == Backend::Postgres {
        let checkout = db.repo.checkout().await.unwrap();
        let pid = checkout.query("select pg_backend_pid()", &[]).await.unwrap().scalar::<i32>().unwrap();
        let _ = checkout.script("do $$ begin perform 1; end $$").await;
        drop(checkout);
        let again = db.repo.query("select pg_backend_pid()", &[]).await.unwrap().scalar::<i32>().unwrap();
        assert_eq!(again, pid, "a block of code is no transaction");
    }
}

type Log = Arc<Mutex<Vec<(String, Duration, Duration)>>>;

/// A repo that writes down each event: the SQL, and how long it waited and decoded.
async fn logged(db: &Db) -> (RepoHandle, Log) {
    let log = Log::default();
    let hook = QueryLog::new({
        let log = Arc::clone(&log);
        move |event| log.lock().unwrap().push((event.sql.to_owned(), event.queue_time, event.decode_time))
    });
    (emr::open(db.options().pool_size(1).log(hook)).await.unwrap(), log)
}

async fn tr14_begin_commit_and_rollback_are_told(db: &Db) {
    let (repo, log) = logged(db).await;
    repo.query("select 1", &[]).await.unwrap();
    let waiting = {
        let (repo, tx) = (repo.clone(), repo.begin().await.unwrap());
        let waiting = tokio::spawn(async move { repo.transaction(async |tx| tx.query("select 2", &[]).await).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let three = tx.query("select 3, 4", &[]).await.unwrap();
        assert_eq!((three.get::<i64>(0, 0).unwrap(), three.get::<i64>(0, 1).unwrap()), (3, 4));
        tx.rollback().await.unwrap();
        waiting
    };
    waiting.await.unwrap().unwrap();
    let log = log.lock().unwrap();
    let told: Vec<_> = log.iter().map(|(sql, ..)| sql.as_str()).collect();
    assert_eq!(told, ["select 1", "BEGIN", "select 3, 4", "ROLLBACK", "BEGIN", "select 2", "COMMIT"]);
    assert!(log[4].1 >= Duration::from_millis(80), "the second one waited for the connection: {log:?}");
    for at in [3, 6] {
        assert_eq!(log[at].1, Duration::ZERO, "{log:?}");
    }
}

async fn tr15_statements_inside_do_not_wait(db: &Db) {
    let (repo, log) = logged(db).await;
    repo.create_table::<Post>().await.unwrap();
    repo.transaction(async |tx| {
        for n in 0..100 {
            post(tx, &n.to_string()).await;
        }
        tx.all(Post::query()).await.map(drop)
    })
    .await
    .unwrap();
    let log = log.lock().unwrap();
    let inside = &log[2..log.len() - 1];
    let inserts = 100 * db.backend.statements_of_insert();
    assert_eq!(inside.len(), inserts + 1);
    assert!(inside.iter().all(|(_, queue, _)| *queue < Duration::from_millis(1)), "{inside:?}");
    assert!(inside[inserts].2 > Duration::ZERO, "{:?}", inside[inserts]);
}

async fn pg34_pg35_a_failed_statement_poisons_the_transaction_on_postgres(db: &Db) {
    table(db).await;
    let tx = db.repo.begin().await.unwrap();
    post(&tx, "before").await;
    assert!(tx.query("select nothing from nowhere", &[]).await.is_err());
    let after = tx.count(Post::query()).await;
    match db.backend {
        // The engine undoes the statement only.
        Backend::Sqlite | Backend::Mariadb | Backend::Mysql => {
            assert_eq!(after.unwrap(), 1);
            not_here("a failed statement undoes itself alone");
        }
        Backend::Postgres => {
            assert_eq!(fault(&after.unwrap_err()), TransactionFault::Aborted);
            assert_eq!(fault(&tx.fetch::<Post>(1).await.unwrap_err()), TransactionFault::Aborted);
        }
    }
    tx.rollback().await.unwrap();
    // A nested one confines it, and the next transaction knows nothing of it.
    db.repo
        .transaction(async |tx| {
            post(tx, "kept").await;
            assert!(tx.transaction(async |inner| inner.query("select nothing from nowhere", &[]).await).await.is_err());
            assert_eq!(titles(tx).await, ["kept"]);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(titles(&db.repo).await, ["kept"]);
}

/// On SQLite no row is locked: a transaction begins IMMEDIATE, so that only one at a time reads in order to write.
async fn s3_a_locked_row_is_counted_up_by_all(db: &Db) {
    table(db).await;
    let row = db.repo.insert(Post::build().set(Post::TITLE, "n").set(Post::VISITS, 1)).await.unwrap();
    let backend = db.backend;
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let (repo, id) = (db.other().await, row.id);
        tasks.push(tokio::spawn(async move {
            repo.transaction(async |tx| {
                let now = match backend {
                    Backend::Sqlite => tx.fetch::<Post>(id).await?,
                    _ => tx.fetch::<Post>(id).lock(Lock::UPDATE).await?,
                };
                tokio::time::sleep(Duration::from_millis(50)).await;
                tx.update(now.change().set(Post::VISITS, now.visits + 1)).await
            })
            .await
        }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(db.repo.fetch::<Post>(row.id).await.unwrap().visits, 3);
}

async fn rollback_of_what_is_over_anyway_is_fine(db: &Db) {
    table(db).await;
    // Poisoned by a nested one: the rollback is done when it returns, and others get their turn.
    let tx = db.repo.begin_with(TransactionOptions::new().flat()).await.unwrap();
    post(&tx, "x").await;
    tx.begin().await.unwrap().rollback().await.unwrap();
    assert_eq!(fault(&tx.count(Post::query()).await.unwrap_err()), TransactionFault::Aborted);
    tx.rollback().await.unwrap();
    assert_eq!(db.repo.stats().transactions, 0);
    // The same, seen from within.
    let tx = db.repo.begin_with(TransactionOptions::new().flat()).await.unwrap();
    let inner = tx.begin().await.unwrap();
    post(&inner, "x").await;
    drop(inner.begin().await.unwrap());
    inner.rollback().await.unwrap();
    assert_eq!(fault(&tx.commit().await.unwrap_err()), TransactionFault::Aborted);
    // Its time passed.
    let tx = db.repo.begin_with(TransactionOptions::new().timeout(Duration::from_millis(50))).await.unwrap();
    post(&tx, "x").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fault(&tx.count(Post::query()).await.unwrap_err()), TransactionFault::TimedOut);
    tx.rollback().await.unwrap();
    assert!(titles(&db.repo).await.is_empty());
}

/// Writes a word down when it is committed.
fn note(log: &Arc<Mutex<Vec<&'static str>>>, tx: &impl Transactional, word: &'static str) {
    let log = Arc::clone(log);
    tx.after_commit(move || log.lock().unwrap().push(word));
}

async fn hooks_run_once_after_the_outermost_commit(db: &Db) {
    table(db).await;
    let log = Arc::new(Mutex::new(Vec::new()));
    let told = || log.lock().unwrap().clone();
    for options in [TransactionOptions::new(), TransactionOptions::new().flat()] {
        log.lock().unwrap().clear();
        let tx = db.repo.begin_with(options).await.unwrap();
        note(&log, &tx, "first");
        post(&tx, "x").await;
        let inner = tx.begin().await.unwrap();
        note(&log, &inner, "second");
        let innermost = inner.begin().await.unwrap();
        note(&log, &innermost.with_timeout(Timeout::Infinite), "third");
        innermost.commit().await.unwrap();
        inner.commit().await.unwrap();
        note(&log, &tx, "fourth");
        assert!(told().is_empty());
        tx.commit().await.unwrap();
        assert_eq!(told(), ["first", "second", "third", "fourth"]);
    }
    // One without a statement is committed as well.
    log.lock().unwrap().clear();
    db.repo
        .transaction(async |tx| {
            note(&log, tx, "nothing sent");
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(told(), ["nothing sent"]);
}

async fn hooks_of_what_is_undone_never_run(db: &Db) {
    table(db).await;
    let log = Arc::new(Mutex::new(Vec::new()));
    let told = || std::mem::take(&mut *log.lock().unwrap());
    let tx = db.repo.begin().await.unwrap();
    note(&log, &tx, "kept");
    let inner = tx.begin().await.unwrap();
    let innermost = inner.begin().await.unwrap();
    note(&log, &innermost, "kept by the innermost, undone by the inner");
    innermost.commit().await.unwrap();
    inner.rollback().await.unwrap();
    let dropped = tx.begin().await.unwrap();
    note(&log, &dropped, "dropped");
    drop(dropped);
    let again = tx.begin().await.unwrap();
    note(&log, &again, "kept too");
    again.commit().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(told(), ["kept", "kept too"]);

    for end in ["rollback", "drop", "failed commit"] {
        let tx = db.repo.begin().await.unwrap();
        note(&log, &tx, end);
        let inner = tx.begin().await.unwrap();
        note(&log, &inner, end);
        inner.commit().await.unwrap();
        post(&tx, "x").await;
        match end {
            "rollback" => tx.rollback().await.unwrap(),
            "drop" => drop(tx),
            _ => {
                let slow = crate::transactions::slow_sql(db.backend);
                tx.with_timeout(Duration::from_millis(50)).query(slow, &[]).await.unwrap_err();
                assert_eq!(fault(&tx.commit().await.unwrap_err()), TransactionFault::Lost);
            }
        }
        assert_eq!(told(), Vec::<&str>::new(), "{end}");
    }
}

async fn a_hook_sees_what_was_committed(db: &Db) {
    table(db).await;
    let repo = emr::open(db.options().pool_size(1)).await.unwrap();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let runs = Arc::new(AtomicU32::new(0));
    repo.transaction(async |tx| {
        post(tx, "x").await;
        let (handle, runs) = (repo.clone(), Arc::clone(&runs));
        tx.after_commit(move || {
            runs.fetch_add(1, Ordering::SeqCst);
            // The only connection is free again.
            tokio::spawn(async move { sender.send(titles(&handle).await) });
        });
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(receiver.await.unwrap(), ["x"]);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

async fn isolation_shows_in_what_is_seen(db: &Db) {
    table(db).await;
    let row = post(&db.repo, "first").await;
    let other = db.other().await;
    let levels = [IsolationLevel::ReadCommitted, IsolationLevel::RepeatableRead, IsolationLevel::Serializable];
    for level in levels {
        let options = TransactionOptions::new().isolation(level).read_only();
        let tx = match db.repo.begin_with(options).await {
            Err(error) => {
                assert!(db.backend == Backend::Sqlite && level != IsolationLevel::Serializable, "{error:?}");
                assert_unsupported_in_part(&error);
                continue;
            }
            Ok(tx) => tx,
        };
        let before = tx.fetch::<Post>(row.id).await.unwrap().visits;
        if db.backend.is_mysql_family() && level == IsolationLevel::Serializable {
            // What was read is locked.
            let soon = other.with_timeout(Duration::from_millis(200));
            assert!(soon.update_all(Post::query().inc(Post::VISITS, 1)).await.unwrap_err().is_timeout());
            assert_eq!(tx.fetch::<Post>(row.id).await.unwrap().visits, before);
            tx.commit().await.unwrap();
            continue;
        }
        other.update_all(Post::query().inc(Post::VISITS, 1)).await.unwrap();
        let after = tx.fetch::<Post>(row.id).await.unwrap().visits;
        assert_eq!(after - before, i64::from(level == IsolationLevel::ReadCommitted), "{level}");
        tx.commit().await.unwrap();
    }
}

async fn a_deferrable_transaction_reads_one_state(db: &Db) {
    table(db).await;
    let begun = db.repo.begin_with(TransactionOptions::new().deferrable()).await;
    if db.backend != Backend::Postgres {
        let error = begun.unwrap_err();
        assert_unsupported(&error);
        assert!(error.to_string().contains("deferrable"), "{error}");
        return;
    }
    let tx = begun.unwrap();
    for (setting, value) in
        [("transaction_deferrable", "on"), ("transaction_read_only", "on"), ("transaction_isolation", "serializable")]
    {
        let shown = tx.query(&format!("show {setting}"), &[]).await.unwrap().scalar::<String>().unwrap();
        assert_eq!(shown, value);
    }
    assert_eq!(tx.count(Post::query()).await.unwrap(), 0);
    post(&db.other().await, "x").await;
    assert_eq!(tx.count(Post::query()).await.unwrap(), 0);
    tx.commit().await.unwrap();
    let wrong = TransactionOptions::new().deferrable().isolation(IsolationLevel::ReadCommitted);
    assert!(matches!(db.repo.begin_with(wrong).await.unwrap_err().kind(), ErrorKind::InvalidCall { .. }));
    let tx = db.repo.begin().await.unwrap();
    let nested = tx.begin_with(TransactionOptions::new().deferrable()).await;
    assert!(matches!(nested.unwrap_err().kind(), ErrorKind::InvalidCall { .. }));
}
