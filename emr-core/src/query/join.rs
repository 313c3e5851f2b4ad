//! Joins, and the names of sources.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use super::body::{Join, JoinKind, Relation, SelectBody, Source, Values};
use super::{Query, Unselected};
use crate::association::Association;
use crate::expr::{Column, Expr, Fragment, IntoCondition, Node, Operator, SourceRef};
use crate::schema::{AssociationDef, Schema, Syncable, Through};
use crate::types::{Field, Scalar, ToParam};

/// A name for one source of a query, where its schema alone does not tell which one is meant: the second
/// `Person` of a self-join, the outer query's row in a subquery.
///
/// ```
/// # use emr_core::{Alias, SyncableExt, Column, Cells, Schema, Syncable, Value, Result, Association};
/// # fn f<Person: Syncable>(NAME: Column<Person, String>, MANAGER: Association<Person, Person>) {
/// let manager = Alias::<Person>::new("manager");
/// let pairs = Person::query().join(MANAGER.alias(manager)).select((NAME, manager.col(NAME)));
/// # }
/// ```
pub struct Alias<T> {
    name: &'static str,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Alias<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Alias<T> {}

impl<T> fmt::Debug for Alias<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<T> Alias<T> {
    /// The source of this name.
    pub const fn new(name: &'static str) -> Self {
        Alias { name, of: PhantomData }
    }

    pub(crate) fn source(self) -> SourceRef {
        SourceRef::Alias(self.name)
    }

    /// A column of the source by its name in the database, as a type that the caller vouches for.
    pub fn named_col<F: Scalar>(self, name: impl Into<Cow<'static, str>>) -> Expr<F> {
        Expr::from_node(Node::Name { source: self.source(), name: name.into(), ty: Some(F::TYPE) })
    }
}

impl<T: Syncable> Alias<T> {
    /// A column of the source.
    pub fn col<F: Field>(self, column: Column<T, F>) -> Column<T, F> {
        column.of(self.source())
    }

    /// All rows of the table, called by this name.
    pub fn query(self) -> Query<T> {
        let mut query = Query::new();
        query.body.from.alias = Some(self.name);
        query
    }

    /// The table under this name, joined where the condition holds.
    pub fn on(self, condition: impl IntoCondition) -> Joinable {
        self.table().on(condition)
    }

    /// The table under this name.
    pub fn table(self) -> Joinable {
        let mut table = Joinable::of(Relation::Schema(T::schema()));
        table.source.alias = Some(self.name);
        table
    }
}

/// What can be joined: an [`Association`], a table with a condition ([`SyncableExt::on`](crate::SyncableExt::on)), a
/// [`Query`], a [`Joinable`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be joined",
    label = "expected an association, a table, a query or SQL that gives rows"
)]
pub trait IntoJoin {
    /// What is joined.
    fn into_join(self) -> Joinable;
}

/// Rows that can stand in FROM or be joined.
#[derive(Debug, Clone)]
#[must_use = "it does nothing until a query reads it"]
pub struct Joinable {
    pub(crate) source: Source,
    on: Vec<Node>,
    lateral: bool,
    /// The filters of a plain query: about the joined rows, whatever their place.
    own: Vec<Node>,
    link: Option<Link>,
}

#[derive(Debug, Clone)]
struct Link {
    owner: SourceRef,
    schema: &'static Schema,
    def: &'static AssociationDef,
}

impl Joinable {
    pub(crate) fn of(relation: Relation) -> Self {
        Joinable { source: Source::of(relation), on: Vec::new(), lateral: false, own: Vec::new(), link: None }
    }

    /// Only rows for which this is true as well.
    pub fn on(mut self, condition: impl IntoCondition) -> Self {
        push_all(&mut self.on, condition.into_condition().into_node());
        self
    }

    /// Calls the source by this name.
    pub fn alias<T>(mut self, alias: Alias<T>) -> Self {
        self.source.alias = Some(alias.name);
        self
    }

