//! Queries of several sources.

use emr_core::{
    Alias, JoinKind, Lock, Operator, Quantifier, Query, Select, SqlType, SyncableExt, Value, Values, col, cte,
    cte_rows, cte_sql, exists, fragment, render, selected, table,
};
use emr_sql_snapshots::schemas::{Hostile, Invoice, Membership, Note, Post};
use emr_sql_snapshots::snapshot;

fn select<S, R>(case: &str, query: &Query<S, R>) {
    snapshot(case, |out| render::select(out, query.body(), None));
}

fn count<S, R>(case: &str, query: &Query<S, R>) {
    snapshot(case, |out| render::count(out, query.body(), None));
}

fn exists_in<S, R>(case: &str, query: &Query<S, R>) {
    snapshot(case, |out| render::exists(out, query.body(), None));
}

#[test]
fn selections() {
    select("query_tuple", &Note::query().select((Note::ID, Note::TITLE, Note::RANK + 1)));
    select("query_literals", &Note::query().select((1_i64, "text", true, 1.5_f64)));
    select("query_condition_selected", &Note::query().select(Note::RANK.gt(3)));
    select("query_named", &Note::query().select((Note::RANK + 1).named("next")));
    select("query_row_and_more", &Note::query().select_also(Note::RANK + 1));
    select("query_hostile", &Hostile::query().select((Hostile::ID.named("a \"b\" `c` ]d"), Hostile::BACKTICK)));
    let archived = Note::query().from_table("notes \"2019\"");
    let kept = Post::on(Post::ID.eq(Note::ID)).from_table("kept_posts");
    select("query_from_table", &archived.clone().join(kept).select((Note::ID, Post::TITLE)));
    let update = archived.clone().filter(Note::ID.eq(1)).set(Note::TITLE, "x");
    snapshot("query_update_of_table", |out| {
        let (query, assignments) = update.parts();
        render::update_all(out, query, assignments, None);
    });
    snapshot("query_delete_of_table", |out| render::delete_all(out, archived.body(), None));
    select("query_without_selection", &table("notes").query());
}

#[test]
fn joins() {
    let on = || Note::ID.eq(Post::PERSON_ID);
    let both = |kind: JoinKind| {
        let query = Post::query();
        match kind {
            JoinKind::Inner => query.join(Note::on(on())),
            JoinKind::Left => query.left_join(Note::on(on())),
            JoinKind::Right => query.right_join(Note::on(on())),
            JoinKind::Full => query.full_join(Note::on(on())),
            JoinKind::Cross => query.cross_join(Note::alias("note")),
        }
        .filter(Note::TITLE.eq("x"))
        .select((Post::ID, Note::ID.optional()))
    };
    select("join_inner", &both(JoinKind::Inner));
    select("join_left", &both(JoinKind::Left));
    select("join_right", &both(JoinKind::Right));
    select("join_full", &both(JoinKind::Full));
    select("join_cross", &both(JoinKind::Cross));
    let other = Note::alias("other");
    select(
        "join_self",
        &Note::query().join(other.on(other.col(Note::RANK).eq(Note::ID))).select((Note::TITLE, other.col(Note::TITLE))),
    );
    select(
        "join_query_of_filters",
        &Post::query().left_join(Note::query().filter(Note::DONE.eq(true)).on(on())).select(Post::ID),
    );
    select(
        "join_subquery",
        &Post::query().join(Note::query().order_by(Note::ID.asc()).limit(3).on(on())).select((Post::ID, Note::TITLE)),
    );
    let last = Note::alias("last");
    let newest = Note::query().filter(Note::RANK.eq(Post::ID)).order_by(Note::ID.desc()).limit(1);
    select(
        "join_lateral",
        &Post::query().left_join(newest.subquery(last).lateral()).select((Post::ID, last.col(Note::TITLE).optional())),
    );
    select("join_prefixes", &Invoice::query().join(Note::on(on2()).prefix("archive")).prefix("now").select(Note::ID));
    select("join_locked", &Post::query().join(Note::on(on())).lock(Lock::UPDATE).select(Post::ID));
    select("join_missing", &Post::query().filter(Note::ID.eq(1)).select(Post::ID));
    select("join_missing_alias", &Post::query().filter(other.col(Note::ID).eq(1)).select(Post::ID));
    select("join_fragment", &Note::query().join(fragment("select 1 as n").rows().alias(Alias::<()>::new("f"))));
    select("join_hint", &Note::query().hint("/* a hint */").select(Note::ID));
    let many = (0..18).fold(Note::query(), |query, _| query.cross_join(table("more")));
    select("join_more_than_sixteen", &many.select(Note::ID));
}

