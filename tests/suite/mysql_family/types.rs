//! The engines' own types, at their extremes.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use emr::prelude::*;
use emr::uuid::Uuid;
use rust_decimal::Decimal;

use super::is_elsewhere;
use crate::harness::{Backend, Db};

db_cases![
    my12_my13_bits_are_bytes_and_booleans,
    unsigned_integers_at_their_ends,
    times_at_their_ends,
    dates_that_are_none,
    uuids_in_both_forms,
    values_that_do_not_fit_are_refused,
];

/// What is the matter with a cell.
fn found<T: std::fmt::Debug>(cell: Result<T>) -> String {
    let error = cell.unwrap_err();
    let ErrorKind::Decode { found, .. } = error.kind() else { panic!("{error:?}") };
    found.clone()
}

async fn my12_my13_bits_are_bytes_and_booleans(db: &Db) {
    #[derive(Syncable, Debug, PartialEq)]
    #[emr(table = "bits")]
    struct Switch {
        id: i64,
        flag: bool,
    }
    #[derive(Syncable, Debug, PartialEq)]
    #[emr(table = "bits")]
    struct Raw {
        id: i64,
        flag: Vec<u8>,
        many: Vec<u8>,
    }
    if is_elsewhere(db) {
        return;
    }
    db.repo.script("create table bits (id bigint primary key, flag bit(1), many bit(16) default 511)").await.unwrap();
    let switches = [Switch { id: 1, flag: true }, Switch { id: 2, flag: false }];
    assert_eq!(db.repo.insert_all_returning(switches).await.unwrap()[0], Switch { id: 1, flag: true });
    assert_eq!(db.repo.fetch::<Switch>(2).await.unwrap(), Switch { id: 2, flag: false });
    assert_eq!(db.repo.fetch::<Raw>(1).await.unwrap(), Raw { id: 1, flag: vec![1], many: vec![1, 255] });
    assert_eq!(db.repo.count(Switch::query().filter(Switch::FLAG.eq(true))).await.unwrap(), 1);
    // More bits are no boolean.
    db.repo.script("alter table bits modify flag bit(2); update bits set flag = 2").await.unwrap();
    assert_eq!(found(db.repo.fetch::<Switch>(1).await), "bit");
}

async fn unsigned_integers_at_their_ends(db: &Db) {
    if is_elsewhere(db) {
        return;
    }
    let table = "create table ends (a tinyint unsigned, b smallint unsigned, c mediumint unsigned, d int unsigned,
                 e bigint unsigned, f bigint, g decimal(65,0))";
    db.repo.script(table).await.unwrap();
    let large = "insert into ends values (255, 65535, 16777215, 4294967295, 18446744073709551615, -9223372036854775808,
                 -79228162514264337593543950335)";
    db.repo.query(large, &[]).await.unwrap();
    let row = db.repo.query("select * from ends", &[]).await.unwrap();
    assert_eq!((row.get::<i16>(0, 0).unwrap(), row.get::<i32>(0, 1).unwrap()), (255, 65_535));
    assert_eq!((row.get::<i32>(0, 2).unwrap(), row.get::<i64>(0, 3).unwrap()), (16_777_215, 4_294_967_295));
    assert_eq!(row.get::<Decimal>(0, 4).unwrap(), Decimal::from(u64::MAX));
    assert!(row.get::<i64>(0, 4).is_err());
    assert_eq!((row.get::<i64>(0, 5).unwrap(), row.get::<Decimal>(0, 6).unwrap()), (i64::MIN, Decimal::MIN));
}

