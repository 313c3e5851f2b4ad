//! The values that columns are tried with.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use emr::prelude::*;
use emr::uuid::Uuid;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::json;

use super::schemas::{Every, Level, Mood, Settings};
use crate::harness::Backend;

/// 96 bits: the digits that a decimal holds.
const MOST_DIGITS: i128 = (1 << 96) - 1;

/// The first and the last day that the backend keeps.
pub(super) fn days(backend: Backend) -> (NaiveDate, NaiveDate) {
    let date = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).expect("a date");
    match backend {
        Backend::Sqlite | Backend::Mariadb | Backend::Mysql => (date(0, 1, 1), date(9999, 12, 31)),
        // The server's first day; its last one is beyond chrono's.
        Backend::Postgres => (date(-4713, 11, 24), NaiveDate::MAX),
    }
}

pub(super) fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).expect("a decimal")
}

fn last_microsecond() -> NaiveTime {
    NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).expect("a time")
}

pub(super) fn uuids() -> [Uuid; 3] {
    [Uuid::nil(), Uuid::from_u128(0x0123_4567_89AB_CDEF_8123_4567_89AB_CDEF), Uuid::max()]
}

/// A decimal as it comes back: MySQL's columns say how many digits they have, and their values do not.
pub(super) fn kept(backend: Backend, number: Decimal) -> Decimal {
    if backend.is_mysql_family() { number.normalize() } else { number }
}

pub(super) fn decimals() -> Vec<Decimal> {
    let mut decimals = vec![Decimal::MIN, Decimal::MAX, decimal("1.10"), decimal("-0.000100"), decimal("10000.0000")];
    decimals.extend((0..=28).map(|scale| Decimal::from_i128_with_scale(MOST_DIGITS, scale)));
    decimals.extend((0..=28).map(|scale| Decimal::from_i128_with_scale(-1, scale)));
    decimals.extend((0..=28).map(|scale| Decimal::new(0, scale)));
    decimals
}

/// -0.0 is not among SQLite's: the engine stores a float that is a whole number as an integer.
pub(super) fn doubles(backend: Backend) -> Vec<f64> {
    let mut doubles = vec![f64::MIN, f64::MAX, f64::MIN_POSITIVE, 5e-324, -5e-324, 0.0, 0.1, 1.0 / 3.0];
    doubles.extend([9_007_199_254_740_993.0, 1e300, f64::EPSILON]);
    if !backend.is_mysql_family() {
        doubles.extend([f64::INFINITY, f64::NEG_INFINITY]);
    }
    if backend == Backend::Postgres {
        doubles.extend([-0.0, f64::NAN]);
    }
    doubles
}

pub(super) fn singles(backend: Backend) -> Vec<f32> {
    let mut singles = vec![f32::MIN, f32::MAX, f32::MIN_POSITIVE, 1e-45, -1e-45, 0.0, 0.1, 16_777_217.0];
    if !backend.is_mysql_family() {
        singles.extend([f32::INFINITY, f32::NEG_INFINITY]);
    }
    if backend == Backend::Postgres {
        singles.extend([-0.0, f32::NAN]);
    }
    singles
}

pub(super) fn texts(backend: Backend) -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "'\"\\ ; -- $1 ? %_",
        "e\u{301} is not \u{e9}",
        "🦀👩‍👩‍👧 漢字 \u{10FFFF}",
        "\u{1}\u{7f}\r\n\t\u{feff}\u{202e}",
        "NULL",
    ]
    .map(ToOwned::to_owned)
    .to_vec();
    if backend != Backend::Postgres {
        texts.extend(["\0".to_owned(), "a\0b\0".to_owned()]);
    }
    texts.push("ä\u{1F980}".repeat(1_000));
    texts
}

pub(super) fn all_bytes() -> Vec<Vec<u8>> {
    vec![vec![], vec![0], (0..=255).collect(), vec![0xff; 2_000], b"\\x41".to_vec()]
}

