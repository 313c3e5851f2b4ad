use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
    title: String,
}

fn main() {
    let _ = Post::TITLE.eq(5);
    let _ = Post::ID.in_list(["one"]);
}
