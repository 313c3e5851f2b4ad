//! Acceptance rows about what subscribers get of a watcher's changes.

use emr::SyncFault;
use emr::prelude::*;
use emr::sync::{label, row, rows};
use emr::watch::{Op, WatchFault, WatcherSpec};

use crate::harness::Db;
use crate::models::{Person, Post, make_tables};
use crate::{Inbox, Sync, builder, drain, person, post, settle, started};

db_cases![
    ew12_what_is_not_watched_is_refused,
    ew19_ew26_ew35_rows_with_a_value_in_a_column,
    ew20_ew27_ew36_a_column_that_is_not_carried_is_refused,
    ew22_ew31_ew38_who_did_not_subscribe_hears_nothing,
    ew25_ew34_one_row_by_its_key,
];

/// What was done, in order, and nothing else.
async fn ops(sync: &Sync, inbox: &mut Inbox) -> Vec<Op> {
    let items = drain(sync, inbox).await;
    items.iter().flat_map(|item| item.changes().map(emr::watch::Event::op).collect::<Vec<_>>()).collect()
}

async fn ew12_what_is_not_watched_is_refused(db: &Db) {
    make_tables(db).await;
    let sync = builder(db).watch(Person::watch().label("people")).start().await.expect("an instance");
    let ada = person(&db.repo, "ada").await;
    let one = post(&db.repo, "one", Some(&ada)).await;
    let refused = [
        sync.subscribe(rows::<Post>()).await.expect_err("all rows"),
        sync.subscribe(row::<Post>(one.id)).await.expect_err("a key"),
        sync.subscribe(&one).await.expect_err("a value"),
        sync.subscribe((Post::PERSON_ID, ada.id)).await.expect_err("a column"),
    ];
    for error in refused {
        assert!(
            matches!(error.sync_fault(), Some(SyncFault::NotWatched { table, .. }) if table.contains("posts")),
            "{error}"
        );
    }
    let error = sync.subscribe(label("posts")).await.expect_err("a label");
    assert!(
        matches!(error.watch_fault(), Some(WatchFault::UnknownLabel { known, .. }) if *known == ["people"]),
        "{error}"
    );
    assert!(sync.subscribe(label("people")).await.is_ok());
}

async fn ew19_ew26_ew35_rows_with_a_value_in_a_column(db: &Db) {
    make_tables(db).await;
    let posts = WatcherSpec::table("posts").label("posts").extra_columns(["person_id"]);
    let sync =
        builder(db).watch(Post::watch().extra_columns(Post::PERSON_ID)).watch(posts).start().await.expect("it starts");
    let (ada, bob) = (person(&db.repo, "ada").await, person(&db.repo, "bob").await);
    let mut of_struct = sync.subscribe((Post::PERSON_ID, ada.id)).await.expect("an inbox");
    let of_label = || label("posts").with("person_id", &ada.id);
    let mut of_table = sync.subscribe(of_label()).await.expect("an inbox");
    let everything = async |name: &str| {
        for owner in [&ada, &bob] {
            let new = post(&db.repo, name, Some(owner)).await;
            let new = db.repo.update(new.change().set(Post::NAME, format!("{name}!"))).await.expect("an update");
            db.repo.delete(&new).await.expect("a delete");
        }
    };
    everything("one").await;
    let all = [Op::Insert, Op::Update, Op::Delete];
    assert_eq!((ops(&sync, &mut of_struct).await, ops(&sync, &mut of_table).await), (all.to_vec(), all.to_vec()));
    of_struct.unsubscribe((Post::PERSON_ID, ada.id)).expect("it was subscribed to");
    everything("two").await;
    assert_eq!((ops(&sync, &mut of_struct).await, ops(&sync, &mut of_table).await), (vec![], all.to_vec()));
    of_table.unsubscribe(of_label()).expect("it was subscribed to");
    everything("three").await;
    assert!(ops(&sync, &mut of_struct).await.is_empty() && ops(&sync, &mut of_table).await.is_empty());
}

async fn ew20_ew27_ew36_a_column_that_is_not_carried_is_refused(db: &Db) {
    make_tables(db).await;
    let sync = builder(db).watch(Post::watch().label("posts")).start().await.expect("an instance");
    for error in [
        sync.subscribe((Post::PERSON_ID, 1)).await.expect_err("a column"),
        sync.subscribe(label("posts").with("person_id", &1_i64)).await.expect_err("a column of a label"),
    ] {
        assert!(
            matches!(error.sync_fault(), Some(SyncFault::NotCarried { columns, .. }) if *columns == ["person_id"]),
            "{error}"
        );
        assert!(error.to_string().contains("extra_columns"), "it says what to do: {error}");
    }
}

async fn ew22_ew31_ew38_who_did_not_subscribe_hears_nothing(db: &Db) {
    let sync = started(db).await;
    let mut inbox = sync.subscribe(rows::<Person>()).await.expect("an inbox");
    let one = post(&db.repo, "one", None).await;
    let one = db.repo.update(one.change().set(Post::NAME, "two")).await.expect("an update");
    db.repo.delete(&one).await.expect("a delete");
    assert!(ops(&sync, &mut inbox).await.is_empty());
    person(&db.repo, "ada").await;
    assert_eq!(ops(&sync, &mut inbox).await, [Op::Insert]);
}

async fn ew25_ew34_one_row_by_its_key(db: &Db) {
    let sync = started(db).await;
    let (one, two, three) =
        (post(&db.repo, "1", None).await, post(&db.repo, "2", None).await, post(&db.repo, "3", None).await);
    settle(&sync).await;
    let mut inbox = sync.subscribe(row::<Post>(one.id)).await.expect("an inbox");
    let mut silenced = sync.subscribe(row::<Post>(three.id)).await.expect("an inbox");
    db.repo.update_all(Post::query().set(Post::BODY, "b")).await.expect("updates");
    let items = drain(&sync, &mut inbox).await;
    let keys: Vec<_> = items
        .iter()
        .flat_map(|item| item.changes().map(|event| event.value("id").cloned()).collect::<Vec<_>>())
        .collect();
    assert_eq!(keys, [Some(emr::Value::I64(one.id))]);
    assert_eq!(ops(&sync, &mut silenced).await, [Op::Update]);
    silenced.unsubscribe(row::<Post>(three.id)).expect("it was subscribed to");
    for gone in [two, one, three] {
        db.repo.delete(&gone).await.expect("a delete");
    }
    assert_eq!(ops(&sync, &mut inbox).await, [Op::Delete]);
    assert!(ops(&sync, &mut silenced).await.is_empty());
}
