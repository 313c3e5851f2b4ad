//! Keys of every sort and number.

use emr::prelude::*;
use emr::uuid::Uuid;
use rust_decimal::Decimal;

use crate::harness::{Backend, Db, assert_unsupported, sent};

db_cases![
    p36_prefix_from_schema,
    p37_prefix_from_options,
    p38_preload_with_uuid,
    composite_keys_meet_in_pairs,
    a_struct_may_point_at_itself,
    keys_of_other_widths_meet,
    text_and_decimal_keys_meet,
    more_keys_than_a_statement_takes,
];

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(prefix = "emr_no_such_prefix", table = "shelves")]
struct LostShelf {
    id: i64,
    #[emr(has_many(key = "shelf_id"))]
    books: HasMany<Book>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
struct Shelf {
    id: i64,
    #[emr(has_many)]
    books: HasMany<Book>,
    #[emr(has_many)]
    lost: HasMany<LostBook>,
    #[emr(many_to_many(table = "shelves_books"))]
    others: ManyToMany<Book>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "books")]
struct Book {
    id: i64,
    shelf_id: i64,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "books", prefix = "emr_no_such_prefix")]
struct LostBook {
    id: i64,
    shelf_id: i64,
}

/// A shelf with a book, in two places where the engine knows such.
async fn shelves(db: &Db, place: &str) -> Shelf {
    let repo = &db.repo;
    repo.create_table::<Shelf>().await.unwrap();
    repo.create_table::<Book>().await.unwrap();
    let shelf = repo.insert(Shelf::build()).await.unwrap();
    repo.insert(Book::build().set(Book::SHELF_ID, shelf.id)).await.unwrap();
    if db.backend != Backend::Sqlite {
        repo.script(&format!("CREATE SCHEMA {place}")).await.unwrap();
        let there = repo.with_prefix(place);
        there.create_table::<Shelf>().await.unwrap();
        there.create_table::<Book>().await.unwrap();
        repo.script(&format!("CREATE TABLE {place}.shelves_books (shelf_id BIGINT, book_id BIGINT)")).await.unwrap();
        there.insert(Shelf::build().set(Shelf::ID, shelf.id)).await.unwrap();
        for id in [71, 72] {
            there.insert(Book::build().set(Book::ID, id).set(Book::SHELF_ID, shelf.id)).await.unwrap();
        }
        let ids = format!("INSERT INTO {place}.shelves_books VALUES ({}, 72)", shelf.id);
        repo.script(&ids).await.unwrap();
    }
    shelf
}

fn is_missing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Database { code, .. } if ["42P01", "3F000", "1146", "1049"].contains(&&**code))
}

async fn p36_prefix_from_schema(db: &Db) {
    let repo = &db.repo;
    let shelf = shelves(db, &place("schema")).await;

    let mut lost = LostShelf { id: shelf.id, books: HasMany::default() };
    let of_owner = repo.preload(&mut lost, LostShelf::BOOKS).await.unwrap_err();
    let mut shelf = shelf;
    let of_related = repo.preload(&mut shelf, Shelf::LOST).await.unwrap_err();

    for error in [of_owner, of_related] {
        match db.backend {
            Backend::Sqlite => assert_unsupported(&error),
            _ => assert!(is_missing(&error), "{error:?}"),
        }
    }
    // Where the prefix is the right one, the row is there.
    repo.preload(&mut shelf, Shelf::BOOKS).await.unwrap();
    assert_eq!(shelf.books.get().unwrap().len(), 1);
    drop_place(db, "schema").await;
}

