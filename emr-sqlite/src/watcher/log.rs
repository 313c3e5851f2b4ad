//! The change logs of one file.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use emr_core::watch::{
    Cascades, ChangeLog, Consumer, Drift, Installed, Opened, Plan, Resolved, ResyncReason, Start, Token, WatchFault,
    WatcherCaps,
};
use emr_core::{Error, RepoOptions, Result};
use rusqlite::Connection;

use super::layout::Layout;
use super::names::Names;
use super::position::Position;
use super::reader::{Place, SqliteReader};
use super::session::{Session, reading, writing};
use super::state::State;
use super::wake::Waiter;
use super::{consumers, install, verify};
use crate::database::FileId;
use crate::dialect;
use crate::settings::{Location, Settings};

/// The backend's name in tokens.
pub(super) const BACKEND: &str = "sqlite";

/// The change logs of the file that a repo is on.
pub(crate) struct SqliteChangeLog {
    settings: Settings,
    path: PathBuf,
}

impl SqliteChangeLog {
    pub(crate) fn new(options: &RepoOptions) -> Result<Self> {
        let settings = Settings::new(options)?;
        match settings.location.clone() {
            Location::File(path) => Ok(SqliteChangeLog { settings, path }),
            Location::Memory => Err(Error::unsupported(
                "watching a database in memory, which no second connection can read",
                dialect::server(),
            )),
        }
    }

    async fn session(&self) -> Result<Session> {
        Session::open(self.settings.clone()).await
    }
}

#[async_trait]
impl ChangeLog for SqliteChangeLog {
    fn caps(&self) -> WatcherCaps {
        let mut caps = WatcherCaps::triggers();
        caps.cascades = Cascades::Seen;
        // There is no TRUNCATE, and a DELETE of all rows is told row by row.
        caps.truncate = true;
        caps.origin = true;
        // A program can switch triggers off for its connection (SQLITE_DBCONFIG_ENABLE_TRIGGER).
        caps.quiet_writes = true;
        caps
    }

    async fn plan(&self, set: &Resolved) -> Result<Plan> {
        let (names, limit, set) = (Names::of(&set.application), set.heartbeat, set.clone());
        self.session().await?.run(limit, move |db| reading(db, || install::plan(db, &names, &set))).await
    }

    async fn install(&self, set: &Resolved) -> Result<Installed> {
        install::install(&self.session().await?, &Names::of(&set.application), set).await
    }

    async fn verify(&self, set: &Resolved) -> Result<Vec<Drift>> {
        let (names, limit, of) = (Names::of(&set.application), set.heartbeat, set.clone());
        let found = self.session().await?.run(limit, move |db| reading(db, || verify::drift(db, &names, &of))).await;
        match found {
            Err(error) => match error.watch_fault() {
                Some(WatchFault::NotInstalled { missing, .. }) => Ok(vec![Drift::new("change log", missing.clone())]),
                _ => Err(error),
            },
            found => found,
        }
    }

    async fn uninstall(&self, set: &Resolved) -> Result<Vec<String>> {
        install::uninstall(&self.session().await?, &Names::of(&set.application), set).await
    }

    async fn head(&self, set: &Resolved) -> Result<Token> {
        let (names, application) = (Names::of(&set.application), Arc::clone(&set.application));
        let state = move |db: &Connection| reading(db, || State::of(db, &names, &application));
        let state = self.session().await?.run(set.heartbeat, state).await?;
        Ok(state.head.token(&state.identity))
    }

    async fn open(&self, set: &Arc<Resolved>, start: &Start, consumer: Option<&Consumer>) -> Result<Opened> {
        // Noted before the file is opened: what is put in its place later is another one.
        let file = FileId::of(&self.path);
        let waiter = Waiter::new(&self.path);
        // A reader makes no file: in the place of one that was deleted, it would wait for ever.
        let session = Session::open(Settings { create: false, ..self.settings.clone() }).await?;
        let begin = Begin {
            names: Names::of(&set.application),
            set: Arc::clone(set),
            start: start.clone(),
            consumer: consumer.cloned(),
            file,
        };
        let started = session.run(set.heartbeat, move |db| begin.begin(db)).await?;
        let token = started.place.token();
        let writable = !self.settings.read_only;
        let reader = SqliteReader::new(session, waiter, started.place, started.consumer.clone(), writable);
        let mut opened = Opened::new(Box::new(reader), token);
        opened.resync = started.resync;
        opened.drift = started.drift;
        opened.consumer = started.consumer;
        Ok(opened)
    }
}

/// What a reader begins with.
struct Begin {
    names: Names,
    set: Arc<Resolved>,
    start: Start,
    consumer: Option<Consumer>,
    file: FileId,
}

struct Started {
    place: Place,
    resync: Option<ResyncReason>,
    drift: Vec<Drift>,
    consumer: Option<Consumer>,
}

impl Begin {
    fn begin(self, db: &Connection) -> Result<Started> {
        // A consumer's start is written, all others only look.
        match &self.start {
            Start::Consumer(_) => writing(db, || self.in_transaction(db)),
            _ => reading(db, || self.in_transaction(db)),
        }
    }

    fn in_transaction(&self, db: &Connection) -> Result<Started> {
        let Begin { names, set, .. } = self;
        let state = State::of(db, names, &set.application)?;
        self.check_installed(db)?;
        let head = state.head.token(&state.identity);
        let mut consumer = self.consumer.clone();
        if let Some(consumer) = &consumer {
            consumers::check(db, names, consumer)?;
        }
        let mut from = None;
        match &self.start {
            Start::Now => {}
            Start::After(token) => from = Some(token.clone()),
            Start::Consumer(name) => {
                let (started, token) = consumers::start(db, names, name, &head)?;
                consumer = Some(started);
                from = token.map(|token| token.parse()).transpose()?;
            }
            other => {
                return Err(Error::unsupported(format!("starting at {other:?}"), dialect::server()));
            }
        }
        let is_new = matches!(self.start, Start::Consumer(_)) && from.is_none();
        let (position, resync) = match &from {
            None => (state.head, is_new.then_some(ResyncReason::NewConsumer)),
            Some(token) => resume(db, names, &state, token)?,
        };
        let layout = Layout::of(db, names, set)?;
        let drift = verify::drift(db, names, set)?;
        let identity = Arc::clone(&state.identity);
        let place = Place::new(names.clone(), Arc::clone(set), layout, identity, position, self.file.clone());
        Ok(Started { place, resync, drift, consumer })
    }

    /// A table of which nobody ever installed anything has no drift: it is not watched at all.
    fn check_installed(&self, db: &Connection) -> Result<()> {
        for watched in &self.set.tables {
            if !verify::was_installed(db, &self.names, &self.set, watched)? {
                return Err(Error::watch(WatchFault::NotInstalled {
                    application: self.set.application.to_string(),
                    missing: format!("triggers of {}", watched.full_name()),
                }));
            }
        }
        Ok(())
    }
}

/// The position of a token, or the head and why.
fn resume(db: &Connection, names: &Names, state: &State, token: &Token) -> Result<(Position, Option<ResyncReason>)> {
    if token.backend() != BACKEND {
        return Err(consumers::foreign(token, &state.identity));
    }
    let position = Position::of(token)?;
    let refused = if *token.identity() == state.identity {
        state.refuses(db, names, position)?
    } else {
        Some(ResyncReason::OtherDatabase)
    };
    Ok((if refused.is_some() { state.head } else { position }, refused))
}
