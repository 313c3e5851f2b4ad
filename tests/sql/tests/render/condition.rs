use chrono::DateTime;
use emr_core::{Expr, IntoCondition, IntoExpr, SyncableExt, fragment, render};
use emr_sql_snapshots::schemas::{Hostile, Note, Post};
use emr_sql_snapshots::snapshot;
use uuid::Uuid;

/// The condition alone decides the snapshot: everything around it is the same.
fn filter(case: &str, condition: impl IntoCondition) {
    let query = Note::query().filter(condition);
    snapshot(case, |out| render::select(out, query.body(), None));
}

/// For columns that only a post has: a count shows no list of them.
fn filter_posts(case: &str, condition: impl IntoCondition) {
    let query = Post::query().filter(condition);
    snapshot(case, |out| render::count(out, query.body(), None));
}

#[test]
fn comparisons() {
    filter("filter_eq", Note::TITLE.eq("a"));
    filter("filter_ne", Note::TITLE.ne("a"));
    filter("filter_lt", Note::RANK.lt(1_i64));
    filter("filter_le", Note::RANK.le(1_i64));
    filter("filter_gt", Note::RANK.gt(1_i64));
    filter("filter_ge", Note::RANK.ge(1_i64));
    filter("filter_two_columns", Note::RANK.eq(Note::ID));
    filter("filter_between", Note::RANK.between(1_i64, Note::ID));
    filter("filter_not_between", !Note::RANK.between(1_i64, 9_i64));
}

#[test]
fn a_value_of_each_type() {
    let instant = DateTime::from_timestamp(1_700_000_000, 123_456_000).unwrap();
    let all = [
        Post::STARS.eq(5_i16),
        Post::PAGES.eq(7_i32),
        Post::RATIO.eq(0.5_f32),
        Post::SCORE.eq(0.1_f64),
        Post::PRICE.eq(rust_decimal::Decimal::new(12_345, 2)),
        Post::PUBLIC.eq(true),
        Post::TOKEN.eq(Uuid::from_u128(7)),
        Post::DATA.eq(vec![0_u8, 255]),
        Post::DAY.eq(instant.date_naive()),
        Post::HOUR.eq(instant.time()),
        Post::LOCAL.eq(instant.naive_utc()),
        Post::CREATED_AT.eq(instant),
    ];
    filter_posts("filter_every_type", Expr::all(all));
}

#[test]
fn filter_eq_of_none_asks_for_null() {
    let query = Note::query().filter_eq(Note::RANK, None).filter_eq(Note::RANK, 3_i64);
    snapshot("filter_eq_none", |out| render::select(out, query.body(), None));
}

#[test]
fn null_tests() {
    filter("filter_is_null", Note::RANK.is_null());
    filter("filter_is_not_null", Note::RANK.is_not_null());
    filter("filter_sum_is_null", (Note::RANK + Note::ID).is_null());
    filter("filter_condition_is_null", Note::RANK.gt(1_i64).is_null());
    filter("filter_not_condition_is_not_null", (!Note::DONE.eq(true)).is_not_null());
}

#[test]
fn lists() {
    let long: Vec<i64> = (0..1_100).collect();
    filter("in_none", Note::ID.in_list(Vec::<i64>::new()));
    filter("not_in_none", Note::ID.not_in(Vec::<i64>::new()));
    filter("in_one", Note::ID.in_list([7_i64]));
    filter("in_three_padded", Note::ID.in_list([1_i64, 2, 3]));
    filter("not_in_three", Note::ID.not_in([1_i64, 2, 3]));
    filter("in_1100_integers", Note::ID.in_list(long.clone()));
    filter("not_in_1100_integers", Note::ID.not_in(long));
    filter("in_300_texts", Note::TITLE.in_list((0..300).map(|n| format!("\"{n}'"))));
    filter_posts("in_1100_uuids", Post::TOKEN.in_list((0..1_100).map(Uuid::from_u128)));
    filter_posts("in_three_floats", Post::SCORE.in_list([1.0, 2.0, 3.0]));
    filter("in_of_a_sum", (Note::ID + 1_i64).in_list([1_i64, 2]));
    filter("in_of_70000_floats", Expr::all([fragment("?").arg(1.0).typed::<f64>().in_list(vec![0.5; 70_000])]));
}

