//! Queries: which rows of which tables, in which order, and what of them.

mod body;
mod clauses;
mod combine;
mod join;
mod lock;
mod select;
mod subquery;
mod update;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

pub use body::{
    Combination, Cte, CteBody, Distinct, Join, JoinKind, Relation, SelectBody, SelectItem, SetOperator, Source, Values,
};
pub use clauses::{Clause, IntoGroup};
pub use combine::{CteDefinition, cte, cte_rows, cte_sql};
pub(crate) use join::push_all;
pub use join::{Alias, IntoJoin, Joinable, col, table};
pub use lock::{Lock, LockStrength, LockWait};
pub use select::{Named, Optional, Projection, Select, WholeRow};
pub use subquery::{Quantifier, exists};
pub use update::{Assignment, IntoUpdate, ReturningUpdate, Update, UpdateParts};

use crate::expr::{Column, Expr, IntoCondition, IntoExpr, IntoField, IntoOrder, Node, Numeric, Operator};
use crate::schema::Syncable;
use crate::types::Field;

/// Which rows, in which order, and what of them: a query of the table of `S` whose rows are read into `R`. Built from
/// `T::query()`; reading and writing are the [`Repo`](crate::Repo)'s business.
#[must_use = "a query does nothing until a repo runs it"]
pub struct Query<S, R = S> {
    pub(crate) body: Box<SelectBody>,
    result: PhantomData<fn() -> (S, R)>,
}

/// Stands for what a query without a schema selects until it says it: rows cannot be read into it.
#[derive(Debug, Clone, Copy)]
pub struct Unselected;

impl<T: Syncable> Query<T> {
    /// All rows. Usually written `T::query()`.
    pub fn new() -> Self {
        Query::of_body(SelectBody::of(Relation::Schema(T::schema())))
    }

    /// Turns the query into an update of its rows: `column = value`.
    pub fn set<F: Field>(self, column: Column<T, F>, value: impl IntoField<F>) -> Update<T> {
        Update::of(self).set(column, value)
    }

    /// Turns the query into an update of its rows: `column = expression`.
    pub fn set_expr<F: Field>(self, column: Column<T, F>, value: impl IntoExpr<F::Scalar>) -> Update<T> {
        Update::of(self).set_expr(column, value)
    }

    /// Turns the query into an update of its rows: `column = column + by`.
    pub fn inc<F: Field>(self, column: Column<T, F>, by: impl IntoExpr<F::Scalar>) -> Update<T>
    where
        F::Scalar: Numeric,
    {
        Update::of(self).inc(column, by)
    }
}

impl<S: Syncable, R> Query<S, R> {
    /// Only rows of which this field has this value; for `None`, NULL.
    pub fn filter_eq<F: Field>(self, column: Column<S, F>, value: impl IntoField<F>) -> Self {
        let value = value.into_field();
        if value.is_null() {
            self.filter(column.is_null())
        } else {
            let context = Some((S::schema(), column.index()));
            let right = Box::new(Node::Bind { value, context });
            let left = Box::new(column.node());
            self.filter(Expr::<bool>::from_node(Node::Binary { op: Operator::Eq, left, right }))
        }
    }
}

impl<S, R> Query<S, R> {
    pub(crate) fn of_body(body: SelectBody) -> Self {
        Query { body: Box::new(body), result: PhantomData }
    }

    /// What the rows are read into, instead of what was selected before: a column, an expression, a whole row, or a tuple.
    ///
    /// ```
    /// # use emr_core::{Column, Query, SyncableExt, Syncable};
    /// # fn f<Post: Syncable>(ID: Column<Post, i64>, TITLE: Column<Post, String>) {
    /// let pairs: Query<Post, (i64, String)> = Post::query().select((ID, TITLE));
    /// # }
    /// ```
    pub fn select<T: Select>(self, what: T) -> Query<S, T::Output> {
        let mut body = self.body;
        body.select.clear();
        what.items(&mut body.select);
        Query { body, result: PhantomData }
    }

    /// What the rows are read into: a struct with `#[derive(Projection)]`, whose fields have the types of what is selected,
    /// in the same order.
    pub fn select_as<P: Projection>(self, what: impl Select<Output = P::Fields>) -> Query<S, P> {
        let mut body = self.body;
        body.select.clear();
        what.items(&mut body.select);
        Query { body, result: PhantomData }
    }

    /// This too, beside what is selected already.
    pub fn select_also<T: Select>(self, what: T) -> Query<S, (R, T::Output)> {
        let mut body = self.body;
        if body.select.is_empty()
            && let Some(schema) = body.from.relation.schema()
        {
            body.select.push(SelectItem::Row { source: crate::expr::SourceRef::Nth(0), schema });
        }
        what.items(&mut body.select);
        Query { body, result: PhantomData }
    }

    /// Only rows for which the condition is true, and all earlier ones.
    pub fn filter(mut self, condition: impl IntoCondition) -> Self {
        join::push_all(&mut self.body.filter, condition.into_condition().into_node());
        self
    }

