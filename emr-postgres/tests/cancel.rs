//! Calls that are dropped, sessions that are killed.

mod support;

use std::future::Future;
use std::time::{Duration, Instant};

use emr_core::{Connection, Control, Discard, ErrorKind, Schema, Sql, SqlType, TransactionFault, Value};
use futures_util::future::poll_immediate;
use support::{BEGIN, Scratch, bulk, cell, connect, run};

const LOCK: &str = "UPDATE t SET a = a + 1";

async fn table(scratch: &Scratch) {
    scratch.connect().await.script("CREATE TABLE t (a int8); INSERT INTO t VALUES (1)").await.unwrap();
}

/// A connection with an open transaction that holds the lock of the row.
async fn holding(scratch: &Scratch) -> Box<dyn Connection> {
    let mut connection = scratch.connect().await;
    connection.query(&[BEGIN], &Sql::raw(LOCK), &[], Box::new(Discard)).await.unwrap();
    connection
}

/// How long another session waits for the row.
async fn wait_for_row(scratch: &Scratch) -> Duration {
    let mut other = scratch.connect().await;
    other.script("SET lock_timeout = '20s'").await.unwrap();
    let started = Instant::now();
    run(&mut other, LOCK, &[]).await.unwrap();
    started.elapsed()
}

async fn dropped_after(time: Duration, call: impl Future) {
    assert!(tokio::time::timeout(time, call).await.is_err(), "the call ended before it could be dropped");
}

