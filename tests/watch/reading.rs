//! What is told of a change, and how it is grouped.

use std::time::Duration;

use emr::Value;
use emr::prelude::*;
use emr::watch::{Item, Op, ResyncReason, Start, WatchFault, WatcherSpec};

use crate::harness::Db;
use crate::{
    Comment, Person, Post, PostTag, Tag, installed, int, next_event, next_item, next_txn, nothing_before, posts_set,
    set, text, watched_posts,
};

db_cases! {
    changes_carry_old_and_new_values,
    a_commit_is_seen_whole_and_in_order,
    cs10_what_is_rolled_back_is_not_seen,
    cs20_a_changed_key_is_told_with_the_old_one,
    cs21_a_moved_row_tells_both_owners,
    cs26_an_update_that_changes_nothing_is_not_told,
    cs27_a_row_that_comes_and_goes_in_one_commit,
    reading_goes_on_after_a_token,
    cs15_what_was_not_acknowledged_comes_again,
    a_consumer_is_taken_over_and_the_old_one_fenced,
    origins_travel_with_commits,
    progress_comes_while_nothing_changes,
    associations_are_watched_with_their_keys,
    ew29_trigger_columns_choose_updates,
    ew01_a_stopped_repo_ends_its_changes,
    cs34_two_applications_do_not_touch_each_other,
    ew03_ew05_ew06_bad_sets_are_refused,
    foreign_and_malformed_tokens,
    what_is_not_installed_says_so,
}

async fn changes_carry_old_and_new_values(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    let post = db.repo.insert(Post::build().set(Post::TITLE, "Héllo \"x\"")).await.unwrap();
    let event = next_event(&mut changes).await;
    assert_eq!((event.op(), event.table(), int(&event, "id")), (Op::Insert, "posts", post.id));
    assert_eq!(text(&event, "title"), "Héllo \"x\"");
    assert_eq!(event.value("person_id"), Some(&Value::Null(emr::SqlType::I64)));
    assert!(event.old().is_none() && event.is_of(Post::schema()) && event.has_label("posts"));

    let post = db.repo.update(post.change().set(Post::TITLE, "Hi").set(Post::PERSON_ID, i64::MAX)).await.unwrap();
    let event = next_event(&mut changes).await;
    assert_eq!((event.op(), int(&event, "person_id")), (Op::Update, i64::MAX));
    assert_eq!(event.old_value("title"), Some(&Value::Text("Héllo \"x\"".into())));
    assert_eq!(event.changed().collect::<Vec<_>>(), ["title", "person_id"]);
    assert!(!event.moved());

    db.repo.delete(&post).await.unwrap();
    let event = next_event(&mut changes).await;
    assert_eq!((event.op(), int(&event, "id"), text(&event, "title")), (Op::Delete, post.id, "Hi".to_owned()));
    assert!(event.new_values().is_none());
}

async fn a_commit_is_seen_whole_and_in_order(db: &Db) {
    let (watcher, mut changes) = watched_posts(db).await;
    let exact = watcher.caps().grouping == emr::watch::Grouping::Exact;
    for round in 0..3 {
        db.repo
            .transaction(async |tx| {
                for n in 0..5 {
                    tx.insert(Post::build().set(Post::TITLE, format!("{round}.{n}"))).await?;
                }
                Ok(())
            })
            .await
            .unwrap();
    }
    let mut titles = Vec::new();
    while titles.len() < 15 {
        let txn = next_txn(&mut changes).await;
        assert_eq!(txn.changes.len() % 5, 0, "a commit was split: {txn:?}");
        assert!(!exact || txn.changes.len() == 5, "commits were put together: {txn:?}");
        titles.extend(txn.changes.iter().map(|event| text(event, "title")));
    }
    let expected: Vec<_> = (0..3).flat_map(|round| (0..5).map(move |n| format!("{round}.{n}"))).collect();
    assert_eq!(titles, expected);
}