fn on2() -> emr_core::Expr<bool> {
    Note::TITLE.eq("x")
}

#[test]
fn groups() {
    let count_all = || fragment("count(*)").typed::<i64>();
    let grouped = || Note::query().group_by(Note::TITLE).select((Note::TITLE, count_all()));
    select("group_by", &grouped());
    select("group_by_having", &grouped().having(count_all().gt(1)).or_having(Note::TITLE.eq("a")));
    select(
        "group_by_selected",
        &Note::query().group_by(selected::<i64>("n")).select(((Note::RANK + 1).named("n"), count_all())),
    );
    select(
        "order_by_selected",
        &Note::query().order_by(selected::<i64>("n").desc()).select((Note::RANK + 1).named("n")),
    );
    select("selected_missing", &Note::query().having(selected::<i64>("m").gt(1)).select((Note::RANK + 1).named("n")));
    count("count_groups", &grouped());
    exists_in("exists_groups", &grouped().having(count_all().gt(1)));
    select("distinct_tuple", &Note::query().distinct().order_by(Note::TITLE.asc()).select((Note::ID, Note::TITLE)));
    select("distinct_tuple_other_order", &Note::query().distinct().order_by(Note::RANK.asc()).select(Note::TITLE));
    select("distinct_on", &Note::query().distinct_on(Note::TITLE.asc()).order_by(Note::RANK.desc()));
    select("limit_with_ties", &Note::query().order_by(Note::RANK.desc()).limit(3).with_ties());
    select("lock_of_groups", &grouped().lock(Lock::UPDATE));
}

#[test]
fn subqueries() {
    let ids = || Note::query().filter(Note::DONE.eq(true)).select(Note::RANK);
    select("subquery_in", &Post::query().filter(Post::ID.in_query(ids())).select(Post::ID));
    select("subquery_not_in", &Post::query().filter(Post::ID.not_in_query(ids())).select(Post::ID));
    let of_post = Note::query().filter(Note::RANK.eq(Post::ID));
    select("subquery_exists", &Post::query().filter(exists(&of_post)).select(Post::ID));
    select("subquery_not_exists", &Post::query().filter(!exists(&of_post)).select(Post::ID));
    select("subquery_exists_selected", &Post::query().select((Post::ID, exists(&of_post))));
    select("subquery_exists_ordered", &Post::query().order_by(exists(&of_post).asc()).select(Post::ID));
    let title = of_post.clone().limit(1).select(Note::TITLE).scalar();
    select("subquery_scalar", &Post::query().filter(Post::TITLE.eq(title.clone())).select((Post::ID, title)));
    let all = Post::ID.expr().compare_with(Operator::Gt, Quantifier::All, ids());
    select("subquery_all", &Post::query().filter(all).select(Post::ID));
    let some = Post::ID.expr().compare_with(Operator::Eq, Quantifier::Any, ids());
    select("subquery_any", &Post::query().filter(some).select(Post::ID));
    let inner = Note::query().filter(Note::RANK.lt(Note::RANK.outer()));
    select("subquery_outer_column", &Note::query().filter(exists(inner)).select(Note::ID));
    let rows = Alias::<()>::new("rows");
    let computed = Note::query().select((Note::ID, (Note::RANK + 1).named("next"), Note::RANK + 2));
    select(
        "subquery_from",
        &computed
            .subquery(rows)
            .query()
            .filter(rows.named_col::<i64>("next").gt(2))
            .select(rows.named_col::<i64>("id")),
    );
    select("subquery_from_ordered", &Note::query().order_by(Note::ID.asc()).subquery(rows).query_as::<Note>());
    select("subquery_locked", &Post::query().filter(Post::ID.in_query(ids().lock(Lock::SHARE))).select(Post::ID));
}

