//! What a violated constraint is called.

use crate::common::{error, memory};
use emr_core::{ConstraintKind, ErrorKind, Value, Violation};

async fn violated(schema: &str, sql: &str) -> Violation {
    let mut db = memory().await;
    db.script(schema).await.expect(schema);
    let error = error(db.as_mut(), sql, &[]).await;
    error.violation().cloned().unwrap_or_else(|| panic!("{error:?}"))
}

fn names(violation: &Violation) -> (Option<&str>, Option<&str>, Vec<&str>) {
    let columns = violation.columns.iter().map(String::as_str).collect();
    (violation.name.as_deref(), violation.table.as_deref(), columns)
}

#[tokio::test]
async fn a_unique_index_is_known_by_its_columns() {
    let found =
        violated("create table t (a, b, unique (a, b)); insert into t values (1, 2)", "insert into t values (1, 2)")
            .await;
    assert_eq!(found.kind, ConstraintKind::Unique);
    assert_eq!(names(&found), (Some("t_a_b_index"), Some("t"), vec!["a", "b"]));

    let found =
        violated("create table t (id integer primary key); insert into t values (1)", "insert into t values (1)").await;
    assert_eq!(names(&found), (Some("t_id_index"), Some("t"), vec!["id"]));

    let found = violated(
        "create table t (id text primary key) without rowid; insert into t values (1)",
        "insert into t values (1)",
    )
    .await;
    assert_eq!(names(&found), (Some("t_id_index"), Some("t"), vec!["id"]));

    let found =
        violated("create table t (a); insert into t (rowid) values (1)", "insert into t (rowid) values (1)").await;
    assert_eq!(names(&found), (Some("t_rowid_index"), Some("t"), vec!["rowid"]));

    let found = violated(
        "create table t (a); create unique index \"on lower\" on t (lower(a)); insert into t values ('x')",
        "insert into t values ('X')",
    )
    .await;
    assert_eq!(names(&found), (Some("on lower"), None, vec![]));
}

#[tokio::test]
async fn names_with_anything_in_them_are_found() {
    let found = violated(
        r#"create table "Bücher, a.b" ("ISBN, alt" unique); insert into "Bücher, a.b" values (1)"#,
        r#"insert into "Bücher, a.b" values (1)"#,
    )
    .await;
    assert_eq!(names(&found), (Some("Bücher, a.b_ISBN, alt_index"), Some("Bücher, a.b"), vec!["ISBN, alt"]));

    let found = violated(r#"create table "a.b" ("c.d" not null)"#, r#"insert into "a.b" values (null)"#).await;
    assert_eq!(found.kind, ConstraintKind::NotNull);
    assert_eq!(names(&found), (None, Some("a.b"), vec!["c.d"]));
}

#[tokio::test]
async fn checks_have_their_name_or_their_text() {
    let found = violated("create table t (a, constraint positive check (a > 0))", "insert into t values (-1)").await;
    assert_eq!(found.kind, ConstraintKind::Check);
    assert_eq!(names(&found), (Some("positive"), None, vec![]));
    let found = violated("create table t (a check (a > 0))", "insert into t values (-1)").await;
    assert_eq!(names(&found), (Some("a > 0"), None, vec![]));
}

#[tokio::test]
async fn foreign_keys_of_both_sides_are_one_kind() {
    let tables = "create table p (id integer primary key); insert into p values (1);
                  create table c (p_id references p on delete restrict); insert into c values (1)";
    for sql in ["insert into c values (2)", "delete from p"] {
        assert_eq!(violated(tables, sql).await.kind, ConstraintKind::ForeignKey, "{sql}");
    }
}

#[tokio::test]
async fn what_a_trigger_raises_is_no_constraint() {
    let mut db = memory().await;
    db.script("create table t (a); create trigger no before insert on t begin select raise(abort, 'not today'); end")
        .await
        .expect("trigger");
    match error(db.as_mut(), "insert into t values (1)", &[]).await.kind() {
        ErrorKind::Database { code, message } => {
            assert_eq!((code.as_str(), message.as_str()), ("SQLITE_CONSTRAINT_TRIGGER", "not today"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn no_message_holds_a_bound_value() {
    let mut db = memory().await;
    db.script("create table t (a text unique check (length(a) > 3), n integer not null) strict").await.expect("table");
    let secret = || Value::Text("geheim-4711".into());
    db.script("insert into t values ('geheim-4711', 1)").await.expect("insert");
    for (sql, params) in [
        ("insert into t values (?1, 1)", vec![secret()]),
        ("insert into t values ('abcd', ?1)", vec![secret()]),
        ("select json(?1)", vec![secret()]),
        ("select ?1, ?2", vec![secret()]),
    ] {
        let error = error(db.as_mut(), sql, &params).await;
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("geheim-4711"), "{shown}");
    }
}
