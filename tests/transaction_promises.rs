//! What a transaction's future can promise, held by the compiler. What it cannot is in `tests/ui`.

#![allow(missing_docs)] // tests

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use emr::Checkout;
use emr::prelude::*;

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "posts")]
struct Post {
    id: i64,
    title: String,
}

async fn repo() -> RepoHandle {
    let repo = emr::open(RepoOptions::sqlite(":memory:")).await.unwrap();
    repo.create_table::<Post>().await.unwrap();
    repo
}

async fn titles(repo: &impl Repo) -> Vec<String> {
    repo.all(Post::query().order_by(Post::ID.asc())).await.unwrap().into_iter().map(|post| post.title).collect()
}

fn titled(title: &str) -> emr::Changeset<Post> {
    Post::build().set(Post::TITLE, title)
}

#[tokio::test]
async fn a_transaction_on_a_handle_can_be_spawned() {
    let repo = repo().await;
    let handle = repo.clone();
    let task = tokio::spawn(async move {
        handle
            .transaction(async |tx| {
                let outer = tx.insert(titled("outer")).await?;
                tx.transaction(async |inner| inner.insert(titled("inner")).await.map(drop)).await?;
                Ok(outer)
            })
            .await
    });
    assert_eq!(task.await.unwrap().unwrap().title, "outer");
    assert_eq!(titles(&repo).await, ["outer", "inner"]);
}

#[tokio::test]
async fn a_transaction_on_a_checkout_can_be_spawned() {
    let repo = repo().await;
    let handle = repo.clone();
    tokio::spawn(async move {
        let checkout = handle.checkout().await?;
        checkout.transaction(async |tx| tx.insert(titled("one")).await.map(drop)).await
    })
    .await
    .unwrap()
    .unwrap();
    assert_eq!(titles(&repo).await, ["one"]);
}

#[tokio::test]
async fn the_steps_of_a_multi_can_be_spawned() {
    let repo = repo().await;
    let handle = repo.clone();
    let task = tokio::spawn(async move {
        let mut multi = emr::Multi::new();
        let first = multi.insert("first", titled("first"));
        let count = multi.run("count", move |tx, done| {
            Box::pin(async move { Ok(tx.count(Post::query()).await? + u64::from(done.get(first)?.id == 1)) })
        });
        let mut done = handle.multi(multi).await?;
        done.take(count)
    });
    assert_eq!(task.await.unwrap().unwrap(), 2);
    assert_eq!(titles(&repo).await, ["first"]);
}

#[tokio::test]
async fn a_closure_may_borrow_what_is_around_it() {
    let repo = repo().await;
    let title = String::from("borrowed");
    let mut seen = Vec::new();
    let count = repo
        .transaction(async |tx| {
            seen.push(tx.insert(titled(&title)).await?.title);
            seen.push(title.to_uppercase());
            tx.count(Post::query()).await
        })
        .await
        .unwrap();
    assert_eq!((count, seen), (1, vec![title.clone(), "BORROWED".to_owned()]));
}

/// A service as a program would write it: behind a trait object, over any repo.
#[async_trait]
trait Publisher: Send + Sync {
    async fn publish(&self, title: &str) -> Result<Post>;
    async fn publish_or_not(&self, title: &str) -> Result<()>;
}

struct Service<R>(R);

#[async_trait]
impl<R: Repo> Publisher for Service<R> {
    async fn publish(&self, title: &str) -> Result<Post> {
        let tx = self.0.begin().await?;
        let post = tx.insert(titled(title)).await?;
        let inner = tx.begin().await?;
        inner.update_all(Post::query().set(Post::TITLE, "lost")).await?;
        inner.rollback().await?;
        tx.commit().await?;
        Ok(post)
    }

    async fn publish_or_not(&self, title: &str) -> Result<()> {
        let tx = self.0.begin_with(TransactionOptions::new().timeout(Duration::from_secs(5))).await?;
        tx.insert(titled(title)).await?;
        tx.rollback().await
    }
}

