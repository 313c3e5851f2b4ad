//! Transactions, savepoints, and what ends them.

use std::time::{Duration, Instant};

use emr::prelude::*;
use emr::{IsolationLevel, TransactionFault};

use crate::harness::{Backend, Db, assert_unsupported_in_part, not_here};
use crate::schemas::{Permalink, Post, post, titles};

db_cases![
    r145_r146_tr4_commit_keeps_and_error_rolls_back,
    tr7_nested_failure_undoes_the_inner_part_only,
    a_nested_commit_is_undone_with_the_outer,
    deep_nesting,
    begin_commit_and_rollback_by_hand,
    an_outer_transaction_is_refused_while_its_inner_one_is_open,
    an_inner_transaction_dies_with_its_outer_one,
    two_inner_transactions_at_once_are_refused,
    tr7_tr9_flat_transactions_fail_together,
    r147_tr8_rollback_with_a_value,
    r148_a_panic_rolls_back,
    a_future_dropped_at_every_await_leaves_nothing,
    an_abandoned_statement_loses_the_transaction,
    pg34_a_swallowed_error_is_not_committed_silently,
    isolation_levels_are_set_or_refused,
    read_only_transactions_refuse_writes,
    a_transaction_has_its_own_timeout,
    tr13_raw_transaction_control_is_refused,
    tr11_in_transaction_and_checked_out,
    checkout_pins_a_connection,
    tr3_tr10_transactions_are_isolated_from_others,
    concurrent_calls_on_one_transaction_wait,
    generic_code_runs_on_all_three,
    a_write_sent_along_with_a_begin_that_failed_does_nothing,
    the_first_statement_of_each_kind_may_fail,
];

async fn table(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
}

async fn r145_r146_tr4_commit_keeps_and_error_rolls_back(db: &Db) {
    table(db).await;
    let id = db.repo.transaction(async |tx| Ok(post(tx, "kept").await.id)).await.unwrap();
    assert_eq!(db.repo.fetch::<Post>(id).await.unwrap().title, "kept");
    let result: Result<()> = db
        .repo
        .transaction(async |tx| {
            post(tx, "lost").await;
            Err(Error::invalid("no"))
        })
        .await;
    assert!(result.unwrap_err().to_string().contains("no"));
    assert_eq!(titles(&db.repo).await, ["kept"]);
}

