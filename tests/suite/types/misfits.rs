//! Values that do not fit: each an error that names table, column, what was expected and what was found.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use emr::Error;
use emr::prelude::*;
use futures_util::StreamExt;
use rust_decimal::Decimal;

use super::schemas::{Every, Level, Mood, Settings, assert_exact};
use super::values::plain;
use crate::harness::{Backend, Db};

db_cases![
    a_number_too_large_for_its_column,
    a_number_too_large_for_its_field,
    a_text_where_a_number_is_wanted,
    a_number_where_a_text_is_wanted,
    a_decimal_with_too_many_digits,
    a_text_longer_than_its_column,
    a_text_with_nul,
    times_finer_than_a_microsecond,
    days_out_of_range,
    nan_and_the_sign_of_zero,
    a_variant_that_the_enum_has_not,
    json_of_another_form,
    a_value_that_is_no_json,
];

/// Table, column, expected and found of a refused value.
#[track_caller]
fn encode(error: &Error) -> [&str; 4] {
    let ErrorKind::Encode { table, column, expected, found } = error.kind() else { panic!("{error:?}") };
    let text = error.to_string();
    assert!([table, column, expected, found].iter().all(|part| text.contains(part.as_str())), "{text}");
    [table, column, expected, found]
}

/// Table, column, expected and found of a cell that does not fit.
#[track_caller]
fn decode(error: &Error) -> [&str; 4] {
    let ErrorKind::Decode { table, column, expected, found } = error.kind() else { panic!("{error:?}") };
    let text = error.to_string();
    assert!([table, column, expected, found].iter().all(|part| text.contains(part.as_str())), "{text}");
    [table, column, expected, found]
}

/// Every call that writes refuses the row, and none of them writes anything.
async fn refused_by_every_write(repo: &impl Repo, row: &Every) -> Vec<Error> {
    let before = repo.insert(plain(1)).await.unwrap();
    // All rows but the last one fit.
    let many = |len: i64| {
        let last = Every { id: len + 1, ..row.clone() };
        (2..=len).map(plain).chain([last]).collect::<Vec<_>>()
    };
    let errors = vec![
        repo.insert(Every { id: 2, ..row.clone() }).await.unwrap_err(),
        repo.insert(row.set_all(Every::build())).await.unwrap_err(),
        repo.update(row.set_all(before.change())).await.unwrap_err(),
        repo.insert_all(many(3)).await.unwrap_err(),
        repo.insert_all_returning(many(3)).await.unwrap_err(),
        repo.insert_all(many(2_500)).await.unwrap_err(),
    ];
    assert_exact(&repo.all(Every::query()).await.unwrap(), &vec![plain(1)]);
    repo.delete(&before).await.unwrap();
    errors
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "things")]
struct Thing {
    id: i64,
    value: i64,
}

async fn a_number_too_large_for_its_column(db: &Db) {
    db.repo.script("create table things (id bigint primary key, value integer not null)").await.unwrap();
    let thing = Thing { id: 1, value: 1 << 31 };
    if db.backend == Backend::Sqlite {
        // Whatever its name, an integer column holds 64 bits.
        assert_eq!(db.repo.insert(thing.clone()).await.unwrap(), thing);
        return;
    }
    let errors = [
        db.repo.insert(thing.clone()).await.unwrap_err(),
        db.repo.insert_all(vec![thing.clone(); 3]).await.unwrap_err(),
        db.repo.insert_all(vec![thing.clone(); 2_500]).await.unwrap_err(),
        db.repo.update(Thing { id: 1, value: 1 }.into_change().set(Thing::VALUE, 1_i64 << 31)).await.unwrap_err(),
        match db.repo.all(Thing::query().filter(Thing::VALUE.eq(1_i64 << 31))).await {
            Err(error) => error,
            Ok(found) => Error::invalid(format!("{} rows", found.len())),
        },
    ];
    if db.backend.is_mysql_family() {
        // The server refuses it, and a comparison is no write.
        let [writes @ .., _] = &errors[..] else { panic!("{errors:?}") };
        for error in writes {
            let refused = matches!(error.kind(), ErrorKind::Database { code, .. } if code == "1264");
            assert!(refused || error.is_stale(), "{error:?}");
        }
        return;
    }
    for error in errors {
        let expected = "integer (-2147483648 to 2147483647)";
        assert_eq!(encode(&error), ["things", "value", expected, "i64 2147483648"]);
    }
}

