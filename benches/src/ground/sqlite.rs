//! A database file of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use emr::RepoOptions;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{Ground, USERS, user};
use crate::cases::Case;
use crate::contender::{Contender, POOL, Person, Result, Sum};
use crate::contenders::emr::Emr;
use crate::contenders::one_hop::OneHop;
use crate::contenders::rusqlite::Rusqlite;

pub(crate) struct SqliteGround {
    folder: TempDir,
    file: PathBuf,
    db: Connection,
}

/// Opens the file with the settings that EMR has by default.
pub(crate) fn open(file: &Path) -> Result<Connection> {
    let db = Connection::open(file)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "normal")?;
    db.pragma_update(None, "foreign_keys", true)?;
    Ok(db)
}

impl SqliteGround {
    pub(crate) fn create() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("bench.db");
        let mut db = open(&file)?;
        let table = "(id INTEGER PRIMARY KEY, name TEXT NOT NULL, hair_color TEXT) STRICT";
        db.execute_batch(&format!("CREATE TABLE users {table}; CREATE TABLE people {table}"))?;
        let new_rows = db.transaction()?;
        for user in (1..=USERS).map(user) {
            new_rows.execute("INSERT INTO users VALUES (?, ?, ?)", (user.id, user.name, user.hair_color))?;
        }
        new_rows.commit()?;
        db.execute_batch("ANALYZE")?;
        Ok(SqliteGround { folder, file, db })
    }
}

#[async_trait(?Send)]
impl Ground for SqliteGround {
    async fn describe(&self) -> Result<String> {
        Ok(format!("backend=sqlite version={:?} journal_mode=wal synchronous=normal", rusqlite::version()))
    }

    fn options(&self) -> RepoOptions {
        RepoOptions::sqlite(self.file.to_string_lossy()).pool_size(POOL)
    }

    async fn contenders(&self, case: Case) -> Result<Vec<(&'static str, Arc<dyn Contender>)>> {
        let bare = || Rusqlite::open(&self.file).map(|bare| Arc::new(bare) as Arc<dyn Contender>);
        let hop = || OneHop::open(&self.file).map(|hop| Arc::new(hop) as Arc<dyn Contender>);
        let emr = Arc::new(Emr::open(self.options()).await?);
        // A program that must not block its runtime pays the hop; beside a long call it is nothing.
        Ok(match case {
            Case::Load | Case::InsertMany(_) => {
                vec![("driver", bare()?), ("control", bare()?), ("emr", emr), ("one_hop", hop()?)]
            }
            _ => vec![("driver", hop()?), ("control", hop()?), ("emr", emr), ("rusqlite", bare()?)],
        })
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

    async fn pin(&self) -> Result<&'static str> {
        Ok("none")
    }

    async fn remove(self: Box<Self>) -> Result<()> {
        let SqliteGround { folder, db, .. } = *self;
        drop(db);
        Ok(folder.close()?)
    }
}
