//! The statements that fetch associated rows.

use std::borrow::Cow;
use std::ops::Range;

use super::gathered::{SinkMaker, Target};
use super::keys::Keys;
use super::run::Context;
use super::spec::Spec;
use crate::association::Ends;
use crate::dialect::InList;
use crate::error::{Error, Result};
use crate::expr::functions::row_number;
use crate::expr::{Node, Operator, Order, SourceRef, Window};
use crate::query::{Distinct, IntoGroup, Join, JoinKind, Relation, SelectBody, SelectItem, Source, push_all};
use crate::schema::{AssociationDef, AssociationKind, Schema};
use crate::value::{SqlType, Value};

/// One statement of a level.
pub(crate) struct Request {
    pub(crate) body: SelectBody,
    pub(crate) related: &'static Schema,
    pub(crate) sink: SinkMaker,
}

/// The most keys of several columns in one statement: engines limit how deep a condition may be.
const COMPOSITE_KEYS: usize = 256;

/// The ranges of keys that go into one statement each.
pub(super) fn chunks(ends: &Ends, target: &Target, context: &Context<'_>) -> Vec<Range<u32>> {
    let count = target.keys.len();
    let most = if ends.owner_keys.len() > 1 {
        COMPOSITE_KEYS
    } else {
        match context.dialect.in_list(count, ends.key_type(0)) {
            // Half of them, so that a query of the program's own has room beside them.
            InList::Expand(_) => (context.capabilities.max_parameters / 2).max(1),
            _ => usize::MAX,
        }
    };
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    (0..count)
        .step_by(most.min(count.max(1)))
        .map(|at| number(at)..number(at.saturating_add(most).min(count)))
        .collect()
}

/// The rows of an association whose keys are in the range, and behind them, for a join table, the key of the owner.
pub(super) fn body(
    ends: &Ends,
    def: &'static AssociationDef,
    spec: &Spec,
    target: &Target,
    keys: &Range<u32>,
    prefix: Option<&str>,
) -> Result<SelectBody> {
    let custom = spec.query.as_deref().cloned();
    let mut body = custom.unwrap_or_else(|| SelectBody::of(Relation::Schema(ends.related)));
    check(ends, def, spec, &body)?;
    place(&mut body, ends, prefix);
    let columns = link(&mut body, ends, prefix);
    push_all(&mut body.filter, of_keys(ends, &columns, &target.keys, keys));
    narrow(&mut body, ends, def);
    if body.order.is_empty() && (def.kind == AssociationKind::HasOne || spec.per_parent.is_some()) {
        body.order = by_key(ends.related);
    }
    if let Some(rows) = spec.per_parent {
        return Ok(limited(body, ends, columns, rows));
    }
    if ends.link.is_some() {
        if body.select.is_empty() {
            body.select.push(SelectItem::Row { source: SourceRef::Nth(0), schema: ends.related });
        }
        body.select.extend(columns.into_iter().map(|node| SelectItem::Expr { node, name: None }));
    }
    Ok(body)
}

/// What a query of the program's own cannot have here.
fn check(ends: &Ends, def: &AssociationDef, spec: &Spec, body: &SelectBody) -> Result<()> {
    let (owner, field) = (ends.owner.name, def.field);
    let refuse = |what: &str| Err(Error::invalid(format!("the query that preloads {owner}.{field} {what}")));
    if body.from.relation.schema() != Some(ends.related) {
        return refuse("has another source first: begin it with the related struct's query()");
    }
    if !body.folds.is_empty() {
        return refuse("fills slots from its joins: write preload in the place of preload_joined");
    }
    if !body.combinations.is_empty() {
        return refuse("is put together of several: make them the subquery of one, so that the keys can narrow it");
    }
    if (ends.link.is_some() || spec.per_parent.is_some()) && !(body.group.is_empty() && body.having.is_empty()) {
        return refuse("has groups: make it the subquery of another, so that each row can have its key");
    }
    if spec.per_parent.is_some() {
        if body.limit.or(body.offset).is_some() {
            return refuse("has a limit or an offset beside limit_per_parent: keep one");
        }
        if body.lock.is_some() {
            return refuse("has a lock beside limit_per_parent: numbered rows cannot be locked");
        }
        if body.distinct != Distinct::No {
            return refuse("is distinct beside limit_per_parent: keep one");
        }
    }
    Ok(())
}

/// Says where the related table is, if neither the query nor its schema does.
fn place(body: &mut SelectBody, ends: &Ends, prefix: Option<&str>) {
    if body.from.prefix.is_none() && ends.related.prefix.is_none() {
        body.from.prefix = prefix.map(|prefix| Cow::Owned(prefix.to_owned()));
    }
}

