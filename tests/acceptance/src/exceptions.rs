//! Rows that no test covers on purpose: `not_applicable.tsv` and `deviations.tsv`.

use std::collections::BTreeMap;

use crate::rows::{RowId, Rows};
use crate::verdict::{self, Demand};

/// Reasons by row and backend.
#[derive(Debug, Default)]
pub(crate) struct Exceptions {
    not_applicable: BTreeMap<(RowId, &'static str), String>,
    deviations: BTreeMap<(RowId, &'static str), String>,
}

impl Exceptions {
    /// Reads both files: id (or a range of a family, `PG24-29`), backends with commas between (or `*`), reason.
    ///
    /// # Errors
    /// For a row or a backend that does not exist, an entry without a reason, one that stands twice, and one of
    /// `not_applicable` that the row's verdict does not allow.
    pub(crate) fn parse(not_applicable: &str, deviations: &str, rows: &Rows) -> Result<Exceptions, String> {
        let not_applicable = entries("not_applicable.tsv", not_applicable, rows)?;
        for (id, backend) in not_applicable.keys() {
            let verdict = rows.get(id).map(|row| (verdict::demand(row, backend), &row.verdict));
            if let Some((Demand::Applies, verdict)) = verdict {
                return Err(format!("not_applicable.tsv: {id} applies to {backend}, its verdict says: {verdict}"));
            }
        }
        let deviations = entries("deviations.tsv", deviations, rows)?;
        if let Some((id, backend)) = deviations.keys().find(|key| not_applicable.contains_key(*key)) {
            return Err(format!("{id} stands in both files for {backend}"));
        }
        Ok(Exceptions { not_applicable, deviations })
    }

    pub(crate) fn not_applicable(&self, id: &RowId, backend: &'static str) -> Option<&str> {
        self.not_applicable.get(&(id.clone(), backend)).map(String::as_str)
    }

    pub(crate) fn deviation(&self, id: &RowId, backend: &'static str) -> Option<&str> {
        self.deviations.get(&(id.clone(), backend)).map(String::as_str)
    }
}

fn entries(file: &str, text: &str, rows: &Rows) -> Result<BTreeMap<(RowId, &'static str), String>, String> {
    let mut entries = BTreeMap::new();
    for (n, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |problem: String| format!("{file}, line {}: {problem}", n + 1);
        let cells: Vec<_> = line.split('\t').collect();
        let [ids, backends, reason] = cells[..] else { return Err(wrong(format!("{} cells, not 3", cells.len()))) };
        if reason.trim().is_empty() {
            return Err(wrong("there is no reason".to_owned()));
        }
        for id in range(ids).ok_or_else(|| wrong(format!("{ids:?} is no id")))? {
            if rows.get(&id).is_none() {
                return Err(wrong(format!("there is no row {id}")));
            }
            for backend in named(backends).ok_or_else(|| wrong(format!("{backends:?} are no backends")))? {
                if entries.insert((id.clone(), backend), reason.to_owned()).is_some() {
                    return Err(wrong(format!("{id} stands there for {backend} already")));
                }
            }
        }
    }
    Ok(entries)
}

/// `R7` and `PG24-29`.
fn range(text: &str) -> Option<Vec<RowId>> {
    if let Some(id) = RowId::parse(text) {
        return Some(vec![id]);
    }
    let (first, last) = text.split_once('-')?;
    let first = RowId::parse(first)?;
    let last = last.parse().ok().filter(|last| *last >= first.number)?;
    Some((first.number..=last).map(|number| RowId { family: first.family.clone(), number }).collect())
}

fn named(text: &str) -> Option<Vec<&'static str>> {
    if text == "*" {
        return Some(verdict::backends().collect());
    }
    text.split(',').map(|name| verdict::backends().find(|backend| *backend == name.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(not_applicable: &str, deviations: &str) -> Result<Exceptions, String> {
        let rows = Rows::parse("\nR7\t\t\tNA\nR8\t\t\tA; SQ refuse\nPG1\t\t\tA PG\nPG2\t\t\tA PG\nR9\t\t\tA").unwrap();
        Exceptions::parse(not_applicable, deviations, &rows)
    }

    #[test]
    fn reasons_are_found_by_row_and_backend() {
        let both = parse("# why\n\nR7\t*\tno metadata\nPG1-2\tsqlite,mysql\tits own", "R9\tsqlite\tlater").unwrap();
        let id = |text| RowId::parse(text).unwrap();
        assert_eq!(both.not_applicable(&id("R7"), "mssql"), Some("no metadata"));
        assert_eq!(both.not_applicable(&id("PG2"), "sqlite"), Some("its own"));
        assert_eq!(both.not_applicable(&id("PG2"), "postgres"), None);
        assert_eq!(both.deviation(&id("R9"), "sqlite"), Some("later"));
        assert_eq!(both.deviation(&id("R9"), "postgres"), None);
    }

    #[test]
    fn what_a_verdict_demands_is_never_not_applicable() {
        assert!(parse("R9\tsqlite\tno", "").unwrap_err().contains("R9 applies to sqlite"));
        assert!(parse("R8\tpostgres\tno", "").unwrap_err().contains("R8 applies to postgres"));
        assert!(parse("R8\tsqlite\tno schemas", "").is_ok());
    }

    #[test]
    fn wrong_entries_are_named() {
        for (wrong, says) in [
            ("R10\tsqlite\tx", "no row R10"),
            ("PG2-3\tsqlite\tx", "no row PG3"),
            ("R7\toracle\tx", "no backends"),
            ("R7\tsqlite\t ", "no reason"),
            ("R7\tsqlite", "2 cells"),
            ("7\tsqlite\tx", "no id"),
            ("R7\tsqlite\tx\nR7\t*\ty", "already"),
        ] {
            let error = parse(wrong, "").unwrap_err();
            assert!(error.contains(says), "{wrong}: {error}");
        }
        assert!(parse("R7\tsqlite\tx", "R7\tsqlite\ty").unwrap_err().contains("both"));
    }
}
