//! What is judged before anything is sent.

use std::sync::LazyLock;

use emr::prelude::*;
use emr::regex::Regex;
use serde_json::json;

use super::schemas::{Item, Mood, item};

repo_cases![
    an_invalid_changeset_is_never_written,
    required_columns_have_a_value,
    validations_look_at_changes,
    acceptance_and_confirmation_look_at_the_input,
    mistakes_of_the_program_are_no_errors_of_fields,
    errors_serialise_for_a_form_and_translate,
    r39_unsafe_validate_unique,
    r40_unsafe_validate_unique_with_composite_keys,
    apply_gives_the_struct_without_a_database,
];

static SLUG: LazyLock<Regex> = LazyLock::new(|| Regex::new("^[a-z-]+$").expect("a pattern"));

fn codes<T: Syncable>(changeset: &Changeset<T>) -> Vec<(String, String)> {
    changeset.errors().iter().map(|(field, error)| (field.to_owned(), error.code().to_owned())).collect()
}

/// The rules of an item.
fn judge(changeset: Changeset<Item>) -> Changeset<Item> {
    changeset
        .validate_length(Item::TITLE, 3..=5)
        .validate_byte_length(Item::BODY, ..4)
        .validate_format(Item::SLUG, &SLUG)
        .validate_number(Item::VISITS, 0..100)
        .validate_inclusion(Item::MOOD, [Mood::Calm])
        .validate_exclusion(Item::TITLE, ["admin", "root"])
        .validate_change(Item::VISITS, |visits| if *visits == 13 { Err("is unlucky") } else { Ok(()) })
}

async fn an_invalid_changeset_is_never_written(repo: &impl Repo) {
    repo.create_table::<Item>().await.unwrap();
    let stored = item(repo, "x").await;
    let before = repo.all(Item::query()).await.unwrap();
    let odd = stored.change().set(Item::TITLE, "odd").add_error(Item::TITLE, "is odd");
    for error in [
        repo.update(odd.clone()).await.unwrap_err(),
        repo.delete(odd.clone()).await.unwrap_err(),
        repo.insert(odd.clone().set(Item::ID, 99)).await.unwrap_err(),
        repo.update(stored.change().add_error("base", "even without changes")).await.unwrap_err(),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Validation { table, .. } if table == "items"), "{error:?}");
    }
    // Of many rows the errors say which.
    let rows = [Item::build().set(Item::TITLE, "a"), Item::build().add_error(Item::TITLE, "is odd")];
    let error = repo.insert_all(rows).await.unwrap_err();
    assert_eq!(error.field_errors().unwrap().fields().collect::<Vec<_>>(), ["1.title"]);
    assert_eq!(error.to_string(), "the changes to items are invalid: 1.title is odd");
    assert_eq!(repo.all(Item::query()).await.unwrap(), before);
}

async fn required_columns_have_a_value(repo: &impl Repo) {
    repo.create_table::<Item>().await.unwrap();
    let new = Item::build().set(Item::BODY, " ").validate_required((Item::TITLE, Item::BODY, Item::SLUG));
    assert_eq!(new.errors().fields().collect::<Vec<_>>(), ["title", "body", "slug"]);
    let stored = item(repo, "x").await;
    assert!(stored.change().validate_required(Item::TITLE).is_valid(), "the row has one");
    let cleared = stored.change().set(Item::TITLE, "").validate_required(Item::TITLE);
    assert_eq!(cleared.errors().messages()["title"], ["can't be blank"]);
    // A field has one error of this sort.
    let cast = Item::build().cast(json!({ "title": 5 }), Item::TITLE).validate_required(Item::TITLE);
    assert_eq!(codes(&cast), [("title".to_owned(), "cast".to_owned())]);
}

async fn validations_look_at_changes(repo: &impl Repo) {
    repo.create_table::<Item>().await.unwrap();
    let good = Item::build()
        .set(Item::TITLE, "größe")
        .set(Item::BODY, "abc")
        .set(Item::SLUG, "a-b")
        .set(Item::VISITS, 99)
        .set(Item::MOOD, Mood::Calm);
    assert!(judge(good.clone()).is_valid(), "{:?}", judge(good));
    let bad = Item::build()
        .set(Item::TITLE, "root")
        .set(Item::BODY, "größe")
        .set(Item::SLUG, "A b")
        .set(Item::VISITS, 13)
        .set(Item::MOOD, Mood::Angry);
    let bad = judge(bad.clone().set(Item::TITLE, "ab")).errors().iter().chain(judge(bad).errors().iter()).fold(
        Vec::new(),
        |mut all, (field, error)| {
            all.push(format!("{field} {}: {error}", error.code()));
            all
        },
    );
    for expected in [
        "title length: should be at least 3 character(s)",
        "title exclusion: is reserved",
        "body length: should be at most 3 byte(s)",
        "slug format: has invalid format",
        "visits invalid: is unlucky",
        "mood inclusion: is invalid",
    ] {
        assert!(bad.iter().any(|found| found == expected), "{expected}: {bad:?}");
    }
    // What is in the row already was judged when it came in.
    let old = item(repo, "ab").await;
    assert!(judge(old.change()).is_valid());
    assert!(!judge(old.change().set(Item::TITLE, "x")).is_valid());
    assert!(judge(old.change().set(Item::SLUG, None)).is_valid());
}

