//! rusqlite in the calling thread: what SQLite itself costs.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;

use crate::contender::{Contender, Person, Result, User};
use crate::ground::sqlite::open;

pub(crate) struct Rusqlite {
    db: Mutex<Connection>,
}

impl Rusqlite {
    pub(crate) fn open(file: &Path) -> Result<Self> {
        Ok(Rusqlite { db: Mutex::new(open(file)?) })
    }

    fn db(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn get(db: &Connection, id: i64) -> rusqlite::Result<User> {
    db.prepare_cached("SELECT id, name, hair_color FROM users WHERE id = ?")?.query_row((id,), user)
}

pub(super) fn load(db: &Connection) -> rusqlite::Result<Vec<User>> {
    let mut select = db.prepare_cached("SELECT id, name, hair_color FROM users")?;
    let mut rows = select.query(())?;
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        users.push(user(row)?);
    }
    Ok(users)
}

pub(super) fn insert_one(db: &Connection, name: &str, hair_color: Option<&str>) -> rusqlite::Result<i64> {
    db.prepare_cached("INSERT INTO people (name, hair_color) VALUES (?, ?)")?.insert((name, hair_color))
}

pub(super) fn insert_many(db: &mut Connection, people: &[Person]) -> rusqlite::Result<u64> {
    let all = db.transaction()?;
    let mut insert = all.prepare_cached("INSERT INTO people (id, name, hair_color) VALUES (?, ?, ?)")?;
    let mut written = 0;
    for Person { id, name, hair_color } in people {
        written += insert.execute((id, name, hair_color))? as u64;
    }
    drop(insert);
    all.commit()?;
    Ok(written)
}

pub(super) fn run(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute(()).map(drop)
}

pub(super) fn rename(db: &Connection, id: i64, name: &str) -> rusqlite::Result<u64> {
    db.prepare_cached("UPDATE people SET name = ? WHERE id = ?")?.execute((name, id)).map(|rows| rows as u64)
}

fn user(row: &rusqlite::Row<'_>) -> rusqlite::Result<User> {
    Ok(User { id: row.get(0)?, name: row.get(1)?, hair_color: row.get(2)? })
}

#[async_trait]
impl Contender for Rusqlite {
    async fn get_by_pk(&self, ids: Vec<i64>) -> Result<Vec<User>> {
        let db = self.db();
        let mut users = Vec::with_capacity(ids.len());
        for id in ids {
            users.push(get(&db, id)?);
        }
        Ok(users)
    }

    async fn load(&self) -> Result<Vec<User>> {
        Ok(load(&self.db())?)
    }

    async fn insert_one(&self, people: Vec<Person>) -> Result<Vec<i64>> {
        let db = self.db();
        let mut ids = Vec::with_capacity(people.len());
        for Person { name, hair_color, .. } in people {
            ids.push(insert_one(&db, &name, hair_color.as_deref())?);
        }
        Ok(ids)
    }

    async fn insert_many(&self, lists: Vec<Vec<Person>>) -> Result<u64> {
        let mut db = self.db();
        let mut written = 0;
        for list in lists {
            written += insert_many(&mut db, &list)?;
        }
        Ok(written)
    }

    async fn tx_update(&self, renames: Vec<(Person, String)>) -> Result<u64> {
        let db = self.db();
        let mut written = 0;
        for (Person { id, .. }, name) in renames {
            run(&db, "BEGIN IMMEDIATE")?;
            written += rename(&db, id, &name)?;
            run(&db, "COMMIT")?;
        }
        Ok(written)
    }
}
