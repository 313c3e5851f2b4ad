//! What the name of a test says.

use crate::rows::{RowId, Rows};
use crate::verdict;

/// Where a test ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    On(&'static str),
    /// It needs no engine.
    Anywhere,
}

/// The rows that the last part of a test's name begins with.
///
/// # Errors
/// If it begins with an id of a family of rows that has no such row.
pub(crate) fn rows_in(test: &str, rows: &Rows) -> Result<Vec<RowId>, String> {
    let last = test.rsplit("::").next().unwrap_or(test);
    let mut found = Vec::new();
    for token in last.split('_') {
        let Some(id) = RowId::parse(token).filter(|id| rows.has_family(&id.family)) else { break };
        if rows.get(&id).is_none() {
            return Err(format!("{test} is named after {id}, and there is no such row"));
        }
        found.push(id);
    }
    Ok(found)
}

/// The backend that a test of a package ran on.
pub(crate) fn place(package: &str, test: &str) -> Place {
    let in_name = verdict::backends().find(|name| test.split("::").any(|part| part == *name));
    let in_package = || verdict::backends().find(|name| package.strip_prefix("emr-") == Some(name));
    in_name.or_else(in_package).map_or(Place::Anywhere, Place::On)
}

/// Whether tests of this package show nothing but SQL.
pub(crate) fn shows_only_text(package: &str) -> bool {
    package == "emr-sql-snapshots"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        Rows::parse("\nR45\t\t\tA\nR46\t\t\tA\nEW-01\t\t\tA\nSQ1\t\t\tA").unwrap()
    }

    fn found(test: &str) -> String {
        let ids = rows_in(test, &rows()).unwrap();
        ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_name_begins_with_its_rows() {
        assert_eq!(found("sqlite::reads::r45_reload"), "R45");
        assert_eq!(found("sqlite::reads::r45_r46_ew01_reload_r45"), "R45 R46 EW1");
        assert_eq!(found("r45"), "R45");
        assert_eq!(found("reads::reload_r45"), "");
        assert_eq!(found("r45_reads::reload"), "");
        assert_eq!(found("utf8_text"), "", "no family of rows");
        assert!(rows_in("reads::r99_reload", &rows()).unwrap_err().contains("R99"));
    }

    #[test]
    fn a_backend_is_a_part_of_the_name_or_of_the_package() {
        assert_eq!(place("emr", "postgres::reads::r45"), Place::On("postgres"));
        assert_eq!(place("emr", "reads::r45_on_postgres"), Place::Anywhere);
        assert_eq!(place("emr-sqlite", "values::r45"), Place::On("sqlite"));
        assert_eq!(place("emr-sync", "r45"), Place::Anywhere);
    }
}
