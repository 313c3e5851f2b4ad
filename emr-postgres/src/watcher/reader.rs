//! Reads the log: the difference between the snapshot that was read up to and that of now.

mod catch_up;
mod commits;
mod sleep;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emr_core::watch::{
    Batch, Consumer, Drift, Item, LogReader, ResyncReason, Scope, Tended, Token, Wake, WatchFault, Watched,
};
use emr_core::{Error, ErrorKind, Result};
use tokio_postgres::Statement;
use tokio_postgres::types::Type;

use super::layout::{Layout, Meaning};
use super::log::Opening;
use super::names::Names;
use super::retain::retain;
use super::session::Session;
use super::snapshot::{Position, Snapshot};
use super::{consumers, verify};
use catch_up::CatchUp;
use commits::{Commits, LogRow};
use sleep::Sleep;

/// The most changes that are read at once without a cursor. More are sorted by the server.
const AT_ONCE: usize = 5_000;

/// Reads one log.
pub(super) struct PgReader {
    session: Session,
    names: Names,
    set: Arc<emr_core::watch::Resolved>,
    layout: Layout,
    identity: Arc<str>,
    log_id: String,
    position: Position,
    consumer: Option<Consumer>,
    read: Option<Statement>,
    sleep: Sleep,
    catch_up: Option<CatchUp>,
    /// What a read found that was made on the way to sleep.
    found: Option<Vec<LogRow>>,
    /// Where that read stood.
    seen: Option<Seen>,
}

/// What a read learns beside the changes.
struct Seen {
    now: Snapshot,
    floor: u64,
    log_id: String,
}

impl PgReader {
    pub(super) fn new(opening: Opening, position: Position, consumer: Option<Consumer>) -> Self {
        let Opening { session, names, set, layout, identity, log_id, wake } = opening;
        let sleep = Sleep::new(set.wake, &wake, set.heartbeat);
        PgReader {
            session,
            names,
            set,
            layout,
            identity,
            log_id,
            position,
            consumer,
            read: None,
            sleep,
            catch_up: None,
            found: None,
            seen: None,
        }
    }

    pub(super) fn token(&self) -> Token {
        self.token_at(&self.position)
    }

    fn token_at(&self, position: &Position) -> Token {
        Token::new("postgres", Arc::clone(&self.identity), position.to_string())
    }

    /// Prepares the session: what it needs to sleep and to read fast.
    pub(super) async fn prepare(&mut self) -> Result<()> {
        if self.sleep.polls_only() {
            return Ok(());
        }
        // By the index, and planned once: the log's statistics are always old, and planning costs more than reading.
        self.session
            .script(&format!(
                "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET jit = off; \
                 SET synchronous_commit = off; SET work_mem = '32MB'; LISTEN {}",
                self.names.schema
            ))
            .await?;
        self.read = Some(self.session.prepare(&self.read_sql()).await.map_err(|error| self.damaged(error))?);
        Ok(())
    }

    /// The log's rows that are visible now and were not in the old snapshot. Those are exactly the rows of transactions that had
    /// not begun then, or were running: so an open transaction makes nothing be read twice.
    fn read_sql(&self) -> String {
        let (state, log) = (self.names.own("state"), self.names.own("log"));
        let rows = format!("SELECT pos, xid::text, src, op, old, new, origin FROM {log} WHERE xid");
        let most = AT_ONCE + 1;
        format!(
            "SELECT s.floor::text, s.id::text, pg_catalog.pg_current_snapshot()::text, \
             l.pos, l.xid, l.src, l.op, l.old, l.new, l.origin FROM {state} s LEFT JOIN LATERAL (\
             ({rows} >= $1::text::xid8 LIMIT {most}) UNION ALL ({rows} = ANY ($2::text[]::xid8[]) LIMIT {most})) l ON true"
        )
    }

    async fn ask(&self) -> Result<Vec<tokio_postgres::Row>> {
        let from = &self.position.from;
        let xmax = from.xmax.to_string();
        let running: Vec<_> = from.running.iter().map(u64::to_string).collect();
        let rows = if let Some(statement) = &self.read {
            self.session.run(statement, &[&xmax, &running]).await
        } else {
            self.session.query(&self.read_sql(), &[(&xmax, Type::TEXT), (&running, Type::TEXT_ARRAY)]).await
        };
        rows.map_err(|error| self.damaged(error))
    }

