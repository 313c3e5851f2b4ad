use emr_core::{FromRow, Projection as _, Syncable as _};
use emr_macros::{Projection, Syncable};

#[derive(Syncable)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
    title: String,
}

#[derive(Projection, Debug, PartialEq)]
#[emr(crate = "::emr_core")]
struct Pair(i64, Option<String>);

#[derive(Projection)]
#[emr(crate = "::emr_core")]
struct Nested {
    r#type: i64,
    pair: Option<Pair>,
    post: Post,
    parts: (i64, bool),
}

fn main() {
    assert_eq!(Post::schema().columns.len(), 2);
    assert_eq!(Nested::width(), 1 + 2 + 2 + 2);
    let pair = Pair::from_fields((1, None));
    assert_eq!(pair, Pair(1, None));
    let post = Post { id: 1, title: String::new() };
    let Nested { r#type, pair, post, parts } = Nested::from_fields((7, Some(pair), post, (1, true)));
    assert!(r#type == 7 && pair.is_some() && post.id == 1 && post.title.is_empty() && parts.1);
}
