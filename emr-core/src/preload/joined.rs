//! Associations that are read with the joins of the query itself, and folded into the slots of its rows.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::gathered::read;
use super::keys::{Key, Keys};
use super::spec::{AsRecord, as_record};
use crate::association::{Association, Content, Record, to_many, to_one};
use crate::error::{Error, ErrorKind, Result};
use crate::expr::SourceRef;
use crate::from_row::FromRow;
use crate::query::{Alias, Query};
use crate::row::{Cells, Row, RowSink};
use crate::schema::{Schema, Syncable};
use crate::value::{SqlType, Value};

/// An association whose rows come from a join of the query. Made by [`Association::joined`].
#[must_use = "it does nothing until preload_joined takes it"]
pub struct Joined<S, T> {
    spec: JoinedSpec,
    ends: PhantomData<fn() -> (S, T)>,
}

/// The same without its types.
#[derive(Clone)]
pub struct JoinedSpec {
    owner: fn() -> &'static Schema,
    related: fn() -> &'static Schema,
    record: AsRecord,
    association: usize,
    source: SourceRef,
    nested: Vec<JoinedSpec>,
    start: fn(&JoinedSpec) -> Box<dyn Level>,
}

impl PartialEq for JoinedSpec {
    fn eq(&self, other: &Self) -> bool {
        (self.owner)() == (other.owner)()
            && self.association == other.association
            && self.source == other.source
            && self.nested == other.nested
    }
}

impl fmt::Debug for JoinedSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = (self.owner)();
        let field = schema.associations.get(self.association).map_or("?", |def| def.field);
        write!(f, "{}.{field} {:?}", schema.name, self.nested)
    }
}

impl JoinedSpec {
    /// Calls `visit` with each source whose rows are read, in the order of their cells.
    pub(crate) fn each(&self, visit: &mut dyn FnMut(SourceRef, &'static Schema)) {
        visit(self.source, (self.related)());
        self.nested.iter().for_each(|nested| nested.each(visit));
    }
}

impl<S: Syncable, T: Syncable> Association<S, T> {
    /// The association, read from the join with its schema.
    pub fn joined(self) -> Joined<S, T> {
        self.joined_from(SourceRef::Schema)
    }

    /// The association, read from the join with this name.
    pub fn joined_as(self, alias: Alias<T>) -> Joined<S, T> {
        self.joined_from(alias.source())
    }

    fn joined_from(self, source: SourceRef) -> Joined<S, T> {
        let spec = JoinedSpec {
            owner: S::schema,
            related: T::schema,
            record: as_record::<S>,
            association: self.index(),
            source,
            nested: Vec::new(),
            start: |spec| Box::new(LevelOf::<T>::start(spec)),
        };
        Joined { spec, ends: PhantomData }
    }
}

impl<S: Syncable, T: Syncable> Joined<S, T> {
    /// Then associations of those rows, which are joined as well: one, or a tuple of several.
    pub fn then(mut self, nested: impl IntoJoined<T>) -> Self {
        self.spec.nested.extend(nested.into_joined());
        self
    }
}

/// What [`Query::preload_joined`] takes: an association whose schema is joined, a [`Joined`], a tuple of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no joined association of `{S}`",
    label = "expected an association of `{S}` that the query joins"
)]
pub trait IntoJoined<S> {
    /// The associations.
    #[doc(hidden)]
    fn into_joined(self) -> Vec<JoinedSpec>;
}

impl<S: Syncable, T: Syncable> IntoJoined<S> for Joined<S, T> {
    fn into_joined(self) -> Vec<JoinedSpec> {
        vec![self.spec]
    }
}

impl<S: Syncable, T: Syncable> IntoJoined<S> for Association<S, T> {
    fn into_joined(self) -> Vec<JoinedSpec> {
        vec![self.joined().spec]
    }
}

