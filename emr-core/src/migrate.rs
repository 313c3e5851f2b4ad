//! A small runner for ordered migrations: SQL files and functions.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::pin::Pin;

use chrono::{DateTime, Utc};

use crate::error::{Error, ErrorKind, Result};
use crate::query::Query;
use crate::render;
use crate::repo::{Repo, Transactional};
use crate::row::Cells;
use crate::schema::{ColumnDef, Generated, Schema, Syncable};
use crate::sql::SqlBuilder;
use crate::transaction::{TransactionOptions, Tx};
use crate::types::{Field, now};
use crate::value::{SqlType, Value};

/// What a function migration returns.
pub type MigrationFuture<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

type Function = Box<dyn for<'a> Fn(&'a Tx) -> MigrationFuture<'a> + Send + Sync>;

/// Runs migrations in the order of their versions, each once, each in a transaction of its own. Several
/// processes may run the same migrations at the same time: a lock lets one of them do each.
///
/// What was run stands in the table `emr_migrations`. On engines whose DDL cannot be undone a failed migration
/// may leave a part behind: each DDL statement commits what was done before it, and what follows it in a function is in
/// another transaction.
///
/// ```
/// # use emr_core::Migrator;
/// let migrator = Migrator::new()
///     .sql(1, "create posts", "CREATE TABLE posts (id BIGINT PRIMARY KEY)")
///     .sql(2, "index titles", "ALTER TABLE posts ADD COLUMN title TEXT; CREATE INDEX posts_title ON posts (title)");
/// ```
#[derive(Default)]
#[must_use = "a migrator does nothing until it is run"]
pub struct Migrator {
    migrations: BTreeMap<i64, Migration>,
    problem: Option<(i64, String)>,
}

/// One migration.
pub struct Migration {
    name: String,
    up: Action,
    down: Option<Action>,
}

enum Action {
    Sql(String),
    Function(Function),
}

/// Whether a migration was run.
#[derive(Debug, Clone, PartialEq)]
pub struct MigrationStatus {
    /// Its version.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// When it was run.
    pub applied_at: Option<DateTime<Utc>>,
    /// Whether the migrator knows it; one that another program ran is not known here.
    pub known: bool,
}

impl Migrator {
    /// No migrations.
    pub fn new() -> Self {
        Migrator::default()
    }

    /// A migration that runs SQL; any number of statements.
    pub fn sql(self, version: i64, name: &str, up: &str) -> Self {
        self.add(version, Migration { name: name.to_owned(), up: Action::Sql(up.to_owned()), down: None })
    }

    /// A migration that runs SQL and can be reverted.
    pub fn reversible_sql(self, version: i64, name: &str, up: &str, down: &str) -> Self {
        let (up, down) = (Action::Sql(up.to_owned()), Some(Action::Sql(down.to_owned())));
        self.add(version, Migration { name: name.to_owned(), up, down })
    }

