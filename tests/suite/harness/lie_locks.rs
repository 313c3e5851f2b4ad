//! SQL without its locks.

use std::borrow::Cow;

const CLAUSES: [&str; 5] = [" for update", " for no key update", " for share", " for key share", " lock in share mode"];

/// The statement, with its row lock left out and its advisory locks answered with "you have it".
pub(super) fn without_locks(sql: &str) -> Cow<'_, str> {
    let without_rows = match row_lock(sql) {
        Some(at) => Cow::Owned(sql[..at].to_owned()),
        None => Cow::Borrowed(sql),
    };
    match without_advisory_locks(&without_rows) {
        Some(text) => Cow::Owned(text),
        None => without_rows,
    }
}

/// Where the row lock begins with which the statement ends.
fn row_lock(sql: &str) -> Option<usize> {
    // ASCII only, so that positions stay those of the statement.
    let lower = sql.to_ascii_lowercase();
    let at = CLAUSES.iter().filter_map(|clause| lower.rfind(clause)).max()?;
    let rest = &lower[at..];
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '"' | ',');
    rest.chars().all(plain).then_some(at)
}

fn without_advisory_locks(sql: &str) -> Option<String> {
    let lower = sql.to_ascii_lowercase();
    let from = lower.find("pg_advisory_").or_else(|| lower.find("pg_try_advisory_"))?;
    let open = from + lower[from..].find('(')?;
    if lower[from..open].contains("unlock") {
        return None;
    }
    let close = open + lower[open..].find(')')?;
    let key = &sql[open + 1..close];
    let answer = if lower[from..].starts_with("pg_try") {
        format!("(({key})::int8 is not null)")
    } else {
        format!("(({key})::int8)")
    };
    Some(format!("{}{answer}{}", &sql[..from], &sql[close + 1..]))
}
