use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core", extra_columns(title, "autor", nothing))]
struct Post {
    id: i64,
    title: String,
}

fn main() {}
