//! After each item is applied, the value is what a fresh load gives.

use emr::prelude::*;
use emr::sync::rows;
use emr::watch::Op;

use crate::harness::Db;
use crate::models::{Label, Person, Post, PostTag, Profile, Tag, everything};
use crate::{Inbox, Sync, catch_up, drain, link, person, post, settle, started, tag};

db_cases![
    es13_es14_es35_rows_come_with_what_hangs_on_them,
    es15_an_insert_into_each_sort_of_value,
    es17_es51_inserts_and_updates_with_a_preloaded_parent,
    es18_a_deleted_row,
    es19_the_same_row_twice,
    es20_two_updates_give_two_values,
    es21_es26_a_foreign_key_that_is_set,
    es22_es23_a_parent_that_changes_and_goes,
    es25_preloads_of_new_rows,
    es27_es31_children_come_with_their_own,
    es28_es29_children_change_and_go,
    es32_es33_es34_filtered_children_come_and_go,
    es36_es42_a_deleted_tag_leaves_chains_and_links,
    es37_es38_links_come_one_after_the_other,
    es39_links_go_seen_from_either_side,
    es43_es44_es45_links_without_a_struct,
];

/// A person with everything.
async fn whole(repo: &RepoHandle, id: i64) -> Person {
    let query = Person::query().filter(Person::ID.eq(id)).preload((
        Person::POSTS.then((Post::TAGS, Post::LABELS, Post::TEST_TAGS)),
        Person::OTHER_POSTS,
        Person::TEST_POSTS,
        Person::BAD_POSTS,
        Person::ALL_TAGS,
        Person::PROFILE,
    ));
    repo.fetch_one(query).await.expect("a person")
}

/// Sorts what has no order.
fn sorted(mut person: Person) -> Person {
    let by_id = |posts: &[Post]| {
        let mut posts = posts.to_vec();
        for post in &mut posts {
            if let Ok(tags) = post.tags.get() {
                let mut tags = tags.to_vec();
                tags.sort_by_key(|tag| tag.id);
                post.tags = ManyToMany::loaded(tags);
            }
        }
        posts.sort_by_key(|post| post.id);
        HasMany::loaded(posts)
    };
    person.posts = by_id(person.posts.get().expect("posts"));
    person.other_posts = by_id(person.other_posts.get().expect("posts"));
    person.test_posts = by_id(person.test_posts.get().expect("posts"));
    let mut tags = person.all_tags.get().expect("tags").to_vec();
    tags.sort_by_key(|tag| tag.id);
    person.all_tags = HasMany::loaded(tags);
    person
}

/// An instance, a person, and an inbox that follows all of it.
async fn followed(db: &Db) -> (Sync, Person, Inbox) {
    let sync = started(db).await;
    let ada = person(&db.repo, "ada").await;
    let ada = whole(&db.repo, ada.id).await;
    settle(&sync).await;
    let inbox = follow(&sync, &ada).await;
    (sync, ada, inbox)
}

async fn follow(sync: &Sync, person: &Person) -> Inbox {
    sync.subscribe(person).assocs(everything()).await.expect("an inbox")
}

/// Applies what came, once and once more, and compares.
async fn check(db: &Db, sync: &Sync, inbox: &mut Inbox, value: &mut Person) -> usize {
    let items = drain(sync, inbox).await;
    for item in &items {
        sync.apply(value, item).await.expect("it is applied");
    }
    let fresh = sorted(whole(&db.repo, value.id).await);
    assert_eq!(sorted(value.clone()), fresh);
    if let Some(item) = items.last() {
        let again = sync.apply(value, item).await.expect("it is applied again");
        assert!(again.is_empty(), "{again:?}");
    }
    items.len()
}

