use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: Option<i64>,
}

fn main() {
    let _ = <Post as emr_core::Syncable>::schema();
}