    /// Reads the table in this schema (PostgreSQL, SQL Server) or database (MySQL).
    pub fn prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.source.prefix = Some(prefix.into());
        self
    }

    /// Joins this table instead of the schema's: one with the same columns.
    pub fn from_table(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.source.table = Some(name.into());
        self
    }

    /// Writes this behind the table, as the engine spells it: an index hint, TABLESAMPLE, a table hint.
    pub fn hint(mut self, sql: &'static str) -> Self {
        self.source.hints.push(sql);
        self
    }

    /// Lets the source, a subquery or a fragment, read columns of the sources before it.
    pub fn lateral(mut self) -> Self {
        self.lateral = true;
        self
    }

    /// For an association: its owner is the source of this name.
    pub fn from<T>(mut self, owner: Alias<T>) -> Self {
        if let Some(link) = &mut self.link {
            link.owner = owner.source();
        }
        self
    }

    /// Adds the join to the query.
    pub(super) fn push(self, body: &mut SelectBody, kind: JoinKind) {
        let Joinable { source, on, lateral, own, link } = self;
        let schema = source.relation.schema();
        let at = if let Some(link) = link {
            join_association(body, kind, &link, source, 0)
        } else {
            body.joins.push(Join { kind, source, on: Vec::new(), lateral });
            body.joins.len()
        };
        let Some(join) = body.joins.last_mut() else { return };
        join.on.extend(on);
        for mut node in own {
            if let Some(schema) = schema {
                node.rebind(schema, SourceRef::Nth(at));
            }
            join.on.push(node);
        }
    }
}

/// How many chains may stand in one another. One that leads through itself has no end.
const MAX_DEPTH: usize = 32;

/// Joins what an association leads to, join tables included; returns the place of the related rows.
fn join_association(body: &mut SelectBody, kind: JoinKind, link: &Link, mut last: Source, depth: usize) -> usize {
    let Link { owner, schema, def } = link;
    if let Through::Chain(fields) = def.through {
        if depth > MAX_DEPTH {
            body.problem = Some(format!("the association {} of {} leads through itself", def.field, schema.name));
            return body.joins.len();
        }
        let (mut owner, mut schema) = (*owner, *schema);
        for (n, field) in fields.iter().enumerate() {
            let Some(step) = schema.association(field) else {
                body.problem =
                    Some(format!("{} has no association {field}, through which {} leads", schema.name, def.field));
                return body.joins.len();
            };
            let related = (step.related)();
            let source = if n + 1 == fields.len() {
                std::mem::replace(&mut last, Source::of(Relation::Schema(related)))
            } else {
                Source::of(Relation::Schema(related))
            };
            owner = SourceRef::Nth(join_association(body, kind, &Link { owner, schema, def: step }, source, depth + 1));
            schema = related;
        }
        return body.joins.len();
    }
    let related = (def.related)();
    let key_names = related.primary_key.iter().map(|&column| related.columns[column].name);
    let related_keys: Vec<_> =
        if def.related_keys.is_empty() { key_names.collect() } else { def.related_keys.to_vec() };
    let owner_end = End { source: *owner, schema: Some(schema) };
    let join_table = match def.through {
        Through::Schema { schema, owner_columns, related_columns } => {
            Some((Relation::Schema(schema()), owner_columns, related_columns))
        }
        Through::Table { table, owner_columns, related_columns } => {
            Some((Relation::Table(Cow::Borrowed(table)), owner_columns, related_columns))
        }
        Through::Direct | Through::Chain(_) => None,
    };
    let (left, left_keys) = match join_table {
        Some((relation, owner_columns, related_columns)) => {
            let middle = End { source: SourceRef::Nth(body.joins.len() + 1), schema: relation.schema() };
            let on = owner_end.meets(def.owner_keys, &middle, owner_columns);
            body.joins.push(Join { kind, source: Source::of(relation), on, lateral: false });
            (middle, related_columns)
        }
        None => (owner_end, def.owner_keys),
    };
    let at = body.joins.len() + 1;
    let right = End { source: SourceRef::Nth(at), schema: Some(related) };
    let mut on = left.meets(left_keys, &right, &related_keys);
    if let Some(filter) = def.filter {
        let mut filter = filter();
        filter.rebind(related, SourceRef::Nth(at));
        push_all(&mut on, filter);
    }
    body.joins.push(Join { kind, source: last, on, lateral: false });
    at
}

