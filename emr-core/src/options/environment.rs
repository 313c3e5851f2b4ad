//! Settings from the environment, by environment name.

use std::ffi::OsString;

use super::RepoOptions;
use crate::adapter::adapter_named;
use crate::error::{Error, ErrorKind, Result};

/// The settings that every backend has, by their names in URLs. Another name of a setting stands before its own,
/// which wins.
const SETTINGS: [&str; 21] = [
    "database_type",
    "host",
    "port",
    "database",
    "user",
    "password",
    "pool_size",
    "eager",
    "timeout",
    "idle_timeout",
    "connect_timeout",
    "connection_idle_timeout",
    "sslmode",
    "tls",
    "sslrootcert",
    "tls_ca",
    "prepare",
    "application_name",
    "after_connect",
    "read_only",
    "prefix",
];

impl RepoOptions {
    /// Reads the environment for one environment name (`dev`, `test`, `prod`), as a definition with the
    /// prefix `ACME` would: `ACME_PROD_URL` first, then single settings over it (`ACME_PROD_POOL_SIZE`,
    /// `ACME_PROD_PASSWORD`, …). An empty `environment` reads `ACME_URL` and so on.
    ///
    /// Every setting that is a text, a number or a choice has its variable: its name in URLs, in upper case. Those
    /// that only the adapter knows ([`Adapter::settings`](crate::Adapter::settings)) have one as well, once the URL or
    /// `ACME_PROD_DATABASE_TYPE` has said which adapter it is. Whatever else begins with `ACME_PROD_` is left alone.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) that names the variable, if it holds what its setting does not take, if its
    /// text is not Unicode, or if none is set. What only the adapter can judge (a file that is not there, a setting that
    /// it does not have) is found when the repo is started, and names the variable as well.
    pub fn from_env(prefix: &str, environment: &str) -> Result<Self> {
        RepoOptions::from_vars(prefix, environment, |variable| std::env::var_os(variable))
    }

    /// As [`from_env`](RepoOptions::from_env), with variables that come from elsewhere: a file, a vault.
    ///
    /// # Errors
    /// As [`from_env`](RepoOptions::from_env).
    ///
    /// ```
    /// # use emr_core::RepoOptions;
    /// let options = RepoOptions::from_vars("ACME", "prod", |variable| match variable {
    ///     "ACME_PROD_HOST" => Some("db.example".into()),
    ///     "ACME_PROD_POOL_SIZE" => Some("8".into()),
    ///     _ => None,
    /// })?;
    /// assert_eq!((options.host.as_deref(), options.pool_size), (Some("db.example"), Some(8)));
    /// # Ok::<(), emr_core::Error>(())
    /// ```
    pub fn from_vars(prefix: &str, environment: &str, read: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        RepoOptions::of_backend_from_vars(None, prefix, environment, read)
    }

    /// The same for a definition whose backend is known already.
    pub(crate) fn of_backend_from_vars(
        backend: Option<&str>,
        prefix: &str,
        environment: &str,
        read: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        let read = |variable: &str| match read(variable).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(Error::config(variable, "its text is not Unicode")),
        };
        let url_variable = variable(prefix, environment, "URL");
        let mut options = match read(&url_variable)? {
            None => RepoOptions::default(),
            Some(url) => RepoOptions::from_url(&url)
                .and_then(|options| options.check().map(|()| options))
                .map_err(|error| in_url(&url_variable, error))?
                .came_from(&url_variable),
        };
        let mut found = options.database_type.is_some();
        for name in SETTINGS {
            found |= options.read_one(variable(prefix, environment, name), name, read)?;
        }
        let backend = options.database_type.as_deref().or(backend);
        // One that is not there is an error when the repo is started.
        let adapter = backend.and_then(|backend| adapter_named(backend).ok());
        for name in adapter.map_or(&[][..], |adapter| adapter.settings()) {
            found |= options.read_one(variable(prefix, environment, name), name, read)?;
        }
        if found {
            return Ok(options);
        }
        let others = variable(prefix, environment, "*");
        Err(Error::config(url_variable, format!("neither it nor any setting {others} is in the environment")))
    }

    /// Reads the variable of one setting; `false` if there is none.
    fn read_one(
        &mut self,
        variable: String,
        name: &str,
        read: impl Fn(&str) -> Result<Option<String>>,
    ) -> Result<bool> {
        let Some(value) = read(&variable)? else { return Ok(false) };
        let set = self.set(name, &value).and_then(|()| self.check());
        set.map_err(|error| renamed(error, |_, problem| (variable.clone(), problem.to_owned())))?;
        self.variables.insert(own_name(name).to_owned(), variable);
        Ok(true)
    }

    /// Notes that all that is set was in this variable.
    fn came_from(mut self, url_variable: &str) -> Self {
        let names = self.differing(&RepoOptions::default()).into_iter().map(str::to_owned);
        let all = names.chain(self.extra.keys().cloned()).map(|name| (name, url_variable.to_owned())).collect();
        self.variables = all;
        self
    }

    /// An error about a setting, which names the environment variable that the setting came from, if it did.
    pub(crate) fn blame(&self, error: Error) -> Error {
        renamed(error, |option, problem| match self.variables.get(option) {
            Some(variable) if variable.ends_with("URL") => (variable.clone(), format!("{option} in it: {problem}")),
            Some(variable) => (variable.clone(), problem.to_owned()),
            None => (option.to_owned(), problem.to_owned()),
        })
    }

    /// The same for an error about the backend, which definitions and errors call `database`.
    pub(crate) fn blame_backend(&self, error: Error) -> Error {
        match self.variables.get("database_type") {
            Some(variable) => renamed(error, |_, problem| (variable.clone(), problem.to_owned())),
            None => error,
        }
    }
}

/// `ACME_PROD_POOL_SIZE`. What no variable can have in its name becomes `_`.
fn variable(prefix: &str, environment: &str, name: &str) -> String {
    let parts = [prefix, environment, name].into_iter().filter(|part| !part.is_empty());
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '*' { c.to_ascii_uppercase() } else { '_' };
    parts.map(|part| part.chars().map(plain).collect::<String>()).collect::<Vec<_>>().join("_")
}

/// The name that a setting has in errors.
fn own_name(name: &str) -> &str {
    match name {
        "sslmode" => "tls",
        "sslrootcert" => "tls_ca",
        name => name,
    }
}

/// An error of a URL that stood in a variable.
fn in_url(variable: &str, error: Error) -> Error {
    renamed(error, |option, problem| match option {
        "url" => (variable.to_owned(), problem.to_owned()),
        option => (variable.to_owned(), format!("{option} in it: {problem}")),
    })
}

/// The error with another name for the setting, and another text.
fn renamed(error: Error, name: impl FnOnce(&str, &str) -> (String, String)) -> Error {
    let ErrorKind::Config { option, problem } = error.kind() else { return error };
    let (option, problem) = name(option, problem);
    Error::config(option, problem)
}
