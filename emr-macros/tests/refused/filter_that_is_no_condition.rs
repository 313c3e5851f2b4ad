use emr_core::{Expr, HasMany};
use emr_macros::Syncable;

fn title() -> Expr<String> {
    Post::TITLE.expr()
}

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
    title: String,
    #[emr(has_many(filter = title))]
    answers: HasMany<Post>,
}

fn main() {}
