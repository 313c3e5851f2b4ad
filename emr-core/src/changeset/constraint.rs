//! Constraints that only the database checks, and the field errors that they become.

use std::borrow::Cow;

use regex::Regex;

use super::cast::required;
use super::{Action, Changeset, FieldError, FieldName, IntoColumns};
use crate::association::Association;
use crate::error::{ConstraintKind, Violation};
use crate::schema::{AssociationKind, Schema, Syncable};

/// A constraint of the database that is to become a field's error when it refuses a write.
///
/// It is found by its name, or by its columns where those are known: engines tell not the same. SQLite names no foreign
/// key; there a declared one is found by the columns that the write sets.
///
/// ```
/// # use emr_core::Constraint;
/// let one = Constraint::unique("users_email_index").field("email").message("is taken");
/// // Whatever the partition is called:
/// let other = Constraint::unique("_email_key").suffix().field("email");
/// ```
#[derive(Debug, Clone)]
pub struct Constraint {
    kind: ConstraintKind,
    names: Vec<String>,
    rule: Rule,
    /// Names in the database.
    columns: Vec<&'static str>,
    /// Positions of the same.
    positions: Vec<usize>,
    /// For a foreign key: the table of the rows that point here.
    children: Option<&'static str>,
    field: Cow<'static, str>,
    error: FieldError,
}

/// How a name is compared.
#[derive(Debug, Clone)]
enum Rule {
    Exact,
    Prefix,
    Suffix,
    Pattern(Regex),
}

impl Constraint {
    fn named(kind: ConstraintKind, name: String, error: FieldError) -> Self {
        Constraint {
            kind,
            field: Cow::Owned(name.clone()),
            names: vec![name],
            rule: Rule::Exact,
            columns: Vec::new(),
            positions: Vec::new(),
            children: None,
            error,
        }
    }

    /// A unique index or constraint, or a primary key, by its name. The error is `unique`.
    pub fn unique(name: impl Into<String>) -> Self {
        let error = FieldError::new("unique", "has already been taken");
        Constraint::named(ConstraintKind::Unique, name.into(), error)
    }

    /// A foreign key of the table that is written, by its name. The error is `foreign_key`.
    pub fn foreign_key(name: impl Into<String>) -> Self {
        let error = FieldError::new("foreign_key", "does not exist");
        Constraint::named(ConstraintKind::ForeignKey, name.into(), error)
    }

    /// A foreign key of another table that points at the one that is written, by its name. The error is `no_assoc`.
    pub fn no_assoc(name: impl Into<String>) -> Self {
        let error = FieldError::new("no_assoc", "is still associated with this entry");
        let mut constraint = Constraint::named(ConstraintKind::ForeignKey, name.into(), error);
        constraint.children = Some("");
        constraint
    }

    /// A check constraint, by its name. The error is `check`.
    pub fn check(name: impl Into<String>) -> Self {
        Constraint::named(ConstraintKind::Check, name.into(), FieldError::new("check", "is invalid"))
    }

    /// An exclusion constraint of PostgreSQL, by its name. The error is `overlap`.
    pub fn exclusion(name: impl Into<String>) -> Self {
        let error = FieldError::new("overlap", "violates an exclusion constraint");
        Constraint::named(ConstraintKind::Exclusion, name.into(), error)
    }

    /// The given name is the beginning of the constraint's.
    pub fn prefix(mut self) -> Self {
        self.rule = Rule::Prefix;
        self
    }

    /// The given name is the end of the constraint's.
    pub fn suffix(mut self) -> Self {
        self.rule = Rule::Suffix;
        self
    }

    /// The pattern matches the constraint's name.
    pub fn pattern(mut self, pattern: Regex) -> Self {
        self.rule = Rule::Pattern(pattern);
        self
    }

    /// Where the error stands; at the constraint's name otherwise.
    pub fn field(mut self, field: impl FieldName) -> Self {
        self.field = field.field_name();
        self
    }

