use emr_core::{BelongsTo, HasMany, HasOne, ManyToMany};
use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
    person_id: i64,
    person: BelongsTo<Post>,
    tags: ManyToMany<Post>,
    #[emr(has_one)]
    comments: HasMany<Post>,
    #[emr(belongs_to)]
    writer: Option<Box<Post>>,
    #[emr(has_one, has_many)]
    cover: HasOne<Post>,
    #[emr(has_many, primary_key, column = "x")]
    answers: HasMany<Post>,
}

fn main() {}
