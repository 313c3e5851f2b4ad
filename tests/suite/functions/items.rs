//! A table with a column of each type that functions are about.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use emr::Changeset;
use emr::prelude::*;
use emr::uuid::Uuid;
use rust_decimal::Decimal;

/// A type of the program's own over a decimal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Money(pub(super) Decimal);

impl emr::Scalar for Money {
    const TYPE: emr::SqlType = emr::SqlType::Decimal;

    fn to_value(&self) -> emr::Value<'_> {
        emr::Value::Decimal(self.0)
    }

    fn read(row: &dyn emr::Row, at: usize) -> emr::Cell<Self> {
        Ok(row.decimal(at)?.map(Money))
    }
}

impl emr::Summable for Money {
    type Sum = Money;
    type Mean = Money;
}

impl emr::Ordered for Money {}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "items")]
pub(super) struct Item {
    pub(super) id: i64,
    pub(super) title: Option<String>,
    pub(super) visits: Option<i64>,
    pub(super) stars: Option<i32>,
    pub(super) rank: Option<i16>,
    pub(super) rating: Option<f64>,
    pub(super) ratio: Option<f32>,
    pub(super) cost: Option<Decimal>,
    pub(super) price: Option<Money>,
    pub(super) public: Option<bool>,
    pub(super) day: Option<NaiveDate>,
    pub(super) local: Option<NaiveDateTime>,
    pub(super) instant: Option<DateTime<Utc>>,
    #[emr(column = "meta data")]
    pub(super) meta: Option<serde_json::Value>,
    pub(super) data: Option<Vec<u8>>,
    pub(super) token: Option<Uuid>,
}

pub(super) async fn table(repo: &impl Repo) {
    repo.create_table::<Item>().await.expect("a table");
}

pub(super) fn item() -> Changeset<Item> {
    Item::build()
}

/// Stores the rows.
pub(super) async fn items(repo: &impl Repo, rows: impl IntoIterator<Item = Changeset<Item>>) {
    table(repo).await;
    repo.insert_all(rows.into_iter().collect::<Vec<_>>()).await.expect("rows");
}

/// Four visited rows of two titles.
pub(super) async fn visited(repo: &impl Repo) {
    let rows = [("hello", 10), ("hello", 12), ("world", 14), ("world", 14)];
    items(repo, rows.map(|(title, visits)| item().set(Item::TITLE, title).set(Item::VISITS, visits))).await;
}

pub(super) fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).expect("a decimal")
}

/// What one row's expression is.
pub(super) async fn value<T: emr::Select>(repo: &impl Repo, what: T) -> T::Output {
    let query = Item::query().order_by(Item::ID.asc()).limit(1).select(what);
    repo.one(query).await.expect("a row that can be read").expect("a row")
}

/// The error of an expression that cannot be sent, or that the server refuses.
pub(super) async fn refusal<T: emr::Select>(repo: &impl Repo, what: T) -> Error
where
    T::Output: std::fmt::Debug,
{
    // In a nested transaction, as a failed statement ends the one around it.
    let tx = repo.begin().await.expect("a transaction");
    let error = tx.all(Item::query().select(what)).await.expect_err("a refusal");
    let _ = tx.rollback().await;
    error
}
