//! Arrays, on PostgreSQL; elsewhere they are refused before anything is sent.

use emr::Fragment;
use emr::prelude::*;
use emr::uuid::Uuid;

use crate::harness::{Backend, Db, assert_unsupported};

db_cases![
    t14_array_type,
    t15_array_type_custom_types,
    t16_array_type_nil_in_array,
    s9_s10_arrays_as_parameters_of_fragments,
];

#[derive(Syncable, Debug, Clone, Copy, PartialEq)]
enum Color {
    Red,
    Green,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "tagged")]
struct Tagged {
    id: i64,
    ints: Vec<i64>,
    uuids: Vec<Uuid>,
    words: Option<Vec<String>>,
}

fn unsupported<T: std::fmt::Debug>(result: Result<T>) {
    assert_unsupported(&result.unwrap_err());
}

/// A table where there can be none: what is refused is refused before anything is sent.
async fn refused(db: &Db) -> bool {
    if db.backend == Backend::Postgres {
        db.repo.create_table::<Tagged>().await.unwrap();
        return false;
    }
    let (repo, query) = (&db.repo, Tagged::query);
    unsupported(repo.count(query().filter(Tagged::INTS.has(1))).await);
    unsupported(repo.count(query().filter(Tagged::INTS.has_all(vec![1_i64]))).await);
    unsupported(repo.count(query().filter(Tagged::INTS.has_any(vec![1_i64]))).await);
    unsupported(repo.all(query().select(Tagged::INTS.array_length())).await);
    unsupported(repo.update_all(query().push(Tagged::INTS, 1)).await);
    unsupported(repo.update_all(query().pull(Tagged::INTS, 1)).await);
    true
}

async fn t14_array_type(db: &Db) {
    if refused(db).await {
        return;
    }
    let repo = &db.repo;
    let row = Tagged { id: 1, ints: vec![1, 2, 3], uuids: vec![], words: None };
    repo.insert(row).await.unwrap();
    let count = async |condition: Expr<bool>| repo.count(Tagged::query().filter(condition)).await.unwrap();
    assert_eq!(count(Tagged::INTS.eq(vec![1_i64, 2, 3])).await, 1);
    assert_eq!(count(Tagged::INTS.eq(vec![1_i64, 2])).await, 0);
    assert_eq!(count(Tagged::UUIDS.eq(Vec::<Uuid>::new())).await, 1);
    assert_eq!(count(Tagged::INTS.has(2)).await, 1);
    assert_eq!(count(Tagged::INTS.has(Tagged::ID)).await, 1);
    assert_eq!(count(!Tagged::INTS.has(2)).await, 0);
    assert_eq!(count(Tagged::INTS.has_all(vec![3_i64, 1])).await, 1);
    assert_eq!(count(Tagged::INTS.has_all(vec![3_i64, 4])).await, 0);
    assert_eq!(count(Tagged::INTS.has_any(vec![3_i64, 4])).await, 1);
    assert_eq!(count(Tagged::INTS.has_any(Vec::<i64>::new())).await, 0);
    assert_eq!(count(Tagged::INTS.array_length().eq(3)).await, 1);

    repo.update_all(Tagged::query().push(Tagged::INTS, 2).push(Tagged::WORDS, "a")).await.unwrap();
    repo.update_all(Tagged::query().push(Tagged::WORDS, "it's")).await.unwrap();
    let row = repo.one(Tagged::query()).await.unwrap().unwrap();
    assert_eq!((row.ints, row.words), (vec![1, 2, 3, 2], Some(vec!["a".to_owned(), "it's".to_owned()])));
    repo.update_all(Tagged::query().pull(Tagged::INTS, 2).pull(Tagged::WORDS, "b")).await.unwrap();
    let row = repo.one(Tagged::query()).await.unwrap().unwrap();
    assert_eq!((row.ints.clone(), row.words.clone().map(|words| words.len())), (vec![1, 3], Some(2)));
    assert_eq!(
        repo.one(Tagged::query().select((Tagged::INTS, Tagged::INTS.array_length()))).await.unwrap(),
        Some((vec![1, 3], 2))
    );
}

async fn t15_array_type_custom_types(db: &Db) {
    if refused(db).await {
        return;
    }
    let repo = &db.repo;
    let token = Uuid::from_u128(7);
    repo.insert(Tagged { id: 1, ints: vec![], uuids: vec![token], words: None }).await.unwrap();
    let count = async |condition: Expr<bool>| repo.count(Tagged::query().filter(condition)).await.unwrap();
    assert_eq!(count(Tagged::UUIDS.has(token)).await, 1);
    assert_eq!(count(Tagged::UUIDS.has(Uuid::nil())).await, 0);
    assert_eq!(count(Tagged::UUIDS.in_list([vec![token], vec![]])).await, 1);
    assert_eq!(repo.all(Tagged::query().select(Tagged::UUIDS)).await.unwrap(), [vec![token]]);
    let _ = (Color::Red, Color::Green);
}

/// An element that is NULL is refused by a type that has no NULL, and never another value.
async fn t16_array_type_nil_in_array(db: &Db) {
    if refused(db).await {
        return;
    }
    let repo = &db.repo;
    repo.query("INSERT INTO tagged (id, ints, uuids, words) VALUES (1, '{1,NULL}', '{}', NULL)", &[]).await.unwrap();
    let error = repo.all(Tagged::query().select(Tagged::INTS)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Decode { .. }), "{error}");
    assert_eq!(repo.all(Tagged::query().select(Tagged::WORDS)).await.unwrap(), [None]);
    assert_eq!(repo.count(Tagged::query().filter(Tagged::INTS.has(1))).await.unwrap(), 1);
    assert_eq!(repo.count(Tagged::query().filter(Tagged::WORDS.has("a"))).await.unwrap(), 0);
}

async fn s9_s10_arrays_as_parameters_of_fragments(db: &Db) {
    if refused(db).await {
        return;
    }
    let repo = &db.repo;
    let words = Some(vec!["a".to_owned(), "b".to_owned()]);
    repo.insert(Tagged { id: 1, ints: vec![], uuids: vec![], words }).await.unwrap();
    let count = async |condition: Fragment| repo.count(Tagged::query().filter(condition)).await.unwrap();
    let some = fragment("? && ?").arg(Tagged::WORDS).arg(vec!["b".to_owned(), "c".to_owned()]);
    assert_eq!(count(some).await, 1);
    assert_eq!(count(fragment("? = ?").arg(Tagged::INTS).arg(Vec::<i64>::new())).await, 1);
    assert_eq!(count(fragment("? @> ?").arg(Tagged::WORDS).arg(Vec::<String>::new())).await, 1);
}
