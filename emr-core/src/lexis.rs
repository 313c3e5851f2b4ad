//! What an engine's lexer sees in a text of SQL: where statements end, and which words they are made of.

mod control;
mod statements;

pub(crate) use control::{commits_by_itself, refuse_control};

/// How an engine's lexer reads SQL. Whoever looks into raw SQL must see what the server will see: a `COMMIT` that
/// stands in a comment for us, and for the server does not, ends somebody's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub struct Lexis {
    /// A block comment may hold others.
    pub nested_comments: bool,
    /// `#` begins a comment as well, `--` only in front of white space, and what stands in `/*! … */` is SQL.
    pub mysql_comments: bool,
    /// A carriage return ends a comment of one line, as a line feed does everywhere.
    pub return_ends_comment: bool,
    /// Which texts have a backslash in front of quotes that do not end them.
    pub backslashes: Backslashes,
    /// Backticks quote names.
    pub backticks: bool,
    /// Square brackets quote names.
    pub brackets: bool,
    /// Texts may stand in dollar quotes.
    pub dollar_quotes: bool,
    /// What keeps semicolons from ending a statement.
    pub bodies: Bodies,
}

/// Which texts a backslash means something in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backslashes {
    /// None.
    Nowhere,
    /// Those that begin with `E'`.
    Prefixed,
    /// All.
    Everywhere,
}

/// The bodies of functions and the like, which hold statements of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// `BEGIN ATOMIC … END`, and the brackets of a rule.
    Atomic,
    /// `BEGIN … END` of triggers, procedures, functions and events.
    Compound,
}

impl Lexis {
    /// What all engines agree on.
    pub const PLAIN: Lexis = Lexis {
        nested_comments: false,
        mysql_comments: false,
        return_ends_comment: false,
        backslashes: Backslashes::Nowhere,
        backticks: false,
        brackets: false,
        dollar_quotes: false,
        bodies: Bodies::Compound,
    };

    /// The statements of a text, without the semicolons and the empty ones. The body of a procedure, function, trigger
    /// or event is part of its statement.
    ///
    /// ```
    /// # use emr_core::Lexis;
    /// assert_eq!(Lexis::PLAIN.statements("select ';'; -- ;\n select 2;"), ["select ';'", "-- ;\n select 2"]);
    /// ```
    pub fn statements(self, sql: &str) -> Vec<&str> {
        statements::Statements::of(sql, self).collect()
    }

    /// Whether there is nothing in a text that the server would run.
    pub fn is_empty(self, sql: &str) -> bool {
        !Tokens::of(sql, self).any(|token| !matches!(token, Token::Semicolon))
    }

    /// Whether a statement in this text begins, ends, or undoes a part of a transaction.
    pub fn controls_transactions(self, sql: &str) -> bool {
        statements::Statements::of(sql, self).any(|statement| control::is_verb(&self.first_words(statement)))
    }

    /// The first word of a text, as it is written; empty if something else stands first.
    pub fn first_word(self, sql: &str) -> &str {
        self.first_words(sql)[0]
    }

    /// The first words of a statement, as they are written; empty where there are no more.
    fn first_words(self, statement: &str) -> [&str; 4] {
        let mut words = [""; 4];
        for (slot, token) in words.iter_mut().zip(Tokens::of(statement, self)) {
            match token {
                Token::Word(word) => *slot = word,
                _ => break,
            }
        }
        words
    }
}

/// A piece of SQL. White space and comments are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'s> {
    Word(&'s str),
    Semicolon,
    /// A text, or a name in quotes.
    Quoted,
    Mark(char),
}

/// The tokens of a text, from its start.
struct Tokens<'s> {
    sql: &'s str,
    at: usize,
    lexis: Lexis,
}

impl<'s> Tokens<'s> {
    fn of(sql: &'s str, lexis: Lexis) -> Self {
        Tokens { sql, at: 0, lexis }
    }

    fn rest(&self) -> &'s str {
        &self.sql[self.at..]
    }

    fn skip_blanks(&mut self) {
        loop {
            let len = self.lexis.blank(self.rest());
            if len == 0 {
                return;
            }
            self.at += len;
        }
    }
}

impl<'s> Iterator for Tokens<'s> {
    type Item = Token<'s>;

