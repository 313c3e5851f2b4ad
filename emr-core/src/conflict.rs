//! What an insert does where a row with the same key is there already.

mod columns;
mod outcome;
mod repeated;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

pub use columns::ColumnList;
pub use outcome::{UpsertCounts, Upserted};
pub(crate) use repeated::refuse_repeated;

use crate::expr::{Column, Expr, IntoCondition, IntoExpr, IntoField, Node, Numeric, SourceRef};
use crate::query::{Assignment, Relation, SelectBody, push_all};
use crate::schema::{Schema, Syncable};
use crate::types::Field;

/// What an upsert does with a row whose key is taken: leave the stored row alone, or change it.
///
/// The key is that of [`target`](OnConflict::target): columns with a unique index, or a constraint by its name. A row that
/// violates another unique index is an error as always. Every change needs a target; [`nothing`](OnConflict::nothing)
/// without one means any key. On MySQL and MariaDB the target is your word that no other unique index can be violated:
/// these engines do not take it, and change the row that has *any* of the keys.
///
/// ```
/// # use emr_core::{Column, OnConflict, Repo, SyncableExt, Syncable, Upserted, excluded};
/// # async fn f<Page: Syncable>(
/// #     repo: &impl Repo, URL: Column<Page, String>, VISITS: Column<Page, i64>,
/// # ) -> emr_core::Result<()> {
/// // With the derived constants: Page::URL, Page::VISITS
/// let count = OnConflict::update().set_expr(VISITS, VISITS + excluded(VISITS)).target(URL);
/// match repo.upsert(Page::build().set(URL, "/").set(VISITS, 1), count).await? {
///     Upserted::Inserted(_) => println!("the first visit"),
///     Upserted::Updated(page) => drop(page),
///     Upserted::Skipped => unreachable!("there is no filter"),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "it does nothing until an upsert goes by it"]
pub struct OnConflict<T> {
    conflict: Conflict,
    of: PhantomData<fn() -> T>,
}

/// The untyped content of an [`OnConflict`]: what the renderer reads.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Conflict {
    /// What the stored row shall hold; `None` leaves it alone.
    pub assignments: Option<Vec<Assignment>>,
    /// Which key must be taken.
    pub target: ConflictTarget,
    /// The condition of a partial unique index.
    pub target_filter: Vec<Node>,
    /// Which stored rows are changed.
    pub filter: Vec<Node>,
    /// The stored row, as the source that the expressions read.
    pub stored: SelectBody,
}

/// Which key must be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConflictTarget {
    /// Any.
    Any,
    /// That of these columns, by their positions in [`Schema::columns`].
    Columns(Vec<usize>),
    /// That of this constraint.
    Constraint(Cow<'static, str>),
}

impl<T: Syncable> OnConflict<T> {
    fn of(assignments: Option<Vec<Assignment>>) -> Self {
        let conflict = Conflict {
            assignments,
            target: ConflictTarget::Any,
            target_filter: Vec::new(),
            filter: Vec::new(),
            stored: SelectBody::of(Relation::Schema(T::schema())),
        };
        OnConflict { conflict, of: PhantomData }
    }

    fn replacing(columns: impl IntoIterator<Item = usize>) -> Self {
        let proposed = |column| Assignment { column, value: Self::proposed(column) };
        OnConflict::of(Some(columns.into_iter().map(proposed).collect()))
    }

    fn proposed(column: usize) -> Node {
        Node::Column { source: SourceRef::Excluded, schema: T::schema(), column }
    }

    /// Leaves the stored row as it is.
    pub fn nothing() -> Self {
        OnConflict::of(None)
    }

    /// Replaces every column but read-only ones by what the new row would hold: the key too, and defaults where the new
    /// row sets nothing. Usually [`replace_all_except`](OnConflict::replace_all_except) the key is meant.
    pub fn replace_all() -> Self {
        Self::replacing(writable(T::schema()))
    }

    /// Replaces these columns by what the new row would hold.
    pub fn replace(columns: impl ColumnList<T>) -> Self {
        Self::replacing(columns.into_columns())
    }

