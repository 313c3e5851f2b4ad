//! Values stay equal to the database. Cases that are named `esNN_…` are acceptance rows, `csNN_…` the tests of that number in the
//! list that the project started from.

#[allow(dead_code, unused_imports)] // the suite uses all of it
#[macro_use]
#[path = "../../../tests/suite/harness.rs"]
mod harness;

mod applying;
mod basics;
mod faults;
mod law;
mod models;
mod promises;
mod queries;
mod rows;
mod subscribing;
mod views;

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use emr::prelude::*;
use emr::sync::{Builder, Delivery, Inbox, Sync};

use harness::{Backend, Db};
use models::{Node, Ordered, Person, Post, PostTag, Tag, make_tables};

fn main() -> ExitCode {
    harness::main_on(&[(
        &[Backend::Sqlite, Backend::Postgres],
        &[
            ("basics", basics::cases),
            ("applying", applying::cases),
            ("subscribing", subscribing::cases),
            ("faults", faults::cases),
            ("queries", queries::cases),
            ("rows", rows::cases),
            ("views", views::cases),
            ("promises", promises::cases),
            ("law", law::cases),
        ],
    )])
}

/// An instance of this case's own, about to be started.
pub(crate) fn builder(db: &Db) -> Builder {
    let application = db.application("sync");
    Sync::builder(&db.repo).settings(move |set| set.application(application).heartbeat(Duration::from_secs(1)))
}

/// Everything that the models are tied by, watched.
pub(crate) fn watching(builder: Builder) -> Builder {
    builder
        .watch(Person::watch().assocs((
            Person::POSTS.chain(Post::TAGS),
            Person::POSTS.chain(Post::LABELS),
            Person::OTHER_POSTS,
            Person::PROFILE,
        )))
        .watch(Post::watch().assocs((Post::PERSON, Post::OTHER_PERSON)))
        .watch(Node::watch().assocs((Node::CHILDREN, Node::PARENT)))
        .watch(Ordered::watch().assocs(Ordered::LINES))
}

/// All tables, watched from now on.
pub(crate) async fn started(db: &Db) -> Sync {
    make_tables(db).await;
    watching(builder(db)).start().await.expect("an instance")
}

/// Waits until everything that is committed has been put into the inboxes.
pub(crate) async fn settle(sync: &Sync) {
    let head = sync.head().await.expect("a token");
    tokio::time::timeout(Duration::from_mins(1), sync.wait(&head)).await.expect("within a minute").expect("no error");
}

/// Everything that waits in an inbox.
pub(crate) async fn drain(sync: &Sync, inbox: &mut Inbox) -> Vec<Delivery> {
    settle(sync).await;
    std::iter::from_fn(|| inbox.try_recv()).map(|item| item.expect("no error")).collect()
}

/// How many changes there are: several commits may come as one, on SQLite.
pub(crate) fn changes(items: &[Delivery]) -> usize {
    items.iter().map(|item| item.changes().count()).sum()
}

/// Applies everything that waits in an inbox.
pub(crate) async fn catch_up<T, V>(sync: &Sync, inbox: &mut Inbox, value: &mut V) -> usize
where
    T: Syncable,
    V: emr::sync::Target<T>,
{
    let items = drain(sync, inbox).await;
    for item in &items {
        sync.apply(value, item).await.expect("it is applied");
    }
    items.len()
}

pub(crate) async fn person(repo: &RepoHandle, name: &str) -> Person {
    repo.insert(Person::build().set(Person::NAME, name)).await.expect("a person")
}

pub(crate) async fn post(repo: &RepoHandle, name: &str, person: Option<&Person>) -> Post {
    let new = Post::build().set(Post::NAME, name).set(Post::PERSON_ID, person.map(|person| person.id));
    repo.insert(new).await.expect("a post")
}

pub(crate) async fn tag(repo: &RepoHandle, name: &str) -> Tag {
    repo.insert(Tag::build().set(Tag::NAME, name)).await.expect("a tag")
}

pub(crate) async fn link(repo: &RepoHandle, post: &Post, tag: &Tag) -> PostTag {
    repo.insert(PostTag::build().set(PostTag::POST_ID, post.id).set(PostTag::TAG_ID, tag.id)).await.expect("a link")
}

/// A row with all that is loaded in it, as text; what has no order is sorted.
pub(crate) fn canonical(row: &dyn emr::Record) -> String {
    let schema = row.schema_of();
    let mut text = schema.name.to_owned();
    for n in 0..schema.columns.len() {
        let _ = write!(text, " {:?}", row.column(n));
    }
    for (n, def) in schema.associations.iter().enumerate() {
        let Some(slot) = row.association(n).filter(|slot| slot.is_loaded()) else { continue };
        let mut rows = Vec::new();
        slot.for_each(&mut |row| rows.push(canonical(row)));
        if def.order.is_none() {
            rows.sort();
        }
        let _ = write!(text, " {}:[{}]", def.field, rows.join(", "));
    }
    text
}
