//! Window functions.

use emr::functions::{
    count_all, cume_dist, dense_rank, first_value, lag, last_value, lead, nth_value, ntile, percent_rank, rank,
    row_number, sum,
};
use emr::prelude::*;
use emr::{Bound, Window};

use super::items::{Item, decimal, item, items, visited};
use crate::harness::{Backend, assert_unsupported_in_part, backend};

test_repo_cases![
    w1_over,
    w2_frame,
    ranking_functions,
    neighbours,
    named_windows_stand_in_for_inline_ones,
    windows_of_decimals,
    windows_that_mean_nothing,
];

async fn w1_over(repo: &impl Repo) {
    visited(repo).await;
    let ordered = || Item::query().order_by(Item::ID.asc());
    // The whole set.
    let all = repo.all(ordered().select((Item::ID, count_all().over(Window::all())))).await.unwrap();
    assert_eq!(all, [(1, 4), (2, 4), (3, 4), (4, 4)]);
    // An inline partition.
    let by_title = || Window::partition_by(Item::TITLE);
    let sums = repo.all(ordered().select((Item::ID, sum(Item::VISITS).over(by_title())))).await.unwrap();
    assert_eq!(sums, [(1, Some(22)), (2, Some(22)), (3, Some(28)), (4, Some(28))]);
    // A named window.
    let named =
        ordered().window("w", by_title()).select((Item::ID, sum(Item::VISITS).over("w"), count_all().over("w")));
    let named = repo.all(named).await.unwrap();
    assert_eq!(named, [(1, Some(22), 2), (2, Some(22), 2), (3, Some(28), 2), (4, Some(28), 2)]);
    // Counted only where a condition holds.
    let filtered = count_all().filter(Item::VISITS.gt(10)).over(by_title());
    assert_eq!(repo.all(ordered().select(filtered)).await.unwrap(), [1, 1, 2, 2]);
}

async fn w2_frame(repo: &impl Repo) {
    items(repo, (1..=5).map(|visits| item().set(Item::VISITS, visits))).await;
    let over = |start, end| sum(Item::VISITS).over(Window::ordered_by(Item::ID.asc()).rows_between(start, end));
    let found =
        async |start, end| repo.all(Item::query().order_by(Item::ID.asc()).select(over(start, end))).await.unwrap();
    let all = |sums: [i64; 5]| sums.map(Some);
    assert_eq!(found(Bound::Preceding(1), Bound::Following(1)).await, all([3, 6, 9, 12, 9]));
    assert_eq!(found(Bound::UnboundedPreceding, Bound::CurrentRow).await, all([1, 3, 6, 10, 15]));
    assert_eq!(found(Bound::CurrentRow, Bound::UnboundedFollowing).await, all([15, 14, 12, 9, 5]));
    // Behind the last row there is nothing.
    assert_eq!(found(Bound::Following(1), Bound::Following(2)).await, [Some(5), Some(7), Some(9), Some(5), None]);
}

async fn ranking_functions(repo: &impl Repo) {
    visited(repo).await;
    let window = || Window::ordered_by(Item::VISITS.asc());
    let query = Item::query().order_by(Item::ID.asc()).select((
        row_number().over(Window::ordered_by([Item::VISITS.desc(), Item::ID.asc()])),
        rank().over(window()),
        dense_rank().over(window()),
        percent_rank().over(window()),
        cume_dist().over(window()),
        ntile(2).over(Window::ordered_by(Item::ID.asc())),
    ));
    let found = repo.all(query).await.unwrap();
    let third = 2.0 / 3.0;
    assert_eq!(found[0], (4, 1, 1, 0.0, 0.25, 1));
    // MariaDB gives ten digits.
    let digits = |row: (i64, i64, i64, f64, f64, i64)| (row.0, row.1, row.2, (row.3 * 1e9).round() / 1e9, row.4, row.5);
    let found: Vec<_> = found.into_iter().map(digits).collect();
    assert_eq!(found[1], digits((3, 2, 2, 1.0 / 3.0, 0.5, 1)));
    assert_eq!(found[2], digits((1, 3, 3, third, 1.0, 2)));
    assert_eq!(found[3], digits((2, 3, 3, third, 1.0, 2)));
}

async fn neighbours(repo: &impl Repo) {
    visited(repo).await;
    let window = || Window::partition_by(Item::TITLE).order_by(Item::ID.asc());
    let whole = || window().rows_between(Bound::UnboundedPreceding, Bound::UnboundedFollowing);
    let query = Item::query().order_by(Item::ID.asc()).select((
        lag(Item::VISITS, 1).over(window()),
        lead(Item::VISITS, 1).or(-1).over(window()),
        first_value(Item::VISITS).over(window()),
        last_value(Item::ID).over(whole()),
        nth_value(Item::ID, 2).over(whole()),
    ));
    let found = repo.all(query).await;
    if backend() == Backend::Mariadb {
        assert_unsupported_in_part(&found.unwrap_err());
        let plain = (lag(Item::VISITS, 1).over(window()), lead(Item::VISITS, 1).over(window()));
        let found = repo.all(Item::query().order_by(Item::ID.asc()).select(plain)).await.unwrap();
        assert_eq!(found, [(None, Some(12)), (Some(10), None), (None, Some(14)), (Some(14), None)]);
        return;
    }
    let found = found.unwrap();
    assert_eq!(found[0], (None, Some(12), Some(10), Some(2), Some(2)));
    assert_eq!(found[1], (Some(10), Some(-1), Some(10), Some(2), Some(2)));
    assert_eq!(found[2], (None, Some(14), Some(14), Some(4), Some(4)));
    assert_eq!(found[3], (Some(14), Some(-1), Some(14), Some(4), Some(4)));
}

async fn named_windows_stand_in_for_inline_ones(repo: &impl Repo) {
    visited(repo).await;
    let query = Item::query()
        .window("odd \" name", Window::partition_by((Item::TITLE, Item::VISITS)))
        .order_by(Item::ID.asc())
        .select(count_all().over_named("odd \" name"));
    assert_eq!(repo.all(query.clone()).await.unwrap(), [1, 1, 2, 2]);
    let twice = query.window("odd \" name", Window::all());
    assert_eq!(repo.all(twice).await.unwrap(), [4, 4, 4, 4]);
}

async fn windows_of_decimals(repo: &impl Repo) {
    items(repo, ["0.1", "0.2", "0.3", "10"].map(|cost| item().set(Item::COST, decimal(cost)))).await;
    let window = Window::ordered_by(Item::COST.desc()).rows_between(Bound::Preceding(1), Bound::CurrentRow);
    let query = Item::query().order_by(Item::COST.desc()).select(sum(Item::COST).over(window));
    let sums: Vec<_> = repo.all(query).await.unwrap().into_iter().map(Option::unwrap).collect();
    assert_eq!(sums, ["10", "10.3", "0.5", "0.3"].map(decimal));
}

async fn windows_that_mean_nothing(repo: &impl Repo) {
    visited(repo).await;
    let query = || Item::query();
    let by_range = Window::ordered_by(Item::ID.asc()).range_between(Bound::Preceding(1), Bound::CurrentRow);
    let refused = [
        repo.all(query().select(count_all().over("missing"))).await.unwrap_err(),
        repo.all(query().select(ntile(0).over(Window::all()))).await.unwrap_err(),
        repo.all(query().select(sum(Item::VISITS).over(by_range))).await.unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
    }
    let distinct = sum(Item::VISITS).distinct().over(Window::all());
    let error = repo.all(query().select(distinct)).await.unwrap_err();
    crate::harness::assert_unsupported_in_part(&error);
}
