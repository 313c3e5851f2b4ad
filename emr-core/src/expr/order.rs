//! Keys of an ORDER BY.

use super::Node;

/// One key of an ORDER BY.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "an order does nothing until a query uses it"]
pub struct Order {
    pub(crate) node: Node,
    pub(crate) descending: bool,
    pub(crate) nulls: Option<Nulls>,
}

/// Where NULLs stand in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nulls {
    /// Before all values.
    First,
    /// After all values.
    Last,
}

impl Order {
    /// NULLs before all values.
    pub fn nulls_first(mut self) -> Self {
        self.nulls = Some(Nulls::First);
        self
    }

    /// Ascending by this.
    #[doc(hidden)]
    pub fn by(node: Node) -> Self {
        Order { node, descending: false, nulls: None }
    }

    /// What is ordered by.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// NULLs after all values.
    pub fn nulls_last(mut self) -> Self {
        self.nulls = Some(Nulls::Last);
        self
    }
}

impl Order {
    /// The opposite order, NULLs included.
    pub(crate) fn reversed(mut self) -> Self {
        self.descending = !self.descending;
        self.nulls = self.nulls.map(|nulls| match nulls {
            Nulls::First => Nulls::Last,
            Nulls::Last => Nulls::First,
        });
        self
    }
}

/// What can be an order: one key, or several of them in a tuple or a list.
#[diagnostic::on_unimplemented(message = "`{Self}` is no order", label = "write .asc() or .desc() behind it")]
pub trait IntoOrder {
    /// The keys.
    fn into_order(self) -> Vec<Order>;
}

impl IntoOrder for Order {
    fn into_order(self) -> Vec<Order> {
        vec![self]
    }
}

impl IntoOrder for Vec<Order> {
    fn into_order(self) -> Vec<Order> {
        self
    }
}

impl<const N: usize> IntoOrder for [Order; N] {
    fn into_order(self) -> Vec<Order> {
        self.into()
    }
}
