//! Calls in the tree: aggregates, window functions, functions, casts, CASE, and paths into JSON.

use std::borrow::Cow;
use std::fmt;

use super::interval::Unit;
use super::{Node, Order};
use crate::value::SqlType;

/// The call of a [`Function`].
#[derive(Clone, PartialEq)]
pub struct Call {
    /// What is called.
    pub function: Function,
    /// What it is called with.
    pub arguments: Vec<Node>,
    /// The type of the first argument, as the program knows it.
    pub of: SqlType,
    /// The type of the result.
    pub ty: SqlType,
    /// An aggregate: of values that are equal, only one counts.
    pub distinct: bool,
    /// An aggregate: only rows for which all of these are true count.
    pub filter: Vec<Node>,
    /// The rows around the row, where the call is one over a window.
    pub over: Option<Over>,
}

/// What a [`Call`] calls.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs)] // the names of SQL's functions
pub enum Function {
    CountAll,
    Count,
    Sum,
    Avg,
    Min,
    Max,
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile(u32),
    Lag(u32),
    Lead(u32),
    FirstValue,
    LastValue,
    NthValue(u32),
    Coalesce,
    NullIf,
    /// Arguments are a condition, its value, and so on; the last one alone is ELSE.
    Case,
    Lower,
    Upper,
    /// In characters.
    Length,
    Trim,
    Concat,
    Abs,
    Round(i16),
    /// To the type of the result.
    Cast,
    /// The server's time.
    Now,
    /// The first argument, later by the second one in this unit.
    AddInterval(Unit),
    /// A place in the JSON document that is the first argument.
    Json {
        path: Vec<JsonStep>,
        read: JsonRead,
    },
    /// The value in the JSON object that is the first argument of the key that is the second one.
    JsonKey,
    /// Whether the array that is the first argument has the second one among its elements.
    ArrayHas,
    /// Whether the array that is the first argument has all elements of the second one.
    ArrayContains,
    /// Whether two arrays have an element in common.
    ArrayOverlaps,
    ArrayLength,
    ArrayAppend,
    /// Without all elements that equal the second argument.
    ArrayRemove,
}

/// One step into a JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonStep {
    /// Into an object.
    Key(Cow<'static, str>),
    /// Into an array, from 0.
    Index(u32),
}

/// What is read at a place in a JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the types of JSON
pub enum JsonRead {
    Text,
    I64,
    F64,
    Bool,
    /// The part of the document as it is.
    Json,
    /// Whether there is anything, JSON's null included.
    Exists,
    /// Whether JSON's null is there.
    IsNull,
}

/// Over which rows a window function goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Over {
    /// These.
    Window(WindowDef),
    /// Those of the query's window of this name.
    Named(Cow<'static, str>),
}

/// The rows that a window function sees.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WindowDef {
    /// Only rows that are equal in these.
    pub partition: Vec<Node>,
    /// Their order.
    pub order: Vec<Order>,
    /// Which of them.
    pub frame: Option<Frame>,
}

/// Which rows of a window count for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Counted in rows, or else in groups of rows that are equal in the order.
    pub rows: bool,
    /// The first.
    pub start: Bound,
    /// The last.
    pub end: Bound,
}

/// One end of a [`Frame`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the words of SQL
pub enum Bound {
    UnboundedPreceding,
    Preceding(u32),
    CurrentRow,
    Following(u32),
    UnboundedFollowing,
}

impl Call {
    pub(super) fn new(function: Function, arguments: Vec<Node>, of: SqlType, ty: SqlType) -> Call {
        Call { function, arguments, of, ty, distinct: false, filter: Vec::new(), over: None }.guarded()
    }

    /// Values beside a redacted column are redacted; the others know the column that they stand beside.
    fn guarded(mut self) -> Call {
        let redacted = self.arguments.iter().find_map(Node::redacted);
        let beside = match self.function {
            Function::Coalesce | Function::NullIf | Function::Case | Function::Lag(_) | Function::Lead(_) => {
                self.arguments.iter().find_map(Node::as_column).filter(|(schema, at)| schema.columns[*at].ty == self.ty)
            }
            _ => None,
        };
        if let Some(column) = redacted.or(beside) {
            self.arguments = self.arguments.into_iter().map(|node| node.in_context(Some(column))).collect();
        }
        self
    }

    pub(super) fn into_node(self) -> Node {
        Node::Call(Box::new(self))
    }

    /// Whether it makes one value of many rows.
    pub fn is_aggregate(&self) -> bool {
        use Function::{Avg, Count, CountAll, Max, Min, Sum};
        matches!(self.function, CountAll | Count | Sum | Avg | Min | Max)
    }

    /// All expressions in it, one after the other.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        let window = match &self.over {
            Some(Over::Window(window)) => Some(window),
            _ => None,
        };
        let window = window.into_iter().flat_map(WindowDef::nodes);
        self.arguments.iter().chain(&self.filter).chain(window)
    }

    pub(super) fn nodes_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        let window = match &mut self.over {
            Some(Over::Window(window)) => Some(window),
            _ => None,
        };
        let window = window
            .into_iter()
            .flat_map(|window| window.partition.iter_mut().chain(window.order.iter_mut().map(|key| &mut key.node)));
        self.arguments.iter_mut().chain(&mut self.filter).chain(window)
    }
}

impl WindowDef {
    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.partition.iter().chain(self.order.iter().map(|key| &key.node))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.function)?;
        if self.distinct {
            f.write_str(" distinct")?;
        }
        f.debug_list().entries(&self.arguments).finish()?;
        if !self.filter.is_empty() {
            write!(f, " filter {:?}", self.filter)?;
        }
        match &self.over {
            Some(over) => write!(f, " over {over:?}"),
            None => Ok(()),
        }
    }
}
