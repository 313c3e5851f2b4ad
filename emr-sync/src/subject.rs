//! What can be subscribed to.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use emr_core::walk::Spec;
use emr_core::{Column, Error, Field, IntoField, IntoKey, Record, Result, Schema, Syncable, ToParam};

use crate::interest::{Below, Interest, Names, Ops};
use crate::key::{Key, names};
use crate::tables::Tables;

/// What can be subscribed to: a struct, a slice, `Vec` or `Option` of them, a [`Synced`](crate::Synced) value, all
/// [`rows`] of a struct, one [`row`] by its key, a `(column, value)`, a [`label`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be subscribed to",
    label = "expected `&post`, `&posts`, `rows::<Post>()`, `row::<Post>(7)`, `(Post::PERSON_ID, 3)` or `label(\"posts\")`"
)]
pub trait Subject<T> {
    #[doc(hidden)]
    fn describe<'v>(self) -> Described<'v>
    where
        Self: 'v;
}

/// A subject without its type.
#[doc(hidden)]
pub struct Described<'v> {
    pub(crate) schema: Option<&'static Schema>,
    pub(crate) roots: Vec<(Root, Option<&'v dyn Record>)>,
    /// The instance that loaded it, and the last commit before that: what came in between is to be told as well.
    pub(crate) since: Option<(u64, u64)>,
    pub(crate) prefix: Option<Arc<str>>,
    pub(crate) specs: Vec<Spec>,
}

/// One thing of a subject that is followed by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Root {
    /// All rows of a struct.
    Schema,
    /// New rows of a struct.
    Inserted,
    /// The row with this key.
    Row(Key),
    /// Rows with these values.
    Where(Names, Key),
    /// What is watched under a label, perhaps only rows with these values.
    Label(Arc<str>, Option<(Names, Key)>),
}

impl<'v> Described<'v> {
    fn of(schema: &'static Schema, roots: Vec<(Root, Option<&'v dyn Record>)>) -> Self {
        Described { schema: Some(schema), roots, since: None, prefix: None, specs: Vec::new() }
    }

    fn values<T: Syncable>(rows: impl Iterator<Item = &'v T>) -> Self {
        let root = |row: &'v T| (Root::Row(Key::of_record(row)), Some(row as &dyn Record));
        Described::of(T::schema(), rows.map(root).collect())
    }

    /// The query's rows, of which any may enter.
    pub(crate) fn all_of<T: Syncable>(since: (u64, u64), prefix: Option<Arc<str>>, specs: Vec<Spec>) -> Self {
        Described { since: Some(since), prefix, specs, ..Described::of(T::schema(), vec![(Root::Schema, None)]) }
    }
}

impl Root {
    /// The entry of the root itself.
    pub(crate) fn interest(
        &self,
        tables: &Tables,
        schema: Option<&'static Schema>,
        below: &Hanging<'_>,
    ) -> Result<Interest> {
        let need = |schema: Option<&'static Schema>| match schema {
            Some(schema) => Ok((tables.need(schema, below.prefix)?, schema)),
            None => Err(Error::invalid("a subject without a struct has neither keys nor columns: give a label")),
        };
        Ok(match self {
            Root::Schema => {
                let (table, schema) = need(schema)?;
                Interest::all(table, Ops::ALL).rows_of(schema)
            }
            Root::Inserted => {
                let (table, schema) = need(schema)?;
                Interest::all(table, Ops::INSERTED).then(Some(Below::root(schema, below.specs))).rows_of(schema)
            }
            Root::Row(key) => {
                let (table, schema) = need(schema)?;
                let columns = names(schema, schema.primary_key);
                let ops = Ops::UPDATED.and(Ops::DELETED);
                let below = Some(Below::root(schema, below.specs));
                Interest::of(table, &columns, key.clone(), ops).then(below).rows_of(schema)
            }
            Root::Where(columns, key) => {
                let (table, schema) = need(schema)?;
                tables.carries(table, columns.iter().map(|name| &**name), "the subscription")?;
                let mut interest = Interest::all(table, Ops::ALL).rows_of(schema);
                interest.on = Some((columns.clone(), key.clone()));
                interest.then(Below::rows(schema, below.specs))
            }
            Root::Label(label, on) => {
                let unknown = || {
                    let known = tables.labels().map(str::to_owned).collect();
                    Error::watch(emr_core::watch::WatchFault::UnknownLabel { label: label.to_string(), known })
                };
                let table = tables.of_label(label).ok_or_else(unknown)?;
                if let Some((columns, _)) = on {
                    tables.carries(table, columns.iter().map(|name| &**name), "the subscription")?;
                }
                let mut interest = Interest::all(table, Ops::ALL);
                interest.on.clone_from(on);
                interest.label = Some(Arc::clone(label));
                interest
            }
        })
    }
}

