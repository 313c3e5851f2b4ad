//! What a watcher costs writers, how soon a change arrives, how fast a reader catches up, and what readers do when nothing
//! happens.

mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use emr::watch::{Changes, Item, Start, Watcher};
use tokio::task::JoinHandle;

use crate::args::{Args, Backend};
use crate::cases::Case;
use crate::contender::Result;
use crate::ground::Ground;

/// How long the writers of one turn write.
const TURN: Duration = Duration::from_millis(700);
const CAUGHT_UP: usize = 1_000_000;
const APPLICATION: &str = "bench";
/// Readers that are looked at while nothing happens, and for how long.
const IDLE_READERS: usize = 5;
const IDLE: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: &Args, case: Case, ground: &dyn Ground) -> Result<()> {
    match args.backend {
        Backend::Postgres => {
            let field = postgres::Field::make(&args.url, ground).await?;
            let measured = match case {
                Case::Writers(writers) => field.writers(args, writers).await,
                Case::CommitToEvent => field.idle_latency().await,
                Case::CommitToEventBusy => field.busy_latency().await,
                Case::IdleReaders => idle(&field.watcher, "postgres", || field.sessions()).await,
                _ => field.catch_up().await,
            };
            let removed = field.remove().await;
            measured.and(removed)
        }
        Backend::Sqlite => {
            let field = sqlite::Field::make(ground).await?;
            match case {
                Case::Writers(writers) => field.writers(args, writers).await,
                Case::CommitToEvent => field.idle_latency().await,
                Case::IdleReaders => idle(&field.watcher, "sqlite", async || Ok(Vec::new())).await,
                Case::CatchUp => field.catch_up().await,
                _ => {
                    println!("# {} is measured on PostgreSQL", case.name());
                    Ok(())
                }
            }?;
            field.remove().await
        }
        Backend::Mariadb | Backend::Mysql => {
            println!("# {}: there is no watcher on this backend", case.name());
            Ok(())
        }
    }
}

/// Rows per second of each contender, round by round.
#[derive(Default)]
struct Rates(BTreeMap<&'static str, Vec<f64>>);

impl Rates {
    fn add(&mut self, lib: &'static str, rows: usize, took: Duration) {
        #[allow(clippy::cast_precision_loss)] // some thousands
        self.0.entry(lib).or_default().push(rows as f64 / took.as_secs_f64());
    }

    /// Each beside `unwatched` of the same round.
    fn report(&self, case: &str, backend: &str, rounds: usize) {
        for (lib, rates) in &self.0 {
            let mut ratios: Vec<f64> =
                rates.iter().zip(&self.0["unwatched"]).map(|(rate, unwatched)| rate / unwatched).collect();
            ratios.sort_by(f64::total_cmp);
            let mut own = rates.clone();
            own.sort_by(f64::total_cmp);
            println!(
                "bench case={case} backend={backend} lib={lib} ns_per_op={:.0} ratio={:.3} lowest={:.3} highest={:.3} rounds={rounds}",
                1e9 / own[own.len() / 2],
                ratios[ratios.len() / 2],
                ratios[0],
                ratios[ratios.len() - 1],
            );
        }
    }
}

/// Gives each contender its turn in every round, in another order each time. Returns the rates, and how many rows `emr` wrote.
async fn turns(
    libs: &[&'static str],
    rounds: usize,
    turn: impl AsyncFn(&'static str) -> Result<(usize, Duration)>,
) -> Result<(Rates, usize)> {
    let mut rates = Rates::default();
    let mut written = 0;
    for round in 0..=rounds {
        for n in 0..libs.len() {
            let lib = libs[(round + n) % libs.len()];
            let (rows, took) = turn(lib).await?;
            if lib == "emr" {
                written += rows;
            }
            // The first round fills caches.
            if round > 0 {
                rates.add(lib, rows, took);
            }
        }
    }
    Ok((rates, written))
}

/// CPU time of this process, and of the server's sessions of its readers, while nothing happens.
async fn idle(watcher: &Watcher, backend: &str, sessions: impl AsyncFn() -> Result<Vec<i32>>) -> Result<()> {
    let mut readers = Vec::new();
    for _ in 0..IDLE_READERS {
        readers.push(count(watcher.changes(Start::Now).await?));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let sessions = sessions().await?;
    let used = || -> Result<(Duration, Duration)> {
        let server = sessions.iter().map(|pid| cpu_of(&pid.to_string())).sum::<Result<Duration>>()?;
        Ok((cpu_of("self")?, server))
    };
    let before = used()?;
    tokio::time::sleep(IDLE).await;
    let after = used()?;
    let share = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    println!(
        "bench case=idle_readers_{IDLE_READERS} backend={backend} lib=emr client_cpu_percent={:.3} server_cpu_percent={:.3} sessions={}",
        share(before.0, after.0),
        share(before.1, after.1),
        sessions.len(),
    );
    for (_, task) in readers {
        task.abort();
    }
    Ok(())
}

/// CPU time of all threads of a process.
fn cpu_of(process: &str) -> Result<Duration> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += text.split(' ').next().ok_or("there is no time in schedstat")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

fn caught_up(backend: &str, took: Duration, peak_kib_more: u64) {
    println!(
        "bench case=catch_up_1m backend={backend} lib=emr ns_per_op={} events_per_s={:.0} peak_kib_more={peak_kib_more}",
        took.as_nanos() / CAUGHT_UP as u128,
        1e6 / took.as_secs_f64(),
    );
}

/// Reads on and counts.
fn count(mut changes: Changes) -> (Arc<Mutex<usize>>, JoinHandle<()>) {
    let seen = Arc::new(Mutex::new(0));
    let told = Arc::clone(&seen);
    let task = tokio::spawn(async move {
        while let Some(Ok(item)) = changes.recv().await {
            if let Item::Txn(txn) = item {
                *told.lock().unwrap_or_else(PoisonError::into_inner) += txn.changes.len();
            }
        }
    });
    (seen, task)
}

/// Every change arrives, and none that nobody made.
async fn arrived((seen, task): &(Arc<Mutex<usize>>, JoinHandle<()>), written: usize) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let seen = *seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen == written {
            task.abort();
            return Ok(());
        }
        if seen > written || Instant::now() > until {
            return Err(format!("{seen} changes came of {written}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn next_txn(changes: &mut Changes) -> Result<usize> {
    loop {
        if let Item::Txn(txn) = changes.recv().await.ok_or("the changes ended")?? {
            return Ok(txn.changes.len());
        }
    }
}

fn latency(case: &str, backend: &str, lib: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_nanos();
    println!(
        "bench case={case} backend={backend} lib={lib} ns_per_op={} p50_ns={} p99_ns={} commits={}",
        at(50),
        at(50),
        at(99),
        took.len()
    );
}

fn peak_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("there is no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
