//! What to preload, and how.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use super::function::{Function, OwnerKey, OwnerKeys};
use crate::association::{Association, Record};
use crate::error::Result;
use crate::query::{IntoQuery, SelectBody};
use crate::schema::{Schema, Syncable};

/// The preload of one association, without its types.
#[derive(Clone)]
pub struct Spec {
    pub(super) owner: fn() -> &'static Schema,
    /// Finds the owner in what a query has read.
    pub(super) record: AsRecord,
    /// The position in the owner's [`Schema::associations`].
    pub(super) association: usize,
    pub(super) query: Option<Box<SelectBody>>,
    pub(super) function: Option<Function>,
    pub(super) per_parent: Option<u64>,
    pub(super) force: bool,
    pub(super) nested: Vec<Spec>,
    /// Two queries, or a query and a function, were given.
    pub(super) conflict: bool,
}

/// What was read as a row, if it is one of the owners.
pub(super) type AsRecord = for<'a> fn(&'a mut dyn Any) -> Option<&'a mut (dyn Record + 'static)>;

pub(super) fn as_record<S: Syncable>(read: &mut dyn Any) -> Option<&mut (dyn Record + 'static)> {
    read.downcast_mut::<S>().map(|row| row as &mut (dyn Record + 'static))
}

impl Spec {
    /// A preload for rows of this schema, which are found among others by `record`.
    pub(super) fn new(owner: fn() -> &'static Schema, record: AsRecord, association: usize) -> Self {
        Spec {
            owner,
            record,
            association,
            query: None,
            function: None,
            per_parent: None,
            force: false,
            nested: Vec::new(),
            conflict: false,
        }
    }

    /// The preload of an association of rows that are there, by its position, and those of its rows.
    pub fn of_rows(owner: fn() -> &'static Schema, association: usize, nested: Vec<Spec>) -> Self {
        let mut spec = Spec::new(owner, |_| None, association);
        spec.nested = nested;
        spec
    }

    /// The schema that has the association.
    pub fn owner(&self) -> fn() -> &'static Schema {
        self.owner
    }

    /// The position of the association.
    pub fn association(&self) -> usize {
        self.association
    }

    /// The preloads of its rows.
    pub fn nested(&self) -> &[Spec] {
        &self.nested
    }

    /// The same, to be changed.
    pub fn nested_mut(&mut self) -> &mut Vec<Spec> {
        &mut self.nested
    }

    /// The query that its rows come from, where it is not the association's own.
    pub fn query(&self) -> Option<&SelectBody> {
        self.query.as_deref()
    }

    /// Whether a function gives its rows.
    pub fn has_function(&self) -> bool {
        self.function.is_some()
    }

    /// How many rows an owner has at the most.
    pub fn limit(&self) -> Option<u64> {
        self.per_parent
    }

    fn has_source(&self) -> bool {
        self.query.is_some() || self.function.is_some()
    }

    fn set_query(&mut self, mut query: Box<SelectBody>) {
        self.conflict |= self.has_source();
        self.nested.append(&mut query.preloads);
        self.query = Some(query);
    }

    fn set_function(&mut self, function: Function) {
        self.conflict |= self.has_source();
        self.function = Some(function);
    }
}

impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        (self.owner)() == (other.owner)()
            && self.association == other.association
            && self.query == other.query
            && self.function == other.function
            && self.per_parent == other.per_parent
            && self.force == other.force
            && self.nested == other.nested
            && self.conflict == other.conflict
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = (self.owner)();
        let field = schema.associations.get(self.association).map_or("?", |def| def.field);
        let mut out = f.debug_struct("Preload");
        out.field("association", &format_args!("{}.{field}", schema.name));
        if let Some(query) = &self.query {
            out.field("query", query);
        }
        if self.function.is_some() {
            out.field("function", &format_args!("…"));
        }
        if let Some(rows) = self.per_parent {
            out.field("limit_per_parent", &rows);
        }
        if self.force {
            out.field("force", &true);
        }
        if !self.nested.is_empty() {
            out.field("then", &self.nested);
        }
        out.finish_non_exhaustive()
    }
}

