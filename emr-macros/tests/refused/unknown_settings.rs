use emr_core::{BelongsTo, HasMany};
use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core", tabel = "posts")]
struct Post {
    id: i64,
    #[emr(uniqe)]
    title: String,
    #[emr(rename = "txt")]
    text: String,
    person_id: i64,
    #[emr(belongs_to(foreign_key = "person_id"))]
    person: BelongsTo<Post>,
    #[emr(has_many(owner = "post_id"))]
    answers: HasMany<Post>,
}

#[derive(Syncable)]
#[emr(crate = "::emr_core", string)]
enum Status {
    #[emr(name = "on")]
    Active,
}

fn main() {}
