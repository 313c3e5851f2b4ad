//! Writing: insert, update, delete, and their bulk forms.

use emr::prelude::*;

use crate::schemas::{Permalink, Post, post, titles};

repo_cases![
    r10_insert_update_and_delete,
    r11_with_field_source,
    r15_update_writes_only_changes,
    r16_empty_changesets,
    r18_defaults_are_read_back,
    r21_user_assigned_primary_key,
    r22_primary_key_change,
    r55_insert_all,
    r63_insert_all_returning,
    r72_update_all,
    r76_update_all_with_filter,
    r77_update_all_no_entries,
    r78_update_all_increment,
    r81_r86_delete_all,
    r85_delete_all_with_filter,
    stale_update_and_delete,
    key_zero_is_a_key,
    r18_generated_and_read_only_columns,
    bulk_verbs_refuse_orders_and_limits,
    a_changeset_without_a_row_is_not_updated,
];

async fn r10_insert_update_and_delete(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    let post = post(repo, "hello").await;
    assert_eq!(post.title, "hello");
    let post = repo.update(post.change().set(Post::TITLE, "world")).await.unwrap();
    assert_eq!(repo.fetch::<Post>(post.id).await.unwrap(), post);
    repo.delete(&post).await.unwrap();
    assert_eq!(repo.count(Post::query()).await.unwrap(), 0);
}

async fn r11_with_field_source(repo: &impl Repo) {
    repo.create_table::<Permalink>().await.unwrap();
    let link = repo.insert(Permalink::build().set(Permalink::URL, "url")).await.unwrap();
    assert_eq!(link.url, "url");
    let link = repo.update(link.change().set(Permalink::URL, "new")).await.unwrap();
    assert_eq!(repo.fetch::<Permalink>(link.id).await.unwrap().url, "new");
    repo.delete(&link).await.unwrap();
    assert!(!repo.exists(Permalink::query()).await.unwrap());
}

async fn r15_update_writes_only_changes(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    let stale = post(repo, "title").await;
    repo.update_all(Post::query().set(Post::BODY, "by another")).await.unwrap();
    let updated = repo.update(stale.change().set(Post::TITLE, "new")).await.unwrap();
    assert_eq!((updated.title.as_str(), updated.body.as_deref()), ("new", Some("by another")));
}

async fn r16_empty_changesets(repo: &impl Repo) {
    #[derive(Syncable, Debug, Clone, PartialEq)]
    #[emr(table = "plain")]
    struct Plain {
        id: i64,
        note: Option<String>,
    }
    repo.create_table::<Plain>().await.unwrap();
    let row = repo.insert(Plain::build()).await.unwrap();
    assert_eq!(row.note, None);
    assert_eq!(repo.update(row.change()).await.unwrap(), row);
    // The same value is no change, so nothing is sent: the row may even be gone.
    repo.delete(&row).await.unwrap();
    assert_eq!(repo.update(row.change().set(Plain::NOTE, None)).await.unwrap(), row);
    assert_eq!(repo.insert_all([Plain::build(), Plain::build()]).await.unwrap(), 2);
    assert_eq!(repo.count(Plain::query()).await.unwrap(), 2);
}

async fn r18_defaults_are_read_back(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    let stored = repo.insert(Post::build().set(Post::TITLE, "x")).await.unwrap();
    assert_eq!(stored.visits, 0);
    assert!(stored.id > 0);
}

async fn r21_user_assigned_primary_key(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    let stored = repo.insert(Post::build().set(Post::ID, 4711).set(Post::TITLE, "x")).await.unwrap();
    assert_eq!(stored.id, 4711);
}

async fn r22_primary_key_change(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    let before = post(repo, "x").await;
    let after = repo.update(before.change().set(Post::ID, before.id + 10)).await.unwrap();
    assert_eq!(after.id, before.id + 10);
    assert_eq!(repo.get::<Post>(before.id).await.unwrap(), None);
    assert_eq!(repo.fetch::<Post>(after.id).await.unwrap().title, "x");
}

async fn r55_insert_all(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    let none: [Post; 0] = [];
    assert_eq!(repo.insert_all(none).await.unwrap(), 0);
    // Rows that set different columns: what is not set takes the default.
    let rows = [
        Post::build().set(Post::TITLE, "a"),
        Post::build().set(Post::TITLE, "b").set(Post::VISITS, 7),
        Post::build().set(Post::TITLE, "c").set(Post::VISITS, 8),
        Post::build().set(Post::TITLE, "d"),
    ];
    assert_eq!(repo.insert_all(rows).await.unwrap(), 4);
    let stored = repo.all(Post::query().order_by(Post::ID.asc())).await.unwrap();
    let visits: Vec<_> = stored.iter().map(|post| (post.title.as_str(), post.visits)).collect();
    assert_eq!(visits, [("a", 0), ("b", 7), ("c", 8), ("d", 0)]);
}

async fn r63_insert_all_returning(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    let none: [Post; 0] = [];
    assert_eq!(repo.insert_all_returning(none).await.unwrap(), []);
    for count in [1, 3, 2_500] {
        let rows = (0..count).map(|n| Post::build().set(Post::TITLE, format!("title {n}")).set(Post::VISITS, n));
        let stored = repo.insert_all_returning(rows).await.unwrap();
        assert_eq!(stored.len(), usize::try_from(count).unwrap());
        for (n, post) in (0..).zip(&stored) {
            assert_eq!((post.visits, post.title.as_str()), (n, format!("title {n}").as_str()));
        }
        assert!(stored.windows(2).all(|pair| pair[0].id < pair[1].id));
    }
}