async fn acceptance_and_confirmation_look_at_the_input(_repo: &impl Repo) {
    let judge = |input: serde_json::Value| {
        let cast = Item::build().cast(&input, (Item::TITLE, Item::SLUG));
        codes(&cast.validate_acceptance("terms").validate_confirmation(Item::SLUG))
    };
    assert_eq!(judge(json!({ "terms": "on", "slug": "a", "slug_confirmation": "a" })), []);
    assert_eq!(judge(json!({ "terms": true, "slug": "a" })), []);
    assert_eq!(judge(json!({ "terms": "0" })), [("terms".to_owned(), "acceptance".to_owned())]);
    assert_eq!(
        judge(json!({ "terms": true, "slug": "a", "slug_confirmation": "b" })),
        [("slug_confirmation".to_owned(), "confirmation".to_owned())]
    );
    assert!(Item::build().validate_acceptance("terms").is_valid(), "without input nothing is asked");
}

async fn mistakes_of_the_program_are_no_errors_of_fields(repo: &impl Repo) {
    repo.create_table::<Item>().await.unwrap();
    let wrong = Item::build().set(Item::TITLE, "x").set(Item::VISITS, 1).validate_length(Item::VISITS, 1..);
    let error = repo.insert(wrong).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    assert_eq!(repo.count(Item::query()).await.unwrap(), 0);
}

async fn errors_serialise_for_a_form_and_translate(_repo: &impl Repo) {
    let changeset =
        Item::build().set(Item::TITLE, "ab").validate_length(Item::TITLE, 3..).validate_required(Item::SLUG);
    assert_eq!(
        serde_json::to_value(changeset.errors()).unwrap(),
        json!({
            "title": [{
                "code": "length",
                "message": "should be at least 3 character(s)",
                "params": { "count": 3, "kind": "min" },
            }],
            "slug": [{ "code": "required", "message": "can't be blank", "params": {} }],
        })
    );
    let german = changeset.errors().translate(|_, error| match (error.code(), error.template()) {
        ("length", _) => error.fill("braucht mindestens {count} Zeichen"),
        (_, template) => format!("({template})"),
    });
    assert_eq!(german["title"], ["braucht mindestens 3 Zeichen"]);
    assert_eq!(german["slug"], ["(can't be blank)"]);
    let reworded = changeset.reword(Item::SLUG, "required", "muss sein");
    assert_eq!(reworded.errors().messages()["slug"], ["muss sein"]);
}

async fn r39_unsafe_validate_unique(repo: &impl Repo) {
    repo.create_table::<Item>().await.unwrap();
    let first = Item::build().set(Item::TITLE, "x").set(Item::SLUG, "a").set(Item::BODY, "one");
    let first = repo.insert(first).await.unwrap();
    let same = Item::build().set(Item::TITLE, "y").set(Item::SLUG, "a").set(Item::BODY, "two");
    let found = same.clone().unsafe_validate_unique(repo, Item::SLUG).await.unwrap();
    assert_eq!(codes(&found), [("slug".to_owned(), "unique".to_owned())]);
    assert!(same.clone().unsafe_validate_unique(repo, (Item::SLUG, Item::BODY)).await.unwrap().is_valid());
    // The row itself does not count, NULL is like nothing, and unchanged columns are not asked for.
    let itself = first.change().force_set(Item::SLUG, "a");
    assert!(itself.unsafe_validate_unique(repo, Item::SLUG).await.unwrap().is_valid());
    let null = same.set(Item::SLUG, None);
    assert!(null.unsafe_validate_unique(repo, (Item::SLUG, Item::TITLE)).await.unwrap().is_valid());
    let other = item(repo, "z").await;
    let taken = other.change().set(Item::SLUG, "a").unsafe_validate_unique(repo, Item::SLUG).await.unwrap();
    assert!(!taken.is_valid());
    assert!(other.change().set(Item::BODY, "b").unsafe_validate_unique(repo, Item::SLUG).await.unwrap().is_valid());
}

async fn r40_unsafe_validate_unique_with_composite_keys(repo: &impl Repo) {
    use crate::schemas::Membership;
    repo.create_table::<Membership>().await.unwrap();
    let row = |group_id, person: &str| Membership { group_id, person: person.into(), role: "guest".into() };
    repo.insert(row(1, "ann")).await.unwrap();
    // Another person in the same group is another row.
    let other = row(1, "bob").change().force_set(Membership::ROLE, "guest");
    assert!(!other.unsafe_validate_unique(repo, Membership::ROLE).await.unwrap().is_valid());
    let itself = row(1, "ann").change().force_set(Membership::ROLE, "guest");
    assert!(itself.unsafe_validate_unique(repo, Membership::ROLE).await.unwrap().is_valid());
}

async fn apply_gives_the_struct_without_a_database(repo: &impl Repo) {
    repo.create_table::<Item>().await.unwrap();
    let stored = item(repo, "x").await;
    let applied = stored.change().set(Item::TITLE, "y").apply().unwrap();
    assert_eq!(applied, Item { title: "y".into(), ..stored.clone() });
    assert!(stored.change().add_error("base", "is odd").apply().unwrap_err().is_validation());
    let error = Item::build().set(Item::TITLE, "x").apply().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Decode { column, .. } if column == "id"), "{error:?}");
    assert_eq!(repo.fetch::<Item>(stored.id).await.unwrap(), stored);
}
