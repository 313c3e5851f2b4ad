//! Statements, transactions, batches, cursors, errors.

mod support;

use emr_core::{Begin, Control, Discard, ErrorKind, IsolationLevel, PrepareMode, Sql, Step, TransactionFault, Value};
use support::{BEGIN, Keep, Scratch, cell, connect, kept, options, run};

#[tokio::test]
async fn a_statement_gives_its_rows_and_counts() {
    let scratch = Scratch::new().await;
    let mut connection = scratch.connect().await;
    connection.script("CREATE TABLE t (id int8 PRIMARY KEY, name text)").await.unwrap();

    let (_, done) =
        run(&mut connection, "INSERT INTO t VALUES ($1, $2), (2, NULL)", &[Value::I64(1), Value::Text("a".into())])
            .await
            .unwrap();
    assert_eq!(done.rows, 2);
    let (sink, done) =
        connection.query(&[], &Sql::raw("SELECT * FROM t ORDER BY id"), &[], Box::new(Keep::default())).await.unwrap();
    let keep = kept(sink);
    assert_eq!(done.rows, 2);
    assert_eq!(
        keep.columns.iter().map(|c| (&*c.name, &*c.type_name)).collect::<Vec<_>>(),
        [("id", "int8"), ("name", "text")]
    );
    assert_eq!(keep.rows[0], [Value::I64(1), Value::Text("a".into())]);
    assert_eq!(keep.rows[1], [Value::I64(2), Value::Null(emr_core::SqlType::Text)]);
    let (_, done) = run(&mut connection, "UPDATE t SET name = 'x'", &[]).await.unwrap();
    assert_eq!(done.rows, 2);
    let (rows, done) = run(&mut connection, "DELETE FROM t WHERE id = 7 RETURNING id", &[]).await.unwrap();
    assert_eq!((rows.len(), done.rows), (0, 0));
}

#[tokio::test]
async fn pg17_columns_are_described_also_without_rows_in_both_modes() {
    for prepare in [PrepareMode::Named, PrepareMode::Unnamed] {
        let mut connection = support::connect_with(&options().prepare(prepare)).await.unwrap();
        let sql = Sql::raw("SELECT 1::int2 AS a, 'x'::text AS b WHERE $1::bool");
        for (value, rows) in [(true, 1), (false, 0)] {
            let (sink, _) =
                connection.query(&[], &sql, &[Value::Bool(value)], Box::new(Keep::default())).await.unwrap();
            let keep = kept(sink);
            assert_eq!(keep.rows.len(), rows);
            let names: Vec<_> = keep.columns.iter().map(|c| format!("{} {}", c.name, c.type_name)).collect();
            assert_eq!(names, ["a int2", "b text"]);
        }
    }
}

