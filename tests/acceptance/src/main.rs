//! Says of every acceptance row what the last run of the tests shows of it, backend by backend. `dev/acceptance` runs
//! the tests and then this.
//!
//! # Which tests speak for which rows
//! - A test speaks for the rows that the last part of its name begins with: `sqlite::reads::r45_r46_reload` for R45 and
//!   R46. Ids are written in lower case without their hyphen; leading zeros do not matter (`ew01` and `ew1` are EW-01).
//! - A backend's name among the parts of a test's name, or in the name of its package (`emr-postgres`), is the backend
//!   that it ran on. Any other test holds for every backend that ran: it needs no engine.
//! - The snapshots of SQL texts speak for nothing: a text shows no meaning.
//! - A case of the suite prints a line that says how it went, `emr-suite: outcome=…`. Without that line it was not run
//!   (its backend could not be reached), whatever the runner says.
//!
//! # What a row then is, on one backend
//! - *covered*: a test passed, and none failed. *refused*: all that passed showed that the backend refuses it.
//! - *`not_applicable`*: `tests/not_applicable.tsv` says why, and the row's verdict allows it; or the row is one that the
//!   adapter of another engine brings (`PG`, `MY`, `MS`, `SQ`), about that engine alone.
//! - *deviation*: refused although the verdict demands it, or `tests/deviations.tsv` says why it is missing.
//! - *silent*: none of these.

mod control;
mod exceptions;
mod judge;
mod names;
mod report;
mod results;
mod rows;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use exceptions::Exceptions;
use rows::Rows;

const USAGE: &str = "usage: emr-acceptance FOLDER RESULTS [--backend NAME] [--silent] [--rows FAMILY,…] [--summary]
       emr-acceptance --control FOLDER HONEST LIE=RESULTS… [--backend NAME] [--rows FAMILY,…]
FOLDER holds acceptance.tsv, not_applicable.tsv and deviations.tsv; RESULTS are JUnit files of cargo nextest.";

/// What the command line asks for.
#[derive(Default)]
struct Options {
    control: bool,
    paths: Vec<String>,
    backend: Option<String>,
    only_silent: bool,
    summary: bool,
    families: Vec<String>,
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("emr-acceptance: {problem}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: impl Iterator<Item = String>) -> Result<bool, String> {
    let options = parse(arguments)?;
    if options.control { run_control(&options) } else { run_report(&options) }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value\n{USAGE}"));
        match argument.as_str() {
            "--control" => options.control = true,
            "--backend" => options.backend = Some(value()?),
            "--rows" => options.families = value()?.split(',').map(str::to_uppercase).collect(),
            "--silent" => options.only_silent = true,
            "--summary" => options.summary = true,
            other if other.starts_with("--") => return Err(format!("there is no option {other}\n{USAGE}")),
            _ => options.paths.push(argument),
        }
    }
    Ok(options)
}

fn run_report(options: &Options) -> Result<bool, String> {
    let [folder, results] = &options.paths[..] else { return Err(USAGE.to_owned()) };
    let (rows, exceptions) = read_folder(Path::new(folder))?;
    let run = results::Run::parse(&read(Path::new(results))?, &rows)?;
    let judgement = judge::Judgement::of(&rows, &exceptions, &run);
    print!("{}", report::text(&judgement, options));
    Ok(judgement.mistakes.is_empty())
}

fn run_control(options: &Options) -> Result<bool, String> {
    let [folder, honest, lies @ ..] = &options.paths[..] else { return Err(USAGE.to_owned()) };
    let (rows, exceptions) = read_folder(Path::new(folder))?;
    let honest = results::Run::parse(&read(Path::new(honest))?, &rows)?;
    let mut told = Vec::new();
    for lie in lies {
        let (name, path) = lie.split_once('=').ok_or(USAGE)?;
        told.push((name.to_owned(), results::Run::parse(&read(Path::new(path))?, &rows)?));
    }
    let judgement = judge::Judgement::of(&rows, &exceptions, &honest);
    let control = control::Control::of(&judgement, &honest, &told);
    print!("{}", report::control_text(&control, options));
    Ok(control.holds())
}

fn read_folder(folder: &Path) -> Result<(Rows, Exceptions), String> {
    let rows = Rows::parse(&read(&folder.join("acceptance.tsv"))?)?;
    let not_applicable = read(&folder.join("not_applicable.tsv"))?;
    let deviations = read(&folder.join("deviations.tsv"))?;
    let exceptions = Exceptions::parse(&not_applicable, &deviations, &rows)?;
    Ok((rows, exceptions))
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", PathBuf::from(path).display()))
}
