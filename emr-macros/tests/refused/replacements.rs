use emr_core::{BelongsTo, HasMany, HasOne, ManyToMany};
use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
    person_id: i64,
    #[emr(belongs_to(on_delete = "delete_all"))]
    person: BelongsTo<Post>,
    #[emr(has_one(on_replace = "remove"))]
    cover: HasOne<Post>,
    #[emr(has_many(on_replace = "update"))]
    answers: HasMany<Post>,
    #[emr(has_many(on_delete = delete_all))]
    notes: HasMany<Post>,
    #[emr(has_many(through(answers, notes), on_delete = "delete_all"))]
    notes_of_answers: HasMany<Post>,
    #[emr(has_many(unique))]
    readers: HasMany<Post>,
    #[emr(many_to_many(table = "posts_tags", on_replace = "nilify", on_delete = "nilify_all"))]
    tags: ManyToMany<Post>,
    #[emr(many_to_many(table = "posts_users", unique = "yes"))]
    users: ManyToMany<Post>,
}

fn main() {}
