//! Joined rows that are put into the slots of the rows that they belong to.

use emr::Query;
use emr::prelude::*;

use super::blog::{Article, Author, Comment, Permalink, Tag, blog};

repo_cases![
    j16_has_many_through_nested_association_joins,
    j18_has_many_joined,
    j19_has_one_joined,
    j20_belongs_to_joined,
    j21_many_to_many_joined,
    j22_has_many_through_joined,
    j23_has_many_through_through_joined,
    j24_nested_joined_and_preloaded,
    j25_nested_with_missing_entries,
    j26_joined_child_with_a_preload,
    j27_joined_with_a_sibling_preload,
    j28_other_joins_beside_joined_associations,
    j30_through_association_leaves_the_steps_alone,
    j31_several_through_associations,
    j32_nested_through_associations,
    j33_joined_from_a_subquery,
    the_same_row_under_several_owners,
    one_puts_rows_together_before_it_counts,
    r95_r96_joined_beside_other_columns,
    what_cannot_be_folded,
];

fn texts(comments: &HasMany<Comment>) -> Vec<&str> {
    comments.get().unwrap().iter().map(|comment| comment.text.as_str()).collect()
}

fn names(authors: &HasMany<Author>) -> Vec<&str> {
    authors.get().unwrap().iter().map(|author| author.name.as_str()).collect()
}

async fn j18_has_many_joined(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query().order_by([Article::ID.asc(), Comment::ID.asc()]);
    let inner = query.clone().join(Article::COMMENTS).preload_joined(Article::COMMENTS);
    let found = repo.all(inner).await.unwrap();
    assert_eq!(
        found.iter().map(|article| texts(&article.comments)).collect::<Vec<_>>(),
        [vec!["yes", "no"], vec!["hm"]]
    );
    assert!(!found[0].tags.is_loaded());

    // A condition of the join keeps comments out, not articles.
    let some = query.left_join(Article::COMMENTS.on(Comment::TEXT.eq("no"))).preload_joined(Article::COMMENTS);
    let found = repo.all(some).await.unwrap();
    let expected = [vec!["no"], vec![], vec![]];
    assert_eq!(found.iter().map(|article| texts(&article.comments)).collect::<Vec<_>>(), expected);
}

async fn j19_has_one_joined(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query().left_join(Article::PERMALINK).order_by(Article::ID.asc());
    let found = repo.all(query.preload_joined(Article::PERMALINK)).await.unwrap();
    let urls: Vec<_> =
        found.iter().map(|article| article.permalink.get().unwrap().map(|link| link.url.as_str())).collect();
    assert_eq!(urls, [Some("/one"), None, None]);
}

async fn j20_belongs_to_joined(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query().left_join(Article::AUTHOR).order_by(Article::ID.asc());
    let found = repo.all(query.preload_joined(Article::AUTHOR)).await.unwrap();
    let authors: Vec<_> =
        found.iter().map(|article| article.author.get().unwrap().map(|author| author.name.as_str())).collect();
    assert_eq!(authors, [Some("ada"), Some("bob"), None]);
}

async fn j21_many_to_many_joined(repo: &impl Repo) {
    blog(repo).await;
    let labels = |found: &[Article]| -> Vec<Vec<String>> {
        let tags = found.iter().map(|article| article.tags.get().unwrap());
        tags.map(|tags| tags.iter().map(|tag| tag.label.clone()).collect()).collect()
    };
    let query = Article::query().order_by([Article::ID.asc(), Tag::ID.asc()]);
    let all = query.clone().left_join(Article::TAGS).preload_joined(Article::TAGS);
    assert_eq!(labels(&repo.all(all).await.unwrap()), [vec!["rust", "sql"], vec!["sql"], vec![]]);
    let some = query.left_join(Article::TAGS.on(Tag::LABEL.eq("rust"))).preload_joined(Article::TAGS);
    assert_eq!(labels(&repo.all(some).await.unwrap()), [vec!["rust"], vec![], vec![]]);
}

async fn j22_has_many_through_joined(repo: &impl Repo) {
    blog(repo).await;
    let again = Comment::build().set(Comment::ID, 4).set(Comment::TEXT, "again");
    repo.insert(again.set(Comment::ARTICLE_ID, 1_i64).set(Comment::AUTHOR_ID, 2_i64)).await.unwrap();
    let query = Article::query().left_join(Article::COMMENTERS).order_by([Article::ID.asc(), Author::ID.asc()]);
    let found = repo.all(query.preload_joined(Article::COMMENTERS)).await.unwrap();
    // Bob commented twice and is one.
    let commenters: Vec<_> = found.iter().map(|article| names(&article.commenters)).collect();
    assert_eq!(commenters, [vec!["ada", "bob"], vec![], vec![]]);
}

