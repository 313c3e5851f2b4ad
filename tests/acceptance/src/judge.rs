//! What each row is on each backend.

use crate::exceptions::Exceptions;
use crate::names::Place;
use crate::results::{Outcome, Run, Test};
use crate::rows::{Row, RowId, Rows};
use crate::verdict::{self, Demand};

/// What a row is on one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Passed by these tests.
    Covered(Vec<String>),
    /// Refused, as these tests show.
    Refused(Vec<String>),
    NotApplicable(String),
    Deviation(String),
    /// Nothing is shown; why, where that is known.
    Silent(String),
}

impl State {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            State::Covered(_) => "covered",
            State::Refused(_) => "refused",
            State::NotApplicable(_) => "not_applicable",
            State::Deviation(_) => "deviation",
            State::Silent(_) => "silent",
        }
    }
}

/// The state of every row on one backend, in the order of the rows.
#[derive(Debug)]
pub(crate) struct OnBackend {
    pub(crate) backend: &'static str,
    /// Each with its row's case and expectation.
    pub(crate) states: Vec<(RowId, String, State)>,
}

impl OnBackend {
    pub(crate) fn count(&self, name: &str) -> usize {
        self.states.iter().filter(|(_, _, state)| state.name() == name).count()
    }
}

/// All that can be said.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) backends: Vec<OnBackend>,
    /// What is wrong with the files and names themselves.
    pub(crate) mistakes: Vec<String>,
}

impl Judgement {
    pub(crate) fn of(rows: &Rows, exceptions: &Exceptions, run: &Run) -> Judgement {
        let mut mistakes = run.mistakes.clone();
        mistakes.sort();
        mistakes.dedup();
        let mut backends = Vec::new();
        for backend in run.backends.iter().copied() {
            let judged = rows.all.iter().map(|row| {
                let state = judge(row, backend, exceptions, run, &mut mistakes);
                (row.id.clone(), row.text(), state)
            });
            let states = judged.collect();
            backends.push(OnBackend { backend, states });
        }
        Judgement { backends, mistakes }
    }
}

/// The tests that speak for a row on a backend.
pub(crate) fn speaking<'r>(run: &'r Run, id: &'r RowId, backend: &'r str) -> impl Iterator<Item = &'r Test> {
    run.tests.iter().filter(move |test| {
        let there = match &test.place {
            Place::On(place) => *place == backend,
            Place::Anywhere => true,
        };
        there && test.rows.contains(id)
    })
}

