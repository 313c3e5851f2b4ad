//! Rows that are written with the rows associated with them: each is asked about, links included.

use emr::prelude::*;
use emr::{Interceptor, Operation, RawSql, Schema, With, Writing, Written, WrittenFuture, now};

use super::rules::{Note, Remark, SoftDelete, Spy, Tag, Tagging, Tenant, create, tag, titled};
use crate::harness::Db;

db_cases![
    every_row_and_every_link_is_asked_about,
    what_is_set_is_stored_in_children_and_links,
    one_refused_link_leaves_nothing,
    a_link_that_goes_is_marked,
    links_are_told_of,
];

fn remarks(texts: &[&str]) -> Vec<Changeset<Remark>> {
    texts.iter().map(|text| Remark::build().set(Remark::TEXT, *text)).collect()
}

/// A note with two remarks and a tag, and with two tags of the plain table, one of them new.
fn whole(title: &str, tag: &Tag) -> Changeset<Note> {
    let new = Tag::build().set(Tag::NAME, "new");
    titled(title)
        .put_assoc(Note::REMARKS, remarks(&["a", "b"]))
        .put_assoc(Note::TAGS, [tag])
        .put_assoc(Note::PLAIN_TAGS, vec![tag.change(), new])
}

/// How many notes, remarks, tags, links and plain links there are.
async fn counts(repo: &impl Repo) -> [u64; 5] {
    let plain = repo.query("select count(*) from plain_taggings", &[]).await.unwrap().scalar::<i64>().unwrap();
    [
        repo.count(Note::query()).await.unwrap(),
        repo.count(Remark::query()).await.unwrap(),
        repo.count(Tag::query()).await.unwrap(),
        repo.count(Tagging::query()).await.unwrap(),
        plain.unsigned_abs(),
    ]
}

async fn every_row_and_every_link_is_asked_about(db: &Db) {
    create(&db.repo).await;
    let old = tag(&db.repo, "old").await;
    let spy = Spy::default();
    db.repo.with_interceptor(spy.clone()).insert(whole("n", &old)).await.unwrap();
    let asked: Vec<_> = spy.take().into_iter().filter(|what| what.contains("Insert")).collect();
    assert_eq!(
        asked,
        [
            "insert Insert notes",
            "insert Insert remarks",
            "insert Insert remarks",
            "insert Insert taggings",
            "insert Insert tags",
            "insert Insert plain_taggings",
            "insert Insert plain_taggings",
        ]
    );
    assert_eq!(counts(&db.repo).await, [1, 2, 2, 1, 2]);
}

/// Says of every new row when it goes.
struct Expiring;

impl Interceptor for Expiring {
    fn writing(&self, write: &mut Writing<'_>) -> Result<()> {
        let sets = write.operation() == Operation::Insert && write.has_column("deleted_at");
        if sets { write.set("deleted_at", now()) } else { Ok(()) }
    }

    fn raw_sql(&self, _: &RawSql<'_>) -> Result<()> {
        Ok(())
    }
}

async fn what_is_set_is_stored_in_children_and_links(db: &Db) {
    create(&db.repo).await;
    let old = tag(&db.repo, "old").await;
    let repo = db.repo.with_interceptor(Expiring).with_interceptor(Tenant(7));
    // Tenants have no tags of their own here: what has no such column is written as it is.
    let stored = repo.insert(whole("n", &old)).await.unwrap();
    assert_eq!((stored.tenant_id, stored.deleted_at.is_some()), (7, true));
    assert_eq!(db.repo.count(Remark::query().filter(Remark::DELETED_AT.is_not_null())).await.unwrap(), 2);
    assert_eq!(db.repo.count(Tagging::query().filter(Tagging::DELETED_AT.is_not_null())).await.unwrap(), 1);
    assert_eq!(counts(&db.repo).await, [1, 2, 2, 1, 2]);
}

/// Lets nobody write into one table.
struct Closed(&'static str);

impl Interceptor for Closed {
    fn writing(&self, write: &mut Writing<'_>) -> Result<()> {
        if write.schema().table == self.0 { Err(Error::refused("closed")) } else { Ok(()) }
    }

    fn raw_sql(&self, _: &RawSql<'_>) -> Result<()> {
        Ok(())
    }
}

async fn one_refused_link_leaves_nothing(db: &Db) {
    create(&db.repo).await;
    let old = tag(&db.repo, "old").await;
    for table in ["notes", "remarks", "tags", "taggings", "plain_taggings"] {
        let error = db.repo.with_interceptor(Closed(table)).insert(whole("n", &old)).await.unwrap_err();
        assert!(error.is_refused(), "{table}: {error}");
        assert_eq!(counts(&db.repo).await, [0, 0, 1, 0, 0], "{table}");
    }
}

async fn a_link_that_goes_is_marked(db: &Db) {
    create(&db.repo).await;
    let old = tag(&db.repo, "old").await;
    let note = db.repo.insert(whole("n", &old)).await.unwrap();
    let repo = db.repo.with_interceptor(SoftDelete);
    let nothing: [Tag; 0] = [];
    let note = repo.update(note.change().put_assoc(Note::TAGS, nothing)).await.unwrap();
    assert_eq!(note.tags.get().unwrap().len(), 0);
    let links = db.repo.all(Tagging::query()).await.unwrap();
    assert!(links.len() == 1 && links[0].deleted_at.is_some(), "{links:?}");
}

#[derive(Clone, Default)]
struct Told(std::sync::Arc<std::sync::Mutex<Vec<(String, u64)>>>);

impl Interceptor for Told {
    fn raw_sql(&self, _: &RawSql<'_>) -> Result<()> {
        Ok(())
    }

    fn observes(&self, _: &'static Schema) -> bool {
        true
    }

    fn written<'a>(&'a self, _: &'a With<'a, Tx>, written: &'a Written) -> WrittenFuture<'a> {
        self.0.lock().unwrap().push((written.table.to_string(), written.rows));
        Box::pin(async { Ok(()) })
    }
}

async fn links_are_told_of(db: &Db) {
    create(&db.repo).await;
    let old = tag(&db.repo, "old").await;
    let told = Told::default();
    db.repo.with_interceptor(told.clone()).insert(whole("n", &old)).await.unwrap();
    let heard = std::mem::take(&mut *told.0.lock().unwrap());
    let tables: Vec<_> = heard.iter().map(|(table, rows)| (table.as_str(), *rows)).collect();
    let [notes, remarks, taggings, tags, plain] =
        ["notes", "remarks", "taggings", "tags", "plain_taggings"].map(|table| (table, 1));
    assert_eq!(tables, [notes, remarks, remarks, taggings, tags, plain, plain]);
}
