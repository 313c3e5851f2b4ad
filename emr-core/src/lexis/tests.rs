use super::{Backslashes, Bodies, Lexis};

const POSTGRES: Lexis = Lexis {
    nested_comments: true,
    return_ends_comment: true,
    backslashes: Backslashes::Prefixed,
    dollar_quotes: true,
    bodies: Bodies::Atomic,
    ..Lexis::PLAIN
};

const MYSQL: Lexis =
    Lexis { mysql_comments: true, backslashes: Backslashes::Everywhere, backticks: true, ..Lexis::PLAIN };

const SQLITE: Lexis = Lexis { backticks: true, brackets: true, ..Lexis::PLAIN };

const ALL: [Lexis; 4] = [Lexis::PLAIN, POSTGRES, MYSQL, SQLITE];

#[test]
fn semicolons_end_statements_outside_of_texts_and_comments() {
    for (sql, expected) in [
        ("", &[][..]),
        (" ; -- x\n ; /* ; */", &[]),
        ("select 1", &["select 1"]),
        ("select 1; select 2;", &["select 1", "select 2"]),
        ("select ';', \"a;b\"; select 2", &["select ';', \"a;b\"", "select 2"]),
        ("select 'it''s; x'; select 2", &["select 'it''s; x'", "select 2"]),
        ("select 1 -- ; x\n; select 2 /* ; */", &["select 1 -- ; x", "select 2 /* ; */"]),
        ("select 'open; select 2", &["select 'open; select 2"]),
        ("select 'ä;ö'; select ü", &["select 'ä;ö'", "select ü"]),
        ("/*/ ; */ select 1; select 2", &["/*/ ; */ select 1", "select 2"]),
        ("select 1 /* open; select 2", &["select 1 /* open; select 2"]),
        ("\u{feff}select 1;\u{feff}", &["\u{feff}select 1"]),
    ] {
        for lexis in ALL {
            assert_eq!(lexis.statements(sql), expected, "{sql} {lexis:?}");
        }
    }
}

