//! EMR, through its public interface and with its default settings.

use async_trait::async_trait;
use emr::prelude::*;
use futures_util::TryStreamExt;

use crate::contender::{
    Author, Branch, COLOR, Contender, Entry, FOUND, Found, Leaf, Person, Post, Result, Root, Tree, User,
};
use crate::ground::AUTHORS;
use crate::sum::Tally;

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

    async fn filter_join(&self, below: Vec<i64>) -> Result<Vec<Vec<Found>>> {
        let mut lists = Vec::with_capacity(below.len());
        for below in below {
            let query = Post::query()
                .join(Author::on(Author::ID.eq(Post::USER_ID)))
                .filter(Author::HAIR_COLOR.eq(COLOR).and(Post::VISITS.lt(below)))
                .order_by(Post::VISITS.desc())
                .limit(FOUND as u64)
                .select((Post::ID, Post::TITLE, Author::NAME));
            lists.push(self.repo.all(query).await?);
        }
        Ok(lists)
    }

    async fn preload(&self) -> Result<Vec<Author>> {
        let authors = Author::query().filter(Author::ID.le(AUTHORS));
        Ok(self.repo.all(authors.preload(Author::POSTS.then(Post::COMMENTS))).await?)
    }

    async fn stream(&self, mut tally: Tally) -> Result<Tally> {
        let mut entries = self.repo.stream(Entry::query());
        while let Some(entry) = entries.try_next().await? {
            tally.add(entry.id, &entry.name, entry.hair_color.as_deref());
        }
        Ok(tally)
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

    async fn insert_graph(&self, trees: Vec<Tree>) -> Result<Vec<Root>> {
        let mut roots = Vec::with_capacity(trees.len());
        for Tree { name, branches } in trees {
            let branch = |(name, leaves): (String, Vec<String>)| {
                let leaves: Vec<_> = leaves.into_iter().map(|name| Leaf::build().set(Leaf::NAME, name)).collect();
                Branch::build().set(Branch::NAME, name).put_assoc(Branch::LEAVES, leaves)
            };
            let branches: Vec<_> = branches.into_iter().map(branch).collect();
            let root = Root::build().set(Root::NAME, name).put_assoc(Root::BRANCHES, branches);
            roots.push(self.repo.insert(root).await?);
        }
        Ok(roots)
    }

    async fn upsert_many(&self, lists: Vec<Vec<Person>>) -> Result<u64> {
        let mut written = 0;
        for list in lists {
            let newer = OnConflict::replace((Person::NAME, Person::HAIR_COLOR)).target(Person::ID);
            let counts = self.repo.upsert_all(list, newer).await?;
            written += counts.inserted + counts.updated;
        }
        Ok(written)
    }

    async fn update_changes(&self, renames: Vec<(Person, String)>) -> Result<u64> {
        let mut written = 0;
        for (person, name) in renames {
            self.repo.update(person.into_change().set(Person::NAME, name)).await?;
            written += 1;
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