#[tokio::test]
async fn a_service_that_is_generic_over_repos_uses_begin_and_commit() {
    let repo = repo().await;
    let tx = repo.begin().await.unwrap();
    let services: [Box<dyn Publisher>; 2] = [Box::new(Service(tx)), Box::new(Service(repo.clone()))];
    let [inside, outside] = services;
    // Each in a task of its own: the futures are Send.
    let post = tokio::spawn(async move {
        inside.publish_or_not("gone").await?;
        inside.publish("rolled back with the outer one").await
    });
    assert_eq!(post.await.unwrap().unwrap().title, "rolled back with the outer one");
    let post = tokio::spawn(async move {
        outside.publish_or_not("gone").await?;
        outside.publish("stays").await
    });
    assert_eq!(post.await.unwrap().unwrap().title, "stays");
    assert_eq!(titles(&repo).await, ["stays"]);
}

#[tokio::test]
async fn callers_with_boxed_errors_use_the_question_mark() {
    async fn publish(repo: &RepoHandle, number: &str) -> Result<i64, Box<dyn StdError>> {
        let post = repo
            .transaction_as(TransactionOptions::new(), async |tx| -> Result<_, Box<dyn StdError>> {
                let post = tx.insert(titled(number)).await?;
                number.parse::<i64>()?;
                Ok(post)
            })
            .await?;
        repo.transaction(async |tx| tx.fetch::<Post>(post.id).await).await?;
        Ok(post.id)
    }
    let repo = repo().await;
    assert_eq!(publish(&repo, "7").await.unwrap(), 1);
    assert!(publish(&repo, "seven").await.unwrap_err().is::<std::num::ParseIntError>());
    assert_eq!(titles(&repo).await, ["7"]);
}

/// An error as `anyhow` makes one: from any other, and with no `Error` of its own.
struct Anything(Box<dyn StdError + Send + Sync>);

impl<E: StdError + Send + Sync + 'static> From<E> for Anything {
    fn from(error: E) -> Self {
        Anything(Box::new(error))
    }
}