    /// Replaces every column but these and read-only ones by what the new row would hold.
    pub fn replace_all_except(columns: impl ColumnList<T>) -> Self {
        let kept = columns.into_columns();
        Self::replacing(writable(T::schema()).filter(|column| !kept.contains(column)))
    }

    /// Changes the stored row by what [`set`](OnConflict::set), [`inc`](OnConflict::inc) and
    /// [`set_expr`](OnConflict::set_expr) say.
    pub fn update() -> Self {
        OnConflict::of(Some(Vec::new()))
    }

    /// Also `column = value`.
    pub fn set<F: Field>(self, column: Column<T, F>, value: impl IntoField<F>) -> Self {
        let node = Node::Bind { value: value.into_field(), context: Some((T::schema(), column.index())) };
        self.assign(column.index(), node)
    }

    /// Also `column = expression`, which reads the stored row, and by [`excluded`] the new one.
    pub fn set_expr<F: Field>(self, column: Column<T, F>, value: impl IntoExpr<F::Scalar>) -> Self {
        let node = value.into_expr().into_node().in_context(Some((T::schema(), column.index())));
        self.assign(column.index(), node)
    }

    /// Also `column = column + by`.
    pub fn inc<F: Field>(self, column: Column<T, F>, by: impl IntoExpr<F::Scalar>) -> Self
    where
        F::Scalar: Numeric,
    {
        self.assign(column.index(), (column + by).into_node())
    }

    /// Only where the key of these columns is taken: a unique index must have exactly them.
    pub fn target(mut self, columns: impl ColumnList<T>) -> Self {
        self.conflict.target = ConflictTarget::Columns(columns.into_columns());
        self
    }

    /// Only where this constraint would be violated. PostgreSQL only.
    pub fn target_constraint(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.conflict.target = ConflictTarget::Constraint(name.into());
        self
    }

    /// The condition of the partial unique index of the target's columns. PostgreSQL and SQLite.
    pub fn target_where(mut self, condition: impl IntoCondition) -> Self {
        push_all(&mut self.conflict.target_filter, condition.into_condition().into_node());
        self
    }

    /// Changes only stored rows for which this is true; others are [skipped](Upserted::Skipped). The condition reads the
    /// stored row, and by [`excluded`] the new one.
    pub fn filter(mut self, condition: impl IntoCondition) -> Self {
        push_all(&mut self.conflict.filter, condition.into_condition().into_node());
        self
    }

    /// The untyped content, for adapters and tools.
    pub fn conflict(&self) -> &Conflict {
        &self.conflict
    }

    pub(crate) fn into_shared(self) -> Arc<Conflict> {
        Arc::new(self.conflict)
    }

    fn assign(mut self, column: usize, value: Node) -> Self {
        // The last one wins, as with the fields of a changeset: SQL would refuse the column twice.
        let assignments = self.conflict.assignments.get_or_insert_default();
        assignments.retain(|assignment| assignment.column != column);
        assignments.push(Assignment { column, value });
        self
    }
}

impl Conflict {
    /// Whether nothing but columns stands in it, so that its text has no parameters.
    pub fn is_plain(&self) -> bool {
        let is_column = |assignment: &Assignment| assignment.value.as_column().is_some();
        self.filter.is_empty()
            && self.target_filter.is_empty()
            && self.assignments.as_ref().is_none_or(|assignments| assignments.iter().all(is_column))
    }
}

/// In an [`OnConflict`]: what the row that was not inserted holds in this column.
pub fn excluded<T: Syncable, F: Field>(column: Column<T, F>) -> Expr<F::Scalar> {
    column.of(SourceRef::Excluded).expr()
}

fn writable(schema: &'static Schema) -> impl Iterator<Item = usize> {
    (0..schema.columns.len()).filter(|&column| !schema.columns[column].read_only)
}

impl<T> Clone for OnConflict<T> {
    fn clone(&self) -> Self {
        OnConflict { conflict: self.conflict.clone(), of: PhantomData }
    }
}

impl<T> fmt::Debug for OnConflict<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.conflict.fmt(f)
    }
}
