//! The law: after everything that came is applied, a value is what a fresh load gives; and an item that is applied once more changes
//! nothing. Random graphs, random writers, random moments; what fails is made small, and kept beside this file.

use std::sync::Arc;

use emr::prelude::*;
use emr::sync::{Synced, rows};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};

use crate::harness::{Backend, Db};
use crate::models::{Node, Ordered, Person, Post, Tag, everything, make_tables};
use crate::{Delivery, Sync, builder, canonical, catch_up, drain, person, settle, watching};

db_cases![values_equal_a_fresh_load];

/// What one writer does in one commit, and whether the subscriber catches up behind it.
#[derive(Debug, Clone)]
struct Step {
    writes: Vec<Write>,
    rolls_back: bool,
    catches_up: bool,
}

/// One write; the numbers choose among the rows that there are.
#[derive(Debug, Clone, Copy)]
struct Write {
    kind: u8,
    which: u8,
    to: u8,
    name: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (0..KINDS, any::<u8>(), any::<u8>(), 0..12_u8);
    let write = write.prop_map(|(kind, which, to, name)| Write { kind, which, to, name });
    let step = (prop::collection::vec(write, 1..5), prop::bool::weighted(0.05), prop::bool::weighted(0.3));
    let step = step.prop_map(|(writes, rolls_back, catches_up)| Step { writes, rolls_back, catches_up });
    prop::collection::vec(step, 10..40)
}

/// Cases on each backend: two and a half writes a commit, 25 commits a case, two backends.
const CASES: u32 = 90;

/// Names that collations put in other orders than bytes do, and one that filters look for.
const NAMES: [&str; 12] = ["test", "bad", "a", "B", "b", "Ä", "z", "é", "worst", "x 1", "x 10", "x 2"];

const KINDS: u8 = 24;

async fn values_equal_a_fresh_load(db: &Db) {
    make_tables(db).await;
    let cases = std::env::var("EMR_LAW_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sync/law_failures.txt");
    let config = Config {
        cases,
        max_shrink_iters: 300,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(kept))),
        ..Config::default()
    };
    let sync = watching(builder(db)).start().await.expect("an instance");
    let place = Arc::new((db.repo.clone(), db.backend, sync));
    let runtime = tokio::runtime::Handle::current();
    let outcome = tokio::task::spawn_blocking(move || {
        TestRunner::new(config).run(&steps(), |steps| {
            let place = Arc::clone(&place);
            runtime.block_on(async move { run(&place.0, place.1, &place.2, steps).await }).map_err(TestCaseError::fail)
        })
    });
    if let Err(error) = outcome.await.expect("the runner") {
        panic!("{error}");
    }
}

/// The values that one subscriber holds.
struct Held {
    people: Vec<Person>,
    one: Option<Person>,
    nodes: Vec<Node>,
    orders: Vec<Ordered>,
    by_name: Synced<Post>,
    first: Synced<Post>,
}

async fn people(repo: &RepoHandle) -> Vec<Person> {
    let preloads = (
        Person::POSTS.then((Post::TAGS, Post::LABELS, Post::TEST_TAGS)),
        Person::OTHER_POSTS,
        Person::TEST_POSTS,
        Person::BAD_POSTS,
        Person::ALL_TAGS,
        Person::PROFILE,
    );
    repo.all(Person::query().order_by(Person::ID.asc()).preload(preloads)).await.expect("people")
}

async fn nodes(repo: &RepoHandle) -> Vec<Node> {
    let preloads = (Node::CHILDREN.then(Node::CHILDREN), Node::PARENT.then(Node::PARENT));
    repo.all(Node::query().preload(preloads)).await.expect("nodes")
}

async fn orders(repo: &RepoHandle) -> Vec<Ordered> {
    repo.all(Ordered::query().preload(Ordered::LINES)).await.expect("orders")
}

