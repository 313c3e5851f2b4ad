//! Several associations one after the other.

use std::fmt;
use std::marker::PhantomData;

use super::Association;
use crate::error::{Error, Result};
use crate::schema::{AssociationDef, Schema, Syncable, Through};

/// Associations one after the other, from `S` to `T`: `Post::COMMENTS.chain(Comment::AUTHOR)`.
pub struct Path<S, T> {
    steps: Vec<Step>,
    ends: PhantomData<fn() -> (S, T)>,
}

/// An association and the schema that has it.
pub type Step = (&'static Schema, &'static AssociationDef);

impl<S, T> Clone for Path<S, T> {
    fn clone(&self) -> Self {
        Path { steps: self.steps.clone(), ends: PhantomData }
    }
}

impl<S, T> fmt::Debug for Path<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|(schema, def)| format!("{}.{}", schema.name, def.field))).finish()
    }
}

impl<S: Syncable, T: Syncable> Path<S, T> {
    /// And then this one.
    pub fn chain<U: Syncable>(mut self, next: impl IntoPath<T, U>) -> Path<S, U> {
        self.steps.extend(next.into_path().steps);
        Path { steps: self.steps, ends: PhantomData }
    }

    /// The steps, those of chains one by one.
    pub(crate) fn flat(&self) -> Result<Vec<Step>> {
        flat_steps(&self.steps)
    }

    /// The steps as they were given.
    pub(crate) fn into_steps(self) -> Vec<Step> {
        self.steps
    }
}

/// The same steps, those of chains one by one.
#[doc(hidden)]
pub fn flat_steps(steps: &[Step]) -> Result<Vec<Step>> {
    let mut flat = Vec::new();
    for step in steps {
        flatten(*step, &mut flat, 0)?;
    }
    Ok(flat)
}

/// No chain that a person writes is longer.
const LONGEST: usize = 64;

fn flatten((schema, def): Step, flat: &mut Vec<Step>, depth: usize) -> Result<()> {
    let Through::Chain(fields) = def.through else {
        flat.push((schema, def));
        return Ok(());
    };
    if depth > LONGEST || flat.len() > LONGEST {
        return Err(Error::invalid(format!("the chain {}.{} leads in circles", schema.name, def.field)));
    }
    let mut at = schema;
    for field in fields {
        let Some(step) = at.association(field) else {
            return Err(Error::invalid(format!(
                "{}.{} leads along `{field}`, and {} has no such association",
                schema.name, def.field, at.name
            )));
        };
        flatten((at, step), flat, depth + 1)?;
        at = (step.related)();
    }
    Ok(())
}

/// What leads from `S` to `T`: an association, or several by [`chain`](Association::chain).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not lead from `{S}` to `{T}`",
    label = "expected an association of `{S}`",
    note = "associations are constants of the struct that has them, such as Post::COMMENTS"
)]
pub trait IntoPath<S, T> {
    /// The path.
    fn into_path(self) -> Path<S, T>;
}

impl<S: Syncable, T: Syncable> IntoPath<S, T> for Association<S, T> {
    fn into_path(self) -> Path<S, T> {
        Path { steps: vec![(S::schema(), self.def())], ends: PhantomData }
    }
}

impl<S: Syncable, T: Syncable> IntoPath<S, T> for Path<S, T> {
    fn into_path(self) -> Path<S, T> {
        self
    }
}

impl<S: Syncable, T: Syncable> Association<S, T> {
    /// This association and then one of its rows, for [`assoc`](crate::AssocExt::assoc).
    pub fn chain<U: Syncable>(self, next: impl IntoPath<T, U>) -> Path<S, U> {
        self.into_path().chain(next)
    }
}
