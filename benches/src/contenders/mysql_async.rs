//! The yardstick on MariaDB and MySQL: `mysql_async` and bb8 as somebody would use them who knows them well. Each statement is
//! prepared once per connection, rows are read by index and their buffers taken, many rows go in by the fastest road.

use async_trait::async_trait;
use bb8::{ManageConnection, Pool, PooledConnection, QueueStrategy};
use emr::prelude::HasMany;
use mysql_async::prelude::{FromValue, Queryable};
use mysql_async::{BinaryProtocol, Conn, Error, Opts, Params, QueryResult, Row, Statement, Value};

use super::group::{Places, lists};
use crate::contender::{
    Author, BATCH, Branch, COLOR, Comment, Contender, Entry, FOUND, Found, Leaf, POOL, Person, Post, Result, Root,
    Tree, User,
};
use crate::ground::{AUTHORS, EACH, POSTS};
use crate::sum::Tally;

/// From this number of rows on, MariaDB's bulk protocol is faster than lists. Measured: the lines of `values` and `bulk`.
const BULK_FROM: usize = 1_000;

/// What it does in another way than the yardstick.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Road {
    Yardstick,
    /// Many rows always go in by lists of values.
    Values,
    /// Many rows always go in by MariaDB's bulk protocol.
    Bulk,
    /// The new row comes back, on MariaDB.
    Returning,
}

pub(crate) struct MySqlAsync {
    pool: Pool<Manager>,
    road: Road,
    is_mariadb: bool,
}

struct Manager(Opts, Road);

struct Connection {
    conn: Conn,
    get: Statement,
    load: Statement,
    filter_join: Statement,
    authors: Statement,
    posts: Statement,
    comments: Statement,
    entries: Statement,
    insert: Statement,
    /// One person; by the bulk protocol as many as there are.
    person: Statement,
    hundred: Statement,
    batch: Statement,
    upsert: Statement,
    update: Statement,
    root: Statement,
    branches: Statement,
    leaves: Statement,
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = Error;

    async fn connect(&self) -> Result<Connection, Error> {
        let mut conn = Conn::new(self.0.clone()).await?;
        let people =
            |rows: usize| format!("INSERT INTO people (id, name, hair_color) VALUES {}", marks(rows, "(?, ?, ?)"));
        let back = if self.1 == Road::Returning { " RETURNING id, name, hair_color" } else { "" };
        Ok(Connection {
            get: conn.prep("SELECT id, name, hair_color FROM users WHERE id = ?").await?,
            load: conn.prep("SELECT id, name, hair_color FROM users").await?,
            filter_join: conn
                .prep(format!(
                    "SELECT posts.id, posts.title, users.name FROM posts JOIN users ON users.id = posts.user_id \
                     WHERE users.hair_color = ? AND posts.visits < ? ORDER BY posts.visits DESC LIMIT {FOUND}"
                ))
                .await?,
            authors: conn.prep("SELECT id, name, hair_color FROM users WHERE id <= ?").await?,
            posts: conn.prep(of("id, user_id, title, visits FROM posts WHERE user_id", AUTHORS)).await?,
            comments: conn.prep(of("id, post_id, body FROM comments WHERE post_id", POSTS)).await?,
            entries: conn.prep("SELECT id, name, hair_color FROM entries").await?,
            insert: conn.prep(format!("INSERT INTO people (name, hair_color) VALUES (?, ?){back}")).await?,
            person: conn.prep(people(1)).await?,
            hundred: conn.prep(people(100)).await?,
            batch: conn.prep(people(BATCH)).await?,
            upsert: conn
                .prep(format!(
                    "{} ON DUPLICATE KEY UPDATE name = VALUES(name), hair_color = VALUES(hair_color)",
                    people(100)
                ))
                .await?,
            update: conn.prep("UPDATE people SET name = ? WHERE id = ?").await?,
            root: conn.prep("INSERT INTO roots (name) VALUES (?)").await?,
            branches: conn.prep(children("branches (root_id, name)", EACH)).await?,
            leaves: conn.prep(children("leaves (branch_id, name)", EACH * EACH)).await?,
            conn,
        })
    }

    async fn is_valid(&self, _: &mut Connection) -> Result<(), Error> {
        Ok(())
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.conn.is_disconnected()
    }
}

/// So many marks, with commas between them.
fn marks(count: usize, mark: &str) -> String {
    vec![mark; count].join(", ")
}

fn of(what: &str, parents: i64) -> String {
    format!("SELECT {what} IN ({})", marks(usize::try_from(parents).unwrap_or(0), "?"))
}

fn children(table: &str, rows: i64) -> String {
    format!("INSERT INTO {table} VALUES {}", marks(usize::try_from(rows).unwrap_or(0), "(?, ?)"))
}

