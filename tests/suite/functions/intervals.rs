//! Time that is added to dates, to times without a zone, and to instants.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use emr::Operand;
use emr::functions::{ago, from_now, literal};
use emr::prelude::*;
use rust_decimal::Decimal;

use super::items::{Item, decimal, item, items, refusal, value};

test_repo_cases![
    i1_i2_i3_i4_i5_date_add,
    i6_i17_units_chosen_at_run_time,
    i7_i19_negative_intervals,
    i8_i9_i10_i11_i12_i13_i14_datetime_add,
    i15_datetime_add_with_millisecond,
    i16_datetime_add_with_microsecond,
    i18_datetime_add_in_filters,
    i20_i21_from_now_and_ago,
    i22_datetime_add_with_utc_datetime,
    i23_i24_i25_i26_microseconds_are_exact,
    i27_i28_i29_i30_milliseconds_are_exact,
    months_end_where_the_calendar_says,
    intervals_of_nothing,
    counts_that_no_time_has,
    results_out_of_range,
];

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a date")
}

fn local(text: &str) -> NaiveDateTime {
    text.parse().expect("a time")
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

/// One row: at the beginning of 2014-01-01, with 2 in its numbers.
async fn one(repo: &impl Repo) {
    let at = local("2014-01-01T02:00:00");
    let row = item().set(Item::DAY, at.date()).set(Item::LOCAL, at).set(Item::INSTANT, at.and_utc());
    items(repo, [row.set(Item::VISITS, 2).set(Item::RATING, 2.0).set(Item::COST, decimal("2.0"))]).await;
}

/// Adds one unit, counted by everything that counts, and two by columns.
async fn added<X>(repo: &impl Repo, to: X, unit: Unit, once: X::Scalar, twice: X::Scalar)
where
    X: Operand + Copy,
    X::Scalar: emr::Temporal + std::fmt::Debug + PartialEq + Clone,
{
    let sums = (
        to.add_interval(1, unit),
        to.add_interval(1.0, unit),
        to.add_interval(decimal("1.0"), unit),
        to.add_interval(literal(1_i64), unit),
        to.sub_interval(-1, unit),
        to.add_interval(Item::VISITS, unit),
    );
    let (integer, float, dec, expression, negative, column) = value(repo, sums).await;
    for found in [integer, float, dec, expression, negative] {
        assert_eq!(found, once, "{unit:?}");
    }
    assert_eq!(column, twice, "{unit:?}");
    if !matches!(unit, Unit::Year | Unit::Month) {
        let (float, dec) = value(repo, (to.add_interval(Item::RATING, unit), to.add_interval(Item::COST, unit))).await;
        assert_eq!((float, dec), (twice.clone(), twice), "{unit:?}");
    }
}

async fn i1_i2_i3_i4_i5_date_add(repo: &impl Repo) {
    one(repo).await;
    for (unit, once, twice) in [
        (Unit::Year, "2015-01-01", "2016-01-01"),
        (Unit::Month, "2014-02-01", "2014-03-01"),
        (Unit::Week, "2014-01-08", "2014-01-15"),
        (Unit::Day, "2014-01-02", "2014-01-03"),
        (Unit::Hour, "2014-01-01", "2014-01-01"),
    ] {
        added(repo, Item::DAY, unit, date(once), date(twice)).await;
    }
    let query = Item::query().select(Item::DAY.add_interval(48.0, Unit::Hour));
    assert_eq!(repo.one(query).await.unwrap(), Some(date("2014-01-03")));
}

async fn i6_i17_units_chosen_at_run_time(repo: &impl Repo) {
    one(repo).await;
    // Everything is a value that input may decide: the time, the number, the unit.
    for (unit, count) in [(Unit::Day, 31), (Unit::Month, 1)] {
        let day = literal(date("2014-01-01")).add_interval(count, unit);
        let time = literal(local("2014-01-01T00:00:00")).add_interval(count, unit);
        let found = value(repo, (day, time)).await;
        assert_eq!(found, (date("2014-02-01"), local("2014-02-01T00:00:00")));
    }
}

async fn i7_i19_negative_intervals(repo: &impl Repo) {
    one(repo).await;
    let found = value(
        repo,
        (
            Item::DAY.add_interval(-1, Unit::Year),
            Item::DAY.sub_interval(1, Unit::Year),
            Item::LOCAL.add_interval(-1, Unit::Year),
            Item::LOCAL.sub_interval(Item::VISITS, Unit::Month),
            Item::DAY.add_interval(-12, Unit::Hour),
        ),
    )
    .await;
    let (day, time) = (date("2013-01-01"), local("2013-01-01T02:00:00"));
    assert_eq!(found, (day, day, time, local("2013-11-01T02:00:00"), date("2013-12-31")));
}

async fn i8_i9_i10_i11_i12_i13_i14_datetime_add(repo: &impl Repo) {
    one(repo).await;
    for (unit, once, twice) in [
        (Unit::Year, "2015-01-01T02:00:00", "2016-01-01T02:00:00"),
        (Unit::Month, "2014-02-01T02:00:00", "2014-03-01T02:00:00"),
        (Unit::Week, "2014-01-08T02:00:00", "2014-01-15T02:00:00"),
        (Unit::Day, "2014-01-02T02:00:00", "2014-01-03T02:00:00"),
        (Unit::Hour, "2014-01-01T03:00:00", "2014-01-01T04:00:00"),
        (Unit::Minute, "2014-01-01T02:01:00", "2014-01-01T02:02:00"),
        (Unit::Second, "2014-01-01T02:00:01", "2014-01-01T02:00:02"),
    ] {
        added(repo, Item::LOCAL, unit, local(once), local(twice)).await;
    }
}

/// Every column keeps microseconds, so nothing is cut off.
async fn i15_datetime_add_with_millisecond(repo: &impl Repo) {
    one(repo).await;
    let found = value(repo, Item::LOCAL.add_interval(1_500, Unit::Millisecond)).await;
    assert_eq!(found, local("2014-01-01T02:00:01.500"));
}

async fn i16_datetime_add_with_microsecond(repo: &impl Repo) {
    one(repo).await;
    let found = value(repo, Item::LOCAL.add_interval(1_500, Unit::Microsecond)).await;
    assert_eq!(found, local("2014-01-01T02:00:00.001500"));
}

async fn i18_datetime_add_in_filters(repo: &impl Repo) {
    one(repo).await;
    let count = async |condition| repo.count(Item::query().filter(condition)).await.unwrap();
    assert_eq!(count(Item::LOCAL.add_interval(1, Unit::Year).gt(local("2015-01-01T00:00:00"))).await, 1);
    assert_eq!(count(Item::LOCAL.add_interval(1, Unit::Year).gt(local("2015-01-02T00:00:00"))).await, 0);
    assert_eq!(count(Item::LOCAL.add_interval(Item::VISITS, Unit::Day).gt(Item::LOCAL)).await, 1);
    assert_eq!(count(Item::LOCAL.le(Item::LOCAL.add_interval(-1, Unit::Second))).await, 0);
}

async fn i20_i21_from_now_and_ago(repo: &impl Repo) {
    one(repo).await;
    let today = now();
    let (later, earlier) =
        value(repo, (from_now::<DateTime<Utc>>(1, Unit::Day), ago::<DateTime<Utc>>(2, Unit::Hour))).await;
    assert!((later - today - TimeDelta::days(1)).num_seconds().abs() < 30, "{later}");
    assert!((today - earlier - TimeDelta::hours(2)).num_seconds().abs() < 30, "{earlier}");
    // Of the type that it is compared with.
    let count = async |condition| repo.count(Item::query().filter(condition)).await.unwrap();
    assert_eq!(count(Item::LOCAL.lt(ago(1, Unit::Month))).await, 1);
    assert_eq!(count(Item::INSTANT.gt(ago(1, Unit::Month))).await, 0);
    assert_eq!(count(Item::DAY.lt(from_now(1, Unit::Week))).await, 1);
    assert_eq!(count(Item::INSTANT.between(ago(500, Unit::Year), from_now(500, Unit::Year))).await, 1);
}

async fn i22_datetime_add_with_utc_datetime(repo: &impl Repo) {
    one(repo).await;
    for (unit, once, twice) in [
        (Unit::Year, "2015-01-01T02:00:00Z", "2016-01-01T02:00:00Z"),
        (Unit::Month, "2014-02-01T02:00:00Z", "2014-03-01T02:00:00Z"),
        (Unit::Day, "2014-01-02T02:00:00Z", "2014-01-03T02:00:00Z"),
        (Unit::Hour, "2014-01-01T03:00:00Z", "2014-01-01T04:00:00Z"),
    ] {
        added(repo, Item::INSTANT, unit, instant(once), instant(twice)).await;
    }
}

async fn i23_i24_i25_i26_microseconds_are_exact(repo: &impl Repo) {
    let at = local("2014-01-16T20:26:51.000000");
    items(repo, [item().set(Item::LOCAL, at).set(Item::INSTANT, at.and_utc())]).await;
    let after = local("2014-01-16T20:26:51.000500");
    let found = value(
        repo,
        (
            Item::LOCAL.add_interval(500, Unit::Microsecond),
            Item::LOCAL.add_interval(decimal("500.0"), Unit::Microsecond),
            Item::INSTANT.add_interval(500, Unit::Microsecond),
            Item::INSTANT.add_interval(decimal("500"), Unit::Microsecond),
            // Far away, and still exact.
            literal(local("0001-01-01T00:00:00")).add_interval(315_537_897_599_999_999_i64, Unit::Microsecond),
        ),
    )
    .await;
    let last = local("9999-12-31T23:59:59.999999");
    assert_eq!(found, (after, after, after.and_utc(), after.and_utc(), last));
}

async fn i27_i28_i29_i30_milliseconds_are_exact(repo: &impl Repo) {
    let at = local("2014-01-16T20:26:51.000000");
    items(repo, [item().set(Item::LOCAL, at).set(Item::INSTANT, at.and_utc())]).await;
    let after = local("2014-01-16T20:26:51.150");
    let finer = local("2014-01-16T20:26:51.150250");
    let found = value(
        repo,
        (
            Item::INSTANT.add_interval(150, Unit::Millisecond),
            Item::INSTANT.add_interval(decimal("150.25"), Unit::Millisecond),
            Item::LOCAL.add_interval(150, Unit::Millisecond),
            Item::LOCAL.add_interval(decimal("150.25"), Unit::Millisecond),
            Item::LOCAL.add_interval(literal(decimal("150.25")), Unit::Millisecond),
            Item::LOCAL.add_interval(0.5, Unit::Second),
        ),
    )
    .await;
    let half = local("2014-01-16T20:26:51.500");
    assert_eq!(found, (after.and_utc(), finer.and_utc(), after, finer, finer, half));
}

async fn months_end_where_the_calendar_says(repo: &impl Repo) {
    items(repo, [item()]).await;
    for (from, months, to) in [
        ("2024-01-31", 1, "2024-02-29"),
        ("2023-01-31", 1, "2023-02-28"),
        ("2024-03-31", -1, "2024-02-29"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", 48, "2028-02-29"),
        ("2024-12-31", 2, "2025-02-28"),
    ] {
        let midnight = date(from).and_time(chrono::NaiveTime::MIN);
        let found = value(
            repo,
            (
                literal(date(from)).add_interval(months, Unit::Month),
                literal(midnight).add_interval(months, Unit::Month),
                literal(midnight.and_utc()).add_interval(literal(months), Unit::Month),
            ),
        )
        .await;
        let end = date(to).and_time(chrono::NaiveTime::MIN);
        assert_eq!(found, (date(to), end, end.and_utc()), "{from} {months}");
    }
    let found = value(repo, literal(date("2024-02-29")).add_interval(1, Unit::Year)).await;
    assert_eq!(found, date("2025-02-28"));
}

async fn intervals_of_nothing(repo: &impl Repo) {
    items(repo, [item().set(Item::DAY, date("2024-01-01"))]).await;
    let none = (
        Item::LOCAL.add_interval(1, Unit::Day).optional(),
        Item::DAY.add_interval(Item::VISITS, Unit::Day).optional(),
        Item::DAY.add_interval(Item::VISITS, Unit::Month).optional(),
    );
    assert_eq!(value(repo, none).await, (None, None, None));
}

async fn counts_that_no_time_has(repo: &impl Repo) {
    items(repo, [item()]).await;
    let errors = [
        refusal(repo, Item::LOCAL.add_interval(1.5, Unit::Month)).await,
        refusal(repo, Item::LOCAL.add_interval(decimal("0.5"), Unit::Year)).await,
        refusal(repo, Item::LOCAL.add_interval(Item::RATING, Unit::Month)).await,
        refusal(repo, Item::LOCAL.add_interval(i64::MAX, Unit::Day)).await,
        refusal(repo, Item::LOCAL.sub_interval(i64::MIN, Unit::Microsecond)).await,
        refusal(repo, Item::LOCAL.add_interval(f64::NAN, Unit::Second)).await,
        refusal(repo, Item::LOCAL.add_interval(f64::INFINITY, Unit::Second)).await,
        refusal(repo, Item::LOCAL.add_interval(Decimal::MAX, Unit::Week)).await,
    ];
    for error in errors {
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
    }
}

async fn results_out_of_range(repo: &impl Repo) {
    items(repo, [item().set(Item::DAY, date("2024-01-01")).set(Item::VISITS, 3_000_000_000_i64)]).await;
    for unit in [Unit::Month, Unit::Week] {
        let error = refusal(repo, Item::DAY.add_interval(Item::VISITS, unit)).await;
        // MySQL has a NULL for it, which is no date.
        assert!(matches!(error.kind(), ErrorKind::Database { .. } | ErrorKind::Decode { .. }), "{error}");
    }
}
