//! What the server's catalog says of a table that is to be watched.

use emr_core::watch::{WatchFault, Watched};
use emr_core::{Error, Result};
use tokio_postgres::types::Type;

use super::cells::Column;
use super::names::ident;
use super::session::{Session, doing};

/// A table as it is.
#[derive(Debug)]
pub(super) struct Table {
    /// What is watched of it, its key filled in.
    pub(super) watched: Watched,
    pub(super) prefix: String,
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// Triggers run for each row, because those for each statement would not see all.
    pub(super) by_row: bool,
    /// Triggers also run for what logical replication writes.
    pub(super) always: bool,
    /// The tables on which triggers for TRUNCATE stand: it itself, partitions and inheriting tables.
    pub(super) members: Vec<Member>,
}

/// A table of a family.
#[derive(Debug)]
pub(super) struct Member {
    /// Prefix and name, as SQL writes them.
    pub(super) name: String,
    /// It gets the triggers of its parent by itself.
    pub(super) is_partition: bool,
}

impl Table {
    /// Prefix and name, as SQL writes them.
    pub(super) fn sql_name(&self) -> String {
        format!("{}.{}", ident(&self.prefix), ident(&self.name))
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

const FIND: &str = "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text, \
     EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = c.oid OR inhrelid = c.oid), \
     EXISTS (SELECT FROM pg_catalog.pg_subscription_rel WHERE srrelid = c.oid) \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.oid = pg_catalog.to_regclass($1)";

const COLUMNS: &str = "WITH RECURSIVE base AS (\
     SELECT attnum::int4 AS n, attname::text AS name, atttypid AS declared, atttypid AS type FROM pg_catalog.pg_attribute \
     WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped \
     UNION ALL SELECT b.n, b.name, b.declared, t.typbasetype FROM base b \
     JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd') \
     SELECT b.name, d.nspname || '.' || dt.typname, b.type, t.typtype::text, t.typlen = -1, \
     pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(p.proname) \
     FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.type \
     JOIN pg_catalog.pg_type dt ON dt.oid = b.declared JOIN pg_catalog.pg_namespace d ON d.oid = dt.typnamespace \
     LEFT JOIN pg_catalog.pg_proc p ON p.oid = t.typsend LEFT JOIN pg_catalog.pg_namespace s ON s.oid = p.pronamespace \
     WHERE t.typtype <> 'd' ORDER BY b.n";

const PRIMARY_KEY: &str = "SELECT a.attname::text FROM pg_catalog.pg_index i \
     CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (n, at) \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n \
     WHERE i.indrelid = $1 AND i.indisprimary ORDER BY k.at";

/// Whether some unique index makes sure, at every moment, that no two rows have the same values in these columns.
const IS_UNIQUE: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = $1 AND i.indisunique \
     AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL \
     AND NOT EXISTS (SELECT FROM pg_catalog.unnest(i.indkey[0:i.indnkeyatts - 1]) AS k (n) \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n \
     WHERE NOT a.attnotnull OR a.attname::text <> ALL ($2)))";

const FAMILY: &str = "WITH RECURSIVE family AS (SELECT $1::oid AS oid \
     UNION SELECT i.inhrelid FROM family f JOIN pg_catalog.pg_inherits i ON i.inhparent = f.oid) \
     SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), c.relispartition \
     FROM family f JOIN pg_catalog.pg_class c ON c.oid = f.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p') ORDER BY c.oid = $1 DESC, 1";

/// Looks a table up.
pub(super) async fn find(session: &Session, watched: &Watched) -> Result<Table> {
    let fail = |fault| Err(Error::watch(fault));
    let named = match &watched.prefix {
        Some(prefix) => format!("{}.{}", ident(prefix), ident(&watched.table)),
        None => ident(&watched.table),
    };
    let known = !named.contains('\0') && watched.table.len() <= 1_000;
    let found = if known { session.query(FIND, &[(&named, Type::TEXT)]).await } else { Ok(Vec::new()) };
    let found = found.map_err(|error| doing("read the catalog", error))?;
    let Some(found) = found.first() else { return fail(WatchFault::UnknownTable { table: watched.full_name() }) };
    let oid: u32 = found.get(0);
    let (kind, persistence): (&str, &str) = (found.get(3), found.get(4));
    let what = match (kind, persistence) {
        ("r" | "p", "t") => "a temporary table of one session",
        ("r" | "p", _) => "",
        ("v", _) => "a view",
        ("m", _) => "a materialized view",
        ("f", _) => "a foreign table",
        ("S", _) => "a sequence",
        ("i" | "I", _) => "an index",
        _ => "no table",
    };
    if !what.is_empty() {
        return fail(WatchFault::NoTable { table: watched.full_name(), found: what.to_owned() });
    }
    let columns = columns(session, oid).await?;
    let key = |row: &tokio_postgres::Row| row.get::<_, String>(0);
    let watched = if watched.keys == 0 {
        let keys: Vec<_> = session.query(PRIMARY_KEY, &[(&oid, Type::OID)]).await?.iter().map(key).collect();
        if keys.is_empty() {
            return fail(WatchFault::NoPrimaryKey { table: watched.full_name() });
        }
        watched.with_keys(&keys)
    } else {
        watched.clone()
    };
    for column in &watched.columns {
        if !columns.iter().any(|known| known.name == *column.name) {
            return fail(WatchFault::UnknownColumn {
                table: watched.full_name(),
                column: column.name.to_string(),
                known: columns.iter().map(|known| known.name.clone()).collect(),
            });
        }
    }
    let keys: Vec<String> = watched.columns[..watched.keys].iter().map(|column| column.name.to_string()).collect();
    let unique = session.one(IS_UNIQUE, &[(&oid, Type::OID), (&keys, Type::TEXT_ARRAY)]).await?.get::<_, bool>(0);
    let (has_family, is_subscribed) = (found.get::<_, bool>(5), found.get::<_, bool>(6));
    let members = session.query(FAMILY, &[(&oid, Type::OID)]).await?;
    let members = members.iter().map(|row| Member { name: row.get(0), is_partition: row.get(1) }).collect();
    Ok(Table {
        prefix: found.get(1),
        name: found.get(2),
        columns,
        by_row: has_family || kind == "p" || is_subscribed || !unique,
        always: is_subscribed,
        members,
        watched,
    })
}

async fn columns(session: &Session, oid: u32) -> Result<Vec<Column>> {
    let rows = session.query(COLUMNS, &[(&oid, Type::OID)]).await?;
    let column = |row: &tokio_postgres::Row| Column {
        name: row.get(0),
        declared: row.get(1),
        base: row.get(2),
        kind: row.get(3),
        variable_length: row.get(4),
        send: row.get::<_, Option<String>>(5).unwrap_or_default(),
    };
    Ok(rows.iter().map(column).collect())
}