#[tokio::test]
async fn wrong_numbers_of_parameters_name_both() {
    let mut connection = connect().await;
    let error = run(&mut connection, "SELECT $1::int8 + $2::int8", &[Value::I64(1)]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
    assert!(error.to_string().contains("2 parameters") && error.to_string().contains("1 values"), "{error}");
    assert!(connection.is_clean());
}

#[tokio::test]
async fn empty_and_several_statements_are_refused_with_advice() {
    let mut connection = connect().await;
    for sql in ["", "  ", "-- nothing"] {
        let error = run(&mut connection, sql, &[]).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
    }
    let error = run(&mut connection, "SELECT 1; SELECT 2", &[]).await.unwrap_err();
    assert!(error.to_string().contains("one statement per call"), "{error}");
    let error = run(&mut connection, "SELECT 1 \0", &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
    assert_eq!(cell(&mut connection, "SELECT 4 + 5", &[]).await, Value::I32(9));
}

#[tokio::test]
async fn functions_without_a_result_give_an_empty_text() {
    let mut connection = connect().await;
    assert_eq!(cell(&mut connection, "SELECT pg_sleep(0)", &[]).await, Value::Text("".into()));
}

#[tokio::test]
async fn s1_a_changed_table_is_prepared_again_outside_a_transaction() {
    let scratch = Scratch::new().await;
    let mut connection = scratch.connect().await;
    connection.script("CREATE TABLE t (a int4); INSERT INTO t VALUES (7)").await.unwrap();
    assert_eq!(cell(&mut connection, "SELECT * FROM t", &[]).await, Value::I32(7));
    let mut other = scratch.connect().await;

    other.script("ALTER TABLE t ALTER a TYPE text").await.unwrap();
    assert_eq!(cell(&mut connection, "SELECT * FROM t", &[]).await, Value::Text("7".into()));

    connection.script("DEALLOCATE ALL").await.unwrap();
    assert_eq!(cell(&mut connection, "SELECT * FROM t", &[]).await, Value::Text("7".into()));

    other.script("ALTER TABLE t ALTER a TYPE int8 USING a::int8").await.unwrap();
    connection.control(&[BEGIN]).await.unwrap();
    let error = run(&mut connection, "SELECT * FROM t", &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Database { code, .. } if code == "0A000"), "{error}");
    connection.control(&[Control::Rollback]).await.unwrap();
    assert_eq!(cell(&mut connection, "SELECT * FROM t", &[]).await, Value::I64(7));
}

#[tokio::test]
async fn s2_a_parameter_whose_column_changed_is_prepared_again() {
    let scratch = Scratch::new().await;
    let mut connection = scratch.connect().await;
    connection.script("CREATE TABLE t (a text)").await.unwrap();
    let insert = "INSERT INTO t VALUES ($1)";
    run(&mut connection, insert, &[Value::Text("1".into())]).await.unwrap();
    scratch.connect().await.script("ALTER TABLE t ALTER a TYPE uuid USING NULL").await.unwrap();
    let id = Value::Uuid("6f1b7a52-6c31-4b8e-9d3a-0d4b6a1f2c11".parse().unwrap());
    // The kept statement takes a text. Before a value is refused for that, the server is asked anew.
    connection.control(&[BEGIN]).await.unwrap();
    run(&mut connection, insert, &[id]).await.unwrap();
    connection.control(&[Control::Commit]).await.unwrap();
    let error = run(&mut connection, insert, &[Value::Text("x".into())]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Encode { expected, .. } if expected == "uuid"), "{error}");
}

#[tokio::test]
async fn transactions_commit_roll_back_and_nest() {
    let scratch = Scratch::new().await;
    let mut connection = scratch.connect().await;
    connection.script("CREATE TABLE t (a int8)").await.unwrap();
    let insert = Sql::raw("INSERT INTO t VALUES ($1)");

    let begin = Control::Begin(Begin { isolation: Some(IsolationLevel::Serializable), ..Begin::default() });
    connection.query(&[begin], &insert, &[Value::I64(1)], Box::new(Discard)).await.unwrap();
    assert!(connection.in_transaction() && !connection.is_clean());
    assert_eq!(cell(&mut connection, "SHOW transaction_isolation", &[]).await, Value::Text("serializable".into()));
    connection.query(&[Control::Savepoint(1)], &insert, &[Value::I64(2)], Box::new(Discard)).await.unwrap();
    connection.control(&[Control::RollbackTo(1)]).await.unwrap();
    connection.query(&[Control::Savepoint(1)], &insert, &[Value::I64(3)], Box::new(Discard)).await.unwrap();
    connection.control(&[Control::Release(1), Control::Commit]).await.unwrap();
    assert!(connection.is_clean());

    connection.query(&[BEGIN], &insert, &[Value::I64(4)], Box::new(Discard)).await.unwrap();
    connection.control(&[Control::Rollback]).await.unwrap();
    let (rows, _) = run(&mut connection, "SELECT a FROM t ORDER BY a", &[]).await.unwrap();
    assert_eq!(rows, [[Value::I64(1)], [Value::I64(3)]]);
}

