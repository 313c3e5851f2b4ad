//! What `#[derive(Syncable)]` says about a struct.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::association::Slot;
use crate::error::Result;
use crate::expr::{Node, Order};
use crate::from_row::FromRow;
use crate::result::read_value;
use crate::row::{Cells, Mismatch};
use crate::types::{Field, Scalar};
use crate::value::{SqlType, Value};

/// A struct that stands for the rows of a table. Derive it with `#[derive(Syncable)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no schema",
    label = "EMR does not know its table and columns",
    note = "write #[derive(Syncable)] above the struct"
)]
pub trait Syncable: FromRow + Sync {
    /// The type of the primary key: the field's type, a tuple of them in declaration order for a
    /// composite key, `()` for a table without one.
    type Key: Send + Sync + 'static;

    /// Table, columns, keys and associations.
    fn schema() -> &'static Schema;

    /// Reads all columns, in the order of [`Schema::columns`].
    ///
    /// # Errors
    /// [`Decode`](crate::ErrorKind::Decode) for the first cell that does not fit.
    fn decode(cells: &mut Cells<'_>) -> Result<Self>;

    /// The value of column `n` of [`Schema::columns`], borrowed.
    fn value(&self, column: usize) -> Value<'_>;

    /// The values of the key columns of a key, in the order of [`Schema::primary_key`].
    fn key_values(key: Self::Key) -> Vec<Value<'static>>;

    /// The slot of association `n` of [`Schema::associations`].
    fn slot(&self, _association: usize) -> Option<&dyn Slot> {
        None
    }

    /// The same, to be filled.
    fn slot_mut(&mut self, _association: usize) -> Option<&mut dyn Slot> {
        None
    }
}

/// Table, columns, keys and associations of a struct. Two schemas are equal when they belong to the
/// same struct.
#[derive(Debug)]
pub struct Schema {
    /// The struct's name.
    pub name: &'static str,
    /// The table.
    pub table: &'static str,
    /// The schema (PostgreSQL, SQL Server) or database (MySQL) that the table is in; the repo's
    /// default where `None`.
    pub prefix: Option<&'static str>,
    /// The columns in the order of the fields.
    pub columns: &'static [ColumnDef],
    /// Positions in `columns` of the primary key.
    pub primary_key: &'static [usize],
    /// The associations.
    pub associations: &'static [AssociationDef],
    /// Columns that watchers carry for this schema beside its keys.
    pub extra_columns: &'static [&'static str],
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Schema {}

impl Hash for Schema {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::from_ref(self).hash(state);
    }
}

impl Schema {
    /// The position of a column by its name in the database.
    pub fn column_position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// An association by the name of its field.
    pub fn association(&self, field: &str) -> Option<&'static AssociationDef> {
        self.associations.iter().find(|association| association.field == field)
    }

    /// Whether deleting a row does something to rows associated with it.
    pub(crate) fn cascades(&self) -> bool {
        self.associations.iter().any(|association| association.on_delete != OnDelete::Nothing)
    }

    /// Whether column `n` is part of the primary key.
    pub fn is_key(&self, column: usize) -> bool {
        self.primary_key.contains(&column)
    }
}

/// One column of a schema.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // a table of facts, not a state
pub struct ColumnDef {
    /// Its name in the database.
    pub name: &'static str,
    /// The field's name.
    pub field: &'static str,
    /// Its type.
    pub ty: SqlType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// Who fills it.
    pub generated: Generated,
    /// Never written by EMR: computed by the database, or the business of somebody else.
    pub read_only: bool,
    /// Hidden in logs, spans, errors and `Debug` output of changesets.
    pub redact: bool,
    /// Has a unique index of its own.
    pub unique: bool,
    /// The default, as SQL, for `create_table`.
    pub default: Option<&'static str>,
    /// The type as the database spells it, where [`ty`](ColumnDef::ty) does not say it: an enum type,
    /// `numeric(10, 2)`.
    pub sql_type: Option<&'static str>,
    /// Which time EMR writes here.
    pub stamp: Option<Stamp>,
    /// Reads a value as the field's own type and gives it back as that type writes it: the check of an enum's variants, or
    /// of what is in a JSON column.
    pub fit: fn(Value<'static>) -> Result<Value<'static>, Mismatch>,
}

/// The times that EMR writes into rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stamp {
    /// When the row was inserted.
    Inserted,
    /// When it was inserted or last updated.
    Updated,
}