impl MySqlAsync {
    pub(crate) async fn open(opts: &Opts, road: Road, is_mariadb: bool) -> Result<Self> {
        let pool = Pool::builder()
            .max_size(POOL)
            .test_on_check_out(false)
            .queue_strategy(QueueStrategy::Lifo)
            .build(Manager(opts.clone(), road))
            .await?;
        Ok(MySqlAsync { pool, road, is_mariadb })
    }

    async fn get(&self) -> Result<PooledConnection<'_, Manager>> {
        Ok(self.pool.get().await?)
    }
}

/// Takes a cell out of its row.
fn take<T: FromValue>(row: &mut Row, at: usize) -> Result<T> {
    Ok(row.take_opt(at).ok_or("there is no such cell")??)
}

fn user(row: &mut Row) -> Result<User> {
    Ok(User { id: take(row, 0)?, name: take(row, 1)?, hair_color: take(row, 2)? })
}

/// Runs a statement, and makes something of each row.
async fn rows<T>(
    conn: &mut Conn,
    statement: &Statement,
    params: impl Into<Params> + Send,
    mut make: impl FnMut(&mut Row) -> Result<T>,
) -> Result<Vec<T>> {
    let mut result: QueryResult<'_, '_, BinaryProtocol> = conn.exec_iter(statement, params.into()).await?;
    let mut all = Vec::new();
    while let Some(mut row) = result.next().await? {
        all.push(make(&mut row)?);
    }
    Ok(all)
}

#[async_trait]
impl Contender for MySqlAsync {
    async fn get_by_pk(&self, ids: Vec<i64>) -> Result<Vec<User>> {
        let mut users = Vec::with_capacity(ids.len());
        for id in ids {
            let connection = &mut *self.get().await?;
            let row: Option<Row> = connection.conn.exec_first(&connection.get, (id,)).await?;
            users.push(user(&mut row.ok_or("there is no such user")?)?);
        }
        Ok(users)
    }

    async fn load(&self) -> Result<Vec<User>> {
        let connection = &mut *self.get().await?;
        rows(&mut connection.conn, &connection.load, (), user).await
    }

    async fn filter_join(&self, below: Vec<i64>) -> Result<Vec<Vec<Found>>> {
        let mut lists = Vec::with_capacity(below.len());
        for below in below {
            let connection = &mut *self.get().await?;
            let found = |row: &mut Row| Ok((take(row, 0)?, take(row, 1)?, take(row, 2)?));
            lists.push(rows(&mut connection.conn, &connection.filter_join, (COLOR, below), found).await?);
        }
        Ok(lists)
    }

