//! Rows that are read again, firsts and lasts.

use emr::prelude::*;

use crate::harness::{Db, sent};
use crate::schemas::{Membership, Permalink, Post, Reading, post};

db_cases![
    r45_reload_keeps_order,
    r46_reload_gives_associations_that_are_not_loaded,
    r47_refetch_of_a_missing_row_is_an_error,
    r48_first_and_last,
    reload_of_nothing_sends_nothing,
    reload_by_composite_keys,
    reload_of_many_rows_is_one_statement_or_one_transaction,
    reload_without_a_key_is_refused,
    all_by_a_condition,
];

#[derive(Syncable, Debug, Clone)]
#[emr(table = "authors")]
struct Author {
    id: i64,
    name: String,
    #[emr(has_many)]
    books: HasMany<Book>,
}

#[derive(Syncable, Debug, Clone)]
#[emr(table = "books")]
struct Book {
    id: i64,
    author_id: i64,
    title: String,
}

async fn r45_reload_keeps_order(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let [a, b, c] = [post(&db.repo, "a").await, post(&db.repo, "b").await, post(&db.repo, "c").await];
    db.repo.update_all(Post::query().filter(Post::ID.eq(a.id)).set(Post::TITLE, "changed")).await.unwrap();
    db.repo.delete(&b).await.unwrap();
    assert_eq!(db.repo.reload(&a).await.unwrap().unwrap().title, "changed");
    assert_eq!(db.repo.reload(&b).await.unwrap(), None);
    let again = db.repo.reload_all(&[c.clone(), b, a.clone(), c.clone()]).await.unwrap();
    let titles: Vec<_> = again.into_iter().map(|row| row.map(|row| row.title)).collect();
    assert_eq!(titles, [Some("c".into()), None, Some("changed".into()), Some("c".into())]);
}

async fn r46_reload_gives_associations_that_are_not_loaded(db: &Db) {
    db.repo.create_table::<Author>().await.unwrap();
    db.repo.create_table::<Book>().await.unwrap();
    let mut author = db.repo.insert(Author::build().set(Author::NAME, "Ada")).await.unwrap();
    let book = Book::build().set(Book::AUTHOR_ID, author.id).set(Book::TITLE, "Notes");
    author.books = HasMany::loaded(vec![db.repo.insert(book).await.unwrap()]);
    assert_eq!(author.books.get().unwrap().len(), 1);
    let again = db.repo.reload(&author).await.unwrap().unwrap();
    assert!(again.books.get().is_err() && again.name == "Ada");
    let [Some(again)] = &db.repo.reload_all(&[author]).await.unwrap()[..] else { panic!() };
    assert!(again.books.get().is_err());
}

async fn r47_refetch_of_a_missing_row_is_an_error(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let [a, b] = [post(&db.repo, "a").await, post(&db.repo, "b").await];
    assert_eq!(db.repo.refetch(&a).await.unwrap(), a);
    assert_eq!(db.repo.refetch_all(&[b.clone(), a.clone()]).await.unwrap(), [b.clone(), a.clone()]);
    db.repo.delete(&b).await.unwrap();
    for error in [db.repo.refetch(&b).await.unwrap_err(), db.repo.refetch_all(&[a, b.clone()]).await.unwrap_err()] {
        let ErrorKind::NotFound { table, key, .. } = error.kind() else { panic!("{error:?}") };
        assert_eq!((table.as_str(), key.clone()), ("posts", Some(format!("id = {}", b.id))));
    }
}

