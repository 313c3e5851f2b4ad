//! Functions of values: text, NULL, CASE, truths, schemaless types.

use chrono::{DateTime, NaiveDateTime, Utc};
use emr::functions::{
    abs, case_when, cast, coalesce, concat, count_all, length, literal, lower, nullif, round, server_now, sum, trim,
    upper,
};
use emr::prelude::*;
use rust_decimal::Decimal;

use super::items::{Item, decimal, item, items, refusal, table, value};
use crate::harness::backend;

test_repo_cases![
    t1_primitive_types,
    t4_boolean_negate,
    t8_t9_coalesce,
    t11_binary_id_type,
    t12_t13_text_in_bytes,
    t36_schemaless_types,
    t37_schemaless_calendar_types,
    s6_fragmented_types,
    s7_fragmented_schemaless_types,
    r104_r107_r108_selected_as_with_group_by_order_by_and_having,
    r105_selected_as_with_order_by,
    r106_selected_as_keeps_its_type,
    sq27_sq28_sq29_sq30_select_in_cases_and_exists,
    text_functions,
    ilike_ignores_the_case_of_all_letters,
    case_expressions,
    numbers_are_rounded,
    the_time_of_the_server,
    redacted_arguments_stay_hidden,
    functions_write,
];

#[allow(clippy::float_cmp)] // exactly these
async fn t1_primitive_types(repo: &impl Repo) {
    let instant = DateTime::from_timestamp(1_700_000_000, 123_456_000).unwrap();
    let row = item()
        .set(Item::VISITS, 13)
        .set(Item::RATING, 0.5)
        .set(Item::PUBLIC, true)
        .set(Item::TITLE, "text 1")
        .set(Item::DATA, vec![0_u8, 1])
        .set(Item::LOCAL, instant.naive_utc())
        .set(Item::INSTANT, instant)
        .set(Item::DAY, instant.date_naive());
    items(repo, [row]).await;
    for condition in [
        Item::ID.eq(1),
        Item::VISITS.eq(13),
        Item::VISITS.eq(literal(13_i64)),
        (Item::VISITS + 1).eq(14),
        (literal(13_i64) * 2 - 13).eq(Item::VISITS),
        Item::RATING.eq(0.5),
        (Item::RATING * 2.0).eq(1.0),
        Item::PUBLIC.eq(true),
        Item::PUBLIC.expr(),
        Item::TITLE.eq("text 1"),
        Item::DATA.eq(vec![0_u8, 1]),
        Item::LOCAL.eq(instant.naive_utc()),
        Item::INSTANT.eq(literal(instant)),
        Item::DAY.eq(instant.date_naive()),
        Item::TOKEN.is_null(),
    ] {
        assert_eq!(repo.count(Item::query().filter(condition.clone())).await.unwrap(), 1, "{condition:?}");
    }
    let found =
        value(repo, (Item::VISITS + 1, Item::RATING * 2.0, literal("x".to_owned()), literal(true), 7_i64)).await;
    assert_eq!(found, (14, 1.0, "x".to_owned(), true, 7));
    let found = value(repo, (literal(instant), literal(instant.naive_utc()), literal(decimal("1.50")))).await;
    assert_eq!(found, (instant, instant.naive_utc(), decimal("1.50")));
}

async fn t4_boolean_negate(repo: &impl Repo) {
    items(repo, [item().set(Item::PUBLIC, true), item()]).await;
    let found = value(repo, (!Item::PUBLIC, !!Item::PUBLIC.expr(), !Item::VISITS.gt(1).is_null())).await;
    assert_eq!(found, (false, true, false));
    let of_null = Item::query().filter(Item::PUBLIC.is_null()).select((!Item::PUBLIC).optional());
    assert_eq!(repo.one(of_null).await.unwrap(), Some(None));
}

async fn t8_t9_coalesce(repo: &impl Repo) {
    items(repo, [item(), item().set(Item::DATA, vec![1_u8]).set(Item::TITLE, "there")]).await;
    let query = Item::query().order_by(Item::ID.asc()).select((
        coalesce(Item::DATA, vec![0_u8, 255]),
        coalesce(Item::TITLE, "default"),
        coalesce(coalesce(Item::VISITS, Item::STARS_AS_I64()), 3),
        coalesce(Item::PUBLIC, false),
    ));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found[0], (vec![0, 255], "default".to_owned(), 3, false));
    assert_eq!(found[1], (vec![1], "there".to_owned(), 3, false));
    let found = value(repo, (coalesce(nullif(literal(1_i64), 1), 5), nullif(literal(2_i64), 1))).await;
    assert_eq!(found, (5, Some(2)));
}

