//! Rows on the other side of a join table.

use emr::prelude::*;
use emr::uuid::Uuid;

use super::schemas::{Membership, Post, User, create, links, loaded, names, new_post, new_user, user};
use crate::harness::{Db, sent};

db_cases![
    a19_links_come_and_go_and_rows_stay,
    a20_links_of_a_struct_are_whole_rows,
    a21_a_struct_is_linked_with_itself,
    r30_a_row_is_linked_once,
    r31_a_violation_of_the_join_table_is_an_error_of_the_owner,
    r32_in_two_writes,
    links_of_many_owners_are_one_statement,
];

async fn a19_links_come_and_go_and_rows_stay(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let ann = user(repo, "ann").await;
    let given = vec![ann.change(), new_user("bob")];
    let post = repo.insert(new_post("p").put_assoc(Post::USERS, given)).await.unwrap();
    let bob = post.users.get().unwrap()[1].clone();
    let other = repo.insert(new_post("other").put_assoc(Post::USERS, [&ann, &bob])).await.unwrap();
    let both = |post: &Post| [(post.id, ann.id), (post.id, bob.id)];
    assert_eq!(links(repo).await, [both(&post), both(&other)].concat());
    assert_eq!(post, loaded(repo, post.id, Post::USERS).await);
    // One goes, one changes, one is new.
    let given = vec![bob.change().set(User::NAME, "Bob"), new_user("cid")];
    let post = repo.update(post.change().put_assoc(Post::USERS, given)).await.unwrap();
    let cid = post.users.get().unwrap()[1].id;
    assert_eq!(names(repo).await, ["ann", "Bob", "cid"]);
    assert_eq!(links(repo).await, [&[(post.id, bob.id), (post.id, cid)][..], &both(&other)].concat());
    // One says itself that its link goes.
    let given: Vec<_> = post.users.get().unwrap().iter().map(|user| user.change().as_delete()).collect();
    let post = repo.update(post.change().put_assoc(Post::USERS, given)).await.unwrap();
    assert_eq!((post.users.get().unwrap(), names(repo).await.len()), (&[][..], 3));
    assert_eq!(links(repo).await, both(&other));
    // And the rest.
    repo.update(other.change().clear_assoc(Post::USERS)).await.unwrap();
    assert_eq!((links(repo).await, names(repo).await.len()), (vec![], 3));
    let fixed = repo.insert(new_post("x").put_assoc(Post::FIXED_USERS, [&ann])).await.unwrap();
    let error = repo.update(fixed.change().clear_assoc(Post::FIXED_USERS)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Replaced { association: "fixed_users", .. }), "{error:?}");
}

async fn a20_links_of_a_struct_are_whole_rows(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let before = now();
    let given = vec![new_user("ann"), new_user("bob")];
    let post = repo.insert(new_post("p").put_assoc(Post::MEMBERS, given)).await.unwrap();
    let rows = repo.all(Membership::query().order_by(Membership::USER_ID.asc())).await.unwrap();
    let ids: Vec<_> = post.members.get().unwrap().iter().map(|user| user.id).collect();
    assert_eq!(rows.iter().map(|row| row.user_id).collect::<Vec<_>>(), ids);
    assert!(rows.iter().all(|row| row.post_id == post.id && row.inserted_at >= before && !row.id.is_nil()));
    assert!(rows[0].id != rows[1].id && rows[0].updated_at == rows[0].inserted_at);
    let kept = post.members.get().unwrap()[1].clone();
    repo.update(post.change().put_assoc(Post::MEMBERS, vec![kept])).await.unwrap();
    assert_eq!(repo.all(Membership::query()).await.unwrap(), rows[1..]);
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_people")]
struct Person {
    #[emr(uuid)]
    id: Uuid,
    name: String,
    #[emr(many_to_many(
        table = "g_relations",
        owner_key = "source_id",
        related_key = "target_id",
        on_replace = "delete"
    ))]
    relations: ManyToMany<Person>,
    #[emr(many_to_many(
        table = "g_relations",
        owner_key = "target_id",
        related_key = "source_id",
        on_replace = "delete"
    ))]
    back: ManyToMany<Person>,
}

async fn a21_a_struct_is_linked_with_itself(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Person>().await.unwrap();
    let uuid = db.backend.uuid();
    repo.script(&format!("CREATE TABLE g_relations (source_id {uuid} NOT NULL, target_id {uuid} NOT NULL)"))
        .await
        .unwrap();
    let new = |name: &str| Person::build().set(Person::NAME, name);
    let two = vec![new("bob"), new("cid").put_assoc(Person::RELATIONS, vec![new("dan")])];
    let ann = repo.insert(new("ann").put_assoc(Person::RELATIONS, two)).await.unwrap();
    let read = |id: Uuid| async move {
        let preloads = (Person::RELATIONS.then(Person::RELATIONS), Person::BACK);
        repo.one(Person::query().filter(Person::ID.eq(id)).preload(preloads)).await.unwrap().unwrap()
    };
    let names = |people: &ManyToMany<Person>| {
        let mut names: Vec<_> = people.get().unwrap().iter().map(|person| person.name.clone()).collect();
        names.sort_unstable();
        names
    };
    let stored = read(ann.id).await;
    assert_eq!((names(&stored.relations), names(&stored.back)), (vec!["bob".to_owned(), "cid".to_owned()], vec![]));
    let cid = stored.relations.get().unwrap().iter().find(|person| person.name == "cid").unwrap();
    assert_eq!(names(&cid.relations), ["dan"]);
    assert_eq!(names(&read(cid.id).await.back), ["ann"]);
    let dan = &cid.relations.get().unwrap()[0];
    repo.update(stored.change().put_assoc(Person::RELATIONS, [cid, dan])).await.unwrap();
    assert_eq!(names(&read(ann.id).await.relations), ["cid", "dan"]);
    assert_eq!(names(&read(dan.id).await.back), ["ann", "cid"]);
    // The other way round.
    let dan = read(dan.id).await;
    repo.update(dan.change().clear_assoc(Person::BACK)).await.unwrap();
    assert_eq!(names(&read(ann.id).await.relations), ["cid"]);
}

