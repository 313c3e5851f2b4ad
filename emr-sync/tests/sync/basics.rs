//! What the first page of the guide promises.

use emr::prelude::*;
use emr::sync::{ChangeOp, rows};

use crate::harness::Db;
use crate::models::{Post, Tag};
use crate::{catch_up, drain, link, post, started, tag};

db_cases![posts_follow_their_tags, a_synced_query_follows_filter_order_and_limit];

async fn posts_follow_their_tags(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    let mut inbox = sync.subscribe(rows::<Post>()).assocs(Post::TAGS).await.expect("an inbox");
    let fresh = || async { repo.all(Post::query().order_by(Post::ID.asc()).preload(Post::TAGS)).await.expect("posts") };
    let (one, two, sea) = (post(repo, "one", None).await, post(repo, "two", None).await, tag(repo, "sea").await);
    let mut posts = fresh().await;
    catch_up(&sync, &mut inbox, &mut posts).await;
    assert_eq!(posts, fresh().await);

    let both = link(repo, &one, &sea).await;
    link(repo, &two, &sea).await;
    catch_up(&sync, &mut inbox, &mut posts).await;
    assert_eq!(posts, fresh().await);

    repo.update(sea.change().set(Tag::NAME, "ocean")).await.expect("an update");
    catch_up(&sync, &mut inbox, &mut posts).await;
    assert_eq!(posts, fresh().await);
    assert_eq!(posts[1].tags.get().unwrap()[0].name, "ocean");

    repo.delete(&both).await.expect("a delete");
    let items = drain(&sync, &mut inbox).await;
    let applied = sync.apply(&mut posts, &items[0]).await.expect("it is applied");
    assert_eq!(posts, fresh().await);
    assert_eq!((applied.changes.len(), applied.changes[0].op), (1, ChangeOp::Removed));
    assert_eq!(applied.changes[0].path[0].field, "tags");

    repo.delete(&sea).await.expect("a delete");
    repo.delete(&one).await.expect("a delete");
    post(repo, "three", None).await;
    catch_up(&sync, &mut inbox, &mut posts).await;
    assert_eq!(posts, fresh().await);
    assert!(sync.apply(&mut posts, &items[0]).await.expect("again").is_empty());
}

async fn a_synced_query_follows_filter_order_and_limit(db: &Db) {
    let sync = started(db).await;
    let repo = &db.repo;
    for name in ["b", "d", "f", "x"] {
        post(repo, name, None).await;
    }
    let query = Post::query().filter(Post::NAME.lt("w")).order_by(Post::NAME.asc()).limit(3);
    let mut held = sync.load(&query).await.expect("posts");
    let mut all = sync.load(Post::query().order_by(Post::NAME.desc())).await.expect("posts");
    let mut inbox = sync.subscribe(&held).await.expect("an inbox");
    let names = |posts: Vec<&Post>| posts.into_iter().map(|post| post.name.clone()).collect::<Vec<_>>();
    for (name, then) in [("x", "a"), ("a", "e"), ("d", "z"), ("f", "c"), ("z", "d")] {
        let post = repo.fetch_by::<Post>(Post::NAME.eq(name)).await.expect("a post");
        repo.update(post.change().set(Post::NAME, then)).await.expect("an update");
        for item in drain(&sync, &mut inbox).await {
            sync.apply(&mut held, &item).await.expect("it is applied");
            sync.apply(&mut all, &item).await.expect("it is applied");
        }
        let fresh: Vec<Post> = repo.all(&query).await.expect("posts");
        assert_eq!(names(held.iter().collect()), names(fresh.iter().collect()));
        let fresh: Vec<Post> = repo.all(Post::query().order_by(Post::NAME.desc())).await.expect("posts");
        assert_eq!(names(all.iter().collect()), names(fresh.iter().collect()));
    }
}
