use emr::prelude::*;

struct Post {
    id: i64,
}

async fn wrong(repo: RepoHandle) {
    let _ = Post::query();
    let _ = repo.get::<Post>(1).await;
    let _ = repo.query_as::<Post>("select 1", &[]).await;
}

fn main() {}
