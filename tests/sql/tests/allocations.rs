//! A statement that was made before costs no allocation.

use allocation_counter::{AllocationInfo, measure};
use emr_core::{SqlBuilder, Syncable, SyncableExt, Value, render};
use emr_sql_snapshots::schemas::{Membership, Note, Post};
use emr_sql_snapshots::{Engine, engines};

/// What rendering a statement for the second time allocates, on each engine.
fn second_time<'q>(render: impl Fn(&mut SqlBuilder<'q>)) -> Vec<(&'static str, AllocationInfo)> {
    let on = |engine: &'static Engine| {
        let build = || SqlBuilder::build(engine.dialect, &engine.capabilities, &render).unwrap();
        let first = build();
        let mut second = None;
        let allocations = measure(|| second = Some(build()));
        assert_eq!(second.unwrap().0.key(), first.0.key());
        (engine.dialect.name(), allocations)
    };
    engines().iter().map(on).collect()
}

fn assert_none<'q>(case: &str, render: impl Fn(&mut SqlBuilder<'q>)) {
    for (engine, allocations) in second_time(render) {
        assert_eq!(allocations.count_total, 0, "{case} on {engine}: {allocations:?}");
    }
}

#[test]
fn no_allocation_after_first() {
    let filtered = Post::query()
        .filter(Post::TITLE.like("a%").and(Post::VIEWS.gt(3_i64).or(!Post::PUBLIC.expr())))
        .order_by(Post::CREATED_AT.desc())
        .order_by(Post::ID.asc())
        .limit(20)
        .offset(40);
    assert_none("select", |out| render::select(out, filtered.body(), None));
    assert_none("count", |out| render::count(out, filtered.body(), None));
    assert_none("exists", |out| render::exists(out, filtered.body(), None));

    let key = [Value::Text("core".into()), Value::I64(7)];
    assert_none("get", |out| render::get(out, Membership::schema(), None, &key, None));
    assert_none("get one", |out| render::get(out, Note::schema(), None, &key[1..], None));

    let cell = |column| Value::I64(i64::try_from(column).unwrap());
    assert_none("insert", |out| render::insert(out, Note::schema(), None, &[1, 2, 3], &cell, true));
    assert_none("insert of a key", |out| render::insert(out, Note::schema(), None, &[0, 1], &cell, true));
    let cells = |_: usize, column| cell(column);
    assert_none("insert_rows", |out| render::insert_rows(out, Note::schema(), None, &[1, 2], 0..3, &cells, true));

    let title = Value::Text("new".into());
    let changes = [(1, &title)];
    assert_none("update", |out| render::update_by_key(out, Note::schema(), None, &changes, &key[1..], true));
    assert_none("delete", |out| render::delete_by_key(out, Note::schema(), None, key[1..].iter().map(Value::borrowed)));

    let update = Note::query().filter(Note::DONE.eq(true)).inc(Note::RANK, 1_i64).set(Note::DONE, false);
    let few = Note::query().filter(Note::ID.eq(1_i64));
    let (rows, assignments) = update.parts();
    assert_none("update_all", |out| render::update_all(out, rows, assignments, None));
    assert_none("delete_all", |out| render::delete_all(out, few.body(), None));
}

#[test]
fn more_than_eight_values_take_one_list() {
    let cell = |column| Value::I64(i64::try_from(column).unwrap());
    let columns: Vec<_> = (1..12).collect();
    for (engine, allocations) in second_time(|out| render::insert(out, Post::schema(), None, &columns, &cell, true)) {
        assert_eq!(allocations.count_total, 1, "{engine}: {allocations:?}");
    }
}

#[test]
fn the_first_time_is_counted() {
    // The control: a counter that counts nothing would pass every test above.
    let note = Note::query().filter(Note::TITLE.eq("never rendered before"));
    let engine = &engines()[0];
    let allocations = measure(|| {
        SqlBuilder::build(engine.dialect, &engine.capabilities, |out| {
            out.push("/* never rendered before */ ");
            render::select(out, note.body(), None);
        })
        .unwrap();
    });
    assert!(allocations.count_total > 0, "{allocations:?}");
}
