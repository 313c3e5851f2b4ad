//! Places in JSON documents.

use emr::prelude::*;
use serde_json::json;

use super::items::{Item, item, items, value};
use crate::harness::backend;

test_repo_cases![
    t17_untyped_map,
    t22_sq3_json_extract_path_with_primitive_values,
    t23_sq4_json_extract_path_with_arrays_and_objects,
    t24_sq5_json_extract_path_with_embeds,
    t25_json_extract_path_with_custom_field_source,
    t26_json_extract_path_with_a_key_from_a_column,
    sq35_sq36_json_is_kept_as_text,
    hostile_keys_find_their_places,
    whole_numbers_and_others,
    null_in_documents_and_in_columns,
    what_is_read_can_be_compared_and_ordered,
];

async fn document(repo: &impl Repo, document: serde_json::Value) {
    items(repo, [item().set(Item::META, document)]).await;
}

async fn t17_untyped_map(repo: &impl Repo) {
    document(repo, json!({"foo": "bar", "baz": {"1": 2}})).await;
    assert_eq!(value(repo, Item::META).await, Some(json!({"foo": "bar", "baz": {"1": 2}})));
}

async fn t22_sq3_json_extract_path_with_primitive_values(repo: &impl Repo) {
    let meta = json!({
        "title": "hello", "number": 123, "ratio": 1.5, "yes": true, "no": false, "array": [1, "two"],
        "quote'd": "single", "quote\"d": "double", "'; DROP TABLE items; --": "safe"
    });
    document(repo, meta).await;
    let at = |key: &'static str| Item::META.json().key(key);
    let found = value(repo, (at("title").as_text(), at("number").as_i64(), at("ratio").as_f64())).await;
    assert_eq!(found, (Some("hello".into()), Some(123), Some(1.5)));
    let found = value(repo, (at("yes").as_bool(), at("no").as_bool(), at("missing").as_bool())).await;
    assert_eq!(found, (Some(true), Some(false), None));
    let found =
        value(repo, (at("quote'd").as_text(), at("quote\"d").as_text(), at("'; DROP TABLE items; --").as_text()));
    assert_eq!(found.await, (Some("single".into()), Some("double".into()), Some("safe".into())));
    let found =
        value(repo, (at("array").index(1).as_text(), at("array").index(0).as_i64(), at("array").index(9).as_i64()));
    assert_eq!(found.await, (Some("two".into()), Some(1), None));
    let count = async |condition: Expr<bool>| repo.count(Item::query().filter(condition)).await.unwrap();
    assert_eq!(count(at("yes").as_bool().eq(true)).await, 1);
    assert_eq!(count(at("yes").as_bool().expr()).await, 1);
    assert_eq!(count(at("no").as_bool().expr()).await, 0);
    assert_eq!(count(at("number").as_i64().gt(122)).await, 1);
    assert_eq!(count(at("title").as_text().eq("hello")).await, 1);
    assert_eq!(count(at("missing").as_text().eq("hello")).await, 0);
}

async fn t23_sq4_json_extract_path_with_arrays_and_objects(repo: &impl Repo) {
    document(repo, json!({"tags": [{"name": "red"}, {"name": "green"}], "deep": {"er": {"est": [[7]]}}})).await;
    let tags = || Item::META.json().key("tags");
    let found = value(repo, (tags().index(0).key("name").as_text(), tags().index(99).key("name").as_text())).await;
    assert_eq!(found, (Some("red".into()), None));
    assert_eq!(value(repo, tags().index(1).as_json()).await, Some(json!({"name": "green"})));
    let deep = Item::META.json().key("deep").key("er").key("est").index(0).index(0);
    assert_eq!(value(repo, deep.as_i64()).await, Some(7));
    let green = Item::query().filter(tags().index(1).key("name").as_text().eq("green"));
    assert_eq!(repo.count(green).await.unwrap(), 1);
    // An index is none of an object's keys, and a key none of an array's elements.
    // To MySQL the first element of what is no array is that itself.
    let index = u32::from(backend().is_mysql_family());
    let crossed = (tags().key("0").as_json(), Item::META.json().index(index).as_json(), tags().key("name").as_json());
    assert_eq!(value(repo, crossed).await, (None, None, None));
}