fn by_name() -> emr::Query<Post> {
    let preloads = (Post::TAGS.then(Tag::POSTS), Post::PERSON.then(Person::PROFILE), Post::LABELS);
    Post::query().filter(Post::NAME.ne("x 1")).order_by([Post::BODY.desc(), Post::NAME.asc()]).preload(preloads)
}

fn first() -> emr::Query<Post> {
    Post::query().filter(Post::PERSON_ID.is_not_null()).order_by([Post::NAME.desc(), Post::ID.asc()]).limit(3).offset(1)
}

async fn run(repo: &RepoHandle, backend: Backend, sync: &Sync, steps: Vec<Step>) -> Result<(), String> {
    for table in
        ["profiles", "posts_tags", "posts_labels", "posts", "people", "tags", "labels", "nodes", "lines", "orders"]
    {
        repo.script(&format!("delete from {table}")).await.expect("nothing is left");
    }
    let ada = person(repo, "ada").await;
    settle(sync).await;
    let mut all = sync.subscribe(rows::<Person>()).assocs(everything()).await.expect("an inbox");
    all.subscribe(rows::<Node>()).assocs((Node::CHILDREN, Node::PARENT)).await.expect("it is subscribed");
    all.subscribe(rows::<Ordered>()).assocs(Ordered::LINES).await.expect("it is subscribed");
    all.subscribe(rows::<Post>()).assocs(Post::TAGS.chain(Tag::POSTS)).await.expect("it is subscribed");
    let mut held = Held {
        people: people(repo).await,
        one: people(repo).await.pop(),
        nodes: Vec::new(),
        orders: Vec::new(),
        by_name: sync.load(by_name()).await.expect("posts"),
        first: sync.load(first()).await.expect("posts"),
    };
    let mut hers = sync.subscribe(held.one.as_ref().unwrap()).assocs(everything()).state().await.expect("an inbox");
    let mut last = None;
    for (number, step) in steps.iter().enumerate() {
        write(repo, backend, step).await;
        if step.catches_up || number + 1 == steps.len() {
            for item in drain(sync, &mut all).await {
                apply(sync, &mut held, &item).await;
                last = last.filter(|_| number % 3 == 0).or(Some(item));
            }
            catch_up(sync, &mut hers, &mut held.one).await;
            equal(repo, sync, &held, ada.id).await.map_err(|error| format!("after commit {number}: {error}"))?;
        }
    }
    if let Some(item) = last {
        apply(sync, &mut held, &item).await;
        equal(repo, sync, &held, ada.id).await.map_err(|error| format!("after an old item: {error}"))?;
    }
    Ok(())
}

async fn apply(sync: &Sync, held: &mut Held, item: &Delivery) {
    sync.apply(&mut held.people, item).await.expect("people");
    sync.apply(&mut held.nodes, item)
        .preload((Node::CHILDREN.then(Node::CHILDREN), Node::PARENT.then(Node::PARENT)))
        .await
        .expect("nodes");
    sync.apply(&mut held.orders, item).await.expect("orders");
    sync.apply(&mut held.by_name, item).await.expect("posts");
    sync.apply(&mut held.first, item).await.expect("posts");
}

async fn equal(repo: &RepoHandle, sync: &Sync, held: &Held, ada: i64) -> Result<(), String> {
    let fresh = people(repo).await;
    same_sets("people", &held.people, &fresh)?;
    let one: Vec<_> = fresh.into_iter().filter(|person| person.id == ada).collect();
    let own: Vec<_> = held.one.iter().cloned().collect();
    // One that was deleted does not come back by itself.
    if !own.is_empty() || one.is_empty() {
        same_sets("one", &own, &one)?;
    }
    same_sets("nodes", &held.nodes, &nodes(repo).await)?;
    same_sets("orders", &held.orders, &orders(repo).await)?;
    same_lists("by name", &held.by_name, &sync.load(by_name()).await.expect("posts"))?;
    same_lists("first", &held.first, &sync.load(first()).await.expect("posts"))?;
    Ok(())
}

