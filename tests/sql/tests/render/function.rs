use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use emr_core::functions::{
    abs, avg, case_when, cast, coalesce, concat, count, count_all, lag, length, literal, lower, max, min, nth_value,
    ntile, nullif, percent_rank, rank, round, row_number, server_now, sum, trim, upper,
};
use emr_core::{
    ArrayFunctions, Bound, IntoCondition, JsonFunctions, Query, Select, SyncableExt, TemporalFunctions, Unit, Window,
    render,
};
use emr_sql_snapshots::schemas::{Labelled, Note, Post};
use emr_sql_snapshots::snapshot;
use rust_decimal::Decimal;

fn select<T: Select>(case: &str, what: T) {
    let query = Post::query().select(what);
    snapshot(case, |out| render::select(out, query.body(), None));
}

fn query<R>(case: &str, query: &Query<Note, R>) {
    snapshot(case, |out| render::select(out, query.body(), None));
}

fn filter(case: &str, condition: impl IntoCondition) {
    let query = Post::query().filter(condition);
    snapshot(case, |out| render::count(out, query.body(), None));
}

#[test]
fn aggregates() {
    select("aggregate_counts", (count_all(), count(Post::BODY), count(Post::BODY).distinct()));
    select(
        "aggregate_sums",
        (sum(Post::STARS), sum(Post::PAGES), sum(Post::VIEWS), sum(Post::RATIO), sum(Post::PRICE)),
    );
    select("aggregate_means", (avg(Post::STARS), avg(Post::VIEWS), avg(Post::SCORE), avg(Post::PRICE)));
    select("aggregate_extremes", (min(Post::TITLE), max(Post::PRICE), min(Post::CREATED_AT)));
    select("aggregate_distinct_decimals", (count(Post::PRICE).distinct(), sum(Post::PRICE).distinct()));
    let public = || Post::PUBLIC.expr();
    select(
        "aggregate_filter",
        (
            count_all().filter(public()),
            sum(Post::VIEWS).filter(public()).filter(Post::SCORE.gt(0.5)),
            count(Post::TITLE).distinct().filter(public().or(Post::PAGES.eq(1))),
        ),
    );
    let groups = Note::query().group_by(Note::DONE).having(count_all().gt(1).and(max(Note::RANK).lt(9)));
    query("aggregate_having", &groups.order_by(sum(Note::RANK).desc()).select((Note::DONE, sum(Note::RANK))));
    filter("aggregate_distinct_rows", count_all().distinct().gt(1));
}

#[test]
fn windows() {
    let by = || Window::partition_by(Note::DONE).order_by(Note::RANK.desc().nulls_last());
    let notes = || Note::query().window("w", by());
    query("window_inline", &Note::query().select((sum(Note::RANK).over(by()), count_all().over(Window::all()))));
    query("window_named", &notes().select((row_number().over("w"), sum(Note::ID).over("w"))));
    query("window_missing", &notes().select(row_number().over("v")));
    let frame = by().rows_between(Bound::Preceding(2), Bound::CurrentRow);
    let range = by().range_between(Bound::UnboundedPreceding, Bound::UnboundedFollowing);
    query("window_frames", &Note::query().select((sum(Note::RANK).over(frame), max(Note::ID).over(range))));
    query("window_ranks", &Note::query().select((rank().over(by()), percent_rank().over(by()), ntile(4).over(by()))));
    query("window_ranks_unordered", &Note::query().select(row_number().over(Window::all())));
    query("window_neighbours", &Note::query().select(lag(Note::TITLE, 1).or("none").over(by())));
    query("window_nth_value", &Note::query().select(nth_value(Note::ID, 2).over(by())));
    let done = count_all().filter(Note::DONE.expr()).over(by());
    query("window_filter", &Note::query().select(done));
    query("window_distinct", &Note::query().select(count(Note::ID).distinct().over(by())));
}

#[test]
fn functions_of_values() {
    select("function_texts", (lower(Post::TITLE), upper(Post::TITLE), trim(Post::TITLE), length(Post::TITLE)));
    select("function_concat", concat(concat(Post::TITLE, "-"), Post::SLUG));
    select("function_coalesce", (coalesce(coalesce(Post::BODY, Post::TITLE), "x"), nullif(Post::PRICE, Decimal::ONE)));
    select("function_numbers", (abs(Post::VIEWS), abs(Post::PRICE), round(Post::SCORE, 2), round(Post::PRICE, -1)));
    select("function_now", server_now());
    select("function_literal", (literal(1_i64), literal(Decimal::ONE)));
    let size = case_when::<i64>(Post::VIEWS.gt(9), 1_i64).when(Post::PUBLIC, 2_i64).otherwise(Post::VIEWS);
    select("function_case", size);
    filter("function_case_of_truths", case_when::<bool>(Post::VIEWS.gt(9), Post::PUBLIC).otherwise(true));
    filter("function_coalesce_of_truths", !coalesce(Post::PUBLIC, false));
    filter("function_decimals", (Post::PRICE * 2 + Post::TAX).gt(Decimal::TEN));
    filter("function_not_column", !Post::PUBLIC);
}