    /// A migration that runs a function inside the transaction: `|tx| Box::pin(async move { … })`.
    pub fn function(
        self,
        version: i64,
        name: &str,
        up: impl for<'a> Fn(&'a Tx) -> MigrationFuture<'a> + Send + Sync + 'static,
    ) -> Self {
        self.add(version, Migration { name: name.to_owned(), up: Action::Function(Box::new(up)), down: None })
    }

    /// All migrations of a folder: `0001_create_posts.sql`, or `0001_create_posts.up.sql` with
    /// `0001_create_posts.down.sql`. Other files are left alone.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if the folder cannot be read, or an `.sql` file has no version in front.
    pub fn directory(mut self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let unreadable =
            |path: &Path, error: std::io::Error| Error::config("migrations", format!("{}: {error}", path.display()));
        let mut files: Vec<_> = std::fs::read_dir(path)
            .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
            .map_err(|error| unreadable(path, error))?
            .into_iter()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
            .collect();
        files.sort();
        for file in files {
            let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let (stem, is_down) = match stem.strip_suffix(".down") {
                Some(stem) => (stem, true),
                None => (stem.strip_suffix(".up").unwrap_or(stem), false),
            };
            let (version, name) = stem.split_once('_').unwrap_or((stem, ""));
            let Ok(version) = version.parse::<i64>() else {
                return Err(Error::config(
                    "migrations",
                    format!("{}: the name must begin with a version, as in 0001_create_posts.sql", file.display()),
                ));
            };
            if is_down {
                continue;
            }
            let up = std::fs::read_to_string(&file).map_err(|error| unreadable(&file, error))?;
            let back = file.with_file_name(format!("{stem}.down.sql"));
            let down = match std::fs::read_to_string(&back) {
                Ok(down) => Some(Action::Sql(down)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(unreadable(&back, error)),
            };
            self = self.add(version, Migration { name: name.replace('_', " "), up: Action::Sql(up), down });
        }
        Ok(self)
    }

    fn add(mut self, version: i64, migration: Migration) -> Self {
        if let Some(other) = self.migrations.get(&version) {
            let problem = format!("two migrations have this version: {:?} and {:?}", other.name, migration.name);
            self.problem.get_or_insert((version, problem));
        }
        self.migrations.insert(version, migration);
        self
    }

    /// Runs all migrations that were not run yet, and returns their versions.
    ///
    /// # Errors
    /// The first one's that fails, which is rolled back; those before it stay.
    /// [`Migration`](ErrorKind::Migration) if two have the same version.
    pub async fn run(&self, repo: &impl Repo) -> Result<Vec<i64>> {
        self.run_to(repo, i64::MAX).await
    }

    /// Runs the migrations up to this version, with it, that were not run yet, and returns their versions.
    ///
    /// # Errors
    /// As [`run`](Migrator::run).
    pub async fn run_to(&self, repo: &impl Repo, last: i64) -> Result<Vec<i64>> {
        self.prepare(repo).await?;
        if !repo.inner().0.capabilities().transactional_ddl {
            return self.run_in_steps(repo, last).await;
        }
        let mut done = Vec::new();
        for (version, migration) in self.migrations.range(..=last) {
            let tx = begin_locked(repo).await?;
            if tx.get::<Applied>(*version).await?.is_some() {
                tx.rollback().await?;
                continue;
            }
            migration.up.run(&tx).await?;
            let applied = Applied { version: *version, name: migration.name.clone(), at: now() };
            tx.insert(applied).await?;
            tx.commit().await?;
            done.push(*version);
        }
        Ok(done)
    }

    /// Reverts the last `steps` migrations that were run, newest first, and returns their versions.
    ///
    /// # Errors
    /// [`Migration`](ErrorKind::Migration) if one is not known or cannot be reverted; the ones after it are
    /// reverted by then.
    pub async fn revert(&self, repo: &impl Repo, steps: usize) -> Result<Vec<i64>> {
        self.prepare(repo).await?;
        if !repo.inner().0.capabilities().transactional_ddl {
            return self.revert_in_steps(repo, steps).await;
        }
        let mut done = Vec::new();
        for _ in 0..steps {
            let tx = begin_locked(repo).await?;
            let newest = Query::<Applied>::new().order_by(VERSION.desc()).limit(1);
            let Some(applied) = tx.one(newest).await? else { break };
            let version = applied.version;
            self.down(version)?.run(&tx).await?;
            tx.delete(&applied).await?;
            tx.commit().await?;
            done.push(version);
        }
        Ok(done)
    }

    /// What reverts a migration.
    fn down(&self, version: i64) -> Result<&Action> {
        let refuse = |problem: &str| Error::new(ErrorKind::Migration { version, problem: problem.to_owned() });
        let Some(migration) = self.migrations.get(&version) else {
            return Err(refuse("it was run by somebody else: this program does not know it"));
        };
        migration.down.as_ref().ok_or_else(|| refuse("it cannot be reverted: it has no down part"))
    }

    /// As [`run_to`](Migrator::run_to) where the tables of a failed migration stay anyway: DDL ends every transaction, and so it
    /// would end the lock.
    async fn run_in_steps(&self, repo: &impl Repo, last: i64) -> Result<Vec<i64>> {
        let lock = lock_beside(repo).await?;
        let mut done = Vec::new();
        for (version, migration) in self.migrations.range(..=last) {
            if repo.get::<Applied>(*version).await?.is_some() {
                continue;
            }
            migration.up.run_alone(repo).await?;
            repo.insert(Applied { version: *version, name: migration.name.clone(), at: now() }).await?;
            done.push(*version);
        }
        lock.commit().await?;
        Ok(done)
    }

    async fn revert_in_steps(&self, repo: &impl Repo, steps: usize) -> Result<Vec<i64>> {
        let lock = lock_beside(repo).await?;
        let mut done = Vec::new();
        for _ in 0..steps {
            let newest = Query::<Applied>::new().order_by(VERSION.desc()).limit(1);
            let Some(applied) = repo.one(newest).await? else { break };
            self.down(applied.version)?.run_alone(repo).await?;
            repo.delete(&applied).await?;
            done.push(applied.version);
        }
        lock.commit().await?;
        Ok(done)
    }

    /// All migrations, known here or run in the database, by version.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn status(&self, repo: &impl Repo) -> Result<Vec<MigrationStatus>> {
        self.prepare(repo).await?;
        let mut all: BTreeMap<i64, MigrationStatus> = BTreeMap::new();
        for applied in repo.all(Query::<Applied>::new()).await? {
            let Applied { version, name, at } = applied;
            all.insert(version, MigrationStatus { version, name, applied_at: Some(at), known: false });
        }
        for (version, migration) in &self.migrations {
            let (version, name) = (*version, migration.name.clone());
            all.entry(version).or_insert(MigrationStatus { version, name, applied_at: None, known: true }).known = true;
        }
        Ok(all.into_values().collect())
    }

    /// Makes sure that the table of versions is there. Somebody else may be making it at the same moment.
    async fn prepare(&self, repo: &impl Repo) -> Result<()> {
        if let Some((version, problem)) = &self.problem {
            return Err(Error::new(ErrorKind::Migration { version: *version, problem: problem.clone() }));
        }
        if repo.in_transaction() {
            return Err(Error::invalid(
                "migrations need transactions of their own: run them on the repo, not inside one",
            ));
        }
        let probe = Query::<Applied>::new().limit(1);
        if repo.exists(&probe).await.is_ok() {
            return Ok(());
        }
        match repo.create_table::<Applied>().await {
            Ok(()) => Ok(()),
            Err(error) => repo.exists(&probe).await.map(drop).map_err(|probe| error.with_source(probe)),
        }
    }
}

