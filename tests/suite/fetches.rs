//! Rows that must be there, and locks on them.

use emr::prelude::*;
use emr::uuid;

use crate::harness::{Backend, Db, assert_unsupported, assert_unsupported_in_part, not_here};
use crate::schemas::{Document, Membership, Permalink, Post, post};

/// A primary key that is not called `id`.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "named_things")]
struct Named {
    #[emr(primary_key)]
    name: String,
}

/// A key that nobody shall read in a log.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "sessions")]
struct Session {
    #[emr(primary_key, redact)]
    token: String,
}

db_cases![
    be01_count_of_a_schema_and_of_a_query_that_never_matches,
    be02_be09_be21_prefixes_are_honoured,
    be03_be05_fetch_by_primary_key,
    be04_be16_a_key_of_another_type_does_not_compile,
    be06_fetch_by_a_key_that_is_not_called_id,
    be07_fetch_by_a_key_of_two_columns,
    be08_be20_a_missing_row_says_its_table_and_key,
    be10_be11_an_error_without_a_tag,
    be12_be13_fetch_by_a_condition_and_by_a_query,
    be14_fetch_locks_a_row_for_update,
    be15_fetch_locks_a_row_but_its_key,
    be17_a_text_that_is_no_uuid_is_the_programs_to_parse,
    be18_the_tag_comes_back,
    be19_locks_are_types,
    several_rows_are_an_error,
    rows_are_locked_by_all_and_one,
    a_fetched_row_comes_with_its_associations,
    lock_strengths_exclude_whom_they_should,
];

async fn be01_count_of_a_schema_and_of_a_query_that_never_matches(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    post(&db.repo, "x").await;
    assert_eq!(db.repo.count(Post::query()).await.unwrap(), 1);
    assert_eq!(db.repo.count(Post::query().filter(Expr::constant(false))).await.unwrap(), 0);
}

async fn be02_be09_be21_prefixes_are_honoured(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    if db.backend == Backend::Sqlite {
        let error = db.repo.with_prefix("tenant").fetch::<Post>(1).await.unwrap_err();
        assert_unsupported(&error);
        return;
    }
    let prefix = db.create_schema_beside().await;
    let tenant = db.repo.with_prefix(prefix.as_str());
    tenant.create_table::<Post>().await.unwrap();
    let row = post(&tenant, "there").await;
    let counts = (db.repo.count(Post::query()).await.unwrap(), tenant.count(Post::query()).await.unwrap());
    let by_key = (db.repo.fetch::<Post>(row.id).await, tenant.fetch::<Post>(row.id).await);
    let by_title = tenant.fetch_by::<Post>(Post::TITLE.eq("there")).await;
    let locked = db
        .repo
        .transaction(async |tx| tx.with_prefix(prefix.as_str()).fetch::<Post>(row.id).lock(Lock::UPDATE).await)
        .await;
    db.drop_schema(&prefix).await;
    assert_eq!(counts, (0, 1));
    assert!(by_key.0.unwrap_err().is_not_found());
    assert_eq!(by_key.1.unwrap(), row);
    assert_eq!(by_title.unwrap(), row);
    assert_eq!(locked.unwrap(), row);
}

async fn be03_be05_fetch_by_primary_key(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    db.repo.create_table::<Document>().await.unwrap();
    let row = post(&db.repo, "serial").await;
    assert_eq!(db.repo.fetch::<Post>(row.id).await.unwrap(), row);
    let document = db.repo.insert(Document::build().set(Document::NAME, "uuid")).await.unwrap();
    assert_eq!(db.repo.fetch::<Document>(document.id).await.unwrap(), document);
}

/// The seed turns such a key into "not found" at run time. Here it is a compile error, which `tests/ui` pins; what fits
/// the type and no row is not found.
async fn be04_be16_a_key_of_another_type_does_not_compile(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let error = db.repo.fetch::<Post>(i64::MIN).await.unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
}

async fn be06_fetch_by_a_key_that_is_not_called_id(db: &Db) {
    db.repo.create_table::<Named>().await.unwrap();
    let row = db.repo.insert(Named { name: "it".into() }).await.unwrap();
    assert_eq!(db.repo.fetch::<Named>("it").await.unwrap(), row);
    let error = db.repo.fetch::<Named>("other").await.unwrap_err();
    assert_eq!(error.to_string(), format!("no row of named_things has name = \"other\" (repo {})", db.repo.id()));
}

