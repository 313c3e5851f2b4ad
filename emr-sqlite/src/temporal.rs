//! Dates and times as texts.

use std::fmt::{self, Write};

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};

/// What a text must look like to be one of these, for error messages.
pub(crate) const DATE: &str = "a date from year 0000 to 9999";
pub(crate) const TIME: &str = "a time of whole microseconds, without a leap second";
pub(crate) const DATE_TIME: &str =
    "a date from year 0000 to 9999 and a time of whole microseconds, without a leap second";

/// Writes `2021-01-02`, if the text would be in the order of time.
pub(crate) fn write_date(out: &mut impl Write, date: NaiveDate) -> Option<fmt::Result> {
    let year = date.year();
    (0..=9999).contains(&year).then(|| write!(out, "{year:04}-{:02}-{:02}", date.month(), date.day()))
}

/// Writes `03:04:05.000006`, if nothing of the time is lost.
pub(crate) fn write_time(out: &mut impl Write, time: NaiveTime) -> Option<fmt::Result> {
    let nanos = time.nanosecond();
    (nanos < 1_000_000_000 && nanos.is_multiple_of(1_000))
        .then(|| write!(out, "{:02}:{:02}:{:02}.{:06}", time.hour(), time.minute(), time.second(), nanos / 1_000))
}

/// Writes `2021-01-02T03:04:05.000006`.
pub(crate) fn write_datetime(out: &mut impl Write, datetime: NaiveDateTime) -> Option<fmt::Result> {
    let date = write_date(out, datetime.date())?;
    let t = out.write_char('T');
    let time = write_time(out, datetime.time())?;
    Some(date.and(t).and(time))
}

/// Reads `YYYY-MM-DD`.
pub(crate) fn date(text: &[u8]) -> Option<NaiveDate> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let year = number(&[y1, y2, y3, y4])?;
    NaiveDate::from_ymd_opt(year.cast_signed(), number(&[m1, m2])?, number(&[d1, d2])?)
}

/// Reads `HH:MM:SS`, with up to nine fraction digits.
pub(crate) fn time(text: &[u8]) -> Option<NaiveTime> {
    let (clock, fraction) = text.split_at_checked(8)?;
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *clock else { return None };
    let nanos = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            let scale = 10_u32.pow(9 - u32::try_from(digits.len()).ok()?);
            number(digits)? * scale
        }
        _ => return None,
    };
    NaiveTime::from_hms_nano_opt(number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?, nanos)
}

/// Reads a date and a time with `T` or a space between.
pub(crate) fn datetime(text: &[u8]) -> Option<NaiveDateTime> {
    let (day, rest) = text.split_at_checked(10)?;
    let (b'T' | b' ', clock) = rest.split_first()? else { return None };
    Some(date(day)?.and_time(time(clock)?))
}

/// Reads a date and a time, and how far they are from UTC: `Z`, `+02:00` or `-02:00`.
pub(crate) fn timestamp(text: &[u8]) -> Option<DateTime<Utc>> {
    if let Some(utc) = text.strip_suffix(b"Z") {
        return Some(datetime(utc)?.and_utc());
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let [sign, h1, h2, b':', m1, m2] = *offset else { return None };
    let (hours, minutes) = (number(&[h1, h2])?, number(&[m1, m2])?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = (hours * 3_600 + minutes * 60).cast_signed();
    let offset = match sign {
        b'+' => FixedOffset::east_opt(seconds)?,
        b'-' => FixedOffset::west_opt(seconds)?,
        _ => return None,
    };
    Some(datetime(local)?.checked_sub_offset(offset)?.and_utc())
}

/// Reads digits and nothing else; at most nine, so that it cannot overflow.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate, NaiveTime};
    use proptest::prelude::*;

    use super::{date, datetime, time, timestamp, write_date, write_datetime, write_time};

    #[test]
    fn what_others_write_is_read() {
        let midnight = datetime(b"2021-01-02 03:04:05").expect("a datetime");
        assert_eq!(midnight.to_string(), "2021-01-02 03:04:05");
        assert_eq!(time(b"03:04:05.5").expect("a time").to_string(), "03:04:05.500");
        let east = timestamp(b"2021-01-02T03:04:05+02:30").expect("a timestamp");
        assert_eq!(east.to_rfc3339(), "2021-01-02T00:34:05+00:00");
        let west = timestamp(b"2021-12-31 23:59:59.000001-01:00").expect("a timestamp");
        assert_eq!(west.to_rfc3339(), "2022-01-01T00:59:59.000001+00:00");
    }

    #[test]
    fn what_is_nearly_right_is_refused() {
        for text in ["2021-1-2", "2021-02-30", "2021-01-02 ", "-021-01-02", "2021/01/02", "", "٢٠٢١-01-02"] {
            assert_eq!(date(text.as_bytes()), None, "{text}");
        }
        for text in ["24:00:00", "23:59:60", "03:04", "03:04:05.", "03:04:05.1234567890", "03:04:05,5", "03:04:+5"] {
            assert_eq!(time(text.as_bytes()), None, "{text}");
        }
        for text in ["2021-01-02T03:04:05", "2021-01-02T03:04:05z", "2021-01-02T03:04:05+24:00", "Z", "+02:00"] {
            assert_eq!(timestamp(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(raw in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"0123456789-:T.Z+ "[..])], 0..40)) {
            let _ = (date(&raw), time(&raw), datetime(&raw), timestamp(&raw));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(days in -719_528_i32..=2_932_896, second in 0_u32..86_400, micro in 0_u32..1_000_000) {
            let day = NaiveDate::from_epoch_days(days).expect("a day from 0000 to 9999");
            let clock = NaiveTime::from_num_seconds_from_midnight_opt(second, micro * 1_000).expect("a time of day");
            let (mut one, mut other, mut both) = (String::new(), String::new(), String::new());
            write_date(&mut one, day).expect("in range").expect("written");
            write_time(&mut other, clock).expect("in range").expect("written");
            write_datetime(&mut both, day.and_time(clock)).expect("in range").expect("written");
            prop_assert_eq!(date(one.as_bytes()), Some(day));
            prop_assert_eq!(time(other.as_bytes()), Some(clock));
            prop_assert_eq!(datetime(both.as_bytes()), Some(day.and_time(clock)));
            both.push('Z');
            let instant: Option<DateTime<chrono::Utc>> = timestamp(both.as_bytes());
            prop_assert_eq!(instant, Some(day.and_time(clock).and_utc()));
        }
    }
}