    fn next(&mut self) -> Option<Token<'s>> {
        self.skip_blanks();
        let rest = self.rest();
        let lexis = self.lexis;
        let first = rest.chars().next()?;
        let escapes = lexis.backslashes == Backslashes::Everywhere;
        let (token, len) = match first {
            ';' => (Token::Semicolon, 1),
            '\'' | '"' => (Token::Quoted, quoted(rest, first, escapes)),
            '`' if lexis.backticks => (Token::Quoted, quoted(rest, '`', false)),
            '[' if lexis.brackets => (Token::Quoted, rest.find(']').map_or(rest.len(), |end| end + 1)),
            'e' | 'E' if lexis.backslashes == Backslashes::Prefixed && rest[1..].starts_with('\'') => {
                (Token::Quoted, 1 + continued(&rest[1..]))
            }
            '$' if lexis.dollar_quotes && dollar_quoted(rest).is_some() => {
                (Token::Quoted, dollar_quoted(rest).unwrap_or(1))
            }
            _ if is_word(first) => {
                // A dollar sign in a name opens no text.
                let end = rest.find(|c| !is_word(c) && c != '$').unwrap_or(rest.len());
                (Token::Word(&rest[..end]), end)
            }
            _ => (Token::Mark(first), first.len_utf8()),
        };
        self.at += len;
        Some(token)
    }
}

impl Lexis {
    /// The length of the white space or the comment that begins here.
    fn blank(self, rest: &str) -> usize {
        let line = || {
            let end = |c| c == '\n' || (c == '\r' && self.return_ends_comment);
            rest.find(end).map_or(rest.len(), |at| at + 1)
        };
        let Some(first) = rest.chars().next() else { return 0 };
        match first {
            _ if is_blank(first) => first.len_utf8(),
            '#' if self.mysql_comments => line(),
            '-' if rest.starts_with("--") => {
                let blank = |c: char| c.is_ascii_whitespace() || c.is_ascii_control();
                if !self.mysql_comments || rest[2..].chars().next().is_none_or(blank) { line() } else { 0 }
            }
            '/' if rest.starts_with("/*") => {
                let inside = &rest[2..];
                let version = inside.strip_prefix("M!").or_else(|| inside.strip_prefix('!'));
                match version.filter(|_| self.mysql_comments) {
                    // The server runs what follows, if it is new enough; its end is a mark that means nothing.
                    Some(code) => rest.len() - code.trim_start_matches(|c: char| c.is_ascii_digit()).len(),
                    None => block(rest, self.nested_comments),
                }
            }
            _ => 0,
        }
    }
}

/// White space is what is so in ASCII. SQLite passes over a byte order mark too; elsewhere it stands in no valid SQL.
fn is_blank(character: char) -> bool {
    character.is_ascii_whitespace() || character == '\x0b' || character == '\u{feff}'
}

/// To every lexer all that is not ASCII is a letter.
fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '@' || !character.is_ascii()
}

/// The length of a block comment.
fn block(rest: &str, nested: bool) -> usize {
    let bytes = rest.as_bytes();
    let (mut at, mut depth) = (2, 1);
    while depth > 0 {
        match bytes.get(at..at + 2) {
            Some(b"/*") if nested => (at, depth) = (at + 2, depth + 1),
            Some(b"*/") => (at, depth) = (at + 2, depth - 1),
            Some(_) => at += 1,
            None => return rest.len(),
        }
    }
    at
}

/// The length of a quoted text. A doubled quote is the end of one and the start of the next.
fn quoted(rest: &str, quote: char, escapes: bool) -> usize {
    let mut skips = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if skips => skips = false,
            '\\' if escapes => skips = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a text with backslashes, from its quote on. It goes on after a doubled quote, and in another line.
fn continued(rest: &str) -> usize {
    let mut at = 0;
    loop {
        at += quoted(&rest[at..], '\'', true);
        let after = &rest[at..];
        let next = after.trim_start_matches(is_blank);
        let between = &after[..after.len() - next.len()];
        if !next.starts_with('\'') || !(between.is_empty() || between.contains(['\n', '\r'])) {
            return at;
        }
        at += between.len();
    }
}

/// The length of a text in dollar quotes, if one begins here.
fn dollar_quoted(rest: &str) -> Option<usize> {
    let name = rest[1..].find(|c| !is_word(c) || c == '@')? + 1;
    if !rest[name..].starts_with('$') || rest[1..name].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let tag = &rest[..=name];
    Some(rest[tag.len()..].find(tag).map_or(rest.len(), |at| at + 2 * tag.len()))
}

#[cfg(test)]
mod tests;
