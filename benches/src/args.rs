//! The command line.

use crate::cases::Case;

pub(crate) const USAGE: &str = "\
usage: emr-bench --backend sqlite|postgres [--case NAME] [--rounds N] [--lib NAME,NAME] [--url URL]

  --case    one of the cases below; all of them where it is left out
  --rounds  how often each contender has its turn; 15 where it is left out
  --lib     the contenders to run beside `driver`, which always runs; all where it is left out
  --url     the PostgreSQL server; else EMR_POSTGRES_URL, else postgres://postgres@127.0.0.1:5432/postgres

cases: get_by_pk, get_by_pk_16, load_10k, filter_join, preload, stream_100k, insert_one, insert_many_100,
       insert_many_1000, insert_many_10000, insert_graph, upsert_100, update_changes, tx_update, idle_repos_10k";

const POSTGRES: &str = "postgres://postgres@127.0.0.1:5432/postgres";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Backend::Sqlite => "sqlite",
            Backend::Postgres => "postgres",
        }
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
                    let known = [Backend::Sqlite, Backend::Postgres];
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
        let url = url.or_else(|| std::env::var("EMR_POSTGRES_URL").ok()).unwrap_or_else(|| POSTGRES.to_owned());
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
