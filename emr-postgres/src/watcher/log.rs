//! The change logs of one database.

use std::sync::Arc;

use async_trait::async_trait;
use emr_core::watch::{
    Cascades, ChangeLog, Consumer, Drift, Grouping, Installed, Opened, Plan, Resolved, ResyncReason, Start, Token,
    WatchFault, WatcherCaps, hex_digest,
};
use emr_core::{Error, RepoOptions, Result};

use super::define::{HOME, VERSION};
use super::layout::Layout;
use super::names::{Names, ident};
use super::reader::PgReader;
use super::session::{Session, doing, is_unknown};
use super::snapshot::{Position, Snapshot};
use super::{consumers, install, verify};
use crate::pool::PgConnector;

/// The change logs of the database that a repo's options name.
pub(crate) struct PgChangeLog {
    connector: Arc<PgConnector>,
}

/// What opening a log found.
pub(super) struct Opening {
    pub(super) session: Session,
    pub(super) names: Names,
    pub(super) set: Arc<Resolved>,
    pub(super) layout: Layout,
    pub(super) identity: Arc<str>,
    pub(super) log_id: String,
    /// How writers were told to wake readers when it was installed.
    pub(super) wake: String,
}

/// The state row.
struct State {
    log_id: String,
    identity: Arc<str>,
    wake: String,
    floor: u64,
    now: Snapshot,
}

impl PgChangeLog {
    pub(crate) fn new(options: &RepoOptions) -> Result<Self> {
        Ok(PgChangeLog { connector: Arc::new(PgConnector::new(options)?) })
    }

    async fn session(&self, set: &Resolved) -> Result<Session> {
        Session::open(&self.connector, set.heartbeat).await
    }
}

/// Reads the state of a log, and makes sure that it is one of this database.
async fn state(session: &Session, names: &Names, set: &Resolved) -> Result<State> {
    let missing =
        |missing: String| Error::watch(WatchFault::NotInstalled { application: set.application.to_string(), missing });
    let recovery = session.one("SELECT pg_catalog.pg_is_in_recovery()", &[]).await?;
    if recovery.get(0) {
        return Err(Error::unsupported("watching a standby: watch its primary", "PostgreSQL"));
    }
    let sql = format!(
        "SELECT id::text, home, home = ({HOME}), wake, floor::text, version, pg_catalog.pg_current_snapshot()::text, \
         pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) FROM {}",
        names.own("state")
    );
    let rows = match session.query(&sql, &[]).await {
        Ok(rows) => rows,
        Err(error) if is_unknown(&error) => {
            return Err(missing(format!("there is no change log in the schema {}", names.schema)).with_source(error));
        }
        Err(error) => return Err(doing("read the change log", error)),
    };
    let Some(row) = rows.first() else { return Err(missing("its state row was removed".to_owned())) };
    if !row.get::<_, bool>(2) {
        return Err(missing("its log is the copy of another database's".to_owned()));
    }
    let version: i32 = row.get(5);
    if version != VERSION {
        return Err(missing(format!("its log is of version {version}, and this program knows {VERSION}")));
    }
    let unreadable = || Error::connection_lost("the server gave a snapshot that is none");
    let (log_id, home, timeline): (String, &str, &str) = (row.get(0), row.get(1), row.get(7));
    Ok(State {
        // A server that took another's place, or was set back to an earlier state, is on another time line.
        identity: hex_digest(&format!("{home} {timeline} {log_id}"), 16).into(),
        log_id,
        wake: row.get(3),
        floor: row.get::<_, &str>(4).parse().map_err(|_| unreadable())?,
        now: row.get::<_, &str>(6).parse().map_err(|()| unreadable())?,
    })
}

impl State {
    fn head(&self) -> Token {
        Token::new("postgres", Arc::clone(&self.identity), self.now.to_string())
    }

