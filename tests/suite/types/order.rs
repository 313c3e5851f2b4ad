//! What is smaller, larger and equal; and keys of every type that can be one.

use std::fmt::Debug;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr::prelude::*;
use emr::uuid::Uuid;
use emr::{Changeset, Field, IntoExpr};
use rust_decimal::Decimal;

use super::schemas::{Every, Mood, assert_exact};
use super::values::{dates, decimal, doubles, kept, moments, plain, singles, uuids};
use crate::harness::Db;

db_cases![
    every_type_has_its_natural_order,
    decimals_are_equal_whatever_their_scale,
    a_column_of_truths_is_a_condition,
    every_type_is_a_key_that_finds_its_row,
];

/// Stores the values, of which each is larger than the one before, in another order; then asks for them by each
/// comparison.
async fn in_order<F>(repo: &impl Repo, column: emr::Column<Every, F>, ascending: Vec<F>)
where
    F: Field<Scalar = F> + emr::IntoField<F> + IntoExpr<F> + Clone + Debug,
{
    repo.delete_all(Every::query()).await.unwrap();
    let len = ascending.len();
    let ids = 1..=i64::try_from(len).expect("few");
    let mut rows: Vec<Changeset<Every>> = ids
        .clone()
        .zip(&ascending)
        .map(|(id, value)| plain(id).set_all(Every::build().set(Every::ID, id)).set(column, value.clone()))
        .collect();
    rows.reverse();
    rows.rotate_left(len / 2);
    repo.insert_all(rows).await.unwrap();

    let found = async |query: emr::Query<Every>| -> Vec<i64> {
        repo.all(query).await.unwrap().into_iter().map(|row| row.id).collect()
    };
    let everything: Vec<i64> = ids.collect();
    let sorted = || Every::query().order_by(column.asc());
    assert_eq!(found(sorted()).await, everything, "{column:?}");
    let mut descending = found(Every::query().order_by(column.desc())).await;
    descending.reverse();
    assert_eq!(descending, everything, "{column:?}");
    for (n, value) in ascending.iter().enumerate() {
        let value = || value.clone();
        let (below, from, above) = (&everything[..n], &everything[n..], &everything[n + 1..]);
        assert_eq!(found(sorted().filter(column.lt(value()))).await, below, "{column:?} < {:?}", value());
        assert_eq!(found(sorted().filter(column.ge(value()))).await, from, "{column:?} >= {:?}", value());
        assert_eq!(found(sorted().filter(column.gt(value()))).await, above, "{column:?} > {:?}", value());
        assert_eq!(found(sorted().filter(column.le(value()))).await, everything[..=n], "{column:?} <= {:?}", value());
        assert_eq!(found(sorted().filter(column.eq(value()))).await, [everything[n]], "{column:?} = {:?}", value());
        let others = [below, above].concat();
        assert_eq!(found(sorted().filter(column.ne(value()))).await, others, "{column:?} <> {:?}", value());
        let between = column.between(ascending[0].clone(), value());
        assert_eq!(found(sorted().filter(between)).await, everything[..=n], "{column:?} up to {:?}", value());
    }
}

async fn every_type_has_its_natural_order(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Every>().await.unwrap();
    let numbers =
        ["-79228162514264337593543950335", "-10", "-9.5", "-0.0000000000000000000000000001", "0", "0.10", "0.9"];
    let more = ["1", "1.5", "9", "10.00", "100", "99999999999999999999.5", "79228162514264337593543950335"];
    in_order(repo, Every::NUMBER, numbers.into_iter().chain(more).map(decimal).collect()).await;

    in_order(repo, Every::TRUTH, vec![false, true]).await;
    in_order(repo, Every::SMALL, vec![i16::MIN, -1, 0, 9, 10, i16::MAX]).await;
    in_order(repo, Every::MEDIUM, vec![i32::MIN, -1, 0, 9, 10, i32::MAX]).await;
    in_order(repo, Every::LARGE, vec![i64::MIN, -1, 0, 9, 10, i64::MAX - 1, i64::MAX]).await;
    let mut floats = doubles(db.backend);
    floats.sort_by(f64::total_cmp);
    floats.dedup();
    in_order(repo, Every::DOUBLE, floats).await;
    let mut floats = singles(db.backend);
    floats.sort_by(f32::total_cmp);
    floats.dedup();
    in_order(repo, Every::SINGLE, floats).await;
    in_order(repo, Every::BYTES, vec![vec![], vec![0], vec![0, 0], vec![0, 255], vec![1], vec![255]]).await;
    in_order(repo, Every::UUID, uuids().to_vec()).await;

    let mut days = dates(db.backend);
    days.sort_unstable();
    in_order(repo, Every::DAY, days).await;
    let time = |hour, micro| NaiveTime::from_hms_micro_opt(hour, 0, 0, micro).expect("a time");
    in_order(repo, Every::CLOCK, vec![time(0, 0), time(0, 1), time(9, 999_999), time(10, 0), time(23, 0)]).await;
    let mut instants = moments(db.backend);
    for at in ["2024-01-01T00:00:00", "2024-01-01T00:00:00.5", "2024-01-01T00:00:01"] {
        instants.push(at.parse().unwrap());
    }
    instants.sort_unstable();
    in_order(repo, Every::MOMENT, instants.clone()).await;
    in_order(repo, Every::INSTANT, instants.into_iter().map(|at| at.and_utc()).collect()).await;
}

