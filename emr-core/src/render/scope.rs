//! Which column is meant: the sources of a query, and of the queries around it.

use crate::error::Error;
use crate::expr::{Node, SourceRef, WindowDef};
use crate::query::{SelectBody, SelectItem, Source};
use crate::schema::Schema;
use crate::sql::SqlBuilder;
use crate::value::SqlType;

/// The sources that columns of one query may come from. Source `n` of a query has the alias `t<base + n>`.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s, 'q> {
    body: &'q SelectBody,
    base: usize,
    outer: Option<&'s Scope<'s, 'q>>,
    written: Written<'q>,
}

/// How the table that is written is called.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum TableName {
    #[default]
    Alias,
    /// By its own name, as the engine gives it no alias there.
    Table,
    /// Not at all: only its columns are known there.
    Bare,
}

/// How the statement's first table is called, and the row that an upsert could not insert.
#[derive(Clone, Copy, Default)]
pub(super) struct Written<'q> {
    pub(super) name: TableName,
    pub(super) proposed: Option<Proposed<'q>>,
}

/// How the row is called that an upsert could not insert.
#[derive(Clone, Copy)]
pub(super) enum Proposed<'q> {
    /// By this name and a dot.
    Named(&'static str),
    /// By a function of each column.
    Function,
    /// By this name and a dot the columns that it sets, and by a function the others.
    Set(&'static str, &'q [usize]),
}

impl Proposed<'_> {
    /// Writes one of its columns.
    pub(super) fn column(self, out: &mut SqlBuilder<'_>, schema: &Schema, column: usize) {
        let name = schema.columns[column].name;
        match self {
            Proposed::Set(row, set) if set.contains(&column) => out.push(row).ident(name),
            Proposed::Set(..) | Proposed::Function => out.push("VALUES(").ident(name).push(")"),
            Proposed::Named(row) => out.push(row).ident(name),
        };
    }
}

impl<'q> Scope<'_, 'q> {
    /// The scope of a whole statement.
    pub(super) fn top(body: &'q SelectBody) -> Self {
        Scope { body, base: 0, outer: None, written: Written::default() }
    }

    /// The same scope, with other names for the table that is written.
    pub(super) fn writing(self, written: Written<'q>) -> Self {
        Scope { written, ..self }
    }

    /// The scope of a query inside this one that may read its columns.
    pub(super) fn inner<'a>(&'a self, body: &'q SelectBody) -> Scope<'a, 'q> {
        Scope { body, base: self.base + self.body.joins.len() + 1, outer: Some(self), written: self.written }
    }

    /// The scope of a query inside this one that may not read its columns, as it is one of its sources.
    pub(super) fn beside(&self, body: &'q SelectBody) -> Self {
        Scope { body, base: self.base + self.body.joins.len() + 1, ..*self }
    }

    /// The place of source `n` among all aliases.
    pub(super) fn place(&self, n: usize) -> usize {
        self.base + n
    }

    /// Writes the alias of source `n`.
    pub(super) fn alias<'o, 'b>(&self, out: &'o mut SqlBuilder<'b>, n: usize) -> &'o mut SqlBuilder<'b> {
        alias(out, self.place(n))
    }

    pub(super) fn column(&self, out: &mut SqlBuilder<'_>, source: SourceRef, schema: &'static Schema, column: usize) {
        let name = schema.columns[column].name;
        if source == SourceRef::Excluded {
            match self.written.proposed {
                Some(proposed) => proposed.column(out, schema, column),
                None => out.fail(Error::invalid("only the changes and the filter of an OnConflict read excluded()")),
            }
            return;
        }
        match self.locate(source, &|candidate| candidate.relation.schema() == Some(schema)) {
            Some(0) if self.written.name == TableName::Bare => {
                out.ident(name);
            }
            Some(0) if self.written.name == TableName::Table => {
                let table = self.body.from.table.as_deref().unwrap_or(schema.table);
                out.ident(table).push(".").ident(name);
            }
            Some(place) => {
                alias(out, place).push(".").ident(name);
            }
            None => out.fail(not_there(source, schema.table, name)),
        }
    }

    pub(super) fn name(&self, out: &mut SqlBuilder<'_>, source: SourceRef, name: &str) {
        match self.locate(source, &|candidate| candidate.relation.schema().is_none()) {
            Some(place) => {
                alias(out, place).push(".").ident(name);
            }
            // A column of a table with a schema that its struct leaves out.
            None if source == SourceRef::Schema => {
                self.alias(out, 0).push(".").ident(name);
            }
            None => out.fail(not_there(source, "no source", name)),
        }
    }

    /// The alias of a source whose whole row is selected.
    pub(super) fn row(&self, out: &mut SqlBuilder<'_>, source: SourceRef, schema: &'static Schema) -> Option<usize> {
        let place = self.locate(source, &|candidate| candidate.relation.schema() == Some(schema));
        if place.is_none() {
            out.fail(not_there(source, schema.table, "*"));
        }
        place
    }

    fn locate(&self, source: SourceRef, fits: &dyn Fn(&Source) -> bool) -> Option<usize> {
        let found = match source {
            SourceRef::Nth(n) if n <= self.body.joins.len() => Some(n),
            SourceRef::Nth(_) | SourceRef::Excluded => None,
            SourceRef::Outer => return self.outer?.locate(SourceRef::Schema, fits),
            SourceRef::Alias(name) => self.body.sources().position(|candidate| candidate.alias == Some(name)),
            // A source with a name is meant by its name, unless nothing else fits.
            SourceRef::Schema => self
                .body
                .sources()
                .position(|candidate| candidate.alias.is_none() && fits(candidate))
                .or_else(|| self.body.sources().position(fits)),
        };
        match (found, self.outer) {
            (Some(n), _) => Some(self.place(n)),
            (None, Some(outer)) if !matches!(source, SourceRef::Nth(_)) => outer.locate(source, fits),
            _ => None,
        }
    }
}

