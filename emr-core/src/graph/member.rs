//! Rows of a graph, as code sees them that does not know their types.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;

use super::Boxed;
use crate::association::{Record, Slot};
use crate::changeset::Errors;
use crate::error::{Error, Result};
use crate::row::RowSink;
use crate::schema::Schema;
use crate::transaction::Tx;
use crate::value::Value;

/// What is done with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is new.
    Insert,
    /// Its changes are written, if it has any.
    Update,
    /// It goes.
    Delete,
    /// It stays, and its link goes.
    Unlink,
}

/// A row of a graph, with the branches that hang on it.
pub(crate) trait Member: Any + Send + Sync {
    fn schema(&self) -> &'static Schema;

    fn act(&self) -> Act;

    /// Whether it belonged to its owner before.
    fn is_linked(&self) -> bool;

    /// Whether nothing is to be written, of it and of all below it.
    fn is_idle(&self) -> bool;

    /// Refuses what cannot be written, before anything is sent.
    fn check(&self, depth: usize) -> Result<()>;

    /// It stays as it is.
    fn keep(&mut self);

    /// The row: as the database has stored it, or else as it was given.
    fn record(&self) -> Option<&dyn Record>;

    /// The row as it was stored, and its branches.
    fn parts(&mut self) -> (Option<&mut (dyn Record + 'static)>, &mut [Branch]);

    /// Whether the changeset itself sets this column.
    fn sets(&self, column: usize) -> bool;

    /// Sets a column; no change where the row has the value.
    fn assign(&mut self, column: usize, value: Value<'static>);

    /// The table's schema or database, where the changeset says it.
    fn prefix(&self) -> Option<&str>;

    /// Takes over the prefix of its owner, unless it has one.
    fn inherit(&mut self, prefix: Option<&Cow<'static, str>>);

    /// Runs what is to be run before the write, if there is anything.
    fn prepare<'m>(&'m mut self, tx: &'m Tx) -> Option<Boxed<'m>>;

    /// Writes the row by a statement of its own.
    fn write<'m>(&'m mut self, tx: &'m Tx) -> Boxed<'m>;

    /// Completes a new row, and tells which columns it sets.
    fn columns(&mut self) -> Result<Cow<'static, [usize]>>;

    /// The values of these columns of a new row.
    fn cells(&self, columns: &[usize], cells: &mut Vec<Value<'static>>);

    /// Makes a sink for so many rows of this type.
    fn sink(&self) -> fn(usize) -> Box<dyn RowSink>;

    /// Takes the last row out of such a sink; whether there was one.
    fn accept(&mut self, sink: &mut dyn RowSink) -> Result<bool>;

    /// Whether a violated constraint may be an error of one of its fields.
    fn declares(&self) -> bool;

    /// Whether there is nothing to its delete but its key: no condition, nothing declared.
    fn is_plain_delete(&self) -> bool;

    /// Whether its absence is no error.
    fn may_be_gone(&self) -> bool;

    /// What became of a write for it that failed: errors of its fields, where it declares them.
    fn refine(&mut self, error: Error) -> Error;

    /// The errors that writes have met, of it and of all below it.
    fn failures(&self, path: &str, errors: &mut Errors);

    /// The changeset.
    fn changeset(&mut self) -> &mut dyn Any;

    /// Takes a row for the stored one.
    fn store(&mut self, row: Box<dyn Any + Send>);

    /// The row as it was stored.
    fn into_stored(self: Box<Self>) -> Option<Box<dyn Any + Send>>;
}

/// Several members, whose owners are elsewhere.
pub(crate) type Front<'f> = Vec<&'f mut (dyn Member + 'static)>;

/// The rows of one association of one row.
pub(crate) trait Members: Any + Send + Sync {
    fn boxed_clone(&self) -> Box<dyn Members>;

    /// Whether nothing is to be written.
    fn is_idle(&self) -> bool;

    /// Whether there will be no row.
    fn is_empty(&self) -> bool;

    fn check(&self, depth: usize) -> Result<()>;

    /// The rows that were there and were not given, and those that were given.
    fn split(&mut self) -> (Front<'_>, Front<'_>);

    /// Puts the stored rows into the slot.
    fn fill(&mut self, slot: &mut dyn Slot);

    fn failures(&self, path: &str, errors: &mut Errors);

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// An association of a row that is written with it.
pub(crate) struct Branch {
    /// Its position in the schema.
    pub(crate) association: usize,
    /// It is not known which rows are there.
    pub(crate) not_loaded: bool,
    pub(crate) members: Box<dyn Members>,
}

impl Clone for Branch {
    fn clone(&self) -> Self {
        let Branch { association, not_loaded, ref members } = *self;
        Branch { association, not_loaded, members: members.boxed_clone() }
    }
}

impl fmt::Debug for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.members.show(f)
    }
}

/// Makes a member of a changeset whose type only the maker knows, to be inserted or updated.
pub(crate) type MakeRoot = fn(Box<dyn Any + Send>, Act) -> Result<Box<dyn Member>>;

/// The associations that are written with a row.
#[derive(Clone, Default)]
pub(crate) struct Branches {
    pub(crate) list: Vec<Branch>,
    /// Known where there is a branch, so that changesets without any compile nothing of all this.
    pub(crate) make_root: Option<MakeRoot>,
}

impl Branches {
    pub(crate) fn is_idle(&self) -> bool {
        self.list.iter().all(|branch| !branch.not_loaded && branch.members.is_idle())
    }
}
