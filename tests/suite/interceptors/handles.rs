//! Which calls go by which options: interceptors, prefix, timeout, read-only.

use std::time::Duration;

use emr::prelude::*;
use futures_util::TryStreamExt;

use super::reads::two_notes;
use super::rules::{Editor, Note, Remark, SoftDelete, Tenant, create, note, only, remark, titled, titles};
use crate::harness::{Backend, Db, assert_unsupported_in_part};

db_cases![
    interceptors_of_a_repo,
    handles_with_options_of_their_own,
    ways_past_interceptors,
    locking_reads,
    a_read_only_handle_sends_no_write,
    a_prefix_reaches_every_call,
    a_timeout_reaches_every_call,
    the_same_id_wants_the_same_interceptors,
];

async fn interceptors_of_a_repo(db: &Db) {
    create(&db.repo).await;
    note(&db.repo, "of nobody").await;
    let repo = emr::open(db.options().interceptor(Tenant(1)).interceptor(Editor("me"))).await.unwrap();
    repo.insert(titled("on the handle")).await.unwrap();
    let tx = repo.begin().await.unwrap();
    tx.insert(titled("in a transaction")).await.unwrap();
    let inner = tx.begin().await.unwrap();
    inner.insert(titled("in a nested one")).await.unwrap();
    inner.commit().await.unwrap();
    assert_eq!(tx.count(Note::query()).await.unwrap(), 3);
    tx.commit().await.unwrap();
    let checkout = repo.checkout().await.unwrap();
    checkout.insert(titled("on a checkout")).await.unwrap();
    checkout.transaction(async |tx| tx.insert(titled("in its transaction")).await.map(drop)).await.unwrap();
    let streamed: Vec<Note> = checkout.stream(Note::query()).try_collect().await.unwrap();
    assert_eq!(streamed.len(), 5);
    drop(checkout);
    let mut multi = emr::Multi::new();
    multi.insert("step", titled("in a step"));
    repo.multi(multi).await.unwrap();
    let all = Note::query().filter(Note::TENANT_ID.eq(1)).filter(Note::EDITOR.eq("me"));
    assert_eq!((db.repo.count(all).await.unwrap(), db.repo.count(Note::query()).await.unwrap()), (6, 7));
    assert!(format!("{:?}", repo.default_options()).contains("2 interceptors"));
    repo.stop(Duration::ZERO).await;
}

async fn handles_with_options_of_their_own(db: &Db) {
    create(&db.repo).await;
    let of = |tenant: i64| db.repo.with_options(db.repo.with_interceptor(Tenant(tenant)).default_options());
    let (one, two) = (of(1), of(2));
    let task = tokio::spawn(async move {
        one.insert(titled("on a handle")).await?;
        let tx = one.begin().await?;
        tx.insert(titled("in a transaction")).await?;
        tx.commit().await?;
        let checkout = one.checkout().await?;
        checkout.transaction(async |tx| tx.insert(titled("on a checkout")).await.map(drop)).await?;
        drop(checkout);
        one.transaction_retry(TransactionOptions::new(), || async |tx| tx.count(Note::query()).await).await
    });
    assert_eq!(task.await.unwrap().unwrap(), 3);
    assert_eq!((two.count(Note::query()).await.unwrap(), two.id()), (0, db.repo.id()));
    assert_eq!(db.repo.count(Note::query().filter(Note::TENANT_ID.eq(1))).await.unwrap(), 3);
    let reports = db.repo.with_options(two.with_timeout(Duration::from_secs(3)).read_only().default_options());
    let options = reports.default_options();
    assert_eq!((options.timeout, options.read_only), (Timeout::After(Duration::from_secs(3)), true));
    assert_eq!(*reports.insert(titled("x")).await.unwrap_err().kind(), ErrorKind::ReadOnly);
    // A repo is one, whatever its handles are called by.
    two.stop(Duration::ZERO).await;
    assert!(db.repo.count(Note::query()).await.unwrap_err().is_stopped());
}

