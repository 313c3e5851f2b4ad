//! Posts with their tags and comments, held in memory, while another process changes the database in every way: after each change
//! the held values equal a fresh read.
//!
//! `cargo run --example live_posts` shows it on a SQLite file: the program starts itself a second time, as the writer.
//! `EMR_URL=postgres://… cargo run --example live_posts --features postgres` does the same on PostgreSQL.

use std::process::Stdio;
use std::time::Duration;

use emr::prelude::*;
use emr::sync::{Sync, rows};

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "live_posts")]
struct Post {
    id: i64,
    title: String,
    #[emr(has_many(preload_order = Comment::in_order))]
    comments: HasMany<Comment>,
    #[emr(many_to_many(through = PostTag, preload_order = Tag::by_name))]
    tags: ManyToMany<Tag>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "live_comments")]
struct Comment {
    id: i64,
    post_id: i64,
    text: String,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "live_tags")]
struct Tag {
    id: i64,
    name: String,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "live_posts_tags")]
struct PostTag {
    #[emr(primary_key)]
    post_id: i64,
    #[emr(primary_key)]
    tag_id: i64,
}

impl Comment {
    fn in_order() -> emr::Order {
        Comment::ID.asc()
    }
}

impl Tag {
    fn by_name() -> emr::Order {
        Tag::NAME.asc()
    }
}

/// The title that the writer writes last.
const LAST: &str = "goodbye";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let file = std::env::temp_dir().join(format!("emr_live_posts_{}.db", std::process::id()));
    let own_file = std::env::var("EMR_URL").is_err();
    let url = std::env::var("EMR_URL").unwrap_or_else(|_| format!("sqlite://{}", file.display()));
    let repo = emr::open(url.as_str()).await?;
    if std::env::args().nth(1).as_deref() == Some("write") {
        return write(&repo).await;
    }
    let done = hold(&repo, &url).await;
    repo.stop(Duration::from_secs(1)).await;
    if own_file {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
    }
    done
}

/// All posts with all that belongs to them.
fn everything() -> emr::Query<Post> {
    Post::query().order_by(Post::ID.asc()).preload((Post::COMMENTS, Post::TAGS))
}

async fn hold(repo: &RepoHandle, url: &str) -> Result<()> {
    make_tables(repo).await?;
    let watched = Post::watch().assocs((Post::COMMENTS, Post::TAGS));
    let sync = Sync::builder(repo).settings(|set| set.application("live posts example")).watch(watched).start().await?;

    // First subscribe, then load: nothing is missed in between.
    let mut inbox = sync.subscribe(rows::<Post>()).assocs((Post::COMMENTS, Post::TAGS)).await?;
    let mut posts = repo.all(everything()).await?;
    // The same as a query that is followed: it keeps its filter, its order and its limit.
    let mut titles = sync.load(Post::query().filter(Post::TITLE.ne("")).order_by(Post::TITLE.desc()).limit(2)).await?;

    let program = std::env::current_exe().map_err(|error| Error::invalid(error.to_string()))?;
    let writer = std::process::Command::new(program).arg("write").env("EMR_URL", url).stdin(Stdio::null()).spawn();
    let writer = writer.map_err(|error| Error::invalid(format!("the writer does not start: {error}")))?;
    println!("process {} writes, process {} holds", writer.id(), std::process::id());

    while !posts.iter().any(|post| post.title == LAST) {
        let Some(item) = inbox.recv().await else { break };
        let item = item?;
        let applied = sync.apply(&mut posts, &item).await?;
        sync.apply(&mut titles, &item).await?;
        for change in &applied.changes {
            for step in &change.path {
                print!("{} {:?}.{} ", step.table, step.key, step.field);
            }
            println!("{} {:?}: {:?}", change.table, change.key, change.op);
        }
        // The writer may be further by now; when it is not, nothing is different.
        let first: Vec<_> = titles.iter().map(|post| post.title.as_str()).collect();
        let equal = posts == repo.all(everything()).await?;
        println!("  {} posts, the last titles {first:?}; as a fresh read: {equal}", posts.len());
    }
    let head = sync.head().await?;
    sync.wait(&head).await?;
    while let Some(item) = inbox.try_recv() {
        sync.apply(&mut posts, &item?).await?;
    }
    let fresh = repo.all(everything()).await?;
    if posts != fresh {
        return Err(Error::invalid(format!("the held posts {posts:#?} are not those of the database, {fresh:#?}")));
    }
    println!("at the end the held posts equal a fresh read");
    for removed in sync.watcher().uninstall().await? {
        println!("removed: {removed}");
    }
    drop_tables(repo).await
}

/// The other process: it knows nothing of who holds what.
async fn write(repo: &RepoHandle) -> Result<()> {
    let pause = || tokio::time::sleep(Duration::from_millis(150));
    let one = repo.insert(Post::build().set(Post::TITLE, "one")).await?;
    pause().await;
    let two = repo.insert(Post::build().set(Post::TITLE, "two")).await?;
    let comment = repo.insert(one.build_assoc(Post::COMMENTS)?.set(Comment::TEXT, "first!")).await?;
    pause().await;
    // A comment moves to the other post.
    repo.update(comment.change().set(Comment::POST_ID, two.id)).await?;
    pause().await;
    let tag = repo
        .transaction(async |tx| {
            let tag = tx.insert(Tag::build().set(Tag::NAME, "sea")).await?;
            for post in [&one, &two] {
                tx.insert(PostTag { post_id: post.id, tag_id: tag.id }).await?;
            }
            Ok(tag)
        })
        .await?;
    pause().await;
    let tag = repo.update(tag.change().set(Tag::NAME, "ocean")).await?;
    pause().await;
    repo.delete(&PostTag { post_id: one.id, tag_id: tag.id }).await?;
    pause().await;
    let tx = repo.begin().await?;
    tx.delete_all(Post::query()).await?;
    tx.rollback().await?;
    repo.delete_all(PostTag::query()).await?;
    repo.delete(&tag).await?;
    repo.delete(&one).await?;
    pause().await;
    repo.insert(Post::build().set(Post::TITLE, LAST)).await?;
    repo.stop(Duration::from_secs(1)).await;
    Ok(())
}

async fn make_tables(repo: &RepoHandle) -> Result<()> {
    repo.drop_table_if_exists::<PostTag>().await?;
    repo.drop_table_if_exists::<Comment>().await?;
    repo.drop_table_if_exists::<Tag>().await?;
    repo.drop_table_if_exists::<Post>().await?;
    repo.create_table::<Post>().await?;
    repo.create_table::<Comment>().await?;
    repo.create_table::<Tag>().await?;
    repo.create_table::<PostTag>().await
}

async fn drop_tables(repo: &RepoHandle) -> Result<()> {
    repo.drop_table::<PostTag>().await?;
    repo.drop_table::<Comment>().await?;
    repo.drop_table::<Tag>().await?;
    repo.drop_table::<Post>().await
}
