//! What the seed does wrong, each as the right result. The letters are those of its list of failures.

use emr::prelude::*;
use emr::sync::{label, rows};
use emr::watch::Op;

use crate::harness::Db;
use crate::models::{Label, Line, Node, Ordered, Person, Post, PostTag, Profile, Tag, make_tables};
use crate::{builder, canonical, catch_up, changes, drain, link, person, post, settle, started, tag, watching};

db_cases![
    a_a_child_that_is_deleted_with_its_link_ends,
    b_a_link_that_goes_from_the_outermost_row,
    c_a_link_without_a_struct_on_the_outermost_row,
    e_a_row_of_its_own_struct_below_itself,
    f_nobody_in_a_loaded_slot_and_an_update_of_somebody,
    h_keys_that_are_not_called_id,
    one_of_two_parents_keeps_its_child,
    a_has_one_comes_changes_moves_and_goes,
    a_child_leaves_a_list_of_several_conditions,
    a_chain_takes_only_what_belongs_to_it,
    delivered_twice_it_is_there_once,
    a_moved_child_makes_no_events_of_its_own,
    another_instance_serves_nothing_old,
    a_failed_load_is_no_row,
    trigger_columns_are_kept,
    the_rows_of_each_element_decide_what_is_loaded,
    own_updates_are_known_and_others_are_not_taken_for_them,
    deleting_tells_no_more_than_asking,
];

async fn tagged(repo: &RepoHandle, id: i64) -> Post {
    repo.fetch_one(Post::query().filter(Post::ID.eq(id)).preload((Post::TAGS, Post::LABELS))).await.expect("a post")
}

async fn a_a_child_that_is_deleted_with_its_link_ends(db: &Db) {
    let sync = started(db).await;
    let (one, sea) = (post(&db.repo, "one", None).await, tag(&db.repo, "sea").await);
    link(&db.repo, &one, &sea).await;
    let mut posts = vec![tagged(&db.repo, one.id).await];
    settle(&sync).await;
    let mut inbox = sync.subscribe(&posts).assocs((Post::TAGS, Post::LABELS)).await.expect("an inbox");
    db.repo.delete(&sea).await.expect("a delete");
    assert_eq!(catch_up(&sync, &mut inbox, &mut posts).await, 1);
    assert_eq!(posts, [tagged(&db.repo, one.id).await]);
}

async fn b_a_link_that_goes_from_the_outermost_row(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let (one, two, sea) = (post(repo, "one", None).await, post(repo, "two", None).await, tag(repo, "sea").await);
    let air = tag(repo, "air").await;
    for (post, tag) in [(&one, &sea), (&one, &air), (&two, &sea), (&two, &air)] {
        link(repo, post, tag).await;
    }
    let mut posts = vec![tagged(repo, one.id).await, tagged(repo, two.id).await];
    let mut itself = tagged(repo, one.id).await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(&posts).assocs(Post::TAGS).await.expect("an inbox");
    let gone = repo.all(PostTag::query().filter(PostTag::TAG_ID.eq(sea.id))).await.expect("links");
    for link in &gone {
        repo.delete(link).await.expect("a delete");
    }
    for item in drain(&sync, &mut inbox).await {
        sync.apply(&mut posts, &item).await.expect("it is applied");
        sync.apply(&mut itself, &item).await.expect("it is applied");
    }
    assert_eq!(posts, [tagged(repo, one.id).await, tagged(repo, two.id).await]);
    assert_eq!((itself.id, itself.tags.get().unwrap().len()), (one.id, 1));
}

async fn c_a_link_without_a_struct_on_the_outermost_row(db: &Db) {
    let sync = started(db).await;
    let mut one = post(&db.repo, "one", None).await;
    let note = db.repo.insert(Label::build().set(Label::NAME, "note")).await.expect("a label");
    one = tagged(&db.repo, one.id).await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(&one).assocs(Post::LABELS).await.expect("an inbox");
    let insert = db.backend.sql("insert into posts_labels values ($1, $2)");
    db.repo.query(&insert, &[&one.id, &note.id]).await.expect("a link");
    catch_up(&sync, &mut inbox, &mut one).await;
    assert_eq!(one, tagged(&db.repo, one.id).await);
    assert_eq!(one.labels.get().unwrap(), [note]);
}

