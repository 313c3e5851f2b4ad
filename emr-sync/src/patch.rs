//! Patches rows and what hangs on them, level by level.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use emr_core::walk::Spec;
use emr_core::{Record, Result, Schema, Slot};

use crate::applied::{Above, Applied, ChangeOp};
use crate::changes::{Changes, Fate};
use crate::key::{Key, same};
use crate::load::Source;
use crate::rule::Rule;
use crate::shape;
use crate::tables::Tables;
use crate::way::Way;

/// One commit on its way into a value.
pub(crate) struct Patch<'p> {
    pub(crate) tables: &'p Tables,
    pub(crate) source: Source<'p>,
    pub(crate) changes: Changes<'p>,
    pub(crate) rule: Option<Arc<Rule>>,
    ways: Mutex<HashMap<(&'static Schema, usize), Arc<Way>>>,
}

/// The changed columns of rows, by their places.
pub(crate) type Columns = HashMap<usize, Vec<usize>>;

/// A row of a value, and the way to it.
pub(crate) struct Held<'r> {
    pub(crate) row: &'r mut (dyn Record + 'static),
    pub(crate) above: Option<Arc<Above>>,
}

impl<'p> Patch<'p> {
    pub(crate) fn new(tables: &'p Tables, source: Source<'p>, changes: Changes<'p>, rule: Option<Arc<Rule>>) -> Self {
        Patch { tables, source, changes, rule, ways: Mutex::default() }
    }

    pub(crate) fn prefix(&self) -> Option<&str> {
        self.source.prefix.as_deref()
    }

    /// What became of a row.
    pub(crate) fn fate(&self, schema: &'static Schema, key: &Key) -> Option<Fate> {
        self.changes.table(self.tables.of_schema(schema, self.prefix()))?.fate(schema, key)
    }

    /// Patches rows of one struct, and what is loaded below them. Returns the keys of those that are gone without a word.
    pub(crate) fn level<'l>(
        &'l self,
        mut rows: Vec<Held<'l>>,
        specs: &'l [Spec],
        applied: &'l mut Applied,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Key>>> + Send + 'l>> {
        Box::pin(async move {
            let (columns, gone) = self.columns(&mut rows, applied).await?;
            self.slots(rows, specs, &columns, applied).await?;
            Ok(gone)
        })
    }

    /// Patches what is loaded below rows of one struct, whose columns are as they are now; some of them were changed.
    pub(crate) fn slots<'l>(
        &'l self,
        mut rows: Vec<Held<'l>>,
        specs: &'l [Spec],
        columns: &'l Columns,
        applied: &'l mut Applied,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'l>> {
        Box::pin(async move {
            let Some(first) = rows.first() else { return Ok(()) };
            let (schema, owner) = (first.row.schema_of(), first.row.loader().schema());
            for association in 0..schema.associations.len() {
                let is_loaded = |held: &Held<'_>| loaded(held.row, association).is_some();
                if !rows.iter().any(is_loaded) {
                    continue;
                }
                let mut spec = specs.iter().find(|spec| spec.association() == association).cloned();
                let spec = spec.get_or_insert_with(|| Spec::of_rows(owner, association, Vec::new()));
                let way = self.way(schema, spec)?;
                let changed = self.changed(&rows, &way, spec, columns);
                self.refill(&mut rows, &changed, &way, spec, applied).await?;
                if !way.is_to_one() {
                    let below = below(&mut rows, &changed, schema, &way);
                    self.level(below, spec.nested(), applied).await?;
                }
            }
            Ok(())
        })
    }

