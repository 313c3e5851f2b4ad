//! What each version can do.

use emr_core::{Capabilities, IsolationLevel, Returning};

const ISOLATION_LEVELS: &[IsolationLevel] = &[
    IsolationLevel::ReadUncommitted,
    IsolationLevel::ReadCommitted,
    IsolationLevel::RepeatableRead,
    IsolationLevel::Serializable,
];

/// The protocol counts the parameters of a prepared statement in 16 bits.
pub(crate) const MAX_PARAMETERS: usize = 65_535;

/// What a MySQL server of this version can do.
pub fn mysql_capabilities(version: (u32, u32, u32)) -> Capabilities {
    let mut capabilities = shared("MySQL", version);
    capabilities.skip_locked = version >= (8, 0, 1);
    capabilities.nowait = version >= (8, 0, 1);
    capabilities.lock_of = version >= (8, 0, 1);
    capabilities.lateral = version >= (8, 0, 14);
    capabilities.except = version >= (8, 0, 31);
    capabilities.except_all = version >= (8, 0, 31);
    capabilities
}

/// What a MariaDB server of this version can do.
pub fn mariadb_capabilities(version: (u32, u32, u32)) -> Capabilities {
    let mut capabilities = shared("MariaDB", version);
    capabilities.skip_locked = version >= (10, 6, 0);
    capabilities.nowait = version >= (10, 3, 0);
    capabilities.except_all = version >= (10, 5, 0);
    if version >= (10, 5, 0) {
        capabilities.insert_returning = Returning::Clause;
    }
    capabilities.delete_returning = Returning::Clause;
    capabilities.offset_default = false;
    capabilities
}

fn shared(product: &str, version: (u32, u32, u32)) -> Capabilities {
    let (major, minor, patch) = version;
    let mut capabilities = Capabilities::minimal(format!("{product} {major}.{minor}.{patch}"), version);
    capabilities.max_parameters = MAX_PARAMETERS;
    capabilities.row_locks = true;
    capabilities.prefixes = true;
    capabilities.isolation_levels = ISOLATION_LEVELS;
    capabilities.read_only_transactions = true;
    capabilities.advisory_locks = true;
    capabilities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mariadb_returns_inserted_rows_from_10_5_on() {
        assert_eq!(mariadb_capabilities((10, 4, 34)).insert_returning, Returning::No);
        assert_eq!(mariadb_capabilities((10, 5, 0)).insert_returning, Returning::Clause);
        assert_eq!(mariadb_capabilities((11, 8, 2)).update_returning, Returning::No);
    }

    #[test]
    fn mysql_returns_nothing_and_skips_locks_from_8_on() {
        assert_eq!(mysql_capabilities((9, 4, 0)).insert_returning, Returning::No);
        assert!(mysql_capabilities((8, 0, 1)).skip_locked);
        assert!(!mysql_capabilities((5, 7, 44)).skip_locked);
    }

    #[test]
    fn a_server_is_named_with_its_version() {
        assert_eq!(mysql_capabilities((8, 4, 6)).server, "MySQL 8.4.6");
        assert_eq!(mariadb_capabilities((10, 11, 14)).server, "MariaDB 10.11.14");
    }
}
