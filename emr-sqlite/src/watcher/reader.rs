//! Reads the log from one position on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emr_core::Result;
use emr_core::watch::{
    Batch, Consumer, Event, Item, LogReader, Part, Resolved, ResyncReason, Scope, Tended, Token, Txn, Watched,
};
use rusqlite::Connection;

use super::cut::{Segment, segments};
use super::define::cell_names;
use super::layout::{FIRST_CELL, Layout, Logged};
use super::names::Names;
use super::position::Position;
use super::session::{Session, ended, reading};
use super::state::{State, missing};
use super::wake::Waiter;
use super::{consumers, retain, verify};
use crate::database::FileId;

/// A reader on its own connection.
pub(super) struct SqliteReader {
    session: Session,
    set: Arc<Resolved>,
    waiter: Waiter,
    consumer: Option<Consumer>,
    writable: bool,
    /// Away while a job has it; a job that is given up takes it along, and the reader is of no use any more.
    place: Option<Box<Place>>,
}

/// Where a reader stands.
pub(super) struct Place {
    pub(super) names: Names,
    pub(super) set: Arc<Resolved>,
    pub(super) layout: Layout,
    pub(super) identity: Arc<str>,
    pub(super) position: Position,
    /// The file that is read, however its path may be used by now.
    pub(super) file: FileId,
    /// A commit that is too large for one item.
    parted: Option<Parted>,
}

/// A commit that comes in parts.
struct Parted {
    segment: Segment,
    /// The last position that was delivered.
    read: i64,
    part: Part,
    /// Where the reader stood before it.
    before: Token,
}

impl Place {
    pub(super) fn new(
        names: Names,
        set: Arc<Resolved>,
        layout: Layout,
        identity: Arc<str>,
        position: Position,
        file: FileId,
    ) -> Self {
        Place { names, set, layout, identity, position, file, parted: None }
    }

    pub(super) fn token(&self) -> Token {
        self.position.token(&self.identity)
    }

    /// Reads what is committed, in one state of the file.
    fn read(&mut self, db: &Connection) -> Result<Batch> {
        self.file.check()?;
        reading(db, || self.read_state(db))
    }

    fn read_state(&mut self, db: &Connection) -> Result<Batch> {
        let state = State::of(db, &self.names, &self.set.application)?;
        let reason = if state.identity == self.identity {
            state.refuses(db, &self.names, self.position)?
        } else {
            Some(ResyncReason::OtherDatabase)
        };
        if let Some(reason) = reason {
            return self.resync(&state, reason, Vec::new(), db);
        }
        let most = i64::try_from(self.set.max_events).unwrap_or(i64::MAX).max(1);
        let mut items = Vec::new();
        if self.parted.is_none() {
            let found = segments(db, &self.names, self.position.pos, state.head.pos, most)?;
            if let [only] = &found[..]
                && only.len() > most
            {
                let of = u32::try_from((only.len() + most - 1) / most).unwrap_or(u32::MAX);
                let (before, read) = (self.token(), self.position.pos);
                self.parted = Some(Parted { segment: only.clone(), read, part: Part::new(0, of), before });
            }
            if self.parted.is_none() {
                for segment in found {
                    let Some((events, end)) = self.rows(db, &segment, &mut items)? else {
                        return self.broken(&state, items, db);
                    };
                    self.position = end;
                    if !events.is_empty() {
                        items.push(Item::Txn(Arc::new(Txn::new(self.token(), segment.origin, events, None))));
                    }
                }
            }
        }
        if let Some(mut parted) = self.parted.take() {
            let last = parted.segment.last.min(parted.read + most);
            let (first, origin) = (parted.read + 1, parted.segment.origin.clone());
            let segment = parted.segment.part(first, last);
            let Some((events, end)) = self.rows(db, &segment, &mut items)? else {
                return self.broken(&state, items, db);
            };
            parted.part = Part::new(parted.part.number + 1, parted.part.of);
            let ends = last == parted.segment.last;
            let token = if ends { end.token(&self.identity) } else { parted.before.clone() };
            items.push(Item::Txn(Arc::new(Txn::new(token, origin, events, Some(parted.part)))));
            if ends {
                self.position = end;
            } else {
                parted.read = last;
                self.parted = Some(parted);
            }
        }
        let more = self.parted.is_some() || self.position.pos < state.head.pos;
        Ok(Batch::new(items, self.token(), more))
    }

