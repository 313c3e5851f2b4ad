//! The tables that the cases are about. Written by hand, as the derive would write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr_core::{Cells, Column, ColumnDef, Error, Generated, Json, Result, Schema, SqlType, Syncable, Value};
use rust_decimal::Decimal;
use uuid::Uuid;

const fn column(name: &'static str, ty: SqlType) -> ColumnDef {
    ColumnDef {
        name,
        field: name,
        ty,
        nullable: false,
        generated: Generated::No,
        read_only: false,
        redact: false,
        unique: false,
        default: None,
        sql_type: None,
        stamp: None,
        fit: Ok,
    }
}

const fn nullable(column: &ColumnDef) -> ColumnDef {
    ColumnDef { nullable: true, ..*column }
}

const fn unique(column: &ColumnDef) -> ColumnDef {
    ColumnDef { unique: true, ..*column }
}

const fn generated(generated: Generated, column: &ColumnDef) -> ColumnDef {
    ColumnDef { read_only: matches!(generated, Generated::Stored(_)), generated, ..*column }
}

const fn schema(
    name: &'static str,
    table: &'static str,
    columns: &'static [ColumnDef],
    primary_key: &'static [usize],
) -> Schema {
    Schema { name, table, prefix: None, columns, primary_key, associations: &[], extra_columns: &[] }
}

/// Makes a struct of this schema. Nothing is ever read into it.
macro_rules! syncable {
    ($(#[$doc:meta])* $name:ident, $key:ty, $schema:expr, { $($constant:ident: $field:ty = $index:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        #[allow(missing_docs)] // the columns of the table
        impl $name {
            $(pub const $constant: Column<$name, $field> = Column::new($index);)*
        }

        emr_core::from_row_of_schema!($name);

        impl Syncable for $name {
            type Key = $key;

            fn schema() -> &'static Schema {
                static SCHEMA: Schema = $schema;
                &SCHEMA
            }

            fn decode(_: &mut Cells<'_>) -> Result<Self> {
                Err(Error::invalid("only rendered, never read"))
            }

            fn value(&self, column: usize) -> Value<'_> {
                Value::Null(Self::schema().columns[column].ty)
            }

            fn key_values(_: $key) -> Vec<Value<'static>> {
                Vec::new()
            }
        }
    };
}

syncable! {
    /// A key that the database counts, and a column of every type.
    Post, i64,
    schema("Post", "posts", &[
        generated(Generated::Identity, &column("id", SqlType::I64)),
        column("title", SqlType::Text),
        nullable(&column("body", SqlType::Text)),
        unique(&column("slug", SqlType::Text)),
        nullable(&unique(&column("email", SqlType::Text))),
        ColumnDef { redact: true, ..nullable(&column("secret", SqlType::Text)) },
        nullable(&column("person_id", SqlType::I64)),
        ColumnDef { default: Some("0"), ..column("views", SqlType::I64) },
        column("stars", SqlType::I16),
        column("pages", SqlType::I32),
        column("ratio", SqlType::F32),
        column("score", SqlType::F64),
        column("price", SqlType::Decimal),
        ColumnDef { sql_type: Some("numeric(10, 2)"), ..column("tax", SqlType::Decimal) },
        column("public", SqlType::Bool),
        nullable(&column("token", SqlType::Uuid)),
        column("meta", SqlType::Json),
        nullable(&column("data", SqlType::Bytes)),
        column("day", SqlType::Date),
        column("hour", SqlType::Time),
        column("local", SqlType::DateTime),
        column("created_at", SqlType::Timestamp),
        generated(Generated::Stored("views * 2"), &nullable(&column("double_views", SqlType::I64))),
    ], &[0]),
    {
        ID: i64 = 0,
        TITLE: String = 1,
        BODY: Option<String> = 2,
        SLUG: String = 3,
        EMAIL: Option<String> = 4,
        SECRET: Option<String> = 5,
        PERSON_ID: Option<i64> = 6,
        VIEWS: i64 = 7,
        STARS: i16 = 8,
        PAGES: i32 = 9,
        RATIO: f32 = 10,
        SCORE: f64 = 11,
        PRICE: Decimal = 12,
        TAX: Decimal = 13,
        PUBLIC: bool = 14,
        TOKEN: Option<Uuid> = 15,
        META: Json<Vec<i64>> = 16,
        DATA: Option<Vec<u8>> = 17,
        DAY: NaiveDate = 18,
        HOUR: NaiveTime = 19,
        LOCAL: NaiveDateTime = 20,
        CREATED_AT: DateTime<Utc> = 21,
        DOUBLE_VIEWS: Option<i64> = 22,
    }
}

