//! Keys and tables of every shape.

use emr::prelude::*;

use super::schemas::{Comment, Post, User, create, new_comment, new_post, new_user};
use crate::harness::{Backend, Db, assert_unsupported};

db_cases![
    keys_of_several_columns,
    keys_that_are_null_and_keys_of_other_columns,
    self_references_both_ways,
    tables_without_a_key,
    prefixes_are_handed_on,
    a_graph_in_each_sort_of_repo,
];

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_orders")]
struct Order {
    #[emr(primary_key)]
    shop: i32,
    #[emr(primary_key)]
    number: i64,
    note: Option<String>,
    #[emr(has_many(key("shop", "order_number"), on_replace = "delete"))]
    lines: HasMany<Line>,
    #[emr(many_to_many(
        table = "g_orders_lines",
        owner_key("order_shop", "order_number"),
        related_key("line_shop", "line_order", "line_position"),
        on_replace = "delete"
    ))]
    marked: ManyToMany<Line>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_lines")]
struct Line {
    #[emr(primary_key)]
    shop: i64,
    #[emr(primary_key)]
    order_number: i64,
    #[emr(primary_key)]
    position: i32,
    text: String,
    #[emr(belongs_to(key("shop", "order_number"), references("shop", "number")))]
    order: BelongsTo<Order>,
}

