//! Deadlines, pools, hostile names and values, reports.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use emr::QueryLog;
use emr::prelude::*;

use crate::harness::{Backend, Db, assert_unsupported, assert_unsupported_in_part};
use crate::schemas::{Permalink, Post, Reading, post, titles};
use crate::transactions::slow_sql;

db_cases![
    a_slow_statement_is_cancelled_at_its_timeout,
    a_dropped_call_frees_its_lock,
    two_hundred_tasks_on_four_connections,
    a_pool_exhausted_by_transactions_says_so,
    a_wrong_number_of_parameters,
    several_statements_in_one_query,
    wrong_sql_gives_the_servers_message,
    a_table_that_does_not_exist,
    a_column_missing_in_the_table,
    null_where_the_struct_has_no_option,
    s17_s18_s19_s20_s21_hostile_identifiers_and_values,
    a_text_of_five_megabytes,
    l7_the_query_log_sees_every_statement_and_no_secret,
    a_read_only_repo_refuses_writes,
    s14_disconnect_all_closes_connections,
    statements_after_connect_are_run,
    locks_need_a_transaction,
    r8_be2_prefixes_reach_other_schemas,
    r14_r62_r73_r82_a_prefix_that_does_not_exist,
    plans_survive_a_changed_table,
    s1_s2_plans_survive_a_changed_column_type,
];

async fn a_slow_statement_is_cancelled_at_its_timeout(db: &Db) {
    let started = Instant::now();
    let error = db.repo.with_timeout(Duration::from_millis(200)).query(slow_sql(db.backend), &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout { after } if *after >= Duration::from_millis(200)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(1));
    // The connection is used again, or replaced, as if nothing had been.
    assert_eq!(db.repo.query("select 1", &[]).await.unwrap().len(), 1);
}

async fn a_dropped_call_frees_its_lock(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let row = post(&db.repo, "x").await;
    let slow_update = match db.backend {
        Backend::Sqlite => {
            "update posts set visits = (with recursive n(i) as (select 1 union all select i + 1 from n limit 2000000000) \
             select count(*) from n)"
        }
        Backend::Postgres => "update posts set visits = visits + (select 1 from (select pg_sleep(30)) s)",
        Backend::Mariadb | Backend::Mysql => "update posts set visits = visits + sleep(30)",
    };
    let call = tokio::time::timeout(Duration::from_millis(200), db.repo.query(slow_update, &[]));
    assert!(call.await.is_err());
    let started = Instant::now();
    let other = db.other().await;
    other.update_all(Post::query().filter(Post::ID.eq(row.id)).inc(Post::VISITS, 1)).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(db.repo.fetch::<Post>(row.id).await.unwrap().visits, 1);
}

async fn two_hundred_tasks_on_four_connections(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let repo = emr::open(db.options().pool_size(4)).await.unwrap();
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let repo = repo.clone();
            tokio::spawn(async move {
                let post = post(&repo, &n.to_string()).await;
                for _ in 0..5 {
                    assert_eq!(repo.fetch::<Post>(post.id).await.unwrap().title, n.to_string());
                }
                repo.transaction(async |tx| tx.update(post.change().set(Post::VISITS, 1)).await).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(repo.count(Post::query().filter(Post::VISITS.eq(1))).await.unwrap(), 200);
    assert!(repo.stats().connections <= 4, "{:?}", repo.stats());
}

async fn a_pool_exhausted_by_transactions_says_so(db: &Db) {
    let repo = emr::open(db.options().pool_size(1).timeout(Duration::from_millis(150))).await.unwrap();
    let tx = repo.begin().await.unwrap();
    tx.query("select 1", &[]).await.unwrap();
    let error = repo.query("select 1", &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::PoolTimeout { in_use: 1, in_transactions: 1, .. }), "{error:?}");
    assert!(error.to_string().contains("open transactions"), "{error}");
    tx.rollback().await.unwrap();
    assert_eq!(repo.query("select 1", &[]).await.unwrap().len(), 1);
}

async fn a_wrong_number_of_parameters(db: &Db) {
    for (sql, params) in
        [("select $1", vec![]), ("select 1", vec![&1_i64 as &dyn emr::ToParam]), ("select $1 || $2", vec![&"a" as _])]
    {
        let error = db.repo.query(&db.backend.sql(sql), &params).await.unwrap_err();
        let ErrorKind::InvalidCall { problem } = error.kind() else { panic!("{sql}: {error:?}") };
        assert!(problem.contains("parameter"), "{problem}");
    }
}

async fn several_statements_in_one_query(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let error = db.repo.query("delete from posts; select 1", &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. } | ErrorKind::Database { .. }), "{error:?}");
    db.repo.script("insert into posts (title) values ('a'); insert into posts (title) values ('b;c')").await.unwrap();
    assert_eq!(titles(&db.repo).await, ["a", "b;c"]);
    assert!(db.repo.query("", &[]).await.is_err());
    assert!(db.repo.query("  -- nothing", &[]).await.is_err());
}

