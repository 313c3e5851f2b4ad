use emr_core::{BelongsTo, HasMany};
use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core", table = 5, prefix = "", rename_all = "train", no_primary_key = true, extra_columns, "x")]
struct Post {
    #[emr(unique = true, column)]
    id: i64,
    #[emr(client = "make", default = "a\0b")]
    code: String,
    #[emr(belongs_to = "code")]
    person: BelongsTo<Post>,
    #[emr(has_many(key = 5))]
    answers: HasMany<Post>,
}

#[derive(Syncable)]
#[emr(crate = "not a path")]
struct Line {
    id: i64,
}

fn main() {}
