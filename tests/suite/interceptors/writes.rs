//! Every road that writes.

use emr::prelude::*;
use emr::{Interceptor, RawSql, Writing};

use super::rules::{Editor, Note, Remark, SoftDelete, Spy, Tenant, create, note, remark, titled, titles};
use crate::harness::{assert_unsupported_in_part, backend};

repo_cases![
    deletes_become_updates,
    new_rows_of_every_kind_are_stamped,
    rows_of_others_are_out_of_reach,
    upserts_leave_rows_of_others_alone,
    rows_of_a_query,
    changesets_keep_their_promises,
    every_write_is_shown,
    an_interceptor_refuses_a_write,
    values_that_do_not_fit,
];

/// Titles, tenants and editors, past all interceptors.
async fn stored(repo: &impl Repo) -> Vec<(String, i64, Option<String>)> {
    let query = Note::query().order_by(Note::TITLE.asc()).select((Note::TITLE, Note::TENANT_ID, Note::EDITOR));
    repo.without_interceptors().all(query).await.unwrap()
}

fn row(title: &str, tenant: i64, editor: Option<&str>) -> (String, i64, Option<String>) {
    (title.to_owned(), tenant, editor.map(str::to_owned))
}

async fn deletes_become_updates(repo: &impl Repo) {
    create(repo).await;
    for title in ["a", "b", "c", "d", "e", "f"] {
        note(repo, title).await;
    }
    let all = repo.all(Note::query().order_by(Note::TITLE.asc())).await.unwrap();
    let [a, b, c, ..] = &all[..] else { panic!("{all:?}") };
    let seen = &repo.with_interceptor(Editor("me")).with_interceptor(SoftDelete);
    seen.delete(a).await.unwrap();
    assert!(seen.delete(a).await.unwrap_err().is_stale(), "it is gone already");
    seen.delete(b.change().filter(Note::TITLE, "b")).await.unwrap();
    assert!(seen.delete(c.change().filter(Note::TITLE, "x")).await.unwrap_err().is_stale());
    assert!(seen.delete_if_exists(c).await.unwrap());
    assert!(!seen.delete_if_exists(c).await.unwrap());
    assert_eq!(seen.delete_all(Note::query().filter(Note::TITLE.le("d"))).await.unwrap(), 1);
    let back: Vec<(String, Option<chrono::DateTime<chrono::Utc>>)> = seen
        .delete_all_returning(Note::query().filter(Note::TITLE.eq("e")).select((Note::TITLE, Note::DELETED_AT)))
        .await
        .unwrap();
    assert!(back.len() == 1 && back[0].0 == "e" && back[0].1.is_some(), "{back:?}");
    assert_eq!(titles(seen).await, ["f"]);
    // They are all there, and say who deleted them. A table without the column loses its rows.
    let deleted = Note::query().filter(Note::DELETED_AT.is_not_null()).filter(Note::EDITOR.eq("me"));
    assert_eq!((repo.count(Note::query()).await.unwrap(), repo.count(deleted).await.unwrap()), (6, 5));
    let tag = repo.insert(super::rules::Tag { id: 1, name: "t".into() }).await.unwrap();
    seen.delete(&tag).await.unwrap();
    assert_eq!(repo.count(super::rules::Tag::query()).await.unwrap(), 0);
}

async fn new_rows_of_every_kind_are_stamped(repo: &impl Repo) {
    create(repo).await;
    let tenant = &repo.with_interceptor(Tenant(7)).with_interceptor(Editor("ann"));
    let struct_row = |id: i64, title: &str| Note { id, title: title.into(), ..blank() };

    assert_eq!(tenant.insert(titled("a")).await.unwrap().tenant_id, 7);
    assert_eq!(tenant.insert(struct_row(101, "b")).await.unwrap().tenant_id, 7);
    let length = emr::functions::length("four".to_owned());
    let draft = Draft::<Note>::new().set(Note::TITLE, "c").set_expr(Note::PARENT_ID, length);
    let drafted = tenant.insert(draft.clone()).await.unwrap();
    assert_eq!((drafted.tenant_id, drafted.parent_id), (7, Some(4)));
    assert_eq!(tenant.insert_or_update(titled("d")).await.unwrap().editor.as_deref(), Some("ann"));
    // What the program says of the tenant does not count.
    assert_eq!(tenant.insert_all([titled("e"), titled("f").set(Note::TENANT_ID, 8)]).await.unwrap(), 2);
    let back = tenant.insert_all_returning([struct_row(1002, "g"), struct_row(1003, "h")]).await.unwrap();
    assert_eq!(back.iter().map(|note| (note.id, note.tenant_id)).collect::<Vec<_>>(), [(1002, 7), (1003, 7)]);
    assert_eq!(tenant.insert_all([draft.clone().set(Note::TITLE, "i"), draft.set(Note::TITLE, "j")]).await.unwrap(), 2);
    assert_eq!(tenant.insert_all(Vec::<Note>::new()).await.unwrap(), 0);

    let expected: Vec<_> =
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(|title| row(title, 7, Some("ann"))).into();
    assert_eq!(stored(repo).await, expected);
}

