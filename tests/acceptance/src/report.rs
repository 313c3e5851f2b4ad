//! What is printed.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::Options;
use crate::control::{Control, Fate};
use crate::judge::{Judgement, OnBackend, State};
use crate::rows::RowId;

fn wanted(options: &Options, id: &RowId) -> bool {
    options.families.is_empty() || options.families.contains(&id.family)
}

fn on_wanted_backend(options: &Options, backend: &str) -> bool {
    options.backend.as_deref().is_none_or(|wanted| wanted == backend)
}

/// Every row on every backend, then a line per backend.
pub(crate) fn text(judgement: &Judgement, options: &Options) -> String {
    let mut out = String::new();
    let backends: Vec<&OnBackend> =
        judgement.backends.iter().filter(|on| on_wanted_backend(options, on.backend)).collect();
    for mistake in &judgement.mistakes {
        line(&mut out, format_args!("mistake: {mistake}"));
    }
    for on in &backends {
        if !options.summary {
            rows(&mut out, on, options);
        }
    }
    for on in &backends {
        line(&mut out, format_args!("deviations backend={} count={}", on.backend, on.count("deviation")));
    }
    for on in &backends {
        let [covered, refused, not_applicable, silent] =
            ["covered", "refused", "not_applicable", "silent"].map(|name| on.count(name));
        line(
            &mut out,
            format_args!(
                "acceptance backend={} covered={covered} refused={refused} not_applicable={not_applicable} silent={silent}",
                on.backend
            ),
        );
    }
    out
}

fn rows(out: &mut String, on: &OnBackend, options: &Options) {
    for (id, case, state) in &on.states {
        let is_silent = matches!(state, State::Silent(_));
        if !wanted(options, id) || (options.only_silent && !is_silent) {
            continue;
        }
        let why = match state {
            State::Covered(tests) | State::Refused(tests) => tests.join(", "),
            State::NotApplicable(why) | State::Deviation(why) => why.clone(),
            State::Silent(why) if why.is_empty() => format!("({case})"),
            State::Silent(why) => format!("({case}) {why}"),
        };
        line(out, format_args!("row={id} backend={} {} {why}", on.backend, state.name()));
    }
}

/// Every covered row and what it notices, then those that notice nothing.
pub(crate) fn control_text(control: &Control, options: &Options) -> String {
    let mut out = String::new();
    let shown = |id: &RowId, backend: &str| wanted(options, id) && on_wanted_backend(options, backend);
    let mut exempt: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut caught = 0;
    for (id, backend, fate) in control.fates.iter().filter(|(id, backend, _)| shown(id, backend)) {
        match fate {
            Fate::Caught(lies) => {
                caught += 1;
                line(&mut out, format_args!("control row={id} backend={backend} caught_by={}", lies.join(",")));
            }
            Fate::Exempt(reason) => exempt.entry(reason).or_default().push(format!("{id}/{backend}")),
            Fate::Survived(_) => {}
        }
    }
    for (reason, rows) in &exempt {
        line(&mut out, format_args!("control exempt={} ({reason}): {}", rows.len(), rows.join(" ")));
    }
    for test in &control.broken {
        line(&mut out, format_args!("control broken: {test} fails on wrapped connections that do not lie"));
    }
    for lie in &control.untold {
        line(&mut out, format_args!("control untold: no test at all noticed the lie {lie:?}"));
    }
    for (id, backend, tests) in control.survivors().filter(|(id, backend, _)| shown(id, backend)) {
        line(&mut out, format_args!("control survivor row={id} backend={backend} {}", tests.join(", ")));
    }
    let survived = control.survivors().count();
    let exempt: usize = exempt.values().map(Vec::len).sum();
    line(&mut out, format_args!("control caught={caught} exempt={exempt} broken={}", control.broken.len()));
    line(&mut out, format_args!("control survived={survived}"));
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exceptions::Exceptions;
    use crate::results::Run;
    use crate::results::tests::junit;
    use crate::rows::Rows;

    fn judgement() -> (Judgement, Run) {
        let rows = Rows::parse("\nR1\tone\t\tA\nR2\ttwo\t\tNA\nJ1\tjoin\t\tA\nJ2\tjoin\t\tAD").unwrap();
        let exceptions = Exceptions::parse("R2\t*\tno such thing", "J2\tsqlite\tlater", &rows).unwrap();
        let line = "emr-suite: outcome=covered statements=3 errors=0 rows=2 writes=1";
        let run = Run::parse(&junit(&[("emr::suite", "sqlite::reads::r1_x", "", line)]), &rows).unwrap();
        (Judgement::of(&rows, &exceptions, &run), run)
    }

    #[test]
    fn every_row_is_listed_and_counted() {
        let expected = "\
row=R1 backend=sqlite covered emr::suite reads::r1_x
row=R2 backend=sqlite not_applicable no such thing
row=J1 backend=sqlite silent (join)
row=J2 backend=sqlite deviation later
deviations backend=sqlite count=1
acceptance backend=sqlite covered=1 refused=0 not_applicable=1 silent=1
";
        assert_eq!(text(&judgement().0, &Options::default()), expected);
    }

    #[test]
    fn options_pick_lines_and_leave_the_counts() {
        let last = "acceptance backend=sqlite covered=1 refused=0 not_applicable=1 silent=1\n";
        let silent = text(&judgement().0, &Options { only_silent: true, ..Options::default() });
        assert_eq!(silent.lines().filter(|line| line.starts_with("row=")).count(), 1);
        assert!(silent.ends_with(last), "{silent}");
        let joins = text(&judgement().0, &Options { families: vec!["J".into()], ..Options::default() });
        assert_eq!(joins.lines().filter(|line| line.starts_with("row=J")).count(), 2);
        assert!(!joins.contains("row=R") && joins.ends_with(last), "{joins}");
        let other = text(&judgement().0, &Options { backend: Some("postgres".into()), ..Options::default() });
        assert_eq!(other, "");
    }

    #[test]
    fn the_control_ends_with_its_survivors() {
        let (judgement, honest) = judgement();
        let control = Control::of(&judgement, &honest, &[]);
        let told = control_text(&control, &Options::default());
        assert!(told.contains("control survivor row=R1 backend=sqlite emr::suite reads::r1_x\n"), "{told}");
        assert!(told.ends_with("control survived=1\n"), "{told}");
    }
}
