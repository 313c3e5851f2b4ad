//! What the derive makes of columns.

#![allow(missing_docs)]

mod support;

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr_core::{Column, ErrorKind, Generated, Json, SqlType, Syncable, SyncableExt, Value};
use emr_macros::Syncable;
use rust_decimal::Decimal;
use uuid::Uuid;

use support::{Cellar, decoded, stored, text};

type Counter = i64;

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(crate = "::emr_core")]
struct BlogPost {
    id: Counter,
    title: String,
    person_id: Option<i64>,
}

fn column_names<T: Syncable>() -> Vec<&'static str> {
    T::schema().columns.iter().map(|column| column.name).collect()
}

#[test]
fn a_plain_struct_takes_the_defaults() {
    let schema = BlogPost::schema();

    assert_eq!(schema.name, "BlogPost");
    assert_eq!(schema.table, "blog_posts");
    assert_eq!(schema.prefix, None);
    assert_eq!(column_names::<BlogPost>(), ["id", "title", "person_id"]);
    assert_eq!(schema.primary_key, [0]);
    assert!(schema.associations.is_empty() && schema.extra_columns.is_empty());
    let types: Vec<_> = schema.columns.iter().map(|column| (column.ty, column.nullable)).collect();
    assert_eq!(types, [(SqlType::I64, false), (SqlType::Text, false), (SqlType::I64, true)]);
    for column in &schema.columns[1..] {
        assert!(matches!(column.generated, Generated::No));
        assert!(!column.read_only && !column.redact && !column.unique);
        assert!(column.default.is_none() && column.sql_type.is_none());
    }
}

#[test]
fn a_sole_integer_key_is_identity_though_its_type_is_an_alias() {
    assert!(matches!(BlogPost::schema().columns[0].generated, Generated::Identity));
}

#[test]
fn each_call_gives_the_one_schema() {
    assert_eq!(BlogPost::schema(), BlogPost::schema());
    assert_ne!(BlogPost::schema(), Everything::schema());
}

#[test]
fn constants_carry_position_and_type() {
    let title: Column<BlogPost, String> = BlogPost::TITLE;
    let person: Column<BlogPost, Option<i64>> = BlogPost::PERSON_ID;

    assert_eq!((BlogPost::ID.index(), title.index(), person.index()), (0, 1, 2));
    assert_eq!(person.def().field, "person_id");
}

#[test]
fn rows_decode_by_position() {
    let row = Cellar(vec![Value::I64(7), text("Hello"), Value::Null(SqlType::I64)]);

    let post: BlogPost = decoded(&row).unwrap();

    assert_eq!(post, BlogPost { id: 7, title: "Hello".into(), person_id: None });
}

#[test]
fn values_are_borrowed_by_column() {
    let post = BlogPost { id: 7, title: "Hello".into(), person_id: Some(3) };

    assert_eq!(post.value(0), Value::I64(7));
    assert_eq!(post.value(1), text("Hello"));
    assert_eq!(post.value(2), Value::I64(3));
    assert_eq!(post.value(3), Value::Null(SqlType::Unknown));
    let Value::Text(std::borrow::Cow::Borrowed(title)) = post.value(1) else { panic!("the text was copied") };
    assert!(std::ptr::eq(title, post.title.as_str()));
}

#[test]
fn null_where_the_field_is_no_option_names_table_and_column() {
    let row = Cellar(vec![Value::I64(7), Value::Null(SqlType::Text), Value::Null(SqlType::I64)]);

    let error = decoded::<BlogPost>(&row).unwrap_err();

    let ErrorKind::Decode { table, column, expected, found } = error.kind() else { panic!("{error}") };
    assert_eq!((table.as_str(), column.as_str(), found.as_str()), ("blog_posts", "title", "NULL"));
    assert!(expected.contains("no Option"), "{expected}");
}

