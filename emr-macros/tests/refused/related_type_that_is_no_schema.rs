use emr_core::HasMany;
use emr_macros::Syncable;

struct Comment;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
    #[emr(has_many)]
    comments: HasMany<Comment>,
}

fn main() {}
