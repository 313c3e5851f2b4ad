//! The contenders, one file each.

pub(crate) mod emr;
mod group;
pub(crate) mod mysql_async;
pub(crate) mod one_hop;
pub(crate) mod rusqlite;
pub(crate) mod tokio_postgres;
