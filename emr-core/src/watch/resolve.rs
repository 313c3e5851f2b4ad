//! From what a program wants to watch to tables, columns and labels.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::fault::WatchFault;
use super::set::{Retention, Wake, WatchSet};
use super::spec::{SpecSource, WatcherSpec};
use crate::association::{Ends, flat_steps};
use crate::error::{Error, Result};
use crate::schema::Schema;

/// A checked [`WatchSet`], as adapters see it: each table once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Resolved {
    /// The application whose log it is.
    pub application: Arc<str>,
    /// The tables, in the order in which they were named first.
    pub tables: Vec<Arc<Watched>>,
    /// The longest silence.
    pub heartbeat: Duration,
    /// How often the triggers are checked.
    pub verify_every: Duration,
    /// How long installing waits for a lock.
    pub lock_timeout: Duration,
    /// The most changes in one [`Txn`](super::Txn).
    pub max_events: usize,
    /// The most bytes of a carried value.
    pub max_value: usize,
    /// How long changes stay.
    pub retention: Retention,
    /// How readers are woken.
    pub wake: Wake,
}

/// A watched table.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Watched {
    /// Its name.
    pub table: Arc<str>,
    /// The schema or database that it is in; the connection's own where `None`.
    pub prefix: Option<Arc<str>>,
    /// What is carried: the key, then the others.
    pub columns: Vec<WatchedColumn>,
    /// How many of the columns are the key. Zero until the adapter has looked the table's primary key up
    /// ([`with_keys`](Watched::with_keys)).
    pub keys: usize,
    /// Under which names and structs it is watched.
    pub labels: Vec<Label>,
}

/// A column that events carry.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WatchedColumn {
    /// Its name in the database.
    pub name: Arc<str>,
    /// The struct that declares its type, and its position there.
    pub declared: Option<(&'static Schema, usize)>,
}

/// One reason why a table is watched.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Label {
    /// The label that was given.
    pub name: Option<Arc<str>>,
    /// The struct.
    pub schema: Option<&'static Schema>,
    /// Names of the columns of which an update must change one; any will do if there are none.
    pub trigger_columns: Vec<Arc<str>>,
}

impl Watched {
    /// The same table with this key.
    pub fn with_keys(&self, keys: &[String]) -> Watched {
        let mut columns: Vec<_> = keys
            .iter()
            .map(|name| {
                let known = self.columns.iter().find(|column| *column.name == **name);
                known.cloned().unwrap_or_else(|| WatchedColumn { name: name.as_str().into(), declared: None })
            })
            .collect();
        let others = self.columns.iter().filter(|column| !keys.iter().any(|key| **key == *column.name));
        columns.extend(others.cloned());
        Watched { columns, keys: keys.len(), ..self.clone() }
    }

    /// The same table, carrying these columns as well.
    pub fn carrying<'n>(&self, columns: impl IntoIterator<Item = &'n str>) -> Watched {
        let mut table = self.clone();
        for column in columns {
            table.carry(column, None);
        }
        table
    }

    /// The position of a column among those carried.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| *column.name == *name)
    }

    /// Prefix and table as people write them.
    pub fn full_name(&self) -> String {
        full_name(self.prefix.as_deref(), &self.table)
    }

    fn carry(&mut self, name: &str, schema: Option<&'static Schema>) {
        let declared = schema.and_then(|schema| Some((schema, schema.column_position(name)?)));
        match self.position(name) {
            Some(at) => {
                if self.columns[at].declared.is_none() {
                    self.columns[at].declared = declared;
                }
            }
            None => self.columns.push(WatchedColumn { name: name.into(), declared }),
        }
    }
}

pub(super) fn full_name(prefix: Option<&str>, table: &str) -> String {
    prefix.map_or_else(|| table.to_owned(), |prefix| format!("{prefix}.{table}"))
}

