//! New rows whose cells the database computes.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::changeset::{NewRow, check_writable};
use crate::error::Result;
use crate::expr::{Column, IntoExpr, IntoField, Node};
use crate::schema::{Generated, Syncable};
use crate::types::Field;
use crate::value::Value;

/// A new row of which some cells are expressions: a scalar subquery, a function of the server, a value that many rows
/// [share](Shared). For plain values `T::build()` does, and takes the faster road.
///
/// Expressions read no row but those of their own subqueries: there is none yet.
///
/// ```
/// # use emr_core::{Column, Draft, Repo, SyncableExt, Syncable, functions::server_now};
/// # use chrono::{DateTime, Utc};
/// # async fn f<Post: Syncable>(
/// #     repo: &impl Repo, TITLE: Column<Post, String>, AT: Column<Post, DateTime<Utc>>,
/// # ) -> emr_core::Result<()> {
/// let post = repo.insert(Draft::<Post>::new().set(TITLE, "Hello").set_expr(AT, server_now())).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a draft does nothing until a repo inserts it"]
pub struct Draft<T> {
    cells: Vec<(usize, Cell)>,
    prefix: Option<Cow<'static, str>>,
    of: PhantomData<fn() -> T>,
}

#[derive(Clone)]
enum Cell {
    Value(Value<'static>),
    Expr(Node),
    Shared(Arc<Value<'static>>),
}

/// A value that is sent once, however many cells of an insert hold it (where the engine's parameters have numbers; MySQL
/// and MariaDB get it again for each cell). `F` is the type of the columns that it fits.
pub struct Shared<F> {
    value: Arc<Value<'static>>,
    of: PhantomData<fn() -> F>,
}

impl<F: Field> Shared<F> {
    /// Keeps the value.
    pub fn new(value: impl IntoField<F>) -> Self {
        Shared { value: Arc::new(value.into_field()), of: PhantomData }
    }
}

/// What makes a cell that is no plain value.
#[derive(Debug)]
#[non_exhaustive]
pub enum Computed<'a> {
    /// An expression.
    Expr(&'a Node),
    /// A value that other cells share: those with the same number.
    Shared(usize, Value<'a>),
}

impl<T: Syncable> Draft<T> {
    /// A row that sets nothing yet: unset columns take the database's defaults.
    pub fn new() -> Self {
        Draft { cells: Vec::new(), prefix: None, of: PhantomData }
    }

    /// The column shall have this value.
    pub fn set<F: Field>(self, column: Column<T, F>, value: impl IntoField<F>) -> Self {
        self.put(column.index(), Cell::Value(value.into_field()))
    }

    /// The column shall have what this expression is when the row is inserted.
    pub fn set_expr<F: Field>(self, column: Column<T, F>, value: impl IntoExpr<F::Scalar>) -> Self {
        let node = value.into_expr().into_node().in_context(Some((T::schema(), column.index())));
        self.put(column.index(), Cell::Expr(node))
    }

    /// The column shall have this value, which is sent once for all cells that share it.
    pub fn set_shared<F: Field>(self, column: Column<T, F>, value: &Shared<F>) -> Self {
        self.put(column.index(), Cell::Shared(Arc::clone(&value.value)))
    }

    /// Writes to the table in this schema (PostgreSQL, SQL Server) or database (MySQL).
    pub fn prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    fn put(mut self, column: usize, cell: Cell) -> Self {
        self.replace(column, cell);
        self
    }

    fn replace(&mut self, column: usize, cell: Cell) {
        self.cells.retain(|(at, _)| *at != column);
        self.cells.push((column, cell));
    }

    /// A copy of a row that sets these columns.
    pub(crate) fn of<R: NewRow<T>>(row: &R, columns: &[usize]) -> Self {
        let cell = |&column: &usize| {
            let cell = match row.computed(column) {
                Some(Computed::Expr(node)) => Cell::Expr(node.clone()),
                Some(Computed::Shared(_, value)) => Cell::Value(value.into_owned()),
                None => Cell::Value(row.cell(column).into_owned()),
            };
            (column, cell)
        };
        let prefix = row.row_prefix().map(|prefix| Cow::Owned(prefix.to_owned()));
        Draft { cells: columns.iter().map(cell).collect(), prefix, of: PhantomData }
    }

    /// The column shall have this value of its type.
    pub(crate) fn put_value(&mut self, column: usize, value: Value<'static>) {
        self.replace(column, Cell::Value(value));
    }

    /// Calls `change` with each expression.
    pub(crate) fn each_node(&mut self, change: &mut dyn FnMut(&mut Node) -> Result<()>) -> Result<()> {
        self.cells.iter_mut().try_for_each(|(_, cell)| match cell {
            Cell::Expr(node) => change(node),
            Cell::Value(_) | Cell::Shared(_) => Ok(()),
        })
    }

    fn find(&self, column: usize) -> Option<&Cell> {
        self.cells.iter().find(|(at, _)| *at == column).map(|(_, cell)| cell)
    }
}

impl<T: Syncable> NewRow<T> for Draft<T> {
    const COMPUTED: bool = true;

    fn columns(&self) -> Result<Cow<'static, [usize]>> {
        let mut columns: Vec<usize> = self.cells.iter().map(|(column, _)| *column).collect();
        for &column in &columns {
            check_writable(T::schema(), column)?;
        }
        columns.sort_unstable();
        Ok(Cow::Owned(columns))
    }

    fn cell(&self, column: usize) -> Value<'_> {
        match self.find(column) {
            Some(Cell::Value(value)) => value.borrowed(),
            Some(Cell::Shared(value)) => value.borrowed(),
            // Nobody knows it yet.
            Some(Cell::Expr(_)) | None => Value::Null(T::schema().columns[column].ty),
        }
    }

    fn computed(&self, column: usize) -> Option<Computed<'_>> {
        match self.find(column)? {
            Cell::Value(_) => None,
            Cell::Expr(node) => Some(Computed::Expr(node)),
            Cell::Shared(value) => Some(Computed::Shared(Arc::as_ptr(value).addr(), value.borrowed())),
        }
    }

