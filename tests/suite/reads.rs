//! Reading: all, one, get, fetch, exists, count, and every clause of a query.

use emr::Value;
use emr::prelude::*;

use crate::harness::sql;
use crate::schemas::{Document, Membership, Permalink, Post, Reading, post};

repo_cases![
    r2_s12_supports_unnamed_repos,
    r3_all_empty,
    r4_sq27_all_with_in,
    r9_all_by,
    r12_composite_pk,
    r17_insert_with_no_primary_key,
    r19_r67_client_made_uuid_key,
    r41_get,
    r43_get_with_uuid_key,
    r44_get_by,
    r48_one_and_reverse_order,
    r51_exists,
    r100_field_source,
    r109_count_distinct_rows,
    r110_dynamic_filters,
    be3_be5_fetch_gives_the_row_or_not_found,
    be1_count,
    comparisons,
    null_tests,
    like_means_the_same_everywhere,
    between_and_not,
    fragments_bind_their_arguments,
    order_with_nulls,
    limit_and_offset,
    long_in_lists,
    raw_query_gives_columns_and_typed_cells,
    raw_query_into_structs_by_name,
    load_from_elsewhere,
    to_sql_shows_what_would_be_sent,
    explain_shows_a_plan,
];

async fn three(repo: &impl Repo) -> [Post; 3] {
    repo.create_table::<Post>().await.unwrap();
    [post(repo, "one").await, post(repo, "two").await, post(repo, "three").await]
}

async fn r2_s12_supports_unnamed_repos(repo: &impl Repo) {
    let nine = repo.query("select 4 + 5", &[]).await.unwrap();
    assert_eq!((nine.len(), nine.columns().len(), nine.rows_affected()), (1, 1, 1));
    assert_eq!(nine.scalar::<i64>().unwrap(), 9);
}

async fn r3_all_empty(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    assert_eq!(repo.all(Post::query()).await.unwrap(), []);
    assert_eq!(repo.all(Post::query().filter(Post::ID.gt(0)).order_by(Post::ID.asc())).await.unwrap(), []);
    let row = post(repo, "no longer empty").await;
    assert_eq!(repo.all(Post::query()).await.unwrap(), std::slice::from_ref(&row));
    repo.delete(&row).await.unwrap();
    assert_eq!(repo.all(Post::query()).await.unwrap(), []);
}

async fn r4_sq27_all_with_in(repo: &impl Repo) {
    let [one, two, _] = three(repo).await;
    let none: [i64; 0] = [];
    for _ in 0..2 {
        assert_eq!(repo.all(Post::query().filter(Post::ID.in_list(none))).await.unwrap(), []);
        assert_eq!(repo.all(Post::query().filter(Post::ID.not_in(none))).await.unwrap().len(), 3);
        let found = repo.all(Post::query().filter(Post::ID.in_list([one.id, two.id])).order_by(Post::ID.asc())).await;
        assert_eq!(found.unwrap(), [one.clone(), two.clone()]);
        let found = repo.all(Post::query().filter(Post::TITLE.in_list(["two", "four", "five"]))).await.unwrap();
        assert_eq!(found, std::slice::from_ref(&two));
        let found = repo.all(Post::query().filter(Post::ID.not_in([one.id, two.id]))).await.unwrap();
        assert_eq!(found[0].title, "three");
    }
}

async fn r9_all_by(repo: &impl Repo) {
    let [_, two, _] = three(repo).await;
    let found = repo.all(Post::query().filter_eq(Post::TITLE, "two").filter_eq(Post::BODY, None)).await.unwrap();
    assert_eq!(found, [two]);
}

async fn r12_composite_pk(repo: &impl Repo) {
    repo.create_table::<Membership>().await.unwrap();
    let member = |group_id, person: &str| Membership { group_id, person: person.into(), role: "reader".into() };
    let ada = repo.insert(member(1, "ada")).await.unwrap();
    repo.insert_all([member(1, "bob"), member(2, "ada")]).await.unwrap();
    assert_eq!(repo.get::<Membership>((1, "ada")).await.unwrap(), Some(ada.clone()));
    assert_eq!(repo.get::<Membership>((3, "ada")).await.unwrap(), None);
    let ada = repo.update(ada.change().set(Membership::ROLE, "writer")).await.unwrap();
    assert_eq!(repo.fetch::<Membership>((1, "ada")).await.unwrap().role, "writer");
    assert_eq!(repo.fetch::<Membership>((2, "ada")).await.unwrap().role, "reader");
    repo.delete(&ada).await.unwrap();
    let left = repo.all(Membership::query().order_by(Membership::GROUP_ID.asc())).await.unwrap();
    assert_eq!(left, [member(1, "bob"), member(2, "ada")]);
    let last = repo.one(Membership::query().reverse_order().limit(1)).await.unwrap().unwrap();
    assert_eq!(last, member(2, "ada"));
}