pub(super) fn moments(backend: Backend) -> Vec<NaiveDateTime> {
    let (first, last) = days(backend);
    let epoch = DateTime::UNIX_EPOCH.naive_utc();
    let micro = chrono::TimeDelta::microseconds(1);
    vec![first.and_time(NaiveTime::MIN), last.and_time(last_microsecond()), epoch, epoch - micro, epoch + micro]
}

pub(super) fn clocks() -> [NaiveTime; 3] {
    [NaiveTime::MIN, last_microsecond(), NaiveTime::from_hms_micro_opt(1, 2, 3, 4).expect("a time")]
}

pub(super) fn dates(backend: Backend) -> Vec<NaiveDate> {
    let (first, last) = days(backend);
    vec![first, last, "2000-02-29".parse().expect("a date"), "1969-12-31".parse().expect("a date")]
}

pub(super) fn documents() -> Vec<serde_json::Value> {
    vec![
        json!(null),
        json!({}),
        json!([[], {}, "", null, false]),
        json!("a text \u{1F980} \" \\ / \u{1} \u{7f}"),
        json!([i64::MIN, i64::MAX, u64::MAX]),
        json!([0.1, 5e-324, -2.225_073_858_507_201e-308, f64::MAX, f64::MIN, 1.0 / 3.0]),
        json!({"b": {"": [1, 2, {"ü": null}]}, "a": "x".repeat(1_000)}),
    ]
}

/// Rows that hold, between them, the extremes of every type.
pub(super) fn extremes(backend: Backend) -> Vec<Every> {
    fn pick<T: Clone>(values: &[T], n: usize) -> T {
        values[n % values.len()].clone()
    }
    let settings = [
        Settings { name: String::new(), size: None, ratio: f64::MAX, tags: vec![] },
        Settings {
            name: "ä \" \u{1F980}".into(),
            size: Some(i64::MIN),
            ratio: 5e-324,
            tags: vec![String::new(), "x".into()],
        },
    ];
    let moments = moments(backend);
    (0..decimals().len())
        .map(|n| Every {
            id: i64::try_from(n).expect("few") + 1,
            truth: n % 2 == 0,
            small: pick(&[i16::MIN, i16::MAX, 0, -1], n),
            medium: pick(&[i32::MIN, i32::MAX, 0, -1], n),
            large: pick(&[i64::MIN, i64::MAX, 0, -1], n),
            single: pick(&singles(backend), n),
            double: pick(&doubles(backend), n),
            number: kept(backend, pick(&decimals(), n)),
            text: pick(&texts(backend), n),
            bytes: pick(&all_bytes(), n),
            uuid: pick(&uuids(), n),
            day: pick(&dates(backend), n),
            clock: pick(&clocks(), n),
            moment: pick(&moments, n),
            instant: pick(&moments, n).and_utc(),
            json: pick(&documents(), n),
            settings: Json(pick(&settings, n)),
            mood: pick(&[Mood::Glad, Mood::VerySad, Mood::Angry], n),
            level: pick(&[Level::Lowest, Level::Middle, Level::Highest], n),
        })
        .collect()
}

/// A row that differs from every extreme in every column that has more than a few values.
pub(super) fn plain(id: i64) -> Every {
    let day = NaiveDate::from_ymd_opt(2024, 3, 4).expect("a date");
    let moment = day.and_time(NaiveTime::from_hms_opt(5, 6, 7).expect("a time"));
    Every {
        id,
        truth: false,
        small: 7,
        medium: 8,
        large: 9,
        single: 1.5,
        double: 2.5,
        number: decimal("3.5"),
        text: "plain".into(),
        bytes: vec![1, 2],
        uuid: Uuid::from_u128(77),
        day,
        clock: moment.time(),
        moment,
        instant: moment.and_utc(),
        json: json!({"plain": 1}),
        settings: Json(Settings { name: "plain".into(), size: Some(1), ratio: 0.5, tags: vec![] }),
        mood: Mood::Glad,
        level: Level::Middle,
    }
}

