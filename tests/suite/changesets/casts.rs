//! Untyped input into columns.

use emr::prelude::*;
use rust_decimal::Decimal;
use serde_json::json;

use super::schemas::{Item, Meta, Mood, item};

repo_cases![
    a_form_is_cast_and_stored,
    json_is_cast_and_stored,
    what_is_not_listed_is_never_written,
    values_that_do_not_fit_are_errors_of_their_fields,
    nothing_is_null_or_the_default,
    a_cast_of_the_same_values_changes_nothing,
    t21_r38_embeds_stay_typed_json,
];

async fn a_form_is_cast_and_stored(repo: &impl Repo) {
    repo.create_table::<Item>().await.unwrap();
    let form = [
        ("title", "Hello "),
        ("visits", " 42 "),
        ("price", "12.50"),
        ("day", "2024-02-29"),
        ("token", "67e55044-10b1-426f-9247-bb680e5fe0c8"),
        ("hidden", "on"),
        ("mood", "angry"),
        ("meta[color]", "red"),
        ("body", "  "),
    ];
    let columns = (
        Item::TITLE,
        Item::VISITS,
        Item::PRICE,
        Item::DAY,
        Item::TOKEN,
        Item::HIDDEN,
        Item::MOOD,
        Item::META,
        Item::BODY,
    );
    let changeset = Item::build().cast(form, columns);
    assert!(changeset.is_valid(), "{changeset:?}");
    let stored = repo.insert(changeset).await.unwrap();
    let found = repo.fetch::<Item>(stored.id).await.unwrap();
    assert_eq!(found, stored);
    assert_eq!((found.title.as_str(), found.visits, found.hidden), ("Hello ", 42, true));
    assert_eq!(found.price, Some(Decimal::new(1250, 2)));
    assert_eq!(found.day.unwrap().to_string(), "2024-02-29");
    assert_eq!(found.token.unwrap().to_string(), "67e55044-10b1-426f-9247-bb680e5fe0c8");
    assert_eq!(found.mood, Some(Mood::Angry));
    assert_eq!(found.meta, Some(Json(Meta { color: "red".into(), size: None })));
    assert_eq!(found.body, None);
}

async fn json_is_cast_and_stored(repo: &impl Repo) {
    repo.create_table::<Item>().await.unwrap();
    let before = item(repo, "old").await;
    let input = json!({ "title": "new", "price": 0.1, "visits": 3, "hidden": true, "mood": "calm", "body": null });
    let changeset = before
        .change()
        .set(Item::BODY, "x")
        .cast(&input, (Item::TITLE, Item::PRICE, Item::VISITS, (Item::HIDDEN, Item::MOOD), [Item::BODY]));
    let after = repo.update(changeset).await.unwrap();
    assert_eq!((after.title.as_str(), after.visits, after.hidden, after.body), ("new", 3, true, None));
    assert_eq!(after.price, Some(Decimal::new(1, 1)));
    assert_eq!(after.mood, Some(Mood::Calm));
}

async fn what_is_not_listed_is_never_written(repo: &impl Repo) {
    repo.create_table::<Item>().await.unwrap();
    let input = json!({ "title": "x", "visits": 99, "id": 5, "nothing": 1 });
    let stored = repo.insert(Item::build().cast(&input, Item::TITLE)).await.unwrap();
    assert_eq!((stored.visits, repo.fetch::<Item>(stored.id).await.unwrap().visits), (7, 7));
    let column = Item::column("visits").unwrap();
    let stored = repo.update(stored.change().cast(&input, vec![column])).await.unwrap();
    assert_eq!(stored.visits, 99);
}

