use emr::prelude::*;

#[derive(Syncable)]
struct Post {
    id: i64,
}

async fn after_commit(repo: RepoHandle) -> Result<u64> {
    let tx = repo.begin().await?;
    tx.commit().await?;
    tx.count(Post::query()).await
}

async fn ended_inside_its_closure(repo: RepoHandle) -> Result<()> {
    repo.transaction(async |tx| tx.commit().await).await
}

fn main() {}
