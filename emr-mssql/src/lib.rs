//! The SQL Server dialect of EMR: how T-SQL is spelt, and what a server can do.
//!
//! ```
//! use emr_core::Dialect;
//! use emr_mssql::MsSqlDialect;
//!
//! assert_eq!(MsSqlDialect.quotes(), ('[', ']'));
//! assert_eq!(MsSqlDialect.baseline().max_parameters, 2098);
//! ```

mod capabilities;
mod cast;
mod dialect;
mod types;

pub use capabilities::{babelfish_capabilities, mssql_capabilities};
pub use dialect::MsSqlDialect;
