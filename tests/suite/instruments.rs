//! What instruments note, and what they let go wrong.

use std::time::{Duration, Instant};

use emr::prelude::*;
use emr::test::{Fault, Instrument, Operation, Outcome, TestRepo, Verb, When};
use emr::{ConnectFailure, TransactionFault};
use futures_util::TryStreamExt;

use crate::harness::{Backend, Db, assert_unsupported};
use crate::schemas::{Document, Post, post, titles};

db_cases![
    operations_are_noted_in_order,
    what_was_noted_can_be_taken_and_counted,
    parameters_of_redacted_columns_are_not_noted,
    failures_and_cancelled_calls_are_noted,
    a_lost_connection_is_an_error_and_the_next_call_has_another,
    a_stale_connection_is_replaced_without_an_error,
    an_answer_that_is_lost_leaves_the_write,
    a_connection_lost_in_a_transaction_undoes_it,
    a_failed_operation_fails_as_it_is_told_to,
    work_runs_again_when_its_commit_is_refused,
    a_delay_and_a_hang_meet_the_deadline,
    a_failed_connect_is_told,
    faults_strike_the_operations_they_mean,
    a_test_repo_outlives_the_faults_of_its_program,
];

/// A repo whose operations are noted, on a table of posts.
async fn instrumented(db: &Db) -> (RepoHandle, Instrument) {
    db.repo.create_table::<Post>().await.unwrap();
    db.instrumented().await
}

fn texts(operations: &[Operation]) -> Vec<&str> {
    operations.iter().map(|one| one.text.split([' ', '(']).next().unwrap_or_default()).collect()
}

async fn operations_are_noted_in_order(db: &Db) {
    let (repo, instrument) = instrumented(db).await;
    repo.transaction(async |tx| {
        post(tx, "outer").await;
        let undone: Result<()> = tx
            .transaction(async |tx| {
                post(tx, "undone").await;
                Err(Error::not_found("reasons"))
            })
            .await;
        assert!(undone.is_err());
        tx.transaction(async |tx| {
            post(tx, "kept").await;
            Ok(())
        })
        .await
    })
    .await
    .unwrap();
    // What MySQL does not give back is selected again, by a call of its own.
    let noted: Vec<_> = instrument.operations().into_iter().filter(|one| !one.text.starts_with("SELECT")).collect();
    assert_eq!(
        noted.iter().map(|one| one.text.split(" INTO").next().unwrap_or_default()).collect::<Vec<_>>(),
        [
            "CONNECT",
            "BEGIN",
            "INSERT",
            "SAVEPOINT 1",
            "INSERT",
            "ROLLBACK TO 1",
            "SAVEPOINT 1",
            "INSERT",
            "RELEASE 1",
            "COMMIT"
        ]
    );
    assert!(noted.iter().all(|one| one.connection == 0 && matches!(one.outcome, Outcome::Done { .. })), "{noted:?}");
    // What travels together is one call: to connect, a statement with what begins its transaction, an undo, the commit.
    let calls = match db.backend {
        Backend::Mysql => [0, 1, 1, 3, 3, 5, 6, 6, 8, 8],
        _ => [0, 1, 1, 2, 2, 3, 4, 4, 5, 5],
    };
    assert_eq!(noted.iter().map(|one| one.call).collect::<Vec<_>>(), calls);
    assert_eq!(noted[2].params, ["text \"outer\""]);
    assert_eq!(noted[2].outcome, Outcome::Done { rows: 1 });
    assert_eq!(
        (noted[2].verb, noted[9].verb, noted[9].to_string().as_str()),
        (Verb::Statement, Verb::Commit, "COMMIT")
    );
    assert_eq!(titles(&db.repo).await, ["outer", "kept"]);
}

async fn what_was_noted_can_be_taken_and_counted(db: &Db) {
    let (repo, instrument) = instrumented(db).await;
    let rows = (0..2_000).map(|n| Post::build().set(Post::TITLE, format!("{n}")));
    repo.insert_all(rows).await.unwrap();
    assert_eq!(texts(&instrument.take()), ["CONNECT", "INSERT"]);
    let all: Vec<Post> = repo.stream(Post::query()).try_collect().await.unwrap();
    assert_eq!(all.len(), 2_000);
    let fetched: u64 = instrument
        .operations()
        .iter()
        .filter(|one| one.verb == Verb::Fetch)
        .map(|one| if let Outcome::Done { rows } = one.outcome { rows } else { 0 })
        .sum();
    assert_eq!((fetched, instrument.count(Verb::Cursor)), (2_000, 1));
    assert!(instrument.statements()[0].starts_with("SELECT") && instrument.statements().len() == 1);
    instrument.clear();
    assert_eq!(instrument.calls(), 0);
    repo.script("delete from posts; delete from posts").await.unwrap();
    repo.transaction(async |tx| tx.advisory_lock("x").await).await.unwrap();
    assert_eq!(instrument.count(Verb::Script), 1);
    assert_eq!(instrument.count(Verb::AdvisoryLock), 1);
    assert_eq!(instrument.calls(), 3, "{instrument:?}");
    assert_eq!(instrument.statements(), ["delete from posts; delete from posts"]);
    assert_eq!(repo.query_many("select 1; select 2").await.unwrap().len(), 2);
    assert_eq!(instrument.take().last().unwrap().outcome, Outcome::Done { rows: 2 });
}

