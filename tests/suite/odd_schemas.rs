//! Structs that stand in an unusual way for their tables.

use emr::prelude::*;

repo_cases![
    r13_a_key_of_two_foreign_keys,
    r20_a_counted_key_of_a_type_of_its_own,
    r42_another_table_with_the_same_columns,
    r87_a_field_that_is_no_column,
];

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "odd_people")]
struct Person {
    id: i64,
    name: String,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "odd_clubs")]
struct Club {
    id: i64,
    name: String,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "odd_members")]
struct Member {
    #[emr(primary_key)]
    person_id: i64,
    #[emr(primary_key)]
    club_id: i64,
    since: i32,
    #[emr(belongs_to)]
    person: BelongsTo<Person>,
    #[emr(belongs_to)]
    club: BelongsTo<Club>,
}

async fn r13_a_key_of_two_foreign_keys(repo: &impl Repo) {
    repo.create_table::<Person>().await.unwrap();
    repo.create_table::<Club>().await.unwrap();
    repo.create_table::<Member>().await.unwrap();
    let people = ["a", "b"].map(|name| Person::build().set(Person::NAME, name));
    repo.insert_all(people).await.unwrap();
    repo.insert(Club::build().set(Club::NAME, "chess")).await.unwrap();
    let member = |person_id, since| {
        Member::build().set(Member::PERSON_ID, person_id).set(Member::CLUB_ID, 1).set(Member::SINCE, since)
    };
    repo.insert_all([member(1, 1999), member(2, 2001)]).await.unwrap();

    let mut found: Member = repo.get((2, 1)).await.unwrap().unwrap();
    assert_eq!((found.person_id, found.club_id, found.since), (2, 1, 2001));
    repo.preload(&mut found, (Member::PERSON, Member::CLUB)).await.unwrap();
    let person = found.person.get().unwrap().map(|row| row.name.clone());
    let club = found.club.get().unwrap().map(|row| row.name.clone());
    assert_eq!((person.as_deref(), club.as_deref()), (Some("b"), Some("chess")));

    let by_both = Member::PERSON_ID.eq(2).and(Member::CLUB_ID.eq(1));
    assert_eq!(repo.get_by::<Member>(by_both).await.unwrap().map(|row| row.since), Some(2001));
    repo.delete(&found).await.unwrap();
    assert_eq!(repo.get::<Member>((2, 1)).await.unwrap(), None);
    assert_eq!(repo.get::<Member>((1, 1)).await.unwrap().map(|row| row.since), Some(1999), "the other stays");
}

/// A key that no other number is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct TicketId(i64);

impl emr::Scalar for TicketId {
    const TYPE: emr::SqlType = emr::SqlType::I64;

    fn to_value(&self) -> emr::Value<'_> {
        emr::Value::I64(self.0)
    }

    fn read(row: &dyn emr::Row, at: usize) -> emr::Cell<Self> {
        Ok(row.i64(at)?.map(TicketId))
    }
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "odd_tickets")]
struct Ticket {
    #[emr(primary_key, identity)]
    id: TicketId,
    seat: String,
    replaces_id: Option<TicketId>,
    #[emr(belongs_to)]
    replaces: BelongsTo<Ticket>,
}

async fn r20_a_counted_key_of_a_type_of_its_own(repo: &impl Repo) {
    repo.create_table::<Ticket>().await.unwrap();
    let first = repo.insert(Ticket::build().set(Ticket::SEAT, "1A")).await.unwrap();
    let next = Ticket::build().set(Ticket::SEAT, "1B").set(Ticket::REPLACES_ID, first.id);
    let next = repo.insert(next).await.unwrap();
    assert_eq!((first.id, next.id), (TicketId(1), TicketId(2)));

    let mut found: Ticket = repo.get(next.id).await.unwrap().unwrap();
    assert_eq!((found.seat.as_str(), found.replaces_id), ("1B", Some(first.id)));
    repo.preload(&mut found, Ticket::REPLACES).await.unwrap();
    assert_eq!(found.replaces.get().unwrap().map(|row| row.seat.as_str()), Some("1A"));
    let listed = Ticket::query().filter(Ticket::ID.in_list([first.id, TicketId(9)])).select(Ticket::SEAT);
    assert_eq!(repo.all(listed).await.unwrap(), ["1A"]);
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "odd_archived")]
struct Archived {
    id: i64,
    name: String,
}

async fn r42_another_table_with_the_same_columns(repo: &impl Repo) {
    repo.create_table::<Person>().await.unwrap();
    repo.create_table::<Archived>().await.unwrap();
    repo.insert_all(["now", "too"].map(|name| Person::build().set(Person::NAME, name))).await.unwrap();
    repo.insert_all(["then", "ever"].map(|name| Archived::build().set(Archived::NAME, name))).await.unwrap();

    let archived = || Person::query().from_table("odd_archived");
    let first = repo.one(archived().filter(Person::ID.eq(1))).await.unwrap();
    assert_eq!(first, Some(Person { id: 1, name: "then".to_owned() }));
    let old = Person::alias("old");
    let with_old = old.table().from_table("odd_archived").on(Person::ID.eq(old.col(Person::ID)));
    let joined =
        Person::query().join(with_old).order_by(Person::ID.asc()).select((Person::NAME, old.col(Person::NAME)));
    let pairs = repo.all(joined).await.unwrap();
    assert_eq!(pairs, [("now".to_owned(), "then".to_owned()), ("too".to_owned(), "ever".to_owned())]);

    repo.update_all(archived().filter(Person::ID.eq(2)).set(Person::NAME, "never")).await.unwrap();
    repo.delete_all(archived().filter(Person::ID.eq(1))).await.unwrap();
    assert_eq!(repo.all(archived().select(Person::NAME)).await.unwrap(), ["never"]);
    assert_eq!(repo.count(Person::query().filter(Person::NAME.in_list(["now", "too"]))).await.unwrap(), 2);

    let nowhere = Person::query().from_table("odd\"; DROP TABLE odd_people; --");
    let tx = repo.begin().await.unwrap();
    assert!(tx.all(nowhere).await.is_err(), "a name, and never SQL");
    tx.rollback().await.unwrap();
    assert_eq!(repo.count(Person::query()).await.unwrap(), 2);
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "odd_logins")]
struct Login {
    id: i64,
    name: String,
    #[emr(skip)]
    password: Option<String>,
}

async fn r87_a_field_that_is_no_column(repo: &impl Repo) {
    repo.create_table::<Login>().await.unwrap();
    let login = Login { id: 5, name: "me".to_owned(), password: Some("open sesame".to_owned()) };
    repo.insert(login).await.unwrap();

    let found: Login = repo.get(5).await.unwrap().unwrap();
    assert_eq!(found, Login { id: 5, name: "me".to_owned(), password: None });
    let columns = repo.query("select * from odd_logins", &[]).await.unwrap();
    assert_eq!(columns.columns().len(), 2);
}
