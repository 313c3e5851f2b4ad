//! The list of reliability that the project started from (36 to 44), and input that is wrong.

use emr::SyncFault;
use emr::prelude::*;
use emr::sync::{LocalTransport, conformance, label, row, rows};
use emr::watch::{Start, WatchFault};

use crate::harness::{Db, sent};
use crate::models::{Person, Post, Tag, make_tables};
use crate::{Duration, Sync, builder, catch_up, changes, drain, person, post, settle, started, watching};

db_cases![
    cs36_a_slow_subscriber_gets_one_resync_and_others_nothing_of_it,
    cs37_a_herd_loads_a_row_once,
    cs37_a_failed_load_is_nobody_elses,
    cs38_what_changes_while_it_loads_is_not_lost,
    cs39_a_row_that_is_gone_before_it_is_loaded,
    cs40_what_is_loaded_is_never_older_than_its_commit,
    cs41_own_writes_are_known_by_their_origin,
    cs42_a_list_with_filter_order_and_limit,
    cs43_nothing_is_missed_between_subscribing_and_the_first_write,
    cs44_nothing_is_left_of_dropped_subscriptions,
    a_resync_of_the_watcher_reaches_everybody,
    the_last_state_takes_the_place_of_what_waits,
    a_schema_that_is_not_watched_is_refused,
    an_association_that_is_not_covered_is_refused,
    associations_that_are_not_loaded_stay_so,
    an_item_of_another_instance_is_refused,
    a_mailbox_of_size_zero_is_refused,
    a_label_that_nobody_watches_is_refused,
    a_query_that_cannot_be_followed_is_refused,
    a_commit_that_is_too_large_is_a_resync,
    the_transport_keeps_its_promises,
    an_instance_ends_with_its_repo,
];

async fn cs36_a_slow_subscriber_gets_one_resync_and_others_nothing_of_it(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let mut slow = sync.subscribe(rows::<Post>()).mailbox(2).await.expect("an inbox");
    let mut quick = sync.subscribe(rows::<Post>()).await.expect("an inbox");
    let mut held = sync.load(Post::query()).await.expect("posts");
    for n in 0..6 {
        post(repo, &n.to_string(), None).await;
        settle(&sync).await;
    }
    let items = drain(&sync, &mut slow).await;
    assert_eq!(items.len(), 1, "{items:?}");
    assert!(items[0].resync().is_some_and(|reason| reason.contains("full")));
    let others = drain(&sync, &mut quick).await;
    assert_eq!((changes(&others), others.iter().filter(|item| item.resync().is_some()).count()), (6, 0));

    // A list does not know which rows came; a query does.
    let error = sync.apply(&mut Vec::<Post>::new(), &items[0]).await.expect_err("a refusal");
    assert!(matches!(error.sync_fault(), Some(SyncFault::Resync { .. })), "{error}");
    sync.apply(&mut held, &items[0]).await.expect("it is loaded anew");
    assert_eq!(held.len(), 6);
    post(repo, "more", None).await;
    assert_eq!(changes(&drain(&sync, &mut slow).await), 1, "it goes on");
}

async fn cs37_a_herd_loads_a_row_once(db: &Db) {
    make_tables(db).await;
    let (repo, instrument) = db.instrumented().await;
    let application = db.application("sync");
    let builder =
        Sync::builder(&repo).settings(move |set| set.application(application).heartbeat(Duration::from_secs(20)));
    let sync = watching(builder).start().await.expect("an instance");
    let one = post(&db.repo, "one", None).await;
    let mut inboxes = Vec::new();
    settle(&sync).await;
    for _ in 0..200 {
        inboxes.push(sync.subscribe(&one).await.expect("an inbox"));
    }
    db.repo.update(one.change().set(Post::NAME, "uno")).await.expect("an update");
    settle(&sync).await;
    sent(&instrument);
    let mut tasks = Vec::new();
    for mut inbox in inboxes {
        let (sync, mut value) = (sync.clone(), one.clone());
        tasks.push(tokio::spawn(async move {
            let item = inbox.recv().await.expect("an item").expect("no error");
            sync.apply(&mut value, &item).await.expect("it is applied");
            value.name
        }));
    }
    for task in tasks {
        assert_eq!(task.await.expect("a task"), "uno");
    }
    let loads = sent(&instrument).iter().filter(|one| one.text.to_lowercase().contains("from \"posts\"")).count();
    assert_eq!(loads, 1);
    repo.stop(Duration::ZERO).await;
}

