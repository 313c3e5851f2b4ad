#![doc = include_str!("../README.md")]

#[doc(hidden)]
pub use emr_core as __core;
pub use emr_core::*;
pub use emr_macros::{MultiRepo, Projection, Syncable};

#[cfg(feature = "sync")]
#[doc(inline)]
pub use emr_sync as sync;

// Linking an adapter registers it.
#[cfg(feature = "mysql")]
use emr_mysql as _;
#[cfg(feature = "postgres")]
use emr_postgres as _;
#[cfg(feature = "sqlite")]
use emr_sqlite as _;

/// What most programs need: `use emr::prelude::*;`.
pub mod prelude {
    pub use emr_core::{
        Alias, ArrayFunctions, AssocExt, BelongsTo, BuildAssoc, Changeset, Draft, Error, ErrorKind, Expr, HasMany,
        HasOne, Json, JsonFunctions, Lock, ManyToMany, MultiRepo, OnConflict, Projection, Repo, RepoHandle,
        RepoOptions, Result, Select, Syncable, SyncableExt, TemporalFunctions, Timeout, TransactionOptions,
        Transactional, Tx, Unit, Upserted, excluded, fragment, now,
    };
    // The derives have the names of the traits they implement.
    pub use emr_macros::{MultiRepo, Projection, Syncable};
}
