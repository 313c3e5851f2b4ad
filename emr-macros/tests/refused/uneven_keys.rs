use emr_core::{BelongsTo, HasMany, ManyToMany};
use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Seat {
    #[emr(primary_key)]
    row: i32,
    #[emr(primary_key)]
    number: i32,
    other_row: i32,
    #[emr(belongs_to(key = "other_row", references("row", "number")))]
    other: BelongsTo<Seat>,
    #[emr(has_many)]
    tickets: HasMany<Seat>,
    #[emr(many_to_many(table = "guests", owner_key("row", "number"), related_references("a", "b")))]
    guests: ManyToMany<Seat>,
}

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Log {
    line: String,
    #[emr(has_many)]
    words: HasMany<Seat>,
}

fn main() {}
