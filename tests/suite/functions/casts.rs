//! Casts that mean the same everywhere, and those that are refused.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr::functions::{cast, coalesce, literal};
use emr::prelude::*;
use emr::uuid::Uuid;
use rust_decimal::Decimal;

use super::items::{Item, Money, decimal, item, items, refusal, value};
use crate::harness::{assert_unsupported, assert_unsupported_in_part, backend};

test_repo_cases![
    t10_tagged_types,
    s8_type_casting_negative_integers,
    sq54_sq55_sq56_sq57_uuids_and_casts,
    numbers_to_numbers,
    texts_to_values,
    values_to_texts,
    times_to_times,
    casts_that_do_not_fit,
    casts_that_mean_nothing,
];

fn text(text: &str) -> Expr<String> {
    literal(text.to_owned())
}

#[allow(clippy::float_cmp)] // exactly these
async fn t10_tagged_types(repo: &impl Repo) {
    items(repo, [item().set(Item::VISITS, 4).set(Item::PRICE, Money(decimal("1.5")))]).await;
    // A parameter, a column, a type of the program's own, arithmetic, coalesce.
    assert_eq!(value(repo, (cast::<i64>(1_i32), cast::<i32>(Item::VISITS))).await, (1, 4));
    assert_eq!(value(repo, cast::<Money>(cast::<Decimal>(Item::VISITS))).await, Money(decimal("4")));
    assert_eq!(value(repo, cast::<f64>(Item::VISITS + 1)).await, 5.0);
    assert_eq!(value(repo, cast::<i64>(coalesce(Item::STARS, 7))).await, 7);
    let mut found = value(repo, (cast::<Decimal>(Item::PRICE), cast::<Money>(Item::PRICE))).await;
    found.0.rescale(1);
    assert_eq!(found, (decimal("1.5"), Money(decimal("1.5"))));
    // Of the row around a subquery.
    let around = Item::alias("around");
    let inner =
        Item::query().filter(Item::ID.eq(around.col(Item::ID))).select(cast::<String>(around.col(Item::VISITS)));
    let query = around.query().select(inner.scalar());
    assert_eq!(repo.one(query).await.unwrap(), Some("4".to_owned()));
}

async fn s8_type_casting_negative_integers(repo: &impl Repo) {
    items(repo, [item().set(Item::TITLE, "-42")]).await;
    if backend().is_mysql_family() {
        assert_unsupported_in_part(&refusal(repo, cast::<i64>(text("-42"))).await);
        assert_eq!(value(repo, (cast::<i32>(literal(-42_i64)), cast::<i64>(literal(-42.0)))).await, (-42, -42));
        return;
    }
    let found = value(repo, (cast::<i64>(text("-42")), cast::<i16>(Item::TITLE), cast::<i32>(literal(-42_i64)))).await;
    assert_eq!(found, (-42, -42, -42));
}

async fn sq54_sq55_sq56_sq57_uuids_and_casts(repo: &impl Repo) {
    let token = Uuid::from_u128(0x0123_4567_89AB_CDEF_8123_4567_89AB_CDEF);
    items(repo, [item().set(Item::TOKEN, token)]).await;
    assert_eq!(value(repo, cast::<String>(Item::TOKEN)).await, token.to_string());
    let forms = cast::<Uuid>(text(&token.to_string()));
    if backend().is_mysql_family() {
        assert_unsupported_in_part(&refusal(repo, forms).await);
        return;
    }
    // One form, whatever form the text has.
    for form in [token.to_string(), token.to_string().to_uppercase(), token.simple().to_string()] {
        assert_eq!(value(repo, cast::<Uuid>(text(&form))).await, token);
        let found = Item::query().filter(Item::TOKEN.eq(cast::<Uuid>(text(&form))));
        assert_eq!(repo.count(found).await.unwrap(), 1, "{form}");
    }
    assert_eq!(repo.count(Item::query().filter(Item::TOKEN.in_list([token]))).await.unwrap(), 1);
    let like = Item::query().filter(cast::<String>(Item::TOKEN).like("01234567-89ab%"));
    assert_eq!(repo.count(like).await.unwrap(), 1);
}

#[allow(clippy::float_cmp)] // exactly these
async fn numbers_to_numbers(repo: &impl Repo) {
    items(repo, [item()]).await;
    for (number, rounded) in
        [(0.4, 0), (0.5, 1), (1.5, 2), (2.5, 3), (-0.5, -1), (-2.5, -3), (1e15, 1_000_000_000_000_000)]
    {
        let dec = Decimal::try_from(number).unwrap();
        let found = value(repo, (cast::<i64>(literal(number)), cast::<i64>(literal(dec)))).await;
        assert_eq!(found, (rounded, rounded), "{number}");
    }
    let found = value(repo, (cast::<Decimal>(literal(0.1)), cast::<Decimal>(literal(1.0 / 3.0)))).await;
    assert_eq!(found, (decimal("0.1"), decimal("0.3333333333333333")));
    let found = value(repo, (cast::<f64>(literal(decimal("0.1"))), cast::<f64>(literal(3_i64)))).await;
    assert_eq!(found, (0.1, 3.0));
    let found =
        value(repo, (cast::<f32>(literal(0.1)), cast::<f64>(literal(0.5_f32)), cast::<i16>(literal(true)))).await;
    assert_eq!(found, (0.1, 0.5, 1));
    assert_eq!(value(repo, (cast::<bool>(literal(0_i64)), cast::<bool>(literal(-2_i64)))).await, (false, true));
}