#[test]
fn the_ext_trait_works_on_derived_structs() {
    let change = BlogPost::build().set(BlogPost::TITLE, "Hello").set(BlogPost::PERSON_ID, None);

    assert_eq!(change.get(BlogPost::TITLE), Some(&text("Hello")));
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(crate = "::emr_core", no_primary_key)]
struct Everything {
    id: i64,
    flag: bool,
    small: i16,
    medium: i32,
    single: f32,
    double: f64,
    text: String,
    bytes: Vec<u8>,
    uuid: Uuid,
    decimal: Decimal,
    date: NaiveDate,
    time: NaiveTime,
    naive: NaiveDateTime,
    instant: DateTime<Utc>,
    json: serde_json::Value,
    settings: Json<HashMap<String, u8>>,
    tags: Vec<String>,
    missing: Option<Decimal>,
}

#[test]
fn every_type_goes_there_and_back() {
    let all = Everything {
        id: i64::MIN,
        flag: true,
        small: i16::MIN,
        medium: i32::MAX,
        single: f32::MIN_POSITIVE,
        double: f64::MAX,
        text: "a\u{1F980}".into(),
        bytes: vec![0, 255],
        uuid: Uuid::max(),
        decimal: Decimal::MAX,
        date: NaiveDate::from_ymd_opt(9999, 12, 31).unwrap(),
        time: NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).unwrap(),
        naive: DateTime::UNIX_EPOCH.naive_utc(),
        instant: emr_core::now(),
        json: serde_json::json!({"a": [1, null]}),
        settings: Json(HashMap::from([("dark".into(), 1)])),
        tags: vec!["x".into(), String::new()],
        missing: None,
    };

    assert_eq!(decoded::<Everything>(&stored(&all)).unwrap(), all);
    let types: Vec<_> = Everything::schema().columns.iter().map(|column| column.ty).collect();
    let expected = [
        SqlType::I64,
        SqlType::Bool,
        SqlType::I16,
        SqlType::I32,
        SqlType::F32,
        SqlType::F64,
        SqlType::Text,
        SqlType::Bytes,
        SqlType::Uuid,
        SqlType::Decimal,
        SqlType::Date,
        SqlType::Time,
        SqlType::DateTime,
        SqlType::Timestamp,
        SqlType::Json,
        SqlType::Json,
        SqlType::Array(&SqlType::Text),
        SqlType::Decimal,
    ];
    assert_eq!(types, expected);
}

#[test]
fn no_primary_key_leaves_a_field_id_a_plain_column() {
    assert!(Everything::schema().primary_key.is_empty());
    assert!(matches!(Everything::schema().columns[0].generated, Generated::No));
    <Everything as Syncable>::key_values(());
}

fn next_code() -> String {
    "C-1".into()
}

#[derive(Syncable, Debug, Clone, PartialEq, Default)]
#[emr(crate = "::emr_core", table = "order items", prefix = "crm", rename_all = "camelCase")]
#[emr(extra_columns(total, "unit_price"))]
pub struct OrderItem {
    #[emr(primary_key, uuid)]
    item_id: Uuid,
    #[emr(client = next_code, unique)]
    code: String,
    #[emr(column = "price", default = "0", sql_type = "numeric(10, 2)")]
    unit_price: Decimal,
    #[emr(generated = "price * 2")]
    total: Option<Decimal>,
    #[emr(redact)]
    card_number: Option<String>,
    #[emr(read_only)]
    changed_at: Option<DateTime<Utc>>,
    r#type: i32,
}

// A skipped field may be of any type, as long as the struct can cross threads.
#[derive(Syncable, Debug, Default)]
#[emr(crate = "::emr_core", no_primary_key)]
struct WithSkipped {
    name: String,
    #[emr(skip)]
    cached: HashMap<String, std::sync::Arc<Vec<u8>>>,
}

#[test]
fn skipped_fields_are_no_columns_and_take_their_default() {
    assert_eq!(column_names::<WithSkipped>(), ["name"]);

    let row: WithSkipped = decoded(&Cellar(vec![text("a")])).unwrap();

    assert_eq!(row.name, "a");
    assert!(row.cached.is_empty());
}

#[test]
fn struct_attributes_name_table_prefix_and_columns() {
    let schema = OrderItem::schema();

    assert_eq!((schema.table, schema.prefix), ("order items", Some("crm")));
    let names = ["itemId", "code", "price", "total", "cardNumber", "changedAt", "type"];
    assert_eq!(column_names::<OrderItem>(), names);
    assert_eq!(schema.columns[6].field, "type");
    assert_eq!(OrderItem::TYPE.index(), 6);
    assert_eq!(schema.extra_columns, ["total", "price"]);
}