    /// The position that a token means here, or why it means none.
    fn position(&self, token: &Token) -> Result<Result<Position, ResyncReason>> {
        if token.backend() != "postgres" {
            let expected = Token::new("postgres", Arc::clone(&self.identity), "").to_string();
            return Err(Error::watch(WatchFault::ForeignToken { token: token.to_string(), expected }));
        }
        if *token.identity() != self.identity {
            return Ok(Err(ResyncReason::OtherDatabase));
        }
        let bad = |()| Error::watch(WatchFault::BadToken { token: token.to_string().chars().take(80).collect() });
        let position: Position = token.position().parse().map_err(bad)?;
        if position.from.xmax > self.now.xmax {
            // Transactions that this server has not yet had.
            return Ok(Err(ResyncReason::OtherDatabase));
        }
        Ok(if position.from.xmin < self.floor { Err(ResyncReason::TokenTooOld) } else { Ok(position) })
    }
}

#[async_trait]
impl ChangeLog for PgChangeLog {
    fn caps(&self) -> WatcherCaps {
        let mut caps = WatcherCaps::triggers();
        caps.grouping = Grouping::Exact;
        caps.truncate = true;
        caps.cascades = Cascades::Seen;
        caps.replaced_rows = true;
        caps.partitions = true;
        caps.push = true;
        caps.origin = true;
        caps.quiet_writes = true;
        caps
    }

    async fn plan(&self, set: &Resolved) -> Result<Plan> {
        let session = self.session(set).await?;
        install::plan(&session, &Names::of(&set.application), set).await
    }

    async fn install(&self, set: &Resolved) -> Result<Installed> {
        let session = self.session(set).await?;
        install::install(&session, &Names::of(&set.application), set).await
    }

    async fn verify(&self, set: &Resolved) -> Result<Vec<Drift>> {
        let session = self.session(set).await?;
        verify::verify(&session, &Names::of(&set.application), set).await
    }

    fn grants(&self, set: &Resolved, role: &str) -> Vec<String> {
        let (names, role) = (Names::of(&set.application), ident(role));
        let own = |object: &str| names.own(object);
        vec![
            format!("GRANT USAGE ON SCHEMA {} TO {role}", names.schema),
            format!("GRANT SELECT ON {}, {} TO {role}", own("state"), own("sources")),
            format!("GRANT UPDATE (floor) ON {} TO {role}", own("state")),
            format!("GRANT SELECT, DELETE ON {} TO {role}", own("log")),
            format!("GRANT SELECT ON SEQUENCE {} TO {role}", own("log_pos_seq")),
            format!("GRANT SELECT, INSERT, DELETE ON {} TO {role}", own("ticks")),
            format!("GRANT SELECT, INSERT, UPDATE ON {} TO {role}", own("consumers")),
        ]
    }

    async fn uninstall(&self, set: &Resolved) -> Result<Vec<String>> {
        let session = self.session(set).await?;
        install::uninstall(&session, &Names::of(&set.application), set).await
    }

    async fn head(&self, set: &Resolved) -> Result<Token> {
        let session = self.session(set).await?;
        Ok(state(&session, &Names::of(&set.application), set).await?.head())
    }

    async fn open(&self, set: &Arc<Resolved>, start: &Start, held: Option<&Consumer>) -> Result<Opened> {
        let session = self.session(set).await?;
        let names = Names::of(&set.application);
        let state = state(&session, &names, set).await?;
        let layout = Layout::read(&session, &names, set).await?;
        let drift = verify::verify(&session, &names, set).await?;
        let mut consumer = held.cloned();
        let position = match start {
            Start::After(token) => state.position(token)?,
            Start::Consumer(name) => {
                let (held, kept, is_new) = consumers::take(&session, &names, name, &state.head()).await?;
                consumer = Some(held);
                if is_new { Err(ResyncReason::NewConsumer) } else { state.position(&kept.parse()?)? }
            }
            _ => Ok(Position { from: state.now.clone(), within: None }),
        };
        let (position, resync) = match position {
            Ok(position) => (position, None),
            Err(reason) => (Position { from: state.now.clone(), within: None }, Some(reason)),
        };
        let opening = Opening {
            session,
            names,
            set: Arc::clone(set),
            layout,
            identity: state.identity,
            log_id: state.log_id,
            wake: state.wake,
        };
        let mut reader = PgReader::new(opening, position, consumer.clone());
        reader.prepare().await?;
        let token = reader.token();
        let mut opened = Opened::new(Box::new(reader), token);
        opened.resync = resync;
        opened.drift = drift;
        opened.consumer = consumer;
        Ok(opened)
    }
}