async fn wrong_sql_gives_the_servers_message(db: &Db) {
    let error = db.repo.query("selec 1", &[]).await.unwrap_err();
    let ErrorKind::Database { code, message } = error.kind() else { panic!("{error:?}") };
    assert!(message.contains("selec"), "{message}");
    assert!(!code.is_empty());
    assert_eq!(error.repo(), Some(db.repo.id()));
}

async fn a_table_that_does_not_exist(db: &Db) {
    assert!(matches!(db.repo.all(Post::query()).await.unwrap_err().kind(), ErrorKind::Database { .. }));
    assert!(db.repo.insert(Post::build().set(Post::TITLE, "x")).await.is_err());
    assert!(db.repo.drop_table::<Post>().await.is_err());
    db.repo.drop_table_if_exists::<Post>().await.unwrap();
    db.repo.create_table::<Post>().await.unwrap();
    assert!(db.repo.create_table::<Post>().await.is_err());
    post(&db.repo, "x").await;
}

async fn a_column_missing_in_the_table(db: &Db) {
    db.repo.script("CREATE TABLE posts (id BIGINT PRIMARY KEY, title TEXT NOT NULL)").await.unwrap();
    let error = db.repo.all(Post::query()).await.unwrap_err();
    assert!(error.to_string().contains("body"), "{error}");
}

async fn null_where_the_struct_has_no_option(db: &Db) {
    db.repo.script("CREATE TABLE readings (sensor TEXT, value DOUBLE PRECISION)").await.unwrap();
    db.repo.script("INSERT INTO readings (value) VALUES (1)").await.unwrap();
    let error = db.repo.all(Reading::query()).await.unwrap_err();
    let ErrorKind::Decode { table, column, expected, found } = error.kind() else { panic!("{error:?}") };
    assert_eq!((table.as_str(), column.as_str(), found.as_str()), ("readings", "sensor", "NULL"));
    assert!(expected.contains("Option"), "{expected}");
}

async fn s17_s18_s19_s20_s21_hostile_identifiers_and_values(db: &Db) {
    #[derive(Syncable, Debug, Clone, PartialEq)]
    #[emr(table = "robert'); DROP TABLE \"students\"; --")]
    struct Hostile {
        id: i64,
        #[emr(column = "a \"quoted\" näme; 表")]
        name: String,
        #[emr(column = "select")]
        keyword: Option<i32>,
    }
    db.repo.create_table::<Hostile>().await.unwrap();
    let values = [
        "'; DROP TABLE students; --",
        "\"\\%_[]{}$1 ?1 @p1 :x",
        "𝄞 naïve ﷽ \u{202e}rtl",
        "",
        "line\nbreak\ttab\r",
        "?",
    ];
    for value in values {
        let row = db.repo.insert(Hostile::build().set(Hostile::NAME, value)).await.unwrap();
        assert_eq!(row.name, value);
        assert_eq!(db.repo.get_by::<Hostile>(Hostile::NAME.eq(value)).await.unwrap(), Some(row.clone()));
        let row = db.repo.update(row.change().set(Hostile::KEYWORD, 7)).await.unwrap();
        assert_eq!(db.repo.fetch::<Hostile>(row.id).await.unwrap().keyword, Some(7));
        let row = db.repo.update(row.change().set(Hostile::NAME, format!("{value}'x"))).await.unwrap();
        assert_eq!(db.repo.fetch::<Hostile>(row.id).await.unwrap().name, format!("{value}'x"));
        let many = (0..3).map(|_| Hostile::build().set(Hostile::NAME, format!("'{value}")));
        assert_eq!(db.repo.insert_all(many).await.unwrap(), 3);
        let three = || Hostile::query().filter(Hostile::NAME.eq(format!("'{value}")));
        assert_eq!(db.repo.count(three()).await.unwrap(), 3);
        assert_eq!(db.repo.update_all(three().set(Hostile::NAME, format!("''{value}"))).await.unwrap(), 3);
        let renamed = || Hostile::query().filter(Hostile::NAME.eq(format!("''{value}")));
        assert_eq!(db.repo.all(renamed()).await.unwrap().len(), 3);
        assert_eq!(db.repo.delete_all(renamed()).await.unwrap(), 3);
        db.repo.update(row.change().set(Hostile::NAME, value)).await.unwrap();
    }
    let prefix = db.repo.query(&db.backend.sql("select $1"), &[&"'); drop table x; --"]).await.unwrap();
    assert_eq!(prefix.scalar::<String>().unwrap(), "'); drop table x; --");
    assert_eq!(db.repo.count(Hostile::query()).await.unwrap(), 6);
    db.repo.drop_table::<Hostile>().await.unwrap();
    for wrong in ["", "a\0b"] {
        let error = db.repo.all(Post::query().prefix(wrong)).await.unwrap_err();
        match error.kind() {
            ErrorKind::InvalidCall { .. } => {}
            _ => assert_unsupported_in_part(&error),
        }
    }
}

