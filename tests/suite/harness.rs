//! Runs each case on every backend that can be reached, on a database of its own.

#[path = "harness/aside.rs"]
mod aside;
#[path = "harness/lie.rs"]
mod lie;
#[path = "harness/record.rs"]
mod record;

use std::future::Future;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use emr::prelude::*;
use emr::test::{Instrument, Operation, TestRepo};
use libtest_mimic::{Arguments, Failed, Trial};

pub(crate) use record::{assert_unsupported, assert_unsupported_in_part, backend, not_here, sql};

use record::Record;

/// The backends that the suite knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
    Mariadb,
    Mysql,
}

impl Backend {
    pub(crate) const ALL: [Backend; 4] = [Backend::Sqlite, Backend::Postgres, Backend::Mariadb, Backend::Mysql];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Backend::Sqlite => "sqlite",
            Backend::Postgres => "postgres",
            Backend::Mariadb => "mariadb",
            Backend::Mysql => "mysql",
        }
    }

    /// Raw SQL with its parameters (`$1`, in their order) and names in quotes as this backend writes them.
    pub(crate) fn sql(self, sql: &str) -> String {
        if !self.is_mysql_family() {
            return sql.to_owned();
        }
        let mut text = sql.replace('"', "`");
        for n in 1..10 {
            text = text.replace(&format!("${n}"), "?");
        }
        text
    }

    /// The type of UUIDs, as tables are made with it here.
    pub(crate) fn uuid(self) -> &'static str {
        if self == Backend::Mysql { "binary(16)" } else { "uuid" }
    }

    /// How many statements write a row and bring it back: an update, and on MySQL an insert as well, are followed by a read.
    pub(crate) fn statements_of_insert(self) -> usize {
        if self == Backend::Mysql { 2 } else { 1 }
    }

    /// Whether it is MySQL or MariaDB: two engines, and one adapter.
    pub(crate) fn is_mysql_family(self) -> bool {
        matches!(self, Backend::Mariadb | Backend::Mysql)
    }

    /// The server to test on: from the environment, else at its standard local port.
    pub(crate) fn url(self) -> String {
        let from = |variable: &str, local: &str| std::env::var(variable).unwrap_or_else(|_| local.to_owned());
        match self {
            Backend::Sqlite => "sqlite".to_owned(),
            Backend::Postgres => from("EMR_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres"),
            Backend::Mariadb => from("EMR_MARIADB_URL", "mariadb://root@127.0.0.1:3306/mysql"),
            Backend::Mysql => from("EMR_MYSQL_URL", "mysql://root@127.0.0.1:3307/mysql"),
        }
    }

    /// Why the backend cannot be tested, if it cannot.
    fn unreachable(self) -> Option<String> {
        if self == Backend::Sqlite {
            return None;
        }
        let url = self.url();
        runtime().block_on(async move {
            let opened = match emr::open(url.as_str()).await {
                Ok(repo) => repo.query("select version()", &[]).await,
                Err(error) => Err(error),
            };
            match opened {
                Ok(result) => self.is_another(&result),
                Err(error) => Some(error.to_string()),
            }
        })
    }
}

impl Backend {
    /// What else answers in its place.
    fn is_another(self, version: &emr::QueryResult) -> Option<String> {
        let text: String = version.scalar().ok()?;
        let is_mariadb = text.contains("MariaDB");
        match self {
            Backend::Mariadb if !is_mariadb => Some(format!("the server is no MariaDB: {text}")),
            Backend::Mysql if is_mariadb => Some(format!("the server is no MySQL: {text}")),
            _ => None,
        }
    }
}

/// A database for one case, dropped after it.
pub(crate) struct Db {
    pub(crate) backend: Backend,
    /// A repo on it.
    pub(crate) repo: RepoHandle,
    options: RepoOptions,
    _folder: Option<tempfile::TempDir>,
    schema: Option<String>,
    /// The settings of a database of the case's own.
    own: Option<RepoOptions>,
    test: Option<TestRepo>,
}

