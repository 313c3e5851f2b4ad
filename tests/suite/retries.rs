//! Transactions that give way to others, and run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use emr::IsolationLevel;
use emr::prelude::*;
use tokio::sync::Barrier;

use crate::harness::{Backend, Db, assert_unsupported_in_part, not_here};
use crate::schemas::{Post, post, titles};

db_cases![
    pg36_a_deadlock_has_a_victim_that_rolls_back,
    write_skew_fails_when_serializable,
    lost_updates_fail_on_a_snapshot,
    work_runs_again_until_it_is_through,
    work_runs_again_after_a_deadlock,
    work_that_fails_otherwise_runs_once,
    a_conflict_that_was_confined_is_no_reason,
    retry_is_for_work_that_can_run_again,
];

async fn two_posts(db: &Db) -> [Post; 2] {
    db.repo.create_table::<Post>().await.unwrap();
    [post(&db.repo, "a").await, post(&db.repo, "b").await]
}

async fn visit(tx: &impl Repo, id: i64) -> Result<u64> {
    tx.update_all(Post::query().filter(Post::ID.eq(id)).inc(Post::VISITS, 1)).await
}

/// SQLite's transactions write one at a time, so that two of them never hold what the other one wants: there the second
/// waits for the first. Advisory locks can be waited for in a circle, see there.
async fn pg36_a_deadlock_has_a_victim_that_rolls_back(db: &Db) {
    let [a, b] = two_posts(db).await;
    let other = db.other().await;
    let (one, two) = (db.repo.begin().await.unwrap(), other.begin().await.unwrap());
    visit(&one, a.id).await.unwrap();
    if db.backend == Backend::Sqlite {
        let error = two.with_timeout(Duration::from_millis(100)).get::<Post>(b.id).await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        visit(&one, b.id).await.unwrap();
        one.commit().await.unwrap();
        two.rollback().await.unwrap();
        let visits: Vec<_> = db.repo.all(Post::query()).await.unwrap().iter().map(|row| row.visits).collect();
        assert_eq!(visits, [1, 1]);
        return;
    }
    visit(&two, b.id).await.unwrap();
    let finish = async |tx: Tx, id: i64| {
        let got = visit(&tx, id).await;
        if got.is_err() {
            // Nothing goes on in it until its end, which is fine.
            let after = tx.count(Post::query()).await.unwrap_err();
            assert!(matches!(after.kind(), ErrorKind::Transaction(_)), "{after:?}");
            tx.rollback().await.unwrap();
        } else {
            tx.commit().await.unwrap();
        }
        got
    };
    let (first, second) = tokio::join!(finish(one, b.id), finish(two, a.id));
    let errors: Vec<_> = [&first, &second].into_iter().filter_map(|got| got.as_ref().err()).collect();
    let [error] = errors[..] else { panic!("one of them gives way: {errors:?}") };
    assert!(matches!(error.kind(), ErrorKind::Deadlock { .. }) && error.is_retryable(), "{error:?}");
    let visits: Vec<_> = db.repo.all(Post::query()).await.unwrap().iter().map(|row| row.visits).collect();
    assert_eq!(visits, [1, 1], "all of one transaction and nothing of the other");
}

/// Two transactions each read both rows, and write one of them: no order of the two gives what they do together.
async fn write_skew_fails_when_serializable(db: &Db) {
    let [a, b] = two_posts(db).await;
    if db.backend == Backend::Sqlite {
        let error =
            db.repo.begin_with(TransactionOptions::new().isolation(IsolationLevel::RepeatableRead)).await.unwrap_err();
        assert_unsupported_in_part(&error);
    }
    let other = db.other().await;
    for level in [IsolationLevel::RepeatableRead, IsolationLevel::Serializable] {
        let options = TransactionOptions::new().isolation(level);
        if db.backend == Backend::Sqlite {
            continue;
        }
        let (one, two) = (db.repo.begin_with(options.clone()).await.unwrap(), other.begin_with(options).await.unwrap());
        for tx in [&one, &two] {
            assert_eq!(tx.count(Post::query()).await.unwrap(), 2);
        }
        if db.backend.is_mysql_family() && level == IsolationLevel::Serializable {
            // What was read is locked: each waits for the other, and the server lets one go.
            let (first, second) = tokio::join!(visit(&one, a.id), visit(&two, b.id));
            let errors: Vec<_> = [first, second].into_iter().filter_map(Result::err).collect();
            assert!(errors.len() == 1 && errors[0].is_retryable(), "{errors:?}");
            continue;
        }
        visit(&one, a.id).await.unwrap();
        let result = async {
            visit(&two, b.id).await?;
            one.commit().await?;
            two.commit().await
        };
        let result = result.await;
        if level == IsolationLevel::Serializable {
            let error = result.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Serialization { .. }), "{error:?}");
            assert!(error.is_retryable());
        } else {
            result.unwrap();
        }
    }
}

async fn lost_updates_fail_on_a_snapshot(db: &Db) {
    let [a, _] = two_posts(db).await;
    if db.backend != Backend::Postgres {
        not_here("no write fails because of what another transaction has written");
        return;
    }
    let other = db.other().await;
    let tx = db.repo.begin_with(TransactionOptions::new().isolation(IsolationLevel::RepeatableRead)).await.unwrap();
    let before = tx.fetch::<Post>(a.id).await.unwrap();
    visit(&other, a.id).await.unwrap();
    let error = tx.update(before.change().set(Post::VISITS, before.visits + 1)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Serialization { .. }), "{error:?}");
    tx.rollback().await.unwrap();
    assert_eq!(db.repo.fetch::<Post>(a.id).await.unwrap().visits, 1);
}

