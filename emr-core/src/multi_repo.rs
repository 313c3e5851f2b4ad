//! Repos that are started at run time, by definition and id.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use siphasher::sip128::{Hasher128, SipHasher13};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::{RepoHandle, RepoStats};
use crate::options::{RepoOptions, Secret};

/// Opens a repo that belongs to no definition: from a URL or options. It stops when its idle timeout passes or
/// [`stop`](RepoHandle::stop) is called.
///
/// # Errors
/// [`Config`](ErrorKind::Config) for a wrong URL or setting; with `eager`, [`ConnectFailed`](ErrorKind::ConnectFailed).
pub async fn open(options: impl TryInto<RepoOptions, Error = impl Into<Error>>) -> Result<RepoHandle> {
    let options = options.try_into().map_err(Into::into)?;
    let eager = options.eager.unwrap_or(false);
    let handle = RepoHandle::new(fresh_id(), options, None)?;
    if eager && let Err(error) = handle.connect().await {
        handle.stop(Duration::ZERO).await;
        return Err(error);
    }
    Ok(handle)
}

impl TryFrom<&str> for RepoOptions {
    type Error = Error;

    fn try_from(url: &str) -> Result<Self> {
        RepoOptions::from_url(url)
    }
}

impl TryFrom<String> for RepoOptions {
    type Error = Error;

    fn try_from(url: String) -> Result<Self> {
        RepoOptions::from_url(&url)
    }
}

impl TryFrom<&String> for RepoOptions {
    type Error = Error;