/// Checks a set and adds up what it says of each table. Without I/O: whether tables and columns exist, the adapter finds out.
///
/// # Errors
/// [`Watch`](crate::ErrorKind::Watch) with the first thing that is wrong.
pub(super) fn resolve(set: &WatchSet, prefix: Option<&Arc<str>>) -> Result<Resolved> {
    check(set)?;
    let mut tables = Tables { tables: Vec::new(), default_prefix: prefix.cloned() };
    let mut labels: Vec<&str> = Vec::new();
    for spec in &set.specs {
        if let Some(label) = &spec.label {
            check_label(label)?;
            if labels.contains(&&**label) {
                return Err(Error::watch(WatchFault::DuplicateLabel { label: label.to_string() }));
            }
            labels.push(label);
        }
        tables.add(spec)?;
    }
    Ok(Resolved {
        application: Arc::from(&*set.application),
        tables: tables.tables.into_iter().map(Arc::new).collect(),
        heartbeat: set.heartbeat,
        verify_every: set.verify_every,
        lock_timeout: set.lock_timeout,
        max_events: set.max_events,
        max_value: set.max_value,
        retention: set.retention,
        wake: set.wake,
    })
}

fn check(set: &WatchSet) -> Result<()> {
    let name = &*set.application;
    if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
        return Err(setting("application", "write 1 to 255 bytes without control characters"));
    }
    for (setting_name, value) in [
        ("heartbeat", set.heartbeat),
        ("verify_every", set.verify_every),
        ("lock_timeout", set.lock_timeout),
        ("retention.age", set.retention.age),
    ] {
        if value < Duration::from_millis(10) {
            return Err(setting(setting_name, "it must be at least 10 ms"));
        }
    }
    if set.max_events == 0 {
        return Err(setting("max_events", "a part of a commit holds at least one change"));
    }
    if set.retention.events == 0 {
        return Err(setting("retention.events", "the log must be able to hold a change"));
    }
    if let Wake::Poll(every) = set.wake
        && every.is_zero()
    {
        return Err(setting("wake", "a pause of zero between two looks would keep a core busy: write 1 ms or more"));
    }
    Ok(())
}

fn setting(name: &str, problem: &str) -> Error {
    Error::watch(WatchFault::BadSetting { setting: name.to_owned(), problem: problem.to_owned() })
}

fn check_label(label: &str) -> Result<()> {
    let problem = if label.is_empty() {
        "it is empty".to_owned()
    } else if label.len() > 255 {
        format!("it has {} bytes, and 255 is the most", label.len())
    } else if label.chars().any(char::is_control) {
        "there is a control character in it".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::watch(WatchFault::BadLabel { label: label.chars().take(80).collect(), problem }))
}

struct Tables {
    tables: Vec<Watched>,
    default_prefix: Option<Arc<str>>,
}

impl Tables {
    fn add(&mut self, spec: &WatcherSpec) -> Result<()> {
        let (at, schema) = match &spec.source {
            SpecSource::Schema(schema) => (self.schema(schema, spec.prefix.as_deref())?, Some(*schema)),
            SpecSource::Table { table, keys } => (self.plain(spec, table, keys)?, None),
        };
        if !spec.trigger_columns.is_empty() && spec.label.is_none() {
            let table = self.tables[at].full_name();
            return Err(Error::watch(WatchFault::LabelRequired { table, because: "it has trigger_columns" }));
        }
        for name in spec.extra_columns.iter().chain(&spec.trigger_columns) {
            if let Some(schema) = schema
                && schema.column_position(name).is_none()
            {
                return Err(unknown_column(schema, name));
            }
            self.tables[at].carry(name, schema);
        }
        self.tables[at].labels.push(Label {
            name: spec.label.as_deref().map(Arc::from),
            schema,
            trigger_columns: spec.trigger_columns.iter().map(|name| Arc::from(&**name)).collect(),
        });
        for steps in &spec.assocs {
            for (owner, def) in flat_steps(&steps.0)? {
                self.association(&Ends::of(owner, def)?, spec.prefix.as_deref())?;
            }
        }
        Ok(())
    }