async fn cs37_a_failed_load_is_nobody_elses(db: &Db) {
    let sync = started(db).await;
    let one = post(&db.repo, "one", None).await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(&one).await.expect("an inbox");
    db.repo.update(one.change().set(Post::NAME, "uno")).await.expect("an update");
    let items = drain(&sync, &mut inbox).await;
    db.repo.script("alter table posts rename to elsewhere").await.expect("the table is away");
    let mut value = one.clone();
    assert!(sync.apply(&mut value, &items[0]).await.is_err());
    assert_eq!(value, one);
    db.repo.script("alter table elsewhere rename to posts").await.expect("the table is back");
    sync.apply(&mut value, &items[0]).await.expect("the error was not kept");
    assert_eq!(value.name, "uno");
    // One that is dropped half way hands over.
    db.repo.update(value.change().set(Post::NAME, "due")).await.expect("an update");
    let items = drain(&sync, &mut inbox).await;
    {
        let mut dropped = value.clone();
        let mut applying = Box::pin(async { sync.apply(&mut dropped, &items[0]).await });
        let _ = futures_util::poll!(applying.as_mut());
    }
    sync.apply(&mut value, &items[0]).await.expect("another takes over");
    assert_eq!(value.name, "due");
}

async fn cs38_what_changes_while_it_loads_is_not_lost(db: &Db) {
    let sync = started(db).await;
    let mut one = post(&db.repo, "0", None).await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(&one).await.expect("an inbox");
    let writer = {
        let (repo, mut row) = (db.repo.clone(), one.clone());
        tokio::spawn(async move {
            for n in 1..=100 {
                row = repo.update(row.change().set(Post::NAME, n.to_string())).await.expect("an update");
            }
        })
    };
    while one.name != "100" {
        let item = tokio::time::timeout(Duration::from_secs(20), inbox.recv()).await.expect("in time");
        sync.apply(&mut one, &item.expect("an item").expect("no error")).await.expect("it is applied");
    }
    writer.await.expect("the writer");
    catch_up(&sync, &mut inbox, &mut one).await;
    assert_eq!(one.name, "100");
}

async fn cs39_a_row_that_is_gone_before_it_is_loaded(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let ada = person(repo, "ada").await;
    let mut hers = ada.clone();
    repo.preload(&mut hers, Person::POSTS).await.expect("posts");
    settle(&sync).await;
    let mut inbox = sync.subscribe(rows::<Post>()).await.expect("an inbox");
    let mut nested = sync.subscribe(&hers).assocs(Person::POSTS).await.expect("an inbox");
    let one = post(repo, "one", Some(&ada)).await;
    settle(&sync).await;
    let one = repo.update(one.change().set(Post::NAME, "uno")).await.expect("an update");
    settle(&sync).await;
    repo.delete(&one).await.expect("a delete");
    let items = drain(&sync, &mut inbox).await;
    let (mut list, mut perhaps) = (Vec::<Post>::new(), Some(one.clone()));
    sync.apply(&mut list, &items[0]).await.expect("it counts as deleted");
    sync.apply(&mut perhaps, &items[0]).await.expect("it counts as deleted");
    assert_eq!((list.len(), perhaps), (0, None));
    let event = items[0].changes().next().expect("a change");
    assert_eq!(sync.get::<Post>(&items[0], event).await.expect("no error"), None);
    catch_up(&sync, &mut nested, &mut hers).await;
    assert!(hers.posts.get().unwrap().is_empty());
}

async fn cs40_what_is_loaded_is_never_older_than_its_commit(db: &Db) {
    let sync = started(db).await;
    let one = post(&db.repo, "0", None).await;
    let mut inbox = sync.subscribe(row::<Post>(one.id)).await.expect("an inbox");
    let (mut row, mut last) = (one, 0);
    for n in 1..=50 {
        row = db.repo.update(row.change().set(Post::NAME, n.to_string())).await.expect("an update");
        let item = inbox.recv().await.expect("an item").expect("no error");
        let event = item.changes().last().expect("a change");
        let seen = sync.get::<Post>(&item, event).await.expect("no error").expect("a post");
        let seen: i64 = seen.name.parse().expect("a number");
        assert!(seen >= last.max(1) && seen <= n, "{seen} after {last} of {n}");
        last = seen;
    }
    settle(&sync).await;
    if let Some(item) = inbox.try_recv() {
        let item = item.expect("no error");
        let event = item.changes().last().expect("a change");
        last = sync.get::<Post>(&item, event).await.expect("no error").expect("a post").name.parse().expect("a number");
    }
    assert_eq!(last, 50);
}