impl<'q> Scope<'_, 'q> {
    /// The type of an expression, or of what it names.
    pub(super) fn type_of(&self, node: &Node) -> Option<SqlType> {
        match node {
            Node::Selected(name) => self.selected(name)?.sql_type(),
            node => node.sql_type(),
        }
    }

    /// The query's window of this name.
    pub(super) fn window(&self, wanted: &str) -> Option<&'q WindowDef> {
        self.body.windows.iter().find(|(name, _)| name == wanted).map(|(_, window)| window)
    }

    /// What the query selects under this name.
    pub(super) fn selected(&self, wanted: &str) -> Option<&'q Node> {
        self.body.select.iter().find_map(|item| match item {
            SelectItem::Expr { node, name: Some(name) } if name == wanted => Some(node),
            _ => None,
        })
    }
}

fn not_there(source: SourceRef, table: &str, column: &str) -> Error {
    Error::invalid(match source {
        SourceRef::Alias(alias) => format!("the query has no source with the alias {alias:?}, whose {column} it reads"),
        _ => format!("the query reads {table}.{column}, but not from that table: join it"),
    })
}

/// The aliases that are written most; the others cost the hash a look at every column.
const ALIASES: [&str; 16] =
    ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "t10", "t11", "t12", "t13", "t14", "t15"];

pub(super) fn alias<'o, 'q>(out: &'o mut SqlBuilder<'q>, place: usize) -> &'o mut SqlBuilder<'q> {
    match ALIASES.get(place) {
        Some(alias) => out.push(alias),
        None => out.push("t").push_number(place as u64),
    }
}

/// Writes all columns of a source.
pub(super) fn all_columns_at(out: &mut SqlBuilder<'_>, schema: &'static Schema, place: usize) {
    match ALIASES.get(place) {
        Some(alias) => super::all_columns(out, schema, Some(alias)),
        None => super::separated(out, ", ", schema.columns, |out, column| {
            alias(out, place).push(".").ident(column.name);
        }),
    }
}
