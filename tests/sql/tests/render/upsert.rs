use emr_core::render::{Cell, Insert, Returned};
use emr_core::{
    Computed, Conflict, Draft, NewRow, OnConflict, Schema, Shared, Syncable, SyncableExt, Value, excluded, functions,
    render,
};
use emr_sql_snapshots::schemas::{Hostile, Invoice, Membership, Note};
use emr_sql_snapshots::snapshot;

fn cell<'q>(row: usize, column: usize) -> Cell<'q> {
    Cell::Value(if column == 1 { Value::Text(format!("title {row}").into()) } else { Value::I64(7) })
}

fn upsert_of(
    case: &str,
    schema: &'static Schema,
    columns: &[usize],
    rows: usize,
    conflict: &Conflict,
    returned: Returned,
) {
    let insert = Insert { schema, prefix: None, columns, conflict: Some(conflict), returned };
    snapshot(case, |out| render::insert_values(out, insert, 0..rows, &cell));
}

fn upsert<T: Syncable>(case: &str, columns: &[usize], conflict: &OnConflict<T>, returned: Returned) {
    upsert_of(case, T::schema(), columns, 1, conflict.conflict(), returned);
}

#[test]
fn what_is_done() {
    let nothing = Returned::Nothing;
    upsert("upsert_nothing", &[1, 2], &OnConflict::<Note>::nothing(), nothing);
    upsert("upsert_nothing_by_target", &[1, 2], &OnConflict::nothing().target(Note::TITLE), nothing);
    upsert("upsert_replace", &[1, 2], &OnConflict::replace(Note::RANK).target(Note::TITLE), nothing);
    upsert("upsert_replace_all", &[0, 1, 2, 3], &OnConflict::<Note>::replace_all().target(Note::TITLE), nothing);
    let except = OnConflict::replace_all_except((Note::ID, Note::DONE)).target(Note::TITLE);
    upsert("upsert_replace_all_except", &[1, 2], &except, nothing);
    let update = OnConflict::update()
        .set(Note::DONE, true)
        .set_expr(Note::RANK, Note::RANK + excluded(Note::RANK))
        .target(Note::TITLE);
    upsert("upsert_update", &[1, 2], &update, nothing);
    upsert(
        "upsert_filter",
        &[1, 2],
        &update.filter(Note::RANK.lt(excluded(Note::RANK)).and(Note::ID.gt(5_i64))),
        nothing,
    );
    upsert("upsert_increment", &[1, 2], &OnConflict::update().inc(Note::RANK, 2_i64).target(Note::TITLE), nothing);
    let swap = OnConflict::update().set(Note::RANK, 0_i64).set_expr(Note::ID, Note::RANK + 1_i64).target(Note::TITLE);
    upsert("upsert_reads_what_it_set", &[1, 2], &swap, nothing);
    let longest = Note::query().select(functions::max(Note::RANK)).scalar();
    let subquery = OnConflict::update().set_expr(Note::RANK, longest).target(Note::TITLE);
    upsert("upsert_subquery", &[1, 2], &subquery, nothing);
}

#[test]
fn which_key_is_taken() {
    let replace = || OnConflict::replace(Note::RANK);
    upsert("upsert_any_key", &[1, 2], &replace(), Returned::Nothing);
    upsert("upsert_constraint", &[1, 2], &replace().target_constraint("one \"title\""), Returned::Nothing);
    let partial = replace().target(Note::TITLE).target_where(Note::RANK.eq(3_i64).and(Note::TITLE.ne("it's")));
    upsert("upsert_partial_index", &[1, 2], &partial, Returned::Nothing);
    let backslash = replace().target(Note::TITLE).target_where(Note::TITLE.ne("\\"));
    upsert("upsert_partial_index_of_a_backslash", &[1, 2], &backslash, Returned::Nothing);
    let composite = OnConflict::replace(Membership::ROLE).target((Membership::TEAM, Membership::PERSON));
    upsert_of("upsert_composite", Membership::schema(), &[0, 1, 2], 1, composite.conflict(), Returned::Nothing);
    upsert("upsert_target_that_is_not_set", &[2], &replace().target(Note::TITLE), Returned::Nothing);
}

