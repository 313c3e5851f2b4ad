//! Hearing of what was written, in its transaction.

use emr::prelude::*;

use super::rules::{Audit, Editor, Note, Remark, SoftDelete, create, entries, note, titled, titles};
use crate::harness::{Backend, assert_unsupported_in_part, backend};

repo_cases![
    every_write_is_told_with_its_keys,
    deletes_that_are_updates,
    an_audit_that_fails_undoes_the_write,
    nobody_hears_of_what_did_not_happen,
    a_plan_that_runs_and_keeps_a_write_is_refused,
];

async fn every_write_is_told_with_its_keys(repo: &impl Repo) {
    create(repo).await;
    let audited = &repo.with_interceptor(Audit);
    let with_id = |id: i64, title: &str| titled(title).set(Note::ID, id);

    let one = audited.insert(with_id(11, "a")).await.unwrap();
    assert_eq!(entries(repo).await, ["insert Insert notes 1 Some([11]) id+title"]);
    assert_eq!(audited.insert_all([with_id(12, "b"), with_id(13, "c")]).await.unwrap(), 2);
    assert_eq!(audited.insert_all_returning([with_id(14, "d")]).await.unwrap().len(), 1);
    let draft = Draft::<Note>::new().set(Note::ID, 15).set_expr(Note::TITLE, emr::functions::lower("E".to_owned()));
    assert_eq!(audited.insert_all([draft]).await.unwrap(), 1);
    assert_eq!(
        entries(repo).await,
        [
            "insert_all Insert notes 2 Some([12, 13]) id+title",
            "insert_all Insert notes 1 Some([14]) id+title",
            "insert_all Insert notes 1 Some([15]) id+title",
        ]
    );
    audited.update(one.change().set(Note::TITLE, "aa").set(Note::EDITOR, "me")).await.unwrap();
    audited.update_all(Note::query().filter(Note::ID.eq(12)).set(Note::TITLE, "bb")).await.unwrap();
    let back: Vec<(String, i64)> = audited
        .update_all_returning(
            Note::query().filter(Note::ID.eq(13)).set(Note::TITLE, "cc").returning((Note::TITLE, Note::ID)),
        )
        .await
        .unwrap();
    assert_eq!(back, [("cc".to_owned(), 13)]);
    let whole: Vec<Note> =
        audited.update_all_returning(Note::query().filter(Note::ID.eq(14)).set(Note::EDITOR, "x")).await.unwrap();
    assert_eq!((whole[0].id, whole[0].editor.as_deref()), (14, Some("x")));
    assert_eq!(
        entries(repo).await,
        [
            "update Update notes 1 Some([11]) title+editor",
            "update_all Update notes 1 Some([12]) title",
            "update_all Update notes 1 Some([13]) title",
            "update_all Update notes 1 Some([14]) editor",
        ]
    );
    let replace = || OnConflict::replace(Note::TITLE).target(Note::ID);
    assert!(audited.upsert(with_id(11, "up"), replace()).await.unwrap().is_updated());
    audited.upsert_all([with_id(12, "up"), with_id(20, "new")], replace()).await.unwrap();
    let copies = Note::query().filter(Note::ID.le(12)).order_by(Note::ID.asc()).select((Note::ID + 100, Note::TITLE));
    assert_eq!(audited.insert_from((Note::ID, Note::TITLE), copies).await.unwrap(), 2);
    let again = Note::query().filter(Note::ID.eq(11)).select((Note::ID, emr::functions::upper(Note::TITLE)));
    let upserted = audited.upsert_from((Note::ID, Note::TITLE), again, replace()).await;
    let told = entries(repo).await;
    assert_eq!(
        told[..4],
        [
            "upsert Update notes 1 Some([11]) title",
            "upsert_all Insert notes 1 Some([20]) id+title",
            "upsert_all Update notes 1 Some([12]) title",
            "insert_from Insert notes 2 Some([111, 112]) id+title",
        ]
    );
    if backend() == Backend::Mariadb {
        // The rows come out of the table that they go into.
        assert_unsupported_in_part(&upserted.unwrap_err());
        assert_eq!(told.len(), 4);
    } else {
        assert_eq!(upserted.unwrap(), 1);
        assert_eq!(told[4..], ["upsert_from Update notes 1 Some([11]) title"]);
    }
    audited.delete(&one).await.unwrap();
    assert!(audited.delete_if_exists(&Note { id: 12, ..one.clone() }).await.unwrap());
    audited.delete_all(Note::query().filter(Note::ID.eq(20))).await.unwrap();
    let gone: Vec<String> =
        audited.delete_all_returning(Note::query().filter(Note::ID.eq(13)).select(Note::TITLE)).await.unwrap();
    assert_eq!(gone, ["cc"]);
    assert_eq!(
        entries(repo).await,
        [
            "delete Delete notes 1 Some([11]) ",
            "delete Delete notes 1 Some([12]) ",
            "delete_all Delete notes 1 Some([20]) ",
            "delete_all Delete notes 1 Some([13]) ",
        ]
    );
    assert_eq!(titles(repo).await, ["d", "e", "up", "up"]);
    // Other tables are not observed.
    audited.insert(Remark::build().set(Remark::TEXT, "x")).await.unwrap();
    assert_eq!(entries(repo).await, [] as [&str; 0]);
}