/// The preload of an association of `S` to `T`, and what of it. Begins with an association: `Post::COMMENTS.then(…)`.
#[derive(Clone)]
#[must_use = "a preload does nothing until a repo or a query takes it"]
pub struct Preload<S, T> {
    spec: Spec,
    ends: PhantomData<fn() -> (S, T)>,
}

impl<S, T> fmt::Debug for Preload<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

impl<S: Syncable, T: Syncable> Preload<S, T> {
    fn of(association: Association<S, T>) -> Self {
        Preload { spec: Spec::new(S::schema, as_record::<S>, association.index()), ends: PhantomData }
    }

    /// Then associations of the rows that came: one, or a tuple of several.
    pub fn then(mut self, nested: impl IntoPreload<T>) -> Self {
        self.spec.nested.extend(nested.into_preload().specs);
        self
    }

    /// Only rows of this query, in its order, which takes the place of the association's own. Preloads of the query
    /// come with it. A limit or an offset counts the rows of all owners together;
    /// [`limit_per_parent`](Preload::limit_per_parent) counts those of each.
    ///
    /// An association takes one query. For a chain of associations, it is the query of the last one.
    pub fn query(mut self, query: impl IntoQuery<T>) -> Self {
        self.spec.set_query(query.into_body());
        self
    }

    /// At most this many rows for each owner: the first ones in the order of the query or of the association, else by
    /// primary key.
    pub fn limit_per_parent(mut self, rows: u64) -> Self {
        self.spec.per_parent = Some(rows);
        self
    }

    /// Loads what is loaded already once more.
    pub fn force(mut self) -> Self {
        self.spec.force = true;
        self
    }