#[test]
fn what_comes_back() {
    let replace = OnConflict::replace(Note::RANK).target(Note::TITLE);
    upsert("upsert_outcome", &[1, 2], &replace, Returned::Outcome);
    upsert("upsert_row", &[1, 2], &replace, Returned::Row);
    upsert("upsert_own_identity", &[0, 1], &OnConflict::<Note>::nothing().target(Note::ID), Returned::Row);
    upsert("upsert_nothing_row", &[1, 2], &OnConflict::<Note>::nothing(), Returned::Row);
    upsert_of("upsert_rows", Note::schema(), &[1, 2], 3, replace.conflict(), Returned::Row);
    upsert("upsert_default_row", &[], &replace, Returned::Row);
    upsert("upsert_sets_nothing", &[1, 2], &OnConflict::<Note>::update().target(Note::TITLE), Returned::Row);
    upsert("upsert_hostile", &[1, 2, 3], &OnConflict::replace(Hostile::COMMENT).target(Hostile::ID), Returned::Row);
    upsert(
        "upsert_prefix_of_the_schema",
        &[0, 1],
        &OnConflict::<Invoice>::nothing().target(Invoice::ID),
        Returned::Row,
    );
}

#[test]
fn rows_of_a_query() {
    let query = Note::query().filter(Note::RANK.gt(3_i64)).select((Note::TITLE, Note::RANK + 1_i64));
    let conflict = OnConflict::replace(Note::RANK).target(Note::TITLE);
    let columns = &[1, 2];
    let insert = Insert { schema: Note::schema(), prefix: None, columns, conflict: None, returned: Returned::Nothing };
    snapshot("insert_from", |out| render::insert_select(out, insert, query.body(), None));
    let whole = Insert { returned: Returned::Row, ..insert };
    snapshot("insert_from_returning", |out| render::insert_select(out, whole, query.body(), None));
    let upsert = Insert { conflict: Some(conflict.conflict()), ..insert };
    snapshot("upsert_from", |out| render::insert_select(out, upsert, query.body(), None));
}

#[test]
fn computed_cells() {
    let title = Shared::<String>::new("shared");
    let most = Note::query().filter(Note::RANK.lt(9_i64)).select(functions::max(Note::RANK)).scalar();
    let rows = [
        Draft::<Note>::new().set_shared(Note::TITLE, &title).set_expr(Note::RANK, most),
        Draft::<Note>::new().set_shared(Note::TITLE, &title).set(Note::RANK, 4_i64),
    ];
    let cell = |row: usize, column: usize| match rows[row].computed(column) {
        Some(computed) => Cell::Computed(computed),
        None => Cell::Value(NewRow::cell(&rows[row], column)),
    };
    let insert =
        Insert { schema: Note::schema(), prefix: None, columns: &[1, 2], conflict: None, returned: Returned::Nothing };
    snapshot("insert_computed", |out| render::insert_values(out, insert, 0..2, &cell));
    let own = Note::TITLE.expr().into_node();
    let reads = |_: usize, _: usize| Cell::Computed(Computed::Expr(&own));
    snapshot("insert_computed_reads_a_row", |out| render::insert_values(out, insert, 0..1, &reads));
}

#[test]
fn rows_of_updates_and_deletes() {
    let update = Note::query().filter(Note::RANK.gt(3_i64)).inc(Note::RANK, 2_i64);
    let (query, set) = update.parts();
    snapshot("update_all_returning", |out| render::update_all_returning(out, query, set, &[], None));
    let some = Note::query().select((Note::ID, Note::RANK + 1_i64));
    let items = &some.body().select;
    snapshot("update_all_returning_some", |out| render::update_all_returning(out, query, set, items, None));
    snapshot("delete_all_returning", |out| render::delete_all_returning(out, query, &[], None));
    snapshot("delete_all_returning_some", |out| render::delete_all_returning(out, query, items, None));
}
