//! Where one statement ends and the next one begins.

use super::{Bodies, Lexis, Token, Tokens};

/// The statements of a text, without what is empty.
pub(super) struct Statements<'s> {
    tokens: Tokens<'s>,
}

impl<'s> Statements<'s> {
    pub(super) fn of(sql: &'s str, lexis: Lexis) -> Self {
        Statements { tokens: Tokens::of(sql, lexis) }
    }
}

impl<'s> Iterator for Statements<'s> {
    type Item = &'s str;

    fn next(&mut self) -> Option<&'s str> {
        let mut start = self.tokens.at;
        let mut body = Body::of(self.tokens.lexis.bodies);
        let mut is_empty = true;
        while let Some(token) = self.tokens.next() {
            if token == Token::Semicolon && !body.is_open() {
                if !is_empty {
                    return Some(self.tokens.sql[start..self.tokens.at - 1].trim());
                }
                start = self.tokens.at;
                continue;
            }
            is_empty = false;
            body.follow(token);
        }
        if is_empty { None } else { Some(self.tokens.sql[start..].trim()) }
    }
}

/// What has a body that holds statements.
const WITH_BODY: [&str; 7] = ["TRIGGER", "PROCEDURE", "PROC", "FUNCTION", "EVENT", "PACKAGE", "RULE"];

/// What has none, whatever words stand in it.
const WITHOUT_BODY: [&str; 15] = [
    "TABLE",
    "VIEW",
    "INDEX",
    "UNIQUE",
    "FULLTEXT",
    "SPATIAL",
    "DATABASE",
    "SCHEMA",
    "USER",
    "ROLE",
    "SERVER",
    "SEQUENCE",
    "TABLESPACE",
    "VIRTUAL",
    "TYPE",
];

/// How deep in the body of something that is created the reader is.
struct Body<'s> {
    kind: Bodies,
    words: usize,
    creates: bool,
    /// Whether what is created has a body, once that is known.
    bears: Option<bool>,
    depth: usize,
    brackets: usize,
    last: &'s str,
}

impl<'s> Body<'s> {
    fn of(kind: Bodies) -> Self {
        Body { kind, words: 0, creates: false, bears: None, depth: 0, brackets: 0, last: "" }
    }

    fn is_open(&self) -> bool {
        self.depth > 0 || self.brackets > 0
    }

    fn follow(&mut self, token: Token<'s>) {
        let last = std::mem::take(&mut self.last);
        let Token::Word(word) = token else {
            match token {
                Token::Mark('(') if self.kind == Bodies::Atomic => self.brackets += 1,
                Token::Mark(')') => self.brackets = self.brackets.saturating_sub(1),
                _ => {}
            }
            return;
        };
        self.last = word;
        self.words += 1;
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        let after = |other: &str| last.eq_ignore_ascii_case(other);
        if self.words == 1 {
            self.creates = is("CREATE");
            return;
        }
        if !self.creates {
            return;
        }
        if self.bears.is_none() {
            let with = WITH_BODY.into_iter().any(is);
            self.bears = (with || WITHOUT_BODY.into_iter().any(is)).then_some(with);
        }
        if self.bears == Some(false) {
            return;
        }
        if is("END") {
            self.depth = self.depth.saturating_sub(1);
        } else if after("END") && ["IF", "LOOP", "WHILE", "REPEAT", "FOR"].into_iter().any(is) {
            // END IF closes what opened no body.
            self.depth += 1;
        } else if match self.kind {
            Bodies::Atomic => is("ATOMIC") && after("BEGIN"),
            Bodies::Compound => is("BEGIN"),
        } || (self.depth > 0 && is("CASE") && !after("END"))
        {
            self.depth += 1;
        }
    }
}
