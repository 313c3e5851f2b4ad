use emr_core::{Query, SyncableExt};

struct Post {
    id: i64,
}

fn main() {
    let _ = Query::<Post>::new();
    let _ = <Post as SyncableExt>::query();
}