async fn cs10_what_is_rolled_back_is_not_seen(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    let tx = db.repo.begin().await.unwrap();
    tx.insert(Post::build().set(Post::TITLE, "never")).await.unwrap();
    tx.rollback().await.unwrap();
    let tx = db.repo.begin().await.unwrap();
    tx.insert(Post::build().set(Post::TITLE, "kept")).await.unwrap();
    let inner = tx.begin().await.unwrap();
    inner.insert(Post::build().set(Post::TITLE, "undone")).await.unwrap();
    inner.rollback().await.unwrap();
    let failed = tx.begin().await.unwrap();
    assert!(failed.query("select no_such_column from posts", &[]).await.is_err());
    failed.rollback().await.unwrap();
    tx.insert(Post::build().set(Post::TITLE, "too")).await.unwrap();
    tx.commit().await.unwrap();
    let txn = next_txn(&mut changes).await;
    assert_eq!(txn.changes.iter().map(|event| text(event, "title")).collect::<Vec<_>>(), ["kept", "too"]);
    nothing_before(&mut changes, &db.repo, "last").await;
}

async fn cs20_a_changed_key_is_told_with_the_old_one(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    let post = db.repo.insert(Post::build().set(Post::TITLE, "t")).await.unwrap();
    next_event(&mut changes).await;
    db.repo.query("update posts set id = id + 1000", &[]).await.unwrap();
    let event = next_event(&mut changes).await;
    assert!(event.moved() && event.op() == Op::Update);
    assert_eq!(event.old_key(), Some(&[Some(Value::I64(post.id))][..]));
    assert_eq!(event.key(), Some(&[Some(Value::I64(post.id + 1000))][..]));
}

async fn cs21_a_moved_row_tells_both_owners(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    let post = db.repo.insert(Post::build().set(Post::TITLE, "t").set(Post::PERSON_ID, 1)).await.unwrap();
    next_event(&mut changes).await;
    db.repo.update(post.change().set(Post::PERSON_ID, 2)).await.unwrap();
    let event = next_event(&mut changes).await;
    assert_eq!(event.old_value("person_id"), Some(&Value::I64(1)));
    assert_eq!(event.value("person_id"), Some(&Value::I64(2)));
}

async fn cs26_an_update_that_changes_nothing_is_not_told(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    db.repo.insert(Post::build().set(Post::TITLE, "t")).await.unwrap();
    next_event(&mut changes).await;
    db.repo.query("update posts set title = title", &[]).await.unwrap();
    nothing_before(&mut changes, &db.repo, "next").await;
}

async fn cs27_a_row_that_comes_and_goes_in_one_commit(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    db.repo
        .transaction(async |tx| {
            let post = tx.insert(Post::build().set(Post::TITLE, "brief")).await?;
            tx.delete(&post).await.map(drop)
        })
        .await
        .unwrap();
    let txn = next_txn(&mut changes).await;
    assert_eq!(txn.changes.iter().map(emr::watch::Event::op).collect::<Vec<_>>(), [Op::Insert, Op::Delete]);
}

async fn reading_goes_on_after_a_token(db: &Db) {
    let (watcher, mut changes) = watched_posts(db).await;
    db.repo.insert(Post::build().set(Post::TITLE, "seen")).await.unwrap();
    let seen = next_txn(&mut changes).await;
    drop(changes);
    for title in ["one", "two"] {
        db.repo.insert(Post::build().set(Post::TITLE, title)).await.unwrap();
    }
    // As a program would that keeps it as text.
    let token = seen.token.to_string().parse().unwrap();
    let mut changes = watcher.changes(Start::After(token)).await.unwrap();
    let mut titles = Vec::new();
    while titles.len() < 2 {
        titles.extend(next_txn(&mut changes).await.changes.iter().map(|event| text(event, "title")));
    }
    assert_eq!(titles, ["one", "two"]);
    let head = watcher.head().await.unwrap();
    let mut after = watcher.changes(Start::After(head)).await.unwrap();
    nothing_before(&mut after, &db.repo, "after the head").await;
}

async fn cs15_what_was_not_acknowledged_comes_again(db: &Db) {
    let (watcher, changes) = watched_posts(db).await;
    drop(changes);
    let mut changes = watcher.changes(Start::consumer("it's \"mine\"")).await.unwrap();
    let new = next_item(&mut changes).await;
    assert!(matches!(new, Item::Resync { reason: ResyncReason::NewConsumer, .. }), "{new:?}");
    db.repo.insert(Post::build().set(Post::TITLE, "done")).await.unwrap();
    let done = next_txn(&mut changes).await;
    changes.ack(&done.token).await.unwrap();
    db.repo.insert(Post::build().set(Post::TITLE, "not done")).await.unwrap();
    assert_eq!(text(&next_event(&mut changes).await, "title"), "not done");
    drop(changes);
    let mut changes = watcher.changes(Start::consumer("it's \"mine\"")).await.unwrap();
    assert_eq!(text(&next_event(&mut changes).await, "title"), "not done");
}