    /// Watches both ends of an association and what lies between, with the columns that tie rows together.
    fn association(&mut self, ends: &Ends, prefix: Option<&str>) -> Result<()> {
        for (schema, keys) in [(ends.owner, &ends.owner_keys), (ends.related, &ends.related_keys)] {
            let at = self.watch_too(schema, prefix)?;
            for &column in keys {
                self.tables[at].carry(schema.columns[column].name, Some(schema));
            }
        }
        let Some(link) = &ends.link else { return Ok(()) };
        let columns = || link.owner_columns.iter().chain(link.related_columns);
        let at = match link.schema {
            Some(schema) if !schema.primary_key.is_empty() => self.watch_too(schema, prefix)?,
            _ => {
                // A link is the pair of its keys, where nothing else identifies it.
                let own = link.schema.map_or(ends.owner.prefix, |schema| schema.prefix);
                let prefix = own.map(Arc::from).or_else(|| prefix.map(Arc::from));
                let at = self.table(link.table, prefix);
                let keys: Vec<_> = columns().map(|name| (*name).to_owned()).collect();
                self.key(at, &keys)?;
                let unseen = !self.tables[at].labels.iter().any(|label| label.name.is_none());
                if unseen {
                    let label = Label { name: None, schema: link.schema, trigger_columns: Vec::new() };
                    self.tables[at].labels.push(label);
                }
                at
            }
        };
        for (name, (of, key)) in link
            .owner_columns
            .iter()
            .zip(ends.owner_keys.iter().map(|&key| (ends.owner, key)))
            .chain(link.related_columns.iter().zip(ends.related_keys.iter().map(|&key| (ends.related, key))))
        {
            self.tables[at].carry(name, link.schema);
            if let Some(position) = self.tables[at].position(name)
                && self.tables[at].columns[position].declared.is_none()
            {
                // A join table without a struct: its columns are of the types of the keys that they point at.
                self.tables[at].columns[position].declared = Some((of, key));
            }
        }
        Ok(())
    }

    /// Watches a struct as such, unless it is watched already.
    fn watch_too(&mut self, schema: &'static Schema, prefix: Option<&str>) -> Result<usize> {
        let at = self.schema(schema, prefix)?;
        let table = &mut self.tables[at];
        if !table.labels.iter().any(|label| label.schema == Some(schema) && label.trigger_columns.is_empty()) {
            table.labels.push(Label { name: None, schema: Some(schema), trigger_columns: Vec::new() });
        }
        Ok(at)
    }

    /// The table of a struct, with its key and the columns that the struct itself names.
    fn schema(&mut self, schema: &'static Schema, prefix: Option<&str>) -> Result<usize> {
        if schema.primary_key.is_empty() {
            return Err(Error::watch(WatchFault::NoPrimaryKey { table: schema.table.to_owned() }));
        }
        let prefix = prefix.or(schema.prefix).map(Arc::from);
        let at = self.table(schema.table, prefix);
        let keys: Vec<_> = schema.primary_key.iter().map(|&key| schema.columns[key].name.to_owned()).collect();
        self.key(at, &keys)?;
        for name in keys.iter().map(String::as_str).chain(schema.extra_columns.iter().copied()) {
            if schema.column_position(name).is_none() {
                return Err(unknown_column(schema, name));
            }
            self.tables[at].carry(name, Some(schema));
        }
        Ok(at)
    }

    fn plain(&mut self, spec: &WatcherSpec, table: &str, keys: &[Cow<'static, str>]) -> Result<usize> {
        if table.is_empty() {
            return Err(Error::watch(WatchFault::UnknownTable { table: String::new() }));
        }
        if spec.label.is_none() {
            let table = table.to_owned();
            return Err(Error::watch(WatchFault::LabelRequired { table, because: "no struct stands for it" }));
        }
        let at = self.table(table, spec.prefix.as_deref().map(Arc::from));
        let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
        if !keys.is_empty() {
            self.key(at, &keys)?;
        }
        Ok(at)
    }

    fn table(&mut self, table: &str, prefix: Option<Arc<str>>) -> usize {
        let prefix = prefix.or_else(|| self.default_prefix.clone());
        let known = self.tables.iter().position(|known| *known.table == *table && known.prefix == prefix);
        known.unwrap_or_else(|| {
            let (columns, labels) = (Vec::new(), Vec::new());
            self.tables.push(Watched { table: table.into(), prefix, columns, keys: 0, labels });
            self.tables.len() - 1
        })
    }

    /// Says what the key of a table is. All that say so must say the same.
    fn key(&mut self, at: usize, keys: &[String]) -> Result<()> {
        let table = &mut self.tables[at];
        if table.keys == 0 {
            *table = table.with_keys(keys);
            return Ok(());
        }
        let known: Vec<_> = table.columns[..table.keys].iter().map(|column| column.name.to_string()).collect();
        if known == keys {
            return Ok(());
        }
        Err(Error::watch(WatchFault::TwoKeys { table: table.full_name(), keys: [known, keys.to_vec()] }))
    }
}

fn unknown_column(schema: &Schema, name: &str) -> Error {
    Error::watch(WatchFault::UnknownColumn {
        table: schema.table.to_owned(),
        column: name.to_owned(),
        known: schema.columns.iter().map(|column| column.name.to_owned()).collect(),
    })
}