fn same_sets<T: Syncable>(what: &str, held: &[T], fresh: &[T]) -> Result<(), String> {
    let text = |rows: &[T]| {
        let mut rows: Vec<_> = rows.iter().map(|row| canonical(row)).collect();
        rows.sort();
        rows
    };
    compare(what, &text(held), &text(fresh))
}

fn same_lists<T: Syncable>(what: &str, held: &Synced<T>, fresh: &Synced<T>) -> Result<(), String> {
    let text = |rows: &Synced<T>| rows.iter().map(|row| canonical(row)).collect::<Vec<_>>();
    compare(what, &text(held), &text(fresh))
}

fn compare(what: &str, held: &[String], fresh: &[String]) -> Result<(), String> {
    if held == fresh { Ok(()) } else { Err(format!("{what}\n  held  {held:#?}\n  fresh {fresh:#?}")) }
}

/// The ids of a table's rows.
async fn ids(tx: &Tx, table: &str) -> Vec<i64> {
    let found = tx.query(&format!("select id from {table} order by id"), &[]).await.expect("ids");
    (0..found.rows().len()).map(|at| found.get(at, 0).expect("an id")).collect()
}

fn choose<T: Copy>(from: &[T], which: u8) -> Option<T> {
    from.get(usize::from(which) % from.len().max(1)).copied()
}

async fn write(repo: &RepoHandle, backend: Backend, step: &Step) {
    let tx = repo.begin().await.expect("a transaction");
    for one in &step.writes {
        write_one(&tx, backend, *one).await;
    }
    let ended = if step.rolls_back { tx.rollback().await } else { tx.commit().await };
    ended.expect("the transaction ends");
}