async fn a_consumer_is_taken_over_and_the_old_one_fenced(db: &Db) {
    let (watcher, mut none) = watched_posts(db).await;
    let old = watcher.changes(Start::consumer("worker")).await.unwrap();
    let new = watcher.changes(Start::consumer("worker")).await.unwrap();
    let token = watcher.head().await.unwrap();
    let fenced = old.ack(&token).await.unwrap_err();
    assert!(matches!(fenced.watch_fault(), Some(WatchFault::Fenced { consumer }) if consumer == "worker"), "{fenced}");
    new.ack(&token).await.unwrap();
    let error = none.ack(&token).await.unwrap_err();
    assert_eq!(error.watch_fault(), Some(&WatchFault::NoConsumer));
    nothing_before(&mut none, &db.repo, "still reading").await;
}

async fn origins_travel_with_commits(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    let mine = db.repo.with_origin("tab-7 'é\\'");
    mine.insert(Post::build().set(Post::TITLE, "a")).await.unwrap();
    assert_eq!(next_txn(&mut changes).await.origin.as_deref(), Some("tab-7 'é\\'"));
    db.repo.insert(Post::build().set(Post::TITLE, "b")).await.unwrap();
    assert_eq!(next_txn(&mut changes).await.origin, None);
    mine.transaction(async |tx| {
        tx.insert(Post::build().set(Post::TITLE, "c")).await?;
        tx.update_all(Post::query().filter(Post::TITLE.eq("c")).set(Post::TITLE, "d")).await.map(drop)
    })
    .await
    .unwrap();
    assert_eq!(next_txn(&mut changes).await.origin.as_deref(), Some("tab-7 'é\\'"));
    let refused = db.repo.with_origin("").insert(Post::build().set(Post::TITLE, "e")).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::InvalidCall { .. }), "{refused}");
}

