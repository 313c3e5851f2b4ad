//! What the derive makes of associations.

#![allow(missing_docs, dead_code)]

mod support;

use std::sync::Arc;

use emr_core::{
    Association, AssociationDef, AssociationKind, BelongsTo, Expr, Generated, HasMany, HasOne, ManyToMany, OnDelete,
    OnReplace, SqlType, Syncable, Through, Value,
};
use emr_macros::Syncable;

use support::{Cellar, decoded, stored, text};

#[derive(Syncable, Debug, Clone)]
#[emr(crate = "::emr_core")]
struct Post {
    id: i64,
    title: String,
    person_id: Option<i64>,
    #[emr(belongs_to)]
    person: BelongsTo<Person>,
    #[emr(has_many(on_replace = "delete_if_exists", on_delete = "nilify_all"))]
    comments: HasMany<Comment>,
    #[emr(has_one(key = "article_id", references = "title", filter = Comment::is_pinned))]
    pinned: HasOne<Comment>,
    #[emr(has_many(through(comments, author)))]
    commenters: HasMany<Person>,
    #[emr(has_many(through(commenters, friends)))]
    friends_of_commenters: HasMany<Person>,
    #[emr(many_to_many(through = PostTag, unique, on_delete = "delete_all"))]
    tags: ManyToMany<Tag>,
    #[emr(many_to_many(
        table = "reads",
        owner_key = "title",
        references(title),
        related_key = "reader",
        related_references = "name"
    ))]
    readers: ManyToMany<Person>,
    #[emr(skip)]
    not_ours: HasMany<Person>,
}

#[derive(Syncable, Debug, Clone)]
#[emr(crate = "::emr_core", table = "people", rename_all = "camelCase")]
struct Person {
    id: i64,
    name: String,
    mentor_id: Option<i64>,
    #[emr(belongs_to)]
    mentor: BelongsTo<Self>,
    #[emr(has_many(key = "mentorId"))]
    friends: HasMany<Person>,
}

#[derive(Syncable, Debug, Clone)]
#[emr(crate = "::emr_core")]
struct Comment {
    id: i64,
    post_id: i64,
    writer: i64,
    pinned: bool,
    #[emr(belongs_to(key = "writer", references = "id"))]
    author: BelongsTo<Person>,
}

impl Comment {
    fn is_pinned() -> Expr<bool> {
        Comment::PINNED.eq(true)
    }
}

#[derive(Syncable, Debug, Clone)]
#[emr(crate = "::emr_core")]
struct Tag {
    id: i64,
}

#[derive(Syncable, Debug, Clone)]
#[emr(crate = "::emr_core")]
struct PostTag {
    #[emr(primary_key)]
    post_id: i64,
    #[emr(primary_key)]
    tag_id: i64,
    #[emr(belongs_to)]
    post: BelongsTo<Post>,
    #[emr(has_many(key("post", "tag")))]
    votes: HasMany<Vote>,
}

#[derive(Syncable, Debug, Clone)]
#[emr(crate = "::emr_core")]
struct Vote {
    post: i64,
    tag: i64,
    #[emr(belongs_to(key("post", "tag")))]
    post_tag: BelongsTo<PostTag>,
}

#[derive(Syncable, Debug, Clone)]
#[emr(crate = "::emr_core")]
struct Profile {
    #[emr(primary_key)]
    person_id: i64,
    #[emr(belongs_to)]
    person: BelongsTo<Person>,
}

#[test]
fn slots_are_no_columns() {
    let names: Vec<_> = Post::schema().columns.iter().map(|column| column.name).collect();

    assert_eq!(names, ["id", "title", "person_id"]);
}

#[test]
fn associations_stand_in_the_order_of_the_fields() {
    let fields: Vec<_> = Post::schema().associations.iter().map(|association| association.field).collect();

    let expected = ["person", "comments", "pinned", "commenters", "friends_of_commenters", "tags", "readers"];
    assert_eq!(fields, expected);
}

#[test]
fn constants_carry_both_ends() {
    let comments: Association<Post, Comment> = Post::COMMENTS;
    let mentor: Association<Person, Person> = Person::MENTOR;

    assert_eq!(comments.def().field, "comments");
    assert_eq!((mentor.def().related)(), Person::schema());
}

#[test]
fn belongs_to_starts_from_the_fields_name() {
    let person = Post::PERSON.def();

    assert_eq!(person.kind, AssociationKind::BelongsTo);
    assert_eq!(person.owner_keys, ["person_id"]);
    assert!(person.related_keys.is_empty(), "the related primary key is meant");
    assert!(matches!(person.through, Through::Direct) && person.filter.is_none());
    assert_eq!((person.related)(), Person::schema());
}

#[test]
fn belongs_to_takes_keys_and_references() {
    assert_eq!(Comment::AUTHOR.def().owner_keys, ["writer"]);
    assert_eq!(Comment::AUTHOR.def().related_keys, ["id"]);
    assert_eq!(Vote::POST_TAG.def().owner_keys, ["post", "tag"]);
}

#[test]
fn keys_follow_renamed_columns() {
    assert_eq!(Person::MENTOR.def().owner_keys, ["mentorId"]);
}

#[test]
fn has_many_points_here_by_the_structs_name() {
    let comments = Post::COMMENTS.def();

    assert_eq!(comments.kind, AssociationKind::HasMany);
    assert_eq!((comments.owner_keys, comments.related_keys), (&["id"][..], &["post_id"][..]));
}