async fn p37_prefix_from_options(db: &Db) {
    let repo = &db.repo;
    let place = place("options");
    let mut shelf = shelves(db, &place).await;
    let elsewhere = repo.with_prefix(place.as_str());
    if db.backend == Backend::Sqlite {
        let error = elsewhere.preload(&mut shelf, Shelf::BOOKS).await.unwrap_err();
        assert_unsupported(&error);
        return;
    }
    let books = |shelf: &Shelf| shelf.books.get().unwrap().len();

    repo.preload(&mut shelf, Shelf::BOOKS).await.unwrap();
    assert_eq!(books(&shelf), 1);
    elsewhere.preload(&mut shelf, (Shelf::BOOKS.force(), Shelf::OTHERS)).await.unwrap();
    assert_eq!((books(&shelf), shelf.others.get().unwrap().len()), (2, 1));
    // A query's preloads read from where it read, join table included.
    let query = Shelf::query().prefix(place.clone()).preload((Shelf::BOOKS, Shelf::OTHERS));
    let found = repo.one(query).await.unwrap().unwrap();
    assert_eq!((books(&found), found.others.get().unwrap().len()), (2, 1));
    // The query of a preload may name its own.
    repo.preload(&mut shelf, Shelf::BOOKS.query(Book::query().prefix(place)).force()).await.unwrap();
    assert_eq!(books(&shelf), 2);
    let nowhere = repo.with_prefix("emr_no_such_prefix");
    let error = nowhere.preload(&mut shelf, Shelf::BOOKS.force()).await.unwrap_err();
    assert!(is_missing(&error), "{error:?}");
    drop_place(db, "options").await;
}

fn place(name: &str) -> String {
    format!("emr_preload_{name}_{}", std::process::id())
}

async fn drop_place(db: &Db, name: &str) {
    let cascade = if db.backend == Backend::Postgres { " CASCADE" } else { "" };
    if db.backend != Backend::Sqlite {
        db.repo.script(&format!("DROP SCHEMA {}{cascade}", place(name))).await.unwrap();
    }
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "customs")]
struct Custom {
    id: i64,
    #[emr(uuid)]
    token: Uuid,
    #[emr(has_many(key = "custom_token", references = "token"))]
    parts: HasMany<Part>,
    #[emr(many_to_many(
        table = "customs_customs",
        references = "token",
        owner_key = "custom_1",
        related_key = "custom_2",
        related_references = "token"
    ))]
    friends: ManyToMany<Custom>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "parts")]
struct Part {
    #[emr(uuid)]
    id: Uuid,
    custom_token: Option<Uuid>,
    #[emr(belongs_to(key = "custom_token", references = "token"))]
    custom: BelongsTo<Custom>,
}

async fn p38_preload_with_uuid(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Custom>().await.unwrap();
    repo.create_table::<Part>().await.unwrap();
    let ty = match db.backend {
        Backend::Postgres => "uuid",
        Backend::Mysql => "binary(16)",
        Backend::Sqlite | Backend::Mariadb => "text",
    };
    repo.script(&format!("CREATE TABLE customs_customs (custom_1 {ty}, custom_2 {ty})")).await.unwrap();
    let [c1, c2] = [repo.insert(Custom::build()).await.unwrap(), repo.insert(Custom::build()).await.unwrap()];
    let p1 = repo.insert(Part::build().set(Part::CUSTOM_TOKEN, c1.token)).await.unwrap();
    let p2 = repo.insert(Part::build()).await.unwrap();
    let links = "INSERT INTO customs_customs (custom_1, custom_2) VALUES";
    let [one, two] = [c1.token, c2.token].map(|token| match db.backend {
        Backend::Mysql => format!("UUID_TO_BIN('{token}')"),
        _ => format!("'{token}'"),
    });
    repo.script(&format!("{links} ({one}, {two})")).await.unwrap();

    let mut customs = vec![c2.clone(), c1.clone()];
    repo.preload(&mut customs, (Custom::PARTS, Custom::FRIENDS)).await.unwrap();
    let mut parts = vec![p1.clone(), p2];
    repo.preload(&mut parts, Part::CUSTOM).await.unwrap();

    assert_eq!((customs[0].parts.get(), customs[0].friends.get()), (Ok(&[][..]), Ok(&[][..])));
    assert_eq!((customs[1].parts.get(), customs[1].friends.get()), (Ok(&[p1][..]), Ok(&[c2][..])));
    assert_eq!(parts[0].custom.get().unwrap().map(|row| row.id), Some(c1.id));
    assert_eq!(parts[1].custom.get(), Ok(None));
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "seats")]
struct Seat {
    #[emr(primary_key)]
    hall: i32,
    #[emr(primary_key)]
    name: String,
    #[emr(has_many(key("hall", "seat"), preload_order = Ticket::by_id))]
    tickets: HasMany<Ticket>,
    #[emr(many_to_many(
        table = "neighbours",
        owner_key("hall", "name"),
        related_key("other_hall", "other_name"),
        related_references("hall", "name")
    ))]
    neighbours: ManyToMany<Seat>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "tickets")]