async fn e_a_row_of_its_own_struct_below_itself(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let new = |name: &str, parent: Option<i64>| Node::build().set(Node::NAME, name).set(Node::PARENT_ID, parent);
    let root = repo.insert(new("root", None)).await.expect("a node");
    let load = |id: i64| async move {
        let preloads = (Node::CHILDREN.then(Node::CHILDREN), Node::PARENT);
        repo.fetch_one(Node::query().filter(Node::ID.eq(id)).preload(preloads)).await.expect("a node")
    };
    let mut held = load(root.id).await;
    settle(&sync).await;
    let follow = (Node::CHILDREN.chain(Node::CHILDREN), Node::PARENT);
    let mut inbox = sync.subscribe(&held).assocs(follow).await.expect("an inbox");
    let child = repo.insert(new("child", Some(root.id))).await.expect("a node");
    let grandchild = repo.insert(new("grandchild", Some(child.id))).await.expect("a node");
    catch_up(&sync, &mut inbox, &mut held).await;
    assert_eq!(canonical(&held), canonical(&load(root.id).await));
    repo.update(grandchild.change().set(Node::NAME, "small")).await.expect("an update");
    catch_up(&sync, &mut inbox, &mut held).await;
    assert_eq!(canonical(&held), canonical(&load(root.id).await));
    repo.update(grandchild.change().set(Node::PARENT_ID, root.id)).await.expect("a move");
    catch_up(&sync, &mut inbox, &mut held).await;
    assert_eq!(canonical(&held), canonical(&load(root.id).await));
    assert_eq!(held.children.get().unwrap().len(), 2);
    repo.delete(&child).await.expect("a delete");
    catch_up(&sync, &mut inbox, &mut held).await;
    assert_eq!(canonical(&held), canonical(&load(root.id).await));
}

async fn f_nobody_in_a_loaded_slot_and_an_update_of_somebody(db: &Db) {
    let sync = started(db).await;
    let mut one = post(&db.repo, "one", None).await;
    db.repo.preload(&mut one, Post::PERSON).await.expect("nobody");
    let mut inbox = sync.subscribe(rows::<Person>()).await.expect("an inbox");
    let ada = person(&db.repo, "ada").await;
    db.repo.update(ada.change().set(Person::NAME, "Ada")).await.expect("an update");
    assert!(catch_up(&sync, &mut inbox, &mut one).await > 0);
    assert_eq!(one.person.get(), Ok(None));
}

async fn h_keys_that_are_not_called_id(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let new = Ordered::build().set(Ordered::REGION, "north").set(Ordered::NUMBER, 1).set(Ordered::NOTE, "a");
    let order = repo.insert(new).await.expect("an order");
    let load =
        || async { repo.all(Ordered::query().preload(Ordered::LINES)).await.expect("orders").pop().expect("one") };
    let mut held = load().await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(&held).assocs(Ordered::LINES).await.expect("an inbox");
    for code in ["x", "y"] {
        let (region, number) = (order.region.clone(), order.number);
        repo.insert(Line { code: code.to_owned(), order_region: region, order_number: number, text: "t".to_owned() })
            .await
            .expect("a line");
    }
    let line = repo.fetch::<Line>("x".to_owned()).await.expect("a line");
    repo.update(line.change().set(Line::TEXT, "u")).await.expect("an update");
    catch_up(&sync, &mut inbox, &mut held).await;
    assert_eq!(canonical(&held), canonical(&load().await));
    // The key itself changes, and the lines go with it.
    repo.script("update orders set number = 2").await.expect("an update");
    catch_up(&sync, &mut inbox, &mut held).await;
    assert_eq!(held.number, 2);
    assert_eq!(canonical(&held), canonical(&load().await));
    // It is followed by its new key.
    repo.script("update orders set note = 'b'").await.expect("an update");
    repo.script("delete from lines where code = 'y'").await.expect("a delete");
    catch_up(&sync, &mut inbox, &mut held).await;
    assert_eq!(canonical(&held), canonical(&load().await));
}

async fn one_of_two_parents_keeps_its_child(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let (one, two, sea) = (post(repo, "one", None).await, post(repo, "two", None).await, tag(repo, "sea").await);
    let (first, _) = (link(repo, &one, &sea).await, link(repo, &two, &sea).await);
    let mut posts = vec![tagged(repo, one.id).await, tagged(repo, two.id).await];
    settle(&sync).await;
    let mut inbox = sync.subscribe(&posts).assocs(Post::TAGS).await.expect("an inbox");
    repo.delete(&first).await.expect("a delete");
    catch_up(&sync, &mut inbox, &mut posts).await;
    let left: Vec<_> = posts.iter().map(|post| post.tags.get().unwrap().len()).collect();
    assert_eq!(left, [0, 1]);
}