syncable! {
    /// Few columns, so that a case shows what it is about.
    Note, i64,
    schema("Note", "notes", &[
        generated(Generated::Identity, &column("id", SqlType::I64)),
        column("title", SqlType::Text),
        nullable(&column("rank", SqlType::I64)),
        column("done", SqlType::Bool),
    ], &[0]),
    {
        ID: i64 = 0,
        TITLE: String = 1,
        RANK: Option<i64> = 2,
        DONE: bool = 3,
    }
}

fn new_uuid() -> Value<'static> {
    Value::Uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001))
}

syncable! {
    /// A key of two columns, one of them text.
    Membership, (String, Uuid),
    schema("Membership", "memberships", &[
        column("team", SqlType::Text),
        generated(Generated::Client(new_uuid), &column("person", SqlType::Uuid)),
        ColumnDef { default: Some("'guest'"), ..column("role", SqlType::Text) },
    ], &[0, 1]),
    {
        TEAM: String = 0,
        PERSON: Uuid = 1,
        ROLE: String = 2,
    }
}

syncable! {
    /// A counted column that is only a part of the key.
    Line, (i64, i64),
    schema("Line", "lines", &[
        column("order_id", SqlType::I64),
        generated(Generated::Identity, &column("number", SqlType::I32)),
        column("item", SqlType::Bytes),
    ], &[0, 1]),
    {
        ORDER_ID: i64 = 0,
        NUMBER: i32 = 1,
        ITEM: Vec<u8> = 2,
    }
}

syncable! {
    /// No key.
    LogEntry, (),
    schema("LogEntry", "log_entries", &[
        column("at", SqlType::Timestamp),
        column("message", SqlType::Text),
    ], &[]),
    {
        AT: DateTime<Utc> = 0,
        MESSAGE: String = 1,
    }
}

syncable! {
    /// Names that would be SQL if they were not quoted.
    Hostile, i64,
    schema("Hostile", "ta\"ble`s]; DROP TABLE [x", &[
        generated(Generated::Identity, &column("i\"d", SqlType::I64)),
        column("back`tick", SqlType::Text),
        nullable(&unique(&column("brac]ket[s]", SqlType::Text))),
        column("sélect * \u{4e2d}", SqlType::Text),
        column("'; --", SqlType::Text),
        column("a ? b $1 @P1", SqlType::I64),
    ], &[0]),
    {
        ID: i64 = 0,
        BACKTICK: String = 1,
        BRACKETS: Option<String> = 2,
        UNICODE: String = 3,
        COMMENT: String = 4,
        MARKS: i64 = 5,
    }
}

syncable! {
    /// An array, which only PostgreSQL has.
    Labelled, i64,
    schema("Labelled", "labelled", &[
        generated(Generated::Identity, &column("id", SqlType::I64)),
        column("labels", SqlType::Array(&SqlType::Text)),
    ], &[0]),
    {
        ID: i64 = 0,
        LABELS: Vec<String> = 1,
    }
}

syncable! {
    /// A table that is always in a schema of its own.
    Invoice, Uuid,
    Schema {
        prefix: Some("billing"),
        ..schema("Invoice", "invoices", &[
            generated(Generated::Client(new_uuid), &column("id", SqlType::Uuid)),
            column("total", SqlType::Decimal),
        ], &[0])
    },
    {
        ID: Uuid = 0,
        TOTAL: Decimal = 1,
    }
}

syncable! {
    /// No columns, which no table can be made of.
    Empty, (),
    schema("Empty", "empty", &[], &[]),
    {}
}
