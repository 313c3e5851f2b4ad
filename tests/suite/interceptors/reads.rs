//! Every road that reads.

use emr::functions::{count, max};
use emr::prelude::*;
use emr::{cte, cte_rows, table};
use futures_util::TryStreamExt;

use super::rules::{Note, Remark, SoftDelete, Spy, Tag, Tagging, create, note, only, remark, tag, titles};

repo_cases![
    every_call_that_reads,
    associations_and_preloads,
    queries_inside_queries,
    common_table_expressions,
    conditions_of_the_programs_own,
    every_source_is_shown,
    an_interceptor_refuses_a_read,
];

/// Two notes, of which the one called `gone` is deleted; the caller sees only `here`.
pub(super) async fn two_notes(repo: &impl Repo) -> (Note, Note) {
    create(repo).await;
    let (here, gone) = (note(repo, "here").await, note(repo, "gone").await);
    repo.with_interceptor(SoftDelete).delete(&gone).await.unwrap();
    // It is still there, with a time, for who looks past the interceptor.
    assert!(repo.fetch::<Note>(gone.id).await.unwrap().deleted_at.is_some());
    (here, gone)
}

async fn every_call_that_reads(repo: &impl Repo) {
    let (here, gone) = two_notes(repo).await;
    let repo = &repo.with_interceptor(SoftDelete);
    let all = Note::query().order_by(Note::TITLE.asc());

    assert_eq!(repo.all(&all).await.unwrap(), only(&here));
    assert_eq!(repo.all_by::<Note>(Note::TITLE.ne("x")).await.unwrap(), only(&here));
    assert_eq!(repo.one(&all).await.unwrap(), Some(here.clone()));
    assert_eq!(repo.get::<Note>(here.id).await.unwrap(), Some(here.clone()));
    assert_eq!(repo.get::<Note>(gone.id).await.unwrap(), None);
    assert_eq!(repo.get_by::<Note>(Note::TITLE.eq("gone")).await.unwrap(), None);
    assert!(repo.fetch::<Note>(gone.id).await.unwrap_err().is_not_found());
    assert_eq!(repo.fetch::<Note>(here.id).preload(Note::REMARKS).await.unwrap().id, here.id);
    assert!(repo.fetch::<Note>(gone.id).preload(Note::REMARKS).await.unwrap_err().is_not_found());
    assert!(repo.fetch_by::<Note>(Note::ID.eq(gone.id)).await.unwrap_err().is_not_found());
    assert_eq!(repo.fetch_one(&all).await.unwrap(), here);
    assert_eq!(repo.reload(&gone).await.unwrap(), None);
    assert_eq!(repo.reload_all(&[gone.clone(), here.clone()]).await.unwrap(), [None, Some(here.clone())]);
    assert!(repo.refetch(&gone).await.unwrap_err().is_not_found());
    assert!(repo.refetch_all(&[here.clone(), gone.clone()]).await.unwrap_err().is_not_found());
    assert_eq!((repo.count(&all).await.unwrap(), repo.count(all.clone().limit(5)).await.unwrap()), (1, 1));
    let is_gone = Note::query().filter(Note::ID.eq(gone.id));
    assert!(!repo.exists(&is_gone).await.unwrap() && repo.exists(&all).await.unwrap());
    assert_eq!(repo.aggregate(Note::query(), count(Note::ID)).await.unwrap(), 1);
    assert_eq!(repo.aggregate(all.clone().limit(9), max(Note::ID)).await.unwrap(), Some(here.id));
    let streamed: Vec<Note> = repo.stream(&all).try_collect().await.unwrap();
    assert_eq!(streamed, only(&here));
    let (sql, _) = repo.to_sql(&all).unwrap();
    assert!(sql.contains("IS NULL"), "{sql}");
    assert!(!repo.explain(&all).await.unwrap().is_empty());
    assert_eq!(repo.all(all.clone().union(&all)).await.unwrap(), only(&here));
    // The condition is one of all, whatever the query says.
    let either = Note::query().filter(Note::TITLE.eq("here")).or_filter(Note::TITLE.eq("gone"));
    assert_eq!(repo.all(&either).await.unwrap(), only(&here));
    let groups = Note::query().group_by(Note::TENANT_ID).select((Note::TENANT_ID, count(Note::ID)));
    assert_eq!(repo.all(groups).await.unwrap(), [(0, 1)]);
}

