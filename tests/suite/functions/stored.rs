//! Times, NULLs and floats as they are stored, compared and calculated with.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use emr::functions::{cast, count_all, literal, max, server_now};
use emr::prelude::*;

use super::items::{Item, decimal, item, items, table, value};

test_repo_cases![
    sq12_blob_to_nil,
    sq13_sq14_nulls_when_inserting_and_querying,
    sq15_sq16_product_with_type_and_insert_all,
    sq17_sq18_sq19_delete_one_some_and_all,
    sq20_sq21_sq22_update_update_all_and_null,
    sq31_sq32_fragments_of_values_and_columns,
    sq33_selected_as_in_order_and_group,
    sq34_floats,
    sq48_sq49_naive_timestamps_and_their_largest,
    sq50_sq51_utc_timestamps_and_nil,
    sq52_timestamps_compare,
    sq53_timestamps_and_built_in_functions,
    s22_load_rows_of_elsewhere,
    s32_s33_subqueries_whose_columns_are_replaced,
];

async fn sq12_blob_to_nil(repo: &impl Repo) {
    items(repo, [item().set(Item::DATA, vec![0_u8, 1])]).await;
    let row = repo.one(Item::query()).await.unwrap().unwrap();
    let row = repo.update(row.change().set(Item::DATA, None)).await.unwrap();
    assert_eq!(row.data, None);
    assert_eq!(repo.fetch::<Item>(row.id).await.unwrap().data, None);
}

async fn sq13_sq14_nulls_when_inserting_and_querying(repo: &impl Repo) {
    table(repo).await;
    let row = repo.insert(item().set(Item::TITLE, "john")).await.unwrap();
    assert_eq!((row.title.as_deref(), row.visits, row.instant), (Some("john"), None, None));
    repo.insert(item()).await.unwrap();
    assert_eq!(repo.count(Item::query().filter(Item::TITLE.is_null())).await.unwrap(), 1);
    assert_eq!(repo.count(Item::query().filter_eq(Item::TITLE, None)).await.unwrap(), 1);
    assert_eq!(repo.count(Item::query().filter(Item::TITLE.ne("jane"))).await.unwrap(), 1);
    let titles = repo.all(Item::query().order_by(Item::ID.asc()).select(Item::TITLE)).await.unwrap();
    assert_eq!(titles, [Some("john".to_owned()), None]);
}

async fn sq15_sq16_product_with_type_and_insert_all(repo: &impl Repo) {
    table(repo).await;
    let row = repo.insert(item().set(Item::COST, decimal("1.50")).set(Item::PUBLIC, false)).await.unwrap();
    assert_eq!((row.cost, row.public), (Some(decimal("1.50")), Some(false)));
    let rows = ["a", "b"].map(|title| item().set(Item::TITLE, title).set(Item::COST, decimal("2")));
    assert_eq!(repo.insert_all_returning(rows).await.unwrap().len(), 2);
    assert_eq!(repo.count(Item::query().filter(Item::COST.eq(2))).await.unwrap(), 2);
}

async fn sq17_sq18_sq19_delete_one_some_and_all(repo: &impl Repo) {
    items(repo, ["a", "b", "c", "d"].map(|title| item().set(Item::TITLE, title))).await;
    let first = repo.one(Item::query().first()).await.unwrap().unwrap();
    repo.delete(&first).await.unwrap();
    assert_eq!(repo.get::<Item>(first.id).await.unwrap(), None);
    assert_eq!(repo.delete_all(Item::query().filter(Item::TITLE.eq("b"))).await.unwrap(), 1);
    let left = repo.all(Item::query().order_by(Item::ID.asc()).select(Item::TITLE)).await.unwrap();
    assert_eq!(left, [Some("c".to_owned()), Some("d".to_owned())]);
    assert_eq!(repo.delete_all(Item::query()).await.unwrap(), 2);
    assert_eq!(repo.count(Item::query()).await.unwrap(), 0);
}

