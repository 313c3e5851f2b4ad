//! The yardstick on PostgreSQL: tokio-postgres and bb8 as somebody would use them who knows them well. Each
//! statement is prepared once per connection, rows are read by index, many rows go in by the fastest road.

use std::pin::pin;

use async_trait::async_trait;
use bb8::{ManageConnection, Pool, QueueStrategy};
use emr::prelude::HasMany;
use futures_util::TryStreamExt;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, NoTls, RowStream, Statement};

use super::group::{Places, lists};
use crate::contender::{
    Author, BATCH, Branch, COLOR, Comment, Contender, Entry, FOUND, Found, Leaf, POOL, Person, Post, Result, Root,
    Tree, User,
};
use crate::ground::AUTHORS;
use crate::sum::Tally;

/// From this number of rows on, COPY is faster than arrays. Measured: the lines of `unnest` and `copy`.
const COPY_FROM: usize = 2_000;

/// What it does in another way than the yardstick.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Road {
    Yardstick,
    /// Many rows always go in by arrays.
    Unnest,
    /// Many rows always go in by COPY.
    Copy,
    /// BEGIN and UPDATE travel together. Should the BEGIN fail, the UPDATE runs all the same, on its own.
    Pipelined,
}

pub(crate) struct TokioPostgres {
    pool: Pool<Manager>,
    road: Road,
}

struct Manager(Config);

struct Connection {
    client: Client,
    get: Statement,
    load: Statement,
    filter_join: Statement,
    authors: Statement,
    posts: Statement,
    comments: Statement,
    entries: Statement,
    insert: Statement,
    unnest: Statement,
    upsert: Statement,
    copy: Statement,
    update: Statement,
    root: Statement,
    branches: Statement,
    leaves: Statement,
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = Error;

    async fn connect(&self) -> Result<Connection, Error> {
        let (client, connection) = self.0.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(Connection {
            get: client.prepare("SELECT id, name, hair_color FROM users WHERE id = $1").await?,
            load: client.prepare("SELECT id, name, hair_color FROM users").await?,
            filter_join: client
                .prepare(&format!(
                    "SELECT posts.id, posts.title, users.name FROM posts JOIN users ON users.id = posts.user_id \
                     WHERE users.hair_color = $1 AND posts.visits < $2 ORDER BY posts.visits DESC LIMIT {FOUND}"
                ))
                .await?,
            authors: client.prepare("SELECT id, name, hair_color FROM users WHERE id <= $1").await?,
            posts: client.prepare("SELECT id, user_id, title, visits FROM posts WHERE user_id = ANY($1)").await?,
            comments: client.prepare("SELECT id, post_id, body FROM comments WHERE post_id = ANY($1)").await?,
            entries: client.prepare("SELECT id, name, hair_color FROM entries").await?,
            insert: client.prepare("INSERT INTO people (name, hair_color) VALUES ($1, $2) RETURNING id").await?,
            unnest: client
                .prepare(
                    "INSERT INTO people (id, name, hair_color) \
                     SELECT * FROM UNNEST($1::int8[], $2::text[], $3::text[])",
                )
                .await?,
            upsert: client
                .prepare(
                    "INSERT INTO people (id, name, hair_color) \
                     SELECT * FROM UNNEST($1::int8[], $2::text[], $3::text[]) \
                     ON CONFLICT (id) DO UPDATE SET name = excluded.name, hair_color = excluded.hair_color",
                )
                .await?,
            copy: client.prepare("COPY people (id, name, hair_color) FROM STDIN (FORMAT binary)").await?,
            root: client.prepare("INSERT INTO roots (name) VALUES ($1) RETURNING id").await?,
            branches: client
                .prepare("INSERT INTO branches (root_id, name) SELECT $1::int8, * FROM UNNEST($2::text[]) RETURNING id")
                .await?,
            leaves: client
                .prepare(
                    "INSERT INTO leaves (branch_id, name) SELECT * FROM UNNEST($1::int8[], $2::text[]) RETURNING id",
                )
                .await?,
            update: client.prepare("UPDATE people SET name = $1 WHERE id = $2").await?,
            client,
        })
    }

    async fn is_valid(&self, _: &mut Connection) -> Result<(), Error> {
        Ok(())
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.client.is_closed()
    }
}

impl TokioPostgres {
    pub(crate) async fn open(config: &Config, road: Road) -> Result<Self> {
        let pool = Pool::builder()
            .max_size(POOL)
            .test_on_check_out(false)
            .queue_strategy(QueueStrategy::Lifo)
            .build(Manager(config.clone()))
            .await?;
        Ok(TokioPostgres { pool, road })
    }
}

