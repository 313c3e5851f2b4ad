//! Watchers on PostgreSQL, beside a bare trigger that writes a log and one that notifies.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use emr::prelude::*;
use emr::watch::{Item, Start, WatchSet, Watcher, WatcherSpec};
use tokio::task::JoinSet;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use super::{APPLICATION, CAUGHT_UP, TURN, arrived, caught_up, count, cpu_of, latency, next_txn, peak_kib, turns};
use crate::args::Args;
use crate::contender::Result;
use crate::ground::Ground;

/// Commits whose way to the reader is timed, one after the other.
const IDLE_COMMITS: u32 = 300;
const BUSY: Duration = Duration::from_secs(3);

/// Unwatched, and what stands on a table to tell of its changes.
const LIBS: [&str; 4] = ["unwatched", "emr", "log_trigger", "notify_trigger"];

/// A table of each sort.
pub(super) struct Field {
    config: Config,
    client: Client,
    repo: RepoHandle,
    pub(super) watcher: Watcher,
}

impl Field {
    pub(super) async fn make(url: &str, ground: &dyn Ground) -> Result<Self> {
        let mut config = Config::from_str(url)?;
        // Here commits wait for the disk: what they wait for together is what a notification takes away.
        config.options(format!("-csearch_path={} -csynchronous_commit=on", ground.place().name()));
        let client = connect(&config).await?;
        for lib in LIBS {
            client
                .batch_execute(&format!(
                    "CREATE TABLE w_{lib} (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, pad text)"
                ))
                .await?;
        }
        client
            .batch_execute(
                "CREATE TABLE plain_log (pos bigint GENERATED ALWAYS AS IDENTITY, xid xid8 DEFAULT pg_current_xact_id(), k jsonb);
                 CREATE INDEX ON plain_log (xid);
                 CREATE FUNCTION to_log() RETURNS trigger LANGUAGE plpgsql AS
                   $$ BEGIN INSERT INTO plain_log (k) SELECT to_jsonb(n.id) FROM fresh n; RETURN NULL; END $$;
                 CREATE TRIGGER t AFTER INSERT ON w_log_trigger REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT
                   EXECUTE FUNCTION to_log();
                 CREATE FUNCTION to_channel() RETURNS trigger LANGUAGE plpgsql AS
                   $$ BEGIN PERFORM pg_notify('bench', NEW.id::text); RETURN NULL; END $$;
                 CREATE TRIGGER t AFTER INSERT ON w_notify_trigger FOR EACH ROW EXECUTE FUNCTION to_channel()",
            )
            .await?;
        let repo = emr::open(ground.options()).await?;
        let set = WatchSet::new().application(APPLICATION).watch(WatcherSpec::table("w_emr").label("w"));
        let watcher = repo.watcher(&set)?;
        watcher.uninstall().await?;
        watcher.install().await?;
        Ok(Field { config, client, repo, watcher })
    }

    pub(super) async fn remove(self) -> Result<()> {
        self.watcher.uninstall().await?;
        self.repo.stop(Duration::from_secs(1)).await;
        for lib in LIBS {
            self.client.batch_execute(&format!("DROP TABLE w_{lib}")).await?;
        }
        self.client.batch_execute("DROP TABLE plain_log; DROP FUNCTION to_log; DROP FUNCTION to_channel").await?;
        Ok(())
    }

    /// Throughput beside that of the same writers on an unwatched table, in the same round.
    pub(super) async fn writers(&self, args: &Args, writers: usize) -> Result<()> {
        let mut clients = Vec::new();
        for _ in 0..writers {
            clients.push(Arc::new(connect(&self.config).await?));
        }
        let mut listener = listen(&self.config).await?;
        let drained = tokio::spawn(async move { while listener.recv().await.is_some() {} });
        let changes = self.watcher.changes(Start::Now).await?;
        let reader = count(changes);
        let (rates, written) = turns(&LIBS, args.rounds, async |lib| turn(&clients, lib).await).await?;
        drained.abort();
        arrived(&reader, written).await?;
        rates.report(&format!("writers_{writers}"), "postgres", args.rounds);
        Ok(())
    }

