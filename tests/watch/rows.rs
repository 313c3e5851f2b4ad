//! Acceptance rows about watchers that no other case here shows. What subscribers get of it is told by the tests of sync.

use emr::Value;
use emr::prelude::*;
use emr::watch::{Op, Start, WatchFault, WatcherSpec};

use crate::harness::{Backend, Db};
use crate::{Post, installed, int, next_event, next_txn, nothing_before, posts_set, set, text};

db_cases! {
    ew09_an_empty_set_has_nothing_to_tell,
    ew10_ew11_the_longest_names_work,
    ew15_uninstalling_leaves_what_is_others,
    ew17_ew18_ew24_ew33_structs_and_labelled_tables_side_by_side,
    ew23_ew32_each_row_of_a_statement_is_a_change,
    ew30_extra_columns_come_with_every_update,
    ew39_details_tell_table_key_and_columns,
    ew42_ew43_triggers_of_another_definition_are_replaced,
}

/// A thing with a column of another name than its field.
#[derive(Syncable, Debug, Clone)]
#[emr(table = "things")]
struct Thing {
    id: i64,
    the_string: String,
    #[emr(column = "theFloat")]
    the_float: f64,
}

async fn ew09_an_empty_set_has_nothing_to_tell(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let watcher = installed(db, &set(db)).await;
    assert!(watcher.tables().is_empty() && watcher.labels().next().is_none());
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    db.repo.insert(Post::build().set(Post::TITLE, "unwatched")).await.unwrap();
    let item = tokio::time::timeout(std::time::Duration::from_secs(30), changes.recv()).await.expect("progress");
    assert!(matches!(item, Some(Ok(emr::watch::Item::Progress { .. }))), "{item:?}");
}

async fn ew10_ew11_the_longest_names_work(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let application = |bytes: usize| format!("{:é<1$}", db.application("a"), bytes / 2);
    let longest = application(255);
    let longest = &longest[..longest.floor_char_boundary(255)];
    let label = "é".repeat(127);
    let naming = |application: &str, label: &str| {
        let posts = Post::watch().label(label.to_owned()).extra_columns(Post::TITLE);
        set(db).application(application.to_owned()).watch(posts)
    };
    let watcher = installed(db, &naming(longest, &label)).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    db.repo.insert(Post::build().set(Post::TITLE, "t")).await.unwrap();
    assert!(next_event(&mut changes).await.has_label(&label));
    drop(changes);
    watcher.uninstall().await.unwrap();

    let fault = |application: &str, label: &str| {
        let error = db.repo.watcher(&naming(application, label)).expect_err("too long");
        error.watch_fault().cloned().expect("a fault of the watcher")
    };
    let long = "a".repeat(256);
    assert!(matches!(fault(&long, "l"), WatchFault::BadSetting { setting, .. } if setting == "application"));
    assert!(matches!(fault("a", &long), WatchFault::BadLabel { problem, .. } if problem.contains("256 bytes")));
}

async fn ew15_uninstalling_leaves_what_is_others(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    db.repo.script("create table notes (id integer primary key, title text)").await.unwrap();
    let postgres = db.backend == Backend::Postgres;
    // Somebody else's trigger, whose name looks like one of ours.
    db.repo
        .script(if postgres {
            "create function emr_note() returns trigger language plpgsql as $$ begin insert into notes values (new.id, new.title); \
             return null; end $$; \
             create trigger emr_note after insert on posts for each row execute function emr_note()"
        } else {
            "create trigger emr_note after insert on posts begin insert into notes values (new.id, new.title); end"
        })
        .await
        .unwrap();
    let both = posts_set(db).watch(WatcherSpec::table("notes").label("notes"));
    let watcher = installed(db, &both).await;
    // Another set of the same application watches less: what it does not name stays, and is removed with the rest.
    let less = installed(db, &posts_set(db)).await;
    assert_eq!(watcher.verify().await.unwrap(), []);
    let removed = less.uninstall().await.unwrap();
    assert!(removed.iter().any(|what| what.contains("notes")), "{removed:?}");
    db.repo.insert(Post::build().set(Post::TITLE, "kept")).await.unwrap();
    let noted: i64 = db.repo.query("select count(*) from notes", &[]).await.unwrap().scalar().unwrap();
    assert_eq!(noted, 1, "the other trigger is there");
}

