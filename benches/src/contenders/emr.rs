//! EMR, through its public interface and with its default settings.

use async_trait::async_trait;
use emr::prelude::*;

use crate::contender::{Contender, Person, Result, User};

pub(crate) struct Emr {
    repo: RepoHandle,
}

impl Emr {
    pub(crate) async fn open(options: RepoOptions) -> Result<Self> {
        Ok(Emr { repo: emr::open(options).await? })
    }
}

#[async_trait]
impl Contender for Emr {
    async fn get_by_pk(&self, ids: Vec<i64>) -> Result<Vec<User>> {
        let mut users = Vec::with_capacity(ids.len());
        for id in ids {
            users.extend(self.repo.get::<User>(id).await?);
        }
        Ok(users)
    }

    async fn load(&self) -> Result<Vec<User>> {
        Ok(self.repo.all(User::query()).await?)
    }

    async fn insert_one(&self, people: Vec<Person>) -> Result<Vec<i64>> {
        let mut ids = Vec::with_capacity(people.len());
        for Person { name, hair_color, .. } in people {
            let row = Person::build().set(Person::NAME, name).set(Person::HAIR_COLOR, hair_color);
            ids.push(self.repo.insert(row).await?.id);
        }
        Ok(ids)
    }

    async fn insert_many(&self, lists: Vec<Vec<Person>>) -> Result<u64> {
        let mut written = 0;
        for list in lists {
            written += self.repo.insert_all(list).await?;
        }
        Ok(written)
    }

    async fn tx_update(&self, renames: Vec<(Person, String)>) -> Result<u64> {
        let mut written = 0;
        for (person, name) in renames {
            let tx = self.repo.begin().await?;
            tx.update(person.into_change().set(Person::NAME, name)).await?;
            tx.commit().await?;
            written += 1;
        }
        Ok(written)
    }
}