#[test]
fn each_engine_reads_in_its_own_way() {
    for (lexis, sql, expected) in [
        (POSTGRES, r"select E'it\'s; x'; select 2", &[r"select E'it\'s; x'", "select 2"][..]),
        (POSTGRES, r"select E'a''\'; x'; select 2", &[r"select E'a''\'; x'", "select 2"]),
        (POSTGRES, "select E'a'\n '\\'; x'; select 2", &["select E'a'\n '\\'; x'", "select 2"]),
        (POSTGRES, r"select 'a\'; select 2", &[r"select 'a\'", "select 2"]),
        (POSTGRES, r"select name'a\'; select 2", &[r"select name'a\'", "select 2"]),
        (POSTGRES, "select $$ ; $$; select $a$ ; $$ ; $a$", &["select $$ ; $$", "select $a$ ; $$ ; $a$"]),
        (POSTGRES, "select a$b$; select 1", &["select a$b$", "select 1"]),
        (POSTGRES, "select $1; select $2", &["select $1", "select $2"]),
        (POSTGRES, "select $ä$;$ä$; select 2", &["select $ä$;$ä$", "select 2"]),
        (POSTGRES, "select 2 /* ; /* ; */ ; */; select 3", &["select 2 /* ; /* ; */ ; */", "select 3"]),
        (POSTGRES, "select 1 -- ;\r; select 2", &["select 1 -- ;", "select 2"]),
        (MYSQL, r#"select 'a\'; ', "\";"; select 2"#, &[r#"select 'a\'; ', "\";""#, "select 2"]),
        (MYSQL, "select `;`, 1 # ;\n; select 2", &["select `;`, 1 # ;", "select 2"]),
        (MYSQL, "select 5--1; select 2", &["select 5--1", "select 2"]),
        (MYSQL, "select 1 /* /* ; */; select 2", &["select 1 /* /* ; */", "select 2"]),
        (MYSQL, "select 1 -- ;\r; select 2", &["select 1 -- ;\r; select 2"]),
        (MYSQL, "select 1 --\u{a0}1; select 2", &["select 1 --\u{a0}1", "select 2"]),
        (SQLITE, "select [a'b;]; select `'`", &["select [a'b;]", "select `'`"]),
        (SQLITE, "select $x$; select $x$", &["select $x$", "select $x$"]),
    ] {
        assert_eq!(lexis.statements(sql), expected, "{sql}");
    }
    assert!(MYSQL.is_empty("  -- nothing\n# at all") && MYSQL.is_empty("") && !MYSQL.is_empty("-- some\nthing"));
}

#[test]
fn bodies_are_part_of_their_statements() {
    let trigger = "create trigger t before insert on a for each row begin if new.n > 1 then set new.n = 1; end if; \
                   set new.m = case when 1 then 2 end; end";
    let plain = "create trigger t before insert on a for each row set new.n = 1";
    let function = "create function f() returns int begin atomic select case when true then 1 end; select 2; end";
    let rule = "create rule r as on insert to t do (select 1; select 2)";
    let sqlite = "create temp trigger t after insert on a begin select case when 1 then 2 end; delete from c; end";
    for (lexis, statement) in
        [(MYSQL, trigger), (MYSQL, plain), (POSTGRES, function), (POSTGRES, rule), (SQLITE, sqlite)]
    {
        assert_eq!(lexis.statements(&format!("{statement}; select 1")), [statement, "select 1"]);
    }
    for lexis in [MYSQL, SQLITE] {
        // No keyword here, but a name.
        assert_eq!(
            lexis.statements("create table begin (a int); select 1"),
            ["create table begin (a int)", "select 1"]
        );
    }
}

#[test]
fn what_controls_transactions_is_found_however_it_is_written() {
    for sql in [
        "begin",
        " BEGIN;",
        "-- hi\nCommit",
        "/* a */ rollback",
        "savepoint x",
        "START TRANSACTION",
        ";end",
        "select 1; /* ; */ commit",
        "-- a; b\nCOMMIT",
        "select ';'; rollback",
        "prepare transaction 'x'",
        "create table t (n int); commit",
        "ROLLBACK to a",
        "XA START 'x'",
        "\u{feff}end",
    ] {
        assert!(ALL.iter().all(|lexis| lexis.controls_transactions(sql)), "{sql}");
    }
    assert!(POSTGRES.controls_transactions("/* a /* b */ c */ rollback; select $x$ ; $x$"));
    assert!(SQLITE.controls_transactions("create trigger t after insert on a begin select 1; end; commit"));
}

#[test]
fn other_sql_passes_whatever_words_are_in_it() {
    for sql in [
        "",
        "select 1",
        "beginning",
        "-- begin",
        "endpoint()",
        "insert into t values ('a; commit')",
        "insert into t values ('it''s; commit')",
        "select \"; commit\" from t",
        "prepare p as select 1",
        "select 1 /* unended ; commit",
        "select 'unended ; commit",
        "rollback prepared 'x'",
        "start replica",
        "xa recover",
        "set transaction read only",
    ] {
        assert!(!ALL.iter().any(|lexis| lexis.controls_transactions(sql)), "{sql}");
    }
    for (lexis, sql) in [
        (MYSQL, "select `; commit`"),
        (SQLITE, "create trigger t after insert on a begin update b set n = 1; delete from c; end; select 1"),
        (SQLITE, "create trigger t after insert on a begin select case when 1 then 2 end; end"),
        (POSTGRES, "create function f() returns int language plpgsql as $$ begin return 1; end $$"),
        (POSTGRES, "create function f() returns int as 'begin; end' language sql"),
        (POSTGRES, "create function f() returns int begin atomic select 1; end"),
    ] {
        assert!(!lexis.controls_transactions(sql), "{sql}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_lexer_panic_and_nothing_is_lost(
        sql in "([a-zE ;'\"`$\\\\/*#\\-\\[\\]()\n\r]|begin|end|create|atomic|\\$a\\$|/\\*!|\\PC){0,60}",
    ) {
        for lexis in ALL {
            let statements = lexis.statements(&sql);
            proptest::prop_assert_eq!(statements.is_empty(), lexis.is_empty(&sql));
            let mut rest = &sql[..];
            for statement in &statements {
                let at = rest.find(statement);
                proptest::prop_assert!(at.is_some());
                rest = &rest[at.unwrap_or(0) + statement.len()..];
            }
            proptest::prop_assert!(lexis.is_empty(rest), "{rest:?}");
            // A statement on its own is one.
            for statement in statements {
                proptest::prop_assert_eq!(lexis.statements(statement), [statement]);
            }
        }
    }
}