async fn ways_past_interceptors(db: &Db) {
    let (here, gone) = two_notes(&db.repo).await;
    let repo = emr::open(db.options().interceptor(SoftDelete).interceptor(Tenant(0))).await.unwrap();
    assert_eq!(titles(&repo).await, ["here"]);
    assert_eq!(titles(&repo.without_interceptor::<SoftDelete>()).await, ["gone", "here"]);
    assert_eq!(titles(&repo.without_interceptor::<Editor>()).await, ["here"]);
    let past = repo.without_interceptors();
    assert_eq!(titles(&past).await, ["gone", "here"]);
    past.transaction(async |tx| tx.delete(&gone).await).await.unwrap();
    repo.without_interceptor::<SoftDelete>().delete(&here).await.unwrap();
    assert_eq!(db.repo.count(Note::query()).await.unwrap(), 0, "deleted for good");
    repo.stop(Duration::ZERO).await;
}

async fn locking_reads(db: &Db) {
    let (here, gone) = two_notes(&db.repo).await;
    let tx = db.repo.begin().await.unwrap();
    {
        let tx = &tx.with_interceptor(SoftDelete);
        if db.backend == Backend::Sqlite {
            assert_unsupported_in_part(&tx.all_locked(Note::query(), Lock::UPDATE).await.unwrap_err());
        } else {
            assert_eq!(tx.all_locked(Note::query(), Lock::UPDATE).await.unwrap(), only(&here));
            assert_eq!(tx.fetch::<Note>(here.id).lock(Lock::UPDATE).await.unwrap(), here);
            assert!(tx.fetch::<Note>(gone.id).lock(Lock::UPDATE).await.unwrap_err().is_not_found());
            let other = db.other().await;
            let late = other.transaction(async |tx| tx.fetch::<Note>(here.id).lock(Lock::UPDATE.nowait()).await).await;
            assert!(matches!(late.unwrap_err().kind(), ErrorKind::LockNotAvailable { .. }));
        }
        tx.with_interceptor(Tenant(1)).insert(titled("of one")).await.unwrap();
    }
    tx.rollback().await.unwrap();
    assert_eq!(titles(&db.repo).await, ["gone", "here"]);
}

async fn a_read_only_handle_sends_no_write(db: &Db) {
    create(&db.repo).await;
    let here = note(&db.repo, "here").await;
    let (repo, statements) = db.instrumented().await;
    repo.count(Note::query()).await.unwrap();
    statements.take();
    let repo = &repo.read_only();
    let replace = || OnConflict::replace(Note::TITLE).target(Note::ID);
    let title = Note::query().select(Note::TITLE);
    let prepared = titled("x").prepare_changes(|tx, changes| {
        Box::pin(async move {
            tx.count(Note::query()).await?;
            Ok(changes)
        })
    });
    let refused = [
        repo.insert(titled("x")).await.map(drop),
        repo.insert(prepared).await.map(drop),
        repo.insert_all([titled("x")]).await.map(drop),
        repo.insert_all([titled("x"), titled("y").set(Note::EDITOR, "z")]).await.map(drop),
        repo.insert_all_returning([titled("x")]).await.map(drop),
        repo.insert(Draft::<Note>::new().set(Note::TITLE, "x")).await.map(drop),
        repo.upsert(titled("x"), replace()).await.map(drop),
        repo.upsert_all([titled("x")], replace()).await.map(drop),
        repo.upsert_all_returning([titled("x")], replace()).await.map(drop),
        repo.insert_from(Note::TITLE, &title).await.map(drop),
        repo.insert_from_returning(Note::TITLE, &title).await.map(drop),
        repo.upsert_from(Note::TITLE, &title, replace()).await.map(drop),
        repo.insert_or_update(titled("x")).await.map(drop),
        repo.update(here.change().set(Note::TITLE, "x")).await.map(drop),
        repo.update_all(Note::query().set(Note::TITLE, "x")).await.map(drop),
        repo.update_all_returning(Note::query().set(Note::TITLE, "x")).await.map(drop),
        repo.delete(&here).await,
        repo.delete_if_exists(&here).await.map(drop),
        repo.delete_all(Note::query()).await.map(drop),
        repo.delete_all_returning::<Note>(Note::query()).await.map(drop),
        repo.script("delete from notes").await,
        repo.create_table::<Note>().await,
        repo.drop_table::<Note>().await,
        repo.drop_table_if_exists::<Note>().await,
        repo.with_interceptor(SoftDelete).delete(&here).await,
        repo.with_interceptor(super::rules::Audit).insert(titled("x")).await.map(drop),
    ];
    for (n, result) in refused.into_iter().enumerate() {
        assert_eq!(result.unwrap_err().kind(), &ErrorKind::ReadOnly, "write {n}");
    }
    assert_eq!(statements.take(), []);
    // Reading goes on, also in a transaction; and the server itself judges raw SQL.
    assert_eq!(repo.transaction(async |tx| tx.count(Note::query()).await).await.unwrap(), 1);
    assert_eq!(repo.query("select title from notes", &[]).await.unwrap().scalar::<String>().unwrap(), "here");
    assert!(repo.query("delete from notes", &[]).await.is_err());
    assert_eq!(titles(&db.repo).await, ["here"]);
}