async fn tr7_nested_failure_undoes_the_inner_part_only(db: &Db) {
    table(db).await;
    db.repo
        .transaction(async |tx| {
            post(tx, "outer").await;
            let inner: Result<()> = tx
                .transaction(async |inner| {
                    post(inner, "inner").await;
                    Err(Error::invalid("no"))
                })
                .await;
            assert!(inner.is_err());
            assert_eq!(titles(tx).await, ["outer"]);
            post(tx, "after").await;
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(titles(&db.repo).await, ["outer", "after"]);
}

async fn a_nested_commit_is_undone_with_the_outer(db: &Db) {
    table(db).await;
    let result: Result<()> = db
        .repo
        .transaction(async |tx| {
            tx.transaction(async |inner| {
                post(inner, "inner").await;
                Ok(())
            })
            .await?;
            assert_eq!(titles(tx).await, ["inner"]);
            Err(Error::invalid("no"))
        })
        .await;
    assert!(result.is_err());
    assert!(titles(&db.repo).await.is_empty());
}

async fn deep_nesting(db: &Db) {
    table(db).await;
    let mut stack = vec![db.repo.begin().await.unwrap()];
    for depth in 1..20 {
        let inner = stack.last().unwrap().begin().await.unwrap();
        assert_eq!(inner.depth(), depth);
        post(&inner, &depth.to_string()).await;
        stack.push(inner);
    }
    while stack.len() > 10 {
        stack.pop().unwrap().rollback().await.unwrap();
    }
    while let Some(tx) = stack.pop() {
        tx.commit().await.unwrap();
    }
    assert_eq!(titles(&db.repo).await.len(), 9);
}

async fn begin_commit_and_rollback_by_hand(db: &Db) {
    table(db).await;
    let tx = db.repo.begin().await.unwrap();
    post(&tx, "kept").await;
    tx.commit().await.unwrap();
    let tx = db.repo.begin().await.unwrap();
    post(&tx, "rolled back").await;
    tx.rollback().await.unwrap();
    let tx = db.repo.begin().await.unwrap();
    post(&tx, "dropped").await;
    drop(tx);
    // Without a statement nothing is sent, and there is nothing to end.
    db.repo.begin().await.unwrap().commit().await.unwrap();
    db.repo.begin().await.unwrap().rollback().await.unwrap();
    assert_eq!(titles(&db.repo).await, ["kept"]);
}

fn fault(error: &Error) -> TransactionFault {
    match error.kind() {
        ErrorKind::Transaction(fault) => *fault,
        other => panic!("no transaction fault: {other:?}"),
    }
}

async fn an_outer_transaction_is_refused_while_its_inner_one_is_open(db: &Db) {
    table(db).await;
    let outer = db.repo.begin().await.unwrap();
    post(&outer, "outer").await;
    let inner = outer.begin().await.unwrap();
    post(&inner, "inner").await;
    let started = Instant::now();
    assert_eq!(fault(&outer.count(Post::query()).await.unwrap_err()), TransactionFault::InnerOpen);
    assert!(started.elapsed() < Duration::from_secs(1));
    inner.commit().await.unwrap();
    post(&outer, "again").await;
    outer.commit().await.unwrap();
    assert_eq!(titles(&db.repo).await, ["outer", "inner", "again"]);
}

async fn an_inner_transaction_dies_with_its_outer_one(db: &Db) {
    table(db).await;
    let outer = db.repo.begin().await.unwrap();
    let inner = outer.begin().await.unwrap();
    post(&inner, "inner").await;
    drop(outer);
    assert_eq!(fault(&inner.count(Post::query()).await.unwrap_err()), TransactionFault::Finished);
    assert_eq!(fault(&inner.commit().await.unwrap_err()), TransactionFault::Finished);
    assert!(titles(&db.repo).await.is_empty());
}

async fn two_inner_transactions_at_once_are_refused(db: &Db) {
    table(db).await;
    let outer = db.repo.begin().await.unwrap();
    let first = outer.begin().await.unwrap();
    assert_eq!(fault(&outer.begin().await.unwrap_err()), TransactionFault::InnerOpen);
    first.rollback().await.unwrap();
    outer.begin().await.unwrap().commit().await.unwrap();
    outer.commit().await.unwrap();
}

async fn tr7_tr9_flat_transactions_fail_together(db: &Db) {
    table(db).await;
    let result: Result<()> = db
        .repo
        .transaction_as(TransactionOptions::new().flat(), async |tx| {
            post(tx, "outer").await;
            let inner: Result<()> = tx.transaction(async |_| Err(Error::invalid("no"))).await;
            assert!(inner.is_err());
            assert_eq!(fault(&tx.count(Post::query()).await.unwrap_err()), TransactionFault::Aborted);
            Ok(())
        })
        .await;
    assert_eq!(fault(&result.unwrap_err()), TransactionFault::Aborted);
    assert!(titles(&db.repo).await.is_empty());
    db.repo
        .transaction_as(TransactionOptions::new().flat(), async |tx| {
            post(tx, "outer").await;
            tx.transaction(async |inner| Ok(post(inner, "inner").await)).await?;
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    assert_eq!(titles(&db.repo).await, ["outer", "inner"]);
}

async fn r147_tr8_rollback_with_a_value(db: &Db) {
    #[derive(Debug)]
    enum Refused {
        Because(u32),
        Database,
    }
    impl From<Error> for Refused {
        fn from(_: Error) -> Self {
            Refused::Database
        }
    }
    table(db).await;
    let result: Result<(), Refused> = db
        .repo
        .transaction_as(TransactionOptions::new(), async |tx| {
            post(tx, "x").await;
            Err(Refused::Because(7))
        })
        .await;
    assert!(matches!(result, Err(Refused::Because(7))));
    let id = db
        .repo
        .transaction_as(TransactionOptions::new(), async |tx| Ok::<_, Refused>(post(tx, "kept").await.id))
        .await
        .unwrap();
    assert_eq!(db.repo.fetch::<Post>(id).await.unwrap().title, "kept");
    db.repo.delete_all(Post::query()).await.unwrap();
    let result: Result<(), Refused> = db
        .repo
        .transaction_as(TransactionOptions::new(), async |tx| {
            tx.query("select nothing from nowhere", &[]).await?;
            Ok(())
        })
        .await;
    assert!(matches!(result, Err(Refused::Database)));
    assert!(titles(&db.repo).await.is_empty());
}

async fn r148_a_panic_rolls_back(db: &Db) {
    table(db).await;
    let repo = db.repo.clone();
    let task = tokio::spawn(async move {
        repo.transaction(async |tx| {
            post(tx, "x").await;
            assert!(titles(tx).await.is_empty(), "this panics");
            Ok(())
        })
        .await
    });
    assert!(task.await.unwrap_err().is_panic());
    assert!(titles(&db.repo).await.is_empty());
    assert_eq!(post(&db.repo, "y").await.title, "y");
}

async fn a_future_dropped_at_every_await_leaves_nothing(db: &Db) {
    table(db).await;
    let keeper = db.repo.insert(Post::build().set(Post::TITLE, "keeper")).await.unwrap();
    let mut finished = false;
    for polls in 1.. {
        let work = Box::pin(db.repo.transaction(async |tx| {
            tx.update(keeper.change().set(Post::TITLE, "changed")).await?;
            tx.transaction(async |inner| {
                post(inner, "inner").await;
                Ok(())
            })
            .await?;
            post(tx, "outer").await;
            Ok(())
        }));
        if poll_times(work, polls).await {
            finished = true;
            break;
        }
        // Nobody's lock is left: another writer gets through at once, and nothing was kept.
        let other = tokio::time::timeout(
            Duration::from_secs(2),
            db.repo.update_all(Post::query().filter(Post::ID.eq(keeper.id)).inc(Post::VISITS, 1)),
        );
        assert_eq!(other.await.expect("the row is free").unwrap(), 1, "dropped after {polls} polls");
        let found = titles(&db.repo).await;
        // The commit itself may have been on its way when the future was dropped.
        assert!(found == ["keeper"] || found == ["changed", "inner", "outer"], "{polls}: {found:?}");
        if found != ["keeper"] {
            db.repo.delete_all(Post::query().filter(Post::ID.ne(keeper.id))).await.unwrap();
            db.repo.update_all(Post::query().set(Post::TITLE, "keeper")).await.unwrap();
        }
        assert!(polls < 10_000, "the transaction never ends");
    }
    assert!(finished);
    assert_eq!(titles(&db.repo).await, ["changed", "inner", "outer"]);
}

/// Polls a future at most this many times, then drops it. True if it was ready.
async fn poll_times<T>(mut future: std::pin::Pin<Box<impl Future<Output = Result<T>>>>, polls: usize) -> bool {
    let mut left = polls;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(result) => {
            assert!(result.is_ok(), "{:?}", result.err());
            std::task::Poll::Ready(true)
        }
        std::task::Poll::Pending => {
            left -= 1;
            if left == 0 { std::task::Poll::Ready(false) } else { std::task::Poll::Pending }
        }
    })
    .await
}

/// SQL that runs for a long time.
pub(crate) fn slow_sql(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => {
            "select (with recursive n(i) as (select 1 union all select i + 1 from n limit 2000000000) select count(*) from n)"
        }
        Backend::Postgres => "select pg_sleep(30)::text",
        Backend::Mariadb | Backend::Mysql => "select sleep(30)",
    }
}

async fn an_abandoned_statement_loses_the_transaction(db: &Db) {
    table(db).await;
    let row = post(&db.repo, "x").await;
    let other = db.other().await;
    for by_timeout in [true, false] {
        let tx = db.repo.begin().await.unwrap();
        tx.update(row.change().set(Post::TITLE, "locked")).await.unwrap();
        if by_timeout {
            let error = tx.with_timeout(Duration::from_millis(100)).query(slow_sql(db.backend), &[]).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error:?}");
        } else {
            let call = tokio::time::timeout(Duration::from_millis(100), tx.query(slow_sql(db.backend), &[]));
            assert!(call.await.is_err());
        }
        let started = Instant::now();
        other.update_all(Post::query().filter(Post::ID.eq(row.id)).inc(Post::VISITS, 1)).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(1), "the row was free after {:?}", started.elapsed());
        assert_eq!(fault(&tx.count(Post::query()).await.unwrap_err()), TransactionFault::Lost);
        assert_eq!(fault(&tx.commit().await.unwrap_err()), TransactionFault::Lost);
    }
    let row = db.repo.fetch::<Post>(row.id).await.unwrap();
    assert_eq!((row.title.as_str(), row.visits), ("x", 2));
}

