//! The tables of the cases of changesets.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use emr::prelude::*;

use crate::harness::{Backend, backend};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

#[derive(Syncable, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Calm,
    Angry,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub(crate) struct Meta {
    pub(crate) color: String,
    #[serde(default)]
    pub(crate) size: Option<i64>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "items")]
pub(crate) struct Item {
    pub(crate) id: i64,
    pub(crate) title: String,
    #[emr(unique)]
    pub(crate) slug: Option<String>,
    #[emr(default = "7")]
    pub(crate) visits: i64,
    pub(crate) price: Option<Decimal>,
    pub(crate) day: Option<NaiveDate>,
    pub(crate) token: Option<emr::uuid::Uuid>,
    #[emr(default = "false")]
    pub(crate) hidden: bool,
    pub(crate) mood: Option<Mood>,
    pub(crate) meta: Option<Json<Meta>>,
    pub(crate) lock_version: Option<i32>,
    pub(crate) body: Option<String>,
}

/// An item that is inserted with nothing but a title.
pub(crate) async fn item(repo: &impl Repo, title: &str) -> Item {
    repo.insert(Item::build().set(Item::TITLE, title)).await.expect("an item")
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "stamped", timestamps)]
pub(crate) struct Stamped {
    pub(crate) id: i64,
    pub(crate) title: Option<String>,
    pub(crate) inserted_at: DateTime<Utc>,
    pub(crate) updated_at: Option<NaiveDateTime>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "owners")]
pub(crate) struct Owner {
    pub(crate) id: i64,
    #[emr(has_many)]
    pub(crate) pets: HasMany<Pet>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "pets")]
pub(crate) struct Pet {
    pub(crate) id: i64,
    pub(crate) owner_id: Option<i64>,
    pub(crate) vet_id: Option<i64>,
    pub(crate) meta: Option<Json<Meta>>,
    #[emr(belongs_to)]
    pub(crate) owner: BelongsTo<Owner>,
}

/// Owners and pets with real foreign keys, and one owner with the id 1.
pub(crate) async fn create_pets(repo: &impl Repo) {
    repo.create_table::<Owner>().await.expect("owners");
    let json = if backend() == Backend::Postgres { "JSONB" } else { "JSON" };
    repo.script(&format!(
        "CREATE TABLE pets (id BIGINT PRIMARY KEY, meta {json}, owner_id BIGINT, vet_id BIGINT, \
         CONSTRAINT pets_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES owners (id), \
         CONSTRAINT pets_vet_id_fkey FOREIGN KEY (vet_id) REFERENCES owners (id))"
    ))
    .await
    .expect("pets");
    repo.insert(Owner { id: 1, pets: HasMany::default() }).await.expect("an owner");
}
