//! The core of EMR: everything that needs no driver.
//!
//! Programs use the facade crate `emr`, which re-exports what they need. Adapters implement the traits
//! [`Adapter`], [`Connector`], [`Connection`], [`Dialect`] and [`Row`].
//!
//! A call flows one way: a [`Query`] (the tree) → [`render`] with a [`Dialect`] ([`Sql`]) → a
//! [`Connection`] (the wire) → [`Row`] → the struct.

mod adapter;
mod advisory;
mod association;
mod capabilities;
mod changeset;
mod checkout;
mod conflict;
mod connection;
mod dialect;
mod draft;
mod error;
mod exec;
mod explain;
mod expr;
mod from_row;
mod graph;
mod handle;
mod insert;
mod intercept;
mod lexis;
mod lifecycle;
mod migrate;
mod multi;
mod multi_repo;
mod observe;
mod options;
mod pool;
mod preload;
mod query;
pub mod render;
mod repo;
mod result;
mod row;
mod schema;
mod sinks;
mod sql;
mod statement;
mod sweeper;
#[cfg(feature = "test")]
pub mod test;
mod transaction;
mod types;
mod value;
#[doc(hidden)]
pub mod walk;
pub mod watch;

pub use adapter::{Adapter, Registration, adapter_for_scheme, adapter_named, adapters};
pub use advisory::{AdvisoryLock, advisory_key};
pub use association::{
    AssocExt, Association, BelongsTo, BuildAssoc, HasMany, HasOne, IntoPath, ManyToMany, NotLoaded, Path, Record, Slot,
};
pub use capabilities::{Capabilities, IsolationLevel, Returning};
pub use changeset::{
    Changeset, Constraint, Errors, FieldError, FieldName, Input, IntoColumns, IntoInput, NewRow, OldRow, PrepareFuture,
    SyncableExt, Version,
};
pub use checkout::Checkout;
pub use conflict::{ColumnList, Conflict, ConflictTarget, OnConflict, UpsertCounts, Upserted, excluded};
pub use connection::{
    Begin, Connection, Connector, Control, CursorId, Done, Layer, PoolSplit, Role, Step, savepoint_name,
};
pub use dialect::{
    AggregateSql, AliasStyle, DecimalFunction, Dialect, GenericPlan, Identity, InList, IntervalStyle, JsonStyle,
    LimitStyle, LockStyle, OutcomeStyle, UpsertStyle, ValuesStyle,
};
pub use draft::{Computed, Draft, Shared};
pub use error::{
    ConnectFailure, ConstraintKind, Error, ErrorKind, Result, StopReason, SyncFault, TransactionFault, Violation,
};
pub use exec::{AnyRepo, CallOptions, Executor, With};
pub use explain::{ExplainOptions, PlanFormat};
pub use expr::{
    Aggregate, ArrayFunctions, Bound, Call, Case, Column, DynColumn, Expr, Fragment, FragmentPart, Frame, Function,
    IntoArgument, IntoCondition, IntoCount, IntoExpr, IntoField, IntoKey, IntoOrder, IntoScalar, IntoWindow,
    JsonDocument, JsonFunctions, JsonPath, JsonRead, JsonStep, Maybe, Node, Nulls, Numeric, Operand, Operator, Order,
    Ordered, Over, SourceRef, Summable, Temporal, TemporalFunctions, Unit, Window, WindowDef, WindowFunction, fragment,
    functions, selected,
};
pub use from_row::FromRow;
pub use graph::{Children, IntoChild, IntoChildren};
pub use handle::{RepoHandle, RepoStats};
pub use insert::{BulkInsert, RowSource};
pub use intercept::{Interceptor, Interceptors, Operation, RawSql, Reading, SqlPlace, Writing, Written, WrittenFuture};
pub use lexis::{Backslashes, Bodies, Lexis};
pub use migrate::{Migration, MigrationFuture, MigrationStatus, Migrator};
pub use multi::{Multi, MultiError, MultiFuture, MultiResults, MultiStep};
pub use multi_repo::{Definition, MultiRepo, open};
pub use observe::{QueryEvent, QueryLog};
pub use options::{PrepareMode, RepoOptions, Secret, Timeout, TlsMode};
pub use preload::{IntoJoined, IntoPreload, Joined, JoinedSpec, OwnerKey, OwnerKeys, Preload, Preloadable, Preloads};
pub use query::{
    Alias, Assignment, Clause, Combination, Cte, CteBody, CteDefinition, Distinct, IntoGroup, IntoJoin, IntoQuery,
    IntoUpdate, Join, JoinKind, Joinable, Lock, LockStrength, LockWait, Named, Optional, Projection, Quantifier, Query,
    Relation, ReturningUpdate, Select, SelectBody, SelectItem, SetOperator, Source, Unselected, Update, Values,
    WholeRow, col, cte, cte_rows, cte_sql, exists, table,
};
pub use repo::{Fetch, Repo, Transactional};
pub use result::{ColumnIndex, QueryResult};
pub use row::{Cell, Cells, Discard, Mismatch, ResultColumn, Row, RowSink};
pub use schema::{
    AssociationDef, AssociationKind, ColumnDef, Generated, OnDelete, OnReplace, Schema, Stamp, Syncable, Through,
};
pub use sql::{BindContext, Effect, Params, Sql, SqlBuilder};
pub use statement::{Delete, IntoStatement, Statement};
pub use transaction::{TransactionOptions, Tx};
pub use types::{Element, Field, FromValue, Json, NOT_JSON, Scalar, ToParam, now};
pub use value::{SqlType, Value, array_of};

#[doc(hidden)]
pub use preload::{Gathered, Spec, Target};
#[doc(hidden)]
pub use query::UpdateParts;
#[doc(hidden)]
pub use types::__new_uuid;
#[doc(hidden)]
pub use {inventory, regex, uuid};
