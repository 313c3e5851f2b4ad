//! A database of its own on a MariaDB or MySQL server.

use std::fs;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use emr::{RepoOptions, TlsMode};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Value};

use super::{COMMENTS, EACH, ENTRIES, Ground, POSTS, Place, TREES, USERS};
use crate::args::Backend;
use crate::cases::Case;
use crate::contender::{COLOR, Contender, POOL, Person, Result};
use crate::contenders::emr::Emr;
use crate::contenders::mysql_async::{MySqlAsync, Road};
use crate::pin::{self, Pinned};
use crate::sum::Sum;

pub(crate) struct MySqlGround {
    place: MySqlPlace,
    conn: tokio::sync::Mutex<Conn>,
    pinned: Mutex<Vec<Pinned>>,
}

/// A database on a server.
pub(crate) struct MySqlPlace {
    backend: Backend,
    opts: Opts,
    options: RepoOptions,
    database: String,
}

impl MySqlPlace {
    pub(crate) fn new(backend: Backend, url: &str, database: &str) -> Result<Self> {
        let options = RepoOptions::from_url(url)?.tls(TlsMode::Disable).pool_size(POOL).database(database);
        let host = options.host.as_deref().unwrap_or("127.0.0.1");
        let opts = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(options.port.unwrap_or(3306))
            .user(options.user.as_deref())
            .pass(options.password.as_ref().map(emr::Secret::expose))
            .db_name(Some(database))
            .prefer_socket(false)
            .tcp_nodelay(true)
            .client_found_rows(true)
            .stmt_cache_size(0_usize);
        Ok(MySqlPlace { backend, opts: opts.into(), options, database: database.to_owned() })
    }

    fn is_mariadb(&self) -> bool {
        self.backend == Backend::Mariadb
    }
}

#[async_trait(?Send)]
impl Place for MySqlPlace {
    fn name(&self) -> String {
        self.database.clone()
    }

    fn libs(&self, case: Case) -> &'static [&'static str] {
        match case {
            Case::InsertMany(_) if self.is_mariadb() => &["driver", "control", "emr", "values", "bulk"],
            Case::InsertOne if self.is_mariadb() => &["driver", "control", "emr", "returning"],
            _ => &["driver", "control", "emr"],
        }
    }

    async fn contender(&self, _: Case, lib: &str) -> Result<Arc<dyn Contender>> {
        let driver = async |road| MySqlAsync::open(&self.opts, road, self.is_mariadb()).await.map(Arc::new);
        Ok(match lib {
            "emr" => Arc::new(Emr::open(self.options.clone()).await?),
            "values" => driver(Road::Values).await?,
            "bulk" => driver(Road::Bulk).await?,
            "returning" => driver(Road::Returning).await?,
            _ => driver(Road::Yardstick).await?,
        })
    }
}

impl MySqlGround {
    pub(crate) async fn create(backend: Backend, url: &str) -> Result<Self> {
        let place = MySqlPlace::new(backend, url, &format!("emr_bench_{}", std::process::id()))?;
        place.options.create_database().await?;
        let mut conn = Conn::new(place.opts.clone()).await?;
        let key = "id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY";
        let text = "longtext";
        let table = format!("({key}, name {text} NOT NULL, hair_color {text})");
        let of = |column: &str, parents: &str| {
            format!("{column} bigint NOT NULL, FOREIGN KEY ({column}) REFERENCES {parents} (id)")
        };
        let person = format!("n, CONCAT('User ', n), IF(n % 3 <> 0, '{COLOR}', NULL)");
        let parent = format!("(n - 1) DIV {EACH} + 1");
        let tables = [
            format!("CREATE TABLE users {table}"),
            format!("CREATE TABLE people {table}"),
            format!("CREATE TABLE entries {table}"),
            format!(
                "CREATE TABLE posts ({key}, {}, title {text} NOT NULL, visits bigint NOT NULL, INDEX (visits))",
                of("user_id", "users")
            ),
            format!("CREATE TABLE comments ({key}, {}, body {text} NOT NULL)", of("post_id", "posts")),
            format!("CREATE TABLE roots ({key}, name {text} NOT NULL)"),
            format!("CREATE TABLE branches ({key}, {}, name {text} NOT NULL)", of("root_id", "roots")),
            format!("CREATE TABLE leaves ({key}, {}, name {text} NOT NULL)", of("branch_id", "branches")),
        ];
        for sql in tables {
            conn.query_drop(sql).await?;
        }
        let depth = if place.is_mariadb() { "max_recursive_iterations" } else { "cte_max_recursion_depth" };
        conn.query_drop(format!("SET SESSION {depth} = {ENTRIES}")).await?;
        for (table, what, rows) in [
            ("users", person.clone(), USERS),
            ("entries", person, ENTRIES),
            ("posts", format!("n, {parent}, CONCAT('Post ', n), n * 7919 % {POSTS}"), POSTS),
            ("comments", format!("n, {parent}, CONCAT('Comment ', n)"), COMMENTS),
        ] {
            let columns = match table {
                "posts" => "(id, user_id, title, visits)",
                "comments" => "(id, post_id, body)",
                _ => "",
            };
            conn.query_drop(format!(
                "INSERT INTO {table} {columns} WITH RECURSIVE numbers (n) AS \
                 (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows}) SELECT {what} FROM numbers"
            ))
            .await?;
        }
        conn.query_drop("ANALYZE TABLE users, entries, posts, comments").await?;
        Ok(MySqlGround { place, conn: conn.into(), pinned: Mutex::default() })
    }