/// What a program rolls back with: a value that its caller wants.
#[derive(Debug)]
enum Refused {
    Database(Error),
    TooMany { posts: u64 },
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused::Database(error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

#[tokio::test]
async fn a_transaction_rolls_back_with_the_callers_own_error() {
    let repo = repo().await;
    let refused = tokio::spawn({
        let repo = repo.clone();
        async move {
            repo.transaction_as(TransactionOptions::new(), async |tx| {
                tx.insert(titled("one too many")).await?;
                match tx.count(Post::query()).await? {
                    0 => Ok(()),
                    posts => Err(Refused::TooMany { posts }),
                }
            })
            .await
        }
    });
    assert!(matches!(refused.await.unwrap(), Err(Refused::TooMany { posts: 1 })));
    let failed: Result<(), Refused> = repo
        .transaction_as(TransactionOptions::new(), async |tx| Ok(tx.delete(&Post { id: 9, title: "x".into() }).await?))
        .await;
    let Err(Refused::Database(error)) = failed else { panic!("{failed:?}") };
    assert!(matches!(error.kind(), ErrorKind::Stale { .. }), "{error:?}");
    let anything: Result<(), Anything> = repo
        .transaction_as(TransactionOptions::new(), async |tx| {
            tx.insert(titled("gone")).await?;
            "x".parse::<i64>()?;
            Ok(())
        })
        .await;
    assert!(anything.is_err_and(|error| error.0.is::<std::num::ParseIntError>()));
    assert_eq!(titles(&repo).await, Vec::<String>::new());
}

fn assert_send<T: Send>(_: T) {}
fn assert_send_and_sync<T: Send + Sync>() {}

/// Never run: that it compiles is the test. The futures are `Send` though nobody knows what `R` is.
#[allow(dead_code)]
fn every_future_of_any_repo_is_send<R: Repo>(repo: &R, post: &Post, posts: &[Post]) {
    assert_send(repo.all(Post::query()));
    assert_send(repo.one(Post::query()));
    assert_send(repo.get::<Post>(1));
    assert_send(repo.get_by::<Post>(Post::ID.eq(1)));
    assert_send(repo.fetch::<Post>(1));
    assert_send(repo.fetch::<Post>(1).tag("post"));
    assert_send(repo.fetch_one(Post::query()));
    assert_send(repo.all_by::<Post>(Post::ID.eq(1)));
    assert_send(repo.reload(post));
    assert_send(repo.reload_all(posts));
    assert_send(repo.refetch(post));
    assert_send(repo.refetch_all(posts));
    assert_send(repo.table_exists("posts"));
    assert_send(repo.query_many("select 1; select 2"));
    assert_send(repo.explain_with(Post::query(), emr::ExplainOptions::new().analyze()));
    assert_send(repo.fetch_by::<Post>(Post::ID.eq(1)));
    assert_send(repo.exists(Post::query()));
    assert_send(repo.count(&Post::query()));
    assert_send(repo.stream(Post::query()));
    assert_send(repo.insert(post.clone()));
    assert_send(repo.insert(titled("x")));
    assert_send(repo.insert_all([post.clone()]));
    assert_send(repo.insert_all_returning([titled("x")]));
    assert_send(repo.update(post.change()));
    assert_send(repo.update_all(Post::query().set(Post::TITLE, "x")));
    assert_send(repo.delete(post));
    assert_send(repo.delete_all(Post::query()));
    assert_send(repo.query("select 1", &[&1_i64, &"x"]));
    assert_send(repo.query_as::<Post>("select 1", &[]));
    assert_send(repo.script("select 1"));
    assert_send(repo.explain(Post::query()));
    assert_send(repo.begin());
    assert_send(repo.multi(emr::Multi::new()));
    assert_send(repo.begin_with(TransactionOptions::new()));
    assert_send(repo.create_table::<Post>());
    assert_send(repo.drop_table::<Post>());
    assert_send(repo.drop_table_if_exists::<Post>());
    assert_send(async { repo.with_timeout(Timeout::Infinite).all(Post::query()).await });
    assert_send(async { repo.read_only().with_prefix("other").all(Post::query()).await });
}

/// Never run, as above: what needs a transaction.
#[allow(dead_code)]
fn every_future_of_any_transaction_is_send<T: Transactional>(tx: &T) {
    assert_send(tx.fetch::<Post>(1).lock(Lock::UPDATE));
    assert_send(tx.fetch_by::<Post>(Post::ID.eq(1)).lock(Lock::SHARE.nowait()));
    assert_send(tx.all_locked(Post::query(), Lock::UPDATE));
    assert_send(tx.one_locked(Post::query(), Lock::UPDATE));
    assert_send(tx.advisory_lock("name"));
    assert_send(tx.advisory_lock_shared(String::from("name")));
    assert_send(tx.try_advisory_lock("name"));
    assert_send(async { tx.with_timeout(Timeout::Infinite).try_advisory_lock_shared("name").await });
    assert_send(async { tx.with_prefix("other").fetch::<Post>(1).lock(Lock::UPDATE).await });
}

/// Never run, as above: how transactions, checkouts and repos end.
#[allow(dead_code)]
fn every_other_future_is_send(tx: fn() -> Tx, repo: &RepoHandle) {
    assert_send(tx().commit());
    assert_send(tx().rollback());
    assert_send(repo.checkout());
    assert_send(repo.stop(Duration::ZERO));
    assert_send(emr::open("sqlite::memory:"));
    assert_send(repo.transaction(async |tx| tx.all(Post::query()).await));
    assert_send(repo.transaction_retry(TransactionOptions::new().retry(2), || async |tx| tx.all(Post::query()).await));
}

#[test]
fn whatever_is_a_repo_can_be_shared_between_tasks() {
    assert_send_and_sync::<RepoHandle>();
    assert_send_and_sync::<Tx>();
    assert_send_and_sync::<Checkout>();
    assert_send_and_sync::<emr::With<'static, Tx>>();
    assert_send_and_sync::<Error>();
    assert_send_and_sync::<RepoOptions>();
    assert_send_and_sync::<emr::Query<Post>>();
    assert_send_and_sync::<emr::Changeset<Post>>();
    assert_send_and_sync::<emr::QueryResult>();
    assert_send_and_sync::<emr::MultiError>();
    assert_send_and_sync::<emr::MultiResults>();
    assert_send_and_sync::<emr::Interceptors>();
}