async fn r48_first_and_last(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    assert_eq!(db.repo.one(Post::query().first()).await.unwrap(), None);
    assert_eq!(db.repo.one(Post::query().last()).await.unwrap(), None);
    assert!(db.repo.fetch_one(Post::query().first()).await.unwrap_err().is_not_found());
    assert!(db.repo.fetch_one(Post::query().last()).await.unwrap_err().is_not_found());
    let [b, a, c] = [post(&db.repo, "b").await, post(&db.repo, "a").await, post(&db.repo, "c").await];
    assert_eq!(db.repo.one(Post::query().first()).await.unwrap().unwrap(), b);
    assert_eq!(db.repo.fetch_one(Post::query().last()).await.unwrap(), c);
    let by_title = || Post::query().order_by(Post::TITLE.asc());
    assert_eq!(db.repo.fetch_one(by_title().first()).await.unwrap(), a);
    assert_eq!(db.repo.fetch_one(by_title().last()).await.unwrap(), c);
    // An earlier limit is replaced.
    assert_eq!(db.repo.fetch_one(by_title().limit(2).last()).await.unwrap(), c);
    assert_eq!(db.repo.all(by_title().limit(2).first()).await.unwrap(), [a]);
    let newest_first = Post::query().order_by(Post::ID.desc());
    assert_eq!(db.repo.fetch_one(newest_first.last()).await.unwrap(), b);
}

async fn reload_of_nothing_sends_nothing(db: &Db) {
    let (repo, instrument) = db.instrumented().await;
    assert_eq!(repo.reload_all::<Post>(&[]).await.unwrap(), []);
    assert_eq!(repo.refetch_all::<Post>(&[]).await.unwrap(), []);
    assert!(sent(&instrument).is_empty());
}

async fn reload_by_composite_keys(db: &Db) {
    db.repo.create_table::<Membership>().await.unwrap();
    let row = |group_id, person: &str| Membership { group_id, person: person.into(), role: "member".into() };
    let rows = [row(1, "ada"), row(1, "bob"), row(2, "ada")];
    db.repo.insert_all(rows.clone()).await.unwrap();
    let wanted = [rows[2].clone(), row(2, "bob"), rows[0].clone()];
    let found = db.repo.reload_all(&wanted).await.unwrap();
    assert_eq!(found, [Some(rows[2].clone()), None, Some(rows[0].clone())]);
    assert_eq!(db.repo.reload(&rows[1]).await.unwrap().as_ref(), Some(&rows[1]));
}

async fn reload_of_many_rows_is_one_statement_or_one_transaction(db: &Db) {
    let (repo, instrument) = db.instrumented().await;
    repo.create_table::<Permalink>().await.unwrap();
    let links: Vec<_> = (1..=3_000).map(|id| Permalink { id, url: format!("/{id}") }).collect();
    repo.insert_all(links.clone()).await.unwrap();
    repo.create_table::<Membership>().await.unwrap();
    let members: Vec<_> =
        (0..600).map(|n| Membership { group_id: n % 7, person: format!("p{n}"), role: "member".into() }).collect();
    repo.insert_all(members.clone()).await.unwrap();

    instrument.clear();
    let mut wanted = links.clone();
    wanted.reverse();
    assert_eq!(repo.refetch_all(&wanted).await.unwrap(), wanted);
    assert_eq!(sent(&instrument).len(), 1);
    assert_eq!(repo.refetch_all(&members).await.unwrap(), members);
    assert_eq!(sent(&instrument).len(), 3, "three statements for the pairs");
    let tx = repo.begin().await.unwrap();
    assert_eq!(tx.refetch_all(&members).await.unwrap(), members);
    tx.commit().await.unwrap();
}

async fn reload_without_a_key_is_refused(db: &Db) {
    let reading = Reading { sensor: "a".into(), value: 1.0 };
    for error in [
        db.repo.reload(&reading).await.unwrap_err(),
        db.repo.reload_all(std::slice::from_ref(&reading)).await.unwrap_err(),
    ] {
        let ErrorKind::InvalidCall { problem } = error.kind() else { panic!("{error:?}") };
        assert!(problem.contains("primary key"), "{problem}");
    }
}

async fn all_by_a_condition(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let [a, _, c] = [post(&db.repo, "x").await, post(&db.repo, "y").await, post(&db.repo, "x").await];
    let mut found = db.repo.all_by::<Post>(Post::TITLE.eq("x")).await.unwrap();
    found.sort_by_key(|row| row.id);
    assert_eq!(found, [a, c]);
    assert_eq!(db.repo.all_by::<Post>(Post::TITLE.eq("z")).await.unwrap(), []);
}