/// The seed refuses such a key. A tuple of the schema's own types does what is meant.
async fn be07_fetch_by_a_key_of_two_columns(db: &Db) {
    db.repo.create_table::<Membership>().await.unwrap();
    let row = Membership { group_id: 1, person: "ada".into(), role: "chair".into() };
    db.repo.insert(row.clone()).await.unwrap();
    assert_eq!(db.repo.fetch::<Membership>((1, "ada")).await.unwrap(), row);
    let error = db.repo.fetch::<Membership>((2, "ada")).await.unwrap_err();
    let ErrorKind::NotFound { table, key, .. } = error.kind() else { panic!("{error:?}") };
    assert_eq!((table.as_str(), key.as_deref()), ("memberships", Some("group_id = 2, person = \"ada\"")));
}

async fn be08_be20_a_missing_row_says_its_table_and_key(db: &Db) {
    db.repo.create_table::<Document>().await.unwrap();
    db.repo.create_table::<Session>().await.unwrap();
    let id = uuid::Uuid::nil();
    let error = db.repo.fetch::<Document>(id).await.unwrap_err();
    let ErrorKind::NotFound { table, key, tag } = error.kind() else { panic!("{error:?}") };
    assert_eq!((table.as_str(), key.clone(), tag), ("documents", Some(format!("id = {id}")), &None));
    let error = db.repo.fetch::<Session>("secret").tag("session").await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    assert_eq!(error.tag(), Some("session"));
}

async fn be10_be11_an_error_without_a_tag(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let error = db.repo.fetch_by::<Post>(Post::TITLE.eq("none")).await.unwrap_err();
    assert!(error.is_not_found() && error.tag().is_none());
    assert_eq!(error.to_string(), format!("no row of posts matches (repo {})", db.repo.id()));
}

async fn be12_be13_fetch_by_a_condition_and_by_a_query(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let row = post(&db.repo, "one").await;
    post(&db.repo, "two").await;
    assert_eq!(db.repo.fetch_by::<Post>(Post::TITLE.eq("one")).await.unwrap(), row);
    assert_eq!(db.repo.fetch_one(Post::query().filter(Post::TITLE.eq("one"))).await.unwrap(), row);
    let title = db.repo.fetch_one(Post::query().filter(Post::ID.eq(row.id)).select(Post::TITLE)).await.unwrap();
    assert_eq!(title, "one");
}

/// The modes of the row locks that a transaction holds, as others see them.
async fn row_locks(db: &Db, tx: &impl Repo, table: &str) -> Vec<String> {
    let pid = tx.query("select pg_backend_pid()", &[]).await.unwrap().scalar::<i32>().unwrap();
    let found = db
        .repo
        .query(
            "select mode from pg_locks where pid = $1 and granted and relation = ($2::text)::regclass \
             and mode <> 'AccessShareLock' order by 1",
            &[&pid, &table],
        )
        .await
        .unwrap();
    (0..found.len()).map(|row| found.get(row, 0).unwrap()).collect()
}

async fn locks_one_row(db: &Db, lock: Lock, others_may: Lock, others_may_not: Lock) {
    db.repo.create_table::<Post>().await.unwrap();
    let row = post(&db.repo, "mine").await;
    let free = post(&db.repo, "free").await;
    let tx = db.repo.begin().await.unwrap();
    if db.backend == Backend::Sqlite {
        // The transactions of this engine write one at a time: there is no row to lock.
        let error = tx.fetch::<Post>(row.id).lock(lock).await.unwrap_err();
        assert_unsupported(&error);
        tx.rollback().await.unwrap();
        return;
    }
    tx.get::<Post>(free.id).await.unwrap();
    let is_told = db.backend == Backend::Postgres;
    if is_told {
        assert_eq!(row_locks(db, &tx, "posts").await, Vec::<String>::new());
    }
    assert_eq!(tx.fetch::<Post>(row.id).lock(lock).await.unwrap(), row);
    if is_told {
        assert_eq!(row_locks(db, &tx, "posts").await, ["RowShareLock"]);
        assert_eq!(row_locks(db, &tx, "posts_pkey").await, ["RowShareLock"], "found by its key");
    }

    let other = db.other().await;
    let theirs = other.begin().await.unwrap();
    theirs.fetch::<Post>(free.id).lock(Lock::UPDATE.nowait()).await.unwrap();
    if is_told || lock == Lock::SHARE {
        theirs.fetch::<Post>(row.id).lock(others_may.nowait()).await.unwrap();
    }
    let error = theirs.fetch::<Post>(row.id).lock(others_may_not.nowait()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::LockNotAvailable { .. }), "{error:?}");
    theirs.rollback().await.unwrap();
    tx.commit().await.unwrap();
    other.transaction(async |tx| tx.fetch::<Post>(row.id).lock(others_may_not.nowait()).await).await.unwrap();
}