    /// An error that says that the log's own tables are not what they were.
    fn damaged(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Database { code, message } if code.starts_with("42") || code == "3F000" => {
                let missing = format!("its log cannot be read: {message}");
                let application = self.set.application.to_string();
                Error::watch(WatchFault::NotInstalled { application, missing }).with_source(error)
            }
            _ => super::session::doing("read the change log", error),
        }
    }

    /// Takes in what a read gave.
    fn take_in(&self, rows: &[tokio_postgres::Row]) -> Result<(Seen, Vec<LogRow>)> {
        let Some(first) = rows.first() else {
            let missing = "its state row was removed".to_owned();
            let application = self.set.application.to_string();
            return Err(Error::watch(WatchFault::NotInstalled { application, missing }));
        };
        let unreadable = || Error::connection_lost("the server gave a snapshot that is none");
        let seen = Seen {
            floor: first.get::<_, &str>(0).parse().map_err(|_| unreadable())?,
            log_id: first.get(1),
            now: first.get::<_, &str>(2).parse().map_err(|()| unreadable())?,
        };
        let rows = rows.iter().filter(|row| row.get::<_, Option<i64>>(3).is_some());
        let rows = rows.map(|row| LogRow::of(row, 3)).collect::<Option<Vec<_>>>().ok_or_else(unreadable)?;
        Ok((seen, rows))
    }

    /// Goes on from now, because what is between is not there.
    fn give_up(&mut self, reason: ResyncReason, seen: Seen) -> Batch {
        self.log_id = seen.log_id;
        self.position = Position { from: seen.now, within: None };
        self.catch_up = None;
        let token = self.token();
        let resync = Item::Resync { reason, scope: Scope::All, token: token.clone() };
        Batch::new(vec![resync], token, false)
    }

    /// Turns whole commits, in their order, into items.
    async fn items(&mut self, commits: &mut Commits, to: Option<&Snapshot>) -> Result<Vec<Item>> {
        let unknown = |layout: &Layout, commits: &Commits| commits.sources().find(|source| !layout.knows(*source));
        if unknown(&self.layout, commits).is_some() {
            // Somebody has installed meanwhile.
            self.layout = Layout::read(&self.session, &self.names, &self.set).await?;
            while let Some(source) = unknown(&self.layout, commits) {
                self.layout.ignore(source);
            }
        }
        let mut items = Vec::new();
        while let Some(part) = commits.next(self.set.max_events) {
            let token = match (part.ends, to) {
                (Some(last), Some(to)) => {
                    let within = super::snapshot::Within { to: to.clone(), last };
                    self.position.within = Some(within);
                    self.token()
                }
                _ => self.token(),
            };
            let (mut changes, mut unreadable): (Vec<_>, Vec<Arc<Watched>>) = (Vec::new(), Vec::new());
            for entry in &part.entries {
                match self.layout.meaning(entry) {
                    Meaning::Change(event) => changes.push(event),
                    Meaning::Unreadable(table) if !unreadable.contains(&table) => unreadable.push(table),
                    Meaning::Unreadable(_) | Meaning::Nothing | Meaning::Unknown => {}
                }
            }
            for table in unreadable {
                let reason = ResyncReason::Unreadable;
                items.push(Item::Resync { reason, scope: Scope::Table(table), token: token.clone() });
            }
            if !changes.is_empty() || part.part.is_some() {
                items.push(Item::Txn(Arc::new(emr_core::watch::Txn::new(token, part.origin, changes, part.part))));
            }
        }
        Ok(items)
    }

    /// The rows that a read has found, if they are few; else a catch-up begins.
    async fn digest(&mut self, seen: Seen, rows: Vec<LogRow>) -> Result<Batch> {
        if seen.log_id != self.log_id {
            self.layout = Layout::read(&self.session, &self.names, &self.set).await?;
            return Ok(self.give_up(ResyncReason::LogReset, seen));
        }
        if seen.floor > self.position.from.xmin {
            return Ok(self.give_up(ResyncReason::TokenTooOld, seen));
        }
        if rows.len() > AT_ONCE {
            return self.begin_catch_up(seen.now, i64::MIN).await;
        }
        self.sleep.read_found(rows.len());
        let mut commits = Commits::of(rows);
        let mut items = self.items(&mut commits, Some(&seen.now)).await?;
        self.position = Position { from: seen.now, within: None };
        // The last of them stands where the whole read stands: its token is the shorter one.
        let token = self.token();
        if let Some(Item::Txn(last)) = items.last_mut()
            && last.part.is_none_or(emr_core::watch::Part::is_last)
            && let Some(last) = Arc::get_mut(last)
        {
            last.token = token.clone();
        }
        Ok(Batch::new(items, token, false))
    }
}

#[async_trait]
impl LogReader for PgReader {
    async fn read(&mut self) -> Result<Batch> {
        if let Some((seen, rows)) = self.seen.take().zip(self.found.take()) {
            return self.digest(seen, rows).await;
        }
        if self.catch_up.is_some() {
            return self.catch_up_on().await;
        }
        if let Some(within) = self.position.within.clone() {
            // Goes on in the middle of what was being caught up with.
            let rows = self.ask().await?;
            let (seen, _) = self.take_in(&rows)?;
            if seen.log_id != self.log_id || seen.floor > self.position.from.xmin {
                return self.digest(seen, Vec::new()).await;
            }
            return self.begin_catch_up(within.to, within.last).await;
        }
        let wakes = self.sleep.get_up(&self.names);
        let rows = match wakes {
            None => self.ask().await?,
            Some(unlock) => {
                let (unlocked, rows) = tokio::join!(biased; self.session.script(&unlock), self.ask());
                unlocked?;
                rows?
            }
        };
        let (seen, rows) = self.take_in(&rows)?;
        self.digest(seen, rows).await
    }

    async fn lie_down(&mut self) -> Result<Option<Duration>> {
        if let Some(pause) = self.sleep.pause() {
            return Ok(Some(pause));
        }
        self.fall_asleep().await
    }

    async fn woken(&mut self) {
        self.session.woken().await;
    }

    async fn ack(&mut self, token: &Token) -> Result<()> {
        let Some(consumer) = &self.consumer else { return Err(Error::watch(WatchFault::NoConsumer)) };
        if token.backend() != "postgres" || *token.identity() != self.identity {
            let expected = Token::new("postgres", Arc::clone(&self.identity), "").to_string();
            return Err(Error::watch(WatchFault::ForeignToken { token: token.to_string(), expected }));
        }
        consumers::keep(&self.session, &self.names, consumer, token).await
    }

    async fn tend(&mut self, verify: bool) -> Result<Tended> {
        let drift: Option<Vec<Drift>> =
            if verify { Some(verify::verify(&self.session, &self.names, &self.set).await?) } else { None };
        if self.sleep.leads() || matches!(self.set.wake, Wake::Poll(_)) {
            match retain(&self.session, &self.names, self.set.retention).await {
                // A reader that may not delete leaves that to one that may.
                Err(error) if matches!(error.kind(), ErrorKind::Database { code, .. } if code == "42501") => {}
                done => done?,
            }
        }
        Ok(Tended::new(drift))
    }
}
