//! Time that is added to times.

use chrono::{Months, NaiveDateTime, TimeDelta};
use rusqlite::functions::Context;
use rusqlite::types::Value;
use rusqlite::{Connection, Result};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{decimal_of, integer_of, refused, scalar, text_of};
use crate::temporal;

/// A time in one of the three forms in which times are stored.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Date,
    DateTime,
    Timestamp,
}

pub(super) fn register(db: &Connection) -> Result<()> {
    scalar(db, "emr_add_months", 2, |context| {
        let (form, time) = read(context)?;
        let months = integer_of(context, 1)?;
        let count = u32::try_from(months.unsigned_abs()).ok().map(Months::new);
        let moved = count
            .and_then(|count| if months < 0 { time.checked_sub_months(count) } else { time.checked_add_months(count) });
        write(form, moved)
    })?;
    scalar(db, "emr_add_micros", 3, |context| {
        let (form, time) = read(context)?;
        let micros = decimal_of(context.get_raw(1))?.checked_mul(Decimal::from(integer_of(context, 2)?));
        let micros = micros.and_then(|micros| {
            micros.round_dp_with_strategy(0, rust_decimal::RoundingStrategy::MidpointAwayFromZero).to_i64()
        });
        write(form, micros.and_then(|micros| time.checked_add_signed(TimeDelta::microseconds(micros))))
    })
}

fn read(context: &Context<'_>) -> Result<(Form, NaiveDateTime)> {
    let text = text_of(context, 0)?;
    parse(text).ok_or_else(|| refused(format!("a text of {} bytes that is neither a date nor a time", text.len())))
}

/// Reads any of the forms; an instant as its time in UTC.
pub(super) fn parse(text: &str) -> Option<(Form, NaiveDateTime)> {
    let bytes = text.as_bytes();
    if let Some(date) = temporal::date(bytes) {
        return Some((Form::Date, date.and_time(chrono::NaiveTime::MIN)));
    }
    match temporal::datetime(bytes) {
        Some(time) => Some((Form::DateTime, time)),
        None => temporal::timestamp(bytes).map(|instant| (Form::Timestamp, instant.naive_utc())),
    }
}

/// Writes the form in which such a time is stored.
pub(super) fn write(form: Form, time: Option<NaiveDateTime>) -> Result<Value> {
    let mut text = String::with_capacity(27);
    let written = time.and_then(|time| match form {
        Form::Date => temporal::write_date(&mut text, time.date()),
        Form::DateTime | Form::Timestamp => temporal::write_datetime(&mut text, time),
    });
    match written {
        Some(Ok(())) => {
            if matches!(form, Form::Timestamp) {
                text.push('Z');
            }
            Ok(Value::Text(text))
        }
        _ => Err(refused("a time out of range: years are from 0000 to 9999")),
    }
}