#[test]
fn what_becomes_of_rows_is_said_or_nothing() {
    let said = |def: &AssociationDef| (def.on_replace, def.on_delete, def.unique);

    assert_eq!(said(Post::PERSON.def()), (OnReplace::Raise, OnDelete::Nothing, false));
    assert_eq!(said(Post::COMMENTS.def()), (OnReplace::DeleteIfExists, OnDelete::NilifyAll, false));
    assert_eq!(said(Post::TAGS.def()), (OnReplace::Raise, OnDelete::DeleteAll, true));
}

#[test]
fn has_many_of_a_composite_key_pairs_its_columns() {
    let votes = PostTag::VOTES.def();

    assert_eq!((votes.owner_keys, votes.related_keys), (&["post_id", "tag_id"][..], &["post", "tag"][..]));
}

#[test]
fn has_one_takes_keys_references_and_a_filter() {
    let pinned = Post::PINNED.def();

    assert_eq!(pinned.kind, AssociationKind::HasOne);
    assert_eq!((pinned.owner_keys, pinned.related_keys), (&["title"][..], &["article_id"][..]));
    assert_eq!(pinned.filter.unwrap()(), Comment::is_pinned().into_node());
}

#[test]
fn a_chain_names_its_steps_and_starts_where_its_first_does() {
    let Through::Chain(steps) = Post::COMMENTERS.def().through else { panic!() };
    assert_eq!(steps, ["comments", "author"]);
    assert_eq!(Post::COMMENTERS.def().owner_keys, ["id"]);

    let Through::Chain(steps) = Post::FRIENDS_OF_COMMENTERS.def().through else { panic!() };
    assert_eq!(steps, ["commenters", "friends"]);
    assert_eq!(Post::FRIENDS_OF_COMMENTERS.def().owner_keys, ["id"]);
    assert!(Post::FRIENDS_OF_COMMENTERS.def().related_keys.is_empty());
}

#[test]
fn many_to_many_goes_through_a_schema() {
    let tags = Post::TAGS.def();

    assert_eq!(tags.kind, AssociationKind::ManyToMany);
    assert_eq!(tags.owner_keys, ["id"]);
    let Through::Schema { schema, owner_columns, related_columns } = tags.through else { panic!("{tags:?}") };
    assert_eq!(schema(), PostTag::schema());
    assert_eq!((owner_columns, related_columns), (&["post_id"][..], &["tag_id"][..]));
}

#[test]
fn many_to_many_goes_through_a_table() {
    let readers = Post::READERS.def();

    assert_eq!((readers.owner_keys, readers.related_keys), (&["title"][..], &["name"][..]));
    let Through::Table { table, owner_columns, related_columns } = readers.through else { panic!("{readers:?}") };
    assert_eq!(table, "reads");
    assert_eq!((owner_columns, related_columns), (&["title"][..], &["reader"][..]));
}

#[test]
fn a_key_that_is_a_foreign_key_too_is_not_counted() {
    assert!(matches!(Profile::schema().columns[0].generated, Generated::No));
}

#[test]
fn decoded_slots_are_not_loaded() {
    let row = Cellar(vec![Value::I64(1), text("a"), Value::Null(SqlType::I64)]);

    let post: Post = decoded(&row).unwrap();

    assert!(!post.person.is_loaded() && !post.comments.is_loaded() && !post.tags.is_loaded());
    assert_eq!(format!("{:?}", post.pinned), "NotLoaded");
}

#[test]
fn loaded_slots_change_no_column() {
    let row = Cellar(vec![Value::I64(1), text("a"), Value::I64(2)]);
    let mut post: Post = decoded(&row).unwrap();
    let person = Cellar(vec![Value::I64(2), text("Ann"), Value::Null(SqlType::I64)]);
    post.person = BelongsTo::loaded(Some(Arc::new(decoded(&person).unwrap())));

    assert_eq!(stored(&post).0, row.0);
}

#[test]
fn slots_are_found_by_position() {
    let row = Cellar(vec![Value::I64(1), text("title"), Value::I64(7)]);
    let mut post: Post = decoded(&row).unwrap();
    let count = Post::schema().associations.len();

    for at in 0..count {
        let slot = post.slot(at).unwrap();
        assert_eq!(slot.related(), (Post::schema().associations[at].related)());
        assert!(!slot.is_loaded());
    }
    assert!(post.slot(count).is_none() && post.slot_mut(count).is_none());
    post.comments = HasMany::loaded(Vec::new());
    let comments = post.slot_mut(Post::COMMENTS.index()).unwrap();
    assert!(comments.is_loaded());
    comments.reset();
    assert!(!post.comments.is_loaded());
}

#[test]
fn preload_order_is_a_function() {
    let order = Shelf::BOOKS.def().order.unwrap()();

    assert_eq!(order.len(), 2);
    assert!(Post::COMMENTS.def().order.is_none());
}

#[derive(Syncable, Debug, Clone)]
#[emr(crate = "::emr_core")]
struct Shelf {
    id: i64,
    #[emr(has_many(preload_order = Volume::by_title))]
    books: HasMany<Volume>,
}

#[derive(Syncable, Debug, Clone)]
#[emr(crate = "::emr_core")]
struct Volume {
    id: i64,
    title: String,
    shelf_id: i64,
}

impl Volume {
    fn by_title() -> [emr_core::Order; 2] {
        [Volume::TITLE.asc(), Volume::ID.desc()]
    }
}
