use emr_core::BelongsTo;
use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
    writer: i64,
    #[emr(belongs_to)]
    author: BelongsTo<Post>,
    #[emr(belongs_to(key = "editor"))]
    editor: BelongsTo<Post>,
}

fn main() {}
