//! Declared constraints: what the database refuses becomes an error of a field.

use emr::prelude::*;
use emr::regex::Regex;
use emr::{Constraint, ConstraintKind};

use super::schemas::{Item, Meta, Owner, Pet, create_pets};
use crate::harness::{Backend, Db};
use crate::schemas::Document;

db_cases![
    r27_unique_constraint_declared_and_undeclared,
    r29_unique_constraint_with_binary_id,
    r33_foreign_key_constraint_declared_and_undeclared,
    r34_assoc_constraint,
    r35_no_assoc_constraint_undeclared,
    r36_no_assoc_constraint_with_another_name,
    r37_no_assoc_constraint_declared,
    r38_a_failing_foreign_key_leaves_the_input_as_it_was,
    names_match_exactly_by_suffix_prefix_or_pattern,
    pg2_sq1_check_constraint,
    pg1_exclusion_constraint,
    not_null_constraint,
];

/// The only error: field, code, message.
fn only(error: &Error) -> (String, String, String) {
    let errors = error.field_errors().unwrap_or_else(|| panic!("no errors of fields: {error:?}"));
    assert_eq!(errors.len(), 1, "{errors}");
    let (field, error) = errors.iter().next().unwrap();
    (field.to_owned(), error.code().to_owned(), error.to_string())
}

fn texts(field: &str, code: &str, message: &str) -> (String, String, String) {
    (field.to_owned(), code.to_owned(), message.to_owned())
}

async fn r27_unique_constraint_declared_and_undeclared(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Item>().await.unwrap();
    let item = Item::build().set(Item::TITLE, "x").set(Item::SLUG, "a");
    let first = repo.insert(item.clone()).await.unwrap();

    let error = repo.insert(item.clone()).await.unwrap_err();
    assert!(error.is_unique_violation() && !error.to_string().contains("declares"), "{error:?}");
    let misnamed = item.clone().constraint(Constraint::unique("items_hello_index").field(Item::SLUG));
    let error = repo.insert(misnamed).await.unwrap_err();
    assert!(error.is_unique_violation(), "{error:?}");
    assert!(error.to_string().contains("declares: unique items_hello_index"), "{error}");

    let error = repo.insert(item.clone().unique_constraint(Item::SLUG)).await.unwrap_err();
    assert_eq!(only(&error), texts("slug", "unique", "has already been taken"));
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("unique"), "the cause is kept");
    let reworded = Constraint::unique(match db.backend {
        Backend::Sqlite => "items_slug_index",
        Backend::Postgres => "items_slug_key",
        Backend::Mariadb | Backend::Mysql => "slug",
    });
    let error =
        repo.insert(item.clone().constraint(reworded.field(Item::TITLE).message("is taken"))).await.unwrap_err();
    assert_eq!(only(&error), texts("title", "unique", "is taken"));

    let key = item.clone().set(Item::ID, first.id).set(Item::SLUG, "b");
    let error = repo.insert(key.unique_constraint(Item::SLUG).unique_constraint(Item::ID)).await.unwrap_err();
    assert_eq!(only(&error).0, "id");
    let second = repo.insert(item.set(Item::SLUG, "c")).await.unwrap();
    let error = repo.update(second.change().set(Item::SLUG, "a").unique_constraint(Item::SLUG)).await.unwrap_err();
    assert_eq!(only(&error).0, "slug");
    assert_eq!(repo.count(Item::query()).await.unwrap(), 2);
}

async fn r29_unique_constraint_with_binary_id(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Document>().await.unwrap();
    // MySQL indexes so many characters of a text as it is told.
    let name = if db.backend.is_mysql_family() { "name(99)" } else { "name" };
    repo.script(&format!("CREATE UNIQUE INDEX documents_name_index ON documents ({name})")).await.unwrap();
    let document = Document::build().set(Document::NAME, "x");
    let stored = repo.insert(document.clone()).await.unwrap();
    assert!(repo.insert(document.clone()).await.unwrap_err().is_unique_violation());
    let error = repo.insert(document.unique_constraint(Document::NAME)).await.unwrap_err();
    assert_eq!(only(&error), texts("name", "unique", "has already been taken"));
    assert_eq!(repo.all(Document::query()).await.unwrap(), [stored]);
}

fn pet(id: i64, owner: i64) -> Changeset<Pet> {
    Pet::build().set(Pet::ID, id).set(Pet::OWNER_ID, owner)
}

