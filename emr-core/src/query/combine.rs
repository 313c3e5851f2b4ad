//! Several queries in one: UNION and its like, and common table expressions.

use std::borrow::Cow;

use super::body::{Combination, Cte, CteBody, Relation, SelectBody, SelectItem, SetOperator};
use super::join::Joinable;
use super::{IntoQuery, Query};
use crate::expr::Fragment;
use crate::schema::Syncable;
use crate::value::SqlType;

impl<S, R> Query<S, R> {
    /// Also the rows of this query, each once. Order, limit and offset of the first query are those of the whole; its order can
    /// only name what it selects.
    pub fn union(self, other: impl IntoQuery<R>) -> Self {
        self.combined(SetOperator::Union, false, other)
    }

    /// Also the rows of this query.
    pub fn union_all(self, other: impl IntoQuery<R>) -> Self {
        self.combined(SetOperator::Union, true, other)
    }

    /// Without the rows of this query, each once.
    pub fn except(self, other: impl IntoQuery<R>) -> Self {
        self.combined(SetOperator::Except, false, other)
    }

    /// Each row as many times fewer as this query has it. Not on SQLite and SQL Server.
    pub fn except_all(self, other: impl IntoQuery<R>) -> Self {
        self.combined(SetOperator::Except, true, other)
    }

    /// Only rows that this query has too, each once.
    pub fn intersect(self, other: impl IntoQuery<R>) -> Self {
        self.combined(SetOperator::Intersect, false, other)
    }

    /// Each row as many times as both queries have it. Not on SQLite and SQL Server.
    pub fn intersect_all(self, other: impl IntoQuery<R>) -> Self {
        self.combined(SetOperator::Intersect, true, other)
    }

    fn combined(mut self, operator: SetOperator, all: bool, other: impl IntoQuery<R>) -> Self {
        self.body.combinations.push(Combination { operator, all, body: other.into_body() });
        self
    }

    /// Puts a common table expression in front of the query. Sources name it by [`cte_rows`] and
    /// [`from_cte`](Query::from_cte).
    pub fn with(mut self, cte: CteDefinition) -> Self {
        self.body.ctes.push(cte.0);
        self
    }

    /// Reads the common table expression of this name instead of the table.
    pub fn from_cte(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        let schema = self.body.from.relation.schema();
        self.body.from.relation = Relation::Cte { name: name.into(), schema };
        self
    }
}

/// A common table expression to be put [in front](Query::with) of a query.
#[derive(Debug, Clone)]
#[must_use = "it does nothing until a query takes it"]
pub struct CteDefinition(Cte);

/// The rows of a query under a name.
pub fn cte<R>(name: impl Into<Cow<'static, str>>, query: impl IntoQuery<R>) -> CteDefinition {
    let body = CteBody::Query(query.into_body());
    CteDefinition(Cte { name: name.into(), body, recursive: false, materialized: None })
}

/// The rows of SQL text under a name.
pub fn cte_sql(name: impl Into<Cow<'static, str>>, sql: Fragment) -> CteDefinition {
    let body = CteBody::Fragment(sql.parts());
    CteDefinition(Cte { name: name.into(), body, recursive: false, materialized: None })
}

/// The rows of a common table expression of this name, for FROM or a join; see [`Joinable::query_as`] for one that has the
/// columns of a schema.
pub fn cte_rows(name: impl Into<Cow<'static, str>>) -> Joinable {
    Joinable::of(Relation::Cte { name: name.into(), schema: None })
}

impl CteDefinition {
    /// Lets the query read its own rows: the first part of a union begins, the second one goes on from what is there.
    pub fn recursive(mut self) -> Self {
        self.0.recursive = true;
        self
    }

    /// Tells the server to compute it once (`true`), or as a part of what reads it (`false`). PostgreSQL and SQLite.
    pub fn materialized(mut self, materialized: bool) -> Self {
        self.0.materialized = Some(materialized);
        self
    }
}

impl SelectBody {
    /// The type of the one column that the query selects.
    pub(crate) fn sole_type(&self) -> Option<SqlType> {
        match &self.select[..] {
            [SelectItem::Expr { node, .. }] => node.sql_type(),
            _ => None,
        }
    }
}

impl Joinable {
    /// Lets the rows have the columns of the schema `T`, so that `T`'s columns are found in them.
    pub fn typed<T: Syncable>(mut self) -> Self {
        match &mut self.source.relation {
            Relation::Fragment { schema, .. } | Relation::Cte { schema, .. } => *schema = Some(T::schema()),
            _ => {}
        }
        self
    }
}