#[async_trait]
impl Contender for TokioPostgres {
    async fn get_by_pk(&self, ids: Vec<i64>) -> Result<Vec<User>> {
        let mut users = Vec::with_capacity(ids.len());
        for id in ids {
            let connection = self.pool.get().await?;
            let row = connection.client.query_one(&connection.get, &[&id]).await?;
            users.push(User { id: row.get(0), name: row.get(1), hair_color: row.get(2) });
        }
        Ok(users)
    }

    async fn load(&self) -> Result<Vec<User>> {
        let connection = self.pool.get().await?;
        let mut rows = pin!(connection.rows(&connection.load, &[]).await?);
        let mut users = Vec::new();
        while let Some(row) = rows.try_next().await? {
            users.push(User { id: row.get(0), name: row.get(1), hair_color: row.get(2) });
        }
        Ok(users)
    }

    async fn filter_join(&self, below: Vec<i64>) -> Result<Vec<Vec<Found>>> {
        let mut lists = Vec::with_capacity(below.len());
        for below in below {
            let connection = self.pool.get().await?;
            let mut rows = pin!(connection.rows(&connection.filter_join, &[&COLOR, &below]).await?);
            let mut found = Vec::new();
            while let Some(row) = rows.try_next().await? {
                found.push((row.get(0), row.get(1), row.get(2)));
            }
            lists.push(found);
        }
        Ok(lists)
    }

    async fn preload(&self) -> Result<Vec<Author>> {
        let connection = self.pool.get().await?;
        let mut authors = connection.authors().await?;
        let ids: Vec<i64> = authors.iter().map(|author| author.id).collect();
        let mut posts = connection.posts(&ids).await?;
        let post_ids: Vec<i64> = posts.iter().map(|post| post.id).collect();
        let comments = connection.comments(&post_ids).await?;
        for (post, comments) in posts.iter_mut().zip(comments) {
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
        let mut connection = self.pool.get().await?;
        let Connection { client, entries, .. } = &mut *connection;
        let reads = client.transaction().await?;
        let cursor = reads.bind(&*entries, &[]).await?;
        loop {
            let mut rows = pin!(reads.query_portal_raw(&cursor, i32::try_from(BATCH)?).await?);
            while let Some(row) = rows.try_next().await? {
                // As a struct with owned texts, as a program would hand it on.
                let entry = Entry { id: row.get(0), name: row.get(1), hair_color: row.get(2) };
                tally.add(entry.id, &entry.name, entry.hair_color.as_deref());
            }
            // Without a number of rows, more are there.
            if rows.rows_affected().is_some() {
                break;
            }
        }
        reads.commit().await?;
        Ok(tally)
    }

    async fn insert_one(&self, people: Vec<Person>) -> Result<Vec<i64>> {
        let mut ids = Vec::with_capacity(people.len());
        for Person { name, hair_color, .. } in people {
            let connection = self.pool.get().await?;
            let row = connection.client.query_one(&connection.insert, &[&name, &hair_color]).await?;
            ids.push(row.get(0));
        }
        Ok(ids)
    }

    async fn insert_many(&self, lists: Vec<Vec<Person>>) -> Result<u64> {
        let mut written = 0;
        for list in lists {
            let connection = self.pool.get().await?;
            let copies = self.road == Road::Copy || (self.road != Road::Unnest && list.len() >= COPY_FROM);
            written += if copies {
                connection.copy(&list).await?
            } else {
                connection.unnest(&connection.unnest, &list).await?
            };
        }
        Ok(written)
    }

    async fn insert_graph(&self, trees: Vec<Tree>) -> Result<Vec<Root>> {
        let mut roots = Vec::with_capacity(trees.len());
        for tree in trees {
            let connection = self.pool.get().await?;
            connection.client.batch_execute("BEGIN").await?;
            roots.push(connection.tree(tree).await?);
            connection.client.batch_execute("COMMIT").await?;
        }
        Ok(roots)
    }

    async fn upsert_many(&self, lists: Vec<Vec<Person>>) -> Result<u64> {
        let mut written = 0;
        for list in lists {
            let connection = self.pool.get().await?;
            written += connection.unnest(&connection.upsert, &list).await?;
        }
        Ok(written)
    }

    async fn update_changes(&self, renames: Vec<(Person, String)>) -> Result<u64> {
        let mut written = 0;
        for (Person { id, .. }, name) in renames {
            let connection = self.pool.get().await?;
            written += connection.client.execute(&connection.update, &[&name, &id]).await?;
        }
        Ok(written)
    }

    async fn tx_update(&self, renames: Vec<(Person, String)>) -> Result<u64> {
        let mut written = 0;
        for (Person { id, .. }, name) in renames {
            let connection = self.pool.get().await?;
            let begin = connection.client.batch_execute("BEGIN");
            if self.road == Road::Pipelined {
                let params: [&(dyn ToSql + Sync); 2] = [&name, &id];
                let update = connection.client.execute(&connection.update, &params);
                written += tokio::try_join!(begin, update)?.1;
            } else {
                begin.await?;
                written += connection.client.execute(&connection.update, &[&name, &id]).await?;
            }
            connection.client.batch_execute("COMMIT").await?;
        }
        Ok(written)
    }
}

impl Connection {
    async fn rows(&self, statement: &Statement, params: &[&(dyn ToSql + Sync)]) -> Result<RowStream, Error> {
        self.client.query_raw(statement, params.iter().copied()).await
    }

