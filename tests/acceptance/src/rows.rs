//! The acceptance rows.

use std::collections::BTreeMap;
use std::fmt;

/// What tells a row from all others: `EW-01` is the family `EW` and the number 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowId {
    pub(crate) family: String,
    pub(crate) number: u32,
}

impl RowId {
    /// Reads `R45`, `r45`, `EW-01`, `ew1`.
    pub(crate) fn parse(text: &str) -> Option<RowId> {
        let letters = text.find(|c: char| !c.is_ascii_alphabetic())?;
        let (family, number) = text.split_at(letters);
        let number = number.strip_prefix('-').unwrap_or(number);
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if family.is_empty() || !digits {
            return None;
        }
        Some(RowId { family: family.to_ascii_uppercase(), number: number.parse().ok()? })
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.family, self.number)
    }
}

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: RowId,
    pub(crate) case: String,
    pub(crate) expectation: String,
    pub(crate) verdict: String,
}

impl Row {
    /// What it is about.
    pub(crate) fn text(&self) -> String {
        let parts: Vec<_> = [&self.case, &self.expectation].into_iter().filter(|part| !part.is_empty()).collect();
        parts.iter().map(|part| part.as_str()).collect::<Vec<_>>().join(": ")
    }
}

/// All rows, in the order of the file.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) all: Vec<Row>,
    by_id: BTreeMap<RowId, usize>,
}

impl Rows {
    /// Reads lines of id, case, expectation and verdict, with tabs between, below a line of names.
    pub(crate) fn parse(text: &str) -> Result<Rows, String> {
        let mut rows = Rows { all: Vec::new(), by_id: BTreeMap::new() };
        for (n, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty()) {
            let cells: Vec<_> = line.split('\t').collect();
            let [id, case, expectation, verdict] = cells[..] else {
                return Err(format!("acceptance.tsv, line {}: {} cells, not 4", n + 1, cells.len()));
            };
            let id = RowId::parse(id).ok_or_else(|| format!("acceptance.tsv, line {}: {id:?} is no id", n + 1))?;
            if rows.by_id.insert(id.clone(), rows.all.len()).is_some() {
                return Err(format!("acceptance.tsv, line {}: {id} stands twice", n + 1));
            }
            let [case, expectation, verdict] = [case, expectation, verdict].map(ToOwned::to_owned);
            rows.all.push(Row { id, case, expectation, verdict });
        }
        Ok(rows)
    }

    pub(crate) fn get(&self, id: &RowId) -> Option<&Row> {
        self.by_id.get(id).map(|at| &self.all[*at])
    }

    pub(crate) fn has_family(&self, family: &str) -> bool {
        let from = RowId { family: family.to_owned(), number: 0 };
        self.by_id.range(from..).next().is_some_and(|(id, _)| id.family == family)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_with_and_without_hyphen_and_zeros() {
        for text in ["EW-01", "ew01", "ew1", "Ew-1"] {
            assert_eq!(RowId::parse(text), Some(RowId { family: "EW".into(), number: 1 }), "{text}");
        }
        for text in ["", "r", "45", "r4x", "r-", "two_", "r--1"] {
            assert_eq!(RowId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_broken_line_names_itself() {
        assert!(Rows::parse("id\tcase\texpectation\tverdict\nR1\ta\tb").unwrap_err().contains("line 2"));
        assert!(Rows::parse("\nR1\ta\tb\tA\nr1\ta\tb\tA").unwrap_err().contains("twice"));
    }
}
