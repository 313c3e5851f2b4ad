//! Watchers: every committed change arrives, once per commit, in order, whoever wrote it and whatever fails meanwhile. Cases that
//! are named `csNN_…` are the tests of that number in the list that the project started from; `ewNN_…` are acceptance rows.

#[allow(dead_code, unused_imports)] // the suite uses all of it
#[macro_use]
#[path = "../suite/harness.rs"]
mod harness;

mod faults;
mod items;
mod postgres;
mod reading;
mod rows;
mod torture;
mod values;

use std::process::ExitCode;
use std::time::Duration;

use emr::prelude::*;
use emr::watch::{Changes, Event, Start, WatchSet, Watcher};

use harness::{Backend, Db};
pub(crate) use items::{int, next_item, next_txn};

fn main() -> ExitCode {
    harness::main_on(&[
        (
            &[Backend::Sqlite, Backend::Postgres],
            &[("reading", reading::cases), ("rows", rows::cases), ("values", values::cases)],
        ),
        (
            &[Backend::Postgres],
            &[("faults", faults::cases), ("postgres", postgres::cases), ("torture", torture::cases)],
        ),
    ])
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "people")]
pub(crate) struct Person {
    pub(crate) id: i64,
    pub(crate) name: String,
}

#[derive(Syncable, Debug, Clone)]
#[emr(table = "posts")]
pub(crate) struct Post {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) person_id: Option<i64>,
    #[emr(belongs_to)]
    pub(crate) person: BelongsTo<Person>,
    #[emr(has_many)]
    pub(crate) comments: HasMany<Comment>,
    #[emr(many_to_many(through = PostTag))]
    pub(crate) tags: ManyToMany<Tag>,
}

#[derive(Syncable, Debug, Clone)]
#[emr(table = "comments")]
pub(crate) struct Comment {
    pub(crate) id: i64,
    pub(crate) post_id: i64,
    pub(crate) body: String,
}

#[derive(Syncable, Debug, Clone)]
#[emr(table = "tags")]
pub(crate) struct Tag {
    pub(crate) id: i64,
    pub(crate) name: String,
}

#[derive(Syncable, Debug, Clone)]
#[emr(table = "post_tags")]
pub(crate) struct PostTag {
    #[emr(primary_key)]
    pub(crate) post_id: i64,
    #[emr(primary_key)]
    pub(crate) tag_id: i64,
}

/// A set of this case's own.
pub(crate) fn set(db: &Db) -> WatchSet {
    WatchSet::new().application(db.application("app")).heartbeat(Duration::from_millis(500))
}

/// The posts with their titles, watched.
pub(crate) fn posts_set(db: &Db) -> WatchSet {
    set(db).watch(Post::watch().label("posts").extra_columns((Post::TITLE, Post::PERSON_ID)))
}

/// An installed watcher.
pub(crate) async fn installed(db: &Db, set: &WatchSet) -> Watcher {
    let watcher = db.repo.watcher(set).expect("a watcher");
    watcher.install().await.expect("the triggers");
    watcher
}

/// Posts, watched from now on.
pub(crate) async fn watched_posts(db: &Db) -> (Watcher, Changes) {
    db.repo.create_table::<Post>().await.expect("a table");
    let watcher = installed(db, &posts_set(db)).await;
    let changes = watcher.changes(Start::Now).await.expect("changes");
    (watcher, changes)
}

/// The next change, which is alone in its commit.
pub(crate) async fn next_event(changes: &mut Changes) -> Event {
    let txn = next_txn(changes).await;
    assert_eq!(txn.changes.len(), 1, "{txn:?}");
    txn.changes[0].clone()
}

/// Nothing but the passing of time comes until a commit of ours has passed, which is what comes: so nothing is before it.
pub(crate) async fn nothing_before(changes: &mut Changes, repo: &RepoHandle, title: &str) {
    repo.insert(Post::build().set(Post::TITLE, title)).await.expect("a post");
    let event = next_event(changes).await;
    assert_eq!(text(&event, "title"), title);
}

pub(crate) fn text(event: &Event, column: &str) -> String {
    match event.value(column) {
        Some(emr::Value::Text(value)) => value.to_string(),
        other => panic!("{column} is {other:?}"),
    }
}
