//! Where rows belong in a list: the database compares them with some that are there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use emr_core::{Record, Result, Syncable};

use super::list::List;
use super::query::Followed;
use super::run::Runs;
use crate::key::{Key, same};

/// Keys in their order, each with the one that it stands behind.
pub(crate) type Places = Vec<(Key, Option<Key>)>;

/// For more rows than this, the whole query is cheaper than their places.
const MANY: usize = 200;

/// The most keys of several columns in one statement.
const COMPOSITE: usize = 200;

/// Finds where rows belong among those of a list that they are not in. `None` if the list is no longer as the database has
/// it: then a later change is on its way, and the whole query must be run.
pub(super) async fn places<T: Syncable>(
    runs: &Runs<'_>,
    query: &Followed,
    list: &List<T>,
    new: &[Key],
) -> Result<Option<Places>> {
    if new.len() > MANY {
        return Ok(None);
    }
    let heads: Vec<_> = list.heads().cloned().collect();
    // Among the first rows of the chunks, and then within the chunks.
    let chunks = match heads.len() {
        0 => HashMap::from([(None, new.to_vec())]),
        1 => HashMap::from([(Some(heads[0].clone()), new.to_vec())]),
        _ => {
            let Some(ordered) = ordered(runs, query, list, &heads, new).await? else { return Ok(None) };
            let mut chunks: HashMap<Option<Key>, Vec<Key>> = HashMap::new();
            for (key, head) in ordered {
                chunks.entry(Some(head.unwrap_or_else(|| heads[0].clone()))).or_default().push(key);
            }
            chunks
        }
    };
    let mut found = Vec::new();
    for (head, keys) in chunks {
        let beside: Vec<_> = head.iter().flat_map(|head| list.beside(head)).cloned().collect();
        let Some(ordered) = ordered(runs, query, list, &beside, &keys).await? else { return Ok(None) };
        found.extend(ordered);
    }
    Ok(Some(chained(found)))
}

/// Rows that stand behind the same one come one after the other.
fn chained(found: Places) -> Places {
    let mut last: HashMap<Option<Key>, Key> = HashMap::new();
    found
        .into_iter()
        .map(|(key, after)| {
            let behind = last.insert(after.clone(), key.clone()).or(after);
            (key, behind)
        })
        .collect()
}

/// The new keys in the order of the query, each with the one of the known keys that it stands behind.
async fn ordered<T: Syncable>(
    runs: &Runs<'_>,
    query: &Followed,
    list: &List<T>,
    known: &[Key],
    new: &[Key],
) -> Result<Option<Places>> {
    let keys: Vec<_> = known.iter().chain(new).cloned().collect();
    if query.schema.primary_key.len() > 1 && keys.len() > COMPOSITE {
        return Ok(None);
    }
    let rows: Vec<Arc<dyn Record>> = runs.fresh::<T>(query.in_order(&keys)).await?;
    let wanted: HashSet<_> = new.iter().collect();
    let mut expected = known.iter();
    let mut behind = None;
    let mut places = Vec::new();
    for row in rows {
        let key = Key::of_record(&*row);
        if wanted.contains(&key) {
            places.push((key, behind.clone()));
            continue;
        }
        // A row that has changed since says nothing of those between which it stood.
        let is_as_known = expected.next() == Some(&key)
            && list.get(&key).is_some_and(|held| {
                query.order_columns.iter().all(|&column| same(&held.value(column), &row.column(column)))
            });
        if !is_as_known {
            return Ok(None);
        }
        behind = Some(key);
    }
    // One that is gone is in a later commit as well.
    Ok((expected.next().is_none() && places.len() == new.len()).then_some(places))
}
