//! A repo whose tests leave nothing behind.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::connection::TestConnector;
use super::outer::Outer;
use crate::capabilities::IsolationLevel;
use crate::connection::{Connector, Layer, Role};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::{AnyRepo, Executor, Inner, Lease};
use crate::handle::RepoHandle;
use crate::multi_repo::{MultiRepo, fresh_id};
use crate::options::{RepoOptions, Timeout};
use crate::transaction::{TransactionOptions, Tx};

/// The longest that a call waits for a transaction of somebody else, if nothing else is said.
const WAIT: Duration = Duration::from_secs(5);

/// How long the calls of others may still run when a test repo is stopped.
const DRAIN: Duration = Duration::from_secs(1);

/// A repo on one connection, in a transaction that is never committed: what a test does, nobody else sees, and nothing
/// of it stays. It is a [`Repo`](crate::Repo), and derefs to the [`RepoHandle`] that the program under test takes.
///
/// - A transaction is a savepoint, `commit` keeps it for the rest of the test and runs its
///   [`after_commit`](crate::Transactional::after_commit) functions. A statement outside a transaction that fails undoes
///   itself alone, on every engine: the test goes on.
/// - Any number of tasks may use its handles. Their calls run one after the other; while one has a transaction open, the
///   others [wait](TestOptions::wait), and then fail with
///   [`OtherOpen`](crate::TransactionFault::OtherOpen). Streams and checkouts let others go on.
/// - Test repos do not see each other's rows, and advisory locks are the test repo's own. Rows that would clash in a
///   unique index wait for each other, though, as they do in any two transactions: let tests use keys of their own.
/// - On SQLite a file has one writer: a second test repo on it waits until the first one ends. Give each test
///   `sqlite::memory:` or a file of its own.
/// - A statement that times out, or whose future is dropped, is cancelled with its connection: the test repo is lost,
///   and every later call says so ([`ConnectionLost`](crate::ErrorKind::ConnectionLost)).
///
/// What differs from a repo that commits: an isolation level that a transaction asks for is not set (the outer one's
/// [holds](TestOptions::isolation)); constraints that are deferred to the commit are not checked; the server's time stands
/// still on PostgreSQL (`now()` is that of the outer transaction), and its sequences are not set back; several
/// statements in one raw call are undone together where a failed one aborts a transaction; what cannot run in a
/// transaction (`VACUUM`, `CREATE INDEX CONCURRENTLY`) cannot run.
///
/// **Cost.** Starting it costs a connection and one round trip; a call as much as elsewhere, its savepoint travels with
/// it where the driver can; a first begin and each commit one round trip.
///
/// Dropping it closes the connection, and the server rolls back; [`stop`](TestRepo::stop) waits for that.
///
/// ```no_run
/// use emr_core::test::TestRepo;
/// use emr_core::{Repo, RepoHandle, Result};
///
/// async fn rename(repo: &RepoHandle) -> Result<()> {
///     repo.transaction(async |tx| tx.script("update notes set text = 'b'").await).await
/// }
///
/// # async fn f() -> Result<()> {
/// let repo = TestRepo::start("postgres://postgres@localhost/app_test").await?;
/// repo.query("insert into notes (text) values ('a')", &[]).await?;
/// rename(&repo).await?;
/// assert_eq!(repo.query("select text from notes", &[]).await?.scalar::<String>()?, "b");
/// repo.stop().await
/// # }
/// ```
#[must_use = "a test repo that is dropped is rolled back"]
pub struct TestRepo {
    handle: RepoHandle,
    outer: Arc<Outer>,
}

/// How a test repo begins.
///
/// ```no_run
/// use std::time::Duration;
///
/// use emr_core::IsolationLevel;
/// use emr_core::test::TestOptions;
///
/// # async fn f() -> emr_core::Result<()> {
/// let options = TestOptions::new().isolation(IsolationLevel::Serializable).wait(Duration::from_millis(500));
/// let repo = options.start("postgres://postgres@localhost/app_test").await?;
/// # drop(repo);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[must_use = "options do nothing until a test repo is started with them"]
pub struct TestOptions {
    isolation: Option<IsolationLevel>,
    wait: Option<Duration>,
}