async fn a_text_of_five_megabytes(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let long: String = "0123456789 ünï ".chars().cycle().take(5 * 1024 * 1024).collect();
    let stored = db.repo.insert(Post::build().set(Post::TITLE, "long").set(Post::BODY, long.as_str())).await.unwrap();
    assert!(stored.body.as_ref() == Some(&long));
    assert!(db.repo.fetch::<Post>(stored.id).await.unwrap().body == Some(long.clone()));
    assert!(db.repo.exists(Post::query().filter(Post::BODY.eq(long))).await.unwrap());
}

async fn l7_the_query_log_sees_every_statement_and_no_secret(db: &Db) {
    #[derive(Syncable, Debug, Clone, PartialEq)]
    #[emr(table = "accounts")]
    struct Account {
        id: i64,
        name: String,
        #[emr(redact)]
        token: String,
    }
    let log = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&log);
    let hook = QueryLog::new(move |event| written.lock().unwrap().push(format!("{event:?}")));
    let repo = emr::open(db.options().log(hook)).await.unwrap();
    repo.create_table::<Account>().await.unwrap();
    let changes = Account::build().set(Account::NAME, "ada").set(Account::TOKEN, "s3cret-token");
    assert!(!format!("{changes:?}").contains("s3cret"), "{changes:?}");
    let account = repo.insert(changes).await.unwrap();
    repo.get_by::<Account>(Account::TOKEN.eq("s3cret-token")).await.unwrap();
    repo.all(Account::query().filter(Account::TOKEN.in_list(["s3cret-token"]))).await.unwrap();
    repo.update(account.change().set(Account::TOKEN, "s3cret-two")).await.unwrap();
    let error =
        repo.insert(Account { id: account.id, name: "bob".into(), token: "s3cret-three".into() }).await.unwrap_err();
    assert!(error.is_unique_violation());
    let error = repo.insert(Account { id: 9, name: "eve".into(), token: "s3cret\0nul".into() }).await;
    if let Err(error) = error {
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
    let log = log.lock().unwrap();
    // Where nothing comes back of an update, or of an insert, it has a transaction, in which the row is read again.
    let (count, first, failed) = match db.backend {
        Backend::Mysql => (18, 2, 12),
        Backend::Mariadb => (10, 1, 8),
        Backend::Sqlite | Backend::Postgres => (7, 1, 5),
    };
    assert_eq!(log.len(), count, "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("s3cret")), "{log:#?}");
    let insert = &log[first];
    assert!(insert.contains("ada") && insert.contains("<redacted>") && insert.contains("INSERT"), "{insert}");
    assert!(log[failed].contains("error: Some"), "{}", log[failed]);
}

async fn a_read_only_repo_refuses_writes(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let repo = emr::open(db.options().read_only(true)).await.unwrap();
    assert_eq!(repo.count(Post::query()).await.unwrap(), 0);
    let error = repo.insert(Post::build().set(Post::TITLE, "x")).await.unwrap_err();
    assert!(error.to_string().contains("read-only"), "{error}");
    assert!(repo.query("insert into posts (title) values ('x')", &[]).await.is_err());
    assert_eq!(db.repo.count(Post::query()).await.unwrap(), 0);
}

async fn s14_disconnect_all_closes_connections(db: &Db) {
    db.repo.query("select 1", &[]).await.unwrap();
    assert!(db.repo.stats().connections > 0);
    let checkout = db.repo.checkout().await.unwrap();
    db.repo.disconnect_all();
    assert_eq!(db.repo.stats().idle_connections, 0);
    checkout.query("select 1", &[]).await.unwrap();
    drop(checkout);
    for _ in 0..100 {
        if db.repo.stats().connections == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(db.repo.stats().connections, 0);
    assert_eq!(db.repo.query("select 1", &[]).await.unwrap().len(), 1);
}

async fn statements_after_connect_are_run(db: &Db) {
    let repo = emr::open(db.options().after_connect("create temporary table hello (n integer)")).await.unwrap();
    assert_eq!(repo.query("select count(*) from hello", &[]).await.unwrap().scalar::<i64>().unwrap(), 0);
    let repo = emr::open(db.options().after_connect("nonsense")).await.unwrap();
    let error = repo.query("select 1", &[]).await.unwrap_err();
    let ErrorKind::ConnectFailed { cause, reason, .. } = error.kind() else { panic!("{error:?}") };
    assert_eq!(*cause, emr::ConnectFailure::AfterConnect);
    assert!(reason.contains("nonsense"), "{reason}");
}

async fn locks_need_a_transaction(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let row = post(&db.repo, "x").await;
    for error in [
        db.repo.all(Post::query().lock(Lock::UPDATE)).await.unwrap_err(),
        db.repo.one(Post::query().lock(Lock::SHARE)).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("transaction"), "{error}");
    }
    let tx = db.repo.begin().await.unwrap();
    let locked = tx.fetch::<Post>(row.id).lock(Lock::UPDATE).await;
    if db.backend == Backend::Sqlite {
        let error = locked.unwrap_err();
        assert_unsupported(&error);
        assert!(error.to_string().contains("row locks"), "{error}");
        return;
    }
    assert_eq!(locked.unwrap(), row);
    let other = db.other().await;
    let theirs = other.begin().await.unwrap();
    let error = theirs.fetch::<Post>(row.id).lock(Lock::NO_KEY_UPDATE.nowait()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::LockNotAvailable { .. }), "{error:?}");
    drop(theirs);
    let theirs = other.begin().await.unwrap();
    assert_eq!(theirs.all(Post::query().lock(Lock::UPDATE.skip_locked())).await.unwrap(), []);
    assert_eq!(theirs.all(Post::query()).await.unwrap(), [row]);
}

async fn r8_be2_prefixes_reach_other_schemas(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    if db.backend == Backend::Sqlite {
        let error = db.repo.all(Post::query().prefix("other")).await.unwrap_err();
        assert_unsupported(&error);
        assert!(error.to_string().contains("prefixes"), "{error}");
        return;
    }
    let schema = format!("{}_\"other\"", db.own_schema().await);
    let quoted = match db.backend {
        Backend::Postgres => format!("\"{}\"", schema.replace('"', "\"\"")),
        _ => format!("`{schema}`"),
    };
    db.repo.script(&format!("CREATE SCHEMA {quoted}")).await.unwrap();
    let there = db.repo.with_prefix(schema.as_str());
    there.create_table::<Post>().await.unwrap();
    let row = there.insert(Post::build().set(Post::TITLE, "there")).await.unwrap();
    there.insert_all([Post { id: 99, ..row.clone() }]).await.unwrap();
    assert_eq!(there.count(Post::query()).await.unwrap(), 2);
    assert_eq!(db.repo.count(Post::query()).await.unwrap(), 0);
    assert_eq!(db.repo.count(Post::query().prefix(schema.clone())).await.unwrap(), 2);
    assert_eq!(there.update(row.change().set(Post::TITLE, "new")).await.unwrap().title, "new");
    there.delete(&row).await.unwrap();
    let tx = db.repo.begin().await.unwrap();
    assert_eq!(tx.with_prefix(schema.as_str()).count(Post::query()).await.unwrap(), 1);
    tx.commit().await.unwrap();
    let cascade = if db.backend == Backend::Postgres { " CASCADE" } else { "" };
    db.repo.script(&format!("DROP SCHEMA {quoted}{cascade}")).await.unwrap();
    let error = db.repo.all(Post::query().prefix("no_such_schema")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Database { .. }), "{error:?}");
}

