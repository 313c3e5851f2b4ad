//! Whether the tests would notice: the same tests, on connections that lie.

use std::collections::BTreeSet;

use crate::judge::{Judgement, State, speaking};
use crate::names::Place;
use crate::results::{Outcome, Run, Seen, Test};
use crate::rows::RowId;

/// What became of a covered row under the lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A test of it failed under these.
    Caught(Vec<String>),
    /// All its tests passed under all of them.
    Survived(Vec<String>),
    /// No lie that is told could reach it.
    Exempt(String),
}

/// The fates of all covered rows.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) fates: Vec<(RowId, &'static str, Fate)>,
    /// What passes on plain connections and not on wrapped ones that do not lie: then catching says nothing.
    pub(crate) broken: Vec<String>,
    /// A lie that no test noticed is a lie that was not told.
    pub(crate) untold: Vec<String>,
}

impl Control {
    /// Compares the run on wrapped connections that do not lie with one run per lie.
    pub(crate) fn of(judgement: &Judgement, honest: &Run, lies: &[(String, Run)]) -> Control {
        let mut fates = Vec::new();
        for on in &judgement.backends {
            for (id, _, state) in &on.states {
                if matches!(state, State::Covered(_)) {
                    fates.push((id.clone(), on.backend, fate(id, on.backend, honest, lies)));
                }
            }
        }
        let failed = honest.tests.iter().filter(|test| test.outcome == Outcome::Failed);
        let broken = failed.map(|test| format!("{} {}", place(test), test.name)).collect();
        let noticed = |run: &Run| run.tests.iter().any(|test| test.outcome == Outcome::Failed);
        let untold = lies.iter().filter(|(_, run)| !noticed(run)).map(|(lie, _)| lie.clone()).collect();
        Control { fates, broken, untold }
    }

    pub(crate) fn survivors(&self) -> impl Iterator<Item = (&RowId, &'static str, &[String])> {
        self.fates.iter().filter_map(|(id, backend, fate)| match fate {
            Fate::Survived(tests) => Some((id, *backend, &tests[..])),
            _ => None,
        })
    }

    pub(crate) fn holds(&self) -> bool {
        self.survivors().next().is_none() && self.broken.is_empty() && self.untold.is_empty()
    }
}

fn place(test: &Test) -> &'static str {
    match test.place {
        Place::On(backend) => backend,
        Place::Anywhere => "*",
    }
}

fn fate(id: &RowId, backend: &str, honest: &Run, lies: &[(String, Run)]) -> Fate {
    let tests: Vec<_> = speaking(honest, id, backend).filter(|test| test.outcome == Outcome::Passed).collect();
    let mut caught_by = BTreeSet::new();
    for (n, (_, run)) in lies.iter().enumerate() {
        let fails = |test: &&Test| {
            speaking(run, id, backend).any(|lied| lied.name == test.name && lied.outcome == Outcome::Failed)
        };
        if tests.iter().any(fails) {
            caught_by.insert(n);
        }
    }
    if !caught_by.is_empty() {
        return Fate::Caught(caught_by.into_iter().map(|n| lies[n].0.clone()).collect());
    }
    let reasons: Option<BTreeSet<_>> = tests.iter().map(|test| out_of_reach(test)).collect();
    match reasons {
        Some(reasons) => Fate::Exempt(reasons.into_iter().collect::<Vec<_>>().join("; ")),
        None => Fate::Survived(tests.iter().map(|test| test.name.clone()).collect()),
    }
}