impl TestOptions {
    /// The server's default isolation; a wait of five seconds, or half the repo's timeout if that is shorter.
    pub fn new() -> Self {
        TestOptions::default()
    }

    /// The isolation level of the outer transaction, and so of all.
    pub fn isolation(mut self, level: IsolationLevel) -> Self {
        self.isolation = Some(level);
        self
    }

    /// How long a call waits while somebody else's transaction is open.
    pub fn wait(mut self, limit: Duration) -> Self {
        self.wait = Some(limit);
        self
    }

    /// Starts a test repo with these options: see [`TestRepo::start`].
    ///
    /// # Errors
    /// As [`TestRepo::start`]; [`Unsupported`](ErrorKind::Unsupported) for an isolation level that the server does not
    /// have.
    pub async fn start(self, options: impl TryInto<RepoOptions, Error = impl Into<Error>>) -> Result<TestRepo> {
        let (options, outer) = self.prepare(options.try_into().map_err(Into::into)?);
        finish(RepoHandle::new(fresh_id(), options, None)?, &outer).await
    }

    /// Starts a test repo of a definition with these options: see [`TestRepo::start_as`].
    ///
    /// # Errors
    /// As [`TestRepo::start_as`] and [`start`](TestOptions::start).
    pub async fn start_as<M: MultiRepo>(
        self,
        id: &str,
        options: impl TryInto<RepoOptions, Error = impl Into<Error>>,
    ) -> Result<TestRepo> {
        let (options, outer) = self.prepare(options.try_into().map_err(Into::into)?);
        finish(M::definition().start(id.into(), options).await?, &outer).await
    }

    /// The settings of the repo, and where its outer transaction will stand once they are used.
    fn prepare(self, mut options: RepoOptions) -> (RepoOptions, Arc<OnceLock<Arc<Outer>>>) {
        let limit = options.effective_timeout();
        let half = limit.duration().map_or(WAIT, |limit| limit / 2);
        let outer = Arc::new(OnceLock::new());
        let wait = self.wait.unwrap_or_else(|| WAIT.min(half));
        let mut transaction = TransactionOptions::new();
        transaction.begin.isolation = self.isolation;
        let layer = TestLayer { outer: Arc::clone(&outer), transaction, wait, limit };
        // Next to the connections: what else stands in between sees what the program does.
        options.layers.insert(0, Arc::new(layer));
        (options, outer)
    }
}

/// Begins.
async fn finish(handle: RepoHandle, outer: &OnceLock<Arc<Outer>>) -> Result<TestRepo> {
    let Some(outer) = outer.get() else {
        // The definition had a repo with this id and these settings already, and gave us that one.
        let id = handle.id().to_owned();
        return Err(Error::new(ErrorKind::RepoConflict { id, differing: vec!["transaction: it commits"] }));
    };
    let repo = TestRepo { handle, outer: Arc::clone(outer) };
    match repo.outer.ready().await {
        Ok(_) => Ok(repo),
        Err(error) => Err(error.with_repo(repo.handle.inner.id())),
    }
}

impl TestRepo {
    /// Starts a test repo on a database: connects, and begins its transaction.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config), [`ConnectFailed`](ErrorKind::ConnectFailed);
    /// [`LockNotAvailable`](ErrorKind::LockNotAvailable) if the transaction cannot begin within the repo's timeout, because
    /// somebody else writes to the same SQLite file.
    pub async fn start(options: impl TryInto<RepoOptions, Error = impl Into<Error>>) -> Result<TestRepo> {
        TestOptions::new().start(options).await
    }

