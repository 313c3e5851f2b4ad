use emr_core::{Expr, Lock, Query, Syncable, SyncableExt, Value, fragment, render};
use emr_sql_snapshots::schemas::{Hostile, Invoice, LogEntry, Membership, Note, Post};
use emr_sql_snapshots::snapshot;
use uuid::Uuid;

fn select(case: &str, query: &Query<Note>) {
    snapshot(case, |out| render::select(out, query.body(), None));
}

fn count(case: &str, query: &Query<Note>) {
    snapshot(case, |out| render::count(out, query.body(), None));
}

fn exists(case: &str, query: &Query<Note>) {
    snapshot(case, |out| render::exists(out, query.body(), None));
}

#[test]
fn all_columns() {
    let posts = Post::query();
    snapshot("select_every_type", |out| render::select(out, posts.body(), None));
    let entries = LogEntry::query();
    snapshot("select_without_key", |out| render::select(out, entries.body(), None));
}

#[test]
fn orders() {
    select("order_asc_desc", &Note::query().order_by(Note::TITLE.asc()).order_by(Note::ID.desc()));
    select("order_nulls_first", &Note::query().order_by(Note::RANK.asc().nulls_first()));
    select("order_nulls_last_desc", &Note::query().order_by(Note::RANK.desc().nulls_last()));
    select("order_expression", &Note::query().order_by((Note::RANK + 1_i64).asc()));
    select("order_condition", &Note::query().order_by(Note::RANK.gt(3_i64).desc()));
    select("order_fragment", &Note::query().order_by(fragment("abs(?)").arg(Note::RANK).typed::<i64>().asc()));
    select("order_key_twice", &Note::query().order_by(Note::ID.asc()).order_by(Note::ID.desc()));
    select("order_reversed", &Note::query().order_by(Note::RANK.asc().nulls_first()).reverse_order());
    select("order_reversed_key", &Note::query().reverse_order());
}

#[test]
fn limits() {
    let ordered = || Note::query().order_by(Note::ID.asc());
    select("limit", &Note::query().limit(10));
    select("limit_0", &ordered().limit(0));
    select("limit_ordered", &ordered().limit(10));
    select("offset", &ordered().offset(20));
    select("offset_unordered", &Note::query().offset(20));
    select("limit_offset", &ordered().limit(10).offset(20));
    select("limit_offset_unordered", &Note::query().limit(10).offset(20));
    select("limit_0_offset", &ordered().limit(0).offset(20));
    select("limit_offset_beyond_every_type", &ordered().limit(u64::MAX).offset(u64::MAX));
    select("limit_beyond_every_type", &ordered().limit(u64::MAX));
}

#[test]
fn distinct() {
    select("distinct", &Note::query().distinct());
    select("distinct_limit", &Note::query().distinct().limit(3));
    select("distinct_ordered", &Note::query().distinct().order_by(Note::TITLE.asc()).limit(3));
    select("distinct_order_nulls", &Note::query().distinct().order_by(Note::RANK.asc().nulls_last()).limit(3));
    let by_expression = Note::query().filter(Note::DONE.eq(true)).distinct().order_by((Note::RANK * 2_i64).desc());
    select("distinct_order_expression", &by_expression.limit(3).offset(6));
    select("distinct_locked", &Note::query().distinct().lock(Lock::UPDATE));
}

#[test]
fn locks() {
    let lock = |lock| Note::query().filter(Note::ID.eq(1_i64)).lock(lock);
    select("lock_update", &lock(Lock::UPDATE));
    select("lock_update_nowait", &lock(Lock::UPDATE.nowait()));
    select("lock_update_skip_locked", &lock(Lock::UPDATE.skip_locked()).order_by(Note::ID.asc()).limit(1));
    select("lock_no_key_update", &lock(Lock::NO_KEY_UPDATE));
    select("lock_share", &lock(Lock::SHARE));
    select("lock_share_nowait", &lock(Lock::SHARE.nowait()));
    select("lock_share_skip_locked", &lock(Lock::SHARE.skip_locked()));
    select("lock_key_share", &lock(Lock::KEY_SHARE));
}

#[test]
fn prefixes() {
    let given = Note::query().prefix("tenant_1").filter(Note::ID.eq(1_i64));
    snapshot("prefix_of_the_query", |out| render::select(out, given.body(), Some("default")));
    let default = Note::query();
    snapshot("prefix_of_the_repo", |out| render::select(out, default.body(), Some("default")));
    let own = Invoice::query();
    snapshot("prefix_of_the_schema", |out| render::select(out, own.body(), None));
}

#[test]
fn get() {
    let key = [Value::I64(7)];
    snapshot("get", |out| render::get(out, Note::schema(), None, &key, None));
    snapshot("get_prefixed", |out| render::get(out, Note::schema(), Some("tenant_1"), &key, None));
    snapshot("get_locked", |out| render::get(out, Note::schema(), None, &key, Some(Lock::UPDATE)));
    snapshot("get_share_locked", |out| render::get(out, Note::schema(), None, &key, Some(Lock::SHARE.skip_locked())));
    snapshot("get_hostile", |out| render::get(out, Hostile::schema(), None, &key, None));
    let both = [Value::Text("core".into()), Value::Uuid(Uuid::from_u128(1))];
    snapshot("get_composite", |out| render::get(out, Membership::schema(), None, &both, None));
    snapshot("get_half_a_key", |out| render::get(out, Membership::schema(), None, &both[..1], None));
    snapshot("get_too_many_values", |out| render::get(out, Note::schema(), None, &both, None));
    snapshot("get_without_key", |out| render::get(out, LogEntry::schema(), None, &key, None));
}

#[test]
fn counts() {
    let ordered = || Note::query().order_by(Note::RANK.asc().nulls_last());
    count("count", &Note::query());
    count("count_filtered", &ordered().filter(Note::DONE.eq(true)));
    count("count_limit", &ordered().limit(5));
    count("count_offset", &ordered().offset(5));
    count("count_limit_offset_unordered", &Note::query().limit(5).offset(10));
    count("count_limit_0", &Note::query().limit(0));
    count("count_distinct", &ordered().distinct());
    count("count_distinct_limit_offset", &ordered().distinct().limit(5).offset(10));
    count("count_locked", &Note::query().lock(Lock::UPDATE));
}

#[test]
fn existence() {
    exists("exists", &Note::query());
    exists("exists_filtered", &Note::query().filter(Note::ID.eq(1_i64)).order_by(Note::ID.asc()).limit(10));
    exists("exists_distinct", &Note::query().distinct());
    exists("exists_limit_0", &Note::query().limit(0));
    exists("exists_offset", &Note::query().offset(3));
    exists("exists_limit_0_offset", &Note::query().limit(0).offset(3));
    exists("exists_distinct_offset", &Note::query().filter(Expr::constant(true)).distinct().offset(3));
    exists("exists_locked", &Note::query().lock(Lock::SHARE));
    let without_key = LogEntry::query().offset(3);
    snapshot("exists_offset_without_key", |out| render::exists(out, without_key.body(), None));
}