#[allow(clippy::needless_pass_by_value)] // the type of the field that it stands in
fn fit<F: Field>(value: Value<'static>) -> Result<Value<'static>, Mismatch> {
    read_value::<F>(&value).map(Field::into_value)
}

impl ColumnDef {
    /// A plain column for a field of type `F`: NULL is allowed where `F` is an `Option`, the program fills
    /// it, and nothing else is said.
    ///
    /// ```
    /// # use emr_core::{ColumnDef, SqlType};
    /// const EMAIL: ColumnDef = ColumnDef { unique: true, ..ColumnDef::of::<Option<String>>("e_mail", "email") };
    /// assert!(EMAIL.nullable && EMAIL.ty == SqlType::Text);
    /// ```
    pub const fn of<F: Field>(name: &'static str, field: &'static str) -> Self {
        ColumnDef {
            name,
            field,
            ty: F::Scalar::TYPE,
            nullable: F::NULLABLE,
            generated: Generated::No,
            read_only: false,
            redact: false,
            unique: false,
            default: None,
            sql_type: None,
            stamp: None,
            fit: fit::<F>,
        }
    }
}

/// Who fills a column of a new row.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Generated {
    /// The program, or the column's default.
    No,
    /// The database counts (identity, `AUTOINCREMENT`) when the program gives no value.
    Identity,
    /// EMR makes a value when the program gives none, a UUID for example.
    Client(fn() -> Value<'static>),
    /// The database computes it from this SQL expression.
    Stored(&'static str),
}

impl Generated {
    /// Who fills the only column of a primary key unless the field says otherwise: the database, if it is
    /// an integer.
    pub const fn for_sole_key(ty: SqlType) -> Self {
        match ty {
            SqlType::I16 | SqlType::I32 | SqlType::I64 => Generated::Identity,
            _ => Generated::No,
        }
    }
}

/// The sorts of associations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AssociationKind {
    /// This table holds the foreign key.
    BelongsTo,
    /// The other table holds the foreign key, of one row.
    HasOne,
    /// The other table holds the foreign key, of any number of rows.
    HasMany,
    /// A join table holds both foreign keys.
    ManyToMany,
}

/// An association of a schema.
#[derive(Clone, Copy)]
pub struct AssociationDef {
    /// The field's name.
    pub field: &'static str,
    /// Its sort.
    pub kind: AssociationKind,
    /// The schema at the other end.
    pub related: fn() -> &'static Schema,
    /// Columns of this schema that the association starts from, by their names in the database.
    pub owner_keys: &'static [&'static str],
    /// Columns of the related schema (or, for a chain, of the last one) that it ends at; empty for its
    /// primary key.
    pub related_keys: &'static [&'static str],
    /// What lies between.
    pub through: Through,
    /// A condition on the related rows.
    pub filter: Option<fn() -> Node>,
    /// The order of the related rows where a preload says none.
    pub order: Option<fn() -> Vec<Order>>,
    /// What becomes of related rows that a write of the association leaves out.
    pub on_replace: OnReplace,
    /// What becomes of the related rows when the row is deleted.
    pub on_delete: OnDelete,
    /// Of a many-to-many association: no two links between the same rows.
    pub unique: bool,
}

impl AssociationDef {
    /// An association of which nothing but this is said.
    pub const fn of(field: &'static str, kind: AssociationKind, related: fn() -> &'static Schema) -> Self {
        AssociationDef {
            field,
            kind,
            related,
            owner_keys: &[],
            related_keys: &[],
            through: Through::Direct,
            filter: None,
            order: None,
            on_replace: OnReplace::Raise,
            on_delete: OnDelete::Nothing,
            unique: false,
        }
    }
}

/// What becomes of rows that were associated and are not among those that
/// [`put_assoc`](crate::Changeset::put_assoc) or [`cast_assoc`](crate::Changeset::cast_assoc) gives:
/// `#[emr(has_many(on_replace = "delete"))]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnReplace {
    /// The write is refused with [`Replaced`](crate::ErrorKind::Replaced), before anything is sent.
    #[default]
    Raise,
    /// The association gets the error `replaced`.
    MarkAsInvalid,
    /// The foreign key becomes NULL; the row stays.
    Nilify,
    /// Of one row: what a changeset without a row says is written to the row that is there. `None` deletes the row of a
    /// `has_one`, and clears the foreign key of a `belongs_to`.
    Update,
    /// The row is deleted; of a many-to-many association only the link. A row that is gone already is
    /// [`Stale`](crate::ErrorKind::Stale).
    Delete,
    /// The same, and a row that is gone already is no error.
    DeleteIfExists,
}

/// What becomes of associated rows when [`delete`](crate::Repo::delete) deletes the row that they belong to, just before:
/// `#[emr(has_many(on_delete = "delete_all"))]`. It goes no further than these rows, and `delete_all` of a query does
/// nothing of the kind: a foreign key with ON DELETE does both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnDelete {
    /// Nothing.
    #[default]
    Nothing,
    /// Their foreign keys become NULL.
    NilifyAll,
    /// They are deleted; of a many-to-many association only the links.
    DeleteAll,
}

/// What lies between the two ends of an association.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Through {
    /// Nothing: the keys meet.
    Direct,
    /// A join table with a schema of its own.
    Schema {
        /// The join schema.
        schema: fn() -> &'static Schema,
        /// Its columns that point at the owner.
        owner_columns: &'static [&'static str],
        /// Its columns that point at the related schema.
        related_columns: &'static [&'static str],
    },
    /// A join table without a schema.
    Table {
        /// The join table.
        table: &'static str,
        /// Its columns that point at the owner.
        owner_columns: &'static [&'static str],
        /// Its columns that point at the related schema.
        related_columns: &'static [&'static str],
    },
    /// Other associations one after the other: the names of their fields, the first of this schema.
    Chain(&'static [&'static str]),
}

impl fmt::Debug for AssociationDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The related schema by name: it may well point back here.
        f.debug_struct("AssociationDef")
            .field("field", &self.field)
            .field("kind", &self.kind)
            .field("related", &(self.related)().name)
            .field("owner_keys", &self.owner_keys)
            .field("related_keys", &self.related_keys)
            .field("through", &self.through)
            .field("filter", &self.filter.map(|filter| filter()))
            .field("order", &self.order.map(|order| order()))
            .field("on_replace", &self.on_replace)
            .field("on_delete", &self.on_delete)
            .field("unique", &self.unique)
            .finish()
    }
}

impl fmt::Debug for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Through::Direct => f.write_str("Direct"),
            Through::Schema { schema, owner_columns, related_columns } => f
                .debug_struct("Schema")
                .field("schema", &schema().name)
                .field("owner_columns", owner_columns)
                .field("related_columns", related_columns)
                .finish(),
            Through::Table { table, owner_columns, related_columns } => f
                .debug_struct("Table")
                .field("table", table)
                .field("owner_columns", owner_columns)
                .field("related_columns", related_columns)
                .finish(),
            Through::Chain(fields) => f.debug_tuple("Chain").field(fields).finish(),
        }
    }
}