async fn j23_has_many_through_through_joined(repo: &impl Repo) {
    blog(repo).await;
    let critic = Author::alias("critic");
    let query = Author::query()
        .left_join(Author::CRITICS.alias(critic))
        .order_by([Author::ID.asc(), critic.col(Author::ID).asc()]);
    let found = repo.all(query.preload_joined(Author::CRITICS.joined_as(critic))).await.unwrap();
    let critics: Vec<_> = found.iter().map(|author| names(&author.critics)).collect();
    assert_eq!(critics, [vec!["ada", "bob"], vec![], vec![]]);
}

async fn j16_has_many_through_nested_association_joins(repo: &impl Repo) {
    blog(repo).await;
    let query = Author::query()
        .left_join(Author::ARTICLES)
        .left_join(Article::COMMENTS)
        .left_join(Article::PERMALINK)
        .order_by([Author::ID.asc(), Article::ID.asc(), Comment::ID.asc()])
        .preload_joined(Author::ARTICLES.joined().then((Article::COMMENTS, Article::PERMALINK)));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found.len(), 3);
    let of = |n: usize| found[n].articles.get().unwrap();
    assert_eq!(of(0).len(), 1);
    assert_eq!(texts(&of(0)[0].comments), ["yes", "no"]);
    assert_eq!(of(0)[0].permalink.get().unwrap().unwrap().url, "/one");
    assert_eq!(texts(&of(1)[0].comments), ["hm"]);
    assert_eq!(of(1)[0].permalink.get().unwrap(), None);
    assert_eq!(of(2), []);
}

async fn j24_nested_joined_and_preloaded(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .join(Article::COMMENTS)
        .join(Comment::AUTHOR)
        .order_by(Comment::ID.asc())
        .preload_joined(Article::COMMENTS.joined().then(Comment::AUTHOR))
        .preload(Article::COMMENTS.then(Comment::AUTHOR.then(Author::ARTICLES)))
        .select((1_i64, Article::row()));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found.len(), 1);
    let (one, article) = &found[0];
    assert_eq!((*one, article.id), (1, 1));
    let comments = article.comments.get().unwrap();
    let authors: Vec<_> = comments.iter().map(|comment| comment.author.get().unwrap().unwrap()).collect();
    assert_eq!(authors.iter().map(|author| author.name.as_str()).collect::<Vec<_>>(), ["bob", "ada"]);
    assert_eq!(authors[0].articles.get().unwrap()[0].title, "two");
}

async fn j25_nested_with_missing_entries(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .left_join(Article::COMMENTS)
        .left_join(Comment::AUTHOR)
        .order_by([Article::ID.asc(), Comment::ID.asc()])
        .preload_joined(Article::COMMENTS.joined().then(Comment::AUTHOR));
    let found = repo.all(query).await.unwrap();
    let nobody = &found[1].comments.get().unwrap()[0];
    assert_eq!((nobody.text.as_str(), nobody.author.get().unwrap()), ("hm", None));
    assert_eq!(found[2].comments.get().unwrap(), []);
}

async fn j26_joined_child_with_a_preload(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .join(Article::COMMENTS)
        .order_by(Comment::ID.asc())
        .preload_joined(Article::COMMENTS)
        .preload(Article::COMMENTS.then(Comment::AUTHOR));
    let found = repo.all(query).await.unwrap();
    let authors = found[0].comments.get().unwrap().iter().map(|comment| comment.author.get().unwrap().unwrap());
    assert_eq!(authors.map(|author| author.name.as_str()).collect::<Vec<_>>(), ["bob", "ada"]);
    assert_eq!(found[1].comments.get().unwrap()[0].author.get().unwrap(), None);
}

async fn j27_joined_with_a_sibling_preload(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .join(Article::AUTHOR)
        .order_by(Article::ID.asc())
        .preload_joined(Article::AUTHOR)
        .preload(Article::COMMENTS);
    let found = repo.all(query).await.unwrap();
    assert_eq!(found[0].author.get().unwrap().unwrap().name, "ada");
    assert_eq!(found[0].comments.get().unwrap().len(), 2);
}

async fn j28_other_joins_beside_joined_associations(repo: &impl Repo) {
    blog(repo).await;
    // The article comes once for each of its tags, each time with all of its comments.
    let query = Article::query()
        .join(Article::COMMENTS)
        .join(Article::TAGS)
        .order_by([Article::ID.asc(), Tag::ID.asc(), Comment::ID.asc()])
        .preload_joined(Article::COMMENTS)
        .select((Article::row(), Tag::LABEL));
    let found = repo.all(query).await.unwrap();
    let found: Vec<_> =
        found.iter().map(|(article, tag)| (article.id, tag.as_str(), texts(&article.comments))).collect();
    let expected = [(1, "rust", vec!["yes", "no"]), (1, "sql", vec!["yes", "no"]), (2, "sql", vec!["hm"])];
    assert_eq!(found, expected);
}

async fn j30_through_association_leaves_the_steps_alone(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .join(Article::COMMENTERS)
        .order_by([Article::ID.asc(), Author::ID.asc()])
        .preload_joined(Article::COMMENTERS)
        .preload(Article::COMMENTERS.then(Author::ARTICLES));
    let found = repo.all(query).await.unwrap();
    assert!(!found[0].comments.is_loaded());
    assert_eq!(names(&found[0].commenters), ["ada", "bob"]);
    assert_eq!(found[0].commenters.get().unwrap()[1].articles.get().unwrap()[0].title, "two");
}

