//! Migrations that stop on the way, and databases that cannot be made.

use std::time::Duration;

use emr::prelude::*;
use emr::{ConnectFailure, Migrator};

use crate::harness::{Backend, Db, not_here};

db_cases![
    mg2_nothing_stays_of_a_migration_that_cannot_be_noted,
    mg5_a_panic_inside_a_migration_goes_on,
    mg6_migrations_up_to_a_version,
    mg9_nothing_runs_if_one_source_cannot_be_read,
    mg10_mg11_one_connection_is_enough,
    pg16_a_column_has_a_collation,
    pg22_pg23_my17_my18_who_may_not_create_a_database,
    pg32_my23_the_state_of_a_database_that_cannot_be_asked,
];

fn applied(status: &[emr::MigrationStatus]) -> Vec<i64> {
    status.iter().filter(|one| one.applied_at.is_some()).map(|one| one.version).collect()
}

async fn table_is_there(db: &Db, table: &str) -> bool {
    db.repo.query(&format!("select * from {table}"), &[]).await.is_ok()
}

async fn mg2_nothing_stays_of_a_migration_that_cannot_be_noted(db: &Db) {
    // It writes its own line into the table of versions: the runner's is refused.
    let migrator = Migrator::new().sql(1, "good", "CREATE TABLE kept (id BIGINT)").sql(
        2,
        "bad",
        "CREATE TABLE half (id BIGINT);
         INSERT INTO emr_migrations (version, name, applied_at) VALUES (2, 'mine', CURRENT_TIMESTAMP)",
    );
    let error = migrator.run(&db.repo).await.unwrap_err();
    assert!(error.is_unique_violation(), "{error}");
    let noted: &[i64] = if db.backend.is_mysql_family() { &[1, 2] } else { &[1] };
    assert_eq!(applied(&migrator.status(&db.repo).await.unwrap()), noted);
    // Where DDL commits, it stays.
    assert!(table_is_there(db, "kept").await);
    assert_eq!(table_is_there(db, "half").await, db.backend.is_mysql_family());
}

async fn mg5_a_panic_inside_a_migration_goes_on(db: &Db) {
    let broken = || {
        Migrator::new().sql(1, "good", "CREATE TABLE kept (id BIGINT)").function(2, "broken", |tx| {
            Box::pin(async move {
                tx.script("CREATE TABLE half (id BIGINT)").await?;
                panic!("a bug of the migration")
            })
        })
    };
    let repo = db.repo.clone();
    let ended = tokio::spawn(async move { broken().run(&repo).await }).await;
    assert!(ended.expect_err("the panic").is_panic());
    // The lock is free, and what was begun is gone, unless DDL commits.
    if db.backend.is_mysql_family() {
        db.repo.script("DROP TABLE half").await.unwrap();
    }
    let mended = Migrator::new().sql(1, "good", "").sql(2, "mended", "CREATE TABLE half (id BIGINT)");
    assert_eq!(mended.run(&db.repo).await.unwrap(), [2]);
    assert!(table_is_there(db, "kept").await && table_is_there(db, "half").await);
}

async fn mg6_migrations_up_to_a_version(db: &Db) {
    let step = |n| (format!("CREATE TABLE step{n} (id BIGINT)"), format!("DROP TABLE step{n}"));
    let migrator = [1, 2, 5, 9].into_iter().fold(Migrator::new(), |migrator, n| {
        let (up, down) = step(n);
        migrator.reversible_sql(n, "step", &up, &down)
    });
    let repo = &db.repo;
    assert_eq!(migrator.run_to(repo, 4).await.unwrap(), [1, 2]);
    assert_eq!(migrator.run_to(repo, 4).await.unwrap(), [] as [i64; 0]);
    assert_eq!(migrator.run_to(repo, 0).await.unwrap(), [] as [i64; 0]);
    assert!(table_is_there(db, "step2").await && !table_is_there(db, "step5").await);
    assert_eq!(migrator.run_to(repo, 5).await.unwrap(), [5]);
    assert_eq!(migrator.run(repo).await.unwrap(), [9]);
    assert_eq!(migrator.revert(repo, 3).await.unwrap(), [9, 5, 2]);
    assert_eq!(applied(&migrator.status(repo).await.unwrap()), [1]);
    assert!(table_is_there(db, "step1").await && !table_is_there(db, "step2").await);
}