async fn a_has_one_comes_changes_moves_and_goes(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let (ada, bob) = (person(repo, "ada").await, person(repo, "bob").await);
    let mut people = vec![ada.clone(), bob.clone()];
    repo.preload(&mut people, Person::PROFILE).await.expect("nothing");
    settle(&sync).await;
    let mut inbox = sync.subscribe(&people).assocs(Person::PROFILE).await.expect("an inbox");
    let texts = |people: &[Person]| {
        let text = |person: &Person| person.profile.get().unwrap().map(|profile| profile.text.clone());
        people.iter().map(text).collect::<Vec<_>>()
    };
    let new = Profile::build().set(Profile::PERSON_ID, ada.id).set(Profile::TEXT, "a");
    let profile = repo.insert(new).await.expect("a profile");
    catch_up(&sync, &mut inbox, &mut people).await;
    assert_eq!(texts(&people), [Some("a".to_owned()), None]);
    let profile =
        repo.update(profile.change().set(Profile::TEXT, "b").set(Profile::PERSON_ID, bob.id)).await.expect("a move");
    catch_up(&sync, &mut inbox, &mut people).await;
    assert_eq!(texts(&people), [None, Some("b".to_owned())]);
    repo.delete(&profile).await.expect("a delete");
    catch_up(&sync, &mut inbox, &mut people).await;
    assert_eq!(texts(&people), [None, None]);
}

async fn a_child_leaves_a_list_of_several_conditions(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let mut ada = person(repo, "ada").await;
    repo.preload(&mut ada, Person::BAD_POSTS).await.expect("posts");
    let mut inbox = sync.subscribe(&ada).assocs(Person::BAD_POSTS).await.expect("an inbox");
    let mut one = post(repo, "bad", Some(&ada)).await;
    for (body, expected) in [("blabla", 1), ("good", 0), ("blabla", 1)] {
        one = repo.update(one.change().set(Post::BODY, body)).await.expect("an update");
        catch_up(&sync, &mut inbox, &mut ada).await;
        assert_eq!(ada.bad_posts.get().unwrap().len(), expected);
    }
}

async fn a_chain_takes_only_what_belongs_to_it(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let (mut ada, sea) = (person(repo, "ada").await, tag(repo, "sea").await);
    repo.preload(&mut ada, Person::ALL_TAGS).await.expect("tags");
    let mut inbox = sync.subscribe(&ada).assocs(Person::ALL_TAGS).await.expect("an inbox");
    inbox.subscribe(rows::<Tag>()).await.expect("it is subscribed");
    let strange = post(repo, "strange", None).await;
    link(repo, &strange, &sea).await;
    let air = tag(repo, "air").await;
    catch_up(&sync, &mut inbox, &mut ada).await;
    assert!(ada.all_tags.get().unwrap().is_empty());
    // And an update of a row that is not in it.
    repo.update(air.change().set(Tag::NAME, "wind")).await.expect("an update");
    catch_up(&sync, &mut inbox, &mut ada).await;
    assert!(ada.all_tags.get().unwrap().is_empty());
}

async fn delivered_twice_it_is_there_once(db: &Db) {
    let sync = started(db).await;
    let mut ada = person(&db.repo, "ada").await;
    db.repo.preload(&mut ada, Person::POSTS).await.expect("posts");
    let mut inbox = sync.subscribe(&ada).assocs(Person::POSTS).await.expect("an inbox");
    inbox.subscribe(rows::<Post>()).await.expect("it is subscribed");
    let mut posts = Vec::<Post>::new();
    post(&db.repo, "one", Some(&ada)).await;
    for item in drain(&sync, &mut inbox).await {
        for _ in 0..3 {
            sync.apply(&mut ada, &item).await.expect("it is applied");
            sync.apply(&mut posts, &item).await.expect("it is applied");
        }
    }
    assert_eq!((posts.len(), ada.posts.get().unwrap().len()), (1, 1));
}

async fn a_moved_child_makes_no_events_of_its_own(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let (mut ada, bob) = (person(repo, "ada").await, person(repo, "bob").await);
    let one = post(repo, "one", Some(&ada)).await;
    repo.preload(&mut ada, Person::POSTS).await.expect("posts");
    settle(&sync).await;
    let mut all = sync.subscribe(rows::<Post>()).await.expect("an inbox");
    let mut holders = Vec::new();
    for _ in 0..3 {
        holders.push((sync.subscribe(&ada).assocs(Person::POSTS).await.expect("an inbox"), ada.clone()));
    }
    repo.update(one.change().set(Post::PERSON_ID, bob.id)).await.expect("a move");
    for (inbox, held) in &mut holders {
        assert_eq!(catch_up(&sync, inbox, held).await, 1);
    }
    let items = drain(&sync, &mut all).await;
    assert_eq!((changes(&items), items[0].changes().next().map(emr::watch::Event::op)), (1, Some(Op::Update)));
}