async fn es13_es14_es35_rows_come_with_what_hangs_on_them(db: &Db) {
    let (sync, mut ada, mut inbox) = followed(db).await;
    let repo = &db.repo;
    let tx = repo.begin().await.expect("a transaction");
    let one = Post::build().set(Post::NAME, "one").set(Post::PERSON_ID, ada.id);
    let one = tx.insert(one).await.expect("a post");
    let sea = tx.insert(Tag::build().set(Tag::NAME, "sea")).await.expect("a tag");
    tx.insert(PostTag::build().set(PostTag::POST_ID, one.id).set(PostTag::TAG_ID, sea.id)).await.expect("a link");
    tx.commit().await.expect("a commit");

    let items = drain(&sync, &mut inbox).await;
    assert_eq!(items.len(), 1, "one commit, one item");
    sync.apply(&mut ada, &items[0]).await.expect("it is applied");
    assert_eq!(sorted(ada.clone()), sorted(whole(repo, ada.id).await));
    assert_eq!(ada.all_tags.get().unwrap().len(), 1);

    let mut posts: Vec<Post> = Vec::new();
    let assocs = Post::TAGS.then(Tag::POSTS);
    sync.apply(&mut posts, &items[0]).preload((assocs, Post::LABELS)).await.expect("it is applied");
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].tags.get().unwrap()[0].name, "sea");
    assert_eq!(posts[0].tags.get().unwrap()[0].posts.get().unwrap().len(), 1);

    repo.update(sea.change().set(Tag::NAME, "ocean")).await.expect("an update");
    assert_eq!(check(db, &sync, &mut inbox, &mut ada).await, 1);
    let strange = tag(repo, "strange").await;
    repo.update(strange.change().set(Tag::NAME, "stranger")).await.expect("an update");
    check(db, &sync, &mut inbox, &mut ada).await;
}

async fn es15_an_insert_into_each_sort_of_value(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let ada = person(repo, "ada").await;
    let other = post(repo, "other", None).await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(rows::<Post>()).assocs(Post::PERSON.chain(Person::POSTS)).await.expect("an inbox");
    let mut value = ada.clone();
    repo.preload(&mut value, Person::POSTS.then(Post::PERSON)).await.expect("posts");
    let one = post(repo, "one", Some(&ada)).await;
    let items = drain(&sync, &mut inbox).await;
    let item = &items[0];
    let event = item.changes().next().expect("a change");
    assert_eq!(sync.get::<Post>(item, event).await.expect("a post").map(|post| post.id), Some(one.id));

    sync.apply(&mut value, item).preload(Person::POSTS.then(Post::PERSON)).await.expect("it is applied");
    let mut fresh = ada.clone();
    repo.preload(&mut fresh, Person::POSTS.then(Post::PERSON)).await.expect("posts");
    assert_eq!(value, fresh);
    let (mut none, mut empty, mut others) = (None::<Post>, Vec::<Post>::new(), vec![other]);
    sync.apply(&mut none, item).await.expect("it is applied");
    sync.apply(&mut empty, item).await.expect("it is applied");
    sync.apply(&mut others, item).await.expect("it is applied");
    sync.apply(&mut others, item).await.expect("once more");
    assert_eq!(none.as_ref().map(|post| post.id), Some(one.id));
    assert!(none.as_ref().unwrap().person.get().unwrap().unwrap().posts.is_loaded());
    assert_eq!(empty.iter().map(|post| post.id).collect::<Vec<_>>(), [one.id]);
    assert_eq!(others.iter().map(|post| post.id).collect::<Vec<_>>(), [others[0].id, one.id]);

    repo.update(one.change().set(Post::NAME, "uno")).await.expect("an update");
    assert_eq!(drain(&sync, &mut inbox).await.len(), 1);
}

async fn es17_es51_inserts_and_updates_with_a_preloaded_parent(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let ada = person(repo, "ada").await;
    let mut inbox = sync.subscribe(rows::<Post>()).assocs(Post::PERSON).await.expect("an inbox");
    let mut posts = Vec::<Post>::new();
    let fresh =
        || async { repo.all(Post::query().order_by(Post::ID.asc()).preload(Post::PERSON)).await.expect("posts") };
    let one = post(repo, "one", Some(&ada)).await;
    catch_up(&sync, &mut inbox, &mut posts).await;
    assert_eq!(posts, fresh().await);
    repo.update(one.change().set(Post::NAME, "uno")).await.expect("an update");
    catch_up(&sync, &mut inbox, &mut posts).await;
    assert_eq!(posts, fresh().await);
}

