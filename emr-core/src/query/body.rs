//! The untyped content of a query: what the renderer reads.

use std::borrow::Cow;

use super::lock::Lock;
use crate::expr::{FragmentPart, Node, Order};
use crate::preload::{JoinedSpec, Spec};
use crate::schema::Schema;
use crate::value::{SqlType, Value};

/// The untyped content of a [`Query`](crate::Query).
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the clauses of a SELECT
#[non_exhaustive]
pub struct SelectBody {
    pub ctes: Vec<Cte>,
    pub from: Source,
    pub joins: Vec<Join>,
    /// Empty: all columns of `from`.
    pub select: Vec<SelectItem>,
    pub filter: Vec<Node>,
    pub group: Vec<Node>,
    pub having: Vec<Node>,
    /// Windows by their names.
    pub windows: Vec<(Cow<'static, str>, crate::expr::WindowDef)>,
    pub distinct: Distinct,
    pub combinations: Vec<Combination>,
    pub order: Vec<Order>,
    pub limit: Option<u64>,
    /// Rows that are equal in the order to the last one of the limit come as well.
    pub with_ties: bool,
    pub offset: Option<u64>,
    pub lock: Option<Lock>,
    /// What was wrong when the query was built; it is what running the query returns.
    pub problem: Option<String>,
    /// What is loaded for the rows when they are read.
    pub preloads: Vec<Spec>,
    /// What is read from the joins into the slots of the rows.
    pub folds: Vec<JoinedSpec>,
}

impl SelectBody {
    /// All rows of this source.
    pub fn of(relation: Relation) -> Self {
        SelectBody {
            ctes: Vec::new(),
            from: Source::of(relation),
            joins: Vec::new(),
            select: Vec::new(),
            filter: Vec::new(),
            group: Vec::new(),
            having: Vec::new(),
            windows: Vec::new(),
            distinct: Distinct::No,
            combinations: Vec::new(),
            order: Vec::new(),
            limit: None,
            with_ties: false,
            offset: None,
            lock: None,
            problem: None,
            preloads: Vec::new(),
            folds: Vec::new(),
        }
    }

    /// The sources in the order of their aliases: `t0` is the one of FROM.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.from).chain(self.joins.iter().map(|join| &join.source))
    }

    /// The schema whose columns come back, if nothing else was selected.
    pub fn whole_schema(&self) -> Option<&'static Schema> {
        if self.select.is_empty() { self.from.relation.schema() } else { None }
    }

    /// The table that is read first, for reports.
    pub fn table(&self) -> Option<&'static str> {
        self.from.relation.schema().map(|schema| schema.table)
    }

    /// Whether nothing but filters narrow the source.
    pub(crate) fn is_filtered_source(&self) -> bool {
        let SelectBody {
            ctes, from: _, joins, select, filter: _, group, having, distinct, combinations, order, ..
        } = self;
        ctes.is_empty()
            && joins.is_empty()
            && select.is_empty()
            && group.is_empty()
            && having.is_empty()
            && *distinct == Distinct::No
            && combinations.is_empty()
            && order.is_empty()
            && self.limit.is_none()
            && self.offset.is_none()
            && self.lock.is_none()
            && self.preloads.is_empty()
            && self.folds.is_empty()
    }

    /// Whether a count of its rows cannot be a count over the same FROM and WHERE.
    pub(crate) fn is_narrowed(&self) -> bool {
        self.limit.is_some()
            || self.offset.is_some()
            || self.distinct != Distinct::No
            || !self.group.is_empty()
            || !self.having.is_empty()
            || !self.combinations.is_empty()
    }
}

/// Something rows come from, in FROM or in a join.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The rows.
    pub relation: Relation,
    /// The name that the program calls it by; see [`Alias`](crate::Alias). The SQL alias is another one.
    pub alias: Option<&'static str>,
    /// The schema (PostgreSQL, SQL Server) or database (MySQL) of a table.
    pub prefix: Option<Cow<'static, str>>,
    /// The table that stands in for the schema's.
    pub table: Option<Cow<'static, str>>,
    /// What is written behind the table: index hints, TABLESAMPLE, table hints. As the engine spells it.
    pub hints: Vec<&'static str>,
}

