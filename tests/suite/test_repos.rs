//! Repos whose tests leave nothing behind.

mod alike;
mod apart;
mod limits;
mod starts;

use emr::prelude::*;
use emr::test::TestRepo;

use crate::harness::{Case, Db};
use crate::schemas::Post;

pub(crate) fn cases() -> Vec<Case> {
    [alike::cases(), apart::cases(), limits::cases(), starts::cases()].into_iter().flatten().collect()
}

/// A test repo on the database of the case, in which there is a table of posts.
async fn test_repo(db: &Db) -> TestRepo {
    db.repo.create_table::<Post>().await.unwrap();
    TestRepo::start(db.options()).await.unwrap()
}