    /// Gives rows that were changed their columns. Returns which columns that were, and the keys of rows that are gone.
    async fn columns(&self, rows: &mut [Held<'_>], applied: &mut Applied) -> Result<(Columns, Vec<Key>)> {
        let (mut columns, mut gone) = (Columns::new(), Vec::new());
        let Some(first) = rows.first() else { return Ok((columns, gone)) };
        let (schema, loader) = (first.row.schema_of(), first.row.loader());
        let table = self.tables.of_schema(schema, self.prefix());
        let Some(changes) = self.changes.table(table) else { return Ok((columns, gone)) };
        let mut places = Vec::new();
        let mut keys: Vec<Key> = Vec::new();
        for (at, held) in rows.iter().enumerate() {
            let key = Key::of_record(held.row);
            match changes.fate(schema, &key) {
                Some(Fate::Changed) => keys.push(key),
                Some(Fate::Moved(new)) => keys.push(new),
                _ => continue,
            }
            places.push(at);
        }
        let found = self.rows(loader, keys.clone(), &Arc::from([])).await?;
        for ((at, key), row) in places.into_iter().zip(keys).zip(found) {
            let held = &mut rows[at];
            let Some(row) = row else {
                gone.push(Key::of_record(held.row));
                continue;
            };
            let is_other = |column: &usize| !same(&held.row.column(*column), &row.column(*column));
            let others: Vec<_> = (0..schema.columns.len()).filter(is_other).collect();
            if !others.is_empty() {
                held.row.take_columns(&*row)?;
                applied.note(ChangeOp::Updated, held.above.as_ref(), schema, &key);
                columns.insert(at, others);
            }
        }
        Ok((columns, gone))
    }

    /// Rows by their keys as the subscriber may see them; `None` for what is gone, or hidden.
    pub(crate) async fn rows(
        &self,
        loader: emr_core::walk::Loader,
        keys: Vec<Key>,
        shape: &Arc<[Spec]>,
    ) -> Result<Vec<Option<Arc<dyn Record>>>> {
        let mut found = self.source.rows(loader, keys, shape).await?;
        let Some(rule) = self.rule.as_ref().filter(|rule| rule.schema == (loader.schema())()) else { return Ok(found) };
        for row in &mut found {
            let Some(whole) = row.take() else { continue };
            if rule.allows_row(&*whole)? {
                let mut own = copy(&*whole)?;
                rule.cut(&mut *own)?;
                *row = Some(Arc::from(own));
            }
        }
        Ok(found)
    }

    /// The rows whose slot may hold other rows than before.
    fn changed(&self, rows: &[Held<'_>], way: &Way, spec: &Spec, columns: &Columns) -> Vec<usize> {
        let starts_elsewhere =
            |at: usize| columns.get(&at).is_some_and(|changed| way.start.iter().any(|column| changed.contains(column)));
        let is_changed = |at: usize| {
            let held = &rows[at];
            loaded(held.row, way.association).is_some_and(|slot| {
                way.is_changed(&self.changes, held.row)
                    || starts_elsewhere(at)
                    || (way.is_to_one() && self.is_touched_below(slot, spec.nested()))
            })
        };
        (0..rows.len()).filter(|at| is_changed(*at)).collect()
    }

    /// Whether anything changes in the rows of a slot, or below them.
    fn is_touched_below(&self, slot: &dyn Slot, specs: &[Spec]) -> bool {
        let mut is_touched = false;
        slot.for_each(&mut |row| is_touched = is_touched || self.is_touched(row, specs));
        is_touched
    }

    fn is_touched(&self, row: &dyn Record, specs: &[Spec]) -> bool {
        let schema = row.schema_of();
        if self.fate(schema, &Key::of_record(row)).is_some() {
            return true;
        }
        let owner = row.loader().schema();
        (0..schema.associations.len()).any(|association| {
            let Some(slot) = loaded(row, association) else { return false };
            let spec = specs.iter().find(|spec| spec.association() == association).cloned();
            let spec = spec.unwrap_or_else(|| Spec::of_rows(owner, association, Vec::new()));
            // What cannot be followed is loaded anew, and the error is told then.
            let Ok(way) = self.way(schema, &spec) else { return true };
            way.is_changed(&self.changes, row) || self.is_touched_below(slot, spec.nested())
        })
    }

    fn way(&self, schema: &'static Schema, spec: &Spec) -> Result<Arc<Way>> {
        let make = || Ok(Arc::new(Way::of(self.tables, self.prefix(), schema, spec)?));
        if spec.query().is_some() || spec.limit().is_some() {
            return make();
        }
        let name = (schema, spec.association());
        let known = self.ways.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some(way) = known {
            return Ok(way);
        }
        let way = make()?;
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::clone(&way));
        Ok(way)
    }

    /// Loads what slots hold, and puts it there.
    async fn refill(
        &self,
        rows: &mut [Held<'_>],
        changed: &[usize],
        way: &Way,
        spec: &mut Spec,
        applied: &mut Applied,
    ) -> Result<()> {
        let related = way.def.related;
        for held in &*rows {
            if let Some(slot) = loaded(held.row, way.association) {
                slot.for_each(&mut |row| shape::add_loaded(spec.nested_mut(), related, row));
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        let schema = rows[changed[0]].row.schema_of();
        let owners = changed.iter().map(|at| {
            let row = &*rows[*at].row;
            Ok((Key::of_columns(row, &way.start), row.bare()?))
        });
        let owners = owners.collect::<Result<Vec<_>>>()?;
        let found = self.source.slots(schema, spec, owners).await?;
        for (at, from) in changed.iter().zip(found) {
            let held = &mut rows[*at];
            let above = Arc::new(Above {
                outer: held.above.clone(),
                schema,
                key: Key::of_record(held.row),
                field: way.def.field,
            });
            let Some(slot) = held.row.association_mut(way.association) else { continue };
            let before = Seen::of(slot);
            slot.copy_from(&*from)?;
            self.hide(slot)?;
            before.compare(slot, &above, applied);
        }
        Ok(())
    }

    /// Takes away what the subscriber may not see.
    fn hide(&self, slot: &mut dyn Slot) -> Result<()> {
        let Some(rule) = self.rule.as_ref().filter(|rule| rule.schema == slot.related()) else { return Ok(()) };
        let mut result = Ok(());
        slot.retain(&mut |row| match rule.allows_row(row) {
            Ok(may_see) => may_see,
            Err(error) => {
                result = Err(error);
                false
            }
        });
        slot.for_each_mut(&mut |row| {
            if let (Ok(()), Err(error)) = (&result, rule.cut(row)) {
                result = Err(error);
            }
        });
        result
    }
}

/// A loaded slot.
fn loaded(row: &dyn Record, association: usize) -> Option<&dyn Slot> {
    row.association(association).filter(|slot| slot.is_loaded())
}

/// The rows below those that hold others, but those that were just loaded.
fn below<'b>(rows: &'b mut [Held<'_>], changed: &[usize], schema: &'static Schema, way: &Way) -> Vec<Held<'b>> {
    let changed: HashSet<_> = changed.iter().collect();
    let mut below = Vec::new();
    for (at, held) in rows.iter_mut().enumerate() {
        if changed.contains(&at) || loaded(held.row, way.association).is_none() {
            continue;
        }
        let above =
            Arc::new(Above { outer: held.above.clone(), schema, key: Key::of_record(held.row), field: way.def.field });
        if let Some(slot) = held.row.association_mut(way.association) {
            slot.for_each_mut(&mut |row| below.push(Held { row, above: Some(Arc::clone(&above)) }));
        }
    }
    below
}

/// A copy of a row with what it holds.
pub(crate) fn copy(row: &dyn Record) -> Result<Box<dyn Record>> {
    let mut copy = row.bare()?;
    for n in 0..row.schema_of().associations.len() {
        if let (Some(from), Some(into)) = (loaded(row, n), copy.association_mut(n)) {
            into.copy_from(from)?;
        }
    }
    Ok(copy)
}

/// What a slot held.
struct Seen {
    rows: Vec<(Key, Box<[emr_core::Value<'static>]>)>,
}

impl Seen {
    fn of(slot: &dyn Slot) -> Self {
        let mut rows = Vec::new();
        slot.for_each(&mut |row| {
            let values = (0..row.schema_of().columns.len()).map(|n| row.column(n).into_owned()).collect();
            rows.push((Key::of_record(row), values));
        });
        Seen { rows }
    }

    /// Notes what is different now.
    fn compare(&self, slot: &dyn Slot, above: &Arc<Above>, applied: &mut Applied) {
        let schema = slot.related();
        let places: HashMap<&Key, usize> = self.rows.iter().enumerate().map(|(at, (key, _))| (key, at)).collect();
        let mut stayed = HashSet::new();
        let mut furthest = None;
        slot.for_each(&mut |row| {
            let key = Key::of_record(row);
            let Some(at) = places.get(&key) else {
                applied.note(ChangeOp::Inserted, Some(above), schema, &key);
                return;
            };
            let is_same = self.rows[*at].1.iter().enumerate().all(|(n, value)| same(value, &row.column(n)));
            if !is_same {
                applied.note(ChangeOp::Updated, Some(above), schema, &key);
            }
            if furthest.is_some_and(|furthest| furthest > *at) {
                applied.note(ChangeOp::Moved, Some(above), schema, &key);
            }
            furthest = furthest.max(Some(*at));
            stayed.insert(key);
        });
        for (key, _) in self.rows.iter().filter(|(key, _)| !stayed.contains(key)) {
            applied.note(ChangeOp::Removed, Some(above), schema, key);
        }
    }
}
