use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core", text, integer)]
enum Both {
    A,
}

#[derive(Syncable)]
#[emr(crate = "::emr_core", integer, rename_all = "camelCase")]
enum Named {
    #[emr(rename = "a")]
    A,
}

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
enum Twins {
    Closed,
    #[emr(rename = "closed")]
    Done,
}

#[derive(Syncable)]
#[emr(crate = "::emr_core", integer = "u8")]
enum Unsigned {
    A,
}

fn main() {}