async fn a_number_too_large_for_its_field(db: &Db) {
    #[derive(Syncable, Debug)]
    #[emr(table = "things")]
    struct Small {
        #[allow(dead_code)]
        id: i64,
        #[allow(dead_code)]
        value: i32,
    }
    db.repo.create_table::<Thing>().await.unwrap();
    db.repo.insert(Thing { id: 1, value: 1 << 31 }).await.unwrap();
    let found = match db.backend {
        Backend::Sqlite => "i64 2147483648",
        Backend::Postgres => "int8",
        Backend::Mariadb | Backend::Mysql => "bigint 2147483648",
    };
    let errors = [
        db.repo.fetch::<Small>(1).await.unwrap_err(),
        db.repo.all(Small::query()).await.unwrap_err(),
        db.repo.query_as::<Small>("select * from things", &[]).await.unwrap_err(),
        db.repo.stream(Small::query()).next().await.unwrap().unwrap_err(),
    ];
    for error in &errors {
        assert_eq!(decode(error), ["things", "value", "i32", found]);
    }
    let result = db.repo.query("select * from things", &[]).await.unwrap();
    assert_eq!(decode(&result.get::<i32>(0, "value").unwrap_err()), ["result", "value", "i32", "i64 2147483648"]);
    assert_eq!(decode(&result.load::<Small>().unwrap_err()), ["things", "value", "i32", "i64 2147483648"]);
}

async fn a_text_where_a_number_is_wanted(db: &Db) {
    db.repo.script("create table things (id bigint primary key, value text not null)").await.unwrap();
    db.repo.query("insert into things values (1, 'many')", &[]).await.unwrap();
    let found = match db.backend {
        Backend::Sqlite => "text \"many\"",
        Backend::Postgres | Backend::Mariadb | Backend::Mysql => "text",
    };
    assert_eq!(decode(&db.repo.fetch::<Thing>(1).await.unwrap_err()), ["things", "value", "i64", found]);
    if db.backend == Backend::Postgres {
        let error = db.repo.insert(Thing { id: 2, value: 7 }).await.unwrap_err();
        assert_eq!(encode(&error), ["things", "value", "text (text)", "i64 7"]);
    }
}

async fn a_number_where_a_text_is_wanted(db: &Db) {
    #[derive(Syncable, Debug)]
    #[emr(table = "things")]
    struct Text {
        id: i64,
        value: String,
    }
    db.repo.create_table::<Thing>().await.unwrap();
    db.repo.insert(Thing { id: 1, value: 5 }).await.unwrap();
    let found = match db.backend {
        Backend::Sqlite => "i64 5",
        Backend::Postgres => "int8",
        Backend::Mariadb | Backend::Mysql => "bigint 5",
    };
    assert_eq!(decode(&db.repo.fetch::<Text>(1).await.unwrap_err()), ["things", "value", "text", found]);
    if db.backend == Backend::Postgres {
        let error = db.repo.insert(Text { id: 2, value: "x".into() }).await.unwrap_err();
        assert_eq!(encode(&error), ["things", "value", "bigint (64 bits)", "text \"x\""]);
    }
}

async fn a_decimal_with_too_many_digits(db: &Db) {
    #[derive(Syncable, Debug)]
    #[emr(table = "prices")]
    struct Price {
        #[allow(dead_code)]
        id: i64,
        #[allow(dead_code)]
        value: Decimal,
    }
    if db.backend.is_mysql_family() {
        db.repo.script("create table prices (id bigint primary key, value decimal(65,0))").await.unwrap();
    } else {
        db.repo.create_table::<Price>().await.unwrap();
    }
    let found = match db.backend {
        Backend::Sqlite => "text \"123456789012345678901234567890\"",
        Backend::Postgres => "a numeric that is no number or has too many digits",
        Backend::Mariadb | Backend::Mysql => "a decimal that has too many digits",
    };
    db.repo.query("insert into prices values (1, '123456789012345678901234567890')", &[]).await.unwrap();
    assert_eq!(decode(&db.repo.fetch::<Price>(1).await.unwrap_err()), ["prices", "value", "decimal", found]);
}