#[tokio::test]
async fn read_only_transactions_and_repos_refuse_writes() {
    let scratch = Scratch::with(options()).await;
    let mut connection = scratch.connect().await;
    connection.script("CREATE TABLE t (a int8)").await.unwrap();
    let begin = Control::Begin(Begin { read_only: true, ..Begin::default() });
    let insert = Sql::raw("INSERT INTO t VALUES (1)");
    let error = connection.query(&[begin], &insert, &[], Box::new(Discard)).await.map(|_| ()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Database { code, .. } if code == "25006"), "{error}");

    let read_only = Scratch::with(options().read_only(true)).await;
    let mut connection = read_only.connect().await;
    let error = connection.script("CREATE TABLE t (a int8)").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Database { code, .. } if code == "25006"), "{error}");
}

#[tokio::test]
async fn a_commit_of_an_aborted_transaction_is_an_error_and_ends_it() {
    let scratch = Scratch::new().await;
    let mut connection = scratch.connect().await;
    connection.script("CREATE TABLE t (a int8)").await.unwrap();
    let insert = Sql::raw("INSERT INTO t VALUES (1)");
    connection.query(&[BEGIN], &insert, &[], Box::new(Discard)).await.unwrap();
    run(&mut connection, "SELECT 1 / 0", &[]).await.unwrap_err();

    let error = run(&mut connection, "SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Transaction(TransactionFault::Aborted));
    let error = connection.control(&[Control::Commit]).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Transaction(TransactionFault::Aborted));
    assert!(connection.is_clean());
    assert_eq!(cell(&mut connection, "SELECT count(*) FROM t", &[]).await, Value::I64(0));
}

#[tokio::test]
async fn a_rollback_to_a_savepoint_mends_an_aborted_transaction() {
    let mut connection = connect().await;
    connection.control(&[BEGIN, Control::Savepoint(1)]).await.unwrap();
    run(&mut connection, "SELECT 1 / 0", &[]).await.unwrap_err();
    connection.control(&[Control::RollbackTo(1)]).await.unwrap();
    assert_eq!(cell(&mut connection, "SELECT 1", &[]).await, Value::I32(1));
    connection.control(&[Control::Commit]).await.unwrap();
}

#[tokio::test]
async fn a_commit_that_fails_ends_the_transaction() {
    let scratch = Scratch::new().await;
    let mut connection = scratch.connect().await;
    connection.script("CREATE TABLE t (a int8 UNIQUE DEFERRABLE INITIALLY DEFERRED)").await.unwrap();
    let insert = Sql::raw("INSERT INTO t VALUES (1), (1)");
    connection.query(&[BEGIN], &insert, &[], Box::new(Discard)).await.unwrap();
    assert!(connection.control(&[Control::Commit]).await.unwrap_err().is_unique_violation());
    assert!(connection.is_clean());
}

#[tokio::test]
async fn levels_that_the_server_does_not_have_are_refused() {
    let mut connection = connect().await;
    for level in [IsolationLevel::Snapshot, IsolationLevel::ReadUncommitted] {
        let begin = Control::Begin(Begin { isolation: Some(level), ..Begin::default() });
        assert!(connection.control(&[begin]).await.unwrap_err().is_unsupported());
    }
    assert!(connection.is_clean());
}

#[tokio::test]
async fn a_script_that_fails_in_its_own_transaction_leaves_none_open() {
    let mut connection = connect().await;
    connection.script("BEGIN; SELECT 1 / 0; COMMIT").await.unwrap_err();
    assert_eq!(cell(&mut connection, "SELECT 1", &[]).await, Value::I32(1));
}