async fn a_prefix_reaches_every_call(db: &Db) {
    if db.backend == Backend::Sqlite {
        let refused = db.repo.with_prefix("other").count(Note::query()).await.unwrap_err();
        return assert_unsupported_in_part(&refused);
    }
    let other = db.create_schema_beside().await;
    create(&db.repo).await;
    let wrong = note(&db.repo, "wrong").await;
    for name in ["notes", "remarks", "tags", "taggings", "plain_taggings"] {
        let like = if db.backend == Backend::Postgres { "(LIKE {} INCLUDING ALL)" } else { "LIKE {}" };
        let copy = format!("CREATE TABLE {other}.{name} {}", like.replace("{}", name));
        db.repo.script(&copy).await.unwrap();
    }
    {
        let repo = &db.repo.with_prefix(other.as_str());
        let right = repo.insert(titled("right")).await.unwrap();
        let reply = remark(repo, "reply", &right).await;
        repo.insert_all([titled("more")]).await.unwrap();
        let tag = super::rules::tag(repo, "t").await;
        repo.insert(super::rules::Tagging { note_id: right.id, tag_id: tag.id, deleted_at: None }).await.unwrap();
        let plain = format!("INSERT INTO {other}.plain_taggings VALUES ({}, {})", right.id, tag.id);
        repo.query(&plain, &[]).await.unwrap();

        assert_eq!(titles(repo).await, ["more", "right"]);
        let tx = repo.begin().await.unwrap();
        let inner = tx.begin().await.unwrap();
        let preloads = (Note::REMARKS.then(Remark::NOTE), Note::TAGS, Note::PLAIN_TAGS);
        let loaded = inner.fetch::<Note>(right.id).preload(preloads).await.unwrap();
        let remarks = loaded.remarks.get().unwrap();
        assert_eq!((remarks.len(), remarks[0].id), (1, reply.id));
        assert_eq!(remarks[0].note.get().unwrap().map(|note| note.title.as_str()), Some("right"));
        assert_eq!((loaded.tags.get().unwrap().len(), loaded.plain_tags.get().unwrap().len()), (1, 1));
        assert_eq!(inner.all(right.assoc(Note::REMARKS)).await.unwrap().len(), 1);
        inner.commit().await.unwrap();
        assert_eq!(tx.update_all(Note::query().join(Note::REMARKS).set(Note::EDITOR, "me")).await.unwrap(), 1);
        tx.commit().await.unwrap();
        let streamed: Vec<Note> = repo.stream(Note::query().preload(Note::REMARKS)).try_collect().await.unwrap();
        assert_eq!(streamed.iter().map(|note| note.remarks.get().unwrap().len()).sum::<usize>(), 1);
        assert_eq!(repo.reload(&right).await.unwrap().unwrap().editor.as_deref(), Some("me"));
        let changed = repo.update(right.change().set(Note::TITLE, "changed")).await.unwrap();
        let seen = &repo.with_interceptor(SoftDelete);
        assert_eq!(seen.get::<Note>(right.id).await.unwrap().map(|note| note.title), Some(changed.title));
        seen.update(right.change().set(Note::TITLE, "seen")).await.unwrap();
        let up = titled("up").set(Note::ID, right.id);
        assert!(seen.upsert(up, OnConflict::replace(Note::TITLE).target(Note::ID)).await.unwrap().is_updated());
        seen.delete(&right).await.unwrap();
        assert_eq!(seen.delete_all(Note::query()).await.unwrap(), 1);
        assert_eq!((seen.count(Note::query()).await.unwrap(), repo.count(Note::query()).await.unwrap()), (0, 2));
        assert!(repo.exists(Note::query().filter(Note::TITLE.eq("up"))).await.unwrap());
        repo.drop_table::<super::rules::Tagging>().await.unwrap();
        assert!(!repo.table_exists("taggings").await.unwrap());
    }
    assert_eq!(db.repo.all(Note::query()).await.unwrap(), [wrong], "the tables without the prefix are as they were");
    assert!(db.repo.table_exists("taggings").await.unwrap());
    db.drop_schema(&other).await;
}

