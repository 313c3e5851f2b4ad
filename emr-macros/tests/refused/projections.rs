use emr_macros::Projection;

#[derive(Projection)]
#[emr(crate = "::emr_core")]
enum Either {
    One,
}

#[derive(Projection)]
#[emr(crate = "::emr_core")]
struct Nothing;

#[derive(Projection)]
#[emr(crate = "::emr_core")]
struct Generic<T> {
    value: T,
}

#[derive(Projection)]
#[emr(crate = "::emr_core", table = "posts")]
struct WithTable {
    #[emr(column = "name")]
    value: i64,
}

#[derive(Projection)]
#[emr(crate = "::emr_core")]
struct Many {
    a: i64,
    b: i64,
    c: i64,
    d: i64,
    e: i64,
    f: i64,
    g: i64,
    h: i64,
    i: i64,
    j: i64,
    k: i64,
    l: i64,
    m: i64,
}

struct NoColumn;

#[derive(Projection)]
#[emr(crate = "::emr_core")]
struct OfNoColumn {
    id: i64,
    other: NoColumn,
}

fn main() {}
