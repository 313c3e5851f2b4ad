//! rusqlite in the calling thread: what SQLite itself costs.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use emr::prelude::HasMany;
use rusqlite::{Connection, Row, params_from_iter};

use super::group::{Places, lists};
use crate::contender::{
    Author, Branch, COLOR, Comment, Contender, Entry, FOUND, Found, Leaf, Person, Post, Result, Root, Tree, User,
};
use crate::ground::AUTHORS;
use crate::ground::sqlite::open;
use crate::sum::Tally;

pub(crate) struct Rusqlite {
    db: Mutex<Connection>,
    per_parent: bool,
}

impl Rusqlite {
    /// `per_parent` says how preloads go.
    pub(crate) fn open(file: &Path, per_parent: bool) -> Result<Self> {
        Ok(Rusqlite { db: Mutex::new(open(file)?), per_parent })
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

pub(super) fn filter_join(db: &Connection, below: i64) -> rusqlite::Result<Vec<Found>> {
    let mut select = db.prepare_cached(&format!(
        "SELECT posts.id, posts.title, users.name FROM posts JOIN users ON users.id = posts.user_id \
         WHERE users.hair_color = ? AND posts.visits < ? ORDER BY posts.visits DESC LIMIT {FOUND}"
    ))?;
    let mut rows = select.query((COLOR, below))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get(0)?, row.get(1)?, row.get(2)?));
    }
    Ok(found)
}

/// Three statements, the children found by a list of their parents.
pub(super) fn preload(db: &Connection) -> rusqlite::Result<Vec<Author>> {
    let mut authors = Vec::new();
    let mut select = db.prepare_cached("SELECT id, name, hair_color FROM users WHERE id <= ?")?;
    let mut rows = select.query((AUTHORS,))?;
    while let Some(row) = rows.next()? {
        authors.push(author(row)?);
    }
    let ids: Vec<i64> = authors.iter().map(|author| author.id).collect();
    let mut posts = Vec::new();
    of_parents(db, "SELECT id, user_id, title, visits FROM posts WHERE user_id", &ids, |row| {
        posts.push(post(row)?);
        Ok(())
    })?;
    let post_ids: Vec<i64> = posts.iter().map(|post| post.id).collect();
    let (places, mut of_post) = (Places::of(&post_ids), lists(post_ids.len()));
    of_parents(db, "SELECT id, post_id, body FROM comments WHERE post_id", &post_ids, |row| {
        let comment = comment(row)?;
        places.put(&mut of_post, comment.post_id, comment);
        Ok(())
    })?;
    for (post, comments) in posts.iter_mut().zip(of_post) {
        post.comments = HasMany::loaded(comments);
    }
    let (places, mut of_author) = (Places::of(&ids), lists(ids.len()));
    for post in posts {
        places.put(&mut of_author, post.user_id, post);
    }
    for (author, posts) in authors.iter_mut().zip(of_author) {
        author.posts = HasMany::loaded(posts);
    }
    Ok(authors)
}

fn of_parents(
    db: &Connection,
    select: &str,
    parents: &[i64],
    mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut sql = String::with_capacity(select.len() + 8 + 2 * parents.len());
    sql.push_str(select);
    sql.push_str(" IN (?");
    for _ in 1..parents.len() {
        sql.push_str(",?");
    }
    sql.push(')');
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(parents))?;
    while let Some(row) = rows.next()? {
        each(row)?;
    }
    Ok(())
}

/// A statement for each parent, which is no round trip here.
fn preload_each(db: &Connection) -> rusqlite::Result<Vec<Author>> {
    let mut authors = Vec::new();
    let mut select = db.prepare_cached("SELECT id, name, hair_color FROM users WHERE id <= ?")?;
    let mut of_author = db.prepare_cached("SELECT id, user_id, title, visits FROM posts WHERE user_id = ?")?;
    let mut of_post = db.prepare_cached("SELECT id, post_id, body FROM comments WHERE post_id = ?")?;
    let mut rows = select.query((AUTHORS,))?;
    while let Some(row) = rows.next()? {
        let mut author = author(row)?;
        let mut posts = Vec::new();
        let mut rows = of_author.query((author.id,))?;
        while let Some(row) = rows.next()? {
            let mut post = post(row)?;
            let mut comments = Vec::new();
            let mut rows = of_post.query((post.id,))?;
            while let Some(row) = rows.next()? {
                comments.push(comment(row)?);
            }
            post.comments = HasMany::loaded(comments);
            posts.push(post);
        }
        author.posts = HasMany::loaded(posts);
        authors.push(author);
    }
    Ok(authors)
}

/// Hands over one entry after the other, until it is told to stop.
pub(super) fn stream(db: &Connection, mut take: impl FnMut(Entry) -> bool) -> rusqlite::Result<()> {
    let mut select = db.prepare_cached("SELECT id, name, hair_color FROM entries")?;
    let mut rows = select.query(())?;
    while let Some(row) = rows.next()? {
        if !take(Entry { id: row.get(0)?, name: row.get(1)?, hair_color: row.get(2)? }) {
            break;
        }
    }
    Ok(())
}