async fn r33_foreign_key_constraint_declared_and_undeclared(db: &Db) {
    let repo = &db.repo;
    create_pets(repo).await;
    assert!(repo.insert(pet(1, 7)).await.unwrap_err().is_foreign_key_violation());
    let declared = |pet: Changeset<Pet>| pet.foreign_key_constraint(Pet::OWNER_ID);
    let error = repo.insert(declared(pet(1, 7))).await.unwrap_err();
    assert_eq!(only(&error), texts("owner_id", "foreign_key", "does not exist"));
    // What the write does not set is not to blame.
    let vet = Pet::build().set(Pet::ID, 1).set(Pet::VET_ID, 7);
    assert!(repo.insert(declared(vet.clone())).await.unwrap_err().is_foreign_key_violation());
    let both = declared(vet).foreign_key_constraint(Pet::VET_ID);
    assert_eq!(only(&repo.insert(both).await.unwrap_err()).0, "vet_id");
    if db.backend == Backend::Postgres {
        let misnamed = pet(1, 7).constraint(Constraint::foreign_key("pets_hello_fkey").field(Pet::OWNER_ID));
        assert!(repo.insert(misnamed).await.unwrap_err().is_foreign_key_violation());
    }
    let stored = repo.insert(declared(pet(1, 1))).await.unwrap();
    let error = repo.update(declared(stored.change().set(Pet::OWNER_ID, 7))).await.unwrap_err();
    assert_eq!(only(&error).0, "owner_id");
    assert_eq!(repo.fetch::<Pet>(1).await.unwrap().owner_id, Some(1));
}

async fn r34_assoc_constraint(db: &Db) {
    let repo = &db.repo;
    create_pets(repo).await;
    let error = repo.insert(pet(1, 7).assoc_constraint(Pet::OWNER)).await.unwrap_err();
    assert_eq!(only(&error), texts("owner", "foreign_key", "does not exist"));
    let wrong = Owner { id: 2, pets: HasMany::default() }.into_change().assoc_constraint(Owner::PETS);
    assert!(matches!(repo.insert(wrong).await.unwrap_err().kind(), ErrorKind::InvalidCall { .. }));
    // The same row, once the owner is there.
    repo.insert(Owner { id: 7, pets: HasMany::default() }).await.unwrap();
    repo.insert(pet(1, 7).assoc_constraint(Pet::OWNER)).await.unwrap();
    assert_eq!(repo.all(Pet::query().select((Pet::ID, Pet::OWNER_ID))).await.unwrap(), [(1, Some(7))]);
}

async fn owner_with_pet(repo: &impl Repo) -> Owner {
    create_pets(repo).await;
    repo.insert(pet(1, 1)).await.unwrap();
    repo.fetch::<Owner>(1).await.unwrap()
}

async fn r35_no_assoc_constraint_undeclared(db: &Db) {
    let owner = owner_with_pet(&db.repo).await;
    assert!(db.repo.delete(&owner).await.unwrap_err().is_foreign_key_violation());
    assert!(db.repo.delete(owner.into_change()).await.unwrap_err().is_foreign_key_violation());
    assert_eq!(db.repo.count(Owner::query()).await.unwrap(), 1);
}

async fn r36_no_assoc_constraint_with_another_name(db: &Db) {
    let owner = owner_with_pet(&db.repo).await;
    let misnamed = owner.into_change().constraint(Constraint::no_assoc("other_fkey").field(Owner::PETS));
    let error = db.repo.delete(misnamed).await.unwrap_err();
    if db.backend == Backend::Sqlite {
        // SQLite tells no name, so that any declared one is meant.
        assert_eq!(only(&error).0, "pets");
    } else {
        assert!(error.is_foreign_key_violation(), "{error:?}");
        assert!(error.to_string().contains("declares: foreign key other_fkey"), "{error}");
    }
    assert_eq!(db.repo.count(Owner::query()).await.unwrap(), 1);
}

async fn r37_no_assoc_constraint_declared(db: &Db) {
    let owner = owner_with_pet(&db.repo).await;
    let error = db.repo.delete(owner.into_change().no_assoc_constraint(Owner::PETS)).await.unwrap_err();
    assert_eq!(only(&error), texts("pets", "no_assoc", "are still associated with this entry"));
    assert_eq!(db.repo.count(Owner::query()).await.unwrap(), 1);
}

async fn r38_a_failing_foreign_key_leaves_the_input_as_it_was(db: &Db) {
    let repo = &db.repo;
    create_pets(repo).await;
    let meta = Json(Meta { color: "red".into(), size: None });
    let changeset = pet(1, 7).set(Pet::META, meta.clone()).foreign_key_constraint(Pet::OWNER_ID);
    assert!(repo.insert(changeset.clone()).await.unwrap_err().is_validation());
    assert_eq!(changeset.get(Pet::META), Some(&emr::Field::into_value(meta.clone())));
    let stored = repo.insert(changeset.set(Pet::OWNER_ID, 1)).await.unwrap();
    assert_eq!(stored.meta, Some(meta));
}