fn blank() -> Note {
    Note {
        id: 0,
        title: String::new(),
        tenant_id: 0,
        editor: None,
        deleted_at: None,
        parent_id: None,
        remarks: HasMany::default(),
        tags: ManyToMany::default(),
        plain_tags: ManyToMany::default(),
    }
}

async fn rows_of_others_are_out_of_reach(repo: &impl Repo) {
    create(repo).await;
    let (one, two) = (&repo.with_interceptor(Tenant(1)), &repo.with_interceptor(Tenant(2)));
    let (mine, theirs) = (one.insert(titled("mine")).await.unwrap(), two.insert(titled("theirs")).await.unwrap());

    assert_eq!((titles(one).await, titles(two).await), (vec!["mine".to_owned()], vec!["theirs".to_owned()]));
    assert!(one.update(theirs.change().set(Note::TITLE, "stolen")).await.unwrap_err().is_stale());
    assert!(one.delete(&theirs).await.unwrap_err().is_stale());
    assert!(!one.delete_if_exists(&theirs).await.unwrap());
    assert_eq!(one.update_all(Note::query().set(Note::EDITOR, "one")).await.unwrap(), 1);
    let back: Vec<Note> = one.update_all_returning(Note::query().set(Note::TITLE, "mine too")).await.unwrap();
    assert_eq!(back.iter().map(|note| (note.id, note.title.as_str())).collect::<Vec<_>>(), [(mine.id, "mine too")]);
    let moved = one.update(mine.change().set(Note::TENANT_ID, 2)).await.unwrap_err();
    assert!(moved.is_refused() && moved.to_string().contains("stay with their tenant"), "{moved}");
    assert!(one.update_all(Note::query().set(Note::TENANT_ID, 2)).await.unwrap_err().is_refused());
    assert_eq!(stored(repo).await, [row("mine too", 1, Some("one")), row("theirs", 2, None)]);
    assert_eq!(one.delete_all(Note::query()).await.unwrap(), 1);
    assert_eq!(stored(repo).await, [row("theirs", 2, None)]);
}

async fn upserts_leave_rows_of_others_alone(repo: &impl Repo) {
    create(repo).await;
    let (one, two) = (&repo.with_interceptor(Tenant(1)), &repo.with_interceptor(Tenant(2)));
    let with_id = |id: i64, title: &str| titled(title).set(Note::ID, id);
    one.insert(with_id(11, "old")).await.unwrap();
    let replace = || OnConflict::replace((Note::TITLE, Note::EDITOR)).target(Note::ID);

    let own = one.upsert(with_id(11, "new"), replace()).await.unwrap();
    assert_eq!(own.row().map(|note| (note.title.as_str(), note.tenant_id)), Some(("new", 1)));
    assert!(own.is_updated());
    assert!(two.upsert(with_id(11, "stolen"), replace()).await.unwrap().is_skipped());
    assert!(two.upsert(with_id(12, "theirs"), replace()).await.unwrap().is_inserted());
    let counts =
        two.upsert_all([with_id(11, "x"), with_id(12, "again"), with_id(13, "more")], replace()).await.unwrap();
    assert_eq!((counts.inserted, counts.updated, counts.skipped), (1, 1, 1));
    let back = one.upsert_all_returning([with_id(11, "back"), with_id(13, "y")], replace()).await.unwrap();
    assert_eq!(back.iter().filter_map(Upserted::row).map(|note| note.id).collect::<Vec<_>>(), [11]);
    assert!(two.upsert(with_id(11, "z"), OnConflict::nothing()).await.unwrap().is_skipped());
    // The columns of interceptors go into the stored row too.
    let edited = one.with_interceptor(Editor("bob")).upsert(with_id(11, "edited"), replace()).await.unwrap();
    assert_eq!(edited.row().and_then(|note| note.editor.as_deref()), Some("bob"));
    let every = OnConflict::replace_all_except((Note::ID, Note::TENANT_ID)).target(Note::ID);
    let draft = Draft::<Note>::new().set(Note::ID, 13).set_expr(Note::TITLE, emr::functions::lower("MORE".to_owned()));
    assert!(two.upsert(draft, every).await.unwrap().is_updated());
    assert_eq!(stored(repo).await, [row("again", 2, None), row("edited", 1, Some("bob")), row("more", 2, None)]);
}

