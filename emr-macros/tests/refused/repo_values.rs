use emr_macros::MultiRepo;

#[derive(MultiRepo)]
#[repo(database = "postgre", pool_size = 0, port = 70000, eager = "yes", tls = "on", host = "", env = 5)]
struct TenantRepo;

#[derive(MultiRepo)]
#[repo(pool_size = "4", read_only = 1)]
struct OtherRepo;

fn main() {}
