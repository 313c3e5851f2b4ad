//! Queries inside expressions.

use super::{IntoQuery, Query};
use crate::expr::{Column, Expr, Node, Operator};
use crate::from_row::FromRow;
use crate::schema::Syncable;
use crate::types::{Field, Scalar};

/// True where the query has a row. Columns that the query itself does not have are those of the queries around it.
pub fn exists<R>(query: impl IntoQuery<R>) -> Expr<bool> {
    Expr::from_node(Node::Exists(query.into_body()))
}

impl<S, R: Field + FromRow> Query<S, R> {
    /// The one value of a query of one column and at most one row, as a value in another query; NULL if it has no row.
    pub fn scalar(self) -> Expr<R::Scalar> {
        Expr::from_node(Node::Subquery(self.body))
    }
}

/// Which of a query's rows a comparison is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// It is true for at least one.
    Any,
    /// It is true for each.
    All,
}

impl<T: Scalar> Expr<T> {
    /// One of the values of a query of one column.
    pub fn in_query<R: Field<Scalar = T>>(self, query: impl IntoQuery<R>) -> Expr<bool> {
        Expr::from_node(Node::InQuery { needle: Box::new(self.into_node()), query: query.into_body() })
    }

    /// The comparison, with the values of a query of one column: `expr.compare_with(Operator::Gt, Quantifier::All, query)`.
    /// Not on SQLite, which has neither ANY nor ALL.
    pub fn compare_with<R: Field<Scalar = T>>(
        self,
        op: Operator,
        quantifier: Quantifier,
        query: impl IntoQuery<R>,
    ) -> Expr<bool> {
        let needle = Box::new(self.into_node());
        Expr::from_node(Node::Quantified { needle, op, quantifier, query: query.into_body() })
    }
}

impl<S: Syncable, F: Field> Column<S, F> {
    /// One of the values of a query of one column.
    pub fn in_query<R: Field<Scalar = F::Scalar>>(self, query: impl IntoQuery<R>) -> Expr<bool> {
        self.expr().in_query(query)
    }

    /// None of the values of a query of one column; never true if one of them is NULL.
    pub fn not_in_query<R: Field<Scalar = F::Scalar>>(self, query: impl IntoQuery<R>) -> Expr<bool> {
        !self.expr().in_query(query)
    }
}
