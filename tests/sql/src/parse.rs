//! Whether a text is SQL.

use sqlparser::parser::Parser;

use crate::engines::Engine;

/// Correct SQL of an engine that `sqlparser` does not know, with what stands for it while the rest of the
/// statement is checked.
struct Gap {
    engine: &'static str,
    text: &'static str,
    stand_in: &'static str,
}

const fn gap(engine: &'static str, text: &'static str, stand_in: &'static str) -> Gap {
    Gap { engine, text, stand_in }
}

const GAPS: &[Gap] = &[
    // PostgreSQL's two locks that let foreign keys pass.
    gap("postgres", " FOR NO KEY UPDATE", " FOR UPDATE"),
    gap("postgres", " FOR KEY SHARE", " FOR SHARE"),
    // Known to the parser for PostgreSQL alone.
    gap("sqlite", " AS MATERIALIZED (", " AS ("),
    // Known to the parser for PostgreSQL and Oracle.
    gap("sqlite", " AS t0 (", " ("),
    // Partial indexes as targets of conflicts.
    gap("sqlite", " WHERE \"rank\" = 3 AND \"title\" <> 'it''s' DO", " DO"),
    gap("postgres", " WHERE \"rank\" = 3 AND \"title\" <> 'it''s' DO", " DO"),
    // T-SQL wants the hint of MERGE before the alias, that of SELECT stands behind it.
    gap("mssql", " WITH (HOLDLOCK) AS t0", " AS t0 WITH (HOLDLOCK)"),
    // DELETE has an OUTPUT as INSERT and UPDATE have it.
    gap(
        "mssql",
        "DELETE t0 OUTPUT DELETED.[id], DELETED.[title], DELETED.[rank], DELETED.[done] \
         INTO @out ([id], [title], [rank], [done]) FROM",
        "DELETE t0 FROM",
    ),
    // Both engines have these words; MySQL calls them the old ones, MariaDB has no others.
    gap("mariadb", " LOCK IN SHARE MODE", " FOR SHARE"),
    // T-SQL takes expressions there, the parser only literals.
    gap("mssql", "FETCH NEXT @P2", "FETCH NEXT 2"),
    // The parser knows DEFAULT VALUES, but not behind OUTPUT.
    gap("mssql", ") DEFAULT VALUES;", ") VALUES (DEFAULT);"),
    // Computed columns have no type in T-SQL.
    gap("mssql", "AS (views * 2) PERSISTED", "bigint"),
    // Indexes in CREATE TABLE may be unique and filtered in T-SQL.
    gap("mssql", " UNIQUE ([email]) WHERE [email] IS NOT NULL", " ([email])"),
    gap("mssql", " UNIQUE ([brac]]ket[s]]]) WHERE [brac]]ket[s]]] IS NOT NULL", " ([brackets])"),
];

/// Checks that the text is SQL in the engine's grammar, but for known gaps of the parser.
///
/// # Panics
/// If it is not, or if a gap is one no more.
pub(crate) fn check(engine: &Engine, case: &str, text: &str) {
    let name = engine.dialect.name();
    let mut known = text.to_owned();
    for gap in GAPS.iter().filter(|gap| gap.engine == name && text.contains(gap.text)) {
        known = known.replace(gap.text, gap.stand_in);
    }
    assert!(
        known == text || Parser::parse_sql(&*engine.grammar, text).is_err(),
        "sqlparser knows all of {case} in {name} by now: take its gap off the list\n{text}"
    );
    if let Err(error) = Parser::parse_sql(&*engine.grammar, &known) {
        panic!("{case} is no SQL to {name}: {error}\n{text}");
    }
}
