//! Options, files that cannot be opened, and files as wholes.

use std::fs;

use crate::common::{adapter, connector, file, memory, number, open, rows, run};
use emr_core::{ConnectFailure, ErrorKind, PoolSplit, RepoOptions, Role, TlsMode, Value};

/// The option that the adapter refuses, and why.
fn refused(options: &RepoOptions) -> (String, String) {
    match adapter().connector(options).map(drop).expect_err("refused").kind() {
        ErrorKind::Config { option, problem } => (option.clone(), problem.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_of_servers_are_refused_by_name() {
    let with = || RepoOptions::sqlite("x.db");
    for (option, options) in [
        ("host", with().host("h")),
        ("port", with().port(1)),
        ("user", with().user("u")),
        ("password", with().password("p")),
        ("tls", with().tls(TlsMode::Disable)),
        ("tls_ca", with().tls_ca("ca.pem")),
        ("prefix", with().prefix("p")),
    ] {
        let (named, problem) = refused(&options);
        assert_eq!(named, option);
        assert!(problem.contains("SQLite has no"), "{problem}");
    }
}

#[test]
fn the_database_must_be_named() {
    for options in
        [RepoOptions::sqlite(""), RepoOptions::new(), RepoOptions::sqlite("a\0b"), RepoOptions::sqlite("file:")]
    {
        assert_eq!(refused(&options).0, "database");
    }
}

#[test]
fn unknown_settings_and_values_are_refused_with_the_known_ones() {
    let with = |name: &str, value: &str| RepoOptions::sqlite("x.db").extra(name, value);
    let (option, problem) = refused(&with("jornal_mode", "wal"));
    assert_eq!(option, "jornal_mode");
    assert!(problem.contains("journal_mode, synchronous, create, cache_size"), "{problem}");
    for (option, value) in
        [("journal_mode", "wall"), ("synchronous", "1"), ("create", "perhaps"), ("cache_size", "much")]
    {
        assert_eq!(refused(&with(option, value)).0, option);
    }
}

#[tokio::test]
async fn memory_is_one_connection_and_a_file_has_one_writer() {
    for path in [":memory:", "file::memory:", "file:shared?mode=memory", "file:shared?cache=private&mode=memory"] {
        assert_eq!(connector(&RepoOptions::sqlite(path)).split(), PoolSplit::Single, "{path}");
    }
    let connector = connector(&RepoOptions::sqlite("file:a%20b.db?cache=private"));
    assert_eq!(connector.split(), PoolSplit::OneWriter);
    assert_eq!(connector.target(), "file:a%20b.db");
    let db = memory().await;
    assert_eq!(db.capabilities().version.0, 3);
    assert!(db.capabilities().server.starts_with("SQLite 3."));
}

#[test]
fn only_what_surely_reads_goes_to_a_reader() {
    let connector = connector(&RepoOptions::sqlite("x.db"));
    for sql in ["select 1", " -- hi\n SELECT 1", "values (1)", "/* a */explain delete from t"] {
        assert_eq!(connector.role_of(sql), Role::Read, "{sql}");
    }
    for sql in
        ["insert into t values (1)", "with a as (select 1) delete from t", "pragma user_version = 1", "", "begin"]
    {
        assert_eq!(connector.role_of(sql), Role::Write, "{sql}");
    }
}

/// Why a connect fails.
async fn failure(options: &RepoOptions) -> (String, ConnectFailure, String) {
    let error = connector(options).connect(Role::Write).await.map(drop).expect_err("no connection");
    match error.kind() {
        ErrorKind::ConnectFailed { target, reason, cause } => (target.clone(), *cause, reason.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_says_why() {
    let (directory, options) = file();
    let path = |name: &str| directory.path().join(name).to_str().expect("Unicode").to_owned();

    let missing = RepoOptions::sqlite(path("nowhere/test.db"));
    let (target, cause, reason) = failure(&missing).await;
    assert_eq!((target, cause), (path("nowhere/test.db"), ConnectFailure::UnknownDatabase));
    assert!(reason.contains("nowhere does not exist"), "{reason}");

    let (_, cause, reason) = failure(&RepoOptions::sqlite(path(""))).await;
    assert_eq!(cause, ConnectFailure::Other);
    assert!(reason.contains("directory"), "{reason}");

    fs::write(path("text.db"), "this is a text and no database at all, whatever its name may say").expect("write");
    let (_, cause, reason) = failure(&RepoOptions::sqlite(path("text.db"))).await;
    assert_eq!(cause, ConnectFailure::Other);
    assert!(reason.contains("file is not a database"), "{reason}");

    let (_, cause, reason) = failure(&options.clone().extra("create", "false")).await;
    assert_eq!(cause, ConnectFailure::UnknownDatabase);
    assert!(reason.contains("`create` is false"), "{reason}");
    let (_, cause, reason) = failure(&options.clone().read_only(true)).await;
    assert_eq!(cause, ConnectFailure::UnknownDatabase);
    assert!(reason.contains("read_only"), "{reason}");

    let (_, cause, reason) = failure(&options.clone().after_connect("select * from nothing_there")).await;
    assert_eq!(cause, ConnectFailure::AfterConnect);
    assert!(reason.contains("nothing_there"), "{reason}");
    let (_, cause, _) = failure(&options.after_connect("begin")).await;
    assert_eq!(cause, ConnectFailure::AfterConnect);
}

#[tokio::test]
async fn a_secret_in_after_connect_is_not_in_the_error() {
    let options = RepoOptions::sqlite(":memory:").after_connect("pragma key = 'geheim'; select 1 from nowhere");
    let error = connector(&options).connect(Role::Write).await.map(drop).expect_err("no table");
    assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
}

#[tokio::test]
async fn settings_arrive() {
    let (_directory, options) = file();
    let mut db = open(&options, Role::Write).await;
    assert_eq!(rows(db.as_mut(), "pragma journal_mode").await, [[Value::Text("wal".into())]]);
    assert_eq!(number(db.as_mut(), "pragma synchronous").await, 1);
    let mut reader = open(&options, Role::Read).await;
    assert_eq!(number(reader.as_mut(), "pragma query_only").await, 1);
    assert_eq!(number(reader.as_mut(), "pragma synchronous").await, 1);

    let (_directory, options) = file();
    let options = options
        .extra("journal_mode", "TRUNCATE")
        .extra("synchronous", "extra")
        .extra("cache_size", "-4000")
        .after_connect("pragma user_version = 7; create temp table mine (a)");
    let mut db = open(&options, Role::Write).await;
    assert_eq!(rows(db.as_mut(), "pragma journal_mode").await, [[Value::Text("truncate".into())]]);
    assert_eq!(number(db.as_mut(), "pragma synchronous").await, 3);
    assert_eq!(number(db.as_mut(), "pragma cache_size").await, -4000);
    assert_eq!(number(db.as_mut(), "pragma user_version").await, 7);

    let wal_in_memory = RepoOptions::sqlite(":memory:").extra("journal_mode", "wal");
    assert!(failure(&wal_in_memory).await.2.contains("journal_mode stays memory"));
}

#[tokio::test]
async fn a_read_only_repo_reads() {
    let (_directory, options) = file();
    open(&options, Role::Write).await.script("create table t (a); insert into t values (5)").await.expect("table");
    for role in [Role::Read, Role::Write] {
        let mut db = open(&options.clone().read_only(true), role).await;
        let (keep, _) = run(db.as_mut(), &[crate::common::begin()], "select a from t", &[]).await.expect("read");
        assert_eq!(keep.rows, [[Value::I64(5)]]);
        let error = crate::common::error(db.as_mut(), "insert into t values (6)", &[]).await;
        assert!(error.to_string().contains("SQLITE_READONLY"), "{error}");
    }
}

#[tokio::test]
async fn a_database_is_created_found_and_dropped_once() {
    let (directory, options) = file();
    assert_eq!(adapter().database_exists(&options).await.ok(), Some(false));
    assert_eq!(adapter().drop_database(&options).await.ok(), Some(false));
    assert_eq!(adapter().create_database(&options).await.ok(), Some(true));
    assert_eq!(adapter().create_database(&options).await.ok(), Some(false));
    assert_eq!(adapter().database_exists(&options).await.ok(), Some(true));

    let mut db = open(&options, Role::Write).await;
    db.script("create table t (a)").await.expect("table");
    assert!(directory.path().join("test.db-wal").exists());
    drop(db);
    assert_eq!(adapter().drop_database(&options).await.ok(), Some(true));
    assert_eq!(fs::read_dir(directory.path()).expect("directory").count(), 0);
    assert_eq!(adapter().database_exists(&options).await.ok(), Some(false));
}

#[tokio::test]
async fn a_file_made_anew_keeps_what_is_written_to_it() {
    let (_directory, options) = file();
    for n in 0..20 {
        let mut db = open(&options, Role::Write).await;
        db.script("create table t (a); insert into t values (1)").await.unwrap_or_else(|error| panic!("{n}: {error}"));
        assert_eq!(number(db.as_mut(), "select count(*) from t").await, 1);
        drop(db);
        assert_eq!(adapter().drop_database(&options).await.ok(), Some(true));
    }
}

#[tokio::test]
async fn what_is_no_database_is_not_dropped() {
    let (directory, _) = file();
    let path = directory.path().join("letter.txt");
    fs::write(&path, "Dear Sir or Madam, this file is dear to me").expect("write");
    let options = RepoOptions::sqlite(path.to_str().expect("Unicode"));
    let error = adapter().drop_database(&options).await.expect_err("refused");
    assert!(error.to_string().contains("no database"), "{error}");
    assert!(path.exists());
}

#[tokio::test]
async fn a_database_in_memory_cannot_be_created_or_dropped() {
    let options = RepoOptions::sqlite(":memory:");
    assert!(adapter().create_database(&options).await.expect_err("memory").is_unsupported());
    assert!(adapter().drop_database(&options).await.expect_err("memory").is_unsupported());
    assert!(adapter().database_exists(&options).await.expect_err("memory").is_unsupported());
}