#[tokio::test]
async fn a_dropped_call_frees_its_locks_within_a_second() {
    let scratch = Scratch::new().await;
    table(&scratch).await;
    let mut connection = holding(&scratch).await;
    let sleep = Sql::raw("SELECT pg_sleep(30)");
    dropped_after(Duration::from_millis(100), connection.query(&[], &sleep, &[], Box::new(Discard))).await;

    let waited = wait_for_row(&scratch).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    // The row has only the other session's update.
    assert_eq!(cell(&mut scratch.connect().await, "SELECT a FROM t", &[]).await, Value::I64(2));
    assert!(!connection.is_clean() && connection.is_closed() && connection.in_transaction());
    let error = run(&mut connection, "SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Transaction(TransactionFault::Lost));
    assert!(connection.recover().await.unwrap_err().is_connection());
}

#[tokio::test]
async fn a_call_dropped_before_the_server_saw_it_frees_its_locks_as_well() {
    let scratch = Scratch::new().await;
    table(&scratch).await;
    let sleep = Sql::raw("SELECT pg_sleep(30)");
    for prepared in [false, true] {
        let mut connection = holding(&scratch).await;
        if prepared {
            connection.script("SET statement_timeout = '1ms'").await.unwrap();
            connection.control(&[Control::Savepoint(1)]).await.unwrap();
            connection.query(&[], &sleep, &[], Box::new(Discard)).await.map(|_| ()).unwrap_err();
            connection.control(&[Control::RollbackTo(1)]).await.unwrap();
            connection.script("SET statement_timeout = 0").await.unwrap();
        }
        // Polled once: the message is queued, and the cancel request may overtake it.
        assert!(poll_immediate(connection.query(&[], &sleep, &[], Box::new(Discard))).await.is_none());
        let waited = wait_for_row(&scratch).await;
        assert!(waited < Duration::from_secs(1), "{waited:?}");
        assert!(connection.recover().await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_call_frees_its_locks_also_when_the_server_is_busy() {
    let scratch = Scratch::new().await;
    table(&scratch).await;
    let mut connection = holding(&scratch).await;
    let mut load = Vec::new();
    for _ in 0..8 {
        let mut busy = scratch.connect().await;
        load.push(tokio::spawn(async move {
            let _ = run(&mut busy, "SELECT count(*) FROM generate_series(1, 1000000000)", &[]).await;
        }));
    }
    let sleep = Sql::raw("SELECT pg_sleep(30)");
    dropped_after(Duration::from_millis(200), connection.query(&[], &sleep, &[], Box::new(Discard))).await;
    let waited = wait_for_row(&scratch).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    for task in load {
        task.abort();
    }
}

#[tokio::test]
async fn a_call_that_waits_for_a_lock_can_be_dropped() {
    let scratch = Scratch::new().await;
    table(&scratch).await;
    let mut holder = holding(&scratch).await;
    let mut waiter = scratch.connect().await;
    dropped_after(Duration::from_millis(100), waiter.query(&[], &Sql::raw(LOCK), &[], Box::new(Discard))).await;
    assert!(waiter.recover().await.is_err());
    holder.control(&[Control::Commit]).await.unwrap();
    assert_eq!(cell(&mut holder, "SELECT a FROM t", &[]).await, Value::I64(2));
}

#[tokio::test]
async fn every_verb_can_be_dropped_at_every_await() {
    let scratch = Scratch::new().await;
    table(&scratch).await;
    let sql = Sql::raw("SELECT a, pg_sleep(0.001) FROM t, generate_series(1, 3) WHERE a > $1 FOR UPDATE OF t");
    let one = [Value::I64(0)];
    // One poll more each time, until the call ends by itself.
    for verb in 0..5 {
        for polls in 1.. {
            let mut connection = scratch.connect().await;
            let ended = {
                let call = async {
                    match verb {
                        0 => drop(connection.query(&[BEGIN], &sql, &one, Box::new(Discard)).await.unwrap()),
                        1 => connection.control(&[BEGIN, Control::Savepoint(1), Control::Commit]).await.unwrap(),
                        2 => connection.script("BEGIN; SELECT pg_sleep(0.001); COMMIT").await.unwrap(),
                        3 => {
                            let cursor = connection.open_cursor(&[BEGIN], &sql, &one).await.unwrap();
                            drop(connection.fetch(cursor, 2, Box::new(Discard)).await.unwrap());
                            connection.close_cursor(cursor).await.unwrap();
                        }
                        _ => {
                            let step =
                                || emr_core::Step { sql: sql.clone(), params: one.to_vec(), sink: Box::new(Discard) };
                            drop(connection.batch(&[BEGIN], vec![step(), step()]).await.unwrap());
                        }
                    }
                };
                let mut call = std::pin::pin!(call);
                let mut left = polls;
                std::future::poll_fn(|context| match call.as_mut().poll(context) {
                    std::task::Poll::Ready(()) => std::task::Poll::Ready(true),
                    std::task::Poll::Pending if left == 1 => std::task::Poll::Ready(false),
                    std::task::Poll::Pending => {
                        left -= 1;
                        std::task::Poll::Pending
                    }
                })
                .await
            };
            if ended {
                connection.recover().await.unwrap();
                assert!(connection.is_clean());
                break;
            }
            // Dropped in the middle, or between two calls: in both cases nobody's lock stays.
            if connection.recover().await.is_ok() {
                assert!(connection.is_clean());
            } else {
                assert!(connection.is_closed() && !connection.is_clean());
            }
            let waited = wait_for_row(&scratch).await;
            assert!(waited < Duration::from_secs(1), "verb {verb}, {polls} polls: {waited:?}");
        }
    }
}

static ROWS: Schema = Schema {
    name: "Rows",
    table: "t",
    prefix: None,
    columns: &[emr_core::ColumnDef {
        name: "a",
        field: "a",
        ty: SqlType::I64,
        nullable: true,
        generated: emr_core::Generated::No,
        read_only: false,
        redact: false,
        unique: false,
        default: None,
        sql_type: None,
        stamp: None,
        fit: Ok,
    }],
    primary_key: &[],
    associations: &[],
    extra_columns: &[],
};

#[tokio::test]
async fn a_dropped_bulk_insert_leaves_no_row() {
    let scratch = Scratch::new().await;
    table(&scratch).await;
    scratch
        .connect()
        .await
        .script(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN PERFORM pg_sleep(0.001); RETURN new; END'; \
             CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await
        .unwrap();
    for (size, returning) in [(1_500, true), (10_000, false), (30_000, true)] {
        let mut connection = scratch.connect().await;
        let rows = bulk(&ROWS, &[0], size, returning, |row, _| Value::I64(row.try_into().unwrap()));
        dropped_after(Duration::from_millis(200), connection.insert_many(&[], &rows, None)).await;
        assert!(connection.recover().await.is_err());
        assert_eq!(cell(&mut scratch.connect().await, "SELECT count(*) FROM t", &[]).await, Value::I64(1));
    }
}

#[tokio::test]
async fn a_dropped_connection_rolls_back() {
    let scratch = Scratch::new().await;
    table(&scratch).await;
    drop(holding(&scratch).await);
    assert!(wait_for_row(&scratch).await < Duration::from_secs(1));
    assert_eq!(cell(&mut scratch.connect().await, "SELECT a FROM t", &[]).await, Value::I64(2));
}

async fn terminate(connection: &mut Box<dyn Connection>) {
    let pid = cell(connection, "SELECT pg_backend_pid()", &[]).await;
    assert_eq!(cell(&mut connect().await, "SELECT pg_terminate_backend($1)", &[pid]).await, Value::Bool(true));
}

#[tokio::test]
async fn a_killed_session_is_a_lost_connection_in_the_servers_words() {
    let mut connection = connect().await;
    terminate(&mut connection).await;
    let error = loop {
        match run(&mut connection, "SELECT 1", &[]).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => break error,
        }
    };
    let ErrorKind::ConnectionLost { reason } = error.kind() else { panic!("{error}") };
    assert_eq!(reason, "terminating connection due to administrator command");
    assert!(connection.is_closed() && !connection.is_clean());
    assert!(connection.recover().await.unwrap_err().is_connection());
}

#[tokio::test]
async fn a_session_killed_while_it_works_is_a_lost_connection() {
    let scratch = Scratch::new().await;
    table(&scratch).await;
    let mut connection = holding(&scratch).await;
    let pid = cell(&mut connection, "SELECT pg_backend_pid()", &[]).await;
    let kill = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cell(&mut connect().await, "SELECT pg_terminate_backend($1)", &[pid]).await
    };
    let (result, _) = tokio::join!(run(&mut connection, "SELECT pg_sleep(30)", &[]), kill);
    assert!(matches!(result.unwrap_err().kind(), ErrorKind::ConnectionLost { .. }));
    assert!(!connection.is_clean());
    assert!(wait_for_row(&scratch).await < Duration::from_secs(1));
}

#[tokio::test]
async fn a_statement_cancelled_by_somebody_else_leaves_the_connection() {
    let mut connection = connect().await;
    let pid = cell(&mut connection, "SELECT pg_backend_pid()", &[]).await;
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cell(&mut connect().await, "SELECT pg_cancel_backend($1)", &[pid]).await
    };
    let (result, _) = tokio::join!(run(&mut connection, "SELECT pg_sleep(30)", &[]), cancel);
    assert!(matches!(result.unwrap_err().kind(), ErrorKind::Database { code, .. } if code == "57014"));
    assert!(connection.is_clean());
    assert_eq!(cell(&mut connection, "SELECT 1", &[]).await, Value::I32(1));
}

/// Passes bytes on; those of the first connection to the server late, once `slow` is set.
async fn proxy(to: String, slow: std::sync::Arc<std::sync::atomic::AtomicBool>) -> u16 {
    use std::sync::atomic::Ordering;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for first in std::iter::once(true).chain(std::iter::repeat(false)) {
            let (client, _) = listener.accept().await.unwrap();
            let server = tokio::net::TcpStream::connect(&to).await.unwrap();
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            let slow = std::sync::Arc::clone(&slow);
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                    if first && slow.load(Ordering::Relaxed) {
                        tokio::time::sleep(Duration::from_millis(300)).await;
                    }
                    to_server.write_all(&buffer[..read]).await.unwrap();
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_cancel_request_that_overtakes_its_statement_is_sent_again() {
    let scratch = Scratch::new().await;
    table(&scratch).await;
    let server = support::options();
    let address = format!("{}:{}", server.host.as_deref().unwrap(), server.port.unwrap_or(5432));
    let slow = std::sync::Arc::default();
    let port = proxy(address, std::sync::Arc::clone(&slow)).await;
    let options = server.host("127.0.0.1").port(port).extra("options", format!("-c search_path={}", scratch.name));
    let mut connection = support::connect_with(&options).await.unwrap();
    connection.query(&[BEGIN], &Sql::raw(LOCK), &[], Box::new(Discard)).await.unwrap();

    slow.store(true, std::sync::atomic::Ordering::Relaxed);
    let sleep = connection.script("SELECT pg_sleep(30)");
    assert!(poll_immediate(sleep).await.is_none());
    let waited = wait_for_row(&scratch).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}
