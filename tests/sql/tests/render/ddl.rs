use emr_core::{Schema, Syncable, render};
use emr_sql_snapshots::schemas::{Empty, Hostile, Invoice, Labelled, Line, LogEntry, Membership, Note, Post};
use emr_sql_snapshots::snapshot;

fn create(case: &str, schema: &'static Schema) {
    snapshot(case, |out| render::create_table(out, schema, None));
}

#[test]
fn tables_are_created() {
    create("create_table", Note::schema());
    create("create_table_of_every_type", Post::schema());
    create("create_table_with_composite_key", Membership::schema());
    create("create_table_with_half_counted_key", Line::schema());
    create("create_table_without_key", LogEntry::schema());
    create("create_table_in_a_schema", Invoice::schema());
    create("create_table_with_hostile_names", Hostile::schema());
    create("create_table_with_arrays", Labelled::schema());
    create("create_table_without_columns", Empty::schema());
}

#[test]
fn tables_are_dropped() {
    snapshot("drop_table", |out| render::drop_table(out, Note::schema(), None, false));
    snapshot("drop_table_if_exists", |out| render::drop_table(out, Hostile::schema(), Some("tenant_1"), true));
}