async fn mg9_nothing_runs_if_one_source_cannot_be_read(db: &Db) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("0001_good.sql"), "CREATE TABLE good (id BIGINT)").unwrap();
    std::fs::write(folder.path().join("0002_bad.sql"), b"CREATE TABLE \xff (id BIGINT)").unwrap();
    let run = async || Migrator::new().directory(folder.path())?.run(&db.repo).await;
    let error = run().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config { .. }) && error.to_string().contains("0002_bad"), "{error}");
    assert!(!table_is_there(db, "good").await);
    std::fs::write(folder.path().join("0002_bad.sql"), "CREATE TABLE ü (id BIGINT)").unwrap();
    assert_eq!(run().await.unwrap(), [1, 2]);
}

async fn mg10_mg11_one_connection_is_enough(db: &Db) {
    // Where DDL ends every transaction, another connection holds the lock.
    let size = if db.backend.is_mysql_family() { 2 } else { 1 };
    let repo = emr::open(db.options().pool_size(size).timeout(Duration::from_secs(5))).await.unwrap();
    let migrator = Migrator::new()
        .sql(1, "a", "CREATE TABLE a (id BIGINT)")
        .function(2, "b", |tx| Box::pin(async move { tx.script("CREATE TABLE b (id BIGINT)").await }));
    assert_eq!(migrator.run(&repo).await.unwrap(), [1, 2]);
    assert!(table_is_there(db, "a").await && table_is_there(db, "b").await);
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "words")]
struct Word {
    id: i64,
    #[emr(sql_type = "text COLLATE \"C\"")]
    bytes: String,
    #[emr(sql_type = "text COLLATE \"und-x-icu\"")]
    tongue: String,
}

async fn pg16_a_column_has_a_collation(db: &Db) {
    if db.backend != Backend::Postgres {
        return not_here("collations of PostgreSQL");
    }
    let repo = &db.repo;
    repo.create_table::<Word>().await.unwrap();
    let word = |text: &str| Word::build().set(Word::BYTES, text).set(Word::TONGUE, text);
    repo.insert_all(["b", "B", "a", "A"].map(word)).await.unwrap();
    let by_bytes = Word::query().order_by(Word::BYTES.asc()).select(Word::BYTES);
    assert_eq!(repo.all(by_bytes).await.unwrap(), ["A", "B", "a", "b"]);
    let by_tongue = Word::query().order_by(Word::TONGUE.asc()).select(Word::TONGUE);
    assert_eq!(repo.all(by_tongue).await.unwrap(), ["a", "A", "b", "B"]);
}

async fn pg22_pg23_my17_my18_who_may_not_create_a_database(db: &Db) {
    if db.backend == Backend::Sqlite {
        return not_here("a file has no users");
    }
    let role = format!("emr_nobody_{}", std::process::id());
    let new = db.options().database(format!("emr_never_{}", std::process::id()));
    let error = new.clone().user(&role).create_database().await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::ConnectFailed { cause: ConnectFailure::Authentication, .. }),
        "{error:?}"
    );

    let create = match db.backend {
        Backend::Postgres => format!("CREATE ROLE {role} LOGIN"),
        _ => format!("CREATE USER {role}; GRANT SELECT ON `{}`.* TO {role}", db.own_schema().await),
    };
    db.repo.script(&create).await.unwrap();
    let unprivileged = |options: RepoOptions| options.user(&role);
    let refused = unprivileged(new.clone()).create_database().await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Database { .. }), "{refused:?}");
    assert!(!new.database_exists().await.unwrap());
    // One that is there already needs no right.
    assert!(!unprivileged(db.options()).create_database().await.unwrap());
    let sort = if db.backend == Backend::Postgres { "ROLE" } else { "USER" };
    db.repo.script(&format!("DROP {sort} {role}")).await.unwrap();
}

async fn pg32_my23_the_state_of_a_database_that_cannot_be_asked(db: &Db) {
    if db.backend == Backend::Sqlite {
        return not_here("a file is there or is not");
    }
    let error = db.options().port(1).database_exists().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectFailed { cause: ConnectFailure::Unreachable, .. }), "{error:?}");
}
