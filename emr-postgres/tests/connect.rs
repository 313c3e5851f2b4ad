//! Opening connections: settings, passwords, TLS, and every way to fail.

mod support;

use std::time::{Duration, Instant};

use emr_core::{
    Adapter, ConnectFailure, Connection, Discard, Error, ErrorKind, RepoOptions, Result, Sql, TlsMode, Value,
};
use emr_postgres::PostgresAdapter;
use support::cluster::Cluster;
use support::{cell, connect, connect_with, options};

fn refused(result: Result<Box<dyn Connection>>) -> Error {
    match result {
        Ok(_) => panic!("it connected"),
        Err(error) => error,
    }
}

/// Target, reason and cause of a failed connect.
fn parts(error: &Error) -> (&str, &str, ConnectFailure) {
    match error.kind() {
        ErrorKind::ConnectFailed { target, reason, cause } => (target, reason, *cause),
        _ => panic!("{error}"),
    }
}

fn at(port: u16, user: &str, password: &str) -> RepoOptions {
    RepoOptions::server("postgres", "127.0.0.1", port, "postgres", user, password)
}

#[tokio::test]
async fn the_server_says_what_it_is_and_what_it_can() {
    let mut connection = connect().await;
    let Value::Text(version) = cell(&mut connection, "SHOW server_version_num", &[]).await else { panic!() };
    let version: u32 = version.parse().unwrap();
    let can = connection.capabilities();
    assert_eq!((can.version.0, can.version.1), (version / 10_000, version % 100));
    assert_eq!(can.server, format!("PostgreSQL {}.{}", version / 10_000, version % 100));
    assert!(can.arrays && can.skip_locked && can.special_floats);
    assert_eq!(can.max_parameters, 65_535);
}

#[tokio::test]
async fn settings_reach_the_session() {
    let options = options()
        .application_name("my app")
        .after_connect("SET search_path = pg_catalog")
        .extra("options", "-c statement_timeout=1234 -c work_mem=5MB")
        .extra("target_session_attrs", "any")
        .extra("keepalives_idle", "30");
    let mut connection = connect_with(&options).await.unwrap();
    for (name, value) in [
        ("application_name", "my app"),
        ("search_path", "pg_catalog"),
        ("statement_timeout", "1234ms"),
        ("work_mem", "5MB"),
    ] {
        let shown = cell(&mut connection, &format!("SHOW {name}"), &[]).await;
        assert_eq!(shown, Value::Text(value.into()), "{name}");
    }
    let shown = cell(&mut connect().await, "SHOW application_name", &[]).await;
    assert_eq!(shown, Value::Text("emr".into()));
}

#[test]
fn wrong_settings_are_named() {
    let good = || RepoOptions::server("postgres", "h", 5432, "d", "u", "geheim");
    let cases: [(RepoOptions, &str); 13] = [
        (RepoOptions { host: None, ..good() }, "host"),
        (good().host(""), "host"),
        (RepoOptions { user: None, ..good() }, "user"),
        (good().user(""), "user"),
        (good().user("a\0"), "user"),
        (good().port(0), "port"),
        (good().database(""), "database"),
        (good().extra("colour", "red"), "colour"),
        (good().extra("target_session_attrs", "both"), "target_session_attrs"),
        (good().extra("keepalives_idle", "0"), "keepalives_idle"),
        (good().extra("keepalives_idle", "soon"), "keepalives_idle"),
        (good().tls(TlsMode::VerifyFull).tls_ca("/no/such/file.pem"), "tls_ca"),
        (good().tls(TlsMode::VerifyFull).tls_ca("/etc/hostname"), "tls_ca"),
    ];
    for (options, wanted) in cases {
        let error = PostgresAdapter.connector(&options).map(|_| ()).unwrap_err();
        let ErrorKind::Config { option, .. } = error.kind() else { panic!("{error}") };
        assert_eq!(option, wanted);
        assert!(!format!("{error} {error:?}").contains("geheim"));
    }
    let error = PostgresAdapter.connector(&good().extra("colour", "red")).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("options, target_session_attrs, keepalives_idle"), "{error}");
}

#[test]
fn the_database_is_the_users_by_default_and_the_port_the_standard_one() {
    let options = RepoOptions { database: None, port: None, ..RepoOptions::server("postgres", "h", 1, "d", "me", "") };
    assert_eq!(PostgresAdapter.connector(&options).unwrap().target(), "h:5432/me");
}