    /// From the acknowledged commit to the change, with a pause between commits, beside a bare LISTEN in turn.
    pub(super) async fn idle_latency(&self) -> Result<()> {
        let mut listener = listen(&self.config).await?;
        let mut changes = self.watcher.changes(Start::Now).await?;
        let (mut bare, mut watched) = (Vec::new(), Vec::new());
        for _ in 0..IDLE_COMMITS {
            insert(&self.client, "notify_trigger").await?;
            let committed = Instant::now();
            listener.recv().await.ok_or("the listener ended")?;
            bare.push(committed.elapsed());
            insert(&self.client, "emr").await?;
            let committed = Instant::now();
            next_txn(&mut changes).await?;
            watched.push(committed.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        latency("commit_to_event", "postgres", "listen", bare);
        latency("commit_to_event", "postgres", "emr", watched);
        Ok(())
    }

    /// The same while eight writers write as fast as they can.
    pub(super) async fn busy_latency(&self) -> Result<()> {
        let mut changes = self.watcher.changes(Start::Now).await?;
        let acked: Arc<Mutex<HashMap<i64, Instant>>> = Arc::default();
        let until = Instant::now() + BUSY;
        let mut tasks: JoinSet<Result<()>> = JoinSet::new();
        for _ in 0..8 {
            let (client, acked) = (connect(&self.config).await?, Arc::clone(&acked));
            tasks.spawn(async move {
                let insert = client.prepare("INSERT INTO w_emr (pad) VALUES ('x') RETURNING id").await?;
                while Instant::now() < until {
                    let id: i64 = client.query_one(&insert, &[]).await?.get(0);
                    acked.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Instant::now());
                }
                Ok(())
            });
        }
        let mut seen = Vec::new();
        loop {
            let writing = !tasks.is_empty();
            while let Some(done) = tasks.try_join_next() {
                done??;
            }
            let total = acked.lock().unwrap_or_else(PoisonError::into_inner).len();
            if !writing && seen.len() >= total {
                break;
            }
            let Ok(item) = tokio::time::timeout(Duration::from_secs(20), changes.recv()).await else {
                return Err(format!("{} of {total} changes came", seen.len()).into());
            };
            if let Some(Item::Txn(txn)) = item.transpose()? {
                let now = Instant::now();
                for event in &txn.changes {
                    if let Some(emr::Value::I64(id)) = event.value("id") {
                        seen.push((*id, now));
                    }
                }
            }
        }
        let acked = acked.lock().unwrap_or_else(PoisonError::into_inner);
        let took = seen.iter().filter_map(|(id, at)| Some(at.saturating_duration_since(*acked.get(id)?))).collect();
        latency("commit_to_event_busy", "postgres", "emr", took);
        Ok(())
    }

    /// The processes of the readers' sessions, if the server is on this machine.
    pub(super) async fn sessions(&self) -> Result<Vec<i32>> {
        // Each holds a lock: the one that leads, or one of those that follow.
        let sql = "SELECT DISTINCT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                   WHERE l.locktype = 'advisory' AND d.datname = current_database()";
        let pids: Vec<i32> = self.client.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect();
        Ok(pids.into_iter().filter(|pid| cpu_of(&pid.to_string()).is_ok()).collect())
    }

    pub(super) async fn catch_up(&self) -> Result<()> {
        let start = self.watcher.head().await?;
        for _ in 0..1_000 {
            self.client.batch_execute("INSERT INTO w_emr (pad) SELECT 'x' FROM generate_series(1, 1000)").await?;
        }
        let before = peak_kib()?;
        let begun = Instant::now();
        let mut changes = self.watcher.changes(Start::After(start)).await?;
        let mut count = 0;
        while count < CAUGHT_UP {
            count += next_txn(&mut changes).await?;
        }
        let took = begun.elapsed();
        caught_up("postgres", took, peak_kib()? - before);
        Ok(())
    }
}

async fn connect(config: &Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The notifications of a bare client.
async fn listen(config: &Config) -> Result<tokio::sync::mpsc::UnboundedReceiver<()>> {
    let (client, mut connection) = config.connect(NoTls).await?;
    let (told, heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if matches!(message, AsyncMessage::Notification(_)) && told.send(()).is_err() {
                return;
            }
        }
    });
    client.batch_execute("LISTEN bench").await?;
    // Held until the receiver is gone.
    tokio::spawn(async move {
        std::future::pending::<Client>().await;
        drop(client);
    });
    Ok(heard)
}

async fn insert(client: &Client, lib: &str) -> Result<()> {
    client.batch_execute(&format!("INSERT INTO w_{lib} (pad) VALUES ('x')")).await?;
    Ok(())
}

/// All writers write for a while. Returns their rows and the time.
async fn turn(clients: &[Arc<Client>], lib: &'static str) -> Result<(usize, Duration)> {
    let begun = Instant::now();
    let mut tasks: JoinSet<Result<usize>> = JoinSet::new();
    for client in clients {
        let client = Arc::clone(client);
        tasks.spawn(async move {
            let insert = client.prepare(&format!("INSERT INTO w_{lib} (pad) VALUES (repeat('x', 100))")).await?;
            let mut rows = 0;
            while begun.elapsed() < TURN {
                client.execute(&insert, &[]).await?;
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
