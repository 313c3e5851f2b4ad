//! Transactions behind EMR's back: raw SQL, procedures and settings that begin or end them.

use emr::prelude::*;
use emr::{ConnectFailure, IsolationLevel, Migrator, TransactionFault};

use crate::harness::{Backend, Db, assert_unsupported_in_part, not_here};
use crate::schemas::{Post, post, titles};

db_cases![
    tr13_control_is_refused_however_the_server_reads_it,
    words_of_control_elsewhere_are_no_control,
    settings_of_the_next_transaction_are_refused,
    ddl_that_would_commit_is_refused_in_a_transaction,
    a_procedure_that_ends_the_transaction_is_an_error,
    a_procedure_that_leaves_a_transaction_open_is_an_error,
    a_procedure_that_fails_after_it_began_leaves_nothing_open,
    a_statement_that_rolls_back_ends_the_transaction,
    a_session_that_does_not_commit_is_not_used_again,
    what_runs_after_connect_may_leave_nothing_open,
    functions_of_migrations_make_several_tables,
];

fn fault(error: &Error) -> TransactionFault {
    match error.kind() {
        ErrorKind::Transaction(fault) => *fault,
        _ => panic!("{error:?}"),
    }
}

/// A repo with one connection, so that what one call leaves behind meets the next one.
async fn narrow(db: &Db) -> RepoHandle {
    db.repo.create_table::<Post>().await.unwrap();
    emr::open(db.options().pool_size(1)).await.unwrap()
}

/// Whether what this repo writes outside of transactions is seen by others, and so committed.
async fn assert_commits_by_itself(db: &Db, repo: &impl Repo, title: &str) {
    post(repo, title).await;
    assert!(titles(&db.other().await).await.contains(&title.to_owned()), "{title}");
}

/// Control that stands where other engines have a comment, a text or a name.
fn disguises(backend: Backend) -> &'static [&'static str] {
    match backend {
        Backend::Sqlite => &[
            "/* /* */ commit",
            "\u{feff}commit",
            "select 1 as [a'b]; commit; select 1 as [c'd]",
            "select 1 as `'`; commit; select 1 as `'`",
            "select '\\'; commit; select '\\'",
            "create table begin (a int); commit",
        ],
        Backend::Postgres => &[
            "-- x\rcommit",
            "/* /* */ */ commit",
            r"select E'\''; commit; select E'\''",
            r"select '\'; commit; select '\'",
            "select E'a'\n'\\''; commit; select ''",
            "select $a$ ' $a$; commit; select $a$ ' $a$",
            "select 1 as a$b$; commit; select 1 as a$b$",
        ],
        Backend::Mariadb | Backend::Mysql => &[
            "/*! commit */",
            "/*!50000 commit */",
            "# x\ncommit",
            "select 1 --1; commit",
            "select 1 --\u{a0}1; commit",
            r"select '\''; commit; select '\''",
            "select `'`; commit; select `'`",
            "xa start 'x'",
            "lock tables posts write",
            "create table begin (a int); commit",
        ],
    }
}

async fn tr13_control_is_refused_however_the_server_reads_it(db: &Db) {
    let repo = narrow(db).await;
    let plain =
        ["begin", "COMMIT", "rollback", "savepoint a", "rollback to a", "release a", "start transaction", "end"];
    for sql in plain.iter().chain(disguises(db.backend)).copied() {
        let refused = |error: Error| assert_eq!(fault(&error), TransactionFault::RawControl, "{sql}");
        refused(repo.query(sql, &[]).await.unwrap_err());
        refused(repo.query_as::<Post>(sql, &[]).await.unwrap_err());
        refused(repo.script(sql).await.unwrap_err());
        refused(repo.query_many(sql).await.unwrap_err());
        assert_commits_by_itself(db, &repo, sql).await;
        let checkout = repo.checkout().await.unwrap();
        refused(checkout.query(sql, &[]).await.unwrap_err());
        refused(checkout.script(sql).await.unwrap_err());
        drop(checkout);
        let tx = repo.begin().await.unwrap();
        post(&tx, "undone").await;
        let inner = tx.begin().await.unwrap();
        refused(inner.query(sql, &[]).await.unwrap_err());
        refused(inner.script(sql).await.unwrap_err());
        inner.commit().await.unwrap();
        refused(tx.query_many(sql).await.unwrap_err());
        tx.rollback().await.unwrap();
    }
    assert!(!titles(&repo).await.contains(&"undone".to_owned()));
}

