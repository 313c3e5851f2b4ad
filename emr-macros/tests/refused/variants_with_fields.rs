use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
enum Shape {
    Circle(f64),
    Square { side: f64 },
    Point,
}

fn main() {}
