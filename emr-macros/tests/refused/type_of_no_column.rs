use emr_macros::Syncable;

struct Point(f64, f64);

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Place {
    id: i64,
    at: Point,
}

fn main() {}
