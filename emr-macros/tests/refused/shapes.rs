use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Email(String);

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Nothing;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Empty {}

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
union Either {
    a: i32,
    b: f32,
}

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
enum Never {}

fn main() {}