async fn cs41_own_writes_are_known_by_their_origin(db: &Db) {
    let sync = started(db).await;
    let mine = db.repo.with_origin("me");
    let mut all = sync.subscribe(rows::<Post>()).await.expect("an inbox");
    let mut others = sync.subscribe(rows::<Post>()).skip_origin("me").await.expect("an inbox");
    let new = |name: &str| Post::build().set(Post::NAME, name);
    mine.insert(new("mine")).await.expect("a post");
    settle(&sync).await;
    // A rollback counts nothing, and neither does an interleaved writer.
    let tx = mine.begin().await.expect("a transaction");
    tx.insert(new("never")).await.expect("a post");
    tx.rollback().await.expect("a rollback");
    post(&db.repo, "theirs", None).await;
    settle(&sync).await;
    mine.insert(new("mine again")).await.expect("a post");
    settle(&sync).await;
    let items = drain(&sync, &mut all).await;
    let from: Vec<_> = items.iter().map(|item| item.origin().map(str::to_owned)).collect();
    assert_eq!(from, [Some("me".to_owned()), None, Some("me".to_owned())]);
    assert!(items[0].is_from("me") && !items[1].is_from("me"));
    assert_eq!(changes(&drain(&sync, &mut others).await), 1);
}

async fn cs42_a_list_with_filter_order_and_limit(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    for name in ["b", "d", "f", "h"] {
        post(repo, name, None).await;
    }
    settle(&sync).await;
    let query = Post::query().filter(Post::NAME.lt("y")).order_by(Post::NAME.asc()).limit(3);
    let mut held = sync.load(&query).await.expect("posts");
    let mut inbox = sync.subscribe(&held).await.expect("an inbox");
    let names = |held: &emr::sync::Synced<Post>| held.iter().map(|post| post.name.clone()).collect::<Vec<_>>();
    // Enters, leaves, is filled up, moves, and stays outside.
    for (name, then, expected) in [
        ("h", "a", ["a", "b", "d"]),
        ("b", "z", ["a", "d", "f"]),
        ("a", "e", ["d", "e", "f"]),
        ("z", "x", ["d", "e", "f"]),
        ("f", "zz", ["d", "e", "x"]),
    ] {
        let post = repo.fetch_by::<Post>(Post::NAME.eq(name)).await.expect("a post");
        repo.update(post.change().set(Post::NAME, then)).await.expect("an update");
        catch_up(&sync, &mut inbox, &mut held).await;
        assert_eq!(names(&held), expected);
    }
}

async fn cs43_nothing_is_missed_between_subscribing_and_the_first_write(db: &Db) {
    let sync = started(db).await;
    for n in 0..30 {
        let mut inbox = sync.subscribe(rows::<Post>()).await.expect("an inbox");
        let new = post(&db.repo, &n.to_string(), None).await;
        let item = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let item = inbox.recv().await.expect("an item").expect("no error");
                if item.changes().any(|event| event.value("id") == Some(&emr::Value::I64(new.id))) {
                    return item;
                }
            }
        });
        item.await.expect("it comes");
        // Loaded first, changed, and subscribed to then.
        let mut held = sync.load(Post::query()).await.expect("posts");
        post(&db.repo, "between", None).await;
        settle(&sync).await;
        let mut late = sync.subscribe(&held).await.expect("an inbox");
        catch_up(&sync, &mut late, &mut held).await;
        assert_eq!(held.len() as u64, db.repo.count(Post::query()).await.expect("a count"));
    }
}

async fn cs44_nothing_is_left_of_dropped_subscriptions(db: &Db) {
    let sync = started(db).await;
    let mut ada = person(&db.repo, "ada").await;
    post(&db.repo, "one", Some(&ada)).await;
    db.repo.preload(&mut ada, Person::POSTS).await.expect("posts");
    for n in 0..100_000 {
        let inbox = sync.subscribe(&ada).assocs(Person::POSTS.chain(Post::TAGS)).await.expect("an inbox");
        if n % 2 == 0 {
            assert!(inbox.unsubscribe(&ada).expect("it is watched"));
        }
    }
    assert_eq!((sync.stats().entries, sync.stats().inboxes), (0, 0));
}