#[test]
fn casts() {
    select("cast_to_integer", (cast::<i64>(Post::SCORE), cast::<i32>(Post::PRICE), cast::<i16>(Post::TITLE)));
    select("cast_to_float", (cast::<f64>(Post::VIEWS), cast::<f32>(Post::PRICE), cast::<f64>(Post::TITLE)));
    select("cast_to_decimal", (cast::<Decimal>(Post::VIEWS), cast::<Decimal>(Post::SCORE)));
    select("cast_to_text", (cast::<String>(Post::VIEWS), cast::<String>(Post::PUBLIC), cast::<String>(Post::PRICE)));
    select("cast_float_to_text", cast::<String>(Post::SCORE));
    select("cast_bytes_to_text", cast::<String>(Post::DATA));
    select("cast_to_truth", (cast::<bool>(Post::VIEWS), cast::<i64>(Post::PUBLIC)));
    select("cast_instant", (cast::<NaiveDate>(Post::CREATED_AT), cast::<NaiveDateTime>(Post::CREATED_AT)));
    select("cast_to_instant", (cast::<DateTime<Utc>>(Post::LOCAL), cast::<DateTime<Utc>>(Post::TITLE)));
    select("cast_to_time", cast::<NaiveTime>(Post::LOCAL));
    select("cast_to_itself", cast::<i64>(Post::VIEWS));
    select("cast_refused", cast::<String>(Post::CREATED_AT));
}

#[test]
fn places_in_documents() {
    let at = || Post::META.json().key("it's \"\\ ] [").index(3);
    select("json_text", at().as_text());
    select("json_i64", at().as_i64());
    select("json_f64", at().as_f64());
    select("json_bool", at().as_bool());
    select("json_part", at().as_json());
    select("json_key_last", Post::META.json().index(1).key("'; DROP TABLE x; --").as_text());
    select("json_key_of", Post::META.json().key("a").key_of(Post::TITLE).as_text());
    select("json_whole", Post::META.json().as_json());
    filter("json_exists", at().exists());
    filter("json_is_null", at().is_null());
    filter("json_truth", at().as_bool().expr().and(at().as_i64().gt(1)));
    select("json_nul", Post::META.json().key("a\0b").as_text());
}

#[test]
fn intervals() {
    select("interval_months", (Post::DAY.add_interval(2, Unit::Year), Post::LOCAL.sub_interval(1, Unit::Month)));
    select("interval_months_of_an_instant", Post::CREATED_AT.add_interval(2, Unit::Year));
    select("interval_micros", Post::LOCAL.add_interval(1.5, Unit::Hour));
    select("interval_micros_of_an_instant", Post::CREATED_AT.sub_interval(Decimal::new(25, 1), Unit::Millisecond));
    select("interval_micros_of_a_date", Post::DAY.add_interval(36, Unit::Hour));
    select(
        "interval_columns",
        (Post::LOCAL.add_interval(Post::PAGES, Unit::Month), Post::DAY.add_interval(Post::SCORE, Unit::Day)),
    );
    let fixed = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    filter("interval_of_a_value", Post::CREATED_AT.gt(literal(fixed).add_interval(-3, Unit::Week)));
    select("interval_half_a_month", Post::LOCAL.add_interval(0.5, Unit::Month));
}

#[test]
fn arrays() {
    let filter = |case: &str, condition: emr_core::Expr<bool>| {
        let query = Labelled::query().filter(condition);
        snapshot(case, |out| render::count(out, query.body(), None));
    };
    filter("array_has", Labelled::LABELS.has("a"));
    filter("array_has_all", !Labelled::LABELS.has_all(vec!["a".to_owned()]));
    filter("array_length", Labelled::LABELS.array_length().gt(2));
    let update = Labelled::query().push(Labelled::LABELS, "a");
    snapshot("array_push", |out| render::update_all(out, update.parts().0, update.parts().1, None));
    let update = Labelled::query().pull(Labelled::LABELS, "a");
    snapshot("array_pull", |out| render::update_all(out, update.parts().0, update.parts().1, None));
}