async fn pg34_a_swallowed_error_is_not_committed_silently(db: &Db) {
    table(db).await;
    let result = db
        .repo
        .transaction(async |tx| {
            post(tx, "before").await;
            assert!(tx.query("select nothing from nowhere", &[]).await.is_err());
            Ok(())
        })
        .await;
    match db.backend {
        // The engine undoes the statement only.
        Backend::Sqlite | Backend::Mariadb | Backend::Mysql => {
            result.unwrap();
            assert_eq!(titles(&db.repo).await, ["before"]);
            not_here("a failed statement undoes itself alone");
        }
        // The engine undoes everything, and the commit says so.
        Backend::Postgres => {
            assert_eq!(fault(&result.unwrap_err()), TransactionFault::Aborted);
            assert!(titles(&db.repo).await.is_empty());
            let next = db.repo.transaction(async |tx| Ok(post(tx, "next").await));
            assert_eq!(next.await.unwrap().title, "next");
            assert_eq!(titles(&db.repo).await, ["next"]);
        }
    }
}

async fn isolation_levels_are_set_or_refused(db: &Db) {
    for level in [IsolationLevel::ReadCommitted, IsolationLevel::RepeatableRead, IsolationLevel::Serializable] {
        let begun = db.repo.begin_with(TransactionOptions::new().isolation(level)).await;
        match (db.backend, level) {
            (Backend::Postgres, _) => {
                let tx = begun.unwrap();
                let shown = tx.query("show transaction_isolation", &[]).await.unwrap().scalar::<String>().unwrap();
                assert_eq!(shown, level.sql().to_lowercase());
                tx.commit().await.unwrap();
            }
            (Backend::Mariadb | Backend::Mysql, _) => {
                let tx = begun.unwrap();
                let shown = "select trx_isolation_level from information_schema.innodb_trx \
                             where trx_mysql_thread_id = connection_id()";
                // The engine knows of a transaction that has read.
                tx.query("select count(*) from mysql.innodb_table_stats", &[]).await.unwrap();
                // What it shows is up to a tenth of a second old.
                tokio::time::sleep(Duration::from_millis(200)).await;
                let shown = tx.query(shown, &[]).await.unwrap().scalar::<String>().unwrap();
                assert_eq!(shown, level.sql());
                tx.rollback().await.unwrap();
            }
            (Backend::Sqlite, IsolationLevel::Serializable) => begun.unwrap().commit().await.unwrap(),
            (Backend::Sqlite, _) => {
                let error = begun.unwrap_err();
                assert_unsupported_in_part(&error);
                assert!(error.to_string().contains(level.sql()), "{error}");
            }
        }
    }
    let tx = db.repo.begin().await.unwrap();
    let nested = tx.begin_with(TransactionOptions::new().isolation(IsolationLevel::Serializable)).await;
    assert!(matches!(nested.unwrap_err().kind(), ErrorKind::InvalidCall { .. }));
}

