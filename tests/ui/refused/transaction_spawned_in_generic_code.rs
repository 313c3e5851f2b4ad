// A known limit: stable Rust cannot declare the future of a generic async closure Send, so a transaction over an
// unknown repo cannot be spawned. Such code uses begin() and commit(), whose futures are Send.

use emr::prelude::*;

#[derive(Syncable)]
struct Post {
    id: i64,
}

fn in_the_background<R: Repo + 'static>(repo: R) {
    tokio::spawn(async move { repo.transaction(async |tx| tx.count(Post::query()).await).await });
}

fn with_begin<R: Repo + 'static>(repo: R) {
    tokio::spawn(async move {
        let tx = repo.begin().await?;
        tx.count(Post::query()).await?;
        tx.commit().await
    });
}

fn main() {}
