//! Cells that the database computes, shared values, and the rows of queries.

use emr::functions::{length, lower, max};
use emr::prelude::*;
use emr::{Shared, UpsertCounts};

use super::{Page, one_page, pages, row};
use crate::schemas::{Document, Post, post};

repo_cases![
    r56_cells_may_be_subqueries,
    r57_r59_upsert_from_a_query,
    r58_insert_from_a_query_returning,
    r60_r61_insert_from_a_query,
    r67_keys_of_the_program_are_made_for_drafts,
    r68_r69_r70_a_shared_value_is_sent_once,
    r71_shared_values_subqueries_and_a_condition,
    r132_a_subquery_cell_and_a_conflict_with_parameters,
    a_computed_cell_reads_no_row,
];

async fn r56_cells_may_be_subqueries(repo: &impl Repo) {
    one_page(repo).await;
    let most = || Page::query().select(max(Page::VISITS)).scalar();
    let stored: Page = repo
        .insert(
            Draft::<Page>::new()
                .set(Page::URL, "/b")
                .set_expr(Page::TITLE, lower("TITLE"))
                .set_expr(Page::VISITS, most()),
        )
        .await
        .unwrap();
    assert_eq!((stored.title.as_str(), stored.visits), ("title", 10));
    // Mixed with values, and with rows that set other columns.
    let draft = |url: &str| Draft::<Page>::new().set(Page::URL, url);
    let rows = [
        draft("/c").set(Page::TITLE, "c").set_expr(Page::VISITS, most() + 1),
        draft("/d").set(Page::TITLE, "d").set(Page::VISITS, 7),
        draft("/e").set_expr(Page::TITLE, lower("E")),
    ];
    assert_eq!(repo.insert_all(rows).await.unwrap(), 3);
    let rows = [draft("/f").set_expr(Page::TITLE, lower("F")), draft("/g").set_expr(Page::TITLE, lower("G"))];
    let stored: Vec<Page> = repo.insert_all_returning(rows).await.unwrap();
    assert_eq!(stored.iter().map(|page| page.title.as_str()).collect::<Vec<_>>(), ["f", "g"]);
    let expected = [
        row("/a", "one", 10),
        row("/b", "title", 10),
        row("/c", "c", 11),
        row("/d", "d", 7),
        row("/e", "e", 0),
        row("/f", "f", 0),
        row("/g", "g", 0),
    ];
    assert_eq!(pages(repo).await, expected);
}

async fn r57_r59_upsert_from_a_query(repo: &impl Repo) {
    one_page(repo).await;
    repo.create_table::<Post>().await.unwrap();
    for title in ["/a", "/b"] {
        post(repo, title).await;
    }
    let rows = || Post::query().select((Post::TITLE, lower(Post::TITLE), Post::VISITS + 5));
    let columns = (Page::URL, Page::TITLE, Page::VISITS);
    let replace = || OnConflict::replace_all_except(Page::ID).target(Page::URL);
    assert_eq!(repo.upsert_from(columns, rows(), replace()).await.unwrap(), 2);
    assert_eq!(pages(repo).await, [row("/a", "/a", 5), row("/b", "/b", 5)]);
    // Without a target, and with a query that has conditions and a limit of its own.
    let some = rows().filter(Post::TITLE.ne("x")).order_by(Post::ID.asc()).limit(1);
    assert_eq!(repo.upsert_from(columns, some, OnConflict::nothing()).await.unwrap(), 0);
}

async fn r58_insert_from_a_query_returning(repo: &impl Repo) {
    one_page(repo).await;
    let copy = Page::query().select((emr::functions::concat(Page::URL, "/copy"), Page::TITLE));
    let stored: Vec<Page> = repo.insert_from_returning((Page::URL, Page::TITLE), copy).await.unwrap();
    let [copy] = &stored[..] else { panic!("{stored:?}") };
    assert_eq!((copy.url.as_str(), copy.title.as_str(), copy.visits), ("/a/copy", "one", 0));
    assert_eq!(repo.fetch::<Page>(copy.id).await.unwrap(), *copy);
}

async fn r60_r61_insert_from_a_query(repo: &impl Repo) {
    one_page(repo).await;
    repo.create_table::<Post>().await.unwrap();
    for title in ["x", "yy", "zzz"] {
        post(repo, title).await;
    }
    // A parameter among what is selected, and one in the filter.
    let long = Post::query().filter(length(Post::TITLE).gt(1)).select((Post::TITLE, "copied", Post::BODY));
    assert_eq!(repo.insert_from((Page::URL, Page::TITLE, Page::NOTE), long).await.unwrap(), 2);
    let none = Post::query().filter(Post::TITLE.eq("no")).select((Post::TITLE, Post::TITLE));
    assert_eq!(repo.insert_from((Page::URL, Page::TITLE), none).await.unwrap(), 0);
    assert_eq!(pages(repo).await, [row("/a", "one", 10), row("yy", "copied", 0), row("zzz", "copied", 0)]);
}

