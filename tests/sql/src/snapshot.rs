//! One case in every dialect.

use std::fmt::Write;

use emr_core::{Params, SqlBuilder};

use crate::engines::engines;
use crate::parse;

/// Values beyond these are counted, not shown.
const SHOWN: usize = 12;

/// Compares what `render` writes in each dialect with the snapshot of this name. The values that it binds stand
/// below the first engine that has them, and hold for the next ones.
///
/// # Panics
/// If they differ, or a text is no SQL.
pub fn snapshot<'q>(case: &str, render: impl Fn(&mut SqlBuilder<'q>)) {
    let mut report = String::new();
    let mut last_values = "nothing".to_owned();
    for engine in engines() {
        let name = engine.dialect.name();
        match SqlBuilder::build(engine.dialect, &engine.capabilities, &render) {
            Ok((sql, params)) => {
                parse::check(engine, case, sql.text());
                writeln!(report, "{name}: {}", sql.text()).unwrap();
                let values = describe(&params);
                if values != last_values {
                    writeln!(report, "    with {values}").unwrap();
                    last_values = values;
                }
            }
            Err(error) => writeln!(report, "{name}: refused: {error}").unwrap(),
        }
    }
    insta::with_settings!({
        snapshot_path => "../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(case, report);
    });
}

fn describe(params: &Params<'_>) -> String {
    if params.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<_> =
        params.iter().take(SHOWN).map(|value| format!("{} {value:?}", value.sql_type().name())).collect();
    let more = if params.len() > SHOWN { format!(", … {} in all", params.len()) } else { String::new() };
    let text = shown.join(", ") + &more;
    match text.char_indices().nth(400) {
        Some((cut, _)) => format!("{}… {} characters in all", &text[..cut], text.chars().count()),
        None => text,
    }
}
