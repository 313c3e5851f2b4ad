//! Preloads of structs that hold some of a table's columns, or of no table at all.

use std::sync::Arc;

use emr::prelude::*;
use serde::{Deserialize, Serialize};

use crate::blog::{Post, User, comment, create, permalink, post, user};

repo_cases![
    p1_a_key_set_by_hand_is_enough,
    p26_some_columns_of_each_level,
    p27_p28_some_columns_and_nothing_to_load,
    p29_some_columns_at_the_end_of_a_chain,
    p43_belongs_to_of_a_struct_without_a_table,
    p45_p46_associations_of_embedded_structs,
];

/// Of a post, its key and whose it is.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_posts")]
struct Heading {
    id: i64,
    title: String,
    author_id: Option<i64>,
    #[emr(belongs_to)]
    author: BelongsTo<Name>,
    #[emr(has_many(key = "post_id"))]
    comments: HasMany<Remark>,
    #[emr(has_one(key = "post_id"))]
    permalink: HasOne<Link>,
    #[emr(has_many(through(comments, author)))]
    commenters: HasMany<Name>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_users")]
struct Name {
    id: i64,
    name: String,
}

/// The text of a comment, without its key.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_comments", no_primary_key)]
struct Remark {
    text: String,
    post_id: Option<i64>,
    author_id: Option<i64>,
    #[emr(belongs_to)]
    author: BelongsTo<Name>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "blog_permalinks")]
struct Link {
    id: i64,
    post_id: Option<i64>,
}

fn texts(heading: &Heading) -> Vec<&str> {
    let mut texts: Vec<_> = heading.comments.get().unwrap().iter().map(|remark| remark.text.as_str()).collect();
    texts.sort_unstable();
    texts
}

fn name(slot: &BelongsTo<Name>) -> Option<&str> {
    slot.get().unwrap().map(|row| row.name.as_str())
}

async fn p1_a_key_set_by_hand_is_enough(repo: &impl Repo) {
    create(repo).await;
    let [a, b] = [user(repo, "a").await, user(repo, "b").await];
    let stored = post(repo, "1", Some(&a)).await;

    // The key comes from the query, not from the row.
    let query = Post::query().select((Post::ID, Post::TITLE, emr::functions::literal(b.id)));
    let rows = repo.all(query).await.unwrap();
    let mut posts: Vec<Post> = rows
        .into_iter()
        .map(|(id, title, author)| Post { id, title, author_id: Some(author), ..stored.clone() })
        .collect();
    repo.preload(&mut posts, Post::AUTHOR).await.unwrap();
    assert_eq!(posts[0].author.get().unwrap().map(|row| row.name.as_str()), Some("b"));
}

async fn p26_some_columns_of_each_level(repo: &impl Repo) {
    create(repo).await;
    let [a, b] = [user(repo, "a").await, user(repo, "b").await];
    let p1 = post(repo, "1", Some(&a)).await;
    for text in ["x", "y"] {
        comment(repo, text, Some(&p1), Some(&b)).await;
    }
    permalink(repo, "url", Some(&p1), None).await;

    let query = Heading::query().preload(Heading::COMMENTS.then(Remark::AUTHOR)).preload(Heading::AUTHOR);
    let found = repo.one(query.preload(Heading::PERMALINK)).await.unwrap().unwrap();
    assert_eq!((found.title.as_str(), name(&found.author), texts(&found)), ("1", Some("a"), vec!["x", "y"]));
    assert!(found.comments.get().unwrap().iter().all(|remark| name(&remark.author) == Some("b")));
    assert_eq!(found.permalink.get().unwrap().map(|row| row.post_id), Some(Some(p1.id)));
}

/// By a statement of their own and by joins.
async fn p27_p28_some_columns_and_nothing_to_load(repo: &impl Repo) {
    create(repo).await;
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    comment(repo, "of another", Some(&p2), None).await;
    permalink(repo, "of another", Some(&p2), None).await;

    let of_first = || Heading::query().filter(Heading::ID.eq(p1.id));
    let apart = of_first().preload(Heading::COMMENTS).preload(Heading::AUTHOR).preload(Heading::PERMALINK);
    let joined = of_first()
        .left_join(Heading::AUTHOR)
        .preload_joined(Heading::AUTHOR)
        .left_join(Heading::PERMALINK)
        .preload_joined(Heading::PERMALINK)
        .preload(Heading::COMMENTS);
    for query in [apart, joined] {
        let found = repo.one(query).await.unwrap().unwrap();
        assert_eq!(found.title, "1");
        assert_eq!((name(&found.author), texts(&found)), (None, vec![]));
        assert_eq!(found.permalink.get(), Ok(None));
    }
    let found = repo.one(Heading::query().filter(Heading::ID.eq(p2.id)).preload(Heading::COMMENTS)).await.unwrap();
    assert_eq!(texts(&found.unwrap()), ["of another"]);
}

