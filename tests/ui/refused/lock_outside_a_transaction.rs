use emr::prelude::*;

#[derive(Syncable)]
struct Post {
    id: i64,
    title: String,
}

async fn on_a_handle(repo: RepoHandle) {
    let _ = repo.fetch::<Post>(1).lock(Lock::UPDATE).await;
    let _ = repo.all_locked(Post::query(), Lock::UPDATE).await;
    let _ = repo.advisory_lock("posts").await;
}

async fn on_a_checkout(checkout: emr::Checkout) {
    let _ = checkout.fetch_by::<Post>(Post::TITLE.eq("x")).lock(Lock::SHARE).await;
}

async fn on_any_repo(repo: &impl Repo) {
    let _ = repo.with_prefix("tenant").fetch::<Post>(1).lock(Lock::UPDATE).await;
}

async fn in_a_transaction(tx: &Tx) -> Result<Post> {
    tx.with_prefix("tenant").advisory_lock("posts").await?;
    tx.fetch::<Post>(1).lock(Lock::UPDATE).await
}

fn main() {}
