//! rusqlite on a thread of its own, one hop there and back per call: what a program that must not block its
//! runtime would write by hand. Calls of several tasks wait in the thread's queue.

use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::rusqlite::{
    filter_join, get, insert_graph, insert_many, insert_one, load, preload, rename, run, stream, upsert_many,
};
use crate::contender::{Author, BATCH, Contender, Found, Person, Result, Root, Tree, User};
use crate::ground::sqlite::open;
use crate::sum::Tally;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

pub(crate) struct OneHop {
    jobs: Sender<Job>,
}

impl OneHop {
    pub(crate) fn open(file: &Path) -> Result<Self> {
        let mut db = open(file)?;
        let (jobs, inbox) = mpsc::channel::<Job>();
        thread::Builder::new().spawn(move || inbox.into_iter().for_each(|job| job(&mut db)))?;
        Ok(OneHop { jobs })
    }

    async fn hop<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |db| drop(reply.send(job(db))));
        self.jobs.send(job).map_err(|_| "the thread has ended")?;
        Ok(answer.await??)
    }
}

#[async_trait]
impl Contender for OneHop {
    async fn get_by_pk(&self, ids: Vec<i64>) -> Result<Vec<User>> {
        let mut users = Vec::with_capacity(ids.len());
        for id in ids {
            users.push(self.hop(move |db| get(db, id)).await?);
        }
        Ok(users)
    }

    async fn load(&self) -> Result<Vec<User>> {
        self.hop(|db| load(db)).await
    }

    async fn filter_join(&self, below: Vec<i64>) -> Result<Vec<Vec<Found>>> {
        let mut lists = Vec::with_capacity(below.len());
        for below in below {
            lists.push(self.hop(move |db| filter_join(db, below)).await?);
        }
        Ok(lists)
    }

    async fn preload(&self) -> Result<Vec<Author>> {
        self.hop(|db| preload(db)).await
    }

    async fn stream(&self, mut tally: Tally) -> Result<Tally> {
        // One batch waits while the next one is read.
        let (full, mut batches) = tokio::sync::mpsc::channel(1);
        let reading = self.hop(move |db| {
            let mut batch = Vec::with_capacity(BATCH);
            let mut wanted = true;
            stream(db, |entry| {
                batch.push(entry);
                if batch.len() == BATCH {
                    wanted = full.blocking_send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).is_ok();
                }
                wanted
            })?;
            // Whoever has gone wants no rest.
            let _ = full.blocking_send(batch);
            Ok(())
        });
        let adding = async {
            while let Some(batch) = batches.recv().await {
                for entry in batch {
                    tally.add(entry.id, &entry.name, entry.hair_color.as_deref());
                }
            }
        };
        let (read, ()) = tokio::join!(reading, adding);
        read?;
        Ok(tally)
    }

    async fn insert_one(&self, people: Vec<Person>) -> Result<Vec<i64>> {
        let mut ids = Vec::with_capacity(people.len());
        for Person { name, hair_color, .. } in people {
            ids.push(self.hop(move |db| insert_one(db, &name, hair_color.as_deref())).await?);
        }
        Ok(ids)
    }

    async fn insert_many(&self, lists: Vec<Vec<Person>>) -> Result<u64> {
        let mut written = 0;
        for list in lists {
            written += self.hop(move |db| insert_many(db, &list)).await?;
        }
        Ok(written)
    }

    async fn insert_graph(&self, trees: Vec<Tree>) -> Result<Vec<Root>> {
        let mut roots = Vec::with_capacity(trees.len());
        for tree in trees {
            roots.push(self.hop(move |db| insert_graph(db, tree)).await?);
        }
        Ok(roots)
    }

    async fn upsert_many(&self, lists: Vec<Vec<Person>>) -> Result<u64> {
        let mut written = 0;
        for list in lists {
            written += self.hop(move |db| upsert_many(db, &list)).await?;
        }
        Ok(written)
    }

    async fn update_changes(&self, renames: Vec<(Person, String)>) -> Result<u64> {
        let mut written = 0;
        for (Person { id, .. }, name) in renames {
            written += self.hop(move |db| rename(db, id, &name)).await?;
        }
        Ok(written)
    }

    async fn tx_update(&self, renames: Vec<(Person, String)>) -> Result<u64> {
        let mut written = 0;
        for (Person { id, .. }, name) in renames {
            // The program decides between its statements, so that each is a hop.
            self.hop(|db| run(db, "BEGIN IMMEDIATE")).await?;
            written += self.hop(move |db| rename(db, id, &name)).await?;
            self.hop(|db| run(db, "COMMIT")).await?;
        }
        Ok(written)
    }
}