async fn progress_comes_while_nothing_changes(db: &Db) {
    let (_watcher, mut changes) = watched_posts(db).await;
    let mut tokens = 0;
    while tokens < 3 {
        let item = tokio::time::timeout(Duration::from_secs(20), changes.recv()).await.expect("progress");
        match item.unwrap().unwrap() {
            Item::Progress { lag, .. } => {
                assert_eq!(lag, Duration::ZERO);
                tokens += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    let health = changes.health();
    assert!(health.connected && health.last_error.is_none());
    assert!(health.progress_age < Duration::from_secs(10), "{health:?}");
}

async fn associations_are_watched_with_their_keys(db: &Db) {
    db.repo.create_table::<Person>().await.unwrap();
    db.repo.create_table::<Post>().await.unwrap();
    db.repo.create_table::<Comment>().await.unwrap();
    db.repo.create_table::<Tag>().await.unwrap();
    db.repo.create_table::<PostTag>().await.unwrap();
    let set = set(db).watch(Post::watch().assocs((Post::PERSON, Post::COMMENTS, Post::TAGS)));
    let watcher = installed(db, &set).await;
    assert!(watcher.covers(Comment::schema(), &["id", "post_id"]));
    assert!(watcher.covers(PostTag::schema(), &["post_id", "tag_id"]));
    assert!(watcher.covers(Post::schema(), &["id", "person_id"]));
    assert!(!watcher.covers(Post::schema(), &["title"]));
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    db.repo.query("insert into post_tags (post_id, tag_id) values (4, 5)", &[]).await.unwrap();
    let event = next_event(&mut changes).await;
    assert!(event.is_of(PostTag::schema()));
    assert_eq!(event.key(), Some(&[Some(Value::I64(4)), Some(Value::I64(5))][..]));
    db.repo.insert(Comment::build().set(Comment::POST_ID, 9).set(Comment::BODY, "b")).await.unwrap();
    let event = next_event(&mut changes).await;
    assert_eq!((event.table(), int(&event, "post_id")), ("comments", 9));
}

async fn ew29_trigger_columns_choose_updates(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let set = set(db).watch(Post::watch().label("titles").trigger_columns(Post::TITLE));
    let watcher = installed(db, &set).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    let post = db.repo.insert(Post::build().set(Post::TITLE, "a")).await.unwrap();
    assert!(next_event(&mut changes).await.has_label("titles"));
    let post = db.repo.update(post.change().set(Post::PERSON_ID, 3)).await.unwrap();
    db.repo.update(post.change().set(Post::TITLE, "b")).await.unwrap();
    let event = next_event(&mut changes).await;
    assert_eq!((event.op(), text(&event, "title")), (Op::Update, "b".to_owned()));
}

async fn ew01_a_stopped_repo_ends_its_changes(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let other = db.other().await;
    let watcher = other.watcher(&posts_set(db)).unwrap();
    watcher.install().await.unwrap();
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    assert_eq!(other.stats().running, 1, "a watcher keeps its repo from being idle");
    let cut = tokio::time::timeout(Duration::from_secs(20), other.stop(Duration::from_secs(10))).await.unwrap();
    assert_eq!(cut, 0, "the reader ends by itself");
    let end = loop {
        match changes.recv().await {
            Some(Ok(_)) => {}
            other => break other,
        }
    };
    assert!(end.expect("an error first").unwrap_err().is_stopped());
    assert!(changes.recv().await.is_none());
    assert!(watcher.head().await.unwrap_err().is_stopped());
}

async fn cs34_two_applications_do_not_touch_each_other(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let one = installed(db, &posts_set(db)).await;
    let two = installed(db, &posts_set(db).application(db.application("other"))).await;
    let (mut of_one, mut of_two) = (one.changes(Start::Now).await.unwrap(), two.changes(Start::Now).await.unwrap());
    db.repo.insert(Post::build().set(Post::TITLE, "both")).await.unwrap();
    assert_eq!(text(&next_event(&mut of_one).await, "title"), "both");
    assert_eq!(text(&next_event(&mut of_two).await, "title"), "both");
    drop(of_one);
    assert!(!one.uninstall().await.unwrap().is_empty());
    nothing_before(&mut of_two, &db.repo, "only the other").await;
    assert!(two.verify().await.unwrap().is_empty());
    assert!(!one.verify().await.unwrap().is_empty());
    assert!(one.uninstall().await.unwrap().is_empty(), "there is nothing left to remove");
}

async fn ew03_ew05_ew06_bad_sets_are_refused(db: &Db) {
    let refused = |set: emr::watch::WatchSet| db.repo.watcher(&set).expect_err("a refusal");
    let fault = |set| refused(set).watch_fault().cloned().expect("a fault of the watcher");
    let labelled = |label: &str| WatcherSpec::table("t").label(label.to_owned());
    assert!(
        matches!(fault(set(db).watch(labelled("a")).watch(labelled("a"))), WatchFault::DuplicateLabel { label } if label == "a")
    );
    assert!(
        matches!(fault(set(db).watch(labelled(&"é".repeat(150)))), WatchFault::BadLabel { problem, .. } if problem.contains("300 bytes"))
    );
    assert!(matches!(fault(set(db).watch(labelled(""))), WatchFault::BadLabel { .. }));
    assert!(matches!(fault(set(db).watch(labelled("a\nb"))), WatchFault::BadLabel { .. }));
    assert!(matches!(fault(set(db).watch(WatcherSpec::table("t"))), WatchFault::LabelRequired { .. }));
    assert!(matches!(
        fault(set(db).watch(Post::watch().trigger_columns(Post::TITLE))),
        WatchFault::LabelRequired { .. }
    ));
    let unknown = fault(set(db).watch(WatcherSpec::schema(Post::schema()).extra_columns(["nope"])));
    assert!(
        matches!(&unknown, WatchFault::UnknownColumn { column, known, .. } if column == "nope" && known.len() == 3),
        "{unknown}"
    );
    let trigger = WatcherSpec::schema(Post::schema()).label("l").trigger_columns(["title", "nix", "nope"]);
    assert!(matches!(fault(set(db).watch(trigger)), WatchFault::UnknownColumn { column, .. } if column == "nix"));
    assert!(matches!(fault(set(db).application("")), WatchFault::BadSetting { .. }));
    assert!(matches!(fault(set(db).heartbeat(Duration::ZERO)), WatchFault::BadSetting { .. }));
    assert!(matches!(fault(set(db).max_events(0)), WatchFault::BadSetting { .. }));
    let odd = db.repo.watcher(&set(db).watch(labelled("it's \"odd\" `]"))).unwrap();
    assert!(odd.details("it's \"odd\" `]").is_ok());
    let error = odd.details("none").unwrap_err();
    assert!(matches!(error.watch_fault(), Some(WatchFault::UnknownLabel { known, .. }) if known.len() == 1));

    let asked = async |spec: WatcherSpec| {
        let watcher = db.repo.watcher(&set(db).watch(spec)).unwrap();
        let planned = watcher.plan().await.expect_err("a refusal").watch_fault().cloned().expect("a fault");
        let installed = watcher.install().await.expect_err("a refusal").watch_fault().cloned().expect("a fault");
        assert_eq!(planned, installed);
        planned
    };
    assert!(
        matches!(asked(WatcherSpec::table("no such \"table\"").label("x")).await, WatchFault::UnknownTable { table } if table.contains("no such"))
    );
    db.repo
        .script("create table keyless (n integer); create table t (id integer primary key, a integer)")
        .await
        .unwrap();
    assert!(matches!(asked(WatcherSpec::table("keyless").label("x")).await, WatchFault::NoPrimaryKey { .. }));
    assert!(
        matches!(asked(WatcherSpec::table("t").label("x").extra_columns(["b"])).await, WatchFault::UnknownColumn { column, .. } if column == "b")
    );
    assert!(
        matches!(asked(WatcherSpec::table("t").label("x").keys(["zz"])).await, WatchFault::UnknownColumn { column, .. } if column == "zz")
    );
    db.repo.script("create view v as select * from t").await.unwrap();
    assert!(
        matches!(asked(WatcherSpec::table("v").label("x")).await, WatchFault::NoTable { found, .. } if found.contains("view"))
    );
}

async fn foreign_and_malformed_tokens(db: &Db) {
    let (watcher, _changes) = watched_posts(db).await;
    for text in ["", "x", "emr1:postgres:ab", "emr1:oracle:ab:1", "emr2:postgres:ab:1", "emr1:postgres::1:1:"] {
        let error = text.parse::<emr::watch::Token>().expect_err(text);
        assert!(matches!(error.watch_fault(), Some(WatchFault::BadToken { .. })), "{error}");
    }
    let error = watcher.changes(Start::After("emr1:mssql:ab:1".parse().unwrap())).await.unwrap_err();
    assert!(matches!(error.watch_fault(), Some(WatchFault::ForeignToken { .. })), "{error}");
    // Of this backend, and of another log.
    let head = watcher.head().await.unwrap();
    let other = head.to_string().replace(&**head.identity(), "0123456789abcdef");
    let mut changes = watcher.changes(Start::After(other.parse().unwrap())).await.unwrap();
    let item = next_item(&mut changes).await;
    assert!(matches!(item, Item::Resync { reason: ResyncReason::OtherDatabase, .. }), "{item:?}");
    nothing_before(&mut changes, &db.repo, "goes on").await;
    let scrambled = format!("emr1:{}:{}:zz", head.backend(), head.identity());
    let error = watcher.changes(Start::After(scrambled.parse().unwrap())).await.unwrap_err();
    assert!(matches!(error.watch_fault(), Some(WatchFault::BadToken { .. })), "{error}");
}

async fn what_is_not_installed_says_so(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let watcher = db.repo.watcher(&posts_set(db)).unwrap();
    let not_installed =
        |error: emr::Error| assert!(matches!(error.watch_fault(), Some(WatchFault::NotInstalled { .. })), "{error}");
    not_installed(watcher.changes(Start::Now).await.unwrap_err());
    not_installed(watcher.head().await.unwrap_err());
    assert!(!watcher.verify().await.unwrap().is_empty());
    assert!(watcher.uninstall().await.unwrap().is_empty());
    db.repo.create_table::<Comment>().await.unwrap();
    watcher.install().await.unwrap();
    assert!(watcher.install().await.unwrap().changed.is_empty(), "the second time, all is there");
    let more = db.repo.watcher(&posts_set(db).watch(Comment::watch())).unwrap();
    not_installed(more.changes(Start::Now).await.unwrap_err());
}