async fn rows_of_a_query(repo: &impl Repo) {
    create(repo).await;
    let (one, two) = (&repo.with_interceptor(Tenant(1)), &repo.with_interceptor(Tenant(2)));
    one.insert_all([titled("a"), titled("b")]).await.unwrap();
    two.insert(titled("c")).await.unwrap();
    let copy =
        |suffix: &'static str| Note::query().select((emr::functions::concat(Note::TITLE, suffix), Note::PARENT_ID));
    let columns = (Note::TITLE, Note::PARENT_ID);
    // Only rows of the tenant are read, and what is written is of the tenant.
    assert_eq!(two.insert_from(columns, copy("2")).await.unwrap(), 1);
    let both = copy("1").filter(Note::TITLE.eq("a")).union_all(copy("0").distinct());
    let back = one.insert_from_returning(columns, both).await.unwrap();
    assert_eq!(back.len(), 3);
    assert!(back.iter().all(|note| note.tenant_id == 1));
    // A column that the program gives and the interceptor sets: the interceptor's word counts.
    let given = Note::query().filter(Note::TITLE.eq("b")).select((emr::functions::concat(Note::TITLE, "-"), Note::ID));
    assert_eq!(one.insert_from((Note::TITLE, Note::TENANT_ID), given).await.unwrap(), 1);
    let taken = Note::query().filter(Note::TITLE.eq("a")).select((Note::ID, emr::functions::upper(Note::TITLE)));
    let upper = OnConflict::replace(Note::TITLE).target(Note::ID);
    let upserted = one.upsert_from((Note::ID, Note::TITLE), taken, upper).await;
    let a = if backend().is_mysql_family() {
        // The rows come out of the table that they go into.
        assert_unsupported_in_part(&upserted.unwrap_err());
        "a"
    } else {
        assert_eq!(upserted.unwrap(), 1);
        "A"
    };
    let all = [(a, 1), ("a0", 1), ("a1", 1), ("b", 1), ("b-", 1), ("b0", 1), ("c", 2), ("c2", 2)];
    let mut found = stored(repo).await;
    found.sort();
    assert_eq!(found, all.map(|(title, tenant)| row(title, tenant, None)));
}

async fn changesets_keep_their_promises(repo: &impl Repo) {
    create(repo).await;
    let title = if backend().is_mysql_family() { "title(99)" } else { "title" };
    repo.script(&format!("CREATE UNIQUE INDEX notes_title_index ON notes ({title})")).await.unwrap();
    let seen = &repo.with_interceptor(Tenant(1)).with_interceptor(SoftDelete).with_interceptor(Editor("me"));
    let first = seen.insert(titled("first")).await.unwrap();
    seen.insert(titled("second")).await.unwrap();
    let taken = seen.insert(titled("first").unique_constraint(Note::TITLE));
    if !repo.in_transaction() {
        assert!(taken.await.unwrap_err().field_errors().unwrap().has("title"));
        let changed = seen.update(first.change().set(Note::TITLE, "second").unique_constraint(Note::TITLE)).await;
        assert!(changed.unwrap_err().field_errors().unwrap().has("title"));
    }
    assert!(seen.insert(titled("x").add_error(Note::TITLE, "is odd")).await.unwrap_err().is_validation());
    assert!(seen.insert_all([titled("x").add_error(Note::TITLE, "is odd")]).await.unwrap_err().is_validation());
    // Without changes nothing is sent, and nobody is asked: the editor stays.
    let yours = &seen.with_interceptor(Editor("you"));
    assert_eq!(yours.update(first.change()).await.unwrap().editor.as_deref(), Some("me"));
    let renamed = yours.update(first.change().set(Note::TITLE, "renamed")).await.unwrap();
    assert_eq!(renamed.editor.as_deref(), Some("you"));
    let prepared = first.change().set(Note::TITLE, "prepared").prepare_changes(|tx, changes| {
        Box::pin(async move {
            // The transaction of the write has the interceptors too.
            assert_eq!(tx.count(Note::query()).await?, 2);
            tx.insert(titled("on the way")).await?;
            Ok(changes)
        })
    });
    repo.with_interceptor(Tenant(2)).insert(titled("of two")).await.unwrap();
    seen.update(prepared).await.unwrap();
    let all =
        [("of two", 2, None), ("on the way", 1, Some("me")), ("prepared", 1, Some("me")), ("second", 1, Some("me"))];
    assert_eq!(stored(repo).await, all.map(|(title, tenant, editor)| row(title, tenant, editor)));
    seen.delete(&first).await.unwrap();
    let stale = first.change().set(Note::TITLE, "late").stale_error_field(Note::TITLE);
    assert!(seen.update(stale).await.unwrap_err().field_errors().unwrap().has("title"));
}

