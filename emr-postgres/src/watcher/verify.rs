//! What stands on the tables now, compared with what the installer left there.

use std::collections::{BTreeMap, HashMap};

use emr_core::Result;
use emr_core::watch::{Drift, Resolved};
use tokio_postgres::types::Type;

use super::layout::{Source, of_table, sources};
use super::names::{Names, literal};
use super::session::Session;

/// The triggers of the application on these tables and on those of their families.
const TRIGGERS: &str = "WITH RECURSIVE named AS (\
     SELECT n, pg_catalog.to_regclass(n)::oid AS oid FROM pg_catalog.unnest($1::text[]) AS n), \
     family AS (SELECT n, oid AS root, oid FROM named WHERE oid IS NOT NULL \
     UNION SELECT f.n, f.root, i.inhrelid FROM family f JOIN pg_catalog.pg_inherits i ON i.inhparent = f.oid) \
     SELECT f.n, pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(c.relname), \
     c.relispartition AND f.oid <> f.root, t.tgname::text, t.tgenabled::text, t.hash \
     FROM family f JOIN pg_catalog.pg_class c ON c.oid = f.oid AND c.relkind IN ('r', 'p') \
     JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace \
     LEFT JOIN (SELECT t.tgrelid, t.tgname, t.tgenabled, pg_catalog.md5(pg_catalog.pg_get_triggerdef(t.oid) || p.prosrc || \
     p.prosecdef || coalesce(pg_catalog.array_to_string(p.proconfig, ','), '')) AS hash \
     FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid \
     AND p.pronamespace = pg_catalog.to_regnamespace($2)::oid \
     WHERE NOT t.tgisinternal AND t.tgparentid = 0) t ON t.tgrelid = f.oid";

const COLUMNS: &str = "SELECT n, a.attname::text, s.nspname || '.' || t.typname \
     FROM pg_catalog.unnest($1::text[]) AS n JOIN pg_catalog.pg_attribute a ON a.attrelid = pg_catalog.to_regclass(n) \
     JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_namespace s ON s.oid = t.typnamespace \
     WHERE a.attnum > 0 AND NOT a.attisdropped";

/// The statement that notes in `sources` which triggers stand on a table now.
pub(super) fn note(names: &Names, table: &str, source: i32) -> String {
    let found =
        TRIGGERS.replace("$1::text[]", &format!("ARRAY[{}]", literal(table))).replace("$2", &literal(&names.schema));
    format!(
        "UPDATE {} SET triggers = (SELECT coalesce(pg_catalog.jsonb_object_agg(f.name || ' of ' || f.member, f.hash), '{{}}') \
         FROM ({found}) AS f (n, member, is_partition, name, enabled, hash) WHERE f.name IS NOT NULL) WHERE id = {source}",
        names.own("sources")
    )
}

/// What there is on one table.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// The hash of each trigger, by its table and name.
    pub(super) triggers: BTreeMap<String, String>,
    switched_off: Vec<String>,
    /// Tables of the family, and whether they are partitions.
    members: BTreeMap<String, bool>,
}

/// What there is on these tables, named as SQL writes them. A table that does not exist is not in the result.
pub(super) async fn live(session: &Session, names: &Names, tables: &[String]) -> Result<HashMap<String, Live>> {
    let mut all: HashMap<String, Live> = HashMap::new();
    for row in session.query(TRIGGERS, &[(&tables, Type::TEXT_ARRAY), (&names.schema, Type::TEXT)]).await? {
        let live = all.entry(row.get(0)).or_default();
        let member: String = row.get(1);
        live.members.insert(member.clone(), row.get(2));
        let (Some(name), Some(enabled), Some(hash)) =
            (row.get::<_, Option<&str>>(3), row.get::<_, Option<&str>>(4), row.get::<_, Option<String>>(5))
        else {
            continue;
        };
        let trigger = format!("{name} of {member}");
        if !matches!(enabled, "O" | "A") {
            live.switched_off.push(trigger.clone());
        }
        live.triggers.insert(trigger, hash);
    }
    Ok(all)
}

