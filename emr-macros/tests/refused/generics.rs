use emr_macros::{MultiRepo, Syncable};

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Page<T> {
    id: T,
}

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Line<'a, const N: usize> {
    text: &'a [u8; N],
}

#[derive(MultiRepo)]
struct TenantRepo<T>(T);

fn main() {}