fn step(sql: &str, params: Vec<Value<'static>>) -> Step<'static> {
    Step { sql: Sql::raw(sql), params, sink: Box::new(Keep::default()) }
}

#[tokio::test]
async fn a_batch_answers_each_step_in_order() {
    for prepare in [PrepareMode::Named, PrepareMode::Unnamed] {
        let mut connection = support::connect_with(&options().prepare(prepare)).await.unwrap();
        // The first answer is far larger than any buffer: a batch that waited for the second would hang.
        let mut steps = vec![step("SELECT generate_series(1, $1::int8)", vec![Value::I64(200_000)])];
        steps.extend((0..40).map(|n| step("SELECT $1::int8 * 2", vec![Value::I64(n)])));
        steps.push(step("SELECT 1 / $1::int4", vec![Value::I32(0)]));
        steps.push(step("SELECT 'last'::text", vec![]));
        let mut results = connection.batch(&[], steps).await.unwrap();
        assert_eq!(results.len(), 43);
        assert!(connection.is_clean());
        let last = kept(results.pop().unwrap().unwrap().0).rows;
        assert_eq!(last, [[Value::Text("last".into())]]);
        let failed = results.pop().unwrap().map(|_| ()).unwrap_err();
        assert!(matches!(failed.kind(), ErrorKind::Database { code, .. } if code == "22012"), "{failed}");
        for (n, result) in (0..).zip(results.drain(1..)) {
            assert_eq!(kept(result.unwrap().0).rows, [[Value::I64(n * 2)]]);
        }
        assert_eq!(kept(results.pop().unwrap().unwrap().0).rows.len(), 200_000);
    }
}

#[tokio::test]
async fn a_step_that_cannot_run_does_not_keep_the_others_from_running() {
    let mut connection = connect().await;
    let steps = vec![
        step("SELECT $1::int2", vec![Value::I64(70_000)]),
        step("SELECT nonsense", vec![]),
        step("SELECT $1::int8", vec![]),
        step("SELECT 1", vec![]),
    ];
    let results = connection.batch(&[], steps).await.unwrap();
    assert!(matches!(results[0].as_ref().map(|_| ()).unwrap_err().kind(), ErrorKind::Encode { .. }));
    assert!(matches!(results[1].as_ref().map(|_| ()).unwrap_err().kind(), ErrorKind::Database { .. }));
    assert!(matches!(results[2].as_ref().map(|_| ()).unwrap_err().kind(), ErrorKind::InvalidCall { .. }));
    assert!(results[3].is_ok());
}

#[tokio::test]
async fn a_batch_prepares_again_what_has_changed() {
    let scratch = Scratch::new().await;
    let mut connection = scratch.connect().await;
    connection.script("CREATE TABLE t (a int4); INSERT INTO t VALUES (7)").await.unwrap();
    run(&mut connection, "SELECT * FROM t", &[]).await.unwrap();
    scratch.connect().await.script("ALTER TABLE t ALTER a TYPE text").await.unwrap();
    let results = connection.batch(&[], vec![step("SELECT * FROM t", vec![]), step("SELECT 1", vec![])]).await.unwrap();
    let rows: Vec<_> = results.into_iter().map(|result| kept(result.unwrap().0).rows).collect();
    assert_eq!(rows, [vec![vec![Value::Text("7".into())]], vec![vec![Value::I32(1)]]]);
}

#[tokio::test]
async fn a_sink_that_fails_early_keeps_the_connection_and_late_ends_it() {
    let mut connection = connect().await;
    let sink = |fail_at| Box::new(Keep { fail_at: Some(fail_at), ..Keep::default() });
    let few = Sql::raw("SELECT generate_series(1, 100)");
    let error = connection.query(&[], &few, &[], sink(3)).await.map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "the sink is full");
    assert_eq!(cell(&mut connection, "SELECT 1", &[]).await, Value::I32(1));

    let many = Sql::raw("SELECT generate_series(1, 10000000)");
    let started = std::time::Instant::now();
    let error = connection.query(&[], &many, &[], sink(3)).await.map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "the sink is full");
    assert!(!connection.is_clean());
    assert!(connection.recover().await.unwrap_err().is_connection());
    assert!(started.elapsed() < std::time::Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_cursor_gives_rows_as_they_are_asked_for() {
    let mut connection = connect().await;
    let sql = Sql::raw("SELECT n FROM generate_series(1, $1::int8) n");
    let no_transaction = connection.open_cursor(&[], &sql, &[Value::I64(7)]).await.unwrap_err();
    assert!(matches!(no_transaction.kind(), ErrorKind::InvalidCall { .. }));

    let cursor = connection.open_cursor(&[BEGIN], &sql, &[Value::I64(7)]).await.unwrap();
    let mut seen = Vec::new();
    let mut ends = Vec::new();
    for size in [3, 3, 3] {
        let (sink, done) = connection.fetch(cursor, size, Box::new(Keep::default())).await.unwrap();
        seen.extend(kept(sink).rows.into_iter().flatten());
        ends.push(done.end);
    }
    assert_eq!(seen, (1..=7).map(Value::I64).collect::<Vec<_>>());
    assert_eq!(ends, [false, false, true]);
    connection.close_cursor(cursor).await.unwrap();
    let closed = connection.fetch(cursor, 1, Box::new(Keep::default())).await.map(|_| ()).unwrap_err();
    assert!(matches!(closed.kind(), ErrorKind::InvalidCall { .. }), "{closed}");
    assert!(connection.in_transaction());
    connection.control(&[Control::Commit]).await.unwrap();
}

#[tokio::test]
async fn two_cursors_are_read_side_by_side_and_end_with_recover() {
    let mut connection = connect().await;
    let sql = Sql::raw("SELECT n FROM generate_series(1, 1000000) n");
    let one = connection.open_cursor(&[BEGIN], &sql, &[]).await.unwrap();
    let two = connection.open_cursor(&[], &sql, &[]).await.unwrap();
    for cursor in [one, two, one, two] {
        let (sink, done) = connection.fetch(cursor, 10, Box::new(Keep::default())).await.unwrap();
        assert_eq!((kept(sink).rows.len(), done.end), (10, false));
    }
    let started = std::time::Instant::now();
    connection.recover().await.unwrap();
    assert!(started.elapsed() < std::time::Duration::from_millis(200));
    assert!(connection.is_clean());
    assert_eq!(
        cell(&mut connection, "SELECT count(*) FROM pg_cursors WHERE name LIKE 'emr%'", &[]).await,
        Value::I64(0)
    );
}

#[tokio::test]
async fn a_cursor_refuses_values_and_statements_as_a_query_does() {
    let mut connection = connect().await;
    let sql = Sql::raw("SELECT $1::int2");
    let error = connection.open_cursor(&[BEGIN], &sql, &[Value::I64(70_000)]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Encode { .. }), "{error}");
    let error = connection.open_cursor(&[], &Sql::raw("SELECT nonsense"), &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Database { .. }), "{error}");
    connection.recover().await.unwrap();
}

