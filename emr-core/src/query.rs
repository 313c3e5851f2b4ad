//! Queries: which rows of a table, in which order.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crate::expr::{Column, Expr, IntoCondition, IntoExpr, IntoField, Node, Numeric, Operator, Order};
use crate::schema::{Schema, Syncable};
use crate::types::Field;

/// Which rows of `T`'s table, in which order. Built from `T::query()`; reading and writing are the
/// [`Repo`](crate::Repo)'s business.
#[must_use = "a query does nothing until a repo runs it"]
pub struct Query<T> {
    pub(crate) body: SelectBody,
    result: PhantomData<fn() -> T>,
}

/// The untyped content of a [`Query`].
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the clauses of a SELECT
pub struct SelectBody {
    pub schema: &'static Schema,
    pub prefix: Option<Cow<'static, str>>,
    pub filter: Vec<Node>,
    pub order: Vec<Order>,
    pub limit: Option<u64>,
    pub offset: Option<u64>,
    pub distinct: bool,
    pub lock: Option<Lock>,
}

/// A row lock: how strong, and what to do when it is taken. Held until the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lock {
    /// What others may still do.
    pub strength: LockStrength,
    /// What to do when somebody else holds the row.
    pub wait: LockWait,
}

/// How strong a row lock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockStrength {
    /// Nobody else may write or lock the row.
    Update,
    /// As `Update`, but rows that point here by foreign key may be written (PostgreSQL; elsewhere
    /// `Update`).
    NoKeyUpdate,
    /// Others may read and share-lock.
    Share,
    /// Others may do all but change the key or delete (PostgreSQL; elsewhere `Share`).
    KeyShare,
}

/// What a locking query does with rows that are locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockWait {
    /// Wait, within the call's timeout.
    Wait,
    /// Fail at once with [`LockNotAvailable`](crate::ErrorKind::LockNotAvailable).
    NoWait,
    /// Leave them out.
    SkipLocked,
}

impl Lock {
    /// `FOR UPDATE`.
    pub const UPDATE: Lock = Lock { strength: LockStrength::Update, wait: LockWait::Wait };
    /// `FOR NO KEY UPDATE`.
    pub const NO_KEY_UPDATE: Lock = Lock { strength: LockStrength::NoKeyUpdate, wait: LockWait::Wait };
    /// `FOR SHARE`.
    pub const SHARE: Lock = Lock { strength: LockStrength::Share, wait: LockWait::Wait };
    /// `FOR KEY SHARE`.
    pub const KEY_SHARE: Lock = Lock { strength: LockStrength::KeyShare, wait: LockWait::Wait };

    /// Fails at once instead of waiting.
    #[must_use]
    pub fn nowait(mut self) -> Lock {
        self.wait = LockWait::NoWait;
        self
    }

    /// Leaves locked rows out.
    #[must_use]
    pub fn skip_locked(mut self) -> Lock {
        self.wait = LockWait::SkipLocked;
        self
    }
}

impl<T: Syncable> Query<T> {
    /// All rows. Usually written `T::query()`.
    pub fn new() -> Self {
        Query {
            body: SelectBody {
                schema: T::schema(),
                prefix: None,
                filter: Vec::new(),
                order: Vec::new(),
                limit: None,
                offset: None,
                distinct: false,
                lock: None,
            },
            result: PhantomData,
        }
    }

    /// Only rows for which the condition is true, and all earlier ones.
    pub fn filter(mut self, condition: impl IntoCondition) -> Self {
        match condition.into_condition().node {
            Node::And(all) => self.body.filter.extend(all),
            node => self.body.filter.push(node),
        }
        self
    }

    /// Only rows of which this field has this value; for `None`, NULL.
    pub fn filter_eq<F: Field>(self, column: Column<T, F>, value: impl IntoField<F>) -> Self {
        let value = value.into_field();
        if value.is_null() {
            self.filter(column.is_null())
        } else {
            let context = Some((T::schema(), column.index()));
            let right = Box::new(Node::Bind { value, context });
            let left = Box::new(column.node());
            self.filter(Expr::<bool>::from_node(Node::Binary { op: Operator::Eq, left, right }))
        }
    }

    /// Orders by this key, after all earlier ones.
    pub fn order_by(mut self, order: Order) -> Self {
        self.body.order.push(order);
        self
    }