fn any_text(backend: Backend) -> impl Strategy<Value = String> + Clone {
    let nul = backend != Backend::Postgres;
    vec(any::<char>(), 0..20)
        .prop_map(move |characters| characters.into_iter().filter(|character| nul || *character != '\0').collect())
}

/// `jsonb` keeps a number's value and not how it was written: 1e17 comes back as 100000000000000000, and the sign of
/// zero is lost. These floats can be written in one way only.
fn json_float() -> impl Strategy<Value = f64> + Clone {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL};
    (NORMAL | SUBNORMAL | POSITIVE | NEGATIVE)
        .prop_filter("an integer", |float| float.fract() != 0.0 || float.abs() > 1e20)
}

fn any_document(backend: Backend) -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        json_float().prop_map(Into::into),
        any_text(backend).prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 20, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            btree_map(any_text(backend), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A row of random values.
pub(super) fn any_row(backend: Backend) -> impl Strategy<Value = Every> {
    use proptest::num::{f32, f64};
    let float = f64::NORMAL | f64::SUBNORMAL | f64::INFINITE | f64::POSITIVE | f64::NEGATIVE;
    let single = f32::NORMAL | f32::SUBNORMAL | f32::INFINITE | f32::POSITIVE | f32::NEGATIVE;
    // MySQL has no infinities, and MariaDB no UUIDs without a version.
    let finite = backend.is_mysql_family();
    let float = float.prop_map(move |v: f64| if finite && v.is_infinite() { 1.5 } else { v });
    let single = single.prop_map(move |v: f32| if finite && v.is_infinite() { 1.5 } else { v });
    let number = (-MOST_DIGITS..=MOST_DIGITS, 0_u32..=28)
        .prop_map(|(digits, scale)| Decimal::from_i128_with_scale(digits, scale));
    let numbers = (any::<bool>(), any::<i16>(), any::<i32>(), any::<i64>(), single, float, number);

    let settings = (any_text(backend), any::<Option<i64>>(), json_float(), vec(any_text(backend), 0..3))
        .prop_map(|(name, size, ratio, tags)| Json(Settings { name, size, ratio, tags }));
    let mood = prop_oneof![Just(Mood::Glad), Just(Mood::VerySad), Just(Mood::Angry)];
    let level = prop_oneof![Just(Level::Lowest), Just(Level::Middle), Just(Level::Highest)];
    let bytes = vec(any::<u8>(), 0..40);
    let texts = (any_text(backend), bytes, any::<u128>(), any_document(backend), settings, mood, level);

    let (first, last) = days(backend);
    let day = (first.to_epoch_days()..=last.to_epoch_days())
        .prop_map(|days| NaiveDate::from_epoch_days(days).expect("a day in range"));
    let clock = (0..86_400_u32, 0..1_000_000_u32).prop_map(|(second, micro)| {
        NaiveTime::from_num_seconds_from_midnight_opt(second, micro * 1_000).expect("a time of day")
    });
    let times = (day.clone(), clock.clone(), (day.clone(), clock.clone()), (day, clock));

    (numbers, texts, times).prop_map(move |(numbers, texts, times)| {
        let (truth, small, medium, large, single, double, number) = numbers;
        let (text, bytes, uuid, json, settings, mood, level) = texts;
        let (day, clock, moment, instant) = times;
        Every {
            id: 1,
            truth,
            small,
            medium,
            large,
            single,
            double,
            number: kept(backend, number),
            text,
            bytes,
            uuid: match backend {
                Backend::Mariadb => emr::uuid::Builder::from_random_bytes(uuid.to_be_bytes()).into_uuid(),
                _ => Uuid::from_u128(uuid),
            },
            day,
            clock,
            moment: moment.0.and_time(moment.1),
            instant: instant.0.and_time(instant.1).and_utc(),
            json,
            settings,
            mood,
            level,
        }
    })
}