impl Item {
    #[allow(non_snake_case)] // stands beside columns
    fn STARS_AS_I64() -> Expr<i64> {
        cast::<i64>(Item::STARS)
    }
}

async fn t11_binary_id_type(repo: &impl Repo) {
    let token = emr::uuid::Uuid::from_u128(7);
    items(repo, [item().set(Item::TOKEN, token)]).await;
    assert_eq!(value(repo, (Item::TOKEN, literal(token))).await, (Some(token), token));
    assert_eq!(repo.count(Item::query().filter(Item::TOKEN.eq(literal(token)))).await.unwrap(), 1);
}

async fn t12_t13_text_in_bytes(repo: &impl Repo) {
    items(repo, [item().set(Item::DATA, "goodbye ü".as_bytes().to_vec()), item()]).await;
    let text = || cast::<String>(Item::DATA);
    assert_eq!(repo.count(Item::query().filter(text().like("good%"))).await.unwrap(), 1);
    assert_eq!(repo.count(Item::query().filter(text().like("hello%"))).await.unwrap(), 0);
    assert_eq!(value(repo, text()).await, "goodbye ü");
}

async fn t36_schemaless_types(repo: &impl Repo) {
    items(repo, [item().set(Item::VISITS, 123).set(Item::TITLE, "typed").set(Item::PUBLIC, true)]).await;
    let query = emr::table("items").query().filter(emr::col::<i64>("visits").eq(123)).select((
        emr::col::<i64>("visits"),
        emr::col::<bool>("public"),
        emr::col::<String>("title"),
        cast::<String>(emr::col::<i64>("visits")),
    ));
    assert_eq!(repo.one(query).await.unwrap(), Some((123, true, "typed".into(), "123".into())));
}

async fn t37_schemaless_calendar_types(repo: &impl Repo) {
    let instant: DateTime<Utc> = "2024-02-29T01:02:03.000004Z".parse().unwrap();
    let (local, day) = (instant.naive_utc(), instant.date_naive());
    items(repo, [item().set(Item::LOCAL, local).set(Item::INSTANT, instant).set(Item::DAY, day)]).await;
    let items = || emr::table("items").query().select(emr::col::<i64>("id"));
    for condition in [
        emr::col::<NaiveDateTime>("local").eq(local),
        emr::col::<NaiveDateTime>("local").in_list([local]),
        emr::col::<DateTime<Utc>>("instant").in_list([instant, DateTime::UNIX_EPOCH]),
        emr::col::<chrono::NaiveDate>("day").between(day, day),
    ] {
        assert_eq!(repo.all(items().filter(condition.clone())).await.unwrap(), [1], "{condition:?}");
    }
    let query = emr::table("items").query().select((
        emr::col::<NaiveDateTime>("local"),
        emr::col::<DateTime<Utc>>("instant"),
        emr::col::<chrono::NaiveDate>("day"),
    ));
    assert_eq!(repo.one(query).await.unwrap(), Some((local, instant, day)));
}

async fn s6_fragmented_types(repo: &impl Repo) {
    let local = "2014-01-16T20:26:51".parse::<NaiveDateTime>().unwrap();
    items(repo, [item().set(Item::LOCAL, local)]).await;
    let query = Item::query().filter(fragment("? >= ?").arg(Item::LOCAL).arg(literal(local)));
    assert_eq!(repo.count(query).await.unwrap(), 1);
    let later = Item::query().filter(fragment("? > ?").arg(Item::LOCAL).arg(literal(local)));
    assert_eq!(repo.count(later).await.unwrap(), 0);
}

async fn s7_fragmented_schemaless_types(repo: &impl Repo) {
    items(repo, [item()]).await;
    let found = value(repo, (cast::<i64>(fragment("'1'").typed::<String>()), cast::<f64>(fragment("0.5")))).await;
    assert_eq!(found, (1, 0.5));
}

