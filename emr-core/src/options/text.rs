//! Settings as text: URLs, the environment, single values.

use percent_encoding::percent_decode_str;

use super::{PrepareMode, RepoOptions, Secret, Timeout, TlsMode};
use crate::adapter::adapter_for_scheme;
use crate::error::{Error, Result};

impl RepoOptions {
    /// Reads a URL: `postgres://user:password@host:port/database?pool_size=8&timeout=5s`,
    /// `sqlite:path/to/file.db`, `sqlite::memory:`.
    ///
    /// User, password, host and database are percent-decoded. A password may hold `:` and `@` as they are;
    /// `/`, `?`, `#` and `%` must be written `%2F`, `%3F`, `%23` and `%25`. After `?` stand the settings of
    /// this type by their names; other names go to the adapter.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) that says which part is wrong. It never shows the password.
    pub fn from_url(url: &str) -> Result<Self> {
        let wrong = |problem: String| Error::config("url", problem);
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(wrong(
                "it has no scheme: write for example `postgres://user:password@host/database` or `sqlite:file.db`"
                    .into(),
            ));
        };
        if scheme.is_empty() || !scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) {
            return Err(wrong("it has no scheme before the first colon: write for example `postgres://…`".into()));
        }
        let scheme = scheme.to_ascii_lowercase();
        let adapter = adapter_for_scheme(&scheme)?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let authority = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
        let after = &rest[rest.len() - rest.trim_start_matches('/').len()..];
        if adapter.default_port().is_some()
            && !authority.contains('@')
            && (after.contains('@') || query.is_some_and(|query| query.contains('@')))
        {
            // Read on, a part of the password would become the host or the port, and be shown.
            return Err(wrong(
                "there is an `@` after the first `/` or `?`: in user and password write `/` as %2F and `?` as %3F, elsewhere `@` as %40".into(),
            ));
        }
        let mut options = if adapter.default_port().is_none() {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            RepoOptions { database: Some(decode("database", path)?), ..RepoOptions::default() }
        } else {
            server_url(&scheme, rest)?
        };
        options.database_type = Some(adapter.name().to_owned());
        for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode("url", name)?;
            let value = decode(&name, value)?;
            options.set(&name, &value)?;
        }
        Ok(options)
    }

    /// Sets a setting from text, by its name in URLs.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) if the text is no value of it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let text = || value.to_owned();
        match name {
            "database_type" => self.database_type = Some(text()),
            "host" => self.host = Some(text()),
            "port" => self.port = Some(parse_port(value)?),
            "database" => self.database = Some(text()),
            "user" => self.user = Some(text()),
            "password" => self.password = Some(Secret::new(value)),
            "pool_size" => self.pool_size = Some(number(name, value)?),
            "eager" => self.eager = Some(boolean(name, value)?),
            "timeout" => self.timeout = Some(Timeout::parse(name, value)?),
            "idle_timeout" => self.idle_timeout = Some(Timeout::parse(name, value)?),
            "connection_idle_timeout" => self.connection_idle_timeout = Some(Timeout::parse(name, value)?),
            "connect_timeout" => match Timeout::parse(name, value)? {
                Timeout::After(duration) => self.connect_timeout = Some(duration),
                Timeout::Infinite => return Err(Error::config(name, "it must end: write for example `10s`")),
            },
            "tls" | "sslmode" => {
                self.tls = Some(match value {
                    "disable" | "false" => TlsMode::Disable,
                    "prefer" | "allow" => TlsMode::Prefer,
                    "require" | "true" => TlsMode::Require,
                    "verify-full" | "verify_full" => TlsMode::VerifyFull,
                    _ => {
                        return Err(Error::config(
                            name,
                            format!("{value:?} is no mode: write `disable`, `prefer`, `require` or `verify-full`"),
                        ));
                    }
                });
            }
            "tls_ca" | "sslrootcert" => self.tls_ca = Some(value.into()),
            "prepare" => {
                self.prepare = Some(match value {
                    "named" => PrepareMode::Named,
                    "unnamed" => PrepareMode::Unnamed,
                    _ => return Err(Error::config(name, format!("{value:?} is no mode: write `named` or `unnamed`"))),
                });
            }
            "application_name" => self.application_name = Some(text()),
            "after_connect" => self.after_connect = Some(text()),
            "read_only" => self.read_only = Some(boolean(name, value)?),
            "prefix" => self.prefix = Some(value.into()),
            _ => {
                self.extra.insert(name.to_owned(), text());
            }
        }
        Ok(())
    }
}

/// Reads `//user:password@host:port/database`.
fn server_url(scheme: &str, rest: &str) -> Result<RepoOptions> {
    let wrong = |problem: String| Error::config("url", problem);
    let Some(rest) = rest.strip_prefix("//") else {
        return Err(wrong(format!("after `{scheme}:` must stand `//host`")));
    };
    if rest.contains('#') {
        return Err(wrong("a `#` must be written %23".into()));
    }
    let (authority, database) = match rest.split_once('/') {
        Some((authority, database)) => (authority, Some(database)),
        None => (rest, None),
    };
    // The last @ ends the user part, so that a password may hold one.
    let (credentials, address) = match authority.rsplit_once('@') {
        Some((credentials, address)) => (Some(credentials), address),
        None => (None, authority),
    };
    let mut options = RepoOptions::default();
    if let Some(credentials) = credentials {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        options.user = Some(decode("user", user)?).filter(|user| !user.is_empty());
        options.password = password.map(|password| decode("password", password).map(Secret::new)).transpose()?;
    }
    let (host, port) = if let Some(bracketed) = address.strip_prefix('[') {
        let Some((host, port)) = bracketed.split_once(']') else {
            return Err(wrong("the IPv6 address lacks its `]`".into()));
        };
        (host.to_owned(), port.strip_prefix(':'))
    } else {
        match address.split_once(':') {
            Some((host, port)) => (decode("host", host)?, Some(port)),
            None => (decode("host", address)?, None),
        }
    };
    if host.is_empty() {
        return Err(Error::config("host", "the URL has no host between `//` and the path"));
    }
    options.host = Some(host);
    if let Some(port) = port {
        // Not shown: without an `@`, what stands there may be meant as a password.
        let wrong = |_| Error::config("port", "what stands after the host's `:` is no port from 1 to 65535");
        options.port = Some(parse_port(port).map_err(wrong)?);
    }
    options.database =
        database.map(|database| decode("database", database)).transpose()?.filter(|name| !name.is_empty());
    Ok(options)
}

fn decode(part: &str, text: &str) -> Result<String> {
    let bytes = text.as_bytes();
    let broken = bytes.iter().enumerate().any(|(at, byte)| {
        *byte == b'%' && !bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if broken {
        return Err(Error::config(
            part,
            "a `%` must be followed by two hexadecimal digits; a plain one is written %25",
        ));
    }
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Error::config(part, "its percent-encoded bytes are not UTF-8")),
    }
}

fn parse_port(text: &str) -> Result<u16> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(Error::config("port", format!("{text:?} is no port from 1 to 65535"))),
    }
}

fn number(option: &str, text: &str) -> Result<u32> {
    text.parse().map_err(|_| Error::config(option, format!("{text:?} is no number from 0 to {}", u32::MAX)))
}

fn boolean(option: &str, text: &str) -> Result<bool> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Error::config(option, format!("{text:?} is neither `true` nor `false`"))),
    }
}
