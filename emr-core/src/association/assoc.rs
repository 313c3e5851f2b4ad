//! Queries of associated rows, and new rows that belong to one.

use std::borrow::Cow;

use super::Association;
use super::ends::{Ends, Link, fitting};
use super::path::{IntoPath, Step};
use crate::changeset::Changeset;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Node, Operator, SourceRef};
use crate::preload::Keys;
use crate::query::{Query, Relation, SelectBody, SelectItem, Source, push_all};
use crate::schema::{AssociationKind, Schema, Syncable, Through};
use crate::value::{SqlType, Value};

/// The associated rows of a row, or of a slice of rows. In the prelude.
pub trait AssocExt<S: Syncable> {
    /// Calls this with each row.
    #[doc(hidden)]
    fn each_owner(&self, visit: &mut dyn FnMut(&S));

    /// The query of the rows that an association, or several one after the other, leads to from here. Nothing is read yet:
    /// narrow, order and run it as any query.
    ///
    /// Rows at the end of a chain come once; those of a many-to-many association once for each link. Owners without a key
    /// have no rows. What is wrong with the association itself (a struct without its key column) is the error of the call
    /// that runs the query.
    ///
    /// ```
    /// # use emr_core::{AssocExt, Association, Query, Repo, Result, Syncable};
    /// # async fn f<Post: Syncable, Comment: Syncable, Person: Syncable>(
    /// #     repo: &impl Repo, posts: &[Post], COMMENTS: Association<Post, Comment>, AUTHOR: Association<Comment, Person>,
    /// # ) -> Result<()> {
    /// // With the derived constants: posts.assoc(Post::COMMENTS.chain(Comment::AUTHOR))
    /// let commenters: Vec<Person> = repo.all(posts.assoc(COMMENTS.chain(AUTHOR))).await?;
    /// # Ok(())
    /// # }
    /// ```
    fn assoc<T: Syncable>(&self, path: impl IntoPath<S, T>) -> Query<T> {
        let steps = path.into_path().flat();
        let body = steps.and_then(|steps| rows_along(&steps, |visit| self.each_owner(&mut |row| visit(row))));
        Query::of_body(body.unwrap_or_else(|error| {
            let mut body = SelectBody::of(Relation::Schema(T::schema()));
            body.problem = Some(problem_of(&error));
            body
        }))
    }
}

impl<S: Syncable> AssocExt<S> for S {
    fn each_owner(&self, visit: &mut dyn FnMut(&S)) {
        visit(self);
    }
}

impl<S: Syncable> AssocExt<S> for [S] {
    fn each_owner(&self, visit: &mut dyn FnMut(&S)) {
        self.iter().for_each(visit);
    }
}

impl<S: Syncable> AssocExt<S> for Vec<S> {
    fn each_owner(&self, visit: &mut dyn FnMut(&S)) {
        self.iter().for_each(visit);
    }
}