    /// The changes of a segment and its end. `None` if the log has a hole there.
    fn rows(
        &mut self,
        db: &Connection,
        segment: &Segment,
        items: &mut Vec<Item>,
    ) -> Result<Option<(Vec<Event>, Position)>> {
        let cells = cell_names(self.layout.cells);
        let sql = format!(
            "SELECT pos, source, op, at, cut, {cells} FROM {} WHERE pos >= ?1 AND pos <= ?2 ORDER BY pos",
            self.names.log
        );
        let failed = |error| missing(db, &self.set.application, error);
        let mut statement = db.prepare_cached(&sql).map_err(failed)?;
        debug_assert_eq!(statement.column_count(), FIRST_CELL + self.layout.cells);
        let mut rows = statement.query([segment.first, segment.last]).map_err(failed)?;
        let mut events = Vec::with_capacity(usize::try_from(segment.len()).unwrap_or(0));
        let mut end = Position { pos: segment.first - 1, at: 0.0 };
        let mut unreadable: Vec<Option<Arc<Watched>>> = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let (pos, source) = (row.get::<_, i64>(0).map_err(failed)?, row.get::<_, i64>(1).unwrap_or_default());
            if pos != end.pos + 1 {
                return Ok(None);
            }
            end = Position { pos, at: row.get(3).unwrap_or_default() };
            if !self.layout.knows(source) {
                // Another process has installed another definition since.
                let mut layout = Layout::of(db, &self.names, &self.set)?;
                layout.must_know(source);
                let wider = layout.cells > self.layout.cells;
                self.layout = layout;
                if wider {
                    drop(rows);
                    return self.rows(db, segment, items);
                }
            }
            match self.layout.read(row) {
                Logged::Event(event) => events.push(event),
                Logged::Other => {}
                Logged::Unreadable(table) if unreadable.contains(&table) => {}
                Logged::Unreadable(table) => unreadable.push(table),
            }
        }
        if end.pos != segment.last {
            return Ok(None);
        }
        for table in unreadable {
            let scope = table.map_or(Scope::All, Scope::Table);
            items.push(Item::Resync { reason: ResyncReason::Unreadable, scope, token: self.token() });
        }
        Ok(Some((events, end)))
    }

    /// Changes are missing in the log itself.
    fn broken(&mut self, state: &State, items: Vec<Item>, db: &Connection) -> Result<Batch> {
        self.resync(state, ResyncReason::LogReset, items, db)
    }

    /// Goes on at the end of the log, and says that something is missing.
    fn resync(&mut self, state: &State, reason: ResyncReason, mut items: Vec<Item>, db: &Connection) -> Result<Batch> {
        self.parted = None;
        self.identity = Arc::clone(&state.identity);
        self.position = state.head;
        self.layout = Layout::of(db, &self.names, &self.set)?;
        items.push(Item::Resync { reason, scope: Scope::All, token: self.token() });
        Ok(Batch::new(items, self.token(), false))
    }
}

impl SqliteReader {
    pub(super) fn new(
        session: Session,
        waiter: Waiter,
        place: Place,
        consumer: Option<Consumer>,
        writable: bool,
    ) -> Self {
        let set = Arc::clone(&place.set);
        SqliteReader { session, set, waiter, consumer, writable, place: Some(Box::new(place)) }
    }

    /// Runs a job that needs the place.
    async fn at_place<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut Place, &Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut place = self.place.take().ok_or_else(ended)?;
        let job = move |db: &Connection| {
            let result = job(&mut place, db);
            Ok((place, result))
        };
        let (place, result) = self.session.run(self.set.heartbeat, job).await?;
        self.place = Some(place);
        result
    }

    fn place(&self) -> Result<&Place> {
        self.place.as_deref().ok_or_else(ended)
    }
}

#[async_trait]
impl LogReader for SqliteReader {
    async fn read(&mut self) -> Result<Batch> {
        let seen = self.waiter.seen();
        self.at_place(move |place, db| {
            // Looked at before the log: what is committed in between is found again.
            seen.look(db)?;
            place.read(db)
        })
        .await
    }

    async fn lie_down(&mut self) -> Result<Option<Duration>> {
        // The first look of the sleep is at once: what was committed since the last read ends it.
        Ok(Some(self.set.heartbeat))
    }

    async fn woken(&mut self) {
        // Without a place, the next read says why.
        if let Some(place) = &self.place {
            self.waiter.woken(&self.session, &place.file, &self.set.wake).await;
        }
    }

    async fn ack(&mut self, token: &Token) -> Result<()> {
        let place = self.place()?;
        let (names, identity) = (place.names.clone(), Arc::clone(&place.identity));
        let consumer = self.consumer.clone();
        let token = token.clone();
        let limit = self.set.heartbeat / 2;
        self.session.run(limit, move |db| consumers::ack(db, &names, &identity, consumer.as_ref(), &token)).await
    }

    async fn tend(&mut self, verify: bool) -> Result<Tended> {
        let writable = self.writable;
        let drift = self
            .at_place(move |place, db| {
                let drift = if verify { Some(verify::drift(db, &place.names, &place.set)?) } else { None };
                Ok(drift)
            })
            .await?;
        if writable {
            let place = self.place()?;
            retain::retain(&self.session, &place.names, &self.set).await?;
        }
        Ok(Tended::new(drift))
    }
}
