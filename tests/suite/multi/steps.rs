//! What steps do, what they give, and what stays when one fails.

use std::error::Error as StdError;

use emr::Multi;
use emr::prelude::*;

use super::{Track, row, track, tracks};

repo_cases![
    r149_sq23_multi_ok,
    r150_sq24_multi_error,
    sq25_the_first_step_fails,
    every_step_does_what_the_repo_does,
    the_error_of_the_last_step_undoes_all,
];

async fn r149_sq23_multi_ok(repo: &impl Repo) {
    repo.create_table::<Track>().await.unwrap();
    let mut multi = Multi::new();
    let first = multi.insert("first", track("first"));
    let second =
        multi.insert_with("second", move |done| Ok(track("second").set(Track::PARENT_ID, done.get(first)?.id)));

    let mut done = repo.multi(multi).await.unwrap();

    assert_eq!(done.names().collect::<Vec<_>>(), ["first", "second"]);
    let first = done.take(first).unwrap();
    assert_eq!(done.get(second).unwrap().parent_id, Some(first.id));
    let stored = repo.all(Track::query().order_by(Track::ID.asc())).await.unwrap();
    assert_eq!(stored, [first, done.take(second).unwrap()]);
}

async fn r150_sq24_multi_error(repo: &impl Repo) {
    repo.create_table::<Track>().await.unwrap();
    let mut multi = Multi::new();
    let first = multi.insert("first", track("same"));
    multi.insert("second", track("same").unique_constraint(Track::TITLE));
    multi.insert("never", track("other"));

    let failed = repo.multi(multi).await.unwrap_err();

    assert_eq!(failed.step(), Some("second"));
    assert_eq!(failed.error().field_errors().unwrap().messages()["title"], ["has already been taken"]);
    assert_eq!(failed.done().names().collect::<Vec<_>>(), ["first"]);
    assert_eq!(failed.done().get(first).unwrap().title, "same");
    assert_eq!(failed.source().unwrap().to_string(), failed.error().to_string());
    assert!(failed.to_string().contains("\"second\"") && failed.to_string().contains("first before it"), "{failed}");
    assert!(Error::from(failed).is_validation());
    assert_eq!(tracks(repo).await, []);
}

async fn sq25_the_first_step_fails(repo: &impl Repo) {
    repo.create_table::<Track>().await.unwrap();
    let kept = repo.insert(track("kept")).await.unwrap();
    let mut multi = Multi::new();
    multi.insert("first", Track { title: "another".into(), ..kept });
    multi.insert("second", track("second"));

    let failed = repo.multi(multi).await.unwrap_err();

    assert_eq!((failed.step(), failed.done().names().count()), (Some("first"), 0));
    assert!(failed.error().is_unique_violation(), "{failed}");
    assert_eq!(tracks(repo).await, [row("kept", 0)]);
}

