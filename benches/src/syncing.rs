//! What keeping values in sync costs: routing, delivering, holding subscriptions, applying. On SQLite; the database itself is not
//! in the figures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use emr::prelude::*;
use emr::sync::{LocalTransport, Sync, Synced, Transport, row, rows};
use emr::watch::{Item, Start, Txn};

use crate::args::{Args, Backend};
use crate::contender::Result;
use crate::idle::resident;

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "synced_posts")]
struct Post {
    id: i64,
    title: String,
}

const SUBSCRIBERS: u32 = 1_000;
const COMMITS: u32 = 3_000;
const APPLIED: i64 = 60;

pub(crate) async fn run(args: &Args) -> Result<()> {
    if args.backend != Backend::Sqlite {
        println!("# sync is measured on SQLite");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let repo = emr::open(format!("sqlite://{}", folder.path().join("sync.db").display()).as_str()).await?;
    repo.create_table::<Post>().await?;
    let commit = captured(&repo).await?;
    memory(&repo).await?;
    fan_out(&repo, &commit).await?;
    for subscriptions in [1_000, 10_000, 100_000] {
        routing(&repo, &commit, subscriptions).await?;
    }
    for rows in [100, 10_000, 100_000] {
        apply(&repo, rows).await?;
    }
    repo.stop(Duration::ZERO).await;
    Ok(())
}

/// The commit that updates row 1, as the watcher tells it.
async fn captured(repo: &RepoHandle) -> Result<Arc<Txn>> {
    let post = repo.insert(Post { id: 1, title: "one".to_owned() }).await?;
    let watcher = repo.watcher(&emr::watch::WatchSet::new().watch(Post::watch()))?;
    watcher.install().await?;
    let mut changes = watcher.changes(Start::Now).await?;
    repo.update(post.change().set(Post::TITLE, "uno")).await?;
    loop {
        if let Some(Item::Txn(txn)) = changes.recv().await.transpose()? {
            return Ok(txn);
        }
    }
}

/// An instance that gets its commits from the benchmark alone.
async fn fed(repo: &RepoHandle) -> Result<(Sync, Arc<LocalTransport>)> {
    let transport = Arc::new(LocalTransport::default());
    let carried: Arc<dyn Transport> = transport.clone();
    let sync = Sync::builder(repo).watch(Post::watch()).transport(carried).without_reading().start().await?;
    Ok((sync, transport))
}

async fn fan_out(repo: &RepoHandle, commit: &Arc<Txn>) -> Result<()> {
    let (sync, transport) = fed(repo).await?;
    let mut tasks = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut inbox = sync.subscribe(row::<Post>(1)).mailbox(COMMITS as usize).await?;
        tasks.push(tokio::spawn(async move {
            let mut came = 0;
            for _ in 0..COMMITS {
                came += u32::from(matches!(inbox.recv().await, Some(Ok(item)) if item.resync().is_none()));
            }
            came
        }));
    }
    let start = Instant::now();
    for _ in 0..COMMITS {
        transport.publish(Item::Txn(Arc::clone(commit))).await?;
    }
    let mut came = 0;
    for task in tasks {
        came += task.await?;
    }
    let took = start.elapsed();
    if came != SUBSCRIBERS * COMMITS {
        return Err(format!("{came} deliveries came of {}", SUBSCRIBERS * COMMITS).into());
    }
    let deliveries = f64::from(SUBSCRIBERS) * f64::from(COMMITS) / took.as_secs_f64();
    println!("bench case=sync_fan_out_{SUBSCRIBERS} backend=sqlite lib=emr deliveries_per_s={deliveries:.0}");
    Ok(())
}

async fn routing(repo: &RepoHandle, commit: &Arc<Txn>, subscriptions: i64) -> Result<()> {
    let (sync, transport) = fed(repo).await?;
    let mut inboxes = Vec::new();
    for id in 1..=subscriptions {
        inboxes.push(sync.subscribe(row::<Post>(id)).await?);
    }
    let mut rounds = Vec::new();
    for _ in 0..15 {
        let start = Instant::now();
        for _ in 0..1_000 {
            transport.publish(Item::Txn(Arc::clone(commit))).await?;
            inboxes[0].recv().await.transpose()?;
        }
        rounds.push(start.elapsed().as_nanos() / 1_000);
    }
    rounds.sort_unstable();
    let median = rounds[rounds.len() / 2];
    println!("bench case=sync_routing_{subscriptions} backend=sqlite lib=emr ns_per_commit={median}");
    Ok(())
}

async fn memory(repo: &RepoHandle) -> Result<()> {
    const INBOXES: i64 = 100_000;
    let (sync, _transport) = fed(repo).await?;
    let before = resident()?;
    let mut inboxes = Vec::new();
    for id in 1..=INBOXES {
        inboxes.push(sync.subscribe(row::<Post>(id)).await?);
    }
    let bytes = resident()?.saturating_sub(before) / inboxes.len();
    println!("bench case=sync_idle_subscriptions_100k backend=sqlite lib=emr bytes_per_subscription={bytes}");
    Ok(())
}

/// Applies what another has applied before, so that everything is in the cache.
async fn apply(repo: &RepoHandle, count: i64) -> Result<()> {
    repo.delete_all(Post::query()).await?;
    let title = |n: i64| format!("{:07}", n * 10);
    repo.insert_all((1..=count).map(|id| Post { id, title: title(id) })).await?;
    let sync = Sync::builder(repo).watch(Post::watch()).start().await?;
    let query = Post::query().filter(Post::TITLE.ne("gone")).order_by(Post::TITLE.asc());
    let (mut first, mut synced): (Synced<Post>, Synced<Post>) = (sync.load(&query).await?, sync.load(&query).await?);
    let (mut warm, mut list): (Vec<Post>, Vec<Post>) = (repo.all(Post::query()).await?, repo.all(Post::query()).await?);
    let mut inbox = sync.subscribe(rows::<Post>()).await?;
    for (name, change) in [("in_place", 0), ("move", 1), ("leave", 2), ("enter", 3)] {
        let (mut synced_took, mut list_took) = (Vec::new(), Vec::new());
        for n in 0..APPLIED {
            let id = 1 + n * (count / APPLIED).max(1) % count;
            let row = repo.fetch::<Post>(id).await?;
            let new = match change {
                // The order hangs on the title, so this row is written as it is.
                0 => row.title.clone(),
                1 => title((id + count / 2) % count) + "5",
                2 => "gone".to_owned(),
                _ => title(id),
            };
            repo.update_all(Post::query().filter(Post::ID.eq(id)).set(Post::TITLE, new)).await?;
            let item = inbox.recv().await.transpose()?.ok_or("an item")?;
            sync.apply(&mut first, &item).await?;
            sync.apply(&mut warm, &item).await?;
            let start = Instant::now();
            sync.apply(&mut synced, &item).await?;
            synced_took.push(start.elapsed().as_nanos());
            let start = Instant::now();
            sync.apply(&mut list, &item).await?;
            list_took.push(start.elapsed().as_nanos());
        }
        synced_took.sort_unstable();
        list_took.sort_unstable();
        let (synced_ns, list_ns) = (synced_took[synced_took.len() / 2], list_took[list_took.len() / 2]);
        println!("bench case=sync_apply_{name}_{count} backend=sqlite lib=emr synced_ns={synced_ns} vec_ns={list_ns}");
    }
    if synced != sync.load(&query).await? {
        return Err("the value is not what the query gives".into());
    }
    Ok(())
}
