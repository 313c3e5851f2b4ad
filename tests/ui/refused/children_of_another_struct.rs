use emr::prelude::*;

#[derive(Syncable, Debug, Clone)]
struct Post {
    id: i64,
    #[emr(has_many)]
    comments: HasMany<Comment>,
}

#[derive(Syncable, Debug, Clone)]
struct Comment {
    id: i64,
    post_id: i64,
}

#[derive(Syncable, Debug, Clone)]
struct Tag {
    id: i64,
}

fn changes(tag: Tag) {
    let _ = Post::build().put_assoc(Post::COMMENTS, vec![tag.clone()]);
    let _ = Post::build().put_assoc(Post::COMMENTS, "none");
    let _ = Tag::build().put_assoc(Post::COMMENTS, vec![Comment::build()]);
}

fn main() {}
