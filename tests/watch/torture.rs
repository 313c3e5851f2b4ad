//! Writers that get in each other's way in every order there is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use emr::prelude::*;
use emr::watch::{Item, Start, WatcherSpec};

use crate::harness::{Backend, Db};
use crate::{installed, set};

db_cases! {
    cs09_cs11_nothing_is_lost_reordered_or_split,
}

const WRITERS: u64 = 8;
const KEYS: u64 = 20;

/// What a writer committed: for each key the versions in the order in which it wrote them.
type Committed = Vec<(i64, i64)>;

/// Eight writers bump versions of twenty hot rows, several in a transaction, with pauses, savepoints, failures and rollbacks. The
/// row itself counts its versions, so that the order per key is known. Beside the watcher, a reader follows the log by its
/// position alone, as one would who knows no better: it must lose changes, or the test shows nothing.
async fn cs09_cs11_nothing_is_lost_reordered_or_split(db: &Db) {
    db.repo.script("create table hot (id bigint primary key, version bigint not null, tx bigint)").await.unwrap();
    for key in 0..KEYS {
        db.repo
            .query(&db.backend.sql("insert into hot values ($1, 0, null)"), &[&i64::try_from(key).unwrap()])
            .await
            .unwrap();
    }
    let set = set(db).watch(WatcherSpec::table("hot").label("hot").extra_columns(["version", "tx"]));
    let watcher = installed(db, &set).await;
    let mut changes = watcher.changes(Start::Now).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let naive = tokio::spawn(naive(db.other().await, db.application("app"), Arc::clone(&done), db.backend));
    let next_tx = Arc::new(AtomicU64::new(1));
    let options = db.options().pool_size(u32::try_from(WRITERS).unwrap());
    let writers: Vec<_> = (0..WRITERS)
        .map(|seed| {
            let (options, next_tx, backend) = (options.clone(), Arc::clone(&next_tx), db.backend);
            tokio::spawn(
                async move { write(emr::open(options.pool_size(1)).await.unwrap(), seed, &next_tx, backend).await },
            )
        })
        .collect();
    let mut committed: HashMap<i64, Committed> = HashMap::new();
    for writer in writers {
        committed.extend(writer.await.expect("a writer"));
    }
    done.store(true, Ordering::Release);
    let total: usize = committed.values().map(Vec::len).sum();

    let mut seen: HashMap<i64, Committed> = HashMap::new();
    let mut last: HashMap<i64, i64> = HashMap::new();
    let mut count = 0;
    while count < total {
        let item = tokio::time::timeout(Duration::from_mins(1), changes.recv()).await;
        let item = item.unwrap_or_else(|_| panic!("{count} of {total} changes came")).unwrap().unwrap();
        let Item::Txn(txn) = item else { continue };
        let mut of_txn: HashMap<i64, Committed> = HashMap::new();
        for event in &txn.changes {
            let (key, version, tx) = (crate::int(event, "id"), crate::int(event, "version"), crate::int(event, "tx"));
            let before = last.insert(key, version).unwrap_or(0);
            assert_eq!(before + 1, version, "row {key}: version {version} came after {before}");
            of_txn.entry(tx).or_default().push((key, version));
            count += 1;
        }
        for (tx, changes) in of_txn {
            assert!(seen.insert(tx, changes).is_none(), "transaction {tx} came in two pieces");
        }
    }
    assert_eq!(count, total, "changes that nobody committed");
    for (tx, changes) in &committed {
        assert_eq!(seen.get(tx), Some(changes), "transaction {tx}");
    }
    let naive = naive.await.expect("the naive reader");
    println!(
        "torture: {total} changes of {} transactions; a cursor on the position lost {}",
        committed.len(),
        total - naive
    );
    if db.backend == Backend::Postgres {
        assert!(naive < total, "the control lost nothing: the writers did not overlap");
    }
}

async fn write(repo: RepoHandle, seed: u64, next_tx: &AtomicU64, backend: Backend) -> HashMap<i64, Committed> {
    let mut random = Random(seed * 7919 + 1);
    let mut committed = HashMap::new();
    for _ in 0..60 {
        let number = i64::try_from(next_tx.fetch_add(1, Ordering::Relaxed)).unwrap();
        let mut keys: Vec<i64> = (0..=random.below(3)).map(|_| i64::try_from(random.below(KEYS)).unwrap()).collect();
        // One order for all, so that nobody waits in a circle.
        keys.sort_unstable();
        keys.dedup();
        let outcome = random.below(10);
        let pause = Duration::from_millis(random.below(8));
        let work = async |tx: &Tx| {
            let mut changes = Vec::new();
            for (n, key) in keys.iter().enumerate() {
                if n == 1 && outcome == 2 {
                    let inner = tx.begin().await?;
                    bump(&inner, *key, number, backend).await?;
                    inner.rollback().await?;
                }
                if n == 0 && outcome == 3 {
                    let inner = tx.begin().await?;
                    assert!(inner.query("select nothing from nowhere", &[]).await.is_err());
                    inner.rollback().await?;
                }
                changes.push((*key, bump(tx, *key, number, backend).await?));
                tokio::time::sleep(pause).await;
            }
            Ok::<Committed, emr::Error>(changes)
        };
        let tx = repo.begin().await.expect("a transaction");
        let changes: Committed = work(&tx).await.expect("the writes");
        if outcome == 0 {
            tx.rollback().await.expect("a rollback");
        } else {
            // A late commit lets others overtake.
            tokio::time::sleep(pause).await;
            tx.commit().await.expect("a commit");
            committed.insert(number, changes);
        }
    }
    committed
}

async fn bump(tx: &Tx, key: i64, number: i64, backend: Backend) -> emr::Result<i64> {
    tx.query(&backend.sql("update hot set version = version + 1, tx = $1 where id = $2"), &[&number, &key]).await?;
    tx.query(&backend.sql("select version from hot where id = $1"), &[&key]).await?.scalar()
}

/// Follows the log by its position, as its table has it, and counts what it sees.
async fn naive(repo: RepoHandle, application: String, done: Arc<AtomicBool>, backend: Backend) -> usize {
    let log = match backend {
        Backend::Postgres => format!("\"emr_{application}\".log"),
        _ => return 0,
    };
    let (mut last, mut seen) = (0_i64, 0);
    loop {
        let finished = done.load(Ordering::Acquire);
        let sql = format!("select pos from {log} where pos > $1 order by pos");
        let rows = repo.query(&sql, &[&last]).await.expect("the log");
        let rows: Vec<i64> = (0..rows.rows().len()).map(|row| rows.get(row, 0).expect("a position")).collect();
        seen += rows.len();
        last = rows.last().copied().unwrap_or(last);
        if finished && rows.is_empty() {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A sequence that is the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
