//! The command line.

use crate::cases::Case;

pub(crate) const USAGE: &str = "\
usage: emr-bench --backend sqlite|postgres|mariadb|mysql [--case NAME] [--rounds N] [--lib NAME,NAME] [--url URL]

  --case    one of the cases below; all of them where it is left out
  --rounds  how often each contender has its turn; 15 where it is left out
  --lib     the contenders to run beside `driver`, which always runs; all where it is left out
  --url     the server; else EMR_POSTGRES_URL, EMR_MARIADB_URL or EMR_MYSQL_URL, else one without a password at
            127.0.0.1: role postgres at 5432, root at 3306 (MariaDB) or 3307 (MySQL)

cases: get_by_pk, get_by_pk_16, load_10k, filter_join, preload, stream_100k, insert_one, insert_many_100,
       insert_many_1000, insert_many_10000, insert_graph, upsert_100, update_changes, tx_update, idle_repos_10k,
       writers_1, writers_8, writers_32, commit_to_event, commit_to_event_busy, catch_up_1m (PostgreSQL)";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
    Mariadb,
    Mysql,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Backend::Sqlite => "sqlite",
            Backend::Postgres => "postgres",
            Backend::Mariadb => "mariadb",
            Backend::Mysql => "mysql",
        }
    }

    /// The server where none is named.
    fn url(self) -> String {
        let (variable, local) = match self {
            Backend::Sqlite => return String::new(),
            Backend::Postgres => ("EMR_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres"),
            Backend::Mariadb => ("EMR_MARIADB_URL", "mariadb://root@127.0.0.1:3306/mysql"),
            Backend::Mysql => ("EMR_MYSQL_URL", "mysql://root@127.0.0.1:3307/mysql"),
        };
        std::env::var(variable).unwrap_or_else(|_| local.to_owned())
    }
}

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) backend: Backend,
    pub(crate) cases: Vec<Case>,
    pub(crate) rounds: usize,
    libs: Option<Vec<String>>,
    pub(crate) url: String,
    pub(crate) weigh: Option<Weigh>,
}

/// What this program is told when it starts itself: the contender to weigh, and where its database is.
#[derive(Debug)]
pub(crate) struct Weigh {
    pub(crate) lib: String,
    pub(crate) place: String,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
        let (mut backend, mut cases, mut rounds, mut libs, mut url) = (None, Case::ALL.to_vec(), 15, None, None);
        let (mut weigh, mut place) = (None, None);
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
            match word.as_str() {
                "--backend" => {
                    let known = [Backend::Sqlite, Backend::Postgres, Backend::Mariadb, Backend::Mysql];
                    let found = known.into_iter().find(|backend| backend.name() == value);
                    backend = Some(found.ok_or_else(|| format!("there is no backend {value:?}"))?);
                }
                "--case" => {
                    let found = Case::ALL.into_iter().find(|case| case.name() == value);
                    cases = vec![found.ok_or_else(|| format!("there is no case {value:?}"))?];
                }
                "--rounds" => match value.parse() {
                    Ok(wanted) if wanted > 0 => rounds = wanted,
                    _ => return Err(format!("--rounds wants a number above zero, not {value:?}")),
                },
                "--lib" => libs = Some(value.split(',').map(str::to_owned).collect()),
                "--url" => url = Some(value),
                "--weigh" => weigh = Some(value),
                "--place" => place = Some(value),
                _ => return Err(format!("there is no option {word:?}")),
            }
        }
        let backend = backend.ok_or("--backend is missing")?;
        let url = url.unwrap_or_else(|| backend.url());
        let weigh = weigh.zip(place).map(|(lib, place)| Weigh { lib, place });
        Ok(Args { backend, cases, rounds, libs, url, weigh })
    }

    /// Whether this contender was asked for.
    pub(crate) fn wants(&self, lib: &str) -> bool {
        self.libs.as_ref().is_none_or(|libs| libs.iter().any(|wanted| wanted == lib))
    }

    /// The names that were asked for, if any were.
    pub(crate) fn libs(&self) -> &[String] {
        self.libs.as_deref().unwrap_or_default()
    }
}
