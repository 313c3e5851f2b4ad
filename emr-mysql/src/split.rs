//! Where one statement ends and the next one begins, as the server's own lexer sees it.

/// The statements of a text, without the semicolons and the empty ones. The body of a procedure, function, trigger or
/// event is part of its statement.
pub(crate) fn statements(sql: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut found = false;
    let (mut creates, mut words, mut bodies) = (false, 0_usize, 0_usize);
    let mut after_end = false;
    while let Some((token, len)) = token(&sql[at..]) {
        at += len;
        match token {
            Token::Blank => continue,
            Token::Semicolon if bodies == 0 => {
                if found {
                    all.push(sql[start..at - 1].trim());
                }
                (start, found, creates, words) = (at, false, false, 0);
                after_end = false;
                continue;
            }
            Token::Word(word) => {
                let is = |other: &str| word.eq_ignore_ascii_case(other);
                words += 1;
                creates |= words == 1 && is("create");
                if creates && is("end") {
                    bodies = bodies.saturating_sub(1);
                    after_end = true;
                    found = true;
                    continue;
                }
                if after_end && ["if", "loop", "while", "repeat"].into_iter().any(is) {
                    // END IF closes what opened no body.
                    bodies += 1;
                } else if creates && (is("begin") || (bodies > 0 && is("case") && !after_end)) {
                    bodies += 1;
                }
            }
            Token::Semicolon | Token::Other => {}
        }
        after_end = false;
        found = true;
    }
    if found {
        all.push(sql[start..].trim());
    }
    all
}

/// Whether there is nothing in a text that the server would run.
pub(crate) fn is_empty(sql: &str) -> bool {
    let mut at = 0;
    while let Some((token, len)) = token(&sql[at..]) {
        if !matches!(token, Token::Blank | Token::Semicolon) {
            return false;
        }
        at += len;
    }
    true
}

enum Token<'s> {
    /// White space or a comment.
    Blank,
    Semicolon,
    Word(&'s str),
    /// A string, a quoted name, an operator.
    Other,
}

/// The next token and its length.
fn token(rest: &str) -> Option<(Token<'_>, usize)> {
    let first = rest.chars().next()?;
    let line = || rest.find('\n').map_or(rest.len(), |end| end + 1);
    Some(match first {
        _ if first.is_whitespace() => (Token::Blank, first.len_utf8()),
        '#' => (Token::Blank, line()),
        '-' if rest.starts_with("--") && rest[2..].chars().next().is_none_or(char::is_whitespace) => {
            (Token::Blank, line())
        }
        // What begins with /*! or /*M! is SQL to some servers.
        '/' if rest.starts_with("/*!") || rest.starts_with("/*M!") => (Token::Other, 3),
        '/' if rest.starts_with("/*") => (Token::Blank, rest.find("*/").map_or(rest.len(), |end| end + 2)),
        ';' => (Token::Semicolon, 1),
        '\'' | '"' => (Token::Other, quoted(rest, first, true)),
        '`' => (Token::Other, quoted(rest, first, false)),
        _ if is_word(first) => {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            (Token::Word(&rest[..end]), end)
        }
        _ => (Token::Other, first.len_utf8()),
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '$' | '@')
}

/// The length of a quoted text. A doubled quote is seen as the end of one and the start of the next.
fn quoted(rest: &str, quote: char, backslashes: bool) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' if backslashes => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::{is_empty, statements};

    #[test]
    fn semicolons_end_statements_outside_of_texts_and_comments() {
        assert_eq!(statements("select 1; select 2;"), ["select 1", "select 2"]);
        assert_eq!(statements(" ;; select ';', \"a\\\";\", `;` ; "), ["select ';', \"a\\\";\", `;`"]);
        assert_eq!(statements("select 1 -- a; b\n; select 2 # c;\n"), ["select 1 -- a; b", "select 2 # c;"]);
        assert_eq!(statements("select 1 /* ; */; select 5--1"), ["select 1 /* ; */", "select 5--1"]);
        assert!(statements(" -- nothing\n/* at all */ ;").is_empty());
        assert!(is_empty("  -- nothing") && is_empty("") && !is_empty("-- some\nthing"));
    }

    #[test]
    fn bodies_are_part_of_their_statements() {
        let trigger = "create trigger t before insert on a for each row begin if new.n > 1 then set new.n = 1; end if; \
                       set new.m = case when 1 then 2 end; end";
        assert_eq!(statements(&format!("{trigger}; select 1")), [trigger, "select 1"]);
        let plain = "create trigger t before insert on a for each row set new.n = 1";
        assert_eq!(statements(&format!("{plain}; select 1")), [plain, "select 1"]);
    }

    #[test]
    fn unended_texts_reach_to_the_end() {
        assert_eq!(statements("select 'a; select 1"), ["select 'a; select 1"]);
        assert_eq!(statements("select 'it\\'s'; select 'ö'"), ["select 'it\\'s'", "select 'ö'"]);
    }
}