async fn es18_a_deleted_row(db: &Db) {
    let (sync, mut ada, mut inbox) = followed(db).await;
    let repo = &db.repo;
    let one = post(repo, "one", Some(&ada)).await;
    check(db, &sync, &mut inbox, &mut ada).await;
    let mut posts = vec![one.clone(), post(repo, "two", None).await];
    let (mut itself, mut perhaps) = (one.clone(), Some(one.clone()));
    let mut its = sync.subscribe(&one).await.expect("an inbox");
    drain(&sync, &mut its).await;
    repo.delete(&one).await.expect("a delete");
    let items = drain(&sync, &mut its).await;
    let applied = sync.apply(&mut itself, &items[0]).await.expect("it is applied");
    assert_eq!(applied.of(emr::sync::ChangeOp::Removed).count(), 1);
    assert_eq!(itself, one, "it stays as it was");
    sync.apply(&mut perhaps, &items[0]).await.expect("it is applied");
    assert_eq!(perhaps, None);
    sync.apply(&mut posts, &items[0]).await.expect("it is applied");
    assert_eq!(posts.iter().map(|post| &*post.name).collect::<Vec<_>>(), ["two"]);
    check(db, &sync, &mut inbox, &mut ada).await;
}

async fn es19_the_same_row_twice(db: &Db) {
    let (sync, ada, mut inbox) = followed(db).await;
    let one = post(&db.repo, "one", Some(&ada)).await;
    let mut people = vec![ada.clone(), ada.clone()];
    db.repo.update(one.change().set(Post::NAME, "uno")).await.expect("an update");
    catch_up(&sync, &mut inbox, &mut people).await;
    let fresh = sorted(whole(&db.repo, ada.id).await);
    assert_eq!(people.into_iter().map(sorted).collect::<Vec<_>>(), [fresh.clone(), fresh]);
}

async fn es20_two_updates_give_two_values(db: &Db) {
    let (sync, mut ada, mut inbox) = followed(db).await;
    let one = post(&db.repo, "one", Some(&ada)).await;
    check(db, &sync, &mut inbox, &mut ada).await;
    let mut names = Vec::new();
    for name in ["first", "second"] {
        db.repo.update(one.change().set(Post::NAME, name)).await.expect("an update");
        assert_eq!(check(db, &sync, &mut inbox, &mut ada).await, 1);
        names.push(ada.posts.get().unwrap()[0].name.clone());
    }
    assert_eq!(names, ["first", "second"]);
}

async fn es21_es26_a_foreign_key_that_is_set(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let ada = person(repo, "ada").await;
    let mut one = post(repo, "one", None).await;
    repo.preload(&mut one, (Post::PERSON, Post::OTHER_PERSON)).await.expect("nobody");
    settle(&sync).await;
    let mut inbox = sync.subscribe(&one).assocs((Post::PERSON, Post::OTHER_PERSON)).await.expect("an inbox");
    let change = one.change().set(Post::PERSON_ID, ada.id).set(Post::OTHER, ada.id);
    repo.update(change).await.expect("an update");
    catch_up(&sync, &mut inbox, &mut one).await;
    assert_eq!(one.person.get().unwrap().unwrap().name, "ada");
    assert_eq!(one.other_person.get().unwrap().unwrap().name, "ada");
}

async fn es22_es23_a_parent_that_changes_and_goes(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let ada = person(repo, "ada").await;
    let mut one = post(repo, "one", Some(&ada)).await;
    repo.preload(&mut one, Post::PERSON).await.expect("a person");
    settle(&sync).await;
    let mut inbox = sync.subscribe(&one).assocs(Post::PERSON).await.expect("an inbox");
    let ada = repo.update(ada.change().set(Person::NAME, "Ada")).await.expect("an update");
    assert_eq!(catch_up(&sync, &mut inbox, &mut one).await, 1);
    assert_eq!(one.person.get().unwrap().unwrap().name, "Ada");

    repo.delete(&ada).await.expect("a delete");
    let items = drain(&sync, &mut inbox).await;
    let people = |op| items[0].changes().filter(|event| event.table() == "people" && event.op() == op).count();
    assert_eq!((items.len(), people(Op::Delete), people(Op::Update)), (1, 1, 0));
    sync.apply(&mut one, &items[0]).await.expect("it is applied");
    assert_eq!((one.person.get(), one.person_id), (Ok(None), None));
    // A loaded slot with nobody in it, and an update of somebody else.
    person(repo, "bob").await;
    let new = repo.update(one.change().set(Post::NAME, "uno")).await.expect("an update");
    catch_up(&sync, &mut inbox, &mut one).await;
    assert_eq!(one.name, new.name);
}

