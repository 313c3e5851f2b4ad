//! Filters and orders that are put together from input.

use emr::prelude::*;
use emr::{SqlType, Value};

use super::items::{Item, decimal, item, items, visited};

test_repo_cases![
    r110_query_where_interpolation,
    orders_from_input,
    every_comparison_of_a_dynamic_column,
    names_that_are_no_columns,
    values_of_another_type,
    texts_become_values,
];

async fn r110_query_where_interpolation(repo: &impl Repo) {
    visited(repo).await;
    let filtered = async |filters: &[(&str, Value<'static>)]| {
        let conditions: Vec<_> =
            filters.iter().map(|(field, value)| Item::column(field)?.eq(value.clone())).collect::<Result<_>>().unwrap();
        repo.all(Item::query().filter(Expr::all(conditions)).order_by(Item::ID.asc()).select(Item::ID)).await.unwrap()
    };
    assert_eq!(filtered(&[]).await, [1, 2, 3, 4]);
    assert_eq!(filtered(&[("title", Value::Text("hello".into()))]).await, [1, 2]);
    assert_eq!(filtered(&[("title", Value::Text("hello".into())), ("visits", Value::I64(12))]).await, [2]);
    assert_eq!(filtered(&[("title", Value::Text("'; DROP TABLE items; --".into()))]).await, [0_i64; 0]);
    assert_eq!(filtered(&[("cost", Value::Null(SqlType::Decimal))]).await, [1, 2, 3, 4]);
}

async fn orders_from_input(repo: &impl Repo) {
    visited(repo).await;
    let sorted = async |orders: &[(&str, bool)]| {
        let orders: Vec<_> = orders
            .iter()
            .map(|(field, down)| Item::column(field).map(|column| if *down { column.desc() } else { column.asc() }))
            .collect::<Result<_>>()
            .unwrap();
        repo.all(Item::query().order_by(orders).select(Item::ID)).await.unwrap()
    };
    assert_eq!(sorted(&[("visits", true), ("id", false)]).await, [3, 4, 2, 1]);
    assert_eq!(sorted(&[("title", true), ("id", true)]).await, [4, 3, 2, 1]);
}

async fn every_comparison_of_a_dynamic_column(repo: &impl Repo) {
    visited(repo).await;
    let visits = Item::column("visits").unwrap();
    let of = |n: i32| Value::I32(n);
    let count =
        async |condition: Result<Expr<bool>>| repo.count(Item::query().filter(condition.unwrap())).await.unwrap();
    assert_eq!(count(visits.eq(of(14))).await, 2);
    assert_eq!(count(visits.ne(of(14))).await, 2);
    assert_eq!(count(visits.lt(of(12))).await, 1);
    assert_eq!(count(visits.le(of(12))).await, 2);
    assert_eq!(count(visits.gt(of(12))).await, 2);
    assert_eq!(count(visits.ge(of(12))).await, 3);
    assert_eq!(count(visits.in_list([of(10), Value::I64(12)])).await, 2);
    assert_eq!(count(visits.in_list([])).await, 0);
    assert_eq!(count(Item::column("title").unwrap().like("h%")).await, 2);
    assert_eq!(count(Ok(visits.is_null())).await, 0);
    assert_eq!(count(Ok(visits.is_not_null())).await, 4);
    assert_eq!(count(visits.ne(Value::Null(SqlType::Unknown))).await, 4);
}

async fn names_that_are_no_columns(repo: &impl Repo) {
    visited(repo).await;
    for name in ["missing", "", "id; DROP TABLE items", "meta data", "ID"] {
        let error = Item::column(name).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
        assert!(error.to_string().contains("title, visits"), "{error}");
    }
    // By the field's name, whatever the column is called.
    assert_eq!(Item::column("meta").unwrap().def().name, "meta data");
}

async fn values_of_another_type(repo: &impl Repo) {
    visited(repo).await;
    let column = |name| Item::column(name).unwrap();
    let refused = [
        column("visits").eq(Value::Text("12".into())),
        column("title").eq(Value::I64(1)),
        column("rank").gt(Value::I64(40_000)),
        column("visits").lt(Value::Null(SqlType::I64)),
        column("visits").in_list([Value::I64(1), Value::Bool(true)]),
        column("visits").like("1%"),
        column("public").ne(Value::I64(1)),
    ];
    for condition in refused {
        let error = condition.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Encode { table, .. } if table == "items"), "{error}");
    }
}

async fn texts_become_values(repo: &impl Repo) {
    let instant = "2024-02-29T01:02:03.000004Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let token = emr::uuid::Uuid::from_u128(7);
    let row = item()
        .set(Item::TITLE, "x")
        .set(Item::VISITS, -5)
        .set(Item::RATING, 0.5)
        .set(Item::COST, decimal("1.50"))
        .set(Item::PUBLIC, true)
        .set(Item::DAY, instant.date_naive())
        .set(Item::LOCAL, instant.naive_utc())
        .set(Item::INSTANT, instant)
        .set(Item::TOKEN, token);
    items(repo, [row]).await;
    for (field, text) in [
        ("title", "x"),
        ("visits", "-5"),
        ("rating", "0.5"),
        ("cost", "1.5"),
        ("public", "true"),
        ("day", "2024-02-29"),
        ("local", "2024-02-29T01:02:03.000004"),
        ("instant", "2024-02-29T03:02:03.000004+02:00"),
        ("token", "00000000-0000-0000-0000-000000000007"),
    ] {
        let column = Item::column(field).unwrap();
        let condition = column.eq(column.parse(text).unwrap()).unwrap();
        assert_eq!(repo.count(Item::query().filter(condition)).await.unwrap(), 1, "{field}");
    }
    for (field, text) in
        [("visits", "five"), ("visits", "99999999999999999999"), ("public", "1"), ("day", "now"), ("data", "x")]
    {
        let error = Item::column(field).unwrap().parse(text).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Encode { .. }), "{error}");
    }
}
