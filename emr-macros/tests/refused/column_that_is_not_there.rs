use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
    title: String,
}

fn main() {
    let _ = Post::TITEL.is_null();
}
