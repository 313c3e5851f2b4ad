use emr_macros::Syncable;

pub struct HasMany<T>(Vec<T>);

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
    #[emr(has_many)]
    answers: HasMany<Post>,
}

fn main() {}