    /// Also rows for which this condition is true: all earlier conditions together, or this one.
    pub fn or_filter(mut self, condition: impl IntoCondition) -> Self {
        let other = condition.into_condition().into_node();
        let earlier = std::mem::take(&mut self.body.filter);
        if earlier.is_empty() {
            return self.filter(Expr::<bool>::from_node(other));
        }
        self.body.filter.push(Node::Or(vec![Node::And(earlier), other]));
        self
    }

    /// Orders by these keys, after all earlier ones.
    pub fn order_by(mut self, order: impl IntoOrder) -> Self {
        self.body.order.extend(order.into_order());
        self
    }

    /// Orders by these keys first, and then by the earlier ones.
    pub fn prepend_order_by(mut self, order: impl IntoOrder) -> Self {
        self.body.order.splice(0..0, order.into_order());
        self
    }

    /// At most this many rows.
    pub fn limit(mut self, rows: u64) -> Self {
        self.body.limit = Some(rows);
        self
    }

    /// Rows that the order puts beside the last row of the limit come as well. Needs an order and a limit; not on MySQL
    /// and SQLite.
    pub fn with_ties(mut self) -> Self {
        self.body.with_ties = true;
        self
    }

    /// Leaves the first rows out. SQL Server demands an order with it.
    pub fn offset(mut self, rows: u64) -> Self {
        self.body.offset = Some(rows);
        self
    }

    /// Only one of rows that are equal in every column.
    pub fn distinct(mut self) -> Self {
        self.body.distinct = Distinct::Rows;
        self
    }

    /// Only the first of rows that are equal in these keys, which also come first in the order. PostgreSQL only.
    pub fn distinct_on(mut self, keys: impl IntoOrder) -> Self {
        self.body.distinct = Distinct::On(keys.into_order());
        self
    }

    /// Reads from the table in this schema (PostgreSQL, SQL Server) or database (MySQL).
    pub fn prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.body.from.prefix = Some(prefix.into());
        self
    }

    /// Reads from, updates or deletes in this table instead of the schema's: one with the same columns, a partition or
    /// an archive for example. The name is quoted. Of the first table only; for another one,
    /// [`Joinable::from_table`].
    ///
    /// ```
    /// # use emr_core::{Column, SyncableExt, Syncable};
    /// # fn f<Post: Syncable>(ID: Column<Post, i64>) {
    /// let archived = Post::query().from_table("posts_of_2019").filter(ID.eq(7));
    /// # }
    /// ```
    pub fn from_table(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.body.from.table = Some(name.into());
        self
    }

    /// Writes this behind the first table, as the engine spells it: an index hint, TABLESAMPLE, a table hint.
    pub fn hint(mut self, sql: &'static str) -> Self {
        self.body.from.hints.push(sql);
        self
    }

    /// Locks the rows until the transaction ends. Outside a transaction the call is refused, as the lock
    /// would be gone before the caller could use it. Of a query with joins the rows of the first table are locked.
    pub fn lock(mut self, lock: Lock) -> Self {
        self.body.lock = Some(lock);
        self
    }

    /// Only pairs of rows that meet.
    pub fn join(self, other: impl IntoJoin) -> Self {
        self.joined(JoinKind::Inner, other)
    }

    /// Pairs of rows that meet, and rows that meet none: what is selected of the other side is NULL then, see
    /// [`Select::optional`].
    pub fn left_join(self, other: impl IntoJoin) -> Self {
        self.joined(JoinKind::Left, other)
    }

    /// Pairs of rows that meet, and rows of the other side that meet none.
    pub fn right_join(self, other: impl IntoJoin) -> Self {
        self.joined(JoinKind::Right, other)
    }

    /// Pairs of rows that meet, and rows of either side that meet none. Not on MySQL.
    pub fn full_join(self, other: impl IntoJoin) -> Self {
        self.joined(JoinKind::Full, other)
    }

    /// Every row with every row of the other side.
    pub fn cross_join(self, other: impl IntoJoin) -> Self {
        self.joined(JoinKind::Cross, other)
    }

    fn joined(mut self, kind: JoinKind, other: impl IntoJoin) -> Self {
        other.into_join().push(&mut self.body, kind);
        self
    }

    /// The untyped content, for adapters and tools.
    pub fn body(&self) -> &SelectBody {
        &self.body
    }
}

impl<T: Syncable> Default for Query<T> {
    fn default() -> Self {
        Query::new()
    }
}

impl<S, R> Clone for Query<S, R> {
    fn clone(&self) -> Self {
        Query { body: self.body.clone(), result: PhantomData }
    }
}

impl<S, R> fmt::Debug for Query<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.body.fmt(f)
    }
}

/// What calls that read take: a query, or a reference to one that is used again. `R` is what its rows are read into.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no query of `{R}`",
    label = "expected a query whose rows are read into `{R}`"
)]
pub trait IntoQuery<R>: Send {
    /// The query's content.
    fn into_body(self) -> Box<SelectBody>;
}

impl<S, R> IntoQuery<R> for Query<S, R> {
    fn into_body(self) -> Box<SelectBody> {
        self.body
    }
}

impl<S, R> IntoQuery<R> for &Query<S, R> {
    fn into_body(self) -> Box<SelectBody> {
        self.body.clone()
    }
}
