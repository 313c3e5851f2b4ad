//! Where one statement ends and the next one begins, as the server's own lexer sees it.

/// The statements of a text, without the semicolons and the empty ones.
pub(crate) fn statements(sql: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut start = 0;
    let mut lexer = Lexer { sql, at: 0, words: 0 };
    let mut found = false;
    // Brackets, and BEGIN ATOMIC … END of a function's body.
    let (mut brackets, mut bodies) = (0_usize, 0_usize);
    let mut creates = false;
    let mut last_word = "";
    while let Some(token) = lexer.next() {
        match token {
            Token::Semicolon if brackets == 0 && bodies == 0 => {
                if found {
                    all.push(sql[start..lexer.at - 1].trim());
                }
                (start, found, creates, last_word) = (lexer.at, false, false, "");
                lexer.words = 0;
                continue;
            }
            Token::Semicolon => {}
            Token::Open => brackets += 1,
            Token::Close => brackets = brackets.saturating_sub(1),
            Token::Word(word) => {
                creates |= lexer.words == 1 && word.eq_ignore_ascii_case("create");
                let atomic = creates && word.eq_ignore_ascii_case("atomic") && last_word.eq_ignore_ascii_case("begin");
                if atomic || (bodies > 0 && word.eq_ignore_ascii_case("case")) {
                    bodies += 1;
                } else if word.eq_ignore_ascii_case("end") {
                    bodies = bodies.saturating_sub(1);
                }
                last_word = word;
            }
            Token::Other => last_word = "",
        }
        found = true;
    }
    if found {
        all.push(sql[start..].trim());
    }
    all
}

enum Token<'s> {
    Semicolon,
    Open,
    Close,
    Word(&'s str),
    /// A string, a quoted name, a number, an operator.
    Other,
}

struct Lexer<'s> {
    sql: &'s str,
    at: usize,
    /// How many words of the statement were seen.
    words: usize,
}

impl<'s> Lexer<'s> {
    fn next(&mut self) -> Option<Token<'s>> {
        self.skip_blanks();
        let rest = &self.sql[self.at..];
        let first = rest.chars().next()?;
        let (token, len) = match first {
            ';' => (Token::Semicolon, 1),
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '\'' | '"' => (Token::Other, quoted(rest, first, false)),
            // E'it\'s': only in these is a backslash more than itself.
            'e' | 'E' if rest[1..].starts_with('\'') => (Token::Other, 1 + quoted(&rest[1..], '\'', true)),
            '$' => (Token::Other, dollar_quoted(rest).unwrap_or(1)),
            _ if first.is_alphanumeric() || first == '_' => {
                // A dollar sign in a name opens no string.
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
                self.words += 1;
                (Token::Word(&rest[..end]), end)
            }
            _ => (Token::Other, first.len_utf8()),
        };
        self.at += len;
        Some(token)
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.sql[self.at..];
            let blank = rest.len() - rest.trim_start().len();
            let rest = &rest[blank..];
            let comment = match rest {
                _ if rest.starts_with("--") => rest.find('\n').map_or(rest.len(), |end| end + 1),
                _ if rest.starts_with("/*") => block(rest),
                _ => 0,
            };
            self.at += blank + comment;
            if comment == 0 {
                return;
            }
        }
    }
}

/// The length of a block comment, which may hold others.
fn block(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut at, mut depth) = (2, 1);
    while depth > 0 {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (at, depth) = (at + 2, depth + 1),
            Some(b"*/") => (at, depth) = (at + 2, depth - 1),
            Some(_) => at += 1,
            None => return rest.len(),
        }
    }
    at
}

/// The length of a quoted text. A doubled quote is seen as the end of one and the start of the next.
fn quoted(rest: &str, quote: char, escapes: bool) -> usize {
    let mut skip = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if skip => skip = false,
            '\\' if escapes => skip = true,
            // In a text with escapes what follows a doubled quote still has them.
            _ if c == quote && escapes && rest[at + 1..].starts_with(quote) => skip = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a text in dollar quotes, if one begins here.
fn dollar_quoted(rest: &str) -> Option<usize> {
    let end = rest[1..].find('$')? + 2;
    let tag = &rest[..end];
    let name = &tag[1..end - 1];
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_numeric());
    if !is_name {
        return None;
    }
    Some(rest[end..].find(tag).map_or(rest.len(), |at| end + at + end))
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn statements_end_at_semicolons_that_are_not_text() {
        for (sql, expected) in [
            ("", &[][..]),
            (" ; -- x\n ; /* ; */", &[]),
            ("select 1", &["select 1"]),
            ("select 1; select 2;", &["select 1", "select 2"]),
            ("select ';', \"a;b\"; select 2", &["select ';', \"a;b\"", "select 2"]),
            ("select 'it''s; x'; select 2", &["select 'it''s; x'", "select 2"]),
            (r"select E'it\'s; x'; select 2", &[r"select E'it\'s; x'", "select 2"]),
            (r"select E'a''\'; x'; select 2", &[r"select E'a''\'; x'", "select 2"]),
            (r"select 'a\'; select 2", &[r"select 'a\'", "select 2"]),
            ("select $$ ; $$; select $a$ ; $$ ; $a$", &["select $$ ; $$", "select $a$ ; $$ ; $a$"]),
            ("select a$b$; select 1", &["select a$b$", "select 1"]),
            ("select $1; select $2", &["select $1", "select $2"]),
            ("select 1 -- ; x\n; select 2 /* ; /* ; */ ; */", &["select 1 -- ; x", "select 2 /* ; /* ; */ ; */"]),
            (
                "create rule r as on insert to t do (select 1; select 2); select 3",
                &["create rule r as on insert to t do (select 1; select 2)", "select 3"],
            ),
            (
                "create function f() returns int begin atomic select case when true then 1 end; select 2; end; select 3",
                &[
                    "create function f() returns int begin atomic select case when true then 1 end; select 2; end",
                    "select 3",
                ],
            ),
            ("select 'open; select 2", &["select 'open; select 2"]),
            ("select 'ä;ö'; select ü", &["select 'ä;ö'", "select ü"]),
        ] {
            assert_eq!(statements(sql), expected, "{sql}");
        }
    }
}