    /// Takes the rows from a function in the place of the database. It is given the keys of the owners, each once, and
    /// may give more rows than were asked for; each goes to the owners whose key it points at, in the order in which
    /// they came. It is not called where there is no key.
    ///
    /// ```
    /// # use emr_core::{Association, Preload, Query, Repo, RepoHandle, Syncable};
    /// # fn f<Post: Syncable, Comment: Syncable>(COMMENTS: Association<Post, Comment>, repo: RepoHandle) -> Preload<Post, Comment> {
    /// COMMENTS.with(move |post_ids: emr_core::OwnerKeys<i64>| {
    ///     let repo = repo.clone();
    ///     async move {
    ///         assert!(!post_ids.is_empty());
    ///         repo.all(Query::<Comment>::new()).await
    ///     }
    /// })
    /// # }
    /// ```
    pub fn with<K, F, R>(mut self, function: F) -> Self
    where
        K: OwnerKey,
        F: Fn(OwnerKeys<K>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<T>>> + Send + 'static,
    {
        self.spec.set_function(Function::rows(function));
        self
    }

    /// As [`with`](Preload::with), for many-to-many associations, whose rows do not say whose they are: the function
    /// gives each with the key of its owner.
    pub fn with_pairs<K, F, R>(mut self, function: F) -> Self
    where
        K: OwnerKey,
        F: Fn(OwnerKeys<K>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<(K, T)>>> + Send + 'static,
    {
        self.spec.set_function(Function::pairs(function));
        self
    }
}

/// The ways to preload an association.
impl<S: Syncable, T: Syncable> Association<S, T> {
    /// Preloads it, and then associations of its rows: see [`Preload::then`].
    ///
    /// ```
    /// # use emr_core::{Association, IntoPreload, Preload, Syncable};
    /// # fn f<Post: Syncable, Comment: Syncable, Person: Syncable, Like: Syncable>(
    /// #     COMMENTS: Association<Post, Comment>, AUTHOR: Association<Comment, Person>, LIKES: Association<Comment, Like>,
    /// # ) -> Preload<Post, Comment> {
    /// // With the derived constants: Post::COMMENTS.then((Comment::AUTHOR, Comment::LIKES))
    /// COMMENTS.then((AUTHOR, LIKES))
    /// # }
    /// ```
    pub fn then(self, nested: impl IntoPreload<T>) -> Preload<S, T> {
        Preload::of(self).then(nested)
    }

    /// Preloads only rows of this query: see [`Preload::query`].
    pub fn query(self, query: impl IntoQuery<T>) -> Preload<S, T> {
        Preload::of(self).query(query)
    }

    /// Preloads at most this many rows for each owner: see [`Preload::limit_per_parent`].
    pub fn limit_per_parent(self, rows: u64) -> Preload<S, T> {
        Preload::of(self).limit_per_parent(rows)
    }

    /// Preloads it also where it is loaded: see [`Preload::force`].
    pub fn force(self) -> Preload<S, T> {
        Preload::of(self).force()
    }

    /// Takes its rows from a function: see [`Preload::with`].
    pub fn with<K, F, R>(self, function: F) -> Preload<S, T>
    where
        K: OwnerKey,
        F: Fn(OwnerKeys<K>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<T>>> + Send + 'static,
    {
        Preload::of(self).with(function)
    }

    /// Takes its rows and their owners' keys from a function: see [`Preload::with_pairs`].
    pub fn with_pairs<K, F, R>(self, function: F) -> Preload<S, T>
    where
        K: OwnerKey,
        F: Fn(OwnerKeys<K>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<(K, T)>>> + Send + 'static,
    {
        Preload::of(self).with_pairs(function)
    }
}

/// Any number of preloads of `S`: what [`IntoPreload`] makes, to be kept and used again.
#[derive(Clone)]
#[must_use = "a preload does nothing until a repo or a query takes it"]
pub struct Preloads<S> {
    pub(crate) specs: Vec<Spec>,
    owner: PhantomData<fn() -> S>,
}

impl<S> Preloads<S> {
    fn of(specs: Vec<Spec>) -> Self {
        Preloads { specs, owner: PhantomData }
    }
}

impl<S> fmt::Debug for Preloads<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.specs.fmt(f)
    }
}

/// What can be preloaded for rows of `S`: an association, one with options, a tuple, `Vec` or `Option` of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be preloaded for `{S}`",
    label = "expected an association of `{S}`",
    note = "associations are constants of the struct that has them, such as Post::COMMENTS; those of their rows stand in \
            `then`: Post::COMMENTS.then(Comment::AUTHOR)"
)]
pub trait IntoPreload<S> {
    /// The preloads.
    fn into_preload(self) -> Preloads<S>;
}

impl<S: Syncable, T: Syncable> IntoPreload<S> for Association<S, T> {
    fn into_preload(self) -> Preloads<S> {
        Preload::of(self).into_preload()
    }
}

impl<S: Syncable, T: Syncable> IntoPreload<S> for Preload<S, T> {
    fn into_preload(self) -> Preloads<S> {
        Preloads::of(vec![self.spec])
    }
}

impl<S> IntoPreload<S> for Preloads<S> {
    fn into_preload(self) -> Preloads<S> {
        self
    }
}

impl<S, P: IntoPreload<S>> IntoPreload<S> for Vec<P> {
    fn into_preload(self) -> Preloads<S> {
        Preloads::of(self.into_iter().flat_map(|preload| preload.into_preload().specs).collect())
    }
}

impl<S, P: IntoPreload<S>> IntoPreload<S> for Option<P> {
    fn into_preload(self) -> Preloads<S> {
        Preloads::of(self.into_iter().flat_map(|preload| preload.into_preload().specs).collect())
    }
}

macro_rules! tuples {
    ($($item:ident $at:tt),*) => {
        impl<S, $($item: IntoPreload<S>),*> IntoPreload<S> for ($($item,)*) {
            fn into_preload(self) -> Preloads<S> {
                let mut specs = Vec::new();
                $(specs.extend(self.$at.into_preload().specs);)*
                Preloads::of(specs)
            }
        }
    };
}

tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
