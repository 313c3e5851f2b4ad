//! What a query gives back, in shapes of the program's own.

use emr::Projection;
use emr::functions::{coalesce, concat, count_all, literal, sum};
use emr::prelude::*;

use super::items::{Item, item, items, visited};
use crate::schemas::{Post, post};

test_repo_cases![
    r88_select_expressions,
    r89_map_update,
    r90_map_update_on_association,
    r91_r92_take_with_structs,
    r93_r94_take_with_join_nil_sources,
    r97_take_with_join_assocs,
    r98_r99_take_with_single_nil_column,
    r101_merge,
    r102_r103_merge_within_subquery,
    projections_in_projections,
    projections_of_groups,
];

#[derive(Projection, Debug, Clone, PartialEq)]
struct Title {
    id: i64,
    title: Option<String>,
}

#[derive(Projection, Debug, PartialEq)]
struct Pair(Title, i64);

#[derive(Projection, Debug, PartialEq)]
struct Sum {
    title: String,
    rows: i64,
    visits: Option<i64>,
}

fn title(id: i64, title: &str) -> Title {
    Title { id, title: Some(title.into()) }
}

async fn r88_select_expressions(repo: &impl Repo) {
    visited(repo).await;
    let first = || Item::query().filter(Item::ID.eq(1));
    assert_eq!(repo.all(first().select((Item::ID, Item::TITLE))).await.unwrap(), [(1, Some("hello".into()))]);
    assert_eq!(repo.all(first().select(((Item::ID,), "text", 7_i64))).await.unwrap(), [((1,), "text".into(), 7)]);
    assert_eq!(repo.all(first().select_as::<Title>((Item::ID, Item::TITLE))).await.unwrap(), [title(1, "hello")]);
    let one = repo.one(first().select_as::<Title>((Item::ID + 10, Item::TITLE))).await.unwrap();
    assert_eq!(one, Some(title(11, "hello")));
}

/// The row as it is stored, and beside it what stands in the place of a field.
async fn r89_map_update(repo: &impl Repo) {
    visited(repo).await;
    let query = Item::query().filter(Item::ID.eq(1)).select((Item::row(), concat(coalesce(Item::TITLE, ""), "!")));
    let (mut row, title) = repo.one(query).await.unwrap().unwrap();
    row.title = Some(title);
    assert_eq!((row.id, row.title.as_deref(), row.visits), (1, Some("hello!"), Some(10)));
}

async fn r90_map_update_on_association(repo: &impl Repo) {
    visited(repo).await;
    repo.create_table::<Post>().await.unwrap();
    post(repo, "hello").await;
    let query = Item::query()
        .left_join(Post::on(Post::ID.eq(Item::ID)))
        .order_by(Item::ID.asc())
        .select((Item::ID, (Post::row(), concat(Post::TITLE, "!")).optional()));
    let found = repo.all(query).await.unwrap();
    let (row, changed) = found[0].1.as_ref().unwrap();
    assert_eq!((row.title.as_str(), changed.as_str()), ("hello", "hello!"));
    assert!(found[1..].iter().all(|(_, post)| post.is_none()));
}

async fn r91_r92_take_with_structs(repo: &impl Repo) {
    visited(repo).await;
    let query = Item::query().order_by(Item::ID.desc()).limit(2).select_as::<Title>((Item::ID, Item::TITLE));
    assert_eq!(repo.all(query).await.unwrap(), [title(4, "world"), title(3, "world")]);
}

async fn r93_r94_take_with_join_nil_sources(repo: &impl Repo) {
    visited(repo).await;
    repo.create_table::<Post>().await.unwrap();
    post(repo, "hello").await;
    let on = || Post::on(Post::ID.eq(Item::ID));
    let two = Item::query().left_join(on()).order_by(Item::ID.asc()).limit(2);
    // All of it NULL: a source that is not there.
    let sources = two.clone().select((Item::ID, (Post::ID, Post::TITLE).optional()));
    assert_eq!(repo.all(sources).await.unwrap(), [(1, Some((1, "hello".to_owned()))), (2, None)]);
    // Each for itself: a row of nothing.
    let cells = two.select((Item::ID, (Post::ID.optional(), Post::BODY.optional())));
    assert_eq!(repo.all(cells).await.unwrap(), [(1, (Some(1), None)), (2, (None, None))]);
}