    /// What the error says.
    pub fn message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.error = self.error.message_is(message);
        self
    }

    fn of_columns<T: Syncable>(mut self, positions: Vec<usize>) -> Self {
        let defs = positions.iter().filter_map(|&at| T::schema().columns.get(at));
        if let Some(first) = defs.clone().next() {
            self.field = Cow::Borrowed(first.field);
        }
        self.columns = defs.map(|def| def.name).collect();
        self.positions = positions;
        self
    }

    /// Whether this is what the database complains of.
    fn matches(&self, violation: &Violation, schema: &Schema, action: Action, sets: &dyn Fn(usize) -> bool) -> bool {
        if violation.kind != self.kind {
            return false;
        }
        if let Some(name) = &violation.name
            && self.names.iter().any(|own| self.fits(own, name))
        {
            return true;
        }
        let here = violation.table.as_deref().is_none_or(|table| table == schema.table);
        if self.kind == ConstraintKind::ForeignKey && violation.name.is_none() && violation.columns.is_empty() {
            // Only that it was some foreign key is known.
            return match self.children {
                Some(_) => action == Action::Delete,
                None => {
                    action != Action::Delete && (self.positions.is_empty() || self.positions.iter().any(|&at| sets(at)))
                }
            };
        }
        if let Some(children) = self.children {
            return !self.columns.is_empty() && violation.table.as_deref() == Some(children);
        }
        here && !self.columns.is_empty()
            && self.columns.len() == violation.columns.len()
            && self.columns.iter().all(|column| violation.columns.iter().any(|violated| violated == column))
    }

    fn fits(&self, own: &str, name: &str) -> bool {
        match &self.rule {
            Rule::Exact => own == name,
            Rule::Prefix => name.starts_with(own),
            Rule::Suffix => name.ends_with(own),
            Rule::Pattern(pattern) => pattern.is_match(name),
        }
    }

    /// What is declared, for the error about something else.
    fn describe(&self) -> String {
        let kind = match self.kind {
            ConstraintKind::Unique => "unique",
            ConstraintKind::ForeignKey => "foreign key",
            ConstraintKind::Check => "check",
            ConstraintKind::NotNull => "not null",
            ConstraintKind::Exclusion => "exclusion",
        };
        format!("{kind} {}", self.names.first().map_or_else(|| self.columns.join(", "), Clone::clone))
    }

    /// The field and the error that a violation becomes.
    fn error_for(&self, violation: &Violation) -> (Cow<'static, str>, FieldError) {
        let error = self.error.clone();
        let error = match &violation.name {
            Some(name) => error.with("constraint", name.as_str()),
            None => error,
        };
        (self.field.clone(), error)
    }
}

/// Declarations change nothing in what is sent. A violation of a constraint that is not declared stays an
/// [`ErrorKind::Constraint`](crate::ErrorKind::Constraint), and so does every one of `insert_all`: which row it was is not
/// known.
impl<T: Syncable> Changeset<T> {
    /// A unique index on these columns: a violation is the error `unique` of the first one.
    pub fn unique_constraint(self, columns: impl IntoColumns<T>) -> Self {
        let positions = columns.positions();
        let name = conventional::<T>(&positions, "index");
        self.constraint(Constraint::unique(name).of_columns::<T>(positions))
    }

    /// A foreign key of these columns: a violation is the error `foreign_key` of the first one.
    pub fn foreign_key_constraint(self, columns: impl IntoColumns<T>) -> Self {
        let positions = columns.positions();
        let name = conventional::<T>(&positions, "fkey");
        self.constraint(Constraint::foreign_key(name).of_columns::<T>(positions))
    }

