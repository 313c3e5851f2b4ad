use emr_core::HasMany;
use emr_core::uuid::Uuid;
use emr_macros::Syncable;

fn make() -> Uuid {
    Uuid::nil()
}

#[derive(Syncable)]
#[emr(crate = "::emr_core", no_primary_key)]
struct Post {
    #[emr(primary_key, uuid, client = make)]
    id: Uuid,
    #[emr(identity, not_identity)]
    number: i64,
    #[emr(default = "1", identity)]
    count: i64,
    #[emr(default = "1", generated = "2")]
    sum: i64,
    #[emr(skip, unique)]
    cached: i64,
    #[emr(skip, has_many)]
    answers: HasMany<Post>,
}

fn main() {}