async fn parameters_of_redacted_columns_are_not_noted(db: &Db) {
    #[derive(Syncable, Debug, Clone)]
    #[emr(table = "secrets")]
    struct Secret {
        id: i64,
        name: String,
        #[emr(redact)]
        token: String,
    }
    let (repo, instrument) = db.instrumented().await;
    repo.create_table::<Secret>().await.unwrap();
    let secret = Secret::build().set(Secret::NAME, "ada").set(Secret::TOKEN, "s3cret");
    let secret = repo.insert(secret).await.unwrap();
    assert_eq!((secret.token.as_str(), secret.name.as_str(), secret.id), ("s3cret", "ada", 1));
    let noted = format!("{:?}", instrument.operations());
    assert!(noted.contains("ada") && noted.contains("<redacted>") && !noted.contains("s3cret"), "{noted}");
}

async fn failures_and_cancelled_calls_are_noted(db: &Db) {
    let (repo, instrument) = instrumented(db).await;
    assert!(repo.query("select nothing from nowhere", &[]).await.is_err());
    assert!(matches!(&instrument.take()[1].outcome, Outcome::Failed(ErrorKind::Database { .. })));
    let slow = crate::transactions::slow_sql(db.backend);
    let error = repo.with_timeout(Duration::from_millis(50)).query(slow, &[]).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    let noted = instrument.take();
    assert_eq!(noted[0].outcome, Outcome::Cancelled, "{noted:?}");
    assert_eq!(noted[1].verb, Verb::Recover, "{noted:?}");
    assert_eq!(repo.count(Post::query()).await.unwrap(), 0);
}

async fn a_lost_connection_is_an_error_and_the_next_call_has_another(db: &Db) {
    let (repo, instrument) = instrumented(db).await;
    post(&repo, "one").await;
    instrument.fault(When::statement("insert"), Fault::ConnectionLost);
    let error = repo.insert(Post::build().set(Post::TITLE, "lost")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectionLost { .. }), "{error:?}");
    post(&repo, "two").await;
    assert_eq!(titles(&db.repo).await, ["one", "two"]);
    assert_eq!(instrument.operations().last().unwrap().connection, 1);
    // A read on a connection that had been used is sent again by itself.
    repo.count(Post::query()).await.unwrap();
    instrument.fault(When::statement("select"), Fault::ConnectionLost);
    assert_eq!(repo.count(Post::query()).await.unwrap(), 2);
}

async fn a_stale_connection_is_replaced_without_an_error(db: &Db) {
    let (repo, instrument) = instrumented(db).await;
    post(&repo, "one").await;
    instrument.fault(When::statement("insert"), Fault::ConnectionStale);
    if db.backend == Backend::Mysql {
        // There an insert has a transaction, in which nothing is sent twice.
        let error = repo.insert(Post::build().set(Post::TITLE, "lost")).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConnectionLost { .. }), "{error:?}");
        post(&repo, "two").await;
        instrument.fault(When::statement("update"), Fault::ConnectionStale);
        assert_eq!(repo.update_all(Post::query().set(Post::BODY, "x")).await.unwrap(), 2);
        assert_eq!(instrument.count(Verb::Connect), 3);
    } else {
        post(&repo, "two").await;
        assert_eq!(instrument.count(Verb::Connect), 2);
    }
    assert_eq!(titles(&db.repo).await, ["one", "two"]);
    // In a transaction nothing is sent twice.
    let tx = repo.begin().await.unwrap();
    post(&tx, "undone").await;
    instrument.fault(When::statement("insert"), Fault::ConnectionStale);
    let error = tx.insert(Post::build().set(Post::TITLE, "lost")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectionLost { .. }), "{error:?}");
    assert!(tx.commit().await.is_err());
    assert_eq!(titles(&db.repo).await, ["one", "two"]);
}

