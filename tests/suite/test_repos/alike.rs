//! What a program does on a test repo is what it does on any.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use emr::prelude::*;
use emr::test::TestRepo;
use emr::{Migrator, TransactionFault};
use futures_util::{StreamExt, TryStreamExt};

use super::test_repo;
use crate::blog;
use crate::harness::{Backend, Db};
use crate::schemas::{Permalink, Post, post, titles};

db_cases![
    sb13_preloads_of_many_tasks_share_the_connection,
    sb15_a_failed_statement_does_not_taint_the_test,
    sb18_sb19_transactions_and_checkouts_are_told_apart,
    nested_transactions_are_kept_and_undone,
    hooks_run_at_the_commit_of_the_program,
    a_transaction_that_only_reads_refuses_writes,
    a_stream_lets_others_go_on,
    a_stream_in_a_transaction,
    a_checkout_lets_others_go_on,
    many_rows_are_all_inserted_or_none,
    scripts_and_several_results,
    migrations_run,
];

const NONE: [&str; 0] = [];

async fn sb13_preloads_of_many_tasks_share_the_connection(db: &Db) {
    blog::create(&db.repo).await;
    let test = TestRepo::start(db.options()).await.unwrap();
    let author = blog::user(&test, "Ada").await;
    for n in 0..3 {
        let post = blog::post(&test, &format!("post {n}"), Some(&author)).await;
        blog::comment(&test, &format!("comment {n}"), Some(&post), Some(&author)).await;
        blog::permalink(&test, &format!("url {n}"), Some(&post), None).await;
    }
    let tasks = (0..8).map(|_| {
        let repo = test.repo().clone();
        tokio::spawn(async move {
            let posts = blog::Post::query()
                .order_by(blog::Post::ID.asc())
                .preload(blog::Post::AUTHOR)
                .preload(blog::Post::COMMENTS)
                .preload(blog::Post::PERMALINK);
            repo.all(posts).await.unwrap()
        })
    });
    for posts in futures_util::future::join_all(tasks).await {
        let posts = posts.unwrap();
        assert_eq!(posts.len(), 3);
        for (n, post) in posts.iter().enumerate() {
            assert_eq!(post.author.get().unwrap().unwrap().name, "Ada");
            assert_eq!(post.comments.get().unwrap()[0].text, format!("comment {n}"));
            assert_eq!(post.permalink.get().unwrap().unwrap().url, format!("url {n}"));
        }
    }
}

async fn sb15_a_failed_statement_does_not_taint_the_test(db: &Db) {
    db.repo.create_table::<Permalink>().await.unwrap();
    let test = test_repo(db).await;
    let link = |url: &str| Permalink::build().set(Permalink::URL, url);
    test.insert(link("a")).await.unwrap();
    assert!(test.insert(link("a")).await.unwrap_err().is_unique_violation());
    assert!(test.query("select nothing from nowhere", &[]).await.is_err());
    assert!(test.script("insert into posts (title) values ('x'); nonsense").await.is_err());
    test.insert(link("b")).await.unwrap();
    // Within a transaction it is as everywhere.
    let tx = test.begin().await.unwrap();
    tx.insert(link("c")).await.unwrap();
    assert!(tx.insert(link("a")).await.unwrap_err().is_unique_violation());
    let after = tx.insert(link("d")).await;
    match db.backend {
        Backend::Sqlite | Backend::Mariadb | Backend::Mysql => drop(after.unwrap()),
        Backend::Postgres => {
            let error = after.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Transaction(TransactionFault::Aborted)), "{error:?}");
        }
    }
    tx.rollback().await.unwrap();
    // A commit of a transaction in which a statement failed.
    let tx = test.begin().await.unwrap();
    tx.insert(link("e")).await.unwrap();
    assert!(tx.query("select nothing from nowhere", &[]).await.is_err());
    assert_eq!(tx.commit().await.is_ok(), db.backend == Backend::Sqlite);
    test.insert(link("f")).await.unwrap();
    let all = test.all(Permalink::query().order_by(Permalink::URL.asc())).await.unwrap();
    let urls: Vec<_> = all.iter().map(|link| link.url.as_str()).collect();
    let expected = if db.backend == Backend::Sqlite { &["a", "b", "e", "f"][..] } else { &["a", "b", "f"] };
    assert_eq!(urls, expected);
}