struct Ticket {
    id: i64,
    hall: Option<i64>,
    seat: Option<String>,
    #[emr(belongs_to(key("hall", "seat")))]
    place: BelongsTo<Seat>,
}

impl Ticket {
    fn by_id() -> emr::Order {
        Ticket::ID.desc()
    }
}

fn seat(hall: i32, name: &str) -> Seat {
    Seat { hall, name: name.into(), tickets: HasMany::default(), neighbours: ManyToMany::default() }
}

async fn composite_keys_meet_in_pairs(db: &Db) {
    let (repo, instrument) = db.instrumented().await;
    repo.create_table::<Seat>().await.unwrap();
    repo.create_table::<Ticket>().await.unwrap();
    repo.script(
        "CREATE TABLE neighbours (hall INTEGER, name TEXT, other_hall INTEGER, other_name TEXT); \
         INSERT INTO neighbours VALUES (1, 'a', 1, 'b'), (1, 'a', 2, 'a'), (2, 'a', 1, 'a')",
    )
    .await
    .unwrap();
    let seats = [seat(1, "a"), seat(1, "b"), seat(2, "a")];
    repo.insert_all(seats.to_vec()).await.unwrap();
    let ticket = |hall: Option<i64>, seat: Option<&str>| {
        let seat = seat.map(str::to_owned);
        Ticket::build().set(Ticket::HALL, hall).set(Ticket::SEAT, seat)
    };
    let mut tickets = Vec::new();
    for (hall, seat) in [
        (Some(1), Some("a")),
        (Some(2), Some("a")),
        (Some(1), None),
        (Some(2), Some("b")),
        (Some(1), Some("a")),
        (Some(1 << 40), Some("a")),
    ] {
        tickets.push(repo.insert(ticket(hall, seat)).await.unwrap());
    }
    instrument.clear();

    let mut owners = seats.to_vec();
    repo.preload(&mut owners, (Seat::TICKETS, Seat::NEIGHBOURS.query(Seat::query().order_by(Seat::HALL.asc()))))
        .await
        .unwrap();
    let mut belonging = tickets.clone();
    repo.preload(&mut belonging, Ticket::PLACE).await.unwrap();
    assert_eq!(sent(&instrument).len(), 3);
    let mut limited = seats.to_vec();
    repo.preload(&mut limited, Seat::TICKETS.limit_per_parent(1)).await.unwrap();

    assert_eq!(owners[0].tickets.get(), Ok(&[tickets[4].clone(), tickets[0].clone()][..]));
    assert_eq!(owners[1].tickets.get(), Ok(&[][..]));
    assert_eq!(owners[2].tickets.get(), Ok(&[tickets[1].clone()][..]));
    assert_eq!(owners[0].neighbours.get(), Ok(&[seats[1].clone(), seats[2].clone()][..]));
    assert_eq!(owners[2].neighbours.get(), Ok(&[seats[0].clone()][..]));
    let places: Vec<_> =
        belonging.iter().map(|ticket| ticket.place.get().unwrap().map(|row| (**row).clone())).collect();
    let [a1, _, a2] = seats;
    assert_eq!(places, [Some(a1.clone()), Some(a2), None, None, Some(a1), None]);
    assert_eq!(limited[0].tickets.get(), Ok(&[tickets[4].clone()][..]));

    // More pairs than go into one statement.
    let many: Vec<_> = (10..700).map(|hall| seat(hall, "x")).collect();
    repo.insert_all(many.clone()).await.unwrap();
    let rows: Vec<_> = (10..700).map(|hall| ticket(Some(hall), Some("x"))).collect();
    repo.insert_all(rows).await.unwrap();
    let mut many = many;
    repo.preload(&mut many, Seat::TICKETS).await.unwrap();
    for seat in &many {
        let tickets = seat.tickets.get().unwrap();
        assert_eq!(tickets.iter().map(|ticket| ticket.hall).collect::<Vec<_>>(), [Some(i64::from(seat.hall))]);
    }
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "people")]
struct Person {
    id: i64,
    name: String,
    boss_id: Option<i64>,
    #[emr(belongs_to)]
    boss: BelongsTo<Self>,
    #[emr(has_many(key = "boss_id", preload_order = Person::by_name))]
    staff: HasMany<Person>,
    #[emr(many_to_many(table = "friends", owner_key = "a", related_key = "b", preload_order = Person::by_name))]
    friends: ManyToMany<Person>,
    #[emr(has_many(through(staff, staff)))]
    staff_of_staff: HasMany<Person>,
    #[emr(has_many(through(boss, staff)))]
    colleagues: HasMany<Person>,
}