async fn t24_sq5_json_extract_path_with_embeds(repo: &impl Repo) {
    document(repo, json!({"valid_at": "2014-01-16", "items": [{"price": 123}]})).await;
    assert_eq!(value(repo, Item::META.json().key("valid_at").as_text()).await.as_deref(), Some("2014-01-16"));
    let price = Item::META.json().key("items").index(0).key("price").as_i64();
    assert_eq!(repo.count(Item::query().filter(price.eq(123))).await.unwrap(), 1);
}

/// The column has another name, with a space in it.
async fn t25_json_extract_path_with_custom_field_source(repo: &impl Repo) {
    document(repo, json!({"a": "x"})).await;
    assert_eq!(Item::META.def().name, "meta data");
    assert_eq!(value(repo, Item::META.json().key("a").as_text()).await.as_deref(), Some("x"));
}

async fn t26_json_extract_path_with_a_key_from_a_column(repo: &impl Repo) {
    let meta = || json!({"prices": {"tea": 3, "ta\"l\\k": {"x": [5]}, "": 7, "null": 8, "0": 9}, "list": ["a"]});
    let keys = [Some("tea"), Some("ta\"l\\k"), Some(""), Some("none"), None, Some("null"), Some("0"), Some("$.tea")];
    items(repo, keys.map(|key| item().set(Item::META, meta()).set(Item::TITLE, key.map(str::to_owned)))).await;
    let price = || Item::META.json().key("prices").key_of(Item::TITLE);
    let query = Item::query().order_by(Item::ID.asc());
    let found = repo.all(query.clone().select(price().as_i64())).await.unwrap();
    assert_eq!(found, [Some(3), None, Some(7), None, None, Some(8), Some(9), None]);
    let deeper = price().key("x").index(0).as_i64();
    assert_eq!(repo.all(query.clone().filter(deeper.eq(5)).select(Item::ID)).await.unwrap(), [2]);
    // An element of a list has no key.
    let element = Item::META.json().key("list").key_of(Item::TITLE).as_json();
    assert_eq!(repo.all(query.select(element)).await.unwrap(), vec![None; 8]);
}

async fn sq35_sq36_json_is_kept_as_text(repo: &impl Repo) {
    document(repo, json!({"a": [1, 2.5, null, "ü\"\\"]})).await;
    assert_eq!(value(repo, Item::META.json().as_json()).await, Some(json!({"a": [1, 2.5, null, "ü\"\\"]})));
    let part = Item::META.json().key("a").index(3);
    assert_eq!(
        value(repo, (part.clone().as_text(), part.as_json())).await,
        (Some("ü\"\\".into()), Some(json!("ü\"\\")))
    );
}

async fn hostile_keys_find_their_places(repo: &impl Repo) {
    let keys = [
        "",
        " ",
        "a.b",
        "a\"b",
        "a\\b",
        "a\\\"b",
        "a'b",
        "a''b",
        "$",
        "$.a",
        "*",
        "**",
        "[0]",
        "a]",
        "ü",
        "e\u{301}",
        "🦀",
        "\n\t",
        "\u{1}",
        "?",
        "@",
        "{}",
        "0",
        "a\"] ? (1 == 1)",
        "\") FROM x; --",
        "last",
        "\u{2028}",
    ];
    // MariaDB finds no key that looks like a number below zero.
    let numeric = (!crate::harness::backend().is_mysql_family()).then_some("-1");
    let keys: Vec<&str> = keys.into_iter().chain(numeric).collect();
    let all: serde_json::Map<String, serde_json::Value> =
        keys.iter().enumerate().map(|(n, key)| ((*key).to_owned(), json!({ "it": n }))).collect();
    document(repo, all.into()).await;
    for (n, key) in keys.iter().enumerate() {
        let n = i64::try_from(n).unwrap();
        let place = Item::META.json().key(*key);
        let found = value(repo, (place.clone().key("it").as_i64(), place.clone().exists(), place.is_null())).await;
        assert_eq!(found, (Some(n), true, false), "{key:?}");
    }
    for key in ["a", "A.b", "\0", "a\0b", "b", "\\", "\"", "'", "🦀🦀"] {
        let place = Item::META.json().key(key);
        let found = value(repo, (place.clone().as_json(), place.clone().exists(), place.is_null())).await;
        assert_eq!(found, (None, false, true), "{key:?}");
    }
}