async fn work_runs_again_until_it_is_through(db: &Db) {
    let [a, _] = two_posts(db).await;
    let runs = Arc::new(AtomicU32::new(0));
    let committed = Arc::new(AtomicU32::new(0));
    let mut tasks = Vec::new();
    for _ in 0..6 {
        let (repo, runs, committed) = (db.other().await, Arc::clone(&runs), Arc::clone(&committed));
        tasks.push(tokio::spawn(async move {
            let options = TransactionOptions::new().isolation(IsolationLevel::Serializable).retry(50);
            repo.transaction_retry(options, || {
                async |tx| -> Result<()> {
                    runs.fetch_add(1, Ordering::SeqCst);
                    let now = tx.fetch::<Post>(a.id).await?;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    tx.update(now.change().set(Post::VISITS, now.visits + 1)).await?;
                    let committed = Arc::clone(&committed);
                    tx.after_commit(move || {
                        committed.fetch_add(1, Ordering::SeqCst);
                    });
                    Ok(())
                }
            })
            .await
        }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(db.repo.fetch::<Post>(a.id).await.unwrap().visits, 6);
    assert_eq!(committed.load(Ordering::SeqCst), 6, "what follows a commit happens once, however often the work ran");
    let runs = runs.load(Ordering::SeqCst);
    match db.backend {
        Backend::Sqlite => assert_eq!(runs, 6, "nobody ever gives way"),
        _ => assert!(runs > 6, "{runs}"),
    }
}

async fn work_runs_again_after_a_deadlock(db: &Db) {
    let rows = two_posts(db).await.map(|row| row.id);
    if db.backend == Backend::Sqlite {
        not_here("the second would wait at its BEGIN, before the barrier");
        return;
    }
    let met = Arc::new(Barrier::new(2));
    let mut tasks = Vec::new();
    for order in [rows, [rows[1], rows[0]]] {
        let (repo, met) = (db.other().await, Arc::clone(&met));
        tasks.push(tokio::spawn(async move {
            let runs = AtomicU32::new(0);
            repo.transaction_retry(TransactionOptions::new().retry(3), || {
                async |tx| -> Result<()> {
                    visit(tx, order[0]).await?;
                    if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                        met.wait().await;
                    }
                    visit(tx, order[1]).await?;
                    Ok(())
                }
            })
            .await
            .map(|()| runs.into_inner())
        }));
    }
    let mut runs = 0;
    for task in tasks {
        runs += task.await.unwrap().unwrap();
    }
    assert_eq!(runs, 3, "the victim ran twice");
    assert!(db.repo.all(Post::query()).await.unwrap().iter().all(|row| row.visits == 2));
}

async fn work_that_fails_otherwise_runs_once(db: &Db) {
    two_posts(db).await;
    let runs = AtomicU32::new(0);
    let result: Result<()> = db
        .repo
        .transaction_retry(TransactionOptions::new().retry(5), || {
            async |tx| {
                runs.fetch_add(1, Ordering::SeqCst);
                post(tx, "never").await;
                tx.fetch::<Post>(-1).await.map(drop)
            }
        })
        .await;
    assert!(result.unwrap_err().is_not_found());
    // The program's own error that only looks like a conflict is none.
    let result: Result<()> = db
        .repo
        .transaction_retry(TransactionOptions::new().retry(5), || {
            async |_| {
                runs.fetch_add(1, Ordering::SeqCst);
                Err(Error::new(ErrorKind::Deadlock { message: "made up".into() }))
            }
        })
        .await;
    assert!(result.unwrap_err().is_retryable());
    let slow = crate::transactions::slow_sql(db.backend);
    let result: Result<()> = db
        .repo
        .transaction_retry(TransactionOptions::new().retry(5), || {
            async |tx| {
                runs.fetch_add(1, Ordering::SeqCst);
                tx.with_timeout(Duration::from_millis(50)).query(slow, &[]).await.map(drop)
            }
        })
        .await;
    assert!(result.unwrap_err().is_timeout());
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    assert_eq!(titles(&db.repo).await, ["a", "b"]);
}

async fn a_conflict_that_was_confined_is_no_reason(db: &Db) {
    let [a, _] = two_posts(db).await;
    if db.backend != Backend::Postgres {
        not_here("no write fails because of what another transaction has written");
        return;
    }
    let (other, runs) = (db.other().await, AtomicU32::new(0));
    let options = TransactionOptions::new().isolation(IsolationLevel::RepeatableRead).retry(5);
    let result: Result<()> = db
        .repo
        .transaction_retry(options, || {
            async |tx| {
                runs.fetch_add(1, Ordering::SeqCst);
                tx.fetch::<Post>(a.id).await?;
                visit(&other, a.id).await?;
                let confined = tx.transaction(async |inner| visit(inner, a.id).await).await;
                assert!(confined.unwrap_err().is_retryable());
                Err(Error::invalid("another reason"))
            }
        })
        .await;
    assert!(!result.unwrap_err().is_retryable());
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

async fn retry_is_for_work_that_can_run_again(db: &Db) {
    let retry = || TransactionOptions::new().retry(1);
    let tx = db.repo.begin().await.unwrap();
    for error in [
        db.repo.begin_with(retry()).await.unwrap_err(),
        db.repo.transaction_as(retry(), async |_| Ok::<_, Error>(())).await.unwrap_err(),
        tx.begin_with(retry()).await.unwrap_err(),
        tx.transaction_retry(retry(), || async |_| Ok::<_, Error>(())).await.unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    }
    tx.rollback().await.unwrap();
}