impl Person {
    fn by_name() -> emr::Order {
        Person::NAME.asc()
    }
}

async fn a_struct_may_point_at_itself(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Person>().await.unwrap();
    repo.script("CREATE TABLE friends (a BIGINT, b BIGINT)").await.unwrap();
    let person = async |name: &str, boss: Option<i64>| {
        repo.insert(Person::build().set(Person::NAME, name).set(Person::BOSS_ID, boss)).await.unwrap()
    };
    let top = person("top", None).await;
    let [b, a] = [person("b", Some(top.id)).await, person("a", Some(top.id)).await];
    let c = person("c", Some(a.id)).await;
    let links = format!("INSERT INTO friends VALUES ({0}, {1}), ({1}, {0}), ({0}, {2})", c.id, b.id, a.id);
    repo.script(&links).await.unwrap();

    let mut top = top;
    repo.preload(&mut top, (Person::BOSS, Person::STAFF.then(Person::STAFF.then(Person::BOSS.then(Person::STAFF)))))
        .await
        .unwrap();
    repo.preload(&mut top, Person::STAFF_OF_STAFF).await.unwrap();
    let mut c = c;
    repo.preload(&mut c, (Person::FRIENDS.then(Person::FRIENDS), Person::COLLEAGUES)).await.unwrap();
    let mut b = b;
    repo.preload(&mut b, Person::COLLEAGUES).await.unwrap();

    let names = |rows: &[Person]| -> Vec<String> { rows.iter().map(|row| row.name.clone()).collect() };
    let staff = top.staff.get().unwrap();
    assert_eq!(top.boss.get(), Ok(None));
    assert_eq!(names(staff), ["a", "b"]);
    let boss = staff[0].staff.get().unwrap()[0].boss.get().unwrap().unwrap();
    assert_eq!((boss.name.as_str(), names(boss.staff.get().unwrap())), ("a", vec!["c".to_owned()]));
    assert_eq!(names(top.staff_of_staff.get().unwrap()), ["c"]);
    let friends = c.friends.get().unwrap();
    assert_eq!(names(friends), ["a", "b"]);
    assert_eq!(names(friends[1].friends.get().unwrap()), ["c"]);
    assert_eq!(names(c.colleagues.get().unwrap()), ["c"]);
    assert_eq!(names(b.colleagues.get().unwrap()), ["a", "b"]);
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "narrow")]
struct Narrow {
    id: i16,
    wide_id: Option<i32>,
    #[emr(belongs_to)]
    wide: BelongsTo<Wide>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "wide")]
struct Wide {
    id: i64,
    #[emr(has_many)]
    narrow: HasMany<Narrow>,
}

async fn keys_of_other_widths_meet(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Narrow>().await.unwrap();
    repo.create_table::<Wide>().await.unwrap();
    let beyond = i64::from(i32::MAX) + 5;
    for id in [5, beyond] {
        repo.insert(Wide::build().set(Wide::ID, id)).await.unwrap();
    }
    let narrow = repo.insert(Narrow::build().set(Narrow::WIDE_ID, 5)).await.unwrap();

    let mut wide = repo.all(Wide::query().order_by(Wide::ID.asc()).preload(Wide::NARROW)).await.unwrap();
    let mut belonging = narrow.clone();
    repo.preload(&mut belonging, Narrow::WIDE).await.unwrap();

    assert_eq!(wide[0].narrow.get(), Ok(&[narrow][..]));
    assert_eq!(wide[1].narrow.get(), Ok(&[][..]), "no such key fits");
    assert_eq!(belonging.wide.get().unwrap().map(|row| row.id), Some(5));
    // Only keys that no row can have: no statement.
    repo.drop_table::<Narrow>().await.unwrap();
    repo.preload(&mut wide[1..], Wide::NARROW.force()).await.unwrap();
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "prices")]
struct Price {
    #[emr(primary_key)]
    amount: Decimal,
    #[emr(has_many(key = "amount"))]
    labels: HasMany<Label>,
    #[emr(many_to_many(
        table = "prices_labels",
        owner_key = "amount",
        related_key = "word",
        related_references = "word"
    ))]
    others: ManyToMany<Label>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "labels")]
