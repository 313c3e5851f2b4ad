//! The yardstick on PostgreSQL: tokio-postgres and bb8 as somebody would use them who knows them well. Each
//! statement is prepared once per connection, rows are read by index, many rows go in by the fastest road.

use std::pin::pin;

use async_trait::async_trait;
use bb8::{ManageConnection, Pool, QueueStrategy};
use futures_util::TryStreamExt;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, NoTls, Statement};

use crate::contender::{Contender, POOL, Person, Result, User};

/// From this number of rows on, COPY is faster than arrays. Measured: the lines of `unnest` and `copy`.
const COPY_FROM: usize = 2_000;

/// How many rows are inserted in one call.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Bulk {
    Fastest,
    Unnest,
    Copy,
}

pub(crate) struct TokioPostgres {
    pool: Pool<Manager>,
    bulk: Bulk,
}

struct Manager(Config);

struct Connection {
    client: Client,
    get: Statement,
    load: Statement,
    insert: Statement,
    unnest: Statement,
    copy: Statement,
    update: Statement,
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
            insert: client.prepare("INSERT INTO people (name, hair_color) VALUES ($1, $2) RETURNING id").await?,
            unnest: client
                .prepare(
                    "INSERT INTO people (id, name, hair_color) \
                     SELECT * FROM UNNEST($1::int8[], $2::text[], $3::text[])",
                )
                .await?,
            copy: client.prepare("COPY people (id, name, hair_color) FROM STDIN (FORMAT binary)").await?,
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
    pub(crate) async fn open(config: &Config, bulk: Bulk) -> Result<Self> {
        let pool = Pool::builder()
            .max_size(POOL)
            .test_on_check_out(false)
            .queue_strategy(QueueStrategy::Lifo)
            .build(Manager(config.clone()))
            .await?;
        Ok(TokioPostgres { pool, bulk })
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
        let none: [&(dyn ToSql + Sync); 0] = [];
        let mut rows = pin!(connection.client.query_raw(&connection.load, none).await?);
        let mut users = Vec::new();
        while let Some(row) = rows.try_next().await? {
            users.push(User { id: row.get(0), name: row.get(1), hair_color: row.get(2) });
        }
        Ok(users)
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
            let copies = self.bulk == Bulk::Copy || (self.bulk == Bulk::Fastest && list.len() >= COPY_FROM);
            written += if copies { connection.copy(&list).await? } else { connection.unnest(&list).await? };
        }
        Ok(written)
    }

    async fn tx_update(&self, renames: Vec<(Person, String)>) -> Result<u64> {
        let mut written = 0;
        for (Person { id, .. }, name) in renames {
            let connection = self.pool.get().await?;
            connection.client.batch_execute("BEGIN").await?;
            written += connection.client.execute(&connection.update, &[&name, &id]).await?;
            connection.client.batch_execute("COMMIT").await?;
        }
        Ok(written)
    }
}

impl Connection {
    async fn unnest(&self, people: &[Person]) -> Result<u64, Error> {
        let ids: Vec<i64> = people.iter().map(|person| person.id).collect();
        let names: Vec<&str> = people.iter().map(|person| person.name.as_str()).collect();
        let colors: Vec<_> = people.iter().map(|person| person.hair_color.as_deref()).collect();
        self.client.execute(&self.unnest, &[&ids, &names, &colors]).await
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