pub(super) fn insert_one(db: &Connection, name: &str, hair_color: Option<&str>) -> rusqlite::Result<i64> {
    db.prepare_cached("INSERT INTO people (name, hair_color) VALUES (?, ?)")?.insert((name, hair_color))
}

pub(super) fn insert_many(db: &mut Connection, people: &[Person]) -> rusqlite::Result<u64> {
    write_many(db, "INSERT INTO people (id, name, hair_color) VALUES (?, ?, ?)", people)
}

pub(super) fn upsert_many(db: &mut Connection, people: &[Person]) -> rusqlite::Result<u64> {
    const UPSERT: &str = "INSERT INTO people (id, name, hair_color) VALUES (?, ?, ?) \
                          ON CONFLICT (id) DO UPDATE SET name = excluded.name, hair_color = excluded.hair_color";
    write_many(db, UPSERT, people)
}

fn write_many(db: &mut Connection, sql: &str, people: &[Person]) -> rusqlite::Result<u64> {
    let all = db.transaction()?;
    let mut insert = all.prepare_cached(sql)?;
    let mut written = 0;
    for Person { id, name, hair_color } in people {
        written += insert.execute((id, name, hair_color))? as u64;
    }
    drop(insert);
    all.commit()?;
    Ok(written)
}

pub(super) fn insert_graph(db: &mut Connection, tree: Tree) -> rusqlite::Result<Root> {
    let all = db.transaction()?;
    let mut insert_branch = all.prepare_cached("INSERT INTO branches (root_id, name) VALUES (?, ?)")?;
    let mut insert_leaf = all.prepare_cached("INSERT INTO leaves (branch_id, name) VALUES (?, ?)")?;
    let root_id = all.prepare_cached("INSERT INTO roots (name) VALUES (?)")?.insert((&tree.name,))?;
    let mut branches = Vec::with_capacity(tree.branches.len());
    for (name, names) in tree.branches {
        let branch_id = insert_branch.insert((root_id, &name))?;
        let mut leaves = Vec::with_capacity(names.len());
        for name in names {
            leaves.push(Leaf { id: insert_leaf.insert((branch_id, &name))?, branch_id, name });
        }
        branches.push(Branch { id: branch_id, root_id, name, leaves: HasMany::loaded(leaves) });
    }
    drop((insert_branch, insert_leaf));
    all.commit()?;
    Ok(Root { id: root_id, name: tree.name, branches: HasMany::loaded(branches) })
}

pub(super) fn run(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute(()).map(drop)
}

pub(super) fn rename(db: &Connection, id: i64, name: &str) -> rusqlite::Result<u64> {
    db.prepare_cached("UPDATE people SET name = ? WHERE id = ?")?.execute((name, id)).map(|rows| rows as u64)
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User { id: row.get(0)?, name: row.get(1)?, hair_color: row.get(2)? })
}

fn author(row: &Row<'_>) -> rusqlite::Result<Author> {
    Ok(Author { id: row.get(0)?, name: row.get(1)?, hair_color: row.get(2)?, posts: HasMany::default() })
}

fn post(row: &Row<'_>) -> rusqlite::Result<Post> {
    let (id, user_id, title, visits) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(Post { id, user_id, title, visits, comments: HasMany::default() })
}

fn comment(row: &Row<'_>) -> rusqlite::Result<Comment> {
    Ok(Comment { id: row.get(0)?, post_id: row.get(1)?, body: row.get(2)? })
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

    async fn filter_join(&self, below: Vec<i64>) -> Result<Vec<Vec<Found>>> {
        let db = self.db();
        Ok(below.into_iter().map(|below| filter_join(&db, below)).collect::<rusqlite::Result<_>>()?)
    }

    async fn preload(&self) -> Result<Vec<Author>> {
        let db = self.db();
        Ok(if self.per_parent { preload_each(&db)? } else { preload(&db)? })
    }

    async fn stream(&self, mut tally: Tally) -> Result<Tally> {
        stream(&self.db(), |entry| {
            tally.add(entry.id, &entry.name, entry.hair_color.as_deref());
            true
        })?;
        Ok(tally)
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

    async fn insert_graph(&self, trees: Vec<Tree>) -> Result<Vec<Root>> {
        let mut db = self.db();
        Ok(trees.into_iter().map(|tree| insert_graph(&mut db, tree)).collect::<rusqlite::Result<_>>()?)
    }

    async fn upsert_many(&self, lists: Vec<Vec<Person>>) -> Result<u64> {
        let mut db = self.db();
        let mut written = 0;
        for list in lists {
            written += upsert_many(&mut db, &list)?;
        }
        Ok(written)
    }

    async fn update_changes(&self, renames: Vec<(Person, String)>) -> Result<u64> {
        let db = self.db();
        let mut written = 0;
        for (Person { id, .. }, name) in renames {
            written += rename(&db, id, &name)?;
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