async fn r17_insert_with_no_primary_key(repo: &impl Repo) {
    repo.create_table::<Reading>().await.unwrap();
    let reading = repo.insert(Reading { sensor: "a".into(), value: 1.5 }).await.unwrap();
    assert_eq!(repo.all(Reading::query()).await.unwrap(), std::slice::from_ref(&reading));
    let error = repo.delete(&reading).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
    assert!(error.to_string().contains("primary key"), "{error}");
}

async fn r19_r67_client_made_uuid_key(repo: &impl Repo) {
    repo.create_table::<Document>().await.unwrap();
    let made = repo.insert(Document::build().set(Document::NAME, "made")).await.unwrap();
    assert!(!made.id.is_nil());
    assert_eq!(repo.fetch::<Document>(made.id).await.unwrap(), made);
    let id = emr::uuid::Uuid::from_u128(7);
    let given = repo.insert(Document { id, name: "given".into() }).await.unwrap();
    assert_eq!(given.id, id);
    assert_eq!(repo.count(Document::query()).await.unwrap(), 2);
    let rows = (0..3).map(|n| Document::build().set(Document::NAME, format!("row {n}")));
    let one_more = Document::build().set(Document::ID, emr::uuid::Uuid::from_u128(8)).set(Document::NAME, "row 3");
    assert_eq!(repo.insert_all(rows.chain([one_more])).await.unwrap(), 4);
    let stored = repo.all(Document::query().order_by(Document::NAME.asc())).await.unwrap();
    let names: Vec<_> = stored.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["given", "made", "row 0", "row 1", "row 2", "row 3"]);
    assert_eq!(stored[5].id, emr::uuid::Uuid::from_u128(8));
    let ids: std::collections::BTreeSet<_> = stored.iter().map(|row| row.id).collect();
    assert!(ids.len() == 6 && stored.iter().all(|row| !row.id.is_nil()), "{stored:?}");
}

async fn r41_get(repo: &impl Repo) {
    let [one, two, _] = three(repo).await;
    assert_eq!(repo.get::<Post>(one.id).await.unwrap(), Some(one.clone()));
    assert_eq!(repo.get::<Post>(two.id).await.unwrap(), Some(two));
    repo.delete(&one).await.unwrap();
    assert_eq!(repo.get::<Post>(one.id).await.unwrap(), None);
    assert!(repo.fetch::<Post>(one.id).await.unwrap_err().is_not_found());
}

async fn r43_get_with_uuid_key(repo: &impl Repo) {
    repo.create_table::<Document>().await.unwrap();
    let made = repo.insert(Document::build().set(Document::NAME, "made")).await.unwrap();
    assert_eq!(repo.get::<Document>(made.id).await.unwrap(), Some(made));
    assert_eq!(repo.get::<Document>(emr::uuid::Uuid::nil()).await.unwrap(), None);
}

async fn r44_get_by(repo: &impl Repo) {
    let [one, ..] = three(repo).await;
    let found = repo.get_by::<Post>(Post::TITLE.eq("one")).await.unwrap();
    assert_eq!(found, Some(one.clone()));
    let found = repo.get_by::<Post>(Post::ID.eq(one.id).and(Post::TITLE.eq("one"))).await.unwrap();
    assert_eq!(found, Some(one));
    assert_eq!(repo.get_by::<Post>(Post::TITLE.eq("none")).await.unwrap(), None);
    assert!(repo.fetch_by::<Post>(Post::TITLE.eq("none")).await.unwrap_err().is_not_found());
    assert!(repo.get_by::<Post>(Post::BODY.is_null()).await.unwrap_err().is_multiple_results());
}

async fn r48_one_and_reverse_order(repo: &impl Repo) {
    let [one, _, last] = three(repo).await;
    assert_eq!(repo.one(Post::query().order_by(Post::ID.asc()).limit(1)).await.unwrap(), Some(one.clone()));
    assert_eq!(repo.one(Post::query().reverse_order().limit(1)).await.unwrap(), Some(last.clone()));
    let reversed = Post::query().order_by(Post::ID.desc()).reverse_order().limit(1);
    assert_eq!(repo.one(reversed).await.unwrap(), Some(one));
    let error = repo.one(Post::query()).await.unwrap_err();
    assert!(error.is_multiple_results() && error.to_string().contains("posts"), "{error}");
    assert_eq!(repo.one(Post::query().filter(Post::ID.lt(0))).await.unwrap(), None);
}

