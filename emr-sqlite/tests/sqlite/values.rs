//! Every type there and back, at its extremes, and what is refused on either way.

use crate::common::{error, first, memory, run};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr_core::{ErrorKind, NOT_JSON, Row, Scalar, SqlType, Value};
use rust_decimal::Decimal;
use uuid::Uuid;

/// Stores a value in a column of its type, reads it back, and says what the file holds.
async fn stored<T: Scalar + Clone + PartialEq + std::fmt::Debug>(column: &str, value: T) -> String {
    let mut db = memory().await;
    db.script(&format!("create table t (v {column})")).await.expect("table");
    run(db.as_mut(), &[], "insert into t values (?1)", &[value.to_value()]).await.expect("insert");
    let back = first(db.as_mut(), "select v from t", &[], |row| T::read(row, 0)).await;
    assert_eq!(back, Ok(Some(value)));
    let shown =
        crate::common::rows(db.as_mut(), "select typeof(v) || ' ' || iif(typeof(v) = 'blob', hex(v), v) from t").await;
    match &shown[0][0] {
        Value::Text(text) => text.clone().into_owned(),
        other => panic!("{other:?}"),
    }
}

fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).expect("a date")
}

fn micros(hour: u32, minute: u32, second: u32, micros: u32) -> NaiveTime {
    NaiveTime::from_hms_micro_opt(hour, minute, second, micros).expect("a time")
}

#[tokio::test]
async fn integers_and_bools_round_trip_at_their_ends() {
    assert_eq!(stored("integer", true).await, "integer 1");
    assert_eq!(stored("integer", false).await, "integer 0");
    for v in [i16::MIN, 0, i16::MAX] {
        stored("integer", v).await;
    }
    for v in [i32::MIN, 0, i32::MAX] {
        stored("integer", v).await;
    }
    for v in [i64::MIN, -1, i64::MAX] {
        assert_eq!(stored("integer", v).await, format!("integer {v}"));
    }
}

#[tokio::test]
async fn floats_round_trip_at_their_ends() {
    for v in [f64::MIN, f64::MIN_POSITIVE, 5e-324, 0.1, 1.0, 9_007_199_254_740_993.0, f64::MAX, f64::INFINITY] {
        stored("real", v).await;
        stored("real", -v).await;
    }
    for v in [f32::MIN, f32::MIN_POSITIVE, 1e-45, 0.1, 1.0, f32::MAX, f32::INFINITY, f32::NEG_INFINITY] {
        stored("real", v).await;
    }
    let mut db = memory().await;
    db.script("create table t (v real)").await.expect("table");
    run(db.as_mut(), &[], "insert into t values (?1)", &[Value::F64(-0.0)]).await.expect("insert");
    let zero = first(db.as_mut(), "select v from t", &[], |row| row.f64(0)).await;
    assert_eq!(zero.map(|zero| zero.map(f64::to_bits)), Ok(Some(0)), "the engine keeps no sign of zero");
}

