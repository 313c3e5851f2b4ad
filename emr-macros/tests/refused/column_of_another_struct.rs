use emr_core::SyncableExt;
use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
    title: String,
}

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Comment {
    id: i64,
    text: String,
}

fn main() {
    let _ = Post::build().set(Comment::TEXT, "Hello");
}
