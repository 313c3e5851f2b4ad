//! Servers that cannot be reached, go away and come back; databases and migrations.

use std::time::{Duration, Instant};

use emr::prelude::*;
use emr::{ConnectFailure, Migrator, TransactionFault};

use crate::harness::{Backend, Db, not_here};
use crate::schemas::{Post, post, titles};
use crate::transactions::slow_sql;

db_cases![
    a_failed_connect_gives_the_reason_at_once,
    a_killed_idle_connection_is_replaced,
    a_connection_killed_in_a_transaction_loses_it,
    pg18_pg19_pg30_pg31_my15_my16_my21_my22_a_database_is_created_and_dropped,
    mg1_mg7_mg8_migrations_run_once_in_order,
    mg4_a_failed_migration_is_rolled_back,
    migrations_race_without_harm,
    migrations_from_a_folder,
    two_writers_wait_for_each_other,
    a_stopped_repo_refuses_everything,
    a_handle_outlives_its_runtime,
];

async fn failure(options: RepoOptions) -> (ConnectFailure, String) {
    let started = Instant::now();
    let repo = emr::open(options).await.unwrap();
    let calls = (0..5).map(|_| repo.query("select 1", &[]));
    let mut last = None;
    for result in futures_util::future::join_all(calls).await {
        let error = result.unwrap_err();
        let ErrorKind::ConnectFailed { cause, reason, target } = error.kind() else { panic!("{error:?}") };
        assert!(!target.is_empty());
        last = Some((*cause, reason.clone()));
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    last.unwrap()
}

async fn a_failed_connect_gives_the_reason_at_once(db: &Db) {
    match db.backend {
        Backend::Sqlite => {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
            let (cause, reason) = failure(RepoOptions::sqlite(path("no/such/folder/x.db"))).await;
            assert_eq!(cause, ConnectFailure::UnknownDatabase, "{reason}");
            let (_, reason) = failure(RepoOptions::sqlite(path(""))).await;
            assert!(!reason.is_empty());
            std::fs::write(path("text.db"), "this is no database, but a text that is long enough".repeat(50)).unwrap();
            let (_, reason) = failure(RepoOptions::sqlite(path("text.db"))).await;
            assert!(reason.contains("not a database"), "{reason}");
            let missing = RepoOptions::sqlite(path("missing.db")).extra("create", "false");
            assert_eq!(failure(missing).await.0, ConnectFailure::UnknownDatabase);
            assert!(!std::path::Path::new(&path("missing.db")).exists());
        }
        Backend::Postgres | Backend::Mariadb | Backend::Mysql => {
            let (cause, reason) = failure(db.options().database("no_such_database")).await;
            assert_eq!(cause, ConnectFailure::UnknownDatabase);
            assert!(reason.contains("no_such_database"), "{reason}");
            let (cause, reason) = failure(db.options().port(1)).await;
            assert_eq!(cause, ConnectFailure::Unreachable);
            assert!(reason.contains("refused"), "{reason}");
            let (cause, reason) = failure(db.options().user("no_such_user").password("s3cret")).await;
            assert_eq!(cause, ConnectFailure::Authentication);
            assert!(reason.contains("no_such_user") && !reason.contains("s3cret"), "{reason}");
        }
    }
}

/// The server's process of a connection.
async fn backend_pid(db: &Db, repo: &impl Repo) -> i64 {
    let sql =
        if db.backend == Backend::Postgres { "select pg_backend_pid()::bigint" } else { "select connection_id()" };
    repo.query(sql, &[]).await.unwrap().scalar().unwrap()
}

async fn kill(db: &Db, repo: &RepoHandle, pid: i64) {
    let (kill, alive) = match db.backend {
        Backend::Postgres => ("select pg_terminate_backend({})", "select 1 from pg_stat_activity where pid = {}"),
        _ => ("kill {}", "select 1 from information_schema.processlist where id = {}"),
    };
    repo.query(&kill.replace("{}", &pid.to_string()), &[]).await.unwrap();
    for _ in 0..200 {
        let alive = repo.query(&alive.replace("{}", &pid.to_string()), &[]).await.unwrap();
        if alive.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("backend {pid} lives on");
}

async fn a_killed_idle_connection_is_replaced(db: &Db) {
    if db.backend == Backend::Sqlite {
        not_here("no server, nothing to kill");
        return;
    }
    db.repo.create_table::<Post>().await.unwrap();
    let one = emr::open(db.options().pool_size(1)).await.unwrap();
    let other = db.other().await;
    for write in [false, true] {
        let pid = backend_pid(db, &one).await;
        kill(db, &other, pid).await;
        // The first use finds out, and neither a read nor a write fails.
        if write {
            if db.backend == Backend::Mysql {
                // There an insert has a transaction, in which nothing is sent twice.
                let error = one.insert(Post::build().set(Post::TITLE, "lost")).await.unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::ConnectionLost { .. }), "{error:?}");
            }
            post(&one, "x").await;
        } else {
            assert_eq!(one.count(Post::query()).await.unwrap(), 0);
        }
        assert_ne!(backend_pid(db, &one).await, pid);
    }
    assert_eq!(db.repo.count(Post::query()).await.unwrap(), 1);
    if db.backend.is_mysql_family() {
        // The statement is prepared now: nobody can tell whether the server had read it, and it is not sent twice.
        kill(db, &other, backend_pid(db, &one).await).await;
        let error = one.insert(Post::build().set(Post::TITLE, "lost")).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConnectionLost { .. }), "{error:?}");
        post(&one, "y").await;
        assert_eq!(titles(&db.repo).await, ["x", "y"]);
    }
}