/// What hangs on the rows of a root.
pub(crate) struct Hanging<'b> {
    pub(crate) specs: &'b [Spec],
    pub(crate) prefix: Option<&'b str>,
}

impl<T: Syncable> Subject<T> for &T {
    fn describe<'v>(self) -> Described<'v>
    where
        Self: 'v,
    {
        Described::values(std::iter::once(self))
    }
}

impl<T: Syncable> Subject<T> for &[T] {
    fn describe<'v>(self) -> Described<'v>
    where
        Self: 'v,
    {
        Described::values(self.iter())
    }
}

impl<T: Syncable> Subject<T> for &Vec<T> {
    fn describe<'v>(self) -> Described<'v>
    where
        Self: 'v,
    {
        Described::values(self.iter())
    }
}

impl<T: Syncable> Subject<T> for &Option<T> {
    fn describe<'v>(self) -> Described<'v>
    where
        Self: 'v,
    {
        Described::values(self.iter())
    }
}

/// All rows of a struct: see [`rows`].
#[derive(Debug, Clone, Copy)]
pub struct Rows<T>(PhantomData<fn() -> T>);

/// All rows of a struct, as a [`Subject`].
pub fn rows<T: Syncable>() -> Rows<T> {
    Rows(PhantomData)
}

impl<T: Syncable> Subject<T> for Rows<T> {
    fn describe<'v>(self) -> Described<'v>
    where
        Self: 'v,
    {
        Described::of(T::schema(), vec![(Root::Schema, None)])
    }
}

/// The row with a key: see [`row`].
pub struct RowOf<T> {
    key: Key,
    row: PhantomData<fn() -> T>,
}

/// The row with this key, as a [`Subject`], whether it is there or not.
pub fn row<T: Syncable>(key: impl IntoKey<T::Key>) -> RowOf<T> {
    RowOf { key: Key::of(T::key_values(key.into_key())), row: PhantomData }
}

impl<T> fmt::Debug for RowOf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RowOf").field(&self.key).finish()
    }
}

impl<T: Syncable> Subject<T> for RowOf<T> {
    fn describe<'v>(self) -> Described<'v>
    where
        Self: 'v,
    {
        Described::of(T::schema(), vec![(Root::Row(self.key), None)])
    }
}

impl<T: Syncable, F: Field, V: IntoField<F>> Subject<T> for (Column<T, F>, V) {
    fn describe<'v>(self) -> Described<'v>
    where
        Self: 'v,
    {
        let name = Cow::Borrowed(self.0.def().name);
        let key = Key::of([self.1.into_field()]);
        Described::of(T::schema(), vec![(Root::Where(vec![name], key), None)])
    }
}

/// What is watched under a label: see [`label`].
#[derive(Debug, Clone)]
pub struct Label {
    name: Arc<str>,
    on: Option<(Names, Key)>,
}

/// What is watched under a label, as a [`Subject`]: of a table without a struct, or those updates of a struct's table that change its
/// `trigger_columns`.
pub fn label(name: impl Into<Arc<str>>) -> Label {
    Label { name: name.into(), on: None }
}

impl Label {
    /// Only rows with this value in a column that the watcher carries: its key, or one of its `extra_columns`.
    #[must_use]
    pub fn with(mut self, column: impl Into<Cow<'static, str>>, value: &(impl ToParam + ?Sized)) -> Self {
        let (columns, key) = self.on.get_or_insert_with(|| (Names::new(), Key::of([])));
        columns.push(column.into());
        key.0.push(value.to_param().into_owned());
        self
    }
}

impl Subject<()> for Label {
    fn describe<'v>(self) -> Described<'v>
    where
        Self: 'v,
    {
        let roots = vec![(Root::Label(self.name, self.on), None)];
        Described { schema: None, roots, since: None, prefix: None, specs: Vec::new() }
    }
}