async fn p29_some_columns_at_the_end_of_a_chain(repo: &impl Repo) {
    create(repo).await;
    let [a, b] = [user(repo, "a").await, user(repo, "b").await];
    let [p1, p2] = [post(repo, "1", None).await, post(repo, "2", None).await];
    for (post, author) in [(&p1, &a), (&p1, &b), (&p1, &b), (&p2, &b)] {
        comment(repo, "", Some(post), Some(author)).await;
    }

    let query = Heading::query().order_by(Heading::ID.asc()).preload(Heading::COMMENTERS);
    let found = repo.all(query).await.unwrap();
    let names = |heading: &Heading| -> Vec<String> {
        heading.commenters.get().unwrap().iter().map(|row| row.name.clone()).collect()
    };
    assert_eq!(found.iter().map(names).collect::<Vec<_>>(), [vec!["a", "b"], vec!["b"]]);
}

/// A part of a document. It has a schema for its associations; no table is read for it.
#[derive(Syncable, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[emr(no_primary_key)]
struct Credit {
    role: String,
    user_id: Option<i64>,
    #[emr(belongs_to)]
    #[serde(skip)]
    user: BelongsTo<User>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "films")]
struct Film {
    id: i64,
    director: Option<Json<Credit>>,
    cast: Json<Vec<Credit>>,
}

fn credit(role: &str, user: Option<&User>) -> Credit {
    Credit { role: role.to_owned(), user_id: user.map(|user| user.id), user: BelongsTo::default() }
}

async fn p43_belongs_to_of_a_struct_without_a_table(repo: &impl Repo) {
    create(repo).await;
    let someone = user(repo, "someone").await;

    let mut credits = [credit("actor", Some(&someone)), credit("nobody", None)];
    repo.preload(&mut credits[..], Credit::USER).await.unwrap();
    assert_eq!(credits[0].user.get(), Ok(Some(&Arc::new(someone))));
    assert_eq!(credits[1].user.get(), Ok(None));
}

async fn p45_p46_associations_of_embedded_structs(repo: &impl Repo) {
    create(repo).await;
    repo.create_table::<Film>().await.unwrap();
    let [a, b] = [user(repo, "a").await, user(repo, "b").await];
    let film = |director: Option<Credit>, cast: Vec<Credit>| {
        Film::build().set(Film::DIRECTOR, director.map(Json)).set(Film::CAST, Json(cast))
    };
    let full = film(Some(credit("director", Some(&b))), [&b, &a, &b].map(|user| credit("x", Some(user))).into());
    repo.insert_all([full, film(None, Vec::new())]).await.unwrap();

    let mut films = repo.all(Film::query().order_by(Film::ID.asc())).await.unwrap();
    let directors: Vec<&mut Credit> = films.iter_mut().filter_map(|film| film.director.as_deref_mut()).collect();
    for director in directors {
        repo.preload(director, Credit::USER.then(User::PERMALINK)).await.unwrap();
    }
    for film in &mut films {
        repo.preload(&mut film.cast[..], Credit::USER).await.unwrap();
    }
    let named = |credit: &Credit| credit.user.get().unwrap().map(|user| user.name.clone()).unwrap();
    assert_eq!(films[0].director.as_deref().map(named).as_deref(), Some("b"));
    assert_eq!(films[0].cast.iter().map(named).collect::<Vec<_>>(), ["b", "a", "b"], "in their order");
    assert_eq!((films[1].director.as_ref(), films[1].cast.len()), (None, 0));

    // What was loaded is no part of the document.
    let stored =
        repo.insert(Film::build().set(Film::DIRECTOR, films[0].director.clone()).set(Film::CAST, Json(vec![])));
    let stored = stored.await.unwrap().director.unwrap();
    assert!(!stored.user.is_loaded());
    assert_eq!((stored.role.as_str(), stored.user_id), ("director", Some(b.id)));
}
