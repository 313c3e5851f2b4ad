//! What is carried has the type that the struct declares, to its extremes.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr::Value;
use emr::prelude::*;
use emr::uuid::Uuid;
use emr::watch::Start;
use rust_decimal::Decimal;

use crate::harness::Db;
use crate::{installed, next_event, set};

db_cases! {
    declared_types_are_exact,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "samples")]
struct Sample {
    #[emr(primary_key)]
    id: Uuid,
    big: i64,
    small: i16,
    ratio: f64,
    yes: bool,
    price: Decimal,
    text: Option<String>,
    bytes: Vec<u8>,
    day: NaiveDate,
    time: NaiveTime,
    local: NaiveDateTime,
    instant: DateTime<Utc>,
}

fn samples() -> [Sample; 2] {
    let day = |text: &str| NaiveDate::from_str(text).unwrap();
    let time = NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).unwrap();
    let one = Sample {
        id: Uuid::from_u128(u128::MAX - 1),
        big: i64::MAX,
        small: i16::MIN,
        ratio: 0.1 + 0.2,
        yes: true,
        price: Decimal::from_str("1234567890123.45678901").unwrap(),
        text: Some("ö'\"\\ \u{1F600}".to_owned()),
        bytes: vec![0, 1, 0x5c, 0xff],
        day: day("0001-01-01"),
        time,
        local: day("9999-12-31").and_time(time),
        instant: day("2024-02-29").and_time(time).and_utc(),
    };
    let other = Sample {
        big: i64::MIN,
        small: i16::MAX,
        ratio: f64::MIN_POSITIVE,
        yes: false,
        price: Decimal::from_str("-0.00000001").unwrap(),
        text: None,
        bytes: Vec::new(),
        day: day("1970-01-01"),
        time: NaiveTime::MIN,
        local: day("1969-12-31").and_time(time),
        instant: day("1900-01-01").and_time(NaiveTime::MIN).and_utc(),
        ..one.clone()
    };
    [one, other]
}

/// What the carried values of a sample are to be.
fn expected(sample: &Sample) -> Vec<(&'static str, Value<'static>)> {
    let text = sample.text.clone().map_or(Value::Null(emr::SqlType::Text), |text| Value::Text(text.into()));
    vec![
        ("id", Value::Uuid(sample.id)),
        ("big", Value::I64(sample.big)),
        ("small", Value::I16(sample.small)),
        ("ratio", Value::F64(sample.ratio)),
        ("yes", Value::Bool(sample.yes)),
        ("price", Value::Decimal(sample.price)),
        ("text", text),
        ("bytes", Value::Bytes(sample.bytes.clone().into())),
        ("day", Value::Date(sample.day)),
        ("time", Value::Time(sample.time)),
        ("local", Value::DateTime(sample.local)),
        ("instant", Value::Timestamp(sample.instant)),
    ]
}

async fn declared_types_are_exact(db: &Db) {
    db.repo.create_table::<Sample>().await.unwrap();
    let columns = (
        (Sample::BIG, Sample::SMALL, Sample::RATIO, Sample::YES, Sample::PRICE, Sample::TEXT),
        (Sample::BYTES, Sample::DAY, Sample::TIME, Sample::LOCAL, Sample::INSTANT),
    );
    let of_samples = Sample::watch().label("samples").extra_columns(columns.0).extra_columns(columns.1);
    let watcher = installed(db, &set(db).watch(of_samples)).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    let [first, second] = samples();
    db.repo.insert(first.clone()).await.unwrap();
    let event = next_event(&mut changes).await;
    for (column, value) in expected(&first) {
        assert_eq!(event.value(column), Some(&value), "{column}");
    }
    db.repo
        .update_all(Sample::query().set(Sample::BIG, second.big).set(Sample::TEXT, second.text.clone()))
        .await
        .unwrap();
    let event = next_event(&mut changes).await;
    assert_eq!(event.changed().collect::<Vec<_>>(), ["big", "text"]);
    assert_eq!(event.old_value("big"), Some(&Value::I64(i64::MAX)));
    db.repo.delete_all(Sample::query()).await.unwrap();
    next_event(&mut changes).await;
    db.repo.insert(second.clone()).await.unwrap();
    let event = next_event(&mut changes).await;
    for (column, value) in expected(&second) {
        assert_eq!(event.value(column), Some(&value), "{column}");
    }
}