async fn whole_numbers_and_others(repo: &impl Repo) {
    let numbers = json!([5, 5.0, 5.5, -0.5, i64::MAX, i64::MIN, u64::MAX, 1e300, "5", true, null, [5], 1e3]);
    document(repo, numbers).await;
    let mut integers = Vec::new();
    let mut floats = Vec::new();
    for n in 0..13 {
        let place = Item::META.json().index(n);
        let (integer, float) = value(repo, (place.clone().as_i64(), place.as_f64())).await;
        integers.push(integer);
        floats.push(float);
    }
    let none = None::<i64>;
    let whole = [Some(5), Some(5), none, none, Some(i64::MAX), Some(i64::MIN)];
    assert_eq!(integers, [&whole[..], &[none, none, none, none, none, none, Some(1_000)]].concat());
    #[allow(clippy::cast_precision_loss)] // the nearest float
    let large = [Some(i64::MAX as f64), Some(i64::MIN as f64), Some(u64::MAX as f64), Some(1e300)];
    let some = [Some(5.0), Some(5.0), Some(5.5), Some(-0.5)];
    assert_eq!(floats, [&some[..], &large, &[None, None, None, None, Some(1_000.0)]].concat());
}

/// JSON's null, nothing at the place, and no document are all NULL; `exists` and `as_json` tell them apart.
async fn null_in_documents_and_in_columns(repo: &impl Repo) {
    items(repo, [item().set(Item::META, json!({"null": null, "text": "null"})), item()]).await;
    let read = |key: &'static str| {
        let place = || Item::META.json().key(key);
        let query = Item::query().order_by(Item::ID.asc());
        query.select((place().as_text(), place().as_json(), place().exists(), place().is_null(), Item::META.is_null()))
    };
    let nothing = (None, None, false, true, true);
    let found = repo.all(read("null")).await.unwrap();
    assert_eq!(found, [(None, Some(json!(null)), true, true, false), nothing.clone()]);
    let found = repo.all(read("missing")).await.unwrap();
    assert_eq!(found, [(None, None, false, true, false), nothing.clone()]);
    let found = repo.all(read("text")).await.unwrap();
    assert_eq!(found, [(Some("null".to_owned()), Some(json!("null")), true, false, false), nothing]);
}

async fn what_is_read_can_be_compared_and_ordered(repo: &impl Repo) {
    let sizes = [json!({"size": 10}), json!({"size": 9}), json!({"size": "10"}), json!({"size": 9.5})];
    items(repo, sizes.map(|meta| item().set(Item::META, meta))).await;
    let size = || Item::META.json().key("size");
    let query = Item::query().order_by(size().as_f64().asc().nulls_last()).select(Item::ID);
    assert_eq!(repo.all(query).await.unwrap(), [2, 4, 1, 3]);
    let sum = Item::query().select(emr::functions::sum(size().as_i64()));
    assert_eq!(repo.one(sum).await.unwrap(), Some(Some(19)));
    let texts = Item::query().filter(size().as_text().is_not_null()).select(Item::ID);
    assert_eq!(repo.all(texts).await.unwrap(), [3]);
}