    fn try_from(url: &String) -> Result<Self> {
        RepoOptions::from_url(url)
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// What `#[derive(MultiRepo)]` says, and the repos that run under it. Ids of one definition mean nothing to
/// another.
pub struct Definition {
    name: &'static str,
    env_prefix: &'static str,
    settings: &'static [(&'static str, &'static str)],
    defaults: OnceLock<Result<RepoOptions>>,
    running: Mutex<BTreeMap<Arc<str>, RepoHandle>>,
}

impl Definition {
    /// A definition by its name, the prefix of its environment variables, and its settings as text. Made by the
    /// derive.
    #[doc(hidden)]
    pub const fn new(
        name: &'static str,
        env_prefix: &'static str,
        settings: &'static [(&'static str, &'static str)],
    ) -> Self {
        Definition { name, env_prefix, settings, defaults: OnceLock::new(), running: Mutex::new(BTreeMap::new()) }
    }

    /// The struct's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The settings that every repo of the definition starts from.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if the definition itself holds a wrong setting.
    pub fn defaults(&self) -> Result<&RepoOptions> {
        let defaults = self.defaults.get_or_init(|| {
            let mut options = RepoOptions::new();
            for (name, value) in self.settings {
                options.set(name, value)?;
            }
            Ok(options)
        });
        defaults.as_ref().map_err(Error::share)
    }

    /// The settings for an environment name, from the environment.
    fn conf(&self, environment: &str) -> Result<RepoOptions> {
        let backend = self.defaults()?.database_type.as_deref();
        RepoOptions::of_backend_from_vars(backend, self.env_prefix, environment, |variable| std::env::var_os(variable))
    }

    fn merge(&self, options: RepoOptions) -> Result<RepoOptions> {
        let defaults = self.defaults()?;
        if let (Some(own), Some(given)) = (&defaults.database_type, &options.database_type)
            && own != given
        {
            let error = Error::config("database", format!("{} is for {own}, not for {given}", self.name));
            return Err(options.blame_backend(error));
        }
        Ok(options.or(defaults))
    }

    pub(crate) async fn start(&'static self, id: Arc<str>, options: RepoOptions) -> Result<RepoHandle> {
        let options = self.merge(options)?;
        if id.is_empty() {
            return Err(Error::config("id", "a repo's id may not be empty"));
        }
        let eager = options.eager.unwrap_or(false);
        let (handle, ours) = self.find_or_insert(id, options)?;
        if eager && let Err(error) = handle.connect().await {
            if ours {
                handle.stop(Duration::ZERO).await;
            }
            return Err(error);
        }
        Ok(handle)
    }

    /// The running repo with this id, or a new one; and whether it is new.
    fn find_or_insert(&'static self, id: Arc<str>, options: RepoOptions) -> Result<(RepoHandle, bool)> {
        let mut running = self.running();
        if let Some(handle) = running.get(&id).filter(|handle| !handle.inner.lifecycle.is_stopped()) {
            let differing = handle.inner.options.differing(&options);
            if differing.is_empty() {
                handle.inner.lifecycle.touch();
                return Ok((handle.clone(), false));
            }
            return Err(Error::new(ErrorKind::RepoConflict { id: id.to_string(), differing }));
        }
        let handle = RepoHandle::new(Arc::clone(&id), options, Some(self))?;
        running.insert(id, handle.clone());
        Ok((handle, true))
    }

    fn repo(&self, id: &str) -> Result<RepoHandle> {
        let found = self.running().get(id).cloned();
        found.ok_or_else(|| Error::new(ErrorKind::UnknownRepo { id: id.to_owned() }))
    }

    /// Takes a stopped repo out, unless another one has its id by now.
    pub(crate) fn forget(&self, repo: &crate::handle::RepoInner) {
        let mut running = self.running();
        if running.get(repo.id()).is_some_and(|handle| std::ptr::eq(Arc::as_ptr(&handle.inner), repo)) {
            running.remove(repo.id());
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, RepoHandle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition")
            .field("name", &self.name)
            .field("running", &self.running().len())
            .finish_non_exhaustive()
    }
}

pub(crate) fn fresh_id() -> Arc<str> {
    Uuid::new_v4().to_string().into()
}

/// A definition of repos that are started at run time. Derive it:
///
/// ```ignore
/// #[derive(MultiRepo)]
/// #[repo(database = "postgres", timeout = "15s", idle_timeout = "10m")]
/// struct TenantRepo;
///
/// let acme = TenantRepo::start_repo("db.acme.example", 5432, "acme", "user_one", "secret1").await?;
/// ```
pub trait MultiRepo {
    /// The settings and the running repos.
    fn definition() -> &'static Definition;

    /// The settings for an environment name: from the environment (see [`RepoOptions::from_env`]), or by the function
    /// that `#[repo(conf = path::to::function)]` names.
    ///
    /// # Errors
    /// As [`RepoOptions::from_env`], or as that function.
    fn conf(environment: &str) -> Result<RepoOptions> {
        Self::definition().conf(environment)
    }

    /// Starts a repo on a server, under a fresh id.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config); with `eager`, [`ConnectFailed`](ErrorKind::ConnectFailed).
    fn start_repo(
        host: &str,
        port: u16,
        database: &str,
        user: &str,
        password: &str,
    ) -> impl Future<Output = Result<RepoHandle>> + Send {
        Self::definition().start(fresh_id(), server(host, port, database, user, password))
    }

    /// Starts a repo on a server under this id, or returns the running one with the same id and settings.
    ///
    /// # Errors
    /// [`RepoConflict`](ErrorKind::RepoConflict) if one runs with other settings; as [`start_repo`](MultiRepo::start_repo).
    fn start_repo_as(
        id: &str,
        host: &str,
        port: u16,
        database: &str,
        user: &str,
        password: &str,
    ) -> impl Future<Output = Result<RepoHandle>> + Send {
        Self::definition().start(id.into(), server(host, port, database, user, password))
    }

    /// Starts a repo from a URL, whose scheme picks the backend, under a fresh id.
    ///
    /// # Errors
    /// As [`start_repo`](MultiRepo::start_repo) and [`RepoOptions::from_url`].
    fn start_url(url: &str) -> impl Future<Output = Result<RepoHandle>> + Send {
        let options = RepoOptions::from_url(url);
        async move { Self::definition().start(fresh_id(), options?).await }
    }

    /// Starts a repo from a URL under this id, or returns the running one.
    ///
    /// # Errors
    /// As [`start_url`](MultiRepo::start_url) and [`start_repo_as`](MultiRepo::start_repo_as).
    fn start_url_as(id: &str, url: &str) -> impl Future<Output = Result<RepoHandle>> + Send {
        let options = RepoOptions::from_url(url);
        let id = id.into();
        async move { Self::definition().start(id, options?).await }
    }

    /// Starts a repo from options under a fresh id.
    ///
    /// # Errors
    /// As [`start_repo`](MultiRepo::start_repo).
    fn start(options: RepoOptions) -> impl Future<Output = Result<RepoHandle>> + Send {
        Self::definition().start(fresh_id(), options)
    }

    /// Starts a repo from options under this id, or returns the running one.
    ///
    /// # Errors
    /// As [`start_repo_as`](MultiRepo::start_repo_as).
    fn start_as(id: &str, options: RepoOptions) -> impl Future<Output = Result<RepoHandle>> + Send {
        Self::definition().start(id.into(), options)
    }

    /// Starts a repo with the settings of an environment name, under that name as its id.
    ///
    /// # Errors
    /// As [`conf`](MultiRepo::conf) and [`start_repo_as`](MultiRepo::start_repo_as).
    fn start_env(environment: &str) -> impl Future<Output = Result<RepoHandle>> + Send {
        let options = Self::conf(environment);
        let id = environment.into();
        async move { Self::definition().start(id, options?).await }
    }

    /// The running repo with this id.
    ///
    /// # Errors
    /// [`UnknownRepo`](ErrorKind::UnknownRepo) if none runs.
    fn repo(id: &str) -> Result<RepoHandle> {
        Self::definition().repo(id)
    }

    /// An id for these settings: the same for the same settings as long as the program runs, and of no use to
    /// whoever wants the password.
    fn repo_id(host: &str, port: u16, database: &str, user: &str, password: &str) -> String {
        static KEY: LazyLock<(u64, u64)> = LazyLock::new(|| {
            let state = RandomState::new();
            (state.hash_one(0), state.hash_one(1))
        });
        let mut hasher = SipHasher13::new_with_keys(KEY.0, KEY.1);
        (Self::definition().name, host, port, database, user, password).hash(&mut hasher);
        hasher.write_u8(0);
        format!("{:032x}", hasher.finish128().as_u128())
    }

    /// Resets the idle clock of a repo.
    ///
    /// # Errors
    /// [`UnknownRepo`](ErrorKind::UnknownRepo), [`Stopped`](ErrorKind::Stopped).
    fn noop(id: &str) -> Result<()> {
        crate::Repo::noop(&Self::repo(id)?)
    }

    /// Stops a repo: see [`RepoHandle::stop`].
    ///
    /// # Errors
    /// [`UnknownRepo`](ErrorKind::UnknownRepo).
    fn stop(id: &str, drain: Duration) -> impl Future<Output = Result<u64>> + Send {
        let repo = Self::repo(id);
        async move { Ok(repo?.stop(drain).await) }
    }

    /// The ids of the running repos.
    fn list() -> Vec<String> {
        Self::definition().running().keys().map(ToString::to_string).collect()
    }

    /// What runs in each repo.
    fn stats() -> Vec<RepoStats> {
        let handles: Vec<_> = Self::definition().running().values().cloned().collect();
        handles.iter().map(RepoHandle::stats).collect()
    }
}

fn server(host: &str, port: u16, database: &str, user: &str, password: &str) -> RepoOptions {
    RepoOptions {
        host: Some(host.to_owned()),
        port: Some(port),
        database: Some(database.to_owned()),
        user: Some(user.to_owned()),
        password: Some(Secret::new(password)),
        ..RepoOptions::new()
    }
}

impl RepoOptions {
    /// Creates the database that the options name. `false` if it exists already.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses; [`Unsupported`](ErrorKind::Unsupported) for a database in memory.
    pub async fn create_database(&self) -> Result<bool> {
        self.checked_adapter()?.create_database(self).await.map_err(|error| self.blame(error))
    }

    /// Drops the database that the options name, with all that is in it. `false` if there is none.
    ///
    /// # Errors
    /// As [`create_database`](RepoOptions::create_database).
    pub async fn drop_database(&self) -> Result<bool> {
        self.checked_adapter()?.drop_database(self).await.map_err(|error| self.blame(error))
    }

    /// Whether the database that the options name exists.
    ///
    /// # Errors
    /// As [`create_database`](RepoOptions::create_database).
    pub async fn database_exists(&self) -> Result<bool> {
        self.checked_adapter()?.database_exists(self).await.map_err(|error| self.blame(error))
    }
}
