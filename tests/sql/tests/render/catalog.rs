use emr_core::render;
use emr_sql_snapshots::snapshot;

#[test]
fn tables_by_name() {
    snapshot("table_exists", |out| render::table_exists(out, "it's", None));
    snapshot("table_exists_prefixed", |out| render::table_exists(out, "posts", Some("tenant")));
}