/// New rows that belong to one. In the prelude.
pub trait BuildAssoc: Syncable {
    /// A new row of the association, with its foreign key set, and what the association's filter says of columns in
    /// plain equalities. Of a `belongs_to` or many-to-many association a new row without any.
    ///
    /// # Errors
    /// [`InvalidCall`](crate::ErrorKind::InvalidCall) for a chain, for a row without the key, and if one of the structs
    /// lacks a key column.
    ///
    /// ```
    /// # use emr_core::{Association, BuildAssoc, Repo, Result, Syncable};
    /// # async fn f<Post: Syncable, Comment: Syncable>(
    /// #     repo: &impl Repo, post: Post, COMMENTS: Association<Post, Comment>,
    /// # ) -> Result<()> {
    /// // With the derived constants: post.build_assoc(Post::COMMENTS)?.set(Comment::TEXT, "First!")
    /// repo.insert(post.build_assoc(COMMENTS)?).await?;
    /// # Ok(())
    /// # }
    /// ```
    fn build_assoc<T: Syncable>(&self, association: Association<Self, T>) -> Result<Changeset<T>> {
        let def = association.def();
        let schema = Self::schema();
        let mut new = Changeset::new();
        if let Through::Chain(_) = def.through {
            return Err(Error::invalid(format!(
                "{}.{} is a chain: build a row of its last step",
                schema.name, def.field
            )));
        }
        if let Some(filter) = def.filter {
            equalities(&filter(), T::schema(), &mut |column, value| new.put(column, value));
        }
        if matches!(def.kind, AssociationKind::HasOne | AssociationKind::HasMany) {
            let ends = Ends::of(schema, def)?;
            for (&own, &related) in ends.owner_keys.iter().zip(&ends.related_keys) {
                let value = self.value(own);
                let column = &ends.related.columns[related];
                if value.is_null() {
                    let own = schema.columns[own].name;
                    return Err(Error::invalid(format!(
                        "{}.{} starts from `{own}`, which is NULL: nothing can belong to this row",
                        schema.name, def.field
                    )));
                }
                let Some(value) = fitting(value, column.ty) else {
                    return Err(Error::invalid(format!(
                        "the key of {} is too large for the column `{}` of {}",
                        schema.name, column.name, ends.related.name
                    )));
                };
                new.put(related, value.into_owned());
            }
        }
        Ok(new)
    }
}

impl<S: Syncable> BuildAssoc for S {}