async fn a_connection_killed_in_a_transaction_loses_it(db: &Db) {
    if db.backend == Backend::Sqlite {
        not_here("no server, nothing to kill");
        return;
    }
    db.repo.create_table::<Post>().await.unwrap();
    let other = db.other().await;
    let tx = db.repo.begin().await.unwrap();
    post(&tx, "lost").await;
    kill(db, &other, backend_pid(db, &tx).await).await;
    let error = tx.count(Post::query()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectionLost { .. }), "{error:?}");
    let error = tx.count(Post::query()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transaction(TransactionFault::Lost)), "{error:?}");
    assert!(tx.commit().await.is_err());
    // The server is back (it was never away for others), and so is the repo.
    post(&db.repo, "kept").await;
    assert_eq!(titles(&db.repo).await, ["kept"]);
    // Killed while a statement runs.
    let checkout = db.repo.checkout().await.unwrap();
    let pid = backend_pid(db, &checkout).await;
    let (result, ()) = tokio::join!(checkout.query(slow_sql(db.backend), &[]), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        kill(db, &other, pid).await;
    });
    assert!(matches!(result.unwrap_err().kind(), ErrorKind::ConnectionLost { .. }));
}

async fn pg18_pg19_pg30_pg31_my15_my16_my21_my22_a_database_is_created_and_dropped(db: &Db) {
    let options = match db.backend {
        Backend::Sqlite => {
            let path = db.options().database.unwrap();
            RepoOptions::sqlite(format!("{path}.second ünï"))
        }
        Backend::Postgres | Backend::Mariadb | Backend::Mysql => {
            let options = RepoOptions::from_url(&db.backend.url()).unwrap();
            options.database(format!("emr \"second\" {}", std::process::id()))
        }
    };
    assert!(!options.database_exists().await.unwrap());
    assert!(options.create_database().await.unwrap());
    assert!(!options.create_database().await.unwrap());
    assert!(options.database_exists().await.unwrap());
    let repo = emr::open(options.clone()).await.unwrap();
    repo.create_table::<Post>().await.unwrap();
    post(&repo, "x").await;
    repo.stop(Duration::from_secs(1)).await;
    assert!(options.drop_database().await.unwrap());
    assert!(!options.drop_database().await.unwrap());
    assert!(!options.database_exists().await.unwrap());
}

