//! How MySQL and MariaDB spell SQL.

use emr_core::{
    AggregateSql, AliasStyle, Backslashes, Capabilities, ColumnDef, Dialect, ExplainOptions, Function, Identity,
    InList, IntervalStyle, JsonStyle, Lexis, PlanFormat, SqlBuilder, SqlType, ValuesStyle,
};

use crate::capabilities::{mariadb_capabilities, mysql_capabilities};
use crate::cast::cast;
use crate::types::column_type;

/// How MySQL spells SQL, from 8.0.19 on (which has expressions as defaults, and collations that compare bytes).
#[derive(Debug, Clone, Copy, Default)]
pub struct MySqlDialect;

/// How MariaDB spells SQL, from 10.6 on.
#[derive(Debug, Clone, Copy, Default)]
pub struct MariaDbDialect;

/// Lists up to this length are bound value by value, padded so that texts repeat; longer ones of integers and UUIDs go as
/// one JSON array, which makes the server look each key up, also where reading the whole table would be faster.
const MAX_EXPANDED: usize = 1_024;

/// Lists that JSON cannot carry are padded up to this length: beyond it, padding would use up the parameters.
const MAX_PADDED: usize = 8_192;

const INTEGERS: InList =
    InList::Json { before: "SELECT j.v FROM JSON_TABLE(", after: ", '$[*]' COLUMNS (v BIGINT PATH '$')) AS j" };

/// How the lexers of both read SQL (`sql/sql_lex.cc`).
pub(crate) const LEXIS: Lexis =
    Lexis { mysql_comments: true, backslashes: Backslashes::Everywhere, backticks: true, ..Lexis::PLAIN };

/// The first words of statements that commit (MySQL's manual, "Statements That Cause an Implicit Commit").
const COMMITTING: [&str; 21] = [
    "ALTER",
    "ANALYZE",
    "CACHE",
    "CHANGE",
    "CHECK",
    "CREATE",
    "DROP",
    "FLUSH",
    "GRANT",
    "IMPORT",
    "INSTALL",
    "LOCK",
    "OPTIMIZE",
    "RENAME",
    "REPAIR",
    "RESET",
    "REVOKE",
    "STOP",
    "TRUNCATE",
    "UNINSTALL",
    "UNLOCK",
];

/// What MySQL and MariaDB have in common.
macro_rules! family {
    (uuid: $uuid:literal, uuids: $uuids:expr, uuid_text: $uuid_text:expr, json: $json:expr, collation: $collation:literal) => {
        fn quotes(&self) -> (char, char) {
            ('`', '`')
        }

        fn placeholder(&self, out: &mut SqlBuilder<'_>, _n: usize) {
            out.push("?");
        }

        fn current_schema(&self) -> &'static str {
            "database()"
        }

        fn in_list(&self, len: usize, element: SqlType) -> InList {
            match element {
                SqlType::I16 | SqlType::I32 | SqlType::I64 if len > MAX_EXPANDED => INTEGERS,
                SqlType::Uuid if len > MAX_EXPANDED => $uuids,
                // Texts out of JSON have a collation of their own and meet no column of another one
                // (error 1267).
                _ => InList::padded(len, MAX_PADDED),
            }
        }

        fn numbered_placeholders(&self) -> bool {
            false
        }

        fn alias_style(&self) -> AliasStyle {
            AliasStyle::Qualified
        }

        fn assigns_in_turn(&self) -> bool {
            true
        }

        fn integer_division(&self) -> &'static str {
            " DIV "
        }

        fn concat_operator(&self) -> Option<&'static str> {
            // Two bars mean OR.
            None
        }

        fn cast(&self, from: SqlType, to: SqlType) -> Option<(String, String)> {
            cast(from, to, $uuid_text)
        }

        fn aggregate(&self, function: &Function, of: SqlType) -> AggregateSql {
            let plain = AggregateSql::plain(function);
            match (function, of) {
                // It would be a decimal of four more digits.
                (Function::Avg, SqlType::I16 | SqlType::I32 | SqlType::I64) => {
                    AggregateSql { argument: ("", " + 0e0"), ..plain }
                }
                _ => plain,
            }
        }

        fn now(&self) -> &'static str {
            "utc_timestamp(6)"
        }

        fn interval_style(&self) -> IntervalStyle {
            IntervalStyle::DateAdd
        }

        fn json_style(&self) -> JsonStyle {
            JsonStyle::ExtractTyped
        }

        fn explain_with(&self, out: &mut SqlBuilder<'_>, options: &ExplainOptions) {
            let plain = ExplainOptions::new();
            if *options == plain {
                out.push(self.explain().unwrap_or("EXPLAIN "));
            } else if *options == plain.format(PlanFormat::Json) {
                out.push("EXPLAIN FORMAT=JSON ");
            } else if options.analyze {
                // It could not be undone for certain: DDL and tables without transactions keep what it did.
                out.unsupported("plans of statements that run");
            } else {
                out.unsupported("options of plans");
            }
        }

        fn default_row(&self) -> &'static str {
            " () VALUES ()"
        }

        fn counted_step(&self) -> &'static str {
            // Several servers that replicate each other count apart.
            "@@auto_increment_increment"
        }

        fn column_type(&self, column: &ColumnDef) -> String {
            column_type(column, column.unique, $uuid)
        }

        fn key_column_type(&self, column: &ColumnDef) -> String {
            column_type(column, true, $uuid)
        }

        fn identity(&self, sole_key: bool) -> Identity {
            // Counting needs an index that begins with the column.
            let suffix = if sole_key { " AUTO_INCREMENT" } else { " AUTO_INCREMENT UNIQUE" };
            Identity { column_type: None, suffix, declares_key: false }
        }

        fn lexis(&self) -> &'static Lexis {
            &LEXIS
        }

        fn commits_by_itself(&self, words: [&str; 4]) -> bool {
            let is = |place: usize, word: &str| words[place].eq_ignore_ascii_case(word);
            // Temporary tables are made and dropped within a transaction.
            let temporary = is(1, "TEMPORARY") || (is(1, "OR") && is(3, "TEMPORARY"));
            // MariaDB's explanation of a query that it runs.
            let explains = is(0, "ANALYZE") && !["TABLE", "LOCAL", "NO_WRITE_TO_BINLOG"].iter().any(|word| is(1, word));
            COMMITTING.iter().any(|word| is(0, word)) && !temporary && !explains
        }

        fn table_options(&self) -> &'static str {
            // MyISAM has no transactions, and latin1, which is still many a server's default, not all text. The usual
            // collations take `a` for `A` and for `a `.
            concat!(" ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=", $collation)
        }

        fn parameter_type(&self, ty: SqlType) -> Option<&'static str> {
            match ty {
                // They travel as text, which would be compared with numbers as a float.
                SqlType::Decimal => Some("DECIMAL(57,28)"),
                // They travel as a time.
                SqlType::Date => Some("DATE"),
                // A document is equal to no text.
                SqlType::Json => $json,
                _ => None,
            }
        }
    };
}

