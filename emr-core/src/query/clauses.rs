//! Groups, and clauses that are taken away or turned round.

use super::body::{Distinct, SelectBody};
use super::join::push_all;
use super::{JoinKind, Query};
use crate::expr::{IntoArgument, IntoCondition, Node, Order, SourceRef};

/// A clause of a query, for [`Query::exclude`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // the names of the methods that add them
pub enum Clause {
    Filter,
    Order,
    Limit,
    Offset,
    Distinct,
    Group,
    Having,
    Lock,
    Joins,
    Combinations,
    Ctes,
    Hints,
    Windows,
}

/// Keys of a GROUP BY: an expression, a column, or a tuple of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing to group by",
    label = "expected a column or an expression"
)]
pub trait IntoGroup {
    /// The keys.
    fn into_group(self) -> Vec<Node>;
}

impl<T: IntoArgument> IntoGroup for T {
    fn into_group(self) -> Vec<Node> {
        vec![self.into_argument()]
    }
}

macro_rules! tuples {
    ($($item:ident $at:tt),*) => {
        impl<$($item: IntoArgument),*> IntoGroup for ($($item,)*) {
            fn into_group(self) -> Vec<Node> {
                vec![$(self.$at.into_argument()),*]
            }
        }
    };
}

tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);

impl<S, R> Query<S, R> {
    /// One row for all rows that are equal in these keys, after all earlier ones.
    pub fn group_by(mut self, keys: impl IntoGroup) -> Self {
        self.body.group.extend(keys.into_group());
        self
    }

    /// Only groups for which the condition is true, and all earlier ones.
    pub fn having(mut self, condition: impl IntoCondition) -> Self {
        push_all(&mut self.body.having, condition.into_condition().into_node());
        self
    }

    /// Also groups for which this condition is true: all earlier conditions on groups together, or this one.
    pub fn or_having(mut self, condition: impl IntoCondition) -> Self {
        let other = condition.into_condition().into_node();
        let earlier = std::mem::take(&mut self.body.having);
        if earlier.is_empty() {
            push_all(&mut self.body.having, other);
        } else {
            self.body.having.push(Node::Or(vec![Node::And(earlier), other]));
        }
        self
    }

    /// Gives a window a name, so that several functions can go [over](crate::Aggregate::over_named) it. A window of the
    /// same name takes the place of the earlier one.
    pub fn window(mut self, name: impl Into<std::borrow::Cow<'static, str>>, window: crate::expr::Window) -> Self {
        let name = name.into();
        self.body.windows.retain(|(known, _)| *known != name);
        self.body.windows.push((name, window.into_def()));
        self
    }

    /// The query without this clause.
    pub fn exclude(mut self, clause: Clause) -> Self {
        let body = &mut *self.body;
        match clause {
            Clause::Filter => body.filter.clear(),
            Clause::Order => body.order.clear(),
            Clause::Limit => (body.limit, body.with_ties) = (None, false),
            Clause::Offset => body.offset = None,
            Clause::Distinct => body.distinct = Distinct::No,
            Clause::Group => body.group.clear(),
            Clause::Having => body.having.clear(),
            Clause::Lock => body.lock = None,
            Clause::Joins => body.joins.clear(),
            Clause::Combinations => body.combinations.clear(),
            Clause::Ctes => body.ctes.clear(),
            Clause::Hints => body.from.hints.clear(),
            Clause::Windows => body.windows.clear(),
        }
        self
    }

    /// The query without its last joins of this kind: as many as stand at the end.
    pub fn exclude_joins(mut self, kind: JoinKind) -> Self {
        while self.body.joins.last().is_some_and(|join| join.kind == kind) {
            self.body.joins.pop();
        }
        self
    }

    /// The reverse order. Without an order: by descending primary key.
    pub fn reverse_order(mut self) -> Self {
        let order = std::mem::take(&mut self.body.order);
        let order = if order.is_empty() { key_order(&self.body) } else { order };
        self.body.order = order.into_iter().map(Order::reversed).collect();
        self
    }

    /// Only the first row, by the query's order, or by the primary key if it has none. Replaces an earlier limit.
    pub fn first(mut self) -> Self {
        if self.body.order.is_empty() {
            self.body.order = key_order(&self.body);
        }
        self.limit(1)
    }

    /// Only the last row, by the query's order, or by the primary key if it has none. Replaces an earlier limit.
    pub fn last(self) -> Self {
        self.reverse_order().limit(1)
    }
}

/// All columns of the primary key, ascending.
fn key_order(body: &SelectBody) -> Vec<Order> {
    let Some(schema) = body.from.relation.schema() else { return Vec::new() };
    let key = schema.primary_key.iter();
    key.map(|&column| Order {
        node: Node::Column { source: SourceRef::Nth(0), schema, column },
        descending: false,
        nulls: None,
    })
    .collect()
}