macro_rules! tuples {
    ($($item:ident $at:tt),*) => {
        impl<S, $($item: IntoJoined<S>),*> IntoJoined<S> for ($($item,)*) {
            fn into_joined(self) -> Vec<JoinedSpec> {
                let mut specs = Vec::new();
                $(specs.extend(self.$at.into_joined());)*
                specs
            }
        }
    };
}

tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);

impl<S: Syncable, R> Query<S, R> {
    /// Fills associations from rows that the query joins, in the same statement. Each row of the query comes once, with what
    /// was joined to it in the order of the joined rows; a left join that met nothing gives `None` or no rows, and a condition
    /// of the join or the query keeps rows out of the slot too.
    ///
    /// [`limit`](Query::limit) counts joined rows, not owners. With more than one row per owner,
    /// [`preload`](Query::preload) sends less.
    ///
    /// ```
    /// # use emr_core::{Association, Query, Repo, Result, Syncable};
    /// # async fn f<Post: Syncable, Comment: Syncable>(repo: &impl Repo, COMMENTS: Association<Post, Comment>) -> Result<()> {
    /// let posts = repo.all(Query::<Post>::new().left_join(COMMENTS).preload_joined(COMMENTS)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn preload_joined(mut self, joined: impl IntoJoined<S>) -> Self {
        self.body.folds.extend(joined.into_joined());
        self
    }
}

/// The rows of one joined association, while they are read.
trait Level: Send {
    /// Takes the cells of this level and of those below it. `owner` is the number of the row above; `None` if there is none.
    fn row(&mut self, owner: Option<usize>, row: &dyn Row, at: &mut usize) -> Result<()>;

    /// Gives the rows to their owners, who stand in the order of their numbers.
    fn fill(self: Box<Self>, owners: &mut [&mut dyn Record]) -> Result<()>;
}

struct LevelOf<T> {
    association: usize,
    /// By the number of the owner and the primary key.
    keys: Keys,
    rows: Vec<(usize, T)>,
    nested: Vec<Box<dyn Level>>,
}

impl<T: Syncable> LevelOf<T> {
    fn start(spec: &JoinedSpec) -> Self {
        LevelOf {
            association: spec.association,
            keys: Keys::new(1 + T::schema().primary_key.len()),
            rows: Vec::new(),
            nested: spec.nested.iter().map(|nested| (nested.start)(nested)).collect(),
        }
    }
}

impl<T: Syncable> Level for LevelOf<T> {
    fn row(&mut self, owner: Option<usize>, row: &dyn Row, at: &mut usize) -> Result<()> {
        let schema = T::schema();
        let first = *at;
        *at += schema.columns.len();
        let absent = schema.primary_key.iter().all(|&column| row.is_null(first + column));
        let number = match owner {
            Some(owner) if !absent => {
                let mut key: Key<'_> = Key::new();
                key.push(Value::I64(i64::try_from(owner).unwrap_or(i64::MAX)));
                for &column in schema.primary_key {
                    key.push(read(row, first + column, schema.columns[column].ty)?);
                }
                let (number, seen) = self.keys.add(key);
                if seen == 0 {
                    self.rows.push((owner, T::decode(&mut Cells::new(row, schema, first))?));
                }
                Some(number as usize)
            }
            _ => None,
        };
        self.nested.iter_mut().try_for_each(|nested| nested.row(number, row, at))
    }

    fn fill(self: Box<Self>, owners: &mut [&mut dyn Record]) -> Result<()> {
        let LevelOf { association, mut rows, nested, .. } = *self;
        let mut records: Vec<&mut dyn Record> = rows.iter_mut().map(|(_, row)| row as &mut dyn Record).collect();
        for level in nested {
            level.fill(&mut records)?;
        }
        drop(records);
        let mut groups: Vec<Vec<T>> = owners.iter().map(|_| Vec::new()).collect();
        for (owner, row) in rows {
            groups[owner].push(row);
        }
        for (owner, group) in owners.iter_mut().zip(groups) {
            let schema = owner.schema_of();
            let Some(slot) = owner.association_mut(association) else {
                return Err(Error::invalid(format!("{} has no slot for the association", schema.name)));
            };
            if let Some(slot) = to_many::<T>(slot) {
                *slot = Content::list(group);
            } else if let Some(slot) = to_one::<T>(slot) {
                *slot = Content::of(group.into_iter().next().map(Arc::new));
            }
        }
        Ok(())
    }
}