#[allow(clippy::float_cmp)] // exactly these
async fn texts_to_values(repo: &impl Repo) {
    items(repo, [item()]).await;
    if backend().is_mysql_family() {
        assert_unsupported(&refusal(repo, cast::<f64>(text("1.5e3"))).await);
        assert_unsupported(&refusal(repo, cast::<Decimal>(text("1.50"))).await);
        assert_unsupported(&refusal(repo, cast::<NaiveDate>(text("2024-02-29"))).await);
        assert_unsupported(&refusal(repo, cast::<DateTime<Utc>>(text("2024-02-29T01:02:03+02:00"))).await);
        return;
    }
    let found = value(
        repo,
        (
            cast::<f64>(text("1.5e3")),
            cast::<Decimal>(text("1.50")),
            cast::<NaiveDate>(text("2024-02-29")),
            cast::<NaiveTime>(text("01:02:03.000004")),
            cast::<NaiveDateTime>(text("2024-02-29 01:02:03")),
            cast::<DateTime<Utc>>(text("2024-02-29T01:02:03+02:00")),
        ),
    )
    .await;
    let at: NaiveDateTime = "2024-02-29T01:02:03".parse().unwrap();
    assert_eq!((found.0, found.1, found.2), (1_500.0, decimal("1.50"), at.date()));
    let micros = at.time() + chrono::TimeDelta::microseconds(4);
    assert_eq!((found.3, found.4, found.5), (micros, at, at.and_utc() - chrono::TimeDelta::hours(2)));
}

async fn values_to_texts(repo: &impl Repo) {
    items(repo, [item()]).await;
    for (number, wanted) in
        [(1.0, "1"), (-0.5, "-0.5"), (0.1 + 0.2, "0.30000000000000004"), (1e15, "1e+15"), (1.25e-5, "1.25e-05")]
    {
        let wanted = match wanted {
            // Engines write the exponent each in their way.
            "1e+15" if backend().is_mysql_family() => "1e15",
            "1.25e-05" if backend().is_mysql_family() => "0.0000125",
            wanted => wanted,
        };
        assert_eq!(value(repo, cast::<String>(literal(number))).await, wanted);
    }
    let found = value(repo, (cast::<String>(literal(-7_i64)), cast::<String>(literal(decimal("1.50"))))).await;
    // MySQL's decimals have the digits of their columns, and no zeros of their own.
    let decimal = if backend().is_mysql_family() { "1.5" } else { "1.50" };
    assert_eq!(found, ("-7".to_owned(), decimal.to_owned()));
    let truths =
        (cast::<String>(literal(true)), cast::<String>(Item::ID.gt(5)), cast::<String>(Item::PUBLIC).optional());
    // A condition has no type that a cast knows; as a value it has.
    let truths =
        (truths.0, cast::<String>(emr::functions::case_when::<bool>(Item::ID.gt(5), true).otherwise(false)), truths.2);
    assert_eq!(value(repo, truths).await, ("true".to_owned(), "false".to_owned(), None));
}

async fn times_to_times(repo: &impl Repo) {
    let instant: DateTime<Utc> = "2024-02-29T23:59:59.999999Z".parse().unwrap();
    let local = instant.naive_utc();
    items(repo, [item().set(Item::INSTANT, instant).set(Item::LOCAL, local).set(Item::DAY, local.date())]).await;
    let found = value(
        repo,
        (
            cast::<NaiveDate>(Item::INSTANT),
            cast::<NaiveDate>(Item::LOCAL),
            cast::<NaiveDateTime>(Item::INSTANT),
            cast::<DateTime<Utc>>(Item::LOCAL),
            cast::<NaiveDateTime>(Item::DAY),
            cast::<DateTime<Utc>>(Item::DAY),
            cast::<NaiveTime>(Item::INSTANT),
            cast::<NaiveTime>(Item::LOCAL),
        ),
    )
    .await;
    let midnight = local.date().and_time(NaiveTime::MIN);
    let (day, clock) = (local.date(), local.time());
    assert_eq!(found, (day, day, local, instant, midnight, midnight.and_utc(), clock, clock));
}

async fn casts_that_do_not_fit(repo: &impl Repo) {
    items(repo, [item()]).await;
    let errors = [
        refusal(repo, cast::<i16>(literal(40_000_i64))).await,
        refusal(repo, cast::<i32>(literal(3e9))).await,
        refusal(repo, cast::<i64>(literal(1e30))).await,
        refusal(repo, cast::<i64>(text("abc"))).await,
        refusal(repo, cast::<i64>(text("1.5"))).await,
        refusal(repo, cast::<f64>(text("abc"))).await,
        refusal(repo, cast::<Decimal>(text("1,5"))).await,
        refusal(repo, cast::<NaiveDate>(text("2024-02-30"))).await,
        refusal(repo, cast::<Uuid>(text("abc"))).await,
    ];
    for error in errors {
        if backend().is_mysql_family() {
            // A number that the field does not hold, or refused before.
            if !matches!(error.kind(), ErrorKind::Database { .. } | ErrorKind::Decode { .. }) {
                assert_unsupported_in_part(&error);
            }
            continue;
        }
        assert!(matches!(error.kind(), ErrorKind::Database { .. }), "{error}");
    }
}

async fn casts_that_mean_nothing(repo: &impl Repo) {
    items(repo, [item()]).await;
    let errors = [
        refusal(repo, cast::<String>(Item::INSTANT)).await,
        refusal(repo, cast::<i64>(Item::DAY)).await,
        refusal(repo, cast::<bool>(Item::TITLE)).await,
        refusal(repo, cast::<f64>(Item::PUBLIC)).await,
        refusal(repo, cast::<NaiveDate>(Item::VISITS)).await,
    ];
    for error in errors {
        crate::harness::assert_unsupported(&error);
    }
}
