//! Updates of all rows of a query.

use std::fmt;
use std::marker::PhantomData;

use super::{Query, Select, SelectBody, SelectItem};
use crate::expr::{Column, IntoExpr, IntoField, Node, Numeric, changed_array};
use crate::schema::Syncable;
use crate::types::{Element, Field, Scalar};

/// An update of all rows of a query. Made by [`Query::set`] and [`Query::inc`].
#[must_use = "an update does nothing until a repo runs it"]
pub struct Update<T> {
    pub(crate) query: Query<T>,
    pub(crate) assignments: Vec<Assignment>,
}

/// `column = expression`.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The position in [`Schema::columns`](crate::Schema::columns).
    pub column: usize,
    /// The new value.
    pub value: Node,
}

impl<T: Syncable> Query<T> {
    /// Turns the query into an update of its rows: `column` with this element behind its others. PostgreSQL only.
    pub fn push<F, E>(self, column: Column<T, F>, value: impl IntoExpr<E>) -> Update<T>
    where
        F: Field<Scalar = Vec<E>>,
        E: Element,
        Vec<E>: Scalar,
    {
        Update::of(self).push(column, value)
    }

    /// Turns the query into an update of its rows: `column` without the elements that equal this one. PostgreSQL only.
    pub fn pull<F, E>(self, column: Column<T, F>, value: impl IntoExpr<E>) -> Update<T>
    where
        F: Field<Scalar = Vec<E>>,
        E: Element,
        Vec<E>: Scalar,
    {
        Update::of(self).pull(column, value)
    }
}

impl<T: Syncable> Update<T> {
    pub(super) fn of(query: Query<T>) -> Self {
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

    /// Also `column` with this element behind its others. PostgreSQL only.
    pub fn push<F, E>(self, column: Column<T, F>, value: impl IntoExpr<E>) -> Self
    where
        F: Field<Scalar = Vec<E>>,
        E: Element,
        Vec<E>: Scalar,
    {
        let value = value.into_expr().node;
        self.assign(column.index(), changed_array::<E>(column.node(), value, true))
    }

    /// Also `column` without the elements that equal this one. PostgreSQL only.
    pub fn pull<F, E>(self, column: Column<T, F>, value: impl IntoExpr<E>) -> Self
    where
        F: Field<Scalar = Vec<E>>,
        E: Element,
        Vec<E>: Scalar,
    {
        let value = value.into_expr().node;
        self.assign(column.index(), changed_array::<E>(column.node(), value, false))
    }

    /// What comes back of each row, after the update, instead of the whole row: for
    /// [`update_all_returning`](crate::Repo::update_all_returning).
    pub fn returning<S: Select>(self, what: S) -> ReturningUpdate<T, S::Output> {
        let mut returned = Vec::new();
        what.items(&mut returned);
        ReturningUpdate { update: self, returned, result: PhantomData }
    }

    fn assign(mut self, column: usize, value: Node) -> Self {
        // The last one wins, as with the fields of a changeset: SQL would refuse the column twice.
        self.assignments.retain(|assignment| assignment.column != column);
        self.assignments.push(Assignment { column, value });
        self
    }
}

/// An update that says what comes back of each row. Made by [`Update::returning`].
#[derive(Debug)]
#[must_use = "an update does nothing until a repo runs it"]
pub struct ReturningUpdate<T, R> {
    update: Update<T>,
    returned: Vec<SelectItem>,
    result: PhantomData<fn() -> R>,
}

/// The untyped content of an update that gives rows back.
#[doc(hidden)]
#[derive(Debug)]
pub struct UpdateParts {
    pub(crate) query: Box<SelectBody>,
    pub(crate) assignments: Vec<Assignment>,
    /// Empty for all columns.
    pub(crate) returned: Vec<SelectItem>,
}

/// An update whose rows come back as `R`: an [`Update`], or one that [says what](Update::returning).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no update whose rows come back as `{R}`",
    label = "expected an update"
)]
pub trait IntoUpdate<R>: Send {
    /// The update's content.
    #[doc(hidden)]
    fn into_parts(self) -> UpdateParts;
}

impl<T: Syncable> IntoUpdate<T> for Update<T> {
    fn into_parts(self) -> UpdateParts {
        UpdateParts { query: self.query.body, assignments: self.assignments, returned: Vec::new() }
    }
}

impl<T: Syncable, R> IntoUpdate<R> for ReturningUpdate<T, R> {
    fn into_parts(self) -> UpdateParts {
        UpdateParts { returned: self.returned, ..self.update.into_parts() }
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