async fn sq20_sq21_sq22_update_update_all_and_null(repo: &impl Repo) {
    items(repo, ["a", "b"].map(|title| item().set(Item::TITLE, title).set(Item::VISITS, 1))).await;
    let first = repo.one(Item::query().first()).await.unwrap().unwrap();
    let changed = repo.update(first.change().set(Item::TITLE, "z").set(Item::VISITS, None)).await.unwrap();
    assert_eq!((changed.title.as_deref(), changed.visits), (Some("z"), None));
    assert_eq!(repo.fetch::<Item>(first.id).await.unwrap(), changed);
    assert_eq!(repo.update_all(Item::query().set(Item::VISITS, 7).set(Item::TITLE, None)).await.unwrap(), 2);
    let all = repo.all(Item::query().select((Item::TITLE, Item::VISITS))).await.unwrap();
    assert_eq!(all, [(None, Some(7)), (None, Some(7))]);
}

async fn sq31_sq32_fragments_of_values_and_columns(repo: &impl Repo) {
    items(repo, [item().set(Item::VISITS, 5)]).await;
    let found = value(repo, fragment("? + ?").arg(Item::VISITS).arg(literal(2_i64)).typed::<i64>()).await;
    assert_eq!(found, 7);
    // A name is quoted as a name, whatever is in it.
    let odd = emr::table("items").query().select(emr::col::<i64>("visits\" FROM items; --"));
    let tx = repo.begin().await.unwrap();
    let error = tx.all(odd).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Database { .. }), "{error}");
    tx.rollback().await.unwrap();
    let column = emr::table("items").query().select(fragment("? * 2").arg(emr::col::<i64>("visits")).typed::<i64>());
    assert_eq!(repo.all(column).await.unwrap(), [10]);
}

async fn sq33_selected_as_in_order_and_group(repo: &impl Repo) {
    items(repo, ["b", "a", "b"].map(|title| item().set(Item::TITLE, title))).await;
    let query = Item::query()
        .select((Item::TITLE.named("name"), count_all().named("how many")))
        .group_by(emr::selected::<String>("name"))
        .order_by(emr::selected::<i64>("how many").desc());
    assert_eq!(repo.all(query).await.unwrap(), [(Some("b".to_owned()), 2), (Some("a".to_owned()), 1)]);
}

async fn sq34_floats(repo: &impl Repo) {
    items(repo, [item().set(Item::RATING, 1.0).set(Item::RATIO, 0.1_f32)]).await;
    assert_eq!(
        value(repo, (Item::RATING, Item::RATIO, 0.1, Item::RATING + 0.1)).await,
        (Some(1.0), Some(0.1), 0.1, 1.1)
    );
    assert_eq!(repo.count(Item::query().filter(Item::RATING.eq(1.0))).await.unwrap(), 1);
    assert_eq!(repo.count(Item::query().filter(Item::RATING.gt(0.999_999_999))).await.unwrap(), 1);
}

fn noon() -> NaiveDateTime {
    "2024-02-29T12:00:00.5".parse().unwrap()
}

async fn sq48_sq49_naive_timestamps_and_their_largest(repo: &impl Repo) {
    let times = [0, 1_500_000, -1].map(|micros| noon() + TimeDelta::microseconds(micros));
    items(repo, times.map(|time| item().set(Item::LOCAL, time))).await;
    let stored = repo.all(Item::query().order_by(Item::ID.asc()).select(Item::LOCAL)).await.unwrap();
    assert_eq!(stored, times.map(Some));
    assert_eq!(repo.aggregate(Item::query(), max(Item::LOCAL)).await.unwrap(), Some(times[1]));
}

async fn sq50_sq51_utc_timestamps_and_nil(repo: &impl Repo) {
    items(repo, [item().set(Item::INSTANT, noon().and_utc()), item()]).await;
    let stored = repo.all(Item::query().order_by(Item::ID.asc()).select(Item::INSTANT)).await.unwrap();
    assert_eq!(stored, [Some(noon().and_utc()), None]);
    assert_eq!(repo.count(Item::query().filter(Item::INSTANT.is_null())).await.unwrap(), 1);
    assert_eq!(repo.aggregate(Item::query(), max(Item::INSTANT)).await.unwrap(), Some(noon().and_utc()));
}