async fn es25_preloads_of_new_rows(db: &Db) {
    let sync = started(db).await;
    let mut inbox = sync.subscribe(rows::<Post>()).await.expect("an inbox");
    let ada = person(&db.repo, "ada").await;
    post(&db.repo, "one", Some(&ada)).await;
    let items = drain(&sync, &mut inbox).await;
    let (mut list, mut none) = (Vec::<Post>::new(), None::<Post>);
    sync.apply(&mut list, &items[0]).preload(Post::PERSON).await.expect("it is applied");
    sync.apply(&mut none, &items[0]).preload(Post::PERSON).await.expect("it is applied");
    assert_eq!(list[0].person.get().unwrap().unwrap().name, "ada");
    assert_eq!(none.unwrap().person.get().unwrap().unwrap().name, "ada");
}

async fn es27_es31_children_come_with_their_own(db: &Db) {
    let (sync, mut ada, mut inbox) = followed(db).await;
    let repo = &db.repo;
    let (sea, note) =
        (tag(repo, "sea").await, repo.insert(Label::build().set(Label::NAME, "note")).await.expect("a label"));
    for name in ["one", "two"] {
        let one = post(repo, name, Some(&ada)).await;
        check(db, &sync, &mut inbox, &mut ada).await;
        link(repo, &one, &sea).await;
        repo.query(&db.backend.sql("insert into posts_labels values ($1, $2)"), &[&one.id, &note.id])
            .await
            .expect("a link");
        check(db, &sync, &mut inbox, &mut ada).await;
    }
    assert_eq!(ada.posts.get().unwrap()[1].labels.get().unwrap().len(), 1);
}

async fn es28_es29_children_change_and_go(db: &Db) {
    let (sync, mut ada, mut inbox) = followed(db).await;
    let (one, _two) = (post(&db.repo, "one", Some(&ada)).await, post(&db.repo, "two", Some(&ada)).await);
    check(db, &sync, &mut inbox, &mut ada).await;
    let one = db.repo.update(one.change().set(Post::BODY, "text")).await.expect("an update");
    check(db, &sync, &mut inbox, &mut ada).await;
    db.repo.delete(&one).await.expect("a delete");
    check(db, &sync, &mut inbox, &mut ada).await;
    let profile = Profile::build().set(Profile::PERSON_ID, ada.id).set(Profile::TEXT, "hers");
    let profile = db.repo.insert(profile).await.expect("a profile");
    check(db, &sync, &mut inbox, &mut ada).await;
    let profile = db.repo.update(profile.change().set(Profile::TEXT, "still")).await.expect("an update");
    check(db, &sync, &mut inbox, &mut ada).await;
    db.repo.delete(&profile).await.expect("a delete");
    check(db, &sync, &mut inbox, &mut ada).await;
    assert_eq!(ada.profile.get(), Ok(None));
}

async fn es32_es33_es34_filtered_children_come_and_go(db: &Db) {
    let (sync, mut ada, mut inbox) = followed(db).await;
    let repo = &db.repo;
    let mut one = post(repo, "test", Some(&ada)).await;
    check(db, &sync, &mut inbox, &mut ada).await;
    assert_eq!((ada.test_posts.get().unwrap().len(), ada.bad_posts.get().unwrap().len()), (1, 0));
    for (name, tests, bads) in [("no test", 0, 0), ("worst", 0, 1), ("test", 1, 0), ("bad", 0, 1)] {
        let change = one.change().set(Post::NAME, name).set(Post::BODY, "blabla");
        one = repo.update(change).await.expect("an update");
        assert_eq!(check(db, &sync, &mut inbox, &mut ada).await, 1);
        let found = (ada.test_posts.get().unwrap().len(), ada.bad_posts.get().unwrap().len());
        assert_eq!(found, (tests, bads), "{name}");
    }
    repo.delete(&one).await.expect("a delete");
    check(db, &sync, &mut inbox, &mut ada).await;
}