async fn r51_exists(repo: &impl Repo) {
    let [one, ..] = three(repo).await;
    assert!(repo.exists(Post::query()).await.unwrap());
    assert!(repo.exists(Post::query().filter(Post::ID.eq(one.id)).order_by(Post::ID.asc()).limit(5)).await.unwrap());
    assert!(!repo.exists(Post::query().filter(Post::ID.lt(0))).await.unwrap());
    assert!(!repo.exists(Post::query().limit(0)).await.unwrap());
    assert!(!repo.exists(Post::query().order_by(Post::ID.asc()).offset(3)).await.unwrap());
}

async fn r100_field_source(repo: &impl Repo) {
    repo.create_table::<Permalink>().await.unwrap();
    let link = repo.insert(Permalink::build().set(Permalink::URL, "/a")).await.unwrap();
    assert_eq!(repo.get_by::<Permalink>(Permalink::URL.eq("/a")).await.unwrap(), Some(link.clone()));
    assert_eq!(repo.count(Permalink::query().filter(Permalink::URL.starts_with("/"))).await.unwrap(), 1);
    let link = repo.update(link.change().set(Permalink::URL, "/b")).await.unwrap();
    assert_eq!(link.url, "/b");
}

async fn r109_count_distinct_rows(repo: &impl Repo) {
    repo.create_table::<Reading>().await.unwrap();
    let reading = |sensor: &str| Reading { sensor: sensor.into(), value: 1.0 };
    repo.insert_all([reading("a"), reading("a"), reading("b")]).await.unwrap();
    assert_eq!(repo.count(Reading::query()).await.unwrap(), 3);
    assert_eq!(repo.count(Reading::query().distinct()).await.unwrap(), 2);
    assert_eq!(repo.all(Reading::query().distinct()).await.unwrap().len(), 2);
}

async fn r110_dynamic_filters(repo: &impl Repo) {
    three(repo).await;
    let none: Vec<Expr<bool>> = Vec::new();
    assert_eq!(repo.count(Post::query().filter(Expr::all(none))).await.unwrap(), 3);
    assert_eq!(repo.count(Post::query().filter(Expr::any([]))).await.unwrap(), 0);
    let mut filters = vec![Post::VISITS.eq(0)];
    filters.push(Post::TITLE.ne("two"));
    assert_eq!(repo.count(Post::query().filter(Expr::all(filters))).await.unwrap(), 2);
    let either = ["one", "two"].map(|title| Post::TITLE.eq(title));
    assert_eq!(repo.count(Post::query().filter(Expr::any(either))).await.unwrap(), 2);
}

async fn be3_be5_fetch_gives_the_row_or_not_found(repo: &impl Repo) {
    let [one, ..] = three(repo).await;
    assert_eq!(repo.fetch::<Post>(one.id).await.unwrap(), one);
    let error = repo.fetch::<Post>(-1).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotFound { table, .. } if table == "posts"), "{error:?}");
}

async fn be1_count(repo: &impl Repo) {
    three(repo).await;
    assert_eq!(repo.count(Post::query()).await.unwrap(), 3);
    assert_eq!(repo.count(Post::query().filter(Post::TITLE.eq("one"))).await.unwrap(), 1);
    assert_eq!(repo.count(Post::query().filter(Post::ID.lt(0))).await.unwrap(), 0);
    assert_eq!(repo.count(Post::query().limit(2)).await.unwrap(), 2);
    assert_eq!(repo.count(Post::query().order_by(Post::ID.asc()).offset(1)).await.unwrap(), 2);
}

async fn comparisons(repo: &impl Repo) {
    let [one, two, last] = three(repo).await;
    let count = async |filter| repo.count(Post::query().filter(filter)).await.unwrap();
    assert_eq!(count(Post::ID.lt(two.id)).await, 1);
    assert_eq!(count(Post::ID.le(two.id)).await, 2);
    assert_eq!(count(Post::ID.gt(two.id)).await, 1);
    assert_eq!(count(Post::ID.ge(two.id)).await, 2);
    assert_eq!(count(Post::ID.ne(two.id)).await, 2);
    assert_eq!(count(Post::ID.eq(Post::ID)).await, 3);
    assert_eq!(count((Post::ID + 1).eq(last.id)).await, 1);
    assert_eq!(count((Post::ID * 2 - Post::ID).eq(Post::ID)).await, 3);
    assert_eq!(count(Post::ID.eq(one.id).or(Post::ID.eq(last.id)).and(!Post::TITLE.eq("one"))).await, 1);
    assert_eq!(count(Expr::constant(true)).await, 3);
    assert_eq!(count(Expr::constant(false)).await, 0);
}

