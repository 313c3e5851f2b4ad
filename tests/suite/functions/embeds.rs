//! Values of the program's own in JSON columns.

use std::collections::BTreeMap;

use emr::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

test_repo_cases![
    t18_typed_string_map,
    t19_typed_float_map,
    t20_map_type_on_update,
    t21_embeds_one,
    t27_embeds_one_with_custom_type,
    t28_empty_embeds_one,
    t29_t30_embeds_many,
    t31_nested_embeds,
];

/// Stored in another form than it has in the program.
#[derive(Debug, Clone, PartialEq)]
struct Prefixed(String);

impl Serialize for Prefixed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("PREFIX-{}", self.0))
    }
}

impl<'de> Deserialize<'de> for Prefixed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let stored = String::deserialize(from)?;
        Ok(Prefixed(stored.trim_start_matches("PREFIX-").to_owned()))
    }
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Line {
    price: i64,
    valid_at: chrono::NaiveDate,
    reference: Prefixed,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Cart {
    name: String,
    lines: Vec<Line>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "orders")]
struct Order {
    id: i64,
    words: Json<BTreeMap<String, String>>,
    ratios: Json<BTreeMap<String, f64>>,
    line: Option<Json<Line>>,
    lines: Json<Vec<Line>>,
    cart: Option<Json<Cart>>,
}

fn line(price: i64) -> Line {
    let valid_at = "2014-01-16".parse().unwrap();
    Line { price, valid_at, reference: Prefixed("abc".into()) }
}

async fn order(repo: &impl Repo, change: impl FnOnce(&mut Order)) -> Order {
    repo.create_table::<Order>().await.unwrap();
    let (words, ratios) = (Json(BTreeMap::new()), Json(BTreeMap::new()));
    let mut order = Order { id: 1, words, ratios, line: None, lines: Json(Vec::new()), cart: None };
    change(&mut order);
    let stored = repo.insert(order.clone()).await.unwrap();
    assert_eq!(stored, order);
    assert_eq!(repo.fetch::<Order>(1).await.unwrap(), order);
    order
}

async fn t18_typed_string_map(repo: &impl Repo) {
    let order = order(repo, |order| {
        order.words.insert("a".into(), "1".into());
        order.words.insert("it's \"".into(), String::new());
    })
    .await;
    assert_eq!(repo.one(Order::query().select(Order::WORDS)).await.unwrap(), Some(order.words));
}

async fn t19_typed_float_map(repo: &impl Repo) {
    order(repo, |order| order.ratios.extend([("a".to_owned(), 416_500.0)])).await;
    // A float, not the integer that it could be.
    let found = repo.one(Order::query().select(Order::RATIOS.json().key("a").as_json())).await.unwrap().unwrap();
    assert_eq!(found, Some(serde_json::json!(416_500.0)));
    assert!(found.is_some_and(|number| number.is_f64()));
}

async fn t20_map_type_on_update(repo: &impl Repo) {
    let order = order(repo, |order| order.words.extend([("a".to_owned(), "old".to_owned())])).await;
    let map = |value: &str| Json(BTreeMap::from([("b".to_owned(), value.to_owned())]));
    let updated = repo.update(order.change().set(Order::WORDS, map("new"))).await.unwrap();
    assert_eq!(updated.words, map("new"));
    assert_eq!(repo.update_all(Order::query().set(Order::WORDS, map("all"))).await.unwrap(), 1);
    assert_eq!(repo.fetch::<Order>(1).await.unwrap().words, map("all"));
}

async fn t21_embeds_one(repo: &impl Repo) {
    order(repo, |order| order.line = Some(Json(line(123)))).await;
    assert_eq!(repo.one(Order::query().select(Order::LINE)).await.unwrap(), Some(Some(Json(line(123)))));
    repo.update_all(Order::query().set(Order::LINE, Json(line(456)))).await.unwrap();
    assert_eq!(repo.fetch::<Order>(1).await.unwrap().line, Some(Json(line(456))));
    let price = Order::LINE.json().key("price").as_i64();
    assert_eq!(repo.count(Order::query().filter(price.eq(456))).await.unwrap(), 1);
}

async fn t27_embeds_one_with_custom_type(repo: &impl Repo) {
    let order = order(repo, |order| order.line = Some(Json(line(1)))).await;
    let stored = repo.one(Order::query().select(Order::LINE.json().key("reference").as_text())).await.unwrap();
    assert_eq!(stored, Some(Some("PREFIX-abc".to_owned())));
    let loaded = repo.fetch::<Order>(1).await.unwrap();
    assert_eq!(loaded.line.map(|line| line.reference.clone()), order.line.map(|line| line.reference.clone()));
}

async fn t28_empty_embeds_one(repo: &impl Repo) {
    let empty = order(repo, |_| {}).await;
    assert_eq!(empty.line, None);
    assert_eq!(repo.count(Order::query().filter(Order::LINE.is_null())).await.unwrap(), 1);
    repo.update_all(Order::query().set(Order::LINE, Json(line(1)))).await.unwrap();
    repo.update_all(Order::query().set(Order::LINE, None)).await.unwrap();
    assert_eq!(repo.fetch::<Order>(1).await.unwrap().line, None);
}

async fn t29_t30_embeds_many(repo: &impl Repo) {
    let empty = order(repo, |_| {}).await;
    assert_eq!(*empty.lines, []);
    let updated = repo.update(empty.change().set(Order::LINES, Json(vec![line(1), line(2)]))).await.unwrap();
    assert_eq!(*updated.lines, [line(1), line(2)]);
    assert_eq!(repo.fetch::<Order>(1).await.unwrap(), updated);
    let second = Order::LINES.json().index(1).key("price").as_i64();
    assert_eq!(repo.one(Order::query().select(second)).await.unwrap(), Some(Some(2)));
}

async fn t31_nested_embeds(repo: &impl Repo) {
    let cart = Cart { name: "a".into(), lines: vec![line(1), line(2)] };
    order(repo, |order| order.cart = Some(Json(cart))).await;
    let day = Order::CART.json().key("lines").index(1).key("valid_at").as_text();
    assert_eq!(repo.one(Order::query().select(day)).await.unwrap(), Some(Some("2014-01-16".to_owned())));
}
