//! Aggregates: selected, as conditions of groups, and of a whole query.

use emr::functions::{avg, count, count_all, literal, max, min, sum};
use emr::prelude::*;

use super::items::{Item, Money, decimal, item, items, table, visited};

test_repo_cases![
    r52_aggregate,
    r53_aggregate_avg,
    r54_aggregate_with_distinct,
    r109_query_count_distinct,
    t5_aggregate_types,
    t6_aggregate_custom_types,
    t7_aggregate_filter_types,
    t33_sums_have_the_type_that_they_promise,
    aggregates_in_having_and_order,
    aggregates_are_arithmetic,
    aggregates_of_combinations,
    aggregates_that_mean_nothing,
    a_sum_that_overflows_is_an_error,
    be_count_groups_by_subquery,
];

async fn r52_aggregate(repo: &impl Repo) {
    table(repo).await;
    assert_eq!(repo.aggregate(Item::query(), max(Item::VISITS)).await.unwrap(), None);
    assert_eq!(repo.aggregate(Item::query(), sum(Item::VISITS)).await.unwrap(), None);
    assert_eq!(repo.aggregate(Item::query(), count(Item::VISITS)).await.unwrap(), 0);
    let rows = [Some(10), Some(12), Some(14), Some(14), None];
    repo.insert_all(rows.map(|visits| item().set(Item::VISITS, visits))).await.unwrap();

    assert_eq!(repo.aggregate(Item::query(), max(Item::VISITS)).await.unwrap(), Some(14));
    assert_eq!(repo.aggregate(Item::query(), min(Item::VISITS)).await.unwrap(), Some(10));
    assert_eq!(repo.aggregate(Item::query(), count(Item::VISITS)).await.unwrap(), 4);
    assert_eq!(repo.aggregate(Item::query(), count_all()).await.unwrap(), 5);
    assert_eq!(repo.aggregate(Item::query(), sum(Item::VISITS)).await.unwrap(), Some(50));
    // The order is ignored, unless a limit needs it.
    let ordered = || Item::query().filter(Item::VISITS.is_not_null()).order_by(Item::VISITS.asc());
    assert_eq!(repo.aggregate(ordered(), max(Item::VISITS)).await.unwrap(), Some(14));
    assert_eq!(repo.aggregate(ordered().limit(2), max(Item::VISITS)).await.unwrap(), Some(12));
    assert_eq!(repo.aggregate(ordered().offset(1).limit(2), sum(Item::VISITS)).await.unwrap(), Some(26));
    let few = sum(Item::VISITS).filter(Item::VISITS.gt(10));
    assert_eq!(repo.aggregate(ordered().limit(2), few).await.unwrap(), Some(12));
    assert_eq!(repo.aggregate(ordered().limit(2), count_all()).await.unwrap(), 2);
    // What was selected does not matter.
    assert_eq!(repo.aggregate(ordered().select(Item::TITLE), max(Item::VISITS)).await.unwrap(), Some(14));
    assert_eq!(repo.aggregate(ordered().limit(1).select(Item::TITLE), max(Item::VISITS)).await.unwrap(), Some(10));
}

async fn r53_aggregate_avg(repo: &impl Repo) {
    visited(repo).await;
    assert_eq!(repo.aggregate(Item::query(), avg(Item::VISITS)).await.unwrap(), Some(12.5));
    assert_eq!(repo.aggregate(Item::query().filter(Item::VISITS.gt(99)), avg(Item::VISITS)).await.unwrap(), None);
}

async fn r54_aggregate_with_distinct(repo: &impl Repo) {
    visited(repo).await;
    let query = || Item::query().distinct().order_by(Item::VISITS.asc());
    assert_eq!(repo.aggregate(query(), count(Item::VISITS)).await.unwrap(), 3);
    assert_eq!(repo.aggregate(query(), sum(Item::VISITS)).await.unwrap(), Some(36));
    assert_eq!(repo.aggregate(query(), count_all()).await.unwrap(), 4);
    assert_eq!(repo.aggregate(Item::query(), count(Item::VISITS).distinct()).await.unwrap(), 3);
    assert_eq!(repo.aggregate(Item::query().distinct().limit(2), count(Item::VISITS)).await.unwrap(), 2);
}