async fn r14_r62_r73_r82_a_prefix_that_does_not_exist(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let row = post(&db.repo, "here").await;
    let nowhere = db.repo.with_prefix("no_such_schema");
    let new = || Post::build().set(Post::TITLE, "x");
    for error in [
        nowhere.insert(new()).await.unwrap_err(),
        nowhere.update(row.change().set(Post::TITLE, "x")).await.unwrap_err(),
        nowhere.delete(&row).await.unwrap_err(),
        nowhere.insert_all([new(), new()]).await.unwrap_err(),
        nowhere.update_all(Post::query().set(Post::TITLE, "x")).await.unwrap_err(),
        nowhere.delete_all(Post::query()).await.unwrap_err(),
    ] {
        match db.backend {
            Backend::Sqlite => assert_unsupported(&error),
            _ => assert!(matches!(error.kind(), ErrorKind::Database { .. }), "{error:?}"),
        }
    }
    if db.backend != Backend::Sqlite {
        let tx = db.repo.begin().await.unwrap();
        let inner = tx.begin().await.unwrap();
        assert!(inner.with_prefix("no_such_schema").insert(new()).await.is_err());
        inner.rollback().await.unwrap();
        post(&tx, "after it").await;
        tx.commit().await.unwrap();
        assert_eq!(titles(&db.repo).await, ["here", "after it"]);
    }
}