async fn values_that_do_not_fit_are_errors_of_their_fields(repo: &impl Repo) {
    repo.create_table::<Item>().await.unwrap();
    let input = json!({
        "title": 5, "visits": "many", "price": "1,5", "day": "2023-02-29", "token": "x", "hidden": "maybe",
        "mood": "sad", "meta": { "size": 1 }, "lock_version": 3_000_000_000_u64, "body": "a\u{0}b",
    });
    let columns = (
        (Item::TITLE, Item::VISITS, Item::PRICE, Item::DAY, Item::TOKEN),
        (Item::HIDDEN, Item::MOOD, Item::META, Item::LOCK_VERSION, Item::BODY),
    );
    let changeset = Item::build().cast(&input, columns);
    assert_eq!(changeset.errors().len(), 10, "{changeset:?}");
    assert!(changeset.errors().iter().all(|(_, error)| error.code() == "cast" && error.to_string() == "is invalid"));
    let error = repo.insert(changeset).await.unwrap_err();
    assert!(error.is_validation(), "{error:?}");
    assert!(error.field_errors().unwrap().has("visits"));
    assert!(!format!("{error} {error:?}").contains("many"), "what was given is not repeated");
    assert_eq!(repo.count(Item::query()).await.unwrap(), 0);

    let no_object = Item::build().cast(json!([1]), Item::TITLE);
    assert!(no_object.errors().has(emr::Errors::BASE));
}

async fn nothing_is_null_or_the_default(repo: &impl Repo) {
    repo.create_table::<Item>().await.unwrap();
    let input = json!({ "title": "", "visits": null, "body": " ", "slug": null });
    let columns = (Item::TITLE, Item::VISITS, Item::BODY, Item::SLUG);
    let changeset = Item::build().cast(&input, columns);
    assert_eq!(changeset.errors().messages()["title"], ["can't be blank"]);
    assert_eq!(changeset.errors().len(), 1);
    let kept = repo.insert(Item::build().keep_blank().cast(&input, columns)).await.unwrap();
    assert_eq!((kept.title.as_str(), kept.body.as_deref(), kept.visits), ("", Some(" "), 7));
    // In a row that is there nothing takes the place of a value that must be.
    let changeset = kept.change().cast(json!({ "visits": "" }), Item::VISITS);
    assert_eq!(changeset.errors().get("visits")[0].code(), "required");
}

async fn a_cast_of_the_same_values_changes_nothing(repo: &impl Repo) {
    repo.create_table::<Item>().await.unwrap();
    let meta = Json(Meta { color: "red".into(), size: Some(2) });
    let row = Item::build().set(Item::TITLE, "x").set(Item::PRICE, Decimal::new(150, 2)).set(Item::META, meta);
    let stored = repo.insert(row).await.unwrap();
    let input = json!({ "title": "x", "price": "1.5", "visits": "7", "meta": { "size": 2, "color": "red", "odd": 1 } });
    let changeset = stored.change().cast(&input, (Item::TITLE, Item::PRICE, Item::VISITS, Item::META));
    assert!(changeset.is_empty() && changeset.is_valid(), "{changeset:?}");
}

async fn t21_r38_embeds_stay_typed_json(repo: &impl Repo) {
    repo.create_table::<Item>().await.unwrap();
    let meta = Json(Meta { color: "red".into(), size: Some(2) });
    let stored = repo.insert(Item::build().set(Item::TITLE, "x").set(Item::META, meta.clone())).await.unwrap();
    assert_eq!(repo.fetch::<Item>(stored.id).await.unwrap().meta.unwrap().color, "red");
    let selected = repo.all(Item::query().select(Item::META)).await.unwrap();
    assert_eq!(selected, [Some(meta.clone())]);
    let blue = Json(Meta { color: "blue".into(), size: None });
    assert_eq!(repo.update_all(Item::query().set(Item::META, blue.clone())).await.unwrap(), 1);
    assert_eq!(repo.fetch::<Item>(stored.id).await.unwrap().meta, Some(blue.clone()));

    // A write that fails leaves the changeset as it was: the value in it is still typed.
    let green = Json(Meta { color: "green".into(), size: Some(3) });
    let failing = stored.change().set(Item::META, green.clone()).add_error(Item::TITLE, "is odd");
    assert!(repo.update(failing.clone()).await.unwrap_err().is_validation());
    assert_eq!(failing.get(Item::META), Some(&emr::Field::into_value(green)));
    assert_eq!(repo.fetch::<Item>(stored.id).await.unwrap().meta, Some(blue));
}
