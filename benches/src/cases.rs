//! What is measured: the work of each case, and how its result is checked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinHandle;

use crate::contender::{COLOR, Contender, FOUND, Found, Person, Result, Tree, grown_sum, tree_sum};
use crate::ground::{AUTHORS, Ground, POSTS, USERS, author, grown, person, post, tree, user};
use crate::sum::{Sum, Tally};
use crate::weigh;

/// Tasks that share the pool in `get_by_pk_16`.
const TASKS: usize = 16;
/// People who are renamed in turn.
const RENAMED: i64 = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    IdleRepos,
    GetByPk,
    GetByPk16,
    Load,
    FilterJoin,
    Preload,
    Stream,
    InsertOne,
    InsertMany(i64),
    InsertGraph,
    Upsert,
    UpdateChanges,
    TxUpdate,
    Writers(usize),
    CommitToEvent,
    CommitToEventBusy,
    CatchUp,
    IdleReaders,
    Syncing,
}

/// People of one `upsert`. Every second one is there already.
const UPSERTED: i64 = 100;

/// What one contender's turn took.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) wall: Duration,
    /// Of all threads of this process; the server's is not in it.
    pub(crate) cpu: Duration,
}

impl Case {
    /// The idle repos come first: they are weighed by the memory of a process that has done nothing else.
    pub(crate) const ALL: [Case; 23] = [
        Case::IdleRepos,
        Case::GetByPk,
        Case::GetByPk16,
        Case::Load,
        Case::FilterJoin,
        Case::Preload,
        Case::Stream,
        Case::InsertOne,
        Case::InsertMany(100),
        Case::InsertMany(1_000),
        Case::InsertMany(10_000),
        Case::InsertGraph,
        Case::Upsert,
        Case::UpdateChanges,
        Case::TxUpdate,
        Case::Writers(1),
        Case::Writers(8),
        Case::Writers(32),
        Case::CommitToEvent,
        Case::CommitToEventBusy,
        Case::CatchUp,
        Case::IdleReaders,
        Case::Syncing,
    ];

    pub(crate) fn name(self) -> String {
        match self {
            Case::IdleRepos => "idle_repos_10k".to_owned(),
            Case::GetByPk => "get_by_pk".to_owned(),
            Case::GetByPk16 => "get_by_pk_16".to_owned(),
            Case::Load => "load_10k".to_owned(),
            Case::FilterJoin => "filter_join".to_owned(),
            Case::Preload => "preload".to_owned(),
            Case::Stream => "stream_100k".to_owned(),
            Case::InsertOne => "insert_one".to_owned(),
            Case::InsertMany(rows) => format!("insert_many_{rows}"),
            Case::InsertGraph => "insert_graph".to_owned(),
            Case::Upsert => format!("upsert_{UPSERTED}"),
            Case::UpdateChanges => "update_changes".to_owned(),
            Case::TxUpdate => "tx_update".to_owned(),
            Case::Writers(writers) => format!("writers_{writers}"),
            Case::CommitToEvent => "commit_to_event".to_owned(),
            Case::CommitToEventBusy => "commit_to_event_busy".to_owned(),
            Case::CatchUp => "catch_up_1m".to_owned(),
            Case::IdleReaders => "idle_readers_5".to_owned(),
            Case::Syncing => "sync".to_owned(),
        }
    }

