//! Dates and times: PostgreSQL counts from the year 2000, in days and in microseconds.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

use super::Expected;

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * MICROS_PER_DAY;
/// 4714-11-24 BC: the first day that PostgreSQL has.
const FIRST_DAY: i32 = -2_451_545;

pub(super) fn days(date: NaiveDate) -> Result<i32, Expected> {
    let days = date.to_epoch_days() - EPOCH_DAYS;
    if days < FIRST_DAY { Err(Expected::new("a date from 4714-11-24 BC on")) } else { Ok(days) }
}

pub(super) fn time_micros(time: NaiveTime) -> Result<i64, Expected> {
    let nanos = time.nanosecond();
    if !nanos.is_multiple_of(1_000) {
        return Err(Expected::new("a time without parts of a microsecond"));
    }
    if nanos >= 1_000_000_000 {
        return Err(Expected::new("a time that is no leap second"));
    }
    Ok(i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(nanos / 1_000))
}

pub(super) fn micros(at: NaiveDateTime) -> Result<i64, Expected> {
    Ok(i64::from(days(at.date())?) * MICROS_PER_DAY + time_micros(at.time())?)
}

/// `None` for the infinities and for what chrono cannot hold.
pub(super) fn date_of(days: i32) -> Option<NaiveDate> {
    let epoch = NaiveDate::from_ymd_opt(2000, 1, 1)?;
    let distance = Days::new(days.unsigned_abs().into());
    if days < 0 { epoch.checked_sub_days(distance) } else { epoch.checked_add_days(distance) }
}

/// `None` for 24:00:00, which is no time of day in Rust.
pub(super) fn time_of(micros: i64) -> Option<NaiveTime> {
    let seconds = u32::try_from(micros.div_euclid(1_000_000)).ok()?;
    let nanos = u32::try_from(micros.rem_euclid(1_000_000)).ok()? * 1_000;
    NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos)
}

/// `None` for the infinities and for what chrono cannot hold.
pub(super) fn datetime_of(micros: i64) -> Option<NaiveDateTime> {
    if matches!(micros, i64::MIN | i64::MAX) {
        return None;
    }
    match micros.checked_add(EPOCH_MICROS) {
        Some(unix) => DateTime::from_timestamp_micros(unix).map(|at| at.naive_utc()),
        None => NaiveDate::from_ymd_opt(2000, 1, 1)?
            .and_time(NaiveTime::MIN)
            .checked_add_signed(TimeDelta::microseconds(micros)),
    }
}
