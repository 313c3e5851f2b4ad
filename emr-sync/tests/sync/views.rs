//! Who may see what: rows that enter and leave a subscriber's view, and what is cut away of them.

use emr::SyncFault;
use emr::prelude::*;
use emr::sync::{Visible, rows};
use emr::watch::Op;

use crate::harness::Db;
use crate::models::{Person, Post};
use crate::{catch_up, changes, drain, person, post, settle, started};

db_cases![
    rows_enter_and_leave_the_view,
    what_was_never_visible_stays_unheard_of,
    a_query_holds_only_what_is_visible,
    a_projection_is_the_subscribers_own,
    a_predicate_that_panics_shows_nothing_and_ends,
    a_predicate_reads_only_what_it_declares,
];

fn hers(person: &Person) -> impl Fn(&Visible<'_>) -> bool + Send + std::marker::Sync + 'static {
    let id = person.id;
    move |row| row.is("person_id", &id)
}

async fn rows_enter_and_leave_the_view(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let (ada, bob) = (person(repo, "ada").await, person(repo, "bob").await);
    let mut inbox = sync.subscribe(rows::<Post>()).visible(Post::PERSON_ID, hers(&ada)).await.expect("an inbox");
    let mut posts = Vec::<Post>::new();
    let mut ops = Vec::new();
    let mut one = post(repo, "one", Some(&bob)).await;
    for owner in [Some(ada.id), None, Some(ada.id), Some(bob.id)] {
        one = repo.update(one.change().set(Post::PERSON_ID, owner)).await.expect("a move");
        for item in drain(&sync, &mut inbox).await {
            ops.extend(item.changes().map(|event| (event.op(), event.old().is_some(), event.new_values().is_some())));
            sync.apply(&mut posts, &item).await.expect("it is applied");
        }
        assert_eq!(posts.len(), usize::from(owner == Some(ada.id)));
    }
    let (enters, leaves) = ((Op::Insert, false, true), (Op::Delete, true, false));
    assert_eq!(ops, [enters, leaves, enters, leaves]);
}

async fn what_was_never_visible_stays_unheard_of(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let (ada, bob) = (person(repo, "ada").await, person(repo, "bob").await);
    let secret = post(repo, "secret", Some(&bob)).await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(rows::<Post>()).visible(Post::PERSON_ID, hers(&ada)).await.expect("an inbox");
    let secret = repo.update(secret.change().set(Post::NAME, "more so")).await.expect("an update");
    repo.delete(&secret).await.expect("a delete");
    assert!(drain(&sync, &mut inbox).await.is_empty());

    // A row that is no longer visible when it is loaded is not shown either.
    let one = post(repo, "one", Some(&ada)).await;
    settle(&sync).await;
    repo.update(one.change().set(Post::PERSON_ID, bob.id).set(Post::NAME, "secret")).await.expect("an update");
    let items = drain(&sync, &mut inbox).await;
    let mut posts = Vec::<Post>::new();
    for item in &items {
        sync.apply(&mut posts, item).await.expect("it is applied");
        assert!(posts.iter().all(|post| post.name != "secret"));
        for event in item.changes() {
            let row = sync.get::<Post>(item, event).await.expect("no error");
            assert!(row.is_none_or(|row| row.name != "secret"));
        }
    }
    assert!(posts.is_empty());
}

async fn a_query_holds_only_what_is_visible(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let (ada, bob) = (person(repo, "ada").await, person(repo, "bob").await);
    let mut held = sync.load(Post::query().order_by(Post::NAME.asc())).await.expect("posts");
    let mut inbox = sync.subscribe(&held).visible(Post::PERSON_ID, hers(&ada)).await.expect("an inbox");
    let one = post(repo, "one", Some(&ada)).await;
    post(repo, "secret", Some(&bob)).await;
    catch_up(&sync, &mut inbox, &mut held).await;
    assert_eq!(held.iter().map(|post| post.id).collect::<Vec<_>>(), [one.id]);
    repo.update(one.change().set(Post::PERSON_ID, bob.id)).await.expect("a move");
    catch_up(&sync, &mut inbox, &mut held).await;
    assert!(held.is_empty());
}

async fn a_projection_is_the_subscribers_own(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let mut cut = sync.subscribe(rows::<Post>()).project(|post: &mut Post| post.body = None).await.expect("an inbox");
    let mut whole = sync.subscribe(rows::<Post>()).await.expect("an inbox");
    let (mut theirs, mut ours) = (Vec::<Post>::new(), Vec::<Post>::new());
    let one = post(repo, "one", None).await;
    repo.update(one.change().set(Post::BODY, "secret")).await.expect("an update");
    catch_up(&sync, &mut cut, &mut theirs).await;
    catch_up(&sync, &mut whole, &mut ours).await;
    assert_eq!((theirs[0].body.as_deref(), ours[0].body.as_deref()), (None, Some("secret")));
    let mut held = sync.load(Post::query()).await.expect("posts");
    let mut held_cut = sync.subscribe(&held).project(|post: &mut Post| post.body = None).await.expect("an inbox");
    repo.update(one.change().set(Post::NAME, "uno")).await.expect("an update");
    catch_up(&sync, &mut held_cut, &mut held).await;
    assert_eq!(held.iter().map(|post| (post.name.as_str(), post.body.is_none())).collect::<Vec<_>>(), [("uno", true)]);
}

async fn a_predicate_that_panics_shows_nothing_and_ends(db: &Db) {
    let sync = started(db).await;
    let panics = |_: &Visible<'_>| -> bool { panic!("a predicate that panics") };
    let mut inbox = sync.subscribe(rows::<Post>()).visible(Post::PERSON_ID, panics).await.expect("an inbox");
    let mut other = sync.subscribe(rows::<Post>()).await.expect("an inbox");
    post(&db.repo, "one", None).await;
    settle(&sync).await;
    let error = inbox.recv().await.expect("an end").expect_err("an error");
    assert_eq!(error.sync_fault(), Some(&SyncFault::Panicked { table: "posts".to_owned() }));
    assert!(inbox.recv().await.is_none());
    assert_eq!(changes(&drain(&sync, &mut other).await), 1, "others are not affected");
}

async fn a_predicate_reads_only_what_it_declares(db: &Db) {
    let sync = started(db).await;
    let undeclared = |row: &Visible<'_>| row.get("id").is_none() && row.get("person_id").is_some();
    let mut inbox = sync.subscribe(rows::<Post>()).visible(Post::PERSON_ID, undeclared).await.expect("an inbox");
    post(&db.repo, "one", None).await;
    assert_eq!(changes(&drain(&sync, &mut inbox).await), 1);
}
