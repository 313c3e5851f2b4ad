use emr_core::{Assignment, Lock, Query, Schema, SqlType, Syncable, SyncableExt, Update, Value, fragment, render};
use emr_sql_snapshots::schemas::{Hostile, Invoice, Labelled, Line, LogEntry, Membership, Note, Post};
use emr_sql_snapshots::snapshot;
use uuid::Uuid;

/// A value of the column's type.
fn cell(schema: &'static Schema, column: usize) -> Value<'static> {
    match schema.columns[column].ty {
        SqlType::I64 => Value::I64(1),
        SqlType::I32 => Value::I32(2),
        SqlType::Text => Value::Text("text".into()),
        SqlType::Uuid => Value::Uuid(Uuid::from_u128(3)),
        SqlType::Bool => Value::Bool(true),
        ty => Value::Null(ty),
    }
}

fn insert(case: &str, schema: &'static Schema, columns: &[usize], returning: bool) {
    let cell = |column| cell(schema, column);
    snapshot(case, |out| render::insert(out, schema, None, columns, &cell, returning));
}

fn insert_rows(case: &str, schema: &'static Schema, columns: &[usize], rows: std::ops::Range<usize>, returning: bool) {
    let cell = |row: usize, column| match cell(schema, column) {
        Value::I64(_) => Value::I64(row.try_into().unwrap()),
        value => value,
    };
    snapshot(case, |out| render::insert_rows(out, schema, None, columns, rows.clone(), &cell, returning));
}

#[test]
fn inserts_of_one_row() {
    insert("insert", Note::schema(), &[1, 2, 3], false);
    insert("insert_returning", Note::schema(), &[1, 2, 3], true);
    insert("insert_some_columns", Note::schema(), &[1], true);
    insert("insert_default_row", Note::schema(), &[], false);
    insert("insert_default_row_returning", Note::schema(), &[], true);
    insert("insert_own_identity", Note::schema(), &[0, 1], false);
    insert("insert_own_identity_returning", Note::schema(), &[0, 1], true);
    insert("insert_every_type", Post::schema(), &(1..22).collect::<Vec<_>>(), true);
    insert("insert_composite", Membership::schema(), &[0, 1, 2], true);
    insert("insert_half_counted_key", Line::schema(), &[0, 2], true);
    insert("insert_without_key", LogEntry::schema(), &[0, 1], true);
    insert("insert_prefix_of_the_schema", Invoice::schema(), &[0, 1], true);
    insert("insert_hostile", Hostile::schema(), &[1, 2, 3, 4, 5], true);
    insert("insert_array", Labelled::schema(), &[1], false);
}

#[test]
fn inserts_of_many_rows() {
    insert_rows("insert_rows", Note::schema(), &[1, 2], 0..3, false);
    insert_rows("insert_rows_returning", Note::schema(), &[1, 2], 5..7, true);
    insert_rows("insert_rows_own_identity", Note::schema(), &[0, 1], 0..2, true);
    insert_rows("insert_rows_none", Note::schema(), &[1], 4..4, true);
    insert_rows("insert_rows_without_columns", Note::schema(), &[], 0..2, true);
    insert_rows("insert_rows_too_many_parameters", Note::schema(), &[1, 2], 0..40_000, false);
}

#[test]
fn updates_by_key() {
    let title = Value::Text("new".into());
    let null = Value::Null(SqlType::I64);
    let key = [Value::I64(7)];
    let changes = [(1, &title), (2, &null)];
    snapshot("update", |out| render::update_by_key(out, Note::schema(), None, &changes, &key, false));
    snapshot("update_returning", |out| render::update_by_key(out, Note::schema(), Some("t"), &changes, &key, true));
    snapshot("update_nothing", |out| render::update_by_key(out, Note::schema(), None, &[], &key, true));
    snapshot("update_hostile", |out| render::update_by_key(out, Hostile::schema(), None, &[(3, &title)], &key, false));
    let both = [Value::Text("core".into()), Value::Uuid(Uuid::from_u128(1))];
    let role = [(2, &title)];
    snapshot("update_composite", |out| render::update_by_key(out, Membership::schema(), None, &role, &both, true));
    snapshot("update_half_a_key", |out| {
        render::update_by_key(out, Membership::schema(), None, &role, &both[..1], false);
    });
    snapshot("update_without_key", |out| {
        render::update_by_key(out, LogEntry::schema(), None, &[(1, &title)], &key, false);
    });
}

#[test]
fn deletes_by_key() {
    let delete = |case, schema, prefix, key: &[Value<'static>]| {
        snapshot(case, |out| render::delete_by_key(out, schema, prefix, key.iter().cloned()));
    };
    let both = [Value::Text("core".into()), Value::Uuid(Uuid::from_u128(1))];
    delete("delete", Note::schema(), None, &[Value::I64(7)]);
    delete("delete_prefixed", Note::schema(), Some("tenant_1"), &[Value::I64(7)]);
    delete("delete_composite", Membership::schema(), None, &both);
    delete("delete_half_a_key", Membership::schema(), None, &both[..1]);
    delete("delete_without_key", LogEntry::schema(), None, &[]);
}

fn update_all<T: Syncable>(case: &str, update: &Update<T>) {
    let (query, assignments) = update.parts();
    snapshot(case, |out| render::update_all(out, query, assignments, None));
}

#[test]
fn updates_of_a_query() {
    let some = || Note::query().filter(Note::RANK.gt(3_i64));
    update_all("update_all", &Note::query().set(Note::DONE, true));
    update_all("update_all_filtered", &some().set(Note::TITLE, "x").set(Note::RANK, None));
    update_all("update_all_prefixed", &some().prefix("tenant_1").set(Note::DONE, false));
    update_all("update_all_increment", &some().inc(Note::RANK, 2_i64));
    update_all("update_all_expression", &some().set_expr(Note::RANK, (Note::ID * 10_i64) / Note::RANK));
    update_all("update_all_condition", &some().set_expr(Note::DONE, Note::RANK.gt(9_i64)));
    let length = fragment("char_length(?)").arg(Note::TITLE).typed::<i64>();
    update_all("update_all_fragment", &some().set_expr(Note::RANK, length));
    let hostile = Hostile::query().filter(Hostile::ID.eq(1_i64)).inc(Hostile::MARKS, 1_i64);
    update_all("update_all_hostile", &hostile);
}

#[test]
fn updates_that_read_what_they_set() {
    let some = || Note::query().filter(Note::ID.eq(1_i64));
    let old = || Note::RANK + 1_i64;
    let by_fragment = fragment("coalesce(?, 0)").arg(Note::RANK).typed::<i64>();
    update_all("update_all_reads_before_it_sets", &some().set_expr(Note::ID, old()).set(Note::RANK, 0_i64));
    update_all("update_all_reads_after_it_set", &some().set(Note::RANK, 0_i64).set_expr(Note::ID, old()));
    update_all("update_all_reads_in_a_fragment", &some().set(Note::RANK, 0_i64).set_expr(Note::ID, by_fragment));
    let ranked = Note::RANK.between(0_i64, 9_i64).or(Note::RANK.in_list([70_i64])).or(!Note::TITLE.like("%"));
    update_all("update_all_reads_in_a_condition", &some().set(Note::TITLE, "").set_expr(Note::DONE, ranked));
    update_all("update_all_swaps", &some().set_expr(Note::ID, Note::RANK).set_expr(Note::RANK, Note::ID));
}

#[test]
fn deletes_of_a_query() {
    let delete = |case, query: &Query<Note>| snapshot(case, |out| render::delete_all(out, query.body(), None));
    delete("delete_all", &Note::query());
    delete("delete_all_filtered", &Note::query().filter(Note::RANK.is_null().or(Note::DONE.expr())));
    delete("delete_all_prefixed", &Note::query().prefix("tenant_1").filter(Note::ID.in_list([1_i64, 2])));
    let hostile = Hostile::query().filter(Hostile::COMMENT.ne("x"));
    snapshot("delete_all_hostile", |out| render::delete_all(out, hostile.body(), None));
}

#[test]
fn bulk_writes_take_filters_only() {
    let delete = |case, query: &Query<Note>| snapshot(case, |out| render::delete_all(out, query.body(), None));
    delete("delete_all_limited", &Note::query().limit(1));
    delete("delete_all_offset", &Note::query().offset(1));
    delete("delete_all_ordered", &Note::query().order_by(Note::ID.asc()));
    delete("delete_all_distinct", &Note::query().distinct());
    delete("delete_all_locked", &Note::query().lock(Lock::UPDATE));
    update_all("update_all_limited", &Note::query().limit(1).set(Note::DONE, true));
    update_all("update_all_read_only", &Post::query().set(Post::DOUBLE_VIEWS, 1_i64));
    let nothing: [Assignment; 0] = [];
    let query = Note::query();
    snapshot("update_all_nothing", |out| render::update_all(out, query.body(), &nothing, None));
}