async fn es36_es42_a_deleted_tag_leaves_chains_and_links(db: &Db) {
    let (sync, mut ada, mut inbox) = followed(db).await;
    let (one, sea) = (post(&db.repo, "one", Some(&ada)).await, tag(&db.repo, "sea").await);
    link(&db.repo, &one, &sea).await;
    check(db, &sync, &mut inbox, &mut ada).await;
    assert_eq!(ada.all_tags.get().unwrap().len(), 1);
    // The join row goes with it, in the same commit.
    db.repo.delete(&sea).await.expect("a delete");
    assert_eq!(check(db, &sync, &mut inbox, &mut ada).await, 1);
    assert!(ada.all_tags.get().unwrap().is_empty() && ada.posts.get().unwrap()[0].tags.get().unwrap().is_empty());
}

async fn es37_es38_links_come_one_after_the_other(db: &Db) {
    let (sync, mut ada, mut inbox) = followed(db).await;
    let repo = &db.repo;
    let (one, two) = (post(repo, "one", Some(&ada)).await, post(repo, "two", Some(&ada)).await);
    for name in ["sea", "test"] {
        let new = tag(repo, name).await;
        for post in [&one, &two] {
            link(repo, post, &new).await;
            check(db, &sync, &mut inbox, &mut ada).await;
        }
        // A tag that begins and ends to fit the filter of an association.
        let new = repo.update(new.change().set(Tag::NAME, "test")).await.expect("an update");
        check(db, &sync, &mut inbox, &mut ada).await;
        repo.update(new.change().set(Tag::NAME, "other")).await.expect("an update");
        check(db, &sync, &mut inbox, &mut ada).await;
    }
}

async fn es39_links_go_seen_from_either_side(db: &Db) {
    let (sync, mut ada, mut inbox) = followed(db).await;
    let repo = &db.repo;
    let (one, two, sea) =
        (post(repo, "one", Some(&ada)).await, post(repo, "two", Some(&ada)).await, tag(repo, "sea").await);
    let (first, _second) = (link(repo, &one, &sea).await, link(repo, &two, &sea).await);
    let mut sea = repo.fetch::<Tag>(sea.id).await.expect("a tag");
    repo.preload(&mut sea, Tag::POSTS).await.expect("posts");
    let mut its = sync.subscribe(&sea).assocs(Tag::POSTS).await.expect("an inbox");
    check(db, &sync, &mut inbox, &mut ada).await;
    // From one of two parents only.
    repo.delete(&first).await.expect("a delete");
    check(db, &sync, &mut inbox, &mut ada).await;
    catch_up(&sync, &mut its, &mut sea).await;
    assert_eq!(sea.posts.get().unwrap().iter().map(|post| post.id).collect::<Vec<_>>(), [two.id]);
    repo.delete_all(PostTag::query().filter(PostTag::TAG_ID.eq(sea.id))).await.expect("no link");
    check(db, &sync, &mut inbox, &mut ada).await;
    catch_up(&sync, &mut its, &mut sea).await;
    assert!(sea.posts.get().unwrap().is_empty());
}

async fn es43_es44_es45_links_without_a_struct(db: &Db) {
    let (sync, mut ada, mut inbox) = followed(db).await;
    let repo = &db.repo;
    let one = post(repo, "one", Some(&ada)).await;
    let insert = db.backend.sql("insert into posts_labels values ($1, $2)");
    let mut labels = Vec::new();
    for name in ["b", "a", "c"] {
        let new = repo.insert(Label::build().set(Label::NAME, name)).await.expect("a label");
        repo.query(&insert, &[&one.id, &new.id]).await.expect("a link");
        check(db, &sync, &mut inbox, &mut ada).await;
        labels.push(new);
    }
    let names = |ada: &Person| {
        let labels = ada.posts.get().unwrap()[0].labels.get().unwrap();
        labels.iter().map(|label| label.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&ada), ["a", "b", "c"], "in the order of the association");
    repo.update(labels[0].change().set(Label::NAME, "z")).await.expect("an update");
    check(db, &sync, &mut inbox, &mut ada).await;
    assert_eq!(names(&ada), ["a", "c", "z"]);
    repo.delete(&labels[1]).await.expect("a delete");
    assert_eq!(check(db, &sync, &mut inbox, &mut ada).await, 1);
    assert_eq!(names(&ada), ["c", "z"]);
}