async fn null_tests(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    repo.insert(Post::build().set(Post::TITLE, "with").set(Post::BODY, "text")).await.unwrap();
    repo.insert(Post::build().set(Post::TITLE, "without").set(Post::BODY, None)).await.unwrap();
    assert_eq!(repo.count(Post::query().filter(Post::BODY.is_null())).await.unwrap(), 1);
    assert_eq!(repo.count(Post::query().filter(Post::BODY.is_not_null())).await.unwrap(), 1);
    // Three-valued logic: NULL is neither equal nor unequal.
    assert_eq!(repo.count(Post::query().filter(Post::BODY.eq("x"))).await.unwrap(), 0);
    assert_eq!(repo.count(Post::query().filter(Post::BODY.ne("x"))).await.unwrap(), 1);
    assert_eq!(repo.count(Post::query().filter(!Post::BODY.eq("x"))).await.unwrap(), 1);
    assert_eq!(repo.count(Post::query().filter(Post::BODY.not_in(["x"]))).await.unwrap(), 1);
}

async fn like_means_the_same_everywhere(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    for title in ["Hello", "hello", "100%", "100 percent", "a_b", "axb", r"back\slash", "[abc]"] {
        post(repo, title).await;
    }
    let found = async |filter: Expr<bool>| -> Vec<String> {
        let query = Post::query().filter(filter).order_by(Post::ID.asc());
        repo.all(query).await.unwrap().into_iter().map(|post| post.title).collect()
    };
    assert_eq!(found(Post::TITLE.like("H%")).await, ["Hello"]);
    assert_eq!(found(Post::TITLE.ilike("H%")).await, ["Hello", "hello"]);
    assert_eq!(found(Post::TITLE.like(r"100\%")).await, ["100%"]);
    assert_eq!(found(Post::TITLE.starts_with("100%")).await, ["100%"]);
    assert_eq!(found(Post::TITLE.contains("_")).await, ["a_b"]);
    assert_eq!(found(Post::TITLE.like("a_b")).await, ["a_b", "axb"]);
    assert_eq!(found(Post::TITLE.contains(r"\")).await, [r"back\slash"]);
    assert_eq!(found(Post::TITLE.ends_with("c]")).await, ["[abc]"]);
    assert_eq!(found(Post::TITLE.like("[abc]")).await, ["[abc]"]);
}

async fn between_and_not(repo: &impl Repo) {
    let [one, two, last] = three(repo).await;
    let between = Post::ID.between(one.id, two.id);
    assert_eq!(repo.count(Post::query().filter(between.clone())).await.unwrap(), 2);
    assert_eq!(repo.all(Post::query().filter(!between)).await.unwrap(), [last]);
}

async fn fragments_bind_their_arguments(repo: &impl Repo) {
    three(repo).await;
    let long = fragment("length(?) > ?").arg(Post::TITLE).arg(3_i64);
    assert_eq!(repo.count(Post::query().filter(long)).await.unwrap(), 1);
    let question = fragment(r"? = 'what\?'").arg(Post::TITLE);
    assert_eq!(repo.count(Post::query().filter(question)).await.unwrap(), 0);
    for wrong in [fragment("? = ?").arg(Post::TITLE), fragment("1 = 1").arg(Post::TITLE)] {
        let error = repo.count(Post::query().filter(wrong)).await.unwrap_err();
        assert!(error.to_string().contains("arguments"), "{error}");
    }
}

async fn order_with_nulls(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    for (title, body) in [("a", Some("2")), ("b", None), ("c", Some("1"))] {
        repo.insert(Post::build().set(Post::TITLE, title).set(Post::BODY, body.map(str::to_owned))).await.unwrap();
    }
    let order = async |order| -> String {
        let posts = repo.all(Post::query().order_by(order)).await.unwrap();
        posts.into_iter().map(|post| post.title).collect()
    };
    assert_eq!(order(Post::BODY.asc().nulls_first()).await, "bca");
    assert_eq!(order(Post::BODY.asc().nulls_last()).await, "cab");
    assert_eq!(order(Post::BODY.desc().nulls_first()).await, "bac");
    assert_eq!(order(Post::BODY.desc().nulls_last()).await, "acb");
}

async fn limit_and_offset(repo: &impl Repo) {
    let [one, two, last] = three(repo).await;
    let query = Post::query().order_by(Post::ID.asc());
    assert_eq!(repo.all(query.clone().limit(2)).await.unwrap(), [one, two.clone()]);
    assert_eq!(repo.all(query.clone().limit(1).offset(1)).await.unwrap(), std::slice::from_ref(&two));
    assert_eq!(repo.all(query.clone().offset(1)).await.unwrap(), [two, last]);
    assert_eq!(repo.all(query.clone().limit(0)).await.unwrap(), []);
    assert_eq!(repo.all(query.clone().offset(9)).await.unwrap(), []);
    assert_eq!(repo.all(query.limit(u64::MAX)).await.unwrap().len(), 3);
}

async fn long_in_lists(repo: &impl Repo) {
    let [one, _, last] = three(repo).await;
    for len in [3, 300, 40_000] {
        let ids = (0..len).map(|n| if n % 2 == 0 { one.id } else { last.id });
        assert_eq!(repo.count(Post::query().filter(Post::ID.in_list(ids.clone()))).await.unwrap(), 2, "{len}");
        assert_eq!(repo.count(Post::query().filter(Post::ID.not_in(ids))).await.unwrap(), 1, "{len}");
        let titles = (0..len).map(|n| format!("no such title {n}")).chain(["two".to_owned()]);
        assert_eq!(repo.count(Post::query().filter(Post::TITLE.in_list(titles))).await.unwrap(), 1, "{len}");
    }
}

async fn raw_query_gives_columns_and_typed_cells(repo: &impl Repo) {
    three(repo).await;
    let result = repo.query("select title, visits, body from posts order by id", &[]).await.unwrap();
    let names: Vec<_> = result.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["title", "visits", "body"]);
    assert_eq!(result.len(), 3);
    assert_eq!(result.get::<String>(1, "title").unwrap(), "two");
    assert_eq!(result.get::<i64>(1, 1).unwrap(), 0);
    assert_eq!(result.get::<Option<String>>(1, 2).unwrap(), None);
    assert!(result.get::<i64>(0, "title").unwrap_err().to_string().contains("title"));
    assert!(result.get::<i64>(0, "nothing").is_err());
    assert!(result.get::<i64>(3, 1).is_err());
    let empty = repo.query("select title from posts where id < 0", &[]).await.unwrap();
    assert!(empty.is_empty());
    assert_eq!(empty.columns().len(), 1);
    let title = repo.query(&sql("select title from posts where title = $1"), &[&"two"]).await.unwrap();
    assert_eq!(title.scalar::<String>().unwrap(), "two");
}

async fn raw_query_into_structs_by_name(repo: &impl Repo) {
    #[derive(Syncable, Debug, PartialEq)]
    #[emr(no_primary_key)]
    struct Short {
        visits: i64,
        title: String,
    }
    three(repo).await;
    let sql = "select id, title, visits from posts order by id";
    let rows = repo.query_as::<Short>(sql, &[]).await.unwrap();
    assert_eq!(rows[2], Short { visits: 0, title: "three".into() });
    let error = repo.query_as::<Short>("select title from posts", &[]).await.unwrap_err();
    let ErrorKind::Decode { column, found, .. } = error.kind() else { panic!("{error:?}") };
    assert_eq!(column, "visits");
    assert!(found.contains("no such column"), "{found}");
}

async fn load_from_elsewhere(repo: &impl Repo) {
    let columns = ["body", "id", "title", "visits", "author_id", "more"];
    let columns = columns.map(|name| emr::ResultColumn { name: name.into(), type_name: String::new() });
    let cells = vec![
        Value::Null(emr::SqlType::Text),
        Value::I64(7),
        Value::Text("x".into()),
        Value::I64(1),
        Value::I32(3),
        Value::Bool(true),
    ];
    let result = emr::QueryResult::from_parts(columns.to_vec(), vec![cells]);
    let expected = Post { id: 7, title: "x".into(), body: None, visits: 1, author_id: Some(3) };
    assert_eq!(repo.load::<Post>(&result).unwrap(), [expected]);
}

async fn to_sql_shows_what_would_be_sent(repo: &impl Repo) {
    let (sql, params) = repo.to_sql(Post::query().filter(Post::TITLE.eq("x")).limit(2)).unwrap();
    assert!(sql.contains(&crate::harness::sql("\"posts\"")) && sql.contains("LIMIT 2"), "{sql}");
    assert_eq!(params, [Value::Text("x".into())]);
}

async fn explain_shows_a_plan(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    let plan = repo.explain(Post::query().filter(Post::ID.eq(1))).await.unwrap();
    assert!(!plan.is_empty());
    let shown = ["t0", "Impossible WHERE", "no matching row in const table"];
    assert!(shown.iter().any(|text| format!("{plan:?}").contains(text)), "{plan:?}");
}