impl Db {
    async fn create(backend: Backend, record: &Arc<Record>) -> Db {
        let (options, folder, schema, own) = match backend {
            Backend::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                let file = folder.path().join("test.db");
                (RepoOptions::sqlite(file.to_str().expect("a Unicode path")), Some(folder), None, None)
            }
            Backend::Postgres => {
                let schema = unused_schema();
                let admin = emr::open(backend.url()).await.expect("the server");
                admin
                    .script(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}"))
                    .await
                    .expect("a schema");
                admin.stop(std::time::Duration::ZERO).await;
                let options = RepoOptions::from_url(&backend.url()).expect("a URL");
                (options.extra("options", format!("-csearch_path={schema}")), None, Some(schema), None)
            }
            Backend::Mariadb | Backend::Mysql => {
                let mut options = RepoOptions::from_url(&backend.url()).expect("a URL");
                options.database = Some(unused_schema());
                options.drop_database().await.expect("what an earlier run left is gone");
                options.create_database().await.expect("a database");
                (options.clone(), None, None, Some(options))
            }
        };
        let options = lie::through_the_lie(options, record);
        let repo = emr::open(options.clone()).await.expect("a repo");
        Db { backend, repo, options, _folder: folder, schema, own, test: None }
    }

    /// A schema that is there for one test repo alone: whatever the case makes of it, nothing needs to be dropped. Only
    /// for cases that commit nothing to somebody else.
    async fn in_test_repo(backend: Backend, record: &Arc<Record>) -> Db {
        let options = RepoOptions::from_url(&backend.url()).expect("a URL");
        // Two schemas of one name would wait for each other, though neither is ever committed.
        let schema = unused_schema();
        let options = lie::through_the_lie(options.extra("options", format!("-csearch_path={schema}")), record);
        let test = TestRepo::start(options.clone()).await.expect("a test repo");
        test.script(&format!("CREATE SCHEMA {schema}")).await.expect("a schema");
        Db { backend, repo: test.repo().clone(), options, _folder: None, schema: None, own: None, test: Some(test) }
    }

    /// The settings of the database, for repos with others.
    pub(crate) fn options(&self) -> RepoOptions {
        self.options.clone()
    }

    /// A name for an application whose change log is this case's alone, and dropped after it.
    #[allow(dead_code)] // for the tests of watchers
    pub(crate) fn application(&self, name: &str) -> String {
        format!("{}_{name}", self.schema.as_deref().unwrap_or("case"))
    }

    /// Another repo on the same database: somebody else.
    pub(crate) async fn other(&self) -> RepoHandle {
        emr::open(self.options()).await.expect("another repo")
    }

    /// A repo for cases that run in a transaction. Where DDL would commit it, their tables are made on another
    /// connection.
    pub(crate) async fn for_transactions(&self) -> RepoHandle {
        if !self.backend.is_mysql_family() {
            return self.repo.clone();
        }
        // What a transaction began to read before a table was made, it would read from the time before.
        let options = self.options().extra("session", "transaction_isolation = 'READ-COMMITTED'");
        let options = if self.backend == Backend::Mysql { options } else { self.options() };
        emr::open(aside::with_ddl_aside(options)).await.expect("a repo whose tables are made aside")
    }

    /// The schema or database of tables that name none.
    pub(crate) async fn own_schema(&self) -> String {
        let sql = match self.backend {
            Backend::Postgres => "select current_schema()::text",
            _ => "select database()",
        };
        self.repo.query(sql, &[]).await.expect("the server").scalar().expect("a name")
    }

    /// Makes a schema (a database, where they are one) beside the case's own; [`drop_schema`](Db::drop_schema) drops it.
    pub(crate) async fn create_schema_beside(&self) -> String {
        let name = format!("{}_beside", self.own_schema().await);
        self.repo.script(&format!("CREATE SCHEMA {name}")).await.expect("a schema");
        name
    }

    /// Drops a schema with all that is in it.
    pub(crate) async fn drop_schema(&self, name: &str) {
        let cascade = if self.backend == Backend::Postgres { " CASCADE" } else { "" };
        self.repo.script(&format!("DROP SCHEMA {name}{cascade}")).await.expect("the schema is dropped");
    }

    /// Another repo on the same database, and what notes its operations.
    pub(crate) async fn instrumented(&self) -> (RepoHandle, Instrument) {
        let instrument = Instrument::new();
        (emr::open(self.options().layer(instrument.clone())).await.expect("another repo"), instrument)
    }

    async fn drop_database(self) {
        if let Some(test) = self.test {
            test.stop().await.expect("a rollback");
            return;
        }
        self.repo.stop(std::time::Duration::from_millis(100)).await;
        if let Some(own) = self.own {
            own.drop_database().await.expect("the database is dropped");
        }
        if let Some(schema) = self.schema {
            let admin = emr::open(self.backend.url()).await.expect("the server");
            admin.script(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).await.expect("the schema is dropped");
            drop_logs(&admin, &schema).await;
            admin.stop(std::time::Duration::ZERO).await;
        }
    }
}

