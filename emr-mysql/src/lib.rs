//! The MySQL and MariaDB dialects of EMR: how the two spell SQL, and what their versions can do.
//!
//! They are two dialects because they are two engines. MariaDB returns inserted and deleted rows, has a UUID
//! type and locks shared rows by other words; MySQL does none of that.
//!
//! ```
//! use emr_core::Dialect;
//! use emr_mysql::{MariaDbDialect, MySqlDialect};
//!
//! assert_eq!(MySqlDialect.quotes(), ('`', '`'));
//! assert_ne!(MySqlDialect.baseline().insert_returning, MariaDbDialect.baseline().insert_returning);
//! ```

mod capabilities;
mod cast;
mod dialect;
mod types;

pub use capabilities::{mariadb_capabilities, mysql_capabilities};
pub use dialect::{MariaDbDialect, MySqlDialect};
