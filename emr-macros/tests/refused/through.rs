use emr_core::{HasMany, HasOne, ManyToMany};
use emr_macros::Syncable;

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
    #[emr(has_many(through(title, author)))]
    authors: HasMany<Post>,
    #[emr(has_many(through(authors)))]
    friends: HasMany<Post>,
    #[emr(has_many(through(left, left)))]
    right: HasMany<Post>,
    #[emr(has_many(through(right, right)))]
    left: HasMany<Post>,
    #[emr(has_one(through(authors, friends), key = "id"))]
    cover: HasOne<Post>,
    #[emr(has_many(through(cover, right), preload_order = Post::by_id))]
    sorted: HasMany<Post>,
    #[emr(has_many(through(cover, right), filter = Post::is_good))]
    good: HasMany<Post>,
    #[emr(many_to_many)]
    tags: ManyToMany<Post>,
    #[emr(many_to_many(owner_key = "post"))]
    marks: ManyToMany<Post>,
    #[emr(many_to_many(table = "a", through = Post))]
    words: ManyToMany<Post>,
    #[emr(many_to_many(through = "posts_tags"))]
    lines: ManyToMany<Post>,
}

fn main() {}
