//! A span per statement.

use std::time::Duration;

use emr::prelude::*;
use futures_util::TryStreamExt;
use tracing::Instrument;

use crate::capture::{Span, spans_of};
use crate::harness::Db;
use crate::{Account, accounts};

db_cases![
    every_call_is_a_span,
    statements_of_a_transaction_are_spans,
    l7_a_failed_statement_says_why,
    a_call_that_waits_for_a_connection_says_how_long,
    the_time_of_decoding_is_part_of_the_querys,
    l2_l8_a_statement_belongs_to_the_span_of_its_caller,
];

/// The spans that the repo's calls made since the last look.
struct Seen<'a> {
    repo: &'a RepoHandle,
    count: usize,
}

impl Seen<'_> {
    #[track_caller]
    fn one(&mut self, verb: &str, table: Option<&str>, rows: u64, sql: &str) {
        let all = spans_of(self.repo.id());
        let [span] = &all[self.count..] else { panic!("{verb}: {:?}", &all[self.count..]) };
        self.count = all.len();
        let quote = if self.repo.backend() == "mysql" { "`" } else { "\"" };
        check(span, self.repo, verb, table, rows, &sql.replace('"', quote));
    }

    /// A write of which the server does not return the row: it is read in the same transaction.
    #[track_caller]
    fn written_and_selected(&mut self, verb: &str) {
        let all = spans_of(self.repo.id());
        let [begin, write, select, commit] = &all[self.count..] else { panic!("{:?}", &all[self.count..]) };
        check(begin, self.repo, "begin", None, 0, "begin");
        check(write, self.repo, verb, Some("accounts"), 1, verb);
        check(select, self.repo, "reselect", Some("accounts"), 1, "select");
        check(commit, self.repo, "commit", None, 0, "commit");
        self.count = all.len();
    }
}

#[track_caller]
fn check(span: &Span, repo: &RepoHandle, verb: &str, table: Option<&str>, rows: u64, sql: &str) {
    assert_eq!(span.name, "emr.statement");
    assert_eq!(span.text("repo"), Some(repo.id()));
    assert_eq!(span.text("backend"), Some(repo.backend()));
    assert_eq!(span.text("verb"), Some(verb));
    assert_eq!(span.text("table"), table, "{verb}");
    assert_eq!(span.number("rows"), rows, "{verb}");
    let found = span.text("sql").unwrap_or_default();
    assert!(found.to_lowercase().starts_with(&sql.to_lowercase()), "{verb}: {found}");
    let times = ["queue_us", "query_us", "decode_us"].map(|field| span.number(field));
    assert!(times[2] <= times[1] && times[0] + times[1] < 60_000_000, "{verb}: {times:?}");
    assert_eq!(span.text("error"), None, "{verb}");
}

async fn every_call_is_a_span(db: &Db) {
    let repo = &db.repo;
    let table = Some("accounts");
    let mut seen = Seen { repo, count: 0 };

    repo.create_table::<Account>().await.unwrap();
    seen.one("create_table", table, 0, "create table");
    let [account] = &accounts(1..=1, "t")[..] else { panic!() };
    repo.insert(account.clone()).await.unwrap();
    if db.backend.statements_of_insert() == 1 {
        seen.one("insert", table, 1, "insert into \"accounts\"");
    } else {
        seen.written_and_selected("insert");
    }
    repo.insert_all(accounts(2..=4, "t")).await.unwrap();
    seen.one("insert_all", table, 3, "insert of many rows");
    repo.insert_all_returning(accounts(5..=6, "t")).await.unwrap();
    seen.one("insert_all", table, 2, "insert of many rows");
    repo.all(Account::query()).await.unwrap();
    seen.one("all", table, 6, "select");
    repo.one(Account::query().filter(Account::ID.eq(1))).await.unwrap();
    seen.one("one", table, 1, "select");
    repo.get::<Account>(1).await.unwrap();
    seen.one("get", table, 1, "select");
    repo.get::<Account>(99).await.unwrap();
    seen.one("get", table, 0, "select");
    repo.exists(Account::query()).await.unwrap();
    seen.one("exists", table, 1, "select");
    repo.count(Account::query()).await.unwrap();
    seen.one("count", table, 1, "select");
    repo.update(account.change().set(Account::NAME, "new")).await.unwrap();
    if db.backend.is_mysql_family() {
        seen.written_and_selected("update");
    } else {
        seen.one("update", table, 1, "update");
    }
    repo.update_all(Account::query().set(Account::PIN, 1)).await.unwrap();
    seen.one("update_all", table, 6, "update");
    repo.delete(account).await.unwrap();
    seen.one("delete", table, 1, "delete");
    repo.query("select 1 as one", &[]).await.unwrap();
    seen.one("query", None, 1, "select 1 as one");
    repo.query_as::<Account>("select * from accounts", &[]).await.unwrap();
    seen.one("query", None, 5, "select * from accounts");
    repo.script("delete from accounts where id = 2; select 2").await.unwrap();
    seen.one("script", None, 0, "delete from accounts where id = 2; select 2");
    repo.delete_all(Account::query()).await.unwrap();
    seen.one("delete_all", table, 4, "delete");
    repo.drop_table::<Account>().await.unwrap();
    seen.one("drop_table", table, 0, "drop table");

    // What sends nothing is none.
    repo.noop().unwrap();
    repo.to_sql(Account::query()).unwrap();
    repo.update(account.change()).await.unwrap();
    assert_eq!(spans_of(repo.id()).len(), seen.count);
}