    /// Starts a test repo of a definition, under this id. Until it ends, the program under test gets it by
    /// [`M::repo(id)`](MultiRepo::repo), and by starting that id with the same settings.
    ///
    /// ```
    /// # use emr_core as emr;
    /// use emr::test::TestRepo;
    /// use emr::{Definition, MultiRepo, Result};
    ///
    /// struct TenantRepo; // #[derive(MultiRepo)]
    /// # impl MultiRepo for TenantRepo {
    /// #     fn definition() -> &'static Definition {
    /// #         static DEFINITION: Definition = Definition::new("TenantRepo", "TENANT_REPO", &[]);
    /// #         &DEFINITION
    /// #     }
    /// # }
    ///
    /// # async fn f() -> Result<()> {
    /// let acme = TestRepo::start_as::<TenantRepo>("acme", "postgres://postgres@localhost/app_test").await?;
    /// assert_eq!(TenantRepo::repo("acme")?.id(), acme.id());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`start`](TestRepo::start); [`RepoConflict`](ErrorKind::RepoConflict) if a repo with this id runs already:
    /// tests that run in one process at the same time need ids of their own.
    pub async fn start_as<M: MultiRepo>(
        id: &str,
        options: impl TryInto<RepoOptions, Error = impl Into<Error>>,
    ) -> Result<TestRepo> {
        TestOptions::new().start_as::<M>(id, options).await
    }

    /// The repo as the program knows it. Clones of it end with the test repo.
    pub fn repo(&self) -> &RepoHandle {
        &self.handle
    }

    /// Rolls everything back, and stops the repo: its handles answer [`Stopped`](ErrorKind::Stopped). Calls of other
    /// tasks that still run have a second to end. One round trip.
    ///
    /// # Errors
    /// If the connection breaks; the server then rolls back by itself.
    pub async fn stop(self) -> Result<()> {
        let lifecycle = &self.handle.inner.lifecycle;
        lifecycle.stop();
        if lifecycle.drain(DRAIN).await > 0 {
            self.handle.inner.cut_transactions();
        }
        self.outer.end().await.map_err(|error| error.with_repo(self.handle.inner.id()))
    }
}

impl Drop for TestRepo {
    fn drop(&mut self) {
        self.handle.inner.lifecycle.stop();
        self.handle.inner.close();
        self.outer.abandon();
    }
}

impl Deref for TestRepo {
    type Target = RepoHandle;

    fn deref(&self) -> &RepoHandle {
        &self.handle
    }
}

impl fmt::Debug for TestRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestRepo").field(&self.handle).finish()
    }
}

impl Executor for TestRepo {
    fn as_any_repo(&self) -> AnyRepo<'_> {
        AnyRepo::Handle(&self.handle)
    }

    fn inner(&self) -> Inner<'_> {
        self.handle.inner()
    }

    fn lease(&self, role: Role) -> impl Future<Output = Result<Lease<'_>>> + Send {
        self.handle.lease(role)
    }

    fn start(&self, options: TransactionOptions) -> impl Future<Output = Result<Tx>> + Send {
        Executor::start(&self.handle, options)
    }
}

/// Puts the outer transaction between a repo and its connections.
struct TestLayer {
    outer: Arc<OnceLock<Arc<Outer>>>,
    transaction: TransactionOptions,
    wait: Duration,
    limit: Timeout,
}

impl Layer for TestLayer {
    fn wrap(&self, connector: Arc<dyn Connector>) -> Result<Arc<dyn Connector>> {
        let target = connector.target();
        let mut first = false;
        let outer = self.outer.get_or_init(|| {
            first = true;
            Arc::new(Outer::new(connector, self.transaction.clone(), self.wait, self.limit))
        });
        // A repo that was started with the settings of the test repo is in the same transaction.
        if outer.connector.target() != target {
            let problem = format!("they are of a test repo on {}, not on {target}", outer.connector.target());
            return Err(Error::config("layers", problem));
        }
        Ok(Arc::new(TestConnector { outer: Arc::clone(outer), first }))
    }
}