async fn sb18_sb19_transactions_and_checkouts_are_told_apart(db: &Db) {
    let test = test_repo(db).await;
    assert!(!test.in_transaction() && !test.checked_out());
    let checkout = test.checkout().await.unwrap();
    assert!(!checkout.in_transaction() && checkout.checked_out());
    checkout
        .transaction(async |tx| {
            assert!(tx.in_transaction() && tx.checked_out());
            post(tx, "one").await;
            Ok(())
        })
        .await
        .unwrap();
    post(&checkout, "two").await;
    drop(checkout);
    let tx = test.begin().await.unwrap();
    post(&tx, "three").await;
    assert!(tx.in_transaction() && !test.in_transaction());
    tx.rollback().await.unwrap();
    assert_eq!(titles(&test).await, ["one", "two"]);
}

async fn nested_transactions_are_kept_and_undone(db: &Db) {
    let test = test_repo(db).await;
    let tx = test.begin().await.unwrap();
    post(&tx, "outer").await;
    let inner = tx.begin().await.unwrap();
    post(&inner, "inner, undone").await;
    inner.rollback().await.unwrap();
    let inner = tx.begin().await.unwrap();
    post(&inner, "inner, kept").await;
    inner.commit().await.unwrap();
    tx.commit().await.unwrap();
    let undone: Result<()> = test
        .transaction(async |tx| {
            post(tx, "undone").await;
            tx.transaction(async |tx| {
                post(tx, "undone with it").await;
                Ok(())
            })
            .await?;
            Err(Error::not_found("reasons"))
        })
        .await;
    assert!(undone.unwrap_err().is_not_found());
    // Dropped in the middle, and once more before anything was sent.
    let tx = test.begin().await.unwrap();
    post(&tx, "dropped").await;
    drop(tx);
    drop(test.begin().await.unwrap());
    assert_eq!(titles(&test).await, ["outer", "inner, kept"]);
    // One that takes too long while nobody uses it.
    let tx = test.begin_with(TransactionOptions::new().timeout(Duration::from_millis(50))).await.unwrap();
    post(&tx, "late").await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(tx.commit().await.unwrap_err().is_timeout());
    assert_eq!(titles(&test).await, ["outer", "inner, kept"]);
}

