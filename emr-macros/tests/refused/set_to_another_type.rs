use emr_core::SyncableExt;
use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
    title: String,
    person_id: Option<i64>,
}

fn main() {
    let _ = Post::build().set(Post::TITLE, 5);
    let _ = Post::build().set(Post::TITLE, None);
    let _ = Post::build().set(Post::PERSON_ID, "one");
}