async fn deletes_that_are_updates(repo: &impl Repo) {
    create(repo).await;
    let (a, b) = (note(repo, "a").await, note(repo, "b").await);
    let audited = &repo.with_interceptor(SoftDelete).with_interceptor(Audit).with_interceptor(Editor("me"));
    audited.delete(&a).await.unwrap();
    assert_eq!(audited.delete_all(Note::query()).await.unwrap(), 1);
    assert_eq!(
        entries(repo).await,
        [
            format!("delete Delete notes 1 Some([{}]) deleted_at+editor", a.id),
            format!("delete_all Delete notes 1 Some([{}]) deleted_at+editor", b.id),
        ]
    );
    assert_eq!(titles(repo).await, ["a", "b"]);
}

async fn an_audit_that_fails_undoes_the_write(repo: &impl Repo) {
    create(repo).await;
    let here = note(repo, "here").await;
    let audited = &repo.with_interceptor(Audit);
    let parent = |title: &str| titled(title).set(Note::PARENT_ID, here.id);
    let failed = [
        audited.insert(parent("x")).await.map(drop),
        audited.insert_all([parent("x"), parent("y")]).await.map(drop),
        audited.upsert(parent("x"), OnConflict::nothing()).await.map(drop),
        audited.update(here.change().set(Note::PARENT_ID, here.id)).await.map(drop),
        audited.update_all(Note::query().set(Note::PARENT_ID, here.id)).await.map(drop),
    ];
    for result in failed {
        let error = result.unwrap_err();
        assert!(error.to_string().contains("no parents"), "{error:?}");
    }
    assert_eq!(repo.all(Note::query()).await.unwrap(), [here]);
    assert_eq!(entries(repo).await, [] as [&str; 0]);
}

async fn a_plan_that_runs_and_keeps_a_write_is_refused(repo: &impl Repo) {
    use emr::ExplainOptions;

    create(repo).await;
    note(repo, "here").await;
    let audited = &repo.with_interceptor(Audit);
    let update = || Note::query().set(Note::TITLE, "changed");
    let kept = ExplainOptions::new().analyze().keep();
    let error = audited.explain_with(update(), kept).await.unwrap_err();
    assert!(error.is_refused(), "{error:?}");
    assert!(!audited.explain(update()).await.unwrap().is_empty());
    assert!(!audited.explain_with(Note::query(), ExplainOptions::new()).await.unwrap().is_empty());
    assert_eq!(titles(repo).await, ["here"]);
    assert_eq!(entries(repo).await, [] as [&str; 0]);
}

async fn nobody_hears_of_what_did_not_happen(repo: &impl Repo) {
    create(repo).await;
    let here = note(repo, "here").await;
    let audited = &repo.with_interceptor(Audit);
    let nobody = || Note::query().filter(Note::TITLE.eq("nobody"));
    assert_eq!(audited.update_all(nobody().set(Note::TITLE, "x")).await.unwrap(), 0);
    assert_eq!(audited.delete_all(nobody()).await.unwrap(), 0);
    let ghost = Note { id: here.id + 50, ..here.clone() };
    assert!(audited.delete(&ghost).await.unwrap_err().is_stale());
    assert!(audited.update(ghost.change().set(Note::TITLE, "x")).await.unwrap_err().is_stale());
    assert!(audited.upsert(here.change(), OnConflict::nothing()).await.unwrap().is_skipped());
    // A transaction that is rolled back takes the audit with it.
    let tx = repo.begin().await.unwrap();
    tx.with_interceptor(Audit).update(here.change().set(Note::TITLE, "x")).await.unwrap();
    assert_eq!(tx.count(super::rules::Entry::query()).await.unwrap(), 1);
    tx.rollback().await.unwrap();
    assert_eq!(entries(repo).await, [] as [&str; 0]);
    assert_eq!(titles(repo).await, ["here"]);
}
