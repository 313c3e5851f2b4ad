use emr_macros::Syncable;

fn number() -> i64 {
    1
}

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    #[emr(identity)]
    id: String,
    #[emr(uuid)]
    token: String,
    #[emr(client = number)]
    code: String,
}

fn main() {}
