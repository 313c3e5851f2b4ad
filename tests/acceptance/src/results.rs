//! What the last run of the tests gave: the `JUnit` file that cargo nextest writes.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::{self, Place};
use crate::rows::{RowId, Rows};

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It passed, and showed what its name says.
    Passed,
    /// It passed, and showed that the backend refuses it.
    Refused,
    Failed,
    /// It did not run, or showed nothing.
    NotRun,
}

/// A test that is named after rows.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    /// Its binary and its name: `emr::suite reads::r45_reload`, without the backend.
    pub(crate) name: String,
    pub(crate) rows: Vec<RowId>,
    pub(crate) place: Place,
    pub(crate) outcome: Outcome,
    /// Whether it is a case of the suite, whose connections can be made to lie.
    pub(crate) is_case: bool,
    /// What its connections saw, where they were watched.
    pub(crate) seen: Option<Seen>,
}

/// What the connections of a case saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) statements: u64,
    pub(crate) rows: u64,
    pub(crate) writes: u64,
}

/// One run of the tests.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) tests: Vec<Test>,
    /// The backends on which a case of the suite ran.
    pub(crate) backends: Vec<&'static str>,
    /// Names that name no row.
    pub(crate) mistakes: Vec<String>,
}

/// What a case of the suite begins its line with.
const RECORD: &str = "emr-suite: ";

impl Run {
    /// Reads a `JUnit` file.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn parse(xml: &str, rows: &Rows) -> Result<Run, String> {
        let document = roxmltree::Document::parse(xml).map_err(|error| format!("the results are no XML: {error}"))?;
        let mut run = Run::default();
        let mut ran = BTreeSet::new();
        for suite in document.descendants().filter(|node| node.has_tag_name("testsuite")) {
            let binary = suite.attribute("name").unwrap_or_default();
            let package = binary.split("::").next().unwrap_or(binary);
            if names::shows_only_text(package) {
                continue;
            }
            for case in suite.children().filter(|node| node.has_tag_name("testcase")) {
                let name = case.attribute("name").unwrap_or_default();
                let place = names::place(package, name);
                let record = record(case);
                let is_case = record.is_some() || is_named_after_backend(name);
                if let (Place::On(backend), Some(_)) = (&place, &record) {
                    ran.insert(*backend);
                }
                match names::rows_in(name, rows) {
                    Ok(found) if found.is_empty() => {}
                    Ok(found) => run.tests.push(Test {
                        name: shown(binary, name),
                        rows: found,
                        outcome: outcome(case, record.as_ref(), is_case),
                        place,
                        is_case,
                        seen: record.and_then(|record| seen(&record)),
                    }),
                    Err(mistake) => run.mistakes.push(mistake),
                }
            }
        }
        run.backends = ran.into_iter().collect();
        Ok(run)
    }
}

/// `sqlite::reads::r45_reload` is a case of the suite, also when it printed nothing.
fn is_named_after_backend(name: &str) -> bool {
    let first = name.split("::").next().unwrap_or(name);
    first != name && crate::verdict::backends().any(|backend| backend == first)
}

fn shown(binary: &str, name: &str) -> String {
    let name = match name.split_once("::") {
        Some((_, rest)) if is_named_after_backend(name) => rest,
        _ => name,
    };
    format!("{binary} {name}")
}

fn outcome(case: roxmltree::Node<'_, '_>, record: Option<&BTreeMap<&str, &str>>, is_case: bool) -> Outcome {
    let has = |tag: &str| case.children().any(|node| node.has_tag_name(tag));
    if has("failure") || has("error") {
        return Outcome::Failed;
    }
    if has("skipped") {
        return Outcome::NotRun;
    }
    match record.and_then(|record| record.get("outcome")) {
        Some(&"covered") => Outcome::Passed,
        Some(&"refused") => Outcome::Refused,
        Some(_) => Outcome::NotRun,
        None if is_case => Outcome::NotRun,
        None => Outcome::Passed,
    }
}