async fn be14_fetch_locks_a_row_for_update(db: &Db) {
    if db.backend == Backend::Sqlite {
        return locks_one_row(db, Lock::UPDATE, Lock::SHARE, Lock::SHARE).await;
    }
    // Nothing gets past FOR UPDATE: what others may is shown on the row that is free.
    db.repo.create_table::<Post>().await.unwrap();
    let row = post(&db.repo, "mine").await;
    let tx = db.repo.begin().await.unwrap();
    tx.query("select 1", &[]).await.unwrap();
    let is_told = db.backend == Backend::Postgres;
    if is_told {
        assert_eq!(row_locks(db, &tx, "posts_pkey").await, Vec::<String>::new());
    }
    assert_eq!(tx.fetch::<Post>(row.id).lock(Lock::UPDATE).await.unwrap(), row);
    if is_told {
        assert_eq!(row_locks(db, &tx, "posts_pkey").await, ["RowShareLock"]);
    }
    let other = db.other().await;
    let theirs = other.begin().await.unwrap();
    let error = theirs.fetch::<Post>(row.id).lock(Lock::KEY_SHARE.nowait()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::LockNotAvailable { .. }), "{error:?}");
    theirs.rollback().await.unwrap();
    tx.rollback().await.unwrap();
    other.transaction(async |tx| tx.fetch::<Post>(row.id).lock(Lock::UPDATE.nowait()).await).await.unwrap();
}

async fn be15_fetch_locks_a_row_but_its_key(db: &Db) {
    locks_one_row(db, Lock::NO_KEY_UPDATE, Lock::KEY_SHARE, Lock::SHARE).await;
}

/// The seed casts, and can be told to raise. Here a text is parsed before it is a key, and the error is the parser's.
async fn be17_a_text_that_is_no_uuid_is_the_programs_to_parse(db: &Db) {
    db.repo.create_table::<Document>().await.unwrap();
    assert!("no uuid".parse::<uuid::Uuid>().is_err());
    let id: uuid::Uuid = "00000000-0000-0000-0000-000000000007".parse().unwrap();
    assert!(db.repo.fetch_by::<Document>(Document::ID.eq(id)).await.unwrap_err().is_not_found());
}

async fn be18_the_tag_comes_back(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let error = db.repo.fetch::<Post>(7).tag("article").await.unwrap_err();
    let ErrorKind::NotFound { table, tag, .. } = error.kind() else { panic!("{error:?}") };
    // Without a tag it is the table that tells what was asked for.
    assert_eq!((table.as_str(), tag.as_deref()), ("posts", Some("article")));
    assert_eq!(error.to_string(), format!("article not found: no row of posts has id = 7 (repo {})", db.repo.id()));
    let error = db.repo.fetch_by::<Post>(Post::TITLE.eq("x")).tag("article").await.unwrap_err();
    assert_eq!(error.tag(), Some("article"));
}

/// The seed raises on an unknown mode. There is none here: `tests/ui` pins what the compiler says.
async fn be19_locks_are_types(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let row = post(&db.repo, "x").await;
    for lock in [Lock::UPDATE, Lock::NO_KEY_UPDATE, Lock::SHARE, Lock::KEY_SHARE] {
        for lock in [lock, lock.nowait(), lock.skip_locked()] {
            let found = db.repo.transaction(async |tx| tx.fetch::<Post>(row.id).lock(lock).await).await;
            match db.backend {
                Backend::Sqlite => {
                    let error = found.unwrap_err();
                    assert_unsupported(&error);
                }
                _ => assert_eq!(found.unwrap(), row),
            }
        }
    }
}

async fn several_rows_are_an_error(db: &Db) {
    db.repo.create_table::<Permalink>().await.unwrap();
    db.repo.insert(Permalink { id: 1, url: "/a".into() }).await.unwrap();
    db.repo.insert(Permalink { id: 2, url: "/b".into() }).await.unwrap();
    let error = db.repo.fetch_by::<Permalink>(Permalink::ID.gt(0)).tag("link").await.unwrap_err();
    assert!(error.is_multiple_results(), "{error:?}");
}