#[test]
fn patterns() {
    filter("like", Note::TITLE.like("a%"));
    filter("like_set_of_characters", Note::TITLE.like("50[%]\\[\\%"));
    filter("like_column", Note::TITLE.like(Note::TITLE));
    filter("like_in_brackets_of_its_own", Note::TITLE.like("a%").eq(Note::DONE));
    filter("ilike", Note::TITLE.ilike("A_b"));
    filter("not_like", !Note::TITLE.like("a%"));
    filter("starts_with", Note::TITLE.starts_with("100%_\\["));
    filter("ends_with", Note::TITLE.ends_with("[x]"));
    filter("contains", Note::TITLE.contains("%"));
}

#[test]
fn connected_conditions() {
    let a = || Note::ID.eq(1_i64);
    let b = || Note::TITLE.eq("b");
    let c = || Note::DONE.eq(true);
    filter("and", a().and(b()).and(c()));
    filter("or", a().or(b()).or(c()));
    filter("or_in_and", a().or(b()).and(c()));
    filter("and_in_or", a().and(b()).or(c()));
    filter("not_and", !(a().and(b())));
    filter("not_or", !(a().or(b())));
    filter("not_not", !!a());
    filter("all_of_none", Expr::all([]));
    filter("any_of_none", Expr::any([]));
    filter("any_of_one", Expr::any([a()]));
    filter("constants", Expr::constant(true).and(!Expr::constant(false)));
    let deep = (0..4).fold(c(), |inner, n| if n % 2 == 0 { inner.and(a()) } else { !inner.or(b()) });
    filter("nested", deep);
    let two = Note::query().filter(a().or(b())).filter(c().or(b()));
    snapshot("two_filters", |out| render::select(out, two.body(), None));
}

#[test]
fn truth_values() {
    filter("bool_column", Note::DONE.expr());
    filter("not_bool_column", !Note::DONE.expr());
    filter("bool_column_or", Note::DONE.expr().or(Note::ID.eq(1_i64)));
    filter("bool_value", true.into_expr());
    filter("bool_column_equals_condition", Note::DONE.eq(Note::RANK.gt(1_i64)));
    filter("condition_equals_condition", Note::RANK.gt(1_i64).eq(Note::ID.gt(2_i64)));
    // Without its brackets `a = b = c` would be read from the left.
    filter("condition_of_one_in_a_comparison", Note::DONE.eq(Expr::all([Note::ID.eq(1_i64)])));
    filter("connected_in_a_comparison", Note::DONE.eq(Note::ID.eq(1_i64).or(Note::ID.eq(2_i64))));
}

#[test]
fn arithmetic() {
    filter("sum", (Note::ID + 1_i64).gt(Note::RANK));
    filter("difference_of_products", ((Note::ID * 2_i64) - (Note::RANK * Note::ID)).lt(0_i64));
    filter("quotient_of_integers", (Note::ID / 2_i64).eq(3_i64));
    filter("quotient_of_an_unknown_and_an_integer", (fragment("7").typed::<i64>() / Note::ID).eq(3_i64));
    filter_posts("quotient_of_floats", (Post::SCORE / 2.0).eq(3.0));
    filter_posts("quotient_of_decimals", (Post::PRICE / 2_i64).eq(3_i64));
}

#[test]
fn fragments() {
    filter("fragment", fragment("length(?) > ?").arg(Note::TITLE).arg(5_i64));
    filter("fragment_with_or_among_others", Expr::from(fragment("1 = 2 OR 3 = 3")).and(Note::ID.eq(1_i64)));
    filter("fragment_negated", !Expr::<bool>::from(fragment("1 = 2 OR 3 = 3")));
    filter("fragment_as_value", fragment("length(?)").arg(Note::TITLE).typed::<i64>().ge(3_i64));
    filter("fragment_of_a_condition", fragment("NOT ?").arg(Note::ID.eq(1_i64)));
    filter("fragment_question_mark", fragment("? = 'why\\?'").arg(Note::TITLE));
    filter("fragment_too_few_arguments", fragment("? = ?").arg(Note::TITLE));
    filter("fragment_too_many_arguments", fragment("1 = 1").arg(Note::TITLE));
}

#[test]
fn hostile_names_and_values() {
    let query = Hostile::query()
        .filter(Hostile::BACKTICK.eq("'; DROP TABLE x; --\u{0}\u{1f980}"))
        .filter(Hostile::BRACKETS.like("]["))
        .order_by(Hostile::UNICODE.asc());
    snapshot("hostile_select", |out| render::select(out, query.body(), Some("sch`e\"m]a")));
}
