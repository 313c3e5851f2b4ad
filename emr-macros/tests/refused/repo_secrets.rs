use emr_macros::MultiRepo;

#[derive(MultiRepo)]
#[repo(database_type = "postgres", password = "secret1", url = "postgres://app:secret1@db/acme")]
struct TenantRepo;

#[derive(MultiRepo)]
enum OtherRepo {
    A,
}

fn main() {}