async fn plans_survive_a_changed_table(db: &Db) {
    let repo = emr::open(db.options().pool_size(1)).await.unwrap();
    repo.create_table::<Permalink>().await.unwrap();
    repo.insert(Permalink { id: 1, url: "/a".into() }).await.unwrap();
    for n in 0..3 {
        assert_eq!(repo.query("select * from permalinks", &[]).await.unwrap().columns().len(), 2 + n);
        assert_eq!(repo.fetch::<Permalink>(1).await.unwrap().url, "/a");
        let other = db.other().await;
        other.script(&format!("alter table permalinks add column extra{n} text")).await.unwrap();
    }
    let tx = repo.begin().await.unwrap();
    assert_eq!(tx.fetch::<Permalink>(1).await.unwrap().url, "/a");
    tx.commit().await.unwrap();
}

/// Statements that are kept prepared, of which the column then becomes another type: from outside, and within a
/// transaction, where one may fail.
async fn s1_s2_plans_survive_a_changed_column_type(db: &Db) {
    let repo = emr::open(db.options().pool_size(1)).await.unwrap();
    let other = db.other().await;
    repo.script("create table measures (id bigint primary key, value bigint)").await.unwrap();
    repo.script("insert into measures values (1, 2)").await.unwrap();
    let read = "select value from measures where id = 1";
    let write = &*db.backend.sql("update measures set value = $1 where id = 1");
    // SQLite changes no types, so the table is made anew.
    let retype = async |ty: &str| {
        other
            .script(&match db.backend {
                Backend::Postgres => format!("alter table measures alter value type {ty} using value::{ty}"),
                Backend::Mariadb | Backend::Mysql => format!("alter table measures modify value {ty}"),
                Backend::Sqlite => format!(
                    "create table newer (id bigint primary key, value {ty});
                     insert into newer select id, cast(value as {ty}) from measures;
                     drop table measures; alter table newer rename to measures"
                ),
            })
            .await
            .unwrap();
    };
    for n in 2..5_i64 {
        assert_eq!(repo.query(read, &[]).await.unwrap().scalar::<i64>().unwrap(), n);
        repo.query(write, &[&(n + 1)]).await.unwrap();
    }
    retype("text").await;
    assert_eq!(repo.query(read, &[]).await.unwrap().scalar::<String>().unwrap(), "5");
    repo.query(write, &[&"6"]).await.unwrap();
    assert_eq!(repo.query(read, &[]).await.unwrap().scalar::<String>().unwrap(), "6");

    retype("bigint").await;
    let tx = repo.begin().await.unwrap();
    let inner = tx.begin().await.unwrap();
    let first = inner.query(write, &[&7_i64]).await.is_ok() && inner.query(read, &[]).await.is_ok();
    if first {
        inner.commit().await.unwrap();
    } else {
        inner.rollback().await.unwrap();
    }
    tx.query(write, &[&8_i64]).await.unwrap();
    assert_eq!(tx.query(read, &[]).await.unwrap().scalar::<i64>().unwrap(), 8);
    tx.commit().await.unwrap();
    assert_eq!(other.query(read, &[]).await.unwrap().scalar::<i64>().unwrap(), 8);
}