async fn associations_and_preloads(repo: &impl Repo) {
    let (here, gone) = two_notes(repo).await;
    let (kept, lost) = (remark(repo, "kept", &here).await, remark(repo, "lost", &here).await);
    let orphan = remark(repo, "orphan", &gone).await;
    let (a, b) = (tag(repo, "a").await, tag(repo, "b").await);
    let tagging = |tag: &Tag| Tagging { note_id: here.id, tag_id: tag.id, deleted_at: None };
    repo.insert_all([tagging(&a), tagging(&b)]).await.unwrap();
    let seen = &repo.with_interceptor(SoftDelete);
    seen.delete(&lost).await.unwrap();
    seen.delete(&tagging(&b)).await.unwrap();

    let loaded = seen.fetch::<Note>(here.id).preload((Note::REMARKS, Note::TAGS)).await.unwrap();
    assert_eq!(loaded.remarks.get(), Ok(only(&kept)));
    assert_eq!(loaded.tags.get(), Ok(only(&a)), "the join table has a deleted row too");
    let mut remarks = vec![kept.clone(), orphan];
    seen.preload(&mut remarks, Remark::NOTE.then(Note::REMARKS.limit_per_parent(5))).await.unwrap();
    let parent = remarks[0].note.get().unwrap().unwrap();
    assert_eq!((parent.id, parent.remarks.get()), (here.id, Ok(only(&kept))));
    assert_eq!(remarks[1].note.get(), Ok(None));
    let streamed: Vec<Note> =
        seen.stream(Note::query().preload(Note::REMARKS.limit_per_parent(1))).try_collect().await.unwrap();
    assert_eq!(streamed[0].remarks.get(), Ok(only(&kept)));
    assert_eq!(seen.all(here.assoc(Note::REMARKS)).await.unwrap(), only(&kept));
    assert_eq!(seen.all(here.assoc(Note::TAGS)).await.unwrap(), only(&a));
    assert_eq!(seen.all(a.assoc_notes()).await.unwrap(), only(&here));
    let joined = Note::query().left_join(Note::REMARKS).preload_joined(Note::REMARKS);
    let joined = seen.all(joined).await.unwrap();
    assert_eq!(joined[0].remarks.get(), Ok(only(&kept)));
    // Without it, all are there.
    let whole = repo.fetch::<Note>(here.id).preload((Note::REMARKS, Note::TAGS)).await.unwrap();
    assert_eq!((whole.remarks.get().unwrap().len(), whole.tags.get().unwrap().len()), (2, 2));
}

impl Tag {
    /// The notes with this tag, through the join table.
    fn assoc_notes(&self) -> emr::Query<Note> {
        let tagged = Tagging::query().filter(Tagging::TAG_ID.eq(self.id)).select(Tagging::NOTE_ID);
        Note::query().filter(Note::ID.in_query(tagged))
    }
}

async fn queries_inside_queries(repo: &impl Repo) {
    let (here, gone) = two_notes(repo).await;
    remark(repo, "of here", &here).await;
    remark(repo, "of gone", &gone).await;
    let repo = &repo.with_interceptor(SoftDelete);
    let texts = |query: emr::Query<Remark>| query.order_by(Remark::ID.asc()).select(Remark::TEXT);
    let ids = || Note::query().select(Note::ID);

    let within = texts(Remark::query().filter(Remark::NOTE_ID.in_query(ids())));
    assert_eq!(repo.all(within).await.unwrap(), ["of here"]);
    let outside = texts(Remark::query().filter(Remark::NOTE_ID.not_in_query(ids())));
    assert_eq!(repo.all(outside).await.unwrap(), ["of gone"]);
    let of_note = Note::query().filter(Note::ID.eq(Remark::NOTE_ID));
    let existing = texts(Remark::query().filter(emr::exists(of_note)));
    assert_eq!(repo.all(existing).await.unwrap(), ["of here"]);
    let newest = Note::query().select(max(Note::ID)).scalar();
    let of_newest = texts(Remark::query().filter(Remark::NOTE_ID.eq(newest)));
    assert_eq!(repo.all(of_newest).await.unwrap(), ["of here"]);
    let inner = emr::Alias::<Note>::new("inner");
    let from = Remark::query()
        .join(
            Note::query()
                .filter(Note::ID.gt(0))
                .order_by(Note::ID.asc())
                .subquery(inner)
                .on(inner.col(Note::ID).eq(Remark::NOTE_ID)),
        )
        .select((Remark::TEXT, inner.col(Note::TITLE)));
    assert_eq!(repo.all(from).await.unwrap(), [("of here".to_owned(), "here".to_owned())]);
    let titles = Note::query().select(Note::TITLE).union_all(Note::query().select(Note::TITLE));
    assert_eq!(repo.all(titles).await.unwrap(), ["here", "here"]);
}

