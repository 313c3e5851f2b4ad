//! The first words of the statements in a text of raw SQL.

/// Goes through the statements of a text, and gives the first two words of each. Strings, quoted names, comments
/// and the bodies of triggers and functions are passed over.
pub(super) struct Statements<'s> {
    rest: &'s str,
}

impl<'s> Statements<'s> {
    pub(super) fn of(sql: &'s str) -> Self {
        Statements { rest: sql }
    }
}

/// A piece of SQL.
enum Token<'s> {
    Word(&'s str),
    Semicolon,
    /// A string, a quoted name, a number, an operator.
    Other,
}

impl<'s> Iterator for Statements<'s> {
    type Item = [&'s str; 2];

    fn next(&mut self) -> Option<[&'s str; 2]> {
        let mut words: [&'s str; 2] = ["", ""];
        let mut count = 0;
        // How many BEGIN and CASE of a body are open.
        let mut depth = 0_usize;
        loop {
            let Some((token, rest)) = token(self.rest) else {
                return if count > 0 { Some(words) } else { None };
            };
            self.rest = rest;
            match token {
                Token::Semicolon if depth == 0 => {
                    if count > 0 {
                        return Some(words);
                    }
                }
                Token::Semicolon => {}
                Token::Word(word) => {
                    if let Some(slot) = words.get_mut(count) {
                        *slot = word;
                    }
                    count += 1;
                    let has_body = words[0].eq_ignore_ascii_case("CREATE");
                    let opens = word.eq_ignore_ascii_case("BEGIN") || (depth > 0 && word.eq_ignore_ascii_case("CASE"));
                    if has_body && opens {
                        depth += 1;
                    } else if word.eq_ignore_ascii_case("END") {
                        depth = depth.saturating_sub(1);
                    }
                }
                Token::Other => count += usize::from(count > 0),
            }
        }
    }
}

/// The next token, and what follows it.
fn token(sql: &str) -> Option<(Token<'_>, &str)> {
    let sql = skip_blanks(sql);
    let first = sql.chars().next()?;
    let after = &sql[first.len_utf8()..];
    Some(match first {
        ';' => (Token::Semicolon, after),
        '\'' | '"' | '`' => (Token::Other, skip_quoted(after, first)),
        '$' => (Token::Other, skip_dollar(sql).unwrap_or(after)),
        _ if is_word(first) => {
            let end = sql.find(|c: char| !is_word(c)).unwrap_or(sql.len());
            (Token::Word(&sql[..end]), &sql[end..])
        }
        _ => (Token::Other, after),
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// What follows white space and comments.
fn skip_blanks(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let after = if let Some(line) = rest.strip_prefix("--") {
            line.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(block) = rest.strip_prefix("/*") {
            skip_block(block)
        } else {
            return rest;
        };
        rest = after.trim_start();
    }
}

/// What follows a block comment, which may hold others.
fn skip_block(mut rest: &str) -> &str {
    let mut depth = 1;
    while depth > 0 {
        match (rest.find("*/"), rest.find("/*")) {
            (Some(close), Some(open)) if open < close => {
                depth += 1;
                rest = &rest[open + 2..];
            }
            (Some(close), _) => {
                depth -= 1;
                rest = &rest[close + 2..];
            }
            (None, _) => return "",
        }
    }
    rest
}

/// What follows the closing quote. A doubled one is text: it opens again at once.
fn skip_quoted(rest: &str, quote: char) -> &str {
    rest.find(quote).map_or("", |at| &rest[at + quote.len_utf8()..])
}

/// What follows a string in dollar quotes, if one begins here.
fn skip_dollar(sql: &str) -> Option<&str> {
    let tag_end = sql[1..].find('$')? + 2;
    let tag = &sql[..tag_end];
    if !tag[1..tag_end - 1].chars().all(is_word) {
        return None;
    }
    Some(sql[tag_end..].find(tag).map_or("", |at| &sql[tag_end + at + tag_end..]))
}
