//! Enums as column types.

#![allow(missing_docs)]

mod support;

use emr_core::{ErrorKind, FromValue, Scalar, SqlType, Syncable, Value};
use emr_macros::Syncable;

use support::{Cellar, decoded, stored, text};

// Neither Clone nor Copy: the derive needs neither.
#[derive(Syncable, Debug, PartialEq)]
#[emr(crate = "::emr_core")]
enum Status {
    Active,
    OnHold,
    #[emr(rename = "gone")]
    Closed,
}

#[derive(Syncable, Debug, PartialEq)]
#[emr(crate = "::emr_core", text, rename_all = "SCREAMING_SNAKE_CASE")]
enum Loud {
    VeryLoud,
    #[emr(rename = "quiet")]
    Quiet,
}

#[derive(Syncable, Debug, PartialEq, Clone)]
#[emr(crate = "::emr_core", integer)]
enum Level {
    Low = -1,
    Middle,
    High = 70_000,
}

#[derive(Syncable, Debug, PartialEq)]
#[emr(crate = "::emr_core", integer = "i16")]
#[repr(u8)]
enum Tiny {
    Zero,
    Max = u8::MAX,
}

#[derive(Syncable, Debug, PartialEq)]
#[emr(crate = "::emr_core", integer = "i64")]
#[repr(i64)]
enum Huge {
    Min = i64::MIN,
    Max = i64::MAX,
}

#[derive(Syncable, Debug, PartialEq)]
#[emr(crate = "::emr_core", table = "tickets")]
struct Ticket {
    id: i64,
    status: Status,
    level: Option<Level>,
    levels: Vec<Level>,
    #[emr(redact)]
    secret: Option<Status>,
}

#[test]
fn text_enums_are_stored_in_snake_case_unless_renamed() {
    assert_eq!(Status::TYPE, SqlType::Text);
    assert_eq!(Status::Active.to_value(), text("active"));
    assert_eq!(Status::OnHold.to_value(), text("on_hold"));
    assert_eq!(Scalar::into_value(Status::Closed), text("gone"));
    assert_eq!(Loud::VeryLoud.to_value(), text("VERY_LOUD"));
    assert_eq!(Loud::Quiet.to_value(), text("quiet"));
}

#[test]
fn integer_enums_are_stored_by_their_discriminants() {
    assert_eq!(Level::TYPE, SqlType::I32);
    assert_eq!([Level::Low, Level::Middle, Level::High].map(Scalar::into_value), [-1, 0, 70_000].map(Value::I32));
    assert_eq!(Tiny::TYPE, SqlType::I16);
    assert_eq!([Tiny::Zero, Tiny::Max].map(Scalar::into_value), [0, 255].map(Value::I16));
    assert_eq!(Huge::TYPE, SqlType::I64);
    assert_eq!([Huge::Min, Huge::Max].map(Scalar::into_value), [i64::MIN, i64::MAX].map(Value::I64));
}

#[test]
fn every_variant_goes_there_and_back() {
    for status in [Status::Active, Status::OnHold, Status::Closed] {
        assert_eq!(Status::from_value(status.to_value()).unwrap(), status);
    }
    for level in [Level::Low, Level::Middle, Level::High] {
        assert_eq!(Level::from_value(level.to_value()).unwrap(), level);
    }
    for huge in [Huge::Min, Huge::Max] {
        assert_eq!(Huge::from_value(huge.to_value()).unwrap(), huge);
    }
}

#[test]
fn enums_are_columns() {
    let ticket = Ticket {
        id: 1,
        status: Status::Closed,
        level: Some(Level::High),
        levels: vec![Level::Low, Level::Middle],
        secret: None,
    };

    assert_eq!(decoded::<Ticket>(&stored(&ticket)).unwrap(), ticket);
    assert!(Ticket::schema().columns[2].nullable);
    assert_eq!(Ticket::schema().columns[3].ty, SqlType::Array(&SqlType::I32));
}

fn mismatch(cells: [Value<'static>; 4]) -> (String, String, String) {
    let [status, level, levels, secret] = cells;
    let error = decoded::<Ticket>(&Cellar(vec![Value::I64(1), status, level, levels, secret])).unwrap_err();
    let ErrorKind::Decode { column, expected, found, .. } = error.kind() else { panic!("{error}") };
    (column.clone(), expected.clone(), found.clone())
}

fn sound() -> [Value<'static>; 4] {
    [text("active"), Value::I32(0), Value::Array(SqlType::I32, Vec::new()), Value::Null(SqlType::Text)]
}

#[test]
fn an_unknown_text_names_the_enum_and_what_was_found() {
    let [_, level, levels, secret] = sound();

    let found = mismatch([text("asleep"), level, levels, secret]);

    assert_eq!(found, ("status".into(), "Status (active, on_hold, gone)".into(), "text \"asleep\"".into()));
}

#[test]
fn an_unknown_number_names_the_enum_and_what_was_found() {
    let [status, _, levels, secret] = sound();

    let found = mismatch([status, Value::I32(5), levels, secret]);

    assert_eq!(found, ("level".into(), "Level".into(), "i32 5".into()));
}

#[test]
fn a_cell_of_another_type_names_the_enum() {
    let [_, level, levels, secret] = sound();

    let found = mismatch([Value::I64(3), level, levels, secret]);

    assert_eq!(found, ("status".into(), "Status (active, on_hold, gone)".into(), "i64 3".into()));
}

#[test]
fn an_unknown_element_of_an_array_is_found() {
    let [status, level, _, secret] = sound();
    let levels = Value::Array(SqlType::I32, vec![Value::I32(-1), Value::I32(9)]);

    assert_eq!(mismatch([status, level, levels, secret]).2, "i32 9");
}

#[test]
fn an_unknown_value_of_a_redacted_column_is_not_shown() {
    let [status, level, levels, _] = sound();

    assert_eq!(mismatch([status, level, levels, text("hush")]).2, "a redacted value");
}

#[test]
fn narrower_integers_are_widened() {
    assert_eq!(Level::from_value(Value::I16(-1)).unwrap(), Level::Low);
    assert_eq!(Tiny::from_value(Value::I64(0)).unwrap(), Tiny::from_value(Value::I16(0)).unwrap());
    assert!(Tiny::from_value(Value::I32(40_000)).is_err());
}