async fn r97_take_with_join_assocs(repo: &impl Repo) {
    visited(repo).await;
    let near = Item::alias("near");
    let query = Item::query()
        .join(near.on(near.col(Item::ID).eq(Item::ID + 1)))
        .filter(Item::ID.eq(2))
        .select(((Item::ID, Item::TITLE), (near.col(Item::ID), near.col(Item::TITLE))));
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(repo.all(query).await.unwrap(), [((2, text("hello")), (3, text("world")))]);
}

async fn r98_r99_take_with_single_nil_column(repo: &impl Repo) {
    items(repo, [item()]).await;
    assert_eq!(repo.all(Item::query().select(Item::TITLE)).await.unwrap(), [None]);
    let joined = Item::query().join(Item::alias("b").on(Expr::constant(true))).select((Item::TITLE, Item::COST));
    assert_eq!(repo.all(joined).await.unwrap(), [(None, None)]);
}

async fn r101_merge(repo: &impl Repo) {
    visited(repo).await;
    let query =
        Item::query().filter(Item::ID.eq(1)).select_as::<Title>((Item::ID, Item::TITLE)).select_also(Item::VISITS);
    assert_eq!(repo.one(query).await.unwrap(), Some((title(1, "hello"), Some(10))));
    // With a source that is there, and with one that is not.
    let other = Item::alias("other");
    let query = Item::query()
        .left_join(other.on(other.col(Item::ID).eq(Item::ID + 1)))
        .order_by(Item::ID.asc())
        .select(Item::row())
        .select_also((other.col(Item::ID), other.col(Item::TITLE)).optional());
    let found: Vec<_> = repo.all(query).await.unwrap().into_iter().map(|(row, other)| (row.id, other)).collect();
    assert_eq!(found[2..], [(3, Some((4, Some("world".into())))), (4, None)]);
}

async fn r102_r103_merge_within_subquery(repo: &impl Repo) {
    visited(repo).await;
    let sub = emr::Alias::<()>::new("sub");
    let inner =
        Item::query().select((Item::ID.named("id"), (Item::VISITS * 2).named("visits"), literal(1_i64).named("one")));
    let query = inner
        .subquery(sub)
        .query()
        .order_by(sub.named_col::<i64>("id").asc())
        .select((sub.named_col::<i64>("id"), sub.named_col::<i64>("visits") + sub.named_col::<i64>("one")));
    assert_eq!(repo.all(query).await.unwrap(), [(1, 21), (2, 25), (3, 29), (4, 29)]);
}

async fn projections_in_projections(repo: &impl Repo) {
    visited(repo).await;
    let query = Item::query().filter(Item::ID.eq(2)).select(((Item::ID, Item::TITLE), coalesce(Item::VISITS, 0)));
    let found = repo.one(query).await.unwrap().map(|((id, title), visits)| Pair(Title { id, title }, visits));
    assert_eq!(found, Some(Pair(title(2, "hello"), 12)));
    let joined = Item::query().filter(Item::ID.eq(2)).select_as::<Title>((Item::ID, Item::TITLE));
    assert_eq!(repo.fetch_one(joined).await.unwrap(), title(2, "hello"));
}

async fn projections_of_groups(repo: &impl Repo) {
    visited(repo).await;
    let query = Item::query().group_by(Item::TITLE).order_by(Item::TITLE.asc()).select_as::<Sum>((
        coalesce(Item::TITLE, ""),
        count_all(),
        sum(Item::VISITS),
    ));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found[0], Sum { title: "hello".into(), rows: 2, visits: Some(22) });
    assert_eq!(found[1], Sum { title: "world".into(), rows: 2, visits: Some(28) });
}