async fn times_at_their_ends(db: &Db) {
    if is_elsewhere(db) {
        return;
    }
    db.repo.script("create table times (a datetime(6), b date, c time(6), d datetime)").await.unwrap();
    let last = NaiveDate::from_ymd_opt(9999, 12, 31).unwrap().and_hms_micro_opt(23, 59, 59, 999_999).unwrap();
    let first = NaiveDate::from_ymd_opt(1000, 1, 1).unwrap().and_time(NaiveTime::MIN);
    for at in [first, last] {
        db.repo.script("delete from times").await.unwrap();
        db.repo.query("insert into times values (?, ?, ?, null)", &[&at, &at.date(), &at.time()]).await.unwrap();
        let row = db.repo.query("select * from times", &[]).await.unwrap();
        assert_eq!(row.get::<NaiveDateTime>(0, 0).unwrap(), at);
        assert_eq!((row.get::<NaiveDate>(0, 1).unwrap(), row.get::<NaiveTime>(0, 2).unwrap()), (at.date(), at.time()));
        assert_eq!(row.get::<Option<NaiveDateTime>>(0, 3).unwrap(), None);
    }
    db.repo.script("update times set c = '-838:59:59'").await.unwrap();
    let row = db.repo.query("select cast(c as time(6)), 1 from times", &[]).await;
    assert_eq!(found(row.and_then(|row| row.get::<NaiveTime>(0, 0))), "a time that is no time of day");
}

async fn dates_that_are_none(db: &Db) {
    #[derive(Syncable, Debug)]
    #[emr(table = "days")]
    struct Day {
        #[allow(dead_code)]
        id: i64,
        #[allow(dead_code)]
        day: NaiveDate,
    }
    if is_elsewhere(db) {
        return;
    }
    db.repo.create_table::<Day>().await.unwrap();
    for none in ["0000-00-00", "2024-00-10"] {
        let refused = db.repo.query("insert into days values (1, ?)", &[&none]).await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Database { code, .. } if code == "1292"), "{refused:?}");
    }
    // What another program stored with other settings.
    let lax = emr::open(db.options().extra("session", "sql_mode = ''")).await.unwrap();
    lax.script("insert into days values (1, '0000-00-00'), (2, '2024-00-10')").await.unwrap();
    assert_eq!(found(db.repo.fetch::<Day>(1).await), "the zero date");
    assert_eq!(found(db.repo.fetch::<Day>(2).await), "a date without a month or a day");
}

async fn uuids_in_both_forms(db: &Db) {
    if is_elsewhere(db) {
        return;
    }
    let native = if db.backend == Backend::Mariadb { "uuid" } else { "binary(16)" };
    db.repo.script(&format!("create table ids (a binary(16), b {native}, c char(36))")).await.unwrap();
    let id = Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);
    let text = id.hyphenated().to_string();
    let bytes = id.as_bytes().to_vec();
    db.repo.query("insert into ids values (?, ?, ?)", &[&bytes, &id, &text]).await.unwrap();
    let row = db.repo.query("select * from ids", &[]).await.unwrap();
    for column in 0..3 {
        assert_eq!(row.get::<Uuid>(0, column).unwrap(), id, "column {column}");
    }
    let same = db.repo.query("select count(*) from ids where b = ?", &[&id]).await.unwrap();
    assert_eq!(same.scalar::<i64>().unwrap(), 1);
}

async fn values_that_do_not_fit_are_refused(db: &Db) {
    if is_elsewhere(db) {
        return;
    }
    db.repo.script("create table narrow (n int, t varchar(3), u int unsigned)").await.unwrap();
    for (sql, code) in [
        ("insert into narrow (n) values ('abc')", "1366"),
        ("insert into narrow (n) values (2147483648)", "1264"),
        ("insert into narrow (t) values ('abcd')", "1406"),
        ("insert into narrow (u) values (-1)", "1264"),
        ("insert into narrow (n) values (1 / 0)", "1365"),
    ] {
        let refused = db.repo.query(sql, &[]).await.unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::Database { code: found, .. } if found == code),
            "{sql}: {refused:?}"
        );
    }
    assert_eq!(db.repo.query("select * from narrow", &[]).await.unwrap().len(), 0);
}
