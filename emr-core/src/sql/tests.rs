use super::*;
use crate::dialect::{Identity, InList};
use crate::schema::{ColumnDef, Generated};
use crate::value::SqlType;

/// Writes its parameters in one way or the other, and agrees with the other one on all the rest.
struct Plain {
    name: &'static str,
    mark: char,
}

const NUMBERED: Plain = Plain { name: "numbered", mark: '$' };
const MARKED: Plain = Plain { name: "marked", mark: ':' };

impl Dialect for Plain {
    fn name(&self) -> &'static str {
        self.name
    }

    fn baseline(&self) -> Capabilities {
        let mut capabilities = Capabilities::minimal("Plain 1", (1, 0, 0));
        capabilities.max_parameters = 3;
        capabilities
    }

    fn placeholder(&self, out: &mut SqlBuilder<'_>, n: usize) {
        out.push(self.mark.encode_utf8(&mut [0; 4])).push_number(n as u64);
    }

    fn in_list(&self, len: usize, _: SqlType) -> InList {
        InList::Expand(len)
    }

    fn column_type(&self, _: &ColumnDef) -> String {
        "text".to_owned()
    }

    fn identity(&self, _: bool) -> Identity {
        Identity { column_type: None, suffix: "", declares_key: false }
    }
}

static ONE: Schema = schema("One");
static OTHER: Schema = schema("Other");

const fn schema(name: &'static str) -> Schema {
    const COLUMNS: &[ColumnDef] = &[ColumnDef {
        name: "secret",
        field: "secret",
        ty: SqlType::Text,
        nullable: false,
        generated: Generated::No,
        read_only: false,
        redact: true,
        unique: false,
        default: None,
        sql_type: None,
        stamp: None,
        fit: Ok,
    }];
    Schema {
        name,
        table: "same_table",
        prefix: None,
        columns: COLUMNS,
        primary_key: &[],
        associations: &[],
        extra_columns: &[],
    }
}

fn build_with(dialect: &Plain, render: impl for<'q> Fn(&mut SqlBuilder<'q>)) -> Result<Sql, Error> {
    SqlBuilder::build(dialect, &dialect.baseline(), render).map(|(sql, _)| sql)
}

fn build(render: impl for<'q> Fn(&mut SqlBuilder<'q>)) -> Result<Sql, Error> {
    build_with(&NUMBERED, render)
}

#[test]
fn the_second_time_the_text_is_the_one_that_was_made() {
    let render = |out: &mut SqlBuilder<'_>| {
        out.push("SELECT ").push_number(4711).push(" WHERE a = ").bind(Value::I64(1), None);
    };
    let (first, second) = (build(render).unwrap(), build(render).unwrap());
    assert_eq!(first.text(), "SELECT 4711 WHERE a = $1");
    assert!(Arc::ptr_eq(&first.0, &second.0));
}

#[test]
fn values_stand_in_the_order_of_their_marks_on_both_ways() {
    let capabilities = NUMBERED.baseline();
    for _ in 0..2 {
        let (sql, params) = SqlBuilder::build(&NUMBERED, &capabilities, |out| {
            out.push("order ").bind(Value::I64(7), None).push(", ").bind(Value::I64(8), None);
        })
        .unwrap();
        assert_eq!(sql.text(), "order $1, $2");
        assert_eq!(params[..], [Value::I64(7), Value::I64(8)]);
    }
}

#[test]
fn another_value_of_the_same_shape_is_the_same_statement() {
    let of = |value: i64| {
        build(move |out| {
            out.push("shape ").bind(Value::I64(value), None);
        })
        .unwrap()
    };
    assert_eq!(of(1).key(), of(2).key());
}

#[test]
fn another_number_in_the_text_is_another_statement() {
    let limit = |rows: u64| {
        build(move |out| {
            out.push("limit ").push_number(rows);
        })
        .unwrap()
    };
    assert_eq!((limit(1).text(), limit(2).text()), ("limit 1", "limit 2"));
    assert_ne!(limit(1).key(), limit(2).key());
}

#[test]
fn a_mark_is_no_text_that_looks_like_it() {
    let marked = build(|out| {
        out.push("mark ").bind(Value::I64(1), None);
    });
    let written = build(|out| {
        out.push("mark $1");
    });
    let (marked, written) = (marked.unwrap(), written.unwrap());
    assert_eq!(marked.text(), written.text());
    assert_ne!(marked.key(), written.key());
}

