//! A database file of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use emr::RepoOptions;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{COMMENTS, ENTRIES, Ground, POSTS, Place, TREES, USERS, comment, person, post};
use crate::cases::Case;
use crate::contender::{Contender, POOL, Person, Result};
use crate::contenders::emr::Emr;
use crate::contenders::one_hop::OneHop;
use crate::contenders::rusqlite::Rusqlite;
use crate::sum::Sum;

pub(crate) struct SqliteGround {
    folder: TempDir,
    place: SqlitePlace,
    db: Connection,
}

/// A database file.
pub(crate) struct SqlitePlace {
    file: PathBuf,
}

/// Opens the file with the settings that EMR has by default.
pub(crate) fn open(file: &Path) -> Result<Connection> {
    let db = Connection::open(file)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "normal")?;
    db.pragma_update(None, "foreign_keys", true)?;
    Ok(db)
}

impl SqlitePlace {
    pub(crate) fn new(file: impl Into<PathBuf>) -> Self {
        SqlitePlace { file: file.into() }
    }

    fn options(&self) -> RepoOptions {
        RepoOptions::sqlite(self.file.to_string_lossy()).pool_size(POOL)
    }
}

#[async_trait(?Send)]
impl Place for SqlitePlace {
    fn name(&self) -> String {
        self.file.to_string_lossy().into_owned()
    }

    fn libs(&self, case: Case) -> &'static [&'static str] {
        match case {
            Case::Load | Case::InsertMany(_) | Case::InsertGraph | Case::Upsert => {
                &["driver", "control", "emr", "one_hop"]
            }
            Case::Preload => &["driver", "control", "emr", "one_hop", "per_parent"],
            _ => &["driver", "control", "emr", "rusqlite"],
        }
    }

    async fn contender(&self, case: Case, lib: &str) -> Result<Arc<dyn Contender>> {
        // A program that must not block its runtime pays the hop; beside a long call it is nothing.
        let hops = !matches!(case, Case::Load | Case::InsertMany(_) | Case::InsertGraph | Case::Upsert | Case::Preload);
        Ok(match lib {
            "emr" => Arc::new(Emr::open(self.options()).await?),
            "driver" | "control" if hops => Arc::new(OneHop::open(&self.file)?),
            "one_hop" => Arc::new(OneHop::open(&self.file)?),
            _ => Arc::new(Rusqlite::open(&self.file, lib == "per_parent")?),
        })
    }
}

impl SqliteGround {
    pub(crate) fn create() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let place = SqlitePlace::new(folder.path().join("bench.db"));
        let mut db = open(&place.file)?;
        let table = "(id INTEGER PRIMARY KEY, name TEXT NOT NULL, hair_color TEXT) STRICT";
        db.execute_batch(&format!(
            "CREATE TABLE users {table}; CREATE TABLE people {table}; CREATE TABLE entries {table}; \
             CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users, \
             title TEXT NOT NULL, visits INTEGER NOT NULL) STRICT; \
             CREATE TABLE comments (id INTEGER PRIMARY KEY, post_id INTEGER NOT NULL REFERENCES posts, \
             body TEXT NOT NULL) STRICT; \
             CREATE TABLE roots (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT; \
             CREATE TABLE branches (id INTEGER PRIMARY KEY, root_id INTEGER NOT NULL REFERENCES roots, \
             name TEXT NOT NULL) STRICT; \
             CREATE TABLE leaves (id INTEGER PRIMARY KEY, branch_id INTEGER NOT NULL REFERENCES branches, \
             name TEXT NOT NULL) STRICT"
        ))?;
        let new_rows = db.transaction()?;
        for (table, rows) in [("users", USERS), ("entries", ENTRIES)] {
            let mut insert = new_rows.prepare(&format!("INSERT INTO {table} VALUES (?, ?, ?)"))?;
            for Person { id, name, hair_color } in (1..=rows).map(person) {
                insert.execute((id, name, hair_color))?;
            }
        }
        for post in (1..=POSTS).map(post) {
            let cells = (post.id, post.user_id, post.title, post.visits);
            new_rows.execute("INSERT INTO posts VALUES (?, ?, ?, ?)", cells)?;
        }
        for comment in (1..=COMMENTS).map(comment) {
            let cells = (comment.id, comment.post_id, comment.body);
            new_rows.execute("INSERT INTO comments VALUES (?, ?, ?)", cells)?;
        }
        new_rows.commit()?;
        db.execute_batch(
            "CREATE INDEX posts_user_id ON posts (user_id); CREATE INDEX posts_visits ON posts (visits); \
             CREATE INDEX comments_post_id ON comments (post_id); ANALYZE",
        )?;
        Ok(SqliteGround { folder, place, db })
    }
}

#[async_trait(?Send)]
impl Ground for SqliteGround {
    async fn describe(&self) -> Result<String> {
        Ok(format!("backend=sqlite version={:?} journal_mode=wal synchronous=normal", rusqlite::version()))
    }

    fn options(&self) -> RepoOptions {
        self.place.options()
    }

    fn place(&self) -> &dyn Place {
        &self.place
    }

    async fn reset(&mut self, people: &[Person]) -> Result<()> {
        let new_rows = self.db.transaction()?;
        new_rows.execute("DELETE FROM people", ())?;
        for Person { id, name, hair_color } in people {
            new_rows.prepare_cached("INSERT INTO people VALUES (?, ?, ?)")?.execute((id, name, hair_color))?;
        }
        new_rows.commit()?;
        // Everybody begins with an empty log: whose turn it is when it is full would be chance.
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
        Ok(())
    }

    async fn people(&self) -> Result<Sum> {
        let mut sum = Sum::default();
        let mut select = self.db.prepare("SELECT id, name, hair_color FROM people")?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            sum.add(row.get(0)?, row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str_or_null()?);
        }
        Ok(sum)
    }

    async fn clear(&mut self) -> Result<()> {
        // Without the checks of foreign keys, which no index helps.
        self.db.execute_batch(
            "PRAGMA foreign_keys=OFF; DELETE FROM leaves; DELETE FROM branches; DELETE FROM roots; \
             PRAGMA foreign_keys=ON",
        )?;
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
        Ok(())
    }

    async fn trees(&self) -> Result<Sum> {
        let mut sum = Sum::default();
        let mut select = self.db.prepare(TREES)?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            sum.add(row.get(0)?, row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str_or_null()?);
        }
        Ok(sum)
    }

    async fn pin(&self) -> Result<&'static str> {
        Ok("none")
    }

    async fn remove(self: Box<Self>) -> Result<()> {
        let SqliteGround { folder, db, .. } = *self;
        drop(db);
        Ok(folder.close()?)
    }
}