/// Whole seconds, fractions, other years: as texts they would not all be in order.
async fn sq52_timestamps_compare(repo: &impl Repo) {
    let texts = ["0999-12-31T23:59:59", "2024-02-29T12:00:00", "2024-02-29T12:00:00.000001", "2024-02-29T12:00:00.5"];
    let times = texts.map(|text| text.parse::<NaiveDateTime>().unwrap());
    items(repo, times.map(|time| item().set(Item::LOCAL, time).set(Item::INSTANT, time.and_utc()))).await;
    for (n, time) in times.iter().enumerate() {
        let n = u64::try_from(n).unwrap();
        let below = repo.count(Item::query().filter(Item::LOCAL.lt(*time))).await.unwrap();
        let above = repo.count(Item::query().filter(Item::INSTANT.gt(time.and_utc()))).await.unwrap();
        assert_eq!((below, above), (n, 3 - n), "{time}");
    }
    let pair = Item::query().filter(Item::INSTANT.eq(cast::<DateTime<Utc>>(Item::LOCAL)));
    assert_eq!(repo.count(pair).await.unwrap(), 4);
}

async fn sq53_timestamps_and_built_in_functions(repo: &impl Repo) {
    items(repo, [item().set(Item::LOCAL, noon()).set(Item::INSTANT, noon().and_utc())]).await;
    let found = value(repo, (cast::<chrono::NaiveDate>(Item::LOCAL), cast::<chrono::NaiveTime>(Item::INSTANT))).await;
    assert_eq!(found, (noon().date(), noon().time()));
    assert_eq!(repo.count(Item::query().filter(Item::INSTANT.lt(server_now()))).await.unwrap(), 1);
    assert_eq!(repo.count(Item::query().filter(Item::INSTANT.gt(server_now()))).await.unwrap(), 0);
    let tomorrow = Item::query().filter(Item::INSTANT.add_interval(1, Unit::Day).lt(server_now()));
    assert_eq!(repo.count(tomorrow).await.unwrap(), 1);
}

async fn s22_load_rows_of_elsewhere(repo: &impl Repo) {
    let row = item().set(Item::TITLE, "x").set(Item::PUBLIC, true).set(Item::LOCAL, noon());
    items(repo, [row.set(Item::INSTANT, noon().and_utc()).set(Item::COST, decimal("1.5"))]).await;
    let result = repo.query("SELECT *, 1 AS other FROM items", &[]).await.unwrap();
    let loaded = repo.load::<Item>(&result).unwrap();
    assert_eq!(loaded, repo.all(Item::query()).await.unwrap());
    assert_eq!((loaded[0].public, loaded[0].local), (Some(true), Some(noon())));
}

/// What stands in the place of a column in a subquery is what the query around it sees.
async fn s32_s33_subqueries_whose_columns_are_replaced(repo: &impl Repo) {
    items(repo, [1, 2].map(|visits| item().set(Item::VISITS, visits).set(Item::TITLE, "old"))).await;
    let sub = emr::Alias::<()>::new("sub");
    let inner = Item::query().select((
        Item::ID.named("id"),
        literal("new".to_owned()).named("title"),
        (Item::VISITS * 10).named("made up"),
    ));
    let query = inner
        .subquery(sub)
        .query()
        .filter(sub.named_col::<String>("title").eq("new"))
        .order_by(sub.named_col::<i64>("made up").desc())
        .select((sub.named_col::<i64>("id"), sub.named_col::<String>("title"), sub.named_col::<i64>("made up")));
    assert_eq!(repo.all(query).await.unwrap(), [(2, "new".to_owned(), 20), (1, "new".to_owned(), 10)]);
}