async fn rows_are_locked_by_all_and_one(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let rows = [post(&db.repo, "a").await, post(&db.repo, "b").await];
    let tx = db.repo.begin().await.unwrap();
    let mine = tx.all_locked(Post::query().filter(Post::ID.eq(rows[0].id)), Lock::UPDATE).await;
    if db.backend == Backend::Sqlite {
        assert_unsupported(&mine.unwrap_err());
        return;
    }
    assert_eq!(mine.unwrap(), rows[..1]);
    let other = db.other().await;
    let theirs = other.begin().await.unwrap();
    let free = theirs.all_locked(Post::query(), Lock::UPDATE.skip_locked()).await.unwrap();
    assert_eq!(free, rows[1..]);
    let none = theirs.one_locked(Post::query().filter(Post::TITLE.eq("a")), Lock::SHARE.skip_locked()).await;
    assert_eq!(none.unwrap(), None);
    // A query that carries its own lock is refused outside a transaction when it runs.
    let error = db.repo.one(Post::query().lock(Lock::UPDATE)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
}

async fn lock_strengths_exclude_whom_they_should(db: &Db) {
    if db.backend == Backend::Sqlite {
        not_here("there are no row locks");
        return;
    }
    db.repo.create_table::<Post>().await.unwrap();
    let row = post(&db.repo, "x").await;
    let all = [Lock::KEY_SHARE, Lock::SHARE, Lock::NO_KEY_UPDATE, Lock::UPDATE];
    let other = db.other().await;
    for (n, mine) in all.into_iter().enumerate() {
        let tx = db.repo.begin().await.unwrap();
        tx.fetch::<Post>(row.id).lock(mine).await.unwrap();
        for (m, theirs) in all.into_iter().enumerate() {
            let got = other.transaction(async |tx| tx.fetch::<Post>(row.id).lock(theirs.nowait()).await).await;
            // As the manual has it: the two share each other and themselves, and the key lock all but the strongest.
            // Elsewhere the key locks are the next stronger ones.
            let key_locks = db.backend == Backend::Postgres;
            let together = (n <= 1 && m <= 1) || (key_locks && n.min(m) == 0 && n.max(m) == 2);
            assert_eq!(got.is_ok(), together, "{mine:?} and {theirs:?}");
        }
        tx.commit().await.unwrap();
    }
}

async fn a_fetched_row_comes_with_its_associations(db: &Db) {
    use crate::blog::{self, Comment, comment, create};
    create(&db.repo).await;
    let row = blog::post(&db.repo, "x", None).await;
    let reply = comment(&db.repo, "reply", Some(&row), None).await;
    let ids = |row: &blog::Post| row.comments.get().unwrap().iter().map(|comment| comment.id).collect::<Vec<_>>();
    let by_key = db.repo.fetch::<blog::Post>(row.id).preload(blog::Post::COMMENTS.then(Comment::POST)).await.unwrap();
    assert_eq!(ids(&by_key), [reply.id]);
    let by_title =
        db.repo.fetch_by::<blog::Post>(blog::Post::ID.eq(row.id)).preload(blog::Post::COMMENTS).await.unwrap();
    assert_eq!(ids(&by_title), [reply.id]);
    let tx = db.repo.begin().await.unwrap();
    let locked = tx.fetch::<blog::Post>(row.id).lock(Lock::UPDATE).preload(blog::Post::COMMENTS).await;
    match db.backend {
        Backend::Sqlite => assert_unsupported_in_part(&locked.unwrap_err()),
        Backend::Postgres | Backend::Mariadb | Backend::Mysql => {
            assert_eq!(ids(&locked.unwrap()), [reply.id]);
            let other = db.other().await;
            let free = other.transaction(async |tx| tx.all_locked(Comment::query(), Lock::UPDATE.nowait()).await).await;
            assert_eq!(free.unwrap().len(), 1, "what is preloaded is not locked");
        }
    }
    let error = db.repo.fetch::<blog::Post>(-1).preload(blog::Post::COMMENTS).tag("post").await.unwrap_err();
    let ErrorKind::NotFound { key, tag, .. } = error.kind() else { panic!("{error:?}") };
    assert_eq!((key.as_deref(), tag.as_deref()), (Some("id = -1"), Some("post")));
}