async fn r104_r107_r108_selected_as_with_group_by_order_by_and_having(repo: &impl Repo) {
    let rows = [(1, 10), (1, 20), (2, 5)];
    items(repo, rows.map(|(stars, visits)| item().set(Item::STARS, stars).set(Item::VISITS, visits))).await;
    let query = Item::query()
        .select(((Item::STARS * 10).named("tens"), sum(Item::VISITS).named("total")))
        .group_by(emr::selected::<i32>("tens"))
        .order_by((emr::selected::<i64>("total") * -1).asc());
    assert_eq!(repo.all(query.clone()).await.unwrap(), [(10, Some(30)), (20, Some(5))]);
    let few = query.clone().having(emr::selected::<i64>("total").lt(10));
    assert_eq!(repo.all(few.clone()).await.unwrap(), [(20, Some(5))]);
    let either = few.or_having(emr::selected::<i64>("total").eq(30));
    assert_eq!(repo.all(either).await.unwrap().len(), 2);
}

async fn r105_selected_as_with_order_by(repo: &impl Repo) {
    items(repo, [3, 1, 2].map(|visits| item().set(Item::VISITS, visits))).await;
    let query = || Item::query().select((Item::VISITS + 1).named("more"));
    let ascending = query().order_by(emr::selected::<i64>("more").asc());
    assert_eq!(repo.all(ascending).await.unwrap(), [2, 3, 4]);
    let descending = query().order_by(emr::selected::<i64>("more").desc());
    assert_eq!(repo.all(descending).await.unwrap(), [4, 3, 2]);
}

async fn r106_selected_as_keeps_its_type(repo: &impl Repo) {
    use super::items::Money;
    items(repo, ["1.5", "10", "9"].map(|price| item().set(Item::PRICE, Money(decimal(price))))).await;
    let query = Item::query().select(Item::PRICE.named("it")).order_by(emr::selected::<Decimal>("it").desc());
    let found: Vec<_> = repo.all(query).await.unwrap().into_iter().map(|money| money.unwrap().0).collect();
    // As texts 9 would be the largest. The name stands for the column, whose type the order goes by.
    assert_eq!(found, ["10", "9", "1.5"].map(decimal));
}

async fn sq27_sq28_sq29_sq30_select_in_cases_and_exists(repo: &impl Repo) {
    items(repo, ["hi", "HI", "ho"].map(|title| item().set(Item::TITLE, title))).await;
    let count = async |condition: Expr<bool>| repo.count(Item::query().filter(condition)).await.unwrap();
    assert_eq!(count(Item::TITLE.in_list(["hi", "ho"])).await, 2);
    assert_eq!(count(Item::TITLE.eq("hi")).await, 1);
    assert_eq!(count(lower(Item::TITLE).eq("hi")).await, 2);
    let there = emr::exists(Item::query().filter(Item::TITLE.eq("HI")).select(Item::ID));
    assert_eq!(count(there.clone()).await, 3);
    assert_eq!(count(!there).await, 0);
}

async fn text_functions(repo: &impl Repo) {
    items(repo, [item().set(Item::TITLE, "  Ünï🦀 ")]).await;
    let title = || Item::TITLE;
    assert_eq!(value(repo, (trim(title()), length(title()))).await, ("Ünï🦀".to_owned(), 7));
    assert_eq!(value(repo, (upper("abc"), lower("ABC"))).await, ("ABC".to_owned(), "abc".to_owned()));
    assert_eq!(value(repo, concat(concat(trim(title()), "-"), Item::TITLE)).await, "Ünï🦀-  Ünï🦀 ");
    repo.update_all(Item::query().set(Item::TITLE, None)).await.unwrap();
    assert_eq!(value(repo, (concat("a", title()).optional(), length(title()).optional())).await, (None, None));
    assert_eq!(repo.count(Item::query().filter(length("four").eq(4))).await.unwrap(), 1);
}

async fn ilike_ignores_the_case_of_all_letters(repo: &impl Repo) {
    items(repo, ["ÄRGER", "ärger", "Ärger", "Arger"].map(|title| item().set(Item::TITLE, title))).await;
    // The server folds letters by the collation of its database: one of ASCII only knows ASCII.
    let folds = value(repo, lower("Ä")).await == "ä";
    let found = repo.count(Item::query().filter(Item::TITLE.ilike("äRG%"))).await.unwrap();
    assert_eq!(found, if folds { 3 } else { 2 });
    assert_eq!(repo.count(Item::query().filter(Item::TITLE.like("ärg%"))).await.unwrap(), 1);
    assert_eq!(repo.count(Item::query().filter(Item::TITLE.ilike("%RGER"))).await.unwrap(), 4);
}

