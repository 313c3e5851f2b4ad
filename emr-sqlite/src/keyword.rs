//! The first word of a statement.

/// The first word after white space and comments, as it is written; empty where there is none.
pub(crate) fn first(sql: &str) -> &str {
    let sql = skip(sql);
    let end = sql.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(sql.len());
    &sql[..end]
}

/// Whether there is nothing to run: white space, comments and semicolons.
pub(crate) fn is_empty(sql: &str) -> bool {
    let mut rest = skip(sql);
    while let Some(after) = rest.strip_prefix(';') {
        rest = skip(after);
    }
    rest.is_empty()
}

/// The text after leading white space and comments.
fn skip(sql: &str) -> &str {
    let mut rest = sql.trim_ascii_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            // An open comment ends with the text, as the engine has it.
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return rest;
        };
        rest = after.trim_ascii_start();
    }
}

/// Whether the statement begins with one of these words.
pub(crate) fn is_one_of(sql: &str, words: &[&str]) -> bool {
    let word = first(sql);
    words.iter().any(|candidate| word.eq_ignore_ascii_case(candidate))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{first, is_empty};

    #[test]
    fn the_first_word_stands_behind_comments() {
        assert_eq!(first(" -- a\n/* b */\tSelect 1"), "Select");
        assert_eq!(first("/*/ select */ delete from t"), "delete");
        assert_eq!(first("VALUES(1)"), "VALUES");
        assert_eq!(first("(select 1)"), "");
        assert_eq!(first("-- only a comment"), "");
        assert_eq!(first("/* open"), "");
        assert_eq!(first("été"), "");
    }

    #[test]
    fn semicolons_and_comments_are_nothing() {
        assert!(is_empty(" ; -- x\n ;/* y */"));
        assert!(!is_empty("; select 1"));
    }

    proptest! {
        #[test]
        fn any_text_has_a_first_word_or_none(sql in "[-/* ;\na-zA-Z'\u{a0}\u{fffd}]{0,40}|\\PC{0,40}") {
            let word = first(&sql);
            prop_assert!(sql.contains(word) && word.bytes().all(|byte| byte.is_ascii_alphabetic()));
            prop_assert!(word.is_empty() || !is_empty(&sql));
        }
    }
}