async fn every_write_is_shown(repo: &impl Repo) {
    create(repo).await;
    let spy = Spy::default();
    let seen = &repo.with_interceptor(spy.clone());
    let new = seen.insert(titled("a")).await.unwrap();
    seen.insert_all([titled("b"), titled("c")]).await.unwrap();
    let up = titled("a").set(Note::ID, new.id);
    assert!(seen.upsert(up, OnConflict::replace(Note::TITLE).target(Note::ID)).await.unwrap().is_updated());
    seen.update(new.change().set(Note::TITLE, "d")).await.unwrap();
    seen.delete(&new).await.unwrap();
    seen.insert_from(Note::TITLE, Remark::query().select(Remark::TEXT)).await.unwrap();
    assert_eq!(
        spy.take(),
        [
            "insert Insert notes",
            "insert_all Insert notes",
            "insert_all Insert notes",
            "upsert Insert notes",
            "upsert Update notes",
            "upsert notes (written)",
            "update notes (written)",
            "update Update notes",
            "delete notes (written)",
            "delete Delete notes",
            "insert_from remarks",
            "insert_from Insert notes",
        ]
    );
    assert_eq!(titles(repo).await, ["b", "c"]);
}

/// Nobody deletes, and nobody writes an empty title.
struct Careful;

impl Interceptor for Careful {
    fn writing(&self, write: &mut Writing<'_>) -> Result<()> {
        if write.operation() == emr::Operation::Delete {
            return Err(Error::refused("nothing is deleted here"));
        }
        match write.get("title") {
            Some(emr::Value::Text(title)) if title.is_empty() => Err(Error::refused("a title is empty")),
            _ => Ok(()),
        }
    }

    fn raw_sql(&self, _: &RawSql<'_>) -> Result<()> {
        Ok(())
    }
}

async fn an_interceptor_refuses_a_write(repo: &impl Repo) {
    create(repo).await;
    let here = note(repo, "here").await;
    remark(repo, "on it", &here).await;
    let careful = &repo.with_interceptor(Careful);
    let refused = [
        careful.delete(&here).await.map(drop),
        careful.delete_if_exists(&here).await.map(drop),
        careful.delete_all(Remark::query()).await.map(drop),
        careful.delete_all_returning::<Note>(Note::query()).await.map(drop),
        careful.insert(titled("")).await.map(drop),
        careful.insert_all([titled("fine"), titled("")]).await.map(drop),
        careful.upsert(titled(""), OnConflict::nothing()).await.map(drop),
        careful.update(here.change().set(Note::TITLE, "")).await.map(drop),
        careful.update_all(Note::query().set(Note::TITLE, "")).await.map(drop),
        careful.to_sql(Note::query().delete()).map(drop),
    ];
    for result in refused {
        let error = result.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Refused { .. }) && error.repo().is_some(), "{error:?}");
    }
    assert_eq!(titles(repo).await, ["here"]);
    assert_eq!(repo.count(Remark::query()).await.unwrap(), 1);
}

/// Sets what does not fit.
struct Wrong(&'static str);

impl Interceptor for Wrong {
    fn writing(&self, write: &mut Writing<'_>) -> Result<()> {
        match self.0 {
            "column" => write.set("nothing", 1),
            "type" => write.set("tenant_id", "seven"),
            "instead" => write.update_instead("title", "x"),
            _ => write.set("tenant_id", 7_i16),
        }
    }

    fn raw_sql(&self, _: &RawSql<'_>) -> Result<()> {
        Ok(())
    }
}

async fn values_that_do_not_fit(repo: &impl Repo) {
    create(repo).await;
    for wrong in ["column", "instead"] {
        let error = repo.with_interceptor(Wrong(wrong)).insert(titled("x")).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    }
    let error = repo.with_interceptor(Wrong("type")).insert(titled("x")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Encode { column, .. } if column == "tenant_id"), "{error:?}");
    repo.with_interceptor(Wrong("a narrower integer")).insert(titled("x")).await.unwrap();
    assert_eq!(stored(repo).await, [row("x", 7, None)]);
}