/// A stream opens a cursor and fetches from it, and each is a statement.
#[track_caller]
fn check_stream(spans: &[Span], repo: &RepoHandle) {
    let [open, first, second] = spans else { panic!("{spans:?}") };
    check(open, repo, "stream", Some("accounts"), 0, "select");
    check(first, repo, "fetch", Some("accounts"), 500, "select");
    check(second, repo, "fetch", Some("accounts"), 100, "select");
}

async fn statements_of_a_transaction_are_spans(db: &Db) {
    db.repo.create_table::<Account>().await.unwrap();
    db.repo.insert_all(accounts(1..=600, "t")).await.unwrap();
    let before = spans_of(db.repo.id()).len();
    let rows: Vec<Account> = db.repo.stream(Account::query()).try_collect().await.unwrap();
    assert_eq!(rows.len(), 600);
    check_stream(&spans_of(db.repo.id())[before..], &db.repo);

    let before = spans_of(db.repo.id()).len();
    let tx = db.repo.begin().await.unwrap();
    let _: Vec<Account> = tx.stream(Account::query()).try_collect().await.unwrap();
    let inner = tx.begin().await.unwrap();
    inner.get::<Account>(1).await.unwrap();
    inner.commit().await.unwrap();
    tx.commit().await.unwrap();
    let checkout = db.repo.checkout().await.unwrap();
    checkout.script("select 1").await.unwrap();
    let spans = &spans_of(db.repo.id())[before..];
    let [begin, stream @ .., get, commit, script] = spans else { panic!("{spans:?}") };
    check(begin, &db.repo, "begin", None, 0, "begin");
    check_stream(stream, &db.repo);
    check(commit, &db.repo, "commit", None, 0, "commit");
    check(get, &db.repo, "get", Some("accounts"), 1, "select");
    check(script, &db.repo, "script", None, 0, "select 1");
}

async fn l7_a_failed_statement_says_why(db: &Db) {
    let errors = [
        db.repo.query("selec 1", &[]).await.unwrap_err(),
        db.repo.script("selec 2").await.unwrap_err(),
        db.repo.all(Account::query()).await.unwrap_err(),
        db.repo.stream(Account::query()).try_collect::<Vec<_>>().await.unwrap_err(),
    ];
    let spans = spans_of(db.repo.id());
    let told: Vec<_> = spans.iter().map(|span| span.text("error").map(ToOwned::to_owned)).collect();
    assert_eq!(told, errors.map(|error| Some(error.to_string())));
    assert_eq!(spans[0].text("sql"), Some("selec 1"));
    assert_eq!(spans[0].number("rows"), 0);
}

async fn a_call_that_waits_for_a_connection_says_how_long(db: &Db) {
    let repo = emr::open(db.options().pool_size(1)).await.unwrap();
    let tx = repo.begin().await.unwrap();
    let waiting = {
        let repo = repo.clone();
        tokio::spawn(async move { repo.query("select 'waited'", &[]).await })
    };
    tokio::time::sleep(Duration::from_millis(150)).await;
    tx.rollback().await.unwrap();
    waiting.await.unwrap().unwrap();

    let error = {
        let _tx = repo.begin().await.unwrap();
        repo.with_timeout(Duration::from_millis(100)).query("select 'in vain'", &[]).await.unwrap_err()
    };
    assert!(matches!(error.kind(), ErrorKind::PoolTimeout { .. }), "{error:?}");

    let spans = spans_of(repo.id());
    let of_queries: Vec<_> = spans.iter().filter(|span| span.text("verb") == Some("query")).collect();
    let [waited, in_vain] = of_queries[..] else { panic!("{spans:?}") };
    assert!(waited.number("queue_us") >= 100_000, "{waited:?}");
    assert!(waited.number("query_us") < waited.number("queue_us"), "{waited:?}");
    assert!(in_vain.number("queue_us") >= 100_000 && in_vain.number("query_us") == 0, "{in_vain:?}");
}

async fn the_time_of_decoding_is_part_of_the_querys(db: &Db) {
    db.repo.create_table::<Account>().await.unwrap();
    db.repo.insert_all(accounts(1..=5_000, "t")).await.unwrap();
    db.repo.all(Account::query()).await.unwrap();
    let span = spans_of(db.repo.id()).pop().unwrap();
    assert!(span.number("decode_us") > 0, "{span:?}");
    assert!(span.number("decode_us") < span.number("query_us"), "{span:?}");
}

async fn l2_l8_a_statement_belongs_to_the_span_of_its_caller(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Account>().await.unwrap();
    let mut rows = accounts(1..=3, "t").into_iter();
    let work = async {
        repo.insert(rows.next().unwrap()).await.unwrap();
        repo.transaction(async |tx| tx.insert_all(rows).await.map(drop)).await.unwrap();
        repo.all(Account::query().order_by(Account::ID.asc())).await.unwrap()
    };
    let found = work.instrument(tracing::info_span!("handling a request")).await;
    assert_eq!(found, accounts(1..=3, "t"));
    repo.query("select 2", &[]).await.unwrap();
    let parents: Vec<_> = spans_of(repo.id()).into_iter().map(|span| span.parent).collect();
    // An insert; BEGIN, the inserts, COMMIT; the rows. Where the insert is followed by a read, both have BEGIN and COMMIT.
    let inside = if db.backend.statements_of_insert() == 1 { 5 } else { 8 };
    let mut expected = vec![Some("handling a request"); inside];
    // Nothing is around the table and the last one.
    expected.insert(0, None);
    expected.push(None);
    assert_eq!(parents, expected);
}
