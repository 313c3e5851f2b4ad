//! Every type at its extremes, and what does not fit.

mod support;

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr_core::{ErrorKind, Mismatch, NOT_JSON, PrepareMode, Row, SqlType, Value};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rust_decimal::Decimal;
use support::{Scratch, cell, connect, connect_with, look, options, run};

fn text(text: &str) -> Value<'static> {
    Value::Text(Cow::Owned(text.to_owned()))
}

fn decimal(text: &str) -> Value<'static> {
    Value::Decimal(text.parse().unwrap())
}

fn at(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

/// Values that must come back as they are, and their column types.
fn extremes() -> Vec<(&'static str, Vec<Value<'static>>)> {
    let dates = [NaiveDate::MAX, "0001-01-01".parse().unwrap(), NaiveDate::from_ymd_opt(-4712, 1, 1).unwrap()];
    let times = [NaiveTime::MIN, "23:59:59.999999".parse().unwrap()];
    let moments = [
        at("2000-01-01T00:00:00"),
        at("1999-12-31T23:59:59.999999"),
        NaiveDate::from_ymd_opt(-4712, 1, 1).unwrap().and_time(NaiveTime::MIN),
        NaiveDate::MAX.and_time("23:59:59.999999".parse().unwrap()),
    ];
    vec![
        ("bool", vec![Value::Bool(true), Value::Bool(false)]),
        ("int2", vec![Value::I16(i16::MIN), Value::I16(i16::MAX)]),
        ("int4", vec![Value::I32(i32::MIN), Value::I32(i32::MAX)]),
        ("int8", vec![Value::I64(i64::MIN), Value::I64(i64::MAX)]),
        ("oid", vec![Value::I64(0), Value::I64(u32::MAX.into())]),
        ("float4", [f32::MIN, f32::MAX, f32::MIN_POSITIVE, -0.0, f32::INFINITY].map(Value::F32).to_vec()),
        ("float8", [f64::MIN, f64::MAX, 5e-324, -0.0, f64::NEG_INFINITY].map(Value::F64).to_vec()),
        ("text", vec![text(""), text("Zoë 漢字 🦀 '\"\\ \u{1}"), text(&"ä".repeat(2_600_000))]),
        ("varchar", vec![text("a")]),
        ("name", vec![text("a")]),
        ("bytea", vec![Value::Bytes(Cow::Owned(vec![])), Value::Bytes(Cow::Owned((0..=255).collect()))]),
        ("uuid", vec![Value::Uuid(uuid::Uuid::nil()), Value::Uuid(uuid::Uuid::max())]),
        (
            "numeric",
            ["0", "0.00", "1.10", "-0.0001", "79228162514264337593543950335", "-7.9228162514264337593543950335"]
                .map(decimal)
                .to_vec(),
        ),
        ("date", dates.map(Value::Date).to_vec()),
        ("time", times.map(Value::Time).to_vec()),
        ("timestamp", moments.map(Value::DateTime).to_vec()),
        ("timestamptz", moments.map(|moment| Value::Timestamp(moment.and_utc())).to_vec()),
        ("json", vec![Value::Json("{ \"b\":1,  \"a\": [null, \"\\u00e4\"]}".into())]),
        ("jsonb", vec![Value::Json("{\"a\": [null, \"ä\"], \"b\": 1}".into())]),
        (
            "int8[]",
            vec![
                Value::Array(SqlType::I64, vec![]),
                Value::Array(SqlType::I64, vec![Value::I64(i64::MIN), Value::Null(SqlType::I64), Value::I64(1)]),
            ],
        ),
        ("text[]", vec![Value::Array(SqlType::Text, vec![text("NULL"), text("a\"b\\c{},"), text("")])]),
        ("uuid[]", vec![Value::Array(SqlType::Uuid, vec![Value::Uuid(uuid::Uuid::max())])]),
        ("numeric[]", vec![Value::Array(SqlType::Decimal, vec![decimal("1.50")])]),
        ("timestamptz[]", vec![Value::Array(SqlType::Timestamp, vec![Value::Timestamp(moments[1].and_utc())])]),
        ("bool[]", vec![Value::Array(SqlType::Bool, vec![Value::Bool(true)])]),
        ("jsonb[]", vec![Value::Array(SqlType::Json, vec![Value::Json("{}".into())])]),
    ]
}

#[tokio::test]
async fn extremes_come_back_as_they_are() {
    for prepare in [PrepareMode::Named, PrepareMode::Unnamed] {
        let mut connection = connect_with(&options().prepare(prepare)).await.unwrap();
        for (ty, values) in extremes() {
            for value in values {
                let back = cell(&mut connection, &format!("SELECT $1::{ty}"), std::slice::from_ref(&value)).await;
                assert_eq!(back, value, "{ty} {prepare:?}");
                if let (Value::Decimal(back), Value::Decimal(value)) = (&back, &value) {
                    assert_eq!(back.scale(), value.scale());
                }
                // The server agrees with what it is: written by it as text, and read by us from its own text.
                if ty == "numeric" || ty == "timestamp" {
                    let shown =
                        cell(&mut connection, &format!("SELECT $1::{ty}::text"), std::slice::from_ref(&value)).await;
                    let Value::Text(shown) = shown else { panic!("{shown:?}") };
                    if let Value::Decimal(value) = value {
                        assert_eq!(shown, value.to_string());
                    }
                }
            }
            let null = cell(&mut connection, &format!("SELECT $1::{ty}"), &[Value::Null(SqlType::Unknown)]).await;
            assert!(null.is_null(), "{ty}");
        }
        let nan = cell(&mut connection, "SELECT $1::float8", &[Value::F64(f64::NAN)]).await;
        assert!(matches!(nan, Value::F64(nan) if nan.is_nan()));
    }
}

#[tokio::test]
async fn random_values_survive_a_table() {
    let scratch = Scratch::new().await;
    let mut connection = scratch.connect().await;
    connection
        .script("CREATE TABLE t (n int4, i int8, f float8, s text, d numeric, m timestamptz, u uuid)")
        .await
        .unwrap();
    let mut runner = TestRunner::deterministic();
    let strategy = (
        any::<i64>(),
        any::<f64>(),
        "[^\0]{0,20}",
        any::<i64>(),
        0_u32..19,
        -2_000_000_000_i64..8_000_000_000,
        any::<u128>(),
    );
    let mut wanted = Vec::new();
    for n in 0..300 {
        let (i, f, s, mantissa, scale, seconds, u) = strategy.new_tree(&mut runner).unwrap().current();
        let row = vec![
            Value::I32(n),
            Value::I64(i),
            Value::F64(f),
            text(&s),
            Value::Decimal(Decimal::new(mantissa, scale)),
            Value::Timestamp(DateTime::from_timestamp_micros(seconds * 1_000_000 + i64::from(n)).unwrap()),
            Value::Uuid(uuid::Uuid::from_u128(u)),
        ];
        run(&mut connection, "INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6, $7)", &row).await.unwrap();
        wanted.push(row);
    }
    let (rows, _) = run(&mut connection, "SELECT * FROM t ORDER BY n", &[]).await.unwrap();
    assert_eq!(rows, wanted);
}

#[tokio::test]
async fn values_are_written_by_the_type_of_the_column_where_nothing_is_lost() {
    let mut connection = connect().await;
    let cases = [
        ("int2", Value::I64(7), Value::I16(7)),
        ("int8", Value::I16(7), Value::I64(7)),
        ("numeric", Value::I64(7), decimal("7")),
        ("float8", Value::I64(1 << 53), Value::F64(9_007_199_254_740_992.0)),
        ("float4", Value::I32(1 << 24), Value::F32(16_777_216.0)),
        ("float4", Value::F64(0.5), Value::F32(0.5)),
        ("float8", Value::F32(0.1), Value::F64(f64::from(0.1_f32))),
        ("int4", decimal("7.00"), Value::I32(7)),
        ("text", Value::Json("{}".into()), text("{}")),
        ("text[]", Value::Array(SqlType::Text, vec![text("a")]), Value::Array(SqlType::Text, vec![text("a")])),
        ("int4[]", Value::Array(SqlType::I64, vec![Value::I64(1)]), Value::Array(SqlType::I32, vec![Value::I32(1)])),
    ];
    for (ty, given, back) in cases {
        assert_eq!(cell(&mut connection, &format!("SELECT $1::{ty}"), &[given]).await, back, "{ty}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_it_is_sent() {
    let mut connection = connect().await;
    let leap = NaiveTime::from_hms_micro_opt(23, 59, 59, 1_000_000).unwrap();
    let nanos = NaiveTime::from_hms_nano_opt(1, 2, 3, 4).unwrap();
    let day: NaiveDate = "2024-02-29".parse().unwrap();
    let not_json = format!("{NOT_JSON}key must be a string");
    let cases = [
        ("int2", Value::I64(32_768), "smallint"),
        ("int4", Value::I64(-2_147_483_649), "integer"),
        ("oid", Value::I64(-1), "oid"),
        ("int8", text("7"), "bigint"),
        ("int8", Value::F64(7.0), "bigint"),
        ("int8", decimal("7.5"), "bigint"),
        ("int8", decimal("9223372036854775808"), "bigint"),
        ("float4", Value::F64(0.1), "real"),
        ("float4", Value::F64(f64::MAX), "real"),
        ("float4", Value::I64((1 << 24) + 1), "real"),
        ("float8", Value::I64((1 << 53) + 1), "double precision"),
        ("numeric", Value::F64(0.5), "numeric"),
        ("bool", Value::I64(1), "boolean"),
        ("text", Value::I64(1), "text"),
        ("text", text("a\0b"), "NUL"),
        ("jsonb", text("{}"), "JSON"),
        ("json", Value::Json(not_json.into()), "JSON"),
        ("uuid", text("6f1b7a52-6c31-4b8e-9d3a-0d4b6a1f2c11"), "uuid"),
        ("date", Value::Date(NaiveDate::MIN), "date"),
        ("date", Value::DateTime(day.and_time(NaiveTime::MIN)), "date"),
        ("time", Value::Time(leap), "leap second"),
        ("time", Value::Time(nanos), "microsecond"),
        ("timestamp", Value::DateTime(day.and_time(nanos)), "microsecond"),
        ("timestamp", Value::Timestamp(day.and_time(NaiveTime::MIN).and_utc()), "without zone"),
        ("timestamptz", Value::DateTime(day.and_time(NaiveTime::MIN)), "UTC"),
        ("timestamptz", Value::Timestamp(DateTime::<Utc>::MIN_UTC), "date"),
        ("int8[]", Value::I64(1), "array"),
        ("int2[]", Value::Array(SqlType::I64, vec![Value::I64(1), Value::I64(70_000)]), "smallint"),
        ("inet", Value::I64(1), "inet"),
    ];
    for (ty, value, expected) in cases {
        let error = run(&mut connection, &format!("SELECT $1::{ty}"), std::slice::from_ref(&value)).await.unwrap_err();
        let ErrorKind::Encode { column, expected: said, .. } = error.kind() else { panic!("{ty}: {error}") };
        assert_eq!(column, "parameter 1");
        assert!(said.contains(expected), "{ty} {value:?}: {said}");
        assert!(connection.is_clean());
    }
}

#[tokio::test]
async fn types_that_only_the_server_knows_take_text() {
    let mut connection = connect().await;
    for (ty, given, shown) in [
        ("inet", "10.0.0.1/8", "10.0.0.1/8"),
        ("interval", "1 day 2 hours", "1 day 02:00:00"),
        ("int4range", "[1,5)", "[1,5)"),
        ("tsvector", "a b", "'a' 'b'"),
        ("regclass", "pg_class", "pg_class"),
        ("timetz", "01:02:03+02", "01:02:03+02"),
    ] {
        assert_eq!(cell(&mut connection, &format!("SELECT $1::{ty}::text"), &[text(given)]).await, text(shown), "{ty}");
    }
    let list = Value::Array(SqlType::Text, vec![text("10.0.0.1"), Value::Null(SqlType::Text)]);
    assert_eq!(cell(&mut connection, "SELECT $1::inet[]::text", &[list]).await, text("{10.0.0.1,NULL}"));

    let error = run(&mut connection, "SELECT '1 day'::interval", &[]).await.unwrap_err();
    assert!(error.to_string().contains("interval (cast it to text in the query)"), "{error}");
}

#[tokio::test]
async fn enums_domains_and_their_arrays_are_what_they_are_made_of() {
    let scratch = Scratch::new().await;
    let mut connection = scratch.connect().await;
    connection
        .script(
            "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN age AS int4 CHECK (value >= 0); \
             CREATE TABLE t (m mood, a age, ms mood[], raw \"char\")",
        )
        .await
        .unwrap();
    let moods = Value::Array(SqlType::Text, vec![text("sad"), text("glad")]);
    let row = [text("glad"), Value::I64(7), moods.clone(), text("x")];
    run(&mut connection, "INSERT INTO t VALUES ($1, $2, $3, $4)", &row).await.unwrap();
    let (rows, _) = run(&mut connection, "SELECT * FROM t", &[]).await.unwrap();
    assert_eq!(rows, [[text("glad"), Value::I32(7), moods, text("x")]]);
    let error = run(&mut connection, "INSERT INTO t (a) VALUES ($1)", &[Value::I64(-1)]).await.unwrap_err();
    assert!(error.is_check_violation(), "{error}");
    let error = run(&mut connection, "INSERT INTO t (m) VALUES ($1)", &[text("so")]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Database { code, .. } if code == "22P02"), "{error}");
}

#[tokio::test]
async fn getters_widen_and_refuse() {
    let mut connection = connect().await;
    let sql = "SELECT 7::int2, 7::int4, 7::int8, 0.5::float4, 7::numeric, '{}'::jsonb, 'x'::text, NULL::int8";
    look(&mut connection, sql, |row: &dyn Row| {
        assert_eq!(row.len(), 8);
        assert_eq!((row.i16(0), row.i32(0), row.i64(0)), (Ok(Some(7)), Ok(Some(7)), Ok(Some(7))));
        assert_eq!(row.i16(1), Err(Mismatch::new("i16", "int4")));
        assert_eq!((row.i32(1), row.i64(1)), (Ok(Some(7)), Ok(Some(7))));
        assert_eq!(row.i32(2), Err(Mismatch::new("i32", "int8")));
        assert_eq!((row.f32(3), row.f64(3)), (Ok(Some(0.5)), Ok(Some(0.5))));
        assert_eq!(row.decimal(2), Ok(Some(7.into())));
        assert_eq!(row.i64(4), Err(Mismatch::new("i64", "numeric")));
        assert_eq!((row.json(5), row.json(6)), (Ok(Some("{}")), Ok(Some("x"))));
        assert_eq!(row.str(5), Err(Mismatch::new("text", "jsonb")));
        assert_eq!((row.is_null(7), row.i64(7), row.i64(8), row.is_null(8)), (true, Ok(None), Ok(None), true));
        assert_eq!(row.bool(6), Err(Mismatch::new("bool", "text")));
    })
    .await;
}

#[tokio::test]
async fn values_that_rust_cannot_hold_are_mismatches() {
    let mut connection = connect().await;
    let sql = "SELECT 'infinity'::date, '-infinity'::timestamp, 'infinity'::timestamptz, '24:00'::time, \
               'NaN'::numeric, repeat('9', 40)::numeric, '300000-01-01'::date, '{{1,2},{3,4}}'::int4[], \
               1e-29::numeric, 'Infinity'::float8";
    look(&mut connection, sql, |row: &dyn Row| {
        let found = [
            row.date(0).unwrap_err(),
            row.datetime(1).unwrap_err(),
            row.timestamp(2).unwrap_err(),
            row.time(3).unwrap_err(),
            row.decimal(4).unwrap_err(),
            row.decimal(5).unwrap_err(),
            row.date(6).unwrap_err(),
            row.value(7).unwrap_err(),
            row.decimal(8).unwrap_err(),
        ]
        .map(|mismatch| mismatch.found.into_owned());
        assert_eq!(
            found,
            [
                "a date that is infinite or out of range",
                "a timestamp that is infinite or out of range",
                "a timestamptz that is infinite or out of range",
                "the time 24:00:00",
                "a numeric that is no number or has too many digits",
                "a numeric that is no number or has too many digits",
                "a date that is infinite or out of range",
                "2 dimensions",
                "a numeric that is no number or has too many digits",
            ]
        );
        assert!((0..9).all(|at| row.value(at).is_err()));
        assert_eq!(row.f64(9), Ok(Some(f64::INFINITY)));
    })
    .await;
}

#[tokio::test]
async fn trailing_zeros_beyond_the_scale_of_a_decimal_do_no_harm() {
    let mut connection = connect().await;
    let value = cell(&mut connection, "SELECT 1.5::numeric(60, 40)", &[]).await;
    assert_eq!(value, decimal("1.5"));
    let value = cell(&mut connection, "SELECT 123456789012345678901234567.5::numeric(60, 10)", &[]).await;
    assert_eq!(value, decimal("123456789012345678901234567.5"));
}