async fn j31_several_through_associations(repo: &impl Repo) {
    blog(repo).await;
    let critic = Author::alias("critic");
    let query = Author::query()
        .left_join(Author::RECEIVED)
        .left_join(Author::CRITICS.alias(critic))
        .order_by([Author::ID.asc(), Comment::ID.asc(), critic.col(Author::ID).asc()])
        .preload_joined((Author::RECEIVED, Author::CRITICS.joined_as(critic)));
    let found = repo.all(query).await.unwrap();
    assert_eq!(texts(&found[0].received), ["yes", "no"]);
    assert_eq!(names(&found[0].critics), ["ada", "bob"]);
    assert_eq!((texts(&found[1].received), names(&found[1].critics)), (vec!["hm"], vec![]));
}

async fn j32_nested_through_associations(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .join(Article::AUTHOR)
        .left_join(Author::RECEIVED)
        .order_by([Article::ID.asc(), Comment::ID.asc()])
        .preload_joined(Article::AUTHOR.joined().then(Author::RECEIVED));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(texts(&found[0].author.get().unwrap().unwrap().received), ["yes", "no"]);
    assert_eq!(texts(&found[1].author.get().unwrap().unwrap().received), ["hm"]);
}

async fn j33_joined_from_a_subquery(repo: &impl Repo) {
    blog(repo).await;
    let some = Comment::alias("some");
    let newest = Comment::query().order_by(Comment::ID.desc()).limit(2).subquery(some);
    let query: Query<Article> = Article::query()
        .join(newest.on(some.col(Comment::ARTICLE_ID).eq(Article::ID)))
        .order_by(Article::ID.asc())
        .preload_joined(Article::COMMENTS.joined_as(some));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found.iter().map(|article| texts(&article.comments)).collect::<Vec<_>>(), [vec!["no"], vec!["hm"]]);
}

async fn the_same_row_under_several_owners(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query().join(Article::TAGS).order_by([Article::ID.asc(), Tag::ID.asc()]);
    let found = repo.all(query.preload_joined(Article::TAGS)).await.unwrap();
    assert_eq!(found[0].tags.get().unwrap()[1], found[1].tags.get().unwrap()[0]);
}

async fn one_puts_rows_together_before_it_counts(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query().join(Article::COMMENTS).preload_joined(Article::COMMENTS);
    let one = repo.one(query.clone().filter(Article::ID.eq(1))).await.unwrap().unwrap();
    assert_eq!(one.comments.get().unwrap().len(), 2);
    assert_eq!(repo.one(query.clone().filter(Article::ID.eq(9))).await.unwrap(), None);
    let error = repo.one(query).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::MultipleResults { .. }), "{error}");
}

async fn r95_r96_joined_beside_other_columns(repo: &impl Repo) {
    blog(repo).await;
    let query = Article::query()
        .left_join(Article::PERMALINK)
        .order_by(Article::ID.asc())
        .preload_joined(Article::PERMALINK)
        .select((Article::row(), Permalink::URL.optional(), Article::VISITS * 2));
    let found = repo.all(query).await.unwrap();
    assert_eq!(found[0].0.permalink.get().unwrap().unwrap().url, "/one");
    assert_eq!((found[0].1.as_deref(), found[0].2), (Some("/one"), 20));
    assert_eq!((found[2].0.permalink.get().unwrap(), &found[2].1, found[2].2), (None, &None, 60));
}

/// Comments without a key of their own.
#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "comments")]
struct Remark {
    text: String,
    article_id: i64,
}

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "articles")]
struct Page {
    id: i64,
    #[emr(has_many(key = "article_id"))]
    remarks: HasMany<Remark>,
}

async fn what_cannot_be_folded(repo: &impl Repo) {
    use futures_util::TryStreamExt;
    blog(repo).await;
    let refused = |error: emr::Error, what: &str| {
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    };
    let not_joined = Article::query().preload_joined(Article::COMMENTS);
    refused(repo.all(not_joined).await.unwrap_err(), "comments");
    let no_struct = Article::query().join(Article::COMMENTS).preload_joined(Article::COMMENTS).select(Article::ID);
    refused(repo.all(no_struct).await.unwrap_err(), "select it");
    let keyless = Page::query().join(Page::REMARKS).preload_joined(Page::REMARKS);
    refused(repo.all(keyless).await.unwrap_err(), "primary key");
    let folded = || Article::query().join(Article::COMMENTS).preload_joined(Article::COMMENTS);
    refused(repo.stream(folded()).try_collect::<Vec<_>>().await.unwrap_err(), "preload");
    let inside = Comment::query().filter(Comment::ID.in_query(folded().select(Article::ID)));
    refused(repo.all(inside).await.unwrap_err(), "preload");
}