async fn another_instance_serves_nothing_old(db: &Db) {
    let one = {
        let sync = started(db).await;
        let one = post(&db.repo, "v1", None).await;
        let mut inbox = sync.subscribe(rows::<Post>()).await.expect("an inbox");
        let mut held = one.clone();
        db.repo.update(one.change().set(Post::BODY, "x")).await.expect("an update");
        catch_up(&sync, &mut inbox, &mut held).await;
        held
    };
    let sync = watching(builder(db)).start().await.expect("an instance");
    let mut inbox = sync.subscribe(&one).await.expect("an inbox");
    let mut held = one.clone();
    db.repo.update(one.change().set(Post::NAME, "v2")).await.expect("an update");
    catch_up(&sync, &mut inbox, &mut held).await;
    assert_eq!(held.name, "v2");
}

async fn a_failed_load_is_no_row(db: &Db) {
    let sync = started(db).await;
    let one = post(&db.repo, "one", None).await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(&one).await.expect("an inbox");
    db.repo.update(one.change().set(Post::NAME, "uno")).await.expect("an update");
    let items = drain(&sync, &mut inbox).await;
    db.repo.script("alter table posts rename to elsewhere").await.expect("the table is away");
    let (mut held, event) = (one.clone(), items[0].changes().next().expect("a change"));
    assert!(sync.get::<Post>(&items[0], event).await.is_err());
    assert!(sync.apply(&mut held, &items[0]).await.is_err());
    db.repo.script("alter table elsewhere rename to posts").await.expect("the table is back");
    assert_eq!(sync.get::<Post>(&items[0], event).await.expect("no error").expect("a post").name, "uno");
}

async fn trigger_columns_are_kept(db: &Db) {
    make_tables(db).await;
    let spec = Post::watch().label("renamed").trigger_columns(Post::NAME);
    let sync = builder(db).watch(spec).watch(Post::watch()).start().await.expect("an instance");
    let one = post(&db.repo, "one", None).await;
    settle(&sync).await;
    let mut renamed = sync.subscribe(label("renamed")).await.expect("an inbox");
    let mut any = sync.subscribe(rows::<Post>()).await.expect("an inbox");
    let one = db.repo.update(one.change().set(Post::BODY, "text")).await.expect("an update");
    db.repo.update(one.change().set(Post::NAME, "uno")).await.expect("an update");
    assert_eq!(changes(&drain(&sync, &mut renamed).await), 1);
    assert_eq!(changes(&drain(&sync, &mut any).await), 2);
}

async fn the_rows_of_each_element_decide_what_is_loaded(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let (ada, bob) = (person(repo, "ada").await, person(repo, "bob").await);
    let mut people = vec![ada.clone(), bob.clone()];
    // Only the second one has its posts.
    repo.preload(&mut people[1..], Person::POSTS).await.expect("posts");
    let mut inbox = sync.subscribe(&people).assocs(Person::POSTS).await.expect("an inbox");
    post(repo, "hers", Some(&ada)).await;
    post(repo, "his", Some(&bob)).await;
    catch_up(&sync, &mut inbox, &mut people).await;
    assert!(people[0].posts.get().is_err());
    assert_eq!(people[1].posts.get().unwrap()[0].name, "his");
}

async fn own_updates_are_known_and_others_are_not_taken_for_them(db: &Db) {
    let sync = started(db).await;
    let mine = db.repo.with_origin("me");
    let one = post(&db.repo, "0", None).await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(&one).skip_origin("me").await.expect("an inbox");
    let mut row = one;
    for n in 1..=6 {
        let name = n.to_string();
        // A write that fails counts nothing.
        assert!(mine.query("update posts set no_such_column = 1", &[]).await.is_err());
        row = if n % 2 == 0 {
            db.repo.update(row.change().set(Post::NAME, name)).await.expect("theirs")
        } else {
            mine.update(row.change().set(Post::NAME, name)).await.expect("mine")
        };
        settle(&sync).await;
    }
    let items = drain(&sync, &mut inbox).await;
    assert_eq!(changes(&items), 3);
    assert!(items.iter().all(|item| !item.is_from("me")));
}

async fn deleting_tells_no_more_than_asking(db: &Db) {
    let sync = started(db).await;
    let one = post(&db.repo, "one", None).await;
    settle(&sync).await;
    let mut inbox = sync.subscribe(&one).await.expect("an inbox");
    db.repo.delete(&one).await.expect("a delete");
    let items = drain(&sync, &mut inbox).await;
    let event = items[0].changes().next().expect("a change");
    assert_eq!(sync.get::<Post>(&items[0], event).await.expect("no error"), None);
    assert!(inbox.subscribed(&one).expect("it is watched"), "asking ends no subscription");
}