async fn read_only_transactions_refuse_writes(db: &Db) {
    table(db).await;
    let tx = db.repo.begin_with(TransactionOptions::new().read_only()).await.unwrap();
    assert_eq!(tx.count(Post::query()).await.unwrap(), 0);
    assert!(tx.insert(Post::build().set(Post::TITLE, "x")).await.is_err());
    tx.rollback().await.unwrap();
    // The connection writes again.
    post(&db.repo, "y").await;
    let error = db.repo.read_only().insert(Post::build().set(Post::TITLE, "z")).await.unwrap_err();
    assert!(error.to_string().contains("read-only"), "{error}");
    assert_eq!(titles(&db.repo).await, ["y"]);
}

async fn a_transaction_has_its_own_timeout(db: &Db) {
    table(db).await;
    let row = post(&db.repo, "x").await;
    let options = TransactionOptions::new().timeout(Duration::from_millis(200));
    let tx = db.repo.begin_with(options.clone()).await.unwrap();
    tx.update(row.change().set(Post::TITLE, "locked")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The owner does nothing, and still the lock is free.
    let other = db.other().await;
    let started = Instant::now();
    other.update_all(Post::query().inc(Post::VISITS, 1)).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(fault(&tx.count(Post::query()).await.unwrap_err()), TransactionFault::TimedOut);
    let tx = db.repo.begin_with(options).await.unwrap();
    let error = tx.query(slow_sql(db.backend), &[]).await.unwrap_err();
    assert_eq!(fault(&error), TransactionFault::TimedOut);
    assert!(error.is_timeout());
    assert_eq!(titles(&db.repo).await, ["x"]);
}

async fn tr13_raw_transaction_control_is_refused(db: &Db) {
    table(db).await;
    for sql in ["BEGIN", "commit", "/* x */ ROLLBACK", "savepoint a", "START TRANSACTION"] {
        assert_eq!(fault(&db.repo.query(sql, &[]).await.unwrap_err()), TransactionFault::RawControl, "{sql}");
        assert_eq!(
            fault(&db.repo.script(&format!("select 1; {sql}")).await.unwrap_err()),
            TransactionFault::RawControl
        );
        let tx = db.repo.begin().await.unwrap();
        assert_eq!(fault(&tx.query(sql, &[]).await.unwrap_err()), TransactionFault::RawControl, "{sql}");
        post(&tx, sql).await;
        tx.commit().await.unwrap();
    }
    assert_eq!(titles(&db.repo).await.len(), 5);
}

async fn tr11_in_transaction_and_checked_out(db: &Db) {
    table(db).await;
    assert!(!db.repo.in_transaction() && !db.repo.checked_out());
    let checkout = db.repo.checkout().await.unwrap();
    assert!(!checkout.in_transaction() && checkout.checked_out());
    let tx = checkout.begin().await.unwrap();
    assert!(tx.in_transaction() && tx.checked_out());
    assert_eq!(db.repo.stats().transactions, 1);
    post(&tx, "x").await;
    tx.commit().await.unwrap();
    assert_eq!(db.repo.stats().transactions, 0);
    assert!(!checkout.in_transaction() && checkout.checked_out());
    assert_eq!(titles(&checkout).await, ["x"]);
}

async fn checkout_pins_a_connection(db: &Db) {
    table(db).await;
    let checkout = db.repo.checkout().await.unwrap();
    checkout.query("create temporary table mine (n integer)", &[]).await.unwrap();
    for _ in 0..5 {
        checkout.query("insert into mine values (1)", &[]).await.unwrap();
    }
    assert_eq!(checkout.query("select count(*) from mine", &[]).await.unwrap().scalar::<i64>().unwrap(), 5);
    let tx = checkout.begin().await.unwrap();
    assert_eq!(fault(&checkout.query("select 1", &[]).await.unwrap_err()), TransactionFault::InnerOpen);
    post(&tx, "x").await;
    drop(tx);
    // The transaction was dropped, so the connection had to be cleaned by the pool.
    let after = checkout.query("select 1", &[]).await;
    assert!(matches!(after.unwrap_err().kind(), ErrorKind::ConnectionLost { .. }));
    drop(checkout);
    assert!(titles(&db.repo).await.is_empty());
}

async fn tr3_tr10_transactions_are_isolated_from_others(db: &Db) {
    table(db).await;
    let other = db.other().await;
    let tx = db.repo.begin().await.unwrap();
    post(&tx, "x").await;
    assert!(titles(&other).await.is_empty());
    // Nor does another task see it that uses the same repo.
    let same = db.repo.clone();
    assert!(tokio::spawn(async move { titles(&same).await }).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    assert_eq!(titles(&other).await, ["x"]);
}

async fn concurrent_calls_on_one_transaction_wait(db: &Db) {
    table(db).await;
    let tx = db.repo.begin().await.unwrap();
    let (a, b, c) = tokio::join!(post(&tx, "a"), post(&tx, "b"), post(&tx, "c"));
    assert_eq!(a.title + &b.title + &c.title, "abc");
    tx.commit().await.unwrap();
    assert_eq!(titles(&db.repo).await.len(), 3);
}

async fn generic_code_runs_on_all_three(db: &Db) {
    async fn add(repo: &impl Repo, title: &str) -> Result<u64> {
        let tx = repo.begin().await?;
        tx.insert(Post::build().set(Post::TITLE, title)).await?;
        tx.commit().await?;
        repo.count(Post::query()).await
    }
    table(db).await;
    assert_eq!(add(&db.repo, "a").await.unwrap(), 1);
    let tx = db.repo.begin().await.unwrap();
    assert_eq!(add(&tx, "b").await.unwrap(), 2);
    tx.commit().await.unwrap();
    let checkout = db.repo.checkout().await.unwrap();
    assert_eq!(add(&checkout, "c").await.unwrap(), 3);
}

/// The adapter sends the first write of a transaction along with its BEGIN, with a guard at its end. A server whose
/// BEGIN fails cannot be had at will, so the guarded write is sent as if it had: without a transaction.
async fn a_write_sent_along_with_a_begin_that_failed_does_nothing(db: &Db) {
    table(db).await;
    let row = post(&db.repo, "x").await;
    if db.backend != Backend::Postgres {
        not_here("BEGIN and the statement are one job of one thread");
        return;
    }
    let checkout = db.repo.checkout().await.unwrap();
    let guarded = "update posts set title = 'written' returning id, current_setting('emr.transaction')::bool";
    assert!(checkout.query(guarded, &[]).await.is_err(), "in a session that never had a transaction of ours");
    let tx = checkout.begin().await.unwrap();
    tx.update(row.change().set(Post::BODY, "y")).await.unwrap();
    assert_eq!(tx.query(guarded, &[]).await.unwrap().len(), 1, "the guard lets writes of a transaction pass");
    tx.rollback().await.unwrap();
    assert!(checkout.query(guarded, &[]).await.is_err(), "in a session that had one");
    assert_eq!(db.repo.fetch::<Post>(row.id).await.unwrap(), row);
}

async fn the_first_statement_of_each_kind_may_fail(db: &Db) {
    db.repo.create_table::<Permalink>().await.unwrap();
    let taken = Permalink { id: 1, url: "/a".into() };
    db.repo.insert(taken.clone()).await.unwrap();
    let other = db.repo.insert(Permalink { id: 2, url: "/b".into() }).await.unwrap();
    for _ in 0..2 {
        let insert = db.repo.transaction(async |tx| tx.insert(Permalink { id: 3, ..taken.clone() }).await).await;
        assert!(insert.unwrap_err().is_unique_violation());
        let update = db.repo.transaction(async |tx| tx.update(other.change().set(Permalink::URL, "/a")).await).await;
        assert!(update.unwrap_err().is_unique_violation());
        let nested = async |tx: &Tx| tx.transaction(async |inner| inner.insert(taken.clone()).await).await;
        let caught = db.repo.transaction(async |tx| {
            assert!(nested(tx).await.unwrap_err().is_unique_violation());
            assert!(nested(tx).await.unwrap_err().is_unique_violation());
            tx.count(Permalink::query()).await
        });
        assert_eq!(caught.await.unwrap(), 2);
        let stale = Permalink { id: 9, url: "/x".into() };
        let delete = db.repo.transaction(async |tx| tx.delete(&stale).await).await;
        assert!(delete.unwrap_err().is_stale());
    }
    assert_eq!(db.repo.all(Permalink::query().order_by(Permalink::ID.asc())).await.unwrap(), [taken, other]);
}
