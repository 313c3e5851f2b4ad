//! Raw SQL that begins, ends or sets up transactions. That is the business of EMR: a BEGIN that it does not know of
//! leaves a connection in a state that nobody knows, and a COMMIT ends what somebody else holds to be open.

use super::statements::Statements;
use super::{Token, Tokens};
use crate::dialect::Dialect;
use crate::error::{Error, Result, TransactionFault};

/// Settings of the session by which it runs transactions. They would be those of whoever uses the connection next.
const SETTINGS: [&str; 11] = [
    "autocommit",
    "completion_type",
    "transaction_isolation",
    "transaction_read_only",
    "transaction_deferrable",
    "tx_isolation",
    "tx_read_only",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "default_transaction_deferrable",
    "implicit_transactions",
];

/// Refuses a text with a statement that controls transactions.
pub(crate) fn refuse_control(sql: &str, dialect: &dyn Dialect) -> Result<()> {
    let lexis = *dialect.lexis();
    for statement in Statements::of(sql, lexis) {
        let words = lexis.first_words(statement);
        // A lock on tables that belongs to the session outlives the call, and taking it commits.
        let locks = is(words[0], "LOCK") && dialect.commits_by_itself(words);
        if locks || is_verb(&words) || sets_up(statement, &words, dialect) {
            return Err(Error::transaction(TransactionFault::RawControl));
        }
    }
    Ok(())
}

/// The first word of a statement in this text that ends a transaction by itself, as DDL does on some engines.
pub(crate) fn commits_by_itself<'s>(sql: &'s str, dialect: &dyn Dialect) -> Option<&'s str> {
    let lexis = *dialect.lexis();
    let mut words = Statements::of(sql, lexis).map(|statement| lexis.first_words(statement));
    words.find(|words| dialect.commits_by_itself(*words)).map(|words| words[0])
}

/// Whether a statement that begins so begins, ends or undoes.
pub(super) fn is_verb([first, second, ..]: &[&str; 4]) -> bool {
    let one_of = |words: &[&str]| words.iter().any(|word| is(first, word));
    if one_of(&["COMMIT", "ROLLBACK"]) {
        // What another session has prepared belongs to no session.
        return !is(second, "PREPARED");
    }
    one_of(&["BEGIN", "END", "ABORT", "SAVEPOINT", "RELEASE", "SAVE"])
        || (one_of(&["START", "PREPARE"]) && is(second, "TRANSACTION"))
        || (one_of(&["XA"]) && !is(second, "RECOVER"))
}

/// Whether a statement sets how this session runs transactions.
fn sets_up(statement: &str, [first, second, third, _]: &[&str; 4], dialect: &dyn Dialect) -> bool {
    if !is(first, "SET") && !is(first, "RESET") {
        return false;
    }
    let of_session = is(second, "SESSION") || is(second, "LOCAL");
    if is(second, "TRANSACTION") || (of_session && (is(third, "TRANSACTION") || is(third, "CHARACTERISTICS"))) {
        return true;
    }
    // The last word in front of `=`, `:=` or TO, and in `RESET x` the last at all.
    let mut name = "";
    for token in Tokens::of(statement, *dialect.lexis()) {
        match token {
            Token::Mark('=' | ':') if is_setting(name) => return true,
            Token::Word(word) if (is(word, "TO") || is(word, "ON") || is(word, "OFF")) && is_setting(name) => {
                return true;
            }
            Token::Word(word) => name = word,
            _ => name = "",
        }
    }
    is(first, "RESET") && is_setting(name)
}

fn is_setting(name: &str) -> bool {
    let name = name.strip_prefix("@@").unwrap_or(name);
    SETTINGS.iter().any(|setting| is(name, setting))
}

fn is(word: &str, other: &str) -> bool {
    word.eq_ignore_ascii_case(other)
}
