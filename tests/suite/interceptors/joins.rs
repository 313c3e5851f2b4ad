//! A condition takes away rows of its own table, and of no other.

use emr::prelude::*;

use super::rules::{Note, Remark, SoftDelete, Spy, create, note, remark};
use crate::harness::{assert_unsupported_in_part, backend};

repo_cases![
    inner_and_cross_joins,
    left_joins_keep_their_rows,
    right_and_full_joins_keep_theirs,
    updates_and_deletes_with_joins,
    tables_without_a_schema,
    tables_that_stand_in_for_others,
];

/// `a` has a remark, `b` has a deleted one, `c` has none, `d` is deleted and has one. One remark has no note.
async fn filled(repo: &impl Repo) -> [Note; 4] {
    create(repo).await;
    let notes = [note(repo, "a").await, note(repo, "b").await, note(repo, "c").await, note(repo, "d").await];
    let [a, b, _, d] = &notes;
    remark(repo, "on a", a).await;
    let gone = remark(repo, "gone", b).await;
    remark(repo, "on d", d).await;
    repo.insert(Remark::build().set(Remark::TEXT, "alone")).await.unwrap();
    let repo = &repo.with_interceptor(SoftDelete);
    repo.delete(&gone).await.unwrap();
    repo.delete(d).await.unwrap();
    notes
}

fn pair(title: Option<&str>, text: Option<&str>) -> (Option<String>, Option<String>) {
    (title.map(str::to_owned), text.map(str::to_owned))
}

async fn inner_and_cross_joins(repo: &impl Repo) {
    filled(repo).await;
    let seen = &repo.with_interceptor(SoftDelete);
    let pairs = |query: emr::Query<Note>| query.select((Note::TITLE.optional(), Remark::TEXT.optional()));
    assert_eq!(seen.all(pairs(Note::query().join(Note::REMARKS))).await.unwrap(), [pair(Some("a"), Some("on a"))]);
    let crossed = Note::query().cross_join(emr::Alias::<Remark>::new("r"));
    assert_eq!(seen.count(&crossed).await.unwrap(), 3 * 3);
    assert_eq!(repo.count(&crossed).await.unwrap(), 4 * 4);
}

async fn left_joins_keep_their_rows(repo: &impl Repo) {
    filled(repo).await;
    let query = Note::query()
        .left_join(Note::REMARKS)
        .order_by(Note::TITLE.asc())
        .select((Note::TITLE.optional(), Remark::TEXT.optional()));
    let seen = repo.with_interceptor(SoftDelete).all(&query).await.unwrap();
    assert_eq!(seen, [pair(Some("a"), Some("on a")), pair(Some("b"), None), pair(Some("c"), None)]);
    let whole = repo.all(&query).await.unwrap();
    assert_eq!(whole.len(), 4);
    assert_eq!(whole[1], pair(Some("b"), Some("gone")));
}

async fn right_and_full_joins_keep_theirs(repo: &impl Repo) {
    filled(repo).await;
    let repo = &repo.with_interceptor(SoftDelete);
    let pairs = |query: emr::Query<Note>| {
        query
            .order_by(Remark::TEXT.asc().nulls_last())
            .order_by(Note::TITLE.asc())
            .select((Note::TITLE.optional(), Remark::TEXT.optional()))
    };
    // The note of `on d` is deleted, the remark is not: it stays, alone.
    let [alone, on_a, on_d] = [pair(None, Some("alone")), pair(Some("a"), Some("on a")), pair(None, Some("on d"))];
    let right = repo.all(pairs(Note::query().right_join(Note::REMARKS))).await.unwrap();
    assert_eq!(right, [alone.clone(), on_a.clone(), on_d.clone()]);
    let full = repo.all(pairs(Note::query().full_join(Note::REMARKS))).await;
    if backend().is_mysql_family() {
        assert_unsupported_in_part(&full.unwrap_err());
    } else {
        let [b, c] = [pair(Some("b"), None), pair(Some("c"), None)];
        assert_eq!(full.unwrap(), [alone, on_a.clone(), on_d.clone(), b, c]);
    }
    // A join behind a right one: what it joins is kept with what it is joined to.
    let other = emr::Alias::<Note>::new("other");
    let three = Note::query()
        .join(Note::REMARKS)
        .right_join(other.on(other.col(Note::ID).eq(Note::ID)))
        .order_by(other.col(Note::TITLE).asc())
        .select((other.col(Note::TITLE), Remark::TEXT.optional()));
    let (a, b, c) = ("a".to_owned(), "b".to_owned(), "c".to_owned());
    assert_eq!(repo.all(three).await.unwrap(), [(a, on_a.1), (b, None), (c, None)]);
}

