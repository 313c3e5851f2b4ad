use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Place {
    id: i64,
    visits: Option<u64>,
}

fn main() {}