async fn common_table_expressions(repo: &impl Repo) {
    let (here, gone) = two_notes(repo).await;
    note(repo, "second").await;
    let past = repo;
    let repo = &repo.with_interceptor(SoftDelete);
    let read = |name: &'static str| Note::query().from_cte(name).order_by(Note::TITLE.asc()).select(Note::TITLE);

    let some = read("some").with(cte("some", Note::query().filter(Note::ID.le(gone.id))));
    assert_eq!(repo.all(some).await.unwrap(), ["here"]);
    // A name that no common table expression has is the table of that name.
    assert_eq!(repo.all(read("notes")).await.unwrap(), ["here", "second"]);
    assert_eq!(past.all(read("notes")).await.unwrap(), ["gone", "here", "second"]);
    // One that reads itself.
    past.update_all(Note::query().filter(Note::TITLE.ne("here")).set(Note::PARENT_ID, here.id)).await.unwrap();
    let tree = emr::Alias::<Note>::new("tree");
    let first = Note::query().filter(Note::PARENT_ID.is_null());
    let next =
        Note::query().join(cte_rows("tree").typed::<Note>().alias(tree).on(Note::PARENT_ID.eq(tree.col(Note::ID))));
    let children = read("tree").with(cte("tree", first.union_all(next)).recursive());
    assert_eq!(repo.all(children.clone()).await.unwrap(), ["here", "second"]);
    assert_eq!(past.all(children).await.unwrap(), ["gone", "here", "second"]);
}

/// Notes that have a remark, asked by a subquery; and of those, remarks of nobody else.
struct Remarked;

impl emr::Interceptor for Remarked {
    fn reading(&self, table: &mut emr::Reading<'_>) -> Result<()> {
        if table.is::<Note>() {
            table.filter(emr::exists(Remark::query().filter(Remark::NOTE_ID.eq(Note::ID))));
            table.filter(emr::col::<String>("title").ne("secret"));
        }
        Ok(())
    }

    fn raw_sql(&self, _: &emr::RawSql<'_>) -> Result<()> {
        Ok(())
    }
}

async fn conditions_of_the_programs_own(repo: &impl Repo) {
    create(repo).await;
    let (with, without) = (note(repo, "with").await, note(repo, "without").await);
    let secret = note(repo, "secret").await;
    remark(repo, "one", &with).await;
    remark(repo, "two", &secret).await;
    repo.update_all(Note::query().filter(Note::TITLE.ne("with")).set(Note::PARENT_ID, with.id)).await.unwrap();
    repo.update_all(Note::query().filter(Note::TITLE.eq("with")).set(Note::PARENT_ID, without.id)).await.unwrap();
    let repo = &repo.with_interceptor(Remarked);
    assert_eq!(titles(repo).await, ["with"]);
    // Two sources of one schema: each has the condition on itself.
    let parent = emr::Alias::<Note>::new("parent");
    let pairs = Note::query()
        .left_join(parent.on(parent.col(Note::ID).eq(Note::PARENT_ID)))
        .select((Note::TITLE, parent.col(Note::TITLE).optional()));
    assert_eq!(repo.all(pairs).await.unwrap(), [("with".to_owned(), None)]);
    let child = emr::Alias::<Note>::new("child");
    let pairs = child
        .query()
        .left_join(Note::on(Note::ID.eq(child.col(Note::PARENT_ID))))
        .select((child.col(Note::TITLE), Note::TITLE.optional()));
    assert_eq!(repo.all(pairs).await.unwrap(), [("with".to_owned(), None)]);
    assert_eq!(repo.update_all(Note::query().set(Note::EDITOR, "x")).await.unwrap(), 1);
    assert_eq!(repo.update_all(child.query().set(Note::EDITOR, "y")).await.unwrap(), 1);
    assert_eq!(repo.without_interceptors().count(Note::query().filter(Note::EDITOR.eq("y"))).await.unwrap(), 1);
}

