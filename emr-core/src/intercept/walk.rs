//! Asks the interceptors about everything in a query, and puts their conditions into it.

use std::borrow::Cow;
use std::sync::Arc;

use super::place::place;
use super::{Interceptor, Interceptors, RawSql, Reading, SqlPlace};
use crate::error::Result;
use crate::expr::{FragmentPart, Node, Order};
use crate::query::{CteBody, Distinct, Relation, SelectBody, SelectItem};
use crate::schema::Schema;

/// A walk through what one call sends.
pub(crate) struct Walk<'w> {
    all: &'w [Arc<dyn Interceptor>],
    verb: &'static str,
    /// The common table expressions that can be named where the walk is.
    ctes: Vec<Cow<'static, str>>,
}

impl<'w> Walk<'w> {
    pub(crate) fn new(interceptors: &'w Interceptors, verb: &'static str) -> Self {
        Walk { all: interceptors.all(), verb, ctes: Vec::new() }
    }

    /// A query that reads.
    pub(crate) fn query(&mut self, body: &mut SelectBody) -> Result<()> {
        self.body(body, false)
    }

    /// A query whose first table is written.
    pub(crate) fn target(&mut self, body: &mut SelectBody) -> Result<()> {
        self.body(body, true)
    }

    /// The conditions on a table whose rows are written, and which is not the first one of a query.
    pub(crate) fn written_table(&self, schema: &'static Schema) -> Result<Vec<Node>> {
        self.ask(schema.table, Some(schema), true)
    }

    fn ask(&self, table: &str, schema: Option<&'static Schema>, is_written: bool) -> Result<Vec<Node>> {
        let mut reading = Reading::of(self.verb, table, schema, is_written);
        for interceptor in self.all {
            interceptor.reading(&mut reading)?;
        }
        Ok(reading.conditions)
    }

    /// SQL that EMR did not write.
    pub(crate) fn raw(&self, text: &str, place: SqlPlace) -> Result<()> {
        let sql = RawSql { text: Cow::Borrowed(text), place, verb: self.verb };
        self.all.iter().try_for_each(|interceptor| interceptor.raw_sql(&sql))
    }

    fn body(&mut self, body: &mut SelectBody, is_target: bool) -> Result<()> {
        let known = self.ctes.len();
        // Only then may one of them name a later one, or itself.
        let recursive = body.ctes.iter().any(|cte| cte.recursive);
        if recursive {
            self.ctes.extend(body.ctes.iter().map(|cte| cte.name.clone()));
        }
        for cte in &mut body.ctes {
            match &mut cte.body {
                CteBody::Query(query) => self.body(query, false)?,
                CteBody::Fragment(parts) => self.fragment(parts, SqlPlace::Source)?,
            }
            if !recursive {
                self.ctes.push(cte.name.clone());
            }
        }
        for combination in &mut body.combinations {
            self.body(&mut combination.body, false)?;
        }
        self.expressions(body)?;
        // Last, as what is added is shown to nobody.
        for n in 0..=body.joins.len() {
            self.source(body, n, is_target && n == 0)?;
        }
        self.ctes.truncate(known);
        Ok(())
    }

    fn expressions(&mut self, body: &mut SelectBody) -> Result<()> {
        for item in &mut body.select {
            if let SelectItem::Expr { node, .. } = item {
                self.node(node)?;
            }
        }
        for node in body.filter.iter_mut().chain(&mut body.group).chain(&mut body.having) {
            self.node(node)?;
        }
        for node in body.joins.iter_mut().flat_map(|join| &mut join.on) {
            self.node(node)?;
        }
        self.order(&mut body.order)?;
        if let Distinct::On(keys) = &mut body.distinct {
            self.order(keys)?;
        }
        for (_, window) in &mut body.windows {
            window.partition.iter_mut().try_for_each(|node| self.node(node))?;
            self.order(&mut window.order)?;
        }
        Ok(())
    }

    fn order(&mut self, order: &mut [Order]) -> Result<()> {
        order.iter_mut().try_for_each(|key| self.node(&mut key.node))
    }

    /// An expression: what is in its subqueries and fragments.
    pub(crate) fn node(&mut self, node: &mut Node) -> Result<()> {
        let mut result = Ok(());
        node.each_mut(&mut |node| {
            if result.is_ok() {
                result = match node {
                    Node::Subquery(query)
                    | Node::Exists(query)
                    | Node::InQuery { query, .. }
                    | Node::Quantified { query, .. } => self.body(query, false),
                    Node::Fragment(parts) => self.raw(&text_of(parts), SqlPlace::Expression),
                    _ => Ok(()),
                };
            }
        });
        result
    }

    fn fragment(&mut self, parts: &mut [FragmentPart], place: SqlPlace) -> Result<()> {
        self.raw(&text_of(parts), place)?;
        for part in parts {
            if let FragmentPart::Argument(node) = part {
                self.node(node)?;
            }
        }
        Ok(())
    }

    fn source(&mut self, body: &mut SelectBody, n: usize, is_target: bool) -> Result<()> {
        let source = match n.checked_sub(1) {
            None => &mut body.from,
            Some(join) => &mut body.joins[join].source,
        };
        for hint in &source.hints {
            self.raw(hint, SqlPlace::Expression)?;
        }
        let (table, schema) = match &mut source.relation {
            Relation::Query(query) => return self.body(query, false),
            Relation::Fragment { parts, .. } => return self.fragment(parts, SqlPlace::Source),
            Relation::Values(_) => return Ok(()),
            Relation::Cte { name, .. } if self.ctes.contains(name) => return Ok(()),
            // A name that no common table expression has is the name of a table.
            Relation::Cte { name, schema } => (name.clone(), *schema),
            Relation::Table(name) => (name.clone(), None),
            Relation::Schema(schema) => (source.table.clone().unwrap_or(Cow::Borrowed(schema.table)), Some(*schema)),
        };
        let conditions = self.ask(&table, schema, is_target)?;
        if conditions.is_empty() { Ok(()) } else { place(body, n, schema, conditions, is_target) }
    }
}

/// The SQL of a fragment, with question marks in the place of its arguments.
fn text_of(parts: &[FragmentPart]) -> String {
    let text = |part: &FragmentPart| match part {
        FragmentPart::Sql(text) => text.to_string(),
        FragmentPart::Argument(_) => "?".to_owned(),
    };
    parts.iter().map(text).collect()
}
