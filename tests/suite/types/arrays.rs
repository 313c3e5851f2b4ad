//! Arrays: of every element type where the engine has them, refused where it has not.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr::prelude::*;
use emr::uuid::Uuid;
use emr::{PrepareMode, QueryLog};
use futures_util::TryStreamExt;
use rust_decimal::Decimal;

use super::schemas::{Level, Mood, assert_all_exact, assert_exact};
use super::values::{all_bytes, clocks, dates, decimals, documents, doubles, moments, singles, texts, uuids};
use crate::harness::{Backend, Db, assert_unsupported, not_here};

db_cases![
    arrays_come_back_exactly,
    arrays_are_refused_where_there_are_none,
    an_array_holds_no_null_unless_it_is_read_raw,
];

macro_rules! of_arrays {
    ($($field:ident $column:ident: $ty:ty = $values:expr,)*) => {
        #[derive(Syncable, Debug, Clone)]
        #[emr(table = "arrays")]
        struct Arrays {
            id: i64,
            $($field: Vec<$ty>,)*
            maybe: Option<Vec<String>>,
        }

        impl Arrays {
            fn empty(id: i64) -> Arrays {
                Arrays { id, $($field: Vec::new(),)* maybe: None }
            }

            fn full(id: i64) -> Arrays {
                Arrays { id, $($field: $values,)* maybe: Some(Vec::new()) }
            }

            fn of_cells(result: &emr::QueryResult, row: usize) -> Result<Arrays> {
                let maybe = result.get(row, "maybe")?;
                Ok(Arrays { id: result.get(row, "id")?, $($field: result.get(row, stringify!($field))?,)* maybe })
            }

            fn conditions(&self) -> Vec<Expr<bool>> {
                vec![$(
                    Arrays::$column.eq(self.$field.clone()),
                    Arrays::$column.in_list([self.$field.clone()]),
                )*]
            }
        }
    };
}

of_arrays! {
    truths TRUTHS: bool = vec![true, false],
    smalls SMALLS: i16 = vec![i16::MIN, 0, i16::MAX],
    mediums MEDIUMS: i32 = vec![i32::MIN, 0, i32::MAX],
    larges LARGES: i64 = vec![i64::MIN, 0, i64::MAX],
    singles SINGLES: f32 = singles(Backend::Postgres),
    doubles DOUBLES: f64 = doubles(Backend::Postgres),
    numbers NUMBERS: Decimal = decimals(),
    texts TEXTS: String = texts(Backend::Postgres),
    blobs BLOBS: Vec<u8> = all_bytes(),
    uuids UUIDS: Uuid = uuids().to_vec(),
    days DAYS: NaiveDate = dates(Backend::Postgres),
    clocks CLOCKS: NaiveTime = clocks().to_vec(),
    moments MOMENTS: NaiveDateTime = moments(Backend::Postgres),
    instants INSTANTS: DateTime<Utc> = moments(Backend::Postgres).into_iter().map(|at| at.and_utc()).collect(),
    documents DOCUMENTS: serde_json::Value = documents(),
    moods MOODS: Mood = vec![Mood::Angry, Mood::Glad, Mood::Angry],
    levels LEVELS: Level = vec![Level::Lowest, Level::Middle, Level::Highest],
}

async fn arrays_come_back_exactly(db: &Db) {
    if db.backend != Backend::Postgres {
        not_here("there are no arrays");
        return;
    }
    db.repo.create_table::<Arrays>().await.unwrap();
    let unnamed = emr::open(db.options().prepare(PrepareMode::Unnamed)).await.unwrap();
    for repo in [&db.repo, &unnamed] {
        for row in [Arrays::full(1), Arrays::empty(1)] {
            repo.delete_all(Arrays::query()).await.unwrap();
            assert_exact(&repo.insert(row.clone()).await.unwrap(), &row);
            assert_exact(&repo.fetch::<Arrays>(1).await.unwrap(), &row);
            let result = repo.query("select * from arrays", &[]).await.unwrap();
            assert_exact(&Arrays::of_cells(&result, 0).unwrap(), &row);
            for condition in row.conditions() {
                assert_exact(&repo.fetch_by::<Arrays>(condition).await.unwrap(), &row);
            }
        }
        let updated = repo.update(Arrays::empty(1).into_change().set(Arrays::NUMBERS, decimals())).await.unwrap();
        assert_exact(&updated, &Arrays { numbers: decimals(), ..Arrays::empty(1) });
    }

    // By lists of values, and by COPY.
    for len in [3, 5_000] {
        db.repo.delete_all(Arrays::query()).await.unwrap();
        let rows: Vec<Arrays> =
            (0..len).map(|n| if n % 50 == 0 { Arrays::full(n) } else { Arrays::empty(n) }).collect();
        assert_eq!(db.repo.insert_all(rows.clone()).await.unwrap(), rows.len() as u64);
        let streamed: Vec<Arrays> =
            db.repo.stream(Arrays::query().order_by(Arrays::ID.asc())).try_collect().await.unwrap();
        assert_all_exact(&streamed, &rows);
    }
}

async fn arrays_are_refused_where_there_are_none(db: &Db) {
    match db.backend {
        Backend::Postgres => not_here("there are arrays"),
        _ => arrays_are_refused(db).await,
    }
}

/// Neither is a table made nor a value sent.
async fn arrays_are_refused(db: &Db) {
    #[derive(Syncable, Debug, Clone)]
    #[emr(table = "lists")]
    struct List {
        id: i64,
        items: Vec<i64>,
    }
    let hook = QueryLog::new(|event| assert!(event.error.is_some() || !event.sql.starts_with("INSERT"), "{event:?}"));
    let repo = emr::open(db.options().log(hook)).await.unwrap();
    let error = repo.create_table::<List>().await.unwrap_err();
    assert_unsupported(&error);

    repo.script("create table lists (id integer primary key, items blob)").await.unwrap();
    let row = List { id: 1, items: vec![1] };
    let errors = [
        repo.insert(row.clone()).await.unwrap_err(),
        repo.insert_all(vec![row; 3]).await.unwrap_err(),
        repo.count(List::query().filter(List::ITEMS.eq(vec![1]))).await.unwrap_err(),
        repo.update_all(List::query().set(List::ITEMS, vec![1])).await.unwrap_err(),
    ];
    for error in errors {
        let ErrorKind::Encode { table, column, expected, found } = error.kind() else { panic!("{error:?}") };
        assert_eq!((table.as_str(), column.as_str()), ("lists", "items"));
        assert!(expected.contains("no arrays") && found == "an array of 1 i64", "{error}");
    }
    assert_eq!(repo.count(List::query()).await.unwrap(), 0);
}

async fn an_array_holds_no_null_unless_it_is_read_raw(db: &Db) {
    if db.backend != Backend::Postgres {
        not_here("there are no arrays");
        return;
    }
    db.repo.create_table::<Arrays>().await.unwrap();
    db.repo.insert(Arrays::empty(1)).await.unwrap();
    db.repo.query("update arrays set larges = '{1,null}'", &[]).await.unwrap();
    let error = db.repo.fetch::<Arrays>(1).await.unwrap_err();
    let ErrorKind::Decode { table, column, expected, found } = error.kind() else { panic!("{error:?}") };
    assert_eq!([table, column, expected, found], ["arrays", "larges", "i64", "NULL"]);
    let raw = db.repo.query("select larges from arrays", &[]).await.unwrap();
    assert_eq!(format!("{:?}", raw.rows().next().unwrap()), "[[1, NULL]]");
}
