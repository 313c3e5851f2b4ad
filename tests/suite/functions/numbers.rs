//! Decimals: exact on every backend, SQLite included, which keeps them as text.

use emr::functions::{abs, avg, cast, coalesce, literal, max, min, nullif, sum};
use emr::prelude::*;
use rust_decimal::Decimal;

use super::items::{Item, decimal, item, items, refusal, value};

test_repo_cases![
    t32_decimal_type,
    t33_decimal_typed_aggregations,
    t34_coalesce_with_mixed_types,
    sq37_max_decimal,
    sq38_min_decimal,
    sq39_sum_decimal,
    sq40_sum_float,
    sq41_avg_decimal,
    sq42_avg_float,
    sq43_sq44_acos_in_range_of_float_and_decimal,
    sq45_sq46_acos_out_of_range_of_float_and_decimal,
    decimals_calculate_exactly,
    decimals_that_do_not_fit,
    decimals_in_updates,
];

async fn costs(repo: &impl Repo, costs: &[&str]) {
    items(repo, costs.iter().map(|cost| item().set(Item::COST, decimal(cost)))).await;
}

async fn t32_decimal_type(repo: &impl Repo) {
    costs(repo, &["1.0"]).await;
    let count = async |condition: Expr<bool>| repo.count(Item::query().filter(condition)).await.unwrap();
    for condition in [
        Item::COST.eq(decimal("1.0")),
        Item::COST.eq(decimal("1")),
        Item::COST.eq(1),
        Item::COST.eq(literal(decimal("1.000"))),
        Item::COST.eq(cast::<Decimal>(literal(1.0))),
        Item::COST.eq(cast::<Decimal>(literal(1_i64))),
        cast::<f64>(Item::COST).eq(1.0),
        Item::COST.lt(decimal("1.01")),
        Item::COST.gt(decimal("0.99")),
        Item::COST.in_list([decimal("1.00"), decimal("7")]),
        (Item::COST + decimal("0.5")).eq(decimal("1.5")),
        (Item::COST * 10).gt(9),
    ] {
        assert_eq!(count(condition.clone()).await, 1, "{condition:?}");
    }
    assert_eq!(count(Item::COST.eq(decimal("1.0000000000000000000000000001"))).await, 0);
    let found = value(repo, (Item::COST + 2, Item::COST - decimal("0.9"), Item::COST * 3, Item::COST / 4)).await;
    let (sum, difference, product, quotient) = found;
    assert_eq!((sum, difference, product), (decimal("3"), decimal("0.1"), decimal("3")));
    assert_eq!(quotient, decimal("0.25"));
}

async fn t33_decimal_typed_aggregations(repo: &impl Repo) {
    costs(repo, &["1.0"]).await;
    let total = || sum(Item::COST);
    let query = Item::query().select((
        cast::<i64>(total()),
        cast::<f64>(total()),
        cast::<Decimal>(total()),
        cast::<i32>(max(Item::COST)),
        total(),
    ));
    let (integer, float, dec, small, plain) = repo.one(query).await.unwrap().unwrap();
    assert_eq!((integer, float, dec, small, plain), (1, 1.0, decimal("1"), 1, Some(decimal("1"))));
}

async fn t34_coalesce_with_mixed_types(repo: &impl Repo) {
    items(repo, [item(), item().set(Item::COST, decimal("2.5"))]).await;
    let query = Item::query().order_by(Item::ID.asc()).select(coalesce(Item::COST, 0));
    assert_eq!(repo.all(query).await.unwrap(), [decimal("0"), decimal("2.5")]);
    let sums = Item::query().select(coalesce(sum(Item::COST), 0) + 1);
    assert_eq!(repo.one(sums).await.unwrap(), Some(decimal("3.5")));
}

async fn sq37_max_decimal(repo: &impl Repo) {
    costs(repo, &["9", "10.5", "-3"]).await;
    // As texts 9 would be the largest.
    assert_eq!(repo.aggregate(Item::query(), max(Item::COST)).await.unwrap(), Some(decimal("10.5")));
}

async fn sq38_min_decimal(repo: &impl Repo) {
    costs(repo, &["9", "10.5", "-3", "-20"]).await;
    assert_eq!(repo.aggregate(Item::query(), min(Item::COST)).await.unwrap(), Some(decimal("-20")));
    assert_eq!(repo.aggregate(Item::query(), min(abs(Item::COST))).await.unwrap(), Some(decimal("3")));
}

