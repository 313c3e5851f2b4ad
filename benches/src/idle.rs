//! Repos that were started and never used: what they weigh, and what it takes to start one.

use std::fs;
use std::time::Instant;

use emr::RepoOptions;
use emr::prelude::MultiRepo;
use tokio::runtime::Handle;

use crate::args::Backend;
use crate::contender::Result;

const REPOS: usize = 10_000;
/// Starts that are timed together.
const BATCH: usize = 500;

#[derive(MultiRepo)]
struct TenantRepo;

pub(crate) async fn run(backend: Backend, options: &RepoOptions) -> Result<()> {
    let metrics = Handle::current().metrics();
    // One by itself: what all repos share is no part of any.
    let mut repos = Vec::with_capacity(REPOS + 1);
    repos.push(TenantRepo::start(options.clone()).await?);
    let (memory, tasks) = (resident()?, metrics.num_alive_tasks());
    let mut batches = Vec::new();
    while repos.len() <= REPOS {
        let given: Vec<RepoOptions> = (0..BATCH).map(|_| options.clone()).collect();
        let start = Instant::now();
        for options in given {
            repos.push(TenantRepo::start(options).await?);
        }
        batches.push(start.elapsed());
    }
    let memory = resident()?.saturating_sub(memory);
    let tasks = metrics.num_alive_tasks().saturating_sub(tasks);
    batches.sort_unstable();
    println!(
        "bench case=idle_repos_10k backend={} lib=emr bytes_per_repo={} tasks={tasks} us_per_start={}",
        backend.name(),
        memory / REPOS,
        batches[batches.len() / 2].as_micros() / BATCH as u128,
    );
    for repo in repos {
        repo.stop(std::time::Duration::ZERO).await;
    }
    Ok(())
}

/// Bytes of memory that the process holds.
pub(crate) fn resident() -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("there is no VmRSS")?;
    let kib: usize = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}