/// Drops the change logs of a case on PostgreSQL. A reader that is just going may still use one.
async fn drop_logs(admin: &RepoHandle, schema: &str) {
    let sql = "select quote_ident(nspname) from pg_namespace where starts_with(nspname, $1)";
    let logs = admin.query(sql, &[&format!("emr_{schema}_")]).await.expect("the catalog");
    for n in 0..logs.rows().len() {
        let log: String = logs.get(n, 0).expect("a name");
        for attempt in 0.. {
            match admin.script(&format!("SET lock_timeout = '2s'; DROP SCHEMA IF EXISTS {log} CASCADE")).await {
                Ok(()) => break,
                Err(error) if attempt == 5 => panic!("the log {log} cannot be dropped: {error}"),
                Err(_) => {}
            }
        }
    }
}

fn unused_schema() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("emr_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The statements that an instrument noted since the last look.
pub(crate) fn sent(instrument: &Instrument) -> Vec<Operation> {
    instrument.take().into_iter().filter(|one| one.verb.is_statement()).collect()
}

/// One behaviour, on a database.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Backend) -> Result<(), String>,
}

/// Runs a case that wants a database.
pub(crate) fn on_db<F>(backend: Backend, case: impl FnOnce(Arc<Db>) -> F + Send + 'static) -> Result<(), String>
where
    F: Future<Output = ()> + Send + 'static,
{
    let record = Record::of_thread();
    record.runs_on(backend);
    runtime().block_on(async move {
        let db = Db::create(backend, &record).await;
        run(db, record, case).await
    })
}

/// Runs a case that commits nothing to somebody else: in a test repo where that is faster, which is where there is a
/// server.
pub(crate) fn on_test_db<F>(backend: Backend, case: impl FnOnce(Arc<Db>) -> F + Send + 'static) -> Result<(), String>
where
    F: Future<Output = ()> + Send + 'static,
{
    // Tables of MySQL and MariaDB commit.
    if backend == Backend::Sqlite || backend.is_mysql_family() {
        return on_db(backend, case);
    }
    let record = Record::of_thread();
    record.runs_on(backend);
    runtime().block_on(async move {
        let db = Db::in_test_repo(backend, &record).await;
        run(db, record, case).await
    })
}

async fn run<F>(db: Db, record: Arc<Record>, case: impl FnOnce(Arc<Db>) -> F) -> Result<(), String>
where
    F: Future<Output = ()> + Send + 'static,
{
    let db = Arc::new(db);
    // In a task of its own, so that the database is dropped also after a panic.
    let outcome = tokio::spawn(record.in_task(case(Arc::clone(&db)))).await;
    if let Ok(db) = Arc::try_unwrap(db) {
        db.drop_database().await;
    }
    outcome.map_err(|error| panic_text(error.into_panic()))
}

fn panic_text(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().map_or_else(|_| "a panic".to_owned(), |text| (*text).to_owned()),
    }
}

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a runtime")
    });
    &RUNTIME
}