async fn r72_update_all(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    for title in ["a", "b", "c"] {
        post(repo, title).await;
    }
    assert_eq!(repo.update_all(Post::query().set(Post::TITLE, "x").set(Post::BODY, "y")).await.unwrap(), 3);
    assert_eq!(titles(repo).await, ["x", "x", "x"]);
    assert_eq!(repo.update_all(Post::query().set(Post::BODY, None)).await.unwrap(), 3);
    assert_eq!(repo.count(Post::query().filter(Post::BODY.is_null())).await.unwrap(), 3);
}

async fn r76_update_all_with_filter(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    for title in ["a", "b", "c"] {
        post(repo, title).await;
    }
    let some = Post::query().filter(Post::TITLE.eq("a").or(Post::TITLE.eq("b")));
    assert_eq!(repo.update_all(some.set(Post::TITLE, "x")).await.unwrap(), 2);
    assert_eq!(titles(repo).await, ["x", "x", "c"]);
}

async fn r77_update_all_no_entries(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    assert_eq!(repo.update_all(Post::query().set(Post::TITLE, "x")).await.unwrap(), 0);
    post(repo, "a").await;
    let none = Post::query().filter(Post::TITLE.eq("b"));
    assert_eq!(repo.update_all(none.set(Post::TITLE, "x")).await.unwrap(), 0);
    assert_eq!(titles(repo).await, ["a"]);
}

async fn r78_update_all_increment(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    post(repo, "a").await;
    assert_eq!(repo.update_all(Post::query().inc(Post::VISITS, 2)).await.unwrap(), 1);
    assert_eq!(repo.update_all(Post::query().inc(Post::VISITS, -1)).await.unwrap(), 1);
    let doubled = Post::query().set_expr(Post::VISITS, Post::VISITS * 10 + 1);
    assert_eq!(repo.update_all(doubled).await.unwrap(), 1);
    assert_eq!(repo.one(Post::query()).await.unwrap().unwrap().visits, 11);
}

async fn r81_r86_delete_all(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    assert_eq!(repo.delete_all(Post::query()).await.unwrap(), 0);
    for title in ["a", "b", "c"] {
        post(repo, title).await;
    }
    assert_eq!(repo.delete_all(Post::query()).await.unwrap(), 3);
    assert_eq!(repo.count(Post::query()).await.unwrap(), 0);
}

async fn r85_delete_all_with_filter(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    for title in ["a", "b", "c"] {
        post(repo, title).await;
    }
    assert_eq!(repo.delete_all(Post::query().filter(Post::TITLE.in_list(["a", "c"]))).await.unwrap(), 2);
    assert_eq!(titles(repo).await, ["b"]);
}

async fn stale_update_and_delete(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    let gone = post(repo, "x").await;
    repo.delete(&gone).await.unwrap();
    let error = repo.update(gone.change().set(Post::TITLE, "y")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Stale { table, action: "update" } if table == "posts"), "{error:?}");
    let error = repo.delete(&gone).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Stale { action: "delete", .. }), "{error:?}");
}

async fn key_zero_is_a_key(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    let zero = Post { id: 0, title: "zero".into(), body: None, visits: 0, author_id: None };
    assert_eq!(repo.insert(zero.clone()).await.unwrap(), zero);
    assert_eq!(repo.get::<Post>(0).await.unwrap(), Some(zero));
}

async fn r18_generated_and_read_only_columns(repo: &impl Repo) {
    #[derive(Syncable, Debug, Clone, PartialEq)]
    #[emr(table = "lines")]
    struct Line {
        id: i64,
        price: i64,
        amount: i64,
        #[emr(generated = "price * amount")]
        total: i64,
    }
    repo.create_table::<Line>().await.unwrap();
    let line = repo.insert(Line { id: 1, price: 3, amount: 4, total: 999 }).await.unwrap();
    assert_eq!(line.total, 12);
    let line = repo.update(line.change().set(Line::AMOUNT, 5)).await.unwrap();
    assert_eq!(line.total, 15);
    let before = repo.all(Line::query()).await.unwrap();
    for error in [
        repo.update(line.change().set(Line::TOTAL, 1)).await.unwrap_err(),
        repo.update_all(Line::query().set(Line::TOTAL, 1)).await.unwrap_err(),
        repo.insert(Line::build().set(Line::TOTAL, 1)).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("total") && error.to_string().contains("read-only"), "{error}");
    }
    assert_eq!(repo.all(Line::query()).await.unwrap(), before);
}

async fn bulk_verbs_refuse_orders_and_limits(repo: &impl Repo) {
    repo.create_table::<Post>().await.unwrap();
    post(repo, "a").await;
    for query in [Post::query().limit(1), Post::query().offset(1), Post::query().order_by(Post::ID.asc())] {
        assert!(matches!(repo.delete_all(&query).await.unwrap_err().kind(), ErrorKind::InvalidCall { .. }));
        let update = query.set(Post::TITLE, "x");
        assert!(matches!(repo.update_all(update).await.unwrap_err().kind(), ErrorKind::InvalidCall { .. }));
    }
    assert_eq!(titles(repo).await, ["a"]);
}

async fn a_changeset_without_a_row_is_not_updated(repo: &impl Repo) {
    let error = repo.update(Post::build().set(Post::TITLE, "x")).await.unwrap_err();
    assert!(error.to_string().contains("`change`"), "{error}");
}
