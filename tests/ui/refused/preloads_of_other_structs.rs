use emr::OwnerKeys;
use emr::prelude::*;

#[derive(Syncable, Debug, Clone)]
struct Post {
    id: i64,
    title: String,
    #[emr(has_many)]
    comments: HasMany<Comment>,
    #[emr(many_to_many(table = "posts_comments"))]
    linked: ManyToMany<Comment>,
}

#[derive(Syncable, Debug, Clone)]
struct Comment {
    id: i64,
    post_id: i64,
    #[emr(belongs_to)]
    post: BelongsTo<Post>,
}

async fn wrong(repo: RepoHandle, mut posts: Vec<Post>) {
    // An association of another struct.
    let _ = repo.all(Post::query().preload(Comment::POST)).await;
    // What follows is an association of the rows that came, not of the first ones.
    let _ = Post::COMMENTS.then(Post::LINKED);
    // A column is no association.
    let _ = Post::query().preload(Post::TITLE);
    // Other rows.
    let _ = repo.preload(&mut posts, Comment::POST).await;
    // A query of other rows.
    let _ = Post::COMMENTS.query(Post::query());
    // Rows without their owners' keys.
    let _ = Post::LINKED.with_pairs(|_: OwnerKeys<i64>| async { Ok(Vec::<Comment>::new()) });
    // A step that does not begin where the last one ended.
    let _ = posts.assoc(Post::COMMENTS.chain(Post::LINKED));
}

fn main() {}
