//! EXPLAIN.

use emr_core::{ExplainOptions, GenericPlan, PlanFormat, SqlBuilder};

/// Writes `EXPLAIN (…) `.
pub(super) fn explain(out: &mut SqlBuilder<'_>, options: &ExplainOptions) {
    let mut written = 0;
    let mut option = |out: &mut SqlBuilder<'_>, name: &str, value: &str| {
        out.push(if written == 0 { " (" } else { ", " }).push(name).push(" ").push(value);
        written += 1;
    };
    let on_off = |value: bool| if value { "TRUE" } else { "FALSE" };
    out.push("EXPLAIN");
    for (name, on) in [("ANALYZE", options.analyze), ("VERBOSE", options.verbose)] {
        if on {
            option(out, name, "TRUE");
        }
    }
    let switches = [
        ("COSTS", options.costs),
        ("SETTINGS", options.settings),
        ("BUFFERS", options.buffers),
        ("WAL", options.wal),
        ("TIMING", options.timing),
        ("SUMMARY", options.summary),
    ];
    for (name, value) in switches {
        let Some(value) = value else { continue };
        let since = match name {
            "WAL" => 13,
            // Without ANALYZE there is something to show since then.
            "BUFFERS" if !options.analyze => 13,
            _ => 12,
        };
        if out.capabilities().version.0 < since {
            return out.unsupported(&format!("plans with {name}"));
        }
        option(out, name, on_off(value));
    }
    match options.format {
        PlanFormat::Json => option(out, "FORMAT", "JSON"),
        PlanFormat::Yaml => option(out, "FORMAT", "YAML"),
        PlanFormat::Xml => option(out, "FORMAT", "XML"),
        PlanFormat::Text => {}
        _ => return out.unsupported("plans in this format"),
    }
    out.push(if written == 0 { " " } else { ") " });
}

/// The plan of a prepared statement that the server is told to make without looking at the parameters: EXPLAIN has an
/// option for it only since PostgreSQL 16, and this does the same on all versions.
pub(super) fn generic(name: &str, sql: &str, parameters: usize) -> GenericPlan {
    let nothing = if parameters == 0 { String::new() } else { format!("({})", vec!["NULL"; parameters].join(", ")) };
    GenericPlan {
        before: vec![format!("PREPARE {name} AS {sql}"), "SET LOCAL plan_cache_mode = force_generic_plan".to_owned()],
        statement: format!("EXECUTE {name}{nothing}"),
        after: vec![format!("DEALLOCATE {name}")],
    }
}
