use emr::prelude::*;
use emr::{col, table};

#[derive(Syncable, Debug, Clone)]
struct Post {
    id: i64,
    title: String,
}

#[derive(Syncable, Debug, Clone)]
struct Tag {
    id: i64,
    label: String,
}

async fn wrong(repo: RepoHandle) {
    // Nothing is selected from a table without a schema.
    let _ = repo.all(table("posts").query()).await;
    // Rows of another type.
    let _: Vec<String> = repo.all(Post::query().select(Post::ID)).await.unwrap();
    // Both parts of a union must be alike.
    let _ = Post::query().select(Post::ID).union(Tag::query().select(Tag::LABEL));
    // An id is in no list of titles.
    let _ = Post::query().filter(Post::ID.in_query(Tag::query().select(Tag::LABEL)));
    // A column is nothing to join.
    let _ = Post::query().join(Post::TITLE);
    // A number is no condition.
    let _ = table("posts").query().filter(col::<i64>("id"));
    // An update is of the rows of a table, not of what was selected.
    let _ = Post::query().select(Post::ID).set(Post::TITLE, "x");
}

fn main() {}
