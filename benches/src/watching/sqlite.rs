//! Watchers on SQLite, beside a bare trigger that writes a log.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use emr::prelude::*;
use emr::watch::{Start, WatchSet, Watcher, WatcherSpec};
use rusqlite::Connection;
use tokio::task::JoinSet;

use super::{APPLICATION, CAUGHT_UP, TURN, arrived, caught_up, count, latency, next_txn, peak_kib, turns};
use crate::args::Args;
use crate::contender::Result;
use crate::ground::{Ground, sqlite::open};

/// Commits whose way to the reader is timed, one after the other.
const IDLE_COMMITS: u32 = 300;

/// Unwatched, and what stands on a table to tell of its changes.
const LIBS: [&str; 3] = ["unwatched", "emr", "log_trigger"];

/// A table of each sort.
pub(super) struct Field {
    file: PathBuf,
    repo: RepoHandle,
    pub(super) watcher: Watcher,
}

impl Field {
    pub(super) async fn make(ground: &dyn Ground) -> Result<Self> {
        let file = PathBuf::from(ground.place().name());
        let db = open(&file)?;
        for lib in LIBS {
            db.execute_batch(&format!("CREATE TABLE w_{lib} (id INTEGER PRIMARY KEY, pad TEXT)"))?;
        }
        db.execute_batch(
            "CREATE TABLE plain_log (pos INTEGER PRIMARY KEY AUTOINCREMENT, k INTEGER);
             CREATE TRIGGER to_log AFTER INSERT ON w_log_trigger BEGIN INSERT INTO plain_log (k) VALUES (NEW.id); END",
        )?;
        let repo = emr::open(ground.options()).await?;
        let set = WatchSet::new().application(APPLICATION).watch(WatcherSpec::table("w_emr").label("w"));
        let watcher = repo.watcher(&set)?;
        watcher.install().await?;
        Ok(Field { file, repo, watcher })
    }

    pub(super) async fn remove(self) -> Result<()> {
        self.watcher.uninstall().await?;
        self.repo.stop(Duration::from_secs(1)).await;
        let db = open(&self.file)?;
        for lib in LIBS {
            db.execute_batch(&format!("DROP TABLE w_{lib}"))?;
        }
        Ok(db.execute_batch("DROP TABLE plain_log")?)
    }

    /// Throughput beside that of the same writers on an unwatched table, in the same round. Each has a connection of its own.
    pub(super) async fn writers(&self, args: &Args, writers: usize) -> Result<()> {
        let reader = count(self.watcher.changes(Start::Now).await?);
        let (rates, written) = turns(&LIBS, args.rounds, async |lib| self.turn(lib, writers).await).await?;
        arrived(&reader, written).await?;
        rates.report(&format!("writers_{writers}"), "sqlite", args.rounds);
        Ok(())
    }

    /// All writers write for a while, each row a transaction. Returns their rows and the time.
    async fn turn(&self, lib: &'static str, writers: usize) -> Result<(usize, Duration)> {
        let begun = Instant::now();
        let mut tasks: JoinSet<Result<usize>> = JoinSet::new();
        for _ in 0..writers {
            let db = self.connect()?;
            tasks.spawn_blocking(move || {
                let mut insert = db.prepare(&format!("INSERT INTO w_{lib} (pad) VALUES (printf('%.100c', 'x'))"))?;
                let mut rows = 0;
                while begun.elapsed() < TURN {
                    insert.execute([])?;
                    rows += 1;
                }
                Ok(rows)
            });
        }
        let mut rows = 0;
        while let Some(done) = tasks.join_next().await {
            rows += done??;
        }
        Ok((rows, begun.elapsed()))
    }

    fn connect(&self) -> Result<Connection> {
        let db = open(&self.file)?;
        db.busy_timeout(Duration::from_secs(30))?;
        Ok(db)
    }

    /// From the commit to the change, with a pause between commits: of another connection, as of another program, and of the
    /// repo's own.
    pub(super) async fn idle_latency(&self) -> Result<()> {
        let db = self.connect()?;
        let mut changes = self.watcher.changes(Start::Now).await?;
        let (mut of_others, mut own) = (Vec::new(), Vec::new());
        for _ in 0..IDLE_COMMITS {
            db.execute("INSERT INTO w_emr (pad) VALUES ('x')", [])?;
            let committed = Instant::now();
            next_txn(&mut changes).await?;
            of_others.push(committed.elapsed());
            self.repo.query("INSERT INTO w_emr (pad) VALUES ('x')", &[]).await?;
            let committed = Instant::now();
            next_txn(&mut changes).await?;
            own.push(committed.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        latency("commit_to_event", "sqlite", "emr_of_others", of_others);
        latency("commit_to_event", "sqlite", "emr", own);
        Ok(())
    }

    pub(super) async fn catch_up(&self) -> Result<()> {
        let start = self.watcher.head().await?;
        let db = self.connect()?;
        for _ in 0..1_000 {
            db.execute_batch(
                "INSERT INTO w_emr (pad) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
                 SELECT 'x' FROM n",
            )?;
        }
        let before = peak_kib()?;
        let begun = Instant::now();
        let mut changes = self.watcher.changes(Start::After(start)).await?;
        let mut count = 0;
        while count < CAUGHT_UP {
            count += next_txn(&mut changes).await?;
        }
        caught_up("sqlite", begun.elapsed(), peak_kib()? - before);
        Ok(())
    }
}
