//! Generated code brings no warning and needs nothing in scope.

#![deny(warnings, missing_docs)]
#![no_implicit_prelude]

mod rows {
    #[derive(::emr_macros::Syncable)]
    #[emr(crate = "::emr_core")]
    pub(super) struct Post {
        pub(super) id: i64,
        #[emr(primary_key)]
        pub(super) key: i64,
        #[deprecated]
        #[emr(skip)]
        pub(super) _old: u8,
        #[emr(has_many(key = "post_key"))]
        pub(super) _answers: ::emr_core::HasMany<Post>,
    }

    #[derive(::emr_macros::Syncable)]
    #[emr(crate = "::emr_core", integer)]
    pub(super) enum State {
        On = 1,
        Off = 2,
    }
}

fn main() {
    let _ = (rows::Post::ID, rows::Post::_ANSWERS, rows::State::On, rows::State::Off);
    let _ = |post: rows::Post| (post.id, post.key);
}