/// Why no lie could reach a test, if none could. Told from what its connections saw.
fn out_of_reach(test: &Test) -> Option<&'static str> {
    match (test.is_case, test.seen) {
        (false, _) => Some("no case of the suite: it needs no engine, or has the adapter's own connections"),
        (true, Some(Seen { statements: 0, .. })) => Some("nothing was sent"),
        (true, Some(Seen { rows: 0, writes: 0, .. })) => Some("no row was touched"),
        (true, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exceptions::Exceptions;
    use crate::results::tests::junit;
    use crate::rows::Rows;

    const RAN: &str = "emr-suite: outcome=covered statements=3 errors=0 rows=2 writes=1";

    /// A test: binary, name, outcome, what was printed.
    type Ran<'a> = (&'a str, &'a str, &'a str, &'a str);

    fn control(honest: &[Ran<'_>], lies: &[(&str, &[Ran<'_>])]) -> Control {
        let rows = Rows::parse("\nR1\t\t\tA\nR2\t\t\tA\nR3\t\t\tA").unwrap();
        let parse = |tests| Run::parse(&junit(tests), &rows).unwrap();
        let honest = parse(honest);
        let lies: Vec<_> = lies.iter().map(|(lie, tests)| ((*lie).to_owned(), parse(tests))).collect();
        let judgement = Judgement::of(&rows, &Exceptions::default(), &honest);
        Control::of(&judgement, &honest, &lies)
    }

    #[test]
    fn a_row_whose_test_fails_under_a_lie_is_caught() {
        let honest = [("emr::suite", "sqlite::r1_x", "", RAN)];
        let lies: &[(&str, &[_])] = &[
            ("rows", &[("emr::suite", "sqlite::r1_x", "", RAN)]),
            ("swap", &[("emr::suite", "sqlite::r1_x", "failure", RAN)]),
        ];
        let control = control(&honest, lies);
        assert_eq!(control.fates[0].2, Fate::Caught(vec!["swap".into()]));
        assert!(!control.holds(), "nobody noticed the other lie");
        assert_eq!(control.untold, ["rows"]);
    }

    #[test]
    fn a_row_whose_test_notices_nothing_survives() {
        let honest = [("emr::suite", "sqlite::r1_x", "", RAN), ("emr::suite", "sqlite::r2_x", "", RAN)];
        let lied = [("emr::suite", "sqlite::r1_x", "", RAN), ("emr::suite", "sqlite::r2_x", "failure", RAN)];
        let control = control(&honest, &[("rows", &lied)]);
        assert_eq!(control.survivors().map(|(id, ..)| id.to_string()).collect::<Vec<_>>(), ["R1"]);
        assert!(!control.holds());
    }

    #[test]
    fn the_failure_of_another_backend_catches_nothing() {
        let honest = [("emr::suite", "sqlite::r1_x", "", RAN), ("emr::suite", "postgres::r1_x", "", RAN)];
        let lied = [("emr::suite", "sqlite::r1_x", "", RAN), ("emr::suite", "postgres::r1_x", "failure", RAN)];
        let control = control(&honest, &[("rows", &lied)]);
        assert_eq!(control.survivors().map(|(_, backend, _)| backend).collect::<Vec<_>>(), ["sqlite"]);
    }

    #[test]
    fn what_no_lie_reaches_is_exempt_by_what_was_seen() {
        let nothing = "emr-suite: outcome=covered statements=0 errors=0 rows=0 writes=0";
        let no_row = "emr-suite: outcome=covered statements=4 errors=4 rows=0 writes=0";
        let tests = [
            ("emr::suite", "sqlite::r1_x", "", nothing),
            ("emr::suite", "sqlite::r2_x", "", no_row),
            ("emr::registry", "r3_x", "", ""),
            ("emr::suite", "sqlite::x", "", RAN),
        ];
        let control = control(&tests, &[]);
        assert!(control.fates.iter().all(|(_, _, fate)| matches!(fate, Fate::Exempt(_))), "{control:?}");
        assert_eq!(control.fates.len(), 3);
        // Without counts there is no telling.
        let blind = [("emr::suite", "sqlite::r1_x", "", "emr-suite: outcome=covered")];
        assert!(!self::control(&blind, &[]).holds());
    }

    #[test]
    fn a_test_that_fails_without_a_lie_breaks_the_control() {
        let honest = [("emr::suite", "sqlite::r1_x", "failure", RAN)];
        assert_eq!(control(&honest, &[]).broken.len(), 1);
        assert!(!control(&honest, &[]).holds());
    }
}