#[allow(clippy::too_many_lines)] // a table
async fn write_one(tx: &Tx, backend: Backend, write: Write) {
    let name = NAMES[usize::from(write.name)];
    let to = |from: &[i64]| if write.to.is_multiple_of(4) { None } else { choose(from, write.to) };
    let sql = |text: &str| backend.sql(text);
    let (people, posts) = (ids(tx, "people").await, ids(tx, "posts").await);
    let (tags, labels) = (ids(tx, "tags").await, ids(tx, "labels").await);
    let done = match write.kind {
        0 if people.len() < 5 => tx.query(&sql("insert into people (name) values ($1)"), &[&name]).await,
        1 | 2 if posts.len() < 14 => {
            let insert = sql("insert into posts (name, person_id, other) values ($1, $2, $3)");
            tx.query(&insert, &[&name, &to(&people), &choose(&people, write.which)]).await
        }
        3 if tags.len() < 6 => tx.query(&sql("insert into tags (name) values ($1)"), &[&name]).await,
        4 if labels.len() < 6 => tx.query(&sql("insert into labels (name) values ($1)"), &[&name]).await,
        5 | 6 => match (choose(&posts, write.which), choose(&tags, write.to)) {
            (Some(post), Some(tag)) => {
                tx.query(&sql("insert into posts_tags (post_id, tag_id) values ($1, $2)"), &[&post, &tag]).await
            }
            _ => return,
        },
        7 | 8 => match (choose(&posts, write.which), choose(&labels, write.to)) {
            (Some(post), Some(label)) => {
                let insert = "insert into posts_labels values ($1, $2) on conflict do nothing";
                tx.query(&sql(insert), &[&post, &label]).await
            }
            _ => return,
        },
        9 | 10 => match choose(&posts, write.which) {
            Some(post) => tx.query(&sql("update posts set name = $1 where id = $2"), &[&name, &post]).await,
            None => return,
        },
        11 => match choose(&posts, write.which) {
            Some(post) => {
                let body = [None, Some("blabla"), Some("B"), Some("a")][usize::from(write.to) % 4].map(str::to_owned);
                tx.query(&sql("update posts set body = $1 where id = $2"), &[&body, &post]).await
            }
            None => return,
        },
        12 | 13 => match choose(&posts, write.which) {
            Some(post) => {
                let owner = to(&people);
                tx.query(&sql("update posts set person_id = $1, other = $1 where id = $2"), &[&owner, &post]).await
            }
            None => return,
        },
        14 => match choose(&tags, write.which) {
            Some(tag) => tx.query(&sql("update tags set name = $1 where id = $2"), &[&name, &tag]).await,
            None => return,
        },
        15 => {
            let links = ids(tx, "posts_tags").await;
            match (choose(&links, write.which), choose(&posts, write.to)) {
                // A link that moves to another post.
                (Some(id), Some(post)) if write.to.is_multiple_of(2) => {
                    tx.query(&sql("update posts_tags set post_id = $1 where id = $2"), &[&post, &id]).await
                }
                (Some(id), _) => tx.query(&sql("delete from posts_tags where id = $1"), &[&id]).await,
                _ => return,
            }
        }
        16 => match (choose(&posts, write.which), choose(&tags, write.to), choose(&people, write.to)) {
            (Some(post), ..) if write.to.is_multiple_of(4) => {
                tx.query(&sql("delete from posts where id = $1"), &[&post]).await
            }
            (_, Some(tag), _) if write.to % 4 == 1 => tx.query(&sql("delete from tags where id = $1"), &[&tag]).await,
            (.., Some(person)) if write.to % 4 == 2 => {
                tx.query(&sql("delete from people where id = $1"), &[&person]).await
            }
            _ => tx.query("delete from labels where id in (select min(id) from labels)", &[]).await,
        },
        17 => match choose(&people, write.which) {
            Some(person) if write.to.is_multiple_of(2) => {
                tx.query(&sql("insert into profiles (person_id, text) values ($1, $2)"), &[&person, &name]).await
            }
            Some(person) => {
                tx.query(
                    &sql("update profiles set person_id = $1 where id in (select min(id) from profiles)"),
                    &[&person],
                )
                .await
            }
            None => return,
        },
        18 | 19 => {
            let nodes = ids(tx, "nodes").await;
            match (choose(&nodes, write.which), to(&nodes)) {
                (Some(node), parent) if nodes.len() > 8 || write.to.is_multiple_of(3) => {
                    tx.query(&sql("update nodes set parent_id = $1, name = $2 where id = $3"), &[&parent, &name, &node])
                        .await
                }
                (Some(node), _) if write.to % 7 == 1 => {
                    tx.query(&sql("delete from nodes where id = $1"), &[&node]).await
                }
                (_, parent) => {
                    tx.query(&sql("insert into nodes (name, parent_id) values ($1, $2)"), &[&name, &parent]).await
                }
            }
        }
        20 => {
            let (region, number) = (["north", "south"][usize::from(write.to) % 2], i32::from(write.which % 4));
            let insert = "insert into orders values ($1, $2, $3) on conflict (region, number) do update set note = $3";
            tx.query(&sql(insert), &[&region, &number, &name]).await
        }
        21 => {
            let insert = "insert into lines select cast($1 as text), region, number, note from orders where number = $2 \
                          and region = 'north' on conflict (code) do update set text = lines.text || 'x', \
                          order_region = excluded.order_region, order_number = excluded.order_number";
            let code = format!("line {}", write.which % 6);
            tx.query(&sql(insert), &[&code, &i32::from(write.to % 4)]).await
        }
        // The key of an order changes, and the lines go with it.
        22 => {
            let update = "update orders set number = number + 10 where number = $1 and not exists \
                          (select 1 from orders o where o.region = orders.region and o.number = orders.number + 10)";
            tx.query(&sql(update), &[&i32::from(write.which % 4)]).await
        }
        _ if backend == Backend::Postgres && write.to.is_multiple_of(8) => {
            tx.query("truncate posts_labels, posts_tags", &[]).await
        }
        _ => tx.query(&sql("delete from orders where number > $1"), &[&i32::from(write.which % 20)]).await,
    };
    done.unwrap_or_else(|error| panic!("{write:?}: {error}"));
}