async fn every_step_does_what_the_repo_does(repo: &impl Repo) {
    repo.create_table::<Track>().await.unwrap();
    let old = repo.insert(track("old")).await.unwrap();
    let mut multi = Multi::new();
    let three = multi.insert_all("three", ["a", "b", "c"].map(track));
    let more = multi.insert_all_with("more", move |done| {
        let three = *done.get(three)?;
        Ok((0..three).map(|n| track(&format!("m{n}"))).collect())
    });
    let a = multi.one("a", Track::query().filter(Track::TITLE.eq("a")));
    let a = multi.update_with("changed", move |done| {
        let a = done.get(a)?.clone().ok_or_else(|| Error::not_found("tracks"))?;
        Ok(a.into_change().set(Track::PLAYS, 10))
    });
    let again = multi
        .one_with("again", move |done| Ok(Track::query().filter(Track::ID.eq(done.get(a)?.id)).select(Track::PLAYS)));
    let renamed = multi.update("renamed", old.change().set(Track::TITLE, "new"));
    let either = multi.insert_or_update("either", track("either"));
    let both = multi.insert_or_update_with("both", move |done| Ok(done.get(either)?.change().set(Track::PLAYS, 3)));
    let counted = OnConflict::update().inc(Track::PLAYS, 5).target(Track::TITLE);
    let upserted = multi.upsert("upserted", track("b"), counted.clone());
    let upserted_too = multi.upsert_with("upserted too", counted, |_| Ok(track("z")));
    let played = multi.update_all("played", Track::query().filter(Track::TITLE.like("m%")).inc(Track::PLAYS, 1));
    let played_more = multi.update_all_with("played more", move |done| {
        Ok(Track::query().filter(Track::ID.eq(done.get(a)?.id)).inc(Track::PLAYS, 1))
    });
    let gone = multi.delete_all("gone", Track::query().filter(Track::TITLE.eq("c")));
    let gone_too = multi.delete_all_with("gone too", |_| Ok(Track::query().filter(Track::TITLE.eq("m0"))));
    multi.delete("deleted", Changeset::of(Track { id: old.id, ..old.clone() }));
    multi.delete_with("deleted too", move |done| Ok(done.get(both)?.change()));
    let listed = multi.all("listed", Track::query().order_by(Track::TITLE.asc()).select(Track::TITLE));
    let few = multi.all_with("few", |_| Ok(Track::query().filter(Track::PLAYS.gt(10)).select(Track::TITLE)));
    let is_there = multi.exists("is there", Track::query().filter(Track::TITLE.eq("a")));
    let is_gone = multi.exists_with("is gone", |_| Ok(Track::query().filter(Track::TITLE.eq("c"))));
    let number = multi.put("number", 7_u8);
    let ran = multi.run("ran", move |tx, done| {
        Box::pin(async move {
            assert!(tx.in_transaction());
            Ok(tx.count(Track::query()).await? + u64::from(*done.get(number)?))
        })
    });

    let mut done = repo.multi(multi).await.unwrap();

    assert_eq!((done.take(three).unwrap(), done.take(more).unwrap()), (3, 3));
    assert_eq!((done.get(a).unwrap().plays, done.take(again).unwrap()), (10, Some(10)));
    assert_eq!((done.get(renamed).unwrap().title.as_str(), done.get(both).unwrap().plays), ("new", 3));
    assert_eq!(done.get(upserted).unwrap().row().unwrap().plays, 5);
    assert!(done.get(upserted).unwrap().is_updated() && done.get(upserted_too).unwrap().is_inserted());
    assert_eq!((done.take(played).unwrap(), done.take(played_more).unwrap()), (3, 1));
    assert_eq!((done.take(gone).unwrap(), done.take(gone_too).unwrap()), (1, 1));
    assert_eq!(done.take(listed).unwrap(), ["a", "b", "m1", "m2", "z"]);
    assert_eq!(done.take(few).unwrap(), ["a"]);
    assert_eq!((done.take(is_there).unwrap(), done.take(is_gone).unwrap()), (true, false));
    assert_eq!((done.take(ran).unwrap(), done.take(number).unwrap()), (5 + 7, 7));
    assert_eq!(
        tracks(repo).await,
        [row("a", 11), row("b", 5), row("m1", 1), row("m2", 1), row("z", 0)],
        "and the database holds it"
    );
}

async fn the_error_of_the_last_step_undoes_all(repo: &impl Repo) {
    repo.create_table::<Track>().await.unwrap();
    repo.insert(track("before")).await.unwrap();
    let mut multi = Multi::new();
    multi.insert_all("many", (0..100).map(|n| track(&format!("t{n}"))));
    multi.update_all("played", Track::query().inc(Track::PLAYS, 1));
    multi.delete_all("emptied", Track::query().filter(Track::TITLE.eq("before")));
    multi.run::<(), _>("last", |tx, _| {
        Box::pin(async move {
            assert_eq!(tx.count(Track::query()).await?, 100);
            Err(Error::invalid("not like this"))
        })
    });

    let failed = repo.multi(multi).await.unwrap_err();

    assert_eq!((failed.step(), failed.error().to_string().as_str()), (Some("last"), "not like this"));
    assert_eq!(failed.done().names().collect::<Vec<_>>(), ["many", "played", "emptied"]);
    assert_eq!(tracks(repo).await, [row("before", 0)]);
}