async fn a_text_longer_than_its_column(db: &Db) {
    #[derive(Syncable, Debug, PartialEq)]
    #[emr(table = "codes")]
    struct Code {
        id: i64,
        #[emr(sql_type = "varchar(3)")]
        code: String,
    }
    db.repo.create_table::<Code>().await.unwrap();
    let stored = db.repo.insert(Code { id: 1, code: "four".into() }).await;
    match db.backend {
        // The engine reads the length and does not heed it.
        Backend::Sqlite => assert_eq!(stored.unwrap().code, "four"),
        Backend::Mariadb | Backend::Mysql => {
            let error = stored.unwrap_err();
            let ErrorKind::Database { code, message } = error.kind() else { panic!("{error:?}") };
            assert_eq!(code, "1406");
            assert!(message.contains("'code'"), "{message}");
        }
        Backend::Postgres => {
            let error = stored.unwrap_err();
            let ErrorKind::Database { code, message } = error.kind() else { panic!("{error:?}") };
            assert_eq!(code, "22001");
            assert!(message.contains("varying(3)"), "{message}");
        }
    }
}

async fn a_text_with_nul(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    let row = Every { text: "a\0b".into(), ..plain(2) };
    if db.backend != Backend::Postgres {
        assert_exact(&db.repo.insert(row.clone()).await.unwrap(), &row);
        assert_exact(&db.repo.get_by::<Every>(Every::TEXT.eq("a\0b")).await.unwrap().unwrap(), &row);
        return;
    }
    for error in refused_by_every_write(&db.repo, &row).await {
        let refused = encode(&error);
        assert_eq!(refused, ["every_type", "text", "text without NUL characters", "text \"a\\0b\""]);
    }
    // Inside a document the server refuses it.
    let row = Every { json: "a\0b".into(), ..plain(2) };
    for error in refused_by_every_write(&db.repo, &row).await {
        assert!(matches!(error.kind(), ErrorKind::Database { code, .. } if code == "22P05"), "{error:?}");
    }
}

async fn times_finer_than_a_microsecond(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    let moment = plain(1).moment;
    let nano = moment + TimeDelta::nanoseconds(1);
    let leap = moment.date().and_time(NaiveTime::from_hms_micro_opt(23, 59, 59, 1_000_000).expect("a leap second"));
    for at in [nano, leap] {
        let rows = [
            ("clock", Every { clock: at.time(), ..plain(2) }),
            ("moment", Every { moment: at, ..plain(2) }),
            ("instant", Every { instant: at.and_utc(), ..plain(2) }),
        ];
        for (name, row) in rows {
            for error in refused_by_every_write(&db.repo, &row).await {
                let [table, column, expected, _] = encode(&error);
                assert_eq!((table, column), ("every_type", name));
                assert!(expected.contains("microsecond") || expected.contains("leap second"), "{expected}");
            }
        }
        let error = db.repo.count(Every::query().filter(Every::INSTANT.lt(at.and_utc()))).await.unwrap_err();
        assert_eq!(encode(&error)[..2], ["every_type", "instant"]);
        let error = db.repo.count(Every::query().filter(Every::CLOCK.in_list([at.time()]))).await.unwrap_err();
        assert_eq!(encode(&error)[..2], ["every_type", "clock"]);
        let error = db.repo.query(&db.backend.sql("select $1"), &[&at.and_utc()]).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Encode { column, .. } if column == "parameter 1"), "{error:?}");
    }
}