#[test]
fn field_attributes_reach_the_schema() {
    let [item_id, code, price, total, card, changed, _] = OrderItem::schema().columns else { panic!() };

    let Generated::Client(make) = item_id.generated else { panic!("{item_id:?}") };
    let (Value::Uuid(first), Value::Uuid(second)) = (make(), make()) else { panic!("no UUIDs") };
    assert_eq!((first.get_version_num(), second.get_version_num()), (7, 7));
    assert_ne!(first, second);
    let Generated::Client(make) = code.generated else { panic!("{code:?}") };
    assert_eq!(make(), text("C-1"));
    assert!(code.unique);
    assert_eq!((price.default, price.sql_type), (Some("0"), Some("numeric(10, 2)")));
    assert!(matches!(total.generated, Generated::Stored("price * 2")) && total.read_only);
    assert!(card.redact && card.nullable);
    assert!(changed.read_only && matches!(changed.generated, Generated::No));
}

#[test]
fn a_uuid_key_converts() {
    assert_eq!(OrderItem::key_values(Uuid::max()), [Value::Uuid(Uuid::max())]);
    assert_eq!(OrderItem::schema().primary_key, [0]);
}

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Membership {
    since: NaiveDate,
    #[emr(primary_key)]
    team: String,
    #[emr(primary_key)]
    person_id: i64,
}

#[test]
fn a_composite_key_is_a_tuple_in_declaration_order() {
    let schema = Membership::schema();
    let key: <Membership as Syncable>::Key = ("red".to_owned(), 7);

    assert_eq!(schema.primary_key, [1, 2]);
    assert_eq!(Membership::key_values(key), [text("red"), Value::I64(7)]);
    assert!(schema.columns.iter().all(|column| matches!(column.generated, Generated::No)));
}

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Country {
    #[emr(primary_key)]
    code: String,
    #[emr(identity)]
    number: i32,
}

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Imported {
    #[emr(not_identity)]
    id: i64,
}

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Sequenced {
    #[emr(default = "nextval('numbers')")]
    id: i64,
}

#[test]
fn identity_is_only_where_it_is_wanted() {
    assert!(matches!(Country::schema().columns[0].generated, Generated::No));
    assert!(matches!(Country::schema().columns[1].generated, Generated::Identity));
    assert!(matches!(Imported::schema().columns[0].generated, Generated::No));
    assert!(matches!(Sequenced::schema().columns[0].generated, Generated::No));
    assert_eq!(Country::key_values("DE".into()), [text("DE")]);
}

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Log {
    line: String,
}

#[test]
fn without_an_id_there_is_no_key() {
    assert!(Log::schema().primary_key.is_empty());
    assert!(Log::key_values(()).is_empty());
}

mod other {
    #![deny(missing_docs, warnings, clippy::all, clippy::pedantic)]
    #![allow(unreachable_pub)]

    //! Generated code passes the strictest lints and stands beside names of the prelude.

    use emr_macros::Syncable;

    #[allow(dead_code)]
    struct Ok;
    #[allow(dead_code)]
    struct Some;
    #[allow(dead_code)]
    struct Vec;
    #[allow(dead_code)]
    struct Default;
    #[allow(dead_code)]
    struct Result;

    /// A row.
    #[derive(Syncable)]
    #[emr(crate = "::emr_core", table = "lines")]
    pub struct Line {
        /// Key.
        pub id: i64,
        /// Private.
        hidden: std::string::String,
    }

    /// The row's state.
    #[derive(Syncable)]
    #[emr(crate = "::emr_core", integer = "i16")]
    pub enum State {
        /// On.
        On,
    }

    pub(super) fn hidden(line: &Line) -> &str {
        &line.hidden
    }
}

#[test]
fn generated_code_is_clean_where_names_are_shadowed() {
    let line: other::Line = decoded(&Cellar(vec![Value::I64(1), text("x")])).unwrap();

    assert_eq!((line.id, other::hidden(&line)), (1, "x"));
    assert_eq!(other::Line::ID.index(), 0);
}
