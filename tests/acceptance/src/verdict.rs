//! What a row's verdict demands of a backend.
//!
//! Verdicts are short notes: `A`, `A; SQ refuse`, `A PG,SQ; MS via MERGE`, `A all but MY`, `AD; not SQ`, `NA (PG ext)`.
//! Names right behind `A` or `AD` are the only backends that it speaks of; a later clause takes one away with `refuse`,
//! `no` or `not`, or adds it. What stands in brackets is a remark.

use crate::rows::Row;

/// The backends that verdicts name. `MA` goes with `MY` where it is not named itself.
const CODES: [(&str, &str); 5] =
    [("sqlite", "SQ"), ("postgres", "PG"), ("mysql", "MY"), ("mariadb", "MA"), ("mssql", "MS")];

/// Whether a row is one of this backend's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// It must be covered.
    Applies,
    /// It applies, and not to this backend: refusing it is right, and so is not having it at all.
    Elsewhere,
    /// The verdict says that it applies nowhere.
    Nowhere,
}

/// The names of the backends that there are.
pub(crate) fn backends() -> impl Iterator<Item = &'static str> {
    CODES.iter().map(|(name, _)| *name)
}

pub(crate) fn demand(row: &Row, backend: &str) -> Demand {
    let Some((_, code)) = CODES.iter().find(|(name, _)| *name == backend) else { return Demand::Applies };
    let verdict = without_remarks(&row.verdict);
    if words(&verdict).any(|word| word == "NA") {
        return Demand::Nowhere;
    }
    let named = |code: &str| words(&row.verdict).any(|word| is_code(word, code));
    let code = if *code == "MA" && !named("MA") { "MY" } else { code };
    let listed = listed(&verdict, code);
    // Cases that an engine's own adapter brings are about that engine, unless they say more.
    let family = CODES.iter().find(|(_, code)| *code == row.id.family).map(|(_, code)| *code);
    let own = family.is_none_or(|family| family == code || (family == "MY" && code == "MA"));
    let applies = match listed {
        Some(applies) => applies,
        None => own || verdict.contains("all"),
    };
    if applies { Demand::Applies } else { Demand::Elsewhere }
}

/// Whether the row is one that another engine's adapter brings, about that engine alone.
pub(crate) fn is_of_another_engine(row: &Row, backend: &str) -> bool {
    CODES.iter().any(|(_, code)| *code == row.id.family) && demand(row, backend) == Demand::Elsewhere
}

/// The engine whose adapter brings the row; its family where none does.
pub(crate) fn engine(row: &Row) -> &str {
    CODES.iter().find(|(_, code)| *code == row.id.family).map_or(&row.id.family, |(name, _)| name)
}

/// What the verdict says of this code; `None` if it names no backends at all.
fn listed(verdict: &str, code: &str) -> Option<bool> {
    let mut only = false;
    let mut says = None;
    for (n, clause) in verdict.split(';').enumerate() {
        let names: Vec<_> = words(clause).filter(|word| CODES.iter().any(|(_, code)| is_code(word, code))).collect();
        let is_named = names.iter().any(|word| is_code(word, code));
        let takes_away = words(clause).any(|word| matches!(word, "refuse" | "no" | "not" | "but"));
        if n == 0 && !takes_away && begins_with_names(clause) {
            only = true;
        }
        if is_named {
            says = Some(!takes_away);
        }
    }
    says.or(only.then_some(false))
}

/// Whether names of backends stand right behind `A` or `AD`.
fn begins_with_names(clause: &str) -> bool {
    let mut words = words(clause);
    matches!(words.next(), Some("A" | "AD"))
        && words.next().is_some_and(|word| CODES.iter().any(|(_, code)| is_code(word, code)))
}

/// `PG` and `PG15`, and not `PGX`.
fn is_code(word: &str, code: &str) -> bool {
    word.strip_prefix(code).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// The verdict without what stands in brackets, unless that takes a backend away.
fn without_remarks(verdict: &str) -> String {
    let mut text = String::new();
    let mut rest = verdict;
    while let Some((before, after)) = rest.split_once('(') {
        let (remark, after) = after.split_once(')').unwrap_or((after, ""));
        text.push_str(before);
        if remark.starts_with("not ") {
            text.push_str("; ");
            text.push_str(remark);
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::RowId;

    /// The backends to which a verdict applies.
    fn applies(id: &str, verdict: &str) -> String {
        let row = Row {
            id: RowId::parse(id).unwrap(),
            case: String::new(),
            expectation: String::new(),
            verdict: verdict.to_owned(),
        };
        let names: Vec<_> =
            CODES.iter().filter(|(name, _)| demand(&row, name) == Demand::Applies).map(|(_, code)| *code).collect();
        names.join(" ")
    }

    #[test]
    fn verdicts_name_their_backends() {
        let all = "SQ PG MY MA MS";
        for (verdict, expected) in [
            ("A", all),
            ("AD k3", all),
            ("A (array PG)", all),
            ("AD: from_table override", all),
            ("A all four", all),
            ("A; SQ refuse", "PG MY MA MS"),
            ("AD; not SQ", "PG MY MA MS"),
            ("A (not SQ)", "PG MY MA MS"),
            ("A PG,MY,MS; SQ no", "PG MY MA MS"),
            ("A PG,MY; SQ no; MS partly", "PG MY MA MS"),
            ("AD; SQ no µs", "PG MY MA MS"),
            ("A PG only", "PG"),
            ("A PG; refuse others", "PG"),
            ("A PG (MS option)", "PG"),
            ("AD PG, MS (SQ)", "PG MS"),
            ("A PG,MS,SQ,MA", "SQ PG MA MS"),
            ("A PG,MS,SQ; MA insert; MY refuse", "SQ PG MA MS"),
            ("A MY/MA", "MY MA"),
            ("A MY; MA different error text", "MY MA"),
            ("A MY,MS; AD PG/SQ", all),
            ("A all but MY", "SQ PG MS"),
            ("AD; not MY (implicit commit)", "SQ PG MS"),
            ("A PG,SQ; AD MS", "SQ PG MS"),
            ("A PG,SQ,MS(MERGE)", "SQ PG MS"),
            ("A PG,SQ; MS via MERGE; MY refuse", "SQ PG MS"),
            ("A PG,SQ; MS: identity cannot be updated → AD", "SQ PG MS"),
            ("A; MS: identity update impossible → refuse", "SQ PG MY MA"),
            ("AD PG15+", "PG"),
            ("AD: PG, MY; MS, SQ adapted", all),
            ("A PG,MY,MS(UPDLOCK hint); SQ: BEGIN IMMEDIATE variant", all),
            ("A PG,SQ; CASE rewrite MY,MS", all),
            ("A; SQ rewrite", all),
            ("AD; SQ ≥3.39", all),
        ] {
            assert_eq!(applies("R1", verdict), expected, "{verdict}");
        }
        for verdict in ["NA", "NA (PG ext)", "NA/k6", "AD storage, NA structure"] {
            assert_eq!(applies("R1", verdict), "", "{verdict}");
        }
    }

    #[test]
    fn the_cases_of_an_adapter_are_its_own() {
        assert_eq!(applies("PG3", "AD ext"), "PG");
        assert_eq!(applies("PG2", "A PG (also MY2, MS1, SQ1)"), "PG");
        assert_eq!(applies("PG36", "A all (error class Deadlock)"), "SQ PG MY MA MS");
        assert_eq!(applies("SQ12", "A"), "SQ");
        assert_eq!(applies("MY12", "A"), "MY MA");
        assert_eq!(applies("MS7", "A"), "MS");
    }
}