fn migrator() -> Migrator {
    Migrator::new()
        .reversible_sql(
            1,
            "create posts",
            "CREATE TABLE posts (id BIGINT PRIMARY KEY, title TEXT NOT NULL);
             INSERT INTO posts (id, title) VALUES (1, 'from; a migration')",
            "DROP TABLE posts",
        )
        .reversible_sql(3, "add columns", "ALTER TABLE posts ADD COLUMN body TEXT; ALTER TABLE posts ADD COLUMN visits BIGINT NOT NULL DEFAULT 0; ALTER TABLE posts ADD COLUMN author_id BIGINT", "ALTER TABLE posts DROP COLUMN body")
        .function(20, "fill", |tx| {
            Box::pin(async move {
                tx.update_all(Post::query().set(Post::BODY, "filled")).await?;
                Ok(())
            })
        })
}

async fn mg1_mg7_mg8_migrations_run_once_in_order(db: &Db) {
    let migrator = migrator();
    let status = migrator.status(&db.repo).await.unwrap();
    assert!(status.iter().all(|one| one.applied_at.is_none() && one.known) && status.len() == 3, "{status:?}");
    assert_eq!(migrator.run(&db.repo).await.unwrap(), [1, 3, 20]);
    assert_eq!(migrator.run(&db.repo).await.unwrap(), [] as [i64; 0]);
    assert_eq!(db.repo.fetch::<Post>(1).await.unwrap().body.as_deref(), Some("filled"));
    let status = migrator.status(&db.repo).await.unwrap();
    assert!(status.iter().all(|one| one.applied_at.is_some()), "{status:?}");
    let error = migrator.revert(&db.repo, 1).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Migration { version: 20, .. }), "{error:?}");
    // One that somebody else ran is shown, and not touched.
    let older = Migrator::new().sql(1, "create posts", "nonsense");
    assert_eq!(older.run(&db.repo).await.unwrap(), [] as [i64; 0]);
    let status = older.status(&db.repo).await.unwrap();
    assert_eq!(
        status.iter().map(|one| (one.version, one.known)).collect::<Vec<_>>(),
        [(1, true), (3, false), (20, false)]
    );
    assert!(older.revert(&db.repo, 1).await.is_err());
    db.repo.query("delete from emr_migrations where version = 20", &[]).await.unwrap();
    assert_eq!(migrator.revert(&db.repo, 5).await.unwrap(), [3, 1]);
    assert!(db.repo.count(Post::query()).await.is_err());
    let twice = Migrator::new().sql(1, "a", "").sql(1, "b", "");
    assert!(matches!(twice.run(&db.repo).await.unwrap_err().kind(), ErrorKind::Migration { version: 1, .. }));
    let tx = db.repo.begin().await.unwrap();
    assert!(matches!(migrator.run(&tx).await.unwrap_err().kind(), ErrorKind::InvalidCall { .. }));
}

async fn mg4_a_failed_migration_is_rolled_back(db: &Db) {
    let migrator = Migrator::new()
        .sql(1, "good", "CREATE TABLE kept (id BIGINT)")
        .sql(2, "bad", "CREATE TABLE undone (id BIGINT); nonsense")
        .sql(3, "never", "CREATE TABLE never (id BIGINT)");
    assert!(migrator.run(&db.repo).await.is_err());
    let applied = migrator.status(&db.repo).await.unwrap();
    assert_eq!(applied.iter().filter(|one| one.applied_at.is_some()).map(|one| one.version).collect::<Vec<_>>(), [1]);
    assert!(db.repo.query("select * from kept", &[]).await.is_ok());
    // DDL cannot be undone where it commits: what the failed one made before it failed is there.
    assert_eq!(db.repo.query("select * from undone", &[]).await.is_ok(), db.backend.is_mysql_family());
}

