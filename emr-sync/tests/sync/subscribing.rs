//! What is subscribed to, and what then comes.

use emr::Value;
use emr::prelude::*;
use emr::sync::{Entry, Ops, label, row, rows};
use emr::watch::{Op, WatchSet, WatcherSpec};

use crate::harness::Db;
use crate::models::{Label, Ordered, Person, Post, PostTag, Tag, make_tables};
use crate::{Duration, Sync, builder, catch_up, changes, drain, link, person, post, settle, started, tag};

db_cases![
    es1_a_schema_is_watched_without_extra_columns,
    es2_a_label_stands_for_all_three_sorts,
    es3_associations_bring_their_tables_and_keys,
    es4_a_belongs_to_brings_the_foreign_key,
    es6_associations_that_are_not_loaded_are_followed_by_their_key,
    es7_loaded_rows_are_followed_by_their_foreign_key,
    es8_inserted_rows_are_an_option,
    es9_a_slice_is_the_union_of_its_rows,
    es10_join_rows_are_followed_by_the_post,
    es11_once_more_is_no_second_entry,
    es12_a_label_delivers,
    es16_one_insert_one_item,
    es40_es41_nothing_of_unrelated_rows_comes,
    es46_es48_subscriptions_are_listed_and_end,
    es47_es52_associations_of_one_subject_add_up,
    es49_es50_unsubscribing_ends_the_associations_too,
    es53_one_commit_is_one_item_for_all,
    es24_es30_a_moved_child_is_told_to_both_owners_once,
    a_key_and_a_column_deliver,
    two_instances_know_nothing_of_each_other,
];