    async fn authors(&self) -> Result<Vec<Author>> {
        let mut rows = pin!(self.rows(&self.authors, &[&AUTHORS]).await?);
        let mut authors = Vec::new();
        while let Some(row) = rows.try_next().await? {
            let posts = HasMany::default();
            authors.push(Author { id: row.get(0), name: row.get(1), hair_color: row.get(2), posts });
        }
        Ok(authors)
    }

    async fn posts(&self, users: &[i64]) -> Result<Vec<Post>> {
        let mut rows = pin!(self.rows(&self.posts, &[&users]).await?);
        let mut posts = Vec::new();
        while let Some(row) = rows.try_next().await? {
            let comments = HasMany::default();
            let (id, user_id, title, visits) = (row.get(0), row.get(1), row.get(2), row.get(3));
            posts.push(Post { id, user_id, title, visits, comments });
        }
        Ok(posts)
    }

    /// The comments on each of these posts.
    async fn comments(&self, posts: &[i64]) -> Result<Vec<Vec<Comment>>> {
        let mut rows = pin!(self.rows(&self.comments, &[&posts]).await?);
        let (places, mut of_post) = (Places::of(posts), lists(posts.len()));
        while let Some(row) = rows.try_next().await? {
            let comment = Comment { id: row.get(0), post_id: row.get(1), body: row.get(2) };
            places.put(&mut of_post, comment.post_id, comment);
        }
        Ok(of_post)
    }

    /// One statement for each level; keys come back in the order of the names.
    async fn tree(&self, tree: Tree) -> Result<Root, Error> {
        let Tree { name, branches } = tree;
        let id: i64 = self.client.query_one(&self.root, &[&name]).await?.get(0);
        let names: Vec<&str> = branches.iter().map(|(name, _)| name.as_str()).collect();
        let mut branch_ids = Vec::with_capacity(names.len());
        for row in self.client.query(&self.branches, &[&id, &names]).await? {
            branch_ids.push(row.get::<_, i64>(0));
        }
        let of = branch_ids.iter().zip(&branches);
        let parents: Vec<i64> = of.flat_map(|(id, (_, leaves))| leaves.iter().map(move |_| *id)).collect();
        let names: Vec<&str> = branches.iter().flat_map(|(_, leaves)| leaves).map(String::as_str).collect();
        let rows = self.client.query(&self.leaves, &[&parents, &names]).await?;
        let mut leaf_ids = rows.iter().map(|row| row.get::<_, i64>(0));
        let branches = branch_ids.iter().zip(branches).map(|(&branch_id, (name, leaves))| {
            let leaves = leaves.into_iter().zip(&mut leaf_ids).map(|(name, id)| Leaf { id, branch_id, name });
            Branch { id: branch_id, root_id: id, name, leaves: HasMany::loaded(leaves.collect()) }
        });
        Ok(Root { id, name, branches: HasMany::loaded(branches.collect()) })
    }

    async fn unnest(&self, statement: &Statement, people: &[Person]) -> Result<u64, Error> {
        let ids: Vec<i64> = people.iter().map(|person| person.id).collect();
        let names: Vec<&str> = people.iter().map(|person| person.name.as_str()).collect();
        let colors: Vec<_> = people.iter().map(|person| person.hair_color.as_deref()).collect();
        self.client.execute(statement, &[&ids, &names, &colors]).await
    }

    async fn copy(&self, people: &[Person]) -> Result<u64, Error> {
        let sink = self.client.copy_in(&self.copy).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::INT8, Type::TEXT, Type::TEXT]));
        for person in people {
            writer.as_mut().write(&[&person.id, &person.name, &person.hair_color]).await?;
        }
        writer.finish().await
    }
}