impl Dialect for MySqlDialect {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn baseline(&self) -> Capabilities {
        mysql_capabilities((8, 0, 19))
    }

    fn parameter_cast(&self, ty: SqlType) -> Option<String> {
        // It takes what is prepared for a text or a float else, and gives that back.
        match ty {
            SqlType::I16 | SqlType::I32 | SqlType::I64 => Some("SIGNED".to_owned()),
            SqlType::Uuid => Some("BINARY(16)".to_owned()),
            _ => None,
        }
    }

    fn explain(&self) -> Option<&'static str> {
        // The other forms show no plan of an update or a delete.
        Some("EXPLAIN FORMAT=TRADITIONAL ")
    }

    fn names_new_row(&self) -> bool {
        // From 8.0.19 on; the function is to go.
        true
    }

    fn values_style(&self) -> ValuesStyle {
        // ROW() is of 8.0.19.
        ValuesStyle::Union
    }

    family! {
        uuid: "binary(16)",
        uuids: InList::Json {
            before: "SELECT UUID_TO_BIN(j.v) FROM JSON_TABLE(",
            after: ", '$[*]' COLUMNS (v CHAR(36) PATH '$')) AS j",
        },
        uuid_text: ("BIN_TO_UUID(", ")"),
        json: Some("JSON"),
        collation: "utf8mb4_0900_bin"
    }
}

impl Dialect for MariaDbDialect {
    fn name(&self) -> &'static str {
        "mariadb"
    }

    fn baseline(&self) -> Capabilities {
        mariadb_capabilities((10, 6, 0))
    }

    fn share_lock(&self) -> &'static str {
        " LOCK IN SHARE MODE"
    }

    fn values_style(&self) -> ValuesStyle {
        // A derived table takes no column names here.
        ValuesStyle::Union
    }

    family! {
        uuid: "uuid",
        uuids: InList::Json {
            // JSON_TABLE has no UUID columns.
            before: "SELECT CAST(j.v AS UUID) FROM JSON_TABLE(",
            after: ", '$[*]' COLUMNS (v CHAR(36) PATH '$')) AS j",
        },
        uuid_text: ("CAST(", " AS CHAR)"),
        // It has no such type: documents are texts.
        json: None,
        collation: "utf8mb4_nopad_bin"
    }
}