    /// At most this many rows.
    pub fn limit(mut self, rows: u64) -> Self {
        self.body.limit = Some(rows);
        self
    }

    /// Leaves the first rows out. SQL Server demands an order with it.
    pub fn offset(mut self, rows: u64) -> Self {
        self.body.offset = Some(rows);
        self
    }

    /// Only one of rows that are equal in every column.
    pub fn distinct(mut self) -> Self {
        self.body.distinct = true;
        self
    }

    /// Locks the rows until the transaction ends. Outside a transaction the call is refused, as the lock
    /// would be gone before the caller could use it.
    pub fn lock(mut self, lock: Lock) -> Self {
        self.body.lock = Some(lock);
        self
    }

    /// Reads from the table in this schema (PostgreSQL, SQL Server) or database (MySQL).
    pub fn prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.body.prefix = Some(prefix.into());
        self
    }

    /// The reverse order. Without an order: by descending primary key.
    pub fn reverse_order(mut self) -> Self {
        if self.body.order.is_empty() {
            let schema = self.body.schema;
            let key = schema.primary_key.iter();
            self.body.order =
                key.map(|&column| Expr::<()>::from_node(Node::Column { schema, column }).desc()).collect();
        } else {
            for order in &mut self.body.order {
                order.descending = !order.descending;
                order.nulls = order.nulls.map(|nulls| match nulls {
                    crate::expr::Nulls::First => crate::expr::Nulls::Last,
                    crate::expr::Nulls::Last => crate::expr::Nulls::First,
                });
            }
        }
        self
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

impl<T> Clone for Query<T> {
    fn clone(&self) -> Self {
        Query { body: self.body.clone(), result: PhantomData }
    }
}

impl<T> fmt::Debug for Query<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.body.fmt(f)
    }
}

/// What calls that read take: a query, or a reference to one that is used again.
pub trait IntoQuery<T>: Send {
    /// The query.
    fn into_query(self) -> Query<T>;
}

impl<T: Syncable> IntoQuery<T> for Query<T> {
    fn into_query(self) -> Query<T> {
        self
    }
}

impl<T: Syncable> IntoQuery<T> for &Query<T> {
    fn into_query(self) -> Query<T> {
        self.clone()
    }
}

/// An update of all rows of a query. Made by [`Query::set`] and [`Query::inc`].
#[must_use = "an update does nothing until a repo runs it"]
pub struct Update<T> {
    pub(crate) query: Query<T>,
    pub(crate) assignments: Vec<Assignment>,
}

/// `column = expression`.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The position in [`Schema::columns`].
    pub column: usize,
    /// The new value.
    pub value: Node,
}

impl<T: Syncable> Update<T> {
    fn of(query: Query<T>) -> Self {
        Update { query, assignments: Vec::new() }
    }

    /// The untyped content: which rows, and what they shall hold. For adapters and tools.
    pub fn parts(&self) -> (&SelectBody, &[Assignment]) {
        (&self.query.body, &self.assignments)
    }

    /// Also `column = value`.
    pub fn set<F: Field>(self, column: Column<T, F>, value: impl IntoField<F>) -> Self {
        let node = Node::Bind { value: value.into_field(), context: Some((T::schema(), column.index())) };
        self.assign(column.index(), node)
    }

    /// Also `column = expression`.
    pub fn set_expr<F: Field>(self, column: Column<T, F>, value: impl IntoExpr<F::Scalar>) -> Self {
        let node = value.into_expr().node.in_context(Some((T::schema(), column.index())));
        self.assign(column.index(), node)
    }

    /// Also `column = column + by`.
    pub fn inc<F: Field>(self, column: Column<T, F>, by: impl IntoExpr<F::Scalar>) -> Self
    where
        F::Scalar: Numeric,
    {
        self.assign(column.index(), (column + by).node)
    }

    fn assign(mut self, column: usize, value: Node) -> Self {
        // The last one wins, as with the fields of a changeset: SQL would refuse the column twice.
        self.assignments.retain(|assignment| assignment.column != column);
        self.assignments.push(Assignment { column, value });
        self
    }
}

impl<T> Clone for Update<T> {
    fn clone(&self) -> Self {
        Update { query: self.query.clone(), assignments: self.assignments.clone() }
    }
}

impl<T> fmt::Debug for Update<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update").field("query", &self.query).field("assignments", &self.assignments).finish()
    }
}
