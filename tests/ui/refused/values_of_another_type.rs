use emr::prelude::*;

#[derive(Syncable)]
struct Post {
    id: i64,
    title: String,
}

async fn wrong(repo: RepoHandle) {
    let _ = Post::TITLE.eq(5);
    let _ = Post::build().set(Post::TITLE, 5);
    let _ = Post::query().filter(Post::TITLE.expr());
    let _ = Post::query().filter(Post::ID);
    let _ = Post::query().filter(Post::ID.eq(1).or(Post::TITLE.expr()));
    let _ = repo.get::<Post>("x").await;
    let _ = repo.begin().await.unwrap().fetch::<Post>(1).lock("FOR UPDATE").await;
    let _ = repo.update(Post::query()).await;
}

fn main() {}