async fn a_timeout_reaches_every_call(db: &Db) {
    create(&db.repo).await;
    let here = note(&db.repo, "here").await;
    remark(&db.repo, "reply", &here).await;
    if db.backend == Backend::Sqlite {
        // A statement there waits for nobody but the writer.
        let tx = db.repo.begin().await.unwrap();
        tx.insert(titled("blocks")).await.unwrap();
        let other = db.other().await;
        let late = other.with_timeout(Duration::from_millis(200)).insert(titled("late")).await.unwrap_err();
        assert!(late.is_timeout() || matches!(late.kind(), ErrorKind::LockNotAvailable { .. }), "{late:?}");
        tx.rollback().await.unwrap();
        assert_eq!(titles(&db.repo).await, ["here"]);
        return;
    }
    let locks = if db.backend == Backend::Postgres { "" } else { "LOCK TABLES remarks WRITE" };
    // Such a lock is a session's, and no transaction's: only what runs after the connect may take it.
    let holder = emr::open(db.options().pool_size(1).after_connect(locks.to_owned())).await.unwrap();
    let session = holder.checkout().await.unwrap();
    let tx = if db.backend == Backend::Postgres {
        let tx = session.begin().await.unwrap();
        tx.script("LOCK TABLE remarks").await.unwrap();
        Some(tx)
    } else {
        session.query("select 1", &[]).await.unwrap();
        None
    };
    let other = db.other().await;
    let short = &other.with_timeout(Duration::from_millis(200));
    let limits = |error: Error| assert!(error.is_timeout(), "{error:?}");
    limits(short.all(Note::query().preload(Note::REMARKS)).await.unwrap_err());
    limits(short.preload(&mut vec![here.clone()], Note::REMARKS).await.unwrap_err());
    limits(short.count(Remark::query()).await.unwrap_err());
    limits(short.transaction(async |tx| tx.count(Remark::query()).await).await.unwrap_err());
    let nested = short.transaction(async |tx| tx.transaction(async |tx| tx.count(Remark::query()).await).await);
    limits(nested.await.unwrap_err());
    limits(short.with_interceptor(SoftDelete).delete_all(Remark::query()).await.unwrap_err());
    let streamed: Result<Vec<Note>> = short.stream(Note::query().preload(Note::REMARKS)).try_collect().await;
    limits(streamed.unwrap_err());
    if let Some(tx) = tx {
        tx.rollback().await.unwrap();
    }
    drop(session);
    holder.stop(Duration::from_secs(1)).await;
    // As long as it takes: the server may hear a little later that the holder is gone.
    assert_eq!(other.count(Remark::query()).await.unwrap(), 1);
}

async fn the_same_id_wants_the_same_interceptors(db: &Db) {
    #[derive(MultiRepo)]
    struct Tenants;

    create(&db.repo).await;
    let id = format!("interceptors-{:?}", db.repo.id());
    let options = db.options().interceptor(Tenant(3));
    let first = Tenants::start_as(&id, options.clone()).await.unwrap();
    let again = Tenants::start_as(&id, options).await.unwrap();
    again.insert(titled("a")).await.unwrap();
    let conflict = Tenants::start_as(&id, db.options().interceptor(Tenant(3))).await.unwrap_err();
    assert!(
        matches!(conflict.kind(), ErrorKind::RepoConflict { differing, .. } if differing == &["interceptors"]),
        "{conflict:?}"
    );
    assert_eq!(first.count(Note::query()).await.unwrap(), 1);
    assert_eq!(db.repo.count(Note::query().filter(Note::TENANT_ID.eq(3))).await.unwrap(), 1);
    first.stop(Duration::ZERO).await;
}
