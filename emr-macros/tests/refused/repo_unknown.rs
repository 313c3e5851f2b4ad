use emr_macros::MultiRepo;

#[derive(MultiRepo)]
#[repo(databse = "postgres", timeout = "1s", timeout = "2s")]
struct TenantRepo;

fn main() {}