#[tokio::test]
async fn violations_name_constraint_table_and_columns_and_no_values() {
    let scratch = Scratch::new().await;
    let mut connection = scratch.connect().await;
    connection
        .script(
            "CREATE TABLE parent (id int8 PRIMARY KEY, mail text, area text, \
             CONSTRAINT mail_key UNIQUE (mail, area), CONSTRAINT no_x CHECK (mail <> 'geheim-x')); \
             CREATE TABLE child (parent_id int8 NOT NULL CONSTRAINT of_parent REFERENCES parent, \
             during int8range, CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&)); \
             CREATE UNIQUE INDEX lower_mail ON parent (lower(mail)); \
             INSERT INTO parent VALUES (1, 'geheim', 'a'), (2, 'other', 'b')",
        )
        .await
        .unwrap();
    let cases = [
        ("INSERT INTO parent VALUES (3, 'geheim', 'a')", "Unique", "mail_key", "parent", vec!["mail", "area"]),
        ("INSERT INTO parent VALUES (3, 'GEHEIM', 'a')", "Unique", "lower_mail", "parent", vec![]),
        ("INSERT INTO parent VALUES (3, 'geheim-x', 'a')", "Check", "no_x", "parent", vec![]),
        ("INSERT INTO child VALUES (9)", "ForeignKey", "of_parent", "child", vec!["parent_id"]),
        ("INSERT INTO child VALUES (1, '[1,5)')", "", "", "", vec![]),
        ("INSERT INTO child VALUES (1, '[2,3)')", "Exclusion", "no_overlap", "child", vec!["during"]),
        ("INSERT INTO child VALUES (NULL)", "NotNull", "", "child", vec!["parent_id"]),
        ("DELETE FROM parent WHERE id = 1", "ForeignKey", "of_parent", "child", vec![]),
    ];
    for (sql, kind, name, table, columns) in cases {
        let result = run(&mut connection, sql, &[]).await;
        if kind.is_empty() {
            result.unwrap();
            continue;
        }
        let error = result.unwrap_err();
        let violation = error.violation().unwrap_or_else(|| panic!("{sql}: {error}"));
        assert_eq!(format!("{:?}", violation.kind), kind, "{sql}");
        assert_eq!(violation.name.as_deref().unwrap_or_default(), name, "{sql}");
        assert_eq!(violation.table.as_deref(), Some(table), "{sql}");
        assert_eq!(violation.columns, columns, "{sql}");
        assert!(!format!("{error} {error:?}").to_lowercase().contains("geheim"), "{error:?}");
    }
    assert!(connection.is_clean());
}

