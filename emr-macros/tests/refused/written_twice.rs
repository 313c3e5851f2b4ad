use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core", table = "a")]
#[emr(table = "b")]
struct Post {
    id: i64,
    #[emr(unique, unique)]
    title: String,
    #[emr(column = "title")]
    name: String,
    word_count: i32,
    #[allow(non_snake_case)]
    #[emr(column = "other")]
    wordCount: i32,
}

fn main() {}