struct Label {
    #[emr(primary_key)]
    word: String,
    amount: Option<Decimal>,
}

async fn text_and_decimal_keys_meet(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Price>().await.unwrap();
    repo.create_table::<Label>().await.unwrap();
    let ty = match db.backend {
        Backend::Postgres => "numeric",
        Backend::Sqlite => "text",
        Backend::Mariadb | Backend::Mysql => "decimal(20,5)",
    };
    repo.script(&format!(
        "CREATE TABLE prices_labels (amount {ty}, word TEXT); INSERT INTO prices_labels VALUES ('2.5', 'it''s')"
    ))
    .await
    .unwrap();
    let label = |word: &str, amount: &str| Label { word: word.into(), amount: Some(amount.parse().unwrap()) };
    let labels = [label("it's", "1.50"), label("other", "2.5")];
    repo.insert_all(labels.to_vec()).await.unwrap();
    let price = |amount: &str| Price {
        amount: amount.parse().unwrap(),
        labels: HasMany::default(),
        others: ManyToMany::default(),
    };

    let mut prices = vec![price("2.50"), price("1.5"), price("7")];
    repo.preload(&mut prices, (Price::LABELS, Price::OTHERS)).await.unwrap();

    let words = |labels: &[Label]| -> Vec<String> { labels.iter().map(|label| label.word.clone()).collect() };
    assert_eq!(words(prices[0].labels.get().unwrap()), ["other"]);
    assert_eq!(words(prices[1].labels.get().unwrap()), ["it's"]);
    assert_eq!(prices[2].labels.get(), Ok(&[][..]));
    assert_eq!(words(prices[0].others.get().unwrap()), ["it's"]);
    assert_eq!(prices[1].others.get(), Ok(&[][..]));
}

async fn more_keys_than_a_statement_takes(db: &Db) {
    let (repo, instrument) = db.instrumented().await;
    repo.create_table::<Shelf>().await.unwrap();
    repo.create_table::<Book>().await.unwrap();
    repo.create_table::<Price>().await.unwrap();
    repo.create_table::<Label>().await.unwrap();
    for (book, shelf) in [(1, 1), (2, 100_000), (3, 200_000), (4, 200_000)] {
        repo.insert(Book { id: book, shelf_id: shelf }).await.unwrap();
    }
    let amounts: Vec<i64> = vec![3, 40_000, 69_999];
    for amount in &amounts {
        repo.insert(Label { word: format!("{amount}"), amount: Some((*amount).into()) }).await.unwrap();
    }
    let shelf =
        |id: i64| Shelf { id, books: HasMany::default(), lost: HasMany::default(), others: ManyToMany::default() };
    let price =
        |amount: i64| Price { amount: amount.into(), labels: HasMany::default(), others: ManyToMany::default() };

    let mut shelves: Vec<_> = (1..=200_000).map(shelf).collect();
    let mut prices: Vec<_> = (0..70_000).map(price).collect();
    instrument.clear();
    repo.preload(&mut shelves, Shelf::BOOKS).await.unwrap();
    assert_eq!(sent(&instrument).len(), 1, "whole numbers have no number at which they end");
    repo.preload(&mut prices, Price::LABELS).await.unwrap();
    let noted = sent(&instrument);

    let books: Vec<_> = shelves.iter().filter(|s| !s.books.get().unwrap().is_empty()).map(|s| s.id).collect();
    assert_eq!(books, [1, 100_000, 200_000]);
    assert_eq!(shelves[199_999].books.get().unwrap().len(), 2);
    let labelled: Vec<_> = prices.iter().filter(|p| !p.labels.get().unwrap().is_empty()).map(|p| p.amount).collect();
    assert_eq!(labelled, amounts.iter().map(|&amount| Decimal::from(amount)).collect::<Vec<_>>());
    if db.backend == Backend::Postgres {
        assert_eq!(noted.len(), 1);
    } else {
        assert!(noted.len() > 1 && noted.len() < 10, "{} chunks", noted.len());
        let query = Label::query().limit(5);
        let error = repo.preload(&mut prices, Price::LABELS.query(query).force()).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    }
}
