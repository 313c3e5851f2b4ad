use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
}

fn main() {
    let _ = Post::ID.like("1%");
}