async fn words_of_control_elsewhere_are_no_control(db: &Db) {
    let repo = narrow(db).await;
    let engine = match db.backend {
        Backend::Sqlite => {
            ["create trigger t after insert on posts begin update posts set visits = 1; end", "select 1 as [;commit]"]
        }
        Backend::Postgres => [
            "create function f() returns int language plpgsql as $$ begin return 1; end $$",
            r"select E'\'; commit; --'",
        ],
        Backend::Mariadb | Backend::Mysql => {
            ["create procedure f() begin select 1; end", r"select '\'; commit; -- ', 1 # ; commit"]
        }
    };
    let common = [
        "select '; commit' as \"begin\"",
        "select 1 -- ; commit",
        "select 1 /* ; commit */",
        "insert into posts (title) values ('; rollback')",
    ];
    for sql in engine.into_iter().chain(common) {
        repo.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let tx = repo.begin().await.unwrap();
    tx.script("insert into posts (title) values ('it''s; commit'); select 1").await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(titles(&repo).await, ["; rollback"]);
}

async fn settings_of_the_next_transaction_are_refused(db: &Db) {
    let settings: &[&str] = match db.backend {
        Backend::Sqlite => return not_here("transactions have no settings"),
        Backend::Postgres => &[
            "set transaction isolation level serializable",
            "set transaction read write",
            "set session characteristics as transaction read only",
            "set default_transaction_read_only = on",
            "set local transaction_read_only to off",
            "reset default_transaction_isolation",
        ],
        Backend::Mariadb | Backend::Mysql => &[
            "set transaction isolation level serializable",
            "set session transaction read only",
            "set autocommit = 0",
            "set @x = 1, @@session.autocommit := 0",
            "set @@autocommit=0",
            "set tx_isolation = 'SERIALIZABLE'",
        ],
    };
    let repo = narrow(db).await;
    for sql in settings {
        for error in [repo.query(sql, &[]).await.unwrap_err(), repo.script(sql).await.unwrap_err()] {
            assert_eq!(fault(&error), TransactionFault::RawControl, "{sql}");
        }
        let tx = repo.begin_with(TransactionOptions::new().read_only()).await.unwrap();
        assert_eq!(fault(&tx.query(sql, &[]).await.unwrap_err()), TransactionFault::RawControl, "{sql}");
        assert!(tx.query("insert into posts (title) values ('x')", &[]).await.is_err());
        tx.rollback().await.unwrap();
        assert_commits_by_itself(db, &repo, sql).await;
    }
    // What is meant has its own way.
    let tx = repo.begin_with(TransactionOptions::new().isolation(IsolationLevel::Serializable)).await.unwrap();
    post(&tx, "serial").await;
    tx.commit().await.unwrap();
    let other = match db.backend {
        Backend::Postgres => "set app.autocommit_of_mine to 'x'",
        _ => "set @autocommit = @@autocommit, @transaction = 1",
    };
    repo.query(other, &[]).await.unwrap();
}

async fn ddl_that_would_commit_is_refused_in_a_transaction(db: &Db) {
    let repo = narrow(db).await;
    let tx = repo.begin().await.unwrap();
    post(&tx, "undone").await;
    let made = tx.query("create table made (n int)", &[]).await.map(drop);
    if db.backend.is_mysql_family() {
        assert_unsupported_in_part(&made.unwrap_err());
        for sql in ["drop table posts", "select 1; truncate table posts", "create or replace table posts (n int)"] {
            assert_unsupported_in_part(&tx.script(sql).await.unwrap_err());
        }
        for sql in ["create temporary table made (n int)", "insert into made values (1)", "drop temporary table made"] {
            tx.query(sql, &[]).await.unwrap();
        }
    } else {
        made.unwrap();
    }
    tx.rollback().await.unwrap();
    assert_eq!(titles(&repo).await, [""; 0]);
    assert!(!repo.table_exists("made").await.unwrap());
}

/// Makes a procedure with this body, where there are any.
async fn procedure(db: &Db, body: &str) -> bool {
    let text = match db.backend {
        Backend::Sqlite => {
            not_here("there are no procedures");
            return false;
        }
        Backend::Postgres => format!("create procedure p() language plpgsql as $$ begin {body} end $$"),
        Backend::Mariadb | Backend::Mysql => format!("create procedure p() begin {body} end"),
    };
    db.repo.script(&text).await.unwrap();
    true
}

const INSERT: &str = "insert into posts (title) values ('by p');";

async fn a_procedure_that_ends_the_transaction_is_an_error(db: &Db) {
    let repo = narrow(db).await;
    if !procedure(db, &format!("{INSERT} commit;")).await {
        return;
    }
    let mut kept = 0;
    for script in [false, true] {
        let tx = repo.begin().await.unwrap();
        post(&tx, "before").await;
        let called = if script { tx.script("call p()").await } else { tx.query("call p()", &[]).await.map(drop) };
        let error = called.unwrap_err();
        if db.backend == Backend::Postgres {
            // The server does not let it.
            assert!(matches!(error.kind(), ErrorKind::Database { code, .. } if code == "2D000"), "{error:?}");
            assert_eq!(fault(&tx.commit().await.unwrap_err()), TransactionFault::Aborted);
        } else {
            assert_eq!(fault(&error), TransactionFault::Ended);
            // What comes after it would run on its own.
            let error = tx.query("insert into posts (title) values ('after')", &[]).await.unwrap_err();
            assert_eq!(fault(&error), TransactionFault::Lost);
            assert_eq!(fault(&tx.commit().await.unwrap_err()), TransactionFault::Lost);
            kept += 2;
        }
        assert_eq!(titles(&repo).await.len(), kept);
    }
    assert!(!titles(&repo).await.contains(&"after".to_owned()));
    // Outside of a transaction it may.
    repo.query("call p()", &[]).await.unwrap();
    assert_eq!(titles(&db.other().await).await.len(), kept + 1);
}

async fn a_procedure_that_leaves_a_transaction_open_is_an_error(db: &Db) {
    if !db.backend.is_mysql_family() {
        return not_here("a call ends what its procedure began");
    }
    let repo = narrow(db).await;
    procedure(db, &format!("start transaction; {INSERT}")).await;
    for n in 0..2 {
        let error = match n {
            0 => repo.query("call p()", &[]).await.map(drop),
            _ => repo.script("select 1; call p()").await,
        };
        assert_eq!(fault(&error.unwrap_err()), TransactionFault::LeftOpen);
        assert_commits_by_itself(db, &repo, &n.to_string()).await;
    }
    let checkout = repo.checkout().await.unwrap();
    assert_eq!(fault(&checkout.query("call p()", &[]).await.unwrap_err()), TransactionFault::LeftOpen);
    assert!(matches!(checkout.query("select 1", &[]).await.unwrap_err().kind(), ErrorKind::ConnectionLost { .. }));
    drop(checkout);
    assert_commits_by_itself(db, &repo, "2").await;
    assert_eq!(titles(&repo).await, ["0", "1", "2"]);
}

async fn a_procedure_that_fails_after_it_began_leaves_nothing_open(db: &Db) {
    if !db.backend.is_mysql_family() {
        return not_here("a call ends what its procedure began");
    }
    let repo = narrow(db).await;
    procedure(db, &format!("start transaction; {INSERT} insert into posts (title) values (null);")).await;
    for sql in ["call p()", "execute immediate 'call p()'", "select 1; call p()"] {
        if db.backend == Backend::Mysql && sql.starts_with("execute") {
            // MariaDB's own.
            continue;
        }
        let failed = if sql.contains(';') { repo.script(sql).await } else { repo.query(sql, &[]).await.map(drop) };
        assert!(failed.unwrap_err().is_not_null_violation(), "{sql}");
        assert_commits_by_itself(db, &repo, sql).await;
    }
    assert!(!titles(&repo).await.contains(&"by p".to_owned()));
    // In a transaction its own START commits ours, and its failure does not tell.
    let tx = repo.begin().await.unwrap();
    post(&tx, "before").await;
    assert!(tx.query("call p()", &[]).await.is_err());
    drop(tx);
    assert_commits_by_itself(db, &repo, "last").await;
}

async fn a_statement_that_rolls_back_ends_the_transaction(db: &Db) {
    if db.backend != Backend::Sqlite {
        return not_here("no statement that fails rolls all back but to end a deadlock");
    }
    let repo = narrow(db).await;
    let tx = repo.begin().await.unwrap();
    post(&tx, "undone").await;
    let inner = tx.begin().await.unwrap();
    let error = inner.query("insert or rollback into posts (title) values (null)", &[]).await.unwrap_err();
    assert!(error.is_not_null_violation(), "{error:?}");
    let error = inner.query("insert into posts (title) values ('after')", &[]).await.unwrap_err();
    assert_eq!(fault(&error), TransactionFault::Lost);
    drop(inner);
    assert_eq!(fault(&tx.commit().await.unwrap_err()), TransactionFault::Lost);
    assert_commits_by_itself(db, &repo, "on its own").await;
    assert_eq!(titles(&repo).await, ["on its own"]);
}

async fn a_session_that_does_not_commit_is_not_used_again(db: &Db) {
    if !db.backend.is_mysql_family() {
        return not_here("every session commits by itself");
    }
    let repo = narrow(db).await;
    procedure(db, "set autocommit = 0;").await;
    repo.query("call p()", &[]).await.unwrap();
    assert_commits_by_itself(db, &repo, "x").await;
}

async fn what_runs_after_connect_may_leave_nothing_open(db: &Db) {
    let wrong: &[&str] = match db.backend {
        Backend::Sqlite | Backend::Postgres => &["begin", "select 1; begin"],
        Backend::Mariadb | Backend::Mysql => &["begin", "select 1; begin", "set autocommit = 0"],
    };
    for sql in wrong {
        let error = match emr::open(db.options().after_connect(*sql)).await {
            Ok(repo) => repo.query("select 1", &[]).await.unwrap_err(),
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::ConnectFailed { cause: ConnectFailure::AfterConnect, .. } => {}
            ErrorKind::Config { option, .. } => assert_eq!(option, "after_connect"),
            _ => panic!("{error:?}"),
        }
    }
    if db.backend.is_mysql_family() {
        let repo = emr::open(db.options().extra("session", "autocommit = 0")).await.unwrap();
        let error = repo.query("select 1", &[]).await.unwrap_err();
        assert!(error.to_string().contains("autocommit is switched off"), "{error}");
    }
}

async fn functions_of_migrations_make_several_tables(db: &Db) {
    let migrator = Migrator::new().function(1, "both", |tx| {
        Box::pin(async move {
            tx.create_table::<Post>().await?;
            tx.script("create table other (n int)").await?;
            post(tx, "x").await;
            tx.query("create table third (n int)", &[]).await?;
            tx.query("insert into other values (1)", &[]).await.map(drop)
        })
    });
    assert_eq!(migrator.run(&db.repo).await.unwrap(), [1]);
    assert_eq!(titles(&db.repo).await, ["x"]);
    assert_eq!(db.repo.query("select n from other", &[]).await.unwrap().len(), 1);
    assert!(db.repo.table_exists("third").await.unwrap());
}