async fn an_answer_that_is_lost_leaves_the_write(db: &Db) {
    let (repo, instrument) = instrumented(db).await;
    instrument.fault(When::statement("insert"), Fault::AnswerLost);
    let error = repo.insert(Post::build().set(Post::TITLE, "written")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectionLost { .. }), "{error:?}");
    // Where the row must be selected again, the transaction of both is undone.
    let mut left = if db.backend == Backend::Mysql { vec![] } else { vec!["written"] };
    assert_eq!(titles(&db.repo).await, left);
    // So it is with a commit.
    let ran = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let tx = repo.begin().await.unwrap();
    post(&tx, "committed").await;
    let hook = std::sync::Arc::clone(&ran);
    tx.after_commit(move || hook.store(true, std::sync::atomic::Ordering::SeqCst));
    instrument.fault(When::verb(Verb::Commit), Fault::AnswerLost);
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectionLost { .. }), "{error:?}");
    assert!(!ran.load(std::sync::atomic::Ordering::SeqCst), "nobody knows that it was committed");
    left.push("committed");
    assert_eq!(titles(&db.repo).await, left);
}

async fn a_connection_lost_in_a_transaction_undoes_it(db: &Db) {
    let (repo, instrument) = instrumented(db).await;
    for fault in [Fault::ConnectionLost, Fault::AnswerLost] {
        let tx = repo.begin().await.unwrap();
        post(&tx, "undone").await;
        instrument.fault(When::statement("update"), fault);
        let error = tx.update_all(Post::query().set(Post::BODY, "x")).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConnectionLost { .. }), "{error:?}");
        let error = tx.count(Post::query()).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Transaction(TransactionFault::Lost)), "{error:?}");
        assert!(tx.commit().await.is_err());
        post(&repo, "kept").await;
    }
    assert_eq!(titles(&db.repo).await, ["kept", "kept"]);
}

async fn a_failed_operation_fails_as_it_is_told_to(db: &Db) {
    let (repo, instrument) = instrumented(db).await;
    let told = ErrorKind::Database { code: "53100".into(), message: "disk full".into() };
    instrument.fault(When::statement("insert").nth(2).times(2), Fault::Fail(told.clone()));
    let mut results = Vec::new();
    for title in ["one", "two", "three", "four"] {
        results.push(repo.insert(Post::build().set(Post::TITLE, title)).await.map(drop));
    }
    let failed: Vec<_> = results.iter().map(|result| result.as_ref().err().map(Error::kind)).collect();
    assert_eq!(failed, [None, Some(&told), Some(&told), None]);
    assert_eq!(titles(&db.repo).await, ["one", "four"]);
    // In a transaction, what failed is what aborts it where a server does that.
    let tx = repo.begin().await.unwrap();
    post(&tx, "five").await;
    instrument.fault(When::any(), Fault::Fail(told.clone()));
    assert_eq!(*tx.count(Post::query()).await.unwrap_err().kind(), told);
    let committed = tx.commit().await;
    assert_eq!(committed.is_ok(), db.backend != Backend::Postgres, "{committed:?}");
    let expected = if committed.is_ok() { &["one", "four", "five"][..] } else { &["one", "four"] };
    assert_eq!(titles(&db.repo).await, expected);
}

async fn work_runs_again_when_its_commit_is_refused(db: &Db) {
    let (repo, instrument) = instrumented(db).await;
    let refused = ErrorKind::Serialization { message: "told to".into() };
    instrument.fault(When::verb(Verb::Commit).times(2), Fault::Fail(refused.clone()));
    instrument.fault(When::statement("insert").nth(4), Fault::Fail(refused.clone()));
    let runs = std::sync::atomic::AtomicU32::new(0);
    repo.transaction_retry(TransactionOptions::new().retry(5), || {
        async |tx| -> Result<()> {
            runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            for title in ["one", "two"] {
                tx.insert(Post::build().set(Post::TITLE, title)).await?;
            }
            Ok(())
        }
    })
    .await
    .unwrap();
    assert_eq!(titles(&db.repo).await, ["one", "two"]);
    // Two commits were refused; the second insert of the second run, too.
    assert_eq!(runs.into_inner(), 4);
    instrument.fault(When::verb(Verb::Commit).always(), Fault::Fail(refused.clone()));
    let result = repo
        .transaction_retry(TransactionOptions::new().retry(1), || {
            async |tx| -> Result<()> {
                post(tx, "never").await;
                Ok(())
            }
        })
        .await;
    assert_eq!(*result.unwrap_err().kind(), refused);
    instrument.heal();
    post(&repo, "three").await;
    assert_eq!(titles(&db.repo).await, ["one", "two", "three"]);
}