/// One side of a join condition.
struct End {
    source: SourceRef,
    schema: Option<&'static Schema>,
}

impl End {
    fn column(&self, name: &'static str) -> Node {
        match self.schema.and_then(|schema| Some((schema, schema.column_position(name)?))) {
            Some((schema, column)) => Node::Column { source: self.source, schema, column },
            None => Node::Name { source: self.source, name: Cow::Borrowed(name), ty: None },
        }
    }

    fn meets(&self, keys: &[&'static str], other: &End, other_keys: &[&'static str]) -> Vec<Node> {
        let pairs = keys.iter().zip(other_keys);
        let equal = pairs.map(|(key, other_key)| Node::Binary {
            op: Operator::Eq,
            left: Box::new(self.column(key)),
            right: Box::new(other.column(other_key)),
        });
        equal.collect()
    }
}

pub(crate) fn push_all(conditions: &mut Vec<Node>, node: Node) {
    match node {
        Node::And(all) => conditions.extend(all),
        node => conditions.push(node),
    }
}

impl IntoJoin for Joinable {
    fn into_join(self) -> Joinable {
        self
    }
}

impl<T: Syncable> IntoJoin for Alias<T> {
    fn into_join(self) -> Joinable {
        self.table()
    }
}

impl<S: Syncable, T: Syncable> IntoJoin for Association<S, T> {
    fn into_join(self) -> Joinable {
        let mut join = Joinable::of(Relation::Schema(T::schema()));
        join.link = Some(Link { owner: SourceRef::Schema, schema: S::schema(), def: self.def() });
        join
    }
}

impl<S: Syncable, T: Syncable> Association<S, T> {
    /// The association's rows under this name, to be joined.
    pub fn alias(self, alias: Alias<T>) -> Joinable {
        self.into_join().alias(alias)
    }

    /// The association of the source with this name, to be joined.
    pub fn from(self, owner: Alias<S>) -> Joinable {
        self.into_join().from(owner)
    }

    /// The association's rows for which this is true as well, to be joined.
    pub fn on(self, condition: impl IntoCondition) -> Joinable {
        self.into_join().on(condition)
    }
}

/// The filters of a query that has nothing else become conditions of the join; any other query is joined as a
/// subquery.
impl<S, R> IntoJoin for Query<S, R> {
    fn into_join(self) -> Joinable {
        let mut body = self.body;
        if !body.is_filtered_source() {
            return Joinable::of(Relation::Query(body));
        }
        let own = std::mem::take(&mut body.filter);
        Joinable { source: body.from, on: Vec::new(), lateral: false, own, link: None }
    }
}

impl<S, R> Query<S, R> {
    /// The rows of the query, for FROM or a join, called by this name. A subquery even where filters alone would do.
    ///
    /// Columns of the query's schema are found in it as long as nothing was selected; others by
    /// [`Alias::named_col`], after the names that [`named`](crate::Select::named) gave them.
    pub fn subquery<T>(self, alias: Alias<T>) -> Joinable {
        Joinable::of(Relation::Query(self.body)).alias(alias)
    }

    /// The query as what is joined, where the condition holds.
    pub fn on(self, condition: impl IntoCondition) -> Joinable {
        self.into_join().on(condition)
    }
}