/// Begins a transaction that no other migrator can be in at the same time.
async fn begin_locked(repo: &impl Repo) -> Result<Tx> {
    let tx = repo.begin().await?;
    let repo = &tx.core.repo;
    let (table, _) = SqlBuilder::build(repo.dialect(), repo.capabilities(), |out| {
        render::table(out, Applied::schema(), tx.options.prefix.as_deref());
    })?;
    if let Some(lock) = repo.dialect().lock_table(table.text()) {
        tx.script(&lock).await?;
    }
    Ok(tx)
}

/// A transaction on a connection of its own, which holds a lock that no other migrator has at the same time.
async fn lock_beside(repo: &impl Repo) -> Result<Tx> {
    let tx = repo.begin().await?;
    let name = format!("{TABLE} {}", tx.options.prefix.as_deref().unwrap_or_default());
    tx.advisory_lock(name).await?;
    Ok(tx)
}

impl Action {
    /// Runs it outside of the transaction that holds the lock. A function has a transaction of its own.
    async fn run_alone(&self, repo: &impl Repo) -> Result<()> {
        match self {
            Action::Sql(sql) => repo.script(sql).await,
            Action::Function(function) => {
                // Its DDL commits.
                let options = TransactionOptions { begins_anew: true, ..TransactionOptions::new() };
                let tx = repo.begin_with(options).await?;
                function(&tx).await?;
                tx.commit().await
            }
        }
    }

    async fn run(&self, tx: &Tx) -> Result<()> {
        match self {
            Action::Sql(sql) => tx.script(sql).await,
            Action::Function(function) => function(tx).await,
        }
    }
}

impl fmt::Debug for Migrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.migrations.iter().map(|(version, migration)| (version, &migration.name));
        f.debug_map().entries(names).finish()
    }
}

impl fmt::Debug for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration").field("name", &self.name).finish_non_exhaustive()
    }
}

const TABLE: &str = "emr_migrations";
const VERSION: crate::Column<Applied, i64> = crate::Column::new(0);

/// A row of the table of versions. The derive is not at hand in this crate.
struct Applied {
    version: i64,
    name: String,
    at: DateTime<Utc>,
}

const fn column(name: &'static str, ty: SqlType) -> ColumnDef {
    ColumnDef {
        name,
        field: name,
        ty,
        nullable: false,
        generated: Generated::No,
        read_only: false,
        redact: false,
        unique: false,
        default: None,
        sql_type: None,
        stamp: None,
        fit: Ok,
    }
}

crate::from_row_of_schema!(Applied);

impl Syncable for Applied {
    type Key = i64;

    fn schema() -> &'static Schema {
        static COLUMNS: [ColumnDef; 3] =
            [column("version", SqlType::I64), column("name", SqlType::Text), column("applied_at", SqlType::Timestamp)];
        static SCHEMA: Schema = Schema {
            name: "Applied",
            table: TABLE,
            prefix: None,
            columns: &COLUMNS,
            primary_key: &[0],
            associations: &[],
            extra_columns: &[],
        };
        &SCHEMA
    }

    fn decode(cells: &mut Cells<'_>) -> Result<Self> {
        Ok(Applied { version: cells.next()?, name: cells.next()?, at: cells.next()? })
    }

    fn value(&self, column: usize) -> Value<'_> {
        match column {
            0 => Field::to_value(&self.version),
            1 => Field::to_value(&self.name),
            _ => Field::to_value(&self.at),
        }
    }

    fn key_values(key: i64) -> Vec<Value<'static>> {
        vec![Value::I64(key)]
    }
}