#[tokio::test]
async fn text_bytes_and_json_round_trip() {
    for v in ["", "a\0b", "Ä€😀", "' \" ; --", "\u{0}not JSON: but a text"] {
        stored("text", v.to_owned()).await;
    }
    stored("text", "x".repeat(5_000_000)).await;
    for v in [vec![], vec![0_u8, 255], vec![0xc3, 0x28]] {
        stored("blob", v).await;
    }
    let mut db = memory().await;
    let json = Value::Json(r#"{"a":[1,null]}"#.into());
    let back = first(db.as_mut(), "select ?1", &[json], |row| row.json(0).map(|json| json.map(str::to_owned))).await;
    assert_eq!(back, Ok(Some(r#"{"a":[1,null]}"#.to_owned())));
}

#[tokio::test]
async fn uuids_are_text_with_hyphens() {
    for v in [Uuid::nil(), Uuid::max(), Uuid::from_u128(0x0123_4567_89AB_CDEF_0123_4567_89AB_CDEF)] {
        assert_eq!(stored("text", v).await, format!("text {}", v.hyphenated()));
    }
}

#[tokio::test]
async fn decimals_keep_their_scale() {
    for text in [
        "0",
        "1.50",
        "-0.0000000000000000000000000001",
        "79228162514264337593543950335",
        "-79228162514264337593543950335",
    ] {
        let v = Decimal::from_str_exact(text).expect("a decimal");
        assert_eq!(stored("text", v).await, format!("text {text}"));
    }
}

#[tokio::test]
async fn times_are_text_in_the_order_of_time() {
    assert_eq!(stored("text", date(2021, 1, 2)).await, "text 2021-01-02");
    assert_eq!(stored("text", micros(3, 4, 5, 6)).await, "text 03:04:05.000006");
    let datetime = date(2021, 1, 2).and_time(micros(3, 4, 5, 6));
    assert_eq!(stored("text", datetime).await, "text 2021-01-02T03:04:05.000006");
    assert_eq!(stored("text", datetime.and_utc()).await, "text 2021-01-02T03:04:05.000006Z");
    for day in [date(0, 1, 1), date(9999, 12, 31)] {
        stored("text", day).await;
        stored("text", day.and_time(micros(23, 59, 59, 999_999))).await;
        stored("text", day.and_time(NaiveTime::MIN).and_utc()).await;
    }
}

#[tokio::test]
async fn null_is_none_for_every_type() {
    let mut db = memory().await;
    let nothing = first(db.as_mut(), "select ?1", &[Value::Null(SqlType::Date)], |row: &dyn Row| {
        row.is_null(0)
            && row.is_null(7)
            && row.bool(0) == Ok(None)
            && row.i16(0) == Ok(None)
            && row.i64(0) == Ok(None)
            && row.i64(7) == Ok(None)
            && row.f32(0) == Ok(None)
            && row.str(0) == Ok(None)
            && row.bytes(0) == Ok(None)
            && row.uuid(0) == Ok(None)
            && row.decimal(0) == Ok(None)
            && row.timestamp(0) == Ok(None)
            && row.value(0) == Ok(Value::Null(SqlType::Unknown))
    })
    .await;
    assert!(nothing);
}

#[tokio::test]
async fn a_value_that_would_change_is_refused_before_its_statement_runs() {
    let nanosecond = NaiveTime::from_hms_nano_opt(1, 2, 3, 1).expect("a time");
    let leap = NaiveTime::from_hms_micro_opt(23, 59, 59, 1_000_000).expect("a leap second");
    let day = date(2021, 1, 2);
    let refused = [
        Value::F64(f64::NAN),
        Value::F32(f32::NAN),
        Value::Date(date(10_000, 1, 1)),
        Value::Date(date(-1, 1, 1)),
        Value::Time(nanosecond),
        Value::Time(leap),
        Value::DateTime(day.and_time(nanosecond)),
        Value::DateTime(NaiveDateTime::MAX),
        Value::Timestamp(day.and_time(leap).and_utc()),
        Value::Timestamp(DateTime::<Utc>::MIN_UTC),
        Value::Json(format!("{NOT_JSON}key must be a string").into()),
        Value::Array(SqlType::I64, vec![]),
    ];
    let mut db = memory().await;
    db.script("create table t (v)").await.expect("table");
    for value in refused {
        let result =
            run(db.as_mut(), &[crate::common::begin()], "insert into t values (?1)", std::slice::from_ref(&value))
                .await;
        match result.map(|(_, done)| done).expect_err("refused").kind() {
            ErrorKind::Encode { column, .. } => assert_eq!(column, "parameter 1", "{value:?}"),
            other => panic!("{value:?}: {other:?}"),
        }
        // The transaction counts on its BEGIN, whatever becomes of the statement.
        assert!(db.in_transaction(), "the BEGIN was carried out for {value:?}");
        db.control(&[emr_core::Control::Rollback]).await.expect("a rollback");
        let alone = run(db.as_mut(), &[], "insert into t values (?1)", std::slice::from_ref(&value)).await;
        assert!(alone.is_err() && db.is_clean(), "nothing ran for {value:?}");
    }
    assert_eq!(crate::common::number(db.as_mut(), "select count(*) from t").await, 0);
}

/// What one getter makes of one expression.
async fn mismatch<T: std::fmt::Debug + Send + 'static>(
    sql: &str,
    read: fn(&dyn Row) -> Result<Option<T>, emr_core::Mismatch>,
) -> String {
    let mut db = memory().await;
    let found = first(db.as_mut(), &format!("select {sql}"), &[], read).await.expect_err(sql);
    found.found.into_owned()
}

#[tokio::test]
async fn a_cell_of_another_type_is_a_mismatch_that_says_what_is_there() {
    assert_eq!(mismatch("32768", |row| row.i16(0)).await, "i64 32768");
    assert_eq!(mismatch("-2147483649", |row| row.i32(0)).await, "i64 -2147483649");
    assert_eq!(mismatch("'1'", |row| row.i64(0)).await, "text \"1\"");
    assert_eq!(mismatch("1.0", |row| row.i64(0)).await, "f64 1");
    assert_eq!(mismatch("2", |row| row.bool(0)).await, "i64 2");
    assert_eq!(mismatch("9007199254740993", |row| row.f64(0)).await, "i64 9007199254740993");
    assert_eq!(mismatch("0.1", |row| row.f32(0)).await, "f64 0.1");
    assert_eq!(mismatch("1e39", |row| row.f32(0)).await, "f64 1000000000000000000000000000000000000000");
    assert_eq!(mismatch("1", |row| row.str(0).map(|v| v.map(str::to_owned))).await, "i64 1");
    assert_eq!(mismatch("x'00'", |row| row.str(0).map(|v| v.map(str::to_owned))).await, "1 bytes");
    assert_eq!(
        mismatch("cast(x'c328' as text)", |row| row.json(0).map(|v| v.map(str::to_owned))).await,
        "text that is not UTF-8"
    );
    assert_eq!(mismatch("'a'", |row| row.bytes(0).map(|v| v.map(<[u8]>::to_vec))).await, "text \"a\"");
    assert_eq!(
        mismatch("'0123456789abcdef0123456789abcdef'", |row| row.uuid(0)).await,
        "text \"0123456789abcdef0123456789abcdef\""
    );
    assert_eq!(mismatch("x'0123'", |row| row.uuid(0)).await, "2 bytes");
    assert_eq!(mismatch("'1_000'", |row| row.decimal(0)).await, "text \"1_000\"");
    assert_eq!(
        mismatch("'79228162514264337593543950336'", |row| row.decimal(0)).await,
        "text \"79228162514264337593543950336\""
    );
    assert_eq!(mismatch("'2021-02-30'", |row| row.date(0)).await, "text \"2021-02-30\"");
    assert_eq!(mismatch("'2021-01-02 03:04:05'", |row| row.timestamp(0)).await, "text \"2021-01-02 03:04:05\"");
}

#[tokio::test]
async fn a_getter_widens_where_nothing_is_lost() {
    let mut db = memory().await;
    let sql = "select 9007199254740994, -9223372036854775808, 1, 0.1, x'00000000000000000000000000000001', \
               '00000000-0000-0000-0000-00000000000A', 7, '2021-01-02 03:04:05'";
    let wide = first(db.as_mut(), sql, &[], |row| {
        (row.f64(0), row.f64(1), row.f32(2), row.decimal(3), row.uuid(4), row.uuid(5), row.decimal(6), row.datetime(7))
    })
    .await;
    assert_eq!(wide.0, Ok(Some(9_007_199_254_740_994.0)));
    assert_eq!(wide.1, Ok(Some(-9_223_372_036_854_775_808.0)));
    assert_eq!(wide.2, Ok(Some(1.0)));
    assert_eq!(wide.3, Ok(Some(Decimal::new(1, 1))));
    assert_eq!(wide.4, Ok(Some(Uuid::from_u128(1))));
    assert_eq!(wide.5, Ok(Some(Uuid::from_u128(10))));
    assert_eq!(wide.6, Ok(Some(Decimal::from(7))));
    assert_eq!(wide.7, Ok(Some(date(2021, 1, 2).and_time(micros(3, 4, 5, 0)))));
}

#[tokio::test]
async fn decimals_compare_and_sort_as_numbers() {
    let mut db = memory().await;
    let sorted = crate::common::rows(
        db.as_mut(),
        "select column1 from (values ('10'), ('9.5'), ('-1'), ('x'), ('a'), ('100')) order by column1 collate emr_decimal",
    )
    .await;
    let texts: Vec<_> = sorted.iter().map(|row| format!("{:?}", row[0])).collect();
    assert_eq!(texts, [r#""-1""#, r#""9.5""#, r#""10""#, r#""100""#, r#""a""#, r#""x""#]);
    assert_eq!(crate::common::number(db.as_mut(), "select '1.0' = '1.00' collate emr_decimal").await, 1);
}

#[tokio::test]
async fn a_wrong_number_of_parameters_names_both() {
    let mut db = memory().await;
    let message = error(db.as_mut(), "select ?1, ?2", &[Value::I64(1)]).await.to_string();
    assert_eq!(message, "the statement has 2 parameters, but 1 values were given");
    let message = error(db.as_mut(), "select 1", &[Value::I64(1)]).await.to_string();
    assert_eq!(message, "the statement has 0 parameters, but 1 values were given");
}
