//! Queries whose rows are followed.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use emr_core::walk::{Spec, reads_of};
use emr_core::{Distinct, Error, Node, Order, Relation, Result, Schema, SelectBody, SourceRef, SyncFault};

use crate::interest::Expander;
use crate::key::Key;
use crate::tables::Tables;

/// A query that is followed.
#[derive(Debug, PartialEq)]
pub(crate) struct Followed {
    pub(super) schema: &'static Schema,
    /// The query without its preloads, in an order that leaves nothing open.
    pub(super) body: SelectBody,
    pub(super) preloads: Arc<[Spec]>,
    pub(super) prefix: Option<Arc<str>>,
    /// Its own table.
    pub(super) table: usize,
    /// The tables of which any change means to run it again; none if it is followed by key.
    pub(super) again: Vec<usize>,
    /// The columns that the order depends on; all of them where it is computed.
    pub(super) order_columns: Vec<usize>,
}

impl Followed {
    /// # Errors
    /// [`NotFollowed`](SyncFault::NotFollowed), [`NotWatched`](SyncFault::NotWatched).
    pub(super) fn of(tables: &Tables, schema: &'static Schema, mut body: SelectBody) -> Result<Self> {
        if let Some(problem) = &body.problem {
            return Err(Error::invalid(problem.clone()));
        }
        if schema.primary_key.is_empty() {
            return Err(refused("its struct has no primary key"));
        }
        if body.lock.is_some() {
            return Err(refused("it locks rows"));
        }
        if !body.folds.is_empty() {
            return Err(refused("it fills slots from its joins: write preload in the place of preload_joined"));
        }
        if body.from.relation != Relation::Schema(schema) || body.from.table.is_some() || !body.select.is_empty() {
            return Err(refused("it reads from another source than its struct's table"));
        }
        if body.with_ties {
            return Err(refused("it is limited with ties"));
        }
        let preloads = std::mem::take(&mut body.preloads);
        check(&preloads)?;
        let reads = reads_of(&body)?;
        if reads.raw {
            return Err(refused("there is SQL text in it, and nobody knows which tables that reads"));
        }
        let prefix = body.from.prefix.as_deref().map(Arc::from);
        let need = |name: &String| tables.named(name, prefix.as_deref()).ok_or_else(|| tables.not_watched(name));
        let table = tables.need(schema, prefix.as_deref())?;
        let mut below = Expander::new(tables, prefix.as_deref());
        preloads.iter().try_for_each(|spec| below.wide(schema, spec))?;
        let by_key = body.joins.is_empty()
            && body.ctes.is_empty()
            && body.group.is_empty()
            && body.having.is_empty()
            && body.windows.is_empty()
            && body.distinct == Distinct::No
            && body.combinations.is_empty()
            && reads.tables.len() == 1;
        let mut again = Vec::new();
        if !by_key {
            again.push(table);
            for name in reads.tables.iter().filter(|name| **name != schema.table) {
                again.push(need(name)?);
            }
        }
        let order_columns = order_columns(schema, &body.order);
        if body.distinct == Distinct::No && body.combinations.is_empty() {
            settle(schema, &mut body);
        }
        Ok(Followed { schema, body, preloads: preloads.into(), prefix, table, again, order_columns })
    }

    pub(super) fn is_by_key(&self) -> bool {
        self.again.is_empty()
    }

    /// Whether rows that are outside may come in when others go.
    pub(super) fn is_cut(&self) -> bool {
        self.body.limit.is_some() || self.body.offset.is_some()
    }

    /// The rows with these keys that the query has.
    pub(super) fn members(&self, keys: &[Key]) -> SelectBody {
        let mut body = self.body.clone();
        (body.limit, body.offset) = (None, None);
        body.filter.push(with_keys(self.schema, keys));
        body
    }

    /// The rows with these keys, in its order.
    pub(super) fn in_order(&self, keys: &[Key]) -> SelectBody {
        let mut body = SelectBody::of(Relation::Schema(self.schema));
        body.from.clone_from(&self.body.from);
        body.order.clone_from(&self.body.order);
        body.filter.push(with_keys(self.schema, keys));
        body
    }
}

fn refused(because: &str) -> Error {
    Error::sync(SyncFault::NotFollowed { because: because.to_owned() })
}

fn check(preloads: &[Spec]) -> Result<()> {
    for spec in preloads {
        if spec.has_function() {
            return Err(refused("a preload takes its rows from a function"));
        }
        if spec.query().is_some_and(|query| query.limit.or(query.offset).is_some()) {
            return Err(refused(
                "the limit of a preload counts the rows of all owners together: write limit_per_parent",
            ));
        }
        check(spec.nested())?;
    }
    Ok(())
}

/// Adds the primary key to the order: rows that are equal in it stand in one order, today and tomorrow.
fn settle(schema: &'static Schema, body: &mut SelectBody) {
    for &column in schema.primary_key {
        let node = Node::Column { source: SourceRef::Nth(0), schema, column };
        let is_there = |key: &Order| matches!(key.node(), Node::Column { schema: of, column: at, .. } if *of == schema && *at == column);
        if !body.order.iter().any(is_there) {
            body.order.push(Order::by(node));
        }
    }
}

fn order_columns(schema: &'static Schema, order: &[Order]) -> Vec<usize> {
    let column = |key: &Order| key.node().as_column().filter(|(of, _)| *of == schema).map(|(_, column)| column);
    let columns: Option<Vec<_>> = order.iter().map(column).collect();
    columns.unwrap_or_else(|| (0..schema.columns.len()).collect())
}

fn with_keys(schema: &'static Schema, keys: &[Key]) -> Node {
    emr_core::walk::of_keys(schema, keys.iter().map(|key| &key.0[..]))
}

/// A followed query as the key of what it gave: those that ask for the same are one.
#[derive(Debug, Clone)]
pub(crate) struct Same(pub(super) Arc<Followed>);

impl PartialEq for Same {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.body == other.0.body
    }
}

impl Eq for Same {}

impl Hash for Same {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.schema.hash(state);
        self.0.body.filter.len().hash(state);
        self.0.body.order.len().hash(state);
    }
}
