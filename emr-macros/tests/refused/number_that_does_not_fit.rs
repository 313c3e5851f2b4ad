use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core", integer = "i16")]
enum Level {
    Low,
    High = 40_000,
}

fn main() {}
