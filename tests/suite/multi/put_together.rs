//! Steps that come from several places.

use std::sync::{Arc, Mutex};

use emr::prelude::*;
use emr::{Multi, MultiStep};

use super::{Track, row, track, tracks};

repo_cases![
    steps_of_others_come_before_and_after,
    merged_steps_are_made_from_results,
    what_is_wrong_with_merged_steps_undoes_all,
    a_look_at_the_results_so_far,
    keys_of_steps_that_do_not_run_here,
];

/// Steps of a part of a program that others build on.
fn insert_parent() -> (Multi, MultiStep<Track>) {
    let mut multi = Multi::new();
    let parent = multi.insert("parent", track("parent"));
    (multi, parent)
}

async fn steps_of_others_come_before_and_after(repo: &impl Repo) {
    repo.create_table::<Track>().await.unwrap();
    let (before, parent) = insert_parent();
    let mut after = Multi::new();
    after.update_all("last", Track::query().inc(Track::PLAYS, 1));
    let mut multi = Multi::new();
    let child = multi.insert_with("child", move |done| Ok(track("child").set(Track::PARENT_ID, done.get(parent)?.id)));
    multi.prepend(before);
    multi.append(after);
    assert_eq!((multi.names().collect::<Vec<_>>(), multi.len()), (vec!["parent", "child", "last"], 3));
    assert_eq!(format!("{multi:?}"), r#"Multi ["parent", "child", "last"]"#);

    let mut done = repo.multi(multi).await.unwrap();

    assert_eq!(done.take(child).unwrap().parent_id, Some(done.take(parent).unwrap().id));
    assert_eq!(tracks(repo).await, [row("child", 1), row("parent", 1)]);
}

async fn merged_steps_are_made_from_results(repo: &impl Repo) {
    repo.create_table::<Track>().await.unwrap();
    let (mut multi, parent) = insert_parent();
    multi.merge("children", move |done| {
        let parent = done.get(parent)?.id;
        let mut children = Multi::new();
        for n in 1..=3 {
            children.insert(format!("child {n}"), track(&format!("c{n}")).set(Track::PARENT_ID, parent));
        }
        Ok(children)
    });
    let count = multi.run("count", |tx, _| Box::pin(async move { tx.count(Track::query()).await }));

    let mut done = repo.multi(multi).await.unwrap();

    assert_eq!(done.names().collect::<Vec<_>>(), ["parent", "child 1", "child 2", "child 3", "count"]);
    let parent = done.take(parent).unwrap().id;
    assert_eq!(done.take(count).unwrap(), 4);
    let children = Track::query().filter(Track::PARENT_ID.eq(parent)).order_by(Track::TITLE.asc()).select(Track::TITLE);
    assert_eq!(repo.all(children).await.unwrap(), ["c1", "c2", "c3"]);
}

async fn what_is_wrong_with_merged_steps_undoes_all(repo: &impl Repo) {
    repo.create_table::<Track>().await.unwrap();
    for (name, of) in [("parent", "done before"), ("later", "still to come"), ("refused", "invalid")] {
        let (mut multi, _) = insert_parent();
        multi.merge("more", move |_| {
            let mut more = Multi::new();
            more.insert("fine", track("fine"));
            let changes = track(of);
            let is_invalid = name == "refused";
            more.insert(name, if is_invalid { changes.add_error(Track::TITLE, "is odd") } else { changes });
            Ok(more)
        });
        multi.insert("later", track("later"));

        let failed = repo.multi(multi).await.unwrap_err();

        assert_eq!(failed.step(), Some(name), "{of}");
        assert_eq!(failed.done().names().collect::<Vec<_>>(), ["parent"], "{of}: nothing of it ran");
        assert_eq!(tracks(repo).await, [], "{of}");
    }
    let (mut multi, _) = insert_parent();
    multi.merge("more", |_| Err(Error::invalid("no more")));
    let failed = repo.multi(multi).await.unwrap_err();
    assert_eq!((failed.step(), failed.error().to_string().as_str()), (Some("more"), "no more"));
    assert_eq!(tracks(repo).await, []);
}

async fn a_look_at_the_results_so_far(repo: &impl Repo) {
    repo.create_table::<Track>().await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (mut multi, parent) = insert_parent();
    let log = Arc::clone(&seen);
    multi.inspect(move |done| log.lock().unwrap().push(done.get(parent).unwrap().title.clone()));
    let log = Arc::clone(&seen);
    multi.insert("last", track("last"));
    multi.inspect(move |done| log.lock().unwrap().extend(done.names().map(str::to_owned)));
    repo.multi(multi).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["parent", "parent", "last"]);
    assert_eq!(tracks(repo).await, [row("last", 0), row("parent", 0)]);
}

async fn keys_of_steps_that_do_not_run_here(repo: &impl Repo) {
    repo.create_table::<Track>().await.unwrap();
    let (_, stranger) = insert_parent();
    let (mut multi, parent) = insert_parent();
    multi.insert_with("child", move |done| Ok(track("child").set(Track::PARENT_ID, done.get(stranger)?.id)));
    let failed = repo.multi(multi).await.unwrap_err();
    assert_eq!(failed.step(), Some("child"));
    assert!(matches!(failed.error().kind(), ErrorKind::InvalidCall { .. }), "{failed:?}");
    assert!(failed.done().get(parent).is_ok());
    assert_eq!(tracks(repo).await, []);
}