async fn decimals_are_equal_whatever_their_scale(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    let row = Every { number: kept(db.backend, decimal("1.50")), ..plain(1) };
    db.repo.insert(row.clone()).await.unwrap();
    for equal in ["1.5", "1.50", "1.500"].map(decimal) {
        let conditions = [
            Every::NUMBER.eq(equal),
            Every::NUMBER.in_list([decimal("7"), equal]),
            Every::NUMBER.between(equal, equal),
            !Every::NUMBER.ne(equal),
            !Every::NUMBER.not_in([equal]),
        ];
        for condition in conditions {
            let found = db.repo.get_by::<Every>(condition).await.unwrap();
            assert_exact(&found.expect("the row"), &row);
        }
    }
}

async fn a_column_of_truths_is_a_condition(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    db.repo.insert_all([Every { truth: true, ..plain(1) }, Every { truth: false, ..plain(2) }]).await.unwrap();
    let ids = async |query| db.repo.all(query).await.unwrap().into_iter().map(|row: Every| row.id).collect::<Vec<_>>();
    assert_eq!(ids(Every::query().filter(Every::TRUTH)).await, [1]);
    assert_eq!(ids(Every::query().filter(!Every::TRUTH.expr())).await, [2]);
    assert_eq!(ids(Every::query().filter(Every::TRUTH.expr().or(Every::ID.eq(2)))).await.len(), 2);
}

/// A table with a key of this type; its rows are stored, found, updated and deleted by it.
macro_rules! keyed_by {
    ($db:expr, $ty:ty, $keys:expr) => {{
        #[derive(Syncable, Debug, Clone)]
        #[emr(table = "keyed")]
        struct Keyed {
            #[emr(primary_key)]
            key: $ty,
            note: i64,
        }
        let repo = &$db.repo;
        repo.create_table::<Keyed>().await.unwrap();
        let rows: Vec<Keyed> = $keys.into_iter().zip(1..).map(|(key, note)| Keyed { key, note }).collect();
        for row in &rows {
            assert_exact(&repo.insert(row.clone()).await.unwrap(), row);
        }
        for row in &rows {
            assert_exact(&repo.fetch::<Keyed>(row.key.clone()).await.unwrap(), row);
            let changed = repo.update(row.change().set(Keyed::NOTE, -row.note)).await.unwrap();
            assert_exact(&changed, &Keyed { note: -row.note, ..row.clone() });
            assert!(repo.insert(row.clone()).await.unwrap_err().is_unique_violation());
        }
        for (n, row) in rows.iter().enumerate() {
            repo.delete(row).await.unwrap();
            assert!(repo.get::<Keyed>(row.key.clone()).await.unwrap().is_none());
            assert_eq!(repo.count(Keyed::query()).await.unwrap(), (rows.len() - n - 1) as u64);
        }
        repo.drop_table::<Keyed>().await.unwrap();
    }};
}

async fn every_type_is_a_key_that_finds_its_row(db: &Db) {
    keyed_by!(db, bool, [true, false]);
    keyed_by!(db, i16, [i16::MIN, 0, i16::MAX]);
    keyed_by!(db, i32, [i32::MIN, 0, i32::MAX]);
    keyed_by!(db, i64, [i64::MIN, 0, i64::MAX]);
    keyed_by!(db, String, ["", "a", "A", "ä", "a\u{308}", "' \u{1F980}"].map(ToOwned::to_owned));
    keyed_by!(db, Vec<u8>, [vec![], vec![0], vec![0, 255]]);
    keyed_by!(db, Uuid, uuids());
    keyed_by!(db, Decimal, ["-1.50", "0", "79228162514264337593543950335"].map(|text| kept(db.backend, decimal(text))));
    keyed_by!(db, NaiveDate, dates(db.backend));
    keyed_by!(db, NaiveTime, super::values::clocks());
    keyed_by!(db, NaiveDateTime, moments(db.backend));
    keyed_by!(db, DateTime<Utc>, moments(db.backend).into_iter().map(|at| at.and_utc()));
    keyed_by!(db, Mood, [Mood::Glad, Mood::Angry]);
}