async fn updates_and_deletes_with_joins(repo: &impl Repo) {
    filled(repo).await;
    let seen = &repo.with_interceptor(SoftDelete);
    let with_remarks = || Note::query().join(Note::REMARKS);
    assert_eq!(seen.update_all(with_remarks().set(Note::EDITOR, "x")).await.unwrap(), 1);
    let edited = Note::query().filter(Note::EDITOR.eq("x")).select(Note::TITLE);
    assert_eq!(repo.all(edited).await.unwrap(), ["a"]);
    assert_eq!(seen.delete_all(with_remarks()).await.unwrap(), 1);
    let left = Note::query().filter(Note::DELETED_AT.is_null()).order_by(Note::TITLE.asc()).select(Note::TITLE);
    assert_eq!(repo.all(left).await.unwrap(), ["b", "c"]);
    assert_eq!(repo.count(Note::query()).await.unwrap(), 4, "all of them stay in the table");
}

/// Filters a table by its name, whoever knows its schema.
struct Named;

impl emr::Interceptor for Named {
    fn reading(&self, table: &mut emr::Reading<'_>) -> Result<()> {
        assert!(!table.has_column("title") || table.schema().is_some());
        if table.table() == "notes" {
            table.filter(emr::col::<String>("title").ne("b"));
        }
        Ok(())
    }

    fn raw_sql(&self, _: &emr::RawSql<'_>) -> Result<()> {
        Ok(())
    }
}

async fn tables_without_a_schema(repo: &impl Repo) {
    filled(repo).await;
    let spied = &repo.with_interceptor(Spy::default());
    let repo = &spied.with_interceptor(Named);
    let titles =
        emr::table("notes").query().select(emr::col::<String>("title")).order_by(emr::col::<String>("title").asc());
    assert_eq!(repo.all(&titles).await.unwrap(), ["a", "c", "d"]);
    assert_eq!(repo.count(Note::query()).await.unwrap(), 3);
    // It would have to become a subquery, and nobody knows of what columns.
    let alias = emr::Alias::<Note>::new("n");
    let kept = Remark::query()
        .full_join(emr::table("notes").alias(alias).on(alias.named_col::<i64>("id").eq(Remark::NOTE_ID)));
    let error = repo.count(kept).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
}

async fn tables_that_stand_in_for_others(repo: &impl Repo) {
    use super::rules::{Audit, entries};

    filled(repo).await;
    if backend().is_mysql_family() {
        repo.script("CREATE TABLE old_notes LIKE notes").await.unwrap();
        repo.query("INSERT INTO old_notes SELECT * FROM notes", &[]).await.unwrap();
    } else {
        repo.script("CREATE TABLE old_notes AS SELECT * FROM notes").await.unwrap();
    }
    let seen = &repo.with_interceptor(SoftDelete).with_interceptor(Audit);
    let old = || Note::query().from_table("old_notes");
    let titles = |query: emr::Query<Note>| query.order_by(Note::TITLE.asc()).select(Note::TITLE);
    assert_eq!(seen.all(titles(old())).await.unwrap(), ["a", "b", "c"]);
    let remarked = old().full_join(Note::REMARKS).filter(Note::TITLE.is_not_null());
    let found = seen.all(titles(remarked)).await;
    if backend().is_mysql_family() {
        assert_unsupported_in_part(&found.unwrap_err());
    } else {
        assert_eq!(found.unwrap(), ["a", "b", "c"]);
    }
    assert_eq!(seen.delete_all(old().filter(Note::TITLE.eq("a"))).await.unwrap(), 1);
    let told = entries(repo).await;
    assert!(told.len() == 1 && told[0].starts_with("delete_all Delete old_notes 1 Some"), "{told:?}");
    assert_eq!(seen.all(titles(old())).await.unwrap(), ["b", "c"]);
    assert_eq!(seen.all(titles(Note::query())).await.unwrap(), ["a", "b", "c"]);
    assert_eq!(repo.count(old()).await.unwrap(), 4);
}