#[tokio::test]
async fn what_the_server_says_of_a_failed_connect_is_the_reason() {
    let error = refused(connect_with(&options().database("no_such_db")).await);
    let (target, reason, cause) = parts(&error);
    assert_eq!(cause, ConnectFailure::UnknownDatabase);
    assert!(target.ends_with("/no_such_db"), "{target}");
    assert_eq!(reason, "database \"no_such_db\" does not exist");

    let error = refused(connect_with(&options().user("no_such_user")).await);
    assert_eq!(parts(&error).2, ConnectFailure::Authentication, "{error}");

    let error = refused(connect_with(&options().after_connect("SET nonsense = 1")).await);
    assert_eq!(parts(&error).2, ConnectFailure::AfterConnect);
    assert!(error.to_string().contains("nonsense"), "{error}");
}

#[tokio::test]
async fn nobody_there_nobody_answering_and_no_such_host_are_told_at_once() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let started = Instant::now();
    let error = refused(connect_with(&at(free, "postgres", "geheim")).await);
    assert_eq!(parts(&error).2, ConnectFailure::Unreachable, "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(!format!("{error} {error:?}").contains("geheim"));

    let error = refused(connect_with(&options().host("no-such-host.invalid")).await);
    assert_eq!(parts(&error).2, ConnectFailure::Unreachable, "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));

    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let silent = at(silent.local_addr().unwrap().port(), "postgres", "").connect_timeout(Duration::from_millis(200));
    let started = Instant::now();
    let error = refused(connect_with(&silent).await);
    assert!(matches!(parts(&error).2, ConnectFailure::Timeout | ConnectFailure::Unreachable), "{error}");
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn something_that_is_no_postgres_is_a_failed_connect() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        }
    });
    for tls in [TlsMode::Disable, TlsMode::Prefer, TlsMode::Require] {
        let error = refused(connect_with(&at(port, "postgres", "").tls(tls)).await);
        parts(&error);
    }
}

#[tokio::test]
async fn databases_are_created_found_and_dropped() {
    let name = format!("emr \"odd\" {}", std::process::id());
    let options = options().database(&name);
    assert!(!PostgresAdapter.database_exists(&options).await.unwrap());
    assert!(PostgresAdapter.create_database(&options).await.unwrap());
    assert!(!PostgresAdapter.create_database(&options).await.unwrap());
    assert!(PostgresAdapter.database_exists(&options).await.unwrap());
    let mut inside = connect_with(&options).await.unwrap();
    assert_eq!(cell(&mut inside, "SELECT current_database()", &[]).await, Value::Text(name.into()));
    // Somebody is connected, and it is dropped all the same.
    assert!(PostgresAdapter.drop_database(&options).await.unwrap());
    assert!(!PostgresAdapter.drop_database(&options).await.unwrap());
    assert!(!PostgresAdapter.database_exists(&options).await.unwrap());
}

#[tokio::test]
async fn passwords_are_checked_and_never_shown() {
    let cluster = Cluster::start(false);
    let mut admin = connect_with(&at(cluster.port, "postgres", "")).await.unwrap();
    admin.script("CREATE ROLE secret LOGIN PASSWORD 'p@ss:/% wörd'; CREATE ROLE hidden LOGIN").await.unwrap();
    connect_with(&at(cluster.port, "secret", "p@ss:/% wörd")).await.unwrap();

    for password in ["wrong-geheim", ""] {
        let error = refused(connect_with(&at(cluster.port, "secret", password)).await);
        assert_eq!(parts(&error).2, ConnectFailure::Authentication, "{error}");
        assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
    }
    let error = refused(connect_with(&at(cluster.port, "secret", "wrong")).await);
    assert_eq!(parts(&error).1, "password authentication failed for user \"secret\"");
    let error = refused(connect_with(&at(cluster.port, "hidden", "")).await);
    assert_eq!(parts(&error).2, ConnectFailure::Authentication, "{error}");
}