#[tokio::test]
async fn a_locked_row_with_nowait_is_a_kind_of_its_own() {
    let scratch = Scratch::new().await;
    let mut one = scratch.connect().await;
    one.script("CREATE TABLE t (a int8); INSERT INTO t VALUES (1)").await.unwrap();
    one.query(&[BEGIN], &Sql::raw("SELECT * FROM t FOR UPDATE"), &[], Box::new(Discard)).await.unwrap();
    let error = run(&mut scratch.connect().await, "SELECT * FROM t FOR UPDATE NOWAIT", &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::LockNotAvailable { .. }), "{error}");
}

#[tokio::test]
async fn deadlocks_and_serialization_failures_may_be_retried() {
    let scratch = Scratch::new().await;
    let (mut one, mut two) = (scratch.connect().await, scratch.connect().await);
    one.script("CREATE TABLE t (a int8); INSERT INTO t VALUES (1), (2)").await.unwrap();
    for connection in [&mut one, &mut two] {
        connection.script("SET deadlock_timeout = '50ms'").await.unwrap();
    }
    let lock = Sql::raw("SELECT * FROM t WHERE a = $1 FOR UPDATE");
    let (first, second) = ([Value::I64(1)], [Value::I64(2)]);
    one.query(&[BEGIN], &lock, &first, Box::new(Discard)).await.unwrap();
    two.query(&[BEGIN], &lock, &second, Box::new(Discard)).await.unwrap();
    let (a, b) = tokio::join!(
        one.query(&[], &lock, &second, Box::new(Discard)),
        two.query(&[], &lock, &first, Box::new(Discard))
    );
    let errors: Vec<_> = [a.err(), b.err()].into_iter().flatten().collect();
    assert_eq!(errors.len(), 1);
    assert!(matches!(errors[0].kind(), ErrorKind::Deadlock { .. }) && errors[0].is_retryable(), "{}", errors[0]);
    for connection in [&mut one, &mut two] {
        connection.recover().await.unwrap();
    }

    let begin = Control::Begin(Begin { isolation: Some(IsolationLevel::RepeatableRead), ..Begin::default() });
    one.query(&[begin], &Sql::raw("SELECT * FROM t"), &[], Box::new(Discard)).await.unwrap();
    run(&mut two, "UPDATE t SET a = a + 10", &[]).await.unwrap();
    let error = run(&mut one, "UPDATE t SET a = a + 1", &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Serialization { .. }), "{error}");
}