#[test]
fn dialects_that_differ_in_their_marks_alone_share_no_statement() {
    let render = |out: &mut SqlBuilder<'_>| {
        out.push("marks ").bind(Value::I64(1), None);
    };
    assert_eq!(build_with(&NUMBERED, render).unwrap().text(), "marks $1");
    assert_eq!(build_with(&MARKED, render).unwrap().text(), "marks :1");
}

#[test]
fn two_structs_on_one_table_share_no_statement() {
    let of = |schema: &'static Schema| {
        build(move |out| {
            out.push("struct ").bind(Value::I64(1), Some((schema, 0)));
        })
        .unwrap()
    };
    assert_eq!(of(&ONE).text(), of(&OTHER).text());
    assert_ne!(of(&ONE).key(), of(&OTHER).key());
    assert_eq!(of(&OTHER).context(0), Some((&OTHER, 0)));
}

#[test]
fn what_follows_from_a_schema_is_told_apart_by_schema_and_tag() {
    let of = |tag: &'static str, schema: &'static Schema| {
        build(move |out| {
            out.push("part ");
            out.of_schema(tag, schema, |out| {
                out.push(tag);
            });
        })
        .unwrap()
    };
    assert_eq!((of("a", &ONE).text(), of("b", &ONE).text()), ("part a", "part b"));
    assert_eq!(of("a", &ONE).key(), of("a", &ONE).key());
    assert_ne!(of("a", &ONE).key(), of("a", &OTHER).key());
}

#[test]
fn a_problem_that_only_the_text_shows_is_found() {
    for _ in 0..2 {
        let refused = build(|out| {
            out.of_schema("bad", &ONE, |out| {
                out.ident("");
            });
        });
        assert!(refused.unwrap_err().to_string().contains("no identifier"));
    }
}

#[test]
fn quotes_in_identifiers_are_doubled() {
    let name = |name: &'static str| build(move |out| _ = out.ident(name)).unwrap().text().to_owned();
    assert_eq!(name("plain"), r#""plain""#);
    assert_eq!(name(r#"""#), r#""""""#);
    assert_eq!(name(r#""a""b"#), r#""""a""""b""#);
    assert_eq!(name("söme; --\u{1f980}"), "\"söme; --\u{1f980}\"");
}

#[test]
fn an_empty_identifier_and_one_with_nul_are_refused() {
    for name in ["", "a\0b"] {
        let refused = build(move |out| _ = out.ident(name)).unwrap_err();
        assert!(refused.to_string().contains(&format!("{name:?} is no identifier")), "{refused}");
    }
}

#[test]
fn more_parameters_than_the_server_takes_are_refused() {
    let with = |count: usize| {
        build(move |out| {
            for _ in 0..count {
                out.bind(Value::Bool(true), None);
            }
        })
    };
    assert_eq!(with(3).unwrap().text(), "$1$2$3");
    assert_eq!(with(4).unwrap_err().to_string(), "the statement has 4 parameters; Plain 1 takes 3");
}

#[test]
fn the_first_problem_is_the_one_that_is_told() {
    let refused = build(|out| {
        out.unsupported("flying");
        out.fail(Error::invalid("second"));
    });
    assert_eq!(refused.unwrap_err().to_string(), "Plain 1 does not support flying");
}

#[test]
fn raw_statements_are_equal_when_their_texts_are() {
    assert_eq!(Sql::raw("select 1").key(), Sql::raw("select 1").key());
    assert_ne!(Sql::raw("select 1").key(), Sql::raw("select 2").key());
    assert!(Sql::raw("select 1").is_cacheable() && !Sql::once("select 1").is_cacheable());
}

#[test]
fn an_encode_error_names_the_column_and_hides_what_is_redacted() {
    let sql = build(|out| {
        out.push("encode ").bind(Value::I64(1), Some((&ONE, 0))).bind(Value::I64(1), None);
    })
    .unwrap();
    let redacted = sql.encode_error(0, "text", &Value::I64(4711)).to_string();
    assert_eq!(redacted, "cannot write same_table.secret: expected text, found a redacted value");
    let bare = sql.encode_error(1, "text", &Value::I64(4711)).to_string();
    assert_eq!(bare, "cannot write parameter 2: expected text, found i64 4711");
}