/// The line that a case of the suite printed, in its parts.
fn record<'d>(case: roxmltree::Node<'d, '_>) -> Option<BTreeMap<&'d str, &'d str>> {
    let output = case.descendants().find(|node| node.has_tag_name("system-out"))?;
    let line = output.text()?.lines().rev().find_map(|line| line.split_once(RECORD).map(|(_, record)| record))?;
    Some(line.split(' ').filter_map(|part| part.split_once('=')).collect())
}

fn seen(record: &BTreeMap<&str, &str>) -> Option<Seen> {
    let number = |name| record.get(name).and_then(|number| number.parse().ok());
    Some(Seen { statements: number("statements")?, rows: number("rows")?, writes: number("writes")? })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fmt::Write;

    use super::*;

    /// A `JUnit` file of tests: binary, name, what nextest says (`failure`, `skipped` or nothing), what was printed.
    pub(crate) fn junit(tests: &[(&str, &str, &str, &str)]) -> String {
        let mut xml = String::from("<testsuites>");
        for (binary, name, end, output) in tests {
            let end = if end.is_empty() { String::new() } else { format!("<{end}/>") };
            write!(xml, "<testsuite name=\"{binary}\"><testcase name=\"{name}\" classname=\"{binary}\">{end}").unwrap();
            write!(xml, "<system-out>{output}</system-out></testcase></testsuite>").unwrap();
        }
        xml + "</testsuites>"
    }

    fn run(tests: &[(&str, &str, &str, &str)]) -> Run {
        Run::parse(&junit(tests), &Rows::parse("\nR1\t\t\tA\nR2\t\t\tA").unwrap()).unwrap()
    }

    fn outcome_of(binary: &str, name: &str, end: &str, output: &str) -> Outcome {
        run(&[(binary, name, end, output)]).tests[0].outcome
    }

    #[test]
    fn a_case_of_the_suite_must_say_that_it_ran() {
        let suite = |end, output| outcome_of("emr::suite", "sqlite::reads::r1_x", end, output);
        assert_eq!(suite("", "x\nemr-suite: outcome=covered statements=1\n"), Outcome::Passed);
        assert_eq!(suite("", "emr-suite: outcome=refused features=row locks"), Outcome::Refused);
        assert_eq!(suite("", "emr-suite: outcome=elsewhere because=no server"), Outcome::NotRun);
        assert_eq!(suite("", "running 1 test"), Outcome::NotRun);
        assert_eq!(suite("failure", "emr-suite: outcome=covered"), Outcome::Failed);
        assert_eq!(suite("skipped", "emr-suite: outcome=covered"), Outcome::NotRun);
    }

    #[test]
    fn any_other_test_speaks_by_passing() {
        assert_eq!(outcome_of("emr::registry", "r1_x", "", ""), Outcome::Passed);
        assert_eq!(outcome_of("emr-postgres::bulk", "r1_x", "", ""), Outcome::Passed);
        assert_eq!(outcome_of("emr::registry", "r1_x", "failure", ""), Outcome::Failed);
    }

    #[test]
    fn texts_of_sql_speak_for_nothing() {
        assert!(run(&[("emr-sql-snapshots::render", "r1_x", "", "")]).tests.is_empty());
    }

    #[test]
    fn backends_are_those_on_which_a_case_ran() {
        let ran = run(&[
            ("emr::suite", "sqlite::reads::x", "", "emr-suite: outcome=covered"),
            ("emr::suite", "postgres::reads::x", "", "not run"),
        ]);
        assert_eq!(ran.backends, ["sqlite"]);
    }

    #[test]
    fn what_connections_saw_is_read() {
        let line = "emr-suite: outcome=covered statements=12 errors=1 rows=3 writes=2";
        let seen = run(&[("emr::suite", "sqlite::r1_x", "", line)]).tests[0].seen;
        assert_eq!(seen, Some(Seen { statements: 12, rows: 3, writes: 2 }));
    }

    #[test]
    fn a_name_without_a_row_is_a_mistake() {
        assert_eq!(run(&[("emr::suite", "sqlite::r7_x", "", "")]).mistakes.len(), 1);
    }
}