async fn case_expressions(repo: &impl Repo) {
    items(repo, [5, 50, 5_000].map(|visits| item().set(Item::VISITS, visits))).await;
    let size =
        || case_when::<String>(Item::VISITS.gt(1_000), "big").when(Item::VISITS.gt(10), "small").otherwise("none");
    let query = Item::query().order_by(Item::ID.asc()).select(size());
    assert_eq!(repo.all(query).await.unwrap(), ["none", "small", "big"]);
    let or_null = case_when::<i64>(Item::VISITS.gt(10), Item::VISITS).or_null();
    let query = Item::query().order_by(Item::ID.asc()).select(or_null.clone());
    assert_eq!(repo.all(query).await.unwrap(), [None, Some(50), Some(5_000)]);
    assert_eq!(repo.aggregate(Item::query(), sum(or_null)).await.unwrap(), Some(5_050));
    let truth = case_when::<bool>(Item::VISITS.gt(10), Item::VISITS.lt(100)).otherwise(true);
    assert_eq!(repo.count(Item::query().filter(truth)).await.unwrap(), 2);
    let groups = Item::query().group_by(size()).order_by(size().asc()).select((size(), count_all()));
    // The arguments of the group are parameters, so it is not the same text for PostgreSQL: name it.
    drop(groups);
    let groups = Item::query()
        .group_by(emr::selected::<String>("size"))
        .order_by(emr::selected::<String>("size").asc())
        .select((size().named("size"), count_all()));
    let found = repo.all(groups).await.unwrap();
    assert_eq!(found, [("big".to_owned(), 1), ("none".to_owned(), 1), ("small".to_owned(), 1)]);
}

#[allow(clippy::float_cmp)] // exactly these
async fn numbers_are_rounded(repo: &impl Repo) {
    let row = item().set(Item::RATING, -2.5).set(Item::COST, decimal("-1234.565")).set(Item::VISITS, 1_250);
    items(repo, [row]).await;
    // MySQL rounds floats to even numbers, as processors do.
    let half = if backend().is_mysql_family() { -2.0 } else { -3.0 };
    assert_eq!(value(repo, (round(Item::RATING, 0), abs(Item::RATING))).await, (half, 2.5));
    let (cents, hundreds, whole) = value(repo, (round(Item::COST, 2), round(Item::COST, -2), abs(Item::COST))).await;
    assert_eq!((cents, hundreds, whole), (decimal("-1234.57"), decimal("-1200"), decimal("1234.565")));
    assert_eq!(
        value(repo, (round(Item::VISITS, -2), round(Item::VISITS, 3), abs(literal(-7_i64)))).await,
        (1300, 1250, 7)
    );
    assert_eq!(value(repo, round(literal(2.675), 2)).await, 2.68);
}

async fn the_time_of_the_server(repo: &impl Repo) {
    items(repo, [item()]).await;
    let before = now();
    let (here, again) = value(repo, (server_now(), server_now())).await;
    assert_eq!(here, again);
    assert!((here - before).num_seconds().abs() < 60, "{here} and {before}");
    repo.update_all(Item::query().set_expr(Item::INSTANT, server_now())).await.unwrap();
    assert_eq!(repo.count(Item::query().filter(Item::INSTANT.le(server_now()))).await.unwrap(), 1);
}

#[derive(Syncable, Debug)]
#[emr(table = "secrets")]
struct Secret {
    id: i64,
    #[emr(redact)]
    word: String,
}

async fn redacted_arguments_stay_hidden(repo: &impl Repo) {
    repo.create_table::<Secret>().await.unwrap();
    let query = Secret::query().filter(concat(Secret::WORD, "hunter1").eq("hunter2"));
    let query = query.filter(coalesce(Secret::WORD, "hunter3").in_list(["hunter4"]));
    let shown = format!("{query:?}");
    assert!(!shown.contains("hunter"), "{shown}");
    assert_eq!(repo.count(query).await.unwrap(), 0);
}

async fn functions_write(repo: &impl Repo) {
    table(repo).await;
    repo.insert(item().set(Item::TITLE, "a").set(Item::VISITS, 1)).await.unwrap();
    let update = Item::query()
        .set_expr(Item::TITLE, concat(upper(Item::TITLE), "!"))
        .set_expr(Item::VISITS, case_when::<i64>(Item::VISITS.gt(0), Item::VISITS + 1).otherwise(0));
    repo.update_all(update).await.unwrap();
    let row = repo.one(Item::query()).await.unwrap().unwrap();
    assert_eq!((row.title.as_deref(), row.visits), (Some("A!"), Some(2)));
    let error = refusal(repo, cast::<String>(Item::LOCAL)).await;
    crate::harness::assert_unsupported_in_part(&error);
}