async fn migrations_race_without_harm(db: &Db) {
    let runs = (0..6).map(|_| async {
        let repo = db.other().await;
        migrator().run(&repo).await.unwrap()
    });
    let mut all: Vec<i64> = futures_util::future::join_all(runs).await.concat();
    all.sort_unstable();
    assert_eq!(all, [1, 3, 20]);
    assert_eq!(db.repo.query("select * from posts", &[]).await.unwrap().len(), 1);
}

async fn migrations_from_a_folder(db: &Db) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("0002_add_b.up.sql", "CREATE TABLE b (id BIGINT)");
    write("0002_add_b.down.sql", "DROP TABLE b");
    write("0001_add_a.sql", "CREATE TABLE a (id BIGINT)");
    write("README.md", "not a migration");
    let migrator = Migrator::new().directory(folder.path()).unwrap();
    assert_eq!(migrator.run(&db.repo).await.unwrap(), [1, 2]);
    assert_eq!(migrator.revert(&db.repo, 1).await.unwrap(), [2]);
    assert!(db.repo.query("select * from a", &[]).await.is_ok());
    write("nameless.sql", "");
    assert!(matches!(Migrator::new().directory(folder.path()).unwrap_err().kind(), ErrorKind::Config { .. }));
    assert!(Migrator::new().directory(folder.path().join("nowhere")).is_err());
}

async fn two_writers_wait_for_each_other(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let row = post(&db.repo, "x").await;
    let other = db.other().await;
    let count = async |repo: &RepoHandle| {
        for _ in 0..50 {
            repo.transaction(async |tx| {
                let add = Post::query().filter(Post::ID.eq(row.id)).inc(Post::VISITS, 1);
                tx.update_all(add).await
            })
            .await
            .unwrap();
        }
    };
    tokio::join!(count(&db.repo), count(&other));
    assert_eq!(db.repo.fetch::<Post>(row.id).await.unwrap().visits, 100);
    // A lock that is not given up in time is the call's timeout, not a failure of its own.
    let tx = other.begin().await.unwrap();
    tx.update_all(Post::query().inc(Post::VISITS, 1)).await.unwrap();
    let started = Instant::now();
    let blocked = db.repo.with_timeout(Duration::from_millis(300)).update_all(Post::query().inc(Post::VISITS, 1)).await;
    assert!(blocked.unwrap_err().is_timeout());
    assert!(started.elapsed() >= Duration::from_millis(300) && started.elapsed() < Duration::from_secs(2));
    tx.commit().await.unwrap();
    assert_eq!(db.repo.fetch::<Post>(row.id).await.unwrap().visits, 101);
}

async fn a_stopped_repo_refuses_everything(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let repo = db.other().await;
    let row = post(&repo, "x").await;
    repo.stop(Duration::from_secs(1)).await;
    for error in [
        repo.all(Post::query()).await.unwrap_err(),
        repo.insert(row.clone()).await.unwrap_err(),
        repo.delete(&row).await.unwrap_err(),
        repo.query("select 1", &[]).await.unwrap_err(),
        repo.script("select 1").await.unwrap_err(),
        repo.begin().await.unwrap_err(),
        repo.checkout().await.unwrap_err(),
        repo.noop().unwrap_err(),
        repo.insert_all([row.clone()]).await.unwrap_err(),
    ] {
        assert!(error.is_stopped() && error.to_string().contains("start it again"), "{error}");
    }
    assert_eq!(db.repo.count(Post::query()).await.unwrap(), 1);
}

async fn a_handle_outlives_its_runtime(db: &Db) {
    let repo = db.other().await;
    let there = repo.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            assert_eq!(there.query("select 1", &[]).await.unwrap().len(), 1);
        });
    })
    .join()
    .unwrap();
    // The connection that was made over there died with its runtime.
    assert_eq!(repo.query("select 1", &[]).await.unwrap().len(), 1);
}