async fn sq39_sum_decimal(repo: &impl Repo) {
    costs(repo, &["0.1", "0.2", "79228162514264337593543.95"]).await;
    let sum = repo.aggregate(Item::query(), sum(Item::COST)).await.unwrap();
    assert_eq!(sum, Some(decimal("79228162514264337593544.25")));
}

async fn sq40_sum_float(repo: &impl Repo) {
    items(repo, [1.5, 2.25].map(|rating| item().set(Item::RATING, rating))).await;
    assert_eq!(repo.aggregate(Item::query(), sum(Item::RATING)).await.unwrap(), Some(3.75));
}

async fn sq41_avg_decimal(repo: &impl Repo) {
    costs(repo, &["0.1", "0.2", "0.6"]).await;
    let mean = repo.aggregate(Item::query(), avg(Item::COST)).await.unwrap();
    assert_eq!(mean.map(|mean| mean.normalize()), Some(decimal("0.3")));
    let none = repo.aggregate(Item::query().filter(Item::ID.eq(0)), avg(Item::COST)).await.unwrap();
    assert_eq!(none, None);
}

async fn sq42_avg_float(repo: &impl Repo) {
    items(repo, [1.5, 2.5].map(|rating| item().set(Item::RATING, rating))).await;
    assert_eq!(repo.aggregate(Item::query(), avg(Item::RATING)).await.unwrap(), Some(2.0));
}

async fn sq43_sq44_acos_in_range_of_float_and_decimal(repo: &impl Repo) {
    items(repo, [item().set(Item::RATING, 1.0).set(Item::COST, decimal("-1"))]).await;
    let acos = |of: Expr<f64>| fragment("acos(?)").arg(of).typed::<f64>();
    let found = value(repo, (acos(Item::RATING.expr()), acos(cast::<f64>(Item::COST)))).await;
    assert_eq!(found, (0.0, std::f64::consts::PI));
}

/// NULL on SQLite, which has no NaN, and an error of PostgreSQL: never a number.
async fn sq45_sq46_acos_out_of_range_of_float_and_decimal(repo: &impl Repo) {
    items(repo, [item().set(Item::RATING, 2.0).set(Item::COST, decimal("1.1"))]).await;
    for of in [Item::RATING.expr(), cast::<f64>(Item::COST)] {
        let tx = repo.begin().await.unwrap();
        let query = Item::query().select(fragment("acos(?)").arg(of).typed::<f64>().optional());
        match tx.one(query).await {
            Ok(found) => assert_eq!(found, Some(None)),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Database { code, .. } if code == "22003"), "{error}");
            }
        }
        tx.rollback().await.unwrap();
    }
}

async fn decimals_calculate_exactly(repo: &impl Repo) {
    costs(repo, &["0.1"]).await;
    let found = value(repo, (Item::COST + decimal("0.2"), Item::COST * Item::COST, Item::COST - decimal("0.1"))).await;
    assert_eq!(found, (decimal("0.3"), decimal("0.01"), decimal("0")));
    let found = value(repo, (literal(decimal("1")) / 3, nullif(Item::COST, decimal("0.10")))).await;
    let third = found.0.round_dp(15);
    assert_eq!((third, found.1), (decimal("0.333333333333333"), None));
    let large = decimal("39614081257132168796771975167");
    assert_eq!(value(repo, literal(large) + large).await, decimal("79228162514264337593543950334"));
}

async fn decimals_that_do_not_fit(repo: &impl Repo) {
    costs(repo, &["1"]).await;
    let error = refusal(repo, literal(Decimal::MAX) * Decimal::MAX).await;
    // PostgreSQL can hold it, Rust's decimal cannot.
    assert!(matches!(error.kind(), ErrorKind::Database { .. } | ErrorKind::Decode { .. }), "{error}");
    let error = refusal(repo, Item::COST / 0).await;
    assert!(matches!(error.kind(), ErrorKind::Database { .. } | ErrorKind::Decode { .. }), "{error}");
}

async fn decimals_in_updates(repo: &impl Repo) {
    costs(repo, &["0.1", "10"]).await;
    repo.update_all(Item::query().inc(Item::COST, decimal("0.2"))).await.unwrap();
    let found = repo.all(Item::query().order_by(Item::COST.desc()).select(Item::COST)).await.unwrap();
    assert_eq!(found, [Some(decimal("10.2")), Some(decimal("0.3"))]);
}
