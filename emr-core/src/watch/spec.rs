//! One thing to watch: a schema or a table, what is carried, and which associations are followed.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use super::assocs::{IntoAssocs, Steps};
use crate::changeset::IntoColumns;
use crate::schema::{Schema, Syncable};

/// What to watch. For structs: [`watch`](crate::SyncableExt::watch), which checks columns and associations when it compiles.
#[derive(Debug, Clone)]
#[must_use = "a specification does nothing until it is put in a WatchSet"]
pub struct WatcherSpec {
    pub(super) source: SpecSource,
    pub(super) prefix: Option<Cow<'static, str>>,
    pub(super) label: Option<Cow<'static, str>>,
    pub(super) extra_columns: Vec<Cow<'static, str>>,
    pub(super) trigger_columns: Vec<Cow<'static, str>>,
    pub(super) assocs: Vec<AssocSteps>,
}

#[derive(Debug, Clone)]
pub(super) enum SpecSource {
    Schema(&'static Schema),
    Table { table: Cow<'static, str>, keys: Vec<Cow<'static, str>> },
}

/// The steps of one path of associations, chains not yet taken apart.
#[derive(Clone)]
pub(super) struct AssocSteps(pub(super) Steps);

impl fmt::Debug for AssocSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(schema, def)| format!("{}.{}", schema.name, def.field))).finish()
    }
}

impl WatcherSpec {
    /// The rows of a struct.
    pub fn schema(schema: &'static Schema) -> Self {
        WatcherSpec::of(SpecSource::Schema(schema))
    }

    /// The rows of a table that no struct stands for. It needs a [label](WatcherSpec::label); its key is the table's primary key
    /// unless [`keys`](WatcherSpec::keys) says otherwise.
    pub fn table(table: impl Into<Cow<'static, str>>) -> Self {
        WatcherSpec::of(SpecSource::Table { table: table.into(), keys: Vec::new() })
    }

    fn of(source: SpecSource) -> Self {
        WatcherSpec {
            source,
            prefix: None,
            label: None,
            extra_columns: Vec::new(),
            trigger_columns: Vec::new(),
            assocs: Vec::new(),
        }
    }

    /// The columns that identify a row of a table that no struct stands for.
    pub fn keys(mut self, columns: impl IntoIterator<Item = impl Into<Cow<'static, str>>>) -> Self {
        if let SpecSource::Table { keys, .. } = &mut self.source {
            keys.extend(columns.into_iter().map(Into::into));
        }
        self
    }

    /// The schema (PostgreSQL, SQL Server) or database (MySQL) that the table is in.
    pub fn prefix(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// A name to subscribe by. Any text of 1 to 255 bytes without control characters; unique in the set.
    pub fn label(mut self, label: impl Into<Cow<'static, str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Columns that events carry beside the key, with their old and new values.
    pub fn extra_columns(mut self, columns: impl IntoIterator<Item = impl Into<Cow<'static, str>>>) -> Self {
        self.extra_columns.extend(columns.into_iter().map(Into::into));
        self
    }

    /// An update reaches the [label](WatcherSpec::label) only if one of these columns, or the key, has another value than before.
    pub fn trigger_columns(mut self, columns: impl IntoIterator<Item = impl Into<Cow<'static, str>>>) -> Self {
        self.trigger_columns.extend(columns.into_iter().map(Into::into));
        self
    }
}

/// The same for a struct, whose columns and associations are its constants.
#[derive(Debug)]
#[must_use = "a specification does nothing until it is put in a WatchSet"]
pub struct TypedWatcher<S> {
    spec: WatcherSpec,
    schema: PhantomData<fn() -> S>,
}

impl<S: Syncable> TypedWatcher<S> {
    pub(crate) fn new() -> Self {
        TypedWatcher { spec: WatcherSpec::schema(S::schema()), schema: PhantomData }
    }

    fn map(self, change: impl FnOnce(WatcherSpec) -> WatcherSpec) -> Self {
        TypedWatcher { spec: change(self.spec), schema: PhantomData }
    }

    /// See [`WatcherSpec::prefix`].
    pub fn prefix(self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.map(|spec| spec.prefix(prefix))
    }

    /// See [`WatcherSpec::label`].
    pub fn label(self, label: impl Into<Cow<'static, str>>) -> Self {
        self.map(|spec| spec.label(label))
    }

    /// See [`WatcherSpec::extra_columns`]. Takes a column, or a tuple of them.
    pub fn extra_columns(self, columns: impl IntoColumns<S>) -> Self {
        self.map(|spec| spec.extra_columns(names::<S>(columns)))
    }

    /// See [`WatcherSpec::trigger_columns`]. Takes a column, or a tuple of them.
    pub fn trigger_columns(self, columns: impl IntoColumns<S>) -> Self {
        self.map(|spec| spec.trigger_columns(names::<S>(columns)))
    }

    /// Follows associations as well: their tables are watched, join tables among them, with the columns that tie rows
    /// together. Takes one, a tuple of them, and chains (`Post::COMMENTS.chain(Comment::AUTHOR)`).
    pub fn assocs(self, assocs: impl IntoAssocs<S>) -> Self {
        self.map(|mut spec| {
            spec.assocs.extend(assocs.into_assocs().into_iter().map(AssocSteps));
            spec
        })
    }
}

fn names<S: Syncable>(columns: impl IntoColumns<S>) -> Vec<&'static str> {
    columns.positions().into_iter().map(|column| S::schema().columns[column].name).collect()
}

impl<S> From<TypedWatcher<S>> for WatcherSpec {
    fn from(typed: TypedWatcher<S>) -> Self {
        typed.spec
    }
}