async fn hooks_run_at_the_commit_of_the_program(db: &Db) {
    let test = test_repo(db).await;
    let ran = Arc::new(AtomicU32::new(0));
    for kept in [true, false] {
        let tx = test.begin().await.unwrap();
        let counter = Arc::clone(&ran);
        tx.after_commit(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        post(&tx, "x").await;
        assert_eq!(ran.load(Ordering::SeqCst), u32::from(!kept));
        if kept { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
    }
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    assert_eq!(titles(&test).await, ["x"]);
}

async fn a_transaction_that_only_reads_refuses_writes(db: &Db) {
    let test = test_repo(db).await;
    post(&test, "one").await;
    for commits in [true, false] {
        let tx = test.begin_with(TransactionOptions::new().read_only()).await.unwrap();
        assert_eq!(titles(&tx).await.len(), 1);
        if !commits {
            assert!(tx.query("insert into posts (title) values ('x')", &[]).await.is_err());
        }
        if commits {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        // What comes after it may write.
        let tx = test.begin().await.unwrap();
        post(&tx, "undone").await;
        tx.rollback().await.unwrap();
    }
    assert!(test.read_only().query("delete from posts", &[]).await.is_err());
    post(&test, "two").await;
    assert_eq!(titles(&test).await, ["one", "two"]);
}

async fn thousand(repo: &impl Repo) {
    let rows = (0..1_000).map(|n| Post::build().set(Post::TITLE, format!("{n:04}")).set(Post::VISITS, n));
    assert_eq!(repo.insert_all(rows).await.unwrap(), 1_000);
}

async fn a_stream_lets_others_go_on(db: &Db) {
    let test = test_repo(db).await;
    thousand(&test).await;
    let mut stream = test.stream(Post::query().filter(Post::VISITS.lt(600)).order_by(Post::TITLE.asc()));
    let mut seen = 0;
    while let Some(row) = stream.try_next().await.unwrap() {
        assert_eq!(row.visits, seen);
        if seen % 100 == 0 {
            test.update(row.change().set(Post::BODY, "seen")).await.unwrap();
            // One that fails undoes itself, and not the stream.
            assert!(test.query("select nothing from nowhere", &[]).await.is_err());
        }
        seen += 1;
    }
    drop(stream);
    assert_eq!(seen, 600);
    assert_eq!(test.count(Post::query().filter(Post::BODY.eq("seen"))).await.unwrap(), 6);
    // Dropped half way.
    let mut stream = test.stream(Post::query().order_by(Post::TITLE.asc()));
    assert_eq!(stream.next().await.unwrap().unwrap().title, "0000");
    drop(stream);
    post(&test, "after").await;
    assert_eq!(test.count(Post::query()).await.unwrap(), 1_001);
}

async fn a_stream_in_a_transaction(db: &Db) {
    let test = test_repo(db).await;
    thousand(&test).await;
    let tx = test.begin().await.unwrap();
    let titles: Vec<String> =
        tx.stream(Post::query().order_by(Post::TITLE.desc())).map_ok(|post| post.title).try_collect().await.unwrap();
    assert_eq!((titles.len(), titles[0].as_str()), (1_000, "0999"));
    let mut stream = tx.stream(Post::query().order_by(Post::TITLE.asc()));
    assert_eq!(stream.next().await.unwrap().unwrap().title, "0000");
    drop(stream);
    tx.delete_all(Post::query().filter(Post::VISITS.gt(9))).await.unwrap();
    tx.commit().await.unwrap();
    let checkout = test.checkout().await.unwrap();
    let left: Vec<Post> = checkout.stream(Post::query()).try_collect().await.unwrap();
    assert_eq!(left.len(), 10);
    assert_eq!(checkout.count(Post::query()).await.unwrap(), 10);
}

async fn a_checkout_lets_others_go_on(db: &Db) {
    let test = test_repo(db).await;
    let checkout = test.checkout().await.unwrap();
    post(&checkout, "one").await;
    post(&test, "two").await;
    let tx = checkout.begin().await.unwrap();
    post(&tx, "three").await;
    tx.commit().await.unwrap();
    drop(checkout);
    assert_eq!(titles(&test).await, ["one", "two", "three"]);
    test.disconnect_all();
    assert_eq!(titles(&test).await, ["one", "two", "three"]);
}

async fn many_rows_are_all_inserted_or_none(db: &Db) {
    db.repo.create_table::<Permalink>().await.unwrap();
    let test = TestRepo::start(db.options()).await.unwrap();
    let rows = |range: std::ops::Range<u32>| range.map(|n| Permalink::build().set(Permalink::URL, n.to_string()));
    assert_eq!(test.insert_all(rows(0..5_000)).await.unwrap(), 5_000);
    assert!(test.insert_all(rows(4_999..9_000)).await.unwrap_err().is_unique_violation());
    assert_eq!(test.count(Permalink::query()).await.unwrap(), 5_000);
    assert_eq!(test.insert_all_returning(rows(5_000..5_010)).await.unwrap().len(), 10);
    assert_eq!(test.count(Permalink::query()).await.unwrap(), 5_010);
}

async fn scripts_and_several_results(db: &Db) {
    let test = test_repo(db).await;
    test.script("insert into posts (title) values ('a'); insert into posts (title) values ('b')").await.unwrap();
    let results = test.query_many("select count(*) from posts; delete from posts where title = 'a'").await.unwrap();
    assert_eq!(results[0].scalar::<i64>().unwrap(), 2);
    assert_eq!(results[1].rows_affected(), 1);
    assert!(test.query_many("select 1; select nothing from nowhere").await.is_err());
    assert_eq!(titles(&test).await, ["b"]);
    assert_eq!(titles(&db.repo).await, NONE);
}

async fn migrations_run(db: &Db) {
    let migrator = Migrator::new()
        .reversible_sql(1, "one", "create table ones (id bigint); insert into ones values (7)", "drop table ones")
        .sql(2, "two", "insert into ones values (8)");
    let test = TestRepo::start(db.options()).await.unwrap();
    assert_eq!(migrator.run(&test).await.unwrap(), [1, 2]);
    assert_eq!(migrator.run(&test).await.unwrap(), [] as [i64; 0]);
    assert_eq!(test.query("select sum(id) from ones", &[]).await.unwrap().len(), 1);
    let broken = Migrator::new().sql(1, "one", "").sql(2, "two", "").sql(3, "three", "nonsense");
    assert!(broken.run(&test).await.is_err());
    assert_eq!(test.query("select id from ones order by id", &[]).await.unwrap().len(), 2);
    test.stop().await.unwrap();
    assert!(db.repo.query("select * from ones", &[]).await.is_err());
}