/// Lists the cases of a module, each a function of a [`Db`].
#[macro_export]
macro_rules! db_cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn cases() -> Vec<$crate::harness::Case> {
            vec![$($crate::harness::Case {
                name: stringify!($name),
                run: |backend| $crate::harness::on_db(backend, |db| async move { $name(&db).await }),
            }),*]
        }
    };
}

/// Lists the cases of a module, each a function of any [`Repo`]. Each runs on a handle, in a transaction, and on a
/// checkout.
#[macro_export]
macro_rules! repo_cases {
    ($($name:ident),* $(,)?) => {
        $crate::cases_on! { on_db: $($name),* }
    };
}

/// The same, in test repos: for cases that look at nothing but what they get.
#[macro_export]
macro_rules! test_repo_cases {
    ($($name:ident),* $(,)?) => {
        $crate::cases_on! { on_test_db: $($name),* }
    };
}

/// The cases of both.
#[macro_export]
macro_rules! cases_on {
    ($on:ident: $($name:ident),*) => {
        pub(crate) fn cases() -> Vec<$crate::harness::Case> {
            vec![$($crate::harness::Case {
                name: stringify!($name),
                run: |backend| {
                    $crate::harness::$on(backend, |db| async move { $name(&emr::AnyRepo::from(&db.repo)).await })?;
                    $crate::harness::$on(backend, |db| async move {
                        let repo = db.for_transactions().await;
                        let tx = repo.begin().await.expect("a transaction");
                        $name(&emr::AnyRepo::from(&tx)).await;
                        tx.commit().await.expect("a commit");
                    })?;
                    $crate::harness::$on(backend, |db| async move {
                        let checkout = db.repo.checkout().await.expect("a checkout");
                        $name(&emr::AnyRepo::from(&checkout)).await;
                    })
                },
            }),*]
        }
    };
}

/// Where making a table commits there are no test repos, which are never committed: that is what each case about them
/// shows.
fn no_test_repos(backend: Backend) -> Result<(), String> {
    on_db(backend, |db| async move {
        assert_unsupported(&TestRepo::start(db.options()).await.expect_err("a refusal"));
    })
}

/// A module of cases: its name and its list.
pub(crate) type Module = (&'static str, fn() -> Vec<Case>);

/// Runs all cases on all backends. One that cannot be reached is reported as ignored, case by case, or fails
/// where `EMR_REQUIRE` names it.
pub(crate) fn main(modules: &[Module]) -> ExitCode {
    main_on(&[(&Backend::ALL, modules)])
}

/// The same, each of these modules on its backends.
pub(crate) fn main_on(groups: &[(&[Backend], &[Module])]) -> ExitCode {
    let arguments = Arguments::from_args();
    let required = std::env::var("EMR_REQUIRE").unwrap_or_default();
    let mut trials = Vec::new();
    for backend in Backend::ALL {
        let modules =
            || groups.iter().filter(|(backends, _)| backends.contains(&backend)).flat_map(|(_, modules)| *modules);
        if modules().next().is_none() {
            continue;
        }
        let missing = if arguments.list { None } else { backend.unreachable() };
        let is_required = required.split(',').any(|name| name.trim() == backend.name());
        if let Some(reason) = &missing {
            eprintln!("backend {} not run: {reason}", backend.name());
        }
        for (module, cases) in modules() {
            for case in cases() {
                let name = format!("{}::{module}::{}", backend.name(), case.name);
                let run = if *module == "test_repos" && backend.is_mysql_family() { no_test_repos } else { case.run };
                let missing = missing.clone();
                let ignored = missing.is_some() && !is_required;
                let trial = Trial::test(name, move || match missing {
                    Some(reason) => Err(Failed::from(format!("EMR_REQUIRE names {}, but: {reason}", backend.name()))),
                    None => Record::keep(|| run(backend)).map_err(Failed::from),
                });
                trials.push(trial.with_ignored_flag(ignored));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