async fn a_delay_and_a_hang_meet_the_deadline(db: &Db) {
    let (repo, instrument) = instrumented(db).await;
    instrument.fault(When::statement("insert"), Fault::Delay(Duration::from_millis(150)));
    let started = Instant::now();
    post(&repo, "late").await;
    assert!(started.elapsed() >= Duration::from_millis(150), "{:?}", started.elapsed());
    instrument.fault(When::statement("update"), Fault::Hang);
    let started = Instant::now();
    let update = repo.with_timeout(Duration::from_millis(150)).update_all(Post::query().set(Post::BODY, "x")).await;
    assert!(matches!(update.unwrap_err().kind(), ErrorKind::Timeout { .. }));
    assert!(started.elapsed() >= Duration::from_millis(150) && started.elapsed() < Duration::from_secs(2));
    assert_eq!(instrument.operations().iter().filter(|one| one.outcome == Outcome::Cancelled).count(), 1);
    // It never came to the server, and the connection is not used again.
    let row = repo.fetch_by::<Post>(Post::TITLE.eq("late")).await.unwrap();
    assert_eq!((row.body, instrument.count(Verb::Connect)), (None, 2));
    let tx = repo.begin().await.unwrap();
    post(&tx, "undone").await;
    instrument.fault(When::statement("select"), Fault::Hang);
    assert!(tx.with_timeout(Duration::from_millis(50)).count(Post::query()).await.unwrap_err().is_timeout());
    drop(tx);
    assert_eq!(titles(&repo).await, ["late"]);
}

async fn a_failed_connect_is_told(db: &Db) {
    let (repo, instrument) = instrumented(db).await;
    let told = ErrorKind::ConnectFailed {
        target: "elsewhere".into(),
        reason: "too many connections".into(),
        cause: ConnectFailure::Unavailable,
    };
    instrument.fault(When::verb(Verb::Connect).times(2), Fault::Fail(told.clone()));
    for _ in 0..2 {
        assert_eq!(*repo.count(Post::query()).await.unwrap_err().kind(), told);
    }
    post(&repo, "there").await;
    assert_eq!(titles(&repo).await, ["there"]);
    repo.disconnect_all();
    instrument.fault(When::verb(Verb::Connect), Fault::Hang);
    assert!(repo.with_timeout(Duration::from_millis(100)).count(Post::query()).await.is_err());
}

async fn faults_strike_the_operations_they_mean(db: &Db) {
    let (repo, instrument) = instrumented(db).await;
    repo.create_table::<Document>().await.unwrap();
    let told = ErrorKind::Deadlock { message: "told to".into() };
    let title = || Post::build().set(Post::TITLE, "x");
    // A savepoint, in front of a statement: what comes before it was carried out.
    let tx = repo.begin().await.unwrap();
    post(&tx, "first").await;
    let inner = tx.begin().await.unwrap();
    instrument.fault(When::verb(Verb::Savepoint), Fault::Fail(told.clone()));
    assert_eq!(*inner.insert(title()).await.unwrap_err().kind(), told);
    drop((inner, tx));
    // Bulk inserts, scripts, cursors.
    for (when, verb) in [
        (When::verb(Verb::Insert), Verb::Insert),
        (When::statement("delete from"), Verb::Script),
        (When::verb(Verb::Cursor), Verb::Cursor),
        (When::verb(Verb::Fetch), Verb::Fetch),
    ] {
        instrument.fault(when, Fault::Fail(told.clone()));
        let result = match verb {
            Verb::Insert => repo.insert_all((0..2_000).map(|_| title())).await.map(drop),
            Verb::Script => repo.script("delete from documents; delete from posts").await,
            _ => repo.stream(Post::query()).try_collect::<Vec<_>>().await.map(drop),
        };
        assert_eq!(*result.unwrap_err().kind(), told, "{verb:?}");
    }
    assert_eq!(db.repo.count(Post::query()).await.unwrap(), 0);
    // One that nobody meant.
    instrument.fault(When::statement("no such text").always(), Fault::ConnectionLost);
    post(&repo, "kept").await;
    assert_eq!(titles(&db.repo).await, ["kept"]);
}

async fn a_test_repo_outlives_the_faults_of_its_program(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let instrument = Instrument::new();
    if db.backend.is_mysql_family() {
        assert_unsupported(&TestRepo::start(db.options().layer(instrument)).await.unwrap_err());
        return;
    }
    let test = TestRepo::start(db.options().layer(instrument.clone())).await.unwrap();
    post(&test, "one").await;
    // What the program does is noted, and not what the test repo makes of it.
    assert_eq!(texts(&instrument.take()), ["CONNECT", "INSERT"]);
    for fault in [Fault::ConnectionLost, Fault::AnswerLost, Fault::Hang] {
        let tx = test.begin().await.unwrap();
        post(&tx, "undone").await;
        instrument.fault(When::statement("update"), fault);
        let update = Post::query().set(Post::BODY, "x");
        assert!(tx.with_timeout(Duration::from_millis(200)).update_all(update).await.is_err());
        drop(tx);
        assert_eq!(titles(&test).await, ["one"]);
    }
    post(&test, "two").await;
    test.stop().await.unwrap();
    assert_eq!(titles(&db.repo).await, [] as [&str; 0]);
}