async fn keys_of_several_columns(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Order>().await.unwrap();
    repo.create_table::<Line>().await.unwrap();
    repo.script(
        "CREATE TABLE g_orders_lines (order_shop INT, order_number BIGINT, line_shop BIGINT, line_order BIGINT, \
         line_position INT)",
    )
    .await
    .unwrap();
    let line = |position: i32, text: &str| Line::build().set(Line::POSITION, position).set(Line::TEXT, text);
    let order = |number: i64| Order::build().set(Order::SHOP, 1).set(Order::NUMBER, number);
    let first = order(7).put_assoc(Order::LINES, vec![line(1, "a"), line(2, "b"), line(3, "c")]);
    let first = repo.insert(first).await.unwrap();
    let second = repo.insert(order(8).put_assoc(Order::LINES, vec![line(1, "x")])).await.unwrap();
    let read = |number: i64| async move {
        let preloads = (Order::LINES, Order::MARKED);
        repo.one(Order::query().filter(Order::NUMBER.eq(number)).preload(preloads)).await.unwrap().unwrap()
    };
    assert_eq!(read(7).await.lines, first.lines);
    let kept = first.lines.get().unwrap()[1].change().set(Line::TEXT, "B");
    let first = repo.update(first.change().put_assoc(Order::LINES, vec![kept])).await.unwrap();
    let x = second.lines.get().unwrap()[0].clone();
    let marked = first.change().put_assoc(Order::MARKED, [&x, &first.lines.get().unwrap()[0]]);
    assert!(matches!(repo.update(marked.clone()).await.unwrap_err().kind(), ErrorKind::AssociationNotLoaded { .. }));
    let first = read(7).await;
    let both = [x.clone(), first.lines.get().unwrap()[0].clone()];
    let first = repo.update(first.change().put_assoc(Order::MARKED, both)).await.unwrap();
    assert_eq!(read(7).await.marked.get().unwrap().len(), 2);
    repo.update(first.change().put_assoc(Order::MARKED, [&x])).await.unwrap();
    let stored = read(7).await;
    assert_eq!(stored.marked.get().unwrap(), [x]);
    let texts: Vec<_> = stored.lines.get().unwrap().iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["B"]);
    // The other way: the row that it belongs to first.
    let line = line(5, "of a new one").put_assoc(Line::ORDER, order(9));
    let line = repo.insert(line).await.unwrap();
    assert_eq!((line.shop, line.order_number, read(9).await.lines.get().unwrap().len()), (1, 9, 1));
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_teams")]
struct Team {
    id: i64,
    #[emr(unique)]
    code: Option<String>,
    #[emr(has_many(key = "team_code", references = "code", on_replace = "nilify"))]
    players: HasMany<Player>,
    #[emr(has_many(key = "owner_id", on_replace = "nilify"))]
    things: HasMany<Thing>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_players")]
struct Player {
    id: i64,
    team_code: Option<String>,
    #[emr(belongs_to(key = "team_code", references = "code", on_replace = "nilify"))]
    team: BelongsTo<Team>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_things")]
struct Thing {
    id: i64,
    owner_id: i64,
    #[emr(belongs_to(on_replace = "nilify"))]
    owner: BelongsTo<Team>,
}

async fn keys_that_are_null_and_keys_of_other_columns(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Team>().await.unwrap();
    repo.create_table::<Player>().await.unwrap();
    repo.create_table::<Thing>().await.unwrap();
    let new = |code: Option<&str>| Team::build().set(Team::CODE, code.map(ToOwned::to_owned));
    let team = repo.insert(new(Some("red")).put_assoc(Team::PLAYERS, vec![Player::build(), Player::build()])).await;
    let team = team.unwrap();
    let codes =
        || async { repo.all(Player::query().order_by(Player::ID.asc()).select(Player::TEAM_CODE)).await.unwrap() };
    assert_eq!(codes().await, [Some("red".to_owned()), Some("red".to_owned())]);
    // A new key takes its rows along.
    let kept: Vec<_> = team.players.get().unwrap().to_vec();
    let team = repo.update(team.change().set(Team::CODE, "blue").put_assoc(Team::PLAYERS, kept[..1].to_vec())).await;
    let team = team.unwrap();
    assert_eq!(codes().await, [Some("blue".to_owned()), None]);
    // Nothing can belong to a row without the key, but nothing is fine.
    let error = repo.insert(new(None).put_assoc(Team::PLAYERS, vec![Player::build()])).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    repo.insert(new(None).clear_assoc(Team::PLAYERS)).await.unwrap();
    assert_eq!((repo.count(Team::query()).await.unwrap(), codes().await.len()), (2, 2));
    // A foreign key that is never NULL cannot be let go.
    let thing = |change: Changeset<Team>| change.put_assoc(Team::THINGS, vec![Thing::build()]);
    let owner = repo.insert(thing(new(Some("x")))).await.unwrap();
    let error = repo.update(owner.change().clear_assoc(Team::THINGS)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
    let held = owner.things.get().unwrap()[0].clone();
    let error = repo.insert(held.into_change().as_insert().clear_assoc(Thing::OWNER)).await.unwrap_err();
    assert_eq!(error.field_errors().unwrap().get("owner")[0].code(), "required");
    assert_eq!(repo.all(Thing::query().select(Thing::OWNER_ID)).await.unwrap(), [owner.id]);
    // A row that belongs by another column than the key.
    let player = Player::build().put_assoc(Player::TEAM, team.change());
    assert_eq!(repo.insert(player).await.unwrap().team_code.as_deref(), Some("blue"));
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_folders")]
struct Folder {
    id: i64,
    name: String,
    parent_id: Option<i64>,
    #[emr(belongs_to(on_replace = "nilify"))]
    parent: BelongsTo<Folder>,
    #[emr(has_many(key = "parent_id", on_replace = "delete"))]
    folders: HasMany<Folder>,
}

async fn self_references_both_ways(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Folder>().await.unwrap();
    let new = |name: &str| Folder::build().set(Folder::NAME, name);
    let tree = new("b")
        .put_assoc(Folder::PARENT, new("a").put_assoc(Folder::FOLDERS, vec![new("a2")]))
        .put_assoc(Folder::FOLDERS, vec![new("c").put_assoc(Folder::FOLDERS, vec![new("d")]), new("e")]);
    let b = repo.insert(tree).await.unwrap();
    let parents = || async {
        let all = repo.all(Folder::query()).await.unwrap();
        let name = |id: i64| all.iter().find(|folder| folder.id == id).map(|folder| folder.name.clone());
        let mut pairs: Vec<_> = all
            .iter()
            .map(|folder| (folder.name.clone(), folder.parent_id.and_then(name).unwrap_or_default()))
            .collect();
        pairs.sort_unstable();
        pairs
    };
    let expected = [("a", ""), ("a2", "a"), ("b", "a"), ("c", "b"), ("d", "c"), ("e", "b")];
    assert_eq!(parents().await, expected.map(|(name, parent)| (name.to_owned(), parent.to_owned())));
    let c = &b.folders.get().unwrap()[0];
    let d = c.folders.get().unwrap()[0].clone();
    let e = b.folders.get().unwrap()[1].clone();
    let moved = e.change().clear_assoc(Folder::FOLDERS);
    assert!(matches!(repo.update(moved).await.unwrap_err().kind(), ErrorKind::AssociationNotLoaded { .. }));
    let c = c.change().put_assoc(Folder::FOLDERS, vec![d, e]);
    // One that is left out above and given below is gone before it is needed: nothing is written.
    assert!(repo.update(b.change().put_assoc(Folder::FOLDERS, vec![c])).await.unwrap_err().is_stale());
    assert_eq!(parents().await.len(), expected.len());
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_sensors")]
struct Sensor {
    id: i64,
    #[emr(has_many)]
    readings: HasMany<Reading>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "g_readings", no_primary_key)]
struct Reading {
    sensor_id: i64,
    value: i32,
}

async fn tables_without_a_key(db: &Db) {
    let repo = &db.repo;
    repo.create_table::<Sensor>().await.unwrap();
    repo.create_table::<Reading>().await.unwrap();
    let readings: Vec<_> = (0..3).map(|value| Reading::build().set(Reading::VALUE, value)).collect();
    let sensor = repo.insert(Sensor::build().put_assoc(Sensor::READINGS, readings)).await.unwrap();
    assert_eq!(
        repo.all(Reading::query().order_by(Reading::VALUE.asc())).await.unwrap(),
        sensor.readings.get().unwrap()
    );
    let one = sensor.readings.get().unwrap()[0].clone();
    let error = repo.update(sensor.change().put_assoc(Sensor::READINGS, vec![one])).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error:?}");
}

async fn prefixes_are_handed_on(db: &Db) {
    create(&db.repo).await;
    let graph = || {
        new_post("p")
            .put_assoc(Post::AUTHOR, new_user("ann"))
            .put_assoc(Post::COMMENTS, vec![new_comment("1"), new_comment("2")])
            .put_assoc(Post::USERS, vec![new_user("bob")])
    };
    if db.backend == Backend::Sqlite {
        assert_unsupported(&db.repo.insert(graph().prefix("other")).await.unwrap_err());
        return;
    }
    let other = db.create_schema_beside().await;
    let there = db.repo.with_prefix(other.as_str());
    there.create_table::<Post>().await.unwrap();
    there.create_table::<User>().await.unwrap();
    there.create_table::<Comment>().await.unwrap();
    db.repo.script(&format!("CREATE TABLE {other}.g_posts_users (post_id BIGINT, user_id BIGINT)")).await.unwrap();
    // By the row, and by the call.
    let post = db.repo.insert(graph().prefix(other.clone())).await.unwrap();
    there.update(post.change().clear_assoc(Post::COMMENTS)).await.unwrap();
    let texts = |n: i32| vec![new_comment(&format!("x{n}")), new_comment(&format!("y{n}"))];
    there
        .insert(new_post("q").put_assoc(Post::COMMENTS, texts(1)).put_assoc(Post::USERS, vec![new_user("c")]))
        .await
        .unwrap();
    let counts = (
        there.count(Post::query()).await.unwrap(),
        there.count(User::query()).await.unwrap(),
        there.count(Comment::query()).await.unwrap(),
    );
    assert_eq!(counts, (2, 3, 2));
    let links = db.repo.query(&format!("SELECT count(*) FROM {other}.g_posts_users"), &[]).await.unwrap();
    assert_eq!(links.scalar::<i64>().unwrap(), 2);
    assert_eq!((db.repo.count(User::query()).await.unwrap(), db.repo.count(Comment::query()).await.unwrap()), (0, 0));
    db.drop_schema(&other).await;
}

async fn a_graph_in_each_sort_of_repo(db: &Db) {
    create(&db.repo).await;
    let graph = |n: i32| new_post("p").put_assoc(Post::COMMENTS, vec![new_comment(&n.to_string())]);
    db.repo.insert(graph(1)).await.unwrap();
    let checkout = db.repo.checkout().await.unwrap();
    checkout.insert(graph(2)).await.unwrap();
    drop(checkout);
    let tx = db.repo.begin().await.unwrap();
    tx.insert(graph(3)).await.unwrap();
    let inner = tx.begin().await.unwrap();
    inner.insert(graph(4)).await.unwrap();
    inner.rollback().await.unwrap();
    tx.insert_or_update(graph(5)).await.unwrap();
    tx.commit().await.unwrap();
    let flat = db.repo.begin_with(TransactionOptions::new().flat()).await.unwrap();
    let declared = |text: &str| new_comment(text).unique_constraint(Comment::TEXT);
    flat.insert(new_post("p").put_assoc(Post::COMMENTS, vec![declared("6"), declared("7")])).await.unwrap();
    flat.commit().await.unwrap();
    let texts = repo_texts(&db.repo).await;
    assert_eq!(texts, ["1", "2", "3", "5", "6", "7"]);
    let refused = db.repo.read_only().insert(graph(8)).await.unwrap_err();
    assert_eq!(refused.kind(), &ErrorKind::ReadOnly);
    assert_eq!(repo_texts(&db.repo).await.len(), 6);
}

async fn repo_texts(repo: &impl Repo) -> Vec<String> {
    repo.all(Comment::query().order_by(Comment::TEXT.asc()).select(Comment::TEXT)).await.unwrap()
}