/// Joins the join table, if there is one. The columns that hold the owner's key.
pub(crate) fn link(body: &mut SelectBody, ends: &Ends, prefix: Option<&str>) -> Vec<Node> {
    let related = |column: usize| Node::Column { source: SourceRef::Nth(0), schema: ends.related, column };
    let Some(link) = &ends.link else {
        return ends.related_keys.iter().map(|&column| related(column)).collect();
    };
    let at = SourceRef::Nth(body.joins.len() + 1);
    let column = |name: &'static str, ty: SqlType| link.column(at, name, ty);
    let pairs = link.related_columns.iter().zip(&ends.related_keys);
    let on = pairs.map(|(name, &key)| Node::Binary {
        op: Operator::Eq,
        left: Box::new(column(name, ends.related.columns[key].ty)),
        right: Box::new(related(key)),
    });
    let on = on.collect();
    let relation = match link.schema {
        Some(schema) => Relation::Schema(schema),
        None => Relation::Table(Cow::Borrowed(link.table)),
    };
    let mut source = Source::of(relation);
    if link.schema.is_none_or(|schema| schema.prefix.is_none()) {
        let own = ends.owner.prefix.map(Cow::Borrowed);
        source.prefix = body.from.prefix.clone().or_else(|| prefix.map(|prefix| Cow::Owned(prefix.to_owned()))).or(own);
    }
    body.joins.push(Join { kind: JoinKind::Inner, source, on, lateral: false });
    let owner = link.owner_columns.iter().enumerate();
    owner.map(|(n, name)| column(name, ends.key_type(n))).collect()
}

/// The association's own filter, and its order where the query has none.
fn narrow(body: &mut SelectBody, ends: &Ends, def: &'static AssociationDef) {
    if let Some(filter) = def.filter {
        let mut filter = filter();
        filter.rebind(ends.related, SourceRef::Nth(0));
        push_all(&mut body.filter, filter);
    }
    if let (Some(order), true) = (def.order, body.order.is_empty()) {
        body.order = order();
        for key in &mut body.order {
            key.node.rebind(ends.related, SourceRef::Nth(0));
        }
    }
}

/// The condition that the key columns hold one of the keys.
pub(crate) fn of_keys(ends: &Ends, columns: &[Node], all: &Keys, keys: &Range<u32>) -> Node {
    if let [column] = columns {
        return Node::In {
            needle: Box::new(column.clone()),
            list: all.column(0, keys).cloned().collect(),
            element: ends.key_type(0),
            context: column.as_column(),
        };
    }
    let equal = |key: &[Value<'static>]| {
        let pairs = columns.iter().zip(key).map(|(column, value)| Node::Binary {
            op: Operator::Eq,
            left: Box::new(column.clone()),
            right: Box::new(Node::Bind { value: value.clone(), context: column.as_column() }),
        });
        Node::And(pairs.collect())
    };
    let mut any: Vec<Node> = all.rows(keys).map(equal).collect();
    // The last one again up to the next power of two, so that texts repeat.
    if let Some(last) = any.last().cloned() {
        any.resize(any.len().next_power_of_two(), last);
    }
    Node::Or(any)
}

fn by_key(schema: &'static Schema) -> Vec<Order> {
    let column = |&column: &usize| Node::Column { source: SourceRef::Nth(0), schema, column };
    schema.primary_key.iter().map(|at| Order { node: column(at), descending: false, nulls: None }).collect()
}

/// The first rows of each key: the query numbers them, and a query around it takes the low numbers.
fn limited(mut body: SelectBody, ends: &Ends, columns: Vec<Node>, rows: u64) -> SelectBody {
    const NUMBER: &str = "emr_number";
    let window = Window::partition_by(Columns(columns.clone())).order_by(std::mem::take(&mut body.order));
    let number = row_number().over(window).into_node();
    body.select = vec![SelectItem::Row { source: SourceRef::Nth(0), schema: ends.related }];
    let keys = if ends.link.is_some() { columns } else { Vec::new() };
    let name_of = |n: usize| Cow::Owned(format!("emr_key_{n}"));
    let types: Vec<_> = (0..keys.len()).map(|n| ends.key_type(n)).collect();
    body.select.extend(keys.into_iter().enumerate().map(|(n, node)| SelectItem::Expr { node, name: Some(name_of(n)) }));
    body.select.push(SelectItem::Expr { node: number, name: Some(Cow::Borrowed(NUMBER)) });
    let named = |name: Cow<'static, str>, ty| Node::Name { source: SourceRef::Nth(0), name, ty: Some(ty) };
    let mut outer = SelectBody::of(Relation::Query(Box::new(body)));
    let own = ends.related.columns.iter().map(|column| named(Cow::Borrowed(column.name), column.ty));
    let keys = types.into_iter().enumerate().map(|(n, ty)| named(name_of(n), ty));
    outer.select = own.chain(keys).map(|node| SelectItem::Expr { node, name: None }).collect();
    let number = || Box::new(named(Cow::Borrowed(NUMBER), SqlType::I64));
    let most = Value::I64(i64::try_from(rows).unwrap_or(i64::MAX));
    outer.filter.push(Node::Binary {
        op: Operator::LtEq,
        left: number(),
        right: Box::new(Node::Bind { value: most, context: None }),
    });
    outer.order.push(Order { node: *number(), descending: false, nulls: None });
    outer
}

/// Columns that rows are numbered within.
struct Columns(Vec<Node>);

impl IntoGroup for Columns {
    fn into_group(self) -> Vec<Node> {
        self.0
    }
}