async fn every_source_is_shown(repo: &impl Repo) {
    create(repo).await;
    let here = note(repo, "here").await;
    let spy = Spy::default();
    let seen = &repo.with_interceptor(spy.clone());

    seen.all(table("notes").query().select(emr::col::<i64>("id"))).await.unwrap();
    assert_eq!(spy.take(), ["all notes"], "a table without a schema");
    seen.fetch::<Note>(here.id).preload((Note::PLAIN_TAGS, Note::TAGS, Note::REMARKS)).await.unwrap();
    let mut asked = spy.take();
    asked[1..].sort();
    assert_eq!(
        asked,
        ["one notes", "preload plain_taggings", "preload remarks", "preload taggings", "preload tags", "preload tags"],
        "join tables too"
    );
    seen.get::<Note>(1).await.unwrap();
    seen.reload_all(only(&here)).await.unwrap();
    seen.exists(Note::query()).await.unwrap();
    seen.count(Note::query()).await.unwrap();
    let _: Vec<Note> = seen.stream(Note::query()).try_collect().await.unwrap();
    assert_eq!(spy.take(), ["one notes", "reload notes", "exists notes", "count notes", "stream notes"]);
    seen.update_all(Note::query().filter(Note::ID.in_query(Remark::query().select(Remark::ID))).set(Note::TITLE, "x"))
        .await
        .unwrap();
    assert_eq!(spy.take(), ["update_all remarks", "update_all notes (written)", "update_all Update notes"]);
    seen.delete_all(Note::query().join(Note::REMARKS)).await.unwrap();
    assert_eq!(spy.take(), ["delete_all notes (written)", "delete_all remarks", "delete_all Delete notes"]);
    repo.without_interceptors().all(Note::query()).await.unwrap();
    assert_eq!(spy.take(), [] as [&str; 0]);
}

/// Nobody reads remarks.
struct NoRemarks;

impl emr::Interceptor for NoRemarks {
    fn reading(&self, table: &mut emr::Reading<'_>) -> Result<()> {
        if table.is::<Remark>() { Err(Error::refused("remarks are private")) } else { Ok(()) }
    }

    fn raw_sql(&self, _: &emr::RawSql<'_>) -> Result<()> {
        Ok(())
    }
}

async fn an_interceptor_refuses_a_read(repo: &impl Repo) {
    create(repo).await;
    let here = note(repo, "here").await;
    remark(repo, "private", &here).await;
    let past = repo;
    let repo = &repo.with_interceptor(NoRemarks);
    let refused = [
        repo.count(Remark::query()).await.unwrap_err(),
        repo.all(Note::query().join(Note::REMARKS)).await.unwrap_err(),
        repo.fetch::<Note>(here.id).preload(Note::REMARKS).await.unwrap_err(),
        repo.get::<Remark>(1).await.unwrap_err(),
        repo.update_all(Remark::query().set(Remark::TEXT, "x")).await.unwrap_err(),
        repo.delete_all(Remark::query()).await.unwrap_err(),
        repo.to_sql(Remark::query()).unwrap_err(),
    ];
    for error in refused {
        assert!(error.is_refused() && error.to_string().contains("private"), "{error:?}");
        assert!(matches!(error.kind(), ErrorKind::Refused { .. }) && error.repo().is_some(), "{error:?}");
    }
    assert_eq!(titles(repo).await, ["here"]);
    assert_eq!(past.all(Remark::query().select(Remark::TEXT)).await.unwrap(), ["private"]);
}