impl Source {
    /// This relation, without a name of its own.
    pub fn of(relation: Relation) -> Self {
        Source { relation, alias: None, prefix: None, table: None, hints: Vec::new() }
    }
}

/// What rows come from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Relation {
    /// The table of a schema.
    Schema(&'static Schema),
    /// A table that has no schema.
    Table(Cow<'static, str>),
    /// The rows of another query.
    Query(Box<SelectBody>),
    /// The rows of SQL text.
    Fragment {
        /// The text.
        parts: Vec<FragmentPart>,
        /// The schema whose columns the rows have, where they have one.
        schema: Option<&'static Schema>,
        /// The names of the columns, for a function that gives none.
        columns: Vec<Cow<'static, str>>,
    },
    /// Rows that are sent along.
    Values(Box<Values>),
    /// A common table expression of this query or of one around it.
    Cte {
        /// Its name.
        name: Cow<'static, str>,
        /// The schema whose columns it has, where it has one.
        schema: Option<&'static Schema>,
    },
}

impl Relation {
    /// The schema whose columns the rows have.
    pub fn schema(&self) -> Option<&'static Schema> {
        match self {
            Relation::Schema(schema) => Some(schema),
            Relation::Query(body) => body.whole_schema(),
            Relation::Fragment { schema, .. } | Relation::Cte { schema, .. } => *schema,
            Relation::Table(_) | Relation::Values(_) => None,
        }
    }
}

/// A table of values that is sent with the query.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Values {
    /// Names and types of the columns.
    pub columns: Vec<(Cow<'static, str>, SqlType)>,
    /// The rows, each as long as the columns.
    pub rows: Vec<Vec<Value<'static>>>,
}

/// A join.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// Which rows stay that meet none of the other side.
    pub kind: JoinKind,
    /// The rows that are joined.
    pub source: Source,
    /// All conditions.
    pub on: Vec<Node>,
    /// Whether the source reads columns of the sources before it.
    pub lateral: bool,
}

/// The sorts of joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// Only rows that meet.
    Inner,
    /// Also rows of the left side that meet none.
    Left,
    /// Also rows of the right side that meet none.
    Right,
    /// Also rows of either side that meet none.
    Full,
    /// Every row of the left side with every row of the right side.
    Cross,
}

/// One thing that is selected.
#[derive(Debug, Clone, PartialEq)]
pub enum SelectItem {
    /// An expression.
    Expr {
        /// What it computes.
        node: Node,
        /// The name of the column in the result.
        name: Option<Cow<'static, str>>,
    },
    /// All columns of a source that has a schema.
    Row {
        /// The source.
        source: crate::expr::SourceRef,
        /// Its schema.
        schema: &'static Schema,
    },
}

/// Which of equal rows are left out.
#[derive(Debug, Clone, PartialEq)]
pub enum Distinct {
    /// None.
    No,
    /// All but one of rows that are equal in every column.
    Rows,
    /// All but the first of rows that are equal in these keys (PostgreSQL).
    On(Vec<Order>),
}

/// A query whose rows are put together with those of the query that it stands in.
#[derive(Debug, Clone, PartialEq)]
pub struct Combination {
    /// How.
    pub operator: SetOperator,
    /// Whether equal rows stay.
    pub all: bool,
    /// The other query.
    pub body: Box<SelectBody>,
}

/// Operators between whole queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the words of SQL
pub enum SetOperator {
    Union,
    Except,
    Intersect,
}

/// A common table expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Cte {
    /// The name that sources call it by.
    pub name: Cow<'static, str>,
    /// Its rows.
    pub body: CteBody,
    /// Whether it may read itself.
    pub recursive: bool,
    /// Whether the server must (or must not) compute it on its own; its choice where `None`.
    pub materialized: Option<bool>,
}

/// What a common table expression is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum CteBody {
    /// A query.
    Query(Box<SelectBody>),
    /// SQL text.
    Fragment(Vec<FragmentPart>),
}