async fn r67_keys_of_the_program_are_made_for_drafts(repo: &impl Repo) {
    repo.create_table::<Document>().await.unwrap();
    let given = emr::uuid::Uuid::from_u128(7);
    let rows = [
        Draft::<Document>::new().set_expr(Document::NAME, lower("A")),
        Draft::<Document>::new().set(Document::ID, given).set_expr(Document::NAME, lower("B")),
    ];
    let stored: Vec<Document> = repo.insert_all_returning(rows).await.unwrap();
    assert!(!stored[0].id.is_nil() && stored[0].id != given);
    assert_eq!(stored[1], Document { id: given, name: "b".into() });
}

async fn r68_r69_r70_a_shared_value_is_sent_once(repo: &impl Repo) {
    repo.create_table::<Page>().await.unwrap();
    let title = Shared::<String>::new("the same");
    let note = Shared::<Option<String>>::new("a note");
    let rows = (0..1_200).map(|n| {
        let row = Draft::<Page>::new().set(Page::URL, format!("/{n:04}")).set_shared(Page::TITLE, &title);
        row.set_shared(Page::NOTE, &note).set(Page::VISITS, n)
    });
    assert_eq!(repo.insert_all(rows).await.unwrap(), 1_200);
    let same = Page::query().filter(Page::TITLE.eq("the same").and(Page::NOTE.eq("a note")));
    assert_eq!(repo.count(same).await.unwrap(), 1_200);
    assert_eq!(repo.one(Page::query().filter(Page::URL.eq("/1199"))).await.unwrap().unwrap().visits, 1_199);
}

async fn r71_shared_values_subqueries_and_a_condition(repo: &impl Repo) {
    repo.create_table::<Page>().await.unwrap();
    repo.create_table::<Post>().await.unwrap();
    post(repo, "from a post").await;
    let body = Shared::<Option<String>>::new("shared");
    let rows = |visits: [i64; 2]| {
        let title = Post::query().filter(Post::TITLE.like("from%")).select(Post::TITLE).scalar();
        [("/a", visits[0]), ("/b", visits[1])].map(|(url, visits)| {
            let row = Draft::<Page>::new().set(Page::URL, url).set_shared(Page::NOTE, &body).set(Page::VISITS, visits);
            row.set_expr(Page::TITLE, title.clone())
        })
    };
    let below = || {
        OnConflict::update()
            .set_expr(Page::VISITS, Page::VISITS + excluded(Page::VISITS) + 1_000)
            .target(Page::URL)
            .filter(Page::VISITS.lt(5).and(Page::NOTE.eq("shared")))
    };
    let first: UpsertCounts = repo.upsert_all(rows([1, 9]), below()).await.unwrap();
    assert_eq!((first.inserted, first.updated, first.skipped), (2, 0, 0));
    let second = repo.upsert_all(rows([2, 2]), below()).await.unwrap();
    assert_eq!((second.inserted, second.updated, second.skipped), (0, 1, 1));
    assert_eq!(pages(repo).await, [row("/a", "from a post", 1_003), row("/b", "from a post", 9)]);
}

async fn r132_a_subquery_cell_and_a_conflict_with_parameters(repo: &impl Repo) {
    one_page(repo).await;
    let most = Page::query().filter(Page::TITLE.eq("one")).select(max(Page::VISITS)).scalar();
    let draft = |url: &str| {
        Draft::<Page>::new()
            .set(Page::URL, url)
            .set_expr(Page::TITLE, lower("NEW"))
            .set_expr(Page::VISITS, most.clone() + 1)
    };
    let replace = || OnConflict::replace((Page::TITLE, Page::VISITS)).target(Page::URL).filter(Page::TITLE.ne("keep"));
    let stored = repo.upsert(draft("/a"), replace()).await.unwrap();
    assert!(stored.is_updated());
    assert_eq!(pages(repo).await, [row("/a", "new", 11)]);
    repo.update_all(Page::query().set(Page::TITLE, "one")).await.unwrap();
    let stored = repo.upsert_all_returning([draft("/b"), draft("/a")], replace()).await.unwrap();
    let seen: Vec<_> = stored.iter().map(|row| (row.is_inserted(), row.row().unwrap().visits)).collect();
    assert_eq!((seen[0], seen[1].0), ((true, 12), false));
}

async fn a_computed_cell_reads_no_row(repo: &impl Repo) {
    one_page(repo).await;
    let own = Draft::<Page>::new().set(Page::URL, "/b").set_expr(Page::TITLE, Page::URL);
    let error = repo.insert::<Page, _>(own).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    let proposed = Draft::<Page>::new().set(Page::URL, "/b").set_expr(Page::TITLE, excluded(Page::URL));
    let error = repo.insert::<Page, _>(proposed).await.unwrap_err();
    assert!(error.to_string().contains("excluded"), "{error:?}");
    assert_eq!(repo.count(Page::query()).await.unwrap(), 1);
}
