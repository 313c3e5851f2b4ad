//! Writing many rows, and rows whose keys are taken.

mod actions;
mod bulk;
mod computed;
mod parameters;
mod refused;
mod returned;
mod targets;

pub(crate) fn cases() -> Vec<crate::harness::Case> {
    [
        actions::cases(),
        bulk::cases(),
        computed::cases(),
        parameters::cases(),
        refused::cases(),
        returned::cases(),
        targets::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

use emr::prelude::*;

/// A page with a key of the database and one of the program.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "pages")]
struct Page {
    id: i64,
    /// Named otherwise in the database.
    #[emr(column = "full url", unique)]
    url: String,
    title: String,
    #[emr(default = "0")]
    visits: i64,
    note: Option<String>,
}

fn page(url: &str, title: &str, visits: i64) -> emr::Changeset<Page> {
    Page::build().set(Page::URL, url).set(Page::TITLE, title).set(Page::VISITS, visits)
}

/// What the table holds, by URL.
async fn pages(repo: &impl Repo) -> Vec<(String, String, i64)> {
    repo.all(Page::query().order_by(Page::URL.asc()).select((Page::URL, Page::TITLE, Page::VISITS))).await.unwrap()
}

fn row(url: &str, title: &str, visits: i64) -> (String, String, i64) {
    (url.to_owned(), title.to_owned(), visits)
}

/// One page, `/a` with the title `one` and 10 visits.
async fn one_page(repo: &impl Repo) -> Page {
    repo.create_table::<Page>().await.unwrap();
    repo.insert(page("/a", "one", 10)).await.unwrap()
}
