//! Named steps in one transaction.

mod in_transactions;
mod put_together;
mod refused;
mod steps;

use emr::prelude::*;

use crate::harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for part in [in_transactions::cases, put_together::cases, refused::cases, steps::cases] {
        cases.extend(part());
    }
    cases
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "tracks")]
struct Track {
    id: i64,
    #[emr(unique)]
    title: String,
    #[emr(default = "0")]
    plays: i64,
    parent_id: Option<i64>,
}

fn track(title: &str) -> Changeset<Track> {
    Track::build().set(Track::TITLE, title)
}

/// What the table holds: titles and plays.
async fn tracks(repo: &impl Repo) -> Vec<(String, i64)> {
    repo.all(Track::query().order_by(Track::TITLE.asc()).select((Track::TITLE, Track::PLAYS))).await.unwrap()
}

fn row(title: &str, plays: i64) -> (String, i64) {
    (title.to_owned(), plays)
}