async fn r109_query_count_distinct(repo: &impl Repo) {
    visited(repo).await;
    let query =
        Item::query().select((count(Item::TITLE), count(Item::TITLE).distinct(), count(Item::VISITS).distinct()));
    assert_eq!(repo.one(query).await.unwrap(), Some((4, 2, 3)));
    items_of_equal_decimals(repo).await;
}

async fn items_of_equal_decimals(repo: &impl Repo) {
    let costs = ["1.0", "1.00", "2"].map(|cost| item().set(Item::COST, decimal(cost)));
    repo.insert_all(costs).await.unwrap();
    assert_eq!(repo.aggregate(Item::query(), count(Item::COST).distinct()).await.unwrap(), 2);
}

async fn t5_aggregate_types(repo: &impl Repo) {
    let local = |text: &str| text.parse::<chrono::NaiveDateTime>().unwrap();
    let day = local("2024-02-29T01:02:03.000004");
    let later = local("2024-03-01T00:00:00");
    let row = |at: chrono::NaiveDateTime| {
        item().set(Item::LOCAL, at).set(Item::INSTANT, at.and_utc()).set(Item::DAY, at.date()).set(Item::RATIO, 0.5_f32)
    };
    items(repo, [row(later), row(day)]).await;
    let query = Item::query().select((
        max(Item::LOCAL),
        min(Item::INSTANT),
        max(Item::DAY),
        min(Item::TITLE),
        max(Item::RATIO),
        max(Item::ID),
    ));
    let found = repo.one(query).await.unwrap().unwrap();
    assert_eq!(found, (Some(later), Some(day.and_utc()), Some(later.date()), None, Some(0.5), Some(2)));
}

async fn t6_aggregate_custom_types(repo: &impl Repo) {
    items(repo, ["1.10", "2.25"].map(|price| item().set(Item::PRICE, Money(decimal(price))))).await;
    let query = Item::query().select((sum(Item::PRICE), max(Item::PRICE), avg(Item::PRICE)));
    let (sum, max, avg) = repo.one(query).await.unwrap().unwrap();
    assert_eq!((sum, max), (Some(Money(decimal("3.35"))), Some(Money(decimal("2.25")))));
    assert_eq!(avg.map(|mean| mean.0.normalize()), Some(decimal("1.675")));
}

async fn t7_aggregate_filter_types(repo: &impl Repo) {
    visited(repo).await;
    let query = Item::query().select((
        count_all().filter(Item::TITLE.eq("hello")),
        count(Item::VISITS).filter(Item::VISITS.gt(10)),
        max(Item::VISITS).filter(Item::VISITS.lt(14).and(Item::TITLE.eq("hello"))),
        sum(Item::VISITS).filter(Item::VISITS.gt(99)),
        count(Item::VISITS).distinct().filter(Item::VISITS.gt(10).or(Item::ID.eq(99))),
    ));
    assert_eq!(repo.one(query).await.unwrap(), Some((2, 3, Some(12), None, 2)));
}

async fn t33_sums_have_the_type_that_they_promise(repo: &impl Repo) {
    let row = |n: i16| {
        item()
            .set(Item::RANK, n)
            .set(Item::STARS, i32::MAX)
            .set(Item::VISITS, 3_000_000_000_i64)
            .set(Item::RATIO, 0.5_f32)
            .set(Item::RATING, 0.25)
            .set(Item::COST, decimal("79228162514264337593543950.05"))
    };
    items(repo, [row(30_000), row(30_000)]).await;
    let query = Item::query().select((
        sum(Item::RANK),
        sum(Item::STARS),
        sum(Item::VISITS),
        sum(Item::RATIO),
        sum(Item::RATING),
        sum(Item::COST),
        avg(Item::RANK),
        avg(Item::STARS),
        avg(Item::RATIO),
    ));
    let (ranks, stars, visits, ratios, ratings, costs, rank, star, ratio) = repo.one(query).await.unwrap().unwrap();
    assert_eq!((ranks, stars, visits), (Some(60_000), Some(4_294_967_294), Some(6_000_000_000)));
    assert_eq!((ratios, ratings), (Some(1.0), Some(0.5)));
    assert_eq!(costs, Some(decimal("158456325028528675187087900.10")));
    assert_eq!((rank, star, ratio), (Some(30_000.0), Some(f64::from(i32::MAX)), Some(0.5)));
}

