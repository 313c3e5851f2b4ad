//! What each version can do.

use emr_core::{Capabilities, IsolationLevel, Returning};

const ISOLATION_LEVELS: &[IsolationLevel] = &[
    IsolationLevel::ReadUncommitted,
    IsolationLevel::ReadCommitted,
    IsolationLevel::RepeatableRead,
    IsolationLevel::Snapshot,
    IsolationLevel::Serializable,
];

/// What a SQL Server of this product version can do: 13 is SQL Server 2016, 16 is SQL Server 2022. All that
/// EMR asks for is in each of them.
pub fn mssql_capabilities(version: (u32, u32, u32)) -> Capabilities {
    capabilities("SQL Server", version)
}

/// What Babelfish, a PostgreSQL that speaks TDS, can do under the SQL Server version that it reports. It
/// reads locking hints and heeds none of them.
pub fn babelfish_capabilities(version: (u32, u32, u32)) -> Capabilities {
    let mut capabilities = capabilities("Babelfish", version);
    capabilities.row_locks = false;
    capabilities.skip_locked = false;
    capabilities.nowait = false;
    capabilities
}

fn capabilities(product: &str, version: (u32, u32, u32)) -> Capabilities {
    let (major, minor, patch) = version;
    let mut capabilities = Capabilities::minimal(format!("{product} {major}.{minor}.{patch}"), version);
    // INTO, as OUTPUT alone is refused for a table with triggers (error 334).
    capabilities.insert_returning = Returning::OutputInto;
    capabilities.update_returning = Returning::OutputInto;
    capabilities.delete_returning = Returning::OutputInto;
    // 2,100, of which sp_executesql takes two for the text and for the types of the others.
    capabilities.max_parameters = 2_098;
    capabilities.max_values_rows = 1_000;
    // WINDOW is of SQL Server 2022.
    capabilities.named_windows = major >= 16;
    capabilities.nth_value = false;
    capabilities.full_join = true;
    capabilities.lateral = true;
    capabilities.with_ties = true;
    capabilities.row_locks = true;
    capabilities.skip_locked = true;
    capabilities.nowait = true;
    capabilities.prefixes = true;
    capabilities.transactional_ddl = true;
    capabilities.isolation_levels = ISOLATION_LEVELS;
    capabilities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_with_its_version() {
        assert_eq!(mssql_capabilities((16, 0, 4195)).server, "SQL Server 16.0.4195");
    }

    #[test]
    fn babelfish_locks_no_rows() {
        let capabilities = babelfish_capabilities((12, 0, 2000));
        assert!(!capabilities.row_locks && !capabilities.skip_locked && !capabilities.nowait);
        assert_eq!(capabilities.insert_returning, Returning::OutputInto);
    }
}