    async fn preload(&self) -> Result<Vec<Author>> {
        let connection = &mut *self.get().await?;
        let mut authors = rows(&mut connection.conn, &connection.authors, (AUTHORS,), |row| {
            let posts = HasMany::default();
            Ok(Author { id: take(row, 0)?, name: take(row, 1)?, hair_color: take(row, 2)?, posts })
        })
        .await?;
        let ids: Vec<i64> = authors.iter().map(|author| author.id).collect();
        let mut posts = rows(&mut connection.conn, &connection.posts, numbers(&ids), |row| {
            let comments = HasMany::default();
            let (id, user_id, title, visits) = (take(row, 0)?, take(row, 1)?, take(row, 2)?, take(row, 3)?);
            Ok(Post { id, user_id, title, visits, comments })
        })
        .await?;
        let post_ids: Vec<i64> = posts.iter().map(|post| post.id).collect();
        let (places, mut of_post) = (Places::of(&post_ids), lists(post_ids.len()));
        rows(&mut connection.conn, &connection.comments, numbers(&post_ids), |row| {
            let comment = Comment { id: take(row, 0)?, post_id: take(row, 1)?, body: take(row, 2)? };
            places.put(&mut of_post, comment.post_id, comment);
            Ok(())
        })
        .await?;
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

    async fn stream(&self, mut tally: Tally) -> Result<Tally> {
        let connection = &mut *self.get().await?;
        let mut result = connection.conn.exec_iter(&connection.entries, ()).await?;
        while let Some(mut row) = result.next().await? {
            // As a struct with owned texts, as a program would hand it on.
            let entry = Entry { id: take(&mut row, 0)?, name: take(&mut row, 1)?, hair_color: take(&mut row, 2)? };
            tally.add(entry.id, &entry.name, entry.hair_color.as_deref());
        }
        Ok(tally)
    }

    async fn insert_one(&self, people: Vec<Person>) -> Result<Vec<i64>> {
        let mut ids = Vec::with_capacity(people.len());
        for Person { name, hair_color, .. } in people {
            let connection = &mut *self.get().await?;
            let mut result = connection.conn.exec_iter(&connection.insert, (name, hair_color)).await?;
            ids.push(if self.road == Road::Returning {
                let id = user(&mut result.next().await?.ok_or("no row came back")?)?.id;
                result.drop_result().await?;
                id
            } else {
                let id = result.last_insert_id().ok_or("there is no new key")?;
                result.drop_result().await?;
                i64::try_from(id)?
            });
        }
        Ok(ids)
    }

    async fn insert_many(&self, lists: Vec<Vec<Person>>) -> Result<u64> {
        let mut written = 0;
        for list in lists {
            written += list.len() as u64;
            let connection = &mut *self.get().await?;
            let in_bulk = self.is_mariadb && list.len() >= BULK_FROM && self.road != Road::Values;
            if in_bulk || self.road == Road::Bulk {
                let people = list.into_iter().map(|person| (person.id, person.name, person.hair_color));
                connection.conn.exec_batch(&connection.person, people).await?;
            } else if list.len() <= BATCH {
                connection.people(list).await?;
            } else {
                connection.conn.query_drop("BEGIN").await?;
                let mut list = list.into_iter();
                while list.len() > 0 {
                    connection.people(list.by_ref().take(BATCH).collect()).await?;
                }
                connection.conn.query_drop("COMMIT").await?;
            }
        }
        Ok(written)
    }

    async fn insert_graph(&self, trees: Vec<Tree>) -> Result<Vec<Root>> {
        let mut roots = Vec::with_capacity(trees.len());
        for tree in trees {
            let connection = &mut *self.get().await?;
            connection.conn.query_drop("BEGIN").await?;
            roots.push(connection.tree(tree).await?);
            connection.conn.query_drop("COMMIT").await?;
        }
        Ok(roots)
    }

    async fn upsert_many(&self, lists: Vec<Vec<Person>>) -> Result<u64> {
        let mut written = 0;
        for list in lists {
            written += list.len() as u64;
            let connection = &mut *self.get().await?;
            connection.conn.exec_drop(&connection.upsert, cells(list)).await?;
        }
        Ok(written)
    }

    async fn update_changes(&self, renames: Vec<(Person, String)>) -> Result<u64> {
        let mut written = 0;
        for (Person { id, .. }, name) in renames {
            let connection = &mut *self.get().await?;
            connection.conn.exec_drop(&connection.update, (name, id)).await?;
            written += connection.conn.affected_rows();
        }
        Ok(written)
    }

    async fn tx_update(&self, renames: Vec<(Person, String)>) -> Result<u64> {
        let mut written = 0;
        for (Person { id, .. }, name) in renames {
            let connection = &mut *self.get().await?;
            connection.conn.query_drop("BEGIN").await?;
            connection.conn.exec_drop(&connection.update, (name, id)).await?;
            written += connection.conn.affected_rows();
            connection.conn.query_drop("COMMIT").await?;
        }
        Ok(written)
    }
}

fn numbers(ids: &[i64]) -> Params {
    Params::Positional(ids.iter().map(|id| Value::Int(*id)).collect())
}

fn cells(people: Vec<Person>) -> Params {
    let cells = |person: Person| [person.id.into(), person.name.into(), person.hair_color.into()];
    Params::Positional(people.into_iter().flat_map(cells).collect())
}

impl Connection {
    /// At most a batch.
    async fn people(&mut self, list: Vec<Person>) -> Result<(), Error> {
        match list.len() {
            100 => self.conn.exec_drop(&self.hundred, cells(list)).await,
            BATCH => self.conn.exec_drop(&self.batch, cells(list)).await,
            other => {
                let sql = format!("INSERT INTO people (id, name, hair_color) VALUES {}", marks(other, "(?, ?, ?)"));
                self.conn.exec_drop(sql, cells(list)).await
            }
        }
    }

    /// One statement for each level. The keys of the rows of one statement follow each other, as InnoDB knows their number
    /// when it begins.
    async fn tree(&mut self, tree: Tree) -> Result<Root> {
        let Tree { name, branches } = tree;
        self.conn.exec_drop(&self.root, (name.as_str(),)).await?;
        let id = self.first_key()?;
        let level: Vec<Value> = branches.iter().flat_map(|(name, _)| [id.into(), name.as_str().into()]).collect();
        self.conn.exec_drop(&self.branches, level).await?;
        let branch_ids = self.first_key()?..;
        let of = branch_ids.clone().zip(&branches);
        let level =
            of.flat_map(|(id, (_, leaves))| leaves.iter().flat_map(move |name| [id.into(), name.as_str().into()]));
        let level: Vec<Value> = level.collect();
        self.conn.exec_drop(&self.leaves, level).await?;
        let mut leaf_ids = self.first_key()?..;
        let branches = branch_ids.zip(branches).map(|(branch_id, (name, leaves))| {
            let leaves = leaves.into_iter().zip(&mut leaf_ids).map(|(name, id)| Leaf { id, branch_id, name });
            Branch { id: branch_id, root_id: id, name, leaves: HasMany::loaded(leaves.collect()) }
        });
        Ok(Root { id, name, branches: HasMany::loaded(branches.collect()) })
    }

    fn first_key(&self) -> Result<i64> {
        Ok(i64::try_from(self.conn.last_insert_id().ok_or("there is no new key")?)?)
    }
}
