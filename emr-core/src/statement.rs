//! A whole statement that is not run: for looking at its SQL or its plan.

use crate::query::{Assignment, Query, SelectBody, Update};
use crate::render;
use crate::schema::Syncable;
use crate::sql::SqlBuilder;

/// A query, an update or a delete, as data. Made by [`IntoStatement`].
#[derive(Debug, Clone)]
pub struct Statement(pub(crate) Kind);

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Select(Box<SelectBody>),
    Update(Box<SelectBody>, Vec<Assignment>),
    Delete(Box<SelectBody>),
}

/// What can be looked at without being run: a [`Query`], an [`Update`], a [`Delete`].
#[diagnostic::on_unimplemented(message = "`{Self}` is no statement", label = "expected a query, an update or a delete")]
pub trait IntoStatement: Send {
    /// The statement.
    fn into_statement(self) -> Statement;
}

/// A delete of all rows of a query, to be looked at. Made by [`Query::delete`]; run by
/// [`Repo::delete_all`](crate::Repo::delete_all).
#[derive(Debug, Clone)]
#[must_use = "it is only looked at: delete_all takes the query itself"]
pub struct Delete<T>(Query<T>);

impl<T: Syncable> Query<T> {
    /// The delete of the query's rows, for [`to_sql`](crate::Repo::to_sql) and
    /// [`explain_with`](crate::Repo::explain_with).
    pub fn delete(self) -> Delete<T> {
        Delete(self)
    }
}

impl<S, R> IntoStatement for Query<S, R> {
    fn into_statement(self) -> Statement {
        Statement(Kind::Select(self.body))
    }
}

impl<S, R> IntoStatement for &Query<S, R> {
    fn into_statement(self) -> Statement {
        Statement(Kind::Select(self.body.clone()))
    }
}

impl<T> IntoStatement for Update<T> {
    fn into_statement(self) -> Statement {
        Statement(Kind::Update(self.query.body, self.assignments))
    }
}

impl<T> IntoStatement for &Update<T> {
    fn into_statement(self) -> Statement {
        Statement(Kind::Update(self.query.body.clone(), self.assignments.clone()))
    }
}

impl<T> IntoStatement for Delete<T> {
    fn into_statement(self) -> Statement {
        Statement(Kind::Delete(self.0.body))
    }
}

impl Statement {
    pub(crate) fn select(body: Box<SelectBody>) -> Self {
        Statement(Kind::Select(body))
    }

    pub(crate) fn delete(body: Box<SelectBody>) -> Self {
        Statement(Kind::Delete(body))
    }

    /// Writes the statement.
    pub(crate) fn render<'q>(&'q self, out: &mut SqlBuilder<'q>, prefix: Option<&'q str>) {
        match &self.0 {
            Kind::Select(body) => render::select(out, body, prefix),
            Kind::Update(body, assignments) => render::update_all(out, body, assignments, prefix),
            Kind::Delete(body) => render::delete_all(out, body, prefix),
        }
    }

    /// The table that it is about, for reports.
    pub(crate) fn table(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::Select(body) | Kind::Update(body, _) | Kind::Delete(body) => body.table(),
        }
    }

    /// Whether running it needs the connection that writes.
    pub(crate) fn writes(&self) -> bool {
        match &self.0 {
            Kind::Select(body) => body.lock.is_some(),
            Kind::Update(..) | Kind::Delete(_) => true,
        }
    }
}