#[tokio::test]
async fn a_full_server_and_a_stopped_one_are_unavailable() {
    let cluster = Cluster::start(false);
    let mut admin = connect_with(&at(cluster.port, "postgres", "")).await.unwrap();
    admin.script("CREATE ROLE visitor LOGIN").await.unwrap();
    let visitor = at(cluster.port, "visitor", "");
    let mut open = Vec::new();
    let error = loop {
        match connect_with(&visitor).await {
            Ok(connection) => open.push(connection),
            Err(error) => break error,
        }
        assert!(open.len() < 10);
    };
    assert_eq!(parts(&error).2, ConnectFailure::Unavailable, "{error}");

    cluster.stop();
    let error = support::run(&mut admin, "SELECT 1", &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ConnectionLost { .. }), "{error}");
    let error = refused(connect_with(&visitor).await);
    assert_eq!(parts(&error).2, ConnectFailure::Unreachable, "{error}");
}

const ENCRYPTED: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

#[tokio::test]
async fn without_tls_at_the_server_only_those_who_do_not_insist_connect() {
    let cluster = Cluster::start(false);
    for mode in [TlsMode::Disable, TlsMode::Prefer] {
        let mut connection = connect_with(&at(cluster.port, "postgres", "").tls(mode)).await.unwrap();
        assert_eq!(cell(&mut connection, ENCRYPTED, &[]).await, Value::Bool(false), "{mode:?}");
    }
    let error = refused(connect_with(&at(cluster.port, "postgres", "").tls(TlsMode::Require)).await);
    assert_eq!(parts(&error).2, ConnectFailure::Tls);
    assert!(error.to_string().contains("does not support TLS"), "{error}");

    // Its socket needs none: it does not leave the machine.
    let socket = RepoOptions { host: Some(cluster.path("")), ..at(cluster.port, "postgres", "") };
    let mut connection = connect_with(&socket.tls(TlsMode::Require)).await.unwrap();
    assert_eq!(cell(&mut connection, "SELECT inet_client_addr() IS NULL", &[]).await, Value::Bool(true));
}

#[tokio::test]
async fn with_tls_each_mode_checks_what_it_promises() {
    let cluster = Cluster::start(true);
    let local = |mode| at(cluster.port, "postgres", "").host("localhost").tls(mode);
    for (mode, encrypted) in [(TlsMode::Disable, false), (TlsMode::Prefer, true), (TlsMode::Require, true)] {
        let mut connection = connect_with(&local(mode)).await.unwrap();
        assert_eq!(cell(&mut connection, ENCRYPTED, &[]).await, Value::Bool(encrypted), "{mode:?}");
    }
    let checked = local(TlsMode::VerifyFull).tls_ca(cluster.path("ca.crt"));
    let mut connection = connect_with(&checked).await.unwrap();
    assert_eq!(cell(&mut connection, ENCRYPTED, &[]).await, Value::Bool(true));

    // A password over TLS is bound to the channel.
    connection.script("CREATE ROLE secret LOGIN PASSWORD 'geheim'").await.unwrap();
    connect_with(&checked.clone().user("secret").password("geheim")).await.unwrap();

    for (wrong, why) in [
        (local(TlsMode::VerifyFull).tls_ca(cluster.path("other.crt")), "another authority"),
        (local(TlsMode::VerifyFull), "the system's authorities"),
        (checked.clone().host("127.0.0.1"), "another name"),
    ] {
        let error = refused(connect_with(&wrong).await);
        assert_eq!(parts(&error).2, ConnectFailure::Tls, "{why}: {error}");
        assert!(parts(&error).1.contains("certificate"), "{why}: {error}");
    }

    // A cancel request goes the same way.
    let sleep = Sql::raw("SELECT pg_sleep(30)");
    let call = connection.query(&[], &sleep, &[], Box::new(Discard));
    assert!(tokio::time::timeout(Duration::from_millis(200), call).await.is_err());
    let started = Instant::now();
    assert!(connection.recover().await.is_err());
    assert!(started.elapsed() < Duration::from_secs(1));
    let mut admin = connect_with(&checked).await.unwrap();
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'";
    assert_eq!(cell(&mut admin, sleeping, &[]).await, Value::I64(0));
}

#[tokio::test]
async fn target_session_attrs_pick_the_server() {
    let mut connection = connect_with(&options().extra("target_session_attrs", "read-write")).await.unwrap();
    assert_eq!(cell(&mut connection, "SELECT 1", &[]).await, Value::I32(1));
    let read_only = options().read_only(true).extra("target_session_attrs", "read-write");
    let error = refused(connect_with(&read_only).await);
    assert_eq!(parts(&error).2, ConnectFailure::Unavailable, "{error}");
}