/// Reads rows of `R` with joined associations behind them.
pub(crate) struct Fold<R> {
    rows: Vec<R>,
    keys: Keys,
    /// Where the cells are that tell one row from another.
    key_cells: Vec<(usize, SqlType)>,
    record: AsRecord,
    levels: Vec<Box<dyn Level>>,
}

impl<R: FromRow> Fold<R> {
    /// # Errors
    /// If a schema has no primary key, by which its rows could be told apart.
    pub(crate) fn start(specs: &[JoinedSpec]) -> Result<Self> {
        let Some(JoinedSpec { owner, record, .. }) = specs.first() else {
            return Err(Error::invalid("no association is joined"));
        };
        let schema = owner();
        let mut keyless = schema.primary_key.is_empty().then_some(schema.name);
        for spec in specs {
            spec.each(&mut |_, related| {
                if related.primary_key.is_empty() {
                    keyless = Some(related.name);
                }
            });
        }
        if let Some(name) = keyless {
            let why = "preload_joined tells rows apart by their primary key";
            return Err(Error::invalid(format!("{name} has no primary key: {why}")));
        }
        let is_struct = R::width() == schema.columns.len();
        let key_cells: Vec<_> = if is_struct {
            schema.primary_key.iter().map(|&column| (column, schema.columns[column].ty)).collect()
        } else {
            // Beside other things the same struct may come more than once.
            (0..R::width()).map(|at| (at, SqlType::Unknown)).collect()
        };
        Ok(Fold {
            rows: Vec::new(),
            keys: Keys::new(key_cells.len()),
            key_cells,
            record: *record,
            levels: specs.iter().map(|spec| (spec.start)(spec)).collect(),
        })
    }

    /// The rows, with the joined ones in their slots.
    ///
    /// # Errors
    /// If a row holds no struct with the associations, or more than one.
    pub(crate) fn finish(mut self) -> Result<Vec<R>> {
        let mut owners: Vec<&mut dyn Record> = Vec::with_capacity(self.rows.len());
        for (n, row) in self.rows.iter_mut().enumerate() {
            let mut found = Vec::new();
            let record = self.record;
            row.structs(&mut |read: &mut dyn Any| found.extend(record(read)));
            owners.extend(found.into_iter().map(|record| record as &mut dyn Record));
            if owners.len() != n + 1 {
                return Err(Error::invalid(
                    "preload_joined fills the one struct of the query's schema in each row: select it",
                ));
            }
        }
        for level in self.levels {
            level.fill(&mut owners)?;
        }
        Ok(self.rows)
    }
}

impl<R: FromRow> RowSink for Fold<R> {
    fn row(&mut self, row: &dyn Row) -> Result<()> {
        let mut key: Key<'_> = Key::new();
        for &(at, ty) in &self.key_cells {
            key.push(match ty {
                SqlType::Unknown => row.value(at).map_err(|mismatch| {
                    Error::new(ErrorKind::Decode {
                        table: String::new(),
                        column: format!("selected column {}", at + 1),
                        expected: mismatch.expected.into_owned(),
                        found: mismatch.found.into_owned(),
                    })
                })?,
                ty => read(row, at, ty)?,
            });
        }
        let (number, seen) = self.keys.add(key);
        if seen == 0 {
            self.rows.push(R::read(row, 0)?);
        }
        let mut at = R::width();
        self.levels.iter_mut().try_for_each(|level| level.row(Some(number as usize), row, &mut at))
    }
}