async fn a_resync_of_the_watcher_reaches_everybody(db: &Db) {
    let sync = started(db).await;
    let mut held = sync.load(Post::query()).await.expect("posts");
    let mut inbox = sync.subscribe(&held).await.expect("an inbox");
    let removed = sync.watcher().uninstall().await.expect("the triggers are gone");
    assert!(!removed.is_empty());
    post(&db.repo, "unseen", None).await;
    sync.watcher().install().await.expect("the triggers are back");
    let item = tokio::time::timeout(Duration::from_mins(1), inbox.recv()).await.expect("in time").expect("an item");
    match item {
        Ok(item) => {
            assert!(item.resync().is_some(), "{item:?}");
            sync.apply(&mut held, &item).await.expect("it is loaded anew");
            assert_eq!(held.len(), 1);
        }
        // A log that is gone ends the reading: that is told as well.
        Err(error) => assert!(error.watch_fault().is_some(), "{error}"),
    }
}

async fn the_last_state_takes_the_place_of_what_waits(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let mut posts = vec![post(repo, "0", None).await];
    settle(&sync).await;
    let mut inbox = sync.subscribe(rows::<Post>()).state().await.expect("an inbox");
    for n in 1..20 {
        let last = repo.fetch::<Post>(posts[0].id).await.expect("a post");
        repo.update(last.change().set(Post::NAME, n.to_string())).await.expect("an update");
        let short = post(repo, "short", None).await;
        repo.delete(&short).await.expect("a delete");
        settle(&sync).await;
    }
    let items = drain(&sync, &mut inbox).await;
    assert_eq!(items.len(), 1);
    sync.apply(&mut posts, &items[0]).await.expect("it is applied");
    let fresh: Vec<Post> = repo.all(Post::query()).await.expect("posts");
    assert_eq!(posts, fresh);
}

async fn a_schema_that_is_not_watched_is_refused(db: &Db) {
    make_tables(db).await;
    let sync = builder(db).watch(Post::watch()).start().await.expect("an instance");
    let error = sync.subscribe(rows::<Person>()).await.expect_err("a refusal");
    let Some(SyncFault::NotWatched { table, watched }) = error.sync_fault() else { panic!("{error}") };
    assert!(table == "people" && watched.iter().any(|table| table.ends_with("posts")), "{error}");
    assert_eq!(sync.stats().inboxes, 0);
}

async fn an_association_that_is_not_covered_is_refused(db: &Db) {
    make_tables(db).await;
    let sync = builder(db).watch(Post::watch()).watch(Person::watch()).start().await.expect("an instance");
    let ada = person(&db.repo, "ada").await;
    let error = sync.subscribe(&ada).assocs(Person::POSTS).await.expect_err("a refusal");
    let Some(SyncFault::NotCarried { columns, by, .. }) = error.sync_fault() else { panic!("{error}") };
    assert_eq!((columns.as_slice(), by.as_str()), (&["person_id".to_owned()][..], "Person.posts"));
    let error = sync.subscribe((Post::PERSON_ID, ada.id)).await.expect_err("a refusal");
    assert!(matches!(error.sync_fault(), Some(SyncFault::NotCarried { .. })), "{error}");
    let unjudged = sync.subscribe(rows::<Post>()).visible(Post::PERSON_ID, |_| true).await.expect_err("a refusal");
    assert!(matches!(unjudged.sync_fault(), Some(SyncFault::NotCarried { .. })), "{unjudged}");
}

async fn associations_that_are_not_loaded_stay_so(db: &Db) {
    let sync = started(db).await;
    let mut ada = person(&db.repo, "ada").await;
    let mut inbox = sync.subscribe(&ada).assocs(Person::POSTS.chain(Post::TAGS)).await.expect("an inbox");
    post(&db.repo, "one", Some(&ada)).await;
    assert!(catch_up(&sync, &mut inbox, &mut ada).await > 0);
    assert!(ada.posts.get().is_err());
}