impl Live {
    /// Whether the triggers are those that were there when the source was installed, and run.
    pub(super) fn is_as_left(&self, source: &Source) -> bool {
        self.switched_off.is_empty()
            && self.triggers.len() == source.triggers.len()
            && self.triggers.iter().all(|(trigger, hash)| source.triggers.get(trigger) == Some(hash))
    }

    /// What is not as it was left, in words; the most telling first.
    fn drift(&self, source: &Source, truncate: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (trigger, hash) in &source.triggers {
            match self.triggers.get(trigger) {
                None => found.push(format!("the trigger {trigger} is missing")),
                Some(now) if now != hash => found.push(format!("the trigger {trigger} or its function was altered")),
                Some(_) => {}
            }
        }
        let strays = self.triggers.keys().filter(|trigger| !source.triggers.contains_key(*trigger));
        found.extend(strays.map(|trigger| format!("the trigger {trigger} was not installed")));
        found.extend(self.switched_off.iter().map(|trigger| format!("the trigger {trigger} is switched off")));
        for (member, is_partition) in &self.members {
            let known = source.triggers.contains_key(&format!("{truncate} of {member}"));
            // Rows of a new partition are seen, by the triggers of its parent.
            if !known && !is_partition {
                found.push(format!("{member} inherits from it since it was installed, and has no triggers"));
            }
        }
        found.sort();
        found
    }
}

/// How many positions of the log a session takes at a time. With more than one they would not order the changes of a row.
/// Zero if there is no log.
pub(super) async fn positions_at_a_time(session: &Session, names: &Names) -> Result<i64> {
    let sql =
        "SELECT coalesce((SELECT seqcache FROM pg_catalog.pg_sequence WHERE seqrelid = pg_catalog.to_regclass($1)), 0)";
    Ok(session.one(sql, &[(&names.own("log_pos_seq"), Type::TEXT)]).await?.get(0))
}

/// What is not as installed, of the log and the tables of a set.
pub(super) async fn verify(session: &Session, names: &Names, set: &Resolved) -> Result<Vec<Drift>> {
    let sources = sources(session, names).await?;
    let mut current = Vec::new();
    let mut drift = Vec::new();
    let at_a_time = positions_at_a_time(session, names).await?;
    if at_a_time > 1 {
        let found =
            format!("its sequence was altered: a session takes {at_a_time} positions at a time, so they order nothing");
        drift.push(Drift::new(names.own("log"), found));
    }
    for table in &set.tables {
        let of_table = of_table(session, &sources, table).await?;
        match of_table.into_iter().find(|source| source.current) {
            None => drift.push(Drift::new(table.full_name(), "it is not installed, or there is no such table")),
            Some(source) => current.push((table, source)),
        }
    }
    let tables: Vec<_> = current.iter().map(|(_, source)| source.table()).collect();
    let live = live(session, names, &tables).await?;
    let mut columns: HashMap<String, Vec<(String, String)>> = HashMap::new();
    for row in session.query(COLUMNS, &[(&tables, Type::TEXT_ARRAY)]).await? {
        columns.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
    }
    let truncate = names.trigger("truncate");
    for (table, source) in current {
        let name = source.table();
        let mut found = match live.get(&name) {
            None => vec!["there is no such table any more".to_owned()],
            Some(live) => live.drift(source, &truncate),
        };
        if let Some(columns) = columns.get(&name) {
            for column in &source.columns {
                match columns.iter().find(|(known, _)| *known == column.name) {
                    None => found.push(format!("its column `{}` is gone", column.name)),
                    Some((_, ty)) if *ty != column.declared => {
                        found.push(format!("its column `{}` is of another type than installed: {ty}", column.name));
                    }
                    Some(_) => {}
                }
            }
            for column in &table.columns {
                if !source.columns.iter().any(|known| *known.name == *column.name) {
                    found.push(format!("its column `{}` is not carried", column.name));
                }
            }
        }
        drift.extend(found.into_iter().map(|found| Drift::new(table.full_name(), found)));
    }
    Ok(drift)
}