#[test]
fn combinations() {
    let of = |id: i64| Note::query().filter(Note::ID.eq(id)).select((Note::ID, Note::TITLE));
    select("union", &of(1).union(of(2)));
    select("union_all_ordered", &of(1).union_all(of(2)).order_by(Note::TITLE.desc()).limit(5));
    select("union_offset", &of(1).union_all(of(2)).order_by(Note::ID.asc()).limit(5).offset(2));
    select("union_other_order", &of(1).union(of(2)).order_by(Note::RANK.asc()));
    select("union_of_limited", &of(1).union(of(2).order_by(Note::ID.asc()).limit(1)));
    select("union_whole_rows", &Note::query().union(Note::query()).order_by(Note::TITLE.asc()));
    select("except", &of(1).except(of(2)));
    select("except_all", &of(1).except_all(of(2)));
    select("intersect", &of(1).intersect(of(2)));
    select("intersect_all", &of(1).intersect_all(of(2)));
    select("union_locked", &of(1).union(of(2)).lock(Lock::UPDATE));
    count("count_union", &of(1).union(of(2)));
    exists_in("exists_union", &of(1).union(of(2)));
}

#[test]
fn common_table_expressions() {
    let done = || Note::query().filter(Note::DONE.eq(true));
    select("cte", &Note::query().with(cte("done", done())).from_cte("done").order_by(Note::ID.asc()));
    select("cte_materialized", &Note::query().with(cte("done", done()).materialized(true)).from_cte("done"));
    let tree = Note::alias("tree");
    let step = Note::query().join(cte_rows("tree").typed::<Note>().alias(tree).on(Note::RANK.eq(tree.col(Note::ID))));
    let whole = Note::query().filter(Note::RANK.is_null()).union_all(step);
    select("cte_recursive", &Note::query().with(cte("tree", whole).recursive()).from_cte("tree"));
    let text = cte_sql("t\"x", fragment("select ? as n").arg(1_i64));
    select("cte_sql", &cte_rows("t\"x").query().with(text).select(col::<i64>("n")));
    count("cte_counted", &Note::query().with(cte("done", done())).from_cte("done"));
}

#[test]
fn value_lists() {
    let mut values = Values::new();
    values.columns = vec![("n".into(), SqlType::I64), ("word".into(), SqlType::Text)];
    values.rows = vec![vec![Value::I64(1), Value::Text("one".into())], vec![Value::I64(2), Value::Text("two".into())]];
    let list = Alias::<()>::new("list");
    let rows = values.rows().alias(list);
    select("values", &rows.clone().query().select((col::<i64>("n"), col::<String>("word"))));
    select(
        "values_joined",
        &Note::query().join(rows.clone().on(list.named_col::<i64>("n").eq(Note::ID))).select(Note::TITLE),
    );
    let update = Note::query().join(rows.on(list.named_col::<i64>("n").eq(Note::ID)));
    let update = update.set_expr(Note::TITLE, list.named_col::<String>("word"));
    let (query, assignments) = update.parts();
    snapshot("update_from_values", |out| render::update_all(out, query, assignments, None));
    let none = Values::new().column::<i64>("n").column::<String>("word");
    select("values_without_rows", &none.rows().query().select((col::<i64>("n"), col::<String>("word"))));
    select("values_empty", &Values::new().rows().query().select(col::<i64>("n")));
}

#[test]
fn writes_over_joins() {
    let query = Note::query().join(Post::on(Post::PERSON_ID.eq(Note::ID))).filter(Post::TITLE.eq("x"));
    let update = query.clone().set(Note::TITLE, "y");
    let (body, assignments) = update.parts();
    snapshot("update_joined", |out| render::update_all(out, body, assignments, None));
    let left = Note::query().left_join(Post::on(Post::PERSON_ID.eq(Note::ID))).set(Note::TITLE, "y");
    let (body, assignments) = left.parts();
    snapshot("update_left_joined", |out| render::update_all(out, body, assignments, None));
    snapshot("delete_joined", |out| render::delete_all(out, query.body(), None));
    let composite = Membership::query().join(Post::on(Post::TITLE.eq(Membership::TEAM)));
    snapshot("delete_joined_composite", |out| render::delete_all(out, composite.body(), None));
}