async fn an_item_of_another_instance_is_refused(db: &Db) {
    let first = started(db).await;
    let application = db.application("second");
    let second = Sync::builder(&db.repo).settings(|set| set.application(application)).watch(Person::watch());
    let second = second.start().await.expect("an instance");
    let mut inbox = first.subscribe(rows::<Person>()).await.expect("an inbox");
    let mut ada = person(&db.repo, "ada").await;
    let items = drain(&first, &mut inbox).await;
    let error = second.apply(&mut ada, &items[0]).await.expect_err("a refusal");
    assert_eq!(error.sync_fault(), Some(&SyncFault::OtherInstance));
    let event = items[0].changes().next().expect("a change");
    let error = second.get::<Person>(&items[0], event).await.expect_err("a refusal");
    assert_eq!(error.sync_fault(), Some(&SyncFault::OtherInstance));
    let held = first.load(Person::query()).await.expect("people");
    let error = second.subscribe(&held).await.expect_err("a refusal");
    assert_eq!(error.sync_fault(), Some(&SyncFault::OtherInstance));
    let wrong = first.get::<Post>(&items[0], event).await.expect_err("a refusal");
    assert!(matches!(wrong.kind(), ErrorKind::InvalidCall { .. }), "{wrong}");
}

async fn a_mailbox_of_size_zero_is_refused(db: &Db) {
    let sync = started(db).await;
    let error = sync.subscribe(rows::<Person>()).mailbox(0).await.expect_err("a refusal");
    assert!(matches!(error.sync_fault(), Some(SyncFault::BadSetting { setting: "mailbox", .. })), "{error}");
    let error = builder(db).watch(Post::watch()).mailbox(0).start().await.expect_err("a refusal");
    assert!(matches!(error.sync_fault(), Some(SyncFault::BadSetting { setting: "mailbox", .. })), "{error}");
}

async fn a_label_that_nobody_watches_is_refused(db: &Db) {
    let sync = started(db).await;
    let error = sync.subscribe(label("nothing")).await.expect_err("a refusal");
    assert!(matches!(error.watch_fault(), Some(WatchFault::UnknownLabel { .. })), "{error}");
}

async fn a_query_that_cannot_be_followed_is_refused(db: &Db) {
    make_tables(db).await;
    let sync = builder(db).watch(Post::watch()).start().await.expect("an instance");
    let limited = Post::TAGS.query(Tag::query().limit(2));
    for query in [
        Post::query().from_table("archive"),
        Post::query().lock(Lock::UPDATE),
        Post::query().preload(limited),
        Post::query().filter(fragment("1 = 1").typed::<bool>()),
    ] {
        let error = sync.load(&query).await.expect_err("a refusal");
        assert!(matches!(error.sync_fault(), Some(SyncFault::NotFollowed { .. })), "{error}");
    }
    let others = Post::query().filter(Post::PERSON_ID.in_query(Person::query().select(Person::ID)));
    let error = sync.load(&others).await.expect_err("a refusal");
    assert!(matches!(error.sync_fault(), Some(SyncFault::NotWatched { .. })), "{error}");
}

async fn a_commit_that_is_too_large_is_a_resync(db: &Db) {
    make_tables(db).await;
    let sync = watching(builder(db).max_commit(10)).start().await.expect("an instance");
    let mut inbox = sync.subscribe(rows::<Tag>()).await.expect("an inbox");
    let mut bystander = sync.subscribe(rows::<Person>()).await.expect("an inbox");
    let new = (0..50).map(|n| Tag::build().set(Tag::NAME, n.to_string()));
    db.repo.insert_all(new).await.expect("tags");
    let items = drain(&sync, &mut inbox).await;
    assert_eq!((items.len(), items[0].resync().is_some()), (1, true));
    assert!(drain(&sync, &mut bystander).await.is_empty());
}

async fn the_transport_keeps_its_promises(_db: &Db) {
    conformance::check(&LocalTransport::new(1_024, Duration::from_millis(50))).await;
}

async fn an_instance_ends_with_its_repo(db: &Db) {
    let other = db.other().await;
    make_tables(db).await;
    let application = db.application("sync");
    let sync = Sync::builder(&other).settings(|set| set.application(application)).watch(Post::watch());
    let sync = sync.start_at(Start::Now).start().await.expect("an instance");
    let mut inbox = sync.subscribe(rows::<Post>()).await.expect("an inbox");
    other.stop(Duration::ZERO).await;
    let end = tokio::time::timeout(Duration::from_secs(20), inbox.recv()).await.expect("in time").expect("an end");
    assert!(matches!(end.expect_err("an error").kind(), ErrorKind::Stopped { .. }));
    assert!(inbox.recv().await.is_none());
    assert!(sync.subscribe(rows::<Post>()).await.is_err());
}