async fn ew17_ew18_ew24_ew33_structs_and_labelled_tables_side_by_side(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let is_postgres = db.backend == Backend::Postgres;
    let prefix = is_postgres.then(|| format!("{} \"other\"", db.application("prefix")));
    let other = prefix
        .as_ref()
        .map_or_else(|| "other".to_owned(), |prefix| format!("\"{}\".other", prefix.replace('"', "\"\"")));
    if let Some(prefix) = &prefix {
        db.repo.script(&format!("create schema \"{}\"", prefix.replace('"', "\"\""))).await.unwrap();
    }
    db.repo.script(&format!("create table {other} (weird_id bigint primary key, the_string text)")).await.unwrap();
    let none: [&str; 0] = [];
    let mut spec = WatcherSpec::table("other").label("other").extra_columns(none).trigger_columns(none);
    if let Some(prefix) = &prefix {
        spec = spec.prefix(prefix.clone());
    }
    let posts = WatcherSpec::schema(Post::schema()).extra_columns(none).trigger_columns(none);
    let watcher = installed(db, &set(db).watch(posts).watch(spec)).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();

    let post = db.repo.insert(Post::build().set(Post::TITLE, "t")).await.unwrap();
    let event = next_event(&mut changes).await;
    assert!(event.is_of(Post::schema()) && !event.has_label("other"));
    assert_eq!((int(&event, "id"), event.value("title")), (post.id, None));
    for (sql, op) in [
        (format!("insert into {other} values (1234, 'a')"), Op::Insert),
        (format!("update {other} set the_string = 'b'"), Op::Update),
        (format!("delete from {other}"), Op::Delete),
    ] {
        db.repo.query(&sql, &[]).await.unwrap();
        let event = next_event(&mut changes).await;
        assert!(event.op() == op && event.has_label("other") && !event.is_of(Post::schema()), "{event:?}");
        assert_eq!(int(&event, "weird_id"), 1234);
        assert_eq!(event.watched().columns.len(), 1, "nothing but the key is carried");
    }
    db.repo.delete(&post).await.unwrap();
    assert_eq!(next_event(&mut changes).await.op(), Op::Delete);
    drop(changes);
    watcher.uninstall().await.unwrap();
    if let Some(prefix) = &prefix {
        db.repo.script(&format!("drop schema \"{}\" cascade", prefix.replace('"', "\"\""))).await.unwrap();
    }
}

async fn ew23_ew32_each_row_of_a_statement_is_a_change(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let watcher = installed(db, &posts_set(db)).await;
    for title in ["one", "two"] {
        db.repo.insert(Post::build().set(Post::TITLE, title)).await.unwrap();
    }
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    for (sql, op) in [("update posts set title = title || '!'", Op::Update), ("delete from posts", Op::Delete)] {
        db.repo.query(sql, &[]).await.unwrap();
        let txn = next_txn(&mut changes).await;
        assert!(txn.changes.iter().all(|event| event.op() == op), "{txn:?}");
        let mut titles: Vec<_> = txn.changes.iter().map(|event| text(event, "title")).collect();
        titles.sort();
        assert_eq!(titles, ["one!", "two!"]);
    }
}

async fn ew30_extra_columns_come_with_every_update(db: &Db) {
    db.repo.create_table::<Thing>().await.unwrap();
    let things = Thing::watch().label("things").extra_columns((Thing::THE_STRING, Thing::THE_FLOAT));
    let watcher = installed(db, &set(db).watch(things)).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    let thing = Thing { id: 1, the_string: "the value".to_owned(), the_float: 99.999 };
    let thing = db.repo.insert(thing).await.unwrap();
    next_event(&mut changes).await;
    let thing = db.repo.update(thing.change().set(Thing::THE_FLOAT, -0.1)).await.unwrap();
    let event = next_event(&mut changes).await;
    assert_eq!(event.value("theFloat"), Some(&Value::F64(-0.1)));
    assert_eq!(
        (event.old_value("theFloat"), text(&event, "the_string").as_str()),
        (Some(&Value::F64(99.999)), "the value")
    );
    db.repo.update(thing.change().set(Thing::THE_STRING, "another")).await.unwrap();
    let event = next_event(&mut changes).await;
    assert_eq!((event.value("theFloat"), text(&event, "the_string").as_str()), (Some(&Value::F64(-0.1)), "another"));
}

async fn ew39_details_tell_table_key_and_columns(db: &Db) {
    let table = WatcherSpec::table("other").prefix("elsewhere").keys(["weird_id"]).label("labelled");
    let set = set(db).watch(Thing::watch().extra_columns(Thing::THE_FLOAT)).watch(table.extra_columns(["a"]));
    let watcher = db.repo.watcher(&set).unwrap();
    assert_eq!(watcher.labels().collect::<Vec<_>>(), ["labelled"]);
    let names =
        |table: &emr::watch::Watched| table.columns.iter().map(|column| column.name.to_string()).collect::<Vec<_>>();
    let things = watcher.details_of(Thing::schema()).unwrap();
    assert_eq!((things.full_name().as_str(), things.keys), ("things", 1));
    assert_eq!(names(things), ["id", "theFloat"]);
    assert!(things.columns.iter().all(|column| column.declared.is_some()));
    let other = watcher.details("labelled").unwrap();
    assert_eq!((other.full_name().as_str(), other.keys), ("elsewhere.other", 1));
    assert_eq!(names(other), ["weird_id", "a"]);
    assert!(watcher.details_of(Post::schema()).is_none());
    let error = watcher.details("things").unwrap_err();
    assert!(matches!(error.watch_fault(), Some(WatchFault::UnknownLabel { known, .. }) if *known == ["labelled"]));
}

/// The same statements on every version of the server: there is none that would replace a trigger where it can, and drop it
/// first where it cannot.
async fn ew42_ew43_triggers_of_another_definition_are_replaced(db: &Db) {
    db.repo.create_table::<Post>().await.unwrap();
    let keys = installed(db, &set(db).watch(Post::watch())).await;
    let plan = keys.plan().await.unwrap().to_string();
    assert!(!plan.to_uppercase().contains("REPLACE TRIGGER"), "{plan}");
    let titles = db.repo.watcher(&posts_set(db)).unwrap();
    assert!(!titles.verify().await.unwrap().is_empty());
    assert!(!titles.install().await.unwrap().changed.is_empty());
    assert_eq!(titles.verify().await.unwrap(), []);
    let mut changes = titles.changes(Start::Now).await.unwrap();
    nothing_before(&mut changes, &db.repo, "told once").await;
    nothing_before(&mut changes, &db.repo, "by one trigger").await;
}