    /// Gives the contender its turn: `ops` operations, on tables in the same state as for everybody else.
    /// What it returns, and what it left in the tables, is checked after the clock was stopped.
    pub(crate) async fn turn(self, contender: &Arc<dyn Contender>, ground: &mut dyn Ground, ops: i64) -> Result<Turn> {
        match self {
            Case::IdleRepos
            | Case::Writers(_)
            | Case::CommitToEvent
            | Case::CommitToEventBusy
            | Case::CatchUp
            | Case::IdleReaders
            | Case::Syncing => Err("it has no turns".into()),
            Case::GetByPk => {
                let ids: Vec<i64> = keys(ops).collect();
                let expected = ids.iter().map(|id| user(*id)).collect::<Vec<_>>();
                let clock = Clock::start();
                let users = in_task(contender, |contender| async move { contender.get_by_pk(ids).await }).await??;
                let turn = clock.stop();
                same(&users, &expected)?;
                Ok(turn)
            }
            Case::GetByPk16 => {
                let ids: Vec<i64> = keys(ops).collect();
                let shares: Vec<Vec<i64>> = ids.chunks(ids.len().div_ceil(TASKS)).map(<[_]>::to_vec).collect();
                let expected = ids.iter().map(|id| user(*id)).collect::<Vec<_>>();
                let clock = Clock::start();
                let tasks: Vec<_> = shares
                    .into_iter()
                    .map(|ids| in_task(contender, |contender| async move { contender.get_by_pk(ids).await }))
                    .collect();
                let mut users = Vec::with_capacity(expected.len());
                for task in tasks {
                    users.append(&mut task.await??);
                }
                let turn = clock.stop();
                same(&users, &expected)?;
                Ok(turn)
            }
            Case::Load => {
                let mut users = Vec::new();
                let clock = Clock::start();
                for _ in 0..ops {
                    users = in_task(contender, |contender| async move { contender.load().await }).await??;
                }
                let turn = clock.stop();
                same(&users.iter().collect::<Sum>(), &(1..=USERS).map(user).collect::<Vec<_>>().iter().collect())?;
                Ok(turn)
            }
            Case::FilterJoin => {
                let below: Vec<i64> = (0..ops).map(|n| POSTS - n % 500).collect();
                let ranking = ranking();
                let from = |below: &i64| ranking.partition_point(|(visits, _)| visits >= below);
                let first = |at: usize| ranking[at..].iter().take(FOUND).map(|(_, found)| found.clone()).collect();
                let expected: Vec<Vec<Found>> = below.iter().map(from).map(first).collect();
                let clock = Clock::start();
                let lists = in_task(contender, |contender| async move { contender.filter_join(below).await }).await??;
                let turn = clock.stop();
                same(&lists, &expected)?;
                Ok(turn)
            }
            Case::Preload => {
                let mut authors = Vec::new();
                let clock = Clock::start();
                for _ in 0..ops {
                    authors = in_task(contender, |contender| async move { contender.preload().await }).await??;
                }
                let turn = clock.stop();
                same(&tree_sum(&authors)?, &tree_sum(&(1..=AUTHORS).map(author).collect::<Vec<_>>())?)?;
                Ok(turn)
            }
            Case::Stream => {
                let mut tally = Tally::default();
                let clock = Clock::start();
                for _ in 0..ops {
                    let empty = Tally::default();
                    tally = in_task(contender, |contender| async move { contender.stream(empty).await }).await??;
                }
                let turn = clock.stop();
                same(&tally, &weigh::entries())?;
                Ok(turn)
            }
            Case::InsertOne => {
                ground.reset(&[]).await?;
                let people: Vec<Person> = (1..=ops).map(person).collect();
                let expected = people.iter().collect::<Sum>();
                let clock = Clock::start();
                let ids = in_task(contender, |contender| async move { contender.insert_one(people).await }).await??;
                let turn = clock.stop();
                same(&ids, &(1..=ops).collect())?;
                same(&ground.people().await?, &expected)?;
                Ok(turn)
            }
            Case::InsertMany(rows) => {
                ground.reset(&[]).await?;
                let list = |n: i64| (n * rows + 1..=(n + 1) * rows).map(person).collect::<Vec<_>>();
                let lists: Vec<Vec<Person>> = (0..ops).map(list).collect();
                let expected = lists.iter().flatten().collect::<Sum>();
                let clock = Clock::start();
                let written =
                    in_task(contender, |contender| async move { contender.insert_many(lists).await }).await??;
                let turn = clock.stop();
                same(&written, &u64::try_from(ops * rows)?)?;
                same(&ground.people().await?, &expected)?;
                Ok(turn)
            }
            Case::InsertGraph => {
                ground.clear().await?;
                let trees: Vec<Tree> = (0..ops).map(tree).collect();
                let expected = grown_sum(&(0..ops).map(grown).collect::<Vec<_>>())?;
                let clock = Clock::start();
                let roots =
                    in_task(contender, |contender| async move { contender.insert_graph(trees).await }).await??;
                let turn = clock.stop();
                same(&grown_sum(&roots)?, &expected)?;
                same(&ground.trees().await?, &expected)?;
                Ok(turn)
            }
            Case::Upsert => {
                // Those of an even number, under their old names.
                let stored: Vec<Person> =
                    (1..=ops * UPSERTED / 2).map(|n| Person { name: "old".to_owned(), ..person(n * 2) }).collect();
                ground.reset(&stored).await?;
                let list = |n: i64| (n * UPSERTED + 1..=(n + 1) * UPSERTED).map(person).collect::<Vec<_>>();
                let lists: Vec<Vec<Person>> = (0..ops).map(list).collect();
                let expected = lists.iter().flatten().collect::<Sum>();
                let clock = Clock::start();
                let written =
                    in_task(contender, |contender| async move { contender.upsert_many(lists).await }).await??;
                let turn = clock.stop();
                same(&written, &u64::try_from(ops * UPSERTED)?)?;
                same(&ground.people().await?, &expected)?;
                Ok(turn)
            }
            Case::UpdateChanges => {
                let (renames, people) = renames(ground, ops).await?;
                let clock = Clock::start();
                let written =
                    in_task(contender, |contender| async move { contender.update_changes(renames).await }).await??;
                let turn = clock.stop();
                same(&written, &u64::try_from(ops)?)?;
                same(&ground.people().await?, &people.iter().collect())?;
                Ok(turn)
            }
            Case::TxUpdate => {
                let (renames, people) = renames(ground, ops).await?;
                let clock = Clock::start();
                let written =
                    in_task(contender, |contender| async move { contender.tx_update(renames).await }).await??;
                let turn = clock.stop();
                same(&written, &u64::try_from(ops)?)?;
                same(&ground.people().await?, &people.iter().collect())?;
                Ok(turn)
            }
        }
    }
}