/// A table, columns with their values, and which sorts of changes.
type Plain = (String, Vec<(String, Value<'static>)>, Ops);

fn at(table: &str, column: &str, value: i64, ops: Ops) -> Plain {
    (table.to_owned(), vec![(column.to_owned(), Value::I64(value))], ops)
}

/// Without the schema that tables lie in.
fn plain(entries: &[Entry]) -> Vec<Plain> {
    let table = |entry: &Entry| entry.table.rsplit('.').next().unwrap_or_default().to_owned();
    entries.iter().map(|entry| (table(entry), entry.columns.clone(), entry.ops)).collect()
}

const KEPT: Ops = Ops::UPDATED.and(Ops::DELETED);

fn columns(sync: &Sync, schema: &'static emr::Schema) -> Vec<String> {
    let watched = sync.watcher().details_of(schema).expect("it is watched");
    watched.columns.iter().map(|column| column.name.to_string()).collect()
}

async fn es1_a_schema_is_watched_without_extra_columns(db: &Db) {
    make_tables(db).await;
    let sync = builder(db).watch(Post::watch()).start().await.expect("an instance");
    assert_eq!(columns(&sync, Post::schema()), ["id"]);
    let mut inbox = sync.subscribe(rows::<Post>()).await.expect("an inbox");
    let new = post(&db.repo, "one", None).await;
    let new = db.repo.update(new.change().set(Post::NAME, "two")).await.expect("an update");
    db.repo.delete(&new).await.expect("a delete");
    let ops: Vec<_> = drain(&sync, &mut inbox)
        .await
        .iter()
        .flat_map(|item| item.changes().map(emr::watch::Event::op).collect::<Vec<_>>())
        .collect();
    assert_eq!(ops, [Op::Insert, Op::Update, Op::Delete]);
}

async fn es2_a_label_stands_for_all_three_sorts(db: &Db) {
    make_tables(db).await;
    let sync = builder(db).watch(Post::watch().label("my_label")).start().await.expect("an instance");
    let mut inbox = sync.subscribe(label("my_label")).await.expect("an inbox");
    let new = post(&db.repo, "one", None).await;
    let new = db.repo.update(new.change().set(Post::NAME, "two")).await.expect("an update");
    db.repo.delete(&new).await.expect("a delete");
    let items = drain(&sync, &mut inbox).await;
    assert_eq!(changes(&items), 3);
    assert!(items.iter().all(|item| item.changes().all(|event| event.has_label("my_label"))));
}

async fn es3_associations_bring_their_tables_and_keys(db: &Db) {
    let sync = started(db).await;
    for (schema, expected) in [
        (Label::schema(), vec!["id"]),
        (Person::schema(), vec!["id"]),
        (PostTag::schema(), vec!["id", "post_id", "tag_id"]),
        (Tag::schema(), vec!["id"]),
    ] {
        assert_eq!(columns(&sync, schema), expected, "{}", schema.table);
    }
    let tables: Vec<_> = sync.watcher().tables().iter().map(|table| table.table.to_string()).collect();
    assert!(tables.contains(&"posts_labels".to_owned()));
}

async fn es4_a_belongs_to_brings_the_foreign_key(db: &Db) {
    make_tables(db).await;
    let spec = Post::watch().extra_columns(Post::ID).assocs(Post::PERSON);
    let sync = builder(db).watch(spec).start().await.expect("an instance");
    assert_eq!(columns(&sync, Post::schema()), ["id", "person_id"]);
    assert_eq!(columns(&sync, Person::schema()), ["id"]);
}

async fn es6_associations_that_are_not_loaded_are_followed_by_their_key(db: &Db) {
    let sync = started(db).await;
    let ada = person(&db.repo, "ada").await;
    let inbox = sync.subscribe(&ada).assocs(Person::POSTS.chain(Post::TAGS)).await.expect("an inbox");
    let found = plain(&inbox.subscriptions());
    assert_eq!(found, [at("people", "id", ada.id, KEPT), at("posts", "person_id", ada.id, Ops::ALL)]);
}

async fn es7_loaded_rows_are_followed_by_their_foreign_key(db: &Db) {
    let sync = started(db).await;
    let mut ada = person(&db.repo, "ada").await;
    let one = post(&db.repo, "one", Some(&ada)).await;
    post(&db.repo, "two", Some(&ada)).await;
    db.repo.preload(&mut ada, Person::POSTS).await.expect("posts");
    settle(&sync).await;
    let mut inbox = sync.subscribe(&ada).assocs(Person::POSTS).await.expect("an inbox");
    let found = plain(&inbox.subscriptions());
    assert_eq!(found, [at("people", "id", ada.id, KEPT), at("posts", "person_id", ada.id, Ops::ALL)]);

    // So inserts, updates and deletes of the posts all come.
    post(&db.repo, "three", Some(&ada)).await;
    let one = db.repo.update(one.change().set(Post::NAME, "uno")).await.expect("an update");
    db.repo.delete(&one).await.expect("a delete");
    assert_eq!(changes(&drain(&sync, &mut inbox).await), 3);
}

async fn es8_inserted_rows_are_an_option(db: &Db) {
    let sync = started(db).await;
    let ada = person(&db.repo, "ada").await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(&ada).inserted().await.expect("an inbox");
    let found = plain(&inbox.subscriptions());
    assert_eq!(found, [at("people", "id", ada.id, KEPT), ("people".to_owned(), vec![], Ops::INSERTED)]);

    // A new row is followed from then on.
    let bob = person(&db.repo, "bob").await;
    db.repo.update(bob.change().set(Person::NAME, "rob")).await.expect("an update");
    assert_eq!(changes(&drain(&sync, &mut inbox).await), 2);
}

async fn es9_a_slice_is_the_union_of_its_rows(db: &Db) {
    let sync = started(db).await;
    let (ada, mut bob) = (person(&db.repo, "ada").await, person(&db.repo, "bob").await);
    post(&db.repo, "one", Some(&bob)).await;
    db.repo.preload(&mut bob, Person::POSTS).await.expect("posts");
    let people = vec![ada.clone(), bob.clone(), ada.clone()];
    let inbox = sync.subscribe(&people).assocs(Person::POSTS).await.expect("an inbox");
    let mut expected = [
        at("people", "id", ada.id, KEPT),
        at("people", "id", bob.id, KEPT),
        at("posts", "person_id", ada.id, Ops::ALL),
        at("posts", "person_id", bob.id, Ops::ALL),
    ];
    expected.sort_by_key(|entry| format!("{entry:?}"));
    assert_eq!(plain(&inbox.subscriptions()), expected);
}

async fn es10_join_rows_are_followed_by_the_post(db: &Db) {
    let sync = started(db).await;
    let mut ada = person(&db.repo, "ada").await;
    let one = post(&db.repo, "one", Some(&ada)).await;
    db.repo.preload(&mut ada, Person::POSTS).await.expect("posts");
    let inbox = sync.subscribe(&vec![ada]).assocs(Person::POSTS.chain(Post::TAGS)).await.expect("an inbox");
    assert!(plain(&inbox.subscriptions()).contains(&at("posts_tags", "post_id", one.id, Ops::ALL)));
}

async fn es11_once_more_is_no_second_entry(db: &Db) {
    let sync = started(db).await;
    let ada = person(&db.repo, "ada").await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(&ada).await.expect("an inbox");
    for _ in 0..2 {
        let entries = inbox.subscribe(&ada).await.expect("it is subscribed");
        assert_eq!(plain(&entries), [at("people", "id", ada.id, KEPT)]);
    }
    db.repo.update(ada.change().set(Person::NAME, "Ada")).await.expect("an update");
    assert_eq!(drain(&sync, &mut inbox).await.len(), 1);
}

async fn es12_a_label_delivers(db: &Db) {
    make_tables(db).await;
    let spec = WatcherSpec::table("posts").label("raw posts").keys(["id"]).extra_columns(["person_id"]);
    let sync = builder(db).watch(spec).start().await.expect("an instance");
    let ada = person(&db.repo, "ada").await;
    let mut all = sync.subscribe(label("raw posts")).await.expect("an inbox");
    let mut hers = sync.subscribe(label("raw posts").with("person_id", &ada.id)).await.expect("an inbox");
    assert_eq!(all.subscriptions()[0].label.as_deref(), Some("raw posts"));
    post(&db.repo, "hers", Some(&ada)).await;
    post(&db.repo, "nobody's", None).await;
    assert_eq!(changes(&drain(&sync, &mut all).await), 2);
    assert_eq!(changes(&drain(&sync, &mut hers).await), 1);
}

async fn es16_one_insert_one_item(db: &Db) {
    let sync = started(db).await;
    let ada = person(&db.repo, "ada").await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(&ada).assocs((Person::POSTS, Person::OTHER_POSTS)).await.expect("an inbox");
    inbox.subscribe(rows::<Post>()).await.expect("it is subscribed");
    inbox.subscribe((Post::PERSON_ID, ada.id)).await.expect("it is subscribed");
    post(&db.repo, "one", Some(&ada)).await;
    let items = drain(&sync, &mut inbox).await;
    assert_eq!((items.len(), items[0].changes().count()), (1, 1), "{items:?}");
}

async fn es40_es41_nothing_of_unrelated_rows_comes(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let (one, sea, air) = (post(repo, "one", None).await, tag(repo, "sea").await, tag(repo, "air").await);
    link(repo, &one, &sea).await;
    let load = || async { repo.all(Post::query().preload(Post::TAGS)).await.expect("posts") };
    let mut posts = load().await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(&posts).assocs(Post::TAGS).await.expect("an inbox");
    for (name, expected) in [("a", 1), ("b", 1)] {
        repo.update(sea.change().set(Tag::NAME, name)).await.expect("an update");
        repo.update(air.change().set(Tag::NAME, name)).await.expect("an update");
        let items = drain(&sync, &mut inbox).await;
        assert_eq!(items.len(), expected, "{items:?}");
        sync.apply(&mut posts, &items[0]).await.expect("it is applied");
        assert_eq!(posts, load().await);
    }
    // From when it is linked on, it is no more unrelated.
    link(repo, &one, &air).await;
    repo.update(air.change().set(Tag::NAME, "wind")).await.expect("an update");
    let items = drain(&sync, &mut inbox).await;
    assert_eq!(changes(&items), 2);
    for item in &items {
        sync.apply(&mut posts, item).await.expect("it is applied");
    }
    assert_eq!(posts, load().await);
}

async fn es46_es48_subscriptions_are_listed_and_end(db: &Db) {
    let sync = started(db).await;
    let ada = person(&db.repo, "ada").await;
    let inbox = sync.subscribe(&ada).await.expect("an inbox");
    assert_eq!(sync.subscriptions(&ada).expect("it is watched"), [inbox.number()]);
    assert!(inbox.subscribed(&ada).expect("it is watched"));
    assert!(inbox.unsubscribe(&ada).expect("it is watched"));
    assert!(!inbox.unsubscribe(&ada).expect("it is watched"));
    assert!(sync.subscriptions(&ada).expect("it is watched").is_empty());
    assert!(inbox.subscriptions().is_empty());
    let other = sync.subscribe(row::<Person>(ada.id)).await.expect("an inbox");
    assert_eq!(sync.subscriptions(&ada).expect("it is watched"), [other.number()]);
    drop(other);
    assert_eq!(sync.stats().entries, 0);
}

async fn es47_es52_associations_of_one_subject_add_up(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let ada = person(repo, "ada").await;
    let one = post(repo, "one", Some(&ada)).await;
    for first_tags in [true, false] {
        let mut value = ada.clone();
        repo.preload(&mut value, Person::POSTS.then((Post::TAGS, Post::LABELS))).await.expect("posts");
        let (tags, labels) = (Person::POSTS.chain(Post::TAGS), Person::POSTS.chain(Post::LABELS));
        let inbox = if first_tags {
            sync.subscribe(&value).assocs(tags).await.expect("an inbox")
        } else {
            sync.subscribe(&value).assocs(labels).await.expect("an inbox")
        };
        let (tags, labels) = (Person::POSTS.chain(Post::TAGS), Person::POSTS.chain(Post::LABELS));
        let entries = inbox.subscribe(&value).assocs((tags, labels)).await.expect("it is subscribed");
        let mut expected = [
            at("people", "id", ada.id, KEPT),
            at("posts", "person_id", ada.id, Ops::ALL),
            at("posts_labels", "post_id", one.id, Ops::ALL),
            at("posts_tags", "post_id", one.id, Ops::ALL),
        ];
        expected.sort_by_key(|entry| format!("{entry:?}"));
        assert_eq!(plain(&entries), expected);
    }
}

async fn es49_es50_unsubscribing_ends_the_associations_too(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let mut ada = person(repo, "ada").await;
    let one = post(repo, "one", Some(&ada)).await;
    repo.preload(&mut ada, Person::POSTS).await.expect("posts");
    settle(&sync).await;
    let mut inbox = sync.subscribe(&ada).assocs(Person::POSTS).await.expect("an inbox");
    post(repo, "two", Some(&ada)).await;
    assert_eq!(drain(&sync, &mut inbox).await.len(), 1);
    inbox.unsubscribe(&ada).expect("it is watched");
    post(repo, "three", Some(&ada)).await;
    repo.update(one.change().set(Post::NAME, "uno")).await.expect("an update");
    assert!(drain(&sync, &mut inbox).await.is_empty());
}

async fn es53_one_commit_is_one_item_for_all(db: &Db) {
    let sync = started(db).await;
    let ada = person(&db.repo, "ada").await;
    settle(&sync).await;
    let mut inboxes = vec![
        sync.subscribe(&ada).await.expect("an inbox"),
        sync.subscribe(rows::<Person>()).await.expect("an inbox"),
        sync.subscribe(row::<Person>(ada.id)).await.expect("an inbox"),
    ];
    db.repo.update(ada.change().set(Person::NAME, "Ada")).await.expect("an update");
    let mut tokens = Vec::new();
    for inbox in &mut inboxes {
        let items = drain(&sync, inbox).await;
        assert_eq!(items.len(), 1);
        tokens.push(items[0].token().cloned());
    }
    assert!(tokens[0].is_some() && tokens.iter().all(|token| *token == tokens[0]));
}

async fn es24_es30_a_moved_child_is_told_to_both_owners_once(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let (mut ada, mut bob) = (person(repo, "ada").await, person(repo, "bob").await);
    let one = post(repo, "one", Some(&ada)).await;
    let strange = post(repo, "strange", None).await;
    repo.preload(&mut ada, Person::POSTS).await.expect("posts");
    repo.preload(&mut bob, Person::POSTS).await.expect("posts");
    let mut held = one.clone();
    repo.preload(&mut held, Post::PERSON).await.expect("a person");
    settle(&sync).await;
    let mut hers = sync.subscribe(&ada).assocs(Person::POSTS).await.expect("an inbox");
    let mut his = sync.subscribe(&bob).assocs(Person::POSTS).await.expect("an inbox");
    let mut its = sync.subscribe(&held).assocs(Post::PERSON).await.expect("an inbox");

    repo.update(one.change().set(Post::PERSON_ID, bob.id)).await.expect("a move");
    repo.update(strange.change().set(Post::BODY, "nothing to them")).await.expect("an update");

    assert_eq!(catch_up(&sync, &mut hers, &mut ada).await, 1);
    assert_eq!(catch_up(&sync, &mut his, &mut bob).await, 1);
    assert_eq!(catch_up(&sync, &mut its, &mut held).await, 1);
    assert!(ada.posts.get().unwrap().is_empty());
    assert_eq!(bob.posts.get().unwrap()[0].id, one.id);
    assert_eq!(held.person.get().unwrap().unwrap().name, "bob");
    // The new parent is followed as the old one was, and the old one no more.
    repo.update(bob.change().set(Person::NAME, "rob")).await.expect("an update");
    catch_up(&sync, &mut its, &mut held).await;
    assert_eq!(held.person.get().unwrap().unwrap().name, "rob");
}

async fn a_key_and_a_column_deliver(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let ada = person(repo, "ada").await;
    let mut by_key = sync.subscribe(row::<Person>(ada.id)).await.expect("an inbox");
    let mut by_column = sync.subscribe((Post::PERSON_ID, ada.id)).await.expect("an inbox");
    let mut composite = sync.subscribe(row::<Ordered>(("north".to_owned(), 7))).await.expect("an inbox");
    repo.update(ada.change().set(Person::NAME, "Ada")).await.expect("an update");
    let one = post(repo, "one", Some(&ada)).await;
    repo.update(one.change().set(Post::PERSON_ID, None)).await.expect("an update");
    post(repo, "two", None).await;
    let new = Ordered::build().set(Ordered::REGION, "north").set(Ordered::NUMBER, 7).set(Ordered::NOTE, "a");
    let order = repo.insert(new).await.expect("an order");
    repo.update(order.change().set(Ordered::NOTE, "b")).await.expect("an update");
    assert_eq!(changes(&drain(&sync, &mut by_key).await), 1);
    assert_eq!(changes(&drain(&sync, &mut by_column).await), 2);
    assert_eq!(changes(&drain(&sync, &mut composite).await), 1);
}

async fn two_instances_know_nothing_of_each_other(db: &Db) {
    let first = started(db).await;
    let application = db.application("second");
    let second = Sync::builder(&db.repo)
        .settings(move |_| WatchSet::new().application(application).heartbeat(Duration::from_secs(1)))
        .watch(Person::watch())
        .start()
        .await
        .expect("an instance");
    let mut one = first.subscribe(rows::<Person>()).await.expect("an inbox");
    let mut two = second.subscribe(rows::<Person>()).await.expect("an inbox");
    person(&db.repo, "ada").await;
    assert_eq!(drain(&first, &mut one).await.len(), 1);
    assert_eq!(drain(&second, &mut two).await.len(), 1);
    drop(first);
    drop(one);
    person(&db.repo, "bob").await;
    assert_eq!(drain(&second, &mut two).await.len(), 1);
}