async fn r30_a_row_is_linked_once(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    repo.script("CREATE UNIQUE INDEX g_posts_users_pair ON g_posts_users (post_id, user_id)").await.unwrap();
    let (repo, statements) = db.instrumented().await;
    let [ann, bob] = [user(&repo, "ann").await, user(&repo, "bob").await];
    sent(&statements);
    let twice = new_post("p").put_assoc(Post::UNIQUE_USERS, [&ann, &bob, &ann]);
    assert_eq!(twice.errors().get("unique_users.2.id")[0].code(), "unique");
    let error = repo.insert(twice).await.unwrap_err();
    assert_eq!(error.field_errors().unwrap().messages()["unique_users.2.id"], ["has already been taken"]);
    assert_eq!(sent(&statements).len(), 0, "before anything was sent");
    let post = repo.insert(new_post("p").put_assoc(Post::UNIQUE_USERS, [&ann])).await.unwrap();
    // Somebody else was faster: the link is there, and that is what was asked for.
    let other = loaded(&repo, post.id, Post::USERS).await;
    repo.update(other.change().put_assoc(Post::USERS, [&ann, &bob])).await.unwrap();
    let post = repo.update(post.change().put_assoc(Post::UNIQUE_USERS, [&bob, &ann])).await.unwrap();
    assert_eq!(links(&repo).await, [(post.id, ann.id), (post.id, bob.id)]);
}

async fn r31_a_violation_of_the_join_table_is_an_error_of_the_owner(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let ann = user(repo, "ann").await;
    let declared = |post: Changeset<Post>| {
        let index = emr::Constraint::unique("g_memberships_post_id_user_id_index");
        post.constraint(index.field(Post::MEMBERS).message("are members already"))
    };
    let twice = || new_post("p").put_assoc(Post::MEMBERS, [&ann, &ann]);
    let error = repo.insert(declared(twice())).await.unwrap_err();
    assert_eq!(error.field_errors().unwrap().messages()["members"], ["are members already"]);
    let error = repo.insert(twice()).await.unwrap_err();
    assert!(error.is_unique_violation(), "{error:?}");
    assert_eq!(repo.count(Post::query()).await.unwrap(), 0);
    // Below another row, at its place; what was fine beside it is not written either.
    let bob = new_user("bob").put_assoc(User::POSTS, vec![new_post("fine"), declared(twice())]);
    let error = repo.insert(bob).await.unwrap_err();
    assert_eq!(error.field_errors().unwrap().messages()["posts.1.members"], ["are members already"]);
    assert_eq!((names(repo).await, repo.count(Post::query()).await.unwrap()), (vec!["ann".to_owned()], 0));
}

async fn r32_in_two_writes(db: &Db) {
    let repo = &db.repo;
    create(repo).await;
    let ann = user(repo, "ann").await;
    let post = repo.insert(new_post("p").clear_assoc(Post::MEMBERS)).await.unwrap();
    let join = || {
        let index = emr::Constraint::unique("g_memberships_post_id_user_id_index").field(Post::MEMBERS);
        post.change().put_assoc(Post::MEMBERS, [&ann]).constraint(index)
    };
    repo.update(join()).await.unwrap();
    let error = repo.update(join()).await.unwrap_err();
    assert_eq!(error.field_errors().unwrap().get("members")[0].code(), "unique");
    assert_eq!(repo.count(Membership::query()).await.unwrap(), 1);
}

async fn links_of_many_owners_are_one_statement(db: &Db) {
    create(&db.repo).await;
    let (repo, statements) = db.instrumented().await;
    let [ann, bob] = [user(&repo, "ann").await, user(&repo, "bob").await];
    sent(&statements);
    let posts = (0..20).map(|n| new_post(&n.to_string()).put_assoc(Post::USERS, [&ann, &bob])).collect::<Vec<_>>();
    let cid = repo.insert(new_user("cid").put_assoc(User::POSTS, posts)).await.unwrap();
    let noted = sent(&statements);
    assert_eq!(noted.iter().filter(|one| one.text.contains("INSERT")).count(), 3, "{noted:?}");
    let ids = cid.posts.get().unwrap().iter().flat_map(|post| [(post.id, ann.id), (post.id, bob.id)]);
    assert_eq!(links(&repo).await, ids.collect::<Vec<_>>());
}