    async fn sum(&self, sql: &str) -> Result<Sum> {
        let mut sum = Sum::default();
        let rows: Vec<(i64, String, Option<String>)> = self.conn.lock().await.query(sql).await?;
        for (id, name, other) in rows {
            sum.add(id, &name, other.as_deref());
        }
        Ok(sum)
    }
}

#[async_trait(?Send)]
impl Ground for MySqlGround {
    async fn describe(&self) -> Result<String> {
        let mut conn = self.conn.lock().await;
        let found = conn.query_first("SELECT version(), @@innodb_flush_log_at_trx_commit, @@log_bin").await?;
        let (version, flush, log): (String, i64, i64) = found.ok_or("the server says nothing of itself")?;
        Ok(format!(
            "backend={} version={version:?} innodb_flush_log_at_trx_commit={flush} log_bin={log} tls=off",
            self.place.backend.name()
        ))
    }

    fn options(&self) -> RepoOptions {
        self.place.options.clone()
    }

    fn place(&self) -> &dyn Place {
        &self.place
    }

    async fn reset(&mut self, people: &[Person]) -> Result<()> {
        let conn = self.conn.get_mut();
        conn.query_drop("TRUNCATE people").await?;
        for people in people.chunks(1_000) {
            let marks = vec!["(?, ?, ?)"; people.len()].join(", ");
            let cells = people.iter().flat_map(|Person { id, name, hair_color }| -> [Value; 3] {
                [id.into(), name.into(), hair_color.into()]
            });
            let cells: Vec<Value> = cells.collect();
            conn.exec_drop(format!("INSERT INTO people (id, name, hair_color) VALUES {marks}"), cells).await?;
        }
        if !people.is_empty() {
            conn.query_drop("ANALYZE TABLE people").await?;
        }
        Ok(())
    }

    async fn people(&self) -> Result<Sum> {
        self.sum("SELECT id, name, hair_color FROM people").await
    }

    async fn clear(&mut self) -> Result<()> {
        // TRUNCATE refuses a table that others refer to, even if these are empty.
        let clear = "SET foreign_key_checks = 0; TRUNCATE leaves; TRUNCATE branches; TRUNCATE roots; \
                     SET foreign_key_checks = 1";
        Ok(self.conn.get_mut().query_drop(clear).await?)
    }

    async fn trees(&self) -> Result<Sum> {
        self.sum(TREES).await
    }

    async fn pin(&self) -> Result<&'static str> {
        // A thread's number of another machine would pin a stranger here.
        if !matches!(self.place.opts.ip_or_hostname(), "localhost" | "127.0.0.1" | "::1") {
            return Err("the server is not on this machine".into());
        }
        let threads = if self.place.is_mariadb() {
            "SELECT tid FROM information_schema.processlist WHERE db = ?"
        } else {
            "SELECT thread_os_id FROM performance_schema.threads WHERE processlist_db = ?"
        };
        let threads: Vec<i32> = self.conn.lock().await.exec(threads, (&self.place.database,)).await?;
        for thread in threads {
            let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
            let process = status.lines().find_map(|line| line.strip_prefix("Tgid:")).unwrap_or_default().trim();
            let program = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
            if !matches!(program.trim(), "mariadbd" | "mysqld") {
                return Err(format!("thread {thread} is none of a server's: it runs {program:?}").into());
            }
            let pinned = pin::server(thread)?;
            self.pinned.lock().map_err(|_| "a panic")?.push(pinned);
        }
        Ok("0")
    }

    async fn remove(self: Box<Self>) -> Result<()> {
        // The server keeps its threads, and gives them to others.
        for pinned in self.pinned.into_inner().map_err(|_| "a panic")?.into_iter().rev() {
            pinned.free();
        }
        self.conn.into_inner().disconnect().await?;
        self.place.options.drop_database().await?;
        Ok(())
    }
}
