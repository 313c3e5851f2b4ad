//! The core of EMR: everything that needs no driver.
//!
//! Programs use the facade crate `emr`, which re-exports what they need. Adapters implement the traits
//! [`Adapter`], [`Connector`], [`Connection`], [`Dialect`] and [`Row`].
//!
//! A call flows one way: a [`Query`] (the tree) → [`render`] with a [`Dialect`] ([`Sql`]) → a
//! [`Connection`] (the wire) → [`Row`] → the struct.

mod adapter;
mod association;
mod capabilities;
mod changeset;
mod checkout;
mod connection;
mod dialect;
mod error;
mod exec;
mod expr;
mod handle;
mod insert;
mod lifecycle;
mod migrate;
mod multi_repo;
mod observe;
mod options;
mod pool;
mod query;
pub mod render;
mod repo;
mod result;
mod row;
mod schema;
mod sinks;
mod sql;
mod sweeper;
mod transaction;
mod types;
mod value;

pub use adapter::{Adapter, Registration, adapter_for_scheme, adapter_named, adapters};
pub use association::{Association, BelongsTo, HasMany, HasOne, ManyToMany, NotLoaded};
pub use capabilities::{Capabilities, IsolationLevel, Returning};
pub use changeset::{Changeset, NewRow, SyncableExt};
pub use checkout::Checkout;
pub use connection::{Begin, Connection, Connector, Control, CursorId, Done, PoolSplit, Role, Step, savepoint_name};
pub use dialect::{AliasStyle, Dialect, Identity, InList, LimitStyle, LockStyle};
pub use error::{ConnectFailure, ConstraintKind, Error, ErrorKind, Result, StopReason, TransactionFault, Violation};
pub use exec::{CallOptions, Executor, With};
pub use expr::{
    Column, Expr, Fragment, FragmentPart, IntoArgument, IntoCondition, IntoExpr, IntoField, IntoKey, IntoScalar, Node,
    Nulls, Numeric, Operator, Order, fragment,
};
pub use handle::{RepoHandle, RepoStats};
pub use insert::{BulkInsert, RowSource};
pub use migrate::{Migration, MigrationFuture, MigrationStatus, Migrator};
pub use multi_repo::{Definition, MultiRepo, open};
pub use observe::{QueryEvent, QueryLog};
pub use options::{PrepareMode, RepoOptions, Secret, Timeout, TlsMode};
pub use query::{Assignment, IntoQuery, Lock, LockStrength, LockWait, Query, SelectBody, Update};
pub use repo::Repo;
pub use result::{ColumnIndex, QueryResult};
pub use row::{Cell, Cells, Discard, Mismatch, ResultColumn, Row, RowSink};
pub use schema::{AssociationDef, AssociationKind, ColumnDef, Generated, Schema, Syncable, Through};
pub use sql::{BindContext, Effect, Params, Sql, SqlBuilder};
pub use transaction::{TransactionOptions, Tx};
pub use types::{Element, Field, FromValue, Json, NOT_JSON, Scalar, ToParam, now};
pub use value::{SqlType, Value, array_of};

#[doc(hidden)]
pub use types::__new_uuid;
#[doc(hidden)]
pub use {inventory, uuid};
