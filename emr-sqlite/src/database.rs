//! Database files as wholes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as Io, Read};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use emr_core::{ConnectFailure, Connector, Error, ErrorKind, RepoOptions, Result, Role};

use crate::dialect;
use crate::pool::SqliteConnector;
use crate::settings::{Location, Settings};

/// How long a connection that was dropped may take to close its file.
const CLOSING: Duration = Duration::from_secs(5);

/// What the engine writes beside a file.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The first bytes of every database that is not empty.
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Files that threads of this process have open. Whoever closes a file last deletes its log by name: a file
/// that was deleted and made anew in the meantime would lose what is in its own log.
static OPEN: LazyLock<Mutex<HashMap<PathBuf, usize>>> = LazyLock::new(Mutex::default);

/// Stands for one connection to a file.
pub(crate) struct OpenFile(Option<PathBuf>);

impl OpenFile {
    pub(crate) fn new(location: &Location) -> Self {
        let Location::File(path) = location else { return OpenFile(None) };
        let path = identity(path);
        *OPEN.lock().unwrap_or_else(PoisonError::into_inner).entry(path.clone()).or_default() += 1;
        OpenFile(Some(path))
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let Some(path) = &self.0 else { return };
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(path) {
            *count -= 1;
            if *count == 0 {
                open.remove(path);
            }
        }
    }
}

/// The file that a path led to at one time.
#[derive(Debug, Clone)]
pub(crate) struct FileId {
    path: PathBuf,
    /// Where the system has numbers for files.
    number: Option<(u64, u64)>,
}

impl FileId {
    /// The file that the path leads to now.
    pub(crate) fn of(path: &Path) -> Self {
        FileId { path: path.to_owned(), number: number(path) }
    }

    /// Whether the path still leads to it.
    ///
    /// # Errors
    /// [`ConnectionLost`](ErrorKind::ConnectionLost) if not: who has the old file open reads what nobody writes any more.
    pub(crate) fn check(&self) -> Result<()> {
        if number(&self.path) == self.number {
            return Ok(());
        }
        let path = self.path.display();
        Err(Error::connection_lost(format!("{path} leads to another file than the one that was opened, or to none")))
    }
}

#[cfg(unix)]
fn number(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Elsewhere a file that is open cannot be replaced.
#[cfg(not(unix))]
fn number(_path: &Path) -> Option<(u64, u64)> {
    None
}

/// The same for all ways to write one path.
pub(crate) fn identity(path: &Path) -> PathBuf {
    let in_directory = || {
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        let directory = fs::canonicalize(directory.unwrap_or(Path::new("."))).ok()?;
        Some(directory.join(path.file_name()?))
    };
    fs::canonicalize(path).ok().or_else(in_directory).unwrap_or_else(|| path.to_owned())
}

/// Makes the file; `false` if there is one.
pub(crate) async fn create(options: &RepoOptions) -> Result<bool> {
    let (mut settings, path) = file(options, "creating a database in memory")?;
    match OpenOptions::new().write(true).create_new(true).open(&path) {
        Err(error) if error.kind() == Io::AlreadyExists && path.is_file() => return Ok(false),
        // The connection below finds the words for what is wrong.
        Ok(_) | Err(_) => {}
    }
    settings.read_only = false;
    settings.create = true;
    settings.after_connect = None;
    SqliteConnector::with(settings).connect(Role::Write).await?;
    Ok(true)
}

/// Deletes the file and what the engine left beside it; `false` if there is none.
pub(crate) async fn drop(options: &RepoOptions) -> Result<bool> {
    let (settings, path) = file(options, "dropping a database in memory")?;
    if !is_there(&settings, &path)? {
        return Ok(false);
    }
    check_header(&settings, &path)?;
    wait_until_closed(&path).await?;
    let refused =
        |error: std::io::Error| failed("SQLITE_IOERR_DELETE", &settings, &format!("cannot be deleted: {error}"));
    // The file itself goes last: a log that is left alone would be taken for that of the next file.
    for companion in COMPANIONS {
        let mut beside = OsString::from(&path);
        beside.push(companion);
        match fs::remove_file(beside) {
            Err(error) if error.kind() != Io::NotFound => return Err(refused(error)),
            _ => {}
        }
    }
    fs::remove_file(&path).map_err(refused)?;
    Ok(true)
}

/// Whether there is a file.
pub(crate) fn exists(options: &RepoOptions) -> Result<bool> {
    let (settings, path) = file(options, "looking for a database in memory")?;
    is_there(&settings, &path)
}

fn file(options: &RepoOptions, deed: &str) -> Result<(Settings, PathBuf)> {
    let settings = Settings::new(options)?;
    match settings.location.clone() {
        Location::File(path) => Ok((settings, path)),
        Location::Memory => Err(Error::unsupported(deed, dialect::server())),
    }
}

fn is_there(settings: &Settings, path: &Path) -> Result<bool> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.is_file()),
        Err(error) if matches!(error.kind(), Io::NotFound | Io::NotADirectory) => Ok(false),
        Err(error) => Err(settings.refused(ConnectFailure::Other, error.to_string())),
    }
}

/// A wrong path must not cost anybody another file.
fn check_header(settings: &Settings, path: &Path) -> Result<()> {
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HEADER.len() as u64).read_to_end(&mut start))
        .map_err(|error| failed("SQLITE_IOERR_READ", settings, &format!("cannot be read: {error}")))?;
    if start.is_empty() || start == HEADER {
        return Ok(());
    }
    Err(failed("SQLITE_NOTADB", settings, "is no database, so it is not deleted"))
}

fn failed(code: &str, settings: &Settings, problem: &str) -> Error {
    Error::new(ErrorKind::Database { code: code.into(), message: format!("{} {problem}", settings.target()) })
}

/// Connections close on their own threads: those that were dropped just now may need a moment.
async fn wait_until_closed(path: &Path) -> Result<()> {
    let path = identity(path);
    let began = Instant::now();
    loop {
        let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner).get(&path).copied().unwrap_or(0);
        if open == 0 {
            return Ok(());
        }
        if began.elapsed() > CLOSING {
            let message =
                format!("{open} connections of this process have {} open: stop their repos first", path.display());
            return Err(Error::new(ErrorKind::LockNotAvailable { message }));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
