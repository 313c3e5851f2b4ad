//! A small blog: authors, articles, comments, tags.

use emr::prelude::*;

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "authors")]
pub(super) struct Author {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) mentor_id: Option<i64>,
    #[emr(belongs_to)]
    pub(super) mentor: BelongsTo<Self>,
    #[emr(has_many)]
    pub(super) articles: HasMany<Article>,
    #[emr(has_many(through(articles, comments)))]
    pub(super) received: HasMany<Comment>,
    #[emr(has_many(through(received, author)))]
    pub(super) critics: HasMany<Author>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "articles")]
pub(super) struct Article {
    pub(super) id: i64,
    pub(super) title: String,
    #[emr(default = "0")]
    pub(super) visits: i64,
    pub(super) author_id: Option<i64>,
    #[emr(belongs_to)]
    pub(super) author: BelongsTo<Author>,
    #[emr(has_many)]
    pub(super) comments: HasMany<Comment>,
    #[emr(has_one)]
    pub(super) permalink: HasOne<Permalink>,
    #[emr(has_many(filter = Comment::is_pinned))]
    pub(super) pinned: HasMany<Comment>,
    #[emr(many_to_many(table = "article_tags"))]
    pub(super) tags: ManyToMany<Tag>,
    #[emr(many_to_many(through = Vote))]
    pub(super) voters: ManyToMany<Author>,
    #[emr(has_many(through(comments, author)))]
    pub(super) commenters: HasMany<Author>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "comments")]
pub(super) struct Comment {
    pub(super) id: i64,
    pub(super) text: String,
    #[emr(default = "false")]
    pub(super) pinned: bool,
    pub(super) article_id: Option<i64>,
    pub(super) author_id: Option<i64>,
    #[emr(belongs_to)]
    pub(super) article: BelongsTo<Article>,
    #[emr(belongs_to)]
    pub(super) author: BelongsTo<Author>,
}

impl Comment {
    fn is_pinned() -> Expr<bool> {
        Comment::PINNED.eq(true)
    }
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "permalinks")]
pub(super) struct Permalink {
    pub(super) id: i64,
    pub(super) url: String,
    pub(super) article_id: Option<i64>,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "tags")]
pub(super) struct Tag {
    pub(super) id: i64,
    pub(super) label: String,
}

/// The plain join table, which only the tests know by a struct.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "article_tags")]
pub(super) struct ArticleTag {
    #[emr(primary_key)]
    pub(super) article_id: i64,
    #[emr(primary_key)]
    pub(super) tag_id: i64,
}

/// A join table with a schema, and a key of two columns.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "votes")]
pub(super) struct Vote {
    #[emr(primary_key)]
    pub(super) article_id: i64,
    #[emr(primary_key)]
    pub(super) author_id: i64,
    pub(super) weight: i64,
}

/// What every case finds:
///
/// | article | visits | author | comments | permalink | tags | votes |
/// | --- | --- | --- | --- | --- | --- | --- |
/// | 1 one | 10 | 1 ada | 1 "yes" by bob (pinned), 2 "no" by ada | 1 | rust, sql | bob 2, cyd 3 |
/// | 2 two | 20 | 2 bob (mentor ada) | 3 "hm" by nobody | | sql | |
/// | 3 three | 30 | nobody | | | | ada 1 |
///
/// Author 3, cyd, wrote nothing; tag 3 is nowhere.
pub(super) async fn blog(repo: &impl Repo) {
    repo.create_table::<Author>().await.unwrap();
    repo.create_table::<Article>().await.unwrap();
    repo.create_table::<Comment>().await.unwrap();
    repo.create_table::<Permalink>().await.unwrap();
    repo.create_table::<Tag>().await.unwrap();
    repo.create_table::<ArticleTag>().await.unwrap();
    repo.create_table::<Vote>().await.unwrap();
    for (id, name, mentor) in [(1, "ada", None), (2, "bob", Some(1_i64)), (3, "cyd", None)] {
        let author = Author::build().set(Author::ID, id).set(Author::NAME, name).set(Author::MENTOR_ID, mentor);
        repo.insert(author).await.unwrap();
    }
    for (id, title, author) in [(1, "one", Some(1_i64)), (2, "two", Some(2)), (3, "three", None)] {
        let article = Article::build().set(Article::ID, id).set(Article::TITLE, title);
        repo.insert(article.set(Article::VISITS, id * 10).set(Article::AUTHOR_ID, author)).await.unwrap();
    }
    for (id, text, pinned, article, author) in
        [(1, "yes", true, 1_i64, Some(2_i64)), (2, "no", false, 1, Some(1)), (3, "hm", false, 2, None)]
    {
        let comment = Comment::build().set(Comment::ID, id).set(Comment::TEXT, text).set(Comment::PINNED, pinned);
        repo.insert(comment.set(Comment::ARTICLE_ID, article).set(Comment::AUTHOR_ID, author)).await.unwrap();
    }
    let link = Permalink::build().set(Permalink::ID, 1).set(Permalink::URL, "/one").set(Permalink::ARTICLE_ID, 1_i64);
    repo.insert(link).await.unwrap();
    for (id, label) in [(1, "rust"), (2, "sql"), (3, "idle")] {
        repo.insert(Tag::build().set(Tag::ID, id).set(Tag::LABEL, label)).await.unwrap();
    }
    for (article_id, tag_id) in [(1, 1), (1, 2), (2, 2)] {
        repo.insert(ArticleTag { article_id, tag_id }).await.unwrap();
    }
    for (article_id, author_id, weight) in [(1, 2, 2), (1, 3, 3), (3, 1, 1)] {
        repo.insert(Vote { article_id, author_id, weight }).await.unwrap();
    }
}

/// A pair of texts, for comparing with what came back.
pub(super) fn pair(left: &str, right: &str) -> (String, String) {
    (left.to_owned(), right.to_owned())
}