    /// The foreign key of a `belongs_to`: a violation is the error `foreign_key` of the association.
    pub fn assoc_constraint<R: Syncable>(self, association: Association<T, R>) -> Self {
        let def = association.def();
        if def.kind != AssociationKind::BelongsTo {
            let problem = format!("{}.{} holds no foreign key: it is no belongs_to", T::schema().name, def.field);
            return self.fault(problem);
        }
        let positions: Vec<_> = def.owner_keys.iter().filter_map(|key| T::schema().column_position(key)).collect();
        let name = conventional::<T>(&positions, "fkey");
        self.constraint(Constraint::foreign_key(name).of_columns::<T>(positions).field(def.field))
    }

    /// A check constraint of this name: a violation is the error `check` of the field.
    pub fn check_constraint(self, field: impl FieldName, name: impl Into<String>) -> Self {
        self.constraint(Constraint::check(name).field(field))
    }

    /// Columns that are never NULL: a violation is the error `required` of the column.
    pub fn not_null_constraint(mut self, columns: impl IntoColumns<T>) -> Self {
        for position in columns.positions() {
            let mut constraint = Constraint::named(ConstraintKind::NotNull, String::new(), required());
            constraint.names.clear();
            self = self.constraint(constraint.of_columns::<T>(vec![position]));
        }
        self
    }

    /// An exclusion constraint on these columns (PostgreSQL): a violation is the error `overlap` of the first one. It is found
    /// by the name `{table}_{columns}_exclusion`, or by its columns where they are no expressions; see [`Constraint`] for
    /// another name.
    pub fn exclusion_constraint(self, columns: impl IntoColumns<T>) -> Self {
        let positions = columns.positions();
        let name = conventional::<T>(&positions, "exclusion");
        self.constraint(Constraint::exclusion(name).of_columns::<T>(positions))
    }

    /// The foreign key of the other side of an association: deleting a row that others still point at is the error
    /// `no_assoc` of the association.
    pub fn no_assoc_constraint<R: Syncable>(self, association: Association<T, R>) -> Self {
        let def = association.def();
        let related = (def.related)();
        if !matches!(def.kind, AssociationKind::HasOne | AssociationKind::HasMany) || def.related_keys.is_empty() {
            let problem = format!("{}.{} holds no foreign key at its other end", T::schema().name, def.field);
            return self.fault(problem);
        }
        let name = format!("{}_{}_fkey", related.table, def.related_keys.join("_"));
        let mut constraint = Constraint::no_assoc(name).field(def.field);
        constraint.columns = def.related_keys.to_vec();
        constraint.children = Some(related.table);
        if def.kind == AssociationKind::HasMany {
            constraint = constraint.message("are still associated with this entry");
        }
        self.constraint(constraint)
    }

    /// Declares any constraint.
    pub fn constraint(mut self, constraint: Constraint) -> Self {
        self.rules().constraints.push(constraint);
        self
    }

    /// What a violation becomes: the field and its error, if one of the declared constraints was violated.
    pub(super) fn violated(&self, violation: &Violation, action: Action) -> Option<(Cow<'static, str>, FieldError)> {
        let sets = |column: usize| match action {
            Action::Insert => self.effective(column).is_some_and(|value| !value.is_null()),
            _ => self.changed(column).is_some(),
        };
        let declared = &self.rules_ref()?.constraints;
        let found = declared.iter().find(|one| one.matches(violation, T::schema(), action, &sets))?;
        Some(found.error_for(violation))
    }

    /// What is declared, in words.
    pub(super) fn declared(&self) -> Option<String> {
        let declared: Vec<_> = self.rules_ref()?.constraints.iter().map(Constraint::describe).collect();
        (!declared.is_empty()).then(|| declared.join(", "))
    }
}

/// The name that a constraint on these columns has by convention.
fn conventional<T: Syncable>(positions: &[usize], ending: &str) -> String {
    let schema = T::schema();
    let columns: Vec<_> = positions.iter().filter_map(|&at| schema.columns.get(at)).map(|def| def.name).collect();
    format!("{}_{}_{ending}", schema.table, columns.join("_"))
}
