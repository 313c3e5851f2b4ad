//! Every type in and out by every call that moves values.

use std::future::Future;

use emr::PrepareMode;
use emr::prelude::*;
use futures_util::{StreamExt, TryStreamExt};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::schemas::{Every, Maybe, assert_all_exact, assert_exact};
use super::values::{any_row, extremes, plain};
use crate::harness::{Backend, Db};

db_cases![
    r23_t1_t17_extremes_come_back_exactly_from_single_calls,
    random_values_come_back_exactly_from_single_calls,
    r66_a_few_rows_at_once_come_back_exactly,
    thousands_of_rows_at_once_come_back_exactly,
    thousands_of_stored_rows_come_back_exactly,
    nothing_comes_back_as_nothing,
    long_lists_find_every_text,
];

/// One row in by each call that writes one, and out by each that reads one.
async fn by_single_calls(repo: &impl Repo, row: &Every) {
    repo.delete_all(Every::query()).await.unwrap();

    assert_exact(&repo.insert(row.clone()).await.unwrap(), row);
    assert_exact(&repo.fetch::<Every>(row.id).await.unwrap(), row);
    let sql = "select * from every_type";
    assert_exact(&repo.query_as::<Every>(sql, &[]).await.unwrap()[0], row);
    let result = repo.query(sql, &[]).await.unwrap();
    assert_exact(&Every::of_cells(&result, 0).unwrap(), row);
    assert_exact(&repo.load::<Every>(&result).unwrap()[0], row);
    let streamed: Vec<Every> = repo.stream(Every::query()).try_collect().await.unwrap();
    assert_exact(&streamed[0], row);
    for (name, condition) in row.conditions() {
        let found = repo.get_by::<Every>(condition).await.unwrap();
        assert_exact(&found.unwrap_or_else(|| panic!("{name}: no row")), row);
    }

    repo.delete(row).await.unwrap();
    let changes = row.set_all(Every::build().set(Every::ID, row.id));
    assert_exact(&repo.insert(changes).await.unwrap(), row);

    repo.delete(row).await.unwrap();
    let before = repo.insert(plain(row.id)).await.unwrap();
    assert_exact(&repo.update(row.set_all(before.change())).await.unwrap(), row);
    assert_exact(&repo.fetch::<Every>(row.id).await.unwrap(), row);
}

/// Repos that send values in every way that the backend has.
async fn repos(db: &Db) -> Vec<RepoHandle> {
    let mut repos = vec![db.repo.clone()];
    if db.backend == Backend::Postgres {
        repos.push(emr::open(db.options().prepare(PrepareMode::Unnamed)).await.unwrap());
    }
    repos
}

async fn r23_t1_t17_extremes_come_back_exactly_from_single_calls(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    for repo in repos(db).await {
        for row in extremes(db.backend) {
            by_single_calls(&repo, &row).await;
        }
    }
}

async fn random_values_come_back_exactly_from_single_calls(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&any_row(db.backend), |row| {
        blocking(by_single_calls(&db.repo, &row));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Runs a future inside a closure that cannot wait for one.
fn blocking<T>(work: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
}

async fn stored(repo: &impl Repo) -> Vec<Every> {
    repo.all(Every::query().order_by(Every::ID.asc())).await.unwrap()
}

async fn r66_a_few_rows_at_once_come_back_exactly(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    let rows = extremes(db.backend);
    for repo in repos(db).await {
        repo.delete_all(Every::query()).await.unwrap();
        for few in rows.chunks(3) {
            assert_eq!(repo.insert_all(few.to_vec()).await.unwrap(), few.len() as u64);
        }
        assert_all_exact(&stored(&repo).await, &rows);

        repo.delete_all(Every::query()).await.unwrap();
        let changes = rows.iter().map(|row| row.set_all(Every::build().set(Every::ID, row.id)));
        assert_all_exact(&repo.insert_all_returning(changes).await.unwrap(), &rows);
        assert_all_exact(&stored(&repo).await, &rows);
    }
}

/// The extremes, and random values up to 5,000 rows.
fn thousands(backend: Backend) -> Vec<Every> {
    let mut runner = TestRunner::deterministic();
    let strategy = any_row(backend);
    let mut rows = extremes(backend);
    for id in (1..=5_000).skip(rows.len()) {
        let row = proptest::strategy::Strategy::new_tree(&strategy, &mut runner).expect("a row").current();
        rows.push(Every { id, ..row });
    }
    rows
}

async fn thousands_of_rows_at_once_come_back_exactly(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    db.repo.create_table::<Maybe>().await.unwrap();
    let rows = thousands(db.backend);

    assert_eq!(db.repo.insert_all(rows.clone()).await.unwrap(), 5_000);
    assert_all_exact(&stored(&db.repo).await, &rows);
    let mut streamed = db.repo.stream(Every::query().order_by(Every::ID.asc()));
    for row in &rows {
        assert_exact(&streamed.next().await.unwrap().unwrap(), row);
    }
    assert!(streamed.next().await.is_none());

    let rows: Vec<Maybe> =
        rows.into_iter().map(|row| if row.truth { Maybe::of(row) } else { Maybe::nothing(row.id) }).collect();
    assert_eq!(db.repo.insert_all(rows.clone()).await.unwrap(), 5_000);
    assert_all_exact(&db.repo.all(Maybe::query().order_by(Maybe::ID.asc())).await.unwrap(), &rows);
}

async fn thousands_of_stored_rows_come_back_exactly(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    let rows = thousands(db.backend);
    assert_all_exact(&db.repo.insert_all_returning(rows.clone()).await.unwrap(), &rows);
}

async fn nothing_comes_back_as_nothing(db: &Db) {
    db.repo.create_table::<Maybe>().await.unwrap();
    let nothing = Maybe::nothing(1);
    let full = Maybe::of(plain(2));

    assert_exact(&db.repo.insert(nothing.clone()).await.unwrap(), &nothing);
    assert_exact(&db.repo.insert(full.clone()).await.unwrap(), &full);
    assert_eq!(db.repo.insert_all([Maybe::nothing(3), Maybe::of(plain(4)), Maybe::nothing(5)]).await.unwrap(), 3);

    let result = db.repo.query("select * from every_type_or_null order by id", &[]).await.unwrap();
    assert_exact(&Maybe::of_cells(&result, 0).unwrap(), &nothing);
    assert_exact(&Maybe::of_cells(&result, 1).unwrap(), &full);
    for is_null in Maybe::nulls() {
        let rows = db.repo.all(Maybe::query().filter(is_null).order_by(Maybe::ID.asc())).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1, 3, 5]);
    }
}

/// Lists that are too long to be sent value by value are sent in another form.
async fn long_lists_find_every_text(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    let mut rows = thousands(db.backend);
    rows.truncate(1_000);
    db.repo.insert_all(rows.clone()).await.unwrap();
    let texts = Every::TEXT.in_list(rows.iter().map(|row| &row.text));
    assert_eq!(db.repo.count(Every::query().filter(texts)).await.unwrap(), 1_000);
    let uuids = Every::UUID.in_list(rows.iter().map(|row| &row.uuid));
    assert_eq!(db.repo.count(Every::query().filter(uuids)).await.unwrap(), 1_000);
    let numbers = Every::NUMBER.in_list(rows.iter().map(|row| row.number.normalize()));
    assert_eq!(db.repo.count(Every::query().filter(numbers)).await.unwrap(), 1_000);
    let bytes = Every::BYTES.in_list(rows.iter().map(|row| &row.bytes));
    assert_eq!(db.repo.count(Every::query().filter(bytes)).await.unwrap(), 1_000);
}
