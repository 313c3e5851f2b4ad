//! Every committed change of a table, whoever made it: this program reads, another process writes.
//!
//! `cargo run --example watch` shows it on a SQLite file: the program starts itself a second time, as the writer.
//! `EMR_URL=postgres://… cargo run --example watch --features postgres` does the same on PostgreSQL; with `forever` behind it
//! (`-- forever`) it goes on, and shows what `psql` or anybody else writes to the table `watch_posts`.

use std::process::Stdio;
use std::time::Duration;

use emr::Value;
use emr::prelude::*;
use emr::watch::{Item, Op, Start, WatchSet};

#[derive(Syncable, Debug, Clone)]
#[emr(table = "watch_posts")]
struct Post {
    id: i64,
    title: String,
}

/// The last title that the writer writes.
const LAST: &str = "goodbye";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let file = std::env::temp_dir().join(format!("emr_watch_{}.db", std::process::id()));
    let own_file = std::env::var("EMR_URL").is_err();
    let url = std::env::var("EMR_URL").unwrap_or_else(|_| format!("sqlite://{}", file.display()));
    let repo = emr::open(url.as_str()).await?;
    if argument == "write" {
        return write(&repo).await;
    }
    let done = read(&repo, &url, argument == "forever").await;
    repo.stop(Duration::from_secs(1)).await;
    if own_file {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
    }
    done
}

async fn read(repo: &RepoHandle, url: &str, forever: bool) -> Result<()> {
    repo.drop_table_if_exists::<Post>().await?;
    repo.create_table::<Post>().await?;

    let set = WatchSet::new().application("watch example").watch(Post::watch().extra_columns(Post::TITLE));
    let watcher = repo.watcher(&set)?;
    for made in watcher.install().await?.changed {
        println!("made: {made}");
    }
    // From when this returns on, no commit is missed.
    let mut changes = watcher.changes(Start::Now).await?;

    if forever {
        println!("write to the table {}; end with Ctrl-C", Post::schema().table);
    } else {
        let program = std::env::current_exe().map_err(|error| Error::invalid(error.to_string()))?;
        let writer = std::process::Command::new(program).arg("write").env("EMR_URL", url).stdin(Stdio::null()).spawn();
        let writer = writer.map_err(|error| Error::invalid(format!("the writer does not start: {error}")))?;
        println!("process {} writes, process {} reads", writer.id(), std::process::id());
    }

    'reading: while let Some(item) = changes.recv().await {
        match item? {
            Item::Txn(txn) => {
                println!("a commit of {} changes, origin {:?}", txn.changes.len(), txn.origin);
                for event in &txn.changes {
                    let (title, before) = (event.value("title"), event.old_value("title"));
                    match event.op() {
                        Op::Update => println!("  {:?} {:?}: {before:?} became {title:?}", event.op(), event.key()),
                        op => println!("  {op:?} {:?}: {title:?}", event.key()),
                    }
                    if !forever && matches!(title, Some(Value::Text(title)) if title == LAST) {
                        break 'reading;
                    }
                }
            }
            Item::Resync { reason, .. } => println!("load anew what you hold: {reason}"),
            // The reader is alive, and has all that there is.
            _ => {}
        }
    }
    println!("the reader stood at {}", watcher.head().await?);
    drop(changes);
    for removed in watcher.uninstall().await? {
        println!("removed: {removed}");
    }
    repo.drop_table::<Post>().await
}

/// The other process: it knows nothing of watchers.
async fn write(repo: &RepoHandle) -> Result<()> {
    let post = repo.insert(Post::build().set(Post::TITLE, "hello")).await?;
    let mine = repo.with_origin("the example's writer");
    mine.transaction(async |tx| {
        tx.update(post.change().set(Post::TITLE, "hello, world")).await?;
        tx.insert_all(["one", "two"].map(|title| Post::build().set(Post::TITLE, title))).await?;
        Ok(())
    })
    .await?;
    let tx = repo.begin().await?;
    tx.delete_all(Post::query()).await?;
    tx.rollback().await?;
    repo.delete_all(Post::query().filter(Post::TITLE.eq("one"))).await?;
    repo.insert(Post::build().set(Post::TITLE, LAST)).await?;
    repo.stop(Duration::from_secs(1)).await;
    Ok(())
}