async fn names_match_exactly_by_suffix_prefix_or_pattern(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Item>().await.unwrap();
    // MariaDB has no indexes of expressions, and MySQL none of texts of any length.
    let indexed = match db.backend {
        Backend::Mariadb => "title",
        Backend::Mysql => "(CAST(lower(title) AS CHAR(99)))",
        Backend::Sqlite | Backend::Postgres => "(lower(title))",
    };
    let title = if db.backend == Backend::Mariadb { "ALTER TABLE items MODIFY title VARCHAR(99)" } else { "SELECT 1" };
    repo.script(title).await.unwrap();
    repo.script(&format!("CREATE UNIQUE INDEX part_7_title_key ON items ({indexed})")).await.unwrap();
    let item = Item::build().set(Item::TITLE, "x");
    repo.insert(item.clone()).await.unwrap();
    for (constraint, fits) in [
        (Constraint::unique("part_7_title_key"), true),
        (Constraint::unique("_title_key").suffix(), true),
        (Constraint::unique("part_7_").prefix(), true),
        (Constraint::unique("of a partition").pattern(Regex::new(r"^part_\d+_title_key$").unwrap()), true),
        (Constraint::unique("_title_key"), false),
        (Constraint::unique("part_8_").prefix(), false),
        (Constraint::check("part_7_title_key"), false),
    ] {
        let error = repo.insert(item.clone().constraint(constraint.clone().field(Item::TITLE))).await.unwrap_err();
        assert_eq!(error.is_validation(), fits, "{constraint:?}: {error:?}");
        assert_eq!(error.is_unique_violation(), !fits);
    }
}

async fn pg2_sq1_check_constraint(db: &Db) {
    #[derive(Syncable, Debug, Clone, PartialEq)]
    #[emr(table = "products")]
    struct Product {
        id: i64,
        price: i64,
    }
    let sql =
        "CREATE TABLE products (id BIGINT PRIMARY KEY, price BIGINT, CONSTRAINT positive_price CHECK (price > 0))";
    db.repo.script(sql).await.unwrap();
    let product = |price| Product { id: 1, price }.into_change();
    let error = db.repo.insert(product(-10)).await.unwrap_err();
    assert_eq!(error.violation().unwrap().kind, ConstraintKind::Check);
    let error = db.repo.insert(product(-10).check_constraint(Product::PRICE, "positive_price")).await.unwrap_err();
    assert_eq!(only(&error), texts("price", "check", "is invalid"));
    let reworded = Constraint::check("positive_price").field(Product::PRICE).message("must be greater than 0");
    let error = db.repo.insert(product(-10).constraint(reworded)).await.unwrap_err();
    assert_eq!(only(&error), texts("price", "check", "must be greater than 0"));
    db.repo.insert(product(10).check_constraint(Product::PRICE, "positive_price")).await.unwrap();
    assert_eq!(db.repo.count(Product::query()).await.unwrap(), 1);
}

async fn pg1_exclusion_constraint(db: &Db) {
    #[derive(Syncable, Debug, Clone, PartialEq)]
    #[emr(table = "bookings")]
    struct Booking {
        id: i64,
        from_day: i32,
        to_day: i32,
    }
    if db.backend != Backend::Postgres {
        // The engine has none: the declaration does no harm.
        db.repo.create_table::<Booking>().await.unwrap();
        let booking = Booking { id: 1, from_day: 1, to_day: 2 }.into_change().exclusion_constraint(Booking::FROM_DAY);
        let stored = db.repo.insert(booking).await.unwrap();
        assert_eq!(db.repo.all(Booking::query()).await.unwrap(), [stored]);
        return;
    }
    let sql = "CREATE TABLE bookings (id BIGINT PRIMARY KEY, from_day INT, to_day INT, \
               CONSTRAINT cannot_overlap EXCLUDE USING gist (int4range(from_day, to_day, '[]') WITH &&))";
    db.repo.script(sql).await.unwrap();
    let booking = |id, from_day, to_day| Booking { id, from_day, to_day }.into_change();
    db.repo.insert(booking(1, 1, 5)).await.unwrap();
    let error = db.repo.insert(booking(2, 4, 6)).await.unwrap_err();
    assert_eq!(error.violation().unwrap().kind, ConstraintKind::Exclusion);
    let error = db.repo.insert(booking(2, 4, 6).exclusion_constraint(Booking::FROM_DAY)).await.unwrap_err();
    assert_eq!(error.violation().unwrap().kind, ConstraintKind::Exclusion, "it has another name");
    let named = Constraint::exclusion("cannot_overlap").field(Booking::FROM_DAY);
    let error = db.repo.insert(booking(2, 4, 6).constraint(named)).await.unwrap_err();
    assert_eq!(only(&error), texts("from_day", "overlap", "violates an exclusion constraint"));
    assert_eq!(db.repo.count(Booking::query()).await.unwrap(), 1);
}

async fn not_null_constraint(db: &Db) {
    db.repo.create_table::<Item>().await.unwrap();
    let nameless = Item::build().set(Item::SLUG, "a");
    let error = db.repo.insert(nameless.clone()).await.unwrap_err();
    assert!(error.is_not_null_violation(), "{error:?}");
    let error = db.repo.insert(nameless.not_null_constraint((Item::VISITS, Item::TITLE))).await.unwrap_err();
    assert_eq!(only(&error), texts("title", "required", "can't be blank"));
}
