//! What a changeset carries beside its changes: what was found wrong, and what goes for the write.

use std::borrow::Cow;

use super::{Changeset, Constraint, Errors, FieldError, FieldName, Input};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::Branches;
use crate::schema::Syncable;
use crate::value::Value;

/// What is done to the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is new.
    Insert,
    /// It changes.
    Update,
    /// It goes.
    Delete,
}

/// Boxed, so that a changeset that only sets columns pays nothing for it.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    pub(super) errors: Errors,
    pub(super) input: Option<Input>,
    pub(super) keep_blank: bool,
    pub(super) constraints: Vec<Constraint>,
    /// Columns that the row must still have these values in.
    pub(super) guards: Vec<(usize, Value<'static>)>,
    /// Lock columns and their next values.
    pub(super) locks: Vec<(usize, Value<'static>)>,
    pub(super) stale: Option<(Cow<'static, str>, FieldError)>,
    pub(super) allow_stale: bool,
    pub(super) force: bool,
    /// A mistake of the program, reported when the changeset is used.
    pub(super) fault: Option<ErrorKind>,
    /// What is done with the row in an association, if that is said.
    pub(super) wish: Option<Action>,
    /// Associations that are written with the row.
    pub(super) branches: Branches,
}

static NO_ERRORS: Errors = Errors::NONE;

impl<T: Syncable> Changeset<T> {
    pub(super) fn rules(&mut self) -> &mut Rules {
        self.rules.get_or_insert_default()
    }

    pub(super) fn rules_ref(&self) -> Option<&Rules> {
        self.rules.as_deref()
    }

    /// What is wrong.
    pub fn errors(&self) -> &Errors {
        self.rules_ref().map_or(&NO_ERRORS, |rules| &rules.errors)
    }

    /// Whether nothing is wrong. A changeset with errors never reaches the database: writing it is the error
    /// [`Validation`](ErrorKind::Validation).
    pub fn is_valid(&self) -> bool {
        self.errors().is_empty()
    }

    /// Adds an error to a field.
    pub fn add_error(mut self, field: impl FieldName, error: impl Into<FieldError>) -> Self {
        self.rules().errors.add(field.field_name(), error);
        self
    }

    /// What [`cast`](Changeset::cast) was given, all calls together; `None` before the first one.
    pub fn input(&self) -> Option<&Input> {
        self.rules_ref()?.input.as_ref()
    }

    /// Remembers a mistake of the program; the first one counts.
    pub(super) fn fault(self, problem: String) -> Self {
        self.fault_of(ErrorKind::InvalidCall { problem })
    }

    /// The same, as another error.
    pub(super) fn fault_of(mut self, kind: ErrorKind) -> Self {
        self.rules().fault.get_or_insert(kind);
        self
    }

    /// Refuses a changeset that has errors, or was put together wrongly.
    pub(crate) fn refuse_invalid(&self) -> Result<()> {
        let Some(rules) = self.rules_ref() else { return Ok(()) };
        if let Some(fault) = &rules.fault {
            return Err(Error::new(fault.clone()));
        }
        if rules.errors.is_empty() { Ok(()) } else { Err(Error::validation(T::schema().table, rules.errors.clone())) }
    }

    /// Turns what the database says into errors of fields, where the changeset declares it.
    pub(crate) fn refine(&self, error: Error, action: Action) -> Error {
        let Some(violation) = error.violation() else { return error };
        match self.violated(violation, action) {
            Some((field, found)) => {
                let mut errors = self.errors().clone();
                errors.add(field, found);
                error.into_cause_of(ErrorKind::Validation { table: T::schema().table.to_owned(), errors })
            }
            None => match self.declared() {
                Some(declared) => {
                    let mut violation = violation.clone();
                    violation.message = format!("{} (the changeset declares: {declared})", violation.message);
                    error.into_cause_of(ErrorKind::Constraint(violation))
                }
                None => error,
            },
        }
    }
}
