use emr_macros::MultiRepo;

#[derive(MultiRepo)]
#[repo(timeout = "15 parsecs", idle_timeout = "0s", connect_timeout = "infinite", connection_idle_timeout = 10)]
struct TenantRepo;

fn main() {}