async fn days_out_of_range(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    let (first, last) = super::values::days(db.backend);
    let mut days = vec![first.pred_opt().expect("a day"), NaiveDate::MIN];
    days.extend(last.succ_opt());
    for day in days {
        let at: NaiveDateTime = day.and_time(NaiveTime::MIN);
        let rows = [
            ("day", Every { day, ..plain(2) }),
            ("moment", Every { moment: at, ..plain(2) }),
            ("instant", Every { instant: at.and_utc(), ..plain(2) }),
        ];
        for (name, row) in rows {
            for error in refused_by_every_write(&db.repo, &row).await {
                let [table, column, expected, _] = encode(&error);
                assert_eq!((table, column), ("every_type", name));
                assert!(expected.contains("a date from"), "{expected}");
            }
        }
    }
}

async fn nan_and_the_sign_of_zero(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    let zeros = Every { single: -0.0, double: -0.0, ..plain(1) };
    let stored = db.repo.insert(zeros).await.unwrap();
    let signs = (stored.single.is_sign_negative(), stored.double.is_sign_negative());
    let kept = match db.backend {
        // It stores a float that is a whole number as an integer, which has no -0.
        Backend::Sqlite => false,
        // Some versions of MariaDB have none at all.
        Backend::Mariadb => {
            let zero = db.repo.query("select cast('-0' as double)", &[]).await.unwrap();
            zero.scalar::<f64>().unwrap().is_sign_negative()
        }
        Backend::Postgres | Backend::Mysql => true,
    };
    assert_eq!(signs, (kept, kept));
    db.repo.delete(&stored).await.unwrap();

    let rows = [("single", Every { single: f32::NAN, ..plain(2) }), ("double", Every { double: f64::NAN, ..plain(2) })];
    for (name, row) in rows {
        if db.backend == Backend::Postgres {
            assert_exact(&db.repo.insert(row.clone()).await.unwrap(), &row);
            db.repo.delete(&row).await.unwrap();
            continue;
        }
        for error in refused_by_every_write(&db.repo, &row).await {
            let [table, column, expected, found] = encode(&error);
            assert_eq!((table, column), ("every_type", name));
            assert!((expected.contains("NULL") || expected.contains("finite")) && found.ends_with("NaN"), "{error}");
        }
    }
}

async fn a_variant_that_the_enum_has_not(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    db.repo.insert(Every { mood: Mood::Glad, level: Level::Middle, ..plain(1) }).await.unwrap();
    db.repo.query("update every_type set mood = 'asleep'", &[]).await.unwrap();
    let error = db.repo.fetch::<Every>(1).await.unwrap_err();
    let variants = "Mood (glad, very_sad, ÄRGERLICH 'sehr')";
    assert_eq!(decode(&error), ["every_type", "mood", variants, "text \"asleep\""]);
    db.repo.query("update every_type set mood = 'glad', level = 5", &[]).await.unwrap();
    let error = db.repo.fetch::<Every>(1).await.unwrap_err();
    assert_eq!(decode(&error), ["every_type", "level", "Level", "i32 5"]);
}

async fn json_of_another_form(db: &Db) {
    db.repo.create_table::<Every>().await.unwrap();
    db.repo.insert(plain(1)).await.unwrap();
    db.repo.query("update every_type set settings = '{\"name\": 5}'", &[]).await.unwrap();
    let error = db.repo.fetch::<Every>(1).await.unwrap_err();
    let [table, column, expected, found] = decode(&error);
    assert_eq!((table, column, expected), ("every_type", "settings", std::any::type_name::<Settings>()));
    assert!(found.contains("expected a string"), "{found}");
}

async fn a_value_that_is_no_json(db: &Db) {
    #[derive(Syncable, Debug, Clone)]
    #[emr(table = "maps")]
    struct Map {
        id: i64,
        places: Json<BTreeMap<(i32, i32), String>>,
    }
    db.repo.create_table::<Map>().await.unwrap();
    let places = Json(BTreeMap::from([((1, 2), "here".to_owned())]));
    let error = db.repo.insert(Map { id: 1, places }).await.unwrap_err();
    let [table, column, expected, found] = encode(&error);
    assert_eq!((table, column, expected), ("maps", "places", "a value that can be written as JSON"));
    assert!(found.contains("key must be a string"), "{found}");
    assert_eq!(db.repo.count(Map::query()).await.unwrap(), 0);
}