/// Stores [`RENAMED`] people. Each of `ops` renames with the row as it is by then, and the people as they are after all.
async fn renames(ground: &mut dyn Ground, ops: i64) -> Result<(Vec<(Person, String)>, Vec<Person>)> {
    let mut people: Vec<Person> = (1..=RENAMED).map(person).collect();
    ground.reset(&people).await?;
    let mut renames = Vec::new();
    for (n, person) in (0..ops).zip((0..people.len()).cycle()) {
        let person = &mut people[person];
        let old = person.clone();
        person.name = format!("Name {n}");
        renames.push((old, person.name.clone()));
    }
    Ok((renames, people))
}

/// Starts work in a task of its own, as a server would.
fn in_task<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
    contender: &Arc<dyn Contender>,
    work: impl FnOnce(Arc<dyn Contender>) -> F,
) -> JoinHandle<Result<T>> {
    tokio::spawn(work(Arc::clone(contender)))
}

/// Keys that jump about the table, the same for everybody.
fn keys(ops: i64) -> impl Iterator<Item = i64> {
    (0..ops).map(|n| n * 7_919 % USERS + 1)
}

/// The posts whose authors have the right hair, the most visited first, with their visits.
fn ranking() -> Vec<(i64, Found)> {
    let right = (1..=POSTS).map(post).map(|post| (user(post.user_id), post));
    let right = right.filter(|(author, _)| author.hair_color.as_deref() == Some(COLOR));
    let mut ranking: Vec<_> = right.map(|(author, post)| (post.visits, (post.id, post.title, author.name))).collect();
    ranking.sort_by_key(|(visits, _)| -visits);
    ranking
}

pub(crate) fn same<T: PartialEq>(found: &T, expected: &T) -> Result<()> {
    if found == expected { Ok(()) } else { Err("the result is wrong".into()) }
}

struct Clock {
    wall: Instant,
    cpu: Duration,
}

impl Clock {
    fn start() -> Self {
        Clock { cpu: cpu_time(), wall: Instant::now() }
    }

    fn stop(self) -> Turn {
        Turn { wall: self.wall.elapsed(), cpu: cpu_time().saturating_sub(self.cpu) }
    }
}

fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or_default())
}