/// A table that has no schema, by its name: its columns are named by [`col`].
///
/// ```
/// use emr_core::{col, table};
/// let titles = table("posts").query().filter(col::<i64>("id").gt(5)).select(col::<String>("title"));
/// ```
pub fn table(name: impl Into<Cow<'static, str>>) -> Joinable {
    Joinable::of(Relation::Table(name.into()))
}

/// A column by its name in the database, as a type that the caller vouches for: of the first source that has no schema,
/// or of an alias by [`Alias::named_col`].
pub fn col<T: Scalar>(name: impl Into<Cow<'static, str>>) -> Expr<T> {
    Expr::from_node(Node::Name { source: SourceRef::Schema, name: name.into(), ty: Some(T::TYPE) })
}

impl Joinable {
    /// A query of these rows. Say what it selects.
    pub fn query(self) -> Query<Unselected, Unselected> {
        let mut body = SelectBody::of(self.source.relation.clone());
        body.from = self.source;
        body.filter = self.on;
        body.filter.extend(self.own);
        Query::of_body(body)
    }

    /// A query of these rows, which have the columns of the schema `T`.
    pub fn query_as<T: Syncable>(mut self) -> Query<T> {
        match &mut self.source.relation {
            Relation::Fragment { schema, .. } | Relation::Cte { schema, .. } => *schema = Some(T::schema()),
            _ => {}
        }
        Query::of_body(*self.query().body)
    }
}

impl Fragment {
    /// Rows that the text gives, for FROM or a join.
    pub fn rows(self) -> Joinable {
        Joinable::of(Relation::Fragment { parts: self.parts(), schema: None, columns: Vec::new() })
    }

    /// Rows that the text gives, with the columns of the schema `T`.
    pub fn rows_as<T: Syncable>(self) -> Joinable {
        Joinable::of(Relation::Fragment { parts: self.parts(), schema: Some(T::schema()), columns: Vec::new() })
    }
}

impl Values {
    /// A table of values, without columns and rows as yet.
    ///
    /// ```
    /// use emr_core::{Values, col};
    /// let words = Values::new().column::<i64>("n").column::<String>("word").row(&[&1_i64, &"one"]).row(&[&2_i64, &"two"]);
    /// let query = words.rows().query().select((col::<i64>("n"), col::<String>("word")));
    /// ```
    pub fn new() -> Self {
        Values::default()
    }

    /// One more column, of this name and type.
    #[must_use]
    pub fn column<T: Scalar>(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.columns.push((name.into(), T::TYPE));
        self
    }

    /// One more column, with the name and the type of this one.
    #[must_use]
    pub fn column_of<S: Syncable, F: Field>(mut self, column: Column<S, F>) -> Self {
        let def = column.def();
        self.columns.push((def.name.into(), def.ty));
        self
    }

    /// A table of these structs: the columns of their schema, and a row for each.
    ///
    /// ```
    /// # use emr_core::{Alias, Column, Syncable, Values};
    /// # fn f<Post: Syncable>(ID: Column<Post, i64>, posts: &[Post]) {
    /// let imported = Alias::<Post>::new("imported");
    /// let list = Values::of(posts).rows().alias(imported);
    /// let query = list.query().select(imported.col(ID));
    /// # }
    /// ```
    #[must_use]
    pub fn of<'r, T: Syncable>(rows: impl IntoIterator<Item = &'r T>) -> Self {
        let columns = T::schema().columns;
        let row = |row: &T| (0..columns.len()).map(|column| row.value(column).into_owned()).collect();
        Values {
            columns: columns.iter().map(|def| (def.name.into(), def.ty)).collect(),
            rows: rows.into_iter().map(row).collect(),
        }
    }

    /// One more row: a value for each column.
    #[must_use]
    pub fn row(mut self, cells: &[&dyn ToParam]) -> Self {
        self.rows.push(cells.iter().map(|cell| cell.to_param().into_owned()).collect());
        self
    }

    /// The rows, for FROM or a join.
    pub fn rows(self) -> Joinable {
        Joinable::of(Relation::Values(Box::new(self)))
    }
}