fn judge(row: &Row, backend: &'static str, exceptions: &Exceptions, run: &Run, mistakes: &mut Vec<String>) -> State {
    let named = |wanted: Outcome| -> Vec<String> {
        speaking(run, &row.id, backend).filter(|test| test.outcome == wanted).map(|test| test.name.clone()).collect()
    };
    let (passed, refused, failed) = (named(Outcome::Passed), named(Outcome::Refused), named(Outcome::Failed));
    let not_applicable = exceptions.not_applicable(&row.id, backend);
    let deviation = exceptions.deviation(&row.id, backend);
    let applies = verdict::demand(row, backend) == Demand::Applies;

    if let (Some(test), true) = (passed.first(), not_applicable.is_some() || deviation.is_some()) {
        mistakes.push(format!("{} is excepted on {backend}, and covered by {test}: take the entry out", row.id));
    } else if let (Some(test), Some(_)) = (refused.first(), not_applicable) {
        mistakes.push(format!("{} is not applicable on {backend}, and refused by {test}: take the entry out", row.id));
    }
    match (not_applicable, deviation) {
        _ if !failed.is_empty() => State::Silent(format!("failed: {}", failed.join(", "))),
        _ if !passed.is_empty() => State::Covered(passed),
        _ if !refused.is_empty() && !applies => State::Refused(refused),
        (_, Some(reason)) if !refused.is_empty() => State::Deviation(format!("refused: {reason}")),
        _ if !refused.is_empty() => {
            State::Deviation(format!("refused by {}, which its verdict does not allow", refused.join(", ")))
        }
        (Some(reason), _) => State::NotApplicable(reason.to_owned()),
        (None, Some(reason)) => State::Deviation(reason.to_owned()),
        (None, None) if verdict::is_of_another_engine(row, backend) => {
            State::NotApplicable(format!("a case of the {} adapter alone", verdict::engine(row)))
        }
        (None, None) => State::Silent(match named(Outcome::NotRun) {
            not_run if not_run.is_empty() => String::new(),
            not_run => format!("shown elsewhere, or not run: {}", not_run.join(", ")),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::junit;

    const ROWS: &str = "\nR1\t\t\tA\nR2\t\t\tNA\nR3\t\t\tA; SQ refuse\nR4\t\t\tA";
    const COVERED: &str = "emr-suite: outcome=covered";
    const REFUSED: &str = "emr-suite: outcome=refused features=row locks";

    fn judged(not_applicable: &str, deviations: &str, tests: &[(&str, &str, &str, &str)]) -> Judgement {
        let rows = Rows::parse(ROWS).unwrap();
        let exceptions = Exceptions::parse(not_applicable, deviations, &rows).unwrap();
        // Something ran on SQLite.
        let mut all = vec![("emr::suite", "sqlite::x", "", COVERED)];
        all.extend(tests);
        Judgement::of(&rows, &exceptions, &Run::parse(&junit(&all), &rows).unwrap())
    }

    fn states(judgement: &Judgement) -> Vec<&'static str> {
        let [sqlite] = &judgement.backends[..] else { panic!("{judgement:?}") };
        sqlite.states.iter().map(|(_, _, state)| state.name()).collect()
    }

    #[test]
    fn what_no_test_speaks_for_is_silent() {
        assert_eq!(states(&judged("", "", &[])), ["silent"; 4]);
    }

    #[test]
    fn tests_cover_refuse_and_deviate() {
        let judgement = judged(
            "R2\t*\tno such thing",
            "R4\tsqlite\tlater",
            &[("emr::suite", "sqlite::r1_x", "", COVERED), ("emr::suite", "sqlite::r3_x", "", REFUSED)],
        );
        assert_eq!(states(&judgement), ["covered", "not_applicable", "refused", "deviation"]);
        assert!(judgement.mistakes.is_empty(), "{judgement:?}");
    }

    #[test]
    fn a_row_is_not_covered_while_one_of_its_tests_fails() {
        for (end, output) in [("failure", COVERED), ("skipped", COVERED), ("", "nothing"), ("error", "")] {
            let alone = judged("", "", &[("emr::suite", "sqlite::r1_x", end, output)]);
            assert_eq!(states(&alone)[0], "silent", "{end} {output}");
        }
        let tests = [("emr::suite", "sqlite::r1_x", "", COVERED), ("emr::suite", "sqlite::r1_y", "failure", COVERED)];
        assert_eq!(states(&judged("", "", &tests))[0], "silent");
    }

    #[test]
    fn a_test_of_another_backend_covers_nothing_here() {
        let tests = [("emr::suite", "postgres::r1_x", "", COVERED), ("emr-postgres::bulk", "r4_x", "", "")];
        let judgement = judged("", "", &tests);
        let on = |name| judgement.backends.iter().find(|on| on.backend == name).unwrap();
        assert_eq!((on("sqlite").count("covered"), on("postgres").count("covered")), (0, 2));
    }

    #[test]
    fn a_test_that_needs_no_engine_covers_every_backend_that_ran() {
        let judgement = judged("", "", &[("emr::registry", "r1_x", "", "")]);
        assert_eq!(states(&judgement)[0], "covered");
        assert_eq!(judgement.backends.len(), 1);
    }

    #[test]
    fn a_refusal_that_the_verdict_does_not_allow_is_a_deviation() {
        let refusal = [("emr::suite", "sqlite::r1_x", "", REFUSED)];
        let State::Deviation(unargued) = &judged("", "", &refusal).backends[0].states[0].2 else { panic!() };
        assert!(unargued.contains("does not allow"), "{unargued}");
        let judgement = judged("", "R1\tsqlite\tno schemas", &refusal);
        let State::Deviation(argued) = &judgement.backends[0].states[0].2 else { panic!() };
        assert_eq!(argued, "refused: no schemas");
        assert!(judgement.mistakes.is_empty());
    }

    #[test]
    fn the_cases_of_another_engine_need_no_exception() {
        let rows = Rows::parse("\nPG1\t\t\tA PG\nPG36\t\t\tA all\nPG2\t\t\tA PG\nSQ1\t\t\tA").unwrap();
        let tests = [("emr::suite", "sqlite::pg2_x", "", COVERED)];
        let run = Run::parse(&junit(&tests), &rows).unwrap();
        let judgement = Judgement::of(&rows, &Exceptions::default(), &run);
        assert_eq!(states(&judgement), ["not_applicable", "silent", "covered", "silent"]);
    }

    #[test]
    fn an_exception_for_what_is_covered_is_a_mistake() {
        let covered = |name| [("emr::suite", name, "", COVERED)];
        assert_eq!(judged("R2\t*\tx", "", &covered("sqlite::r2_x")).mistakes.len(), 1);
        assert_eq!(judged("", "R4\tsqlite\tx", &covered("sqlite::r4_x")).mistakes.len(), 1);
        let refused = [("emr::suite", "sqlite::r3_x", "", REFUSED)];
        assert_eq!(judged("R3\tsqlite\tx", "", &refused).mistakes.len(), 1);
        assert_eq!(judged("", "", &covered("sqlite::r9_x")).mistakes.len(), 1, "there is no R9");
    }
}