/// The columns that a filter demands one value of.
pub(crate) fn equalities(filter: &Node, schema: &Schema, set: &mut dyn FnMut(usize, Value<'static>)) {
    let column = |node: &Node| node.as_column().filter(|(of, _)| *of == schema).map(|(_, column)| column);
    match filter {
        Node::And(all) => all.iter().for_each(|node| equalities(node, schema, set)),
        Node::Binary { op: Operator::Eq, left, right } => match (column(left), column(right), &**left, &**right) {
            (Some(column), None, _, Node::Bind { value, .. }) | (None, Some(column), Node::Bind { value, .. }, _) => {
                set(column, value.clone());
            }
            _ => {}
        },
        Node::IsNull(inner) => {
            if let Some(column) = column(inner) {
                set(column, Value::Null(schema.columns[column].ty));
            }
        }
        Node::Not(inner) => {
            if let Some(column) = column(inner) {
                set(column, Value::Bool(false));
            }
        }
        node => {
            if let Some(column) = column(node) {
                set(column, Value::Bool(true));
            }
        }
    }
}

fn problem_of(error: &Error) -> String {
    match error.kind() {
        ErrorKind::InvalidCall { problem } => problem.clone(),
        _ => error.to_string(),
    }
}

/// The rows at the end of the steps.
fn rows_along<S: Syncable>(steps: &[Step], each: impl Fn(&mut dyn FnMut(&S))) -> Result<SelectBody> {
    let mut rest = steps.iter();
    let Some(&(schema, def)) = rest.next() else { return Err(Error::invalid("a path without a step")) };
    let ends = Ends::of(schema, def)?;
    let types: Vec<_> = (0..ends.owner_keys.len()).map(|n| ends.key_type(n)).collect();
    let mut keys = Keys::new(types.len());
    each(&mut |row: &S| {
        let values = ends.owner_keys.iter().zip(&types).map(|(&column, ty)| {
            let value = row.value(column);
            if value.is_null() { None } else { fitting(value, *ty) }
        });
        if let Some(key) = values.collect() {
            keys.add(key);
        }
    });
    let from_keys = |columns: &[Node]| crate::preload::of_keys(&ends, columns, &keys, &keys.all());
    let mut body = SelectBody::of(Relation::Schema(ends.related));
    if rest.len() == 0 {
        // The links themselves may be many.
        let columns = crate::preload::link(&mut body, &ends, None);
        push_all(&mut body.filter, from_keys(&columns));
        filter(&mut body, &ends, def);
        return Ok(body);
    }
    step(&mut body, &ends, &from_keys);
    filter(&mut body, &ends, def);
    for &(schema, def) in rest {
        let ends = Ends::of(schema, def)?;
        let owners = body;
        body = SelectBody::of(Relation::Schema(ends.related));
        step(&mut body, &ends, &|columns| {
            let keys = ends.owner_keys.iter().map(|&column| own(ends.owner, column)).collect();
            among(columns, owners.clone(), keys)
        });
        filter(&mut body, &ends, def);
    }
    Ok(body)
}

/// Narrows the related rows to those that owners lead to, each once; `owned` is the condition on the columns that hold the
/// owner's key.
fn step(body: &mut SelectBody, ends: &Ends, owned: &dyn Fn(&[Node]) -> Node) {
    let related: Vec<_> = ends.related_keys.iter().map(|&column| own(ends.related, column)).collect();
    let Some(link) = &ends.link else { return push_all(&mut body.filter, owned(&related)) };
    let (mut links, owner_columns, related_columns) = links(ends, link);
    push_all(&mut links.filter, owned(&owner_columns));
    body.filter.push(among(&related, links, related_columns));
}

/// The rows of a join table, its columns of the owner's key and its columns of the related key.
fn links(ends: &Ends, link: &Link) -> (SelectBody, Vec<Node>, Vec<Node>) {
    let relation = match link.schema {
        Some(schema) => Relation::Schema(schema),
        None => Relation::Table(Cow::Borrowed(link.table)),
    };
    let mut source = Source::of(relation.clone());
    if link.schema.is_none() {
        source.prefix = ends.owner.prefix.map(Cow::Borrowed);
    }
    let mut body = SelectBody::of(relation);
    body.from = source;
    let owner = link.owner_columns.iter().enumerate();
    let owner = owner.map(|(n, name)| link.column(SourceRef::Nth(0), name, ends.key_type(n))).collect();
    let related = link.related_columns.iter().zip(&ends.related_keys);
    let related = related.map(|(name, &key)| link.column(SourceRef::Nth(0), name, ends.related.columns[key].ty));
    let related = related.collect();
    (body, owner, related)
}

impl Link {
    /// A column of the join table, which is this source.
    pub(crate) fn column(&self, source: SourceRef, name: &'static str, ty: SqlType) -> Node {
        match self.schema.and_then(|schema| Some((schema, schema.column_position(name)?))) {
            Some((schema, column)) => Node::Column { source, schema, column },
            None => Node::Name { source, name: Cow::Borrowed(name), ty: Some(ty) },
        }
    }
}

fn own(schema: &'static Schema, column: usize) -> Node {
    Node::Column { source: SourceRef::Nth(0), schema, column }
}

/// Adds the association's own filter.
pub(crate) fn filter(body: &mut SelectBody, ends: &Ends, def: &crate::schema::AssociationDef) {
    if let Some(filter) = def.filter {
        let mut filter = filter();
        filter.rebind(ends.related, SourceRef::Nth(0));
        push_all(&mut body.filter, filter);
    }
}

/// The condition that the columns hold what one row of the query holds in these of its own.
fn among(columns: &[Node], mut query: SelectBody, own: Vec<Node>) -> Node {
    if let [column] = columns {
        query.select = own.into_iter().map(|node| SelectItem::Expr { node, name: None }).collect();
        return Node::InQuery { needle: Box::new(column.clone()), query: Box::new(query) };
    }
    for (own, column) in own.into_iter().zip(columns) {
        let mut outer = column.clone();
        outer.each_mut(&mut |node| match node {
            Node::Column { source, .. } | Node::Name { source, .. } => *source = SourceRef::Outer,
            _ => {}
        });
        query.filter.push(Node::Binary { op: Operator::Eq, left: Box::new(own), right: Box::new(outer) });
    }
    Node::Exists(Box::new(query))
}