    fn prepare(&mut self) {
        for (column, def) in T::schema().columns.iter().enumerate() {
            if let Generated::Client(generate) = def.generated
                && self.find(column).is_none()
            {
                self.cells.push((column, Cell::Value(generate())));
            }
        }
    }

    fn row_prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }
}

/// A draft of plain values, which takes the faster road.
pub(crate) struct Plain<T>(pub(crate) Draft<T>);

impl<T: Syncable> NewRow<T> for Plain<T> {
    fn columns(&self) -> Result<Cow<'static, [usize]>> {
        self.0.columns()
    }

    fn cell(&self, column: usize) -> Value<'_> {
        self.0.cell(column)
    }

    fn row_prefix(&self) -> Option<&str> {
        self.0.row_prefix()
    }
}

impl<T: Syncable> Default for Draft<T> {
    fn default() -> Self {
        Draft::new()
    }
}

impl<T> Clone for Draft<T> {
    fn clone(&self) -> Self {
        Draft { cells: self.cells.clone(), prefix: self.prefix.clone(), of: PhantomData }
    }
}

impl<F> Clone for Shared<F> {
    fn clone(&self) -> Self {
        Shared { value: Arc::clone(&self.value), of: PhantomData }
    }
}

impl<T: Syncable> std::fmt::Debug for Draft<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let schema = T::schema();
        let mut out = f.debug_struct(schema.name);
        for (column, cell) in &self.cells {
            let column = &schema.columns[*column];
            match cell {
                _ if column.redact => out.field(column.field, &"<redacted>"),
                Cell::Value(value) => out.field(column.field, value),
                Cell::Shared(value) => out.field(column.field, value),
                Cell::Expr(node) => out.field(column.field, node),
            };
        }
        out.finish_non_exhaustive()
    }
}

impl<F> std::fmt::Debug for Shared<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Nobody knows here whether its columns are redacted.
        f.write_str("Shared")
    }
}