async fn aggregates_in_having_and_order(repo: &impl Repo) {
    visited(repo).await;
    let query = Item::query().group_by(Item::TITLE).order_by(sum(Item::VISITS).desc());
    let found = repo.all(query.clone().select((Item::TITLE, sum(Item::VISITS), count_all()))).await.unwrap();
    assert_eq!(found, [(Some("world".into()), Some(28), 2), (Some("hello".into()), Some(22), 2)]);
    let large = query.clone().having(sum(Item::VISITS).gt(25)).select(Item::TITLE);
    assert_eq!(repo.all(large).await.unwrap(), [Some("world".to_owned())]);
    let either = query.having(avg(Item::VISITS).between(10.5, 11.5)).or_having(count_all().eq(7)).select(Item::TITLE);
    assert_eq!(repo.all(either).await.unwrap(), [Some("hello".to_owned())]);
}

async fn aggregates_are_arithmetic(repo: &impl Repo) {
    visited(repo).await;
    let query = Item::query().select((max(Item::VISITS) - min(Item::VISITS), sum(Item::VISITS + 1), count_all() * 2));
    assert_eq!(repo.one(query).await.unwrap(), Some((Some(4), Some(54), Some(8))));
    let none = Item::query().filter(Item::ID.eq(0)).select((max(Item::VISITS) + 1, sum(Item::VISITS)));
    assert_eq!(repo.one(none).await.unwrap(), Some((None, None)));
    let _ = literal(1_i64);
}

async fn aggregates_of_combinations(repo: &impl Repo) {
    visited(repo).await;
    let of = |visits: i64| Item::query().filter(Item::VISITS.eq(visits));
    assert_eq!(repo.aggregate(of(10).union_all(of(12)), sum(Item::VISITS)).await.unwrap(), Some(22));
    assert_eq!(repo.aggregate(of(14).union(of(14)), count_all()).await.unwrap(), 2);
}

async fn aggregates_that_mean_nothing(repo: &impl Repo) {
    visited(repo).await;
    let refused = [
        repo.aggregate(Item::query().group_by(Item::TITLE), count_all()).await.unwrap_err(),
        repo.aggregate(Item::query(), count_all().over(emr::Window::all())).await.unwrap_err(),
        repo.aggregate(Item::query().lock(Lock::UPDATE), count_all()).await.unwrap_err(),
        repo.aggregate(Item::query(), count_all().distinct()).await.unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
    }
}

async fn a_sum_that_overflows_is_an_error(repo: &impl Repo) {
    items(repo, [i64::MAX, 1].map(|visits| item().set(Item::VISITS, visits))).await;
    let tx = repo.begin().await.unwrap();
    let error = tx.aggregate(Item::query(), sum(Item::VISITS)).await.unwrap_err();
    // MySQL sums up in decimals, of which no i64 can be made then.
    assert!(matches!(error.kind(), ErrorKind::Database { .. } | ErrorKind::Decode { .. }), "{error}");
    tx.rollback().await.unwrap();
}

async fn be_count_groups_by_subquery(repo: &impl Repo) {
    visited(repo).await;
    let titles = Item::query().group_by(Item::TITLE).select((Item::TITLE, count_all()));
    assert_eq!(repo.count(titles).await.unwrap(), 2);
}
